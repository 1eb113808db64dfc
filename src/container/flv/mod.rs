//! FLV: tags, what is in them, and the way from frames to tags and back (Adobe FLV 10.1 annex E, Enhanced RTMP v2).
//!
//! RTMP carries the bodies of these tags as messages, so that everything here but [`tag`] serves both.
//! To read, start with [`Demuxer`]; to write, with [`mux`].

pub mod audio;
mod demux;
pub mod mux;
mod scan;
pub mod script;
pub mod tag;
pub mod video;

pub use demux::{Demuxer, Error, Item};
pub use mux::{Hevc, frame_tag, start};
pub use scan::{Found, Scan};
pub use tag::{Reader, Tag};
