//! Where an FLV file that a crash cut off is whole, and how long it is, found by reading the headers of its tags.

use super::tag::kind;
use std::ops::Range;
use std::time::Duration;

/// The file header with the first back pointer.
const START: u64 = 13;
/// A tag's header.
const HEADER: u64 = 11;
/// The back pointer behind a tag.
const BACK: u64 = 4;
/// What the last frame lasts at most.
const LONGEST: u32 = 2_000;

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Where the last whole tag ends, bytes.
    pub whole: u64,
    /// Whole tags of video and audio.
    pub frames: u64,
    /// From the first frame to the end of the last, as long as its predecessor taken.
    pub duration: Duration,
}

/// Walks over a file as one of ours is written: it tells what to read ([`Scan::wants`]) and is given that ([`Scan::push`]).
#[derive(Debug)]
pub struct Scan {
    size: u64,
    at: u64,
    over: bool,
    found: Found,
    first: Option<u32>,
    /// The newest time of each kind, and how long the frame before lasted.
    newest: [(u32, u32); 2],
}

impl Scan {
    /// Of a file of `size` bytes.
    pub fn new(size: u64) -> Scan {
        Scan { size, at: 0, over: false, found: Found::default(), first: None, newest: [(0, 0); 2] }
    }

    /// Which bytes of the file to [`push`](Scan::push) next; `None`: that was all.
    pub fn wants(&self) -> Option<Range<u64>> {
        let length = if self.at == 0 { START } else { HEADER };
        (!self.over && self.at + length <= self.size).then(|| self.at..self.at + length)
    }

    /// The bytes that [`wants`](Scan::wants) named; fewer end the walk.
    pub fn push(&mut self, bytes: &[u8]) {
        self.over = self.take(bytes).is_none();
    }

    /// What was found.
    pub fn finish(self) -> Found {
        let end = self.newest.iter().map(|(at, lasted)| at.saturating_add(*lasted)).max().unwrap_or(0);
        let duration = Duration::from_millis(end.saturating_sub(self.first.unwrap_or(0)).into());
        Found { duration, ..self.found }
    }

    fn take(&mut self, bytes: &[u8]) -> Option<()> {
        if self.at == 0 {
            if bytes.len() as u64 != START || !bytes.starts_with(b"FLV") {
                return None;
            }
            (self.at, self.found.whole) = (START, START);
            return Some(());
        }
        let head: &[u8; HEADER as usize] = bytes.first_chunk()?;
        let length = u64::from(u32::from_be_bytes([0, head[1], head[2], head[3]]));
        let end = self.at + HEADER + length + BACK;
        if end > self.size || head[8..11] != [0; 3] {
            return None;
        }
        let time = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
        let track = match head[0] {
            kind::VIDEO => Some(0),
            kind::AUDIO => Some(1),
            kind::SCRIPT => None,
            _ => return None,
        };
        if let Some(newest) = track.and_then(|track| self.newest.get_mut(track)) {
            self.found.frames += 1;
            self.first = Some(self.first.map_or(time, |first| first.min(time)));
            if time > newest.0 {
                *newest = (time, (time - newest.0).min(LONGEST));
            }
        }
        (self.at, self.found.whole) = (end, end);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tag;
    use super::*;
    use bytes::BytesMut;

    fn scan(bytes: &[u8]) -> Found {
        let mut scan = Scan::new(bytes.len() as u64);
        while let Some(range) = scan.wants() {
            scan.push(&bytes[range.start as usize..range.end as usize]);
        }
        scan.finish()
    }

    #[test]
    fn a_torn_file_ends_behind_its_last_whole_tag() {
        let mut out = BytesMut::from(&tag::file_header(true, true)[..]);
        let mut ends = vec![out.len()];
        for n in 0..20u32 {
            tag::write(&mut out, if n % 2 == 0 { kind::VIDEO } else { kind::AUDIO }, n * 20, [&[1; 5], &vec![2; n as usize * 9]]);
            ends.push(out.len());
        }
        assert_eq!(scan(&out), Found { whole: out.len() as u64, frames: 20, duration: Duration::from_millis(420) });
        for length in 0..out.len() {
            let found = scan(&out[..length]);
            let whole = ends.iter().rfind(|end| **end <= length).copied().unwrap_or(0);
            assert_eq!(found.whole, whole as u64, "{length}");
        }
        let zeros = [&out[..], &[0; 400]].concat();
        assert_eq!(scan(&zeros).whole, out.len() as u64);
    }
}
