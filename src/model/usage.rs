//! What a stream used in a minute, and what spans of minutes add up to.

use crate::model::id::{GroupId, StreamId, TenantId};
use crate::model::time::Time;

/// Counters of one stream over one span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Start of the span.
    pub at: Time,
    /// Whose.
    pub owner: TenantId,
    /// The stream's group at that time.
    pub group: GroupId,
    /// The stream.
    pub stream: StreamId,
    /// What was counted.
    pub sums: Sums,
}

/// The counters themselves; they add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Bytes that came in.
    pub bytes_in: i64,
    /// Bytes that went out.
    pub bytes_out: i64,
    /// Video frames that came in.
    pub video_frames: i64,
    /// Audio frames that came in.
    pub audio_frames: i64,
    /// Milliseconds that the stream was live.
    pub live_ms: i64,
    /// Most viewers at a time; the largest of a longer span.
    pub viewers: i64,
    /// Milliseconds written to MP4 files.
    pub mp4_ms: i64,
    /// Milliseconds written to FLV files.
    pub flv_ms: i64,
    /// Milliseconds written to HLS.
    pub hls_ms: i64,
    /// Snapshots taken.
    pub snapshots: i64,
}

impl Sums {
    /// Adds another span's counters.
    pub fn add(&mut self, other: &Sums) {
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.video_frames += other.video_frames;
        self.audio_frames += other.audio_frames;
        self.live_ms += other.live_ms;
        self.viewers = self.viewers.max(other.viewers);
        self.mp4_ms += other.mp4_ms;
        self.flv_ms += other.flv_ms;
        self.hls_ms += other.hls_ms;
        self.snapshots += other.snapshots;
    }
}
