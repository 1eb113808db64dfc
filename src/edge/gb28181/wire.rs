//! SIP on sockets: two ports, UDP and TCP on each. Messages in, bytes out; what they mean is not known here.

use super::address::Addresses;
use super::settings::Sip;
use crate::base::pii::Pii;
use crate::edge::net::{Arrived, Limits, bind_tcp, bind_udp, receive_with_destination, send_from, tell_destinations, tune};
use crate::proto::sip::framer::{self, Framer};
use crate::proto::sip::{Message, Path, Transport};
use crate::runtime::task::Tasks;
use bytes::{Bytes, BytesMut};
use dashmap::DashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Notify, mpsc};

/// Whoever takes what arrives. Called from several tasks.
pub trait Inbound: Send + Sync + 'static {
    /// A message arrived.
    fn message(&self, path: Path, message: Message);
    /// A TCP connection closed.
    fn closed(&self, link: u64);
}

/// The way out, and the counters. Cloning shares it.
#[derive(Clone)]
pub struct Wire(Arc<Inner>);

struct Inner {
    sockets: Vec<Datagrams>,
    /// Links of datagrams: a socket and an address of ours that peers ask, known once one did. The first ones name no address.
    links: RwLock<Vec<(usize, Option<IpAddr>)>>,
    connections: DashMap<u64, Outgoing>,
    next_link: AtomicU64,
    addresses: Arc<Addresses>,
    malformed: AtomicU64,
    unsent: AtomicU64,
}

/// A datagram socket.
struct Datagrams {
    socket: UdpSocket,
    bound: SocketAddr,
}

/// A connection's way out, and the order to give it up.
#[derive(Clone)]
struct Outgoing {
    queue: mpsc::Sender<Bytes>,
    give_up: Arc<Notify>,
}

/// Messages that may wait for a connection that does not take them.
const QUEUE: usize = 1024;
/// Links below are those of datagrams.
const FIRST_CONNECTION: u64 = 1000;
/// Read from a connection at once: little while it sends little, for there may be a hundred thousand of them.
const READ: usize = 2 * 1024;
const READ_MOST: usize = 64 * 1024;

/// The open listeners.
pub struct Listeners {
    wire: Wire,
    tcp: Vec<TcpListener>,
    settings: Sip,
}

impl Listeners {
    /// Opens both ports for both transports. Port 0 picks one that is free for both.
    pub fn open(settings: &Sip, addresses: Arc<Addresses>) -> Result<Listeners, String> {
        let (mut sockets, mut tcp) = (Vec::new(), Vec::new());
        let mut wanted = vec![("sip.udp_listen", settings.udp_listen)];
        if settings.tcp_listen != settings.udp_listen || settings.tcp_listen.port() == 0 {
            wanted.push(("sip.tcp_listen", settings.tcp_listen));
        }
        for (key, address) in wanted {
            let (socket, listener) = open(address, settings.receive_buffer.bytes()).map_err(|e| format!("{key} = {address}: {e}"))?;
            let bound = socket.local_addr().map_err(|e| format!("{key} = {address}: {e}"))?;
            // where any address of ours can be asked, answers leave from the one that was
            if bound.ip().is_unspecified()
                && let Err(error) = tell_destinations(socket.as_fd(), bound.is_ipv6())
            {
                tracing::warn!(%address, %error, "answers leave from the address that the routing table chooses");
            }
            sockets.push(Datagrams { socket, bound });
            tcp.push(listener);
        }
        let inner = Inner {
            links: RwLock::new((0..sockets.len()).map(|socket| (socket, None)).collect()),
            sockets,
            connections: DashMap::new(),
            next_link: AtomicU64::new(FIRST_CONNECTION),
            addresses,
            malformed: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
        };
        Ok(Listeners { wire: Wire(Arc::new(inner)), tcp, settings: settings.clone() })
    }

    /// The way out.
    pub fn wire(&self) -> Wire {
        self.wire.clone()
    }

    /// Starts to take messages.
    pub fn start(self, inbound: Arc<dyn Inbound>, tasks: &Tasks) {
        for number in 0..self.wire.0.sockets.len() {
            let (wire, inbound, stop) = (self.wire.clone(), inbound.clone(), tasks.stopping());
            tasks.spawn("sip datagrams", async move {
                tokio::select! {
                    () = stop.requested() => {}
                    () = datagrams(&wire, number, &*inbound) => {}
                }
            });
        }
        let limits = Limits::new(self.settings.max_connections, self.settings.max_per_address);
        for listener in self.tcp {
            let accepting = Accepting {
                wire: self.wire.clone(),
                inbound: inbound.clone(),
                limits: limits.clone(),
                settings: Arc::new(self.settings.clone()),
                tasks: tasks.clone(),
            };
            let stop = tasks.stopping();
            tasks.spawn("sip connections", async move {
                tokio::select! {
                    () = stop.requested() => {}
                    () = accepting.run(listener) => {}
                }
            });
        }
    }
}

fn open(address: SocketAddr, buffer: usize) -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut last = std::io::Error::other("no port is free for both UDP and TCP");
    for _ in 0..if address.port() == 0 { 32 } else { 1 } {
        let (socket, _) = bind_udp(address, buffer, false)?;
        let socket = UdpSocket::from_std(socket)?;
        match bind_tcp(socket.local_addr()?) {
            Ok(listener) => return Ok((socket, listener)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Wire {
    /// Sends without waiting. What a socket does not take is dropped: over UDP it is repeated, a TCP connection that takes nothing
    /// for so long is closed.
    pub fn send(&self, path: &Path, bytes: Bytes) {
        let sent = match path.transport {
            Transport::Udp => {
                let (socket, source) = self.link(path.link);
                self.0.sockets.get(socket).is_some_and(|Datagrams { socket, bound }| {
                    let send = || send_from(socket.as_fd(), bound.is_ipv6(), &bytes, path.remote, source);
                    socket.try_io(Interest::WRITABLE, send).is_ok()
                })
            }
            Transport::Tcp => {
                let outgoing = self.0.connections.get(&path.link).map(|outgoing| outgoing.clone());
                outgoing.is_some_and(|outgoing| {
                    let sent = outgoing.queue.try_send(bytes);
                    if matches!(sent, Err(mpsc::error::TrySendError::Full(_))) {
                        outgoing.give_up.notify_one();
                    }
                    sent.is_ok()
                })
            }
        };
        if !sent {
            self.0.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where the ports are really open.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.sockets.iter().map(|socket| socket.bound).collect()
    }

    /// The address of ours that a datagram peer asks, where it is known: what else is sent to it leaves from there too.
    pub fn source(&self, path: &Path) -> Option<IpAddr> {
        match path.transport {
            Transport::Udp => self.link(path.link).1,
            Transport::Tcp => None,
        }
    }

    fn link(&self, link: u64) -> (usize, Option<IpAddr>) {
        let links = self.0.links.read().unwrap_or_else(PoisonError::into_inner);
        usize::try_from(link).ok().and_then(|link| links.get(link).copied()).unwrap_or((usize::MAX, None))
    }

    /// The link of a socket and an address of ours. There are no more of them than we have addresses.
    fn link_of(&self, socket: usize, asked: Option<IpAddr>) -> u64 {
        let wanted = (socket, asked);
        let find = |links: &[(usize, Option<IpAddr>)]| links.iter().position(|link| *link == wanted);
        if let Some(known) = find(&self.0.links.read().unwrap_or_else(PoisonError::into_inner)) {
            return known as u64;
        }
        let mut links = self.0.links.write().unwrap_or_else(PoisonError::into_inner);
        match find(&links) {
            Some(known) => known as u64,
            None if links.len() as u64 >= FIRST_CONNECTION => socket as u64,
            None => {
                links.push(wanted);
                links.len() as u64 - 1
            }
        }
    }

    /// The socket to use again for a peer that was reached by UDP before a restart, and our address for it.
    pub fn restore(&self, remote: SocketAddr) -> Option<Path> {
        let bound = self.0.sockets.first()?.bound.ip();
        let asked = bound.is_unspecified().then(|| self.0.addresses.way_to(remote.ip())).flatten();
        self.udp_path(0, remote, asked)
    }

    /// TCP connections now.
    pub fn connections(&self) -> usize {
        self.0.connections.len()
    }

    /// What arrived and was no SIP, and what could not be sent.
    pub fn trouble(&self) -> (u64, u64) {
        (self.0.malformed.load(Ordering::Relaxed), self.0.unsent.load(Ordering::Relaxed))
    }

    fn udp_path(&self, socket: usize, remote: SocketAddr, asked: Option<IpAddr>) -> Option<Path> {
        let bound = self.0.sockets.get(socket)?.bound;
        let local = SocketAddr::new(self.0.addresses.seen_by(remote.ip(), asked.unwrap_or(bound.ip())), bound.port());
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        Some(Path { transport: Transport::Udp, link: self.link_of(socket, asked), remote, local })
    }
}

async fn datagrams(wire: &Wire, number: usize, inbound: &dyn Inbound) {
    let Some(Datagrams { socket, .. }) = wire.0.sockets.get(number) else { return };
    let mut buffer = vec![0; 65_536];
    loop {
        let received = socket.async_io(Interest::READABLE, || receive_with_destination(socket.as_fd(), &mut buffer)).await;
        let Arrived { length, from: remote, to: asked } = match received {
            Ok(received) => received,
            // an ICMP answer to something that we sent; nothing of ours is wrong
            Err(_) => {
                tokio::task::yield_now().await;
                continue;
            }
        };
        match framer::datagram(&Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default())) {
            Ok(Some(message)) => {
                if let Some(path) = wire.udp_path(number, remote, asked) {
                    inbound.message(path, message);
                }
            }
            Ok(None) => {}
            Err(error) => {
                wire.0.malformed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(peer = %Pii(remote), %error, "a datagram that is no SIP");
            }
        }
    }
}

struct Accepting {
    wire: Wire,
    inbound: Arc<dyn Inbound>,
    limits: Limits,
    settings: Arc<Sip>,
    tasks: Tasks,
}

impl Accepting {
    async fn run(self, listener: TcpListener) {
        loop {
            let (socket, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // out of file descriptors, or a connection that was gone before we took it
                    tracing::warn!(%error, "sip accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let place = match self.limits.enter(peer.ip().to_canonical()) {
                Ok(place) => place,
                Err(refused) => {
                    tracing::debug!(peer = %Pii(peer), %refused, "sip connection refused");
                    continue;
                }
            };
            let (wire, inbound, settings) = (self.wire.clone(), self.inbound.clone(), self.settings.clone());
            let stop = self.tasks.stopping();
            self.tasks.spawn("sip connection", async move {
                let _place = place;
                tokio::select! {
                    () = stop.requested() => {}
                    () = connection(wire, socket, peer, &*inbound, &settings) => {}
                }
            });
        }
    }
}

async fn connection(wire: Wire, socket: TcpStream, peer: SocketAddr, inbound: &dyn Inbound, settings: &Sip) {
    let Ok(bound) = socket.local_addr() else { return };
    if tune(&socket, settings.idle.0).is_err() {
        return;
    }
    let remote = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let link = wire.0.next_link.fetch_add(1, Ordering::Relaxed);
    let local = SocketAddr::new(wire.0.addresses.seen_by(remote.ip(), bound.ip()), bound.port());
    let path = Path { transport: Transport::Tcp, link, remote, local };
    let (queue, mut outgoing) = mpsc::channel::<Bytes>(QUEUE);
    let give_up = Arc::new(Notify::new());
    wire.0.connections.insert(link, Outgoing { queue, give_up: give_up.clone() });
    let (mut reader, mut writer) = socket.into_split();
    let write = async move {
        while let Some(bytes) = outgoing.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let read = async {
        let mut framer = Framer::new(settings.max_body.bytes());
        let (mut heard, mut room) = (false, READ);
        loop {
            framer.buffer().reserve(room);
            let read = reader.read_buf(framer.buffer());
            let got = match heard {
                true => read.await,
                false => match tokio::time::timeout(settings.first_message.0, read).await {
                    Ok(got) => got,
                    Err(_) => return "it stayed silent".to_owned(),
                },
            };
            match got {
                Ok(0) => return "it was closed".to_owned(),
                Ok(n) => room = if n >= room { (room * 4).min(READ_MOST) } else { room },
                Err(error) => return error.to_string(),
            }
            loop {
                match framer.pull() {
                    Ok(Some(message)) => {
                        heard = true;
                        inbound.message(path, message);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        wire.0.malformed.fetch_add(1, Ordering::Relaxed);
                        return error.to_string();
                    }
                }
            }
            if framer.buffer().is_empty() && room > READ {
                room = READ;
                *framer.buffer() = BytesMut::new();
            }
            for _ in 0..framer.take_pings() {
                // RFC 5626 section 3.5.1: a double CRLF is answered with one
                wire.send(&path, Bytes::from_static(b"\r\n"));
            }
        }
    };
    let why = tokio::select! {
        why = read => why,
        () = write => "it was closed for writing".to_owned(),
        () = give_up.notified() => "it took nothing".to_owned(),
    };
    tracing::debug!(peer = %Pii(peer), why, "sip connection over");
    wire.0.connections.remove(&link);
    inbound.closed(link);
}
