//! Which stream is to be photographed next.

use crate::base::id::StreamKey;
use crate::media::time::Timestamp;
use crate::model::id::StreamId;
use crate::model::stream::Stream;
use crate::model::template::{Body, Template};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Streams with their times.
#[derive(Default)]
pub struct Plan {
    entries: HashMap<StreamKey, Entry>,
    /// Goes on when a stream comes back.
    sequences: HashMap<StreamId, u64>,
}

struct Entry {
    stream: Stream,
    template: Arc<Template>,
    due: Timestamp,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// A picture is being made, or waits for its turn.
    busy: AtomicBool,
    /// Failures in a row.
    failures: AtomicU32,
}

/// One picture that is due.
pub struct Job {
    /// The stream.
    pub key: StreamKey,
    /// Its row.
    pub stream: Stream,
    /// What to do.
    pub template: Arc<Template>,
    /// The number of the picture, from 1.
    pub sequence: u64,
    state: Arc<State>,
}

impl Job {
    /// What came of it: the first failure in a row is logged, then every hundredth.
    pub fn told(&self, failed: Option<String>) {
        match failed {
            None => self.state.failures.store(0, Ordering::Relaxed),
            Some(why) => {
                if self.state.failures.fetch_add(1, Ordering::Relaxed).is_multiple_of(100) {
                    tracing::warn!(stream = %self.key, why, "no picture by template");
                }
            }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.state.busy.store(false, Ordering::Release);
    }
}

impl Plan {
    /// Plans a stream: its first picture now, then one each Interval. One that is planned already keeps its time unless the
    /// Interval changed.
    pub fn put(&mut self, key: StreamKey, stream: Stream, template: Arc<Template>, now: Timestamp, unix: Timestamp) {
        match self.entries.get_mut(&key) {
            Some(entry) => {
                if interval(&entry.template) != interval(&template) {
                    entry.due = next(stream.id, interval(&template), now, unix);
                }
                (entry.stream, entry.template) = (stream, template);
            }
            None => {
                self.entries.insert(key, Entry { stream, template, due: now, state: Arc::default() });
            }
        }
    }

    /// Takes no more pictures of a stream.
    pub fn remove(&mut self, key: &StreamKey) {
        self.entries.remove(key);
    }

    /// The streams that are planned.
    pub fn keys(&self) -> Vec<StreamKey> {
        self.entries.keys().cloned().collect()
    }

    /// How long nothing is due.
    pub fn wait(&self, now: Timestamp) -> Duration {
        self.entries.values().map(|entry| entry.due.since(now)).min().unwrap_or(Duration::MAX)
    }

    /// What is due. A stream whose last picture is not made yet is passed over.
    pub fn due(&mut self, now: Timestamp, unix: Timestamp) -> Vec<Job> {
        let mut jobs = Vec::new();
        for (key, entry) in &mut self.entries {
            if entry.due > now {
                continue;
            }
            entry.due = next(entry.stream.id, interval(&entry.template), now, unix);
            if entry.state.busy.swap(true, Ordering::AcqRel) {
                continue;
            }
            let sequence = self.sequences.entry(entry.stream.id).or_insert(0);
            *sequence += 1;
            let (stream, template) = (entry.stream.clone(), entry.template.clone());
            jobs.push(Job { key: key.clone(), stream, template, sequence: *sequence, state: entry.state.clone() });
        }
        jobs
    }
}

fn interval(template: &Template) -> i64 {
    match &template.body {
        Body::Snapshot(snapshot) => i64::from(snapshot.interval.max(1)) * 1_000_000_000,
        _ => i64::MAX / 4,
    }
}

/// The next time on the wall clock that is a stream's own: the Interval from midnight on, moved by a part that its id gives.
fn next(id: StreamId, interval: i64, now: Timestamp, unix: Timestamp) -> Timestamp {
    // Ids that follow each other lie far apart after this.
    let spread = (id.0 as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let phase = ((u128::from(spread) * (interval as u128)) >> 64) as i64;
    let ahead = interval - (unix.0 - phase).rem_euclid(interval);
    now + Timestamp(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::group::InProtocol;
    use crate::model::id::{GroupId, TemplateId};
    use crate::model::stream::Status;
    use crate::model::template::{Formats, Snapshot, Storage};
    use crate::model::tenant::OPERATOR;
    use crate::model::time::Time;

    const SECOND: i64 = 1_000_000_000;
    const UNIX: i64 = 1_760_000_000 * SECOND;

    fn stream(id: i64) -> (StreamKey, Stream) {
        let stream = Stream {
            id: StreamId(id),
            owner: OPERATOR,
            group: GroupId(1),
            device: None,
            channel: None,
            name: "s".into(),
            app: "live".into(),
            protocol: InProtocol::Rtmp,
            forbidden: false,
            started: false,
            status: Status::On,
            start_time: None,
            stop_time: None,
            created: Time(0),
        };
        (stream.key().unwrap(), stream)
    }

    fn template(interval: u32) -> Arc<Template> {
        let body = Body::Snapshot(Snapshot { interval, formats: Formats::NONE, overwrite: None, sequence: None, expired: 0 });
        let (name, description, callback, storage) = (String::new(), String::new(), None, Storage::default());
        Arc::new(Template { id: TemplateId(1), owner: OPERATOR, name, description, callback, storage, body, created: Time(0) })
    }

    /// The jobs of each second, from 0 to `end`.
    fn run(plan: &mut Plan, from: i64, end: i64) -> Vec<(i64, i64, u64)> {
        let mut seen = Vec::new();
        for second in from..end {
            for job in plan.due(Timestamp(second * SECOND), Timestamp(UNIX + second * SECOND)) {
                seen.push((second, job.stream.id.0, job.sequence));
            }
        }
        seen
    }

    #[test]
    fn a_picture_at_once_and_then_one_each_interval() {
        let mut plan = Plan::default();
        let (key, row) = stream(7);
        plan.put(key.clone(), row.clone(), template(10), Timestamp(0), Timestamp(UNIX));
        let seen = run(&mut plan, 0, 41);
        assert_eq!(seen[0], (0, 7, 1));
        assert_eq!(seen.iter().map(|s| s.2).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(seen[1].0 <= 10 && seen.windows(2).skip(1).all(|w| w[1].0 - w[0].0 == 10), "{seen:?}");
        // Looked up again: nothing changes. Another interval: at once from now on.
        plan.put(key.clone(), row.clone(), template(10), Timestamp(41 * SECOND), Timestamp(UNIX + 41 * SECOND));
        assert_eq!(run(&mut plan, 41, 51).len(), 1);
        plan.put(key.clone(), row.clone(), template(2), Timestamp(51 * SECOND), Timestamp(UNIX + 51 * SECOND));
        let more = run(&mut plan, 51, 61);
        assert!((4..=5).contains(&more.len()), "{more:?}");
        // It went and came back: the numbers go on.
        plan.remove(&key);
        assert!(run(&mut plan, 61, 100).is_empty());
        plan.put(key, row, template(10), Timestamp(100 * SECOND), Timestamp(UNIX + 100 * SECOND));
        assert_eq!(run(&mut plan, 100, 101), [(100, 7, more[more.len() - 1].2 + 1)]);
    }

    #[test]
    fn streams_are_spread_over_the_interval() {
        let mut plan = Plan::default();
        for n in 0..500 {
            let (key, row) = stream(1_760_000_000_000_000_000 + n * 1000);
            plan.put(key, row, template(60), Timestamp(0), Timestamp(UNIX));
        }
        assert_eq!(run(&mut plan, 0, 1).len(), 500);
        let seen = run(&mut plan, 1, 61);
        assert_eq!(seen.len(), 500);
        let most = (1..61).map(|second| seen.iter().filter(|s| s.0 == second).count()).max().unwrap();
        assert!(most <= 20, "{most} in one second");
    }

    #[test]
    fn a_slow_picture_does_not_pile_up() {
        let mut plan = Plan::default();
        let (key, row) = stream(7);
        plan.put(key, row, template(1), Timestamp(0), Timestamp(UNIX));
        let slow = plan.due(Timestamp(0), Timestamp(UNIX));
        assert_eq!(slow.len(), 1);
        assert!(run(&mut plan, 1, 20).is_empty());
        drop(slow);
        assert_eq!(run(&mut plan, 20, 22).len(), 2);
    }
}
