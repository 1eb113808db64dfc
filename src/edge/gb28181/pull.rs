//! Streams that are fetched from devices: one call each, shared by all viewers, brought back while they are to run.

use super::address::Addresses;
pub use super::failure::Failure;
use super::media::{self, Media};
use super::past::{Past, PastCalls};
use super::roster::Roster;
use super::settings::Settings;
use super::signalling::{CallEvent, Signalling};
use super::states::States;
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::media::time::Timestamp;
use crate::model::id::{DeviceId, StreamId};
use crate::model::stream;
use crate::model::time::Time;
use crate::proto::gb28181::Id;
use crate::proto::gb28181::manscdp::Control;
use crate::proto::gb28181::mansrtsp;
use crate::proto::gb28181::server::{CallEnd, CallId, DeviceKey};
use crate::runtime::task::Tasks;
use crate::stream::Registry;
use crate::stream::access::{Access, Act, Ask, Grant};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};

mod dial;

use dial::Up;

/// A channel and the stream that it becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The device.
    pub device: DeviceId,
    /// The channel's id in the signalling.
    pub channel: Id,
    /// The stream's row; `None` for a playback.
    pub stream: Option<StreamId>,
    /// The stream's name in URLs.
    pub key: StreamKey,
    /// Of a playback: from and to, Unix seconds.
    pub range: Option<(u64, u64)>,
}

/// How far a pull is.
#[derive(Debug, Clone, PartialEq)]
enum State {
    /// An INVITE is out, or about to be; the number counts the attempts.
    Calling(u64),
    /// The device answered.
    Up,
    /// The attempt failed; maybe another follows.
    Failed(u64, Failure),
}

/// What a pull is told from outside.
#[derive(Debug)]
enum Order {
    /// Try again at once.
    Hurry,
    /// The device registered anew: a call of its former life is over.
    Returned,
    /// End.
    Stop,
    /// Control the playback.
    Control(mansrtsp::Command, tokio::sync::oneshot::Sender<Result<(), Failure>>),
}

struct Slot {
    target: Target,
    /// Runs until it is stopped; else until its viewers are gone.
    keep: bool,
    state: watch::Receiver<State>,
    orders: mpsc::UnboundedSender<Order>,
    call: Option<CallId>,
}

/// All pulls. Cloning shares them.
#[derive(Clone)]
pub struct Pulls(Arc<Inner>);

struct Inner {
    parts: Parts,
    slots: Mutex<HashMap<StreamKey, Slot>>,
    /// Devices that refused TCP, or of which nothing arrived over it.
    udp_only: Mutex<HashSet<DeviceKey>>,
    /// INVITEs that may wait for their answer at once.
    calling: Semaphore,
    past: PastCalls,
}

/// What pulls stand on.
pub struct Parts {
    /// The signalling.
    pub signalling: Signalling,
    /// The media ports.
    pub media: Media,
    /// The devices.
    pub roster: Arc<Roster>,
    /// Where states go.
    pub states: States,
    /// The streams.
    pub registry: Registry,
    /// Our addresses.
    pub addresses: Arc<Addresses>,
    /// Who says whether a stream may be fetched.
    pub access: Arc<dyn Access>,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Where their tasks run.
    pub tasks: Tasks,
}

/// INVITEs that wait for their answer at once.
const CALLING: usize = 200;
/// The longest pause between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// A device is asked for a key frame no more often than this.
const KEY_PAUSE: Duration = Duration::from_secs(1);
/// How often a pull looks after itself.
const LOOK: Duration = Duration::from_secs(1);
/// A device that registered anew and has sent nothing for so long has forgotten the call.
const FORGOTTEN: Duration = Duration::from_secs(2);
/// After the end of a recording its media is awaited until none has come for so long, and so long at most.
const QUIET: Duration = Duration::from_millis(400);
const DRAIN: Duration = Duration::from_secs(2);

impl Pulls {
    /// None yet.
    pub fn new(parts: Parts) -> Pulls {
        Pulls(Arc::new(Inner {
            parts,
            slots: Mutex::default(),
            udp_only: Mutex::default(),
            calling: Semaphore::new(CALLING),
            past: PastCalls::default(),
        }))
    }

    /// Starts a pull, or joins one that runs, and waits for the device's answer. `keep`: it runs until [`Pulls::stop`] and comes
    /// back after every loss; else it ends when its last viewer has been gone for a while.
    pub async fn start(&self, target: Target, keep: bool, patience: Duration) -> Result<(), Failure> {
        let mut state = self.begin(target, keep);
        let first = match &*state.borrow_and_update() {
            State::Up => return Ok(()),
            State::Calling(n) => *n,
            State::Failed(n, _) => n + 1,
        };
        let answered = |state: &State| match state {
            State::Up => true,
            State::Failed(n, _) => *n >= first,
            State::Calling(_) => false,
        };
        match tokio::time::timeout(patience, state.wait_for(answered)).await {
            Err(_) => Err(Failure::Timeout),
            Ok(Err(_)) => Err(Failure::Stopped),
            Ok(Ok(state)) => match &*state {
                State::Failed(_, failure) => Err(failure.clone()),
                State::Up | State::Calling(_) => Ok(()),
            },
        }
    }

    /// The same without waiting.
    pub fn keep(&self, target: Target) {
        self.begin(target, true);
    }

    fn begin(&self, target: Target, keep: bool) -> watch::Receiver<State> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get_mut(&target.key) {
            slot.keep |= keep;
            let _ = slot.orders.send(Order::Hurry);
            return slot.state.clone();
        }
        let (sender, state) = watch::channel(State::Calling(0));
        let (orders, inbox) = mpsc::unbounded_channel();
        slots.insert(target.key.clone(), Slot { target: target.clone(), keep, state: state.clone(), orders, call: None });
        drop(slots);
        let pulls = self.clone();
        self.0.parts.tasks.spawn("gb28181 stream", async move { pulls.run(target, sender, inbox).await });
        state
    }

    /// Ends a pull and waits until its call is over. What does not run is no failure.
    pub async fn stop(&self, key: &StreamKey) {
        let state = self.slots().get_mut(key).map(|slot| {
            slot.keep = false;
            let _ = slot.orders.send(Order::Stop);
            slot.state.clone()
        });
        if let Some(mut state) = state {
            // the sender is dropped with the task
            let over = async { while state.changed().await.is_ok() {} };
            let _ = tokio::time::timeout(Duration::from_secs(5), over).await;
        }
    }

    /// Ends all pulls of the devices that `which` picks.
    pub fn stop_all(&self, which: impl Fn(DeviceId) -> bool) {
        for slot in self.slots().values_mut().filter(|slot| which(slot.target.device)) {
            slot.keep = false;
            let _ = slot.orders.send(Order::Stop);
        }
    }

    /// The rows of a device's streams that are pulled now, playbacks left out.
    pub fn streams_of(&self, device: DeviceId) -> Vec<StreamId> {
        self.slots().values().filter(|slot| slot.target.device == device).filter_map(|slot| slot.target.stream).collect()
    }

    /// A device registered anew: what it was called for before is called for again, unless it sends it still.
    pub fn returned(&self, device: DeviceId) {
        for slot in self.slots().values().filter(|slot| slot.target.device == device) {
            let _ = slot.orders.send(Order::Returned);
        }
    }

    /// Ends the pull of a stream whose channel is gone.
    pub fn retire(&self, stream: StreamId) {
        for slot in self.slots().values_mut().filter(|slot| slot.target.stream == Some(stream)) {
            slot.keep = false;
            let _ = slot.orders.send(Order::Stop);
        }
    }

    /// Controls a playback.
    pub async fn control(&self, key: &StreamKey, command: mansrtsp::Command) -> Result<(), Failure> {
        let (sender, result) = tokio::sync::oneshot::channel();
        let orders = self.slots().get(key).map(|slot| slot.orders.clone()).ok_or(Failure::Stopped)?;
        orders.send(Order::Control(command, sender)).map_err(|_| Failure::Stopped)?;
        result.await.unwrap_or(Err(Failure::Stopped))
    }

    /// Whether a stream is pulled, or about to be.
    pub fn runs(&self, key: &StreamKey) -> bool {
        self.slots().contains_key(key)
    }

    /// The calls of a device: stream and call.
    pub fn calls_of(&self, device: DeviceId) -> Vec<(StreamKey, CallId)> {
        let slots = self.slots();
        slots.values().filter(|slot| slot.target.device == device).filter_map(|slot| Some((slot.target.key.clone(), slot.call?))).collect()
    }

    /// The last calls of a device that are over.
    pub fn past_of(&self, device: DeviceId) -> Vec<Past> {
        self.0.past.of(device)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<StreamKey, Slot>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of one pull: attempt, hold, and again while it is to be kept.
    async fn run(&self, target: Target, state: watch::Sender<State>, mut orders: mpsc::UnboundedReceiver<Order>) {
        let stop = self.0.parts.tasks.stopping();
        let mut pause = self.0.parts.settings.retry.0;
        for attempt in 0.. {
            state.send_replace(State::Calling(attempt));
            let called = tokio::select! {
                called = self.admitted(&target) => called,
                interrupted = interrupted(&mut orders) => Err(interrupted),
                () = stop.requested() => Err(Failure::Stopped),
            };
            let over = match called {
                Err(Failure::Restarted) => Failure::Restarted,
                Err(failure) => {
                    self.failed(&target, &failure);
                    failure
                }
                Ok((mut up, _grant)) => {
                    state.send_replace(State::Up);
                    pause = self.0.parts.settings.retry.0;
                    let (over, end) = self.hold(&target, &mut up, &mut orders).await;
                    self.keep_past(&target, &up, &over);
                    if let Some(end) = end {
                        up.receiving.end(end);
                    }
                    tracing::info!(stream = %target.key, channel = %target.channel, why = %over, "gb28181 stream over");
                    over
                }
            };
            if over == Failure::Restarted {
                continue;
            }
            state.send_replace(State::Failed(attempt, over.clone()));
            if !self.goes_on(&target, &over) || stop.is_requested() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_MAX),
                order = orders.recv() => match order {
                    Some(Order::Hurry | Order::Returned) => {}
                    Some(Order::Control(_, answer)) => { let _ = answer.send(Err(Failure::Stopped)); }
                    Some(Order::Stop) | None => break,
                },
                () = stop.requested() => break,
            }
            // its viewers may be gone by now
            if !self.goes_on(&target, &over) {
                break;
            }
        }
        self.slots().remove(&target.key);
    }

    /// Whether a stream that broke off is called for again: while it is to be kept, and while its viewers wait for it to go on.
    fn goes_on(&self, target: &Target, over: &Failure) -> bool {
        let kept = self.slots().get(&target.key).is_some_and(|slot| slot.keep);
        let watched = target.range.is_none() && self.0.parts.registry.get(&target.key).is_some_and(|stream| stream.viewers() > 0);
        match over {
            Failure::Stopped | Failure::Finished => false,
            // a device that is gone starts its streams when it is back
            Failure::Offline => watched,
            _ => kept || watched,
        }
    }

    /// A call that counts against its owner's quota as long as the grant is held.
    async fn admitted(&self, target: &Target) -> Result<(Up, Grant), Failure> {
        let peer = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
        let ask = Ask { act: Act::Publish, key: &target.key, protocol: "gb28181", peer, path: "", query: "" };
        let grant = self.0.parts.access.check(ask).await?;
        Ok((self.call(target).await?, grant))
    }

    fn failed(&self, target: &Target, failure: &Failure) {
        if *failure == Failure::Stopped {
            return;
        }
        tracing::info!(stream = %target.key, channel = %target.channel, why = %failure, "gb28181 stream not started");
        self.0.parts.registry.refuse(&target.key, &failure.to_string());
        if let Some(id) = target.stream {
            let at = Time::from_nanos(self.0.parts.signalling.clock().unix().0);
            self.0.parts.states.stream(stream::Change { id, status: stream::Status::Failed, at });
        }
    }

    fn keep_past(&self, target: &Target, up: &Up, why: &Failure) {
        let at = self.0.parts.signalling.clock().now();
        let media = up.receiving.report();
        let past = Past { device: target.device, stream: target.key.clone(), call: up.call, media, why: why.clone(), at };
        self.0.past.note(past);
    }

    /// Looks after a call that is up until it is over; gives the reason, and as what the stream ends if it has not ended by itself.
    async fn hold(&self, target: &Target, up: &mut Up, orders: &mut mpsc::UnboundedReceiver<Order>) -> (Failure, Option<End>) {
        let parts = &self.0.parts;
        let stop = parts.tasks.stopping();
        let mut waiting: HashMap<u32, tokio::sync::oneshot::Sender<Result<(), Failure>>> = HashMap::new();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut idle_since = None;
        let mut heard = Timestamp::ZERO;
        let mut key_asked: Option<Timestamp> = None;
        loop {
            tokio::select! {
                event = up.events.recv() => match event {
                    Some(CallEvent::Finished) => {
                        self.take_rest(up, orders).await;
                        parts.signalling.with(|server, now| server.hang_up(now, up.call));
                        return (Failure::Finished, Some(End::StreamEnded));
                    }
                    Some(CallEvent::Ended(CallEnd::Finished)) => return (Failure::Finished, Some(End::StreamEnded)),
                    Some(CallEvent::Ended(CallEnd::RemoteBye)) => {
                        self.take_rest(up, orders).await;
                        // of a recording it is its end: some devices say no more than this
                        return match target.range {
                            Some(_) => (Failure::Finished, Some(End::StreamEnded)),
                            None => (Failure::Failed, Some(End::PeerClosed)),
                        };
                    }
                    Some(CallEvent::Ended(end)) => {
                        let over = End::Denied(end.to_string());
                        return (end.into(), Some(over));
                    }
                    Some(CallEvent::Controlled(number, result)) => if let Some(answer) = waiting.remove(&number) {
                        let refused = |status| Failure::Refused { status, reason: "the device does not control this playback".to_owned() };
                        let _ = answer.send(result.map(drop).map_err(refused));
                    },
                    Some(CallEvent::Answered(_)) => {}
                    None => return (Failure::Failed, None),
                },
                end = up.receiving.ended() => {
                    parts.signalling.with(|server, now| server.hang_up(now, up.call));
                    if up.tcp && up.receiving.report().packets == 0 {
                        // it answered and never connected: the next attempt is over UDP
                        self.remember_udp(up.device);
                    }
                    let failure = match end {
                        End::Stopped | End::Kicked(_) => Failure::Stopped,
                        End::Silent => Failure::Timeout,
                        _ => Failure::Failed,
                    };
                    return (failure, None);
                }
                // a recording has the key frames that it has
                () = up.receiving.key_wanted(), if target.range.is_none() => {
                    let now = parts.signalling.clock().now();
                    if key_asked.is_some_and(|last| now.since(last) < KEY_PAUSE) {
                        // however many viewers ask: who still needs one asks again
                        continue;
                    }
                    key_asked = Some(now);
                    // whether it obeys is seen in the stream
                    let _ = parts.signalling.with(|server, now| server.control(now, &up.device, target.channel, &Control::KeyFrame));
                }
                order = orders.recv() => match order {
                    Some(Order::Hurry) => {}
                    Some(Order::Returned) => if up.receiving.is_dead(FORGOTTEN) {
                        parts.signalling.with(|server, now| server.hang_up(now, up.call));
                        return (Failure::Restarted, Some(End::PeerClosed));
                    },
                    Some(Order::Control(command, answer)) => match parts.signalling.with(|server, now| server.playback(now, up.call, command)) {
                        Ok(number) => {
                            match command {
                                mansrtsp::Command::Pause => up.receiving.hold(true),
                                mansrtsp::Command::Resume | mansrtsp::Command::Seek(_) => up.receiving.hold(false),
                                _ => {}
                            }
                            waiting.insert(number, answer);
                        }
                        Err(why) => { let _ = answer.send(Err(why.into())); }
                    },
                    Some(Order::Stop) | None => {
                        parts.signalling.with(|server, now| server.hang_up(now, up.call));
                        return (Failure::Stopped, None);
                    }
                },
                _ = look.tick() => {
                    let now = parts.signalling.clock().now();
                    if matches!(up.receiving.state(), media::State::Live) && now.since(heard) > Duration::from_secs(20) {
                        // its media flows: it is there, whatever its life signs do
                        heard = now;
                        parts.signalling.with(|server, now| server.heard(now, &up.device));
                    }
                    if self.is_idle(target, now, &mut idle_since) {
                        parts.signalling.with(|server, now| server.hang_up(now, up.call));
                        return (Failure::Stopped, None);
                    }
                }
                () = stop.requested() => {
                    parts.signalling.with(|server, now| server.hang_up(now, up.call));
                    return (Failure::Stopped, None);
                }
            }
        }
    }

    /// Signalling overtakes media: what is on its way when a call ends is taken in.
    async fn take_rest(&self, up: &Up, orders: &mut mpsc::UnboundedReceiver<Order>) {
        let stop = self.0.parts.tasks.stopping();
        tokio::select! {
            () = up.receiving.quiet(QUIET) => {}
            _ = up.receiving.ended() => {}
            () = tokio::time::sleep(DRAIN) => {}
            _ = interrupted(orders) => {}
            () = stop.requested() => {}
        }
    }

    /// Whether a stream that runs for its viewers has had none for long enough.
    fn is_idle(&self, target: &Target, now: Timestamp, since: &mut Option<Timestamp>) -> bool {
        let parts = &self.0.parts;
        let kept = self.slots().get(&target.key).is_none_or(|slot| slot.keep);
        let watched = parts.registry.get(&target.key).is_some_and(|stream| stream.viewers() > 0);
        if kept || watched {
            *since = None;
            return false;
        }
        let linger = if target.range.is_some() { parts.settings.playback_linger.0 } else { parts.settings.linger.0 };
        let since = *since.get_or_insert(now);
        now.since(since) >= linger && !parts.registry.wanted_now().contains(&target.key)
    }
}

/// Returns when the pull is told to end, or to begin anew because its device did; other orders are for later.
async fn interrupted(orders: &mut mpsc::UnboundedReceiver<Order>) -> Failure {
    loop {
        match orders.recv().await {
            Some(Order::Stop) | None => return Failure::Stopped,
            Some(Order::Returned) => return Failure::Restarted,
            Some(Order::Control(_, answer)) => {
                let _ = answer.send(Err(Failure::Stopped));
            }
            Some(Order::Hurry) => {}
        }
    }
}
