//! The timestamp sanitizer that every ingest goes through.

use super::frame::Kind;
use super::time::Timestamp;

/// Repairs the timestamps of one publisher.
#[derive(Debug, Default)]
pub struct Sanitizer {
    last: [Option<Timestamp>; 2],
}

impl Sanitizer {
    /// Takes a frame's raw times (`dts` is `None` where the source has only presentation times) and the arrival time on a
    /// monotonic clock; gives times that never run backwards within a track.
    pub fn fix(&mut self, kind: Kind, dts: Option<Timestamp>, pts: Timestamp, _arrived: Timestamp) -> (Timestamp, Timestamp) {
        let last = &mut self.last[kind as usize];
        let mut dts = dts.unwrap_or(pts);
        if let Some(last) = *last {
            dts = dts.max(last + Timestamp(1_000_000));
        }
        *last = Some(dts);
        (dts, pts.max(dts))
    }
}
