//! The program stream map (clause 2.5.4), read with the mistakes that devices make in it.

use super::kind::Kind;
use crate::base::bytes::Reader;

/// The first video and the first audio stream of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Map {
    /// Stream identifier and stream type of the pictures.
    pub video: Option<(u8, u8)>,
    /// Stream identifier and stream type of the sound.
    pub audio: Option<(u8, u8)>,
    /// The lengths inside contradict each other.
    pub inconsistent: bool,
}

impl Map {
    /// Longer maps are taken for damage.
    pub const LONGEST: usize = 1_024;

    /// Reads the bytes behind the length field, checksum included. The checksum is often wrong, so nobody looks at it.
    pub fn parse(body: &[u8]) -> Map {
        let mut map = Map::default();
        map.inconsistent = map.read(body).is_none();
        if map.video.is_none() && map.audio.is_none() {
            map.inconsistent = true;
            map.guess(body);
        }
        map
    }

    /// Follows the lengths. The length of the list is not believed: the sample of the official tool says 8 and leaves
    /// the descriptors out; Tiandy's descriptors do not add up (ZLMediaKit issues 2325, 2805, 4298).
    fn read(&mut self, body: &[u8]) -> Option<()> {
        let without_checksum = &body[..body.len().saturating_sub(4)];
        let mut r = Reader::new(without_checksum);
        r.take(2)?;
        let info = r.u16()?;
        r.take(usize::from(info))?;
        let listed = usize::from(r.u16()?);
        let consistent = listed == r.len();
        while !r.is_empty() {
            let (stream_type, id) = (r.u8()?, r.u8()?);
            self.add(stream_type, id);
            let descriptors = r.u16()?;
            r.take(usize::from(descriptors))?;
        }
        consistent.then_some(())
    }

    /// Looks for a known stream type in front of a fitting stream identifier, anywhere.
    fn guess(&mut self, body: &[u8]) {
        for pair in body.windows(2) {
            match Kind::of(pair[0]) {
                Some(_) if pair[1] & 0xf0 == 0xe0 || pair[1] & 0xe0 == 0xc0 => self.add(pair[0], pair[1]),
                _ => {}
            }
        }
    }

    fn add(&mut self, stream_type: u8, id: u8) {
        let slot = match id {
            0xe0..=0xef => &mut self.video,
            0xc0..=0xdf => &mut self.audio,
            _ => return,
        };
        slot.get_or_insert((id, stream_type));
    }
}

/// Writes a map with its start code: (stream type, identifier) pairs, no descriptors.
pub fn put(streams: &[(u8, u8)], out: &mut Vec<u8>) {
    let begin = out.len();
    let list = streams.len() * 4;
    out.extend([0, 0, 1, 0xbc]);
    out.extend((6 + list as u16 + 4).to_be_bytes());
    // current, version 1; no program information
    out.extend([0xe1, 0xff, 0, 0]);
    out.extend((list as u16).to_be_bytes());
    for (stream_type, id) in streams {
        out.extend([*stream_type, *id, 0, 0]);
    }
    let checksum = crc32(&out[begin..]);
    out.extend(checksum.to_be_bytes());
}

/// The checksum of ISO/IEC 13818-1 annex A.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_its_checksum_is_right() {
        let mut out = Vec::new();
        put(&[(0x1b, 0xe0), (0x90, 0xc0)], &mut out);
        assert_eq!(Map::parse(&out[6..]), Map { video: Some((0xe0, 0x1b)), audio: Some((0xc0, 0x90)), inconsistent: false });
        assert_eq!(usize::from(out[5]), out.len() - 6);
        // Over data and checksum the remainder is zero.
        assert_eq!(crc32(&out), 0);
    }

    #[test]
    fn lengths_that_lie() {
        let parse = |text: &str| Map::parse(&hex::decode(text).unwrap());
        let good = Map { video: Some((0xe0, 0x1b)), audio: Some((0xc0, 0x90)), inconsistent: true };
        // list length 0
        assert_eq!(parse("e1ff0000000000001be0000090c00000ffffffff").video, good.video);
        assert_eq!(parse("e1ff000000001be0000090c00000ffffffff"), good);
        // list length far too long
        assert_eq!(parse("e1ff0000ffff1be0000090c00000ffffffff"), good);
        // program information that reaches over the end
        assert_eq!(parse("e1ffffff00081be0000090c00000ffffffff"), good);
        // descriptors that reach over the end: the first entry is enough
        assert_eq!(parse("e1ff000000081be00fff90c00000ffffffff").video, good.video);
        assert_eq!(parse(""), Map { inconsistent: true, ..Map::default() });
    }
}
