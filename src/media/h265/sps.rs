//! The sequence parameter set (clauses 7.3.2.2 and E.2.1), as far as a server needs it.

use crate::media::bits::{Bits, unescape};
use crate::media::h264::rate;
use crate::media::malformed::Malformed;

/// Profile, tier and level, as they stand in the sets and in the `hvcC` record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileTierLevel {
    /// `general_profile_space`, 2 bits; always 0 so far.
    pub space: u8,
    /// `general_tier_flag`: high tier.
    pub high_tier: bool,
    /// `general_profile_idc`: 1 Main, 2 Main 10.
    pub profile: u8,
    /// `general_profile_compatibility_flag`s, the first in the highest bit.
    pub compatibility: u32,
    /// The six bytes of constraint flags.
    pub constraints: [u8; 6],
    /// `general_level_idc`: 30 times the level.
    pub level: u8,
}

/// What a sequence parameter set declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// `sps_seq_parameter_set_id`.
    pub id: u32,
    /// `sps_video_parameter_set_id`.
    pub vps_id: u32,
    /// Temporal sub-layers: 1 to 7.
    pub sub_layers: u8,
    /// `sps_temporal_id_nesting_flag`.
    pub nesting: bool,
    /// Profile, tier and level.
    pub profile: ProfileTierLevel,
    /// `chroma_format_idc`: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma: u8,
    /// Bits of a luma sample.
    pub luma_bits: u8,
    /// Bits of a chroma sample.
    pub chroma_bits: u8,
    /// Width of the conformance window.
    pub width: u32,
    /// Height of the conformance window.
    pub height: u32,
    /// `sps_max_num_reorder_pics` of the highest sub-layer.
    pub reorder: u32,
    /// Pictures a second, reduced; `None` where the set has no timing.
    pub fps: Option<(u32, u32)>,
}

/// Longer sets do not exist; hvcC could not carry them anyway.
pub(super) const MAX: usize = 4096;

/// Reads a sequence parameter set (a NAL unit with its header). Damage behind the picture's description costs the frame rate only.
pub fn parse_sps(nal: &[u8]) -> Result<Sps, Malformed> {
    if super::kind(nal) != 33 || nal.len() < 3 {
        return Err(Malformed::Not("H.265 SPS"));
    }
    let rbsp = unescape(&nal[2..], MAX);
    let mut bits = Bits::new(&rbsp, "H.265 SPS");
    let vps_id = bits.u(4)?;
    let sub_layers = sub_layers(&mut bits)?;
    let nesting = bits.flag()?;
    let profile = profile_tier_level(&mut bits, sub_layers)?;
    let id = bits.ue_to(15, "sps_seq_parameter_set_id")?;
    let chroma = bits.ue_to(3, "chroma_format_idc")? as u8;
    let separate = chroma == 3 && bits.flag()?;
    // Level 6.2 allows 35,651,584 luma samples, and no side longer than the root of eight times that (clause A.4.1).
    let mut width = bits.ue_to(16_888, "pic_width_in_luma_samples")?;
    let mut height = bits.ue_to(16_888, "pic_height_in_luma_samples")?;
    if bits.flag()? {
        let x_unit = if !separate && matches!(chroma, 1 | 2) { 2 } else { 1 };
        let y_unit = if !separate && chroma == 1 { 2 } else { 1 };
        let mut crop = || bits.ue_to(0xffff, "conf_win_offset");
        let (left, right, top, bottom) = (crop()?, crop()?, crop()?, crop()?);
        width = width.saturating_sub((left + right) * x_unit);
        height = height.saturating_sub((top + bottom) * y_unit);
    }
    for (field, size) in [("pic_width_in_luma_samples", width), ("pic_height_in_luma_samples", height)] {
        if size == 0 {
            return Err(Malformed::Range { field, value: 0 });
        }
    }
    let luma_bits = 8 + bits.ue_to(8, "bit_depth_luma_minus8")? as u8;
    let chroma_bits = 8 + bits.ue_to(8, "bit_depth_chroma_minus8")? as u8;
    let poc_bits = 4 + bits.ue_to(12, "log2_max_pic_order_cnt_lsb_minus4")?;
    let reorder = ordering(&mut bits, sub_layers)?;
    let fps = timing(bits, poc_bits).ok().flatten();
    Ok(Sps { id, vps_id, sub_layers, nesting, profile, chroma, luma_bits, chroma_bits, width, height, reorder, fps })
}

pub(super) fn sub_layers(bits: &mut Bits<'_>) -> Result<u8, Malformed> {
    match bits.u(3)? as u8 {
        7 => Err(Malformed::Range { field: "max_sub_layers_minus1", value: 7 }),
        less => Ok(less + 1),
    }
}

/// profile_tier_level(1, sub_layers − 1), clause 7.3.3.
pub(super) fn profile_tier_level(bits: &mut Bits<'_>, sub_layers: u8) -> Result<ProfileTierLevel, Malformed> {
    let space = bits.u(2)? as u8;
    let high_tier = bits.flag()?;
    let profile = bits.u(5)? as u8;
    let compatibility = bits.u(32)?;
    let mut constraints = [0; 6];
    for byte in &mut constraints {
        *byte = bits.u(8)? as u8;
    }
    let level = bits.u(8)? as u8;
    let mut present = [(false, false); 8];
    let below = usize::from(sub_layers) - 1;
    if below > 0 {
        for layer in &mut present {
            *layer = (bits.flag()?, bits.flag()?);
        }
    }
    for (profile, level) in &present[..below] {
        bits.skip(if *profile { 88 } else { 0 } + if *level { 8 } else { 0 })?;
    }
    Ok(ProfileTierLevel { space, high_tier, profile, compatibility, constraints, level })
}

/// The reordering depth of the highest sub-layer.
pub(super) fn ordering(bits: &mut Bits<'_>, sub_layers: u8) -> Result<u32, Malformed> {
    let all = bits.flag()?;
    let mut reorder = 0;
    for _ in 0..if all { sub_layers } else { 1 } {
        bits.ue()?; // max_dec_pic_buffering_minus1
        reorder = bits.ue_to(16, "max_num_reorder_pics")?;
        bits.ue()?; // max_latency_increase_plus1
    }
    Ok(reorder)
}

/// What lies between the picture's description and the frame rate.
fn timing(mut bits: Bits<'_>, poc_bits: u32) -> Result<Option<(u32, u32)>, Malformed> {
    let bits = &mut bits;
    for _ in 0..6 {
        bits.ue()?; // block sizes and transform depths
    }
    if bits.flag()? && bits.flag()? {
        scaling_lists(bits)?;
    }
    bits.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.flag()? {
        bits.skip(8)?; // pcm sample bit depths
        bits.ue()?;
        bits.ue()?;
        bits.skip(1)?;
    }
    let mut pictures = 0;
    for set in 0..bits.ue_to(64, "num_short_term_ref_pic_sets")? {
        pictures = short_term_set(bits, set, pictures)?;
    }
    if bits.flag()? {
        for _ in 0..bits.ue_to(32, "num_long_term_ref_pics_sps")? {
            bits.skip(poc_bits as usize + 1)?;
        }
    }
    bits.skip(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    if bits.flag()? { vui(bits) } else { Ok(None) }
}

fn scaling_lists(bits: &mut Bits<'_>) -> Result<(), Malformed> {
    for size in 0..4u32 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !bits.flag()? {
                bits.ue()?; // scaling_list_pred_matrix_id_delta
                continue;
            }
            if size > 1 {
                bits.se()?; // scaling_list_dc_coef_minus8
            }
            for _ in 0..(1 << (4 + 2 * size)).min(64) {
                bits.se()?;
            }
        }
    }
    Ok(())
}

/// st_ref_pic_set(index), clause 7.3.7; gives the pictures of the set, which the next set may refer to.
fn short_term_set(bits: &mut Bits<'_>, index: u32, previous: u32) -> Result<u32, Malformed> {
    const FIELD: &str = "num_delta_pocs";
    if index > 0 && bits.flag()? {
        bits.skip(1)?; // delta_rps_sign
        bits.ue()?; // abs_delta_rps_minus1
        let mut pictures = 0;
        for _ in 0..=previous {
            if bits.flag()? || bits.flag()? {
                pictures += 1; // used_by_curr_pic_flag or use_delta_flag
            }
        }
        return if pictures <= 32 { Ok(pictures) } else { Err(Malformed::Range { field: FIELD, value: pictures.into() }) };
    }
    let pictures = bits.ue_to(16, FIELD)? + bits.ue_to(16, FIELD)?;
    for _ in 0..pictures {
        bits.ue()?;
        bits.skip(1)?;
    }
    Ok(pictures)
}

fn vui(bits: &mut Bits<'_>) -> Result<Option<(u32, u32)>, Malformed> {
    const EXTENDED_SAR: u32 = 255;
    if bits.flag()? && bits.u(8)? == EXTENDED_SAR {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?; // overscan_appropriate_flag
    }
    if bits.flag()? {
        bits.skip(4)?; // video_format, video_full_range_flag
        if bits.flag()? {
            bits.skip(24)?; // colour_primaries, transfer_characteristics, matrix_coeffs
        }
    }
    if bits.flag()? {
        bits.ue()?; // chroma_sample_loc_type_top_field
        bits.ue()?; // chroma_sample_loc_type_bottom_field
    }
    bits.skip(3)?; // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    if bits.flag()? {
        for _ in 0..4 {
            bits.ue()?; // default display window
        }
    }
    if !bits.flag()? {
        return Ok(None);
    }
    let (units, scale) = (bits.u(32)?, bits.u(32)?);
    Ok(rate(scale, units))
}

/// `pps_pic_parameter_set_id` and the `pps_seq_parameter_set_id` that it refers to.
pub fn pps_ids(nal: &[u8]) -> Result<(u32, u32), Malformed> {
    if super::kind(nal) != 34 || nal.len() < 3 {
        return Err(Malformed::Not("H.265 PPS"));
    }
    let rbsp = unescape(&nal[2..], 64);
    let mut bits = Bits::new(&rbsp, "H.265 PPS");
    Ok((bits.ue_to(63, "pps_pic_parameter_set_id")?, bits.ue_to(15, "pps_seq_parameter_set_id")?))
}
