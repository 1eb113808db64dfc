//! Cuts live streams into segments, kept in memory for HLS.
//!
//! [`Cutter`] decides where a segment begins, for any container (recordings use it too); [`Segmenter`] fills the segments
//! with a transport stream; [`Window`](crate::container::m3u8::Window) is the list that a playlist shows; [`Feeds`] runs one task for each stream that
//! somebody asks for, and ends it some seconds after the last request; [`LowFeeds`] does the same with parts of fragmented MP4, for low latency. All but the last are free of IO and clocks.

mod cutter;
mod feed;
mod low;
mod parts;
mod segmenter;
#[cfg(test)]
mod tests;

use crate::base::units::{Size, Span};
use crate::container::m3u8::Bounds;

pub use cutter::{Cut, Cutter, Step};
pub use feed::{Feed, Feeds, NoSegments};
pub use low::{LowFeed, LowFeeds};
pub use segmenter::Segmenter;

/// What segments are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Transport stream.
    Ts,
    /// Fragmented MP4, in parts.
    Fmp4,
}

crate::settings! {
    /// HLS: how streams are cut into segments. Segments lie in memory, and only while somebody watches.
    pub struct Settings {
        /// What a playlist leads to: "ts" (transport stream, which every player knows) or "fmp4" (fragmented MP4 in parts: low latency,
        /// and H.265 for players that want it so). Players choose with `?format=`.
        pub format: Form = Form::Ts,
        /// The length that no part of a segment of fragmented MP4 exceeds; the parts of a segment are made equally long.
        pub part: Span = Span::millis(320),
        /// The length that segments should have; they are cut at the key frame that comes nearest to it.
        pub segment: Span = Span::secs(2),
        /// The length at which a segment is cut even without a key frame, for cameras whose key frames are far apart.
        pub segment_max: Span = Span::secs(12),
        /// How many segments the playlist lists.
        pub window: usize = 6,
        /// How many segments stay available after they left the playlist, for players that still load them.
        pub kept: usize = 3,
        /// Most bytes that one stream's segments take in memory; the oldest go first.
        pub bytes: Size = Size(64 << 20),
        /// How long a stream is cut after the last request for it.
        pub linger: Span = Span::secs(15),
        /// How long a first request waits for the first segment.
        pub patience: Span = Span::secs(10),
    }
}

impl Settings {
    fn bounds(&self) -> Bounds {
        Bounds { segment: self.segment.0, listed: self.window, kept: self.kept, bytes: self.bytes.bytes() }
    }
}
