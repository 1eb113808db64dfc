//! One call that receives media: who may send, when it ends, what it found. Shared by the readers and the handle.

use super::codec::Codec;
use super::intake::{Intake, Outlet};
use super::report::{Facts, Report};
use super::settings::{Senders, Settings};
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::edge::session::{Role, Session, Sessions};
use crate::media::time::Timestamp;
use crate::proto::rtp::{Framing, Packet, rtcp};
use crate::stream::{Publisher, Registry, Source};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How the media travels, seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// In datagrams.
    Udp,
    /// The other side connects to us.
    TcpPassive,
    /// We connect to the other side.
    TcpActive,
}

impl Transport {
    /// Whether it is a connection.
    pub fn is_tcp(self) -> bool {
        self != Transport::Udp
    }
}

/// What is expected to arrive.
#[derive(Debug, Clone)]
pub struct Expect {
    /// The stream that it becomes.
    pub key: StreamKey,
    /// The SSRC that the device was told to use.
    pub ssrc: u32,
    /// How it travels.
    pub transport: Transport,
    /// The address that the device registered from.
    pub device: Option<IpAddr>,
    /// What the payload types of the offer mean.
    pub payloads: Vec<(u8, Codec)>,
    /// A port of its own, even if the settings do not ask for it.
    pub own_port: bool,
    /// In place of the setting of that name.
    pub first_packet: Option<Duration>,
    /// In place of the setting of that name.
    pub silence: Option<Duration>,
}

impl Expect {
    /// Media over UDP on the shared port, times as set.
    pub fn new(key: StreamKey, ssrc: u32) -> Expect {
        Expect {
            key,
            ssrc,
            transport: Transport::Udp,
            device: None,
            payloads: Vec::new(),
            own_port: false,
            first_packet: None,
            silence: None,
        }
    }
}

/// What the answer to the INVITE told.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The device's own SSRC.
    pub ssrc: Option<u32>,
    /// Where its media comes from, by its own account.
    pub source: Option<SocketAddr>,
    /// What its payload types mean.
    pub payloads: Vec<(u8, Codec)>,
}

/// How far a call is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing has arrived.
    Waiting,
    /// Packets arrive, no frame has come out yet.
    Arriving,
    /// The stream is published.
    Live,
    /// It is over.
    Ended(End),
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It belongs to the call.
    Yes,
    /// Another sender is bound.
    Foreign,
    /// The call is over.
    Over,
}

/// One call.
pub struct Call {
    /// Its number.
    pub id: u64,
    /// What was expected.
    pub expect: Expect,
    /// The port that the device was told.
    pub port: u16,
    /// Whether that port is its own.
    pub own_port: bool,
    settings: Arc<Settings>,
    registry: Registry,
    sessions: Sessions,
    state: watch::Sender<State>,
    over: AtomicBool,
    waiting: AtomicBool,
    /// Frames had missing packets: ask for a key frame.
    pub key_wanted: Notify,
    /// The socket on the port above, for reports (RFC 3550 section 11).
    above: OnceLock<Arc<UdpSocket>>,
    core: Mutex<Core>,
}

struct Core {
    made: Timestamp,
    answer: Answer,
    bound: Option<Bound>,
    intake: Option<Intake>,
    output: Output,
    foreign: u64,
    malformed: u64,
    framing: Option<Framing>,
    resyncs: u64,
    first_packet: Option<Timestamp>,
    first_frame: Option<Timestamp>,
    held: bool,
    resumed: Option<Timestamp>,
    closed: Option<Timestamp>,
    /// When a key frame was asked for, and the losses up to then.
    key_asked: (Option<Timestamp>, u64),
    last_report: Timestamp,
    /// Where the sender's reports come from, and to which socket of ours: where ours go, then.
    reports: Option<(SocketAddr, Arc<UdpSocket>)>,
    sender_reports: u64,
    meter: Meter,
    goodbye: bool,
}

/// The sender that the call listens to.
struct Bound {
    from: SocketAddr,
    /// The socket that its packets came to; reports leave from it.
    via: Option<Arc<UdpSocket>>,
}

/// The stream and the session, once something came.
struct Output {
    registry: Registry,
    key: StreamKey,
    session: Option<Session>,
    publisher: Option<Publisher>,
}

impl Outlet for Output {
    fn publisher(&mut self) -> Result<&mut Publisher, End> {
        if self.publisher.is_none() {
            let session = self.session.as_ref().ok_or_else(|| End::Failed("frames without a sender".to_owned()))?;
            session.begin(Role::Publish, &self.key);
            let source = Source { protocol: "gb28181", peer: session.peer().to_string(), session: session.id() };
            let publisher = self.registry.publish(&self.key, source).map_err(|why| End::Denied(why.to_string()))?;
            self.publisher = Some(publisher);
        }
        self.publisher.as_mut().ok_or_else(|| End::Failed("no publisher".to_owned()))
    }
}

/// Bits a second over about a second.
#[derive(Default)]
struct Meter {
    since: Timestamp,
    bytes: u64,
    bits_per_second: u64,
}

/// What a call stands on.
pub struct Ground {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The streams.
    pub registry: Registry,
    /// The sessions.
    pub sessions: Sessions,
}

impl Call {
    /// After so long without packets another sender may take the place of the bound one.
    const REBIND: Duration = Duration::from_secs(2);
    /// A device whose connection broke gets so long to connect again.
    const RECONNECT: Duration = Duration::from_secs(3);
    /// A key frame is asked for at most so often.
    const KEY_PAUSE: Duration = Duration::from_secs(1);

    /// A call that waits for its first packet.
    pub fn new(id: u64, expect: Expect, port: u16, own_port: bool, now: Timestamp, ground: Ground) -> Call {
        let output = Output { registry: ground.registry.clone(), key: expect.key.clone(), session: None, publisher: None };
        let core = Core {
            made: now,
            answer: Answer::default(),
            bound: None,
            intake: None,
            output,
            foreign: 0,
            malformed: 0,
            framing: None,
            resyncs: 0,
            first_packet: None,
            first_frame: None,
            held: false,
            resumed: None,
            closed: None,
            key_asked: (None, 0),
            last_report: now,
            reports: None,
            sender_reports: 0,
            meter: Meter::default(),
            goodbye: false,
        };
        Call {
            id,
            expect,
            port,
            own_port,
            settings: ground.settings,
            registry: ground.registry,
            sessions: ground.sessions,
            state: watch::Sender::new(State::Waiting),
            over: AtomicBool::new(false),
            waiting: AtomicBool::new(true),
            key_wanted: Notify::new(),
            above: OnceLock::new(),
            core: Mutex::new(core),
        }
    }

    /// Whether nothing has arrived yet.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Its state, to be watched.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Returns when it has ended.
    pub async fn ended(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`.
        let _ = state.wait_for(|state| matches!(state, State::Ended(_))).await;
    }

    /// Takes in what the answer told.
    pub fn answer(&self, answer: Answer) {
        self.core().answer = answer;
    }

    /// Where the answer says that the media comes from.
    pub fn answered_source(&self) -> Option<SocketAddr> {
        self.core().answer.source
    }

    /// No packets are expected for a while (playback is paused), or they are again.
    pub fn hold(&self, held: bool, now: Timestamp) {
        let mut core = self.core();
        core.held = held;
        core.resumed = Some(now);
    }

    /// Whether it listens to this sender.
    pub fn is_bound_to(&self, from: SocketAddr) -> bool {
        self.core().bound.as_ref().is_some_and(|bound| bound.from == from)
    }

    /// Since when no packet has come; `None` before the first.
    pub fn silent_for(&self, now: Timestamp) -> Option<Duration> {
        self.core().intake.as_ref()?.last_arrival().map(|last| now.since(last))
    }

    /// Since when no packet came, counted from `since` at the earliest. `None`: none is to be expected at all, for its connection is
    /// closed, or it is held.
    pub fn quiet_for(&self, since: Timestamp, now: Timestamp) -> Option<Duration> {
        let core = self.core();
        if core.held || core.closed.is_some() {
            return None;
        }
        let last = core.intake.as_ref().and_then(Intake::last_arrival);
        Some(now.since(last.map_or(since, |last| last.max(since))))
    }

    /// Whether a sender that is there would have been heard: its connection is closed, or nothing came for so long.
    pub fn is_dead(&self, now: Timestamp, silence: Duration) -> bool {
        let core = self.core();
        if core.held {
            return false;
        }
        let last = core.intake.as_ref().and_then(Intake::last_arrival).unwrap_or(core.made);
        core.closed.is_some() || now.since(last) >= silence
    }

    /// A datagram with RTP.
    pub fn datagram(&self, now: Timestamp, from: SocketAddr, bytes: &[u8], via: &Arc<UdpSocket>) -> Taken {
        if self.is_over() {
            return Taken::Over;
        }
        let mut core = self.core();
        if !self.admits(&mut core, now, from) {
            core.foreign += 1;
            return Taken::Foreign;
        }
        if core.bound.as_ref().is_none_or(|bound| bound.from != from) {
            core.bound = Some(Bound { from, via: Some(via.clone()) });
        }
        self.packet(core, now, from, bytes)
    }

    /// A packet from a connection, which is known to belong to this call.
    pub fn framed(&self, now: Timestamp, from: SocketAddr, bytes: &[u8], framing: Option<Framing>, resyncs: u64) -> Taken {
        if self.is_over() {
            return Taken::Over;
        }
        let mut core = self.core();
        core.closed = None;
        core.framing = framing;
        core.resyncs = resyncs;
        if core.bound.as_ref().is_none_or(|bound| bound.from != from) {
            core.bound = Some(Bound { from, via: None });
        }
        self.packet(core, now, from, bytes)
    }

    /// The connection that carried it is closed.
    pub fn connection_closed(&self, now: Timestamp) {
        self.core().closed.get_or_insert(now);
    }

    /// Reports leave from this socket, on the port above that of the media.
    pub fn reports_from(&self, above: Arc<UdpSocket>) {
        // there is one at most, made with the call
        let _ = self.above.set(above);
    }

    /// RTCP from the bound sender; `via`: the socket that it came to, if it is no connection.
    pub fn control(&self, now: Timestamp, from: SocketAddr, bytes: &[u8], via: Option<&Arc<UdpSocket>>) {
        let mut guard = self.core();
        let core = &mut *guard;
        if core.bound.as_ref().is_none_or(|bound| bound.from.ip() != from.ip()) {
            return;
        }
        for one in rtcp::parse(bytes) {
            match (one, &mut core.intake) {
                (rtcp::Rtcp::Sender(report), Some(intake)) => {
                    core.sender_reports += 1;
                    intake.sender_report(now, &report);
                    if let Some(via) = via
                        && core.reports.as_ref().is_none_or(|(known, _)| *known != from)
                    {
                        core.reports = Some((from, via.clone()));
                    }
                }
                (rtcp::Rtcp::Bye(_), _) => core.goodbye = true,
                _ => {}
            }
        }
    }

    /// What is due: time-outs, packets given up, reports. An end is for the caller to carry out.
    pub fn tick(&self, now: Timestamp) -> Option<End> {
        let mut guard = self.core();
        let core = &mut *guard;
        if let Some(intake) = &mut core.intake
            && let Err(end) = intake.poll(now, &mut core.output)
        {
            return Some(end);
        }
        self.ask_for_key(core, now);
        core.meter.tick(now, core.intake.as_ref().map_or(0, |intake| intake.counts().bytes));
        self.report_to_sender(core, now);
        let kicked = core.output.session.as_ref().and_then(Session::is_kicked);
        let stopped = core.output.publisher.as_ref().and_then(Publisher::is_stopped);
        kicked.or(stopped).or_else(|| self.overdue(core, now))
    }

    /// Ends it: the last frames go out, the stream is left, the state says why. Later calls change nothing.
    pub fn end(&self, end: End) {
        if self.over.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut guard = self.core();
        let core = &mut *guard;
        self.waiting.store(false, Ordering::Release);
        if let Some(intake) = &mut core.intake
            && core.output.publisher.is_some()
        {
            // An error here changes nothing: the end is known.
            let _ = intake.finish(&mut core.output);
        }
        match core.output.publisher.take() {
            // a recording that was played to its end does not come back
            Some(publisher) if end == End::StreamEnded => publisher.finish(),
            _ => {}
        }
        if let Some(session) = core.output.session.take() {
            session.close(end.clone());
        }
        drop(guard);
        self.state.send_replace(State::Ended(end));
    }

    /// Returns when a viewer of the stream wants a key frame; `None` before there is a stream, and when it is over.
    pub fn key_wanted_by_viewers(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        self.core().output.publisher.as_ref().map(Publisher::key_wanted)
    }

    /// All that is known.
    pub fn report(&self, now: Timestamp) -> Report {
        let core = self.core();
        let state = self.state.borrow().clone();
        Report::new(self, &state, &core.facts(now))
    }

    fn packet(&self, mut guard: MutexGuard<'_, Core>, now: Timestamp, from: SocketAddr, bytes: &[u8]) -> Taken {
        let core = &mut *guard;
        let Ok(packet) = Packet::parse(bytes) else {
            core.malformed += 1;
            return Taken::Yes;
        };
        if core.first_packet.is_none() {
            core.first_packet = Some(now);
            core.output.session = Some(self.sessions.open("gb28181", from));
            self.waiting.store(false, Ordering::Release);
            self.state.send_replace(State::Arriving);
        }
        let intake = core.intake.get_or_insert_with(|| {
            let payloads = if core.answer.payloads.is_empty() { &self.expect.payloads } else { &core.answer.payloads };
            Intake::new(&self.settings, payloads.clone(), self.expect.transport.is_tcp(), &packet)
        });
        let before = intake.frames().0;
        let done = intake.packet(now, &packet, &mut core.output);
        let frames = intake.frames().0 - before;
        if let Some(session) = &core.output.session {
            session.read(bytes.len());
            session.frames(frames);
        }
        if frames > 0 && core.first_frame.is_none() {
            core.first_frame = Some(now);
            self.state.send_replace(State::Live);
        }
        if let Err(end) = done {
            drop(guard);
            self.end(end);
            return Taken::Over;
        }
        self.ask_for_key(core, now);
        Taken::Yes
    }

    /// Pictures are broken from a loss up to the next key frame.
    fn ask_for_key(&self, core: &mut Core, now: Timestamp) {
        let lost = core.intake.as_ref().map_or(0, |intake| intake.counts().lost);
        if lost > core.key_asked.1 && core.key_asked.0.is_none_or(|last| now.since(last) >= Self::KEY_PAUSE) {
            core.key_asked = (Some(now), lost);
            self.key_wanted.notify_one();
        }
    }

    /// Whether this sender is the one: the first; the device itself in any case; another after silence (NAT changes ports).
    fn admits(&self, core: &mut Core, now: Timestamp, from: SocketAddr) -> bool {
        let is_device = self.expect.device == Some(from.ip());
        if self.settings.senders == Senders::Device && self.expect.device.is_some() && !is_device {
            return false;
        }
        let Some(bound) = &core.bound else { return true };
        if bound.from == from {
            return true;
        }
        let silent = core.intake.as_ref().and_then(Intake::last_arrival).is_none_or(|last| now.since(last) >= Self::REBIND);
        silent || is_device && self.expect.device != Some(bound.from.ip())
    }

    fn overdue(&self, core: &Core, now: Timestamp) -> Option<End> {
        if core.held {
            return None;
        }
        if core.closed.is_some_and(|at| now.since(at) >= Self::RECONNECT) {
            return Some(End::PeerClosed);
        }
        let last = core.intake.as_ref().and_then(Intake::last_arrival);
        let (since, most) = match last {
            None => (core.made, self.expect.first_packet.unwrap_or(self.settings.first_packet.0)),
            Some(last) => (last, self.expect.silence.unwrap_or(self.settings.silence.0)),
        };
        let since = core.resumed.map_or(since, |resumed| resumed.max(since));
        (now.since(since) >= most).then_some(End::Silent)
    }

    /// A receiver report goes to where the sender's reports come from, from where they go to. Of one that sends none, to the port above
    /// that of its media, from the port above ours where that is open (RFC 3550 section 11).
    fn report_to_sender(&self, core: &mut Core, now: Timestamp) {
        let every = self.settings.reports.0;
        if every.is_zero() || now.since(core.last_report) < every {
            return;
        }
        core.last_report = now;
        let Core { bound: Some(Bound { from, via: Some(via) }), intake: Some(intake), reports, .. } = core else { return };
        let Some(block) = intake.report(now) else { return };
        let above = SocketAddr::new(from.ip(), from.port().saturating_add(1));
        let (to, via) = match reports {
            Some((known, via)) if known.ip() == from.ip() => (*known, &*via),
            _ => (above, self.above.get().unwrap_or(&*via)),
        };
        // A report that does not get through is as good as none.
        let _ = via.send_to(&rtcp::receiver_report(self.expect.ssrc ^ 0x5745_4952, &block, "weir"), to);
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream that it feeds, while it is live.
    pub fn stream(&self) -> Option<Arc<crate::stream::Stream>> {
        self.registry.get(&self.expect.key)
    }
}

impl Meter {
    fn tick(&mut self, now: Timestamp, bytes: u64) {
        let span = now.since(self.since).as_secs_f64();
        if span >= 1.0 {
            self.bits_per_second = ((bytes - self.bytes.min(bytes)) as f64 * 8.0 / span) as u64;
            (self.since, self.bytes) = (now, bytes);
        }
    }
}

impl Core {
    fn facts(&self, now: Timestamp) -> Facts<'_> {
        Facts {
            source: self.bound.as_ref().map(|bound| bound.from),
            answer: &self.answer,
            intake: self.intake.as_ref(),
            foreign: self.foreign,
            malformed: self.malformed,
            framing: self.framing,
            resyncs: self.resyncs,
            first_packet: self.first_packet.map(|at| at.since(self.made)),
            first_frame: self.first_frame.map(|at| at.since(self.made)),
            silence: self.intake.as_ref().and_then(Intake::last_arrival).map(|last| now.since(last)),
            bits_per_second: self.meter.bits_per_second,
            goodbye: self.goodbye,
            sender_reports: self.sender_reports,
        }
    }
}
