//! Where a message came from, and so where its answer goes.

use std::fmt;
use std::net::SocketAddr;

/// Datagrams or a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Unreliable: requests are repeated.
    Udp,
    /// Reliable, and over when the connection closes.
    Tcp,
}

impl Transport {
    /// As a Via header spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }
}

/// One way to reach a peer: the socket that it was heard on and its address as seen from there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// Which kind.
    pub transport: Transport,
    /// Which of our UDP sockets, or which TCP connection; never used twice for different connections.
    pub link: u64,
    /// The peer's address as it arrived here.
    pub remote: SocketAddr,
    /// The address by which this peer reaches us: what Via, Contact and SDP tell it.
    pub local: SocketAddr,
}

impl Path {
    /// Whether requests are repeated on it.
    pub fn is_reliable(&self) -> bool {
        self.transport == Transport::Tcp
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.transport.as_str().to_ascii_lowercase(), self.remote)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
