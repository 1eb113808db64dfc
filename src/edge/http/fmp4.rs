//! Fragmented MP4 for players that feed a browser's Media Source Extensions, over WebSocket or HTTP: a fragment for each frame.

use super::ws;
use crate::container::mp4;
use crate::edge::net::pump::Format;
use crate::stream::{Slot, Unit};
use bytes::Bytes;

/// Plain, or in WebSocket messages: each message is the beginning (`ftyp`, `moov`) or a fragment (`moof`, `mdat`).
pub struct Fmp4 {
    websocket: bool,
}

impl Fmp4 {
    /// For players of one kind, which share it.
    pub fn new(websocket: bool) -> Fmp4 {
        Fmp4 { websocket }
    }

    fn wrap(&self, bytes: Bytes) -> Bytes {
        if self.websocket && !bytes.is_empty() { ws::message(&bytes) } else { bytes }
    }

    fn init(&self, unit: &Unit) -> Bytes {
        self.wrap(mp4::init(&mp4::played(&unit.tracks)).unwrap_or_default())
    }
}

impl Format for Fmp4 {
    fn head(&self, unit: &Unit) -> Bytes {
        self.init(unit)
    }

    fn announce(&self, unit: &Unit) -> Bytes {
        self.init(unit)
    }

    fn tracks(&self, unit: &Unit) -> Bytes {
        self.init(unit)
    }

    fn unit<'a>(&self, unit: &'a Unit) -> &'a Bytes {
        let slot = if self.websocket { Slot::WsFmp4 } else { Slot::Fmp4 };
        // Numbers may wrap: players take their order from the times.
        let encode = |unit: &Unit| mp4::fragment(unit.seq as u32, &unit.frame, &mp4::played(&unit.tracks)).unwrap_or_default();
        unit.view(slot, |unit| self.wrap(encode(unit)))
    }

    fn end(&self) -> Bytes {
        // 1000: the purpose of the connection is fulfilled.
        if self.websocket { ws::close(1000) } else { Bytes::new() }
    }
}
