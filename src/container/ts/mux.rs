//! Frames into a transport stream: tables, PES packets, program clock.

use super::annexb;
use super::packet::{self, Adaptation, Packets, Pid};
use super::psi;
use crate::media::aac;
use crate::media::frame::{Frame, Kind};
use crate::media::nal;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Tracks, VideoCodec, VideoTrack};
use bytes::{Bytes, BytesMut};

pub(super) const PID_MAP: u16 = 0x1000;
pub(super) const PID_VIDEO: u16 = 0x100;
pub(super) const PID_AUDIO: u16 = 0x101;
pub(super) const STREAM_H264: u8 = 0x1b;
pub(super) const STREAM_H265: u8 = 0x24;
pub(super) const STREAM_AAC: u8 = 0x0f;
pub(super) const STREAM_MPEG1_AUDIO: u8 = 0x03;
pub(super) const STREAM_MPEG2_AUDIO: u8 = 0x04;

const HZ: u32 = 90_000;
const WRAP: i64 = 1 << 33;
/// The clock runs this far behind the decoding times, so that data arrives before it is due; audio that waits to fill a
/// PES packet ([`AUDIO_SPAN`]) still keeps ahead of it.
const LEAD: i64 = 45_000;
/// Added to all times, so that the clock of a stream that starts at 0 does not start below 0.
const ORIGIN: i64 = 2 * LEAD;
/// The clock is repeated within 100 ms (§2.7.2) while anything is written.
const CLOCK_EVERY: i64 = 8_000;
/// Audio frames share a PES packet up to this size and time: alone, each would be padded to whole transport packets.
const AUDIO_SIZE: usize = 2_800;
const AUDIO_SPAN: i64 = 13_500;
/// How far an audio frame may stray from where the frames before it put it: players place the frames inside of a PES
/// packet by counting samples.
const AUDIO_STRAY: i64 = 900;

/// The part of `tracks` that this transport stream carries: H.264, H.265; AAC that ADTS can describe, MP3.
pub fn carried(tracks: &Tracks) -> Tracks {
    Tracks {
        video: tracks.video.clone().filter(|v| video_type(v).is_some()),
        audio: tracks.audio.clone().filter(|a| audio_type(a).is_some()),
    }
}

fn video_type(track: &VideoTrack) -> Option<u8> {
    match track.codec {
        VideoCodec::H264 { .. } => Some(STREAM_H264),
        VideoCodec::H265 { .. } => Some(STREAM_H265),
        _ => None,
    }
}

fn audio_type(track: &AudioTrack) -> Option<u8> {
    match &track.codec {
        AudioCodec::Aac { config } => {
            let config = aac::parse_asc(config).ok()?;
            aac::adts_header(&config, 0).map(|_| STREAM_AAC)
        }
        // ISO/IEC 11172-3 knows 32, 44.1 and 48 kHz; the lower rates came with 13818-3.
        AudioCodec::Mp3 if track.sample_rate < 32_000 => Some(STREAM_MPEG2_AUDIO),
        AudioCodec::Mp3 => Some(STREAM_MPEG1_AUDIO),
        _ => None,
    }
}

/// Writes one program. Frames come in the order of their decoding times; what is written between two calls of
/// [`tables`](Muxer::tables) can stand alone as a segment once [`flush`](Muxer::flush) was called.
#[derive(Debug)]
pub struct Muxer {
    association: Pid,
    map: Pid,
    video: Pid,
    audio: Pid,
    version: u8,
    announced: Option<(Option<u8>, Option<u8>)>,
    clock: Option<i64>,
    broken: bool,
    pending: Pending,
    /// The AudioSpecificConfig that was read last.
    asc: Option<(Bytes, aac::Config)>,
}

/// Audio frames that wait for company.
#[derive(Debug, Default)]
struct Pending {
    frames: Vec<(Option<[u8; 7]>, Bytes)>,
    size: usize,
    start: i64,
    next: i64,
}

impl Default for Muxer {
    fn default() -> Self {
        Muxer::new()
    }
}

impl Muxer {
    /// A stream that has not begun.
    pub fn new() -> Muxer {
        Muxer {
            association: Pid::new(0),
            map: Pid::new(PID_MAP),
            video: Pid::new(PID_VIDEO),
            audio: Pid::new(PID_AUDIO),
            version: 0,
            announced: None,
            clock: None,
            broken: false,
            pending: Pending::default(),
            asc: None,
        }
    }

    /// Announces the program: call it at the start of each segment. Tracks that cannot be carried are left out.
    pub fn tables(&mut self, tracks: &Tracks, out: &mut BytesMut) {
        self.flush(out);
        let video = tracks.video.as_deref().and_then(video_type);
        let audio = tracks.audio.as_deref().and_then(audio_type);
        if self.announced.is_some_and(|old| old != (video, audio)) {
            self.version = (self.version + 1) & 31;
        }
        self.announced = Some((video, audio));
        self.clock = None; // a segment starts with a clock of its own
        let clock = if video.is_some() { PID_VIDEO } else { PID_AUDIO };
        let video = video.map(|stream_type| psi::Entry { stream_type, pid: PID_VIDEO });
        let audio = audio.map(|stream_type| psi::Entry { stream_type, pid: PID_AUDIO });
        out.reserve(2 * super::PACKET);
        packet::section(out, &mut self.association, &psi::association(PID_MAP));
        packet::section(out, &mut self.map, &psi::map(self.version, clock, video.into_iter().chain(audio)));
    }

    /// Says that the time line breaks before the next frame.
    pub fn discontinuity(&mut self) {
        self.broken = true;
        self.clock = None;
    }

    /// Writes a frame of `tracks`. Frames of a track that [`tables`](Muxer::tables) did not announce are left out.
    pub fn frame(&mut self, frame: &Frame, tracks: &Tracks, out: &mut BytesMut) {
        let (video, audio) = self.announced.unwrap_or_default();
        match frame.kind {
            Kind::Video => {
                if let Some(track) = tracks.video.as_deref().filter(|t| video.is_some() && video_type(t) == video) {
                    self.video(frame, track, out);
                }
            }
            Kind::Audio => {
                if let Some(track) = tracks.audio.as_deref().filter(|t| audio.is_some() && audio_type(t) == audio) {
                    self.audio(frame, track, out);
                }
            }
        }
    }

    /// Writes what waits: call it before a segment ends.
    pub fn flush(&mut self, out: &mut BytesMut) {
        if self.pending.frames.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let adaptation = self.adaptation(Kind::Audio, true, pending.start, out);
        let head = Head::new(0xc0, pending.start, None, pending.size);
        let mut packets = Packets::begin(out, &mut self.audio, adaptation, head.len() + pending.size);
        packets.put(head.bytes());
        for (adts, data) in &pending.frames {
            if let Some(adts) = adts {
                packets.put(adts);
            }
            packets.put(data);
        }
    }

    fn video(&mut self, frame: &Frame, track: &VideoTrack, out: &mut BytesMut) {
        if nal::units(&frame.data).next().is_none() {
            return;
        }
        let (dts, pts) = (ticks(frame.dts), ticks(frame.pts));
        // Audio that would come behind its clock goes first.
        if !self.pending.frames.is_empty() && dts - self.pending.start >= AUDIO_SPAN {
            self.flush(out);
        }
        let mut size = 0;
        annexb::pieces(&track.codec, frame.key, &frame.data, |piece| size += piece.len());
        let adaptation = self.adaptation(Kind::Video, frame.key, dts, out);
        let head = Head::new(0xe0, pts, (dts != pts).then_some(dts), size);
        let mut packets = Packets::begin(out, &mut self.video, adaptation, head.len() + size);
        packets.put(head.bytes());
        annexb::pieces(&track.codec, frame.key, &frame.data, |piece| packets.put(piece));
    }

    fn audio(&mut self, frame: &Frame, track: &AudioTrack, out: &mut BytesMut) {
        let (head, samples, rate) = match &track.codec {
            AudioCodec::Aac { config } => {
                let Some(config) = self.config(config) else { return };
                // Longer than ADTS can say: no encoder makes such a block.
                let Some(head) = aac::adts_header(&config, frame.data.len()) else { return };
                (Some(head), config.block, config.core_rate)
            }
            AudioCodec::Mp3 if track.sample_rate < 32_000 => (None, 576, track.sample_rate),
            _ => (None, 1152, track.sample_rate),
        };
        let size = frame.data.len() + head.map_or(0, |h| h.len());
        // 16 bits hold the length of an audio PES packet, and nothing real comes near it.
        if frame.data.is_empty() || size > 0xff00 {
            return;
        }
        let pts = ticks(frame.pts);
        let pending = &self.pending;
        if pending.size + size > AUDIO_SIZE || pts - pending.start >= AUDIO_SPAN || (pts - pending.next).abs() > AUDIO_STRAY {
            self.flush(out);
        }
        if self.pending.frames.is_empty() {
            (self.pending.start, self.pending.next) = (pts, pts);
        }
        self.pending.next += i64::from(samples) * i64::from(HZ) / i64::from(rate.max(1));
        self.pending.size += size;
        self.pending.frames.push((head, frame.data.clone()));
    }

    fn config(&mut self, asc: &Bytes) -> Option<aac::Config> {
        match &self.asc {
            Some((known, config)) if known == asc => Some(*config),
            _ => {
                let config = aac::parse_asc(asc).ok()?;
                self.asc = Some((asc.clone(), config));
                Some(config)
            }
        }
    }

    /// Decides where the clock goes: on the clock's own stream with each frame that is due one; before a frame of the other
    /// stream, in a packet of its own, when the last is too long ago.
    fn adaptation(&mut self, kind: Kind, key: bool, dts: i64, out: &mut BytesMut) -> Adaptation {
        let clock_kind = if self.announced.is_some_and(|(video, _)| video.is_some()) { Kind::Video } else { Kind::Audio };
        let due = self.clock.is_none_or(|last| dts - last >= CLOCK_EVERY);
        let own = kind == clock_kind;
        if !own {
            if self.clock.is_some() && due {
                self.clock = Some(dts);
                packet::clock_only(out, &mut self.video, wrapped(dts - LEAD));
            }
            return Adaptation { random_access: key, ..Adaptation::default() };
        }
        // A segment's key frame brings the clock even when it is not due; the clock never steps back.
        let pcr = (due || key && self.clock.is_some_and(|last| dts > last)).then(|| {
            self.clock = Some(dts);
            wrapped(dts - LEAD)
        });
        Adaptation { random_access: key, discontinuity: pcr.is_some() && std::mem::take(&mut self.broken), pcr }
    }
}

fn ticks(t: Timestamp) -> i64 {
    t.to_ticks(HZ) + ORIGIN
}

fn wrapped(ticks: i64) -> u64 {
    ticks.rem_euclid(WRAP) as u64
}

/// A PES packet's header (§2.4.3.6).
struct Head {
    bytes: [u8; 19],
    len: usize,
}

impl Head {
    fn new(stream: u8, pts: i64, dts: Option<i64>, payload: usize) -> Head {
        let times = if dts.is_some() { 10 } else { 5 };
        let mut bytes = [0; 19];
        // 0 means "until the next start"; it is allowed for video, and only video outgrows 16 bits.
        let len = u16::try_from(3 + times + payload).unwrap_or(0).to_be_bytes();
        let flags = if dts.is_some() { 0xc0 } else { 0x80 };
        bytes[..9].copy_from_slice(&[0, 0, 1, stream, len[0], len[1], 0x84, flags, times as u8]);
        bytes[9..14].copy_from_slice(&time(if dts.is_some() { 3 } else { 2 }, pts));
        if let Some(dts) = dts {
            bytes[14..19].copy_from_slice(&time(1, dts));
        }
        Head { bytes, len: 9 + times }
    }

    fn len(&self) -> usize {
        self.len
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn time(tag: u8, ticks: i64) -> [u8; 5] {
    let t = wrapped(ticks);
    [tag << 4 | (t >> 29) as u8 & 0x0e | 1, (t >> 22) as u8, (t >> 14) as u8 | 1, (t >> 7) as u8, (t << 1) as u8 | 1]
}
