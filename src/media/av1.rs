//! AV1 (AV1 bitstream specification; binding to ISO-BMFF, "AV1-ISOBMFF"): the `av1C` record and the sequence header in it. No
//! decoding of pictures.

use super::bits::Bits;
use super::malformed::Malformed;
use super::track::{VideoCodec, VideoTrack};
use bytes::Bytes;

/// What an `av1C` record says (AV1-ISOBMFF section 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// `seq_profile`: 0 main, 1 high, 2 professional.
    pub profile: u8,
    /// `seq_level_idx_0`; 31 is "no limit".
    pub level: u8,
    /// The high tier instead of the main one.
    pub high_tier: bool,
    /// Bits of a sample: 8, 10 or 12.
    pub depth: u8,
    /// The sequence header, if the record carries one.
    pub sequence: Option<Sequence>,
}

/// What a sequence header OBU says (section 5.5), as far as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence {
    /// Width of the largest picture, in pixels.
    pub width: u32,
    /// Height of the largest picture, in pixels.
    pub height: u32,
    /// Pictures a second where they are declared to be equally far apart, as numerator and denominator.
    pub fps: Option<(u32, u32)>,
}

/// OBU types (section 6.2.2).
const SEQUENCE_HEADER: u8 = 1;
/// OBUs of a record that are looked at: there is one sequence header, and some metadata at most.
const OBUS: usize = 16;

/// Reads an `av1C` record. OBUs that make no sense are no part of it: players get the record as it came.
pub fn parse_av1c(record: &[u8]) -> Result<Record, Malformed> {
    let [head, profile_level, flags, _delay, obus @ ..] = record else { return Err(Malformed::Short("av1C")) };
    if *head != 0x81 {
        return Err(Malformed::Not("av1C record of version 1"));
    }
    let depth = match (flags & 0x40 != 0, flags & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    Ok(Record {
        profile: profile_level >> 5,
        level: profile_level & 0x1f,
        high_tier: flags & 0x80 != 0,
        depth,
        sequence: sequence_of(obus),
    })
}

/// The track that a record describes; size and rate that it does not tell are those that the container gave.
pub fn track(config: Bytes, (width, height): (u32, u32), fps: Option<(u32, u32)>) -> VideoTrack {
    let sequence = parse_av1c(&config).ok().and_then(|record| record.sequence);
    let (width, height) = sequence.map_or((width, height), |sequence| (sequence.width, sequence.height));
    let fps = sequence.and_then(|sequence| sequence.fps).or(fps);
    // Pictures come in the order in which they are shown: what is shown later is inside of a temporal unit (section 7.5).
    let reorder = sequence.map(|_| 0);
    VideoTrack { codec: VideoCodec::Av1 { config }, width, height, fps, reorder }
}

/// The codec's name in playlists and MIME types (AV1-ISOBMFF section 5), such as `av01.0.04M.08`.
pub fn codec_string(record: &[u8]) -> Option<String> {
    let record = parse_av1c(record).ok()?;
    let tier = if record.high_tier { 'H' } else { 'M' };
    Some(format!("av01.{}.{:02}{tier}.{:02}", record.profile, record.level, record.depth))
}

/// The first sequence header among OBUs with sizes.
fn sequence_of(mut obus: &[u8]) -> Option<Sequence> {
    for _ in 0..OBUS {
        let (kind, payload, rest) = obu(obus)?;
        if kind == SEQUENCE_HEADER {
            return parse_sequence(payload).ok();
        }
        obus = rest;
    }
    None
}

/// Type and payload of the first OBU, and what follows it (section 5.3).
fn obu(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, mut rest) = bytes.split_first()?;
    if head & 0x04 != 0 {
        rest = rest.get(1..)?;
    }
    let kind = head >> 3 & 0x0f;
    if head & 0x02 == 0 {
        return Some((kind, rest, &[]));
    }
    let (size, rest) = leb128(rest)?;
    Some((kind, rest.get(..size)?, rest.get(size..)?))
}

/// A number in groups of 7 bits (section 4.10.5).
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u64;
    for (n, byte) in bytes.iter().enumerate().take(8) {
        value |= u64::from(byte & 0x7f) << (n * 7);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(n + 1..)?));
        }
    }
    None
}

/// Reads the payload of a sequence header OBU (section 5.5.1).
pub fn parse_sequence(payload: &[u8]) -> Result<Sequence, Malformed> {
    let mut bits = Bits::new(payload, "AV1 sequence header");
    let (_profile, _still) = (bits.u(3)?, bits.flag()?);
    let mut fps = None;
    if bits.flag()? {
        // A still picture says no more than its level.
        bits.skip(5)?;
    } else {
        let mut delay_length = None;
        if bits.flag()? {
            fps = timing(&mut bits)?;
            if bits.flag()? {
                delay_length = Some(bits.u(5)? as usize + 1);
                bits.skip(32 + 5 + 5)?;
            }
        }
        let delays = bits.flag()?;
        for _ in 0..=bits.u(5)? {
            bits.skip(12)?;
            if bits.u(5)? > 7 {
                bits.skip(1)?;
            }
            if let Some(length) = delay_length
                && bits.flag()?
            {
                bits.skip(2 * length + 1)?;
            }
            if delays && bits.flag()? {
                bits.skip(4)?;
            }
        }
    }
    let (width_bits, height_bits) = (bits.u(4)? + 1, bits.u(4)? + 1);
    let (width, height) = (bits.u(width_bits)? + 1, bits.u(height_bits)? + 1);
    Ok(Sequence { width, height, fps })
}

/// `timing_info` (section 5.5.3).
fn timing(bits: &mut Bits<'_>) -> Result<Option<(u32, u32)>, Malformed> {
    let (tick, scale) = (bits.u(32)?, bits.u(32)?);
    if !bits.flag()? {
        return Ok(None);
    }
    let ticks = uvlc(bits)?.checked_add(1).and_then(|ticks| tick.checked_mul(ticks));
    Ok(ticks.filter(|ticks| *ticks > 0 && scale > 0).map(|ticks| (scale, ticks)))
}

/// A number with its length in front (section 4.10.3).
fn uvlc(bits: &mut Bits<'_>) -> Result<u32, Malformed> {
    let mut zeros = 0;
    while !bits.flag()? {
        zeros += 1;
        if zeros == 32 {
            return Ok(u32::MAX);
        }
    }
    Ok(bits.u(zeros)? + ((1u32 << zeros) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_codec_and_size() {
        let parsed = parse_av1c(&[0x81, 0x04, 0x0c, 0]).unwrap();
        assert_eq!((parsed.profile, parsed.level, parsed.high_tier, parsed.depth, parsed.sequence), (0, 4, false, 8, None));
        assert_eq!(codec_string(&[0x81, 0x04, 0x0c, 0]).as_deref(), Some("av01.0.04M.08"));
        assert_eq!(codec_string(&[0x81, 0x2d, 0xcc, 0]).as_deref(), Some("av01.1.13H.10"));
        assert_eq!(codec_string(&[0x81, 0x50, 0x6c, 0]).as_deref(), Some("av01.2.16M.12"));
        assert_eq!(parse_av1c(&[0x81, 0, 0]), Err(Malformed::Short("av1C")));
        assert!(parse_av1c(&[0x01, 0, 0, 0]).is_err());
    }

    /// Writes bits as the standard lists them.
    fn header(fields: &[(u64, usize)]) -> Vec<u8> {
        let text: String = fields.iter().map(|(value, bits)| format!("{value:0bits$b}")).collect();
        text.as_bytes().chunks(8).map(|bits| bits.iter().enumerate().map(|(n, bit)| (bit & 1) << (7 - n)).sum()).collect()
    }

    #[test]
    fn a_sequence_header_with_all_of_its_parts() {
        let timing = [(1_001, 32), (30_000, 32), (1, 1), (1, 1)];
        let model = [(1, 1), (9, 5), (1, 32), (19, 5), (19, 5)];
        // Two operating points, the first one of a level that has tiers; each with a model and a delay.
        let points = [(1, 1), (1, 5), (0, 12), (13, 5), (1, 1), (1, 1), (5, 10), (6, 10), (0, 1), (1, 1), (9, 4)];
        let second = [(1, 12), (5, 5), (0, 1), (0, 1)];
        let size = [(11, 4), (10, 4), (1_919, 12), (1_079, 11), (0, 9)];
        let front = [(0, 3), (0, 1), (0, 1), (1, 1)];
        let bytes = header(&[&front[..], &timing, &model, &points, &second, &size].concat());
        assert_eq!(parse_sequence(&bytes), Ok(Sequence { width: 1_920, height: 1_080, fps: Some((30_000, 1_001)) }));
        for end in 0..bytes.len() - 3 {
            assert!(parse_sequence(&bytes[..end]).is_err(), "{end}");
        }
        // In a record, behind metadata.
        let obu = |kind: u8, payload: &[u8]| [&[kind << 3 | 2, payload.len() as u8][..], payload].concat();
        let record = [&[0x81, 0x0d, 0x0c, 0][..], &obu(5, &[1, 2, 3]), &obu(1, &bytes)].concat();
        let track = track(record.into(), (1, 1), Some((25, 1)));
        assert_eq!((track.width, track.height, track.fps, track.reorder), (1_920, 1_080, Some((30_000, 1_001)), Some(0)));
        let bare = super::track(Bytes::from_static(&[0x81, 0x0d, 0x0c, 0]), (640, 360), Some((25, 1)));
        assert_eq!((bare.width, bare.height, bare.fps, bare.reorder), (640, 360, Some((25, 1)), None));
    }
}
