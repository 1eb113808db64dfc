//! One unit of time: nanoseconds in an `i64`. Only containers convert.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a stream's time line, or the difference of two; nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The origin.
    pub const ZERO: Timestamp = Timestamp(0);

    /// From milliseconds (RTMP, FLV).
    pub const fn from_millis(ms: i64) -> Timestamp {
        Timestamp(ms.saturating_mul(1_000_000))
    }

    /// From a clock of `hz` ticks a second (90,000 in MPEG systems), rounded to the nearest nanosecond.
    pub fn from_ticks(ticks: i64, hz: u32) -> Timestamp {
        let hz = i128::from(hz.max(1));
        let n = i128::from(ticks) * 1_000_000_000;
        Timestamp(((n + n.signum() * hz / 2) / hz) as i64)
    }

    /// To milliseconds, rounded to the nearest: a value that came from milliseconds comes back exactly.
    pub fn as_millis(self) -> i64 {
        self.to_ticks(1_000)
    }

    /// To a clock of `hz` ticks a second, rounded to the nearest tick.
    pub fn to_ticks(self, hz: u32) -> i64 {
        let n = i128::from(self.0) * i128::from(hz);
        ((n + n.signum() * 500_000_000) / 1_000_000_000) as i64
    }

    /// Seconds, for people and playlists.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The distance from `earlier`, never negative.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0).max(0) as u64)
    }
}

impl From<Duration> for Timestamp {
    fn from(d: Duration) -> Timestamp {
        Timestamp(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl Add for Timestamp {
    type Output = Timestamp;
    fn add(self, other: Timestamp) -> Timestamp {
        Timestamp(self.0.saturating_add(other.0))
    }
}

impl Sub for Timestamp {
    type Output = Timestamp;
    fn sub(self, other: Timestamp) -> Timestamp {
        Timestamp(self.0.saturating_sub(other.0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}s", self.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_round_trip() {
        for t in [0, 1, 33, 40, 1001, i64::from(u32::MAX)] {
            assert_eq!(Timestamp::from_millis(t).as_millis(), t);
            assert_eq!(Timestamp::from_ticks(t, 90_000).to_ticks(90_000), t);
            assert_eq!(Timestamp::from_ticks(-t, 90_000).to_ticks(90_000), -t);
            assert_eq!(Timestamp::from_ticks(t, 44_100).to_ticks(44_100), t);
        }
    }
}
