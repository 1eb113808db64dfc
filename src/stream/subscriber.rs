//! A read handle of a stream.

use super::registry::Registry;
use super::ring::{Cursor, Got};
use super::stream::Stream;
use super::unit::Unit;
use crate::base::error::End;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The most units that one read returns.
pub const BATCH: usize = 64;

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A player: counted, and reason enough to fetch the stream.
    Viewer,
    /// A recorder, a segmenter, a relay: not counted as a viewer.
    Worker,
}

/// Where a newcomer starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the newest key frame in the GOP cache: a picture at once.
    Key,
    /// The same with the sound directly before it: for recorders, which are to have every frame.
    Sound,
    /// At the next key frame: nothing from the past.
    Live,
}

/// What [`Subscriber::recv`] brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Recv {
    /// The batch holds at least one unit.
    Units,
    /// So many units were overwritten before they were read; the next read starts at a key frame.
    Lagged {
        /// Units that were not read.
        missed: u64,
    },
    /// The stream is over and everything was read.
    Ended(End),
}

/// What a non-waiting [`Stream::read`] finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// The batch holds at least one unit.
    Units,
    /// Nothing new.
    Empty,
    /// So many units were lost; the cursor stands at the newest start.
    Lagged {
        /// Units that were not read.
        missed: u64,
    },
    /// Nothing new, and nothing will come.
    Ended,
}

/// Counts a reader in while it lives.
pub struct Seat {
    registry: Registry,
    stream: Arc<Stream>,
    class: Class,
}

/// Reads a stream at its own pace. Dropping it is how it leaves.
pub struct Subscriber {
    seat: Seat,
    cursor: Cursor,
}

impl Stream {
    /// Moves the cursor over what is new, at most [`BATCH`] units, without waiting. `batch` is cleared first.
    pub fn read(&self, cursor: &mut Cursor, batch: &mut Vec<Arc<Unit>>) -> Read {
        batch.clear();
        while batch.len() < BATCH {
            match self.ring.get(cursor.next) {
                Got::Unit(unit) => {
                    cursor.next += 1;
                    if cursor.seeking && !unit.starts() {
                        continue;
                    }
                    cursor.seeking = false;
                    batch.push(unit);
                }
                Got::NotYet => break,
                Got::Lagged if batch.is_empty() => return self.skip(cursor),
                Got::Lagged => break,
            }
        }
        match batch.is_empty() {
            false => Read::Units,
            true if self.is_over() && cursor.next >= self.ring.head() => Read::Ended,
            true => Read::Empty,
        }
    }

    /// Moves a cursor that was overtaken to the newest start.
    pub fn skip(&self, cursor: &mut Cursor) -> Read {
        let to = self.ring.join();
        // The newest start may be one that this reader has passed already; then only the next one helps.
        let to = if to.next < cursor.next { self.ring.live() } else { to };
        let missed = to.next.saturating_sub(cursor.next);
        *cursor = to;
        self.counts.lagged.fetch_add(1, Ordering::Relaxed);
        Read::Lagged { missed }
    }

    /// Where a newcomer starts now: at the newest key frame, or with none at the next one.
    pub fn newest(&self) -> Cursor {
        self.ring.join()
    }

    /// The number that the next unit gets: a cursor that stands here has read everything.
    pub fn head(&self) -> u64 {
        self.ring.head()
    }

    /// Completes at the next push, and when the stream goes live or ends. To miss none, make it first, then read, then await.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.woken.notified()
    }
}

impl Seat {
    pub(super) fn new(registry: Registry, stream: Arc<Stream>, class: Class) -> Seat {
        stream.seats(class == Class::Viewer).fetch_add(1, Ordering::AcqRel);
        Seat { registry, stream, class }
    }

    /// The stream.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let left = self.stream.seats(self.class == Class::Viewer).fetch_sub(1, Ordering::AcqRel) - 1;
        if left == 0 {
            self.registry.left(&self.stream);
        }
    }
}

impl Subscriber {
    pub(super) fn new(seat: Seat, start: Start) -> Subscriber {
        let ring = &seat.stream.ring;
        let cursor = match start {
            Start::Key => ring.join(),
            Start::Sound => ring.join_with_sound(),
            Start::Live => ring.live(),
        };
        Subscriber { seat, cursor }
    }

    /// The stream.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.seat.stream
    }

    /// Waits for something new and fills `batch` (cleared first) with at most [`BATCH`] units. Cancel-safe.
    pub async fn recv(&mut self, batch: &mut Vec<Arc<Unit>>) -> Recv {
        let Subscriber { seat, cursor } = self;
        loop {
            let changed = seat.stream.woken.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match seat.stream.read(cursor, batch) {
                Read::Units => return Recv::Units,
                Read::Lagged { missed } => return Recv::Lagged { missed },
                Read::Ended => return Recv::Ended(End::StreamEnded),
                Read::Empty => changed.await,
            }
        }
    }

    /// Where it stands.
    pub fn place(&self) -> Cursor {
        self.cursor
    }

    /// The seat and the place, for a pump that reads for many players at once.
    pub fn into_parts(self) -> (Seat, Cursor) {
        (self.seat, self.cursor)
    }
}
