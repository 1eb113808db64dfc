//! Script data: `onMetaData`, written from tracks and read where a track says too little of itself.

use crate::base::amf0::{self, Value};
use crate::media::track::{AudioCodec, Tracks, VideoCodec};
use bytes::Bytes;

/// What a sender's metadata say, as far as anything depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Metadata {
    /// Width of the picture.
    pub width: u32,
    /// Height of the picture.
    pub height: u32,
    /// Frames a second; 0 where it is not said.
    pub fps: f64,
}

/// Reads script data: `onMetaData`, behind `@setDataFrame` or not. `None` for anything else.
pub fn parse(body: &[u8]) -> Option<Metadata> {
    let mut values = amf0::Decoder::new(body);
    let mut name = values.value().ok()??;
    if name.as_str() == Some("@setDataFrame") {
        name = values.value().ok()??;
    }
    if name.as_str() != Some("onMetaData") {
        return None;
    }
    let data = values.value().ok()??;
    let number = |name| data.get(name).and_then(Value::as_f64).filter(|n| n.is_finite() && *n >= 0.0).unwrap_or(0.0);
    Some(Metadata { width: number("width") as u32, height: number("height") as u32, fps: number("framerate") })
}

/// The `onMetaData` of a live stream with these tracks. Codecs are named as Enhanced RTMP does where FLV has no number for them.
pub fn build(tracks: &Tracks, hevc: super::Hevc) -> Bytes {
    let mut members: Vec<(String, Value)> = Vec::new();
    let mut put = |name: &str, value: Value| members.push((name.to_owned(), value));
    if let Some(video) = &tracks.video {
        if video.width != 0 && video.height != 0 {
            put("width", Value::Number(video.width.into()));
            put("height", Value::Number(video.height.into()));
        }
        if let Some((n, d)) = video.fps.filter(|(_, d)| *d != 0) {
            put("framerate", Value::Number(f64::from(n) / f64::from(d)));
        }
        let fourcc = |text: [u8; 4]| Value::Number(u32::from_be_bytes(text).into());
        let id = match (&video.codec, hevc) {
            (VideoCodec::H264 { .. }, _) => Value::Number(7.0),
            (VideoCodec::H265 { .. }, super::Hevc::Legacy) => Value::Number(12.0),
            (VideoCodec::H265 { .. }, super::Hevc::Enhanced) => fourcc(super::video::HVC1),
            (VideoCodec::Av1 { .. }, _) => fourcc(super::video::AV01),
            (VideoCodec::Vp9 { .. }, _) => fourcc(super::video::VP09),
        };
        put("videocodecid", id);
    }
    if let Some(audio) = &tracks.audio {
        let id = match &audio.codec {
            AudioCodec::Aac { .. } => f64::from(super::audio::AAC),
            AudioCodec::Mp3 => f64::from(super::audio::MP3),
            AudioCodec::G711A => f64::from(super::audio::G711A),
            AudioCodec::G711U => f64::from(super::audio::G711U),
            AudioCodec::Opus { .. } => f64::from(u32::from_be_bytes(super::audio::FOURCC_OPUS)),
        };
        put("audiocodecid", Value::Number(id));
        put("audiosamplerate", Value::Number(audio.sample_rate.into()));
        put("audiosamplesize", Value::Number(16.0));
        put("audiochannels", Value::Number(audio.channels.into()));
        put("stereo", Value::Boolean(audio.channels > 1));
    }
    put("encoder", Value::text("Weir"));
    amf0::encode(&[Value::text("onMetaData"), Value::Map(members)]).freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::track::{AudioTrack, VideoTrack};
    use std::sync::Arc;

    #[test]
    fn what_is_built_reads_back() {
        let video = VideoTrack {
            codec: VideoCodec::Av1 { config: Bytes::new() },
            width: 1920,
            height: 1080,
            fps: Some((30000, 1001)),
            reorder: None,
        };
        let audio = AudioTrack { codec: AudioCodec::G711A, sample_rate: 8000, channels: 1 };
        let tracks = Tracks { video: Some(Arc::new(video)), audio: Some(Arc::new(audio)) };
        let data = build(&tracks, super::super::Hevc::Enhanced);
        assert_eq!(parse(&data), Some(Metadata { width: 1920, height: 1080, fps: 30000.0 / 1001.0 }));
        let set = [&amf0::encode(&[Value::text("@setDataFrame")])[..], &data].concat();
        assert_eq!(parse(&set), parse(&data));
        assert_eq!(amf0::decode(&data).unwrap()[1].get("audiocodecid"), Some(&Value::Number(7.0)));
    }

    #[test]
    fn hostile_metadata_is_nothing() {
        let alone = amf0::encode(&[Value::text("@setDataFrame")]);
        assert_eq!(parse(&alone), None);
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&amf0::encode(&[Value::text("onMetaData")])), None);
        let odd = amf0::encode(&[
            Value::text("onMetaData"),
            Value::object([("width", Value::Number(f64::NAN)), ("height", Value::Number(-5.0))]),
        ]);
        assert_eq!(parse(&odd), Some(Metadata::default()));
    }
}
