//! Recordings: streams into MP4, FLV and HLS files, in one pass over the frames, that survive whatever happens to the server.
//!
//! [`session`] decides where files begin and end, [`sink`] makes the bytes of a format; both are free of IO and clocks and say what
//! is to be done ([`op`]). [`task`] reads a stream and has that done by [`disk`] on a few threads, so that neither a slow nor a full
//! disk holds a stream up. While it grows a file is a [`draft`] with a note of what it is; [`finish`] and [`playlist`] make the file of
//! it, the [`Shelf`] keeps that. [`repair`] does the same for drafts that a crash left behind. [`follow`] starts and stops what
//! templates say. [`shift`] keeps the past of streams, written the same way.

mod disk;
mod draft;
mod finish;
mod follow;
mod op;
mod playlist;
mod repair;
mod session;
pub mod shift;
mod sink;
mod task;
#[cfg(test)]
mod tests;

use crate::base::units::{Size, Span};
use crate::model::callback::{self, RecordingEvent};
use crate::model::id::RecordingId;
use crate::model::recording::{Order, Running, State};
use crate::model::time::Time;
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::store::{self, Store};
use crate::stream::Registry;
use crate::worker::storage::Shelf;
use session::Rules;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

crate::settings! {
    /// Recordings. What is recorded is said by templates and by the API.
    pub struct Settings {
        /// How much time is written at once: what a crash of the server may cost.
        pub fragment: Span = Span::secs(2),
        /// Cut files where the clock shows whole multiples of their interval (UTC), as at every full hour.
        pub align: bool = false,
        /// The length of the segments of HLS recordings.
        pub segment: Span = Span::secs(6),
        /// Most bytes of a stream that wait for a slow disk; what comes beyond is a gap in the recording.
        pub buffer: Size = Size(8 << 20),
        /// Threads that write.
        pub writers: usize = 4,
        /// How often a file that grows is forced to the disk: what a power failure may cost. 0: left to the operating system.
        pub sync: Span = Span::secs(10),
        /// How long after a failure, as of a full disk, a new file is tried.
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
}

/// A recording that runs.
struct Live {
    id: RecordingId,
    order: Arc<Order>,
    on_demand: bool,
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

impl Recorder {
    /// Starts to follow the templates, and finishes what an earlier run left behind.
    pub fn start(parts: Parts, tasks: &Tasks) -> Recorder {
        let recorder = Recorder::new(parts, tasks);
        tasks.spawn("record: repair", repair::run(recorder.clone(), tasks.stopping()));
        tasks.spawn("record: templates", follow::run(recorder.clone(), tasks.stopping()));
        recorder
    }

    fn new(parts: Parts, tasks: &Tasks) -> Recorder {
        let writers = Arc::new(Semaphore::new(parts.settings.writers.max(1)));
        let clock = parts.registry.clock().clone();
        let inner = Inner {
            parts,
            clock,
            tasks: tasks.clone(),
            finishers: Tasks::new(),
            running: Mutex::default(),
            busy: Mutex::default(),
            writers,
            finishing: Semaphore::new(FINISHING),
        };
        Recorder(Arc::new(inner))
    }

    /// Records on demand, from the newest key frame that is in memory on, until [`stop`](Recorder::stop); waits for a stream that
    /// nobody sends now.
    pub async fn record(&self, mut order: Order) -> Result<RecordingId, Refused> {
        if let Some(key) = order.bucket_key.take() {
            let storage = &order.storage;
            self.0.parts.store.put_bucket_key(order.owner, &storage.endpoint, &storage.bucket, &key).await?;
        }
        self.begin(order, true, false).map(|live| live.id)
    }

    /// Ends a recording; returns when its files are closed. `false`: there is none of that id.
    pub async fn stop(&self, id: RecordingId) -> bool {
        let Some(live) = lock(&self.0.running).get(&id).cloned() else { return false };
        live.stop.send_replace(true);
        let closed = live.stop.clone();
        drop(live);
        // the task drops its receiver when it is done
        tokio::select! {
            () = closed.closed() => {}
            () = self.0.clock.sleep(CLOSING) => {}
        }
        true
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

    fn begin(&self, order: Order, on_demand: bool, resumed: bool) -> Result<Arc<Live>, Refused> {
        if order.formats.is_empty() {
            return Err(Refused::Nothing);
        }
        let stop = self.0.tasks.stopping();
        if stop.is_requested() {
            return Err(Refused::Stopping);
        }
        let id = self.0.parts.store.new_recording();
        let (sender, receiver) = watch::channel(false);
        let live = Arc::new(Live {
            id,
            order: Arc::new(order),
            on_demand,
            since: self.now(),
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
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
