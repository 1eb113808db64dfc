//! Reads the counters of all live streams from time to time and adds up what came since the last look.

use crate::base::id::StreamKey;
use crate::media::time::Timestamp;
use crate::model::usage::Sums;
use crate::stream::{Counts, Derived, Registry, Stream};
use std::collections::HashMap;
use std::sync::Arc;

/// What streams used since it was last taken.
pub(super) struct Meter {
    registry: Registry,
    seen: HashMap<StreamKey, Seen>,
    /// When it last looked, in whole milliseconds on the monotonic clock.
    looked: i64,
    sums: HashMap<StreamKey, Sums>,
}

/// A stream as it was at the last look. Kept until the next one, so that its last frames count when it is over meanwhile.
struct Seen {
    stream: Arc<Stream>,
    counts: Counts,
}

impl Meter {
    pub(super) fn new(registry: Registry) -> Meter {
        let looked = millis(registry.clock().now());
        Meter { registry, seen: HashMap::new(), looked, sums: HashMap::new() }
    }

    /// Adds what came since the last look. A stream is live from when its publisher came until the look that finds it gone.
    pub(super) fn look(&mut self) {
        let (now, unix) = (millis(self.registry.clock().now()), self.registry.clock().unix());
        let elapsed = now - std::mem::replace(&mut self.looked, now);
        let mut before = std::mem::take(&mut self.seen);
        let mut watching: HashMap<StreamKey, i64> = HashMap::new();
        for stream in self.registry.list() {
            let key = stream.key().clone();
            let viewers = i64::from(stream.viewers());
            // Who watches a stream with other sound watches the stream; nothing came in for it.
            if let Some((source, _)) = Derived::parse(&key) {
                *watching.entry(source).or_default() += viewers;
                continue;
            }
            *watching.entry(key.clone()).or_default() += viewers;
            let known = match before.remove(&key) {
                Some(seen) if Arc::ptr_eq(&seen.stream, &stream) => Some(seen.counts),
                Some(other) => {
                    add(&mut self.sums, &key, other.stream.counts(), other.counts);
                    None
                }
                None => None,
            };
            let counts = stream.counts();
            add(&mut self.sums, &key, counts, known.unwrap_or_default());
            if stream.is_live() {
                let live = match known {
                    Some(_) => elapsed,
                    None => millis(unix - stream.info().since).clamp(0, elapsed),
                };
                self.sums.entry(key.clone()).or_default().live_ms += live;
            }
            self.seen.insert(key, Seen { stream, counts });
        }
        for (key, over) in before {
            add(&mut self.sums, &key, over.stream.counts(), over.counts);
        }
        for (key, viewers) in watching.into_iter().filter(|(_, viewers)| *viewers > 0) {
            let sums = self.sums.entry(key).or_default();
            sums.viewers = sums.viewers.max(viewers);
        }
    }

    /// The streams that used something since the last [`take`](Meter::take).
    pub(super) fn keys(&self) -> impl Iterator<Item = &StreamKey> {
        self.sums.keys()
    }

    /// What was added up; it begins again at nothing.
    pub(super) fn take(&mut self) -> HashMap<StreamKey, Sums> {
        std::mem::take(&mut self.sums)
    }
}

fn millis(time: Timestamp) -> i64 {
    time.0.div_euclid(1_000_000)
}

fn add(sums: &mut HashMap<StreamKey, Sums>, key: &StreamKey, now: Counts, before: Counts) {
    let more = |now: u64, before: u64| i64::try_from(now.saturating_sub(before)).unwrap_or(i64::MAX);
    let added = Sums {
        bytes_in: more(now.video_bytes + now.audio_bytes, before.video_bytes + before.audio_bytes),
        video_frames: more(now.video_frames, before.video_frames),
        audio_frames: more(now.audio_frames, before.audio_frames),
        ..Sums::default()
    };
    if added != Sums::default() {
        sums.entry(key.clone()).or_default().add(&added);
    }
}
