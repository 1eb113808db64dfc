//! A track: the codec of one component of a stream and everything a decoder must know before its first frame.

use super::frame::Kind;
use bytes::Bytes;
use std::sync::Arc;

/// The tracks of a stream at one moment. A change makes a new value; readers compare pointers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tracks {
    /// The pictures.
    pub video: Option<Arc<VideoTrack>>,
    /// The sound.
    pub audio: Option<Arc<AudioTrack>>,
}

/// A track of either kind, as a demuxer announces it.
#[derive(Debug, Clone, PartialEq)]
pub enum Track {
    /// Pictures.
    Video(VideoTrack),
    /// Sound.
    Audio(AudioTrack),
}

impl Track {
    /// Which component it is.
    pub fn kind(&self) -> Kind {
        match self {
            Track::Video(_) => Kind::Video,
            Track::Audio(_) => Kind::Audio,
        }
    }
}

/// A video track.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoTrack {
    /// The codec with its parameter sets.
    pub codec: VideoCodec,
    /// Width of the shown picture (after cropping), in pixels; 0 where it is not known.
    pub width: u32,
    /// Height of the shown picture (after cropping), in pixels; 0 where it is not known.
    pub height: u32,
    /// Frames a second that the parameter sets declare, as numerator and denominator; `None` where they do not.
    pub fps: Option<(u32, u32)>,
    /// Frames that may be reordered: 0 means decoding order is display order (no B-frames). `None`: not declared.
    pub reorder: Option<u32>,
}

/// A video codec and its parameter sets, as NAL units without start code or length.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum VideoCodec {
    /// H.264 / AVC.
    H264 {
        /// Sequence parameter sets, at least one.
        sps: Vec<Bytes>,
        /// Picture parameter sets, at least one.
        pps: Vec<Bytes>,
    },
    /// H.265 / HEVC.
    H265 {
        /// Video parameter sets, at least one.
        vps: Vec<Bytes>,
        /// Sequence parameter sets, at least one.
        sps: Vec<Bytes>,
        /// Picture parameter sets, at least one.
        pps: Vec<Bytes>,
    },
    /// AV1, passed through with its `av1C` configuration record.
    Av1 {
        /// The `av1C` record.
        config: Bytes,
    },
    /// VP9, passed through with its `vpcC` configuration record.
    Vp9 {
        /// The `vpcC` record.
        config: Bytes,
    },
}

impl VideoCodec {
    /// The codec's usual name.
    pub fn name(&self) -> &'static str {
        match self {
            VideoCodec::H264 { .. } => "H264",
            VideoCodec::H265 { .. } => "H265",
            VideoCodec::Av1 { .. } => "AV1",
            VideoCodec::Vp9 { .. } => "VP9",
        }
    }
}

/// An audio track.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioTrack {
    /// The codec.
    pub codec: AudioCodec,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels: 1 mono, 2 stereo.
    pub channels: u8,
}

/// An audio codec.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AudioCodec {
    /// AAC with its AudioSpecificConfig (ISO/IEC 14496-3).
    Aac {
        /// The AudioSpecificConfig.
        config: Bytes,
    },
    /// G.711 A-law.
    G711A,
    /// G.711 µ-law.
    G711U,
    /// Opus; `head` is the `OpusHead` packet (RFC 7845 section 5.1) where the source gave one.
    Opus {
        /// The `OpusHead` packet.
        head: Option<Bytes>,
    },
    /// MPEG-1/2 audio layer III.
    Mp3,
}

impl AudioCodec {
    /// The codec's usual name.
    pub fn name(&self) -> &'static str {
        match self {
            AudioCodec::Aac { .. } => "AAC",
            AudioCodec::G711A => "G711A",
            AudioCodec::G711U => "G711U",
            AudioCodec::Opus { .. } => "Opus",
            AudioCodec::Mp3 => "MP3",
        }
    }
}
