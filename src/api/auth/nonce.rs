//! Which nonces of a key were used: remembered until a request that carries them would be too old anyway.

use super::WINDOW;
use dashmap::DashMap;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// The nonces of all keys.
pub struct Nonces {
    keys: DashMap<String, Used>,
    /// Secret to this process, so that nobody can look for two nonces that meet.
    hasher: RandomState,
    most: usize,
}

#[derive(Default)]
struct Used {
    seen: HashSet<u64>,
    /// By the minute in which they may be forgotten.
    until: BTreeMap<i64, Vec<u64>>,
}

/// Why a nonce is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was used within the window.
    Used,
    /// The key has used so many that no more can be remembered.
    Full,
}

impl Nonces {
    /// Remembers at most `most` nonces a key.
    pub fn new(most: usize) -> Nonces {
        Nonces { keys: DashMap::new(), hasher: RandomState::new(), most }
    }

    /// Takes a nonce of a request that was made at `time`, both in unix seconds; the request is known to be genuine and fresh.
    pub fn take(&self, key: &str, nonce: &str, time: i64, now: i64) -> Result<(), Refused> {
        let mut used = match self.keys.get_mut(key) {
            Some(used) => used,
            None => self.keys.entry(key.to_owned()).or_default(),
        };
        used.forget(now);
        let hash = self.hasher.hash_one(nonce);
        if used.seen.contains(&hash) {
            return Err(Refused::Used);
        }
        if used.seen.len() >= self.most {
            return Err(Refused::Full);
        }
        used.seen.insert(hash);
        // A replay carries the same time, as it is signed; another request with this nonce is refused for a whole window from now.
        let until = time.max(now) + WINDOW;
        used.until.entry(until.div_euclid(60) + 1).or_default().push(hash);
        Ok(())
    }

    /// Forgets what is over, for keys that are not used any more.
    pub fn sweep(&self, now: i64) {
        self.keys.retain(|_, used| {
            used.forget(now);
            !used.seen.is_empty()
        });
    }
}

impl Used {
    fn forget(&mut self, now: i64) {
        while let Some(first) = self.until.first_entry().filter(|first| first.key() * 60 < now) {
            for hash in first.remove() {
                self.seen.remove(&hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once_a_key_and_window() {
        let nonces = Nonces::new(100);
        let now = 1_000_000;
        assert_eq!(nonces.take("a", "n", now, now), Ok(()));
        assert_eq!(nonces.take("a", "n", now + 5, now + 5), Err(Refused::Used));
        assert_eq!(nonces.take("b", "n", now, now), Ok(()));
        assert_eq!(nonces.take("a", "ahead", now + WINDOW, now), Ok(()));
        assert_eq!(nonces.take("a", "n", now + WINDOW, now + WINDOW), Err(Refused::Used));
        // A request from a clock that runs ahead can be replayed for longer.
        assert_eq!(nonces.take("a", "ahead", now + WINDOW, now + 2 * WINDOW), Err(Refused::Used));
        assert_eq!(nonces.take("a", "n", now + 2 * WINDOW, now + 2 * WINDOW), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let nonces = Nonces::new(3);
        for n in ["1", "2", "3"] {
            nonces.take("a", n, 0, 0).unwrap();
        }
        assert_eq!(nonces.take("a", "4", 0, 0), Err(Refused::Full));
        assert_eq!(nonces.take("a", "3", 0, 0), Err(Refused::Used));
        nonces.sweep(WINDOW + 121);
        assert!(nonces.keys.is_empty());
        assert_eq!(nonces.take("a", "4", 0, 0), Ok(()));
    }
}
