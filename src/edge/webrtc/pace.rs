//! How fast one viewer is sent to: faster than the stream, so that newcomers catch up, but not as fast as the machine can,
//! which would only fill the buffers on the way until they lose.

use std::time::Instant;

/// The slowest pace, in bytes a second.
const SLOW: f64 = 20e6 / 8.0;
/// The fastest.
const FAST: f64 = 200e6 / 8.0;
/// How much faster than the stream.
const TIMES: f64 = 8.0;
/// How much may go at once, in seconds of the pace.
const BURST: f64 = 0.02;

/// A token bucket.
#[derive(Debug)]
pub(super) struct Pace {
    tokens: f64,
    rate: f64,
    at: Instant,
}

impl Pace {
    pub fn new(now: Instant) -> Pace {
        Pace { tokens: SLOW * BURST, rate: SLOW, at: now }
    }

    /// Time goes on; the stream has so many bits a second.
    pub fn advance(&mut self, now: Instant, stream: u64) {
        self.rate = (stream as f64 / 8.0 * TIMES).clamp(SLOW, FAST);
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.rate * BURST);
        self.at = now;
    }

    /// Whether a packet may go now.
    pub fn allows(&self) -> bool {
        self.tokens > 0.0
    }

    /// So many bytes went.
    pub fn spend(&mut self, bytes: usize) {
        self.tokens -= bytes as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_long_run_has_the_pace_and_a_pause_is_not_saved_up() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut sent = 0;
        for ms in (0..1_000).step_by(5) {
            pace.advance(start + Duration::from_millis(ms), 4_000_000);
            while pace.allows() {
                pace.spend(1_200);
                sent += 1_200;
            }
        }
        assert!((3_900_000..4_200_000).contains(&sent), "32 Mbit/s, in bytes: {sent}");
        pace.advance(start + Duration::from_secs(60), 4_000_000);
        let mut burst = 0;
        while pace.allows() {
            pace.spend(1_200);
            burst += 1_200;
        }
        assert!(burst < 90_000, "{burst}");
    }
}
