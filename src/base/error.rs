//! What kind of failure it is and who is to blame: this decides the log level, the answer and the retry.

use std::fmt;

/// Who caused a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The other side of the connection: logged at `info`.
    Peer,
    /// The machine, the network, the disk, another service: logged at `warn`.
    Environment,
    /// A defect of ours: logged at `error`.
    Us,
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Blame::Peer => "peer",
            Blame::Environment => "environment",
            Blame::Us => "us",
        })
    }
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The peer said goodbye or closed its connection in order.
    PeerClosed,
    /// The stream that was played is over.
    StreamEnded,
    /// The peer broke the protocol; the text names the rule and the place.
    PeerBroke(String),
    /// The peer did not take its data for too long.
    TooSlow,
    /// The peer sent nothing for too long.
    Silent,
    /// The peer may not do this.
    Denied(String),
    /// An operator, or a newer publisher of the same name, ended it.
    Kicked(String),
    /// The server shuts down.
    Stopped,
    /// The network failed.
    Network(String),
    /// A defect of ours.
    Failed(String),
}

impl End {
    /// Who is to blame; `None` for an end in order.
    pub fn blame(&self) -> Option<Blame> {
        match self {
            End::PeerClosed | End::StreamEnded | End::Stopped | End::Kicked(_) => None,
            End::PeerBroke(_) | End::TooSlow | End::Silent | End::Denied(_) => Some(Blame::Peer),
            End::Network(_) => Some(Blame::Environment),
            End::Failed(_) => Some(Blame::Us),
        }
    }

    /// The end that an IO error stands for: a reset is the peer's way to leave, the rest is the network.
    pub fn from_io(error: &std::io::Error) -> End {
        use std::io::ErrorKind::*;
        match error.kind() {
            UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe => End::PeerClosed,
            TimedOut => End::Silent,
            InvalidData | InvalidInput => End::PeerBroke(error.to_string()),
            _ => End::Network(error.to_string()),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::PeerClosed => f.write_str("peer closed"),
            End::StreamEnded => f.write_str("stream ended"),
            End::PeerBroke(why) => write!(f, "peer broke the protocol: {why}"),
            End::TooSlow => f.write_str("peer too slow"),
            End::Silent => f.write_str("peer silent"),
            End::Denied(why) => write!(f, "denied: {why}"),
            End::Kicked(why) => write!(f, "kicked: {why}"),
            End::Stopped => f.write_str("server stopped"),
            End::Network(why) => write!(f, "network: {why}"),
            End::Failed(why) => write!(f, "internal: {why}"),
        }
    }
}
