//! How many connections there may be, overall and from one address.

use dashmap::DashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts connections. Cloning shares the count.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    overall: usize,
    address: usize,
    now: AtomicUsize,
    by_address: DashMap<IpAddr, usize>,
}

/// A connection that is counted while this lives.
pub struct Place {
    limits: Limits,
    address: IpAddr,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The server is full.
    #[error("{0} connections are open, which is the limit")]
    Overall(usize),
    /// This address has too many.
    #[error("{0} connections from this address are open, which is the limit")]
    Address(usize),
}

impl Limits {
    /// At most `overall` connections and `address` from one address; 0 is no limit.
    pub fn new(overall: usize, address: usize) -> Limits {
        Limits(Arc::new(Inner { overall, address, now: AtomicUsize::new(0), by_address: DashMap::new() }))
    }

    /// Counts a connection in.
    pub fn enter(&self, address: IpAddr) -> Result<Place, Refused> {
        let Inner { overall, address: most, now, by_address } = &*self.0;
        let before = now.fetch_add(1, Ordering::AcqRel);
        if *overall != 0 && before >= *overall {
            now.fetch_sub(1, Ordering::AcqRel);
            return Err(Refused::Overall(*overall));
        }
        let mut count = by_address.entry(address).or_insert(0);
        *count += 1;
        let over = *most != 0 && *count > *most;
        drop(count);
        let place = Place { limits: self.clone(), address };
        if over { Err(Refused::Address(*most)) } else { Ok(place) }
    }

    /// Connections now.
    pub fn now(&self) -> usize {
        self.0.now.load(Ordering::Acquire)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let inner = &*self.limits.0;
        inner.now.fetch_sub(1, Ordering::AcqRel);
        inner.by_address.remove_if_mut(&self.address, |_, count| {
            *count -= 1;
            *count == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_places_come_back() {
        let limits = Limits::new(3, 2);
        let (a, b) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let one = limits.enter(a).unwrap();
        let _two = limits.enter(a).unwrap();
        assert_eq!(limits.enter(a).err(), Some(Refused::Address(2)));
        let _three = limits.enter(b).unwrap();
        assert_eq!(limits.enter(b).err(), Some(Refused::Overall(3)));
        drop(one);
        assert!(limits.enter(a).is_ok());
        assert_eq!(limits.now(), 2);
        assert_eq!(limits.0.by_address.len(), 2);
    }
}
