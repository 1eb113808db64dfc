//! ADTS, the header in front of each AAC block in transport and program streams (ISO/IEC 13818-7 clause 6.2).

use super::config::{Config, RATES, build_asc};
use crate::media::malformed::Malformed;
use bytes::Bytes;

/// An ADTS header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adts {
    /// The audio object type: 1 Main, 2 LC, 3 SSR, 4 LTP.
    pub object_type: u8,
    /// Samples a second.
    pub rate: u32,
    /// `channel_configuration`; 0 means that the block tells.
    pub channel_config: u8,
    /// Bytes of the header: 7, or 9 with a checksum.
    pub header: usize,
    /// Bytes of header and block.
    pub length: usize,
}

impl Adts {
    /// The AudioSpecificConfig that says the same. Cameras that leave the channels to the block (0) mean mono.
    pub fn asc(&self) -> Option<Bytes> {
        let channels = match self.channel_config {
            0 => 1,
            7 => 8,
            n => n,
        };
        build_asc(self.object_type, self.rate, channels)
    }
}

/// Reads the header at the start of `data`; `Ok(None)` until it is there whole.
pub fn parse_adts(data: &[u8]) -> Result<Option<Adts>, Malformed> {
    let Some(head) = data.first_chunk::<7>() else { return Ok(None) };
    if head[0] != 0xff || head[1] & 0xf6 != 0xf0 {
        return Err(Malformed::Not("ADTS header"));
    }
    let index = head[2] >> 2 & 0xf;
    let rate = *RATES.get(usize::from(index)).ok_or(Malformed::Range { field: "sampling_frequency_index", value: index.into() })?;
    let header = if head[1] & 1 == 1 { 7 } else { 9 };
    let length = usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5]) >> 5;
    if length < header {
        return Err(Malformed::Range { field: "aac_frame_length", value: length as u64 });
    }
    if head[6] & 3 != 0 {
        return Err(Malformed::Unsupported("more than one AAC block behind one ADTS header"));
    }
    let channel_config = (head[2] & 1) << 2 | head[3] >> 6;
    Ok(Some(Adts { object_type: (head[2] >> 6) + 1, rate, channel_config, header, length }))
}

/// Walks the blocks of `data`, which begins with an ADTS header. Behind an error the walk looks for the next header.
pub fn blocks(data: &[u8]) -> Blocks<'_> {
    Blocks { rest: data }
}

/// Iterator of [`blocks`]: each block with its header's contents. What is left at the end is [`Blocks::rest`].
#[derive(Debug, Clone)]
pub struct Blocks<'a> {
    rest: &'a [u8],
}

impl<'a> Blocks<'a> {
    /// The bytes of a block that is not there whole.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = (Adts, &'a [u8]);

    fn next(&mut self) -> Option<(Adts, &'a [u8])> {
        loop {
            match parse_adts(self.rest) {
                Ok(None) => return None,
                Ok(Some(adts)) => {
                    let (block, rest) = self.rest.split_at_checked(adts.length)?;
                    self.rest = rest;
                    if adts.length > adts.header {
                        return Some((adts, &block[adts.header..]));
                    }
                }
                Err(_) => {
                    let next = memchr::memchr(0xff, &self.rest[1..]).map_or(self.rest.len(), |at| at + 1);
                    self.rest = &self.rest[next..];
                }
            }
        }
    }
}

/// The header in front of a block of `length` bytes; `None` for what ADTS cannot say.
pub fn adts_header(config: &Config, length: usize) -> Option<[u8; 7]> {
    let index = RATES.iter().position(|rate| *rate == config.core_rate)? as u8;
    let length = length + 7;
    if !(1..=4).contains(&config.object_type) || config.channel_config > 7 || length > 0x1fff {
        return None;
    }
    let channels = match config.channel_config {
        0 => config.channels.min(7), // the element that tells is in the configuration only
        n => n,
    };
    Some([
        0xff,
        0xf1,
        (config.object_type - 1) << 6 | index << 2 | channels >> 2,
        (channels & 3) << 6 | (length >> 11) as u8,
        (length >> 3) as u8,
        (length as u8) << 5 | 0x1f,
        0xfc,
    ])
}

#[cfg(test)]
mod tests {
    use super::super::config::parse_asc;
    use super::*;

    #[test]
    fn headers_read_back_as_they_were_written() {
        let config = parse_asc(&[0x12, 0x10]).unwrap();
        let header = adts_header(&config, 100).unwrap();
        let adts = parse_adts(&header).unwrap().unwrap();
        assert_eq!(adts, Adts { object_type: 2, rate: 44_100, channel_config: 2, header: 7, length: 107 });
        assert_eq!(adts.asc().unwrap()[..], [0x12, 0x10]);
        assert_eq!(adts_header(&config, 0x2000), None);
    }

    #[test]
    fn blocks_are_split_and_garbage_is_skipped() {
        let config = parse_asc(&[0x12, 0x10]).unwrap();
        let mut data = Vec::new();
        for block in [&[1u8, 2, 3][..], &[4]] {
            data.extend(adts_header(&config, block.len()).unwrap());
            data.extend(block);
            data.extend([0xff, 0x00, 0x12]);
        }
        data.extend(&adts_header(&config, 9).unwrap()[..5]);
        let mut walk = blocks(&data);
        assert_eq!(walk.by_ref().map(|(_, block)| block).collect::<Vec<_>>(), [&[1u8, 2, 3][..], &[4]]);
        assert_eq!(walk.rest().len(), 5);
    }
}
