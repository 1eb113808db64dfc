//! The write handle of a stream. Dropping it ends the publication.

use super::registry::Registry;
use super::stream::{Pen, Stream};
use super::unit::Unit;
use crate::base::error::End;
use crate::media::frame::{Frame, Kind};
use crate::media::time::Timestamp;
use crate::media::timeline::Sanitizer;
use crate::media::track::{Track, Tracks};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// A frame as it came from the source, its times on the source's clock.
#[derive(Debug, Clone)]
pub struct Raw {
    /// The track that it belongs to.
    pub kind: Kind,
    /// When to decode it; `None` where the source gives only `pts`.
    pub dts: Option<Timestamp>,
    /// When to show it.
    pub pts: Timestamp,
    /// A decoder may start here.
    pub key: bool,
    /// The coded frame in the canonical form of [`Frame::data`].
    pub data: Bytes,
}

/// The only way to write into a stream.
pub struct Publisher {
    registry: Registry,
    stream: Arc<Stream>,
    holder: u64,
    stopped: watch::Receiver<Option<End>>,
    sanitizer: Sanitizer,
    tracks: Arc<Tracks>,
    /// Which kinds still have to announce their track.
    announce: [bool; 2],
    /// Video is dropped until a decoder can start.
    seeking: bool,
    discontinuity: bool,
    /// What is added to the sanitizer's times to stand on the stream's time line.
    shift: Option<Timestamp>,
    /// The first frame keeps its time, if it is not before what was there.
    keeps: bool,
    meter: Meter,
    /// Nobody comes back: no grace time.
    last: bool,
}

impl Publisher {
    pub(super) fn new(
        registry: Registry,
        stream: Arc<Stream>,
        holder: u64,
        stopped: watch::Receiver<Option<End>>,
        resumed: bool,
    ) -> Publisher {
        Publisher {
            registry,
            stream,
            holder,
            stopped,
            sanitizer: Sanitizer::default(),
            tracks: Arc::default(),
            announce: [true; 2],
            seeking: true,
            discontinuity: resumed,
            shift: None,
            keeps: false,
            meter: Meter::default(),
            last: false,
        }
    }

    /// Ends the stream for good: its readers get the rest and the end, without a grace time in which somebody could come back.
    pub fn finish(mut self) {
        self.last = true;
    }

    /// The stream that it writes into.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// The times are those of another stream, and stay what they are instead of beginning at 0.
    pub fn keep_times(&mut self) {
        self.keeps = true;
    }

    /// Announces a track, or a new version of it; the same again changes nothing.
    pub fn set_track(&mut self, track: Track) {
        let mut tracks = (*self.tracks).clone();
        let kind = track.kind();
        match track {
            Track::Video(v) if tracks.video.as_deref() == Some(&v) => return,
            Track::Audio(a) if tracks.audio.as_deref() == Some(&a) => return,
            Track::Video(v) => tracks.video = Some(Arc::new(v)),
            Track::Audio(a) => tracks.audio = Some(Arc::new(a)),
        }
        let mut pen = self.stream.pen();
        if pen.holder != self.holder {
            return;
        }
        if kind == Kind::Video {
            // What was cached belongs to the old pictures, or to a time without any.
            self.seeking = true;
            self.stream.ring.forget_join(&mut pen.writer);
            if let Some(video) = &tracks.video {
                self.sanitizer.set_reorder(video.reorder);
            }
        }
        self.announce[kind as usize] = true;
        self.tracks = Arc::new(tracks);
        self.stream.tracks.store(self.tracks.clone());
    }

    /// Takes one frame: repairs its times, numbers it, stores it and wakes the readers. Never waits for one.
    pub fn push(&mut self, raw: Raw) {
        let arrived = self.registry.clock().now();
        let counts = &self.stream.counts;
        let known = match raw.kind {
            Kind::Video => self.tracks.video.is_some(),
            Kind::Audio => self.tracks.audio.is_some(),
        };
        let undecodable = raw.kind == Kind::Video && self.seeking && !raw.key;
        if !known || undecodable || raw.data.is_empty() {
            bump(&counts.dropped, 1);
            return;
        }
        let (dts, pts) = self.sanitizer.fix(raw.kind, raw.dts, raw.pts, arrived);
        let mut pen = self.stream.pen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if pen.holder != self.holder {
            return;
        }
        let keeps = self.keeps && pen.last.is_none_or(|(last, _)| dts > last);
        let shift = *self.shift.get_or_insert_with(|| if keeps { Timestamp::ZERO } else { start_at(&pen, arrived) - dts });
        let (dts, pts) = (dts + shift, pts + shift);
        let bytes = raw.data.len() as u64;
        let (frames, total) = match raw.kind {
            Kind::Video => (&counts.video_frames, &counts.video_bytes),
            Kind::Audio => (&counts.audio_frames, &counts.audio_bytes),
        };
        bump(frames, 1);
        bump(total, bytes);
        if raw.kind == Kind::Video {
            self.seeking = false;
            bump(&counts.key_frames, u64::from(raw.key));
        }
        let frame = Frame { kind: raw.kind, dts, pts, key: raw.key || raw.kind == Kind::Audio, data: raw.data };
        let mut unit = Unit::new(self.stream.ring.head(), frame, self.tracks.clone(), self.registry.clock().unix());
        unit.announce = std::mem::take(&mut self.announce[unit.frame.kind as usize]);
        unit.discontinuity = std::mem::take(&mut self.discontinuity);
        self.meter.count(unit.frame.kind, bytes, arrived, &self.stream);
        pen.last = Some((pen.last.map_or(dts, |(last, _)| last.max(dts)), arrived));
        pen.repairs = *self.sanitizer.counts();
        self.stream.ring.push(&mut pen.writer, unit, &self.stream.settings);
        drop(pen);
        self.stream.woken.notify_waiters();
    }

    /// Whether the session has to end, and why; for sessions that look from time to time.
    pub fn is_stopped(&self) -> Option<End> {
        self.stopped.borrow().clone()
    }

    /// Returns when a reader wants a key frame before its time; the publisher asks its source for one, if it can.
    pub fn key_wanted(&self) -> impl Future<Output = ()> + Send + use<> {
        let stream = self.stream.clone();
        async move { stream.key_wanted.notified().await }
    }

    /// Returns when the session has to end: another publisher took over, an operator cut it, the server stops.
    pub fn stopped(&self) -> impl Future<Output = End> + Send + use<> {
        let mut stopped = self.stopped.clone();
        async move {
            match stopped.wait_for(Option::is_some).await {
                Ok(end) => end.clone().unwrap_or(End::Stopped),
                Err(_) => End::Stopped,
            }
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.registry.unpublish(&self.stream, self.holder, self.last);
    }
}

/// Where on the stream's time line a publisher's first frame stands: at 0, or after the time that its predecessor is gone.
fn start_at(pen: &Pen, arrived: Timestamp) -> Timestamp {
    match pen.last {
        None => Timestamp::ZERO,
        // At least a frame's length, so that the first frame never meets the last one's time.
        Some((last, pushed)) => last + (arrived - pushed).max(Timestamp::from_millis(40)),
    }
}

/// Adds to a counter that has one writer at a time.
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

/// Frame rate and bit rate over whole seconds.
#[derive(Default)]
struct Meter {
    since: Timestamp,
    frames: [u64; 2],
    bytes: [u64; 2],
}

impl Meter {
    fn count(&mut self, kind: Kind, bytes: u64, now: Timestamp, stream: &Stream) {
        let span = now.since(self.since).as_secs_f64();
        if span >= 1.0 {
            let counts = &stream.counts;
            let rate = |n: u64| n as f64 / span;
            counts.video_fps_milli.store((rate(self.frames[0]) * 1e3) as u32, Ordering::Relaxed);
            counts.audio_fps_milli.store((rate(self.frames[1]) * 1e3) as u32, Ordering::Relaxed);
            counts.video_bps.store((rate(self.bytes[0]) * 8.0) as u64, Ordering::Relaxed);
            counts.audio_bps.store((rate(self.bytes[1]) * 8.0) as u64, Ordering::Relaxed);
            *self = Meter { since: now, ..Meter::default() };
        }
        self.frames[kind as usize] += 1;
        self.bytes[kind as usize] += bytes;
    }
}
