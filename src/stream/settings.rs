//! How much a stream remembers and what happens to its name.

use crate::base::units::{Size, Span};
use serde::{Deserialize, Serialize};

/// What a second publisher of a live name gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnTaken {
    /// It is refused.
    Refuse,
    /// It takes over; the first one's session ends.
    Replace,
}

crate::settings! {
    /// Live streams: the ring that is also the GOP cache, and what happens when a publisher leaves or comes twice.
    pub struct Settings {
        /// Most frames that a stream keeps for newcomers and slow readers (rounded up to a power of two).
        pub ring_frames: usize = 2048,
        /// Most bytes of coded media that a stream keeps.
        pub ring_bytes: Size = Size(32 << 20),
        /// Longest stretch of time that a stream keeps; a key frame that is older is not offered to newcomers.
        pub ring_time: Span = Span::secs(30),
        /// What is kept behind the newest key frame, so that a reader that is a little late need not skip.
        pub slack: Span = Span::secs(2),
        /// How long viewers stay when the publisher leaves; they continue when it comes back in time.
        pub grace: Span = Span::secs(10),
        /// What a second publisher of a live name gets: "refuse" or "replace" (the newer one takes over).
        pub second_publisher: OnTaken = OnTaken::Refuse,
    }
}
