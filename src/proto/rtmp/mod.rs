//! RTMP without a socket: handshake, chunks, messages, commands, and the session of either side (Adobe RTMP 1.0).

pub mod chunk;
pub mod message;
