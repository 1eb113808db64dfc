//! Who may publish and play: a question that the edges ask and somebody above answers.

use crate::base::id::StreamKey;
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
    /// By which protocol: `rtmp`, `flv`, `ws-flv`, `hls`, `webrtc`.
    pub protocol: &'static str,
    /// Where the peer calls from.
    pub peer: SocketAddr,
    /// The path as the peer gave it, with its extension and without the query: what URL signatures cover.
    pub path: &'a str,
    /// The query string without the question mark.
    pub query: &'a str,
}

/// Yes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {}

/// No, and why; the text is shown to the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It may not (HTTP 403).
    #[error("{0}")]
    Forbidden(String),
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
