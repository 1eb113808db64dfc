//! The pieces of a video access unit in Annex B form: delimiter, parameter sets before key frames, then the NAL units.

use crate::media::nal::{self, Family, Role};
use crate::media::track::VideoCodec;

/// A start code with the zero byte that ISO/IEC 14496-10 §B.1.2 asks for before the first and the parameter set NAL units.
const START: &[u8] = &[0, 0, 0, 1];
/// Access unit delimiter of H.264: any slice type may follow.
const AUD_H264: &[u8] = &[0, 0, 0, 1, 0x09, 0xf0];
/// Access unit delimiter of H.265: any slice type may follow.
const AUD_H265: &[u8] = &[0, 0, 0, 1, 0x46, 0x01, 0x50];

/// Hands every piece of the access unit to `put`, in order; pieces may lie anywhere in memory.
pub fn pieces<'a>(codec: &'a VideoCodec, key: bool, data: &'a [u8], mut put: impl FnMut(&'a [u8])) {
    let sets: [&[bytes::Bytes]; 3] = match codec {
        VideoCodec::H264 { sps, pps } => {
            put(AUD_H264);
            [&[], sps, pps]
        }
        VideoCodec::H265 { vps, sps, pps } => {
            put(AUD_H265);
            [vps, sps, pps]
        }
        _ => return,
    };
    if key {
        for set in sets.into_iter().flatten() {
            put(START);
            put(set);
        }
    }
    // A source with length prefixes may have left delimiters and sets where they were: they went out above already.
    for nal in nal::units(data).filter(|nal| !told(codec, key, nal)) {
        put(START);
        put(nal);
    }
}

/// Whether the unit is a delimiter, or a parameter set of a key frame (the track holds the newest ones).
fn told(codec: &VideoCodec, key: bool, nal: &[u8]) -> bool {
    let family = match codec {
        VideoCodec::H264 { .. } => Family::H264,
        VideoCodec::H265 { .. } => Family::H265,
        _ => return false,
    };
    match family.role(nal) {
        Role::Delimiter => true,
        Role::Vps | Role::Sps | Role::Pps => key,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn sets_and_delimiters_in_the_band_are_not_doubled() {
        let (sps, pps, idr): (&[u8], &[u8], &[u8]) = (&[0x67, 1, 2], &[0x68, 3], &[0x65, 4]);
        let codec = VideoCodec::H264 { sps: vec![Bytes::from_static(sps)], pps: vec![Bytes::from_static(pps)] };
        let data: Vec<u8> =
            [&[9, 0xf0][..], sps, pps, idr].iter().flat_map(|n| [&(n.len() as u32).to_be_bytes()[..], n].concat()).collect();
        let mut out = Vec::new();
        pieces(&codec, true, &data, |piece| out.extend_from_slice(piece));
        assert_eq!(out, [AUD_H264, START, sps, START, pps, START, idr].concat());
    }
}
