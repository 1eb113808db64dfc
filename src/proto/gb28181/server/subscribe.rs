//! Subscriptions to a device's catalog, positions and alarms (section 9.11): made, renewed, made again after the device restarts.

use super::super::manscdp::{self, Query};
use super::device::DeviceKey;
use super::event::Event;
use super::{Purpose, Server, Wake};
use crate::media::time::Timestamp;
use crate::proto::sip::dialog::Dialog;
use crate::proto::sip::message::{Envelope, Request, Response};
use crate::proto::sip::{Method, Name, Path};
use std::time::Duration;

/// What a subscription tells about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Changes of the catalog.
    Catalog,
    /// Positions.
    Position,
    /// Alarms.
    Alarm,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// Changes of the catalog.
    Catalog,
    /// Positions, every so many seconds.
    Position {
        /// Seconds.
        interval: u32,
    },
    /// Alarms of one method, or of all (0).
    Alarm {
        /// The method.
        method: u8,
    },
}

impl Subscription {
    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Subscription::Catalog => Kind::Catalog,
            Subscription::Position { .. } => Kind::Position,
            Subscription::Alarm { .. } => Kind::Alarm,
        }
    }

    fn query(&self) -> Query {
        match self {
            Subscription::Catalog => Query::Catalog,
            Subscription::Position { interval } => Query::MobilePosition { interval: *interval },
            Subscription::Alarm { method } => Query::Alarm { priorities: (1, 4), method: *method },
        }
    }
}

/// How long to wait before a subscription that failed is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// A device's subscriptions, one of each kind at most.
#[derive(Default)]
pub(super) struct Subscriptions(Vec<One>);

struct One {
    wanted: Subscription,
    /// The dialog, once accepted.
    dialog: Option<Dialog>,
    /// The SUBSCRIBE that is out, to make the dialog from.
    out: Option<Box<Request>>,
    call_id: String,
    /// The name in Event: the 2016 examples say presence for alarms and positions, some devices want the other.
    other_event: bool,
    event_id: u64,
    /// Gives up after a clear refusal, until the device registers anew.
    refused: bool,
    wake: Timestamp,
}

impl One {
    fn event(&self) -> String {
        match (self.wanted.kind(), self.other_event) {
            (Kind::Catalog, false) => format!("Catalog;id={}", self.event_id),
            (Kind::Catalog, true) => "Catalog".to_owned(),
            (_, false) => "presence".to_owned(),
            (Kind::Position, true) => "MobilePosition".to_owned(),
            (Kind::Alarm, true) => "Alarm".to_owned(),
        }
    }
}

impl Server {
    /// Subscribes to something, and again whenever needed, until [`Server::unsubscribe`] or the device is gone.
    pub fn subscribe(&mut self, now: Timestamp, key: &DeviceKey, wanted: Subscription) {
        let kind = wanted.kind();
        let event_id = self.ids.number() % 1_000_000;
        let Some(device) = self.devices.get_mut(key) else { return };
        let all = &mut device.subscriptions.get_or_insert_default().0;
        match all.iter_mut().find(|one| one.wanted.kind() == kind) {
            Some(one) if one.wanted == wanted && !one.refused => return,
            Some(one) => {
                one.wanted = wanted;
                one.refused = false;
            }
            None => all.push(One {
                wanted,
                dialog: None,
                out: None,
                call_id: String::new(),
                other_event: false,
                event_id,
                refused: false,
                wake: Timestamp(i64::MAX),
            }),
        }
        self.send_subscribe(now, key, kind, self.config.subscription);
        self.pump(now);
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, now: Timestamp, key: &DeviceKey, kind: Kind) {
        if self.one(key, kind).is_some_and(|one| one.dialog.is_some()) {
            self.send_subscribe(now, key, kind, 0);
        }
        if let Some(all) = self.devices.get_mut(key).and_then(|device| device.subscriptions.as_mut()) {
            all.0.retain(|one| one.wanted.kind() != kind);
        }
        self.pump(now);
    }

    /// The device registered from the start: it has forgotten what we subscribed to.
    pub(super) fn subscribe_again(&mut self, now: Timestamp, key: &DeviceKey) {
        let all = self.devices.get_mut(key).and_then(|device| device.subscriptions.as_mut());
        let kinds: Vec<_> = all
            .map(|all| {
                let forget = |one: &mut One| {
                    one.dialog = None;
                    one.refused = false;
                    one.wanted.kind()
                };
                all.0.iter_mut().map(forget).collect()
            })
            .unwrap_or_default();
        for kind in kinds {
            self.send_subscribe(now, key, kind, self.config.subscription);
        }
    }

    fn one(&mut self, key: &DeviceKey, kind: Kind) -> Option<&mut One> {
        self.devices.get_mut(key)?.subscriptions.as_mut()?.0.iter_mut().find(|one| one.wanted.kind() == kind)
    }

    fn send_subscribe(&mut self, now: Timestamp, key: &DeviceKey, kind: Kind, expires: u32) {
        let Some(path) = self.devices.get(key).and_then(|device| device.path) else { return };
        let (sn, zone, version) = (self.next_sn(), self.config.zone, self.version_of(key));
        let fresh = self.fresh(Method::Subscribe, key, &path, key.device);
        let agent = self.config.user_agent.clone();
        let Some(one) = self.one(key, kind) else { return };
        let request = match &mut one.dialog {
            Some(dialog) => dialog.request(Method::Subscribe).with(Name::UserAgent, agent),
            None => fresh,
        };
        let body = one.wanted.query().write(version, sn, key.device.as_str(), zone);
        let request = request
            .with(Name::Contact, Server::contact(key, &path))
            .with(Name::Event, one.event())
            .with(Name::Expires, expires.to_string())
            .with_body(manscdp::TYPE, body);
        one.call_id = request.call_id().into_owned();
        // until the answer is there
        one.wake = now + (AGAIN * 2).into();
        one.out = Some(Box::new(request.clone()));
        let wake = one.wake;
        self.timers.set(wake, Wake::Subscription(*key, kind));
        let id = self.layer.request(now, path, request);
        self.purposes.insert(id, Purpose::Subscribe(*key, kind));
    }

    pub(super) fn subscribe_answered(&mut self, now: Timestamp, key: DeviceKey, kind: Kind, response: Response) {
        let usual = self.config.subscription;
        let Some(one) = self.one(&key, kind).filter(|one| one.call_id == response.call_id()) else { return };
        let sent = one.out.take();
        match response.status {
            200..=299 => {
                if one.dialog.is_none() {
                    one.dialog = sent.and_then(|sent| Dialog::of_caller(&sent, &response));
                }
                let granted = response.expires().filter(|seconds| *seconds > 0).unwrap_or(usual).clamp(30, 86_400);
                // renewed well before the end
                one.wake = now + Duration::from_secs(u64::from(granted) * 4 / 5).into();
                let wake = one.wake;
                self.timers.set(wake, Wake::Subscription(key, kind));
                self.event(Event::Subscribed { device: key, kind, accepted: Ok(()) });
            }
            // the dialog is unknown: from the start
            481 if one.dialog.is_some() => {
                one.dialog = None;
                self.send_subscribe(now, &key, kind, usual);
            }
            // bad event: the other name, once
            489 | 400 | 415 | 501 if !one.other_event => {
                one.other_event = true;
                one.dialog = None;
                self.send_subscribe(now, &key, kind, usual);
            }
            500.. | 408 | 480 => self.subscribe_failed(now, key, kind),
            status => {
                one.refused = true;
                one.dialog = None;
                one.wake = Timestamp(i64::MAX);
                self.event(Event::Subscribed { device: key, kind, accepted: Err(status) });
            }
        }
    }

    pub(super) fn subscribe_failed(&mut self, now: Timestamp, key: DeviceKey, kind: Kind) {
        let Some(one) = self.one(&key, kind) else { return };
        one.dialog = None;
        one.wake = now + AGAIN.into();
        let wake = one.wake;
        self.timers.set(wake, Wake::Subscription(key, kind));
    }

    pub(super) fn subscription_timer(&mut self, now: Timestamp, at: Timestamp, key: DeviceKey, kind: Kind) {
        if self.one(&key, kind).is_some_and(|one| one.wake == at && !one.refused) {
            self.send_subscribe(now, &key, kind, self.config.subscription);
        }
    }

    /// The device ended it (annex N): asked again later.
    pub(super) fn subscription_ended(&mut self, now: Timestamp, key: &DeviceKey, call_id: &str) {
        let all = self.devices.get(key).and_then(|device| device.subscriptions.as_ref());
        let kind = all.and_then(|all| all.0.iter().find(|one| one.call_id == call_id).map(|one| one.wanted.kind()));
        if let Some(kind) = kind {
            self.subscribe_failed(now, *key, kind);
        }
    }

    /// The device whose subscription has this Call-ID, if the path is its own.
    pub(super) fn subscriber(&self, call_id: &str, path: &Path) -> Option<DeviceKey> {
        let device = self.devices.on_path(path)?;
        let all = self.devices.get(&device)?.subscriptions.as_ref()?;
        all.0.iter().any(|one| one.call_id == call_id).then_some(device)
    }
}
