//! All streams by name: publish, subscribe, wait for, list, watch.

use super::demand::{Want, Wanted};
use super::publisher::Publisher;
use super::settings::{OnTaken, Settings};
use super::stream::{Source, Stream};
use super::subscriber::{Class, Seat, Start, Subscriber};
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::media::track::Tracks;
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// The table of streams. Cloning shares it.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    clock: Clock,
    tasks: Tasks,
    streams: DashMap<StreamKey, Arc<Stream>>,
    wanted: DashMap<StreamKey, Arc<Wanted>>,
    events: broadcast::Sender<Event>,
}

/// What happens to streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A publisher came, or came back.
    Published(StreamKey),
    /// The publisher left; viewers stay for the grace time.
    Gone(StreamKey),
    /// The grace time is over.
    Ended(StreamKey),
    /// Somebody waits for a stream that nobody publishes.
    Wanted(StreamKey),
    /// The last reader left, or nobody waits any more.
    Idle(StreamKey),
}

/// A place at the stream of events.
pub struct Events(broadcast::Receiver<Event>);

/// Why a name cannot be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Somebody else publishes it.
    #[error("{0} is being published already")]
    Taken(StreamKey),
    /// The server shuts down.
    #[error("the server is stopping")]
    Stopping,
}

/// Why a wait for a stream was in vain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPublisher {
    /// Nobody published it in time.
    #[error("no such stream")]
    TimedOut,
    /// Who could bring it says why not.
    #[error("{0}")]
    Refused(String),
}

impl Registry {
    /// An empty table; its timers run in `tasks`.
    pub fn new(settings: Settings, clock: Clock, tasks: &Tasks) -> Registry {
        Registry(Arc::new(Inner {
            settings: Arc::new(settings),
            clock,
            tasks: tasks.clone(),
            streams: DashMap::new(),
            wanted: DashMap::new(),
            events: broadcast::Sender::new(4096),
        }))
    }

    /// Takes a name for writing. Ends when the [`Publisher`] is dropped.
    pub fn publish(&self, key: &StreamKey, source: Source) -> Result<Publisher, PublishError> {
        if self.0.tasks.stopping().is_requested() {
            return Err(PublishError::Stopping);
        }
        let publisher = {
            // The entry's guard keeps a second publisher, and the end of the grace time, out until the pen is ours.
            let stream = match self.0.streams.entry(key.clone()) {
                Entry::Occupied(entry) => entry.get().clone(),
                Entry::Vacant(entry) => entry.insert(Arc::new(Stream::new(key.clone(), self.0.settings.clone()))).clone(),
            };
            self.take_pen(stream, source)?
        };
        if let Some(wanted) = self.0.wanted.get(key).map(|w| w.clone()) {
            wanted.changed.notify_waiters();
        }
        self.tell(Event::Published(key.clone()));
        Ok(publisher)
    }

    fn take_pen(&self, stream: Arc<Stream>, source: Source) -> Result<Publisher, PublishError> {
        let mut pen = stream.pen();
        if pen.source.is_some() && self.0.settings.second_publisher == OnTaken::Refuse {
            return Err(PublishError::Taken(stream.key.clone()));
        }
        pen.eject.send_replace(Some(End::Kicked("a newer publisher took over".to_owned())));
        let (eject, stopped) = watch::channel(None);
        pen.eject = eject;
        pen.holder += 1;
        pen.source = Some(source);
        pen.since = self.0.clock.unix();
        let (holder, resumed) = (pen.holder, pen.last.is_some());
        stream.ring.forget_join(&mut pen.writer);
        drop(pen);
        stream.tracks.store(Arc::new(Tracks::default()));
        stream.set_live();
        Ok(Publisher::new(self.clone(), stream, holder, stopped, resumed))
    }

    pub(super) fn unpublish(&self, stream: &Arc<Stream>, holder: u64, last: bool) {
        {
            let mut pen = stream.pen();
            if pen.holder != holder {
                return;
            }
            pen.source = None;
            stream.set_gap();
        }
        self.tell(Event::Gone(stream.key.clone()));
        let grace = self.0.settings.grace.0;
        if last || grace.is_zero() || self.0.tasks.stopping().is_requested() {
            return self.bury(stream, holder);
        }
        let (registry, stream) = (self.clone(), stream.clone());
        self.0.tasks.spawn("stream grace time", async move {
            let stop = registry.0.tasks.stopping();
            tokio::select! {
                () = registry.0.clock.sleep(grace) => {}
                () = stop.requested() => {}
            }
            registry.bury(&stream, holder);
        });
    }

    /// Ends a stream whose publisher did not come back.
    fn bury(&self, stream: &Arc<Stream>, holder: u64) {
        let same = |_: &StreamKey, s: &Arc<Stream>| {
            let pen = s.pen();
            Arc::ptr_eq(s, stream) && pen.source.is_none() && pen.holder == holder
        };
        if self.0.streams.remove_if(&stream.key, same).is_some() {
            stream.set_over();
            self.tell(Event::Ended(stream.key.clone()));
        }
    }

    /// A read handle of a stream that is live or in its grace time.
    pub fn subscribe(&self, key: &StreamKey, class: Class, start: Start) -> Option<Subscriber> {
        let stream = self.get(key)?;
        Some(Subscriber::new(Seat::new(self.clone(), stream, class), start))
    }

    /// A read handle of a stream that may have to be fetched first: whoever watches for [`Event::Wanted`] can bring it.
    pub async fn wait_for(&self, key: &StreamKey, class: Class, start: Start, patience: Duration) -> Result<Subscriber, NoPublisher> {
        if let Some(sub) = self.subscribe(key, class, start) {
            return Ok(sub);
        }
        let want = Want::new(self.clone(), key);
        let arrival = async {
            loop {
                let changed = want.wanted.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(sub) = self.subscribe(key, class, start) {
                    return Ok(sub);
                }
                if let Some(why) = want.wanted.refusal() {
                    return Err(NoPublisher::Refused(why));
                }
                changed.await;
            }
        };
        tokio::select! {
            biased;
            found = arrival => found,
            () = self.0.clock.sleep(patience) => Err(NoPublisher::TimedOut),
        }
    }

    /// A read handle of a stream as soon as somebody publishes it. Unlike [`Registry::wait_for`] nobody is asked to fetch it.
    pub async fn meet(&self, key: &StreamKey, class: Class, start: Start) -> Subscriber {
        let mut events = self.watch();
        loop {
            if let Some(subscriber) = self.subscribe(key, class, start) {
                return subscriber;
            }
            // Whatever happened, missed events included, the answer is in the table.
            events.next().await;
        }
    }

    /// Tells all who wait for `key` that it will not come, and why.
    pub fn refuse(&self, key: &StreamKey, why: &str) {
        if let Some(wanted) = self.0.wanted.get(key).map(|w| w.clone()) {
            wanted.refuse(why);
        }
    }

    /// The stream of that name, live or in its grace time.
    pub fn get(&self, key: &StreamKey) -> Option<Arc<Stream>> {
        self.0.streams.get(key).map(|s| s.clone())
    }

    /// All streams, in no order.
    pub fn list(&self) -> Vec<Arc<Stream>> {
        self.0.streams.iter().map(|s| s.clone()).collect()
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.0.streams.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.streams.is_empty()
    }

    /// All events from now on.
    pub fn watch(&self) -> Events {
        Events(self.0.events.subscribe())
    }

    /// The names that somebody waits for now: what a late watcher has missed.
    pub fn wanted_now(&self) -> Vec<StreamKey> {
        self.0.wanted.iter().map(|w| w.key().clone()).collect()
    }

    /// The clock that the streams live by.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(super) fn left(&self, stream: &Arc<Stream>) {
        let info_idle = stream.seats(true).load(std::sync::atomic::Ordering::Acquire) == 0
            && stream.seats(false).load(std::sync::atomic::Ordering::Acquire) == 0;
        if info_idle {
            self.tell(Event::Idle(stream.key.clone()));
        }
    }

    pub(super) fn wanted(&self) -> &DashMap<StreamKey, Arc<Wanted>> {
        &self.0.wanted
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody watching is fine.
        let _ = self.0.events.send(event);
    }
}

impl Events {
    /// The next event; `None` means that so many came at once that some were lost: look at the lists again.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            // The registry is gone: nothing will ever come.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
