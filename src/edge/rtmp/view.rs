//! The wire form that all RTMP players share: messages with absolute times on message stream 1, in chunks.

use crate::container::flv::{Hevc, mux, script};
use crate::edge::net::pump::Format;
use crate::media::frame::Kind;
use crate::media::track::{Tracks, VideoCodec};
use crate::proto::rtmp::message::kind;
use crate::proto::rtmp::{stream_over, wire};
use crate::stream::{Slot, Unit};
use bytes::{Bytes, BytesMut};

/// RTMP with H.265 marked in one of the two ways.
pub(super) struct Wire {
    pub(super) hevc: Hevc,
}

impl Format for Wire {
    fn head(&self, unit: &Unit) -> Bytes {
        let mut out = BytesMut::from(&self.metadata(unit)[..]);
        for kind in [Kind::Video, Kind::Audio] {
            out.extend_from_slice(&self.header(kind, unit));
        }
        out.freeze()
    }

    fn announce(&self, unit: &Unit) -> Bytes {
        [self.metadata(unit), self.header(unit.frame.kind, unit)].concat().into()
    }

    fn tracks(&self, unit: &Unit) -> Bytes {
        self.head(unit)
    }

    fn unit<'a>(&self, unit: &'a Unit) -> &'a Bytes {
        let slot = if self.hevc == Hevc::Legacy && is_hevc(&unit.tracks) { Slot::RtmpLegacy } else { Slot::Rtmp };
        unit.view(slot, |unit| match mux::head(&unit.frame, &unit.tracks, self.hevc) {
            Some(head) => wire(mux::kind_of(unit.frame.kind), mux::time_of(&unit.frame), [&head, &unit.frame.data]),
            None => Bytes::new(),
        })
    }

    fn end(&self) -> Bytes {
        stream_over()
    }
}

impl Wire {
    fn metadata(&self, unit: &Unit) -> Bytes {
        // At time 0, as in an FLV file: ffmpeg takes metadata at any other time for a subtitle stream.
        wire(kind::DATA, 0, [&script::build(&unit.tracks, self.hevc), &[]])
    }

    fn header(&self, kind: Kind, unit: &Unit) -> Bytes {
        match mux::sequence_header(kind, &unit.tracks, self.hevc) {
            Some(body) => wire(mux::kind_of(kind), mux::time_of(&unit.frame), [&body, &[]]),
            None => Bytes::new(),
        }
    }
}

/// Only H.265 has two forms; everything else is shared by all players.
fn is_hevc(tracks: &Tracks) -> bool {
    tracks.video.as_ref().is_some_and(|v| matches!(v.codec, VideoCodec::H265 { .. }))
}
