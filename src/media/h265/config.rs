//! From parameter sets to a track, and the `hvcC` record (ISO/IEC 14496-15 clause 8.3.3.1).

use super::sps::{Sps, parse_sps};
use super::vps::parse_vps;
use crate::base::bytes::Reader;
use crate::media::malformed::Malformed;
use crate::media::track::{VideoCodec, VideoTrack};
use bytes::{BufMut, Bytes, BytesMut};

/// A track from its parameter sets (NAL units without start code or length). The first sequence parameter set describes it.
pub fn track_from_sets(vps: Vec<Bytes>, sps: Vec<Bytes>, pps: Vec<Bytes>) -> Result<VideoTrack, Malformed> {
    let Sps { width, height, fps, reorder, .. } = parse_sps(sps.first().ok_or(Malformed::Missing("H.265 SPS"))?)?;
    let first_vps = parse_vps(vps.first().ok_or(Malformed::Missing("H.265 VPS"))?)?;
    if pps.is_empty() {
        return Err(Malformed::Missing("H.265 PPS"));
    }
    let fps = fps.or(first_vps.fps);
    Ok(VideoTrack { codec: VideoCodec::H265 { vps, sps, pps }, width, height, fps, reorder: Some(reorder) })
}

/// What an `hvcC` record says.
#[derive(Debug, Clone, PartialEq)]
pub struct Hvcc {
    /// The track.
    pub track: VideoTrack,
    /// Bytes of a NAL unit's length in the samples: 1 to 4.
    pub length_size: usize,
}

/// Reads an `hvcC` record; arrays of other units (SEI) are left out.
pub fn parse_hvcc(record: &[u8]) -> Result<Hvcc, Malformed> {
    const SHORT: Malformed = Malformed::Short("hvcC");
    let mut reader = Reader::new(record);
    let version = reader.u8().ok_or(SHORT)?;
    if version > 1 {
        // 0 was written by encoders that followed drafts
        return Err(Malformed::Range { field: "configurationVersion", value: version.into() });
    }
    reader.take(20).ok_or(SHORT)?; // everything that the sets say too
    let length_size = usize::from(reader.u8().ok_or(SHORT)? & 3) + 1;
    let (mut vps, mut sps, mut pps) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..reader.u8().ok_or(SHORT)? {
        let kind = reader.u8().ok_or(SHORT)? & 0x3f;
        for _ in 0..reader.u16().ok_or(SHORT)? {
            let length = reader.u16().ok_or(SHORT)?;
            let set = reader.take(length.into()).ok_or(SHORT)?;
            let list = match kind {
                32 => &mut vps,
                33 => &mut sps,
                34 => &mut pps,
                _ => continue,
            };
            if !set.is_empty() && list.len() < crate::media::nal::Sets::MAX {
                list.push(Bytes::copy_from_slice(set));
            }
        }
    }
    Ok(Hvcc { track: track_from_sets(vps, sps, pps)?, length_size })
}

/// Writes the `hvcC` record of an H.265 track, with lengths of 4 bytes and complete arrays (as `hvc1` wants them);
/// `None` for another codec or sets that it cannot carry.
pub fn build_hvcc(track: &VideoTrack) -> Option<Bytes> {
    let VideoCodec::H265 { vps, sps, pps } = &track.codec else { return None };
    let first = parse_sps(sps.first()?).ok()?;
    let profile = first.profile;
    let arrays = [(32, vps), (33, sps), (34, pps)];
    let size: usize = arrays.iter().flat_map(|(_, list)| list.iter()).map(|set| set.len() + 2).sum();
    let mut out = BytesMut::with_capacity(23 + 9 + size);
    out.put_u8(1);
    out.put_u8(profile.space << 6 | u8::from(profile.high_tier) << 5 | profile.profile);
    out.put_u32(profile.compatibility);
    out.put_slice(&profile.constraints);
    out.put_u8(profile.level);
    out.put_u16(0xf000); // min_spatial_segmentation_idc: not known
    out.put_u8(0xfc); // parallelismType: not known
    out.put_u8(0xfc | first.chroma);
    out.put_u8(0xf8 | (first.luma_bits - 8).min(7));
    out.put_u8(0xf8 | (first.chroma_bits - 8).min(7));
    out.put_u16(0); // avgFrameRate: not known
    out.put_u8(first.sub_layers << 3 | u8::from(first.nesting) << 2 | 3);
    out.put_u8(arrays.len() as u8);
    for (kind, list) in arrays {
        out.put_u8(0x80 | kind);
        out.put_u16(u16::try_from(list.len()).ok()?);
        for set in list {
            out.put_u16(u16::try_from(set.len()).ok()?);
            out.put_slice(set);
        }
    }
    Some(out.freeze())
}

/// The codec's name in playlists and MIME types (RFC 6381 as ISO/IEC 14496-15 annex E spells it), such as `hvc1.1.6.L93.B0`.
pub fn codec_string(sps: &[u8]) -> Option<String> {
    let profile = parse_sps(sps).ok()?.profile;
    let space = ["", "A", "B", "C"][usize::from(profile.space & 3)];
    let tier = if profile.high_tier { 'H' } else { 'L' };
    let mut text = format!("hvc1.{space}{}.{:X}.{tier}{}", profile.profile, profile.compatibility.reverse_bits(), profile.level);
    let used = profile.constraints.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    for byte in &profile.constraints[..used] {
        text.push_str(&format!(".{byte:X}"));
    }
    Some(text)
}
