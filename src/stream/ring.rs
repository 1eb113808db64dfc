//! One writer, any number of cursors. A slot validates itself: the unit carries its own number, so a reader that was
//! overtaken sees a foreign number, or nothing, and knows that it lagged. No locks; safe Rust.

use super::settings::Settings;
use super::unit::Unit;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use arc_swap::ArcSwapOption;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const NONE: u64 = u64::MAX;
/// The most frames of sound that are looked for before a key frame.
const LEAD: u64 = 256;

/// A reader's place in a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the next unit to read.
    pub next: u64,
    /// Units are skipped until one that a decoder can start with.
    pub seeking: bool,
}

/// What a cursor finds.
pub(super) enum Got {
    Unit(Arc<Unit>),
    NotYet,
    Lagged,
}

/// The shared part.
#[derive(Debug)]
pub(super) struct Ring {
    slots: Box<[ArcSwapOption<Unit>]>,
    head: AtomicU64,
    join: AtomicU64,
    bytes: AtomicU64,
}

/// The writer's private part; one exists for each ring.
#[derive(Debug)]
pub(super) struct Writer {
    tail: u64,
    bytes: u64,
    /// The key frames that are still in the ring, the newest last.
    joins: VecDeque<u64>,
    /// Size and time of the units in the ring, so that deciding what is old touches none of them.
    kept: VecDeque<Kept>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    bytes: u64,
    dts: Timestamp,
}

impl Ring {
    pub(super) fn new(settings: &Settings) -> (Ring, Writer) {
        let frames = settings.ring_frames.clamp(16, 1 << 20).next_power_of_two();
        let slots = (0..frames).map(|_| ArcSwapOption::const_empty()).collect();
        let ring = Ring { slots, head: AtomicU64::new(0), join: AtomicU64::new(NONE), bytes: AtomicU64::new(0) };
        (ring, Writer { tail: 0, bytes: 0, joins: VecDeque::new(), kept: VecDeque::new() })
    }

    fn slot(&self, seq: u64) -> &ArcSwapOption<Unit> {
        &self.slots[seq as usize & (self.slots.len() - 1)]
    }

    /// The number that the next unit gets.
    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Bytes of coded media kept now.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Where a newcomer starts: the newest key frame, or, with none, whatever comes next that starts.
    pub(super) fn join(&self) -> Cursor {
        match self.join.load(Ordering::Acquire) {
            NONE => self.live(),
            seq => Cursor { next: seq, seeking: false },
        }
    }

    /// The live edge: the next unit that starts.
    pub(super) fn live(&self) -> Cursor {
        Cursor { next: self.head(), seeking: true }
    }

    /// Where one starts who wants to lose nothing: with the sound that came directly before the newest key frame, and where there was
    /// none yet, with what waits for it.
    pub(super) fn join_with_sound(&self) -> Cursor {
        let join = self.join();
        // a stream of sound alone is joined anywhere, and has a beginning as well
        let leads = |unit: &Unit| unit.frame.kind == Kind::Audio && (unit.tracks.video.is_some() || unit.seq < LEAD);
        let sound = |seq: &u64| matches!(self.get(*seq), Got::Unit(unit) if leads(&unit));
        let next = (join.next.saturating_sub(LEAD)..join.next).rev().take_while(sound).last().unwrap_or(join.next);
        Cursor { next, seeking: join.seeking && next == join.next }
    }

    pub(super) fn get(&self, seq: u64) -> Got {
        if seq >= self.head() {
            return Got::NotYet;
        }
        match self.slot(seq).load_full() {
            Some(unit) if unit.seq == seq => Got::Unit(unit),
            _ => Got::Lagged,
        }
    }

    /// Stores the next unit. Called by the one writer only; never waits.
    pub(super) fn push(&self, writer: &mut Writer, unit: Unit, settings: &Settings) {
        let seq = unit.seq;
        let now = unit.frame.dts;
        let starts = unit.starts();
        let pictures = unit.tracks.video.is_some();
        let bytes = unit.frame.data.len() as u64;
        writer.bytes += bytes;
        if writer.tail + self.slots.len() as u64 <= seq {
            self.drop_oldest(writer);
        }
        self.slot(seq).store(Some(Arc::new(unit)));
        writer.kept.push_back(Kept { bytes, dts: now });
        if starts {
            if pictures {
                writer.joins.push_back(seq)
            } else {
                writer.joins.clear()
            }
            self.join.store(seq, Ordering::Release);
        }
        self.head.store(seq + 1, Ordering::Release);
        self.trim(writer, seq, now, settings);
        self.bytes.store(writer.bytes, Ordering::Relaxed);
    }

    /// Forgets the newest key frame: the tracks changed so that nobody may start before the next one.
    pub(super) fn forget_join(&self, writer: &mut Writer) {
        writer.joins.clear();
        self.join.store(NONE, Ordering::Release);
    }

    /// Drops what neither a newcomer nor a reader within the slack needs, and what is over the bounds.
    fn trim(&self, writer: &mut Writer, newest: u64, now: Timestamp, settings: &Settings) {
        let most = settings.ring_bytes.0.max(1);
        while writer.tail < newest {
            let over = writer.bytes > most;
            let Some(oldest) = writer.kept.front() else { break };
            let age = now.since(oldest.dts);
            let needed = writer.joins.back().is_some_and(|join| *join <= writer.tail);
            if !over && age <= settings.ring_time.0 && (needed || age <= settings.slack.0) {
                break;
            }
            self.drop_oldest(writer);
        }
    }

    fn drop_oldest(&self, writer: &mut Writer) {
        let seq = writer.tail;
        writer.tail += 1;
        while writer.joins.front().is_some_and(|join| *join <= seq) {
            writer.joins.pop_front();
        }
        if self.join.load(Ordering::Relaxed) <= seq {
            // Even the newest start was overtaken: newcomers wait for the next one.
            self.join.store(NONE, Ordering::Release);
        }
        if let Some(kept) = writer.kept.pop_front() {
            writer.bytes = writer.bytes.saturating_sub(kept.bytes);
        }
        self.slot(seq).store(None);
    }
}
