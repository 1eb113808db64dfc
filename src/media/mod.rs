//! What a frame is: one canonical form of coded video and audio, tracks with their parameter sets, and time.
//!
//! No containers and no protocols here: those convert at their border. Start with [`frame::Frame`].

pub mod frame;
pub mod time;
pub mod timeline;
pub mod track;
