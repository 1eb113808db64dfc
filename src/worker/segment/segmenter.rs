//! Units into transport stream segments, all in memory.

use super::Settings;
use super::cutter::{Cut, Cutter, Step};
use crate::container::m3u8::Segment;
use crate::container::ts;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use crate::stream::Unit;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;

/// The first segment is not cut shorter than this when it is cut early.
const EARLY: Duration = Duration::from_millis(1_000);
/// What a frame lasts when nothing tells.
const FRAME: Timestamp = Timestamp::from_millis(40);
/// What a frame lasts at most, for the length of a segment behind which frames are missing.
const LONGEST: Timestamp = Timestamp::from_millis(2_000);

/// Cuts one stream.
pub struct Segmenter {
    cutter: Cutter,
    muxer: ts::Muxer,
    steps: Vec<Step>,
    open: Option<Open>,
    buffer: BytesMut,
    most_bytes: usize,
    early: Duration,
    /// A segment was finished.
    any: bool,
    /// The next segment does not continue the last one.
    broken: bool,
}

/// The segment that is being filled.
struct Open {
    tracks: Tracks,
    discontinuity: bool,
    independent: bool,
    start: Timestamp,
    wall: Timestamp,
    /// The frames that make the time: the pictures, or the sound where there are none.
    lead: Kind,
    /// The newest of those, and how long the one before it lasted.
    last: Timestamp,
    frame: Timestamp,
    /// Bytes of the tables at the start.
    tables: usize,
}

impl Open {
    fn new(tracks: Tracks, first: &Unit, independent: bool) -> Open {
        let start = first.frame.dts;
        let lead = if tracks.video.is_some() { Kind::Video } else { Kind::Audio };
        let wall = first.wall;
        Open { tracks, discontinuity: false, independent, start, wall, lead, last: start, frame: FRAME, tables: 0 }
    }

    /// Where it ends as far as its own frames tell.
    fn end(&self) -> Timestamp {
        self.last + self.frame
    }
}

impl Segmenter {
    /// A stream that has these tracks so far.
    pub fn new(settings: &Settings, tracks: &Tracks) -> Segmenter {
        let target = Timestamp::from(settings.segment.0);
        let cutter = Cutter::new(target, settings.segment_max.0.into(), ts::carried, ts::carried(tracks).video.is_some());
        Segmenter {
            cutter,
            muxer: ts::Muxer::new(),
            steps: Vec::new(),
            open: None,
            buffer: BytesMut::new(),
            // A few segments must fit into what a stream may take.
            most_bytes: (settings.bytes.bytes() / 4).max(64 << 10),
            early: EARLY.min(settings.segment.0 / 2),
            any: false,
            broken: false,
        }
    }

    /// Takes the next unit; gives the segments that are finished by it.
    pub fn push(&mut self, unit: Arc<Unit>, finished: &mut Vec<Segment>) {
        let mut steps = std::mem::take(&mut self.steps);
        self.cutter.push(unit, &mut steps);
        for step in steps.drain(..) {
            match step {
                Step::Begin { cut, tracks, first, independent } => {
                    self.begin(cut, Open::new(tracks, &first, independent), finished);
                }
                Step::Add(unit) => self.add(&unit),
            }
        }
        self.steps = steps;
    }

    /// Everything that is there was pushed: cuts the very first segment now, if it has some length, so that a player that
    /// waits for it need not wait for the next key frame.
    pub fn caught_up(&mut self, finished: &mut Vec<Segment>) {
        let ready = self.open.as_ref().is_some_and(|open| open.end().since(open.start) >= self.early);
        if ready && !self.any {
            self.cutter.overdue();
            self.finish(None, finished);
        }
    }

    /// Units are missing between the last one and the next.
    pub fn lost(&mut self) {
        self.cutter.lost();
    }

    /// The stream is over: what is open is finished.
    pub fn end(&mut self, finished: &mut Vec<Segment>) {
        self.finish(None, finished);
    }

    fn begin(&mut self, cut: Cut, mut open: Open, finished: &mut Vec<Segment>) {
        match cut {
            Cut::Length => self.finish(Some(open.start), finished),
            Cut::First | Cut::Break | Cut::Tracks => {
                self.finish(None, finished);
                self.muxer.discontinuity();
                self.broken |= self.any;
            }
        }
        open.discontinuity = std::mem::take(&mut self.broken);
        self.muxer.tables(&open.tracks, &mut self.buffer);
        open.tables = self.buffer.len();
        self.open = Some(open);
    }

    fn add(&mut self, unit: &Unit) {
        let Some(open) = &mut self.open else { return };
        if unit.frame.kind == open.lead && unit.frame.dts > open.last {
            open.frame = (unit.frame.dts - open.last).min(LONGEST);
            open.last = unit.frame.dts;
        }
        self.muxer.frame(&unit.frame, &unit.tracks, &mut self.buffer);
        if self.buffer.len() > self.most_bytes {
            self.cutter.overdue();
        }
    }

    fn finish(&mut self, end: Option<Timestamp>, finished: &mut Vec<Segment>) {
        let Some(open) = self.open.take() else { return };
        self.muxer.flush(&mut self.buffer);
        let empty = self.buffer.len() == open.tables;
        // A copy of the exact size, so that the growing buffer's spare room is not kept with every segment.
        let bytes = Bytes::copy_from_slice(&self.buffer);
        self.buffer.clear();
        if empty {
            self.broken |= open.discontinuity;
            return;
        }
        self.any = true;
        let Open { tracks, discontinuity, independent, start, wall, .. } = open;
        let duration = end.unwrap_or(open.last + open.frame).since(start).max(Duration::from_millis(1));
        finished.push(Segment { bytes, duration, wall, discontinuity, independent, tracks });
    }
}
