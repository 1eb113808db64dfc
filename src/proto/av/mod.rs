//! What `weir` and its helper executable `weir-av` say to each other over a pipe: frames to decode or encode, and results.
//!
//! Each message is its length in 4 bytes (big-endian, without itself), a kind, a job number, and the fields of the kind.
//! Both ends are ours and of one build; still everything is checked, because the helper works on hostile pictures.

mod wire;

pub use wire::{Error, LENGTH_MAX, Reader};

use crate::media::time::Timestamp;
use bytes::Bytes;

/// Numbers the jobs of one helper process.
pub type Job = u32;

/// A codec, as the helper names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264; frames and parameter sets as Annex B.
    H264,
    /// H.265; frames and parameter sets as Annex B.
    H265,
    /// AAC; `config` is the AudioSpecificConfig.
    Aac,
    /// G.711 A-law.
    G711A,
    /// G.711 µ-law.
    G711U,
    /// Opus.
    Opus,
    /// MPEG-1/2 audio layer III.
    Mp3,
}

/// The form of an audio stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioForm {
    /// The codec.
    pub codec: Codec,
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: u8,
    /// The codec's configuration, if it has one.
    pub config: Bytes,
}

/// One output of a video transcoding job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Width in pixels; 0 keeps the aspect ratio by the height, or the source's size if both are 0.
    pub width: u16,
    /// Height in pixels, likewise.
    pub height: u16,
    /// Frames a second; 0 keeps the source's.
    pub fps: u8,
    /// Frames from key frame to key frame; 0 leaves it at two seconds.
    pub gop: u16,
    /// Bits a second; 0 chooses by the size.
    pub bitrate: u32,
}

/// To the helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Transcode an audio stream from now on.
    OpenAudio {
        /// Its form.
        from: AudioForm,
        /// The codec to make: AAC or Opus.
        to: Codec,
        /// Bits a second; 0 chooses by rate and channels.
        bitrate: u32,
    },
    /// Transcode a video stream from now on; one decoder for all rules.
    OpenVideo {
        /// Its codec.
        codec: Codec,
        /// What to make at first, numbered from 0.
        rules: Vec<Rule>,
    },
    /// A frame of an open job.
    Frame {
        /// When to show it.
        pts: Timestamp,
        /// When to decode it.
        dts: Timestamp,
        /// A decoder may start here; video carries its parameter sets then.
        key: bool,
        /// The coded frame.
        data: Bytes,
    },
    /// Make a picture of one key frame.
    Snapshot {
        /// Its codec.
        codec: Codec,
        /// The longest width, 0 for the source's.
        width: u16,
        /// The longest height, 0 for the source's.
        height: u16,
        /// JPEG quality, 1 (worst) to 100.
        quality: u8,
        /// The key frame with its parameter sets, as Annex B.
        data: Bytes,
    },
    /// The job is over.
    Close,
    /// A further output of an open video job, from the next picture on; the others go on as they are.
    AddRule {
        /// Its number, which no other output of the job has.
        number: u8,
        /// What to make.
        rule: Rule,
    },
    /// An output is not wanted any more; the others go on as they are.
    RemoveRule {
        /// Its number.
        number: u8,
    },
}

/// From the helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The form of the audio that follows.
    Audio(AudioForm),
    /// The parameter sets of a rule's video that follows, as Annex B.
    Video {
        /// Which rule.
        rule: u8,
        /// The sets.
        sets: Bytes,
    },
    /// A coded frame.
    Frame {
        /// Which rule; 0 for audio.
        rule: u8,
        /// When to show it.
        pts: Timestamp,
        /// When to decode it.
        dts: Timestamp,
        /// A decoder may start here.
        key: bool,
        /// The coded frame; video as Annex B.
        data: Bytes,
    },
    /// The picture that was asked for.
    Picture {
        /// Its width.
        width: u16,
        /// Its height.
        height: u16,
        /// The JPEG file.
        jpeg: Bytes,
    },
    /// The job failed and is over.
    Failed(String),
    /// A rule's output cannot be made and is over; the others go on.
    Refused {
        /// Which rule.
        rule: u8,
        /// Why.
        why: String,
    },
}
