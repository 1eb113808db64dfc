//! Our side towards devices, as one machine: registrations, life signs, questions and answers, subscriptions, calls.
//!
//! Feed it messages ([`Server::receive`]), closed connections ([`Server::path_lost`]), the answers to its questions about who may
//! register ([`Server::verdict`]) and what the operator wants (`query`, `control`, `subscribe`, `invite`, `hang_up` …); drain
//! [`Server::poll`] after each; call [`Server::handle_timeout`] when [`Server::deadline`] is reached. Everything a message costs is
//! independent of the number of devices. Start with [`Event`].

mod call;
mod config;
mod device;
mod event;
mod inbound;
mod liveness;
mod outgoing;
mod query;
mod register;
mod subscribe;
#[cfg(test)]
mod tests;
mod trace;
mod voice;

pub use call::{Answered, CallEnd, CallId, Invite};
pub use config::{Config, Follow};
pub use device::{DeviceKey, Restored, Snapshot};
pub use event::{Answer, Event, Fresh, Gone, Output, Unanswered};
pub use query::QueryId;
pub use register::{AskId, Registration, Verdict};
pub use subscribe::{Kind as SubscriptionKind, Subscription};
pub use trace::Entry as TraceEntry;

use super::Id;
use super::ssrc;
use crate::media::time::Timestamp;
use crate::proto::sip::digest::Nonces;
use crate::proto::sip::ids::Ids;
use crate::proto::sip::timers::{Timers, earlier};
use crate::proto::sip::transaction::{self, ClientId, Layer};
use crate::proto::sip::{Message, Path};
use std::collections::{HashMap, VecDeque};

/// The machine. One for each process: several platform ids share it, as they share the listeners.
pub struct Server {
    config: Config,
    ids: Ids,
    nonces: Nonces,
    layer: Layer,
    platforms: Vec<Id>,
    devices: device::Table,
    registrar: register::Registrar,
    queries: query::Queries,
    calls: call::Calls,
    ssrcs: ssrc::Pool,
    /// What each request of ours is for.
    purposes: HashMap<ClientId, Purpose>,
    timers: Timers<Wake>,
    trace: trace::Trace,
    sn: u32,
    /// Wall clock minus the clock of the `now` arguments.
    wall: i64,
    out: VecDeque<Output>,
}

/// What a request of ours is for.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    /// To see whether a silent device is there.
    Probe(DeviceKey),
    Query(QueryId),
    Control(QueryId),
    Subscribe(DeviceKey, SubscriptionKind),
    Invite(CallId),
    Info(CallId, u32),
    Bye(CallId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Device(DeviceKey),
    Subscription(DeviceKey, SubscriptionKind),
    Query(QueryId),
    Call(CallId),
    Ask(AskId),
}

impl Server {
    /// Nobody registered. The seed comes from the operating system in production.
    pub fn new(config: Config, seed: [u8; 32]) -> Server {
        let mut ids = Ids::new(seed);
        let layer = Layer::new(ids.derive("transactions"), transaction::Timing { held_max: config.held_max, ..Default::default() });
        let nonces = Nonces::new(ids.derive("nonces"));
        // numbers below 2^31 and not from 1 after every start, so that late answers to an earlier life match nothing
        let sn = (ids.number() % 0x3FFF_FFFF) as u32;
        Server {
            trace: trace::Trace::new(config.trace_bytes),
            config,
            ids,
            nonces,
            layer,
            platforms: Vec::new(),
            devices: device::Table::default(),
            registrar: register::Registrar::default(),
            queries: query::Queries::default(),
            calls: call::Calls::default(),
            ssrcs: ssrc::Pool::default(),
            purposes: HashMap::new(),
            timers: Timers::default(),
            sn,
            wall: 0,
            out: VecDeque::new(),
        }
    }

    /// The platform ids that devices may register to.
    pub fn set_platforms(&mut self, platforms: Vec<Id>) {
        self.platforms = platforms;
    }

    /// Tells what time it is: Unix time at `now`, both in nanoseconds. To be repeated now and then.
    pub fn set_wall(&mut self, now: Timestamp, unix: Timestamp) {
        self.wall = unix.0.saturating_sub(now.0);
    }

    /// Takes a message.
    pub fn receive(&mut self, now: Timestamp, path: Path, message: Message) {
        self.trace.heard(now, &path, &message, &mut self.calls);
        self.layer.receive(now, path, message);
        self.pump(now);
    }

    /// Says that a TCP connection closed.
    pub fn path_lost(&mut self, now: Timestamp, link: u64) {
        self.layer.path_lost(link);
        self.link_closed(now, link);
        self.pump(now);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Server::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Timestamp> {
        earlier(self.timers.deadline(), self.layer.deadline())
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.layer.handle_timeout(now);
        self.pump(now);
        while let Some((at, wake)) = self.timers.due(now) {
            match wake {
                Wake::Device(key) => self.device_timer(now, at, key),
                Wake::Subscription(key, kind) => self.subscription_timer(now, at, key, kind),
                Wake::Query(id) => self.query_timer(now, id),
                Wake::Call(id) => self.call_timer(now, at, id),
                Wake::Ask(id) => self.ask_timer(id),
            }
            self.pump(now);
        }
    }

    /// How many devices are registered.
    pub fn registered(&self) -> usize {
        self.devices.len()
    }

    /// How many SSRCs are in use: one for each call.
    pub fn ssrcs_in_use(&self) -> usize {
        self.ssrcs.in_use()
    }

    /// Hands what the transaction layer gives to whom it concerns.
    fn pump(&mut self, now: Timestamp) {
        while let Some(output) = self.layer.poll() {
            match output {
                transaction::Output::Send { path, bytes } => {
                    self.trace.said(now, &path, &bytes, &mut self.calls);
                    self.out.push_back(Output::Send { path, bytes });
                }
                transaction::Output::Request { id, path, request } => self.on_request(now, id, path, request),
                transaction::Output::Cancelled { id } => self.on_cancelled(now, id),
                transaction::Output::Acked { id, .. } => self.on_acked(now, id),
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
                transaction::Output::Failed { id, why } => {
                    if let Some(purpose) = self.purposes.remove(&id) {
                        self.on_failed(now, purpose, why);
                    }
                }
                transaction::Output::Stray { path, response } => self.on_stray(now, path, response),
            }
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn unix_ms(&self, now: Timestamp) -> i64 {
        now.0.saturating_add(self.wall) / 1_000_000
    }

    fn next_sn(&mut self) -> u32 {
        self.sn = self.sn % 0x7FFF_FFFE + 1;
        self.sn
    }
}
