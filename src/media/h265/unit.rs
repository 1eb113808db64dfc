//! The types of H.265 NAL units (table 7-1).

use crate::media::nal::Role;

/// `nal_unit_type`; 63 (private use) for nothing.
pub fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(63, |byte| byte >> 1 & 0x3f)
}

/// What the unit is for.
pub fn role(nal: &[u8]) -> Role {
    match kind(nal) {
        16..=21 => Role::KeySlice,
        0..=31 => Role::Slice,
        32 => Role::Vps,
        33 => Role::Sps,
        34 => Role::Pps,
        35 => Role::Delimiter,
        36..=38 | 48..=63 => Role::Waste,
        39 | 40 => Role::Sei,
        _ => Role::Other,
    }
}

/// Whether it is a slice of an IRAP picture (BLA, IDR or CRA): decoding may start here.
pub fn is_key(nal: &[u8]) -> bool {
    (16..=21).contains(&kind(nal))
}
