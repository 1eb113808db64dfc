//! Puts the frames of one publisher on one time line.

use super::derive::Derive;
use super::drift::{Drift, Drifted, HARD, RECENT};
use super::wrap::turn;
use super::{BACK, FORWARD, MILLI, SECOND};
use crate::media::frame::Kind;
use crate::media::time::Timestamp;

/// Repairs so far, by cause; the table is in the module's documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps forward that the arrival times did not explain.
    pub jump: u64,
    /// Steps back to another time.
    pub rollback: u64,
    /// Frames whose decoding time was not behind the one before.
    pub equal: u64,
    /// Frames whose decoding time had to be found from presentation times out of order.
    pub missing: u64,
    /// Frames whose presentation time was before their decoding time, or absurdly far behind.
    pub order: u64,
    /// Frames that stood before the first frame of all.
    pub early: u64,
    /// Corrections of audio and video that had drifted apart.
    pub drift: u64,
    /// Clocks that wrapped.
    pub wrap: u64,
}

impl Counts {
    /// All repairs; a wrap is none.
    pub fn repairs(&self) -> u64 {
        self.jump + self.rollback + self.equal + self.missing + self.order + self.early + self.drift
    }
}

/// Repairs the timestamps of one publisher.
#[derive(Debug, Default)]
pub struct Sanitizer {
    lines: [Line; 2],
    derive: Derive,
    drift: Drift,
    lead: Lead,
    /// The first frame's time; nothing stands before it.
    origin: i64,
    counts: Counts,
}

/// The clock of one track.
#[derive(Debug, Default)]
struct Line {
    /// Undoes wraps: added to the source's times.
    turns: i64,
    /// From the source's unwrapped times to ours.
    shift: i64,
    last: Option<Last>,
    /// The usual distance of two frames.
    step: i64,
    /// How far ahead of the arrival clock it began.
    began: i64,
    /// The source gave decoding times: where one is missing, it equals the presentation time (ISO/IEC 13818-1 clause 2.4.3.7).
    explicit: bool,
    /// Small steps back while both times were the same: such a source only pretends to give decoding times.
    pretends: u32,
    /// Frames that had to be pushed forward, until one need not be.
    pushed: Option<Pushed>,
    /// The other track was re-based, and this one probably will be.
    follow: bool,
    /// The last frame came about as long after the one before as its time says.
    paced: bool,
    /// Correction still to make, and whether quickly.
    slew: i64,
    quick: bool,
}

/// A frame that was placed.
#[derive(Debug, Clone, Copy)]
struct Last {
    raw: i64,
    out: i64,
    at: i64,
}

/// A run of frames that stood before the end of the line.
#[derive(Debug, Clone, Copy)]
struct Pushed {
    /// The time before the first of them, and how much time passed since.
    from: i64,
    passed: i64,
    /// How many of them stood no later than the frame before.
    standing: u32,
}

/// Times beyond 73 years from zero come from no clock.
const FAR: i64 = 1 << 61;
/// The other track's offset holds for this one if it puts the frame this near to where its arrival does.
const NEAR: i64 = 2 * SECOND;
/// A clock counts as frozen when disorder lasts for so long, over so many frames that did not advance.
const FROZEN: (i64, u32) = (SECOND * 7 / 10, 8);
/// Presentation times further behind are absurd: 16 pictures at 2 a second.
const MAX_DELAY: i64 = 8 * SECOND;

impl Sanitizer {
    /// How many frames the parameter sets allow to be reordered; for sources that give no decoding times.
    pub fn set_reorder(&mut self, reorder: Option<u32>) {
        self.derive.set_depth(reorder);
    }

    /// Repairs so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes a frame's raw times (`dts` is `None` where the source has only presentation times) and the arrival time on a
    /// monotonic clock; gives decoding times that grow within a track, and presentation times not before them.
    pub fn fix(&mut self, kind: Kind, dts: Option<Timestamp>, pts: Timestamp, arrived: Timestamp) -> (Timestamp, Timestamp) {
        let now = arrived.0.clamp(-FAR, FAR);
        let (dts, pts) = self.decoding(kind, dts.map(|dts| dts.0.clamp(-FAR, FAR)), pts.0.clamp(-FAR, FAR), now);
        let out = self.place(kind as usize, dts, now);
        self.watch(kind as usize, now);
        let pts = pts.saturating_add(self.lines[kind as usize].shift).max(out);
        (Timestamp(out), Timestamp(pts))
    }

    /// Undoes wraps, finds the decoding time where it is missing, and bounds the presentation time by it.
    fn decoding(&mut self, kind: Kind, dts: Option<i64>, pts: i64, now: i64) -> (i64, i64) {
        let reference = self.reference(kind as usize, now);
        let line = &mut self.lines[kind as usize];
        let raw = dts.unwrap_or(pts).saturating_add(line.turns);
        let turned = reference.map_or(0, |reference| turn(raw, reference));
        if turned != 0 {
            line.turns = Some(line.turns.saturating_add(turned)).filter(|turns| turns.saturating_abs() < FAR).unwrap_or(0);
            // a late frame from before the wrap turns the clock back for a moment; that is counted once
            self.counts.wrap += u64::from(turned > 0);
        }
        let raw = raw.saturating_add(turned);
        line.explicit |= dts.is_some();
        let delay = dts.map_or(0, |dts| pts - dts + turn(pts, dts));
        if kind == Kind::Video && (line.pretends > 2 && delay == 0 || !line.explicit) {
            let found = self.derive.dts(raw);
            self.counts.missing += u64::from(found != raw);
            return (found, raw);
        }
        if delay == 0
            && let Some(last) = line.last
        {
            line.pretends += u32::from(raw < last.raw && raw > last.raw - BACK);
        }
        if (0..=MAX_DELAY).contains(&delay) {
            return (raw, raw + delay);
        }
        self.counts.order += 1;
        (raw, raw)
    }

    /// Where the track's unwrapped clock should stand about now.
    fn reference(&self, k: usize, now: i64) -> Option<i64> {
        match (&self.lines[k].last, &self.lines[1 - k].last) {
            (Some(own), _) => Some(own.raw),
            (None, Some(other)) => Some(other.out + (now - other.at) - self.lines[1 - k].shift),
            (None, None) => None,
        }
    }

    /// Finds the frame's place on the time line.
    fn place(&mut self, k: usize, raw: i64, now: i64) -> i64 {
        let Some(last) = self.lines[k].last else { return self.first(k, raw, now) };
        let (other, other_shift) = (self.lines[1 - k].last, self.lines[1 - k].shift);
        let delta = raw.saturating_sub(last.raw);
        let elapsed = (now - last.at).max(0);
        // where the arrival puts it, seen from the latest frame of either track
        let expected = match self.beside(k, now) {
            Some(beside) if other.is_some_and(|other| other.at > last.at) => beside.max(last.out + MILLI),
            _ => last.out + elapsed.max(self.lines[k].step),
        };
        let line = &mut self.lines[k];
        let far = |shift: i64| raw.saturating_add(shift).saturating_sub(expected).saturating_abs();
        let explained = self.lead.explains(raw.saturating_add(line.shift), now);
        let unsteady = delta.saturating_sub(elapsed).saturating_abs() > BACK / 2;
        if line.follow && unsteady && far(other_shift) < far(line.shift).min(NEAR) {
            // the same jump as the other track's, below the limit here
            line.shift = other_shift;
            line.follow = false;
        } else if delta > FORWARD && !explained || delta <= -BACK {
            let both = other.is_some() && other_shift != line.shift && far(other_shift) <= NEAR;
            line.shift = if both { other_shift } else { expected - raw };
            line.follow = false;
            (line.slew, line.pushed) = (0, None);
            if !both {
                self.counts.jump += u64::from(delta > 0);
                self.counts.rollback += u64::from(delta <= 0);
                self.lines[1 - k].follow = true;
            }
        } else if delta > 0 {
            line.slew(delta);
            if delta < SECOND {
                line.step = delta;
            }
        }
        self.resume(k, raw, elapsed.saturating_sub(delta), now);
        let line = &mut self.lines[k];
        let mut out = raw.saturating_add(line.shift);
        if out <= last.out {
            let cause = if out < self.origin { &mut self.counts.early } else { &mut self.counts.equal };
            *cause += 1;
            out = last.out + MILLI;
            let pushed = line.pushed.get_or_insert(Pushed { from: last.out, passed: 0, standing: 0 });
            pushed.passed += elapsed.min(SECOND);
            pushed.standing += u32::from(delta <= 0);
            if pushed.passed > FROZEN.0 && pushed.standing >= FROZEN.1 {
                out = out.max(pushed.from + pushed.passed);
                line.shift = out - raw;
            }
        } else if delta > 0 {
            line.pushed = None;
        }
        line.paced = elapsed >= (out - last.out) / 2;
        line.last = Some(Last { raw, out, at: now });
        self.lead.update(out, now);
        out
    }

    /// The first frame of a track: the first of all gives the origin, the other track's keeps its offset to it.
    fn first(&mut self, k: usize, raw: i64, now: i64) -> i64 {
        let mut shift = self.lines[1 - k].shift;
        let mut out = raw.saturating_add(shift);
        match self.lines[1 - k].last {
            None => {
                if raw.saturating_abs() > FAR / 2 {
                    (shift, out) = (-raw, 0);
                }
                self.origin = out;
            }
            Some(other) => {
                let expected = other.out + (now - other.at).max(0);
                // not later than the other track's frames came, not ahead of them
                let latest = other.out.min(self.lines[1 - k].began + now);
                if !(latest - FORWARD..=expected + FORWARD).contains(&out) {
                    // a clock of its own
                    (shift, out) = (expected - raw, expected);
                    self.counts.jump += 1;
                }
                if out < self.origin {
                    out = self.origin;
                    self.counts.early += 1;
                }
            }
        }
        let line = &mut self.lines[k];
        line.shift = shift;
        line.began = out - now;
        line.step = 20 * MILLI;
        line.last = Some(Last { raw, out, at: now });
        self.lead.update(out, now);
        out
    }

    /// The time now as the other track has it.
    fn beside(&self, k: usize, now: i64) -> Option<i64> {
        let base = if k == Kind::Audio as usize { self.drift.base() } else { -self.drift.base() };
        self.lines[1 - k].last.map(|other| other.out + (now - other.at).max(0) + base)
    }

    /// A track whose clock stood still while it sent nothing comes back to where the other one is.
    fn resume(&mut self, k: usize, raw: i64, stood: i64, now: i64) {
        let (Some(other), Some(beside)) = (self.lines[1 - k].last, self.beside(k, now)) else { return };
        let behind = beside.saturating_sub(raw.saturating_add(self.lines[k].shift));
        if stood > HARD && now - other.at <= RECENT && behind > HARD {
            self.lines[k].shift += behind;
            self.counts.drift += 1;
        }
    }

    /// Compares audio with video, and sets a correction going.
    fn watch(&mut self, k: usize, now: i64) {
        let Some(ahead) = self.audio_ahead(k, now) else { return };
        let Some(Drifted { by, hard }) = self.drift.sample(ahead) else { return };
        self.drift.corrected();
        if self.lines.iter().any(|line| line.slew != 0 && (line.quick || !hard)) {
            return;
        }
        // the one that left the arrival clock further is wrong
        let [video_off, audio_off] = [0, 1].map(|k| self.lines[k].off());
        let (line, by) = if video_off > audio_off { (&mut self.lines[0], by) } else { (&mut self.lines[1], -by) };
        self.counts.drift += 1;
        (line.slew, line.quick) = (by, hard);
        if hard && by > 0 {
            line.shift += by;
            line.slew = 0;
        }
    }

    /// How far audio is ahead of video, if both came lately and in real time: a burst (a cache, a file, the end of a
    /// stall) tells nothing.
    fn audio_ahead(&self, k: usize, now: i64) -> Option<i64> {
        let (this, other) = (self.lines[k].last?, self.lines[1 - k].last?);
        if now - other.at > RECENT || !self.lines[k].paced {
            return None;
        }
        let ahead = (this.out - other.out) - (now - other.at);
        Some(if k == Kind::Audio as usize { ahead } else { -ahead })
    }
}

impl Line {
    /// How far the track left the arrival clock since it began.
    fn off(&self) -> i64 {
        self.last.map_or(0, |last| (last.out - last.at).saturating_sub(self.began).saturating_abs())
    }

    /// Makes the part of a correction that a frame `delta` after the last one may carry.
    fn slew(&mut self, delta: i64) {
        let most = if self.quick { delta - delta / 16 } else { delta / 8 };
        let part = self.slew.clamp(-most, most);
        self.shift += part;
        self.slew -= part;
    }
}

/// How far our times run ahead of the arrival clock for a frame without delay.
#[derive(Debug, Default)]
struct Lead {
    best: Option<i64>,
    at: i64,
}

impl Lead {
    /// Whether a frame at `out` that arrives `now` is late, and not from the future.
    fn explains(&self, out: i64, now: i64) -> bool {
        self.best.is_some_and(|best| out.saturating_sub(now) <= best.saturating_add(FORWARD))
    }

    /// Rises at once, falls within minutes: a source whose clock is slow must not earn credit for days.
    fn update(&mut self, out: i64, now: i64) {
        const FALL: f64 = 60.0 * SECOND as f64;
        let lead = out.saturating_sub(now);
        let best = self.best.unwrap_or(lead);
        let passed = ((now - self.at).max(0) as f64 / FALL).min(1.0);
        let fallen = best - ((best.saturating_sub(lead)).max(0) as f64 * passed) as i64;
        (self.best, self.at) = (Some(fallen.max(lead)), now);
    }
}
