//! The pieces of a video access unit in Annex B form: delimiter, parameter sets before key frames, then the NAL units.

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
    for nal in units(data) {
        put(START);
        put(nal);
    }
}

/// The NAL units of a frame whose units stand behind their lengths; ends at a length that points past the end.
pub fn units(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        loop {
            let (len, rest) = data.split_first_chunk::<4>()?;
            let (nal, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
            data = rest;
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    })
}
