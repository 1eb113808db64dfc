//! Frames into fragments: `moof` and `mdat`, each with the exact time at which it begins (`tfdt`).

use super::{AUDIO, HZ, VIDEO, entry};
use crate::media::frame::{Frame, Kind};
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use bytes::Bytes;
use shiguredo_mp4::boxes::{MfhdBox, MoofBox, TfdtBox, TfhdBox, TrafBox, TrunBox, TrunSample};
use shiguredo_mp4::{Encode, SampleFlags};
use std::time::Duration;

/// What a fragment holds at most, bytes: whoever does not cut is told by [`Full`].
pub const MAX_SIZE: usize = 64 << 20;
/// What a fragment holds at most, frames of both tracks.
pub const MAX_FRAMES: usize = 16_384;

/// Needs no other sample, others may need it.
pub(super) const SYNC: SampleFlags = SampleFlags::from_fields(0, 2, 0, 0, 0, false, 0);
/// Needs others.
pub(super) const NOT_SYNC: SampleFlags = SampleFlags::from_fields(0, 1, 0, 0, 0, true, 0);

/// The fragment is as large as one may be: cut it, then push the frame again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the fragment is full")]
pub struct Full;

/// One fragment: `head`, then `frames` one after the other. The payload is not copied.
#[derive(Debug, Clone, PartialEq)]
pub struct Fragment {
    /// `moof` and the header of `mdat`.
    pub head: Bytes,
    /// The payload of `mdat`: video, then audio.
    pub frames: Vec<Bytes>,
    /// When it begins: the earliest decoding time inside, counted from the origin.
    pub start: Timestamp,
    /// It begins with a key frame, or has no video: a player may start here.
    pub key: bool,
}

impl Fragment {
    /// Its size in the file, bytes.
    pub fn size(&self) -> usize {
        self.head.len() + self.frames.iter().map(Bytes::len).sum::<usize>()
    }
}

/// Makes fragments of frames.
///
/// The last frame of each track waits for its successor, because only that tells how long it lasts. So a caller that sees a key
/// frame pushes it and then cuts: the fragment ends right before it, and the next one begins with it.
#[derive(Debug)]
pub struct Muxer {
    origin: Timestamp,
    sequence: u32,
    video: Option<Lane>,
    audio: Option<Lane>,
}

impl Muxer {
    /// For the tracks that are [`carried`](super::carried), with `origin` at the file's time 0: usually the decoding time of the first key
    /// frame. Frames before it are left out.
    pub fn new(tracks: &Tracks, origin: Timestamp) -> Muxer {
        let video = tracks.video.as_ref().and_then(|track| entry::video(track)).map(|_| Lane::new(VIDEO, HZ));
        let audio = tracks.audio.as_ref().and_then(|track| entry::audio(track)).map(|(_, hz)| Lane::new(AUDIO, hz));
        Muxer { origin, sequence: 0, video, audio }
    }

    /// Takes a frame; those of a track that is not carried are left out.
    pub fn push(&mut self, frame: &Frame) -> Result<(), Full> {
        let full = self.size().saturating_add(frame.data.len()) > MAX_SIZE || self.frames() >= MAX_FRAMES;
        let origin = self.origin;
        let lane = match frame.kind {
            Kind::Video => self.video.as_mut(),
            Kind::Audio => self.audio.as_mut(),
        };
        let Some(lane) = lane.filter(|_| frame.dts >= origin && frame.data.len() <= MAX_SIZE) else { return Ok(()) };
        if full && lane.pending.is_some() {
            return Err(Full);
        }
        lane.push(frame, origin);
        Ok(())
    }

    /// What waits to be cut, bytes.
    pub fn size(&self) -> usize {
        self.lanes().map(|lane| lane.size).sum()
    }

    /// How long the fragment would last that is cut now: that of its longer track.
    pub fn span(&self) -> Duration {
        self.lanes().map(Lane::span).max().unwrap_or_default()
    }

    fn frames(&self) -> usize {
        self.lanes().map(|lane| lane.samples.len()).sum()
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.video.iter().chain(&self.audio)
    }

    /// The fragment of all frames whose length is known; `None` if there is none.
    pub fn cut(&mut self) -> Option<Fragment> {
        let start = self.lanes().filter(|lane| !lane.samples.is_empty()).map(|lane| Timestamp::from_ticks(lane.start, lane.hz)).min()?;
        let key = self.video.as_ref().and_then(|lane| lane.samples.first()).is_none_or(|sample| sample.flags == Some(SYNC));
        self.sequence = self.sequence.wrapping_add(1);
        let mut moof =
            MoofBox { mfhd_box: MfhdBox { sequence_number: self.sequence }, traf_boxes: Vec::with_capacity(2), unknown_boxes: Vec::new() };
        let (mut frames, mut payload, mut offsets) = (Vec::new(), 0usize, Vec::new());
        for lane in self.video.iter_mut().chain(&mut self.audio).filter(|lane| !lane.samples.is_empty()) {
            offsets.push(payload);
            payload += lane.data.iter().map(Bytes::len).sum::<usize>();
            frames.append(&mut lane.data);
            moof.traf_boxes.push(lane.traf());
        }
        // offsets count from the first byte of the moof, whose size does not depend on them
        let base = moof.encode_to_vec().ok()?.len() + 8;
        for (traf, offset) in moof.traf_boxes.iter_mut().zip(offsets) {
            traf.trun_boxes.iter_mut().for_each(|run| run.data_offset = i32::try_from(base + offset).ok());
        }
        let mut head = moof.encode_to_vec().ok()?;
        head.extend(u32::try_from(payload + 8).ok()?.to_be_bytes());
        head.extend(b"mdat");
        Some(Fragment { head: head.into(), frames, start, key })
    }

    /// The last fragment. The last frame of each track lasts as long as the one before it.
    pub fn finish(self) -> Option<Fragment> {
        self.finish_at(None)
    }

    /// The same where another file goes on at `next`: the last picture lasts until then.
    pub fn finish_at(mut self, next: Option<Timestamp>) -> Option<Fragment> {
        let next = next.map(|next| next - self.origin);
        for lane in self.video.iter_mut().chain(&mut self.audio) {
            let begins = lane.pending.as_ref().map_or(0, |pending| pending.dts);
            let until = next.filter(|_| lane.id == VIDEO).map(|next| next.to_ticks(lane.hz) - begins);
            let duration = until.and_then(|ticks| u32::try_from(ticks).ok()).filter(|ticks| *ticks > 0);
            lane.complete(duration.unwrap_or(lane.usual));
        }
        self.cut()
    }
}

/// A frame whose successor is not known.
#[derive(Debug)]
struct Pending {
    dts: i64,
    later: i64,
    key: bool,
    data: Bytes,
}

/// One track.
#[derive(Debug)]
struct Lane {
    id: u32,
    hz: u32,
    /// Decoding time of the first of `samples`.
    start: i64,
    samples: Vec<TrunSample>,
    data: Vec<Bytes>,
    pending: Option<Pending>,
    /// Bytes in `data` and `pending`.
    size: usize,
    /// How long the last sample was.
    usual: u32,
}

impl Lane {
    fn new(id: u32, hz: u32) -> Lane {
        // until two frames are known: a picture of 40 ms, a packet of 20 ms
        let usual = if id == VIDEO { hz / 25 } else { hz / 50 };
        Lane { id, hz, start: 0, samples: Vec::new(), data: Vec::new(), pending: None, size: 0, usual }
    }

    fn push(&mut self, frame: &Frame, origin: Timestamp) {
        let dts = (frame.dts - origin).to_ticks(self.hz);
        let later = (frame.pts - origin).to_ticks(self.hz).saturating_sub(dts).clamp(0, i32::MAX.into());
        // time does not run backwards here: the publisher repaired it
        let dts = self.pending.as_ref().map_or(dts, |before| dts.max(before.dts));
        if let Some(before) = &self.pending {
            self.complete(u32::try_from(dts - before.dts).unwrap_or(u32::MAX));
        }
        self.size += frame.data.len();
        self.pending = Some(Pending { dts, later, key: frame.key, data: frame.data.clone() });
    }

    /// The frame that waits lasts this long.
    fn complete(&mut self, duration: u32) {
        let Some(pending) = self.pending.take() else { return };
        if self.samples.is_empty() {
            self.start = pending.dts;
        }
        if duration > 0 {
            self.usual = duration;
        }
        let video = self.id == VIDEO;
        self.samples.push(TrunSample {
            duration: Some(duration),
            size: u32::try_from(pending.data.len()).ok(),
            flags: video.then_some(if pending.key { SYNC } else { NOT_SYNC }),
            composition_time_offset: video.then_some(pending.later),
        });
        self.data.push(pending.data);
    }

    fn span(&self) -> Duration {
        let ticks: i64 = self.samples.iter().filter_map(|sample| sample.duration).map(i64::from).sum();
        Timestamp::from_ticks(ticks, self.hz).since(Timestamp::ZERO)
    }

    /// Takes the samples out.
    fn traf(&mut self) -> TrafBox {
        self.size = self.pending.as_ref().map_or(0, |pending| pending.data.len());
        let tfhd_box = TfhdBox {
            track_id: self.id,
            base_data_offset: None,
            sample_description_index: None,
            default_sample_duration: None,
            default_sample_size: None,
            default_sample_flags: (self.id != VIDEO).then_some(SYNC),
            duration_is_empty: false,
            default_base_is_moof: true,
        };
        let run = TrunBox { data_offset: Some(0), first_sample_flags: None, samples: std::mem::take(&mut self.samples) };
        TrafBox {
            tfhd_box,
            tfdt_box: Some(TfdtBox { version: 1, base_media_decode_time: u64::try_from(self.start).unwrap_or(0) }),
            trun_boxes: vec![run],
            unknown_boxes: Vec::new(),
        }
    }
}
