//! Which nonces of a key were used: remembered until a request that carries them would be too old anyway, over restarts too.
//!
//! They are kept in memory; [`log`](super::log) writes each behind a file before its request is answered, so that a process
//! that is killed leaves all of them to the next. Where that cannot be trusted (the machine lost its power, the disk was full,
//! the files are gone) requests that were signed before the start are refused instead: see [`Nonces::floor`]. Servers that share a
//! database take each nonce there as well ([`Store::take_nonce`](crate::store::Store::take_nonce)).

use super::WINDOW;
use super::log::Log;
use dashmap::DashMap;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The nonces of all keys.
pub struct Nonces {
    /// By the hash of the key's id.
    keys: DashMap<u64, Used>,
    most: usize,
    log: Option<Log>,
    floor: i64,
}

#[derive(Default)]
struct Used {
    seen: HashSet<u64>,
    /// By the minute in which they may be forgotten.
    until: BTreeMap<u32, Vec<u64>>,
}

/// Why a nonce is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was used within the window.
    Used,
    /// The key has used so many that no more can be remembered.
    Full,
}

/// A nonce that was used, as it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The minute since 1970 after which it may be forgotten.
    pub until: u32,
    /// The hash of the key's id.
    pub key: u64,
    /// The hash of the nonce.
    pub nonce: u64,
}

/// What is remembered of a nonce of a request that was made at `time`, both in unix seconds.
pub fn entry(key: &str, nonce: &str, time: i64, now: i64) -> Entry {
    // A replay carries the same time, as it is signed; another request with this nonce is refused for a whole window from now.
    Entry { until: minute(time.max(now) + WINDOW).saturating_add(1), key: hash(key), nonce: hash(nonce) }
}

impl Nonces {
    /// In memory alone, at most `most` a key.
    pub fn new(most: usize) -> Nonces {
        Nonces { keys: DashMap::new(), most, log: None, floor: i64::MIN }
    }

    /// The same with a memory in a folder: what was used before the last end. `now` is the unix time of the start; `first` says
    /// that there cannot have been another one.
    pub fn open(most: usize, folder: &Path, now: i64, first: bool) -> Nonces {
        let mut nonces = Nonces::new(most);
        match Log::open(folder, now, first, |entry| nonces.remember(entry, now)) {
            Ok((log, floor)) => (nonces.log, nonces.floor) = (Some(log), floor),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "nonces are not kept over restarts");
                nonces.floor = if first { i64::MIN } else { now };
            }
        }
        nonces
    }

    /// Requests with a time before this are refused: nobody knows any more which of them were used.
    pub fn floor(&self) -> i64 {
        self.floor
    }

    /// Takes a nonce of a request that was made at `time`, both in unix seconds; the request is known to be genuine and fresh.
    pub fn take(&self, key: &str, nonce: &str, time: i64, now: i64) -> Result<(), Refused> {
        let entry = entry(key, nonce, time, now);
        let mut used = self.keys.entry(entry.key).or_default();
        used.forget(now);
        if used.seen.contains(&entry.nonce) {
            return Err(Refused::Used);
        }
        if used.seen.len() >= self.most {
            return Err(Refused::Full);
        }
        used.put(entry);
        drop(used);
        if let Some(log) = &self.log {
            log.write(entry, now);
        }
        Ok(())
    }

    /// Forgets what is over, for keys that are not used any more.
    pub fn sweep(&self, now: i64) {
        self.keys.retain(|_, used| {
            used.forget(now);
            !used.seen.is_empty()
        });
        if let Some(log) = &self.log {
            log.sweep(now);
        }
    }

    /// At the end: what was written is brought to the disk.
    pub fn close(&self) {
        if let Some(log) = &self.log {
            log.close();
        }
    }

    fn remember(&self, entry: Entry, now: i64) {
        if i64::from(entry.until) * 60 >= now {
            self.keys.entry(entry.key).or_default().put(entry);
        }
    }
}

impl Used {
    fn put(&mut self, entry: Entry) {
        if self.seen.insert(entry.nonce) {
            self.until.entry(entry.until).or_default().push(entry.nonce);
        }
    }

    fn forget(&mut self, now: i64) {
        while let Some(first) = self.until.first_entry().filter(|first| i64::from(*first.key()) * 60 < now) {
            for hash in first.remove() {
                self.seen.remove(&hash);
            }
        }
    }
}

fn minute(seconds: i64) -> u32 {
    u32::try_from(seconds.div_euclid(60)).unwrap_or_default()
}

/// The same in every run. Whoever looks for two nonces that meet needs the key's secret, and shuts out only that key.
fn hash(text: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_772_323_200;

    #[test]
    fn a_nonce_is_good_once_a_key_and_window() {
        let nonces = Nonces::new(100);
        let now = NOW;
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
            nonces.take("a", n, NOW, NOW).unwrap();
        }
        assert_eq!(nonces.take("a", "4", NOW, NOW), Err(Refused::Full));
        assert_eq!(nonces.take("a", "3", NOW, NOW), Err(Refused::Used));
        nonces.sweep(NOW + WINDOW + 121);
        assert!(nonces.keys.is_empty());
        assert_eq!(nonces.take("a", "4", NOW, NOW), Ok(()));
    }

    #[test]
    fn what_was_used_is_used_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let first = Nonces::open(100, dir.path(), NOW, true);
        assert_eq!(first.floor(), i64::MIN);
        for n in 0..50 {
            first.take("a", &n.to_string(), NOW + 10, NOW + 10).unwrap();
        }
        first.take("b", "0", NOW + 900, NOW + 10).unwrap();
        // A kill: nothing is closed.
        std::mem::forget(first);
        let second = Nonces::open(100, dir.path(), NOW + 20, false);
        assert_eq!(second.floor(), i64::MIN);
        for n in 0..50 {
            assert_eq!(second.take("a", &n.to_string(), NOW + 10, NOW + 20), Err(Refused::Used), "{n}");
        }
        assert_eq!(second.take("b", "1", NOW + 20, NOW + 20), Ok(()));
        assert_eq!(second.take("b", "0", NOW + 900, NOW + 1500), Err(Refused::Used));
        second.close();
        let third = Nonces::open(100, dir.path(), NOW + 30, false);
        assert_eq!(third.take("b", "1", NOW + 20, NOW + 30), Err(Refused::Used));
        assert_eq!(third.floor(), i64::MIN);
        // What is over is neither kept nor read.
        third.sweep(NOW + 3 * WINDOW);
        drop(third);
        let fourth = Nonces::open(100, dir.path(), NOW + 3 * WINDOW, false);
        assert!(fourth.keys.is_empty());
        assert_eq!(fourth.take("a", "1", NOW + 3 * WINDOW, NOW + 3 * WINDOW), Ok(()));
    }
}
