//! What a viewer gets: the stream's codecs against those that its offer takes.

use super::hub::{Refused, Status};
use crate::media::frame::Kind;
use crate::media::track::{AudioCodec, Tracks, VideoCodec};
use crate::proto::webrtc::{Coding, Offer};
use crate::stream::Unit;
use std::sync::Arc;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// Pictures, as they are.
    pub video: Option<Coding>,
    /// Sound.
    pub sound: Sound,
}

/// Where the sound comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sound {
    /// The offer takes none that there is or could be.
    None,
    /// The stream has none yet: any that comes and fits.
    Open,
    /// The stream's own.
    Own(Coding),
    /// Opus that is made of the stream's own.
    Made,
}

/// Matches a stream with an offer; the refusal names what does not fit.
pub(super) fn choose(tracks: &Tracks, offer: &Offer) -> Result<Choice, Refused> {
    let refuse = |why: String| Err(Refused::new(Status::NotAcceptable, why));
    let takes = |list: &Option<Vec<Coding>>, coding| list.as_ref().is_some_and(|list| list.contains(&coding));
    let video = match tracks.video.as_ref().map(|video| &video.codec) {
        None => None,
        Some(_) if offer.video.is_none() => None,
        Some(VideoCodec::H264 { .. }) => Some(Coding::H264),
        Some(VideoCodec::H265 { .. }) => Some(Coding::H265),
        Some(other) => {
            return refuse(format!("the stream's pictures are {}, and WebRTC carries H.264 and H.265 here: play it by FLV", other.name()));
        }
    };
    if let Some(coding) = video.filter(|coding| !takes(&offer.video, *coding)) {
        return refuse(format!(
            "the stream's pictures are {}, which the offer does not take: play it by FLV or HLS, with another browser, or play {{stream}}_{{rule}} of a transcode template",
            coding.name()
        ));
    }
    let opus = takes(&offer.audio, Coding::Opus);
    let sound = match tracks.audio.as_ref().map(|audio| own(&audio.codec)) {
        _ if offer.audio.is_none() => Sound::None,
        None => Sound::Open,
        Some(Some(coding)) if takes(&offer.audio, coding) => Sound::Own(coding),
        Some(_) if opus => Sound::Made,
        Some(_) => Sound::None,
    };
    if video.is_none() && matches!(sound, Sound::None) {
        return refuse("nothing of the stream fits the offer".to_owned());
    }
    Ok(Choice { video, sound })
}

/// The coding that carries a codec as it is.
pub(super) fn own(codec: &AudioCodec) -> Option<Coding> {
    match codec {
        AudioCodec::Opus { .. } => Some(Coding::Opus),
        AudioCodec::G711A => Some(Coding::Pcma),
        AudioCodec::G711U => Some(Coding::Pcmu),
        _ => None,
    }
}

/// Whether pictures come in another order than they are shown in, which WebRTC players cannot undo.
pub(super) fn is_reordered(units: &[Arc<Unit>]) -> bool {
    let mut shown = None;
    units.iter().filter(|unit| unit.frame.kind == Kind::Video).any(|unit| {
        let before = shown.is_some_and(|latest| unit.frame.pts < latest);
        shown = shown.max(Some(unit.frame.pts));
        before
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::track::{AudioTrack, VideoTrack};

    fn tracks(video: Option<VideoCodec>, audio: Option<AudioCodec>) -> Tracks {
        Tracks {
            video: video.map(|codec| Arc::new(VideoTrack { codec, width: 0, height: 0, fps: None, reorder: None })),
            audio: audio.map(|codec| Arc::new(AudioTrack { codec, sample_rate: 8_000, channels: 1 })),
        }
    }

    #[test]
    fn codecs_pass_or_are_made_or_refused() {
        let h264 = || Some(VideoCodec::H264 { sps: vec![], pps: vec![] });
        let h265 = || Some(VideoCodec::H265 { vps: vec![], sps: vec![], pps: vec![] });
        let aac = || Some(AudioCodec::Aac { config: Default::default() });
        let offer = Offer { video: Some(vec![Coding::H264]), audio: Some(vec![Coding::Opus, Coding::Pcma]) };
        let chosen = |video, audio| choose(&tracks(video, audio), &offer).map(|choice| (choice.video, choice.sound)).ok();
        assert_eq!(chosen(h264(), Some(AudioCodec::G711A)), Some((Some(Coding::H264), Sound::Own(Coding::Pcma))));
        assert_eq!(chosen(h264(), Some(AudioCodec::G711U)), Some((Some(Coding::H264), Sound::Made)));
        assert_eq!(chosen(h264(), aac()), Some((Some(Coding::H264), Sound::Made)));
        assert_eq!(chosen(h264(), None), Some((Some(Coding::H264), Sound::Open)));
        assert_eq!(chosen(h265(), aac()), None);
        let refused = choose(&tracks(h265(), None), &offer).unwrap_err();
        assert!(refused.status == Status::NotAcceptable && refused.why.contains("H.265"), "{refused:?}");
        let silent = Offer { audio: None, ..offer.clone() };
        assert_eq!(choose(&tracks(h264(), aac()), &silent).map(|c| c.sound), Ok(Sound::None));
        assert!(choose(&tracks(None, aac()), &silent).is_err());
    }
}
