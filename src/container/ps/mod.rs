//! The MPEG-2 program stream (ISO/IEC 13818-1 clause 2.5) as GB28181 devices really send it.
//!
//! [`Demuxer`] takes the payloads of RTP packets and gives frames; it forgives what cameras get wrong and counts it
//! ([`Findings`]). [`Muxer`] writes what the standard asks for, and on request the mistakes too. No sockets, no clock.
//! To follow a byte: `split` finds packets, `video` and `audio` make frames of them, `demux` holds the two together.

mod audio;
mod demux;
mod findings;
mod header;
mod kind;
mod mux;
mod psm;
mod split;
#[cfg(test)]
pub(crate) mod tests;
mod video;

pub use demux::{Damaged, Demuxer, Frame, Input, Item, Options};
pub use findings::Findings;
pub use kind::{AudioKind, Kind, VideoKind};
pub use mux::{Muxer, Style};
