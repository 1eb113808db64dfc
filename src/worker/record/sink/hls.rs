//! HLS: transport stream segments, and a journal of them that becomes the playlist.

use super::{Ending, Sink, Take};
use crate::container::ts;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use crate::model::path::{Purpose, Values};
use crate::model::record::Format;
use crate::model::time::Time;
use crate::stream::Unit;
use crate::worker::record::draft::Note;
use crate::worker::record::op::{Op, Ops};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A segment is cut at this many times its length even without a key frame.
const LONGEST: i64 = 3;

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// A segment begins.
    Open {
        /// Which, counted in the recording.
        n: u64,
        /// The path that it gets.
        object: String,
        /// When it begins, on the wall clock, nanoseconds since 1970.
        wall: i64,
        /// It begins with a key frame, or has sound only.
        key: bool,
    },
    /// So much of it is on disk.
    Mark {
        /// Bytes.
        bytes: u64,
        /// Milliseconds.
        ms: u64,
    },
    /// A segment was stored, and this is its path now.
    Stored {
        /// Which.
        n: u64,
        /// The path.
        object: String,
    },
}

/// The HLS files of a recording.
pub struct Hls {
    target: Timestamp,
    /// Counts the segments of the recording.
    count: u64,
    open: Option<Open>,
}

struct Open {
    tracks: Tracks,
    lead: Kind,
    muxer: ts::Muxer,
    note: Box<Note>,
    journal: u32,
    /// How the order wants segments named.
    path: crate::model::path::PathTemplate,
    segment: Option<Segment>,
    buffer: BytesMut,
    last_key: Option<Timestamp>,
    gop: Timestamp,
}

struct Segment {
    file: u32,
    start: Timestamp,
    /// The newest frame of the leading track.
    last: Timestamp,
    /// What was given to be written, bytes.
    bytes: u64,
}

impl Hls {
    /// Segments of about this length.
    pub fn new(segment: Duration) -> Hls {
        Hls { target: segment.into(), count: 0, open: None }
    }
}

impl Sink for Hls {
    fn begin(&mut self, take: &Take<'_>, ops: &mut Ops) {
        let tracks = ts::carried(take.tracks);
        if tracks == Tracks::default() {
            return;
        }
        let note = Box::new(take.note(Format::Hls));
        ops.push(Op::Note { note: note.clone() });
        let journal = ops.create(note.draft());
        let lead = if tracks.video.is_some() { Kind::Video } else { Kind::Audio };
        let path = take.order.paths.hls_ts.clone();
        self.open = Some(Open {
            tracks,
            lead,
            muxer: ts::Muxer::new(),
            note,
            journal,
            path,
            segment: None,
            buffer: BytesMut::new(),
            last_key: None,
            gop: Timestamp::ZERO,
        });
    }

    fn add(&mut self, unit: &Unit, ops: &mut Ops) {
        let target = self.target;
        let Some(open) = &mut self.open else { return };
        let frame = &unit.frame;
        let leads = frame.kind == open.lead;
        let key = leads && frame.key;
        if key && frame.kind == Kind::Video {
            if let Some(last) = open.last_key {
                open.gop = frame.dts - last;
            }
            open.last_key = Some(frame.dts);
        }
        let age = open.segment.as_ref().map(|segment| frame.dts - segment.start);
        let due = match age {
            None => true,
            Some(age) if key && open.lead == Kind::Video => age + Timestamp(open.gop.0 / 2) >= target,
            Some(age) if leads && open.lead == Kind::Audio => age >= target,
            Some(age) => leads && age.0 >= target.0.saturating_mul(LONGEST),
        };
        if due {
            open.close(Some(frame.dts), ops);
            self.count += 1;
            open.begin(self.count, unit, ops);
        }
        open.muxer.frame(frame, &unit.tracks, &mut open.buffer);
        if let Some(segment) = open.segment.as_mut().filter(|_| leads) {
            segment.last = segment.last.max(frame.dts);
        }
    }

    fn flush(&mut self, ops: &mut Ops) {
        if let Some(open) = &mut self.open {
            open.mark(ops);
        }
    }

    fn end(&mut self, ending: Ending, ops: &mut Ops) {
        let Some(mut open) = self.open.take() else { return };
        open.close(Some(ending.next.unwrap_or(ending.end)), ops);
        ops.push(Op::Close { file: open.journal });
        ops.push(Op::Finish { note: open.note, end: ending.wall });
    }

    fn abandon(&mut self, wall: Timestamp, ops: &mut Ops) {
        let Some(open) = self.open.take() else { return };
        if let Some(segment) = open.segment {
            ops.push(Op::Close { file: segment.file });
        }
        ops.push(Op::Close { file: open.journal });
        ops.push(Op::Finish { note: open.note, end: wall });
    }
}

impl Open {
    fn begin(&mut self, n: u64, first: &Unit, ops: &mut Ops) {
        let (app, stream) = self.note.names();
        let start = Time::from_nanos(first.wall.0);
        let object = self.path.expand(Purpose::HlsTs, &Values { app, stream, sequence: n, start, end: start });
        let key = first.frame.key && first.frame.kind == self.lead;
        self.line(&Line::Open { n, object, wall: first.wall.0, key }, ops);
        let file = ops.create(segment_name(&self.note, n));
        let start = first.frame.dts;
        self.segment = Some(Segment { file, start, last: start, bytes: 0 });
        self.muxer.tables(&self.tracks, &mut self.buffer);
    }

    /// Gives what is whole to be written, and says so in the journal.
    fn mark(&mut self, ops: &mut Ops) {
        let Some(segment) = &mut self.segment else { return };
        self.muxer.flush(&mut self.buffer);
        if self.buffer.is_empty() {
            return;
        }
        segment.bytes += self.buffer.len() as u64;
        ops.write(segment.file, vec![self.buffer.split().freeze()]);
        let (bytes, ms) = (segment.bytes, segment.last.since(segment.start).as_millis() as u64);
        self.line(&Line::Mark { bytes, ms }, ops);
    }

    fn close(&mut self, next: Option<Timestamp>, ops: &mut Ops) {
        if self.segment.is_none() {
            return;
        }
        self.mark(ops);
        let Some(Segment { file, start, last, bytes }) = self.segment.take() else { return };
        ops.push(Op::Close { file });
        let ms = next.unwrap_or(last).since(start).as_millis() as u64;
        self.line(&Line::Mark { bytes, ms }, ops);
    }

    fn line(&self, line: &Line, ops: &mut Ops) {
        let text = serde_json::to_string(line).unwrap_or_default();
        ops.write(self.journal, vec![Bytes::from(text + "\n")]);
    }
}

/// The name of a segment in the spool directory.
pub fn segment_name(note: &Note, n: u64) -> String {
    format!("{}-{n}.ts", note.stem())
}
