//! The types of H.264 NAL units (table 7-1).

use crate::media::bits::{Bits, unescape};
use crate::media::nal::Role;

/// `nal_unit_type`; 0 for nothing.
pub fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |byte| byte & 0x1f)
}

/// What the unit is for.
pub fn role(nal: &[u8]) -> Role {
    match kind(nal) {
        1..=4 => Role::Slice,
        5 => Role::KeySlice,
        6 => Role::Sei,
        7 => Role::Sps,
        8 => Role::Pps,
        9 => Role::Delimiter,
        10..=12 | 0 | 24..=31 => Role::Waste,
        _ => Role::Other,
    }
}

/// Whether it is a slice of an IDR picture.
pub fn is_key(nal: &[u8]) -> bool {
    kind(nal) == 5
}

/// Whether it is an SEI unit with a recovery point that needs no further frames (clause D.1.8): decoding may start at its picture.
pub fn is_recovery_point(nal: &[u8]) -> bool {
    const RECOVERY_POINT: usize = 6;
    if kind(nal) != 6 {
        return false;
    }
    let rbsp = unescape(&nal[1..], 1024);
    let mut rest = rbsp.as_slice();
    // one byte 0x80 of trailing bits ends the list of messages
    while rest.len() > 2 {
        let (Some(kind), Some(size)) = (coded(&mut rest), coded(&mut rest)) else { return false };
        if kind == RECOVERY_POINT {
            return Bits::new(&rest[..size.min(rest.len())], "recovery point").ue() == Ok(0);
        }
        rest = rest.get(size..).unwrap_or_default();
    }
    false
}

/// A number as SEI codes it: as many 255 as fit, then the rest.
fn coded(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    loop {
        let (first, tail) = rest.split_first()?;
        *rest = tail;
        value += usize::from(*first);
        if *first != 255 {
            return Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_points_are_found_behind_other_messages() {
        assert!(is_recovery_point(&[6, 6, 1, 0xc4, 0x80]));
        assert!(is_recovery_point(&[6, 1, 2, 9, 9, 6, 1, 0xc4, 0x80]));
        assert!(!is_recovery_point(&[6, 6, 1, 0x44, 0x80]), "recovery_frame_cnt 1");
        assert!(!is_recovery_point(&[6, 5, 255, 255, 255]));
        assert!(!is_recovery_point(&[6]));
        assert!(!is_recovery_point(&[]));
    }
}
