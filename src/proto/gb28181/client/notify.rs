//! What a device tells by itself: alarms, positions, changes of its catalog; by NOTIFY to who subscribed, else by MESSAGE.

use super::super::Id;
use super::super::manscdp::{self, Alarm, Cmd, Item, Position, Query, Root};
use super::event::Event;
use super::{Client, Purpose, Wake};
use crate::media::time::Timestamp;
use crate::proto::sip::dialog::Dialog;
use crate::proto::sip::message::{Envelope, Request};
use crate::proto::sip::transaction::ServerId;
use crate::proto::sip::{Method, Name, Path};
use bytes::Bytes;
use std::time::Duration;

/// What is subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Changes of the catalog.
    Catalog,
    /// Positions.
    Position,
    /// Alarms.
    Alarm,
}

#[derive(Default)]
pub(super) struct Subscriptions(Vec<One>);

struct One {
    kind: Kind,
    dialog: Dialog,
    event: String,
    sn: u32,
    until: Timestamp,
}

impl Client {
    pub(super) fn on_subscribe(&mut self, now: Timestamp, id: ServerId, path: Path, request: Request) {
        let body = manscdp::Body::parse(&request.body);
        let (query, sn) = match &body {
            Ok(body) => (Some(Query::read(body, self.config.zone).0), body.sn),
            Err(_) => (None, 0),
        };
        let (kind, interval) = match query {
            Some(Query::Catalog) => (Kind::Catalog, 0),
            Some(Query::MobilePosition { interval }) => (Kind::Position, interval.max(1)),
            Some(Query::Alarm { .. }) => (Kind::Alarm, 0),
            _ => {
                let response = self.answer(&request, &path, 489);
                return self.layer.respond(now, id, response);
            }
        };
        let expires = request.expires().unwrap_or(600).min(86_400);
        let response = self.answer(&request, &path, 200).with(Name::Contact, self.contact(self.config.id, &path));
        let response = response.with(Name::Expires, expires.to_string());
        let dialog = Dialog::of_callee(&request, &response);
        self.layer.respond(now, id, response);
        let known = self.subscriptions.0.iter_mut().find(|one| one.kind == kind && one.dialog.call_id() == request.call_id());
        let until = now + Duration::from_secs(u64::from(expires)).into();
        if expires == 0 {
            let before = self.subscriptions.0.len();
            self.subscriptions.0.retain(|one| one.dialog.call_id() != request.call_id());
            if self.subscriptions.0.len() < before {
                self.event(Event::Subscribed { kind, on: false, interval });
            }
            return;
        }
        match (known, dialog) {
            (Some(one), _) => (one.until, one.sn) = (until, sn),
            (None, Some(dialog)) => {
                // one of each kind: a platform that restarted subscribes anew
                self.subscriptions.0.retain(|one| one.kind != kind);
                let event = request.headers.get(&Name::Event).map(|event| event.into_owned()).unwrap_or_else(|| "presence".to_owned());
                self.subscriptions.0.push(One { kind, dialog, event, sn, until });
            }
            (None, None) => return,
        }
        self.timers.set(until, Wake::Subscription(kind));
        self.event(Event::Subscribed { kind, on: true, interval });
    }

    pub(super) fn subscription_timer(&mut self, now: Timestamp, _at: Timestamp, kind: Kind) {
        let before = self.subscriptions.0.len();
        self.subscriptions.0.retain(|one| one.kind != kind || one.until > now);
        if self.subscriptions.0.len() < before {
            self.event(Event::Subscribed { kind, on: false, interval: 0 });
        }
    }

    /// Whether somebody subscribed.
    pub fn is_subscribed(&self, kind: Kind) -> bool {
        self.subscriptions.0.iter().any(|one| one.kind == kind)
    }

    /// Tells an alarm. Its number is set here and given back; the platform's answer carries it.
    pub fn alarm(&mut self, now: Timestamp, mut alarm: Alarm) -> u32 {
        alarm.sn = self.next_sn();
        let sn = alarm.sn;
        let body = alarm.write(self.config.edition(), self.config.zone);
        self.tell(now, Kind::Alarm, body);
        sn
    }

    /// Tells where something is; nobody is told without a subscription.
    pub fn position(&mut self, now: Timestamp, position: &Position) {
        if let Some(sn) = self.number_of(Kind::Position) {
            let body = position.write(self.config.edition(), sn, self.config.id.as_str(), self.config.zone);
            self.tell(now, Kind::Position, body);
        }
    }

    /// Tells changes of the catalog, at most 100 at once by the book; nobody is told without a subscription.
    pub fn changed(&mut self, now: Timestamp, items: &[Item]) {
        let Some(sn) = self.number_of(Kind::Catalog) else { return };
        for part in items.chunks(self.config.items.clamp(1, 100)) {
            let version = self.config.edition();
            let mut w = manscdp::document(version, Root::Notify, &Cmd::Catalog, sn, self.config.id.as_str());
            w.field("SumNum", items.len()).list("DeviceList", part.len());
            part.iter().for_each(|item| item.write(version, &mut w));
            self.tell(now, Kind::Catalog, manscdp::bytes(w));
        }
    }

    /// The number of the subscription's question, which its notifications repeat.
    fn number_of(&self, kind: Kind) -> Option<u32> {
        self.subscriptions.0.iter().find(|one| one.kind == kind).map(|one| one.sn)
    }

    fn tell(&mut self, now: Timestamp, kind: Kind, body: Bytes) {
        let Some(path) = self.path else { return };
        let contact = self.contact(self.config.id, &path);
        match self.subscriptions.0.iter_mut().find(|one| one.kind == kind) {
            Some(one) => {
                let left = one.until.since(now).as_secs();
                let request = one.dialog.request(Method::Notify).with(Name::Contact, contact).with(Name::Event, one.event.clone());
                let request = request.with(Name::SubscriptionState, format!("active;expires={left}")).with_body(manscdp::TYPE, body);
                let id = self.layer.request(now, path, request);
                self.purposes.insert(id, Purpose::Notify);
            }
            None => self.message(now, body, Purpose::Told),
        }
        self.pump(now);
    }

    /// Tells the platform that a recording was sent to its end: inside the call, signed as the call is.
    pub fn finished(&mut self, now: Timestamp, call: super::CallId, channel: Id) {
        let sn = self.next_sn();
        let body = manscdp::media_status(self.config.edition(), sn, channel.as_str());
        let Some((path, request)) = self.path.and_then(|path| Some((path, self.in_call(call, Method::Message)?))) else { return };
        let id = self.layer.request(now, path, request.with_body(manscdp::TYPE, body));
        self.purposes.insert(id, Purpose::Told);
        self.pump(now);
    }
}
