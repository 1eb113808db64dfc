//! A live, named set of tracks with one publisher at a time.

use super::ring::{Ring, Writer};
use super::settings::Settings;
use crate::base::error::End;
use crate::base::id::{SessionId, StreamKey};
use crate::media::time::Timestamp;
use crate::media::timeline;
use crate::media::track::Tracks;
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// Who publishes.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The protocol that the frames come by.
    pub protocol: &'static str,
    /// The other side's address.
    pub peer: String,
    /// Its session.
    pub session: SessionId,
}

/// A stream. It outlives its publisher by the grace time.
#[derive(Debug)]
pub struct Stream {
    pub(super) key: StreamKey,
    pub(super) ring: Ring,
    pub(super) settings: Arc<Settings>,
    pub(super) tracks: ArcSwap<Tracks>,
    pub(super) woken: Notify,
    /// Somebody wants a key frame before its time.
    pub(super) key_wanted: Notify,
    pub(super) pen: Mutex<Pen>,
    pub(super) counts: Counters,
    phase: AtomicU8,
    viewers: AtomicU32,
    workers: AtomicU32,
}

/// What only the present publisher writes with.
#[derive(Debug)]
pub(super) struct Pen {
    pub(super) writer: Writer,
    /// Which publisher may write: the number of the newest one.
    pub(super) holder: u64,
    pub(super) source: Option<Source>,
    /// Ends the holder's session.
    pub(super) eject: watch::Sender<Option<End>>,
    /// The newest decoding time on the stream's time line, and when it was pushed on the monotonic clock.
    pub(super) last: Option<(Timestamp, Timestamp)>,
    /// When the present publisher came, on the wall clock.
    pub(super) since: Timestamp,
    pub(super) repairs: timeline::Counts,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) video_frames: AtomicU64,
    pub(super) audio_frames: AtomicU64,
    pub(super) key_frames: AtomicU64,
    pub(super) video_bytes: AtomicU64,
    pub(super) audio_bytes: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) lagged: AtomicU64,
    pub(super) video_fps_milli: AtomicU32,
    pub(super) video_bps: AtomicU64,
    pub(super) audio_fps_milli: AtomicU32,
    pub(super) audio_bps: AtomicU64,
}

/// Totals since the stream was first published.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Frames of video taken in.
    pub video_frames: u64,
    /// Frames of audio taken in.
    pub audio_frames: u64,
    /// Key frames among the video.
    pub key_frames: u64,
    /// Bytes of coded video.
    pub video_bytes: u64,
    /// Bytes of coded audio.
    pub audio_bytes: u64,
    /// Frames thrown away on ingest: before the first key frame, or of an unknown track.
    pub dropped: u64,
    /// Times that a reader had to skip to a newer key frame.
    pub lagged: u64,
    /// Frames of video a second, over the last whole second.
    pub video_fps: f64,
    /// Frames of audio a second, over the last whole second.
    pub audio_fps: f64,
    /// Bits of video a second, over the last whole second.
    pub video_bps: u64,
    /// Bits of audio a second, over the last whole second.
    pub audio_bps: u64,
}

/// What lists show of a stream.
#[derive(Debug, Clone)]
pub struct Info {
    /// Its name.
    pub key: StreamKey,
    /// Who publishes; `None` in the grace time.
    pub source: Option<Source>,
    /// When the present publisher came, on the wall clock.
    pub since: Timestamp,
    /// Its tracks.
    pub tracks: Arc<Tracks>,
    /// Players now.
    pub viewers: u32,
    /// Other readers now: recorders, segmenters, relays.
    pub workers: u32,
    /// Bytes of coded media in the ring.
    pub cached_bytes: u64,
    /// Totals and rates.
    pub counts: Counts,
    /// Repairs of the present publisher's timestamps, by cause.
    pub repairs: timeline::Counts,
}

const LIVE: u8 = 0;
const GAP: u8 = 1;
const OVER: u8 = 2;

impl Stream {
    pub(super) fn new(key: StreamKey, settings: Arc<Settings>) -> Stream {
        let (ring, writer) = Ring::new(&settings);
        let pen = Pen {
            writer,
            holder: 0,
            source: None,
            eject: watch::Sender::new(None),
            last: None,
            since: Timestamp::ZERO,
            repairs: timeline::Counts::default(),
        };
        Stream {
            key,
            ring,
            settings,
            tracks: ArcSwap::default(),
            woken: Notify::new(),
            key_wanted: Notify::new(),
            pen: Mutex::new(pen),
            counts: Counters::default(),
            phase: AtomicU8::new(GAP),
            viewers: AtomicU32::new(0),
            workers: AtomicU32::new(0),
        }
    }

    /// Its name.
    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    /// The tracks now.
    pub fn tracks(&self) -> Arc<Tracks> {
        self.tracks.load_full()
    }

    /// Players now.
    pub fn viewers(&self) -> u32 {
        self.viewers.load(Ordering::Relaxed)
    }

    /// Totals and rates, without a lock.
    pub fn counts(&self) -> Counts {
        self.counts.read()
    }

    /// Whether somebody publishes now.
    pub fn is_live(&self) -> bool {
        self.phase.load(Ordering::Acquire) == LIVE
    }

    /// Whether it is over for good: readers get what is in the ring and then the end.
    pub fn is_over(&self) -> bool {
        self.phase.load(Ordering::Acquire) == OVER
    }

    /// Ends the publisher's session; `true` if there was one.
    pub fn eject(&self, why: End) -> bool {
        let pen = self.pen();
        pen.source.is_some() && pen.eject.send(Some(why)).is_ok()
    }

    /// Asks the publisher for a key frame, if it can get one ([`Publisher::key_wanted`](super::Publisher::key_wanted)). Several
    /// requests that nobody has answered yet are one.
    pub fn want_key(&self) {
        self.key_wanted.notify_one();
    }

    /// What lists show.
    pub fn info(&self) -> Info {
        let (source, since, repairs) = {
            let pen = self.pen();
            (pen.source.clone(), pen.since, pen.repairs)
        };
        Info {
            key: self.key.clone(),
            source,
            since,
            tracks: self.tracks(),
            viewers: self.viewers(),
            workers: self.workers.load(Ordering::Relaxed),
            cached_bytes: self.ring.bytes(),
            counts: self.counts.read(),
            repairs,
        }
    }

    pub(super) fn pen(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_live(&self) {
        self.phase.store(LIVE, Ordering::Release);
        self.woken.notify_waiters();
    }

    pub(super) fn set_gap(&self) {
        self.phase.store(GAP, Ordering::Release);
    }

    pub(super) fn set_over(&self) {
        self.phase.store(OVER, Ordering::Release);
        self.woken.notify_waiters();
    }

    pub(super) fn seats(&self, viewer: bool) -> &AtomicU32 {
        if viewer { &self.viewers } else { &self.workers }
    }
}

impl Counters {
    fn read(&self) -> Counts {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let milli = |n: &AtomicU32| f64::from(n.load(Ordering::Relaxed)) / 1e3;
        Counts {
            video_frames: get(&self.video_frames),
            audio_frames: get(&self.audio_frames),
            key_frames: get(&self.key_frames),
            video_bytes: get(&self.video_bytes),
            audio_bytes: get(&self.audio_bytes),
            dropped: get(&self.dropped),
            lagged: get(&self.lagged),
            video_fps: milli(&self.video_fps_milli),
            audio_fps: milli(&self.audio_fps_milli),
            video_bps: get(&self.video_bps),
            audio_bps: get(&self.audio_bps),
        }
    }
}
