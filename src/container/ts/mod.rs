//! MPEG transport stream (ISO/IEC 13818-1), as HLS segments and recordings carry it: one program, at most one video and one audio track.
//!
//! Start with [`Muxer`]. There is no demuxer outside the tests: nothing that comes in is a transport stream.

mod annexb;
#[cfg(test)]
pub mod demux;
mod mux;
mod packet;
mod psi;
#[cfg(test)]
mod tests;

pub use mux::{Muxer, carried};

/// The size of a transport packet.
pub const PACKET: usize = 188;
