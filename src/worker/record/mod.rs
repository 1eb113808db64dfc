//! Recordings: streams into MP4, FLV and HLS files, in one pass over the frames, that survive whatever happens to the server.
//!
//! [`session`] decides where files begin and end, [`sink`] makes the bytes of a format; both are free of IO and clocks and say what
//! is to be done ([`op`]). [`task`] reads a stream and has that done by [`disk`] on a few threads, so that neither a slow nor a full
//! disk holds a stream up; [`force`] forces it to the disk for all of them together, [`room`] is asked before a file begins. While it grows a file is a [`draft`] with a note of what it is; [`finish`] and [`playlist`] make the file of
//! it, the [`Shelf`] keeps that. [`repair`] does the same for drafts that a crash left behind. [`follow`] starts and stops what
//! templates say; what was ordered on demand is in the store until it is stopped, and goes on after a restart. [`shift`] keeps the past of streams, written the same way.

mod disk;
mod draft;
mod finish;
mod follow;
mod force;
mod op;
mod playlist;
mod repair;
mod room;
mod session;
pub mod shift;
mod sink;
mod task;
#[cfg(test)]
mod tests;

use crate::base::units::{Size, Span};
use crate::model::callback::{self, RecordingEvent};
use crate::model::id::RecordingId;
use crate::model::quota::{Exceeded, What};
use crate::model::recording::{Order, Ordered, Running, State};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::storage::Shelf;
use crate::store::{self, Store};
use crate::stream::Registry;
use crate::stream::tally::{self, Place};
use force::Force;
use session::Rules;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

pub use room::{Full, Limit, Room};

crate::settings! {
    /// Recordings. What is recorded is said by templates and by the API.
    pub struct Settings {
        /// What a crash of the server or a power failure may cost, in time. Half of it is written at once; the other half is for writing it.
        pub fragment: Span = Span::secs(2),
        /// Cut files where the clock shows whole multiples of their interval (UTC), as at every full hour.
        pub align: bool = false,
        /// The length of the segments of HLS recordings.
        pub segment: Span = Span::secs(6),
        /// Most bytes of a stream that wait for a slow disk; what comes beyond is a gap in the recording.
        pub buffer: Size = Size(8 << 20),
        /// Threads that write.
        pub writers: usize = 4,
        /// How often what all recordings wrote is forced to the disk, in one go for all: with half of `fragment` what a power failure may
        /// cost. 0: left to the operating system, usually half a minute.
        pub sync: Span = Span::millis(500),
        /// How long after a failure, as of a full disk, a new file is tried; and how often it is asked whether there is room.
        pub retry: Span = Span::secs(5),
    }
}

impl Settings {
    fn rules(&self) -> Rules {
        Rules { fragment: self.fragment.0, align: self.align, segment: self.segment.0 }
    }
}

/// Files that are finished at the same time.
const FINISHING: usize = 2;
/// How long a stop waits for the files to be closed.
const CLOSING: Duration = Duration::from_secs(10);

/// What a recorder stands on.
pub struct Parts {
    /// Its settings.
    pub settings: Settings,
    /// The streams.
    pub registry: Registry,
    /// The rows.
    pub store: Store,
    /// Where finished files go.
    pub shelf: Shelf,
    /// Whether there is room for more.
    pub room: Arc<dyn Room>,
    /// What tenants have at once.
    pub tally: tally::Tally,
    /// The host that callbacks name.
    pub domain: String,
    /// Most callbacks that wait.
    pub callbacks: u64,
}

/// All recordings. Cloning shares them.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    parts: Parts,
    clock: Clock,
    tasks: Tasks,
    /// Those that finish files; they are waited for after all others.
    finishers: Tasks,
    running: Mutex<HashMap<RecordingId, Arc<Live>>>,
    /// Drafts that somebody works on, by what their names begin with.
    busy: Mutex<HashSet<String>>,
    writers: Arc<Semaphore>,
    finishing: Semaphore,
    force: Arc<Force>,
    counts: Tally,
}

#[derive(Default)]
struct Tally {
    refused: AtomicU64,
    failed: AtomicU64,
    gaps: AtomicU64,
}

/// Figures for `/metrics`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Recordings that run.
    pub running: u64,
    /// Of those, the ones that cannot write.
    pub failing: u64,
    /// Times that no file began for want of room.
    pub refused: u64,
    /// Times that writing failed.
    pub failed: u64,
    /// Gaps that were written down.
    pub gaps: u64,
    /// Times that what was written was forced to the disk.
    pub forced: u64,
}

/// A recording that runs.
struct Live {
    id: RecordingId,
    order: Arc<Order>,
    on_demand: bool,
    /// It is in the store and goes on after a restart.
    lasting: bool,
    since: Time,
    bytes: AtomicU64,
    files: AtomicU64,
    /// Counts the takes.
    sequence: AtomicU64,
    now: Mutex<(State, String)>,
    stop: watch::Sender<bool>,
}

/// Why a recording was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The owner's quota is used up.
    #[error(transparent)]
    Quota(#[from] Exceeded),
    /// There is nothing to write.
    #[error("no file format is given")]
    Nothing,
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

/// A recording that begins.
struct Begin {
    id: RecordingId,
    order: Order,
    on_demand: bool,
    lasting: bool,
    /// It is one that was there before.
    resumed: bool,
    since: Time,
    /// The number of the file before its first.
    sequence: u64,
}

impl Recorder {
    /// Starts to follow the templates, goes on with what was ordered on demand before, and finishes what an earlier run left behind.
    pub async fn start(parts: Parts, tasks: &Tasks) -> Result<Recorder, store::Error> {
        let recorder = Recorder::new(parts, tasks);
        recorder.resume().await?;
        let every = recorder.0.parts.settings.sync.0;
        if !every.is_zero() {
            tasks.spawn("record: force", recorder.0.force.clone().run(every, recorder.0.clock.clone(), tasks.stopping()));
        }
        tasks.spawn("record: repair", repair::run(recorder.clone(), tasks.stopping()));
        tasks.spawn("record: templates", follow::run(recorder.clone(), tasks.stopping()));
        Ok(recorder)
    }

    /// Goes on with what was ordered on demand and not stopped. Its files are numbered on, those that a crash left behind included.
    async fn resume(&self) -> Result<(), store::Error> {
        let store = &self.0.parts.store;
        let ordered = store.recordings().await?;
        if ordered.is_empty() {
            return Ok(());
        }
        let left = repair::numbers(self.0.parts.shelf.spool().to_owned()).await;
        for Ordered { id, since, sequence, order } in ordered {
            let order = match store.stream(Scope::Operator, order.stream).await.map(|stream| stream.key()) {
                Ok(Ok(key)) => Order { key, ..order },
                Err(error) if !error.is_not_found() => return Err(error),
                // its stream was deleted
                _ => {
                    store.end_recording(id).await?;
                    continue;
                }
            };
            let sequence = left.get(&id).copied().unwrap_or(0).max(sequence);
            store.set_recording_sequence(id, sequence).await?;
            let begin = Begin { id, order, on_demand: true, lasting: true, resumed: true, since, sequence };
            if self.begin(begin).is_ok() {
                tracing::info!(recording = %id, "recording: what was ordered goes on");
            }
        }
        Ok(())
    }

    fn new(parts: Parts, tasks: &Tasks) -> Recorder {
        let writers = Arc::new(Semaphore::new(parts.settings.writers.max(1)));
        let clock = parts.registry.clock().clone();
        let force = Force::new(parts.shelf.spool());
        let inner = Inner {
            parts,
            clock,
            tasks: tasks.clone(),
            finishers: Tasks::new(),
            running: Mutex::default(),
            busy: Mutex::default(),
            writers,
            finishing: Semaphore::new(FINISHING),
            force,
            counts: Tally::default(),
        };
        Recorder(Arc::new(inner))
    }

    /// Records on demand, from the newest key frame that is in memory on, until [`stop`](Recorder::stop); waits for a stream that
    /// nobody sends now. `lasting`: it goes on after a restart of the server as well, under the same id. Refused where the owner's
    /// quota is used up.
    pub async fn record(&self, mut order: Order, lasting: bool) -> Result<RecordingId, Refused> {
        let Parts { store, tally, .. } = &self.0.parts;
        store.may_store(order.owner).await?;
        if !tally.has(order.owner, What::Recordings, &order.key) {
            let quota = store.tenant_by_id(order.owner).await?.quota;
            quota.room(What::Recordings, tally.count(order.owner, What::Recordings), 1)?;
        }
        if let Some(key) = order.bucket_key.take() {
            store.put_bucket_key(order.owner, &order.storage.endpoint, &order.storage.bucket, &key).await?;
        }
        if order.formats.is_empty() {
            return Err(Refused::Nothing);
        }
        let (id, since) = (store.new_recording(), self.now());
        if lasting {
            store.put_recording(Ordered { id, since, sequence: 0, order: order.clone() }).await?;
        }
        let begun = self.begin(Begin { id, order, on_demand: true, lasting, resumed: false, since, sequence: 0 });
        if begun.is_err() && lasting {
            store.end_recording(id).await?;
        }
        begun.map(|live| live.id)
    }

    /// Ends a recording; returns when its files are closed. `false`: there is none of that id.
    pub async fn stop(&self, id: RecordingId) -> Result<bool, store::Error> {
        let Some(live) = lock(&self.0.running).get(&id).cloned() else { return Ok(false) };
        if live.lasting {
            // first, so that a crash from here on does not bring it back
            self.0.parts.store.end_recording(id).await?;
        }
        live.stop.send_replace(true);
        let closed = live.stop.clone();
        drop(live);
        // the task drops its receiver when it is done
        tokio::select! {
            () = closed.closed() => {}
            () = self.0.clock.sleep(CLOSING) => {}
        }
        Ok(true)
    }

    /// Figures for `/metrics`.
    pub fn counts(&self) -> Counts {
        let Tally { refused, failed, gaps } = &self.0.counts;
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let running = lock(&self.0.running);
        let failing = running.values().filter(|live| lock(&live.now).0 == State::Failing).count() as u64;
        let (running, forced) = (running.len() as u64, self.0.force.rounds());
        Counts { running, failing, refused: get(refused), failed: get(failed), gaps: get(gaps), forced }
    }

    /// All recordings that run, in no order.
    pub fn running(&self) -> Vec<Running> {
        lock(&self.0.running).values().map(|live| live.show()).collect()
    }

    /// Waits for the files that are being finished; what is not finished by then is at the next start.
    pub async fn close(&self, patience: Duration) {
        let late = self.0.finishers.finish(patience).await;
        if !late.is_empty() {
            tracing::info!(files = late.len(), "recordings: files are finished at the next start");
        }
    }

    fn begin(&self, begin: Begin) -> Result<Arc<Live>, Refused> {
        let Begin { id, order, on_demand, lasting, resumed, since, sequence } = begin;
        if order.formats.is_empty() {
            return Err(Refused::Nothing);
        }
        let stop = self.0.tasks.stopping();
        if stop.is_requested() {
            return Err(Refused::Stopping);
        }
        let (sender, receiver) = watch::channel(false);
        let live = Arc::new(Live {
            id,
            order: Arc::new(order),
            on_demand,
            lasting,
            since,
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            sequence: AtomicU64::new(sequence),
            now: Mutex::new((State::Waiting, String::new())),
            stop: sender,
        });
        lock(&self.0.running).insert(id, live.clone());
        let (recorder, run) = (self.clone(), live.clone());
        self.0.tasks.spawn("record", async move {
            task::run(&recorder, &run, receiver, stop, resumed).await;
            lock(&recorder.0.running).remove(&run.id);
        });
        Ok(live)
    }

    /// A place among the recordings that the owner may have at once.
    async fn place(&self, order: &Order) -> Result<Place, Exceeded> {
        // What the store cannot say now is no reason to lose pictures.
        let quota = self.0.parts.store.tenant_by_id(order.owner).await.map(|tenant| tenant.quota).unwrap_or_default();
        self.0.parts.tally.take(order.owner, What::Recordings, &order.key, quota)
    }

    /// Why no file may begin now: the disk, or what the owner may store.
    async fn full(&self, order: &Order) -> Option<Full> {
        if let Err(full) = self.0.parts.room.ask(order) {
            return Some(full);
        }
        match self.0.parts.store.may_store(order.owner).await {
            Err(store::Error::Exceeded(exceeded)) => Some(Full { limit: Limit::Quota, why: exceeded.to_string() }),
            Ok(()) | Err(_) => None,
        }
    }

    /// The owner records as much at once as it may; that is told once.
    async fn refuse(&self, live: &Live, exceeded: Exceeded) {
        let why = Full { limit: Limit::Quota, why: exceeded.to_string() }.to_string();
        if std::mem::replace(&mut *lock(&live.now), (State::Failing, why.clone())).0 != State::Failing {
            self.0.counts.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(stream = %live.order.key, recording = %live.id, %why, "recording: refused; it begins when there is room");
            self.tell(&live.order, RecordingEvent::Error).await;
        }
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.0.clock.unix().0)
    }

    /// Tells the order's callback what happens.
    async fn tell(&self, order: &Order, event: RecordingEvent) {
        let Some(url) = order.callback.clone() else { return };
        let (app, stream, domain) = (order.key.app().to_owned(), order.key.name().to_owned(), self.0.parts.domain.clone());
        let Ok(body) = serde_json::to_string(&callback::Recording { domain, app, stream, event }) else { return };
        let draft = callback::Draft { owner: order.owner, object: format!("record/{}", order.stream), url, body };
        if let Err(error) = self.0.parts.store.queue_callbacks(vec![draft], self.0.parts.callbacks).await {
            tracing::warn!(%error, stream = %order.key, "a callback of a recording was not queued");
        }
    }
}

impl Live {
    fn show(&self) -> Running {
        let (state, trouble) = lock(&self.now).clone();
        let order = &self.order;
        Running {
            id: self.id,
            owner: order.owner,
            group: order.group,
            stream: order.stream,
            key: order.key.clone(),
            template: order.template,
            formats: order.formats,
            on_demand: self.on_demand,
            since: self.since,
            state,
            bytes: self.bytes.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
            trouble,
        }
    }

    fn set(&self, state: State) {
        lock(&self.now).0 = state;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
