//! Who may publish and play: a question that the edges ask and somebody above answers.

use super::tally::Place;
use crate::base::id::StreamKey;
use crate::model::quota::Exceeded;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

/// What the peer wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Send a stream.
    Publish,
    /// Watch a stream.
    Play,
}

/// The question.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What the peer wants to do.
    pub act: Act,
    /// With which stream.
    pub key: &'a StreamKey,
    /// By which protocol: `rtmp`, `flv`, `ws-flv`, `fmp4`, `ws-fmp4`, `hls`, `webrtc`; `jpg` is the stream's picture, `hls-past`
    /// what is kept of its past; `hls-pass` comes with a pass that was given out with permission.
    /// `gb28181` is a device that we call ourselves.
    pub protocol: &'static str,
    /// Where the peer calls from.
    pub peer: SocketAddr,
    /// The path as the peer gave it, with its extension and without the query: what URL signatures cover.
    pub path: &'a str,
    /// The query string without the question mark.
    pub query: &'a str,
}

/// Yes. It is kept as long as the peer stays, since it may hold the peer's place in its tenant's quota.
#[derive(Debug, Default)]
#[must_use]
pub struct Grant(Option<Place>);

impl Grant {
    /// With a place that goes with the peer.
    pub fn with(place: Place) -> Grant {
        Grant(Some(place))
    }

    /// Whether a place goes with it.
    pub fn is_counted(&self) -> bool {
        self.0.is_some()
    }
}

/// No, and why; the text is shown to the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It may not (HTTP 403).
    #[error("{0}")]
    Forbidden(String),
    /// The owner's quota is used up (HTTP 403).
    #[error("{0}: {1}")]
    Quota(StreamKey, Exceeded),
    /// There is no such stream for it (HTTP 404).
    #[error("{0}")]
    NotFound(String),
    /// Not now (HTTP 503).
    #[error("{0}")]
    Unavailable(String),
}

/// The answer, when it is there.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Grant, Denied>> + Send + 'a>>;

/// Answers the question; called once for each session, off the frame path.
pub trait Access: Send + Sync {
    /// May the peer do that?
    fn check<'a>(&'a self, ask: Ask<'a>) -> Answer<'a>;
}

crate::settings! {
    /// Who may publish and play without being known to the API.
    pub struct Settings {
        /// Streams that anybody may publish and play, as `app/name` with `*` for any text: ["live/*"]. An application
        /// that a group of the API uses follows the group's rules instead. Empty: only what the API knows.
        pub open: Vec<String> = Vec::new(),
    }
}

/// The allow-list of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Open(Vec<String>);

impl Open {
    /// The list that the settings give.
    pub fn new(settings: &Settings) -> Open {
        Open(settings.open.clone())
    }

    /// Whether the list names the stream.
    pub fn allows(&self, key: &StreamKey) -> bool {
        self.0.iter().any(|pattern| matches(pattern.as_bytes(), key.as_str().as_bytes()))
    }
}

impl Access for Open {
    fn check<'a>(&'a self, ask: Ask<'a>) -> Answer<'a> {
        let refusal =
            || Denied::Forbidden(format!("{} is not open: name it in access.open, or make a group and a stream by the API", ask.key));
        Box::pin(std::future::ready(if self.allows(ask.key) { Ok(Grant::default()) } else { Err(refusal()) }))
    }
}

/// Whether a text fits a pattern in which `*` stands for any text. Linear: it goes back to the last star only.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((sp, st)) => {
                    p = sp + 1;
                    t = st + 1;
                    star = Some((sp, st + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_with_stars() {
        for (pattern, text, fits) in [
            ("live/*", "live/a", true),
            ("live/*", "lives/a", false),
            ("*", "any/thing", true),
            ("*/cam*1", "live/camera-1", true),
            ("*/cam*1", "live/camera-2", false),
            ("live/a", "live/a", true),
            ("live/a", "live/ab", false),
            ("", "live/a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }
}
