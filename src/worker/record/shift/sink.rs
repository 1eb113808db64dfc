//! Frames into chunks: fragments that begin with key frames, each with its line in the index.

use super::chunk::{self, Entry};
use crate::container::mp4::{self, Fragment, Muxer};
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use crate::stream::Unit;
use crate::worker::record::op::{Op, Ops};
use crate::worker::record::sink::{Ending, Sink, Take};
use bytes::Bytes;
use std::time::Duration;

/// All times of a stream are counted from this far before its beginning, so that sound which comes late has a time as well.
const MARGIN: Timestamp = Timestamp::from_millis(5_000);
/// A segment is cut at this many times its length even without a key frame.
const LONGEST: i64 = 3;

/// The chunks of a stream.
pub struct Chunks {
    target: Timestamp,
    open: Option<Open>,
    /// The tracks of the chunk that ended and goes on in the next.
    before: Option<Tracks>,
    /// The newest chunk's number.
    newest: i64,
}

struct Open {
    muxer: Muxer,
    tracks: Tracks,
    lead: Kind,
    film: u32,
    index: u32,
    /// Where the next segment lies.
    at: u64,
    start: Timestamp,
    wall: Timestamp,
    key: bool,
    broken: bool,
    last_key: Option<Timestamp>,
    gop: Timestamp,
}

impl Chunks {
    /// Segments of about this length.
    pub fn new(segment: Duration) -> Chunks {
        Chunks { target: segment.into(), open: None, before: None, newest: 0 }
    }
}

impl Sink for Chunks {
    fn begin(&mut self, take: &Take<'_>, ops: &mut Ops) {
        let before = self.before.take();
        let Some(init) = mp4::init(take.tracks) else { return };
        let wall = take.first.wall;
        // a clock that was set back does not overwrite what is there
        self.newest = wall.as_millis().max(self.newest + 1);
        let (film, index) = (ops.create(chunk::film(self.newest)), ops.create(chunk::index(self.newest)));
        let at = init.len() as u64;
        ops.write(film, vec![init]);
        let tracks = take.tracks.clone();
        let lead = if tracks.video.is_some() { Kind::Video } else { Kind::Audio };
        let broken = before.is_none_or(|before| before != tracks);
        let (muxer, start) = (Muxer::new(&tracks, Timestamp::ZERO - MARGIN), take.first.frame.dts);
        let key = take.first.frame.key;
        self.open = Some(Open { muxer, tracks, lead, film, index, at, start, wall, key, broken, last_key: None, gop: Timestamp::ZERO });
    }

    fn add(&mut self, unit: &Unit, ops: &mut Ops) {
        let Some(open) = &mut self.open else { return };
        let (frame, target) = (&unit.frame, self.target);
        let leads = frame.kind == open.lead;
        let key = leads && frame.key;
        let age = frame.dts - open.start;
        if key && open.lead == Kind::Video {
            if let Some(last) = open.last_key {
                open.gop = frame.dts - last;
            }
            open.last_key = Some(frame.dts);
        }
        let due = match open.lead {
            _ if !leads || age <= Timestamp::ZERO => false,
            Kind::Video if key => age + Timestamp(open.gop.0 / 2) >= target,
            Kind::Video => age.0 >= target.0.saturating_mul(LONGEST),
            Kind::Audio => age >= target,
        };
        if open.muxer.push(frame).is_err() {
            // more than a fragment may hold: cut it where it is
            let fragment = open.muxer.cut();
            open.write(fragment, frame.dts, ops);
            open.next(unit, false);
            let _ = open.muxer.push(frame);
        } else if due {
            let fragment = open.muxer.cut();
            open.write(fragment, frame.dts, ops);
            open.next(unit, key);
        }
    }

    fn flush(&mut self, _: &mut Ops) {}

    fn end(&mut self, ending: Ending, ops: &mut Ops) {
        let Some(mut open) = self.open.take() else { return };
        let muxer = std::mem::replace(&mut open.muxer, Muxer::new(&Tracks::default(), Timestamp::ZERO));
        open.write(muxer.finish_at(ending.next), ending.next.unwrap_or(ending.end), ops);
        open.close(ops);
        self.before = ending.next.map(|_| open.tracks);
    }

    fn abandon(&mut self, _: Timestamp, ops: &mut Ops) {
        if let Some(open) = self.open.take() {
            open.close(ops);
        }
    }
}

impl Open {
    fn write(&mut self, fragment: Option<Fragment>, end: Timestamp, ops: &mut Ops) {
        let Some(fragment) = fragment else { return };
        let size = fragment.size();
        let Fragment { head, mut frames, .. } = fragment;
        frames.insert(0, head);
        ops.write(self.film, frames);
        let ms = u32::try_from(end.since(self.start).as_millis()).unwrap_or(u32::MAX).max(1);
        let wall = self.wall.as_millis();
        let entry = Entry { wall, ms, offset: self.at, size: u32::try_from(size).unwrap_or(u32::MAX), key: self.key, broken: self.broken };
        let line = serde_json::to_string(&entry).unwrap_or_default();
        ops.write(self.index, vec![Bytes::from(line + "\n")]);
        self.at += size as u64;
        self.broken = false;
    }

    fn next(&mut self, first: &Unit, key: bool) {
        (self.start, self.wall, self.key) = (first.frame.dts, first.wall, key);
    }

    fn close(&self, ops: &mut Ops) {
        ops.push(Op::Close { file: self.film });
        ops.push(Op::Close { file: self.index });
    }
}
