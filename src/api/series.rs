//! Counters over time: ranges that are checked, intervals that are all there, also those with nothing in them.

use super::error::Error;
use crate::model::id::{GroupId, StreamId, TenantId};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::model::usage::{Sums, Total};
use crate::store::{MINUTE, Store, TotalOf, UsageFilter};
use std::collections::{HashMap, HashSet};

/// A day, in seconds.
pub const DAY: i64 = 86_400;
/// The finest interval of statistics, in seconds.
pub const FIVE_MINUTES: i64 = 300;
const HOUR: i64 = 3600;

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

/// A row for every interval of `step` seconds, summed from the next finer ones, so that the range's borders cut into days.
pub async fn totals(store: &Store, of: TotalOf, range: Range, step: i64) -> Result<Vec<(Time, Sums)>, Error> {
    let fine = if step >= DAY { 3600 } else { FIVE_MINUTES };
    let found = store.totals(of, fine, range.from.floor(fine), range.to).await?;
    Ok(filled(range, step, found.into_iter().map(|total| (total.at, total.sums))))
}

/// The same of a single stream in a group, every five minutes. What is not old is made from minutes, which are there at once; of what
/// is so old that its five minutes were forgotten, each five minutes are their hour's, whose rates are then the hour's means.
pub async fn stream(
    store: &Store,
    scope: Scope,
    (group, stream): (GroupId, StreamId),
    range: Range,
    now: i64,
) -> Result<Vec<(Time, Sums)>, Error> {
    let read = async |span, from, to| {
        let filter = UsageFilter { group: Some(group), stream: Some(stream), from, to };
        store.usage_series(scope, span, filter).await
    };
    if range.from.as_secs() >= now - DAY {
        let found = read(MINUTE, range.from.floor(FIVE_MINUTES), range.to).await?;
        return Ok(filled(range, FIVE_MINUTES, found.into_iter()));
    }
    // Whole hours, so that an hour whose five minutes are gone can be told from one in which there was nothing.
    let (from, to) = (range.from.floor(HOUR), Time(range.to.0.saturating_sub(1)).floor(HOUR));
    let to = Time(to.0.saturating_add(HOUR * 1000));
    let found = read(FIVE_MINUTES, from, to).await?;
    let known: HashSet<Time> = found.iter().map(|(at, _)| at.floor(HOUR)).collect();
    let forgotten: HashMap<Time, Sums> = read(HOUR, from, to).await?.into_iter().filter(|(hour, _)| !known.contains(hour)).collect();
    let mut rows = filled(range, FIVE_MINUTES, found.into_iter());
    for (at, sums) in &mut rows {
        if let Some(hour) = forgotten.get(&at.floor(HOUR)) {
            *sums = *hour;
        }
    }
    Ok(rows)
}

fn filled(range: Range, step: i64, found: impl Iterator<Item = (Time, Sums)>) -> Vec<(Time, Sums)> {
    let mut rows: Vec<(Time, Sums)> = range.slots(step).map(|at| (at, Sums::default())).collect();
    let first = range.from.floor(step).as_secs();
    for (at, sums) in found {
        let place = usize::try_from((at.as_secs() - first).div_euclid(step)).ok();
        if let Some((_, row)) = place.and_then(|place| rows.get_mut(place)) {
            row.add(&sums);
        }
    }
    rows
}

/// What a tenant used over a range whose borders are cut at five minutes: whole days from days, the rest from finer spans.
pub async fn whole(store: &Store, tenant: TenantId, range: Range) -> Result<Total, Error> {
    let mut all = Total::new(range.from, tenant, None, "");
    for (span, from, to) in range.pieces() {
        if let Some(total) = store.total(TotalOf::Tenant(tenant), span, from, to).await? {
            all.add(&total);
        }
    }
    Ok(all)
}

/// What a tenant or a group had in the range, in spans that are each as long as they can be within its day, oldest first.
pub async fn pieces(store: &Store, of: TotalOf, range: Range) -> Result<Vec<Total>, Error> {
    let mut all = Vec::new();
    for (span, from, to) in range.pieces() {
        all.extend(store.totals(of, span, from, to).await?);
    }
    Ok(all)
}

impl Range {
    /// The range as spans of five minutes, hours and days, each kind as long as it can be: `(span, from, to)`.
    fn pieces(self) -> Vec<(i64, Time, Time)> {
        let up = |at: i64, span: i64| at.div_euclid(span) * span + if at.rem_euclid(span) == 0 { 0 } else { span };
        let (from, to) =
            (self.from.floor(FIVE_MINUTES).as_secs(), up(self.to.0.div_euclid(1000) + i64::from(self.to.0 % 1000 != 0), FIVE_MINUTES));
        let (hours, days) = ((up(from, 3600), to.div_euclid(3600) * 3600), (up(from, DAY), to.div_euclid(DAY) * DAY));
        let mut pieces = Vec::new();
        if hours.0 >= hours.1 {
            pieces.push((FIVE_MINUTES, from, to));
        } else {
            pieces.push((FIVE_MINUTES, from, hours.0));
            if days.0 >= days.1 {
                pieces.push((3600, hours.0, hours.1));
            } else {
                pieces.extend([(3600, hours.0, days.0), (DAY, days.0, days.1), (3600, days.1, hours.1)]);
            }
            pieces.push((FIVE_MINUTES, hours.1, to));
        }
        let time = |(span, from, to)| (span, Time::from_secs(from), Time::from_secs(to));
        pieces.into_iter().filter(|(_, from, to)| from < to).map(time).collect()
    }
}

/// A number with at most two decimals, as the document writes rates: `30.01`, `192`.
pub fn decimal(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
    fn a_range_is_cut_into_the_longest_spans() {
        let pieces = |from, to| {
            let range = Range::new(at(from), at(to), 366 * DAY).unwrap();
            let text = |(span, from, to): (i64, Time, Time)| format!("{span} {from} {to}");
            range.pieces().into_iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(pieces("2020-09-09T16:06:00Z", "2020-09-09T16:58:01Z"), ["300 2020-09-09T16:05:00Z 2020-09-09T17:00:00Z"]);
        assert_eq!(
            pieces("2020-09-09T22:10:00Z", "2020-09-12T02:05:00Z"),
            [
                "300 2020-09-09T22:10:00Z 2020-09-09T23:00:00Z",
                "3600 2020-09-09T23:00:00Z 2020-09-10T00:00:00Z",
                "86400 2020-09-10T00:00:00Z 2020-09-12T00:00:00Z",
                "3600 2020-09-12T00:00:00Z 2020-09-12T02:00:00Z",
                "300 2020-09-12T02:00:00Z 2020-09-12T02:05:00Z",
            ]
        );
        assert_eq!(pieces("2020-09-01T00:00:00Z", "2020-10-01T00:00:00Z"), ["86400 2020-09-01T00:00:00Z 2020-10-01T00:00:00Z"]);
        assert_eq!(
            pieces("2020-09-01T10:30:00Z", "2020-09-01T12:00:00Z"),
            ["300 2020-09-01T10:30:00Z 2020-09-01T11:00:00Z", "3600 2020-09-01T11:00:00Z 2020-09-01T12:00:00Z"]
        );
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([30.01, 192.0, 0.0, 29.999, 0.1].map(decimal), ["30.01", "192", "0", "30", "0.1"]);
    }
}
