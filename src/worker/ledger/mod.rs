//! The ledger: what every managed stream used, minute by minute, in the store; statistics and charging read it.
//!
//! Once a second it looks at the streams' counters, once a minute it writes, in one transaction, what they and their players used
//! and what their groups and tenants used and had at once. Totals of groups and tenants are rolled up to five minutes, hours and
//! days at once, single streams when such a span is over. A minute that could not be written waits and is tried again; writing it
//! replaces its rows, so nothing counts twice. What the rows held before this server first wrote them - the part of the minute
//! before a restart - is added first. A crash loses the running minute at most. Finished recordings and snapshots are counted by
//! the store, in the minute in which they were stored.

mod meter;
#[cfg(test)]
mod tests;
mod totals;

use crate::base::id::StreamKey;
use crate::base::units::Span;
use crate::model::id::StreamId;
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::model::usage::{Sums, Total, Usage};
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use crate::store::{self, Change, Changes, MINUTE, SPANS, Seen, Store, UsageFilter};
use crate::stream::Registry;
use meter::{Meter, Whose};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How often the counters are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often devices are counted, in looks.
const COUNT_DEVICES: u64 = 30;
/// Minutes that wait for the store at most; older ones are lost.
const LATE: usize = 60;
/// Portions of old rows that are deleted in one minute at most.
const PORTIONS: usize = 20;
const DAY: i64 = 86_400;

crate::settings! {
    /// What streams, groups and tenants used: for statistics and charging.
    pub struct Settings {
        /// How long single minutes are kept; at least two days.
        pub keep_minutes: Span = Span::secs(8 * 86_400),
        /// How long the five minutes of single streams and of single protocols are kept: of 10,000 streams these are 2.9 million
        /// rows a day. Older rates of a stream are told by the means of its hours; what groups and tenants used loses nothing.
        pub keep_details: Span = Span::secs(93 * 86_400),
        /// How long everything else is kept: five minutes of groups and tenants, hours and days.
        pub keep: Span = Span::secs(731 * 86_400),
    }
}

/// What the ledger asks of those who serve and record. The server connects it with them.
pub trait Sources: Send + Sync {
    /// Bytes that players took since the last call, by stream and protocol; each byte once. A stream may come several times.
    fn sent(&self) -> Vec<(StreamKey, &'static str, u64)>;
    /// Tells each stream that is being recorded now, in whatever formats, once.
    fn recorded(&self, each: &mut dyn FnMut(&StreamKey));
}

/// Starts to count; what is counted when `tasks` stop is written before they end.
pub fn start(settings: Settings, store: Store, registry: Registry, sources: Arc<dyn Sources>, tasks: &Tasks) {
    let ledger = Ledger::new(settings, store, registry, sources);
    tasks.spawn("ledger", ledger.run(tasks.stopping()));
}

/// A minute that is over, or was cut off by the end of the server.
struct Minute {
    at: Time,
    rows: Vec<Usage>,
    totals: Vec<Total>,
    /// Whether the rows hold what the store had of this minute before.
    whole: bool,
}

struct Ledger {
    settings: Settings,
    store: Store,
    clock: Clock,
    meter: Meter,
    sources: Arc<dyn Sources>,
    /// The running minute.
    minute: Time,
    looks: u64,
    /// Streams that moved since they were looked up.
    moved: HashSet<StreamId>,
    /// Whether any stream may have moved.
    all_moved: bool,
    late: VecDeque<Minute>,
    /// Whether the spans of the time before this start were rolled up.
    caught_up: bool,
    /// The day on which old rows were last deleted.
    swept: Option<Time>,
}

impl Ledger {
    fn new(settings: Settings, store: Store, registry: Registry, sources: Arc<dyn Sources>) -> Ledger {
        let clock = registry.clock().clone();
        let minute = Time::from_nanos(clock.unix().0).floor(MINUTE);
        Ledger {
            settings,
            store,
            clock,
            meter: Meter::new(registry),
            sources,
            minute,
            looks: 0,
            moved: HashSet::new(),
            all_moved: false,
            late: VecDeque::new(),
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
        self.look().await;
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
                    Some(Seen::Change(Change::Group(_) | Change::Device(..) | Change::Channels(_)) | Seen::Missed(_)) => self.all_moved = true,
                    Some(Seen::Change(_)) => {}
                    // The store is closed: nothing moves any more.
                    None => return clock.sleep_until(until).await,
                },
            }
        }
    }

    /// Looks at the counters; a minute that is over is written.
    async fn tick(&mut self) {
        self.look().await;
        let now = self.now();
        if now.floor(MINUTE) == self.minute {
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

    async fn look(&mut self) {
        self.meter.look();
        self.sources.recorded(&mut |key| self.meter.recorded(key));
        if self.looks.is_multiple_of(COUNT_DEVICES) {
            match self.store.devices_online().await {
                Ok(online) => self.meter.devices(&online),
                Err(error) => tracing::warn!(%error, "cannot count the devices that are online"),
            }
        }
        self.looks += 1;
        // Streams are looked up when they come: one that is deleted within the minute is billed as well.
        if !self.moved.is_empty() {
            let moved = std::mem::take(&mut self.moved);
            self.meter.moved(|id| moved.contains(&id));
        }
        self.look_up().await;
        self.meter.gauge();
    }

    /// Asks the store whose streams are that are not known; where it cannot say, what was known stays.
    async fn look_up(&mut self) {
        let ids = self.meter.unknown();
        if ids.is_empty() {
            return;
        }
        match self.store.owners_of_streams(&ids).await {
            Ok(found) => {
                let found = found.into_iter().map(|(id, app, owner, group)| (id, (app, Whose { owner, group }))).collect();
                self.meter.told(&found);
            }
            Err(error) => tracing::warn!(%error, streams = ids.len(), "cannot tell whose streams are"),
        }
    }

    /// Closes the running minute: what was used since it began is to be written.
    async fn close(&mut self) {
        for (key, protocol, bytes) in self.sources.sent() {
            self.meter.sent(key, protocol, bytes);
        }
        if std::mem::take(&mut self.all_moved) {
            self.meter.moved(|_| true);
        }
        self.look_up().await;
        for ((owner, group, stream), sums) in self.store.take_stored() {
            self.meter.stored(stream, Whose { owner, group }, &sums);
        }
        let (rows, totals) = self.meter.close(self.minute);
        if self.late.len() >= LATE {
            let lost = self.late.pop_front();
            tracing::error!(minute = ?lost.map(|minute| minute.at), "the store takes no usage: a minute is lost");
        }
        self.late.push_back(Minute { at: self.minute, rows, totals, whole: false });
    }

    /// Writes the minutes that wait, oldest first, until one fails; `last`: all longer spans are rolled up as well.
    async fn write(&mut self, last: bool) {
        if !self.caught_up {
            self.caught_up = noted(self.catch_up().await);
        }
        while let Some(mut minute) = self.late.pop_front() {
            if !noted(minute.write(&self.store, last).await) {
                self.late.push_front(minute);
                return;
            }
        }
    }

    /// A crash may have come between a minute and its longer spans: they are rolled up again, with the last minute that there is.
    async fn catch_up(&self) -> Result<(), store::Error> {
        let Some(last) = self.store.last_usage_minute().await? else { return Ok(()) };
        roll_streams(&self.store, &SPANS[1..], last, after(last, MINUTE)).await?;
        roll_totals(&self.store, last, after(last, MINUTE)).await
    }

    /// Once a day: forgets what is too old.
    async fn sweep(&mut self, now: Time) {
        let today = now.floor(DAY);
        if self.swept == Some(today) {
            return;
        }
        let before = |keep: Span| Time::from_secs(today.as_secs().saturating_sub(i64::try_from(keep.0.as_secs()).unwrap_or(i64::MAX)));
        let minutes = before(self.settings.keep_minutes.max(Span::secs(2 * DAY as u64)));
        let (details, all) = (before(self.settings.keep_details), before(self.settings.keep));
        let [minute, five, hour, day] = SPANS;
        let jobs = [
            (minute, minutes, Rows::Streams),
            (five, details, Rows::Streams),
            (hour, all, Rows::Streams),
            (day, all, Rows::Streams),
            (minute, minutes, Rows::Totals),
            (five, details, Rows::Protocols),
            (five, all, Rows::Totals),
            (hour, all, Rows::Totals),
            (day, all, Rows::Totals),
        ];
        let mut portions = PORTIONS;
        for (span, before, rows) in jobs {
            loop {
                let more = match rows {
                    Rows::Streams => self.store.sweep_usage(span, before).await,
                    Rows::Totals => self.store.sweep_totals(span, before, false).await,
                    Rows::Protocols => self.store.sweep_totals(span, before, true).await,
                };
                match more {
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

/// Rows that are forgotten together.
#[derive(Clone, Copy)]
enum Rows {
    Streams,
    Totals,
    Protocols,
}

impl Minute {
    /// May be called again after it failed.
    async fn write(&mut self, store: &Store, last: bool) -> Result<(), store::Error> {
        let end = after(self.at, MINUTE);
        if !self.rows.is_empty() || !self.totals.is_empty() {
            if !self.whole {
                self.complete(store).await?;
            }
            store.put_usage(self.rows.clone(), self.totals.clone()).await?;
        }
        // Rows of streams are many: they are rolled up when a span is over. Totals are few: they are up to date.
        let [_, five, hour, day] = SPANS;
        let ends = |span: &i64| last || end == end.floor(*span);
        let spans: Vec<i64> = [five, hour, day].into_iter().filter(ends).collect();
        roll_streams(store, &spans, self.at, end).await?;
        roll_totals(store, self.at, end).await
    }

    /// Adds what this server wrote of this minute before: before a restart, or before its clock was set back.
    async fn complete(&mut self, store: &Store) -> Result<(), store::Error> {
        let filter = UsageFilter { group: None, stream: None, from: self.at, to: after(self.at, MINUTE) };
        let before = store.usage(Scope::Operator, MINUTE, filter).await?;
        let before: HashMap<_, Sums> = before.into_iter().map(|row| ((row.stream, row.group), row.sums)).collect();
        for row in &mut self.rows {
            if let Some(sums) = before.get(&(row.stream, row.group)) {
                row.sums.add(sums);
            }
        }
        let before = store.totals_of_minute(self.at).await?;
        let of = |total: &Total| (total.owner, total.group, total.protocol.clone());
        let before: HashMap<_, Total> = before.into_iter().map(|total| (of(&total), total)).collect();
        for total in &mut self.totals {
            if let Some(other) = before.get(&of(total)) {
                total.add(other);
            }
        }
        self.whole = true;
        Ok(())
    }
}

/// Rolls up all of these spans that have a part in `[from, to)`.
async fn roll_streams(store: &Store, spans: &[i64], from: Time, to: Time) -> Result<(), store::Error> {
    for span in spans {
        let end = after(Time(to.0 - 1).floor(*span), *span);
        store.roll_usage(*span, from.floor(*span), end).await?;
    }
    Ok(())
}

/// The same for totals, all spans.
async fn roll_totals(store: &Store, from: Time, to: Time) -> Result<(), store::Error> {
    for span in &SPANS[1..] {
        let end = after(Time(to.0 - 1).floor(*span), *span);
        store.roll_totals(*span, from.floor(*span), end).await?;
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
