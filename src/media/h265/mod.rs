//! H.265 (ITU-T H.265, ISO/IEC 23008-2): NAL unit types, parameter sets, the `hvcC` record. No decoding of pictures.

mod config;
mod sps;
mod unit;
mod vps;

pub use config::{Hvcc, build_hvcc, codec_string, parse_hvcc, track_from_sets};
pub use sps::{ProfileTierLevel, Sps, parse_sps, pps_ids};
pub use unit::{is_key, kind, role};
pub use vps::{Vps, parse_vps};

#[cfg(test)]
mod tests;
