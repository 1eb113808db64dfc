//! The sequence parameter set (clauses 7.3.2.1.1 and E.1.1), as far as a server needs it.

use crate::media::bits::{Bits, unescape};
use crate::media::malformed::Malformed;

/// What a sequence parameter set declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// `seq_parameter_set_id`.
    pub id: u32,
    /// `profile_idc`.
    pub profile: u8,
    /// The constraint flags, as the byte in the set.
    pub constraints: u8,
    /// `level_idc`.
    pub level: u8,
    /// `chroma_format_idc`: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma: u8,
    /// Bits of a luma sample.
    pub luma_bits: u8,
    /// Bits of a chroma sample.
    pub chroma_bits: u8,
    /// Width after cropping.
    pub width: u32,
    /// Height after cropping.
    pub height: u32,
    /// `pic_order_cnt_type`; 2 means that decoding order is display order.
    pub pic_order_cnt_type: u32,
    /// Whether all pictures are whole frames.
    pub progressive: bool,
    /// Frames a second, reduced; `None` where the set has no timing.
    pub fps: Option<(u32, u32)>,
    /// How many frames may be shown later than decoded: declared, or certain from the profile; `None` where nothing is known.
    pub reorder: Option<u32>,
}

/// Longer sets do not exist; avcC could not carry them anyway.
const MAX: usize = 4096;

/// Reads a sequence parameter set (a NAL unit with its header). Damaged usability information (VUI) counts as absent:
/// cameras send it, and decoders play on.
pub fn parse_sps(nal: &[u8]) -> Result<Sps, Malformed> {
    if super::kind(nal) != 7 {
        return Err(Malformed::Not("H.264 SPS"));
    }
    let rbsp = unescape(&nal[1..], MAX);
    let mut bits = Bits::new(&rbsp, "H.264 SPS");
    let profile = bits.u(8)? as u8;
    let constraints = bits.u(8)? as u8;
    let level = bits.u(8)? as u8;
    let id = bits.ue_to(31, "seq_parameter_set_id")?;
    let (mut chroma, mut luma_bits, mut chroma_bits, mut separate) = (1, 8, 8, false);
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        chroma = bits.ue_to(3, "chroma_format_idc")? as u8;
        separate = chroma == 3 && bits.flag()?;
        luma_bits = 8 + bits.ue_to(6, "bit_depth_luma_minus8")? as u8;
        chroma_bits = 8 + bits.ue_to(6, "bit_depth_chroma_minus8")? as u8;
        bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if bits.flag()? {
                    scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.ue_to(12, "log2_max_frame_num_minus4")?;
    let pic_order_cnt_type = bits.ue_to(2, "pic_order_cnt_type")?;
    match pic_order_cnt_type {
        0 => {
            bits.ue_to(12, "log2_max_pic_order_cnt_lsb_minus4")?;
        }
        1 => {
            bits.skip(1)?;
            bits.se()?;
            bits.se()?;
            for _ in 0..bits.ue_to(255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                bits.se()?;
            }
        }
        _ => {}
    }
    bits.ue_to(16, "max_num_ref_frames")?;
    bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
    // Level 6.2 allows 139,264 macroblocks, and no side longer than the root of eight times that (clause A.3.1).
    let mbs_wide = bits.ue_to(1054, "pic_width_in_mbs_minus1")? + 1;
    let map_units_high = bits.ue_to(1054, "pic_height_in_map_units_minus1")? + 1;
    let progressive = bits.flag()?;
    if !progressive {
        bits.skip(1)?; // mb_adaptive_frame_field_flag
    }
    bits.skip(1)?; // direct_8x8_inference_flag
    let fields = if progressive { 1 } else { 2 };
    let (mut width, mut height) = (mbs_wide * 16, map_units_high * 16 * fields);
    if bits.flag()? {
        let x_unit = if !separate && matches!(chroma, 1 | 2) { 2 } else { 1 };
        let y_unit = if !separate && chroma == 1 { 2 } else { 1 } * fields;
        let mut crop = || bits.ue_to(0xffff, "frame_crop_offset");
        let (left, right, top, bottom) = (crop()?, crop()?, crop()?, crop()?);
        width = shrink(width, (left + right) * x_unit, "frame_crop_right_offset")?;
        height = shrink(height, (top + bottom) * y_unit, "frame_crop_bottom_offset")?;
    }
    let vui = match bits.flag() {
        Ok(true) => vui(bits),
        _ => Vui::default(),
    };
    // Baseline has no B slices; the intra profiles with constraint_set3 reorder nothing (clause E.2.1, max_num_reorder_frames).
    let intra_only = constraints & 0x10 != 0 && matches!(profile, 44 | 86 | 100 | 110 | 122 | 244);
    let ordered = pic_order_cnt_type == 2 || profile == 66 || intra_only;
    let reorder = if ordered { Some(0) } else { vui.reorder };
    Ok(Sps {
        id,
        profile,
        constraints,
        level,
        chroma,
        luma_bits,
        chroma_bits,
        width,
        height,
        pic_order_cnt_type,
        progressive,
        fps: vui.fps,
        reorder,
    })
}

fn shrink(size: u32, by: u32, field: &'static str) -> Result<u32, Malformed> {
    size.checked_sub(by).filter(|rest| *rest > 0).ok_or(Malformed::Range { field, value: by.into() })
}

fn scaling_list(bits: &mut Bits<'_>, size: u32) -> Result<(), Malformed> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + i64::from(bits.se()?)).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

#[derive(Default)]
struct Vui {
    fps: Option<(u32, u32)>,
    reorder: Option<u32>,
}

/// Keeps what was read before the damage.
fn vui(mut bits: Bits<'_>) -> Vui {
    let mut found = Vui::default();
    let _ = read_vui(&mut bits, &mut found);
    found
}

fn read_vui(bits: &mut Bits<'_>, found: &mut Vui) -> Result<(), Malformed> {
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
            bits.skip(24)?; // colour_primaries, transfer_characteristics, matrix_coefficients
        }
    }
    if bits.flag()? {
        bits.ue()?; // chroma_sample_loc_type_top_field
        bits.ue()?; // chroma_sample_loc_type_bottom_field
    }
    if bits.flag()? {
        let (units, scale) = (bits.u(32)?, bits.u(32)?);
        bits.skip(1)?; // fixed_frame_rate_flag
        // a tick is a field's time (clause E.2.1)
        found.fps = units.checked_mul(2).and_then(|units| rate(scale, units));
    }
    let nal_hrd = bits.flag()?;
    if nal_hrd {
        hrd(bits)?;
    }
    let vcl_hrd = bits.flag()?;
    if vcl_hrd {
        hrd(bits)?;
    }
    if nal_hrd || vcl_hrd {
        bits.skip(1)?; // low_delay_hrd_flag
    }
    bits.skip(1)?; // pic_struct_present_flag
    if bits.flag()? {
        bits.skip(1)?; // motion_vectors_over_pic_boundaries_flag
        for _ in 0..4 {
            bits.ue()?; // max_bytes_per_pic_denom, max_bits_per_mb_denom, log2_max_mv_length_horizontal, …_vertical
        }
        found.reorder = Some(bits.ue_to(16, "max_num_reorder_frames")?);
    }
    Ok(())
}

fn hrd(bits: &mut Bits<'_>) -> Result<(), Malformed> {
    let count = bits.ue_to(31, "cpb_cnt_minus1")? + 1;
    bits.skip(8)?; // bit_rate_scale, cpb_size_scale
    for _ in 0..count {
        bits.ue()?;
        bits.ue()?;
        bits.skip(1)?;
    }
    bits.skip(20) // initial_cpb_removal_delay_length_minus1 … time_offset_length
}

/// `scale / units` frames a second, reduced; `None` if that is no frame rate of a real stream.
pub(in crate::media) fn rate(scale: u32, units: u32) -> Option<(u32, u32)> {
    if scale == 0 || units == 0 || u64::from(scale) > 1000 * u64::from(units) {
        return None;
    }
    let (mut a, mut b) = (scale, units);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    Some((scale / a, units / a))
}

/// `pic_parameter_set_id` and the `seq_parameter_set_id` that it refers to.
pub fn pps_ids(nal: &[u8]) -> Result<(u32, u32), Malformed> {
    if super::kind(nal) != 8 {
        return Err(Malformed::Not("H.264 PPS"));
    }
    let rbsp = unescape(&nal[1..], 64);
    let mut bits = Bits::new(&rbsp, "H.264 PPS");
    Ok((bits.ue_to(255, "pic_parameter_set_id")?, bits.ue_to(31, "seq_parameter_set_id")?))
}
