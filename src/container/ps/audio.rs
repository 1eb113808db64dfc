//! Makes frames of audio PES packets: G.711 packet by packet, AAC by its ADTS headers.

use super::demux::{Frame, Item};
use super::findings::Findings;
use super::header::Pes;
use super::kind::{AudioKind, Kind};
use super::video::Out;
use crate::media::aac;
use crate::media::frame;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track};
use bytes::Bytes;

/// Collects the payload of one PES packet at a time.
#[derive(Debug, Default)]
pub struct Audio {
    bytes: Vec<u8>,
    /// Where the packet that is being collected begins in `bytes`; in front of it lies an AAC block that is not complete.
    begin: usize,
    open: bool,
    left: Option<usize>,
    pts: Option<Timestamp>,
    /// When the next block starts, as far as can be reckoned.
    next: Option<Timestamp>,
    declared: Option<AudioKind>,
    kind: Option<AudioKind>,
    /// Packets in a row that look like ADTS, and packets since the kind is open.
    adts_seen: u32,
    undecided: u32,
    track: Option<AudioTrack>,
    config: Option<(u8, u32, u8)>,
    refused: bool,
}

impl Audio {
    /// The largest PES packet with a length, and a block in front of it.
    const LONGEST: usize = 80 << 10;
    /// Packets in a row that must look like ADTS before a map that says otherwise is overruled.
    const PROOF: u32 = 3;
    /// Packets without any map before G.711 A-law is taken for granted: it is what the standard names first.
    const PATIENCE: u32 = 25;

    /// The map says what the sound is.
    pub fn declare(&mut self, kind: Option<AudioKind>) {
        if kind.is_some() && self.declared != kind {
            self.declared = kind;
            self.kind = None;
            self.undecided = 0;
            self.adts_seen = 0;
        }
    }

    /// A PES packet begins.
    pub fn begin(&mut self, pes: &Pes, out: &mut Out<'_>) {
        self.close(out);
        self.open = true;
        self.left = pes.payload;
        self.pts = pes.pts.map(|pts| out.times.audio(pts));
        self.begin = self.bytes.len();
    }

    /// Payload. What lies behind the declared end is never sound.
    pub fn data(&mut self, bytes: &[u8], out: &mut Out<'_>) {
        if !self.open {
            return;
        }
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(Self::LONGEST.saturating_sub(self.bytes.len()))]);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(bytes.len());
            if *left == 0 {
                self.close(out);
            }
        }
    }

    /// Packets are missing here.
    pub fn gap(&mut self) {
        self.open = false;
        self.bytes.clear();
        self.next = None;
    }

    /// The packet is complete.
    pub fn close(&mut self, out: &mut Out<'_>) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        match self.decide(out.findings) {
            _ if self.bytes.len() == self.begin => {}
            Some(AudioKind::G711A) => self.g711(AudioCodec::G711A, out),
            Some(AudioKind::G711U) => self.g711(AudioCodec::G711U, out),
            Some(AudioKind::Aac) => return self.aac(out),
            Some(kind) => self.refuse(kind, out),
            None => {}
        }
        self.bytes.clear();
    }

    /// What the sound is: what the map says, unless the bytes say otherwise (Dahua: AAC declared as G.711, ZLMediaKit issue 1872).
    fn decide(&mut self, findings: &mut Findings) -> Option<AudioKind> {
        if let Some(AudioKind::Aac) = self.kind {
            return self.kind;
        }
        let payload = &self.bytes[self.begin.min(self.bytes.len())..];
        self.adts_seen = if is_adts(payload) { self.adts_seen + 1 } else { 0 };
        if self.adts_seen >= Self::PROOF || self.adts_seen > 0 && self.declared == Some(AudioKind::Aac) {
            self.kind = Some(AudioKind::Aac);
        } else if self.kind.is_none() && self.adts_seen == 0 {
            self.undecided += 1;
            self.kind = match self.declared {
                // no ADTS header so far: perhaps the packet began in the middle of a block
                Some(AudioKind::Aac) => None,
                None => (self.undecided > Self::PATIENCE).then_some(AudioKind::G711A),
                declared => declared,
            };
        }
        findings.audio = self.kind.or(findings.audio);
        self.kind
    }

    fn g711(&mut self, codec: AudioCodec, out: &mut Out<'_>) {
        self.announce(AudioTrack { codec, sample_rate: 8_000, channels: 1 }, out);
        let data = Bytes::copy_from_slice(&self.bytes);
        let pts = self.pts.or(self.next).unwrap_or_else(|| out.times.now());
        self.next = Some(pts + Timestamp::from_ticks(data.len() as i64, 8_000));
        give(data, pts, out);
    }

    fn aac(&mut self, out: &mut Out<'_>) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut blocks = aac::blocks(&bytes);
        let mut stamp = self.pts.take();
        while let Some((adts, block)) = blocks.next() {
            // Header and block end where the rest begins.
            let begins_at = bytes.len() - blocks.rest().len() - block.len() - adts.header;
            let stamped = if begins_at >= self.begin { stamp.take() } else { None };
            let pts = stamped.or(self.next).unwrap_or_else(|| out.times.now());
            let shape = (adts.object_type, adts.rate, adts.channel_config);
            if self.config != Some(shape)
                && let Some(track) = adts.asc().and_then(|asc| aac::track_from_asc(&asc).ok())
            {
                self.config = Some(shape);
                self.announce(track, out);
            }
            self.next = Some(pts + Timestamp::from_ticks(1_024, adts.rate));
            if self.config == Some(shape) {
                give(Bytes::copy_from_slice(block), pts, out);
            }
        }
        let rest = blocks.rest().len();
        self.bytes = bytes;
        match rest {
            // a block is at most 8 KiB long
            0..=0x1fff => drop(self.bytes.drain(..self.bytes.len() - rest)),
            _ => self.bytes.clear(),
        }
    }

    fn announce(&mut self, track: AudioTrack, out: &mut Out<'_>) {
        if self.track.as_ref() != Some(&track) {
            self.track = Some(track.clone());
            out.findings.audio_refused = false;
            out.items.push_back(Item::Track(Track::Audio(track)));
        }
    }

    fn refuse(&mut self, kind: AudioKind, out: &mut Out<'_>) {
        out.findings.audio_refused = true;
        if !std::mem::replace(&mut self.refused, true) {
            out.items.push_back(Item::Refused(Kind::Audio(kind)));
        }
    }
}

fn give(data: Bytes, pts: Timestamp, out: &mut Out<'_>) {
    out.findings.audio_frames += 1;
    out.items.push_back(Item::Frame(Frame { kind: frame::Kind::Audio, dts: Some(pts), pts, key: true, data }));
}

/// Whether the payload is made of ADTS blocks from its first byte on: the first one ends at the end, or where another begins.
fn is_adts(payload: &[u8]) -> bool {
    let Ok(Some(first)) = aac::parse_adts(payload) else { return false };
    match payload.get(first.length..) {
        None => false,
        Some([]) => true,
        Some(rest) => matches!(aac::parse_adts(rest), Ok(Some(next)) if next.rate == first.rate && next.object_type == first.object_type),
    }
}
