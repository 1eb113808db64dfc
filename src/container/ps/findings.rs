//! What a demuxer found out about a device's stream: counters, and sentences for the call doctor.

use super::kind::{AudioKind, Kind, VideoKind};
use serde::Serialize;

/// Counts since the stream began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Findings {
    /// Frames of video that were given.
    pub video_frames: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Frames of audio that were given.
    pub audio_frames: u64,
    /// Frames with missing packets, dropped or kept.
    pub damaged: u64,
    /// Frames that were dropped because they, or what they refer to, are damaged.
    pub dropped: u64,
    /// Frames beyond the size limit.
    pub too_large: u64,
    /// Frames before the parameter sets.
    pub before_sets: u64,
    /// Parameter sets that make no sense.
    pub broken_sets: u64,
    /// Packs.
    pub packs: u64,
    /// Pack headers that are not as the standard has them.
    pub odd_packs: u64,
    /// System headers.
    pub system_headers: u64,
    /// Program stream maps.
    pub maps: u64,
    /// Maps whose lengths contradict each other.
    pub odd_maps: u64,
    /// PES headers that break a rule.
    pub odd_pes: u64,
    /// Video PES packets without length.
    pub lengthless: u64,
    /// PES packets that were over before their declared length.
    pub cut: u64,
    /// PES packets that went on behind their declared length.
    pub overrun: u64,
    /// Packets of private and other streams.
    pub skipped: u64,
    /// Start codes that began nothing.
    pub junk: u64,
    /// Video frames without time stamp.
    pub stampless: u64,
    /// Markers in the middle of a frame.
    pub stray_markers: u64,
    /// The time stamps stand still, so that the RTP timestamps are taken.
    pub stamps_stuck: bool,
    /// Stream type of the pictures in the map.
    pub video_declared: Option<u8>,
    /// Stream type of the sound in the map.
    pub audio_declared: Option<u8>,
    /// The codec that the pictures really have.
    #[serde(serialize_with = "video_name")]
    pub video: Option<VideoKind>,
    /// The codec that the sound really has.
    #[serde(serialize_with = "audio_name")]
    pub audio: Option<AudioKind>,
    /// Pictures of a codec that is not supported came.
    pub video_refused: bool,
    /// Sound of a codec that is not supported came.
    pub audio_refused: bool,
}

fn video_name<S: serde::Serializer>(kind: &Option<VideoKind>, s: S) -> Result<S::Ok, S::Error> {
    kind.map(VideoKind::name).serialize(s)
}

fn audio_name<S: serde::Serializer>(kind: &Option<AudioKind>, s: S) -> Result<S::Ok, S::Error> {
    kind.map(AudioKind::name).serialize(s)
}

impl Findings {
    /// What an operator should know, a sentence each; empty for a stream as the standard has it.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut note = |yes: bool, text: String| {
            if yes {
                notes.push(text);
            }
        };
        let begun = self.packs > 0 || self.video_frames > 0 || self.audio_frames > 0;
        let declared = |stream_type: Option<u8>| stream_type.and_then(Kind::of);
        if let Some(video) = self.video {
            let refused = "which is not supported: set the camera to H.264 or H.265";
            note(self.video_refused, format!("the pictures are {}, {refused}", video.name()));
            let lie = declared(self.video_declared).is_some_and(|d| d != Kind::Video(video));
            note(lie, format!("the map declares stream type {:#04x}, the pictures are {}", self.video_declared.unwrap_or(0), video.name()));
        }
        if let Some(audio) = self.audio {
            note(self.audio_refused, format!("the sound is {}, which is not supported and left out", audio.name()));
            let lie = declared(self.audio_declared).is_some_and(|d| d != Kind::Audio(audio));
            note(lie, format!("the map declares stream type {:#04x}, the sound is {}", self.audio_declared.unwrap_or(0), audio.name()));
        }
        note(begun && self.maps == 0, "no program stream map: codecs are found by looking".to_owned());
        note(begun && self.system_headers == 0, "no system header".to_owned());
        note(self.before_sets > 0 && self.video_frames == 0, "no parameter sets so far: waiting for a key frame".to_owned());
        note(self.broken_sets > 0, format!("{} parameter sets make no sense", self.broken_sets));
        note(self.stamps_stuck, "the time stamps stand still: RTP timestamps are taken".to_owned());
        note(self.damaged > 0, format!("{} frames had missing packets", self.damaged));
        note(self.too_large > 0, format!("{} frames were larger than the limit", self.too_large));
        for (count, what) in [
            (self.odd_packs, "pack headers are malformed"),
            (self.odd_maps, "program stream maps have wrong lengths"),
            (self.odd_pes, "PES headers are malformed"),
            (self.cut, "PES packets are shorter than they declare"),
            (self.overrun, "PES packets are longer than they declare"),
            (self.stray_markers, "RTP markers stand in the middle of a frame"),
        ] {
            note(count > 0, format!("{count} {what}"));
        }
        notes
    }
}
