//! What all calls share: sockets, the table of SSRCs, the readers, and the housekeeping that ends what is overdue.

use super::call::{Call, Expect, Ground, Transport};
use super::connection::Connection;
use super::ports::{Port, Ports};
use super::reader::Reader;
use super::settings::{Senders, Settings};
use super::table::{Found, Stranger, Table};
use crate::base::error::End;
use crate::edge::net::{Limits, bind_tcp, bind_udp, tune};
use crate::edge::session::Sessions;
use crate::media::time::Timestamp;
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use crate::stream::Registry;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// The shared part of [`Media`](super::Media).
pub struct Hub {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The clock.
    pub clock: Clock,
    /// The shared port, as it was really opened.
    pub address: SocketAddr,
    /// The range of own ports.
    pub ports: Option<Ports>,
    /// What belongs to no call.
    pub counts: Counts,
    registry: Registry,
    sessions: Sessions,
    tasks: Tasks,
    table: Mutex<Table>,
    readers: Vec<Reader>,
    shared: Vec<Arc<UdpSocket>>,
    /// The port above the shared one, where it was free: senders report there.
    above: Option<Arc<UdpSocket>>,
    next_call: AtomicU64,
    next_reader: AtomicUsize,
    limits: Limits,
}

/// Counters of the shared port.
#[derive(Debug, Default)]
pub struct Counts {
    no_rtp: AtomicU64,
}

impl Counts {
    /// A datagram that is no RTP.
    pub fn no_rtp(&self) {
        self.no_rtp.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn no_rtp_total(&self) -> u64 {
        self.no_rtp.load(Ordering::Relaxed)
    }
}

/// Why media cannot be expected.
#[derive(Debug, thiserror::Error)]
pub enum CannotExpect {
    /// Two calls of the shared port cannot have the same SSRC.
    #[error("another call has SSRC {0:010}")]
    SsrcTaken(u32),
    /// All ports of the range are in use.
    #[error("all {0} ports of rtp.ports are in use")]
    NoPort(usize),
    /// A port of its own was asked for and none is configured.
    #[error("rtp.ports is empty: no call can have a port of its own")]
    NoRange,
    /// The machine does not let us.
    #[error("cannot open a media port: {0}")]
    Io(#[from] io::Error),
}

/// What [`Hub`] is built from.
pub struct Parts {
    /// The settings.
    pub settings: Settings,
    /// The streams.
    pub registry: Registry,
    /// The sessions.
    pub sessions: Sessions,
    /// The clock.
    pub clock: Clock,
    /// Where its tasks run.
    pub tasks: Tasks,
}

impl Hub {
    const TICK: Duration = Duration::from_millis(100);
    /// A peer that vanished without a word is noticed within this time.
    const DEAD_AFTER: Duration = Duration::from_secs(30);
    /// Ports of the range that are tried for one call: other programs may sit on some.
    const TRIES: usize = 16;
    const REPORTS_BUFFER: usize = 64 << 10;

    /// Opens the shared port and starts the readers.
    pub fn start(parts: Parts) -> io::Result<Arc<Hub>> {
        let Parts { settings, registry, sessions, clock, tasks } = parts;
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let ports = settings.range().map_err(invalid)?.map(|(from, to)| Ports::new(from, to));
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let count = if settings.readers == 0 { cores.min(8) } else { settings.readers.min(64) };
        let (shared, listener) = Hub::open(&settings, count)?;
        let address = shared[0].local_addr()?;
        let readers = (0..count).map(|_| Reader::new()).collect::<io::Result<Vec<_>>>()?;
        for (reader, socket) in readers.iter().zip(&shared) {
            reader.add_shared(socket.clone())?;
        }
        let above = Hub::open_above(address);
        if let (Some(reader), Some(above)) = (readers.first(), &above) {
            reader.add_shared(above.clone())?;
        }
        let limits = Limits::new(settings.max_connections, 0);
        let hub = Arc::new(Hub {
            settings: Arc::new(settings),
            clock,
            address,
            ports,
            counts: Counts::default(),
            registry,
            sessions,
            tasks: tasks.clone(),
            table: Mutex::default(),
            readers,
            shared,
            above,
            next_call: AtomicU64::new(1),
            next_reader: AtomicUsize::new(0),
            limits,
        });
        for at in 0..count {
            let (hub, stop) = (hub.clone(), tasks.stopping());
            tasks.spawn("media reader", async move { hub.readers[at].run(&hub, stop).await });
        }
        let (accepting, stop) = (hub.clone(), tasks.stopping());
        tasks.spawn("media connections", async move { accepting.accept(listener, stop).await });
        let (keeping, stop) = (hub.clone(), tasks.stopping());
        tasks.spawn("media calls", async move { keeping.keep_house(stop).await });
        tracing::info!(%address, readers = count, "media port open");
        Ok(hub)
    }

    /// The same port for datagrams and connections. With port 0 one that is free for both.
    fn open(settings: &Settings, count: usize) -> io::Result<(Vec<Arc<UdpSocket>>, TcpListener)> {
        let wanted = settings.receive_buffer.bytes();
        let mut last = io::Error::other("no port");
        for _ in 0..if settings.listen.port() == 0 { Hub::TRIES } else { 1 } {
            let (first, given) = bind_udp(settings.listen, wanted, count > 1)?;
            let address = first.local_addr()?;
            match bind_tcp(address) {
                Ok(listener) => {
                    if given < wanted {
                        tracing::warn!(
                            wanted,
                            given,
                            "the machine limits the media receive buffer: raise net.core.rmem_max, or packets are lost under load"
                        );
                    }
                    let mut sockets = vec![Arc::new(first)];
                    for _ in 1..count {
                        sockets.push(Arc::new(bind_udp(address, wanted, true)?.0));
                    }
                    return Ok((sockets, listener));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The port above that of the media, for reports. Where another program has it, reports leave from the media port.
    fn open_above(media: SocketAddr) -> Option<Arc<UdpSocket>> {
        let address = SocketAddr::new(media.ip(), media.port().checked_add(1)?);
        match bind_udp(address, Self::REPORTS_BUFFER, false) {
            Ok((socket, _)) => Some(Arc::new(socket)),
            Err(error) => {
                tracing::debug!(%address, %error, "no port for reports");
                None
            }
        }
    }

    /// The table; held only for a look or a change.
    pub fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets up a call.
    pub fn expect(self: &Arc<Hub>, expect: Expect) -> Result<(Arc<Call>, Option<Port>), CannotExpect> {
        let own = expect.own_port || self.settings.port_per_call;
        if !own || expect.transport == Transport::TcpActive {
            // For an active connection the port means nothing: it is the device's that counts.
            let call = self.call(expect, self.address.port(), own);
            let ssrc = call.expect.ssrc;
            if !self.table().insert(&call) {
                return Err(CannotExpect::SsrcTaken(ssrc));
            }
            let early = self.table().claim(ssrc);
            self.replay(&call, early);
            return Ok((call, None));
        }
        let ports = self.ports.as_ref().ok_or(CannotExpect::NoRange)?;
        let mut last = None;
        for _ in 0..Self::TRIES {
            let Some(port) = ports.take() else { break };
            let address = SocketAddr::new(self.address.ip(), port.number());
            let call = self.call(expect.clone(), port.number(), true);
            match self.open_own(&call, address) {
                Ok(()) => {
                    self.table().insert(&call);
                    return Ok((call, Some(port)));
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or(CannotExpect::NoPort(ports.used().1), CannotExpect::Io))
    }

    fn call(&self, expect: Expect, port: u16, own_port: bool) -> Arc<Call> {
        let ground = Ground { settings: self.settings.clone(), registry: self.registry.clone(), sessions: self.sessions.clone() };
        let id = self.next_call.fetch_add(1, Ordering::Relaxed);
        let call = Call::new(id, expect, port, own_port, self.clock.now(), ground);
        if let Some(above) = self.above.as_ref().filter(|_| !own_port) {
            call.reports_from(above.clone());
        }
        Arc::new(call)
    }

    fn open_own(self: &Arc<Hub>, call: &Arc<Call>, address: SocketAddr) -> io::Result<()> {
        if call.expect.transport == Transport::Udp {
            let buffer = self.settings.receive_buffer.bytes().min(1 << 20);
            let (socket, _) = bind_udp(address, buffer, false)?;
            if let Some(above) = Hub::open_above(address) {
                call.reports_from(above.clone());
                self.reader().add_own(above, call.clone())?;
            }
            self.reader().add_own(Arc::new(socket), call.clone())?;
            return Ok(());
        }
        let listener = bind_tcp(address)?;
        let (hub, call) = (self.clone(), call.clone());
        self.tasks.spawn("media port of a call", async move {
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((socket, peer)) => hub.adopt(socket, peer, Some(&call)),
                        Err(error) => hub.accept_failed(&error).await,
                    },
                    () = call.ended() => return,
                }
            }
        });
        Ok(())
    }

    /// The answer announced another SSRC, or an address.
    pub fn learn(&self, call: &Arc<Call>, ssrc: Option<u32>, source: Option<SocketAddr>) {
        if let Some(ssrc) = ssrc.filter(|ssrc| *ssrc != call.expect.ssrc) {
            let early = self.table().alias(call, ssrc);
            self.replay(call, early);
        }
        if let Some(source) = source
            && call.is_waiting()
        {
            let found = self.table().strangers_at(source);
            if let [ssrc] = found[..] {
                let early = self.table().alias(call, ssrc);
                self.replay(call, early);
            }
        }
    }

    fn replay(&self, call: &Arc<Call>, early: Vec<(SocketAddr, Vec<u8>)>) {
        let now = self.clock.now();
        for (from, bytes) in early {
            match call.expect.transport {
                Transport::Udp => call.datagram(now, from, &bytes, &self.shared[0]),
                _ => call.framed(now, from, &bytes, None, 0),
            };
        }
    }

    /// A packet of an SSRC that no call has.
    pub fn unknown(&self, now: Timestamp, from: SocketAddr, ssrc: u32, bytes: &[u8], tcp: bool) -> Found {
        self.table().unknown(now, from, ssrc, bytes, tcp, self.settings.senders == Senders::Any)
    }

    /// The senders that belong to no call.
    pub fn strangers(&self) -> Vec<Stranger> {
        self.table().strangers(self.clock.now())
    }

    /// Ends a call and closes its sockets.
    pub fn end(&self, call: &Call, end: End) {
        call.end(end);
        self.table().remove(call, self.clock.now());
        self.readers.iter().for_each(|reader| reader.remove_call(call.id));
    }

    /// Connects to a device that waits for us, once a second for as long as the settings say.
    pub fn connect(self: &Arc<Hub>, call: &Arc<Call>, to: SocketAddr) {
        let (hub, call, stop) = (self.clone(), call.clone(), self.tasks.stopping());
        self.tasks.spawn("media connect", async move {
            let until = hub.clock.now() + Timestamp::from(hub.settings.connect.0);
            loop {
                let attempt = tokio::time::timeout(hub.settings.connect.0, TcpStream::connect(to));
                let why = tokio::select! {
                    made = attempt => match made {
                        Ok(Ok(socket)) => return hub.adopt(socket, to, Some(&call)),
                        Ok(Err(error)) => error.to_string(),
                        Err(_) => "no answer".to_owned(),
                    },
                    () = call.ended() => return,
                    () = stop.requested() => return,
                };
                if hub.clock.now() >= until {
                    return hub.end(&call, End::Network(format!("cannot connect to the media port {to}: {why}")));
                }
                hub.clock.sleep(Duration::from_secs(1)).await;
            }
        });
    }

    /// Hands a connection to a reader.
    fn adopt(&self, socket: TcpStream, peer: SocketAddr, call: Option<&Arc<Call>>) {
        let place = match call {
            Some(_) => None,
            None => match self.limits.enter(peer.ip()) {
                Ok(place) => Some(place),
                Err(why) => return tracing::debug!(peer = %crate::base::pii::Pii(peer), %why, "media connection refused"),
            },
        };
        let added = tune(&socket, Self::DEAD_AFTER).and_then(|()| socket.into_std()).and_then(|socket| {
            let mut connection = Connection::new(socket, SocketAddr::new(peer.ip().to_canonical(), peer.port()), self.clock.now());
            if let Some(call) = call {
                connection = connection.for_call(call.clone());
            }
            if let Some(place) = place {
                connection = connection.with_place(place);
            }
            self.reader().add_connection(connection)
        });
        if let Err(error) = added {
            tracing::debug!(%error, "media connection lost at its start");
        }
    }

    async fn accept(self: Arc<Hub>, listener: TcpListener, stop: Stop) {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => self.adopt(socket, peer, None),
                    Err(error) => self.accept_failed(&error).await,
                },
                () = stop.requested() => return,
            }
        }
    }

    /// Usually the process has no descriptors left: others must close first.
    async fn accept_failed(&self, error: &io::Error) {
        tracing::warn!(%error, "media connection not accepted");
        self.clock.sleep(Duration::from_millis(100)).await;
    }

    async fn keep_house(self: Arc<Hub>, stop: Stop) {
        let mut last = self.clock.now();
        loop {
            tokio::select! {
                () = self.clock.sleep(Self::TICK) => {}
                () = stop.requested() => break,
            }
            let now = self.clock.now();
            let calls: Vec<Arc<Call>> = self.table().calls().cloned().collect();
            for call in calls {
                if call.is_over() {
                    self.end(&call, End::Stopped); // the end is known; this takes it out of the table
                } else if let Some(end) = call.tick(now) {
                    self.end(&call, end);
                }
            }
            if now.since(last) >= Duration::from_secs(1) {
                last = now;
                self.table().forget(now);
                self.readers.iter().for_each(|reader| reader.sweep(now));
            }
        }
        let calls: Vec<Arc<Call>> = self.table().calls().cloned().collect();
        calls.iter().for_each(|call| self.end(call, End::Stopped));
    }

    fn reader(&self) -> &Reader {
        &self.readers[self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len()]
    }
}
