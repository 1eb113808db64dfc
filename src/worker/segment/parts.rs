//! Units into parts of fragmented MP4 segments, all in memory.

use super::Settings;
use super::cutter::{Cut, Cutter, Step};
use crate::container::m3u8::{Limits, Part, Parts};
use crate::container::mp4;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use crate::stream::Unit;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;

/// What a frame lasts when nothing tells.
const FRAME: Timestamp = Timestamp::from_millis(40);

/// Cuts one stream.
pub(super) struct PartCutter {
    cutter: Cutter,
    steps: Vec<Step>,
    muxer: Option<mp4::Muxer>,
    part: Timestamp,
    most: usize,
    lead: Kind,
    /// Where the open part begins; the newest of the frames that make the time, and how long one lasts.
    start: Timestamp,
    last: Timestamp,
    frame: Timestamp,
    /// The unit that is in the muxer already.
    taken: Option<u64>,
}

impl Settings {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            segment: self.segment.0,
            part: self.part.0,
            // Twice as many as of whole segments: a player that begins at the edge must not fall off the other end.
            listed: self.window * 2,
            kept: self.kept,
            bytes: self.bytes.bytes(),
        }
    }
}

impl PartCutter {
    /// A stream that has these tracks so far.
    pub fn new(settings: &Settings, tracks: &Tracks) -> PartCutter {
        let expect_video = mp4::played(tracks).video.is_some();
        PartCutter {
            cutter: Cutter::new(settings.segment.0.into(), settings.segment_max.0.into(), mp4::played, expect_video),
            steps: Vec::new(),
            muxer: None,
            part: Timestamp::from(settings.part.0),
            most: (settings.bytes.bytes() / 4).max(64 << 10),
            lead: Kind::Video,
            start: Timestamp::ZERO,
            last: Timestamp::ZERO,
            frame: FRAME,
            taken: None,
        }
    }

    /// Takes the next unit; whether the list changed.
    pub fn push(&mut self, unit: Arc<Unit>, list: &mut Parts) -> bool {
        let mut steps = std::mem::take(&mut self.steps);
        let mut changed = false;
        self.cutter.push(unit, &mut steps);
        for step in steps.drain(..) {
            changed |= match step {
                Step::Begin { cut, tracks, first, .. } => self.begin(cut, &tracks, &first, list),
                Step::Add(unit) => self.add(&unit, list),
            };
        }
        self.steps = steps;
        changed
    }

    /// Units are missing between the last one and the next.
    pub fn lost(&mut self) {
        self.cutter.lost();
    }

    /// The stream is over.
    pub fn end(&mut self, list: &mut Parts) {
        self.close(list);
        list.end();
    }

    fn begin(&mut self, cut: Cut, tracks: &Tracks, first: &Unit, list: &mut Parts) -> bool {
        if let (Cut::Length, Some(muxer)) = (cut, &mut self.muxer) {
            // The first frame of the next segment tells how long the last one of this lasts.
            let full = muxer.push(&first.frame).is_err();
            self.taken = Some(first.seq).filter(|_| !full);
            self.cut(first.frame.dts, list);
            list.begin(first.wall, false);
        } else {
            let continues = self.muxer.is_none();
            self.close(list);
            let Some(header) = mp4::init(tracks) else { return false };
            list.header(header, tracks);
            list.begin(first.wall, !continues);
            self.muxer = Some(mp4::Muxer::new(tracks, Timestamp::ZERO));
            self.lead = if tracks.video.is_some() { Kind::Video } else { Kind::Audio };
        }
        self.start = first.frame.dts;
        self.last = first.frame.dts;
        true
    }

    fn add(&mut self, unit: &Unit, list: &mut Parts) -> bool {
        let Some(muxer) = &mut self.muxer else { return false };
        let frame = &unit.frame;
        if self.taken.take() == Some(unit.seq) {
            return false;
        }
        if muxer.push(frame).is_err() {
            self.cut(frame.dts, list);
            // An empty fragment takes any frame.
            let _ = self.muxer.as_mut().map(|muxer| muxer.push(frame));
            return true;
        }
        if muxer.size() > self.most {
            self.cutter.overdue();
        }
        if frame.kind != self.lead || frame.dts <= self.last {
            return false;
        }
        self.frame = frame.dts - self.last;
        self.last = frame.dts;
        // What is complete ends where this frame begins; with this one it would be too long.
        let due = (frame.dts - self.start) + self.frame > self.part;
        due && self.cut(frame.dts, list)
    }

    /// A part of all that is complete, which ends at `end`.
    fn cut(&mut self, end: Timestamp, list: &mut Parts) -> bool {
        let Some(fragment) = self.muxer.as_mut().and_then(mp4::Muxer::cut) else { return false };
        list.push(part(&fragment, end.since(self.start)));
        self.start = end;
        true
    }

    /// The open segment ends, and nothing continues it.
    fn close(&mut self, list: &mut Parts) {
        let end = self.last + self.frame;
        if let Some(fragment) = self.muxer.take().and_then(mp4::Muxer::finish) {
            list.push(part(&fragment, end.since(self.start)));
        }
        list.finish();
    }
}

fn part(fragment: &mp4::Fragment, duration: Duration) -> Part {
    let mut bytes = BytesMut::with_capacity(fragment.size());
    bytes.extend_from_slice(&fragment.head);
    fragment.frames.iter().for_each(|frame| bytes.extend_from_slice(frame));
    let bytes: Bytes = bytes.freeze();
    Part { bytes, duration: duration.max(Duration::from_millis(1)), independent: fragment.key }
}
