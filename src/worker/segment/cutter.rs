//! Where segments begin: at key frames near the wanted length, at the hard maximum, and wherever the stream breaks.

use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::{Tracks, VideoCodec, VideoTrack};
use crate::stream::Unit;
use std::sync::Arc;

/// How long audio may go on after a break before a stream that had video counts as audio only.
const VIDEO_COMES: Timestamp = Timestamp::from_millis(1_000);
/// The most audio frames that wait for that.
const HELD: usize = 256;

/// Why a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The first one.
    First,
    /// The one before has its length; everything connects.
    Length,
    /// Frames are missing before it, or the publisher was away.
    Break,
    /// A decoder must be set up anew.
    Tracks,
}

/// What to do, in order.
#[derive(Debug)]
pub enum Step {
    /// Close the open segment and begin one.
    Begin {
        /// Why.
        cut: Cut,
        /// What the segment holds.
        tracks: Tracks,
        /// Its first unit, which comes again in the next step.
        first: Arc<Unit>,
        /// The first unit is a key frame, or sound where there are no pictures.
        independent: bool,
    },
    /// Add this unit to the open segment.
    Add(Arc<Unit>),
}

/// Decides where segments begin. Knows no container but for the question which tracks it carries.
pub struct Cutter {
    target: Timestamp,
    most: Timestamp,
    carried: fn(&Tracks) -> Tracks,
    exact: bool,
    state: State,
    /// What `carried` made of the tracks seen last.
    seen: Option<(Arc<Tracks>, Tracks)>,
    /// When the last two key frames were due.
    last_key: Option<Timestamp>,
    gop: Timestamp,
}

enum State {
    /// For a frame that a segment can begin with.
    Waiting {
        cut: Cut,
        expect_video: bool,
        held: Vec<Arc<Unit>>,
    },
    Open {
        tracks: Tracks,
        start: Timestamp,
        key: bool,
        overdue: bool,
    },
}

impl Cutter {
    /// Segments of about `target`, never longer than `most`; `carried` says which tracks the container takes. With
    /// `expect_video`, audio alone does not begin the first segment at once.
    pub fn new(target: Timestamp, most: Timestamp, carried: fn(&Tracks) -> Tracks, expect_video: bool) -> Cutter {
        let state = State::Waiting { cut: Cut::First, expect_video, held: Vec::new() };
        Cutter { target, most: most.max(target), carried, exact: false, state, seen: None, last_key: None, gop: Timestamp::ZERO }
    }

    /// Every change of a track begins a segment: for containers that say at the start what a decoder must know, and nowhere else. And
    /// nothing is lost: sound that came before the first picture is added behind it.
    pub fn exact(self) -> Cutter {
        Cutter { exact: true, ..self }
    }

    /// Sets the length of the segment that is open, or comes next, and of those after it.
    pub fn aim(&mut self, target: Timestamp, most: Timestamp) {
        (self.target, self.most) = (target, most.max(target));
    }

    /// Takes the next unit and appends what follows from it to `steps`.
    pub fn push(&mut self, unit: Arc<Unit>, steps: &mut Vec<Step>) {
        if unit.discontinuity {
            self.lost();
        }
        let tracks = self.tracks(&unit);
        let mine = match unit.frame.kind {
            Kind::Video => tracks.video.is_some(),
            Kind::Audio => tracks.audio.is_some(),
        };
        if !mine {
            return;
        }
        if unit.frame.kind == Kind::Video && unit.frame.key {
            if let Some(last) = self.last_key {
                self.gop = unit.frame.dts - last;
            }
            self.last_key = Some(unit.frame.dts);
        }
        match &mut self.state {
            State::Waiting { .. } => self.wait(unit, tracks, steps),
            State::Open { .. } => self.go_on(unit, tracks, steps),
        }
    }

    /// Units are missing between the last one and the next.
    pub fn lost(&mut self) {
        self.last_key = None;
        match &mut self.state {
            State::Open { tracks, .. } => {
                let expect_video = tracks.video.is_some();
                self.state = State::Waiting { cut: Cut::Break, expect_video, held: Vec::new() };
            }
            State::Waiting { held, .. } => held.clear(),
        }
    }

    /// The open segment must end: the next frame begins another.
    pub fn overdue(&mut self) {
        if let State::Open { overdue, .. } = &mut self.state {
            *overdue = true;
        }
    }

    fn wait(&mut self, unit: Arc<Unit>, tracks: Tracks, steps: &mut Vec<Step>) {
        let State::Waiting { cut, expect_video, held } = &mut self.state else { return };
        let cut = *cut;
        let video = tracks.video.is_some();
        if video && !(unit.frame.kind == Kind::Video && unit.frame.key) {
            if self.exact && unit.frame.kind == Kind::Audio {
                held.push(unit.clone());
                // of what comes long before the picture the end is kept
                let far = held.iter().take_while(|held| unit.frame.dts - held.frame.dts > VIDEO_COMES).count();
                held.drain(..far.max(held.len().saturating_sub(HELD)));
            }
            return;
        }
        if !video && *expect_video {
            held.push(unit.clone());
            let waited = unit.frame.dts - held[0].frame.dts;
            if waited < VIDEO_COMES && held.len() < HELD {
                return;
            }
        }
        // Audio that was held while video might have come is not lost when it does not; when it does, it is behind.
        let mut units = std::mem::take(held);
        if video && self.exact {
            units.retain(|held| held.tracks.audio == unit.tracks.audio && unit.frame.dts - held.frame.dts <= VIDEO_COMES);
            units.insert(0, unit);
        } else if video || units.is_empty() {
            units = vec![unit];
        }
        self.begin(cut, tracks, units[0].clone(), steps);
        steps.extend(units.into_iter().map(Step::Add));
    }

    fn go_on(&mut self, unit: Arc<Unit>, now: Tracks, steps: &mut Vec<Step>) {
        let State::Open { tracks, start, key, overdue } = &mut self.state else { return };
        let lead = if tracks.video.is_some() { Kind::Video } else { Kind::Audio };
        let picture = unit.frame.kind == Kind::Video && unit.frame.key;
        if !(same(tracks, &now) && (!self.exact || *tracks == now)) {
            // A new decoder can start at a key frame only; sound that came late waits for it.
            if picture || now.video.is_none() {
                self.begin(Cut::Tracks, now, unit.clone(), steps);
                steps.push(Step::Add(unit));
            } else if same_kind(tracks, &now, unit.frame.kind) {
                steps.push(Step::Add(unit));
            }
            return;
        }
        let age = unit.frame.dts - *start;
        let due = match lead {
            // The key frame that is nearest to the target; a segment that had to begin without one ends at the next.
            Kind::Video if picture => !*key || age + Timestamp(self.gop.0 / 2) >= self.target,
            Kind::Video => false,
            Kind::Audio => age >= self.target,
        };
        if due || age >= self.most || *overdue {
            self.begin(Cut::Length, now, unit.clone(), steps);
        }
        steps.push(Step::Add(unit));
    }

    fn begin(&mut self, cut: Cut, tracks: Tracks, first: Arc<Unit>, steps: &mut Vec<Step>) {
        let key = first.frame.key && (first.frame.kind == Kind::Video || tracks.video.is_none());
        self.state = State::Open { tracks: tracks.clone(), start: first.frame.dts, key, overdue: false };
        steps.push(Step::Begin { cut, tracks, first, independent: key });
    }

    fn tracks(&mut self, unit: &Unit) -> Tracks {
        match &self.seen {
            Some((seen, carried)) if Arc::ptr_eq(seen, &unit.tracks) => carried.clone(),
            _ => {
                let carried = (self.carried)(&unit.tracks);
                self.seen = Some((unit.tracks.clone(), carried.clone()));
                carried
            }
        }
    }
}

/// Whether a decoder for `a` goes on with `b`.
fn same(a: &Tracks, b: &Tracks) -> bool {
    same_kind(a, b, Kind::Video) && same_kind(a, b, Kind::Audio)
}

fn same_kind(a: &Tracks, b: &Tracks, kind: Kind) -> bool {
    match kind {
        Kind::Video => match (&a.video, &b.video) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || same_pictures(a, b),
            (a, b) => a.is_none() && b.is_none(),
        },
        Kind::Audio => match (&a.audio, &b.audio) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            (a, b) => a.is_none() && b.is_none(),
        },
    }
}

/// Picture parameter sets may change from picture to picture; sequence parameter sets set the decoder up.
fn same_pictures(a: &VideoTrack, b: &VideoTrack) -> bool {
    match (&a.codec, &b.codec) {
        (VideoCodec::H264 { sps: a, .. }, VideoCodec::H264 { sps: b, .. }) => a == b,
        (VideoCodec::H265 { sps: a, .. }, VideoCodec::H265 { sps: b, .. }) => a == b,
        (a, b) => a == b,
    }
}
