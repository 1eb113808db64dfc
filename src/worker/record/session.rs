//! Units into takes: where files begin and end, in all formats at once. Free of IO and clocks.

use super::op::{Op, Ops};
use super::sink::{self, Ending, Sink, Take};
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use crate::model::id::RecordingId;
use crate::model::record::Format;
use crate::model::recording::Order;
use crate::stream::Unit;
use crate::worker::segment::{Cut, Cutter, Step};
use std::sync::Arc;
use std::time::Duration;

/// What a frame lasts when nothing tells, and at most.
const FRAME: Timestamp = Timestamp::from_millis(40);
const LONGEST: Timestamp = Timestamp::from_millis(2_000);
/// Missing time that is told as a gap.
const GAP: Timestamp = Timestamp::from_millis(200);
/// A file without a further key frame is cut this long after its time.
const OVERDUE: Timestamp = Timestamp::from_millis(60_000);
/// The clock was set when it and the frames disagree by more than this and a hundredth of the file's length.
const STEP: i64 = 2_000_000_000;

/// How files are cut.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What is written at once, in time: what a crash may cost.
    pub fragment: Duration,
    /// Files are cut where the clock shows whole multiples of the interval.
    pub align: bool,
    /// The length of HLS segments.
    pub segment: Duration,
}

/// Records one stream.
pub struct Session {
    order: Arc<Order>,
    recording: RecordingId,
    rules: Rules,
    cutter: Cutter,
    steps: Vec<Step>,
    sinks: Vec<Box<dyn Sink>>,
    take: Option<Open>,
    sequence: u64,
    /// Where the last file ended, on the wall clock, if the next one does not connect to it.
    ended: Option<Timestamp>,
    permitted: bool,
    /// A file would have begun, but was not permitted to; the arrival of the newest frame that is missing so.
    held: Option<Timestamp>,
    /// What is to be done.
    pub ops: Ops,
}

struct Open {
    lead: Kind,
    start: Timestamp,
    wall: Timestamp,
    last: Timestamp,
    last_wall: Timestamp,
    frame: Timestamp,
    flushed: Timestamp,
}

impl Open {
    fn end(&self) -> Timestamp {
        self.last + self.frame
    }

    /// The wall-clock time of a moment at which the clock showed `shown`; a clock that was set meanwhile is not believed.
    fn wall_of(&self, at: Timestamp, shown: Timestamp) -> Timestamp {
        let media = at - self.start;
        let wrong = ((shown - self.wall) - media).0.saturating_abs() > STEP + media.0 / 100;
        if wrong { self.wall + media } else { shown }
    }
}

impl Session {
    /// Records to these sinks. `expect_video`: sound alone does not begin a file at once.
    pub fn new(order: Arc<Order>, recording: RecordingId, sequence: u64, rules: Rules, formats: &[Format], expect_video: bool) -> Session {
        let sinks = formats.iter().filter_map(|format| sink::of(*format, rules.segment)).collect();
        Session::with(order, recording, sequence, rules, sinks, expect_video)
    }

    /// The same with sinks of one's own.
    pub fn with(
        order: Arc<Order>,
        recording: RecordingId,
        sequence: u64,
        rules: Rules,
        sinks: Vec<Box<dyn Sink>>,
        expect_video: bool,
    ) -> Session {
        let target = Timestamp::from(Duration::from_secs(order.interval.max(1).into()));
        let cutter = Cutter::new(target, target + OVERDUE, Tracks::clone, expect_video).exact();
        let (steps, ops) = (Vec::new(), Ops::default());
        Session { order, recording, rules, cutter, steps, sinks, take: None, sequence, ended: None, permitted: true, held: None, ops }
    }

    /// The next unit.
    pub fn push(&mut self, unit: Arc<Unit>) {
        let mut steps = std::mem::take(&mut self.steps);
        self.cutter.push(unit, &mut steps);
        for step in steps.drain(..) {
            match step {
                Step::Begin { cut, tracks, first, .. } => self.begin(cut, &tracks, &first),
                Step::Add(unit) => self.add(&unit),
            }
        }
        self.steps = steps;
    }

    /// Units are missing between the last one and the next.
    pub fn lost(&mut self) {
        self.cutter.lost();
    }

    /// Whether files may begin. One that is open goes on to its end; where the next one may not begin, frames are left out, which
    /// is a gap, until one may again.
    pub fn permit(&mut self, may: bool) {
        if may && self.held.is_some() {
            self.cutter.lost();
        }
        self.permitted = may;
    }

    /// A file should be open, and was not permitted to begin.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Writes what is whole.
    pub fn flush(&mut self) {
        let Some(open) = &mut self.take else { return };
        open.flushed = open.last;
        self.sinks.iter_mut().for_each(|sink| sink.flush(&mut self.ops));
    }

    /// The stream is over, or its recording.
    pub fn end(&mut self) {
        if let Some(end) = self.held.take()
            && let Some(start) = self.ended.take().filter(|start| end - *start > GAP)
        {
            self.ops.push(Op::Gap { start, end });
        }
        if let Some(open) = self.take.take() {
            let shown = open.last_wall + open.frame;
            self.finish(&open, None, shown);
        }
    }

    /// Writing failed: what is on disk is finished, and the next key frame begins a new file.
    pub fn abandon(&mut self) {
        // files that ended before are finished all the same
        for op in self.ops.take() {
            if matches!(op, Op::Close { .. } | Op::Finish { .. } | Op::Gap { .. }) {
                self.ops.push(op);
            }
        }
        if let Some(open) = self.take.take() {
            let wall = open.wall_of(open.flushed, open.last_wall - (open.last - open.flushed));
            self.ended = Some(wall);
            self.sinks.iter_mut().for_each(|sink| sink.abandon(wall, &mut self.ops));
        }
        self.cutter.lost();
    }

    /// How many takes there were.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    fn begin(&mut self, cut: Cut, tracks: &Tracks, first: &Unit) {
        let connects = matches!(cut, Cut::Length | Cut::Tracks);
        if let Some(open) = self.take.take() {
            let (next, shown) = match connects {
                true => (Some(first.frame.dts), first.wall),
                false => (None, open.last_wall + open.frame),
            };
            let wall = self.finish(&open, next, shown);
            self.ended = (!connects).then_some(wall);
        }
        if !self.permitted {
            self.ended.get_or_insert(first.wall);
            self.held = Some(first.wall);
            return;
        }
        self.held = None;
        if let Some(start) = self.ended.take().filter(|start| first.wall - *start > GAP) {
            self.ops.push(Op::Gap { start, end: first.wall });
        }
        self.aim(first.wall);
        self.sequence += 1;
        let take = Take { order: &self.order, recording: self.recording, sequence: self.sequence, tracks, first };
        self.sinks.iter_mut().for_each(|sink| sink.begin(&take, &mut self.ops));
        let lead = if tracks.video.is_some() { Kind::Video } else { Kind::Audio };
        let (start, wall) = (first.frame.dts, first.wall);
        self.take = Some(Open { lead, start, wall, last: start, last_wall: wall, frame: FRAME, flushed: start });
    }

    /// Sets the length of the file that begins now.
    fn aim(&mut self, wall: Timestamp) {
        let interval = i64::from(self.order.interval.max(1)).saturating_mul(1_000_000_000);
        let length = match self.rules.align {
            false => interval,
            true => {
                let rest = interval - wall.0.rem_euclid(interval);
                // a key frame a little before the hour begins the hour's file
                if rest < interval / 10 { rest + interval } else { rest }
            }
        };
        self.cutter.aim(Timestamp(length), Timestamp(length) + OVERDUE);
    }

    fn add(&mut self, unit: &Unit) {
        let Some(open) = &mut self.take else {
            self.held = self.held.map(|_| unit.wall);
            return;
        };
        if unit.frame.kind == open.lead && unit.frame.dts > open.last {
            open.frame = (unit.frame.dts - open.last).min(LONGEST);
            (open.last, open.last_wall) = (unit.frame.dts, unit.wall);
        }
        self.sinks.iter_mut().for_each(|sink| sink.add(unit, &mut self.ops));
        if (unit.frame.dts - open.flushed).0 >= Timestamp::from(self.rules.fragment).0 {
            self.flush();
        }
    }

    fn finish(&mut self, open: &Open, next: Option<Timestamp>, shown: Timestamp) -> Timestamp {
        let end = next.unwrap_or(open.end());
        let ending = Ending { next, end, wall: open.wall_of(end, shown) };
        self.sinks.iter_mut().for_each(|sink| sink.end(ending, &mut self.ops));
        ending.wall
    }
}
