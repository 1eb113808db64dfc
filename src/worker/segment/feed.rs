//! One task for each stream that somebody asks for in segments.

use super::Settings;
use super::segmenter::Segmenter;
use crate::base::id::StreamKey;
use crate::container::m3u8::Window;
use crate::container::ts;
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use crate::stream::{Class, Derived, Recv, Registry, Start, Stream, Subscriber};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How long the pictures wait for sound that HLS carries.
const SOUND: Duration = Duration::from_secs(1);
/// How often it is looked whether the sound is there.
const GLANCE: Duration = Duration::from_millis(20);

/// All feeds. Cloning shares them.
#[derive(Clone)]
pub struct Feeds(Arc<Inner>);

struct Inner {
    settings: Settings,
    registry: Registry,
    clock: Clock,
    tasks: Tasks,
    live: DashMap<StreamKey, Arc<Feed>>,
}

/// The segments of one stream.
pub struct Feed {
    clock: Clock,
    stream: Weak<Stream>,
    /// When it was asked for last, on the monotonic clock.
    asked: AtomicI64,
    window: watch::Receiver<Arc<Window>>,
}

/// Why there are no segments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSegments {
    /// HLS cannot carry what the stream holds.
    #[error("the stream has {0}, and HLS segments carry H.264, H.265, AAC and MP3 only (Opus in fragmented MP4)")]
    Unfit(String),
    /// None came in time.
    #[error("the stream is there, but brought nothing that a segment can begin with in time")]
    TimedOut,
    /// The stream ended before there was one.
    #[error("the stream is over")]
    Over,
}

impl Feeds {
    /// No feeds yet; their tasks run in `tasks`.
    pub fn new(settings: Settings, registry: Registry, tasks: &Tasks) -> Feeds {
        let clock = registry.clock().clone();
        Feeds(Arc::new(Inner { settings, registry, clock, tasks: tasks.clone(), live: DashMap::new() }))
    }

    /// The segments of a stream, being cut from now on if they are not yet; `None` if there is no such stream.
    pub fn open(&self, key: &StreamKey) -> Option<Arc<Feed>> {
        let stream = self.0.registry.get(key);
        // Numbers begin at the time in seconds: those of a later run of the server are higher.
        let first = u64::try_from(self.0.clock.unix().0 / 1_000_000_000).unwrap_or(0);
        match self.0.live.entry(key.clone()) {
            Entry::Occupied(mut entry) => {
                let feed = entry.get().clone();
                let same = stream.as_ref().is_none_or(|s| std::ptr::eq(Arc::as_ptr(s), feed.stream.as_ptr()));
                if same && !(feed.is_stopped() && stream.is_some()) {
                    feed.touch();
                    return Some(feed);
                }
                // The stream came back after its end: numbers go on, as players may still know the old ones.
                let feed = self.start(key, first.max(feed.window().next()))?;
                entry.insert(feed.clone());
                Some(feed)
            }
            Entry::Vacant(entry) => {
                let feed = self.start(key, first)?;
                entry.insert(feed.clone());
                Some(feed)
            }
        }
    }

    fn start(&self, key: &StreamKey, first: u64) -> Option<Arc<Feed>> {
        let subscriber = self.0.registry.subscribe(key, Class::Worker, Start::Key)?;
        let (windows, window) = watch::channel(Arc::new(Window::new(self.0.settings.bounds(), first)));
        let stream = Arc::downgrade(subscriber.stream());
        let feed = Arc::new(Feed { clock: self.0.clock.clone(), stream, asked: AtomicI64::new(self.0.clock.now().0), window });
        let (feeds, task) = (self.clone(), feed.clone());
        self.0.tasks.spawn("hls segments", async move {
            let cutting = Cutting { settings: &feeds.0.settings, feed: &task, windows };
            let stop = feeds.0.tasks.stopping();
            let subscriber = tokio::select! {
                () = stop.requested() => return,
                heard = heard(&feeds.0.registry, subscriber, ts::carried) => heard,
            };
            cutting.run(subscriber, stop).await;
            feeds.forget(&task).await;
        });
        Some(feed)
    }

    /// The segments of a stream that is being cut already.
    pub fn get(&self, key: &StreamKey) -> Option<Arc<Feed>> {
        self.0.live.get(key).map(|feed| feed.clone())
    }

    /// How many streams are being cut.
    pub fn len(&self) -> usize {
        self.0.live.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.live.is_empty()
    }

    /// Keeps what was cut for those who still load it, then drops it.
    async fn forget(&self, feed: &Arc<Feed>) {
        let stop = self.0.tasks.stopping();
        let linger = self.0.settings.linger.0;
        loop {
            let idle_at = feed.idle_at(linger);
            tokio::select! {
                () = self.0.clock.sleep_until(idle_at) => {}
                () = stop.requested() => break,
            }
            if feed.idle_at(linger) <= self.0.clock.now() {
                break;
            }
        }
        self.0.live.retain(|_, live| !Arc::ptr_eq(live, feed));
    }
}

impl Feed {
    /// The segments that are there now.
    pub fn window(&self) -> Arc<Window> {
        self.window.borrow().clone()
    }

    /// The segments as soon as there is one, waiting for it at most `patience`.
    pub async fn first(&self, patience: Duration) -> Result<Arc<Window>, NoSegments> {
        let mut window = self.window.clone();
        tokio::select! {
            biased;
            found = window.wait_for(|w| !w.is_empty()) => match found {
                Ok(window) => Ok(window.clone()),
                Err(_) => Err(self.unfit().unwrap_or(NoSegments::Over)),
            },
            () = self.clock.sleep(patience) => Err(self.unfit().unwrap_or(NoSegments::TimedOut)),
        }
    }

    /// It was asked for: it is cut on.
    pub fn touch(&self) {
        self.asked.fetch_max(self.clock.now().0, Ordering::Relaxed);
    }

    fn idle_at(&self, linger: Duration) -> Timestamp {
        Timestamp(self.asked.load(Ordering::Relaxed)) + Timestamp::from(linger)
    }

    /// Whether nothing is cut any more.
    fn is_stopped(&self) -> bool {
        self.window.has_changed().is_err()
    }

    fn unfit(&self) -> Option<NoSegments> {
        self.stream.upgrade().and_then(|stream| unfit(&stream.tracks(), ts::carried))
    }
}

/// The stream with sound that the segments carry: where its own is not (G.711), the derived one with AAC, if somebody makes
/// that soon; else the stream as it is, whose pictures need not wait for ever.
pub(super) async fn heard(registry: &Registry, subscriber: Subscriber, carried: fn(&Tracks) -> Tracks) -> Subscriber {
    let stream = subscriber.stream().clone();
    let clock = registry.clock();
    // Of a stream that has only just begun the sound is often not known yet.
    let young = stream.info().since + Timestamp::from(SOUND);
    while stream.tracks().audio.is_none() && clock.unix() < young {
        clock.sleep(GLANCE).await;
    }
    let tracks = stream.tracks();
    let key = stream.key();
    if tracks.audio.is_none() || carried(&tracks).audio.is_some() || Derived::parse(key).is_some() {
        return subscriber;
    }
    let Some(derived) = Derived::Aac.of(key) else { return subscriber };
    let Ok(other) = registry.wait_for(&derived, Class::Worker, Start::Key, SOUND).await else { return subscriber };
    let within = clock.now() + Timestamp::from(SOUND);
    while other.stream().tracks().audio.is_none() && clock.now() < within {
        clock.sleep(GLANCE).await;
    }
    match other.stream().tracks().audio.is_some() {
        true => other,
        false => subscriber,
    }
}

/// What HLS cannot carry, if that is all there is.
pub(super) fn unfit(tracks: &Tracks, carried: fn(&Tracks) -> Tracks) -> Option<NoSegments> {
    let names: Vec<&str> =
        [tracks.video.as_ref().map(|v| v.codec.name()), tracks.audio.as_ref().map(|a| a.codec.name())].into_iter().flatten().collect();
    (!names.is_empty() && carried(tracks) == Tracks::default()).then(|| NoSegments::Unfit(names.join(" and ")))
}

struct Cutting<'a> {
    settings: &'a Settings,
    feed: &'a Feed,
    windows: watch::Sender<Arc<Window>>,
}

impl Cutting<'_> {
    /// Cuts until the stream ends, nobody asks any more, or the server stops.
    async fn run(self, mut subscriber: Subscriber, stop: Stop) {
        let stream = subscriber.stream().clone();
        let linger = self.settings.linger.0;
        let mut segmenter = Segmenter::new(self.settings, &stream.tracks());
        let mut window = (**self.windows.borrow()).clone();
        let (mut batch, mut finished) = (Vec::new(), Vec::new());
        loop {
            let idle_at = self.feed.idle_at(linger);
            let got = tokio::select! {
                biased;
                () = stop.requested() => return,
                got = subscriber.recv(&mut batch) => Some(got),
                () = self.feed.clock.sleep_until(idle_at) => None,
            };
            match got {
                Some(Recv::Units) => {
                    batch.drain(..).for_each(|unit| segmenter.push(unit, &mut finished));
                    if subscriber.place().next >= stream.head() {
                        segmenter.caught_up(&mut finished);
                    }
                }
                Some(Recv::Lagged { .. }) => segmenter.lost(),
                Some(Recv::Ended(_)) => {
                    segmenter.end(&mut finished);
                    window.end();
                }
                None if self.feed.idle_at(linger) > self.feed.clock.now() => continue,
                None => return,
            }
            if window.is_empty() && finished.is_empty() && unfit(&stream.tracks(), ts::carried).is_some() {
                return;
            }
            if !finished.is_empty() || window.is_ended() {
                finished.drain(..).for_each(|segment| window.push(segment));
                self.windows.send_replace(Arc::new(window.clone()));
            }
            if window.is_ended() {
                return;
            }
        }
    }
}
