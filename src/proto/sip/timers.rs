//! Many deadlines, one heap: set, take what is due. A key that is set again or is gone is skipped when its old entry comes up.

use crate::media::time::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Deadlines of keys. It never removes: whoever takes a due key checks whether it still means something.
#[derive(Debug, Clone)]
pub struct Timers<K: Ord> {
    heap: BinaryHeap<Reverse<(Timestamp, K)>>,
}

impl<K: Ord> Default for Timers<K> {
    fn default() -> Timers<K> {
        Timers { heap: BinaryHeap::new() }
    }
}

impl<K: Ord> Timers<K> {
    /// Will give `key` at `at`.
    pub fn set(&mut self, at: Timestamp, key: K) {
        self.heap.push(Reverse((at, key)));
    }

    /// The earliest deadline.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// A key that is due at `now`, with the time that it was set to.
    pub fn due(&mut self, now: Timestamp) -> Option<(Timestamp, K)> {
        match self.heap.peek() {
            Some(Reverse((at, _))) if *at <= now => self.heap.pop().map(|Reverse(entry)| entry),
            _ => None,
        }
    }

    /// How many entries it holds, dead ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

/// The earlier of two deadlines.
pub fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
