//! Voice towards devices (section 9.12): a stream's sound as G.711. The device calls us when it is told of a broadcast, or we call it.

use super::media::{Feed, Law, Send, Sending, Transport};
use super::pull::Failure;
use super::roster::Entry;
use super::service::Service;
use super::settings::Carriage;
use super::signalling::{CallEvent, HangUp, Part};
use crate::base::id::StreamKey;
use crate::media::track::AudioCodec;
use crate::model::id::DeviceId;
use crate::model::time::Time;
use crate::proto::gb28181::sdp::{self, Description, Purpose};
use crate::proto::gb28181::server::{CallId, DeviceKey, Invite};
use crate::proto::gb28181::{Id, ssrc::Ssrc};
use crate::runtime::task::Tasks;
use crate::stream::{Class, Derived, Start, Subscriber};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

#[cfg(test)]
pub(super) mod tests;

/// What is to be heard where.
#[derive(Debug, Clone, PartialEq)]
pub struct VoiceOrder {
    /// The device.
    pub device: DeviceId,
    /// The output: a loudspeaker, a channel, or the device itself for all of its outputs.
    pub target: Id,
    /// The stream whose sound it is.
    pub source: StreamKey,
    /// We call the device (`s=Talk`, 2016) instead of telling it to call us.
    pub talk: bool,
}

/// A voice on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    /// What was ordered.
    pub order: VoiceOrder,
    /// Since when.
    pub since: Time,
    /// Whether the device hears it; else it was told and has not answered yet.
    pub up: bool,
    /// Packets that went out.
    pub packets: u64,
}

/// All voices: one for each device at a time. Cloning shares them.
#[derive(Clone, Default)]
pub(super) struct Voices(Arc<Mutex<HashMap<DeviceKey, Slot>>>);

struct Slot {
    order: VoiceOrder,
    since: Time,
    /// Where the device's call goes.
    called: mpsc::Sender<(CallId, Box<Description>)>,
    sending: Option<Arc<Sending>>,
    tasks: Tasks,
}

/// How long the stream may take to come, and its sound to be found.
const SOURCE: Duration = Duration::from_secs(10);
const SOUND: Duration = Duration::from_secs(5);
/// How often a voice is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long hanging up may take.
const FAREWELL: Duration = Duration::from_secs(3);

impl Voices {
    /// Starts a voice and waits until the device takes it.
    pub(super) async fn start(&self, service: &Arc<Service>, order: VoiceOrder, patience: Duration) -> Result<Voice, Failure> {
        let entry = service.roster.by_id(order.device).ok_or(Failure::Offline)?;
        let (called, calls) = mpsc::channel(1);
        let tasks = service.tasks.child();
        {
            let mut all = self.lock();
            if all.contains_key(&entry.key) {
                return Err(Failure::Busy("a voice goes to this device already: stop it first".to_owned()));
            }
            let since = Time::from_nanos(service.signalling.clock().unix().0);
            let slot = Slot { order: order.clone(), since, called, sending: None, tasks: tasks.clone() };
            all.insert(entry.key, slot);
        }
        let place = Place { voices: self.clone(), key: entry.key };
        let opened = match tokio::time::timeout(patience, open(service, &entry, &order, calls, &tasks)).await {
            Ok(opened) => opened?,
            Err(_) => return Err(Failure::Timeout),
        };
        if let Some(slot) = self.lock().get_mut(&entry.key) {
            slot.sending = Some(opened.sending.clone());
        }
        tracing::info!(device = %entry.key, target = %order.target, stream = %order.source, talk = order.talk, "voice opened");
        let service = service.clone();
        tasks.clone().spawn("gb28181 voice", async move {
            let (why, sent) = hold(&service, opened, &tasks).await;
            tracing::info!(device = %place.key, why, packets = sent, "voice closed");
            drop(place);
        });
        self.of(order.device).ok_or(Failure::Stopped)
    }

    /// Ends the voice to a device and waits until it is over; whether there was one.
    pub(super) async fn stop(&self, device: DeviceId) -> bool {
        let tasks = self.lock().values().find(|slot| slot.order.device == device).map(|slot| slot.tasks.clone());
        match tasks {
            None => false,
            Some(tasks) => {
                tasks.finish(FAREWELL).await;
                true
            }
        }
    }

    /// Whether this voice, and no other, goes to its device.
    pub(super) fn goes_to(&self, order: &VoiceOrder) -> bool {
        self.lock().values().any(|slot| slot.order == *order)
    }

    /// A device calls; false if nobody told it to.
    pub(super) fn called(&self, device: &DeviceKey, call: CallId, offer: Box<Description>) -> bool {
        self.lock().get(device).is_some_and(|slot| slot.called.try_send((call, offer)).is_ok())
    }

    /// All voices.
    pub(super) fn list(&self) -> Vec<Voice> {
        self.lock().values().map(Slot::voice).collect()
    }

    fn of(&self, device: DeviceId) -> Option<Voice> {
        self.lock().values().find(|slot| slot.order.device == device).map(Slot::voice)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceKey, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn voice(&self) -> Voice {
        let packets = self.sending.as_ref().map_or(0, |sending| sending.sent().packets);
        Voice { order: self.order.clone(), since: self.since, up: self.sending.is_some(), packets }
    }
}

/// Keeps a device's place; dropping it gives it back.
struct Place {
    voices: Voices,
    key: DeviceKey,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.voices.lock().remove(&self.key);
    }
}

/// A call that is up.
struct Opened {
    call: CallId,
    events: mpsc::UnboundedReceiver<CallEvent>,
    sending: Arc<Sending>,
}

async fn open(
    service: &Service,
    entry: &Entry,
    order: &VoiceOrder,
    calls: mpsc::Receiver<(CallId, Box<Description>)>,
    tasks: &Tasks,
) -> Result<Opened, Failure> {
    let sound = sound(service, &order.source).await?;
    match order.talk {
        true => talk(service, entry, order, sound, tasks).await,
        false => broadcast(service, entry, order, sound, calls, tasks).await,
    }
}

/// The stream's sound as G.711: itself, or the stream that is derived from it.
async fn sound(service: &Service, source: &StreamKey) -> Result<Subscriber, Failure> {
    let unavailable = |why: &dyn std::fmt::Display| Failure::Unavailable(format!("{source}: {why}"));
    // From now on: what was said before nobody wants to hear.
    let reader = service.registry.wait_for(source, Class::Viewer, Start::Live, SOURCE).await.map_err(|error| unavailable(&error))?;
    let found = async {
        loop {
            if let Some(audio) = &reader.stream().tracks().audio {
                return matches!(audio.codec, AudioCodec::G711A | AudioCodec::G711U);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(SOUND, found).await {
        Ok(true) => return Ok(reader),
        Ok(false) => {}
        Err(_) => return Err(unavailable(&"the stream has no sound")),
    }
    let derived = Derived::G711a.of(source).ok_or_else(|| unavailable(&"its name is too long"))?;
    let made = service.registry.wait_for(&derived, Class::Viewer, Start::Live, SOURCE).await;
    made.map_err(|error| unavailable(&format!("its sound cannot be made G.711 (is weir-av there?): {error}")))
}

/// Tells the device; it answers, and calls.
async fn broadcast(
    service: &Service,
    entry: &Entry,
    order: &VoiceOrder,
    sound: Subscriber,
    mut calls: mpsc::Receiver<(CallId, Box<Description>)>,
    tasks: &Tasks,
) -> Result<Opened, Failure> {
    let source = entry.key.platform;
    let mut answers = service.signalling.ask(|server, now| server.broadcast(now, &entry.key, source, order.target))?;
    let (call, offer) = loop {
        tokio::select! {
            called = calls.recv() => break called.ok_or(Failure::Stopped)?,
            // Some call without an answer; an answer that says no is one.
            Some(part) = answers.recv() => if let Part::End(answer) = part {
                answer?;
            },
        }
    };
    let (own, far) = ends(service, entry, &offer.host)?;
    let carriage = offer.carriage.opposite();
    let to = (carriage != sdp::Carriage::TcpPassive).then_some(SocketAddr::new(far, offer.port));
    // A number of its own where the device names none: known before the answer is out, some connect at once.
    let told = offer.ssrc.filter(|ssrc| ssrc.0 != 0);
    let reserved = match told {
        Some(_) => None,
        None => service.signalling.with(|server, _| server.reserve_ssrc(&entry.key.platform, true)),
    };
    let ssrc = told.or(reserved).unwrap_or(Ssrc(1));
    let sending = start((service, entry), sound, transport(carriage), (to, 0), ssrc, &offer, tasks);
    let sending = match sending {
        Ok(sending) => sending,
        Err(failure) => {
            service.signalling.with(|server, now| {
                reserved.into_iter().for_each(|ssrc| server.release_ssrc(ssrc));
                server.hang_up(now, call);
            });
            return Err(failure);
        }
    };
    let media = SocketAddr::new(own, if carriage == sdp::Carriage::TcpActive { NO_PORT } else { sending.port() });
    let accept = service.signalling.call(|server, now| server.accept_voice(now, call, media, reserved).map(|_| call));
    let (call, mut events) = accept.inspect_err(|_| {
        service.signalling.with(|server, _| reserved.into_iter().for_each(|ssrc| server.release_ssrc(ssrc)));
    })?;
    let hang_up = HangUp::new(&service.signalling, call);
    match events.recv().await {
        Some(CallEvent::Answered(_)) => {
            hang_up.keep();
            Ok(Opened { call, events, sending: Arc::new(sending) })
        }
        Some(CallEvent::Ended(end)) => Err(end.into()),
        _ => Err(Failure::Failed),
    }
}

/// The port of `m=` of who connects (RFC 4145 section 4.1).
const NO_PORT: u16 = 9;

/// Calls the device.
async fn talk(service: &Service, entry: &Entry, order: &VoiceOrder, sound: Subscriber, tasks: &Tasks) -> Result<Opened, Failure> {
    let (own, _) = ends(service, entry, "")?;
    let carriage = match entry.media().unwrap_or(service.settings.media) {
        Carriage::Udp => sdp::Carriage::Udp,
        Carriage::Tcp | Carriage::TcpActive => sdp::Carriage::TcpPassive,
    };
    let unavailable = |error: std::io::Error| Failure::Unavailable(error.to_string());
    let ssrc = service.signalling.with(|server, _| server.reserve_ssrc(&entry.key.platform, true));
    let ssrc = ssrc.ok_or_else(|| Failure::Unavailable("no SSRC is free".to_owned()))?;
    let voice = Description { formats: vec![PCMA], ..Description::default() };
    // The device connects the instant it answers; datagrams need its port, which the answer names.
    let (port, mut sound, mut sending) = match carriage {
        sdp::Carriage::Udp => (free_port(own).map_err(unavailable)?, Some(sound), None),
        _ => {
            let sending = start((service, entry), sound, Transport::TcpPassive, (None, 0), ssrc, &voice, tasks);
            let sending = sending.inspect_err(|_| service.signalling.with(|server, _| server.release_ssrc(ssrc)))?;
            (sending.port(), None, Some(sending))
        }
    };
    let invite = Invite { purpose: Purpose::Talk, ssrc: Some(ssrc), ..Invite::play(order.target, SocketAddr::new(own, port), carriage) };
    let (call, mut events) = service.signalling.call(|server, now| server.invite(now, &entry.key, invite).map(|(call, _)| call))?;
    let hang_up = HangUp::new(&service.signalling, call);
    let answered = match events.recv().await {
        Some(CallEvent::Answered(answered)) => answered,
        Some(CallEvent::Ended(end)) => return Err(end.into()),
        _ => return Err(Failure::Failed),
    };
    if let Some(sound) = sound.take() {
        let description = answered.description.as_ref().unwrap_or(&voice);
        sending = Some(start((service, entry), sound, Transport::Udp, (Some(answered.remote), port), ssrc, description, tasks)?);
    }
    let sending = sending.ok_or(Failure::Failed)?;
    hang_up.keep();
    Ok(Opened { call, events, sending: Arc::new(sending) })
}

/// A port that is free now.
fn free_port(own: IpAddr) -> std::io::Result<u16> {
    let any: IpAddr = if own.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    Ok(UdpSocket::bind((any, 0))?.local_addr()?.port())
}

/// Our address as the device sees it, and where its media is: what it says, unless that is nothing.
fn ends(service: &Service, entry: &Entry, host: &str) -> Result<(IpAddr, IpAddr), Failure> {
    let path = service.signalling.with(|server, _| server.device(&entry.key)).and_then(|device| device.path).ok_or(Failure::Offline)?;
    let remote = path.remote.ip().to_canonical();
    let far = host.parse::<IpAddr>().ok().filter(|host| !host.is_unspecified()).unwrap_or(remote);
    Ok((service.addresses.for_media(&path, service.media.address().ip()), far))
}

fn transport(carriage: sdp::Carriage) -> Transport {
    match carriage {
        sdp::Carriage::Udp => Transport::Udp,
        sdp::Carriage::TcpPassive => Transport::TcpPassive,
        sdp::Carriage::TcpActive => Transport::TcpActive,
    }
}

/// The payload types of G.711 (RFC 3551 table 4).
const PCMU: u8 = 0;
const PCMA: u8 = 8;

/// Which payload type the device gets, and what it is: A-law if it takes that, else its first. `None`: it wants no G.711.
fn payload(offer: &Description) -> Option<(u8, Law)> {
    let number = match offer.formats.as_slice() {
        formats if formats.contains(&PCMA) => PCMA,
        [first, ..] => *first,
        [] => PCMA,
    };
    let named = offer.payloads.iter().find(|payload| payload.number == number).map(|payload| payload.encoding.to_ascii_uppercase());
    match (named.as_deref(), number) {
        (Some("PCMU"), _) | (None, PCMU) => Some((number, Law::U)),
        (Some("PCMA"), _) | (None, PCMA) => Some((number, Law::A)),
        _ => None,
    }
}

fn start(
    (service, entry): (&Service, &Entry),
    sound: Subscriber,
    transport: Transport,
    (to, port): (Option<SocketAddr>, u16),
    ssrc: Ssrc,
    offer: &Description,
    tasks: &Tasks,
) -> Result<Sending, Failure> {
    let Some((number, law)) = payload(offer) else {
        return Err(Failure::Refused { status: 488, reason: format!("the device takes no G.711 but {:?}", offer.formats) });
    };
    let mut send = Send::voice(Feed::Live(sound), transport, to, ssrc.0, law);
    send.payload_type = number;
    let path = service.signalling.with(|server, _| server.device(&entry.key)).and_then(|device| device.path);
    // from the address that the device knows us by
    if let Some(source) = path.and_then(|path| service.signalling.wire().source(&path))
        && to.is_none_or(|to| to.is_ipv4() == source.is_ipv4())
    {
        send.local.set_ip(source);
    }
    send.local.set_port(port);
    let sending = Sending::start(send, service.signalling.clock().clone(), tasks);
    sending.map_err(|error| Failure::Unavailable(error.to_string()))
}

/// Looks after a voice until it is over; gives the reason and how many packets went out.
async fn hold(service: &Service, mut opened: Opened, tasks: &Tasks) -> (String, u64) {
    let stop = tasks.stopping();
    let why = loop {
        tokio::select! {
            event = opened.events.recv() => match event {
                Some(CallEvent::Ended(end)) => break end.to_string(),
                Some(_) => {}
                None => break "the signalling is gone".to_owned(),
            },
            () = tokio::time::sleep(LOOK) => if let Some(end) = opened.sending.end() {
                service.signalling.with(|server, now| server.hang_up(now, opened.call));
                break end.to_string();
            },
            () = stop.requested() => {
                service.signalling.with(|server, now| server.hang_up(now, opened.call));
                break "stopped".to_owned();
            }
        }
    };
    (why, opened.sending.sent().packets)
}
