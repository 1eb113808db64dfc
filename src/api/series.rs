//! Counters over time: ranges that are checked, intervals that are all there, also those with nothing in them.

use super::error::Error;
use crate::model::id::{GroupId, StreamId};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::model::usage::Sums;
use crate::store::{Store, UsageFilter};

/// A day, in seconds.
pub const DAY: i64 = 86_400;
/// The finest interval of statistics, in seconds.
pub const FIVE_MINUTES: i64 = 300;

/// A range of time, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub from: Time,
    /// Where it ends.
    pub to: Time,
}

impl Range {
    /// A range of at most so many seconds.
    pub fn new(from: Time, to: Time, most: i64) -> Result<Range, Error> {
        let span = to.as_secs().saturating_sub(from.as_secs());
        match span {
            ..=0 => Err(Error::invalid("EndTime", "must lie behind StartTime")),
            span if span > most => {
                let (n, unit) = if most % DAY == 0 { (most / DAY, "days") } else { (most / 3600, "hours") };
                Err(Error::invalid("EndTime", format!("must lie at most {n} {unit} behind StartTime")))
            }
            _ => Ok(Range { from, to }),
        }
    }

    /// How long the intervals of a series over this range are: 5 minutes up to 3 days, an hour up to 31 days, else a day.
    pub fn step(self) -> i64 {
        let span = self.to.as_secs() - self.from.as_secs();
        if span <= 3 * DAY {
            FIVE_MINUTES
        } else if span <= 31 * DAY {
            3600
        } else {
            DAY
        }
    }

    /// The starts of all intervals of `step` seconds that have a part in the range.
    pub fn slots(self, step: i64) -> impl Iterator<Item = Time> {
        let first = self.from.floor(step).as_secs();
        let to = self.to.as_secs();
        (0..).map(move |n| first + n * step).take_while(move |at| *at < to).map(Time::from_secs)
    }
}

/// Whose counters are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose {
    /// The tenant, or all.
    pub scope: Scope,
    /// A group alone.
    pub group: Option<GroupId>,
    /// A stream alone.
    pub stream: Option<StreamId>,
}

/// A row for every interval of `step` seconds, summed from the next finer ones, so that the range's borders cut into days.
pub async fn sums(store: &Store, whose: Whose, range: Range, step: i64) -> Result<Vec<(Time, Sums)>, Error> {
    let fine = if step >= DAY { 3600 } else { FIVE_MINUTES };
    let filter = UsageFilter { group: whose.group, stream: whose.stream, from: range.from.floor(fine), to: range.to };
    let found = store.usage_series(whose.scope, fine, filter).await?;
    let mut rows: Vec<(Time, Sums)> = range.slots(step).map(|at| (at, Sums::default())).collect();
    let first = range.from.floor(step).as_secs();
    for (at, sums) in found {
        let place = usize::try_from((at.as_secs() - first).div_euclid(step)).ok();
        if let Some((_, row)) = place.and_then(|place| rows.get_mut(place)) {
            row.add(&sums);
        }
    }
    Ok(rows)
}

/// A number with at most two decimals, as the document writes rates: `30.01`, `192`.
pub fn decimal(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How many things that each last `ms` milliseconds in an interval run at once, at least.
pub fn at_once(ms: i64, step: i64) -> i64 {
    let span = step * 1000;
    (ms.max(0) + span - 1) / span
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_checked() {
        let (from, to) = (at("2020-09-09T16:00:00Z"), at("2020-09-09T22:00:00Z"));
        assert!(Range::new(from, to, 6 * 3600).is_ok());
        assert!(Range::new(from, Time(to.0 + 1000), 6 * 3600).unwrap_err().message.contains("6 hours"));
        assert!(Range::new(from, at("2020-12-09T16:00:00Z"), 90 * DAY).unwrap_err().message.contains("90 days"));
        for to in [from, Time(from.0 - 1000)] {
            let error = Range::new(from, to, DAY).unwrap_err();
            assert!(error.code == "InvalidParameter" && error.message.contains("EndTime"), "{error}");
        }
    }

    #[test]
    fn every_interval_with_a_part_in_the_range_is_there() {
        let range = |from, to| Range::new(at(from), at(to), 90 * DAY).unwrap();
        let days = range("2020-09-09T16:00:00Z", "2020-09-10T15:59:59Z");
        assert_eq!(days.slots(DAY).map(Time::date).collect::<Vec<_>>(), ["2020-09-09", "2020-09-10"]);
        assert_eq!((days.step(), days.slots(FIVE_MINUTES).count()), (FIVE_MINUTES, 288));
        let whole = range("2020-09-09T00:00:00Z", "2020-09-10T00:00:00Z");
        assert_eq!(whole.slots(DAY).count(), 1);
        assert_eq!(range("2020-09-01T00:00:00Z", "2020-09-04T00:00:00Z").step(), FIVE_MINUTES);
        assert_eq!(range("2020-09-01T00:00:00Z", "2020-09-04T00:00:01Z").step(), 3600);
        assert_eq!(range("2020-09-01T00:00:00Z", "2020-10-02T00:00:01Z").step(), DAY);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([30.01, 192.0, 0.0, 29.999, 0.1].map(decimal), ["30.01", "192", "0", "30", "0.1"]);
        assert_eq!([0, 1, 300_000, 300_001].map(|ms| at_once(ms, 300)), [0, 1, 1, 2]);
    }
}
