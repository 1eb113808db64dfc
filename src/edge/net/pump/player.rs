//! One socket with its place in the stream.

use super::batch::Batch;
use super::{Format, Inbound, Input, Viewer};
use crate::base::error::End;
use crate::edge::session::Session;
use crate::media::time::Timestamp;
use crate::stream::{Cursor, Read, Seat, Stream};
use bytes::{Buf, Bytes, BytesMut};
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// Pieces that one `writev` takes at most (the kernel's own limit is 1,024).
const SLICES: usize = 64;
/// What a player may have sent while it plays before we take it for hostile.
const UNANSWERED: usize = 64 << 10;

pub(super) struct Player {
    socket: TcpStream,
    session: Session,
    pub(super) format: Arc<dyn Format>,
    inbound: Option<Box<dyn Inbound>>,
    cursor: Cursor,
    /// Begun but not yet written to its end; goes before anything else.
    pending: Bytes,
    /// Answers that go out at the next border between units.
    replies: Bytes,
    /// Nothing of the stream was sent yet.
    fresh: bool,
    /// The head is on its way, the first unit is not.
    headed: bool,
    /// It skipped units: a change of a track may have been among them.
    skipped: bool,
    paused: bool,
    /// The session ends so once everything that is begun was written.
    leaving: Option<End>,
    /// When it last took something, while something is due.
    progress: Timestamp,
    _seat: Seat,
    _keep: Option<Box<dyn Send>>,
}

/// How a player stands after it was served.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has everything.
    Level,
    /// Its socket is full.
    Behind,
    /// It is to be closed.
    Over(End),
}

impl Player {
    pub(super) fn new(viewer: Viewer, now: Timestamp) -> Player {
        let Viewer { subscriber, socket, session, format, inbound, first, keep } = viewer;
        let (seat, cursor) = subscriber.into_parts();
        Player {
            socket,
            session,
            format,
            inbound,
            cursor,
            pending: first,
            replies: Bytes::new(),
            fresh: true,
            headed: false,
            skipped: false,
            paused: false,
            leaving: None,
            progress: now,
            _seat: seat,
            _keep: keep,
        }
    }

    /// Whether it waits for its first unit, or for room in its socket.
    pub(super) fn is_new(&self) -> bool {
        self.fresh || !self.pending.is_empty() || !self.replies.is_empty() || self.leaving.is_some()
    }

    /// Writes what is due until the player has everything or its socket is full.
    pub(super) fn serve(&mut self, stream: &Stream, batch: &mut Batch, now: Timestamp, stall: Duration) -> Standing {
        loop {
            match self.step(stream, batch, now) {
                Ok(true) => {}
                Ok(false) => {
                    self.progress = now;
                    return Standing::Level;
                }
                Err(Wrong::Full) if now.since(self.progress) > stall => return Standing::Over(End::TooSlow),
                Err(Wrong::Full) => return Standing::Behind,
                Err(Wrong::End(end)) => return Standing::Over(end),
            }
        }
    }

    /// One write; `false` when nothing is due.
    fn step(&mut self, stream: &Stream, batch: &mut Batch, now: Timestamp) -> Result<bool, Wrong> {
        if !self.pending.is_empty() {
            let n = self.write_flat(now)?;
            self.pending.advance(n);
            if self.pending.is_empty() {
                // An empty rest would keep the bytes before it alive.
                self.pending = Bytes::new();
            }
            return Ok(true);
        }
        if !self.replies.is_empty() {
            self.pending = std::mem::take(&mut self.replies);
            return Ok(true);
        }
        if let Some(end) = self.leaving.take() {
            return Err(Wrong::End(end));
        }
        if self.paused {
            return Ok(false);
        }
        batch.prepare(stream, &*self.format, self.cursor, self.fresh);
        match batch.read {
            Some(Read::Units) => {}
            Some(Read::Lagged { .. }) => {
                self.session.skipped();
                self.skipped = true;
                self.cursor = batch.after.unwrap_or(self.cursor);
                return Ok(true);
            }
            Some(Read::Ended) => {
                self.pending = self.format.end();
                self.leaving = Some(End::StreamEnded);
                return Ok(true);
            }
            Some(Read::Empty) | None => {
                self.cursor = batch.after.unwrap_or(self.cursor);
                return Ok(false);
            }
        }
        if !self.headed {
            self.headed = true;
            self.skipped = false;
            if let Some(unit) = batch.first() {
                self.pending = self.format.head(unit);
            }
            if !self.pending.is_empty() {
                return Ok(true);
            }
        }
        if std::mem::take(&mut self.skipped) {
            if let Some(unit) = batch.first() {
                self.pending = self.format.tracks(unit);
            }
            if !self.pending.is_empty() {
                return Ok(true);
            }
        }
        self.write_batch(batch, now)?;
        // Not looked for what came meanwhile: the pump is woken for it, and what is prepared stays prepared for the next player.
        Ok(!(batch.is_all() && Some(self.cursor) == batch.after && self.pending.is_empty() && !stream.is_over()))
    }

    fn write_flat(&mut self, now: Timestamp) -> Result<usize, Wrong> {
        let n = self.socket.try_write(&self.pending).map_err(Wrong::from)?;
        self.took(n, now);
        Ok(n)
    }

    fn write_batch(&mut self, batch: &Batch, now: Timestamp) -> Result<(), Wrong> {
        let mut n = match &batch.pieces[..] {
            [] => 0,
            [one] => self.socket.try_write(&one.bytes).map_err(Wrong::from)?,
            many => {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let count = many.len().min(SLICES);
                for (slice, piece) in slices.iter_mut().zip(many) {
                    *slice = IoSlice::new(&piece.bytes);
                }
                self.socket.try_write_vectored(&slices[..count]).map_err(Wrong::from)?
            }
        };
        self.took(n, now);
        self.fresh = false;
        if n == batch.total {
            self.cursor = batch.after.unwrap_or(self.cursor);
            self.session.frames(batch.pieces.iter().map(|piece| piece.units).sum());
            return Ok(());
        }
        for piece in &batch.pieces {
            if n == 0 {
                break;
            }
            self.cursor = piece.after;
            self.session.frames(piece.units);
            if n < piece.bytes.len() {
                self.pending = piece.bytes.slice(n..);
                break;
            }
            n -= piece.bytes.len();
        }
        Ok(())
    }

    fn took(&mut self, n: usize, now: Timestamp) {
        if n > 0 {
            self.progress = now;
            self.session.wrote(n);
        }
    }

    /// Reads what the player sent; costs no system call while it sends nothing.
    pub(super) fn listen(&mut self, scratch: &mut [u8]) -> Option<End> {
        if let Some(end) = self.session.is_kicked() {
            return Some(end);
        }
        let mut budget = UNANSWERED;
        loop {
            match self.socket.try_read(scratch) {
                Ok(0) => return Some(End::PeerClosed),
                Ok(n) => {
                    self.session.read(n);
                    if let Some(end) = self.hear(&scratch[..n]) {
                        return Some(end);
                    }
                    budget = budget.saturating_sub(n);
                    if budget == 0 || n < scratch.len() {
                        return None;
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return None,
                Err(e) => return Some(End::from_io(&e)),
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Option<End> {
        let mut input = self.inbound.as_mut()?.input(bytes);
        loop {
            match input {
                Input::Continue => return None,
                Input::Reply(bytes) => {
                    if let Some(end) = self.reply(&bytes) {
                        return Some(end);
                    }
                }
                Input::Last(bytes, end) => {
                    self.leaving = Some(end);
                    return self.reply(&bytes);
                }
                Input::Pause(paused) => {
                    if self.paused && !paused {
                        // What passed meanwhile is not wanted: go on at the newest key frame.
                        self.cursor = Cursor { next: self._seat.stream().head(), seeking: true };
                        self.skipped = true;
                    }
                    self.paused = paused;
                }
                Input::Close(end) => return Some(end),
            }
            input = self.inbound.as_mut()?.input(&[]);
        }
    }

    fn reply(&mut self, bytes: &[u8]) -> Option<End> {
        if self.replies.len() + bytes.len() > UNANSWERED {
            return Some(End::PeerBroke(format!("asks without reading {} bytes of answers", self.replies.len())));
        }
        let mut replies = BytesMut::from(std::mem::take(&mut self.replies));
        replies.extend_from_slice(bytes);
        self.replies = replies.freeze();
        None
    }

    /// Ends the session.
    pub(super) fn close(self, end: End) {
        self.session.close(end);
    }
}

enum Wrong {
    Full,
    End(End),
}

impl From<std::io::Error> for Wrong {
    fn from(e: std::io::Error) -> Wrong {
        if e.kind() == ErrorKind::WouldBlock { Wrong::Full } else { Wrong::End(End::from_io(&e)) }
    }
}
