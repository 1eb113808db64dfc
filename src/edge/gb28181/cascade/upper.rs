//! The connection to one upper platform: registered while it is enabled, its events followed, its calls looked after.

use super::super::link::Link;
use super::super::media::Sending;
use super::super::service::Service;
use super::call::{self, Opened, Refused, Way};
use super::list::{Entry, List};
use super::voice::{self, Voice};
use super::{State, Told, pass};
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::media::time::Timestamp;
use crate::model::time::Time;
use crate::model::upper::{Edition, Setup, Transport, Upper};
use crate::proto::gb28181::client::{self, CallId, Client, Event, Output, Reply, ReplyId, SubscriptionKind};
use crate::proto::gb28181::manscdp::{Control, Query};
use crate::proto::gb28181::sdp::{Description, Purpose};
use crate::proto::gb28181::{Id, Version};
use crate::proto::sip::{self, Path};
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// How often calls and channels are looked at.
const LOOK: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long it tries to unregister.
const FAREWELL: Duration = Duration::from_secs(2);
/// Streams that one upper platform fetches at once.
const CALLS: usize = 2000;
/// How long the platform has to hang up after the end of a recording.
const AFTER_END: Duration = Duration::from_secs(3);
/// Answers that may wait for their turn.
const DONE: usize = 256;

pub(super) struct Connection {
    upper: Upper,
    service: Arc<Service>,
    machine: Client,
    list: List,
    /// Rows changed since the list was read.
    stale: bool,
    calls: HashMap<CallId, Call>,
    state: watch::Sender<State>,
    changed: Arc<Notify>,
    done: mpsc::Sender<Done>,
    inbox: mpsc::Receiver<Done>,
    clock: Clock,
    tasks: Tasks,
}

enum Call {
    /// What it fetches is being opened.
    Opening,
    Open {
        code: Id,
        sending: Sending,
        playback: Option<StreamKey>,
    },
    /// Its voice: we call for it, or it called.
    Voice {
        code: Id,
        /// Until it is up.
        voice: Option<Box<Voice>>,
        tasks: Tasks,
    },
    /// Everything was sent; the platform was told, and hangs up or is hung up on.
    Finished(Timestamp),
}

/// What was worked out beside the loop.
enum Done {
    Answer(ReplyId, Reply),
    Opened(CallId, Id, Result<Box<Opened>, Refused>),
    /// A voice is over.
    Silent(CallId, String),
}

impl Connection {
    pub(super) fn new(
        upper: Upper,
        service: Arc<Service>,
        state: watch::Sender<State>,
        changed: Arc<Notify>,
        tasks: Tasks,
    ) -> Option<Connection> {
        let clock = service.signalling.clock().clone();
        let Setup { server, local, domain, username, password, edition, expires, keepalive, transport, .. } = &upper.setup;
        let (local, server) = (Id::new(local.as_str())?, Id::new(server.as_str())?);
        let password = password.as_ref().map(|password| password.0.as_str()).unwrap_or_default();
        let mut config = client::Config::new(local, server, password);
        if !domain.is_empty() {
            config.domain.clone_from(domain);
        }
        config.username.clone_from(username);
        config.expires = *expires;
        config.keepalive = Duration::from_secs(u64::from(*keepalive).max(1));
        config.retry = service.settings.upper_retry.0.max(Duration::from_secs(1));
        config.version = Some(match edition {
            Edition::V2016 => Version::V2016,
            Edition::V2022 => Version::V2022,
        });
        config.zone = service.settings.zone();
        // Datagrams must fit: some platforms read no fragments.
        config.items = if *transport == Transport::Udp { 2 } else { 50 };
        let mut machine = Client::new(config, rand::random());
        machine.set_wall(clock.now(), clock.unix());
        let (done, inbox) = mpsc::channel(DONE);
        let (list, calls) = (List::default(), HashMap::new());
        Some(Connection { upper, service, machine, list, stale: false, calls, state, changed, done, inbox, clock, tasks })
    }

    /// Runs until its tasks stop.
    pub(super) async fn run(mut self, mut told: mpsc::Receiver<Told>) {
        let stop = self.tasks.stopping();
        let mut pause = FIRST_PAUSE;
        for number in 0.. {
            let opened = tokio::select! {
                opened = self.open() => opened,
                () = stop.requested() => return,
            };
            let lost = match opened {
                Ok((mut link, server)) => match self.live(&mut link, server, number, &mut told, &stop).await {
                    Ok(()) => return,
                    Err(error) => {
                        if self.state.borrow().registered {
                            pause = FIRST_PAUSE;
                        }
                        self.hang_up_all("the connection to the upper platform is gone");
                        self.machine.path_lost(self.clock.now());
                        // What it would send has no way any more.
                        while self.machine.poll().is_some() {}
                        error
                    }
                },
                Err(error) => error,
            };
            let upper = &self.upper;
            tracing::warn!(upper = %upper.id, host = upper.setup.host, error = %lost, again_in = ?pause, "upper platform not reached");
            self.is_registered(false, &lost.to_string());
            tokio::select! {
                () = self.clock.sleep(pause) => {}
                () = stop.requested() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn open(&self) -> io::Result<(Link, SocketAddr)> {
        let setup = &self.upper.setup;
        let mut found = tokio::net::lookup_host((setup.host.as_str(), setup.port)).await?;
        let server = found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host has no address"))?;
        Ok((Link::open(self.transport(), server).await?, server))
    }

    fn transport(&self) -> sip::Transport {
        match self.upper.setup.transport {
            Transport::Udp => sip::Transport::Udp,
            Transport::Tcp => sip::Transport::Tcp,
        }
    }

    /// One link's life; `Ok` if it was told to stop.
    async fn live(
        &mut self,
        link: &mut Link,
        server: SocketAddr,
        number: u64,
        told: &mut mpsc::Receiver<Told>,
        stop: &Stop,
    ) -> io::Result<()> {
        let bound = link.local()?;
        let seen = self.service.addresses.seen_by(server.ip(), bound.ip());
        let path = Path { transport: self.transport(), link: number, remote: server, local: SocketAddr::new(seen, bound.port()) };
        let way = Way { bound: bound.ip(), told: seen, remote: server.ip() };
        self.read_list().await;
        self.machine.connect(self.clock.now(), path);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let changed = self.changed.clone();
        loop {
            self.drain(link, way).await?;
            let due = self.machine.deadline();
            tokio::select! {
                message = link.receive() => self.machine.receive(self.clock.now(), path, message?),
                () = sleep(&self.clock, due) => self.machine.handle_timeout(self.clock.now()),
                Some(done) = self.inbox.recv() => self.take(done),
                Some(told) = told.recv() => self.tell(told),
                () = changed.notified() => self.stale = true,
                _ = look.tick() => self.look().await,
                () = stop.requested() => return self.leave(link, path, way).await,
            }
        }
    }

    /// Hangs up and unregisters, if the platform listens.
    async fn leave(&mut self, link: &mut Link, path: Path, way: Way) -> io::Result<()> {
        self.hang_up_all("this server stops");
        if self.machine.is_registered() {
            self.machine.leave(self.clock.now());
        }
        let until = self.clock.now() + FAREWELL.into();
        self.drain(link, way).await?;
        while self.state.borrow().registered && self.clock.now() < until {
            let due = self.machine.deadline().map_or(until, |due| due.min(until));
            tokio::select! {
                message = link.receive() => self.machine.receive(self.clock.now(), path, message?),
                () = self.clock.sleep_until(due) => self.machine.handle_timeout(self.clock.now()),
            }
            self.drain(link, way).await?;
        }
        Ok(())
    }

    async fn drain(&mut self, link: &mut Link, way: Way) -> io::Result<()> {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Send { bytes, .. } => link.send(&bytes).await?,
                Output::Event(event) => self.on_event(event, way),
            }
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event, way: Way) {
        let (upper, now) = (self.upper.id, self.clock.now());
        match event {
            Event::Registered { .. } => {
                if !self.state.borrow().registered {
                    let setup = &self.upper.setup;
                    tracing::info!(%upper, host = setup.host, server = %setup.server, local = %setup.local, "registered at the upper platform");
                }
                self.is_registered(true, "");
            }
            Event::Unregistered { status } => {
                let why = match status {
                    0 => "the connection is gone".to_owned(),
                    200 => "we unregistered".to_owned(),
                    403 | 401 => format!("the platform refuses the password or our id ({status})"),
                    408 => "the platform does not answer".to_owned(),
                    status => format!("the platform refuses with {status}"),
                };
                tracing::info!(%upper, host = self.upper.setup.host, why, "not registered at the upper platform");
                self.is_registered(false, &why);
                self.hang_up_all("not registered any more");
            }
            Event::Redirected { contact } => {
                tracing::warn!(%upper, contact, "the upper platform sends us elsewhere; set its host and port")
            }
            Event::Query { reply, query, target } => self.on_query(reply, query, target),
            Event::Control { target, control, .. } => self.on_control(target, control),
            Event::Subscribed { kind, on, .. } => {
                tracing::debug!(%upper, ?kind, on, "subscribed by the upper platform");
                if kind == SubscriptionKind::Catalog && on {
                    // A renewal changes nothing: what was not told yet will be.
                    self.list.follow(&self.service, &self.upper.setup);
                }
            }
            Event::Invited { call, channel, offer } => {
                let Some(entry) = self.list.get(channel).cloned() else {
                    tracing::info!(%upper, %channel, "the upper platform calls for a channel that it is not shown");
                    return self.machine.refuse(now, call, 404);
                };
                if self.calls.len() >= CALLS {
                    return self.machine.refuse(now, call, 486);
                }
                if offer.audio || offer.purpose == Some(Purpose::Talk) {
                    return self.on_talk(call, &entry, &offer, way);
                }
                self.calls.insert(call, Call::Opening);
                let (service, tasks, done) = (self.service.clone(), self.tasks.clone(), self.done.clone());
                let stop = self.tasks.stopping();
                self.tasks.spawn("gb28181 upward call", async move {
                    let opened = tokio::select! {
                        opened = call::open(&service, &entry, &offer, way, &tasks) => opened.map(Box::new),
                        () = stop.requested() => return,
                    };
                    // The loop is gone: so is the call.
                    let _ = done.send(Done::Opened(call, entry.code, opened)).await;
                });
            }
            Event::Ended { call, why } => self.closed(call, &why.to_string()),
            Event::Playback { call, command } => {
                let Some(Call::Open { playback: Some(key), .. }) = self.calls.get(&call) else { return };
                let (pulls, key) = (self.service.pulls.clone(), key.clone());
                self.tasks.spawn("gb28181 upward playback", async move {
                    if let Err(why) = pulls.control(&key, command).await {
                        tracing::debug!(stream = %key, %why, "the playback was not controlled");
                    }
                });
            }
            Event::Broadcast { source, target } => self.on_broadcast(source, target, way),
            Event::Up { call, answer, .. } => self.on_up(call, answer.as_deref(), way),
            Event::AlarmTaken { .. } => {}
        }
    }

    /// The platform offers its voice: we call for it.
    fn on_broadcast(&mut self, source: Id, target: Id, way: Way) {
        let upper = self.upper.id;
        let entry = self.list.get(target).filter(|_| self.upper.setup.control && self.calls.len() < CALLS);
        let taken = match entry {
            Some(entry) => voice::to_call(&self.service, entry, &self.upper.setup, way),
            None => Err((404, "AllowControl is off, or the channel is not shown".to_owned())),
        };
        let voice = match taken {
            Ok(voice) => Box::new(voice),
            Err((_, why)) => return tracing::info!(%upper, channel = %target, why, "voice of the upper platform not passed on"),
        };
        let call = self.machine.call_voice(self.clock.now(), target, source, &voice.description);
        if let Some(call) = call {
            self.calls.insert(call, Call::Voice { code: target, voice: Some(voice), tasks: self.tasks.child() });
        }
    }

    /// The platform calls to speak.
    fn on_talk(&mut self, call: CallId, entry: &Entry, offer: &Description, way: Way) {
        let now = self.clock.now();
        let taken = match self.upper.setup.control {
            true => voice::called(&self.service, entry, offer, way),
            false => Err((403, "AllowControl is off".to_owned())),
        };
        match taken {
            Err((status, why)) => {
                tracing::info!(upper = %self.upper.id, channel = %entry.code, status, why, "voice of the upper platform refused");
                self.machine.refuse(now, call, status);
            }
            Ok(voice) => {
                let route = [("X-RoutePath", self.upper.setup.local.to_string())];
                let description = voice.description.clone();
                self.calls.insert(call, Call::Voice { code: entry.code, voice: Some(Box::new(voice)), tasks: self.tasks.child() });
                self.machine.accept_with(now, call, Some(&description), &route);
            }
        }
    }

    /// A call is up: a voice begins to be passed on.
    fn on_up(&mut self, call: CallId, answer: Option<&Description>, way: Way) {
        let Some(Call::Voice { code, voice, tasks }) = self.calls.get_mut(&call) else { return };
        let Some(voice) = voice.take() else { return };
        if let Some(answer) = answer {
            voice::connect(&voice, answer, way);
        }
        let (service, done, code, stop) = (self.service.clone(), self.done.clone(), *code, tasks.stopping());
        tasks.spawn("gb28181 upward voice", async move {
            let why = voice::pass_on(service, code, *voice, stop).await;
            // The loop is gone: so is the call.
            let _ = done.send(Done::Silent(call, why)).await;
        });
    }

    fn on_query(&mut self, reply: ReplyId, query: Query, target: Id) {
        let now = self.clock.now();
        let (unix, zone) = (self.machine.unix_ms(now), self.service.settings.zone());
        if let Some(answer) = pass::here(&self.service, &self.list, &self.upper.setup, (&query, target), unix, zone) {
            return self.machine.reply(now, reply, answer);
        }
        let Some(entry) = self.list.get(target).cloned() else { return };
        let (service, done, stop) = (self.service.clone(), self.done.clone(), self.tasks.stopping());
        self.tasks.spawn("gb28181 upward answer", async move {
            let answer = tokio::select! {
                answer = pass::below(&service, &entry, &query) => answer,
                () = stop.requested() => return,
            };
            let _ = done.send(Done::Answer(reply, answer)).await;
        });
    }

    fn on_control(&mut self, target: Id, control: Option<Control>) {
        let upper = self.upper.id;
        let passed = match (self.list.get(target), &control) {
            _ if !self.upper.setup.control => Err("AllowControl is off"),
            (_, None) => Err("the order is not understood"),
            (None, _) => Err("it is not shown"),
            (Some(entry), Some(control)) => pass::order(&self.service, entry, control),
        };
        match passed {
            Ok(()) => tracing::debug!(%upper, channel = %target, ?control, "order of the upper platform passed on"),
            Err(why) => tracing::info!(%upper, channel = %target, ?control, why, "order of the upper platform not passed on"),
        }
    }

    fn take(&mut self, done: Done) {
        let now = self.clock.now();
        match done {
            Done::Answer(reply, answer) => self.machine.reply(now, reply, answer),
            Done::Silent(call, why) => {
                if self.calls.contains_key(&call) {
                    self.machine.hang_up(now, call);
                    self.closed(call, &why);
                }
            }
            // cancelled meanwhile: what was opened ends with its handle
            Done::Opened(call, ..) if !self.calls.contains_key(&call) => {}
            Done::Opened(call, code, Ok(opened)) => {
                let Opened { sending, answer, playback } = *opened;
                let upper = self.upper.id;
                tracing::info!(%upper, channel = %code, carriage = ?answer.carriage, ssrc = ?answer.ssrc, playback = playback.is_some(), "upward call opened");
                self.calls.insert(call, Call::Open { code, sending, playback });
                let route = [("X-RoutePath", self.upper.setup.local.to_string())];
                self.machine.accept_with(now, call, Some(&answer), &route);
            }
            Done::Opened(call, code, Err((status, why))) => {
                tracing::info!(upper = %self.upper.id, channel = %code, status, why, "upward call refused");
                self.calls.remove(&call);
                self.machine.refuse(now, call, status);
            }
        }
        self.count();
    }

    fn tell(&mut self, told: Told) {
        let now = self.clock.now();
        match told {
            Told::Alarm(device, alarm) => {
                if let Some(entry) = self.list.of_device(device, alarm.source) {
                    let code = entry.code;
                    self.machine.alarm(now, crate::proto::gb28181::manscdp::Alarm { source: Some(code), ..*alarm });
                }
            }
            Told::Positions(device, positions) => {
                if !self.machine.is_subscribed(SubscriptionKind::Position) {
                    return;
                }
                for position in positions {
                    let Some(code) = self.list.of_device(device, position.id).map(|entry| entry.code) else { continue };
                    self.machine.position(now, &crate::proto::gb28181::manscdp::Position { id: Some(code), ..position });
                }
            }
        }
    }

    /// Reads what is shown now.
    async fn read_list(&mut self) {
        self.stale = false;
        match self.service.store.shown_streams(&self.upper).await {
            Ok(shown) => self.list.set(shown),
            Err(error) => tracing::warn!(upper = %self.upper.id, %error, "cannot read what the upper platform is shown"),
        }
        self.count();
    }

    /// Tells what changed, hangs up what is over.
    async fn look(&mut self) {
        if self.stale {
            self.read_list().await;
        }
        let now = self.clock.now();
        self.machine.set_wall(now, self.clock.unix());
        if self.machine.is_subscribed(SubscriptionKind::Catalog) {
            let changes = self.list.changes(&self.service, &self.upper.setup);
            if !changes.is_empty() {
                self.machine.changed(now, &changes);
            }
        } else {
            self.list.unfollow();
        }
        let over: Vec<(CallId, Option<End>)> = self.calls.iter().filter_map(|(id, call)| Some((*id, call.over(now)?))).collect();
        for (id, end) in over {
            match (self.calls.get(&id), end) {
                (Some(Call::Open { code, playback: Some(_), .. }), Some(End::StreamEnded | End::PeerClosed)) => {
                    // The recording was sent to its end (121): the platform hangs up.
                    self.machine.finished(now, id, *code);
                    self.closed(id, "the recording was sent to its end");
                    self.calls.insert(id, Call::Finished(now + AFTER_END.into()));
                }
                (_, end) => {
                    self.machine.hang_up(now, id);
                    self.closed(id, &end.map(|end| end.to_string()).unwrap_or_default());
                }
            }
        }
    }

    fn hang_up_all(&mut self, why: &str) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.machine.hang_up(self.clock.now(), call);
            self.closed(call, why);
        }
    }

    fn closed(&mut self, call: CallId, why: &str) {
        let gone = self.calls.remove(&call);
        if let Some(Call::Voice { code, tasks, .. }) = &gone {
            tracing::info!(upper = %self.upper.id, channel = %code, why, "voice of the upper platform over");
            tasks.stop();
        }
        if let Some(Call::Open { code, sending, .. }) = gone {
            let sent = sending.sent();
            let left_out = sent.left_out;
            tracing::info!(upper = %self.upper.id, channel = %code, why, packets = sent.packets, bytes = sent.bytes, frames = sent.frames, left_out, reports = sent.reports, lost = sent.reported_lost, "upward call closed");
        }
        self.count();
    }

    fn is_registered(&self, registered: bool, error: &str) {
        let now = Time::from_nanos(self.clock.unix().0);
        self.state.send_modify(|state| {
            if state.registered != registered || state.since.is_none() {
                state.since = Some(now);
            }
            state.registered = registered;
            error.clone_into(&mut state.error);
        });
    }

    fn count(&self) {
        let calls = self.calls.values().filter(|call| matches!(call, Call::Open { .. } | Call::Voice { .. })).count();
        let channels = self.list.len();
        self.state.send_modify(|state| (state.calls, state.channels) = (calls, channels));
    }
}

impl Call {
    /// Whether it is over, and why.
    fn over(&self, now: Timestamp) -> Option<Option<End>> {
        match self {
            Call::Opening | Call::Voice { .. } => None,
            Call::Open { sending, .. } => sending.end().map(Some),
            Call::Finished(until) => (now >= *until).then_some(None),
        }
    }
}

async fn sleep(clock: &Clock, due: Option<Timestamp>) {
    match due {
        Some(due) => clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}
