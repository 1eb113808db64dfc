//! Chunks: messages in pieces, interleaved (Adobe RTMP 1.0, section 5.3).
//!
//! [`Reader`] puts each message together in a buffer of its final size, with one copy. [`write()`] cuts one once, for any number of readers.

use super::message::{LENGTH_MAX, Message, kind};
use bytes::{BufMut, Bytes, BytesMut};

/// The chunk size of both directions until somebody sets another.
pub const SIZE_DEFAULT: usize = 128;
/// The longest header: basic 3, message 11, extended timestamp 4.
const HEADER_MAX: usize = 18;
/// What is reserved for a message at its first chunk; a longer one grows as its bytes arrive.
const RESERVE_MAX: usize = 1 << 20;

/// What a peer may ask of [`Reader`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest message.
    pub message: usize,
    /// The most chunk streams.
    pub streams: usize,
    /// The most bytes that partly received messages of all chunk streams may announce together.
    pub partial: usize,
}

impl Limits {
    /// For a peer that has not been let in: commands only.
    pub const GREETING: Limits = Limits { message: 64 << 10, streams: 8, partial: 128 << 10 };
}

/// A peer broke the chunk format, or its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A chunk stream starts with a header that refers to one before it.
    #[error("chunk stream {csid} starts with a type {fmt} header")]
    NoHeader {
        /// The chunk stream.
        csid: u32,
        /// The header's type.
        fmt: u8,
    },
    /// A new message begins on a chunk stream before the last one is complete.
    #[error("chunk stream {csid}: a new message begins {missing} bytes before the end of the last")]
    Interrupted {
        /// The chunk stream.
        csid: u32,
        /// What was missing.
        missing: usize,
    },
    /// Longer than [`Limits::message`].
    #[error("a message of type {kind} announces {length} bytes, more than the limit")]
    Long {
        /// The message type.
        kind: u8,
        /// Its length.
        length: usize,
    },
    /// More than [`Limits::streams`].
    #[error("more than {0} chunk streams")]
    Streams(usize),
    /// More than [`Limits::partial`].
    #[error("unfinished messages announce more than {0} bytes")]
    Partial(usize),
    /// Set Chunk Size with 0, a negative value or no value.
    #[error("chunk size {0:#x} is not possible")]
    Size(u32),
}

/// Puts messages together. Set Chunk Size and Abort are obeyed here and not handed out.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    size: usize,
    streams: Vec<Stream>,
    /// The chunk whose payload is being read: index into `streams`, bytes still to come.
    current: Option<(usize, usize)>,
    /// The start of a header whose end has not arrived.
    held: [u8; HEADER_MAX],
    held_len: u8,
    partial: usize,
}

/// What the reader remembers of one chunk stream.
#[derive(Debug)]
struct Stream {
    csid: u32,
    kind: u8,
    length: usize,
    stream: u32,
    timestamp: u32,
    delta: u32,
    /// The extended timestamp field of the last header, if it had one.
    extended: Option<u32>,
    /// The message in progress.
    message: Option<BytesMut>,
}

impl Reader {
    /// A reader at the start of a connection, behind the handshake.
    pub fn new(limits: Limits) -> Reader {
        Reader { limits, size: SIZE_DEFAULT, streams: Vec::new(), current: None, held: [0; HEADER_MAX], held_len: 0, partial: 0 }
    }

    /// Replaces the limits, once the peer has been let in.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes bytes off the front of `input` until a message is complete; `None` when `input` is used up.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        while !input.is_empty() {
            let message = if self.held_len == 0 || self.current.is_some() { self.step(input)? } else { self.step_held(input)? };
            match message {
                Some(message) if self.obey(&message)? => {}
                Some(message) => return Ok(Some(message)),
                None => {}
            }
        }
        Ok(None)
    }

    /// A header lies across two reads: joins the pieces, goes on from there, and gives back what was taken too much.
    fn step_held(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        let held = usize::from(self.held_len);
        let more = input.len().min(HEADER_MAX - held);
        let mut joined = [0; HEADER_MAX];
        joined[..held].copy_from_slice(&self.held[..held]);
        joined[held..held + more].copy_from_slice(&input[..more]);
        let mut rest = &joined[..held + more];
        self.held_len = 0;
        let message = self.step(&mut rest)?;
        let used = held + more - rest.len();
        if self.held_len > 0 {
            // Still not enough: `step` put everything aside again.
            *input = &input[more..];
        } else if used >= held {
            *input = &input[used - held..];
        } else {
            // The last chunk's end and the next header's start lay in the held bytes.
            self.held[..held - used].copy_from_slice(&joined[used..held]);
            self.held_len = (held - used) as u8;
        }
        Ok(message)
    }

    /// One header, or one piece of payload.
    fn step(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        let (index, left) = match self.current {
            Some(current) => current,
            None => match self.header(input)? {
                Some(current) => current,
                None => {
                    // Shorter than the longest header, or `header` would have decided.
                    self.held[..input.len()].copy_from_slice(input);
                    self.held_len = input.len() as u8;
                    *input = &[];
                    return Ok(None);
                }
            },
        };
        let stream = &mut self.streams[index];
        let (piece, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        let buffer = stream.message.get_or_insert_with(|| BytesMut::with_capacity(stream.length.min(RESERVE_MAX)));
        if buffer.capacity() - buffer.len() < piece.len() {
            // Only for what is longer than the first reservation.
            buffer.reserve(buffer.len().max(piece.len()).min(stream.length - buffer.len()));
        }
        buffer.extend_from_slice(piece);
        if piece.len() < left {
            self.current = Some((index, left - piece.len()));
            return Ok(None);
        }
        self.current = None;
        if buffer.len() < stream.length {
            return Ok(None);
        }
        self.partial -= stream.length;
        let data = stream.message.take().map(BytesMut::freeze).unwrap_or_default();
        Ok(Some(Message { kind: stream.kind, timestamp: stream.timestamp, stream: stream.stream, data }))
    }

    /// Reads a chunk header and starts or continues its message: which chunk stream, how many payload bytes.
    /// `None` if the header is not complete.
    fn header(&mut self, input: &mut &[u8]) -> Result<Option<(usize, usize)>, Error> {
        let Some(&first) = input.first() else { return Ok(None) };
        let fmt = first >> 6;
        let (csid, basic) = match (first & 0x3f, input.get(1), input.get(2)) {
            (0, Some(a), _) => (64 + u32::from(*a), 2),
            (1, Some(a), Some(b)) => (64 + u32::from(*a) + 256 * u32::from(*b), 3),
            (0 | 1, ..) => return Ok(None),
            (csid, ..) => (u32::from(csid), 1),
        };
        let fields = [11, 7, 3, 0][usize::from(fmt)];
        let Some(head) = input.get(basic..basic + fields) else { return Ok(None) };
        let index = self.streams.iter().position(|s| s.csid == csid);
        let last = index.map(|i| &self.streams[i]);
        if last.is_none() && fmt != 0 {
            // librtmp and those that copied it begin a chunk stream with type 1: the time then counts from 0.
            if fmt != 1 {
                return Err(Error::NoHeader { csid, fmt });
            }
        }
        let field = head.get(..3).map(|b| u32::from_be_bytes([0, b[0], b[1], b[2]]));
        let wide = |at: usize| input.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        let end = basic + fields;
        let (extended, end) = match (field, last.and_then(|s| s.extended)) {
            (Some(0xff_ffff), _) => match wide(end) {
                Some(value) => (Some(value), end + 4),
                None => return Ok(None),
            },
            (Some(_), _) | (None, None) => (None, end),
            // Type 3 behind an extended timestamp repeats it (section 5.3.1.3), but not all senders do: it is there if it is the same.
            (None, Some(value)) => {
                let expected = value.to_be_bytes();
                let seen = &input[end..input.len().min(end + 4)];
                match seen == expected {
                    true => (Some(value), end + 4),
                    false if expected.starts_with(seen) => return Ok(None),
                    false => (Some(value), end),
                }
            }
        };
        let time = extended.filter(|_| field.is_some()).or(field);
        let length = head.get(3..6).map(|b| usize::from(b[0]) << 16 | usize::from(b[1]) << 8 | usize::from(b[2]));
        let message_kind = head.get(6).copied();
        let stream_id = head.get(7..11).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));

        let index = match index {
            Some(index) => index,
            None if self.streams.len() >= self.limits.streams => return Err(Error::Streams(self.limits.streams)),
            None => {
                self.streams.push(Stream { csid, kind: 0, length: 0, stream: 0, timestamp: 0, delta: 0, extended: None, message: None });
                self.streams.len() - 1
            }
        };
        let stream = &mut self.streams[index];
        if let Some(buffer) = &stream.message {
            let missing = stream.length - buffer.len();
            let same = fmt != 0 && length.is_none_or(|l| l == stream.length) && message_kind.is_none_or(|k| k == stream.kind);
            if !same {
                return Err(Error::Interrupted { csid, missing });
            }
            *input = &input[end..];
            return Ok(Some((index, missing.min(self.size))));
        }
        let length = length.unwrap_or(stream.length);
        let message_kind = message_kind.unwrap_or(stream.kind);
        if length > self.limits.message.min(LENGTH_MAX) {
            return Err(Error::Long { kind: message_kind, length });
        }
        if self.partial + length > self.limits.partial {
            return Err(Error::Partial(self.limits.partial));
        }
        stream.length = length;
        stream.kind = message_kind;
        stream.stream = stream_id.unwrap_or(stream.stream);
        stream.extended = extended;
        // Type 3 repeats the last field: after type 0 that is the time itself (section 5.3.1.2.4).
        stream.delta = time.unwrap_or(stream.delta);
        stream.timestamp = if fmt == 0 { stream.delta } else { stream.timestamp.wrapping_add(stream.delta) };
        self.partial += length;
        *input = &input[end..];
        if length == 0 {
            // Nothing follows, but there is a message.
            stream.message = Some(BytesMut::new());
        }
        Ok(Some((index, length.min(self.size))))
    }

    /// Obeys a message that governs the chunks themselves.
    fn obey(&mut self, message: &Message) -> Result<bool, Error> {
        let value = message.data.get(..4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
        match message.kind {
            kind::SET_CHUNK_SIZE => {
                let size = value.unwrap_or(0);
                if size == 0 || size > 0x7fff_ffff {
                    return Err(Error::Size(size));
                }
                self.size = (size as usize).min(LENGTH_MAX);
            }
            kind::ABORT => {
                if let Some(stream) = self.streams.iter_mut().find(|s| Some(s.csid) == value)
                    && stream.message.take().is_some()
                {
                    self.partial -= stream.length;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Writes one message in chunks of `size` with its full header first: absolute time, so that the bytes suit every receiver.
///
/// The payload comes in two parts, the second without a copy before this one. `csid` is 2 to 63.
pub fn write(out: &mut BytesMut, size: usize, csid: u8, head: Head, parts: [&[u8]; 2]) {
    let length = parts[0].len() + parts[1].len();
    debug_assert!(length <= LENGTH_MAX && (2..64).contains(&csid));
    out.reserve(written(size, head.timestamp, length));
    let extended = head.timestamp >= 0xff_ffff;
    let field = if extended { 0xff_ffff } else { head.timestamp };
    out.put_u8(csid & 0x3f);
    out.put_slice(&field.to_be_bytes()[1..]);
    out.put_slice(&(length as u32).to_be_bytes()[1..]);
    out.put_u8(head.kind);
    out.put_u32_le(head.stream);
    if extended {
        out.put_u32(head.timestamp);
    }
    let mut left = size;
    for mut part in parts {
        while !part.is_empty() {
            if left == 0 {
                out.put_u8(0xc0 | csid & 0x3f);
                if extended {
                    out.put_u32(head.timestamp);
                }
                left = size;
            }
            let (piece, rest) = part.split_at(left.min(part.len()));
            out.put_slice(piece);
            left -= piece.len();
            part = rest;
        }
    }
}

/// How many bytes [`write()`] makes of a message.
pub fn written(size: usize, timestamp: u32, length: usize) -> usize {
    let extended = if timestamp >= 0xff_ffff { 4 } else { 0 };
    12 + extended + length + length.saturating_sub(1) / size.max(1) * (1 + extended)
}

/// The fields of a message header.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Message type id.
    pub kind: u8,
    /// Milliseconds, modulo 2³².
    pub timestamp: u32,
    /// Message stream.
    pub stream: u32,
}

/// One message as bytes of its own.
pub fn whole(size: usize, csid: u8, head: Head, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    write(&mut out, size, csid, head, [payload, &[]]);
    out.freeze()
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
