//! What a stream used in a minute, what spans of minutes add up to, and what groups and tenants used in all.

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
    /// Bytes of coded media that came in, without what protocols and containers add.
    pub bytes_in: i64,
    /// Bytes that went out to players, with what protocols add above TCP, UDP and TLS.
    pub bytes_out: i64,
    /// Video frames that came in.
    pub video_frames: i64,
    /// Audio frames that came in.
    pub audio_frames: i64,
    /// Milliseconds that the stream was live.
    pub live_ms: i64,
    /// Most viewers of a stream at a time; the largest of a longer span. Groups and tenants have [`Peaks::viewers`] instead.
    pub viewers: i64,
    /// Milliseconds of finished MP4 files.
    pub mp4_ms: i64,
    /// Milliseconds of finished FLV files.
    pub flv_ms: i64,
    /// Milliseconds of finished HLS recordings.
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

/// The most at once, and when it was reached first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peak {
    /// How many.
    pub most: i64,
    /// Start of the minute.
    pub at: Time,
}

impl Peak {
    /// The higher one; of equal ones the earlier.
    pub fn max(self, other: Peak) -> Peak {
        let later = other.most < self.most || other.most == self.most && other.at >= self.at;
        if later { self } else { other }
    }
}

/// What a group or a tenant had at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Streams that somebody published.
    pub streams: Peak,
    /// Players.
    pub viewers: Peak,
    /// Streams that were recorded.
    pub recordings: Peak,
    /// Devices that were online.
    pub devices: Peak,
}

impl Peaks {
    /// The higher ones.
    pub fn max(self, other: Peaks) -> Peaks {
        Peaks {
            streams: self.streams.max(other.streams),
            viewers: self.viewers.max(other.viewers),
            recordings: self.recordings.max(other.recordings),
            devices: self.devices.max(other.devices),
        }
    }
}

/// What a group, or a tenant, used over one span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// Start of the span.
    pub at: Time,
    /// The tenant.
    pub owner: TenantId,
    /// The group; none: all groups of the tenant.
    pub group: Option<GroupId>,
    /// The protocol; empty: all. Of one protocol only the bytes are counted.
    pub protocol: String,
    /// What was counted.
    pub sums: Sums,
    /// The most bytes that came in within five minutes; 0 for a single minute.
    pub top_in: i64,
    /// The most bytes that went out within five minutes; 0 for a single minute.
    pub top_out: i64,
    /// What was there at once.
    pub peaks: Peaks,
}

impl Total {
    /// Nothing yet.
    pub fn new(at: Time, owner: TenantId, group: Option<GroupId>, protocol: &str) -> Total {
        let protocol = protocol.to_owned();
        Total { at, owner, group, protocol, sums: Sums::default(), top_in: 0, top_out: 0, peaks: Peaks::default() }
    }

    /// Adds another span's counters.
    pub fn add(&mut self, other: &Total) {
        self.sums.add(&other.sums);
        self.top_in = self.top_in.max(other.top_in);
        self.top_out = self.top_out.max(other.top_out);
        self.peaks = self.peaks.max(other.peaks);
    }
}
