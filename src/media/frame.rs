//! The canonical frame: nobody downstream asks "Annex B or AVCC?".

use super::time::Timestamp;
use bytes::Bytes;

/// Which component of a stream; a stream has at most one track of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// One coded access unit of video, or one coded frame of audio.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The track that it belongs to.
    pub kind: Kind,
    /// When to decode it.
    pub dts: Timestamp,
    /// When to show it; not before `dts`.
    pub pts: Timestamp,
    /// A decoder may start here (IDR or CRA for video; every frame of audio).
    pub key: bool,
    /// H.264, H.265: NAL units, each behind its length in 4 bytes big-endian. Sources in Annex B come without parameter sets,
    /// access unit delimiters and filler (the sets live in the [`Track`](super::track::Track)); sources with length prefixes keep
    /// what they sent, so that frames pass bit-exact. AV1: OBUs with size fields, no temporal delimiter.
    /// VP9: one frame. AAC: one raw data block without ADTS. G.711, Opus, MP3: the coded bytes of one packet.
    pub data: Bytes,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}{} dts {:?} pts {:?} {} bytes", self.kind, if self.key { " key" } else { "" }, self.dts, self.pts, self.data.len())
    }
}
