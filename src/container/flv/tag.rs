//! The file: its header, and tags one behind the other (annex E.2 to E.4.1).

use bytes::{BufMut, Bytes, BytesMut};

/// Tag types.
pub mod kind {
    /// Audio.
    pub const AUDIO: u8 = 8;
    /// Video.
    pub const VIDEO: u8 = 9;
    /// Script data: metadata.
    pub const SCRIPT: u8 = 18;
}

/// Bytes of a tag's header.
const HEADER: usize = 11;
/// What is reserved for a tag at once; a longer one grows as its bytes arrive.
const RESERVE_MAX: usize = 1 << 20;

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its type, see [`kind`].
    pub kind: u8,
    /// Milliseconds, modulo 2³².
    pub timestamp: u32,
    /// The body.
    pub data: Bytes,
}

/// Why bytes are not an FLV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file does not begin with `FLV`, version 1.
    #[error("this does not begin like an FLV file")]
    Signature,
    /// The file header announces an impossible length.
    #[error("the FLV header announces {0} bytes")]
    Header(u32),
    /// A tag is longer than the limit.
    #[error("an FLV tag of {0} bytes is longer than the limit")]
    Long(usize),
    /// A tag is encrypted.
    #[error("the FLV tags are encrypted")]
    Encrypted,
}

/// Puts tags together: takes bytes in any pieces, gives whole tags.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    held: [u8; HEADER],
    held_len: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The file header.
    Start,
    /// Bytes that nobody needs: the rest of the file header, back pointers.
    Skip(usize),
    Header,
    Body(Tag, BytesMut, usize),
}

impl Reader {
    /// A reader at the start of a file; no tag may be longer than `limit`.
    pub fn new(limit: usize) -> Reader {
        Reader { limit, held: [0; HEADER], held_len: 0, state: State::Start }
    }

    /// Takes bytes off the front of `input` until a tag is complete; `None` when `input` is used up.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Tag>, Error> {
        loop {
            match &mut self.state {
                State::Start => {
                    let Some(head) = self.take::<9>(input) else { return Ok(None) };
                    if head[..4] != *b"FLV\x01" {
                        return Err(Error::Signature);
                    }
                    let length = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    if !(9..=4096).contains(&length) {
                        return Err(Error::Header(length));
                    }
                    // The rest of the header and the first back pointer.
                    self.state = State::Skip(length as usize - 9 + 4);
                }
                State::Skip(left) => {
                    let n = (*left).min(input.len());
                    *input = &input[n..];
                    *left -= n;
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.state = State::Header;
                }
                State::Header => {
                    let Some(head) = self.take::<HEADER>(input) else { return Ok(None) };
                    if head[0] & 0x20 != 0 {
                        return Err(Error::Encrypted);
                    }
                    let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
                    if length > self.limit {
                        return Err(Error::Long(length));
                    }
                    let timestamp = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
                    let tag = Tag { kind: head[0] & 0x1f, timestamp, data: Bytes::new() };
                    self.state = State::Body(tag, BytesMut::with_capacity(length.min(RESERVE_MAX)), length);
                }
                State::Body(tag, body, length) => {
                    let n = (*length - body.len()).min(input.len());
                    body.extend_from_slice(&input[..n]);
                    *input = &input[n..];
                    if body.len() < *length {
                        return Ok(None);
                    }
                    let tag = Tag { data: std::mem::take(body).freeze(), ..tag.clone() };
                    self.state = State::Skip(4);
                    return Ok(Some(tag));
                }
            }
        }
    }

    /// The next `N` bytes (at most [`HEADER`]) once they are there.
    fn take<const N: usize>(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        let n = (N - self.held_len).min(input.len());
        self.held[self.held_len..self.held_len + n].copy_from_slice(&input[..n]);
        *input = &input[n..];
        self.held_len += n;
        if self.held_len < N {
            return None;
        }
        self.held_len = 0;
        self.held.first_chunk().copied()
    }
}

/// The file header with the first back pointer, saying which kinds of tags follow.
pub fn file_header(video: bool, audio: bool) -> [u8; 13] {
    let flags = u8::from(audio) << 2 | u8::from(video);
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// Appends one tag whose body comes in two parts, with its back pointer.
pub fn write(out: &mut BytesMut, kind: u8, timestamp: u32, parts: [&[u8]; 2]) {
    let length = parts[0].len() + parts[1].len();
    debug_assert!(length < 1 << 24);
    out.reserve(HEADER + length + 4);
    let time = timestamp.to_be_bytes();
    out.put_u8(kind);
    out.put_slice(&(length as u32).to_be_bytes()[1..]);
    out.put_slice(&[time[1], time[2], time[3], time[0], 0, 0, 0]);
    out.put_slice(parts[0]);
    out.put_slice(parts[1]);
    out.put_u32((length + HEADER) as u32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Tag>, Error> {
        let mut reader = Reader::new(100_000);
        let mut rest = bytes;
        let mut tags = Vec::new();
        for n in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (mut piece, tail) = rest.split_at((*n).min(rest.len()));
            rest = tail;
            while let Some(tag) = reader.read(&mut piece)? {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            tags in prop::collection::vec((prop_oneof![Just(8u8), Just(9), Just(18)], any::<u32>(), prop::collection::vec(any::<u8>(), 0..300)), 0..10),
            cuts in prop::collection::vec(1..50_usize, 1..20),
            split in 0..300_usize,
        ) {
            let mut out = BytesMut::from(&file_header(true, true)[..]);
            for (kind, time, data) in &tags {
                let (a, b) = data.split_at(split.min(data.len()));
                write(&mut out, *kind, *time, [a, b]);
            }
            let got: Vec<_> = read_all(&out, &cuts).unwrap().into_iter().map(|t| (t.kind, t.timestamp, t.data.to_vec())).collect();
            prop_assert_eq!(got, tags);
        }

        #[test]
        fn garbage_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..600), cuts in prop::collection::vec(1..50_usize, 1..20)) {
            let _ = read_all(&bytes, &cuts);
            let _ = read_all(&[&file_header(true, true)[..], &bytes].concat(), &cuts);
        }
    }

    #[test]
    fn what_is_not_flv_is_told() {
        assert_eq!(read_all(b"<html><head>", &[100]), Err(Error::Signature));
        assert_eq!(read_all(&[b'F', b'L', b'V', 1, 5, 0, 0, 0, 3], &[100]), Err(Error::Header(3)));
        let head = file_header(true, true);
        assert_eq!(read_all(&[&head[..], &[9, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat(), &[100]), Err(Error::Long(0xff_0000)));
        assert_eq!(read_all(&[&head[..], &[0x29, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]].concat(), &[100]), Err(Error::Encrypted));
    }
}
