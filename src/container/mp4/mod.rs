//! Fragmented MP4 (ISO/IEC 14496-12, 14496-15), as recordings are written: one video and one audio track at most.
//!
//! A recording has to survive a crash and a full disk, so it is written in fragments: [`init()`] first, then what [`Muxer`] cuts,
//! each fragment complete in itself. Whoever writes the file appends and never goes back. [`Scan`] reads such a file back, torn or
//! whole, and [`plan()`] says how it becomes an ordinary file that begins with its index. H.264 is carried as `avc1`, H.265 as `hvc1`, AAC
//! and MP3 as `mp4a`, Opus as `Opus`, G.711 as `alaw` and `ulaw`.

mod clip;
mod entry;
mod fragment;
mod init;
mod live;
mod plan;
mod scan;
mod splice;
#[cfg(test)]
mod tests;

pub use clip::{Window, shorten};
pub use fragment::{Fragment, Full, MAX_FRAMES, MAX_SIZE, Muxer};
pub use init::{carried, init};
pub use live::{fragment, played};
pub use plan::{Plan, plan};
pub use scan::{Index, Scan};

/// The id of the video track.
pub const VIDEO: u32 = 1;
/// The id of the audio track.
pub const AUDIO: u32 = 2;
/// Ticks a second of the video track and of the movie as a whole; what counts samples has its own rate.
pub const HZ: u32 = 90_000;
