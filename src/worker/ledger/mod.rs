//! The ledger: what every managed stream used, minute by minute, in the store; statistics and charging read it.
//!
//! Once a second it looks at the streams' counters, once a minute it writes what they and their players used. Minutes are
//! rolled up to five minutes at once, to hours every five minutes, to days every hour. A minute that could not be written waits
//! and is tried again; writing it replaces its row, so nothing counts twice. What the row held before this server first wrote
//! it - the part of the minute before a restart - is added first. A crash loses the running minute at most.

mod meter;
#[cfg(test)]
mod tests;

use crate::base::id::StreamKey;
use crate::model::id::{GroupId, StreamId, TenantId};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::model::usage::{Sums, Usage};
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use crate::store::{self, Change, Changes, MINUTE, SPANS, Seen, Store, UsageFilter};
use crate::stream::{Derived, Registry};
use meter::Meter;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How often the counters are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Minutes that wait for the store at most; older ones are lost.
const LATE: usize = 60;
/// How long minutes are kept, in seconds; longer than [`AGAIN`], so that what is rolled up again is whole.
const KEEP_MINUTES: i64 = 8 * DAY;
/// How long rolled up spans are kept, in seconds: two years.
const KEEP: i64 = 731 * DAY;
/// What is rolled up again at start, in seconds: a crash may have come between a minute and its longer spans.
const AGAIN: i64 = DAY;
/// Portions of old rows that are deleted in one minute at most.
const PORTIONS: usize = 20;
const DAY: i64 = 86_400;

/// Tells what players took. The server connects it with the sessions of its edges.
pub trait Sent: Send + Sync {
    /// Bytes since the last call, by stream; each byte once. A stream may come several times.
    fn take(&self) -> Vec<(StreamKey, u64)>;
}

/// Starts to count; what is counted when `tasks` stop is written before they end.
pub fn start(store: Store, registry: Registry, sent: Arc<dyn Sent>, tasks: &Tasks) {
    let ledger = Ledger::new(store, registry, sent);
    tasks.spawn("ledger", ledger.run(tasks.stopping()));
}

/// Who pays.
#[derive(Debug, Clone, Copy)]
struct Whose {
    owner: TenantId,
    group: GroupId,
    stream: StreamId,
}

/// A minute that is over, or was cut off by the end of the server.
struct Minute {
    at: Time,
    rows: Vec<Usage>,
    /// Whether the rows hold what the store had of this minute before.
    whole: bool,
}

struct Ledger {
    store: Store,
    clock: Clock,
    meter: Meter,
    sent: Arc<dyn Sent>,
    /// The running minute.
    minute: Time,
    /// Whose the streams of the running minute are; `None` are streams that nobody manages.
    known: HashMap<StreamKey, Option<Whose>>,
    /// Streams that may have moved since they were looked up.
    moved: HashSet<StreamId>,
    all_moved: bool,
    late: VecDeque<Minute>,
    /// What was used of streams that the store could not be asked about; it counts in the next minute.
    carried: HashMap<StreamKey, Sums>,
    /// Whether the spans of the time before this start were rolled up.
    caught_up: bool,
    /// The day on which old rows were last deleted.
    swept: Option<Time>,
}

impl Ledger {
    fn new(store: Store, registry: Registry, sent: Arc<dyn Sent>) -> Ledger {
        let clock = registry.clock().clone();
        let minute = Time::from_nanos(clock.unix().0).floor(MINUTE);
        Ledger {
            store,
            clock,
            meter: Meter::new(registry),
            sent,
            minute,
            known: HashMap::new(),
            moved: HashSet::new(),
            all_moved: false,
            late: VecDeque::new(),
            carried: HashMap::new(),
            caught_up: false,
            swept: None,
        }
    }

    async fn run(mut self, stop: Stop) {
        let mut changes = self.store.watch();
        loop {
            tokio::select! {
                () = self.next_look(&mut changes) => self.tick().await,
                () = stop.requested() => break,
            }
        }
        self.meter.look();
        self.close().await;
        self.write(true).await;
    }

    /// Returns when it is time to look again; notes meanwhile what moves.
    async fn next_look(&mut self, changes: &mut Changes) {
        let until = self.clock.now() + LOOK.into();
        loop {
            let clock = self.clock.clone();
            tokio::select! {
                () = clock.sleep_until(until) => return,
                seen = changes.next() => match seen {
                    Some(Seen::Change(Change::Stream(id))) => drop(self.moved.insert(id)),
                    Some(Seen::Change(Change::Group(_)) | Seen::Missed(_)) => self.all_moved = true,
                    Some(Seen::Change(_)) => {}
                    // The store is closed: nothing moves any more.
                    None => return clock.sleep_until(until).await,
                },
            }
        }
    }

    /// Looks at the counters; a minute that is over is written.
    async fn tick(&mut self) {
        self.meter.look();
        let now = self.now();
        if now.floor(MINUTE) == self.minute {
            // Streams are looked up when they come: one that is deleted within the minute is billed as well.
            let new: Vec<_> = self.meter.keys().filter(|key| !self.known.contains_key(*key)).cloned().collect();
            for key in new {
                self.look_up(&key).await;
            }
            return;
        }
        self.close().await;
        self.minute = now.floor(MINUTE);
        self.write(false).await;
        self.sweep(now).await;
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.clock.unix().0)
    }

    /// Closes the running minute: what was used since it began is to be written.
    async fn close(&mut self) {
        let mut used = self.meter.take();
        for (key, sums) in std::mem::take(&mut self.carried) {
            used.entry(key).or_default().add(&sums);
        }
        for (key, bytes) in self.sent.take() {
            let key = Derived::parse(&key).map_or(key, |(source, _)| source);
            used.entry(key).or_default().bytes_out += i64::try_from(bytes).unwrap_or(i64::MAX);
        }
        let (moved, all) = (std::mem::take(&mut self.moved), std::mem::take(&mut self.all_moved));
        self.known.retain(|key, _| used.contains_key(key));
        let mut rows = Vec::with_capacity(used.len());
        for (key, sums) in used {
            let stale = match self.known.get(&key) {
                Some(Some(whose)) => all || moved.contains(&whose.stream),
                Some(None) => all || !moved.is_empty(),
                None => true,
            };
            if stale {
                self.look_up(&key).await;
            }
            match self.known.get(&key) {
                Some(Some(Whose { owner, group, stream })) => {
                    rows.push(Usage { at: self.minute, owner: *owner, group: *group, stream: *stream, sums });
                }
                Some(None) => {}
                None => drop(self.carried.insert(key, sums)),
            }
        }
        // The order in which all servers lock rows.
        rows.sort_by_key(|row| (row.stream.0, row.group.0));
        if self.late.len() >= LATE {
            let lost = self.late.pop_front();
            tracing::error!(minute = ?lost.map(|minute| minute.at), "the store takes no usage: a minute is lost");
        }
        self.late.push_back(Minute { at: self.minute, rows, whole: false });
    }

    /// Asks the store whose a stream is; where it cannot say, what was known stays.
    async fn look_up(&mut self, key: &StreamKey) {
        let Ok(id) = key.name().parse::<StreamId>() else {
            self.known.insert(key.clone(), None);
            return;
        };
        match self.store.door(key.app(), key.name()).await {
            Ok(Some(door)) if door.stream.id == id => {
                let whose = Whose { owner: door.stream.owner, group: door.group.id, stream: id };
                self.known.insert(key.clone(), Some(whose));
            }
            Ok(_) => drop(self.known.entry(key.clone()).or_insert(None)),
            Err(error) => tracing::warn!(stream = %key, %error, "cannot tell whose the stream is"),
        }
    }

    /// Writes the minutes that wait, oldest first, until one fails; `last`: all longer spans are rolled up as well.
    async fn write(&mut self, last: bool) {
        if !self.caught_up {
            let now = self.now();
            let (from, to) = (Time::from_secs(now.as_secs() - AGAIN).floor(DAY), after(now.floor(DAY), DAY));
            self.caught_up = noted(roll(&self.store, &SPANS[1..], from, to).await);
        }
        while let Some(mut minute) = self.late.pop_front() {
            if !noted(minute.write(&self.store, last).await) {
                self.late.push_front(minute);
                return;
            }
        }
    }

    /// Once a day: forgets what is too old.
    async fn sweep(&mut self, now: Time) {
        let today = now.floor(DAY);
        if self.swept == Some(today) {
            return;
        }
        let mut portions = PORTIONS;
        for span in SPANS {
            let keep = if span == MINUTE { KEEP_MINUTES } else { KEEP };
            let before = Time::from_secs(today.as_secs() - keep);
            loop {
                match self.store.sweep_usage(span, before).await {
                    Ok(false) => break,
                    Ok(true) if portions > 0 => portions -= 1,
                    // The rest in a minute.
                    Ok(true) => return,
                    Err(error) => return tracing::warn!(%error, "cannot forget old usage"),
                }
            }
        }
        self.swept = Some(today);
    }
}

impl Minute {
    /// May be called again after it failed.
    async fn write(&mut self, store: &Store, last: bool) -> Result<(), store::Error> {
        let end = after(self.at, MINUTE);
        if !self.rows.is_empty() {
            if !self.whole {
                let filter = UsageFilter { group: None, stream: None, from: self.at, to: end };
                let before = store.usage(Scope::Operator, MINUTE, filter).await?;
                let before: HashMap<_, Sums> = before.into_iter().map(|row| ((row.stream, row.group), row.sums)).collect();
                for row in &mut self.rows {
                    if let Some(sums) = before.get(&(row.stream, row.group)) {
                        row.sums.add(sums);
                    }
                }
                self.whole = true;
            }
            store.put_usage(self.rows.clone()).await?;
        }
        let [_, five, hour, day] = SPANS;
        let spans: &[i64] = match end {
            end if last || end == end.floor(hour) => &[five, hour, day],
            end if end == end.floor(five) => &[five, hour],
            _ => &[five],
        };
        roll(store, spans, self.at, end).await
    }
}

/// Rolls up all of these spans that have a part in `[from, to)`.
async fn roll(store: &Store, spans: &[i64], from: Time, to: Time) -> Result<(), store::Error> {
    for span in spans {
        let end = after(Time(to.0 - 1).floor(*span), *span);
        store.roll_usage(*span, from.floor(*span), end).await?;
    }
    Ok(())
}

fn after(at: Time, secs: i64) -> Time {
    Time(at.0.saturating_add(secs.saturating_mul(1000)))
}

/// Whether it went well; what went wrong is logged.
fn noted(result: Result<(), store::Error>) -> bool {
    if let Err(error) = &result {
        tracing::warn!(%error, "cannot write usage; it is tried again in a minute");
    }
    result.is_ok()
}
