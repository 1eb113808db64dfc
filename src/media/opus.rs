//! Opus: the `OpusHead` packet (RFC 7845 section 5.1) and the length of a packet (RFC 6716 section 3.1).

use super::malformed::Malformed;
use super::time::Timestamp;
use bytes::{BufMut, Bytes, BytesMut};

/// What an `OpusHead` packet declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Channels that come out of a decoder.
    pub channels: u8,
    /// Samples at 48 kHz to leave out at the start.
    pub pre_skip: u16,
    /// The rate of what was encoded, for information; Opus always decodes at 48 kHz.
    pub input_rate: u32,
    /// `channel mapping family`: 0 for mono and stereo.
    pub mapping: u8,
}

/// Reads an `OpusHead` packet.
pub fn parse_head(head: &[u8]) -> Result<Head, Malformed> {
    let rest = head.strip_prefix(b"OpusHead").ok_or(Malformed::Not("OpusHead"))?;
    let rest: &[u8; 11] = rest.first_chunk().ok_or(Malformed::Short("OpusHead"))?;
    if rest[0] > 15 {
        return Err(Malformed::Range { field: "OpusHead version", value: rest[0].into() });
    }
    if rest[1] == 0 {
        return Err(Malformed::Range { field: "OpusHead channels", value: 0 });
    }
    Ok(Head {
        channels: rest[1],
        pre_skip: u16::from_le_bytes([rest[2], rest[3]]),
        input_rate: u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]),
        mapping: rest[10],
    })
}

/// Writes an `OpusHead` packet for mono or stereo.
pub fn build_head(channels: u8, pre_skip: u16, input_rate: u32) -> Bytes {
    let mut out = BytesMut::with_capacity(19);
    out.put_slice(b"OpusHead\x01");
    out.put_u8(channels);
    out.put_u16_le(pre_skip);
    out.put_u32_le(input_rate);
    out.put_slice(&[0, 0, 0]); // gain, mapping family
    out.freeze()
}

/// How long a packet sounds; at most 120 ms.
pub fn duration(packet: &[u8]) -> Result<Timestamp, Malformed> {
    const SHORT: Malformed = Malformed::Short("Opus packet");
    let toc = *packet.first().ok_or(SHORT)?;
    // in units of 2.5 ms at 48 kHz: 120 samples
    let frame: i64 = match toc >> 3 {
        config @ 0..=11 => [4, 8, 16, 24][usize::from(config & 3)],
        config @ 12..=15 => [4, 8][usize::from(config & 1)],
        config => [1, 2, 4, 8][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => i64::from(packet.get(1).ok_or(SHORT)? & 0x3f),
    };
    match frame * frames {
        units @ 1..=48 => Ok(Timestamp(units * 2_500_000)),
        units => Err(Malformed::Range { field: "Opus packet of 2.5 ms units", value: units as u64 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_round_trip() {
        let head = build_head(2, 312, 48_000);
        assert_eq!(parse_head(&head), Ok(Head { channels: 2, pre_skip: 312, input_rate: 48_000, mapping: 0 }));
        assert_eq!(parse_head(&head[..12]), Err(Malformed::Short("OpusHead")));
        assert_eq!(parse_head(b"OpusTags"), Err(Malformed::Not("OpusHead")));
    }

    #[test]
    fn durations() {
        let ms = |packet: &[u8]| duration(packet).map(|t| t.0 / 100_000);
        assert_eq!(ms(&[0x78]), Ok(200)); // hybrid, 20 ms, one frame
        assert_eq!(ms(&[0xfc]), Ok(200)); // CELT, 20 ms
        assert_eq!(ms(&[0xe0]), Ok(25)); // CELT, 2.5 ms
        assert_eq!(ms(&[0x19]), Ok(1200)); // SILK, 2 × 60 ms
        assert_eq!(ms(&[0xfb, 6]), Ok(1200)); // CELT, 6 × 20 ms
        assert!(duration(&[0xfb, 7]).is_err());
        assert!(duration(&[0xfb]).is_err());
        assert!(duration(&[0xfb, 0]).is_err());
        assert!(duration(&[]).is_err());
    }
}
