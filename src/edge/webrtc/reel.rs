//! The newest sheets of a stream, and older ones for newcomers: cut once for all viewers of a task.

use super::sheet::{SampleClock, Sheet};
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::stream::{Cursor, Read, Stream, Unit};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sheets that are kept of the newest.
const RECENT: usize = 256;
/// Sheets that are kept of what newcomers catch up with.
const OLD: usize = 1_024;

/// What stands at a place.
pub(super) enum Found {
    /// This.
    Sheet(Arc<Sheet>),
    /// Nothing yet.
    NotYet,
    /// It is gone: the viewer was overtaken.
    Gone,
}

/// The sheets.
pub(super) struct Reel {
    stream: Arc<Stream>,
    cursor: Cursor,
    recent: VecDeque<Arc<Sheet>>,
    old: BTreeMap<u64, Arc<Sheet>>,
    clock: SampleClock,
    /// The newest picture's time, else the newest frame's.
    newest: Option<Timestamp>,
    /// The time of the stream's zero on this machine's clock, for sender reports.
    epoch: Option<Instant>,
    batch: Vec<Arc<Unit>>,
}

impl Reel {
    /// Begins at the stream's newest key frame.
    pub fn new(stream: Arc<Stream>) -> Reel {
        let cursor = stream.newest();
        Reel {
            stream,
            cursor,
            recent: VecDeque::new(),
            old: BTreeMap::new(),
            clock: SampleClock::default(),
            newest: None,
            epoch: None,
            batch: Vec::new(),
        }
    }

    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Cuts what is new; `false` when the stream is over and everything was read.
    pub fn load(&mut self, now: Instant) -> bool {
        loop {
            match self.stream.read(&mut self.cursor, &mut self.batch) {
                Read::Units => {
                    let mut batch = std::mem::take(&mut self.batch);
                    batch.drain(..).for_each(|unit| self.take(&unit));
                    self.batch = batch;
                }
                Read::Empty => break,
                Read::Lagged { .. } => self.recent.clear(),
                Read::Ended => return false,
            }
        }
        if let (None, Some(newest)) = (self.epoch, self.newest) {
            self.epoch = now.checked_sub(newest.since(Timestamp::ZERO));
        }
        true
    }

    fn take(&mut self, unit: &Unit) {
        let sheet = Sheet::cut(unit, Some(&mut self.clock));
        if sheet.kind == Kind::Video || unit.tracks.video.is_none() {
            self.newest = Some(sheet.pts);
        }
        if self.recent.back().is_some_and(|last| last.seq + 1 != sheet.seq) {
            self.recent.clear();
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Arc::new(sheet));
    }

    /// The number after the newest sheet.
    pub fn head(&self) -> u64 {
        self.cursor.next
    }

    /// The newest picture's time.
    pub fn newest(&self) -> Timestamp {
        self.newest.unwrap_or_default()
    }

    /// When a point of the stream's time line is, on this machine's clock.
    pub fn instant(&self, at: Timestamp, now: Instant) -> Instant {
        let nanos = u64::try_from(at.0).unwrap_or(0);
        self.epoch.and_then(|epoch| epoch.checked_add(Duration::from_nanos(nanos))).unwrap_or(now)
    }

    /// The sheet of a number.
    pub fn get(&mut self, seq: u64) -> Found {
        if seq >= self.cursor.next {
            return Found::NotYet;
        }
        let recent = self.recent.front().and_then(|first| self.recent.get(usize::try_from(seq.checked_sub(first.seq)?).ok()?));
        if let Some(sheet) = recent.or_else(|| self.old.get(&seq)) {
            return Found::Sheet(sheet.clone());
        }
        if self.old.len() >= OLD {
            self.old.clear();
        }
        let mut cursor = Cursor { next: seq, seeking: false };
        let mut batch = std::mem::take(&mut self.batch);
        let read = self.stream.read(&mut cursor, &mut batch);
        if read == Read::Units {
            self.old.extend(batch.drain(..).map(|unit| (unit.seq, Arc::new(Sheet::cut(&unit, None)))));
        }
        self.batch = batch;
        self.old.get(&seq).map_or(Found::Gone, |sheet| Found::Sheet(sheet.clone()))
    }

    /// Nobody catches up any more.
    pub fn forget_old(&mut self) {
        self.old.clear();
    }
}
