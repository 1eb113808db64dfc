//! The life of a simulated camera: links, registration, events, alarms, positions, restarts.

use super::super::link::Link;
use super::calls::{Call, first_over};
use super::quirk::Quirk;
use super::spoil::spoil;
use super::{Settings, Totals};
use crate::media::time::Timestamp;
use crate::proto::gb28181::client::{self, CallId, Client, Event, Output, ReplyId, SubscriptionKind};
use crate::proto::gb28181::manscdp::{Alarm, AlarmMethod, Control, Position, Query};
use crate::proto::gb28181::sdp::Description;
use crate::proto::gb28181::{Id, ptz};
use crate::proto::sip::Path;
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long it tries to unregister.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a restart takes.
const BOOT: Duration = Duration::from_secs(3);
const LATE_CATALOG: Duration = Duration::from_secs(6);
const SLOW_OK: Duration = Duration::from_secs(3);
/// What it puts off at once; more is done at once.
const LATER_MAX: usize = 1000;
/// 2000-01-01 in Unix nanoseconds: where a clock stands that nobody set.
const YEAR_2000: Timestamp = Timestamp(946_684_800_000_000_000);
/// Degrees: the middle and the radius of the circle on which it moves.
const MIDDLE: (f64, f64) = (118.376, 31.334);
const RADIUS: f64 = 0.01;

pub(super) struct Device {
    pub settings: Settings,
    pub machine: Client,
    pub calls: HashMap<CallId, Call>,
    /// Stored positions of each channel's head.
    pub presets: HashMap<Id, BTreeSet<u8>>,
    /// Whether it alarms.
    pub armed: bool,
    /// Whether it says that it records.
    pub recording: bool,
    pub totals: Arc<Totals>,
    pub clock: Clock,
    pub tasks: Tasks,
    registered: bool,
    /// It is told to restart.
    reboot: bool,
    alarm_at: Option<Timestamp>,
    /// When its position is due, and how often.
    position: Option<(Timestamp, Duration)>,
    later: Vec<(Timestamp, Later)>,
}

/// What it puts off.
pub(super) enum Later {
    Reply(ReplyId, Query, Id),
    Invited(CallId, Id, Box<Description>),
    HangUp(CallId),
}

/// Why a link's life is over.
enum Over {
    Stopped,
    Reboot,
}

impl Device {
    pub(super) fn new(settings: Settings, totals: Arc<Totals>, clock: Clock, tasks: Tasks) -> Device {
        let machine = machine(&settings, &clock);
        Device {
            settings,
            machine,
            calls: HashMap::new(),
            presets: HashMap::new(),
            armed: true,
            recording: true,
            totals,
            clock,
            tasks,
            registered: false,
            reboot: false,
            alarm_at: None,
            position: None,
            later: Vec::new(),
        }
    }

    /// Runs until its tasks stop.
    pub(super) async fn run(mut self) {
        let stop = self.tasks.stopping();
        let mut pause = FIRST_PAUSE;
        for number in 0.. {
            let opened = tokio::select! {
                opened = Link::open(self.settings.transport, self.settings.server) => opened,
                () = stop.requested() => return,
            };
            let live = match opened {
                Ok(mut link) => {
                    let live = self.live(&mut link, number, &stop).await;
                    if self.set_registered(false) {
                        pause = FIRST_PAUSE;
                    }
                    live
                }
                Err(error) => Err(error),
            };
            match live {
                Ok(Over::Stopped) => return,
                Ok(Over::Reboot) => {
                    tracing::info!(camera = %self.settings.id, back_in = ?BOOT, "camera restarts");
                    self.boot();
                    pause = BOOT;
                }
                Err(error) => {
                    self.hang_up_all("the connection to the platform is gone");
                    self.machine.path_lost(self.clock.now());
                    self.later.clear();
                    // What it would send has no way any more.
                    while self.machine.poll().is_some() {}
                    tracing::warn!(camera = %self.settings.id, server = %self.settings.server, %error, again_in = ?pause, "platform not reached");
                }
            }
            tokio::select! {
                () = self.clock.sleep(pause) => {}
                () = stop.requested() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Forgets everything but what is on its disk: without a word to the platform, as one that lost power.
    fn boot(&mut self) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        calls.into_iter().for_each(|call| self.closed(call, "the camera restarts"));
        self.machine = machine(&self.settings, &self.clock);
        (self.reboot, self.alarm_at, self.position) = (false, None, None);
        self.later.clear();
        self.totals.reboots.fetch_add(1, Ordering::Relaxed);
    }

    /// One link's life.
    async fn live(&mut self, link: &mut Link, number: u64, stop: &Stop) -> io::Result<Over> {
        let path = Path { transport: self.settings.transport, link: number, remote: self.settings.server, local: link.local()? };
        self.machine.connect(self.clock.now(), path);
        loop {
            self.drain(link, &path).await?;
            if self.reboot {
                return Ok(Over::Reboot);
            }
            let due = self.deadline();
            tokio::select! {
                message = link.receive() => self.machine.receive(self.clock.now(), path, message?),
                () = sleep(&self.clock, due) => self.on_time(&path),
                (call, end) = first_over(&self.calls) => self.on_over(call, &end),
                () = stop.requested() => return self.leave(link, path).await,
            }
        }
    }

    /// Hangs up and unregisters, if the platform listens.
    async fn leave(&mut self, link: &mut Link, path: Path) -> io::Result<Over> {
        if self.settings.quirks.has(Quirk::NoBye) {
            return Ok(Over::Stopped);
        }
        self.hang_up_all("the camera stops");
        if self.machine.is_registered() {
            self.machine.leave(self.clock.now());
        }
        let until = self.clock.now() + FAREWELL.into();
        self.drain(link, &path).await?;
        while self.registered && self.clock.now() < until {
            let due = self.machine.deadline().map_or(until, |due| due.min(until));
            tokio::select! {
                message = link.receive() => self.machine.receive(self.clock.now(), path, message?),
                () = self.clock.sleep_until(due) => self.machine.handle_timeout(self.clock.now()),
            }
            self.drain(link, &path).await?;
        }
        Ok(Over::Stopped)
    }

    async fn drain(&mut self, link: &mut Link, path: &Path) -> io::Result<()> {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Send { bytes, .. } if self.settings.quirks.spoil() => link.send(&spoil(&bytes, self.settings.quirks)).await?,
                Output::Send { bytes, .. } => link.send(&bytes).await?,
                Output::Event(event) => self.on_event(event, path).await,
            }
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Timestamp> {
        let later = self.later.iter().map(|(at, _)| *at);
        let own = self.alarm_at.into_iter().chain(self.position.map(|(at, _)| at));
        self.machine.deadline().into_iter().chain(later).chain(own).min()
    }

    /// Does what is due.
    fn on_time(&mut self, path: &Path) {
        let now = self.clock.now();
        self.machine.handle_timeout(now);
        while let Some(at) = self.later.iter().position(|(at, _)| *at <= now) {
            match self.later.swap_remove(at).1 {
                Later::Reply(reply, query, target) => {
                    let answer = self.answer(&query, target, path);
                    self.machine.reply(now, reply, answer);
                }
                Later::Invited(call, channel, offer) => self.on_invited(call, channel, &offer, path),
                Later::HangUp(call) => self.hang_up(call, "the platform did not hang up"),
            }
        }
        if self.alarm_at.is_some_and(|at| at <= now) {
            self.alarm_at = self.settings.alarms.map(|every| now + every.into());
            self.alarm(now);
        }
        if let Some((at, every)) = self.position
            && at <= now
        {
            self.position = Some((now + every.into(), every));
            self.tell_position(now);
        }
    }

    /// Puts something off.
    pub(super) fn later(&mut self, by: Duration, what: Later) {
        if self.later.len() < LATER_MAX {
            self.later.push((self.clock.now() + by.into(), what));
        }
    }

    /// Milliseconds since 1970 by its own clock.
    pub(super) fn unix_ms(&self) -> i64 {
        self.machine.unix_ms(self.clock.now())
    }

    /// Gives whether it was.
    fn set_registered(&mut self, on: bool) -> bool {
        let was = std::mem::replace(&mut self.registered, on);
        if on && !was {
            self.totals.registered.fetch_add(1, Ordering::Relaxed);
        } else if was && !on {
            self.totals.registered.fetch_sub(1, Ordering::Relaxed);
        }
        was
    }

    async fn on_event(&mut self, event: Event, path: &Path) {
        let camera = self.settings.id;
        match event {
            Event::Registered { first, .. } => {
                if !self.set_registered(true) {
                    tracing::info!(%camera, platform = %path.remote, "camera registered");
                    self.alarm_at = self.settings.alarms.map(|every| self.clock.now() + every.into());
                }
                if first {
                    // A platform that forgot the camera forgot its calls too.
                    self.hang_up_all("the camera registered anew");
                }
            }
            Event::Unregistered { status } => {
                self.set_registered(false);
                (self.alarm_at, self.position) = (None, None);
                tracing::info!(%camera, status, "camera not registered");
                self.hang_up_all("the camera is not registered any more");
            }
            Event::Redirected { contact } => tracing::warn!(%camera, contact, "the platform sends the camera elsewhere; it stays"),
            Event::Query { reply, query, target } => {
                tracing::debug!(%camera, %target, ?query, "asked");
                if query == Query::Catalog && self.settings.quirks.has(Quirk::LateCatalog) {
                    return self.later(LATE_CATALOG, Later::Reply(reply, query, target));
                }
                let answer = self.answer(&query, target, path);
                self.machine.reply(self.clock.now(), reply, answer);
            }
            Event::Control { target, control, .. } => self.on_control(target, control).await,
            Event::Invited { call, channel, offer } if self.settings.quirks.has(Quirk::SlowOk) => {
                self.later(SLOW_OK, Later::Invited(call, channel, offer));
            }
            Event::Invited { call, channel, offer } => self.on_invited(call, channel, &offer, path),
            Event::Playback { call, command } => self.on_playback(call, command).await,
            Event::Ended { call, why } => {
                // one that is to be answered later is answered never
                self.later.retain(|(_, later)| !matches!(later, Later::Invited(of, ..) if *of == call));
                self.closed(call, &why.to_string());
            }
            Event::Broadcast { source, .. } => tracing::info!(%camera, %source, "a voice is offered; this camera has no loudspeaker"),
            Event::Subscribed { kind, on, interval } => {
                tracing::debug!(%camera, ?kind, on, interval, "subscribed");
                if kind == SubscriptionKind::Position {
                    let every = Duration::from_secs(u64::from(interval.max(1)));
                    self.position = on.then(|| (self.clock.now(), every));
                }
            }
            Event::Up { .. } | Event::AlarmTaken { .. } => {}
        }
    }

    async fn on_control(&mut self, target: Id, control: Option<Control>) {
        self.totals.controls.fetch_add(1, Ordering::Relaxed);
        tracing::info!(camera = %self.settings.id, %target, ?control, "ordered");
        match control {
            Some(Control::KeyFrame) => self.refresh(target).await,
            Some(Control::Reboot) => self.reboot = true,
            Some(Control::Guard(on)) => self.armed = on,
            Some(Control::Record(on)) => self.recording = on,
            Some(Control::Ptz(ptz::Command::SetPreset(n))) if target == self.settings.id || self.settings.channels.contains(&target) => {
                self.presets.entry(target).or_default().insert(n);
            }
            Some(Control::Ptz(ptz::Command::DeletePreset(n))) => {
                if let Some(presets) = self.presets.get_mut(&target) {
                    presets.remove(&n);
                }
            }
            _ => {}
        }
    }

    /// Something moved before one of its channels, one after the other.
    fn alarm(&mut self, now: Timestamp) {
        if !self.registered || !self.armed {
            return;
        }
        let told = self.totals.alarms.fetch_add(1, Ordering::Relaxed);
        let at = usize::try_from(told).unwrap_or(0) % self.settings.channels.len().max(1);
        let alarm = Alarm {
            source: Some(self.settings.channels.get(at).copied().unwrap_or(self.settings.id)),
            sn: 0,
            priority: 4,
            // video, motion
            method: AlarmMethod(5),
            kind: 2,
            event: None,
            time: Some(self.unix_ms()),
            description: "motion".to_owned(),
            position: None,
        };
        self.machine.alarm(now, alarm);
    }

    /// It moves on a circle, once a minute around.
    fn tell_position(&mut self, now: Timestamp) {
        let time = self.unix_ms();
        let angle = (time.rem_euclid(60_000)) as f64 / 60_000.0 * std::f64::consts::TAU;
        let micro = |degrees: f64| (degrees * 1e6).round() / 1e6;
        let position = Position {
            id: Some(self.settings.id),
            time: Some(time),
            longitude: micro(MIDDLE.0 + RADIUS * angle.cos()),
            latitude: micro(MIDDLE.1 + RADIUS * angle.sin()),
            speed: Some(60.0),
            direction: Some(micro(360.0 - angle.to_degrees())),
            altitude: Some(10.0),
        };
        self.totals.positions.fetch_add(1, Ordering::Relaxed);
        self.machine.position(now, &position);
    }
}

fn machine(settings: &Settings, clock: &Clock) -> Client {
    let config = client::Config {
        keepalive: settings.keepalive,
        items: settings.items.max(1),
        version: settings.edition,
        ..client::Config::new(settings.id, settings.platform, &settings.password.0)
    };
    let mut machine = Client::new(settings.quirks.config(config), rand::random());
    let wall = if settings.quirks.has(Quirk::NoDate) { YEAR_2000 } else { clock.unix() };
    machine.set_wall(clock.now(), wall);
    machine
}

async fn sleep(clock: &Clock, due: Option<Timestamp>) {
    match due {
        Some(due) => clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}
