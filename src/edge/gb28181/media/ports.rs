//! A range of ports for calls with a port of their own. A port comes back when its guard is dropped, whatever happened.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The free ports. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Ports(Arc<Mutex<Free>>);

#[derive(Debug)]
struct Free {
    /// The port that was used longest ago stands first: a sender that was not told of the end finds nobody new.
    queue: VecDeque<u16>,
    total: usize,
}

/// A port that is in use while this lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    pool: Ports,
}

impl Ports {
    /// Even ports of a range: the odd ones above them belong to RTCP (RFC 3550 section 11).
    pub fn new(from: u16, to: u16) -> Ports {
        let queue: VecDeque<u16> = (from..=to).filter(|port| port.is_multiple_of(2)).collect();
        let total = queue.len();
        Ports(Arc::new(Mutex::new(Free { queue, total })))
    }

    /// A free port; `None` if all are in use.
    pub fn take(&self) -> Option<Port> {
        let number = self.free().queue.pop_front()?;
        Some(Port { number, pool: self.clone() })
    }

    /// Ports in use, and ports overall.
    pub fn used(&self) -> (usize, usize) {
        let free = self.free();
        (free.total - free.queue.len(), free.total)
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Free> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Port {
    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.pool.free().queue.push_back(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_come_back_last() {
        let ports = Ports::new(30_001, 30_006);
        let (a, b) = (ports.take().unwrap(), ports.take().unwrap());
        assert_eq!((a.number(), b.number(), ports.used()), (30_002, 30_004, (2, 3)));
        drop(a);
        let c = ports.take().unwrap();
        assert_eq!(c.number(), 30_006);
        assert_eq!(ports.take().unwrap().number(), 30_002);
        drop((b, c));
        assert_eq!(ports.used(), (0, 3));
    }

    #[test]
    fn an_empty_pool_says_so() {
        let ports = Ports::new(30_000, 30_001);
        let _only = ports.take().unwrap();
        assert!(ports.take().is_none());
    }
}
