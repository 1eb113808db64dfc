//! Many sockets behind one wait. Under load the owner looks at all of them every few milliseconds instead of being woken
//! for each packet: one wait and one read serve what has gathered.

#![allow(unsafe_code, reason = "epoll has no safe interface without another dependency; each block says why it is sound")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A set of sockets that are watched for input. Sockets can be added and removed from any thread.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
}

/// Tokens of sockets that have input, or an error to be read.
#[derive(Debug)]
pub struct Ready {
    events: Vec<libc::epoll_event>,
}

impl Default for Ready {
    fn default() -> Ready {
        Ready { events: Vec::with_capacity(Ready::MOST) }
    }
}

impl Ready {
    /// Sockets that one look returns at most; the others come with the next.
    pub const MOST: usize = 256;

    /// The tokens.
    pub fn tokens(&self) -> impl Iterator<Item = u64> + '_ {
        self.events.iter().map(|event| event.u64)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl Poller {
    /// An empty set.
    pub fn new() -> io::Result<Poller> {
        // SAFETY: no pointers; a result of 0 or more is a new descriptor that nobody else owns.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Poller { epoll })
    }

    /// Watches a socket. It has to be removed before it is closed, or be closed with no duplicate left.
    pub fn add(&self, socket: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLRDHUP) as u32, u64: token };
        // SAFETY: both descriptors are open for the time of the call, and `event` lives through it.
        let done = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &mut event) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Watches a socket no longer.
    pub fn remove(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: both descriptors are open for the time of the call; the event may be null since Linux 2.6.9.
        let done = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, socket.as_raw_fd(), std::ptr::null_mut()) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Looks once, without waiting.
    pub fn look(&self, ready: &mut Ready) -> io::Result<()> {
        ready.events.clear();
        // SAFETY: the pointer leads to room for `MOST` events, of which the kernel fills the number that it returns.
        unsafe {
            let count = libc::epoll_wait(self.epoll.as_raw_fd(), ready.events.as_mut_ptr(), Ready::MOST as i32, 0);
            if count < 0 {
                let error = io::Error::last_os_error();
                return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
            }
            ready.events.set_len(count as usize);
        }
        Ok(())
    }

    /// Returns when a socket has input. While nobody waits here, input wakes nobody.
    pub async fn wait(&self) -> io::Result<()> {
        // SAFETY: the borrowed descriptor stays open as long as `self`, which outlives this future.
        let watched = unsafe { AsyncFd::register_with_interest(self.epoll.as_fd(), Interest::READABLE)? };
        watched.readable().await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[tokio::test]
    async fn input_is_seen_until_it_is_read() {
        let poller = Poller::new().unwrap();
        let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        poller.add(a.as_fd(), 7).unwrap();
        let mut ready = Ready::default();
        poller.look(&mut ready).unwrap();
        assert!(ready.is_empty());
        b.send_to(b"x", a.local_addr().unwrap()).unwrap();
        poller.wait().await.unwrap();
        for _ in 0..2 {
            poller.look(&mut ready).unwrap();
            assert_eq!(ready.tokens().collect::<Vec<_>>(), [7]);
        }
        a.recv(&mut [0; 9]).unwrap();
        poller.look(&mut ready).unwrap();
        assert!(ready.is_empty());
        b.send_to(b"x", a.local_addr().unwrap()).unwrap();
        poller.remove(a.as_fd()).unwrap();
        poller.look(&mut ready).unwrap();
        assert_eq!(ready.len(), 0);
    }
}
