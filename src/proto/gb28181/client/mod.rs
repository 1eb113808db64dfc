//! The device's side, as one machine: registers, tells that it is alive, answers questions, takes calls, tells alarms and positions.
//!
//! The simulated camera is one or thousands of these; the upward cascade is one towards each upper platform. Give it a path
//! ([`Client::connect`]), feed it messages, drain [`Client::poll`], call [`Client::handle_timeout`] when [`Client::deadline`] is
//! reached; answer its [`Event`]s.

mod answer;
mod call;
mod config;
mod event;
mod inbound;
mod notify;
mod register;
#[cfg(test)]
mod tests;

pub use answer::{Reply, ReplyId};
pub use call::{CallEnd, CallId};
pub use config::Config;
pub use event::{Event, Output};
pub use notify::Kind as SubscriptionKind;

use super::Id;
use crate::media::time::Timestamp;
use crate::proto::sip::ids::Ids;
use crate::proto::sip::message::{Request, Response};
use crate::proto::sip::timers::{Timers, earlier};
use crate::proto::sip::transaction::{self, ClientId, Layer};
use crate::proto::sip::{Message, Method, Name, Path};
use std::collections::{HashMap, VecDeque};

/// The machine.
pub struct Client {
    config: Config,
    ids: Ids,
    layer: Layer,
    path: Option<Path>,
    registration: register::Registration,
    answers: answer::Answers,
    calls: call::Calls,
    subscriptions: notify::Subscriptions,
    purposes: HashMap<ClientId, Purpose>,
    timers: Timers<Wake>,
    sn: u32,
    wall: i64,
    out: VecDeque<Output>,
}

/// What a request of ours is for.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Register,
    Keepalive,
    /// A part of a long answer: the next goes out after its 200.
    Part(ReplyId),
    Notify,
    Invite(CallId),
    Bye(CallId),
    Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Register,
    Keepalive,
    Subscription(notify::Kind),
    Call(CallId),
}

impl Client {
    /// Not connected yet.
    pub fn new(config: Config, seed: [u8; 32]) -> Client {
        let mut ids = Ids::new(seed);
        let layer = Layer::new(ids.derive("transactions"), transaction::Timing { held_max: 10_000, ..Default::default() });
        let sn = (ids.number() % 0x3FFF_FFFF) as u32;
        Client {
            config,
            ids,
            layer,
            path: None,
            registration: register::Registration::default(),
            answers: answer::Answers::default(),
            calls: call::Calls::default(),
            subscriptions: notify::Subscriptions::default(),
            purposes: HashMap::new(),
            timers: Timers::default(),
            sn,
            wall: 0,
            out: VecDeque::new(),
        }
    }

    /// Registers over this path, now and whenever it is due.
    pub fn connect(&mut self, now: Timestamp, path: Path) {
        self.path = Some(path);
        self.register(now);
        self.pump(now);
    }

    /// The TCP connection closed: everything that went over it is over; connect again.
    pub fn path_lost(&mut self, now: Timestamp) {
        if let Some(path) = self.path.take() {
            self.layer.path_lost(path.link);
            self.disconnected(now);
            self.pump(now);
        }
    }

    /// Tells what time it is: Unix time at `now`, both in nanoseconds.
    pub fn set_wall(&mut self, now: Timestamp, unix: Timestamp) {
        self.wall = unix.0.saturating_sub(now.0);
    }

    /// Takes a message.
    pub fn receive(&mut self, now: Timestamp, path: Path, message: Message) {
        self.layer.receive(now, path, message);
        self.pump(now);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Client::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Timestamp> {
        earlier(self.timers.deadline(), self.layer.deadline())
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.layer.handle_timeout(now);
        self.pump(now);
        while let Some((at, wake)) = self.timers.due(now) {
            match wake {
                Wake::Register => self.register_timer(now, at),
                Wake::Keepalive => self.keepalive_timer(now, at),
                Wake::Subscription(kind) => self.subscription_timer(now, at, kind),
                Wake::Call(id) => self.call_timer(now, at, id),
            }
            self.pump(now);
        }
    }

    /// Whether it is registered.
    pub fn is_registered(&self) -> bool {
        self.registration.is_up()
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn pump(&mut self, now: Timestamp) {
        while let Some(output) = self.layer.poll() {
            match output {
                transaction::Output::Send { path, bytes } => self.out.push_back(Output::Send { path, bytes }),
                transaction::Output::Request { id, path, request } => self.on_request(now, id, path, request),
                transaction::Output::Cancelled { id } => self.on_cancelled(now, id),
                transaction::Output::Acked { id, .. } => self.on_acked(id),
                transaction::Output::Unacked { id } => self.on_unacked(now, id),
                transaction::Output::Response { id, path, response } => {
                    let purpose = self.purposes.get(&id).copied();
                    if response.status >= 200 {
                        self.purposes.remove(&id);
                    }
                    if let Some(purpose) = purpose {
                        self.on_response(now, purpose, path, response);
                    }
                }
                transaction::Output::Failed { id, .. } => {
                    if let Some(purpose) = self.purposes.remove(&id) {
                        self.on_failed(now, purpose);
                    }
                }
                transaction::Output::Stray { path, response } => self.on_stray(path, response),
            }
        }
    }

    fn on_response(&mut self, now: Timestamp, purpose: Purpose, path: Path, response: Response) {
        match purpose {
            Purpose::Invite(call) => self.invite_answered(now, call, path, response),
            _ if response.status < 200 => {}
            Purpose::Register => self.register_answered(now, response),
            Purpose::Keepalive => self.keepalive_answered(now, Some(response.status)),
            Purpose::Part(id) => self.part_taken(now, id, response.status < 300),
            Purpose::Bye(call) => self.drop_call(call),
            Purpose::Notify | Purpose::Told => {}
        }
    }

    fn on_failed(&mut self, now: Timestamp, purpose: Purpose) {
        match purpose {
            Purpose::Register => self.register_failed(now),
            Purpose::Keepalive => self.keepalive_answered(now, None),
            Purpose::Part(id) => self.part_taken(now, id, false),
            Purpose::Invite(call) => self.invite_failed(call),
            Purpose::Bye(call) => self.drop_call(call),
            Purpose::Notify | Purpose::Told => {}
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn next_sn(&mut self) -> u32 {
        self.sn = self.sn % 0x7FFF_FFFE + 1;
        self.sn
    }

    /// Milliseconds since 1970.
    pub fn unix_ms(&self, now: Timestamp) -> i64 {
        now.0.saturating_add(self.wall) / 1_000_000
    }

    /// A request outside of any dialog, to the platform, signed by `from`.
    fn fresh(&mut self, method: Method, path: &Path, from: Id) -> Request {
        let (tag, call) = (self.ids.tag(), self.ids.tag());
        let (server, domain) = (self.config.server, self.config.domain.clone());
        let to = if method == Method::Register { format!("<sip:{from}@{domain}>") } else { format!("<sip:{server}@{domain}>") };
        Request::new(method.clone(), format!("sip:{server}@{domain}"))
            .with(Name::From, format!("<sip:{from}@{domain}>;tag={tag}"))
            .with(Name::To, to)
            .with(Name::CallId, format!("{call}@{}", path.local.ip()))
            .with(Name::CSeq, format!("1 {method}"))
            .with(Name::MaxForwards, "70")
            .with(Name::UserAgent, self.config.agent.clone())
    }

    /// Sends a MANSCDP body by MESSAGE.
    fn message(&mut self, now: Timestamp, body: bytes::Bytes, purpose: Purpose) {
        let Some(path) = self.path else { return };
        let request = self.fresh(Method::Message, &path, self.config.id).with_body(super::manscdp::TYPE, body);
        let id = self.layer.request(now, path, request);
        self.purposes.insert(id, purpose);
    }

    fn contact(&self, user: Id, path: &Path) -> String {
        format!("<sip:{user}@{}>", path.local)
    }
}
