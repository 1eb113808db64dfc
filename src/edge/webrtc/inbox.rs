//! The way into a task: what the port's reader and the signalling leave for it.

use super::viewer::Viewer;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use str0m::net::Protocol;
use tokio::sync::Notify;

/// Names a session inside this edge.
pub(super) type Number = u64;

/// What comes in.
pub(super) enum Mail {
    /// Bytes from the network.
    Datagram {
        /// Whose.
        session: Number,
        /// Over what.
        way: Protocol,
        /// From where.
        from: SocketAddr,
        /// The bytes.
        bytes: Box<[u8]>,
    },
    /// The client says goodbye by HTTP.
    Leave(Number),
    /// A new viewer.
    Viewer(Box<Viewer>),
}

/// Datagrams that wait at most. What comes beyond is lost, as on any network.
const DATAGRAMS: usize = 8_192;

/// A bounded queue with one reader.
pub(super) struct Inbox {
    /// `None` when the task has ended.
    queue: Mutex<Option<VecDeque<Mail>>>,
    arrived: Notify,
    sessions: AtomicUsize,
}

/// Why something was not taken.
pub(super) enum Full {
    /// Too much waits already.
    Overflow,
    /// The task has ended; this comes back.
    Closed(Mail),
}

impl Inbox {
    pub fn new() -> Inbox {
        Inbox { queue: Mutex::new(Some(VecDeque::new())), arrived: Notify::new(), sessions: AtomicUsize::new(0) }
    }

    pub fn push(&self, mail: Mail) -> Result<(), Full> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = queue.as_mut() else { return Err(Full::Closed(mail)) };
        if matches!(mail, Mail::Datagram { .. }) && waiting.len() >= DATAGRAMS {
            return Err(Full::Overflow);
        }
        if matches!(mail, Mail::Viewer(_)) {
            self.sessions.fetch_add(1, Ordering::Relaxed);
        }
        let first = waiting.is_empty();
        waiting.push_back(mail);
        drop(queue);
        if first {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Everything that waits.
    pub fn take(&self) -> VecDeque<Mail> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Returns when something came since the last [`Inbox::take`].
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Sessions that it serves, for whoever chooses among several.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// A session ended.
    pub fn left(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Closes if nobody new waits in it.
    pub fn close_if_empty(&self) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = queue.as_ref().is_none_or(|waiting| !waiting.iter().any(|mail| matches!(mail, Mail::Viewer(_))));
        if empty {
            *queue = None;
        }
        empty
    }

    /// Closes; what waited comes out.
    pub fn close(&self) -> VecDeque<Mail> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    pub fn is_closed(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}
