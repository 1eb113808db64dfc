//! Wire protocols as codecs and machines: bytes and time come in as arguments, bytes and events go out.
//!
//! No sockets, no clock, no tasks: those are the edges'.

pub mod rtmp;
pub mod sip;
