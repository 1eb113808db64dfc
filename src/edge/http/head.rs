//! The head of a connection's first request, read from the raw socket within a time and a size.

use super::reply::Refusal;
use bytes::BytesMut;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Version, header, request};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Headers in one request at most.
const HEADERS: usize = 64;

/// A head, and how many bytes of the buffer it took.
pub struct Head {
    /// Method, path, headers.
    pub request: request::Parts,
    /// Its size.
    pub size: usize,
}

/// Why there is no head.
#[derive(Debug, PartialEq, Eq)]
pub enum Bad {
    /// The peer left before it had said anything.
    Left,
    /// The peer left, or its network failed, in the middle.
    Broken(String),
    /// It is answered so, and closed.
    Refused(Refusal),
}

/// Reads until the head is there; everything that was read is in `buffer`.
pub async fn read<S: AsyncRead + Unpin>(io: &mut S, buffer: &mut BytesMut, most: usize, within: Duration) -> Result<Head, Bad> {
    let reading = async {
        loop {
            match io.read_buf(buffer).await {
                Ok(0) if buffer.is_empty() => return Err(Bad::Left),
                Ok(0) => return Err(Bad::Broken("the peer left in the middle of a request".to_owned())),
                Ok(_) => {}
                Err(e) if buffer.is_empty() && e.kind() == std::io::ErrorKind::ConnectionReset => return Err(Bad::Left),
                Err(e) => return Err(Bad::Broken(e.to_string())),
            }
            match parse(buffer).map_err(Bad::Refused)? {
                Some(head) if head.size <= most => return Ok(head),
                None if buffer.len() < most => {}
                _ => return Err(Bad::Refused(too_large())),
            }
        }
    };
    // The time is for the whole head: a byte now and then does not stretch it.
    match tokio::time::timeout(within, reading).await {
        Ok(result) => result,
        Err(_) if buffer.is_empty() => Err(Bad::Left),
        Err(_) => Err(Bad::Refused(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request did not come in time"))),
    }
}

/// The head is longer than what is taken, or has too many lines.
pub fn too_large() -> Refusal {
    Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's head is too large: long parameters belong into a form")
}

/// What comes behind a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// A body of this length, then the next head.
    Body(u64),
    /// A body that says itself where it ends, or another protocol.
    Anything,
}

/// What comes behind this head (RFC 9112 §6.3); lengths that contradict themselves are refused, as nobody could tell where the
/// request ends.
pub fn follows(request: &request::Parts) -> Result<Follows, Refusal> {
    let bad = |why: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, why));
    let mut length = None;
    for value in request.headers.get_all(header::CONTENT_LENGTH) {
        let digits = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
        let Some(said) = digits.and_then(|text| text.parse::<u64>().ok()).filter(|said| *said < u64::MAX - 2) else {
            return bad("Content-Length is no length");
        };
        if length.replace(said).is_some_and(|before| before != said) {
            return bad("Content-Length is given twice, and differs");
        }
    }
    if let Some(coding) = request.headers.get_all(header::TRANSFER_ENCODING).iter().next_back() {
        let last = coding.to_str().ok().and_then(|text| text.rsplit(',').next()).map(str::trim);
        if request.version != Version::HTTP_11 || !last.is_some_and(|last| last.eq_ignore_ascii_case("chunked")) {
            return bad("Transfer-Encoding must be chunked, in HTTP/1.1");
        }
        return Ok(Follows::Anything);
    }
    if request.method == Method::CONNECT || request.headers.contains_key(header::UPGRADE) {
        return Ok(Follows::Anything);
    }
    Ok(Follows::Body(length.unwrap_or(0)))
}

/// The path that a request names of which only this much came; `None` where that cannot be seen.
pub fn path(read: &[u8]) -> Option<&str> {
    let line = read.split(|b| matches!(b, b'\r' | b'\n')).find(|line| !line.is_empty())?;
    let mut words = line.splitn(3, |b| *b == b' ');
    let (method, target) = (words.next()?, words.next()?);
    if method.is_empty() || !method.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    let target = target.split(|b| *b == b'?').next()?;
    std::str::from_utf8(target).ok().filter(|path| path.starts_with('/'))
}

/// The head at the start of `buffer`; `None` until it is there whole.
pub fn parse(buffer: &[u8]) -> Result<Option<Head>, Refusal> {
    let bad = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let size = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(too_large()),
        Err(e) => return Err(bad(format!("this is no HTTP request: {e}"))),
    };
    if parsed.path.is_some_and(|path| path.len() >= usize::from(u16::MAX) - 1) {
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, "the request's address is too long: long parameters belong into a form"));
    }
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut request = Request::builder().method(parsed.method.unwrap_or_default()).uri(parsed.path.unwrap_or_default()).version(version);
    if let Some(all) = request.headers_mut() {
        for header in parsed.headers {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|e| bad(e.to_string()))?;
            let value = HeaderValue::from_bytes(header.value).map_err(|e| bad(format!("{name}: {e}")))?;
            all.append(name, value);
        }
    }
    let (request, ()) = request.body(()).map_err(|e| bad(e.to_string()))?.into_parts();
    Ok(Some(Head { request, size }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_come() {
        let text = b"GET /live/a.flv?x=1 HTTP/1.1\r\nHost: h\r\nAccept: */*\r\naccept: json\r\n\r\nrest";
        for end in 0..text.len() - 4 {
            assert!(parse(&text[..end]).unwrap().is_none(), "{end}");
        }
        let head = parse(text).unwrap().unwrap();
        assert_eq!(&text[head.size..], b"rest");
        assert_eq!((head.request.uri.path(), head.request.uri.query()), ("/live/a.flv", Some("x=1")));
        assert_eq!(head.request.headers.get_all("accept").iter().count(), 2);
        let head = parse(b"GET http://host:80/live/a.flv HTTP/1.0\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.request.uri.path(), head.request.version), ("/live/a.flv", Version::HTTP_10));
    }

    #[test]
    fn the_path_is_seen_as_soon_as_it_came() {
        let cases: [(&[u8], Option<&str>); 9] = [
            (b"GET /?Action=Descri", Some("/")),
            (b"POST / HTTP/1.1\r\nHo", Some("/")),
            (b"\r\nGET /live/a.flv?x", Some("/live/a.flv")),
            (b"GET /live", Some("/live")),
            (b"GET ", None),
            (b"GET", None),
            (b"\x16\x03\x01 / ", None),
            (b"GET http://h/ HTTP/1.1\r\n", None),
            (b"", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(path(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn garbage_is_refused() {
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
        let cases: [(&[u8], u16); 7] = [
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
            (b"GET / HTTP/2.0\r\n\r\n", 400),
            (b"GET /\x01 HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\na: \0\r\n\r\n", 400),
            (b"G@T / HTTP/1.1\r\n\r\n".as_slice(), 400),
            (many.as_bytes(), 431),
        ];
        for (bytes, status) in cases {
            match parse(bytes) {
                Err(refusal) => assert_eq!(refusal.status.as_u16(), status, "{}", String::from_utf8_lossy(bytes)),
                Ok(_) => panic!("{}", String::from_utf8_lossy(bytes)),
            }
        }
    }
}
