//! What a request's path and query mean.

use crate::base::id::StreamKey;
use crate::container::m3u8::Piece;

/// What a path names, if it is one of ours.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// A stream from now on, over HTTP or WebSocket: `/{app}/{stream}.flv`, `/{app}/{stream}.live.mp4`.
    Live(StreamKey, Container),
    /// `/{app}/{stream}.m3u8`.
    Playlist(StreamKey),
    /// `/{app}/{stream}/{number}.ts`.
    Segment(StreamKey, u64),
    /// `/{app}/{stream}/{…}.m4s`.
    Piece(StreamKey, Piece),
    /// Anything else.
    Other,
}

/// What carries a live stream that one answer or one WebSocket holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// FLV.
    Flv,
    /// Fragmented MP4.
    Fmp4,
}

impl Container {
    /// How paths end.
    pub fn suffix(self) -> &'static str {
        match self {
            Container::Flv => ".flv",
            Container::Fmp4 => ".live.mp4",
        }
    }

    /// What the session's protocol is called.
    pub fn protocol(self, websocket: bool) -> &'static str {
        match (self, websocket) {
            (Container::Flv, false) => "flv",
            (Container::Flv, true) => "ws-flv",
            (Container::Fmp4, false) => "fmp4",
            (Container::Fmp4, true) => "ws-fmp4",
        }
    }

    /// The media type.
    pub fn mime(self) -> &'static str {
        match self {
            Container::Flv => "video/x-flv",
            Container::Fmp4 => "video/mp4",
        }
    }
}

impl Target {
    /// Reads a path as it stands in the request. Names that no stream can have are [`Target::Other`], and so are stored files.
    pub fn parse(path: &str) -> Target {
        if path.starts_with("/records/") {
            return Target::Other;
        }
        let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
        let (app, second, third) = (parts.next(), parts.next(), parts.next());
        let key = |name| StreamKey::new(&decode(app?)?, &decode(name)?).ok();
        let found = match (second, third, parts.next()) {
            (Some(file), None, None) => {
                let live =
                    |container: Container| file.strip_suffix(container.suffix()).and_then(key).map(|key| Target::Live(key, container));
                let playlist = || file.strip_suffix(".m3u8").and_then(key).map(Target::Playlist);
                live(Container::Flv).or_else(|| live(Container::Fmp4)).or_else(playlist)
            }
            (Some(name), Some(file), None) => {
                if let Some(piece) = Piece::parse(file) {
                    return key(name).map_or(Target::Other, |key| Target::Piece(key, piece));
                }
                let number = file.strip_suffix(".ts").filter(|n| n.bytes().all(|b| b.is_ascii_digit())).and_then(|n| n.parse().ok());
                number.and_then(|number| Some(Target::Segment(key(name)?, number)))
            }
            _ => None,
        };
        found.unwrap_or(Target::Other)
    }
}

/// The stream that `/{app}/{stream}{suffix}` names, as it stands in the request.
pub fn stream(path: &str, suffix: &str) -> Option<StreamKey> {
    let (app, file) = path.strip_prefix('/')?.split_once('/')?;
    let name = file.strip_suffix(suffix).filter(|name| !name.contains('/'))?;
    StreamKey::new(&decode(app)?, &decode(name)?).ok()
}

/// The value of a query parameter, decoded; the first one counts.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let (_, value) = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
    decode(value)
}

/// Undoes percent-encoding; `None` if what comes out is not UTF-8 or the encoding is broken.
pub fn decode(text: &str) -> Option<String> {
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

/// Percent-encodes everything that is not unreserved (RFC 3986 §2.3).
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> StreamKey {
        StreamKey::parse(text).unwrap()
    }

    #[test]
    fn paths_name_streams() {
        let cases = [
            ("/live/a.flv", Target::Live(key("live/a"), Container::Flv)),
            ("/live/a.live.mp4", Target::Live(key("live/a"), Container::Fmp4)),
            ("/live/a.mp4", Target::Other),
            ("/live/a.b.flv", Target::Live(key("live/a.b"), Container::Flv)),
            ("/live/%E9%97%A8.m3u8", Target::Playlist(key("live/门"))),
            ("/live/a/17.ts", Target::Segment(key("live/a"), 17)),
            ("/records/a.m3u8", Target::Other),
            ("/records/a/17.ts", Target::Other),
            ("/live/a/17.3.m4s", Target::Piece(key("live/a"), Piece::Part(17, 3))),
            ("/live/a/+17.m4s", Target::Other),
            ("/live/a/+17.ts", Target::Other),
            ("/live/a/99999999999999999999.ts", Target::Other),
            ("/live/a/b.flv", Target::Other),
            ("/live/.flv", Target::Other),
            ("/a.flv", Target::Other),
            ("/live/a%2fb.flv", Target::Other),
            ("/live/%ff.flv", Target::Other),
            ("/live/%2.flv", Target::Other),
            ("/live/..%2f.flv", Target::Other),
            ("", Target::Other),
            ("/", Target::Other),
        ];
        for (path, target) in cases {
            assert_eq!(Target::parse(path), target, "{path}");
        }
    }

    #[test]
    fn encoding_round_trips() {
        for text in ["a", "门口 1", "a:b+c", "100%"] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text));
        }
        assert_eq!(parameter("a=1&hevc=legacy&hevc=x", "hevc").as_deref(), Some("legacy"));
        assert_eq!(parameter("hevc", "hevc"), None);
    }
}
