//! Codecs of file and stream formats: frames in, bytes out, and back. No IO, no clock.

pub mod ts;
