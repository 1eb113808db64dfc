//! Codecs of file and stream formats: frames in, bytes out, and back. No IO, no clock.

pub mod flv;
pub mod m3u8;
pub mod mp4;
pub mod ps;
pub mod ts;
