//! Answers, alike on a raw socket and through hyper: status, headers for players on other sites, readable errors.

use super::Settings;
use crate::base::error::End;
use crate::base::id::StreamKey;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use std::ops::Range;

/// Says no: a status and a sentence for the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// Why.
    pub why: String,
}

impl Refusal {
    /// A status and a sentence.
    pub fn new(status: StatusCode, why: impl Into<String>) -> Refusal {
        Refusal { status, why: why.into() }
    }

    /// The server goes down.
    pub fn stopping() -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")
    }

    /// How a session ends that is refused so.
    pub fn end(&self, key: &StreamKey) -> End {
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => End::Network(format!("{key}: {}", self.why)),
            _ => End::Denied(format!("{key}: {}", self.why)),
        }
    }

    /// As an answer to a request with these headers: JSON for who asks for it, else a line of text.
    pub fn response(&self, settings: &Settings, request: &HeaderMap) -> Response<Body> {
        let wants = request.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let (kind, body) = match wants.contains("json") {
            true => ("application/json", serde_json::json!({"status": self.status.as_u16(), "error": self.why}).to_string() + "\n"),
            false => ("text/plain; charset=utf-8", format!("{}\n", self.why)),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("3"));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        allow(headers, settings, request);
        response
    }
}

/// The one range of bytes that was asked for (RFC 9110 §14.2) of something of this length; an empty one if it lies outside, `None` if
/// the whole is wanted: several ranges get the whole.
pub fn range(asked: Option<&HeaderValue>, length: u64) -> Option<Range<u64>> {
    let spec = asked?.to_str().ok()?.trim().strip_prefix("bytes=").filter(|spec| !spec.contains(','))?;
    let (from, to) = spec.trim().split_once('-')?;
    let (from, to) = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => (from, to.saturating_add(1).min(length)),
        (Ok(from), Err(_)) if to.is_empty() => (from, length),
        (Err(_), Ok(last)) if from.is_empty() => (length.saturating_sub(last), length),
        _ => return None,
    };
    Some(if from < to { from..to } else { 0..0 })
}

/// Lets pages of other sites read the answer, where the settings allow theirs.
pub fn allow(headers: &mut HeaderMap, settings: &Settings, request: &HeaderMap) {
    if settings.cors.iter().any(|origin| origin == "*") {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else if let Some(origin) = request.get(header::ORIGIN) {
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        if settings.cors.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }
    if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Content-Length, Content-Range, Date"));
    }
}

/// The answer to an OPTIONS request for a stream, which is how browsers ask beforehand.
pub fn options(settings: &Settings, request: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Range, Cache-Control, Content-Type"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    allow(headers, settings, request);
    response
}

/// The head of the answer that a stream follows; the end of the connection is the end of the stream.
pub fn live(settings: &Settings, request: &HeaderMap, mime: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    // A proxy in front must not wait for more before it passes a frame on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    allow(headers, settings, request);
    response
}

/// The head of the answer that opens a WebSocket.
pub fn websocket(accept: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Status line and headers for a raw socket; `body` is what follows, if it is known. Without one, and unless it is an
/// upgrade, the end of the connection ends the answer.
pub fn head<B>(response: &Response<B>, body: Option<usize>) -> Bytes {
    let mut out = BytesMut::with_capacity(512);
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or("Unknown");
    out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\nServer: weir\r\n", status.as_str()).as_bytes());
    for (name, value) in response.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    if let Some(len) = body.filter(|_| status != StatusCode::NO_CONTENT) {
        out.extend_from_slice(format!("Content-Length: {len}\r\n").as_bytes());
    }
    if !response.headers().contains_key(header::CONNECTION) {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_str(text).unwrap())])
    }

    #[test]
    fn other_sites_are_let_in_as_configured() {
        let allowed = |cors: &[&str], from: &str| {
            let settings = Settings { cors: cors.iter().map(|s| (*s).to_owned()).collect(), ..Settings::default() };
            let mut headers = HeaderMap::new();
            allow(&mut headers, &settings, &origin(from));
            headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|v| v.to_str().unwrap().to_owned())
        };
        assert_eq!(allowed(&["*"], "https://a").as_deref(), Some("*"));
        assert_eq!(allowed(&["https://a", "https://b"], "https://b").as_deref(), Some("https://b"));
        assert_eq!(allowed(&["https://a"], "https://b"), None);
        assert_eq!(allowed(&[], "https://b"), None);
    }

    #[test]
    fn errors_can_be_read_by_people_and_by_programs() {
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "no \"such\" stream");
        let settings = Settings::default();
        let text = refusal.response(&settings, &HeaderMap::new());
        assert_eq!(text.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        let json = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]);
        assert_eq!(refusal.response(&settings, &json).headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(Refusal::stopping().response(&settings, &json).headers()[header::RETRY_AFTER], "3");
    }

    #[test]
    fn heads_for_raw_sockets() {
        let settings = Settings { cors: vec![], ..Settings::default() };
        let head = |r, n| String::from_utf8(head(&r, n).to_vec()).unwrap();
        let stream = head(live(&settings, &HeaderMap::new(), "video/x-flv"), None);
        assert!(stream.starts_with("HTTP/1.1 200 OK\r\n") && stream.ends_with("Connection: close\r\n\r\n"), "{stream}");
        assert!(!stream.contains("ontent-") || stream.contains("content-type: video/x-flv"), "{stream}");
        let upgrade = head(websocket("abc="), None);
        assert!(upgrade.contains("sec-websocket-accept: abc=\r\n") && !upgrade.contains("close"), "{upgrade}");
        assert!(!head(options(&settings, &HeaderMap::new()), Some(0)).contains("Content-Length"));
    }
}
