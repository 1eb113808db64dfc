//! The video parameter set (clause 7.3.2.1): some cameras put the frame rate here only.

use super::sps::{MAX, ordering, profile_tier_level, sub_layers};
use crate::media::bits::{Bits, unescape};
use crate::media::h264::rate;
use crate::media::malformed::Malformed;

/// What a video parameter set declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vps {
    /// `vps_video_parameter_set_id`.
    pub id: u32,
    /// Pictures a second, reduced; `None` where the set has no timing.
    pub fps: Option<(u32, u32)>,
}

/// Reads a video parameter set (a NAL unit with its header). Damage behind the identifier costs the frame rate only.
pub fn parse_vps(nal: &[u8]) -> Result<Vps, Malformed> {
    if super::kind(nal) != 32 || nal.len() < 3 {
        return Err(Malformed::Not("H.265 VPS"));
    }
    let rbsp = unescape(&nal[2..], MAX);
    let mut bits = Bits::new(&rbsp, "H.265 VPS");
    let id = bits.u(4)?;
    Ok(Vps { id, fps: timing(bits).ok().flatten() })
}

fn timing(mut bits: Bits<'_>) -> Result<Option<(u32, u32)>, Malformed> {
    let bits = &mut bits;
    bits.skip(8)?; // base layer flags, vps_max_layers_minus1
    let layers = sub_layers(bits)?;
    bits.skip(17)?; // vps_temporal_id_nesting_flag, vps_reserved_0xffff_16bits
    profile_tier_level(bits, layers)?;
    ordering(bits, layers)?;
    let max_layer_id = bits.u(6)? as usize;
    let more_sets = bits.ue_to(1023, "vps_num_layer_sets_minus1")? as usize;
    bits.skip(more_sets * (max_layer_id + 1))?; // layer_id_included_flag
    if !bits.flag()? {
        return Ok(None);
    }
    let (units, scale) = (bits.u(32)?, bits.u(32)?);
    Ok(rate(scale, units))
}
