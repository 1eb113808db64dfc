//! What a frame is: one canonical form of coded video and audio, tracks with their parameter sets, and time.
//!
//! No containers and no protocols here: those convert at their border. Start with [`frame::Frame`]; the way into it is
//! [`nal`] for video and [`sets`] for the parameter sets that come with it.

pub mod aac;
pub mod av1;
pub mod bits;
pub mod frame;
pub mod g711;
pub mod h264;
pub mod h265;
pub mod malformed;
pub mod mp3;
pub mod nal;
pub mod opus;
pub mod sets;
pub mod time;
pub mod timeline;
pub mod track;
