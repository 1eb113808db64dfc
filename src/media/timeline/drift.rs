//! How far audio stands from video, compared with where both began.

use super::{DRIFT, SECOND};

/// Samples that tell where the tracks began, and that must agree before anything is corrected.
const SAMPLES: u32 = 64;
/// Samples that must agree where the distance is beyond [`HARD`].
const FEW: u32 = 8;
/// Beyond this the correction is quick.
pub(super) const HARD: i64 = 2 * DRIFT;
/// Older times of the other track say nothing.
pub(super) const RECENT: i64 = SECOND;

/// A correction to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Drifted {
    /// How far audio is ahead of where it should be; negative: behind.
    pub by: i64,
    /// Beyond [`HARD`].
    pub hard: bool,
}

/// Watches the distance.
#[derive(Debug, Default)]
pub(super) struct Drift {
    base: Option<i64>,
    sum: i64,
    seen: u32,
    /// Samples in a row beyond the limit, on the same side, and the least of them.
    beyond: u32,
    far: u32,
    least: i64,
}

impl Drift {
    /// The distance that counts as right.
    pub fn base(&self) -> i64 {
        self.base.unwrap_or(0)
    }

    /// Forgets what led to a correction.
    pub fn corrected(&mut self) {
        (self.beyond, self.far, self.least) = (0, 0, 0);
    }

    /// Takes how far audio is ahead of video (their times, less what lies between their arrivals).
    pub fn sample(&mut self, ahead: i64) -> Option<Drifted> {
        let Some(base) = self.base else {
            self.sum = self.sum.saturating_add(ahead);
            self.seen += 1;
            if self.seen == SAMPLES {
                self.base = Some(self.sum / i64::from(SAMPLES));
            }
            return None;
        };
        let off = ahead.saturating_sub(base);
        let same_side = self.beyond == 0 || (off < 0) == (self.least < 0);
        if off.saturating_abs() <= DRIFT || !same_side {
            self.corrected();
            return None;
        }
        self.least = if self.beyond == 0 || off.saturating_abs() < self.least.saturating_abs() { off } else { self.least };
        self.beyond += 1;
        self.far = if off.saturating_abs() > HARD { self.far + 1 } else { 0 };
        let hard = self.far >= FEW;
        (hard || self.beyond >= SAMPLES).then_some(Drifted { by: self.least, hard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_and_a_constant_offset_are_no_drift() {
        let mut drift = Drift::default();
        for n in 0..1000 {
            assert_eq!(drift.sample(SECOND * 3 / 2 + (n % 7 - 3) * SECOND / 2), None);
        }
    }

    #[test]
    fn drift_is_told_when_it_lasts() {
        let mut drift = Drift::default();
        let found = (0..10_000i64).find_map(|n| drift.sample(n * SECOND / 100).map(|found| (n, found)));
        let (n, found) = found.unwrap();
        assert!((230..330).contains(&n), "{n}");
        assert!(found.by > DRIFT && found.by < DRIFT + SECOND / 2 && !found.hard, "{found:?}");
    }
}
