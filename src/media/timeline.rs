//! The timestamp sanitizer that every ingest goes through.

use super::frame::Kind;
use super::time::Timestamp;

/// Repairs so far, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decoding times that ran back or stood still.
    pub equal: u64,
}

/// Repairs the timestamps of one publisher.
#[derive(Debug, Default)]
pub struct Sanitizer {
    last: [Option<Timestamp>; 2],
    counts: Counts,
}

impl Sanitizer {
    /// How many frames the parameter sets allow to be reordered; for sources that give no decoding times.
    pub fn set_reorder(&mut self, _reorder: Option<u32>) {}

    /// Repairs so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes a frame's raw times (`dts` is `None` where the source has only presentation times) and the arrival time on a
    /// monotonic clock; gives times that never run backwards within a track.
    pub fn fix(&mut self, kind: Kind, dts: Option<Timestamp>, pts: Timestamp, _arrived: Timestamp) -> (Timestamp, Timestamp) {
        let last = &mut self.last[kind as usize];
        let mut dts = dts.unwrap_or(pts);
        if let Some(last) = *last
            && dts <= last
        {
            dts = last + Timestamp(1_000_000);
            self.counts.equal += 1;
        }
        *last = Some(dts);
        (dts, pts.max(dts))
    }
}
