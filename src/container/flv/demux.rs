//! Tag bodies to tracks and frames: configuration records become tracks, coded bytes become canonical frames.

use super::{audio, script, tag, video};
use crate::media::frame::{Frame, Kind};
use crate::media::malformed::Malformed;
use crate::media::nal::{self, Access, Family};
use crate::media::sets::Follow;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track, VideoCodec, VideoTrack};
use crate::media::{aac, av1, h264, h265, mp3, opus};
use bytes::Bytes;

/// What is wrong with a tag. Only this one is lost, unless it [`is_final`](Error::is_final).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The head of the body is cut off.
    #[error("the tag ends inside its head")]
    Short,
    /// A video codec that nobody here understands.
    #[error("the video codec {0} is not supported")]
    VideoCodec(String),
    /// An audio codec that nobody here understands.
    #[error("the audio codec {0} is not supported")]
    AudioCodec(String),
    /// Several video or audio tracks.
    #[error("Enhanced RTMP multitrack is not supported: send one video and one audio track")]
    Multitrack,
    /// A configuration record or frame is broken.
    #[error("{kind:?}: {why}")]
    Media {
        /// Video or audio.
        kind: Kind,
        /// What is wrong.
        why: Malformed,
    },
    /// A frame came before anything that describes its track.
    #[error("a frame of {0:?} without configuration")]
    NoTrack(Kind),
}

impl Error {
    /// Nothing that follows can be better: the session has to end.
    pub fn is_final(&self) -> bool {
        matches!(self, Error::VideoCodec(_) | Error::Multitrack)
    }
}

/// What comes out.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A track, or a new version of it.
    Track(Track),
    /// A frame. Its times are the sender's, unwrapped; `pts` may lie before `dts` where the sender has it so.
    Frame(Frame),
}

/// Turns the tags of one stream into tracks and frames: push one, pull until `None`.
#[derive(Debug, Default)]
pub struct Demuxer {
    video: Option<Video>,
    audio: Option<AudioTrack>,
    metadata: script::Metadata,
    clock: Unwrap,
    track: Option<Track>,
    frame: Option<Frame>,
}

#[derive(Debug)]
struct Video {
    codec: video::Codec,
    /// The configuration record, as it came.
    record: Bytes,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// NAL units.
    Units { follow: Follow, length_size: usize },
    /// Passed through as it is.
    Whole,
}

impl Demuxer {
    /// Knows no track yet.
    pub fn new() -> Demuxer {
        Demuxer::default()
    }

    /// Takes one tag, or an RTMP message of the same type. What it makes is to be pulled before the next.
    pub fn push(&mut self, kind: u8, timestamp: u32, body: &Bytes) -> Result<(), Error> {
        match kind {
            tag::kind::VIDEO if !body.is_empty() => self.video(timestamp, video::parse(body)?),
            tag::kind::AUDIO if !body.is_empty() => self.audio(timestamp, audio::parse(body)?),
            tag::kind::SCRIPT => {
                if let Some(metadata) = script::parse(body) {
                    self.metadata = metadata;
                }
                Ok(())
            }
            // Empty bodies are sent to keep a connection alive; other types are nobody's.
            _ => Ok(()),
        }
    }

    /// What the last tag made: a track comes before the frame that needs it.
    pub fn pull(&mut self) -> Option<Item> {
        match self.track.take() {
            Some(track) => Some(Item::Track(track)),
            None => self.frame.take().map(Item::Frame),
        }
    }

    fn video(&mut self, timestamp: u32, packet: video::Packet) -> Result<(), Error> {
        match packet {
            video::Packet::Header(codec, record) => self.video_header(codec, record),
            video::Packet::Frame { codec, key, offset, data } => self.video_frame(timestamp, codec, key, offset, data),
            video::Packet::Nothing => Ok(()),
        }
    }

    fn video_header(&mut self, codec: video::Codec, record: Bytes) -> Result<(), Error> {
        if self.video.as_ref().is_some_and(|v| v.codec == codec && v.record == record) {
            return Ok(());
        }
        // A copy, so that the record does not keep its message's buffer.
        let record = Bytes::copy_from_slice(&record);
        let opaque = |codec: VideoCodec, metadata: script::Metadata| {
            let fps = (metadata.fps > 0.0 && metadata.fps < 1000.0).then_some(((metadata.fps * 1000.0).round() as u32, 1000));
            VideoTrack { codec, width: metadata.width, height: metadata.height, fps, reorder: None }
        };
        let (form, track) = match codec {
            video::Codec::H264 => units(Family::H264, &record)?,
            video::Codec::H265 => units(Family::H265, &record)?,
            video::Codec::Av1 => {
                let declared = opaque(VideoCodec::Av1 { config: Bytes::new() }, self.metadata);
                (Form::Whole, Some(av1::track(record.clone(), (declared.width, declared.height), declared.fps)))
            }
            video::Codec::Vp9 => (Form::Whole, Some(opaque(VideoCodec::Vp9 { config: record.clone() }, self.metadata))),
        };
        self.video = Some(Video { codec, record, form });
        self.track = track.map(Track::Video);
        Ok(())
    }

    fn video_frame(&mut self, timestamp: u32, codec: video::Codec, key: bool, offset: i32, data: Bytes) -> Result<(), Error> {
        if self.video.as_ref().is_none_or(|v| v.codec != codec) {
            let family = match codec {
                video::Codec::H264 => Family::H264,
                video::Codec::H265 => Family::H265,
                video::Codec::Av1 | video::Codec::Vp9 => return Err(Error::NoTrack(Kind::Video)),
            };
            // Without configuration record: the parameter sets may stand in the band.
            let form = Form::Units { follow: Follow::new(family), length_size: 4 };
            self.video = Some(Video { codec, record: Bytes::new(), form });
        }
        let Some(video) = &mut self.video else { return Err(Error::NoTrack(Kind::Video)) };
        let (data, key) = match &mut video.form {
            Form::Units { follow, length_size } => {
                let access = access(follow.family(), &data, *length_size)?;
                if !access.sets.is_empty() {
                    self.track = follow.take(&access.sets).map_err(|why| Error::Media { kind: Kind::Video, why })?.map(Track::Video);
                }
                if follow.track().is_none() {
                    return Err(Error::NoTrack(Kind::Video));
                }
                (access.data, access.key || key)
            }
            // AV1: the temporal delimiter is no part of the frame.
            Form::Whole if codec == video::Codec::Av1 && data.starts_with(&[0x12, 0]) => (data.slice(2..), key),
            Form::Whole => (data, key),
        };
        let dts = self.clock.unwrap(timestamp);
        if !data.is_empty() {
            let times = (Timestamp::from_millis(dts), Timestamp::from_millis(dts + i64::from(offset)));
            self.frame = Some(Frame { kind: Kind::Video, dts: times.0, pts: times.1, key, data });
        }
        Ok(())
    }

    fn audio(&mut self, timestamp: u32, packet: audio::Packet) -> Result<(), Error> {
        match packet {
            audio::Packet::Header(audio::Codec::Aac, config) => {
                self.set_audio(aac::track_from_asc(&config).map_err(|why| Error::Media { kind: Kind::Audio, why })?);
                Ok(())
            }
            audio::Packet::Header(audio::Codec::Opus, head) => {
                let parsed = opus::parse_head(&head).map_err(|why| Error::Media { kind: Kind::Audio, why })?;
                let codec = AudioCodec::Opus { head: Some(Bytes::copy_from_slice(&head)) };
                self.set_audio(AudioTrack { codec, sample_rate: 48_000, channels: parsed.channels });
                Ok(())
            }
            audio::Packet::Frame { codec, stereo, data } => self.audio_frame(timestamp, codec, stereo, data),
            // MP3 and G.711 describe themselves.
            audio::Packet::Header(..) | audio::Packet::Nothing => Ok(()),
        }
    }

    fn audio_frame(&mut self, timestamp: u32, codec: audio::Codec, stereo: bool, data: Bytes) -> Result<(), Error> {
        let channels = if stereo { 2 } else { 1 };
        let known = self.audio.as_ref();
        match codec {
            audio::Codec::Aac if known.is_some_and(|t| matches!(t.codec, AudioCodec::Aac { .. })) => {}
            audio::Codec::Opus if known.is_some_and(|t| matches!(t.codec, AudioCodec::Opus { .. })) => {}
            audio::Codec::Aac => return Err(Error::NoTrack(Kind::Audio)),
            audio::Codec::Opus => self.set_audio(AudioTrack { codec: AudioCodec::Opus { head: None }, sample_rate: 48_000, channels: 2 }),
            audio::Codec::G711A => self.set_audio(AudioTrack { codec: AudioCodec::G711A, sample_rate: 8_000, channels }),
            audio::Codec::G711U => self.set_audio(AudioTrack { codec: AudioCodec::G711U, sample_rate: 8_000, channels }),
            audio::Codec::Mp3 => match mp3::parse_header(&data) {
                Ok(header) if header.layer == 3 => self.set_audio(header.track()),
                Ok(_) => return Err(Error::AudioCodec("MPEG audio layer I or II".to_owned())),
                Err(why) => return Err(Error::Media { kind: Kind::Audio, why }),
            },
        }
        let time = Timestamp::from_millis(self.clock.unwrap(timestamp));
        if !data.is_empty() {
            self.frame = Some(Frame { kind: Kind::Audio, dts: time, pts: time, key: true, data });
        }
        Ok(())
    }

    fn set_audio(&mut self, track: AudioTrack) {
        if self.audio.as_ref() != Some(&track) {
            self.audio = Some(track.clone());
            self.track = Some(Track::Audio(track));
        }
    }
}

/// Reads the configuration record of H.264 or H.265. Some senders put bare parameter sets with start codes there.
fn units(family: Family, record: &Bytes) -> Result<(Form, Option<VideoTrack>), Error> {
    let parsed = match family {
        Family::H264 => h264::parse_avcc(record).map(|r| (r.track, r.length_size)),
        Family::H265 => h265::parse_hvcc(record).map(|r| (r.track, r.length_size)),
    };
    let mut follow = Follow::new(family);
    let wrong = |why| Error::Media { kind: Kind::Video, why };
    match parsed {
        Ok((track, length_size)) => {
            follow.replace(&track);
            Ok((Form::Units { follow, length_size }, Some(track)))
        }
        Err(_) if nal::looks_like_annex_b(record) => {
            let track = follow.take(&nal::from_annex_b(family, record).sets).map_err(wrong)?;
            Ok((Form::Units { follow, length_size: 4 }, track))
        }
        Err(why) => Err(wrong(why)),
    }
}

/// Brings the units of a frame into canonical form; a few senders write start codes where lengths belong.
fn access(family: Family, data: &Bytes, length_size: usize) -> Result<Access, Error> {
    match nal::from_prefixed(family, data, length_size) {
        Ok(access) => Ok(access),
        Err(_) if nal::looks_like_annex_b(data) => Ok(nal::from_annex_b(family, data)),
        Err(why) => Err(Error::Media { kind: Kind::Video, why }),
    }
}

/// Makes a running time of times modulo 2³² milliseconds (49.7 days).
#[derive(Debug, Default)]
struct Unwrap(Option<i64>);

impl Unwrap {
    fn unwrap(&mut self, time: u32) -> i64 {
        let time = match self.0 {
            Some(last) => last + i64::from(time.wrapping_sub(last as u32) as i32),
            None => i64::from(time),
        };
        self.0 = Some(time);
        time
    }
}

#[cfg(test)]
#[path = "demux_tests.rs"]
mod tests;
