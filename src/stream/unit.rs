//! A frame on its way to many readers, with its wire forms, each made once by the first reader that needs it.

use crate::media::frame::Frame;
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// A frame in the ring.
#[derive(Debug)]
pub struct Unit {
    /// Its number in the stream; no gaps, never reused.
    pub seq: u64,
    /// The frame; its times are on the stream's time line, which starts near 0 and never runs backwards.
    pub frame: Frame,
    /// The stream's tracks when this frame was pushed.
    pub tracks: Arc<Tracks>,
    /// The first frame of its kind with its present track: a player needs the track's header before it.
    pub announce: bool,
    /// The first frame after the publisher was away: time goes on, the pictures do not connect.
    pub discontinuity: bool,
    /// When it arrived, on the wall clock.
    pub wall: Timestamp,
    views: OnceLock<Box<Views>>,
}

/// Where a format keeps its wire form in a [`Unit`]. The core never looks inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// FLV tag with Enhanced video headers where the codec needs one.
    FlvTag,
    /// FLV tag with the legacy codec id 12 for HEVC.
    FlvTagLegacy,
    /// FLV tag in a WebSocket frame.
    WsFlv,
    /// The same with the legacy codec id 12 for HEVC.
    WsFlvLegacy,
    /// RTMP message in chunks.
    Rtmp,
    /// The same with the legacy codec id 12 for HEVC.
    RtmpLegacy,
    /// Fragment of MP4.
    Fmp4,
    /// Fragment of MP4 in a WebSocket frame.
    WsFmp4,
}

const SLOTS: usize = 8;
type Views = [OnceLock<Bytes>; SLOTS];

impl Unit {
    /// A unit as the publisher numbers it.
    pub fn new(seq: u64, frame: Frame, tracks: Arc<Tracks>, wall: Timestamp) -> Unit {
        Unit { seq, frame, tracks, announce: false, discontinuity: false, wall, views: OnceLock::new() }
    }

    /// The wire form in `slot`: `encode` runs once for all readers; an empty result means that the format does not carry it.
    pub fn view(&self, slot: Slot, encode: impl FnOnce(&Unit) -> Bytes) -> &Bytes {
        let views = self.views.get_or_init(Box::default);
        views[slot as usize].get_or_init(|| encode(self))
    }

    /// Whether a newcomer may start here: a key frame of video, or any audio frame of a stream without video.
    pub fn starts(&self) -> bool {
        use crate::media::frame::Kind;
        match self.frame.kind {
            Kind::Video => self.frame.key,
            Kind::Audio => self.tracks.video.is_none(),
        }
    }
}
