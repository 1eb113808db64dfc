//! Wire protocols as codecs and machines: bytes and time come in as arguments, bytes and events go out.

pub mod rtmp;
pub mod rtp;
pub mod sip;
