//! The readers: each looks at many sockets every few milliseconds and carries their packets all the way into the streams.

use super::call::{Call, Taken};
use super::connection::{Connection, Fill};
use super::hub::Hub;
use super::table::Found;
use crate::edge::net::{Poller, Ready, RecvBatch};
use crate::media::time::Timestamp;
use crate::proto::rtp::{Framer, Step, is_rtcp, ssrc_of};
use crate::runtime::task::Stop;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The sockets of one reader. Anyone may add and remove.
pub struct Reader {
    poller: Poller,
    sockets: Mutex<Sockets>,
}

#[derive(Default)]
struct Sockets {
    next: u64,
    all: HashMap<u64, Source>,
}

#[derive(Clone)]
enum Source {
    /// The port that all calls share.
    Shared(Arc<UdpSocket>),
    /// A call's own port.
    Own(Arc<UdpSocket>, Arc<Call>),
    /// A connection.
    Connection(Arc<Mutex<Connection>>),
}

/// What one reader works with.
struct Desk {
    ready: Ready,
    batch: RecvBatch,
    /// For connections: what is left of the last packet, and what is read behind it.
    buffer: Box<[u8]>,
    /// The call of the last packet: packets come in bursts.
    last: Option<(u32, Arc<Call>)>,
}

/// What a look brought.
struct Looked {
    /// Sockets that had something.
    sockets: usize,
    /// One of them has more.
    more: bool,
}

impl Reader {
    /// Batches that one socket may bring before others have their turn.
    const ROUNDS: usize = 16;
    /// Looks in vain before the reader goes to sleep until something comes.
    const PATIENCE: u32 = 20;
    const BUFFER: usize = 256 << 10;
    /// A connection has so long to send a packet of a call.
    const UNBOUND: Duration = Duration::from_secs(10);

    /// A reader without sockets.
    pub fn new() -> io::Result<Reader> {
        Ok(Reader { poller: Poller::new()?, sockets: Mutex::default() })
    }

    /// Reads the shared port.
    pub fn add_shared(&self, socket: Arc<UdpSocket>) -> io::Result<u64> {
        self.add(Source::Shared(socket))
    }

    /// Reads a call's own port.
    pub fn add_own(&self, socket: Arc<UdpSocket>, call: Arc<Call>) -> io::Result<u64> {
        self.add(Source::Own(socket, call))
    }

    /// Reads a connection.
    pub fn add_connection(&self, connection: Connection) -> io::Result<u64> {
        self.add(Source::Connection(Arc::new(Mutex::new(connection))))
    }

    /// Stops reading a socket, and closes it if nobody else has it.
    pub fn remove(&self, token: u64) {
        let Some(source) = self.sockets().all.remove(&token) else { return };
        // An error means that it is closed already.
        let _ = match &source {
            Source::Shared(socket) | Source::Own(socket, _) => self.poller.remove(socket.as_fd()),
            Source::Connection(connection) => self.poller.remove(lock(connection).socket.as_fd()),
        };
    }

    /// Closes the connections of a call, and its own port.
    pub fn remove_call(&self, id: u64) {
        let mine = |source: &Source| match source {
            Source::Shared(_) => false,
            Source::Own(_, call) => call.id == id,
            Source::Connection(connection) => lock(connection).call.as_ref().is_some_and(|call| call.id == id),
        };
        let tokens: Vec<u64> = self.sockets().all.iter().filter(|(_, source)| mine(source)).map(|(token, _)| *token).collect();
        tokens.into_iter().for_each(|token| self.remove(token));
    }

    /// Closes connections that have not told their call for so long.
    pub fn sweep(&self, now: Timestamp) {
        let stray = |source: &Source| match source {
            Source::Connection(connection) => {
                let connection = lock(connection);
                connection.call.is_none() && now.since(connection.opened) >= Self::UNBOUND
            }
            _ => false,
        };
        let tokens: Vec<u64> = self.sockets().all.iter().filter(|(_, source)| stray(source)).map(|(token, _)| *token).collect();
        tokens.into_iter().for_each(|token| self.remove(token));
    }

    /// Reads until the stop.
    pub async fn run(&self, hub: &Hub, stop: Stop) {
        let mut desk = Desk {
            ready: Ready::default(),
            batch: RecvBatch::new(),
            buffer: vec![0; Framer::LONGEST + Reader::BUFFER].into_boxed_slice(),
            last: None,
        };
        let mut idle = 0;
        let gather = hub.settings.gather.0;
        while !stop.is_requested() {
            match self.look(hub, &mut desk) {
                // A socket had more than its share of this look: while it waits to gather, its buffer would overrun.
                Ok(Looked { more: true, .. }) => {
                    idle = 0;
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(Looked { sockets: 0, .. }) => idle += 1,
                Ok(_) => idle = 0,
                Err(error) => {
                    tracing::error!(%error, "media sockets cannot be watched");
                    return;
                }
            }
            // While packets keep coming the reader looks again by itself: no packet has to wake it.
            if idle < Self::PATIENCE && !gather.is_zero() {
                tokio::time::sleep(gather).await;
                continue;
            }
            if gather.is_zero() && idle == 0 {
                tokio::task::yield_now().await;
                continue;
            }
            desk.last = None;
            tokio::select! {
                woken = self.poller.wait() => if let Err(error) = woken {
                    tracing::error!(%error, "media sockets cannot be waited for");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                },
                () = stop.requested() => return,
            }
        }
    }

    /// Looks once.
    fn look(&self, hub: &Hub, desk: &mut Desk) -> io::Result<Looked> {
        self.poller.look(&mut desk.ready)?;
        let now = hub.clock.now();
        let mut more = false;
        let tokens: Vec<u64> = desk.ready.tokens().collect();
        for token in &tokens {
            let source = self.sockets().all.get(token).cloned();
            match source {
                None => {}
                Some(Source::Shared(socket)) => more |= self.datagrams(hub, desk, now, &socket, None),
                Some(Source::Own(socket, call)) => more |= self.datagrams(hub, desk, now, &socket, Some(&call)),
                Some(Source::Connection(connection)) => self.connection(hub, desk, now, (*token, &connection)),
            }
        }
        Ok(Looked { sockets: tokens.len(), more })
    }

    /// Reads a socket; true: there may be more than it may bring at once.
    fn datagrams(&self, hub: &Hub, desk: &mut Desk, now: Timestamp, socket: &Arc<UdpSocket>, own: Option<&Arc<Call>>) -> bool {
        for _ in 0..Self::ROUNDS {
            // Other errors are those of single sends (a receiver report that nobody took), told to the next read.
            let Ok(count) = desk.batch.receive(socket.as_fd()) else { return false };
            for at in 0..count {
                let Some((from, bytes)) = desk.batch.get(at) else { break };
                match own {
                    Some(call) if is_rtcp(bytes) => call.control(now, from, bytes, Some(socket)),
                    Some(call) => {
                        call.datagram(now, from, bytes, socket);
                    }
                    None => shared(hub, &mut desk.last, now, from, bytes, socket),
                }
            }
            if count < RecvBatch::MOST {
                return false;
            }
        }
        true
    }

    /// Reads a connection once; one that is over is closed.
    fn connection(&self, hub: &Hub, desk: &mut Desk, now: Timestamp, (token, connection): (u64, &Mutex<Connection>)) {
        let over = {
            let mut connection = lock(connection);
            let goes_on = match connection.fill(&mut desk.buffer) {
                Fill::Bytes(length) => packets(hub, &mut connection, now, &desk.buffer[..length]),
                Fill::Nothing => true,
                Fill::Closed => false,
            };
            (!goes_on).then(|| connection.call.clone())
        };
        if let Some(call) = over {
            self.remove(token);
            if let Some(call) = call {
                call.connection_closed(now);
            }
        }
    }

    fn add(&self, source: Source) -> io::Result<u64> {
        let mut sockets = self.sockets();
        let token = sockets.next;
        sockets.next += 1;
        match &source {
            Source::Shared(socket) | Source::Own(socket, _) => self.poller.add(socket.as_fd(), token)?,
            Source::Connection(connection) => self.poller.add(lock(connection).socket.as_fd(), token)?,
        }
        sockets.all.insert(token, source);
        Ok(token)
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        lock(&self.sockets)
    }
}

/// A datagram on the shared port.
fn shared(hub: &Hub, last: &mut Option<(u32, Arc<Call>)>, now: Timestamp, from: SocketAddr, bytes: &[u8], socket: &Arc<UdpSocket>) {
    if is_rtcp(bytes) {
        // the SSRC of whoever sends the report
        let ssrc = bytes.get(4..8).and_then(|s| s.try_into().ok()).map(u32::from_be_bytes);
        if let Some(call) = ssrc.and_then(|ssrc| hub.table().by_ssrc(ssrc).cloned()) {
            call.control(now, from, bytes, Some(socket));
        }
        return;
    }
    let Some(ssrc) = ssrc_of(bytes) else {
        hub.counts.no_rtp();
        return;
    };
    if let Some((known, call)) = last
        && *known == ssrc
        && call.datagram(now, from, bytes, socket) != Taken::Over
    {
        return;
    }
    let call = hub.table().by_ssrc(ssrc).cloned();
    let call = match call {
        Some(call) => call,
        None => match hub.unknown(now, from, ssrc, bytes, false) {
            Found::Call(call) => call,
            Found::Stranger => return,
        },
    };
    match call.datagram(now, from, bytes, socket) {
        Taken::Over => *last = None,
        Taken::Yes | Taken::Foreign => *last = Some((ssrc, call)),
    }
}

/// Hands on the packets in `bytes`, which follow on what came before; `false`: the connection is over.
fn packets(hub: &Hub, connection: &mut Connection, now: Timestamp, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        let step = match connection.framer.next(rest) {
            Ok(step) => step,
            Err(lost) => {
                tracing::debug!(peer = %crate::base::pii::Pii(connection.peer), %lost, "media connection closed");
                return false;
            }
        };
        match step {
            Step::More => break,
            Step::Skip(n) => rest = &rest[n..],
            Step::Packet { packet, consumed } => {
                if !one(hub, connection, now, packet) {
                    return false;
                }
                rest = &rest[consumed..];
            }
        }
    }
    connection.keep(rest);
    true
}

/// One packet of a connection.
fn one(hub: &Hub, connection: &mut Connection, now: Timestamp, packet: &[u8]) -> bool {
    if is_rtcp(packet) {
        if let Some(call) = &connection.call {
            call.control(now, connection.peer, packet, None);
        }
        return true;
    }
    let call = match &connection.call {
        Some(call) => call,
        None => {
            let Some(ssrc) = ssrc_of(packet) else { return true };
            let known = hub.table().by_ssrc(ssrc).cloned();
            let found = match known {
                Some(call) => Found::Call(call),
                None => hub.unknown(now, connection.peer, ssrc, packet, true),
            };
            match found {
                Found::Call(call) => connection.call.insert(call),
                // Its packets are kept with the stranger; the connection may live on a little, for a call to claim it.
                Found::Stranger => return true,
            }
        }
    };
    let (kind, (resyncs, _)) = (connection.framer.kind(), connection.framer.resyncs());
    call.framed(now, connection.peer, packet, kind, resyncs) != Taken::Over
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
