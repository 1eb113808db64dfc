//! The clock that everything above the cores reads: real in the server, moved by hand in tests.

use crate::media::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A monotonic clock that also knows the wall-clock time. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Real { start: Instant },
    Manual { now: Arc<AtomicI64>, unix_at_zero: i64, moved: Arc<tokio::sync::Notify> },
}

impl Clock {
    /// The machine's clock; its monotonic zero is now.
    pub fn real() -> Clock {
        Clock(Kind::Real { start: Instant::now() })
    }

    /// A clock that stands still until [`Clock::advance`] moves it; its zero is `unix_at_zero` on the wall clock.
    pub fn manual(unix_at_zero: Timestamp) -> Clock {
        Clock(Kind::Manual { now: Arc::default(), unix_at_zero: unix_at_zero.0, moved: Arc::default() })
    }

    /// Moves a manual clock; a real one goes its own way.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual { now, moved, .. } = &self.0 {
            now.fetch_add(by.as_nanos() as i64, Ordering::AcqRel);
            moved.notify_waiters();
        }
    }

    /// Monotonic time since the clock was made.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::Real { start } => Timestamp(start.elapsed().as_nanos() as i64),
            Kind::Manual { now, .. } => Timestamp(now.load(Ordering::Acquire)),
        }
    }

    /// Wall-clock time since 1970-01-01 UTC; it may step when the machine's clock is set.
    pub fn unix(&self) -> Timestamp {
        match &self.0 {
            Kind::Real { .. } => Timestamp::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            Kind::Manual { unix_at_zero, .. } => self.now() + Timestamp(*unix_at_zero),
        }
    }

    /// Returns when the monotonic time is `at` or later.
    pub async fn sleep_until(&self, at: Timestamp) {
        match &self.0 {
            Kind::Real { .. } => tokio::time::sleep(at.since(self.now())).await,
            Kind::Manual { moved, .. } => loop {
                let woken = moved.notified();
                tokio::pin!(woken);
                woken.as_mut().enable();
                if self.now() >= at {
                    return;
                }
                woken.await;
            },
        }
    }

    /// Returns after `span`.
    pub async fn sleep(&self, span: Duration) {
        self.sleep_until(self.now() + Timestamp::from(span)).await;
    }
}
