//! What is due between a place in the stream and its head, prepared once for all players that stand at that place.

use super::Format;
use crate::media::frame::Kind;
use crate::stream::{Cursor, Read, Stream, Unit};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// Up to this size what is due is copied together once, so that each player costs one flat `send`.
const FLAT: usize = 256 << 10;

/// The wire form of consecutive units.
#[derive(Default)]
pub(super) struct Batch {
    from: Option<(Cursor, bool)>,
    /// Where a player stands that has taken everything.
    pub(super) after: Option<Cursor>,
    units: Vec<Arc<Unit>>,
    pub(super) pieces: Vec<Piece>,
    pub(super) total: usize,
    pub(super) read: Option<Read>,
    all: bool,
}

/// The wire form of one unit, or of several that were copied together.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// Where a player stands that has taken it.
    pub(super) after: Cursor,
    /// How many units it holds.
    pub(super) units: u64,
}

impl Batch {
    /// Prepares what is due from `from` on, unless it is what was prepared last. A `fresh` player gets the headers of the
    /// first unit's tracks in its head, so they are not announced to it again.
    pub(super) fn prepare(&mut self, stream: &Stream, format: &dyn Format, from: Cursor, fresh: bool) {
        if self.from == Some((from, fresh)) && self.read.is_some() {
            return;
        }
        let mut cursor = from;
        self.pieces.clear();
        self.total = 0;
        let head = stream.head();
        let read = stream.read(&mut cursor, &mut self.units);
        self.all = cursor.next >= head;
        for unit in &self.units {
            let wire = format.unit(unit);
            let told = fresh && self.units.first().is_some_and(|first| same_track(first, unit));
            let bytes = match unit.announce && !wire.is_empty() && !told {
                // Rare: the track's header and the unit go as one piece, so that neither is sent without the other.
                true => [&format.announce(unit)[..], wire].concat().into(),
                false => wire.clone(),
            };
            self.total += bytes.len();
            self.pieces.push(Piece { bytes, after: Cursor { next: unit.seq + 1, seeking: false }, units: 1 });
        }
        self.pieces.retain(|piece| !piece.bytes.is_empty());
        if self.pieces.len() > 1 && self.total <= FLAT {
            self.flatten(cursor);
        }
        self.from = Some((from, fresh));
        self.after = Some(cursor);
        self.read = Some(read);
    }

    /// The first unit of what is due, for a newcomer's head.
    pub(super) fn first(&self) -> Option<&Arc<Unit>> {
        self.units.first()
    }

    /// Whether it reaches to the stream's head, as that was when it was prepared.
    pub(super) fn is_all(&self) -> bool {
        self.all
    }

    /// Forgets what was prepared: the stream went on.
    pub(super) fn expire(&mut self) {
        self.from = None;
        self.read = None;
        self.pieces.clear();
        self.units.clear();
    }

    fn flatten(&mut self, after: Cursor) {
        let mut flat = BytesMut::with_capacity(self.total);
        for piece in &self.pieces {
            flat.extend_from_slice(&piece.bytes);
        }
        let units = self.pieces.iter().map(|piece| piece.units).sum();
        self.pieces.clear();
        self.pieces.push(Piece { bytes: flat.freeze(), after: Cursor { seeking: false, ..after }, units });
    }
}

/// Whether the later unit's track is the one that was in force at the earlier one.
fn same_track(earlier: &Unit, later: &Unit) -> bool {
    let (a, b) = (&earlier.tracks, &later.tracks);
    match later.frame.kind {
        Kind::Video => a.video.is_some() && a.video.as_ref().map(Arc::as_ptr) == b.video.as_ref().map(Arc::as_ptr),
        Kind::Audio => a.audio.is_some() && a.audio.as_ref().map(Arc::as_ptr) == b.audio.as_ref().map(Arc::as_ptr),
    }
}
