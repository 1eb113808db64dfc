//! From parameter sets to a track, and the `avcC` record (ISO/IEC 14496-15 clause 5.3.3.1).

use super::sps::{Sps, parse_sps};
use crate::base::bytes::Reader;
use crate::media::malformed::Malformed;
use crate::media::track::{VideoCodec, VideoTrack};
use bytes::{BufMut, Bytes, BytesMut};

/// A track from its parameter sets (NAL units without start code or length). The first sequence parameter set describes it.
pub fn track_from_sets(sps: Vec<Bytes>, pps: Vec<Bytes>) -> Result<VideoTrack, Malformed> {
    let first = parse_sps(sps.first().ok_or(Malformed::Missing("H.264 SPS"))?)?;
    if pps.is_empty() {
        return Err(Malformed::Missing("H.264 PPS"));
    }
    let Sps { width, height, fps, reorder, .. } = first;
    Ok(VideoTrack { codec: VideoCodec::H264 { sps, pps }, width, height, fps, reorder })
}

/// What an `avcC` record says.
#[derive(Debug, Clone, PartialEq)]
pub struct Avcc {
    /// The track.
    pub track: VideoTrack,
    /// Bytes of a NAL unit's length in the samples: 1 to 4.
    pub length_size: usize,
}

/// Reads an `avcC` record; what may stand behind the picture parameter sets is left out.
pub fn parse_avcc(record: &[u8]) -> Result<Avcc, Malformed> {
    const SHORT: Malformed = Malformed::Short("avcC");
    let mut reader = Reader::new(record);
    let version = reader.u8().ok_or(SHORT)?;
    if version != 1 {
        return Err(Malformed::Range { field: "configurationVersion", value: version.into() });
    }
    reader.take(3).ok_or(SHORT)?;
    let length_size = usize::from(reader.u8().ok_or(SHORT)? & 3) + 1;
    let mut lists = [Vec::new(), Vec::new()];
    for (list, mask) in lists.iter_mut().zip([0x1f, 0xff]) {
        for _ in 0..reader.u8().ok_or(SHORT)? & mask {
            let length = reader.u16().ok_or(SHORT)?;
            let set = reader.take(length.into()).ok_or(SHORT)?;
            if !set.is_empty() {
                list.push(Bytes::copy_from_slice(set));
            }
        }
    }
    let [sps, pps] = lists;
    Ok(Avcc { track: track_from_sets(sps, pps)?, length_size })
}

/// Writes the `avcC` record of an H.264 track, with lengths of 4 bytes; `None` for another codec or sets that it cannot carry.
pub fn build_avcc(track: &VideoTrack) -> Option<Bytes> {
    let VideoCodec::H264 { sps, pps } = &track.codec else { return None };
    let first = parse_sps(sps.first()?).ok()?;
    let size = |list: &[Bytes]| list.iter().map(|set| set.len() + 2).sum::<usize>();
    let mut out = BytesMut::with_capacity(11 + size(sps) + size(pps));
    out.put_slice(&[1, first.profile, first.constraints, first.level, 0xfc | 3]);
    for (list, flags, max) in [(sps, 0xe0, 31), (pps, 0, 255)] {
        out.put_u8(flags | u8::try_from(list.len()).ok().filter(|n| *n <= max)?);
        for set in list {
            out.put_u16(u16::try_from(set.len()).ok()?);
            out.put_slice(set);
        }
    }
    if !matches!(first.profile, 66 | 77 | 88) {
        out.put_slice(&[0xfc | first.chroma, 0xf8 | (first.luma_bits - 8), 0xf8 | (first.chroma_bits - 8), 0]);
    }
    Some(out.freeze())
}

/// The codec's name in playlists and MIME types (RFC 6381), such as `avc1.64001f`.
pub fn codec_string(sps: &[u8]) -> Option<String> {
    match sps {
        [_, profile, constraints, level, ..] => Some(format!("avc1.{profile:02x}{constraints:02x}{level:02x}")),
        _ => None,
    }
}
