//! How often a key may call: a token bucket each.

use dashmap::DashMap;

/// The buckets of all keys.
pub struct Rates {
    buckets: DashMap<String, Bucket>,
    per_second: f64,
    burst: f64,
}

struct Bucket {
    tokens: f64,
    /// When the tokens were counted, in nanoseconds of any steady clock.
    at: i64,
}

impl Rates {
    /// So many calls a second, and so many at once; 0 a second means without limit.
    pub fn new(per_second: u32, burst: u32) -> Rates {
        Rates { buckets: DashMap::new(), per_second: f64::from(per_second), burst: f64::from(burst.max(1)) }
    }

    /// Whether the key may call now (nanoseconds of a steady clock).
    pub fn allow(&self, key: &str, now: i64) -> bool {
        if self.per_second == 0.0 {
            return true;
        }
        let mut bucket = match self.buckets.get_mut(key) {
            Some(bucket) => bucket,
            None => self.buckets.entry(key.to_owned()).or_insert(Bucket { tokens: self.burst, at: now }),
        };
        let passed = now.saturating_sub(bucket.at).max(0) as f64 / 1e9;
        bucket.tokens = (bucket.tokens + passed * self.per_second).min(self.burst);
        bucket.at = now.max(bucket.at);
        // Tenths do not add up to one exactly.
        if bucket.tokens < 1.0 - 1e-6 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let rates = Rates::new(10, 5);
        let second = 1_000_000_000;
        assert_eq!((0..9).filter(|_| rates.allow("a", 0)).count(), 5);
        assert!(rates.allow("b", 0));
        assert_eq!((1..=100).filter(|i| rates.allow("a", i * second / 100)).count(), 10);
        // A clock that steps back gives nothing away.
        assert!(!rates.allow("a", 0));
        assert!((0..1000).all(|_| Rates::new(0, 0).allow("a", 0)));
    }
}
