//! ICE over TCP (RFC 6544), for networks that let no UDP through: browsers connect to the port, and a connection carries the
//! datagrams of one session, each with its length in front (RFC 4571 section 2).

use super::Settings;
use super::figures::{Counts, add};
use super::inbox::{Full, Inbox, Mail};
use super::table::{Route, Table};
use crate::edge::net::{Limits, bind_tcp, tune};
use crate::proto::stun;
use crate::runtime::task::{Stop, Tasks};
use dashmap::DashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use str0m::net::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// How long a connection may take to say whose it is.
const HELLO: Duration = Duration::from_secs(5);
/// Connections that have not said it yet, overall and from one address.
const STRANGERS: (usize, usize) = (512, 32);
/// The longest datagram that is taken: none of ICE, DTLS and SRTP is longer than a packet of UDP could be.
const LONGEST: usize = 2_048;
/// Datagrams that wait for a slow connection; what comes beyond is lost, as on any network.
const WAITING: usize = 512;
/// What the kernel keeps for a connection beside that: more would only be older when it arrives.
const SEND: usize = 256 << 10;
/// Datagrams that are written at once.
const BATCH: usize = 64;
/// After an `accept` that failed for want of something: descriptors, memory.
const BREATHE: Duration = Duration::from_millis(50);

/// The connections. Cloning shares them.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    bound: SocketAddr,
    table: Arc<Table>,
    counts: Arc<Counts>,
    dead_after: Duration,
    open: DashMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
    strangers: Limits,
    known: Limits,
    tasks: Tasks,
}

impl Lines {
    /// Listens at the address that the UDP port has.
    pub fn open(settings: &Settings, table: &Arc<Table>, counts: &Arc<Counts>, tasks: &Tasks) -> io::Result<Lines> {
        let listener = bind_tcp(settings.listen)?;
        let lines = Lines(Arc::new(Shared {
            bound: listener.local_addr()?,
            table: table.clone(),
            counts: counts.clone(),
            dead_after: settings.dead_after.0,
            open: DashMap::new(),
            strangers: Limits::new(STRANGERS.0, STRANGERS.1),
            known: Limits::new(settings.sessions, 0),
            tasks: tasks.clone(),
        }));
        let (acceptor, stop) = (lines.clone(), tasks.stopping());
        tasks.spawn("webrtc tcp port", async move {
            tokio::select! {
                () = stop.requested() => {}
                () = acceptor.accept(listener) => {}
            }
        });
        Ok(lines)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.0.bound.port()
    }

    /// Leaves a datagram to a connection, without waiting; a connection that is gone or too slow loses it.
    pub fn send(&self, to: SocketAddr, datagram: Vec<u8>) {
        let sent = self.0.open.get(&to).is_some_and(|line| line.try_send(datagram).is_ok());
        add(if sent { &self.0.counts.sent } else { &self.0.counts.lost }, 1);
    }

    async fn accept(&self, listener: TcpListener) {
        loop {
            let (socket, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "the WebRTC TCP port cannot accept");
                    tokio::time::sleep(BREATHE).await;
                    continue;
                }
            };
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            let Ok(place) = self.0.strangers.enter(from.ip()) else {
                add(&self.0.counts.strangers, 1);
                continue;
            };
            let (lines, stop) = (self.clone(), self.0.tasks.stopping());
            self.0.tasks.spawn("webrtc tcp connection", async move {
                let ready = tune(&socket, lines.0.dead_after).and_then(|()| socket2::SockRef::from(&socket).set_send_buffer_size(SEND));
                if ready.is_ok() {
                    lines.serve(socket, from, place, &stop).await;
                }
            });
        }
    }

    /// A connection from its first check to its end.
    async fn serve(&self, mut socket: TcpStream, from: SocketAddr, place: crate::edge::net::Place, stop: &Stop) {
        let (reader, writer) = socket.split();
        let mut reader = BufReader::new(reader);
        let mut buffer = Vec::with_capacity(LONGEST);
        let first = tokio::select! {
            () = stop.requested() => return,
            read = tokio::time::timeout(HELLO, read(&mut reader, &mut buffer)) => read,
        };
        let route = match first {
            Ok(Ok(())) => stun::addressee(&buffer).and_then(|name| self.0.table.by_name(name)),
            _ => None,
        };
        let Some((route, _place)) = route.and_then(|route| Some((route, self.0.known.enter(from.ip()).ok()?))) else {
            return add(&self.0.counts.strangers, 1);
        };
        drop(place);
        let (sender, outgoing) = mpsc::channel(WAITING);
        self.0.open.insert(from, sender);
        let _open = Open { lines: self, from };
        if !self.deliver(&route, from, &buffer) {
            return;
        }
        tokio::select! {
            () = stop.requested() => {}
            () = self.listen(route, from, reader, buffer) => {}
            () = self.talk(writer, outgoing) => {}
        }
    }

    /// Reads until the connection or its session is over: a client goes on checking for as long as the session lasts.
    async fn listen(&self, mut route: Route, from: SocketAddr, mut reader: BufReader<ReadHalf<'_>>, mut buffer: Vec<u8>) {
        while let Ok(Ok(())) = tokio::time::timeout(self.0.dead_after, read(&mut reader, &mut buffer)).await {
            if let Some(name) = stun::addressee(&buffer) {
                match self.0.table.by_name(name) {
                    Some(found) => route = found,
                    None => return,
                }
            }
            if !self.deliver(&route, from, &buffer) {
                return;
            }
        }
    }

    /// Passes a datagram on; `false` if nobody is there any more.
    fn deliver(&self, route: &Route, from: SocketAddr, bytes: &[u8]) -> bool {
        add(&self.0.counts.received, 1);
        let inbox: &Inbox = &route.inbox;
        match inbox.push(Mail::Datagram { session: route.session, way: Protocol::Tcp, from, bytes: bytes.into() }) {
            Ok(()) => true,
            Err(Full::Overflow) => {
                add(&self.0.counts.overflow, 1);
                true
            }
            Err(Full::Closed(_)) => false,
        }
    }

    async fn talk(&self, mut writer: WriteHalf<'_>, mut outgoing: mpsc::Receiver<Vec<u8>>) {
        let (mut batch, mut out) = (Vec::with_capacity(BATCH), Vec::new());
        while outgoing.recv_many(&mut batch, BATCH).await > 0 {
            out.clear();
            for datagram in batch.drain(..) {
                let Ok(length) = u16::try_from(datagram.len()) else { continue };
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&datagram);
            }
            match tokio::time::timeout(self.0.dead_after, writer.write_all(&out)).await {
                Ok(Ok(())) => {}
                _ => return,
            }
        }
    }
}

/// Keeps a connection in the list while it lives.
struct Open<'a> {
    lines: &'a Lines,
    from: SocketAddr,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.lines.0.open.remove(&self.from);
    }
}

/// Reads one datagram.
async fn read(reader: &mut BufReader<ReadHalf<'_>>, buffer: &mut Vec<u8>) -> io::Result<()> {
    let length = usize::from(reader.read_u16().await?);
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    buffer.resize(length, 0);
    reader.read_exact(buffer).await.map(drop)
}
