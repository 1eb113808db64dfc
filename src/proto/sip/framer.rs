//! Cuts messages out of datagrams and out of a TCP stream.

use super::message::{Envelope, Message};
use super::parse::{self, HEAD_MAX, ParseError};
use bytes::{Buf, Bytes, BytesMut};

/// The largest body taken by default: a catalog of 10,000 items is about 5.5 MB.
pub const BODY_MAX: usize = 16 << 20;

/// Reads one datagram; `None` is a keep-alive (line ends, NULs, blanks, nothing).
///
/// The datagram bounds the message, so a Content-Length that is missing or counts characters instead of bytes does no harm.
pub fn datagram(bytes: &Bytes) -> Result<Option<Message>, ParseError> {
    let skip = blanks(bytes);
    // a NAT keep-alive of a few letters or zero bytes, as SDKs send them
    if skip == bytes.len() || bytes.len() <= 4 {
        return Ok(None);
    }
    let bytes = bytes.slice(skip..);
    let (head, body) = parse::head_end(&bytes, 0).unwrap_or((bytes.len(), bytes.len()));
    if head > HEAD_MAX {
        return Err(ParseError::HeadTooLong);
    }
    let (message, length) = parse::head(&bytes.slice(..head))?;
    let rest = bytes.slice(body..);
    let body = match length.and_then(|said| usize::try_from(said).ok()) {
        Some(said) if said <= rest.len() && is_whole(&message, &rest, said) => rest.slice(..said),
        _ => rest,
    };
    Ok(Some(with_body(message, body)))
}

/// Whether the body ends where Content-Length says: the rest is blank, or it is not XML, or it ends with a tag there.
fn is_whole(message: &Message, rest: &Bytes, said: usize) -> bool {
    let xml = match message {
        Message::Request(request) => request.is_type("Application/MANSCDP+xml"),
        Message::Response(response) => response.is_type("Application/MANSCDP+xml"),
    };
    !xml || blanks(&rest[said..]) == rest.len() - said || rest[..said].trim_ascii_end().ends_with(b">")
}

fn with_body(mut message: Message, body: Bytes) -> Message {
    match &mut message {
        Message::Request(request) => request.body = body,
        Message::Response(response) => response.body = body,
    }
    message
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | 0)).count()
}

/// The messages of one TCP connection: push what came, pull until `None`.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    /// The head that was read and the length of the body that it waits for.
    waiting: Option<(Message, usize)>,
    scanned: usize,
    body_max: usize,
    skipped: u64,
    pongs: u32,
}

impl Default for Framer {
    fn default() -> Framer {
        Framer::new(BODY_MAX)
    }
}

impl Framer {
    /// Takes bodies of up to `body_max` bytes.
    pub fn new(body_max: usize) -> Framer {
        Framer { buffer: BytesMut::new(), waiting: None, scanned: 0, body_max, skipped: 0, pongs: 0 }
    }

    /// Takes what was read from the connection.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer to read into directly; what is appended counts as pushed.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Bytes between messages that belonged to none (a Content-Length that counted characters).
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many double-CRLF keep-alives came since the last call; each wants a CRLF back (RFC 5626 section 3.5.1).
    pub fn take_pings(&mut self) -> u32 {
        std::mem::take(&mut self.pongs)
    }

    /// The next message; `None` needs more bytes; after an error the connection is to be closed.
    pub fn pull(&mut self) -> Result<Option<Message>, ParseError> {
        loop {
            if let Some((_, length)) = &self.waiting {
                if self.buffer.len() < *length {
                    return Ok(None);
                }
                let Some((message, length)) = self.waiting.take() else { return Ok(None) };
                let body = self.buffer.split_to(length).freeze();
                return Ok(Some(with_body(message, body)));
            }
            self.skip_blanks();
            let Some((head, body)) = parse::head_end(&self.buffer, self.scanned) else {
                // the last bytes may be the first half of the blank line
                self.scanned = self.buffer.len().saturating_sub(3);
                return match self.buffer.len() > HEAD_MAX {
                    true => Err(ParseError::HeadTooLong),
                    false => self.check_start().map(|()| None),
                };
            };
            if head > HEAD_MAX {
                return Err(ParseError::HeadTooLong);
            }
            self.scanned = 0;
            if self.resync(head) {
                continue;
            }
            let bytes = self.buffer.split_to(body).freeze();
            let (message, length) = parse::head(&bytes.slice(..head))?;
            let said = length.unwrap_or(0);
            let length = usize::try_from(said).ok().filter(|length| *length <= self.body_max);
            let length = length.ok_or(ParseError::BodyTooLong { said, limit: self.body_max })?;
            self.waiting = Some((message, length));
        }
    }

    /// What is not SIP at all (TLS, HTTP, port scanners) is told by its first line at once.
    fn check_start(&self) -> Result<(), ParseError> {
        match memchr::memchr(b'\n', &self.buffer) {
            None if self.buffer.len() > 4096 => Err(ParseError::StartLine("a first line of over 4096 bytes".to_owned())),
            _ => Ok(()),
        }
    }

    /// Drops lines in front of the next start line within this head; true if something was dropped.
    fn resync(&mut self, head: usize) -> bool {
        let mut at = 0;
        while at < head {
            let end = memchr::memchr(b'\n', &self.buffer[at..head]).map_or(head, |found| at + found + 1);
            if parse::is_start_line(&self.buffer[at..end]) {
                break;
            }
            at = end;
        }
        // nothing in this block starts a message: let the parser say what is wrong, unless it is the tail of a body
        let drop = if at >= head && !self.is_tail(head) { 0 } else { at };
        self.skipped += drop as u64;
        self.buffer.advance(drop);
        drop > 0
    }

    fn is_tail(&self, head: usize) -> bool {
        memchr::memchr(b'>', &self.buffer[..head]).is_some() && !parse::is_start_line(&self.buffer[..head])
    }

    fn skip_blanks(&mut self) {
        let n = blanks(&self.buffer);
        let pings = self.buffer[..n].windows(4).filter(|window| *window == b"\r\n\r\n").count();
        self.pongs = self.pongs.saturating_add(u32::try_from(pings).unwrap_or(u32::MAX));
        self.buffer.advance(n);
        self.scanned = self.scanned.saturating_sub(n);
    }
}

#[cfg(test)]
#[path = "framer_tests.rs"]
mod tests;
