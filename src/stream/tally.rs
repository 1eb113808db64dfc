//! What each tenant has at once: streams that are sent, players, recordings. Whoever comes takes a place and gives it back by
//! dropping it, so that counting costs something when somebody comes or goes, and nothing for a frame.

use crate::base::id::StreamKey;
use crate::model::id::TenantId;
use crate::model::quota::{Exceeded, Quota, What};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::collections::HashMap;
use std::sync::Arc;

/// All places. Cloning shares them.
#[derive(Clone, Default)]
pub struct Tally(Arc<DashMap<(TenantId, What), Held>>);

/// The places of one kind that a tenant has taken, by stream.
#[derive(Default)]
struct Held {
    streams: HashMap<StreamKey, i64>,
    places: i64,
}

/// A place that is taken until it is dropped.
pub struct Place {
    tally: Tally,
    of: (TenantId, What),
    key: StreamKey,
}

impl Tally {
    /// Takes a place, unless the quota is used up. Streams and recordings count once for each name: who takes over a stream, or
    /// records it a second time, takes no more.
    pub fn take(&self, owner: TenantId, what: What, key: &StreamKey, quota: Quota) -> Result<Place, Exceeded> {
        let of = (owner, what);
        let mut held = self.0.entry(of).or_default();
        if what == What::Viewers || !held.streams.contains_key(key) {
            let room = quota.room(what, held.count(what), 1);
            if let Err(exceeded) = room {
                let unused = held.places == 0;
                drop(held);
                if unused {
                    self.0.remove_if(&of, |_, held| held.places == 0);
                }
                return Err(exceeded);
            }
        }
        *held.streams.entry(key.clone()).or_default() += 1;
        held.places += 1;
        Ok(Place { tally: self.clone(), of, key: key.clone() })
    }

    /// How many there are now.
    pub fn count(&self, owner: TenantId, what: What) -> i64 {
        self.0.get(&(owner, what)).map_or(0, |held| held.count(what))
    }

    /// Whether the stream has a place.
    pub fn has(&self, owner: TenantId, what: What, key: &StreamKey) -> bool {
        self.0.get(&(owner, what)).is_some_and(|held| held.streams.contains_key(key))
    }

    /// The streams that have places, and how many each.
    pub fn streams(&self, owner: TenantId, what: What) -> Vec<(StreamKey, i64)> {
        self.0.get(&(owner, what)).map_or_else(Vec::new, |held| held.streams.iter().map(|(key, n)| (key.clone(), *n)).collect())
    }
}

impl Held {
    fn count(&self, what: What) -> i64 {
        match what {
            What::Viewers => self.places,
            _ => i64::try_from(self.streams.len()).unwrap_or(i64::MAX),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Entry::Occupied(mut entry) = self.tally.0.entry(self.of) else { return };
        let held = entry.get_mut();
        held.places -= 1;
        if let Some(n) = held.streams.get_mut(&self.key) {
            *n -= 1;
            if *n <= 0 {
                held.streams.remove(&self.key);
            }
        }
        if held.places <= 0 {
            entry.remove();
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {} for {}", self.of.1, self.of.0, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TenantId = TenantId(1);

    fn key(name: &str) -> StreamKey {
        StreamKey::parse(name).unwrap()
    }

    #[test]
    fn places_are_given_back_and_tenants_do_not_share_them() {
        let tally = Tally::default();
        let quota = Quota::default().with(What::Viewers, Some(2)).with(What::Streams, Some(1));
        let (a, b) = (key("live/1"), key("live/2"));
        let take = |what, key| tally.take(ONE, what, key, quota);
        let (first, second) = (take(What::Viewers, &a).unwrap(), take(What::Viewers, &a).unwrap());
        assert_eq!(take(What::Viewers, &b).unwrap_err(), Exceeded { what: What::Viewers, limit: 2 });
        assert_eq!((tally.count(ONE, What::Viewers), tally.streams(ONE, What::Viewers)), (2, vec![(a.clone(), 2)]));
        let other = tally.take(TenantId(2), What::Viewers, &a, quota).unwrap();
        drop(first);
        let third = take(What::Viewers, &b).unwrap();
        assert!(take(What::Viewers, &b).is_err());
        // Who takes over a stream needs no second place; the first to go does not give it back.
        let (old, new) = (take(What::Streams, &a).unwrap(), take(What::Streams, &a).unwrap());
        assert!(take(What::Streams, &b).is_err());
        drop(old);
        assert!(take(What::Streams, &b).is_err() && tally.has(ONE, What::Streams, &a));
        drop(new);
        assert!(take(What::Streams, &b).is_ok());
        drop((second, third, other));
        assert_eq!((tally.count(ONE, What::Viewers), tally.0.len()), (0, 0), "nothing is left behind");
        assert!(tally.take(ONE, What::Viewers, &a, Quota::default().with(What::Viewers, Some(0))).is_err());
        assert_eq!(tally.0.len(), 0);
    }

    #[test]
    fn no_more_are_let_in_than_there_may_be_however_many_come_at_once() {
        let tally = Tally::default();
        let quota = Quota::default().with(What::Viewers, Some(50));
        let places: Vec<Place> = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|n| {
                    let tally = tally.clone();
                    scope.spawn(move || {
                        let key = key(&format!("live/{n}"));
                        (0..100).filter_map(|_| tally.take(ONE, What::Viewers, &key, quota).ok()).collect::<Vec<_>>()
                    })
                })
                .collect();
            takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
        });
        assert_eq!((places.len(), tally.count(ONE, What::Viewers)), (50, 50));
        drop(places);
        assert_eq!(tally.count(ONE, What::Viewers), 0);
    }
}
