//! AAC (ISO/IEC 14496-3): AudioSpecificConfig and ADTS. No decoding of sound.

mod adts;
mod config;

pub use adts::{Adts, Blocks, adts_header, blocks, parse_adts};
pub use config::{Config, RATES, build_asc, codec_string, parse_asc, track_from_asc};
