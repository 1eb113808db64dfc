//! HLS (RFC 8216): playlists of transport stream segments, and the sliding window of segments that a live playlist shows.

mod parts;
mod playlist;
mod window;

pub use parts::{Limits, Part, Parts, Piece};
pub use playlist::{Entry, Error, Head, Variant, master, masters, media, target_of};
pub use window::{Bounds, Segment, Window};
