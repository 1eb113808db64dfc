//! The head of a message: start line and headers, CRLF or LF, folded or not, any white space.

use super::header::{Headers, Name};
use super::message::{Message, Method, Request, Response};
use bytes::Bytes;

/// The longest start line and header block.
pub const HEAD_MAX: usize = 64 * 1024;
/// The most headers of one message.
const HEADERS_MAX: usize = 256;

/// Why bytes are not a SIP message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The first line is neither a request line nor a status line.
    #[error("no SIP start line: {0}")]
    StartLine(String),
    /// The head has no end, or is larger than [`HEAD_MAX`].
    #[error("header block without an end within {HEAD_MAX} bytes")]
    HeadTooLong,
    /// More headers than any device sends.
    #[error("more than {HEADERS_MAX} headers")]
    TooManyHeaders,
    /// The body is longer than the limit.
    #[error("Content-Length {said} is over the limit of {limit} bytes")]
    BodyTooLong {
        /// What Content-Length says.
        said: u64,
        /// What is taken.
        limit: usize,
    },
}

/// Where the head ends: (length of the head with its last line end, where the body begins). `from` is where to look on.
pub fn head_end(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    while let Some(found) = memchr::memchr(b'\n', &bytes[at..]) {
        let line_end = at + found + 1;
        match bytes.get(line_end..) {
            Some([b'\n', ..]) => return Some((line_end, line_end + 1)),
            Some([b'\r', b'\n', ..]) => return Some((line_end, line_end + 2)),
            _ => at = line_end,
        }
    }
    None
}

/// Reads a head; the message's body is left empty. `None` in the second place: no usable Content-Length.
pub fn head(head: &Bytes) -> Result<(Message, Option<u64>), ParseError> {
    let mut lines = Lines { head, at: 0 };
    let start = lines.next().unwrap_or_default();
    let mut message = start_line(&start)?;
    let mut headers = Headers::new();
    let mut length = None;
    for line in lines {
        // a line without a colon is noise that some devices leave between headers
        let Some(colon) = memchr::memchr(b':', &line) else { continue };
        let Ok(name) = std::str::from_utf8(&line[..colon]) else { continue };
        let name = Name::parse(name.trim());
        if name.as_str().is_empty() {
            continue;
        }
        let value = trim(&line.slice(colon + 1..));
        if name == Name::ContentLength {
            length = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
        }
        if headers.len() == HEADERS_MAX {
            return Err(ParseError::TooManyHeaders);
        }
        headers.push(name, value);
    }
    match &mut message {
        Message::Request(request) => request.headers = headers,
        Message::Response(response) => response.headers = headers,
    }
    Ok((message, length))
}

/// Whether a line could start a message: what a stream resynchronizes on.
pub fn is_start_line(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|line| {
        let line = line.trim();
        let upper = |text: &str| text.eq_ignore_ascii_case("SIP/2.0");
        line.get(..7).is_some_and(upper) || line.rsplit(char::is_whitespace).next().is_some_and(upper)
    })
}

fn start_line(line: &[u8]) -> Result<Message, ParseError> {
    let bad = || ParseError::StartLine(crate::base::bytes::LimitedHex(line).to_string());
    let text = super::header::text(line);
    let text = text.trim();
    let mut words = text.splitn(2, char::is_whitespace);
    let first = words.next().filter(|word| !word.is_empty()).ok_or_else(bad)?;
    let rest = words.next().unwrap_or_default().trim();
    if first.get(..4).is_some_and(|version| version.eq_ignore_ascii_case("SIP/")) {
        let (code, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let status = code.parse().ok().filter(|status| (100..700).contains(status)).ok_or_else(bad)?;
        let reason = reason.trim().to_owned();
        return Ok(Message::Response(Response { status, reason, headers: Headers::new(), body: Bytes::new() }));
    }
    let (uri, version) = rest.rsplit_once(char::is_whitespace).ok_or_else(bad)?;
    let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
    if !version.get(..4).is_some_and(|version| version.eq_ignore_ascii_case("SIP/")) || !first.chars().all(token) {
        return Err(bad());
    }
    Ok(Message::Request(Request::new(Method::parse(first), uri.trim())))
}

/// Logical lines: folded ones joined, empty ones left out.
struct Lines<'a> {
    head: &'a Bytes,
    at: usize,
}

impl Lines<'_> {
    fn physical(&mut self) -> Option<Bytes> {
        if self.at >= self.head.len() {
            return None;
        }
        let rest = &self.head[self.at..];
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = self.head.slice(self.at..self.at + end);
        self.at += end + 1;
        let kept = line.iter().rev().take_while(|byte| **byte == b'\r').count();
        Some(line.slice(..line.len() - kept))
    }
}

impl Iterator for Lines<'_> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut line = self.physical()?;
        while trim(&line).is_empty() {
            line = self.physical()?;
        }
        // RFC 3261 section 7.3.1: a line that begins with white space continues the one before
        while matches!(self.head.get(self.at), Some(b' ' | b'\t')) {
            let Some(more) = self.physical() else { break };
            line = [&line[..], b" ", &trim(&more)[..]].concat().into();
        }
        Some(line)
    }
}

fn trim(bytes: &Bytes) -> Bytes {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let start = bytes.iter().take_while(|byte| blank(byte)).count();
    let end = bytes[start..].iter().rev().take_while(|byte| blank(byte)).count();
    bytes.slice(start..bytes.len() - end)
}
