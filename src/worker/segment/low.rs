//! One task for each stream that somebody asks for in parts, beside those that are asked for in whole segments.

use super::Settings;
use super::feed::{self, NoSegments};
use super::parts::PartCutter;
use crate::base::id::StreamKey;
use crate::container::m3u8::Parts;
use crate::container::mp4;
use crate::media::time::Timestamp;
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use crate::stream::{Class, Recv, Registry, Start, Stream, Subscriber};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// All low-latency feeds. Cloning shares them.
#[derive(Clone)]
pub struct LowFeeds(Arc<Inner>);

struct Inner {
    settings: Settings,
    registry: Registry,
    clock: Clock,
    tasks: Tasks,
    live: DashMap<StreamKey, Arc<LowFeed>>,
}

/// The parts of one stream.
pub struct LowFeed {
    clock: Clock,
    stream: Weak<Stream>,
    asked: AtomicI64,
    list: watch::Receiver<Arc<Parts>>,
}

impl LowFeeds {
    /// No feeds yet; their tasks run in `tasks`.
    pub fn new(settings: Settings, registry: Registry, tasks: &Tasks) -> LowFeeds {
        let clock = registry.clock().clone();
        LowFeeds(Arc::new(Inner { settings, registry, clock, tasks: tasks.clone(), live: DashMap::new() }))
    }

    /// The parts of a stream, being cut from now on if they are not yet; `None` if there is no such stream.
    pub fn open(&self, key: &StreamKey) -> Option<Arc<LowFeed>> {
        let stream = self.0.registry.get(key);
        // Numbers begin at the time in seconds: those of a later run of the server are higher.
        let first = u64::try_from(self.0.clock.unix().0 / 1_000_000_000).unwrap_or(0);
        match self.0.live.entry(key.clone()) {
            Entry::Occupied(mut entry) => {
                let feed = entry.get().clone();
                let same = stream.as_ref().is_none_or(|s| std::ptr::eq(Arc::as_ptr(s), feed.stream.as_ptr()));
                let stopped = feed.list.has_changed().is_err();
                if same && !(stopped && stream.is_some()) {
                    feed.asked.fetch_max(feed.clock.now().0, Ordering::Relaxed);
                    return Some(feed);
                }
                let next = feed.list.borrow().next();
                let feed = self.start(key, first.max(next))?;
                entry.insert(feed.clone());
                Some(feed)
            }
            Entry::Vacant(entry) => Some(entry.insert(self.start(key, first)?).clone()),
        }
    }

    /// How many streams are being cut.
    pub fn len(&self) -> usize {
        self.0.live.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.live.is_empty()
    }

    fn start(&self, key: &StreamKey, first: u64) -> Option<Arc<LowFeed>> {
        let subscriber = self.0.registry.subscribe(key, Class::Worker, Start::Key)?;
        let (lists, list) = watch::channel(Arc::new(Parts::new(self.0.settings.limits(), first)));
        let stream = Arc::downgrade(subscriber.stream());
        let feed = Arc::new(LowFeed { clock: self.0.clock.clone(), stream, asked: AtomicI64::new(self.0.clock.now().0), list });
        let (feeds, task) = (self.clone(), feed.clone());
        self.0.tasks.spawn("hls parts", async move {
            let stop = feeds.0.tasks.stopping();
            let subscriber = tokio::select! {
                () = stop.requested() => return,
                heard = feed::heard(&feeds.0.registry, subscriber, mp4::played) => heard,
            };
            feeds.cut(&task, lists, subscriber, &stop).await;
            // What was cut stays for those who still load it.
            while !stop.is_requested() && task.idle_at(feeds.0.settings.linger.0) > feeds.0.clock.now() {
                tokio::select! {
                    () = feeds.0.clock.sleep_until(task.idle_at(feeds.0.settings.linger.0)) => {}
                    () = stop.requested() => {}
                }
            }
            feeds.0.live.retain(|_, live| !Arc::ptr_eq(live, &task));
        });
        Some(feed)
    }

    async fn cut(&self, feed: &LowFeed, lists: watch::Sender<Arc<Parts>>, mut subscriber: Subscriber, stop: &Stop) {
        let linger = self.0.settings.linger.0;
        let mut cutter = PartCutter::new(&self.0.settings, &subscriber.stream().tracks());
        let mut list = (**lists.borrow()).clone();
        let mut batch = Vec::new();
        loop {
            let idle_at = feed.idle_at(linger);
            let got = tokio::select! {
                biased;
                () = stop.requested() => return,
                got = subscriber.recv(&mut batch) => Some(got),
                () = self.0.clock.sleep_until(idle_at) => None,
            };
            let mut changed = false;
            match got {
                Some(Recv::Units) => batch.drain(..).for_each(|unit| changed |= cutter.push(unit, &mut list)),
                Some(Recv::Lagged { .. }) => cutter.lost(),
                Some(Recv::Ended(_)) => {
                    cutter.end(&mut list);
                    changed = true;
                }
                None if feed.idle_at(linger) > self.0.clock.now() => {}
                None => return,
            }
            if changed {
                lists.send_replace(Arc::new(list.clone()));
            }
            if list.is_ended() {
                return;
            }
        }
    }
}

impl LowFeed {
    fn idle_at(&self, linger: Duration) -> Timestamp {
        Timestamp(self.asked.load(Ordering::Relaxed)) + Timestamp::from(linger)
    }

    /// The list as soon as it fulfils a wish, waiting for that at most `patience`.
    pub async fn when(&self, patience: Duration, wish: impl FnMut(&Arc<Parts>) -> bool) -> Result<Arc<Parts>, NoSegments> {
        let mut list = self.list.clone();
        tokio::select! {
            biased;
            found = list.wait_for(wish) => found.map(|list| list.clone()).map_err(|_| self.why().unwrap_or(NoSegments::Over)),
            () = self.clock.sleep(patience) => Err(self.why().unwrap_or(NoSegments::TimedOut)),
        }
    }

    /// What cannot be carried, if that is all there is.
    fn why(&self) -> Option<NoSegments> {
        self.stream.upgrade().and_then(|stream| feed::unfit(&stream.tracks(), mp4::played))
    }
}
