//! Sockets: one folder for each protocol, both directions inside. An edge uses [`net`] and [`session`], never another edge.

pub mod gb28181;
pub mod http;
pub mod net;
pub mod rtmp;
pub mod session;
pub mod webrtc;
