//! Drives the server machine: messages from the wire in, bytes out, events to whom they concern, time when it is due.

use super::roster::{Roster, Say};
use super::wire::{Inbound, Wire};
use crate::media::time::Timestamp;
use crate::model::time::Time;
use crate::proto::gb28181::manscdp::{Item, Record};
use crate::proto::gb28181::mansrtsp;
use crate::proto::gb28181::server::{
    Answer, Answered, AskId, CallEnd, CallId, Event, Output, QueryId, Registration, Server, Unanswered, Verdict,
};
use crate::proto::sip::{Message, Path};
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// The machine with its surroundings. Cloning shares it.
#[derive(Clone)]
pub struct Signalling(Arc<Inner>);

struct Inner {
    core: Mutex<Core>,
    roster: Arc<Roster>,
    wire: Wire,
    clock: Clock,
    wake: Notify,
    /// When the timer task is due, in nanoseconds.
    due: AtomicI64,
    events: mpsc::Sender<Happening>,
    lost: AtomicU64,
}

struct Core {
    server: Server,
    calls: HashMap<CallId, mpsc::UnboundedSender<CallEvent>>,
    queries: HashMap<QueryId, mpsc::UnboundedSender<Part>>,
}

/// What the service looks after.
#[derive(Debug)]
pub enum Happening {
    /// Something happened.
    Event(Event),
    /// A device that may register is to be created first.
    Create(AskId, Box<Registration>, crate::model::id::GroupId),
}

/// What happens in a call.
#[derive(Debug)]
pub enum CallEvent {
    /// It is answered.
    Answered(Box<Answered>),
    /// The device says that the recording was sent to its end.
    Finished,
    /// It is over.
    Ended(CallEnd),
    /// A playback was controlled.
    Controlled(u32, Result<mansrtsp::Reply, u16>),
}

/// What comes back on a question.
#[derive(Debug)]
pub enum Part {
    /// Entries of a catalog.
    Items(Vec<Item>),
    /// Stretches of recordings.
    Records(Vec<Record>),
    /// The end.
    End(Result<Answer, Unanswered>),
}

/// Events that may wait for the service.
const EVENTS: usize = 65_536;

impl Signalling {
    /// Starts the machine's clock; the wire is started by the caller with this as its [`Inbound`].
    pub fn start(server: Server, roster: Arc<Roster>, wire: Wire, clock: Clock, tasks: &Tasks) -> (Signalling, mpsc::Receiver<Happening>) {
        let (events, happenings) = mpsc::channel(EVENTS);
        let core = Core { server, calls: HashMap::new(), queries: HashMap::new() };
        let inner = Inner {
            core: Mutex::new(core),
            roster,
            wire,
            clock,
            wake: Notify::new(),
            due: AtomicI64::new(i64::MAX),
            events,
            lost: AtomicU64::new(0),
        };
        let signalling = Signalling(Arc::new(inner));
        let (timer, stop) = (signalling.clone(), tasks.stopping());
        tasks.spawn("sip timers", async move {
            tokio::select! {
                () = stop.requested() => {}
                () = timer.keep_time() => {}
            }
        });
        (signalling, happenings)
    }

    /// Does something with the machine and carries out what comes of it.
    pub fn with<T>(&self, act: impl FnOnce(&mut Server, Timestamp) -> T) -> T {
        let mut core = self.lock();
        let now = self.0.clock.now();
        let result = act(&mut core.server, now);
        self.carry_out(&mut core, now);
        result
    }

    /// The same for what starts a call: its events come to the receiver.
    pub fn call<E>(
        &self,
        act: impl FnOnce(&mut Server, Timestamp) -> Result<CallId, E>,
    ) -> Result<(CallId, mpsc::UnboundedReceiver<CallEvent>), E> {
        let mut core = self.lock();
        let now = self.0.clock.now();
        let call = act(&mut core.server, now);
        let route = call.map(|call| {
            let (sender, receiver) = mpsc::unbounded_channel();
            core.calls.insert(call, sender);
            (call, receiver)
        });
        self.carry_out(&mut core, now);
        route
    }

    /// The same for what asks a question: its answer comes to the receiver.
    pub fn ask<E>(&self, act: impl FnOnce(&mut Server, Timestamp) -> Result<QueryId, E>) -> Result<mpsc::UnboundedReceiver<Part>, E> {
        let mut core = self.lock();
        let now = self.0.clock.now();
        let query = act(&mut core.server, now);
        let route = query.map(|query| {
            let (sender, receiver) = mpsc::unbounded_channel();
            core.queries.insert(query, sender);
            receiver
        });
        self.carry_out(&mut core, now);
        route
    }

    /// The way out.
    pub fn wire(&self) -> &Wire {
        &self.0.wire
    }

    /// The clock that the machine lives by.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Events that nobody took in time.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends and tells until the machine has nothing more. Nothing here waits.
    fn carry_out(&self, core: &mut Core, now: Timestamp) {
        while let Some(output) = core.server.poll() {
            match output {
                Output::Send { path, bytes } => self.0.wire.send(&path, bytes),
                Output::Event(event) => self.tell(core, now, event),
            }
        }
        let due = core.server.deadline().map_or(i64::MAX, |at| at.0);
        if due < self.0.due.swap(due, Ordering::AcqRel) {
            self.0.wake.notify_one();
        }
    }

    fn tell(&self, core: &mut Core, now: Timestamp, event: Event) {
        // false: whoever waited is gone
        let to_call = |core: &Core, call: &CallId, event| core.calls.get(call).is_some_and(|route| route.send(event).is_ok());
        match event {
            Event::Ask { ask, registration } => match self.0.roster.judge(&registration, Time::from_nanos(self.0.clock.unix().0)) {
                Say::Verdict(verdict) => core.server.verdict(now, ask, verdict),
                Say::Create(group) => {
                    if self.0.events.try_send(Happening::Create(ask, registration, group)).is_err() {
                        core.server.verdict(now, ask, Verdict::Refuse { status: 503, why: "too many new devices at once" });
                    }
                }
            },
            Event::CallAnswered { call, answered } => {
                if !to_call(core, &call, CallEvent::Answered(answered)) {
                    core.server.hang_up(now, call);
                }
            }
            Event::CallFinished { call } => {
                if !to_call(core, &call, CallEvent::Finished) {
                    core.server.hang_up(now, call);
                }
            }
            Event::Controlled { call, number, result } => {
                to_call(core, &call, CallEvent::Controlled(number, result));
            }
            Event::CallEnded { call, why } => {
                to_call(core, &call, CallEvent::Ended(why));
                core.calls.remove(&call);
            }
            Event::Items { query, items, .. } => {
                let _ = core.queries.get(&query).map(|route| route.send(Part::Items(items)));
            }
            Event::Records { query, records } => {
                let _ = core.queries.get(&query).map(|route| route.send(Part::Records(records)));
            }
            Event::Answered { query, answer, .. } => {
                let _ = core.queries.remove(&query).map(|route| route.send(Part::End(answer)));
            }
            event => {
                if self.0.events.try_send(Happening::Event(event)).is_err() {
                    self.0.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    async fn keep_time(&self) {
        let mut wall = Timestamp::ZERO;
        loop {
            let now = self.0.clock.now();
            if wall <= now {
                // the machine's clock may be set while we run
                let unix = self.0.clock.unix();
                self.with(|server, now| server.set_wall(now, unix));
                wall = now + Duration::from_secs(10).into();
            }
            let due = Timestamp(self.0.due.load(Ordering::Acquire)).min(wall);
            tokio::select! {
                () = self.0.clock.sleep_until(due) => self.with(|server, now| server.handle_timeout(now)),
                () = self.0.wake.notified() => {}
            }
        }
    }
}

/// Hangs up when it is dropped, as when nobody waits for an answer any longer.
pub struct HangUp<'a> {
    signalling: &'a Signalling,
    call: Option<CallId>,
}

impl<'a> HangUp<'a> {
    /// For this call.
    pub fn new(signalling: &'a Signalling, call: CallId) -> HangUp<'a> {
        HangUp { signalling, call: Some(call) }
    }

    /// The call goes on.
    pub fn keep(mut self) {
        self.call = None;
    }
}

impl Drop for HangUp<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            self.signalling.with(|server, now| server.hang_up(now, call));
        }
    }
}

impl Inbound for Signalling {
    fn message(&self, path: Path, message: Message) {
        self.with(|server, now| server.receive(now, path, message));
    }

    fn closed(&self, link: u64) {
        self.with(|server, now| server.path_lost(now, link));
    }
}
