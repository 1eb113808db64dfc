//! Registering, staying registered, and life signs.

use super::super::{Id, manscdp};
use super::event::Event;
use super::{Client, Purpose, Wake};
use crate::media::time::Timestamp;
use crate::proto::sip::digest::{Challenge, Credentials};
use crate::proto::sip::message::{Envelope, Response};
use crate::proto::sip::{Method, Name, Path};
use std::time::Duration;

#[derive(Default)]
pub(super) struct Registration {
    state: State,
    call_id: String,
    from: String,
    number: u32,
    /// Challenges answered in this attempt.
    tried: u32,
    missed: u32,
    register_at: Timestamp,
    keepalive_at: Timestamp,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Down,
    Up,
    /// We asked to be forgotten.
    Leaving,
}

impl Registration {
    pub fn is_up(&self) -> bool {
        self.state == State::Up
    }
}

impl Client {
    pub(super) fn register(&mut self, now: Timestamp) {
        self.registration.tried = 0;
        self.send_register(now, None);
    }

    /// Unregisters. What is up in calls is not touched.
    pub fn leave(&mut self, now: Timestamp) {
        self.registration.state = State::Leaving;
        self.registration.tried = 0;
        self.send_register(now, None);
        self.pump(now);
    }

    fn send_register(&mut self, now: Timestamp, credentials: Option<Challenge>) {
        let Some(path) = self.path else { return };
        let id = self.config.id;
        let mut request = self.fresh(Method::Register, &path, id);
        // one Call-ID and one tag for all of it (RFC 3261 section 10.2)
        if self.registration.call_id.is_empty() {
            self.registration.call_id = request.call_id().into_owned();
            self.registration.from = request.headers.get(&Name::From).map(|from| from.into_owned()).unwrap_or_default();
        }
        self.registration.number += 1;
        request.headers.set(Name::CallId, self.registration.call_id.clone());
        request.headers.set(Name::From, self.registration.from.clone());
        request.headers.set(Name::CSeq, format!("{} REGISTER", self.registration.number));
        let expires = if self.registration.state == State::Leaving { 0 } else { self.config.expires };
        let mut request = request.with(Name::Contact, self.contact(id, &path)).with(Name::Expires, expires.to_string());
        if let Some(version) = self.config.version {
            request.headers.push(Name::XGbVer, version.as_str());
        }
        if let Some(challenge) = credentials {
            let cnonce = self.ids.tag();
            let user = self.config.user().to_owned();
            let made = Credentials::answer(&challenge, &user, &self.config.password, "REGISTER", &request.uri, &cnonce);
            request.headers.push(Name::Authorization, made.to_string());
        }
        let tx = self.layer.request(now, path, request);
        self.purposes.insert(tx, Purpose::Register);
    }

    pub(super) fn register_answered(&mut self, now: Timestamp, response: Response) {
        match response.status {
            401 | 407 if self.registration.tried < 2 => {
                self.registration.tried += 1;
                let names = [Name::WwwAuthenticate, Name::ProxyAuthenticate];
                let challenge = names
                    .iter()
                    .flat_map(|name| response.headers.all(name))
                    .find_map(|value| Challenge::parse(&crate::proto::sip::header::text(value)));
                match challenge {
                    Some(challenge) => self.send_register(now, Some(challenge)),
                    None => self.refused(now, response.status),
                }
            }
            200..=299 if self.registration.state == State::Leaving => {
                self.registration.state = State::Down;
                self.registration.register_at = Timestamp(i64::MAX);
                self.event(Event::Unregistered { status: 200 });
            }
            200..=299 => {
                let first = self.registration.state != State::Up;
                self.registration.state = State::Up;
                self.registration.missed = 0;
                let granted = response.expires().filter(|seconds| *seconds > 0).unwrap_or(self.config.expires).max(10);
                self.register_at(now + Duration::from_secs(u64::from(granted) * 4 / 5).into());
                let time = response.headers.get(&Name::Date).and_then(|text| self.config.zone.parse(&text));
                if first {
                    self.keepalive_at(now + self.config.keepalive.into());
                }
                self.event(Event::Registered { first, time });
            }
            302 => {
                let contact = response.contact().map(|contact| contact.uri).unwrap_or_default();
                self.refused(now, 302);
                self.event(Event::Redirected { contact });
            }
            status => self.refused(now, status),
        }
    }

    pub(super) fn register_failed(&mut self, now: Timestamp) {
        self.refused(now, 408);
    }

    fn refused(&mut self, now: Timestamp, status: u16) {
        self.registration.state = State::Down;
        // a new attempt is a new registration
        self.registration.call_id.clear();
        let spread = Duration::from_millis(self.ids.number() % 1000 * (self.config.retry.as_millis() as u64 / 2000).max(1));
        self.register_at(now + (self.config.retry + spread).into());
        self.event(Event::Unregistered { status });
    }

    pub(super) fn disconnected(&mut self, _now: Timestamp) {
        let was = std::mem::replace(&mut self.registration.state, State::Down);
        self.registration.register_at = Timestamp(i64::MAX);
        self.registration.call_id.clear();
        if was == State::Up {
            self.event(Event::Unregistered { status: 0 });
        }
    }

    fn register_at(&mut self, at: Timestamp) {
        self.registration.register_at = at;
        self.timers.set(at, Wake::Register);
    }

    fn keepalive_at(&mut self, at: Timestamp) {
        self.registration.keepalive_at = at;
        self.timers.set(at, Wake::Keepalive);
    }

    pub(super) fn register_timer(&mut self, now: Timestamp, at: Timestamp) {
        if self.registration.register_at == at {
            self.register(now);
        }
    }

    pub(super) fn keepalive_timer(&mut self, now: Timestamp, at: Timestamp) {
        if self.registration.keepalive_at != at || self.registration.state != State::Up {
            return;
        }
        self.keepalive_at(now + self.config.keepalive.into());
        let faulty: Vec<Id> = Vec::new();
        let sn = self.next_sn();
        let body = manscdp::keepalive(self.config.edition(), sn, self.config.id.as_str(), &faulty);
        self.message(now, body, Purpose::Keepalive);
    }

    /// `None`: no answer came.
    pub(super) fn keepalive_answered(&mut self, now: Timestamp, status: Option<u16>) {
        if self.registration.state != State::Up {
            return;
        }
        match status {
            Some(200..=299) => self.registration.missed = 0,
            // it does not know us any more: after a restart of its own, for instance
            Some(401 | 403 | 404 | 481) => self.again(now),
            _ => {
                self.registration.missed += 1;
                if self.registration.missed >= self.config.misses {
                    self.again(now);
                }
            }
        }
    }

    fn again(&mut self, now: Timestamp) {
        self.registration.state = State::Down;
        self.registration.call_id.clear();
        self.registration.missed = 0;
        self.event(Event::Unregistered { status: 408 });
        self.register(now);
    }

    /// How it is reached now.
    pub fn path(&self) -> Option<Path> {
        self.path
    }
}
