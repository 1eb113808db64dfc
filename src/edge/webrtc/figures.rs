//! What metrics show.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub received: AtomicU64,
    pub sent: AtomicU64,
    pub lost: AtomicU64,
    pub strangers: AtomicU64,
    pub overflow: AtomicU64,
    pub nacks: AtomicU64,
    pub key_requests: AtomicU64,
    pub spared: AtomicU64,
    pub congested: AtomicU64,
    pub left_out: AtomicU64,
}

/// What metrics show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sessions now, those that are not connected yet included.
    pub sessions: u64,
    /// Datagrams that came.
    pub received: u64,
    /// Datagrams that were sent.
    pub sent: u64,
    /// Datagrams that the kernel did not take.
    pub lost: u64,
    /// Datagrams of no session.
    pub strangers: u64,
    /// Datagrams that came faster than their session's task could take them.
    pub overflow: u64,
    /// Packets that players asked for again.
    pub nacks: u64,
    /// Key frames that players asked for.
    pub key_requests: u64,
    /// Viewers now that get less than the stream, as their way is too narrow for it.
    pub spared: u64,
    /// How often that began.
    pub congested: u64,
    /// Pictures that such viewers did not get.
    pub left_out: u64,
}

impl Counts {
    pub fn read(&self, sessions: usize) -> Figures {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Figures {
            sessions: sessions as u64,
            received: get(&self.received),
            sent: get(&self.sent),
            lost: get(&self.lost),
            strangers: get(&self.strangers),
            overflow: get(&self.overflow),
            nacks: get(&self.nacks),
            key_requests: get(&self.key_requests),
            spared: get(&self.spared),
            congested: get(&self.congested),
            left_out: get(&self.left_out),
        }
    }
}

/// Adds to a counter that many write.
pub(super) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}
