//! One TCP connection that carries media: bytes become packets, the first packet tells the call.

use super::call::Call;
use crate::edge::net::Place;
use crate::media::time::Timestamp;
use crate::proto::rtp::Framer;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// What reading brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// So many bytes are in the buffer, those from the last time included.
    Bytes(usize),
    /// Nothing was there after all.
    Nothing,
    /// The other side closed, or the connection broke.
    Closed,
}

/// A connection, bound to a call or not yet.
pub struct Connection {
    /// The socket; it does not block.
    pub socket: TcpStream,
    /// The other side.
    pub peer: SocketAddr,
    /// Finds the packets.
    pub framer: Framer,
    /// The call that it carries, once known.
    pub call: Option<Arc<Call>>,
    /// When it was made.
    pub opened: Timestamp,
    /// Bytes of a packet that is not complete.
    rest: Vec<u8>,
    /// Counts it among the connections of the shared port.
    _place: Option<Place>,
}

impl Connection {
    /// A connection that was just made.
    pub fn new(socket: TcpStream, peer: SocketAddr, opened: Timestamp) -> Connection {
        Connection { socket, peer, framer: Framer::default(), call: None, opened, rest: Vec::new(), _place: None }
    }

    /// It belongs to this call.
    pub fn for_call(self, call: Arc<Call>) -> Connection {
        Connection { call: Some(call), ..self }
    }

    /// It takes a place while it lives.
    pub fn with_place(self, place: Place) -> Connection {
        Connection { _place: Some(place), ..self }
    }

    /// Reads what is there into `buffer`, behind what was left from the last time.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Fill {
        let kept = self.rest.len();
        buffer[..kept].copy_from_slice(&self.rest);
        match self.socket.read(&mut buffer[kept..]) {
            Ok(0) => Fill::Closed,
            Ok(read) => {
                self.rest.clear();
                Fill::Bytes(kept + read)
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Fill::Nothing,
            Err(_) => Fill::Closed,
        }
    }

    /// Keeps the bytes of a packet that is not complete. A small one gives its memory back.
    pub fn keep(&mut self, rest: &[u8]) {
        self.rest.clear();
        self.rest.shrink_to(4_096);
        self.rest.extend_from_slice(rest);
    }
}
