//! GB28181 on sockets.

pub mod media;
