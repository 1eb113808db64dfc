//! Protocols without sockets: codecs and machines that take bytes and time as arguments.

pub mod av;
pub mod gb28181;
pub mod rtmp;
pub mod rtp;
pub mod sip;
pub mod stun;
pub mod webrtc;
