//! The JSON exchange of players that take `webrtc://` and `rtc://` URLs: one request with the offer, one answer.

use crate::base::id::StreamKey;
use serde::{Deserialize, Serialize};

/// What a player or a publisher posts; what else it says is not needed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Request {
    /// `webrtc://host[:port]/app/stream[?query]`; the scheme may be `rtc` as well.
    pub streamurl: String,
    /// The SDP offer.
    pub sdp: String,
}

/// What it gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// 0, or the status that HTTP has for the failure.
    pub code: u16,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    /// The SDP answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdp: Option<String>,
    /// Names the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessionid: Option<String>,
}

/// Where a stream URL leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The stream.
    pub key: StreamKey,
    /// The path as it stands in the URL.
    pub path: String,
    /// The query without the question mark.
    pub query: String,
}

/// Reads a stream URL; the error tells the form.
pub fn target(streamurl: &str) -> Result<Target, String> {
    let wrong = |why: &str| format!("streamurl: {why}; its form is webrtc://host/app/stream");
    let (scheme, rest) = streamurl.split_once("://").ok_or_else(|| wrong("there is no ://"))?;
    if !["webrtc", "rtc", "http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(wrong("the scheme is unknown"));
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (_, path) = rest.split_once('/').ok_or_else(|| wrong("there is no path"))?;
    let (app, name) = path.split_once('/').ok_or_else(|| wrong("there is no stream name"))?;
    let (Some(app), Some(name)) = (decode(app), decode(name)) else { return Err(wrong("the path is not well encoded")) };
    let key = StreamKey::new(&app, &name).map_err(|e| wrong(&e.to_string()))?;
    Ok(Target { key, path: format!("/{path}"), query: query.to_owned() })
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || (bytes.next()? as char).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_urls() {
        let read = |url: &str| target(url).map(|t| (t.key.as_str().to_owned(), t.path, t.query)).ok();
        let is = |key: &str, path: &str, query: &str| Some((key.to_owned(), path.to_owned(), query.to_owned()));
        assert_eq!(read("webrtc://h/live/a"), is("live/a", "/live/a", ""));
        assert_eq!(read("rtc://[::1]:80/live/%E9%97%A8?auth_key=1-2&x=%2F"), is("live/门", "/live/%E9%97%A8", "auth_key=1-2&x=%2F"));
        assert_eq!(read("WEBRTC://h:1985/live/a?b#c"), is("live/a", "/live/a", "b"));
        for wrong in ["", "live/a", "rtmp://h/live/a", "webrtc://h", "webrtc://h/live", "webrtc://h/live/a/b", "webrtc://h/live/%zz"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
