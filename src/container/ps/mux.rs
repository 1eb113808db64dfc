//! Writes a program stream as GB/T 28181 annex C asks for it: one frame, one pack. On request also with devices' mistakes.

use super::header::{put_pack, put_stamp};
use super::psm;
use crate::media::aac;
use crate::media::frame::{Frame, Kind};
use crate::media::nal;
use crate::media::track::{AudioCodec, AudioTrack, Tracks, VideoCodec, VideoTrack};
use std::sync::Arc;

/// What a muxer does otherwise than the standard says: for simulated cameras and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// Key frames have a program stream map.
    pub map: bool,
    /// Key frames have a system header.
    pub system_header: bool,
    /// Video PES packets have a length.
    pub length: bool,
    /// Frames have time stamps.
    pub stamps: bool,
    /// All PES packets of a frame have its time stamp, not only the first.
    pub stamp_all: bool,
    /// Each NAL unit stands in PES packets of its own.
    pub unit_by_unit: bool,
    /// The largest payload of a video PES packet.
    pub largest: usize,
    /// A private packet follows each video frame.
    pub private: bool,
    /// Pack headers have a counter in their stuffing.
    pub counter: bool,
    /// The first pack header of a frame is there; without it frames begin with their PES packets.
    pub pack: bool,
    /// The map says so in place of the true stream types: video, audio.
    pub lie: Option<(u8, u8)>,
    /// Zero bytes behind each frame.
    pub tail: usize,
}

impl Default for Style {
    fn default() -> Style {
        Style {
            map: true,
            system_header: true,
            length: true,
            stamps: true,
            stamp_all: false,
            unit_by_unit: false,
            largest: Muxer::LARGEST,
            private: false,
            counter: false,
            pack: true,
            lie: None,
            tail: 0,
        }
    }
}

/// Writes frames one by one.
#[derive(Debug, Default)]
pub struct Muxer {
    style: Style,
    es: Vec<u8>,
    /// Where the NAL units that stand alone begin in `es`.
    cuts: Vec<usize>,
    aac: Option<(Arc<AudioTrack>, Option<aac::Config>)>,
    packs: u32,
}

impl Muxer {
    /// With its header a packet of this payload just fits into the length field.
    const LARGEST: usize = 65_535 - 13;
    const VIDEO: u8 = 0xe0;
    const AUDIO: u8 = 0xc0;

    /// A muxer of that style.
    pub fn new(style: Style) -> Muxer {
        Muxer { style, ..Muxer::default() }
    }

    /// Appends one frame to `out`. `false`: its codec cannot stand in a GB28181 stream, nothing was written.
    pub fn put(&mut self, frame: &Frame, tracks: &Tracks, out: &mut Vec<u8>) -> bool {
        match (frame.kind, &tracks.video, &tracks.audio) {
            (Kind::Video, Some(video), _) => self.video(frame, video, tracks, out),
            (Kind::Audio, _, Some(audio)) => self.audio(frame, audio, out),
            _ => false,
        }
    }

    fn video(&mut self, frame: &Frame, track: &VideoTrack, tracks: &Tracks, out: &mut Vec<u8>) -> bool {
        if video_type(track).is_none() {
            return false;
        }
        self.es.clear();
        self.cuts.clear();
        if frame.key {
            let sets: [&[bytes::Bytes]; 3] = match &track.codec {
                VideoCodec::H264 { sps, pps } => [&[], sps, pps],
                VideoCodec::H265 { vps, sps, pps } => [vps, sps, pps],
                _ => return false,
            };
            sets.into_iter().flatten().for_each(|set| self.unit(set));
        }
        nal::units(&frame.data).for_each(|unit| self.unit(unit));
        self.es.resize(self.es.len() + self.style.tail, 0);
        self.pack(frame, out);
        if frame.key {
            self.key_headers(tracks, out);
        }
        let whole = [0];
        let begins: &[usize] = if self.style.unit_by_unit { &self.cuts } else { &whole };
        let mut first = true;
        for (n, begin) in begins.iter().enumerate() {
            let end = begins.get(n + 1).copied().unwrap_or(self.es.len());
            for part in self.es[*begin..end].chunks(self.style.largest.clamp(1, Muxer::LARGEST)) {
                let stamped = self.style.stamps && (first || self.style.stamp_all);
                pes(Muxer::VIDEO, stamped.then_some(frame), self.style.length, part, out);
                first = false;
            }
        }
        if self.style.private {
            out.extend([0, 0, 1, 0xbd, 0, 0x6a]);
            out.extend([0x8c, 0x80, 0x07]);
            out.resize(out.len() + 0x6a - 3, 0x55);
        }
        true
    }

    fn unit(&mut self, unit: &[u8]) {
        self.cuts.push(self.es.len());
        self.es.extend([0, 0, 0, 1]);
        self.es.extend_from_slice(unit);
    }

    fn audio(&mut self, frame: &Frame, track: &Arc<AudioTrack>, out: &mut Vec<u8>) -> bool {
        let header = match &track.codec {
            AudioCodec::G711A | AudioCodec::G711U => None,
            AudioCodec::Aac { config } => {
                if !self.aac.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, track)) {
                    self.aac = Some((track.clone(), aac::parse_asc(config).ok()));
                }
                let config = self.aac.as_ref().and_then(|(_, config)| config.as_ref());
                match config.and_then(|config| aac::adts_header(config, frame.data.len())) {
                    Some(header) => Some(header),
                    None => return false,
                }
            }
            _ => return false,
        };
        self.pack(frame, out);
        self.es.clear();
        self.es.extend(header.into_iter().flatten());
        self.es.extend_from_slice(&frame.data);
        for (n, part) in self.es.chunks(Muxer::LARGEST).enumerate() {
            pes(Muxer::AUDIO, (self.style.stamps && n == 0).then_some(frame), true, part, out);
        }
        true
    }

    fn pack(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        if !self.style.pack {
            return;
        }
        put_pack(ticks(frame.dts), 6_106, out);
        if self.style.counter {
            let last = out.len() - 1;
            out[last] |= 6;
            out.extend([0xff, 0xff]);
            out.extend(self.packs.to_be_bytes());
            self.packs = self.packs.wrapping_add(1);
        }
    }

    fn key_headers(&self, tracks: &Tracks, out: &mut Vec<u8>) {
        let video = tracks.video.as_deref().and_then(video_type);
        let audio = tracks.audio.as_deref().and_then(audio_type);
        if self.style.system_header {
            let streams = 1 + u8::from(audio.is_some());
            out.extend([0, 0, 1, 0xbb, 0, 6 + 3 * streams]);
            // rate bound, one audio and one video stream at most
            out.extend([0x80, 0xa0, 0x2f, 0x04, 0xe1, 0x7f]);
            out.extend([Muxer::VIDEO, 0xe0, 0xe8]);
            if audio.is_some() {
                out.extend([Muxer::AUDIO, 0xc0, 0x20]);
            }
        }
        if self.style.map {
            let (video, audio) = match self.style.lie {
                Some((v, a)) => (video.map(|_| v), audio.map(|_| a)),
                None => (video, audio),
            };
            let streams = [video.map(|v| (v, Muxer::VIDEO)), audio.map(|a| (a, Muxer::AUDIO))];
            psm::put(&streams.into_iter().flatten().collect::<Vec<_>>(), out);
        }
    }
}

fn video_type(track: &VideoTrack) -> Option<u8> {
    match track.codec {
        VideoCodec::H264 { .. } => Some(0x1b),
        VideoCodec::H265 { .. } => Some(0x24),
        _ => None,
    }
}

fn audio_type(track: &AudioTrack) -> Option<u8> {
    match track.codec {
        AudioCodec::G711A => Some(0x90),
        AudioCodec::G711U => Some(0x91),
        AudioCodec::Aac { .. } => Some(0x0f),
        _ => None,
    }
}

/// 33 bits of 90 kHz.
fn ticks(time: crate::media::time::Timestamp) -> u64 {
    time.to_ticks(90_000) as u64 & ((1 << 33) - 1)
}

fn pes(id: u8, stamps: Option<&Frame>, length: bool, payload: &[u8], out: &mut Vec<u8>) {
    let times = stamps.map(|frame| (ticks(frame.pts), ticks(frame.dts)));
    let (flags, size) = match times {
        None => (0x00, 0),
        Some((pts, dts)) if pts == dts => (0x80, 5),
        Some(_) => (0xc0, 10),
    };
    let total = if length { 3 + size + payload.len() } else { 0 };
    out.extend([0, 0, 1, id]);
    out.extend((total as u16).to_be_bytes());
    out.extend([0x80, flags, size as u8]);
    if let Some((pts, dts)) = times {
        put_stamp(if size == 10 { 3 } else { 2 }, pts, out);
        if size == 10 {
            put_stamp(1, dts, out);
        }
    }
    out.extend_from_slice(payload);
}
