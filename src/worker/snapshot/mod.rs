//! Pictures of streams: one each Interval by template, and on demand.
//!
//! Only the newest key frame is decoded, which the stream keeps anyway; between two pictures nothing runs. Streams are spread
//! over the Interval by their ids, and pictures are made one after the other, so that hundreds of streams make no rush.
//! [`plan`] says which stream is next, [`take`] makes and stores a picture.

mod plan;
mod take;
#[cfg(test)]
mod tests;

use crate::av::Stills;
use crate::base::id::StreamKey;
use crate::media::time::Timestamp;
use crate::model::stream::Stream;
use crate::model::template::{Body, Template};
use crate::model::tenant::Scope;
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use crate::storage::Shelf;
use crate::store::{self, Change, Seen, Store};
use crate::stream::{Event, Registry};
use plan::{Job, Plan};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use take::{Failed, Taken};

crate::settings! {
    /// Pictures by template and on demand.
    pub struct Settings {
        /// JPEG quality, 1 to 100.
        pub quality: u8 = 80,
        /// The widest picture in pixels; narrower sources stay as they are. 0 is no limit.
        pub width: u16 = 0,
    }
}

/// How long changes are gathered before streams are looked up again.
const GATHER: Duration = Duration::from_millis(100);
/// How often everything is compared, should a change have been missed: another server may have made it.
const COMPARE: Duration = Duration::from_secs(30);

/// What pictures are made with.
pub struct Parts {
    /// How they look.
    pub settings: Settings,
    /// Templates and bindings.
    pub store: Store,
    /// The streams.
    pub registry: Registry,
    /// Where pictures go.
    pub shelf: Shelf,
    /// Who decodes and encodes.
    pub stills: Stills,
    /// The host that streams are played from, for callbacks.
    pub domain: String,
    /// The clock.
    pub clock: Clock,
}

/// Makes pictures. Cloning shares it.
#[derive(Clone)]
pub struct Snapshots(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// One picture at a time by template.
    turn: Arc<tokio::sync::Semaphore>,
    /// Names files in the spool.
    number: AtomicU64,
    /// Pictures that were stored.
    taken: AtomicU64,
    /// Pictures that could not be made.
    failed: AtomicU64,
}

/// Totals since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Pictures that were stored.
    pub taken: u64,
    /// Pictures that could not be made.
    pub failed: u64,
}

impl Snapshots {
    /// Begins to follow templates and streams, in `tasks`.
    pub fn start(parts: Parts, tasks: &Tasks) -> Snapshots {
        let (taken, failed, number) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        // What a crash left half written.
        if let Ok(files) = std::fs::read_dir(parts.shelf.spool()) {
            files.flatten().filter(|file| file.file_name().to_string_lossy().starts_with("picture-")).for_each(|file| {
                let _ = std::fs::remove_file(file.path());
            });
        }
        let snapshots = Snapshots(Arc::new(Inner { parts, turn: Arc::new(tokio::sync::Semaphore::new(1)), number, taken, failed }));
        tasks.spawn("snapshots", snapshots.clone().run(tasks.clone(), tasks.stopping()));
        snapshots
    }

    /// Totals.
    pub fn counts(&self) -> Counts {
        Counts { taken: self.0.taken.load(Ordering::Relaxed), failed: self.0.failed.load(Ordering::Relaxed) }
    }

    async fn run(self, tasks: Tasks, stop: Stop) {
        let Parts { store, registry, clock, .. } = &self.0.parts;
        let (mut changes, mut events) = (store.watch(), registry.watch());
        let mut plan = Plan::default();
        let mut look: HashSet<StreamKey> = registry.list().iter().map(|s| s.key().clone()).collect();
        let mut compared = clock.now();
        // When what changed is looked up: changes that come together are looked up together, and none waits for ever.
        let mut gathered = clock.now();
        loop {
            let mut all = false;
            let wait = if look.is_empty() { plan.wait(clock.now()).min(COMPARE) } else { gathered.since(clock.now()) };
            tokio::select! {
                () = stop.requested() => return,
                event = events.next() => match event {
                    Some(Event::Published(key) | Event::Gone(key) | Event::Ended(key)) => {
                        if look.is_empty() {
                            gathered = clock.now() + Timestamp::from(GATHER);
                        }
                        look.insert(key);
                        continue;
                    }
                    Some(_) => continue,
                    None => all = true,
                },
                seen = changes.next() => match seen {
                    Some(Seen::Change(Change::Template(_) | Change::Bindings(_) | Change::Group(_) | Change::Stream(_) | Change::Channels(_)) | Seen::Missed(_)) => all = true,
                    Some(_) => continue,
                    None => return,
                },
                () = clock.sleep(wait) => {}
            }
            if all || clock.now().since(compared) >= COMPARE {
                compared = clock.now();
                look.extend(registry.list().iter().map(|s| s.key().clone()));
                look.extend(plan.keys());
                if all {
                    // Many changes come together.
                    clock.sleep(GATHER).await;
                }
            }
            for key in look.drain().collect::<Vec<_>>() {
                match self.look_up(&key).await {
                    Ok(Some((stream, template))) => plan.put(key, stream, template, clock.now(), clock.unix()),
                    Ok(None) => plan.remove(&key),
                    Err(error) => {
                        tracing::warn!(%error, stream = %key, "cannot read which pictures are to be taken");
                    }
                }
            }
            for job in plan.due(clock.now(), clock.unix()) {
                self.begin(job, &tasks);
            }
        }
    }

    /// The stream behind a live name, and the snapshot template that acts on it.
    async fn look_up(&self, key: &StreamKey) -> Result<Option<(Stream, Arc<Template>)>, store::Error> {
        let Parts { store, registry, .. } = &self.0.parts;
        // Names of streams that others made of it are no ids.
        let Ok(id) = key.name().parse() else { return Ok(None) };
        if !registry.get(key).is_some_and(|stream| stream.is_live()) {
            return Ok(None);
        }
        let stream = match store.stream(Scope::Operator, id).await {
            Ok(stream) if stream.app == key.app() => stream,
            Ok(_) | Err(store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let templates = store.templates_for(stream.id).await?;
        let found = templates.into_iter().find(|template| matches!(template.body, Body::Snapshot(_)));
        Ok(found.map(|template| (stream, Arc::new(template))))
    }

    /// Takes a picture as soon as it is its turn.
    fn begin(&self, job: Job, tasks: &Tasks) {
        let (snapshots, stop) = (self.clone(), tasks.stopping());
        tasks.spawn("snapshot", async move {
            let work = async {
                let _turn = snapshots.0.turn.acquire().await;
                let done = snapshots.store_picture(&job.key, &job.stream, Some(&job.template), job.sequence).await;
                job.told(done.as_ref().err().map(|failed| failed.to_string()));
            };
            tokio::select! {
                () = work => {}
                () = stop.requested() => {}
            }
        });
    }
}
