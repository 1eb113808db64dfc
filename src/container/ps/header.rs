//! Headers of packs and PES packets (clauses 2.5.3.3 and 2.4.3.6), read tolerantly, and the time stamps in them.

use super::psm::Map;

/// Start codes above this are system start codes: no NAL unit header has its first bit set.
pub const FIRST_CODE: u8 = 0xb9;

/// What a start code turned out to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// So many bytes are needed to tell.
    Need(usize),
    /// A pack header of so many bytes; `odd`: not as the standard has it.
    Pack {
        /// Bytes of the header.
        length: usize,
        /// Cut short, or of MPEG-1, or with wrong marker bits.
        odd: bool,
    },
    /// A system header of so many bytes.
    System(usize),
    /// A map, and the bytes that it took.
    Map(Map, usize),
    /// A PES packet with sound or pictures.
    Pes(Pes, usize),
    /// Something to jump over: header and body together have so many bytes.
    Skip(usize),
    /// Nothing that makes sense: look for the next start code behind so many bytes.
    Junk(usize),
}

/// The header of a PES packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pes {
    /// The stream identifier.
    pub id: u8,
    /// Presentation time, 33 bits of 90 kHz.
    pub pts: Option<u64>,
    /// Decoding time, 33 bits of 90 kHz.
    pub dts: Option<u64>,
    /// Bytes of payload; `None`: up to the next start code.
    pub payload: Option<usize>,
    /// The header broke a rule.
    pub odd: bool,
}

/// Reads what begins with the start code at the front of `bytes` (at least 4 of them).
pub fn read(bytes: &[u8]) -> Head {
    let Some(&[0, 0, 1, code]) = bytes.first_chunk::<4>() else { return Head::Need(4) };
    let length = bytes.get(4..6).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])));
    match (code, length) {
        (0xb9, _) => Head::Junk(4),
        (0xba, _) => pack(bytes),
        (_, None) => Head::Need(6),
        (0xbb, Some(length)) => system(bytes, length),
        (0xbc, Some(length)) if length > Map::LONGEST => Head::Junk(4),
        (0xbc, Some(length)) => match bytes.get(6..6 + length) {
            Some(body) => Head::Map(Map::parse(body), 6 + length),
            None => Head::Need(6 + length),
        },
        (0xc0..=0xef, Some(length)) => pes(bytes, code, length),
        // BD and BF private, BE padding, F0 to FF: nothing that we play
        (_, Some(length)) => Head::Skip(6 + length),
    }
}

fn pack(bytes: &[u8]) -> Head {
    const NEED: usize = 14;
    // Hikvision H.265 units can send a pack header that ends behind its start code. No more is asked for at a time than
    // what the shortest form has, so that nothing behind the header is read with it.
    let Some(front) = bytes.get(4..8) else { return Head::Need(8) };
    if front[..3] == [0, 0, 1] && front[3] >= FIRST_CODE {
        return Head::Pack { length: 4, odd: true };
    }
    match front[0] >> 6 {
        1 => {
            let Some(header) = bytes.get(..NEED) else { return Head::Need(NEED) };
            let markers = header[4] & 4 != 0 && header[6] & 4 != 0 && header[8] & 4 != 0 && header[9] & 1 != 0;
            let length = NEED + usize::from(header[13] & 7);
            // The stuffing of Hikvision holds a counter that can look like a start code: it must be there to be jumped over.
            if bytes.len() < length { Head::Need(length) } else { Head::Pack { length, odd: !markers } }
        }
        _ if front[0] >> 4 == 2 && bytes.len() < 12 => Head::Need(12),
        _ if front[0] >> 4 == 2 => Head::Pack { length: 12, odd: true },
        _ => Head::Pack { length: 4, odd: true },
    }
}

fn system(bytes: &[u8], length: usize) -> Head {
    // A header full of FF (gomedia issue 166) says 65,535.
    if length > Map::LONGEST {
        return Head::Junk(4);
    }
    let Some(body) = bytes.get(6..6 + length) else { return Head::Need(6 + length) };
    // gb28181-rs puts the map under the system header's start code. A system header has entries of 3 bytes behind
    // 6 bytes that begin with a marker bit and end in reserved ones.
    let regular = body.len() >= 6 && body[0] & 0x80 != 0 && (body.len() - 6).is_multiple_of(3) && body[5] & 0x7f == 0x7f;
    let map = Map::parse(body);
    match map.video.or(map.audio) {
        Some(_) if !regular => Head::Map(map, 6 + length),
        _ => Head::System(6 + length),
    }
}

fn pes(bytes: &[u8], id: u8, length: usize) -> Head {
    let Some(&[flags, second, size]) = bytes.get(6..9).and_then(|b| b.first_chunk::<3>()) else { return Head::Need(9) };
    let other_form = match (flags, second, size >> 4) {
        (0xc0, 10, 3) | (0x80, 5, 2) => Some(flagless(bytes, usize::from(second))),
        _ if flags >> 6 != 2 => Some(old(bytes)),
        _ => None,
    };
    if let Some(fields) = other_form {
        return fields.map_or_else(|head| head, |fields| finish(fields, id, length));
    }
    let size = usize::from(size);
    let Some(fields) = bytes.get(9..9 + size) else { return Head::Need(9 + size) };
    // With a wrong prefix or marker bits the stamp is taken all the same.
    let pts = if second & 0x80 != 0 { fields.get(..5).map(stamp) } else { None };
    let dts = if second & 0xc0 == 0xc0 { fields.get(5..10).map(stamp) } else { None };
    let stamped = fields.get(..5).filter(|_| second & 0x80 != 0);
    let odd = stamped.is_some_and(|f| f[0] & 1 == 0 || f[2] & 1 == 0 || f[4] & 1 == 0) || second & 0x80 != 0 && pts.is_none();
    finish(Fields { pts, dts, end: 9 + size, odd }, id, length)
}

struct Fields {
    pts: Option<u64>,
    dts: Option<u64>,
    /// Where the payload begins.
    end: usize,
    odd: bool,
}

fn finish(fields: Fields, id: u8, length: usize) -> Head {
    let Fields { pts, dts, end, mut odd } = fields;
    let payload = match (length + 6).checked_sub(end) {
        _ if length == 0 => None,
        // The header is longer than its packet.
        None => {
            odd = true;
            None
        }
        some => some,
    };
    Head::Pes(Pes { id, pts, dts, payload, odd }, end)
}

/// gb28181-rs leaves the first byte of flags out: `C0 0A 3x` or `80 05 2x` stand where `8x C0 0A` should.
fn flagless(bytes: &[u8], size: usize) -> Result<Fields, Head> {
    let fields = bytes.get(8..8 + size).ok_or(Head::Need(8 + size))?;
    Ok(Fields { pts: fields.get(..5).map(stamp), dts: fields.get(5..10).map(stamp), end: 8 + size, odd: true })
}

/// The header of MPEG-1 (ISO/IEC 11172-1 clause 2.4.3.3).
fn old(bytes: &[u8]) -> Result<Fields, Head> {
    let mut at = 6;
    while bytes.get(at) == Some(&0xff) {
        at += 1;
        if at > 6 + 16 {
            return Err(Head::Junk(4));
        }
    }
    if bytes.get(at).is_some_and(|b| b >> 6 == 1) {
        at += 2;
    }
    let first = bytes.get(at).ok_or(Head::Need(at + 1))?;
    let size = match first >> 4 {
        2 => 5,
        3 => 10,
        0 if *first == 0x0f => return Ok(Fields { pts: None, dts: None, end: at + 1, odd: true }),
        _ => return Err(Head::Junk(4)),
    };
    let fields = bytes.get(at..at + size).ok_or(Head::Need(at + size))?;
    Ok(Fields { pts: fields.get(..5).map(stamp), dts: fields.get(5..10).map(stamp), end: at + size, odd: true })
}

/// A time stamp of 33 bits in 5 bytes; prefix and marker bits are not looked at.
fn stamp(b: &[u8]) -> u64 {
    let [a, b, c, d, e] = [b[0], b[1], b[2], b[3], b[4]].map(u64::from);
    (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
}

/// Writes a time stamp behind a prefix of 4 bits.
pub fn put_stamp(prefix: u8, ticks: u64, out: &mut Vec<u8>) {
    out.extend([
        prefix << 4 | (ticks >> 29) as u8 & 0xe | 1,
        (ticks >> 22) as u8,
        (ticks >> 14) as u8 | 1,
        (ticks >> 7) as u8,
        (ticks << 1) as u8 | 1,
    ]);
}

/// Writes a pack header with a clock of 90 kHz and a rate in units of 50 bytes a second.
pub fn put_pack(clock: u64, rate: u32, out: &mut Vec<u8>) {
    out.extend([0, 0, 1, 0xba]);
    out.extend([
        0x44 | (clock >> 27) as u8 & 0x38 | (clock >> 28) as u8 & 3,
        (clock >> 20) as u8,
        (clock >> 12) as u8 & 0xf8 | 4 | (clock >> 13) as u8 & 3,
        (clock >> 5) as u8,
        (clock << 3) as u8 | 4,
        1,
    ]);
    out.extend([(rate >> 14) as u8, (rate >> 6) as u8, (rate << 2) as u8 | 3, 0xf8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        read(&hex::decode(text.replace(' ', "")).unwrap())
    }

    #[test]
    fn stamps_round_trip() {
        for ticks in [0, 1, 90_000, (1 << 33) - 1, 0x1_5555_5555, 0x0_aaaa_aaaa] {
            let mut out = Vec::new();
            put_stamp(2, ticks, &mut out);
            assert_eq!(stamp(&out), ticks);
            assert_eq!((out[0] >> 4, out[0] & 1, out[2] & 1, out[4] & 1), (2, 1, 1, 1));
            let mut pack = Vec::new();
            put_pack(ticks, 6106, &mut pack);
            assert_eq!(read(&pack), Head::Pack { length: 14, odd: false });
            let [a, b, c, d, e] = [pack[4], pack[5], pack[6], pack[7], pack[8]].map(u64::from);
            let clock = (a >> 3 & 7) << 30 | (a & 3) << 28 | b << 20 | (c >> 3) << 15 | (c & 3) << 13 | d << 5 | e >> 3;
            assert_eq!(clock, ticks);
        }
    }

    #[test]
    fn packs() {
        // Hikvision: 6 bytes of stuffing with a counter that looks like a start code
        assert_eq!(head("000001ba 57897f80e401028f63fe ffff 000001c0"), Head::Pack { length: 20, odd: false });
        assert_eq!(head("000001ba 57897f80e401028f63fe ffff"), Head::Need(20));
        assert_eq!(head("000001ba 57897f80"), Head::Need(14));
        assert_eq!(head("000001ba 000001e0"), Head::Pack { length: 4, odd: true });
        assert_eq!(head("000001ba 21000100018000"), Head::Need(12));
        assert_eq!(head("000001ba 2100010001800001 000001bb 0000"), Head::Pack { length: 12, odd: true });
        assert_eq!(head("000001ba 40000000000000000000"), Head::Pack { length: 14, odd: true });
        assert_eq!(head("000001ba 44"), Head::Need(8));
    }

    #[test]
    fn pes_headers() {
        let pes = |pts, dts, payload, odd| Pes { id: 0xe0, pts, dts, payload, odd };
        assert_eq!(head("000001e0 000d 8080 05 2100010001"), Head::Pes(pes(Some(0), None, Some(5), false), 14));
        assert_eq!(head("000001e0 0000 8000 00"), Head::Pes(pes(None, None, None, false), 9));
        assert_eq!(head("000001e0 0012 80c0 0a 310001000b 1100010007"), Head::Pes(pes(Some(5), Some(3), Some(5), false), 19));
        // a stamp announced, no room for it
        assert_eq!(head("000001e0 0012 8080 02 2100"), Head::Pes(pes(None, None, Some(13), true), 11));
        // a header longer than its packet
        assert_eq!(head("000001e0 0004 8000 03 ffffff"), Head::Pes(pes(None, None, None, true), 12));
        // gb28181-rs
        assert_eq!(head("000001e0 04b1 c00a 3100011771 1100011771"), Head::Pes(pes(Some(3000), Some(3000), Some(0x4b1 - 12), true), 18));
        // MPEG-1, with stuffing and buffer size
        assert_eq!(head("000001e0 0010 ffff 6020 2100010003"), Head::Pes(pes(Some(1), None, Some(7), true), 15));
        assert_eq!(head("000001e0 0010 0f0000"), Head::Pes(pes(None, None, Some(15), true), 7));
        assert_eq!(head("000001e0 0010 000000"), Head::Junk(4));
    }

    #[test]
    fn the_rest() {
        assert_eq!(head("000001bd 006a"), Head::Skip(6 + 0x6a));
        assert_eq!(head("000001b9"), Head::Junk(4));
        assert_eq!(head("000001bb ffff"), Head::Junk(4));
        assert_eq!(head("000001bb 000c 8010010de1ff e0e0e0c0c020"), Head::System(18));
        assert!(
            matches!(head("000001bc 0012 e1ff 0000 0008 1be00000 90c00000 01020304"), Head::Map(map, 24) if map.video == Some((0xe0, 0x1b)))
        );
        // gb28181-rs: the map under the wrong code
        assert!(matches!(head("000001bb 000b 0100 0000 0004 1be0000000"), Head::Map(map, 17) if map.video == Some((0xe0, 0x1b))));
    }
}
