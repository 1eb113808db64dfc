//! The manners of one camera: what it answers, and which calls it takes.

use super::super::media::clip::{Control as Play, Player};
use super::super::media::{Feed, Payload, Send, Sending, Transport};
use super::link::Link;
use super::{Settings, Totals};
use crate::base::error::End;
use crate::media::time::Timestamp;
use crate::proto::gb28181::Id;
use crate::proto::gb28181::client::{self, CallId, Client, Event, Output, Reply};
use crate::proto::gb28181::manscdp::{Control, DeviceInfo, DeviceStatus, Item, Query};
use crate::proto::gb28181::sdp::{Carriage, Description, Direction, Purpose};
use crate::proto::gb28181::ssrc::Ssrc;
use crate::proto::sip::Path;
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

/// Calls that a channel takes at once.
const CALLS_PER_CHANNEL: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long it tries to unregister.
const FAREWELL: Duration = Duration::from_secs(2);
/// The port of `m=` of who connects (RFC 4145 section 4.1).
const NO_PORT: u16 = 9;
/// A key frame is no reason to wait longer than this for a sender that is busy.
const BUSY: Duration = Duration::from_millis(50);

pub(super) struct Device {
    settings: Settings,
    machine: Client,
    calls: HashMap<CallId, Call>,
    registered: bool,
    totals: Arc<Totals>,
    clock: Clock,
    tasks: Tasks,
}

struct Call {
    channel: Id,
    sending: Sending,
}

impl Device {
    pub(super) fn new(settings: Settings, totals: Arc<Totals>, clock: Clock, tasks: Tasks) -> Device {
        let config =
            client::Config { keepalive: settings.keepalive, ..client::Config::new(settings.id, settings.platform, &settings.password.0) };
        let mut machine = Client::new(config, rand::random());
        machine.set_wall(clock.now(), clock.unix());
        Device { settings, machine, calls: HashMap::new(), registered: false, totals, clock, tasks }
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
            let lost = match opened {
                Ok(mut link) => {
                    let live = self.live(&mut link, number, &stop).await;
                    if std::mem::take(&mut self.registered) {
                        self.totals.registered.fetch_sub(1, Ordering::Relaxed);
                        pause = FIRST_PAUSE;
                    }
                    match live {
                        Ok(()) => return,
                        Err(error) => {
                            self.hang_up_all("the connection to the platform is gone");
                            self.machine.path_lost(self.clock.now());
                            // What it would send has no way any more.
                            while self.machine.poll().is_some() {}
                            error
                        }
                    }
                }
                Err(error) => error,
            };
            tracing::warn!(camera = %self.settings.id, server = %self.settings.server, error = %lost, again_in = ?pause, "platform not reached");
            tokio::select! {
                () = self.clock.sleep(pause) => {}
                () = stop.requested() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One link's life; `Ok` if it was told to stop.
    async fn live(&mut self, link: &mut Link, number: u64, stop: &Stop) -> io::Result<()> {
        let path = Path { transport: self.settings.transport, link: number, remote: self.settings.server, local: link.local()? };
        self.machine.connect(self.clock.now(), path);
        loop {
            self.drain(link, &path).await?;
            let due = self.machine.deadline();
            tokio::select! {
                message = link.receive() => self.machine.receive(self.clock.now(), path, message?),
                () = sleep(&self.clock, due) => self.machine.handle_timeout(self.clock.now()),
                (call, end) = first_over(&self.calls) => {
                    self.machine.hang_up(self.clock.now(), call);
                    self.closed(call, &end.to_string());
                }
                () = stop.requested() => return self.leave(link, path).await,
            }
        }
    }

    /// Hangs up and unregisters, if the platform listens.
    async fn leave(&mut self, link: &mut Link, path: Path) -> io::Result<()> {
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
        Ok(())
    }

    async fn drain(&mut self, link: &mut Link, path: &Path) -> io::Result<()> {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Send { bytes, .. } => link.send(&bytes).await?,
                Output::Event(event) => self.on_event(event, path).await,
            }
        }
        Ok(())
    }

    async fn on_event(&mut self, event: Event, path: &Path) {
        let camera = self.settings.id;
        match event {
            Event::Registered { first, .. } => {
                if !std::mem::replace(&mut self.registered, true) {
                    self.totals.registered.fetch_add(1, Ordering::Relaxed);
                    tracing::info!(%camera, platform = %path.remote, "camera registered");
                }
                if first {
                    // A platform that forgot the camera forgot its calls too.
                    self.hang_up_all("the camera registered anew");
                }
            }
            Event::Unregistered { status } => {
                if std::mem::take(&mut self.registered) {
                    self.totals.registered.fetch_sub(1, Ordering::Relaxed);
                }
                tracing::info!(%camera, status, "camera not registered");
                self.hang_up_all("the camera is not registered any more");
            }
            Event::Redirected { contact } => tracing::warn!(%camera, contact, "the platform sends the camera elsewhere; it stays"),
            Event::Query { reply, query, target } => {
                tracing::debug!(%camera, %target, ?query, "asked");
                let answer = self.answer(&query, target, path);
                self.machine.reply(self.clock.now(), reply, answer);
            }
            Event::Control { target, control, .. } => self.on_control(target, control).await,
            Event::Invited { call, channel, offer } => self.on_invited(call, channel, &offer, path),
            Event::Ended { call, why } => self.closed(call, &why.to_string()),
            Event::Broadcast { source, .. } => tracing::info!(%camera, %source, "a voice is offered; this camera has no loudspeaker"),
            Event::Subscribed { kind, on, .. } => tracing::debug!(%camera, ?kind, on, "subscribed"),
            Event::Up { .. } | Event::Playback { .. } | Event::AlarmTaken { .. } => {}
        }
    }

    fn answer(&self, query: &Query, target: Id, path: &Path) -> Reply {
        let Settings { id, channels, keepalive, .. } = &self.settings;
        match query {
            Query::Catalog => {
                let wanted = |channel: &&Id| target == *id || target == **channel;
                Reply::Catalog(channels.iter().filter(wanted).map(|channel| self.item(*channel, path)).collect())
            }
            Query::DeviceInfo => Reply::Info(DeviceInfo {
                name: format!("Camera {id}"),
                manufacturer: "Weir".to_owned(),
                model: "Simulated".to_owned(),
                firmware: env!("CARGO_PKG_VERSION").to_owned(),
                channels: Some(u32::try_from(channels.len()).unwrap_or(u32::MAX)),
            }),
            Query::DeviceStatus => {
                let time = self.machine.config().zone.format(self.machine.unix_ms(self.clock.now()));
                Reply::Status(DeviceStatus { online: true, working: true, encoding: true, recording: false, time, alarms: Vec::new() })
            }
            Query::RecordInfo(_) => Reply::Records(Vec::new()),
            Query::Presets => Reply::Presets(Vec::new()),
            Query::ConfigDownload(parts) if parts.split('/').any(|part| part.eq_ignore_ascii_case("BasicParam")) => {
                let config = self.machine.config();
                let values = vec![
                    ("Name", format!("Camera {id}")),
                    ("Expiration", config.expires.to_string()),
                    ("HeartBeatInterval", keepalive.as_secs().to_string()),
                    ("HeartBeatCount", config.misses.to_string()),
                ];
                Reply::Config("BasicParam", values)
            }
            _ => Reply::Result(false),
        }
    }

    fn item(&self, channel: Id, path: &Path) -> Item {
        Item {
            id: Some(channel),
            name: format!("Channel {channel}"),
            manufacturer: "Weir".to_owned(),
            model: "Simulated".to_owned(),
            owner: "Owner".to_owned(),
            civil_code: channel.as_str().get(..6).unwrap_or_default().to_owned(),
            address: "Address".to_owned(),
            parental: Some(false),
            parent_id: self.settings.id.to_string(),
            register_way: Some(1),
            secrecy: Some(0),
            ip: path.local.ip().to_string(),
            port: Some(path.local.port()),
            online: true,
            ptz_type: Some(1),
            ..Item::default()
        }
    }

    async fn on_control(&mut self, target: Id, control: Option<Control>) {
        self.totals.controls.fetch_add(1, Ordering::Relaxed);
        tracing::info!(camera = %self.settings.id, %target, ?control, "ordered");
        if control == Some(Control::KeyFrame) {
            let meant = |call: &&Call| call.channel == target || target == self.settings.id;
            for call in self.calls.values().filter(meant) {
                // A sender that is stuck has no use for it.
                let _ = tokio::time::timeout(BUSY, call.sending.control(Play::KeyFrame)).await;
            }
        }
    }

    fn on_invited(&mut self, call: CallId, channel: Id, offer: &Description, path: &Path) {
        let camera = self.settings.id;
        match self.take(channel, offer, path) {
            Ok((sending, answer)) => {
                tracing::info!(%camera, %channel, to = %offer.host, port = offer.port, carriage = ?answer.carriage, ssrc = ?answer.ssrc, "call opened");
                self.calls.insert(call, Call { channel, sending });
                self.totals.calls.fetch_add(1, Ordering::Relaxed);
                self.totals.served.fetch_add(1, Ordering::Relaxed);
                self.machine.accept(self.clock.now(), call, Some(&answer));
            }
            Err((status, why)) => {
                tracing::info!(%camera, %channel, status, why, "call refused");
                self.machine.refuse(self.clock.now(), call, status);
            }
        }
    }

    /// Begins to send, or says why not: the status and the reason.
    fn take(&self, channel: Id, offer: &Description, path: &Path) -> Result<(Sending, Description), (u16, String)> {
        let Settings { id, channels, clip, style, .. } = &self.settings;
        if channel != *id && !channels.contains(&channel) {
            return Err((404, "no such channel".to_owned()));
        }
        if offer.purpose.is_some_and(|purpose| purpose != Purpose::Play) || offer.audio {
            return Err((488, "this camera has live pictures only".to_owned()));
        }
        if self.calls.values().filter(|call| call.channel == channel).count() >= CALLS_PER_CHANNEL {
            return Err((486, "all streams of the channel are taken".to_owned()));
        }
        let carriage = offer.carriage.opposite();
        let transport = match carriage {
            Carriage::Udp => Transport::Udp,
            Carriage::TcpPassive => Transport::TcpPassive,
            Carriage::TcpActive => Transport::TcpActive,
        };
        let to = match offer.host.parse::<IpAddr>() {
            Ok(host) if offer.port != 0 => Some(SocketAddr::new(host, offer.port)),
            _ if transport == Transport::TcpPassive => None,
            _ => return Err((488, "the offer names no address".to_owned())),
        };
        // One of a live stream begins with 0.
        let ssrc = offer.ssrc.unwrap_or_else(|| Ssrc(rand::random::<u32>() % 1_000_000_000));
        let feed = Feed::Clip(Player::new(clip.clone(), None));
        let mut send = Send { payload: Payload::Program(style.clone()), ..Send::program(feed, transport, to, ssrc.0) };
        if to.is_none_or(|to| to.is_ipv4() == path.local.is_ipv4()) {
            send.local = SocketAddr::new(path.local.ip(), 0);
        }
        let sending = Sending::start(send, self.clock.clone(), &self.tasks).map_err(|error| (500, error.to_string()))?;
        let port = if transport == Transport::TcpActive { NO_PORT } else { sending.port() };
        let mut answer = Description::offer(channel.as_str(), Purpose::Play, path.local.ip(), port, carriage);
        answer.formats.truncate(1);
        answer.payloads.truncate(1);
        (answer.direction, answer.ssrc) = (Some(Direction::SendOnly), Some(ssrc));
        Ok((sending, answer))
    }

    fn hang_up_all(&mut self, why: &str) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.machine.hang_up(self.clock.now(), call);
            self.closed(call, why);
        }
    }

    fn closed(&mut self, call: CallId, why: &str) {
        let Some(Call { channel, sending }) = self.calls.remove(&call) else { return };
        self.totals.calls.fetch_sub(1, Ordering::Relaxed);
        let sent = sending.sent();
        tracing::info!(camera = %self.settings.id, %channel, why, packets = sent.packets, bytes = sent.bytes, frames = sent.frames, "call closed");
    }
}

async fn sleep(clock: &Clock, due: Option<Timestamp>) {
    match due {
        Some(due) => clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The first call whose media is over: its receiver went away, or took nothing.
async fn first_over(calls: &HashMap<CallId, Call>) -> (CallId, End) {
    type Over<'a> = Pin<Box<dyn Future<Output = (CallId, End)> + std::marker::Send + 'a>>;
    let mut all: Vec<Over<'_>> = Vec::with_capacity(calls.len());
    for (id, call) in calls {
        all.push(Box::pin(async move { (*id, call.sending.ended().await) }));
    }
    poll_fn(|context| {
        for one in &mut all {
            if let Poll::Ready(over) = one.as_mut().poll(context) {
                return Poll::Ready(over);
            }
        }
        Poll::Pending
    })
    .await
}
