//! Puts the parts of a long answer together: catalogs and record lists come in many messages, in any order, doubled, with wrong
//! totals, and sometimes not to the end.

use crate::media::time::Timestamp;
use std::collections::HashSet;
use std::hash::Hash;
use std::time::Duration;

/// The most different entries of one answer.
pub const ENTRIES_MAX: usize = 400_000;

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the first part.
    pub first: Duration,
    /// From one part to the next, while the total is not reached.
    pub gap: Duration,
    /// After the total is reached: a total may be wrong and more follow at once.
    pub settle: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { first: Duration::from_secs(120), gap: Duration::from_secs(5), settle: Duration::from_millis(300) }
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As many entries as announced.
    Complete,
    /// The device stopped short of its total, or never told one: what is missing may still exist.
    Short,
    /// Nothing came at all.
    Nothing,
}

/// The parts of one answer, by key.
#[derive(Debug)]
pub struct Collector<K> {
    patience: Patience,
    seen: HashSet<K>,
    sum: Option<u64>,
    parts: u32,
    listed: bool,
    dropped: u64,
    due: Timestamp,
}

impl<K: Eq + Hash + Copy> Collector<K> {
    /// Asked at `now`.
    pub fn new(now: Timestamp, patience: Patience) -> Collector<K> {
        Collector { patience, seen: HashSet::new(), sum: None, parts: 0, listed: false, dropped: 0, due: now + patience.first.into() }
    }

    /// Takes a part: the total that it announces, and its entries with their keys. Gives the entries that are new.
    pub fn add<T>(&mut self, now: Timestamp, sum: Option<u64>, entries: impl IntoIterator<Item = (K, T)>) -> Vec<T> {
        self.parts = self.parts.saturating_add(1);
        // the total may change between parts: the latest that is not zero counts
        if let Some(sum) = sum
            && (sum > 0 || self.sum.is_none())
        {
            self.sum = Some(sum);
        }
        let mut fresh = Vec::new();
        for (key, entry) in entries {
            self.listed = true;
            if self.seen.len() >= ENTRIES_MAX {
                self.dropped += 1;
            } else if self.seen.insert(key) {
                fresh.push(entry);
            }
        }
        let wait = match self.is_complete() {
            // an empty answer is certain at once
            true if self.seen.is_empty() => Duration::ZERO,
            true => self.patience.settle,
            false => self.patience.gap,
        };
        self.due = now + wait.into();
        fresh
    }

    /// Whether the announced total is here. A total of zero beside entries is no total.
    pub fn is_complete(&self) -> bool {
        match self.sum {
            Some(0) => !self.listed,
            Some(sum) => self.seen.len() as u64 >= sum,
            None => false,
        }
    }

    /// When to ask [`Collector::end`].
    pub fn deadline(&self) -> Timestamp {
        self.due
    }

    /// The end, if it is reached at `now`.
    pub fn end(&self, now: Timestamp) -> Option<End> {
        match (now >= self.due, self.parts, self.is_complete()) {
            (false, ..) => None,
            (true, 0, _) => Some(End::Nothing),
            (true, _, true) => Some(End::Complete),
            (true, _, false) => Some(End::Short),
        }
    }

    /// Different entries so far.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether there is none so far.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// The announced total.
    pub fn sum(&self) -> Option<u64> {
        self.sum
    }

    /// Entries over [`ENTRIES_MAX`].
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn entries(range: std::ops::Range<u32>) -> impl Iterator<Item = (u32, u32)> {
        range.map(|n| (n, n))
    }

    #[test]
    fn parts_in_any_order_and_doubled() {
        let mut c = Collector::new(at(0), Patience::default());
        assert_eq!(c.add(at(10), Some(6), entries(4..6)).len(), 2);
        assert_eq!(c.add(at(20), Some(6), entries(0..2)).len(), 2);
        assert_eq!(c.add(at(30), Some(6), entries(0..2)).len(), 0);
        assert_eq!(c.end(at(40)), None);
        assert_eq!(c.add(at(50), Some(6), entries(2..4)).len(), 2);
        assert_eq!((c.end(at(51)), c.end(c.deadline())), (None, Some(End::Complete)));
        assert_eq!(c.deadline(), at(350));
    }

    #[test]
    fn a_total_that_is_wrong() {
        // too large: ends after the gap
        let mut c = Collector::new(at(0), Patience::default());
        c.add(at(10), Some(100), entries(0..3));
        assert_eq!((c.end(at(5009)), c.end(at(5010))), (None, Some(End::Short)));
        // the message's own count in place of the total: more that follows at once still belongs to it
        let mut c = Collector::new(at(0), Patience::default());
        c.add(at(10), Some(1), entries(0..1));
        assert_eq!(c.end(at(20)), None);
        assert_eq!(c.add(at(100), Some(1), entries(1..2)), [1]);
        assert_eq!(c.end(at(400)), Some(End::Complete));
        // zero beside entries
        let mut c = Collector::new(at(0), Patience::default());
        c.add(at(10), Some(0), entries(0..1));
        assert_eq!((c.end(at(5000)), c.end(at(5010))), (None, Some(End::Short)));
        // none at all
        let mut c = Collector::new(at(0), Patience::default());
        c.add(at(10), None, entries(0..1));
        assert_eq!(c.end(at(5010)), Some(End::Short));
    }

    #[test]
    fn an_empty_answer_and_none() {
        let mut c = Collector::<u32>::new(at(0), Patience::default());
        assert_eq!((c.end(at(119_999)), c.end(at(120_000))), (None, Some(End::Nothing)));
        c.add(at(10), Some(0), entries(0..0));
        assert_eq!(c.end(at(10)), Some(End::Complete));
    }

    #[test]
    fn a_million_announced_and_more_than_the_limit_sent() {
        let mut c = Collector::new(at(0), Patience::default());
        c.add(at(0), Some(u64::MAX), entries(0..ENTRIES_MAX as u32 + 10));
        assert_eq!((c.len(), c.dropped()), (ENTRIES_MAX, 10));
        assert_eq!(c.end(c.deadline()), Some(End::Short));
    }
}
