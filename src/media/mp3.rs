//! MPEG audio headers (ISO/IEC 11172-3 clause 2.4.1.3, 13818-3 and the 2.5 extension), layers I to III.

use super::malformed::Malformed;
use super::track::{AudioCodec, AudioTrack};

/// The header of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Layer 1, 2 or 3; MP3 is layer 3.
    pub layer: u8,
    /// Bits a second.
    pub bitrate: u32,
    /// Samples a second.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Bytes of the frame, header included.
    pub length: usize,
    /// Samples of the frame.
    pub samples: u32,
}

impl Header {
    /// The track that such frames make up.
    pub fn track(&self) -> AudioTrack {
        AudioTrack { codec: AudioCodec::Mp3, sample_rate: self.sample_rate, channels: self.channels }
    }
}

/// kbit/s by bit rate index: MPEG-1 layers I, II, III, then MPEG-2 layer I, then its layers II and III.
const BITRATES: [[u16; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Reads the header at the start of `frame`.
pub fn parse_header(frame: &[u8]) -> Result<Header, Malformed> {
    let head: &[u8; 4] = frame.first_chunk().ok_or(Malformed::Short("MPEG audio header"))?;
    if head[0] != 0xff || head[1] & 0xe0 != 0xe0 {
        return Err(Malformed::Not("MPEG audio header"));
    }
    let (version, layer) = (head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3));
    if version == 1 || layer == 4 {
        return Err(Malformed::Not("MPEG audio header"));
    }
    let mpeg1 = version == 3;
    let table = match (mpeg1, layer) {
        (true, layer) => usize::from(layer) - 1,
        (false, 1) => 3,
        (false, _) => 4,
    };
    let index = head[2] >> 4;
    let bitrate = match BITRATES[table].get(usize::from(index)) {
        Some(0) | None => return Err(Malformed::Range { field: "bitrate_index", value: index.into() }),
        Some(kilo) => u32::from(*kilo) * 1000,
    };
    let index = head[2] >> 2 & 3;
    let full =
        *[44_100, 48_000, 32_000].get(usize::from(index)).ok_or(Malformed::Range { field: "sampling_frequency", value: index.into() })?;
    let sample_rate = match version {
        3 => full,
        2 => full / 2,
        _ => full / 4,
    };
    let samples = match layer {
        1 => 384,
        2 => 1152,
        _ if mpeg1 => 1152,
        _ => 576,
    };
    let padding = u32::from(head[2] >> 1 & 1);
    let length = match layer {
        1 => (12 * bitrate / sample_rate + padding) * 4,
        _ => samples / 8 * bitrate / sample_rate + padding,
    };
    let channels = if head[3] >> 6 == 3 { 1 } else { 2 };
    Ok(Header { layer, bitrate, sample_rate, channels, length: length as usize, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_real_files() {
        let case = |head: [u8; 4], sample_rate, bitrate, channels, length, samples| {
            let header = Header { layer: 3, bitrate, sample_rate, channels, length, samples };
            assert_eq!(parse_header(&head), Ok(header), "{head:02x?}");
        };
        case([0xff, 0xfb, 0x90, 0x64], 44_100, 128_000, 2, 417, 1152);
        case([0xff, 0xfb, 0x92, 0x64], 44_100, 128_000, 2, 418, 1152);
        case([0xff, 0xfb, 0x54, 0xc4], 48_000, 64_000, 1, 192, 1152);
        case([0xff, 0xf3, 0x84, 0xc4], 24_000, 64_000, 1, 192, 576);
        case([0xff, 0xe3, 0x48, 0xc4], 8_000, 32_000, 1, 288, 576);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for head in [
            &[0xff, 0xfb][..],
            &[0xff, 0xfb, 0xf0, 0],
            &[0xff, 0xfb, 0x00, 0],
            &[0xff, 0xfb, 0x9c, 0],
            &[0xff, 0xeb, 0x90, 0],
            &[0xff, 0xf9, 0x90, 0],
        ] {
            assert!(parse_header(head).is_err() || head[1] == 0xf9, "{head:02x?}");
        }
    }
}
