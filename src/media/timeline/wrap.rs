//! Clocks of limited width.

use super::SECOND;

/// The periods of the clocks that sources count with, in nanoseconds: milliseconds in 32 bits (RTMP, FLV) and in the 31 that
/// some encoders use of them, 90 kHz in 33 bits (MPEG systems) and in 32 (RTP), 8 kHz in 32 bits (RTP with G.711).
const PERIODS: [i64; 5] = [
    (1 << 32) * 1_000_000,
    (1 << 31) * 1_000_000,
    95_443_717_688_889, // 2^33 / 90,000
    47_721_858_844_444, // 2^32 / 90,000
    (1 << 32) * 125_000,
];

/// A step that is a period give or take this is a wrap.
const SLACK: i64 = 10 * SECOND;

/// What to add to `raw` so that it continues a clock that was at `reference`: a period, up or down, or nothing.
pub(super) fn turn(raw: i64, reference: i64) -> i64 {
    let step = raw.saturating_sub(reference);
    // all periods are longer than this, so the usual case costs one comparison
    if step.unsigned_abs() < 40_000 * SECOND as u64 {
        return 0;
    }
    let period = PERIODS.into_iter().find(|period| step.unsigned_abs().abs_diff(*period as u64) <= SLACK as u64);
    period.map_or(0, |period| if step < 0 { period } else { -period })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::time::Timestamp;

    #[test]
    fn wraps_of_known_clocks_are_undone_and_nothing_else_is() {
        let end = i64::from(u32::MAX) * 1_000_000;
        assert_eq!(turn(20_000_000, end), (1i64 << 32) * 1_000_000);
        assert_eq!(turn(end, 20_000_000), -(1i64 << 32) * 1_000_000);
        let mpeg = Timestamp::from_ticks((1 << 33) - 3600, 90_000).0;
        assert_eq!(mpeg + 40_000_000, turn(0, mpeg));
        assert_eq!(turn(0, 3600 * SECOND), 0);
        assert_eq!(turn(0, 1_000_000 * SECOND), 0);
        assert_eq!(turn(i64::MIN, i64::MAX), 0);
    }
}
