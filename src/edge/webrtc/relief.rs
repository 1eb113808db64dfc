//! What one viewer is spared while its way is too narrow for the stream. The stream's rate is the camera's: nothing here lowers
//! it. So pictures that no other builds on are left out first, then all but key frames, until the way is tried again.
//!
//! A way is too narrow when the player's own estimate of it (REMB, draft-alvestrand-rmcat-remb) lies far below the stream's
//! rate and has just fallen, or pictures are lost as well, or when very many are lost. A low estimate alone means nothing:
//! players raise theirs slowly where a quiet picture begins to move.

use super::figures::{Counts, add};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// An estimate below this share of the stream's rate is too low.
const LOW: f64 = 0.7;
/// An estimate has fallen that is below this share of the one before.
const FALLEN: f64 = 0.95;
/// How long a fall counts, and a loss.
const RECENT: Duration = Duration::from_secs(6);
/// Losses that confirm a low estimate, and losses that need none.
const SOME: f32 = 0.03;
const MANY: f32 = 0.2;
/// How long it must be too narrow before more is left out.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long only key frames are sent before everything is tried again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(60));
/// A try that has gone well for this long was right.
const GOOD: Duration = Duration::from_secs(20);

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spare {
    /// Nothing.
    Nothing,
    /// Pictures that no other builds on.
    Disposable,
    /// Everything but key frames.
    Deltas,
}

/// The state of one viewer.
#[derive(Debug)]
pub(super) struct Relief {
    spare: Spare,
    since: Instant,
    narrow_since: Option<Instant>,
    pause: Duration,
    estimate: Option<f64>,
    fell: Option<Instant>,
    lost: Option<(f32, Instant)>,
    counts: Arc<Counts>,
}

impl Relief {
    pub fn new(counts: Arc<Counts>, now: Instant) -> Relief {
        Relief { spare: Spare::Nothing, since: now, narrow_since: None, pause: PAUSE.0, estimate: None, fell: None, lost: None, counts }
    }

    /// The player believes that so many bits a second come through.
    pub fn estimate(&mut self, bits: f64, now: Instant) {
        if self.estimate.is_some_and(|before| bits < before * FALLEN) {
            self.fell = Some(now);
        }
        self.estimate = Some(bits);
    }

    /// This share of the packets was lost of late.
    pub fn lost(&mut self, share: f32, now: Instant) {
        self.lost = Some((share, now));
    }

    /// What is left out from now on; the stream has so many bits a second, and pictures that can be left out or not.
    pub fn judge(&mut self, rate: u64, disposable: bool, now: Instant) -> Spare {
        if self.spare == Spare::Deltas {
            if now.duration_since(self.since) >= self.pause {
                self.go(Spare::Nothing, now);
                self.pause = (self.pause * 2).min(PAUSE.1);
            }
            return self.spare;
        }
        if !self.is_narrow(rate as f64, now) {
            self.narrow_since = None;
            if now.duration_since(self.since) >= GOOD {
                self.pause = PAUSE.0;
                if self.spare == Spare::Disposable {
                    self.go(Spare::Nothing, now);
                }
            }
        } else if now.duration_since(*self.narrow_since.get_or_insert(now)) >= PATIENCE {
            let next = if self.spare == Spare::Nothing && disposable { Spare::Disposable } else { Spare::Deltas };
            self.go(next, now);
        }
        self.spare
    }

    fn is_narrow(&self, rate: f64, now: Instant) -> bool {
        let recent = |at: Instant| now.saturating_duration_since(at) < RECENT;
        let lost = self.lost.filter(|(_, at)| recent(*at)).map_or(0.0, |(share, _)| share);
        let low = self.estimate.is_some_and(|estimate| estimate < rate * LOW);
        lost >= MANY || low && (lost >= SOME || self.fell.is_some_and(recent))
    }

    fn go(&mut self, spare: Spare, now: Instant) {
        let gauge = &self.counts.spared;
        match (self.spare == Spare::Nothing, spare == Spare::Nothing) {
            (true, false) => {
                gauge.fetch_add(1, Ordering::Relaxed);
                add(&self.counts.congested, 1);
            }
            (false, true) => {
                gauge.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {}
        }
        // What was reported before is of another time.
        (self.spare, self.since, self.narrow_since, self.fell, self.lost) = (spare, now, None, None, None);
    }
}

impl Drop for Relief {
    fn drop(&mut self) {
        if self.spare != Spare::Nothing {
            self.counts.spared.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 4_000_000;

    /// Judges ten times a second; what a report is at a time in seconds, and what has been left out then.
    fn run(seconds: u64, disposable: bool, report: impl Fn(&mut Relief, f64, Instant)) -> (Vec<(f64, Spare)>, Arc<Counts>) {
        let (start, counts) = (Instant::now(), Arc::new(Counts::default()));
        let mut relief = Relief::new(counts.clone(), start);
        let (mut changes, mut spare) = (Vec::new(), Spare::Nothing);
        for n in 0..seconds * 10 {
            let now = start + Duration::from_millis(n * 100);
            let at = n as f64 / 10.0;
            if n.is_multiple_of(10) {
                report(&mut relief, at, now);
            }
            let judged = relief.judge(RATE, disposable, now);
            if judged != spare {
                changes.push((at, judged));
                spare = judged;
            }
        }
        (changes, counts)
    }

    #[test]
    fn a_low_estimate_alone_spares_nothing() {
        // A picture that begins to move: the estimate is far behind, and rises.
        let (changes, counts) = run(60, false, |relief, at, now| relief.estimate(300e3 * 1.08f64.powf(at), now));
        assert!(changes.is_empty(), "{changes:?}");
        // A slight loss on a way that is wide enough.
        let (changes, _) = run(60, false, |relief, _, now| {
            relief.estimate(6e6, now);
            relief.lost(0.1, now);
        });
        assert!(changes.is_empty() && counts.congested.load(Ordering::Relaxed) == 0, "{changes:?}");
    }

    #[test]
    fn a_narrow_way_gets_key_frames_only_and_is_tried_again_ever_more_rarely() {
        let (changes, counts) = run(60, false, |relief, at, now| {
            relief.estimate(if at < 5.0 { 6e6 } else { 1e6 }, now);
            relief.lost(if at < 5.0 { 0.0 } else { 0.05 }, now);
        });
        let deltas: Vec<f64> = changes.iter().filter(|(_, spare)| *spare == Spare::Deltas).map(|(at, _)| *at).collect();
        let tries: Vec<f64> = changes.iter().filter(|(_, spare)| *spare == Spare::Nothing).map(|(at, _)| *at).collect();
        assert_eq!(deltas[0], 7.0, "{changes:?}");
        let pauses: Vec<f64> = deltas.iter().zip(&tries).map(|(from, to)| (to - from).round()).collect();
        assert_eq!(pauses[..3], [4.0, 8.0, 16.0], "{changes:?}");
        assert_eq!(counts.congested.load(Ordering::Relaxed), deltas.len() as u64);
        assert_eq!(counts.spared.load(Ordering::Relaxed), 0, "it is gone by now");
    }

    #[test]
    fn what_nobody_builds_on_goes_first_and_a_way_that_is_wide_again_gets_all() {
        let (changes, _) = run(60, true, |relief, at, now| {
            relief.estimate(if (5.0..8.0).contains(&at) { 3e6 - at * 2e5 } else { 6e6 }, now);
        });
        assert_eq!(changes, [(7.0, Spare::Disposable), (27.0, Spare::Nothing)]);
        let (changes, _) = run(12, true, |relief, _, now| relief.lost(0.3, now));
        let order: Vec<Spare> = changes.iter().map(|(_, spare)| *spare).take(3).collect();
        assert_eq!(order, [Spare::Disposable, Spare::Deltas, Spare::Nothing]);
    }
}
