//! A frame cut into RTP payloads, once for all viewers of a task.

use super::choice;
use crate::media::frame::Kind;
use crate::media::nal::{self, Family, Role};
use crate::media::opus;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, VideoCodec};
use crate::proto::rtp::nal_pack;
use crate::proto::webrtc::Coding;
use crate::stream::Unit;
use std::sync::Arc;

/// Bytes of a payload: with the headers of RTP and its extensions, SRTP's tag, UDP and IPv6 it stays below 1,280, which every
/// IPv6 path carries.
const PAYLOAD: usize = 1_150;
/// G.711 in one packet at most: 60 ms. Cameras put any length into a frame.
const SAMPLES: usize = 480;
/// The sound's clock follows its samples while the frames' times agree with it so far.
const ASTRAY: i64 = 120;

/// A frame in packets.
#[derive(Debug)]
pub(super) struct Sheet {
    /// The unit's number.
    pub seq: u64,
    /// Which track.
    pub kind: Kind,
    /// The codec; `None` if WebRTC does not carry it.
    pub coding: Option<Coding>,
    /// A player may start here.
    pub starts: bool,
    /// No other picture builds on it (H.264 that says so; of H.265 it is not known without its layers).
    pub disposable: bool,
    /// When to show it.
    pub pts: Timestamp,
    /// The packets in order; the last one ends the frame.
    pub parts: Vec<Part>,
}

/// One packet of a frame.
#[derive(Debug)]
pub(super) struct Part {
    /// The payload.
    pub payload: Arc<[u8]>,
    /// Its RTP time on the coding's clock.
    pub ticks: i64,
}

/// Counts samples, so that a jitter in the times of sound frames does not become gaps.
#[derive(Debug, Default)]
pub(super) struct SampleClock(Option<(Coding, i64)>);

impl SampleClock {
    /// Where a frame stands whose time says `ticks` and that lasts `length` ticks.
    fn place(&mut self, coding: Coding, ticks: i64, length: i64) -> i64 {
        let astray = ASTRAY * i64::from(coding.clock()) / 1_000;
        let at = match self.0 {
            Some((before, next)) if before == coding && (next - ticks).abs() <= astray => next,
            _ => ticks,
        };
        self.0 = Some((coding, at + length));
        at
    }
}

impl Sheet {
    /// Cuts a unit; sound of units that are not the newest needs no clock, as it is not sent.
    pub fn cut(unit: &Unit, clock: Option<&mut SampleClock>) -> Sheet {
        let frame = &unit.frame;
        let mut sheet = Sheet {
            seq: unit.seq,
            kind: frame.kind,
            coding: None,
            starts: unit.starts(),
            disposable: false,
            pts: frame.pts,
            parts: Vec::new(),
        };
        match frame.kind {
            Kind::Video => sheet.pictures(unit),
            Kind::Audio => {
                if let (Some(track), Some(clock)) = (&unit.tracks.audio, clock) {
                    sheet.sound(&track.codec, &frame.data, clock);
                }
            }
        }
        sheet
    }

    fn pictures(&mut self, unit: &Unit) {
        let Some(track) = &unit.tracks.video else { return };
        let (family, coding, sets): (_, _, Vec<&[u8]>) = match &track.codec {
            VideoCodec::H264 { sps, pps } => (Family::H264, Coding::H264, sps.iter().chain(pps).map(|set| &**set).collect()),
            VideoCodec::H265 { vps, sps, pps } => {
                (Family::H265, Coding::H265, vps.iter().chain(sps).chain(pps).map(|set| &**set).collect())
            }
            _ => return,
        };
        self.coding = Some(coding);
        let useful = |nal: &&[u8]| !matches!(family.role(nal), Role::Delimiter | Role::Waste);
        // `nal_ref_idc` 0 (H.264 clause 7.4.1) in every slice.
        let idle = |nal: &[u8]| nal.first().is_some_and(|head| head & 0x60 == 0);
        let mut slices = nal::units(&unit.frame.data).filter(|nal| family.role(nal) == Role::Slice).peekable();
        self.disposable = family == Family::H264 && !unit.frame.key && slices.peek().is_some() && slices.all(idle);
        let within = nal::units(&unit.frame.data).any(|nal| family.role(nal) == Role::Sps);
        let sets = if unit.frame.key && !within { sets } else { Vec::new() };
        let ticks = self.pts.to_ticks(coding.clock());
        let payloads = nal_pack::pack(family, sets.into_iter().chain(nal::units(&unit.frame.data).filter(useful)), PAYLOAD);
        self.parts = payloads.into_iter().map(|payload| Part { payload, ticks }).collect();
    }

    fn sound(&mut self, codec: &AudioCodec, data: &[u8], clock: &mut SampleClock) {
        let Some(coding) = choice::own(codec) else { return };
        self.coding = Some(coding);
        let ticks = self.pts.to_ticks(coding.clock());
        match coding {
            Coding::Opus => {
                let Ok(length) = opus::duration(data) else { return };
                let ticks = clock.place(coding, ticks, length.to_ticks(coding.clock()));
                self.parts.push(Part { payload: data.into(), ticks });
            }
            _ => {
                // One byte is one sample.
                let first = clock.place(coding, ticks, data.len() as i64);
                let parts = data.chunks(SAMPLES).enumerate();
                self.parts = parts.map(|(n, chunk)| Part { payload: chunk.into(), ticks: first + (n * SAMPLES) as i64 }).collect();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::Frame;
    use crate::media::track::{AudioTrack, Tracks, VideoTrack};
    use bytes::Bytes;

    fn audio(codec: AudioCodec, ms: i64, data: Vec<u8>) -> Unit {
        let track = AudioTrack { codec, sample_rate: 8_000, channels: 1 };
        let pts = Timestamp::from_millis(ms);
        let frame = Frame { kind: Kind::Audio, dts: pts, pts, key: true, data: data.into() };
        Unit::new(0, frame, Arc::new(Tracks { video: None, audio: Some(Arc::new(track)) }), Timestamp::ZERO)
    }

    #[test]
    fn sound_has_no_gaps_where_its_times_jitter() {
        let mut clock = SampleClock::default();
        let mut ticks = |ms, samples| {
            let sheet = Sheet::cut(&audio(AudioCodec::G711A, ms, vec![0xd5; samples]), Some(&mut clock));
            sheet.parts.iter().map(|part| part.ticks).collect::<Vec<_>>()
        };
        assert_eq!(ticks(1_000, 320), [8_000]);
        assert_eq!(ticks(1_043, 320), [8_320], "3 ms late");
        assert_eq!(ticks(1_080, 1_000), [8_640, 9_120, 9_600], "too long for one packet");
        assert_eq!(ticks(1_500, 320), [12_000], "really missing");
    }

    #[test]
    fn key_frames_carry_their_sets() {
        let set = |byte: u8| Bytes::from(vec![byte, 1, 2, 3]);
        let codec = VideoCodec::H264 { sps: vec![set(0x67)], pps: vec![set(0x68)] };
        let track = VideoTrack { codec, width: 0, height: 0, fps: None, reorder: None };
        let tracks = Arc::new(Tracks { video: Some(Arc::new(track)), audio: None });
        let slice = [&[0, 0, 0, 2, 9, 0x10][..], &[0, 0, 0, 4, 0x65, 0x88, 1, 1]].concat();
        let cut = |key, data: Vec<u8>| {
            let pts = Timestamp::from_millis(40);
            let frame = Frame { kind: Kind::Video, dts: pts, pts, key, data: data.into() };
            let sheet = Sheet::cut(&Unit::new(0, frame, tracks.clone(), Timestamp::ZERO), None);
            sheet.parts.iter().map(|part| (part.payload.to_vec(), part.ticks)).collect::<Vec<_>>()
        };
        let aggregate = [&[0x78, 0, 4, 0x67, 1, 2, 3, 0, 4, 0x68, 1, 2, 3, 0, 4][..], &slice[10..]].concat();
        assert_eq!(cut(true, slice.clone()), [(aggregate, 3_600)], "sets in front, the delimiter left out");
        assert_eq!(cut(false, slice.clone()), [(slice[10..].to_vec(), 3_600)]);
        let disposable = |nal: u8| {
            let frame = Frame {
                kind: Kind::Video,
                dts: Timestamp::ZERO,
                pts: Timestamp::ZERO,
                key: false,
                data: vec![0, 0, 0, 2, nal, 0x88].into(),
            };
            Sheet::cut(&Unit::new(0, frame, tracks.clone(), Timestamp::ZERO), None).disposable
        };
        assert_eq!((disposable(0x01), disposable(0x21), disposable(0x41)), (true, false, false));
        let own = [&[0, 0, 0, 3, 0x67, 9, 9][..], &slice].concat();
        assert!(cut(true, own)[0].0.starts_with(&[0x78, 0, 3, 0x67, 9, 9]), "its own sets stay");
    }
}
