//! H.264 (ITU-T H.264, ISO/IEC 14496-10): NAL unit types, parameter sets, the `avcC` record. No decoding of pictures.

mod config;
mod level;
mod sps;
mod unit;

pub use config::{Avcc, build_avcc, codec_string, parse_avcc, track_from_sets};
pub use level::level;
pub(in crate::media) use sps::rate;
pub use sps::{Sps, parse_sps, pps_ids};
pub use unit::{is_key, is_recovery_point, kind, role};

#[cfg(test)]
mod tests;
