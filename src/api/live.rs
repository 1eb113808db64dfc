//! Follows the streams of this process: writes their states to the store and queues the callbacks that tell of them.

use super::book::Book;
use super::plane::Media;
use crate::base::id::StreamKey;
use crate::model::callback;
use crate::model::id::StreamId;
use crate::model::stream::{self, Status};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::runtime::clock::Clock;
use crate::runtime::task::Stop;
use crate::store::{self, Store};
use crate::stream::{Event, Registry};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long changes are gathered before they are written together.
const GATHER: Duration = Duration::from_millis(50);
/// Streams of the last run that are ended together at start.
const PORTION: u32 = 200;
/// How often everything is compared, should an event have been missed.
const COMPARE: Duration = Duration::from_secs(30);

crate::settings! {
    /// Callbacks to the URLs of groups and templates: how many may wait.
    pub struct Callbacks {
        /// Most callbacks that wait for their delivery; more are dropped and counted in the log.
        pub waiting: u64 = 100_000,
    }
}

/// Follows the streams.
pub struct Follower {
    store: Store,
    book: Book,
    media: Arc<dyn Media>,
    clock: Clock,
    callbacks: Callbacks,
    /// The streams that the store knows as on, by their names in URLs.
    on: HashMap<StreamKey, StreamId>,
}

impl Follower {
    /// For one process.
    pub fn new(store: Store, book: Book, media: Arc<dyn Media>, clock: Clock, callbacks: Callbacks) -> Follower {
        Follower { store, book, media, clock, callbacks, on: HashMap::new() }
    }

    /// Runs until it is told to stop.
    pub async fn run(mut self, registry: Registry, stop: Stop) {
        let mut events = registry.watch();
        if let Err(error) = self.end_last_run().await {
            tracing::warn!(%error, "cannot mark streams as off at start");
        }
        let mut changed: Vec<StreamKey> = Vec::new();
        loop {
            let wait = if changed.is_empty() { COMPARE } else { GATHER };
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::Published(key) | Event::Gone(key)) => changed.push(key),
                    Some(_) => {}
                    None => break,
                },
                () = self.clock.sleep(wait) => {
                    if changed.is_empty() {
                        changed = self.compare();
                    }
                    self.write(std::mem::take(&mut changed)).await;
                }
                () = stop.requested() => break,
            }
            if changed.len() >= 256 {
                self.write(std::mem::take(&mut changed)).await;
            }
        }
        let all: Vec<StreamKey> = self.on.keys().cloned().collect();
        self.write(all).await;
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.clock.unix().0)
    }

    /// Nothing is live yet: what a run that was killed left on is off since now, and whoever was told that it is on is told so.
    async fn end_last_run(&self) -> Result<(), store::Error> {
        loop {
            let left = self.store.streams_left_on(PORTION).await?;
            if left.is_empty() {
                break;
            }
            let (mut changes, mut drafts) = (Vec::new(), Vec::new());
            for id in left {
                changes.push(stream::Change { id, status: Status::Off, at: self.now() });
                drafts.extend(self.callback(id, Status::Off, self.now()).await?);
            }
            // First the queue: a second kill in between tells it twice rather than never.
            self.queue(drafts).await?;
            self.store.set_stream_states(changes).await?;
        }
        self.store.all_streams_off(self.now()).await.map(drop)
    }

    async fn queue(&self, drafts: Vec<callback::Draft>) -> Result<(), store::Error> {
        let dropped = self.store.queue_callbacks(drafts, self.callbacks.waiting).await?;
        if dropped > 0 {
            tracing::warn!(dropped, "too many callbacks wait: some were dropped");
        }
        Ok(())
    }

    /// The streams whose state here is not what it is there.
    fn compare(&self) -> Vec<StreamKey> {
        let live: Vec<StreamKey> = self.media.list().into_iter().map(|live| live.key).collect();
        let came = live.iter().filter(|key| !self.on.contains_key(key)).cloned();
        let gone = self.on.keys().filter(|key| self.media.live(key).is_none()).cloned();
        came.chain(gone).collect()
    }

    async fn write(&mut self, mut keys: Vec<StreamKey>) {
        keys.sort();
        keys.dedup();
        if let Err(error) = self.try_write(keys).await {
            // The next comparison finds what was not written.
            tracing::warn!(%error, "cannot write the states of streams");
        }
    }

    async fn try_write(&mut self, keys: Vec<StreamKey>) -> Result<(), store::Error> {
        let (mut changes, mut drafts, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            let live = self.media.live(&key);
            if live.is_some() == self.on.contains_key(&key) {
                continue;
            }
            let Some(row) = self.book.row(&key).await? else {
                // Not the API's, or deleted in the meantime.
                self.on.remove(&key);
                continue;
            };
            let at = live.as_ref().map_or_else(|| self.now(), |live| Time::from_secs(live.since));
            let status = if live.is_some() { Status::On } else { Status::Off };
            changes.push(stream::Change { id: row.id, status, at });
            drafts.extend(self.callback(row.id, status, at).await?);
            seen.push((key, row.id, live.is_some()));
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.store.set_stream_states(changes).await?;
        for (key, id, on) in seen {
            match on {
                true => self.on.insert(key, id),
                false => self.on.remove(&key),
            };
        }
        self.queue(drafts).await
    }

    /// What is told to the group's callback.
    async fn callback(&self, id: StreamId, status: Status, at: Time) -> Result<Option<callback::Draft>, store::Error> {
        let told = async {
            let stream = self.store.stream(Scope::Operator, id).await?;
            let group = self.store.group(Scope::Operator, stream.group).await?;
            Ok((stream, group))
        };
        let (stream, group) = match told.await {
            Ok(told) => told,
            Err(store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(url) = group.callback else { return Ok(None) };
        let body = serde_json::json!({
            "Event": "stream_status",
            "Time": at.as_secs(),
            "GroupId": group.id.to_string(),
            "DeviceId": stream.device.map(|id| id.to_string()).unwrap_or_default(),
            "StreamId": stream.id.to_string(),
            "StreamName": stream.name,
            "StreamStatus": status.as_str(),
        });
        Ok(Some(callback::Draft { owner: stream.owner, object: format!("stream/{id}"), url, body: body.to_string() }))
    }
}
