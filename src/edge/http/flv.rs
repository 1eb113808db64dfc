//! FLV for players, over HTTP and in WebSocket messages: the wire forms that the pump shares.

use super::ws;
use crate::container::flv::Hevc;
use crate::container::flv::mux;
use crate::edge::net::pump::Format;
use crate::media::frame::Kind;
use crate::stream::{Slot, Unit};
use bytes::Bytes;
use std::sync::Arc;

/// The four formats: plain or in WebSocket frames, with one mark or the other for H.265. Players of one format share one value.
#[derive(Clone)]
pub struct Formats([Arc<dyn Format>; 4]);

struct Flv {
    hevc: Hevc,
    websocket: bool,
}

impl Formats {
    /// All four.
    pub fn new() -> Formats {
        let format = |websocket, hevc| Arc::new(Flv { hevc, websocket }) as Arc<dyn Format>;
        Formats([format(false, Hevc::Enhanced), format(false, Hevc::Legacy), format(true, Hevc::Enhanced), format(true, Hevc::Legacy)])
    }

    /// The format of a player.
    pub fn get(&self, websocket: bool, hevc: Hevc) -> Arc<dyn Format> {
        self.0[usize::from(websocket) * 2 + usize::from(hevc == Hevc::Legacy)].clone()
    }
}

impl Flv {
    fn wrap(&self, bytes: Bytes) -> Bytes {
        if self.websocket && !bytes.is_empty() { ws::message(&bytes) } else { bytes }
    }
}

impl Format for Flv {
    fn head(&self, unit: &Unit) -> Bytes {
        self.wrap(mux::start(&unit.tracks, mux::time_of(&unit.frame), self.hevc))
    }

    fn announce(&self, unit: &Unit) -> Bytes {
        self.wrap(mux::header_tag(unit.frame.kind, &unit.tracks, mux::time_of(&unit.frame), self.hevc))
    }

    fn tracks(&self, unit: &Unit) -> Bytes {
        let header = |kind| mux::header_tag(kind, &unit.tracks, mux::time_of(&unit.frame), self.hevc);
        self.wrap([header(Kind::Video), header(Kind::Audio)].concat().into())
    }

    fn unit<'a>(&self, unit: &'a Unit) -> &'a Bytes {
        let slot = match (self.websocket, self.hevc) {
            (false, Hevc::Enhanced) => Slot::FlvTag,
            (false, Hevc::Legacy) => Slot::FlvTagLegacy,
            (true, Hevc::Enhanced) => Slot::WsFlv,
            (true, Hevc::Legacy) => Slot::WsFlvLegacy,
        };
        unit.view(slot, |unit| self.wrap(mux::frame_tag(&unit.frame, &unit.tracks, self.hevc)))
    }

    fn end(&self) -> Bytes {
        // 1000: the purpose of the connection is fulfilled.
        if self.websocket { ws::close(1000) } else { Bytes::new() }
    }
}
