//! Frames to tag bodies and tags. The head of a body is apart from the coded bytes, so that these are copied once, into the wire form.

use super::{audio, script, tag, video};
use crate::media::frame::{Frame, Kind};
use crate::media::track::{AudioCodec, AudioTrack, Tracks, VideoCodec, VideoTrack};
use crate::media::{h264, h265, opus};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// How H.265 is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hevc {
    /// As Enhanced RTMP has it: FourCC `hvc1`. Browser players, ffmpeg since 6.1, OBS.
    #[default]
    Enhanced,
    /// Codec id 12: older Chinese players.
    Legacy,
}

/// The head of a tag body; the coded bytes follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; 8],
    length: u8,
}

impl Head {
    fn new(parts: &[&[u8]]) -> Head {
        let mut head = Head { bytes: [0; 8], length: 0 };
        for byte in parts.iter().copied().flatten() {
            head.bytes[usize::from(head.length)] = *byte;
            head.length += 1;
        }
        head
    }
}

impl std::ops::Deref for Head {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The head of a frame's body; `None` if the tracks do not hold its track.
pub fn head(frame: &Frame, tracks: &Tracks, hevc: Hevc) -> Option<Head> {
    match frame.kind {
        Kind::Video => Some(video_head(frame, tracks.video.as_deref()?, hevc)),
        Kind::Audio => Some(audio_head(frame, tracks.audio.as_deref()?)),
    }
}

fn video_head(frame: &Frame, track: &VideoTrack, hevc: Hevc) -> Head {
    let frame_type = if frame.key { 1 } else { 2 };
    let offset = (frame.pts.as_millis() - frame.dts.as_millis()).clamp(-0x80_0000, 0x7f_ffff) as i32;
    let time = &offset.to_be_bytes()[1..];
    let legacy = |id: u8| Head::new(&[&[frame_type << 4 | id, video::CODED_FRAMES], time]);
    let enhanced = |packet: u8, fourcc: [u8; 4]| Head::new(&[&[0x80 | frame_type << 4 | packet], &fourcc]);
    match (&track.codec, hevc) {
        (VideoCodec::H264 { .. }, _) => legacy(7),
        (VideoCodec::H265 { .. }, Hevc::Legacy) => legacy(12),
        (VideoCodec::H265 { .. }, Hevc::Enhanced) if offset == 0 => enhanced(video::CODED_FRAMES_X, video::HVC1),
        (VideoCodec::H265 { .. }, Hevc::Enhanced) => Head::new(&[&[0x80 | frame_type << 4 | video::CODED_FRAMES], &video::HVC1, time]),
        (VideoCodec::Av1 { .. }, _) => enhanced(video::CODED_FRAMES, video::AV01),
        (VideoCodec::Vp9 { .. }, _) => enhanced(video::CODED_FRAMES, video::VP09),
    }
}

fn audio_head(frame: &Frame, track: &AudioTrack) -> Head {
    debug_assert_eq!(frame.kind, Kind::Audio);
    match &track.codec {
        // The rate and channel bits say 44.1 kHz stereo whatever it is (annex E.4.2.1).
        AudioCodec::Aac { .. } => Head::new(&[&[audio::AAC << 4 | 0x0f, 1]]),
        AudioCodec::Opus { .. } => Head::new(&[&[audio::ENHANCED << 4 | audio::CODED_FRAMES], &audio::FOURCC_OPUS]),
        AudioCodec::G711A => Head::new(&[&[audio::G711A << 4 | 2 | u8::from(track.channels > 1)]]),
        AudioCodec::G711U => Head::new(&[&[audio::G711U << 4 | 2 | u8::from(track.channels > 1)]]),
        AudioCodec::Mp3 => {
            let (format, rate) = match track.sample_rate {
                8_000 => (audio::MP3_8K, 0),
                11_025 | 12_000 => (audio::MP3, 1),
                16_000..=24_000 => (audio::MP3, 2),
                _ => (audio::MP3, 3),
            };
            Head::new(&[&[format << 4 | rate << 2 | 2 | u8::from(track.channels > 1)]])
        }
    }
}

/// The body that announces a track of this kind: its sequence header. `None` where there is no such track or it needs none.
pub fn sequence_header(kind: Kind, tracks: &Tracks, hevc: Hevc) -> Option<Bytes> {
    match kind {
        Kind::Video => video_header(tracks.video.as_deref()?, hevc),
        Kind::Audio => audio_header(tracks.audio.as_deref()?),
    }
}

fn video_header(track: &VideoTrack, hevc: Hevc) -> Option<Bytes> {
    const KEY: u8 = 0x10;
    let enhanced = |fourcc: [u8; 4]| Head::new(&[&[0x80 | KEY | video::SEQUENCE_HEADER], &fourcc]);
    let legacy = |id: u8| Head::new(&[&[KEY | id, video::SEQUENCE_HEADER, 0, 0, 0]]);
    let (head, record) = match (&track.codec, hevc) {
        (VideoCodec::H264 { .. }, _) => (legacy(7), h264::build_avcc(track)?),
        (VideoCodec::H265 { .. }, Hevc::Legacy) => (legacy(12), h265::build_hvcc(track)?),
        (VideoCodec::H265 { .. }, Hevc::Enhanced) => (enhanced(video::HVC1), h265::build_hvcc(track)?),
        (VideoCodec::Av1 { config }, _) => (enhanced(video::AV01), config.clone()),
        (VideoCodec::Vp9 { config }, _) => (enhanced(video::VP09), config.clone()),
    };
    Some([&head[..], &record].concat().into())
}

fn audio_header(track: &AudioTrack) -> Option<Bytes> {
    match &track.codec {
        AudioCodec::Aac { config } => Some([&[audio::AAC << 4 | 0x0f, 0], &config[..]].concat().into()),
        AudioCodec::Opus { head } => {
            let head = head.clone().unwrap_or_else(|| opus::build_head(track.channels.clamp(1, 2), 312, 48_000));
            let start = Head::new(&[&[audio::ENHANCED << 4 | audio::SEQUENCE_START], &audio::FOURCC_OPUS]);
            Some([&start[..], &head].concat().into())
        }
        AudioCodec::G711A | AudioCodec::G711U | AudioCodec::Mp3 => None,
    }
}

/// The tag type of a kind; RTMP's message types are the same.
pub fn kind_of(kind: Kind) -> u8 {
    match kind {
        Kind::Video => tag::kind::VIDEO,
        Kind::Audio => tag::kind::AUDIO,
    }
}

/// A frame's tag time: milliseconds modulo 2³².
pub fn time_of(frame: &Frame) -> u32 {
    frame.dts.as_millis() as u32
}

/// A frame as a tag with its back pointer; empty if the tracks do not hold its track.
pub fn frame_tag(frame: &Frame, tracks: &Tracks, hevc: Hevc) -> Bytes {
    let Some(head) = head(frame, tracks, hevc) else { return Bytes::new() };
    let mut out = BytesMut::with_capacity(15 + head.len() + frame.data.len());
    tag::write(&mut out, kind_of(frame.kind), time_of(frame), [&head, &frame.data]);
    out.freeze()
}

/// The sequence header of one kind as a tag; empty where there is none.
pub fn header_tag(kind: Kind, tracks: &Tracks, time: u32, hevc: Hevc) -> Bytes {
    let mut out = BytesMut::new();
    if let Some(body) = sequence_header(kind, tracks, hevc) {
        tag::write(&mut out, kind_of(kind), time, [&body, &[]]);
    }
    out.freeze()
}

/// What a file or an HTTP answer begins with: file header, metadata, sequence headers, at the time of the first frame.
pub fn start(tracks: &Tracks, time: u32, hevc: Hevc) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(&tag::file_header(tracks.video.is_some(), tracks.audio.is_some()));
    // At time 0 whatever the frames' times are: ffmpeg takes metadata at any other time for a subtitle stream.
    tag::write(&mut out, tag::kind::SCRIPT, 0, [&script::build(tracks, hevc), &[]]);
    for kind in [Kind::Video, Kind::Audio] {
        out.put_slice(&header_tag(kind, tracks, time, hevc));
    }
    out.freeze()
}
