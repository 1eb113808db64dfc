//! Decoding times for sources that give presentation times only.
//!
//! Frames come in decoding order. With pictures reordered by at most `depth` places, the decoding time of a frame is the
//! smallest of the last `depth + 1` presentation times: it never lies behind the frame's own, and it grows.

use super::{FORWARD, MILLI, SECOND};

/// More reordering than any level allows (ITU-T H.264 annex A, H.265 annex A: 16 pictures).
const MAX_DEPTH: usize = 16;

/// The derivation for one track.
#[derive(Debug, Default)]
pub(super) struct Derive {
    depth: usize,
    /// The parameter sets declare the depth; otherwise it grows with what is seen.
    declared: bool,
    /// Presentation times that no decoding time was taken from yet, in order; at most `depth`.
    waiting: Vec<i64>,
    /// The latest presentation times in order of arrival, at most `MAX_DEPTH`.
    recent: Vec<i64>,
    /// The last decoding time given.
    last: Option<i64>,
}

impl Derive {
    /// Takes the depth that the parameter sets declare.
    pub fn set_depth(&mut self, depth: Option<u32>) {
        self.declared = depth.is_some();
        self.depth = depth.map_or(self.depth, |depth| (depth as usize).min(MAX_DEPTH));
    }

    /// The decoding time of the frame to be shown at `pts`.
    pub fn dts(&mut self, pts: i64) -> i64 {
        if let Some(newest) = self.recent.iter().copied().max()
            && !(newest.saturating_sub(SECOND)..=newest.saturating_add(FORWARD)).contains(&pts)
        {
            // a new clock, or a hole: nothing before it says anything about what follows
            self.recent.clear();
            self.last = None;
        }
        if self.last.is_none() {
            self.waiting = (1..=self.depth as i64).rev().map(|place| pts - place * MILLI).collect();
        } else if !self.declared {
            // each earlier frame that is shown later is one place
            let places = self.recent.iter().filter(|earlier| **earlier > pts).count();
            self.depth = self.depth.max(places);
        }
        if self.recent.len() == MAX_DEPTH {
            self.recent.remove(0);
        }
        self.recent.push(pts);
        let at = self.waiting.partition_point(|waiting| *waiting <= pts);
        self.waiting.insert(at, pts);
        let mut smallest = None;
        while self.waiting.len() > self.depth {
            smallest = Some(self.waiting.remove(0));
        }
        // while the queue fills up after the depth grew, time creeps
        let dts = match (smallest, self.last) {
            (Some(smallest), Some(last)) => smallest.max(last + MILLI),
            (Some(smallest), None) => smallest,
            (None, Some(last)) => last + MILLI,
            (None, None) => pts,
        };
        self.last = Some(dts);
        dts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(depth: Option<u32>, pts: &[i64]) -> Vec<i64> {
        let mut derive = Derive::default();
        derive.set_depth(depth);
        pts.iter().map(|ms| derive.dts(ms * MILLI) / MILLI).collect()
    }

    #[test]
    fn without_reordering_both_times_are_the_same() {
        assert_eq!(run(Some(0), &[0, 40, 80, 120]), [0, 40, 80, 120]);
        assert_eq!(run(None, &[0, 40, 80, 120]), [0, 40, 80, 120]);
    }

    #[test]
    fn a_declared_depth_holds_from_the_first_frame_on() {
        // I P B B P B B with one level of B-frames: depth 1
        assert_eq!(run(Some(1), &[0, 120, 40, 80, 240, 160, 200]), [-1, 0, 40, 80, 120, 160, 200]);
        // a pyramid: depth 2
        assert_eq!(run(Some(2), &[0, 160, 80, 40, 120, 320, 240, 200, 280]), [-2, -1, 0, 40, 80, 120, 160, 200, 240]);
    }

    #[test]
    fn an_undeclared_depth_is_learnt() {
        let dts = run(None, &[0, 120, 40, 80, 240, 160, 200, 360, 280, 320]);
        assert!(dts.windows(2).all(|pair| pair[0] < pair[1]), "{dts:?}");
        assert_eq!(dts[5..], [160, 200, 240, 280, 320]);
    }

    #[test]
    fn a_new_clock_starts_anew() {
        assert_eq!(run(Some(1), &[90_000, 90_120, 90_040, 0, 120, 40]), [89_999, 90_000, 90_040, -1, 0, 40]);
    }
}
