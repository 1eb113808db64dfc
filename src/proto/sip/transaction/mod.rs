//! Transactions (RFC 3261 section 17): repeats requests over UDP, matches answers, answers repeated requests once.
//!
//! A machine: [`Layer::receive`], [`Layer::request`] and [`Layer::respond`] take, [`Layer::poll`] gives, [`Layer::deadline`] says
//! when to call [`Layer::handle_timeout`]. Start with [`Output`].

mod client;
mod server;
#[cfg(test)]
mod tests;

use super::ids::Ids;
use super::message::{Envelope, Message, Method, Request, Response};
use super::path::Path;
use super::timers::Timers;
use crate::media::time::Timestamp;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// One request of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    branch: u64,
    cancel: bool,
}

/// One request of a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(u128);

/// The timers' base values.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Round trip estimate (RFC 3261: 500 ms).
    pub t1: Duration,
    /// The longest pause between two repetitions (4 s).
    pub t2: Duration,
    /// How long a 2xx of ours may stay without ACK. GB/T 28181-2022 annex K: 10 s.
    pub ack: Duration,
    /// How many requests of peers are held at once; above, requests are dropped and the peer repeats them.
    pub held_max: usize,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing { t1: Duration::from_millis(500), t2: Duration::from_secs(4), ack: Duration::from_secs(10), held_max: 200_000 }
    }
}

impl Timing {
    /// Timers B, F, H and J: 64 × T1.
    fn give_up(&self) -> Duration {
        self.t1 * 64
    }
}

/// What the layer wants done or known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Put these bytes on the path.
    Send {
        /// Where.
        path: Path,
        /// What.
        bytes: Bytes,
    },
    /// A new request; answer it with [`Layer::respond`].
    Request {
        /// Its transaction.
        id: ServerId,
        /// Where it came from.
        path: Path,
        /// The request.
        request: Request,
    },
    /// The peer took its INVITE back; it wants 487 if it has no final answer yet.
    Cancelled {
        /// The INVITE's transaction.
        id: ServerId,
    },
    /// Our final answer to an INVITE arrived.
    Acked {
        /// The INVITE's transaction, which is over.
        id: ServerId,
        /// The ACK.
        request: Request,
    },
    /// Our 2xx to an INVITE was never acknowledged.
    Unacked {
        /// The INVITE's transaction, which is over.
        id: ServerId,
    },
    /// An answer to a request of ours: provisional ones first, one final.
    Response {
        /// Our request.
        id: ClientId,
        /// Where the answer came from.
        path: Path,
        /// The answer.
        response: Response,
    },
    /// No final answer will come.
    Failed {
        /// Our request.
        id: ClientId,
        /// Why.
        why: Failure,
    },
    /// An answer that belongs to no request of ours (any more): a repeated or late 200 to an INVITE is told by its Call-ID.
    Stray {
        /// Where it came from.
        path: Path,
        /// The answer.
        response: Response,
    },
}

/// Why a request of ours got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It was repeated for 32 s.
    #[error("no answer")]
    Timeout,
    /// The connection that it went over closed.
    #[error("connection lost")]
    PathLost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Client(ClientId),
    Server(ServerId),
}

/// All transactions of one user agent.
pub struct Layer {
    ids: Ids,
    timing: Timing,
    clients: HashMap<ClientId, client::Transaction>,
    servers: HashMap<ServerId, server::Transaction>,
    /// INVITEs of peers by what their ACK carries; a 2xx's ACK has a branch of its own.
    acks: HashMap<u128, ServerId>,
    /// Requests of ours by TCP connection.
    links: HashMap<u64, Vec<ClientId>>,
    timers: Timers<Key>,
    out: VecDeque<Output>,
    dropped: u64,
}

impl Layer {
    /// Nothing in flight.
    pub fn new(seed: [u8; 32], timing: Timing) -> Layer {
        let ids = Ids::new(seed);
        Layer {
            ids,
            timing,
            clients: HashMap::new(),
            servers: HashMap::new(),
            acks: HashMap::new(),
            links: HashMap::new(),
            timers: Timers::default(),
            out: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Takes a message from a peer.
    pub fn receive(&mut self, now: Timestamp, path: Path, message: Message) {
        match message {
            Message::Request(request) => self.receive_request(now, path, request),
            Message::Response(response) => self.receive_response(now, path, response),
        }
    }

    /// The next thing to do; call until `None` after every other call.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Layer::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.timers.deadline()
    }

    /// Repeats and gives up what is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.timers.due(now) {
            match key {
                Key::Client(id) => self.client_timer(now, at, id),
                Key::Server(id) => self.server_timer(now, at, id),
            }
        }
    }

    /// A TCP connection closed: what went over it fails at once.
    pub fn path_lost(&mut self, link: u64) {
        for id in self.links.remove(&link).unwrap_or_default() {
            if let Some(gone) = self.clients.remove(&id)
                && gone.is_open()
            {
                self.out.push_back(Output::Failed { id, why: Failure::PathLost });
            }
        }
    }

    /// Requests that were dropped because too many were held.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Requests in flight, ours and peers'.
    pub fn in_flight(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    /// Sends a message outside of every transaction: an ACK to a 2xx.
    pub fn send(&mut self, path: Path, bytes: Bytes) {
        self.out.push_back(Output::Send { path, bytes });
    }

    /// A Via value for a message outside of every transaction.
    pub fn fresh_via(&mut self, path: &Path) -> String {
        via(path, self.ids.number())
    }
}

fn via(path: &Path, branch: u64) -> String {
    format!("SIP/2.0/{} {};rport;branch={}{branch:016x}", path.transport.as_str(), path.local, super::uri::COOKIE)
}
