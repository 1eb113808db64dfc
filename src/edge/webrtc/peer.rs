//! One session's connection: str0m's state machine with its place in the table, its clock and its log lines.

use super::Settings;
use super::answer::{Locals, Made};
use super::crowd::Ground;
use super::inbox::{Inbox, Number};
use super::table::Entry;
use crate::base::error::End;
use crate::edge::net::Outgoing;
use crate::edge::session::Session;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;
use str0m::net::{Protocol, Receive, Transmit};
use str0m::{Event, Input, Output, Rtc, RtcError};

/// What a session says at its end at most.
const FAREWELL: usize = 64;

/// Datagrams that go out together.
#[derive(Default)]
pub(super) struct Outbox {
    udp: Vec<(SocketAddr, Vec<u8>)>,
    tcp: Vec<(SocketAddr, Vec<u8>)>,
}

/// Datagrams that are collected before they go out.
const COLLECT: usize = 512;

impl Outbox {
    /// Sends what was collected.
    pub fn flush(&mut self, ground: &Ground) {
        if !self.udp.is_empty() {
            let list: Vec<Outgoing<'_>> = self.udp.iter().map(|(to, bytes)| (*to, bytes.as_slice())).collect();
            ground.port.send(&list);
            self.udp.clear();
        }
        for (to, bytes) in self.tcp.drain(..) {
            if let Some(lines) = &ground.lines {
                lines.send(to, bytes);
            }
        }
    }

    fn push(&mut self, datagram: Transmit) {
        let list = if datagram.proto == Protocol::Udp { &mut self.udp } else { &mut self.tcp };
        list.push((datagram.destination, datagram.contents.into()));
    }

    /// Sends if much was collected.
    pub fn relieve(&mut self, ground: &Ground) {
        if self.udp.len() + self.tcp.len() >= COLLECT {
            self.flush(ground);
        }
    }
}

/// Over what a datagram came, and from where.
pub(super) type Origin = (Protocol, SocketAddr);

/// A connection.
pub(super) struct Peer {
    pub rtc: Rtc,
    pub session: Session,
    entry: Entry,
    locals: Locals,
    opened: Instant,
    heard: Instant,
    /// When str0m wants to be called again.
    pub next: Instant,
    pub connected: bool,
}

/// Reads what happened to a connection.
pub(super) trait Hear {
    /// Something happened.
    fn hear(&mut self, rtc: &mut Rtc, session: &Session, event: Event) -> Result<(), End>;
}

impl Peer {
    pub fn new(made: Made, session: Session, entry: Entry, locals: Locals, now: Instant) -> Peer {
        Peer { rtc: made.rtc, session, entry, locals, opened: now, heard: now, next: now, connected: false }
    }

    /// Another task has it from now on; it has not heard from the network yet.
    pub fn reroute(&mut self, inbox: Arc<Inbox>) {
        self.entry.reroute(inbox);
    }

    pub fn number(&self) -> Number {
        self.entry.session()
    }

    /// Takes a datagram.
    pub fn datagram(&mut self, now: Instant, (way, from): Origin, bytes: &[u8], out: &mut Outbox, on: &mut dyn Hear) -> Result<(), End> {
        let Some(local) = self.locals.of(way).find(|local| local.is_ipv4() == from.is_ipv4()) else { return Ok(()) };
        let Ok(receive) = Receive::new(way, from, local, bytes) else { return Ok(()) };
        let input = Input::Receive(now, receive);
        let stun = bytes.first().is_some_and(|first| *first < 2);
        let rtc = &mut self.rtc;
        let taken = guarded(|| {
            if !rtc.accepts(&input) {
                return Ok(false);
            }
            rtc.handle_input(input).map(|()| true)
        })?;
        match taken {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            // A packet that is none costs itself; what breaks the encryption ends the session.
            Err(error @ (RtcError::Dtls(_) | RtcError::RemoteSdp(_))) => return Err(End::PeerBroke(error.to_string())),
            Err(error) => self.session.span().in_scope(|| tracing::debug!(%error, "a datagram that makes no sense")),
        }
        // A connection knows by itself whose it is.
        if stun && way == Protocol::Udp {
            self.entry.met(from);
        }
        self.heard = now;
        self.session.read(bytes.len());
        self.drain(out, on)
    }

    /// Lets time go on.
    pub fn tick(&mut self, now: Instant, out: &mut Outbox, on: &mut dyn Hear) -> Result<(), End> {
        let rtc = &mut self.rtc;
        match guarded(|| rtc.handle_input(Input::Timeout(now)))? {
            Ok(()) => self.drain(out, on),
            Err(error) => Err(End::PeerBroke(error.to_string())),
        }
    }

    /// Takes out what the state machine has to say.
    fn drain(&mut self, out: &mut Outbox, on: &mut dyn Hear) -> Result<(), End> {
        loop {
            let rtc = &mut self.rtc;
            match guarded(|| rtc.poll_output())? {
                Ok(Output::Timeout(at)) => {
                    self.next = at;
                    return Ok(());
                }
                Ok(Output::Transmit(datagram)) => {
                    self.session.wrote(datagram.contents.len());
                    out.push(datagram);
                }
                Ok(Output::Event(Event::Closed)) => return Err(End::PeerClosed),
                Ok(Output::Event(event)) => {
                    if matches!(event, Event::Connected) {
                        self.connected = true;
                    }
                    on.hear(&mut self.rtc, &self.session, event)?;
                }
                Err(error) => return Err(End::PeerBroke(error.to_string())),
            }
        }
    }

    /// Whether it must end by itself.
    pub fn overdue(&self, now: Instant, settings: &Settings) -> Option<End> {
        if let Some(end) = self.session.is_kicked() {
            return Some(end);
        }
        if !self.connected && now.duration_since(self.opened) >= settings.connect_time.0 {
            return Some(match self.heard == self.opened {
                true => End::Network(
                    "no connectivity check came: is the port of webrtc.listen reachable, at webrtc.addresses, over UDP or TCP?".to_owned(),
                ),
                false => End::Silent,
            });
        }
        (now.duration_since(self.heard) >= settings.dead_after.0).then_some(End::Silent)
    }

    /// Says goodbye and ends.
    pub fn close(mut self, end: End, out: &mut Outbox) {
        if !matches!(end, End::PeerClosed | End::Silent | End::Failed(_)) {
            let rtc = &mut self.rtc;
            let _ = guarded(|| {
                let _ = rtc.close();
                for _ in 0..FAREWELL {
                    match rtc.poll_output() {
                        Ok(Output::Transmit(datagram)) => out.push(datagram),
                        Ok(Output::Event(_)) => {}
                        Ok(Output::Timeout(_)) | Err(_) => return,
                    }
                }
            });
        }
        self.session.close(end);
    }
}

/// A defect of the library ends the session that found it, not its neighbours in the task.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, End> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| End::Failed("the WebRTC library panicked".to_owned()))
}
