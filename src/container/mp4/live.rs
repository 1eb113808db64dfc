//! One frame, one fragment: for players of live streams that cannot wait for the next frame to learn how long this one lasts.

use super::fragment::{NOT_SYNC, SYNC};
use super::{AUDIO, HZ, VIDEO, entry};
use crate::media::frame::{Frame, Kind};
use crate::media::opus;
use crate::media::track::{AudioCodec, AudioTrack, Tracks};
use bytes::Bytes;
use shiguredo_mp4::Encode;
use shiguredo_mp4::boxes::{MfhdBox, MoofBox, TfdtBox, TfhdBox, TrafBox, TrunBox, TrunSample};

/// Samples of an AAC frame.
const AAC_FRAME: u32 = 1_024;
/// Samples of an MP3 frame.
const MP3_FRAME: u32 = 1_152;

/// The part of `tracks` that players in browsers take: pictures, and sound but G.711.
pub fn played(tracks: &Tracks) -> Tracks {
    let mut played = super::carried(tracks);
    played.audio = played.audio.filter(|audio| !matches!(audio.codec, AudioCodec::G711A | AudioCodec::G711U));
    played
}

/// The fragment of one frame, with its decoding time; `None` if the format does not carry it. How long it lasts is told by the
/// codec, or guessed from the declared rate: the time of the next frame corrects it.
pub fn fragment(number: u32, frame: &Frame, tracks: &Tracks) -> Option<Bytes> {
    let (id, hz, duration) = match frame.kind {
        Kind::Video => {
            let track = tracks.video.as_deref().filter(|track| entry::video(track).is_some())?;
            let (frames, seconds) = track.fps.filter(|(frames, _)| *frames > 0).unwrap_or((25, 1));
            (VIDEO, HZ, u32::try_from(u64::from(HZ) * u64::from(seconds) / u64::from(frames)).ok()?)
        }
        Kind::Audio => {
            let track = tracks.audio.as_deref()?;
            let (_, hz) = entry::audio(track)?;
            (AUDIO, hz, length(track, &frame.data, hz))
        }
    };
    let video = id == VIDEO;
    let dts = frame.dts.to_ticks(hz);
    let sample = TrunSample {
        duration: Some(duration.max(1)),
        size: Some(u32::try_from(frame.data.len()).ok()?),
        flags: Some(if frame.key { SYNC } else { NOT_SYNC }),
        composition_time_offset: video.then(|| frame.pts.to_ticks(hz).saturating_sub(dts).clamp(0, i32::MAX.into())),
    };
    let tfhd_box = TfhdBox {
        track_id: id,
        base_data_offset: None,
        sample_description_index: None,
        default_sample_duration: None,
        default_sample_size: None,
        default_sample_flags: None,
        duration_is_empty: false,
        default_base_is_moof: true,
    };
    let traf = TrafBox {
        tfhd_box,
        tfdt_box: Some(TfdtBox { version: 1, base_media_decode_time: u64::try_from(dts).unwrap_or(0) }),
        trun_boxes: vec![TrunBox { data_offset: Some(0), first_sample_flags: None, samples: vec![sample] }],
        unknown_boxes: Vec::new(),
    };
    let mut moof = MoofBox { mfhd_box: MfhdBox { sequence_number: number }, traf_boxes: vec![traf], unknown_boxes: Vec::new() };
    let base = moof.encode_to_vec().ok()?.len() + 8;
    moof.traf_boxes.iter_mut().flat_map(|traf| &mut traf.trun_boxes).for_each(|run| run.data_offset = i32::try_from(base).ok());
    let mut out = moof.encode_to_vec().ok()?;
    out.reserve_exact(8 + frame.data.len());
    out.extend(u32::try_from(frame.data.len() + 8).ok()?.to_be_bytes());
    out.extend(b"mdat");
    out.extend_from_slice(&frame.data);
    Some(out.into())
}

/// How long a packet of sound lasts, in ticks.
fn length(track: &AudioTrack, data: &[u8], hz: u32) -> u32 {
    match &track.codec {
        AudioCodec::Aac { .. } => AAC_FRAME,
        AudioCodec::Mp3 => MP3_FRAME,
        AudioCodec::Opus { .. } => opus::duration(data).map_or(hz / 50, |length| length.to_ticks(hz) as u32),
        // One byte is one sample.
        _ => data.len() as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::time::Timestamp;
    use crate::media::track::VideoTrack;
    use std::sync::Arc;

    #[test]
    fn a_frame_is_a_fragment_and_g711_is_left_out() {
        let audio = |codec| Tracks {
            video: None::<Arc<VideoTrack>>,
            audio: Some(Arc::new(AudioTrack { codec, sample_rate: 48_000, channels: 2 })),
        };
        let time = Timestamp::from_millis(2_000);
        let frame = Frame { kind: Kind::Audio, dts: time, pts: time, key: true, data: Bytes::from_static(&[0xfc, 1, 2, 3]) };
        let tracks = audio(AudioCodec::Opus { head: None });
        assert!(played(&tracks).audio.is_some() && played(&audio(AudioCodec::G711A)).audio.is_none());
        let bytes = fragment(9, &frame, &tracks).unwrap();
        assert_eq!((&bytes[4..8], &bytes[bytes.len() - 8..]), (&b"moof"[..], &[b"mdat"[..].to_vec(), vec![0xfc, 1, 2, 3]].concat()[..]));
        // tfdt, version 1: 2 s of 48 kHz.
        let at = bytes.windows(4).position(|part| part == b"tfdt").unwrap();
        assert_eq!(bytes[at + 8..at + 16], 96_000u64.to_be_bytes());
        assert_eq!(fragment(9, &Frame { kind: Kind::Video, ..frame }, &tracks), None);
    }
}
