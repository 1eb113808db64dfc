//! The demuxer: payloads in, tracks and frames out.

use super::audio::Audio;
use super::findings::Findings;
use super::header::Pes;
use super::kind::Kind;
use super::psm::Map;
use super::split::{Event, Splitter};
use super::video::{Out, Video};
use crate::base::unwrap::Unwrap;
use crate::media::frame;
use crate::media::time::Timestamp;
use crate::media::track::Track;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What happens to a frame with missing packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damaged {
    /// It is left out: players show a short fault until the next key frame.
    #[default]
    Drop,
    /// It is kept as it is.
    Keep,
    /// It is left out with all that follow up to the next key frame: the picture stands still instead of breaking up.
    UntilKey,
}

/// How to demux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What happens to damaged frames.
    pub damaged: Damaged,
    /// The largest frame in bytes.
    pub max_frame: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { damaged: Damaged::default(), max_frame: 8 << 20 }
    }
}

/// One payload of the transport.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The bytes.
    pub payload: &'a [u8],
    /// The RTP timestamp in ticks of 90 kHz, unwrapped; `None` for files.
    pub timestamp: Option<i64>,
    /// The RTP marker.
    pub marker: bool,
    /// Payloads are missing in front of this one.
    pub lost: bool,
}

/// What comes out.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A track, or a new version of it; frames of its kind follow.
    Track(Track),
    /// A frame.
    Frame(Frame),
    /// There is a stream of a codec that is not supported; told once.
    Refused(Kind),
    /// A frame had missing packets; with [`Damaged::Keep`] it follows. Pictures are broken up to the next key frame: time to ask for one.
    Damaged,
}

/// A frame with the times that the stream gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Video or audio.
    pub kind: frame::Kind,
    /// When to decode it, where the stream says so.
    pub dts: Option<Timestamp>,
    /// When to show it.
    pub pts: Timestamp,
    /// A decoder may start here.
    pub key: bool,
    /// The canonical form of [`frame::Frame::data`].
    pub data: Bytes,
}

/// Takes payloads in their order. Pull until `None` after each push.
#[derive(Debug)]
pub struct Demuxer {
    options: Options,
    splitter: Splitter,
    route: Route,
    video: Video,
    audio: Audio,
    video_id: Option<u8>,
    audio_id: Option<u8>,
    timestamp: Option<i64>,
    times: Times,
    findings: Findings,
    items: VecDeque<Item>,
}

/// Where payload goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Nowhere,
    Video,
    Audio,
}

impl Demuxer {
    /// A demuxer at the start of a stream.
    pub fn new(options: Options) -> Demuxer {
        Demuxer {
            options,
            splitter: Splitter::default(),
            route: Route::Nowhere,
            video: Video::default(),
            audio: Audio::default(),
            video_id: None,
            audio_id: None,
            timestamp: None,
            times: Times::default(),
            findings: Findings::default(),
            items: VecDeque::new(),
        }
    }

    /// What was found out so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Takes the next payload.
    pub fn push(&mut self, input: Input<'_>) {
        let new_timestamp = input.timestamp != self.timestamp;
        self.timestamp = input.timestamp;
        self.times.rtp = input.timestamp;
        if input.lost {
            self.splitter.gap();
            self.route = Route::Nowhere;
            self.with(|video, _, out| video.gap(out));
            self.audio.gap();
        } else {
            if new_timestamp && input.payload.starts_with(&[0, 0, 1]) {
                self.video.fresh_start();
            }
            if let Some(event) = self.splitter.at_packet_start(input.payload) {
                self.event(event);
            }
        }
        let mut rest = input.payload;
        while let Some(event) = self.splitter.next(&mut rest) {
            self.event(event);
        }
        if input.marker && self.route == Route::Video && self.splitter.is_between() {
            self.with(|video, _, out| video.marker(out));
        }
    }

    /// The next item.
    pub fn pull(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// The stream is over: what was collected comes out.
    pub fn finish(&mut self) {
        self.with(|video, audio, out| {
            video.end(out);
            audio.close(out);
        });
        self.splitter.gap();
        self.route = Route::Nowhere;
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Data { bytes, beyond } => {
                if beyond && bytes.iter().any(|b| *b != 0) {
                    self.findings.overrun += 1;
                }
                match self.route {
                    Route::Video => self.with(|video, _, out| video.data(bytes, out)),
                    Route::Audio => self.with(|_, audio, out| audio.data(bytes, out)),
                    Route::Nowhere => {}
                }
            }
            Event::Pes(pes) => self.pes(pes),
            Event::Pack { odd } => {
                self.findings.packs += 1;
                self.findings.odd_packs += u64::from(odd);
                self.video.pack();
                self.leave();
            }
            Event::System => {
                self.findings.system_headers += 1;
                self.leave();
            }
            Event::Map(map) => {
                self.leave();
                self.map(&map);
            }
            Event::Cut => self.findings.cut += 1,
            Event::Skipped => {
                self.findings.skipped += 1;
                self.leave();
            }
            Event::Junk => {
                self.findings.junk += 1;
                self.leave();
            }
        }
    }

    fn leave(&mut self) {
        if self.route == Route::Audio {
            self.with(|_, audio, out| audio.close(out));
        }
        self.route = Route::Nowhere;
    }

    fn pes(&mut self, pes: Pes) {
        self.leave();
        self.findings.odd_pes += u64::from(pes.odd);
        let timestamp = self.timestamp;
        // The first stream of its kind is the one; a map may name another.
        if pes.id & 0xf0 == 0xe0 && *self.video_id.get_or_insert(pes.id) == pes.id {
            self.route = Route::Video;
            self.with(|video, _, out| video.begin(pes, timestamp, out));
        } else if pes.id & 0xe0 == 0xc0 && *self.audio_id.get_or_insert(pes.id) == pes.id {
            self.route = Route::Audio;
            self.with(|_, audio, out| audio.begin(&pes, out));
        } else {
            self.findings.skipped += 1;
        }
    }

    fn map(&mut self, map: &Map) {
        self.findings.maps += 1;
        self.findings.odd_maps += u64::from(map.inconsistent);
        if let Some((id, stream_type)) = map.video {
            self.video_id = Some(id);
            self.findings.video_declared = Some(stream_type);
            if let Some(Kind::Video(kind)) = Kind::of(stream_type) {
                self.video.declare(Some(kind));
            }
        }
        if let Some((id, stream_type)) = map.audio {
            self.audio_id = Some(id);
            self.findings.audio_declared = Some(stream_type);
            if let Some(Kind::Audio(kind)) = Kind::of(stream_type) {
                self.audio.declare(Some(kind));
            }
        }
    }

    fn with(&mut self, act: impl FnOnce(&mut Video, &mut Audio, &mut Out<'_>)) {
        let Demuxer { options, video, audio, times, findings, items, .. } = self;
        act(video, audio, &mut Out { options, findings, times, items });
    }
}

/// The times of one frame.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// When to decode it.
    pub dts: Option<Timestamp>,
    /// When to show it.
    pub pts: Timestamp,
}

/// The program's time stamps: 33 bits that wrap after 26.5 hours, and the RTP timestamps for what has none.
#[derive(Debug, Default)]
pub struct Times {
    unwrap: Unwrap<33>,
    /// The RTP timestamp now.
    rtp: Option<i64>,
    /// The program's time at RTP timestamp 0, as last seen.
    offset: i64,
    /// The last video frame: time stamp and RTP timestamp.
    last: Option<(i64, Option<i64>)>,
    /// Frames in a row whose time stamp did not move while the RTP timestamp did.
    stuck: u32,
}

impl Times {
    const CLOCK: u32 = 90_000;
    const STUCK: u32 = 10;
    /// Of a frame without any time: 25 frames a second.
    const FRAME: i64 = 3_600;

    /// The times of a video frame.
    pub fn video(&mut self, pts: Option<u64>, dts: Option<u64>, rtp: Option<i64>, findings: &mut Findings) -> Stamp {
        let stamped = pts.map(|pts| self.unwrap.next(pts));
        if let (Some(pts), Some((last, last_rtp))) = (stamped, self.last) {
            let still = pts <= last && rtp > last_rtp && dts.is_none();
            self.stuck = if still { self.stuck + 1 } else { 0 };
            findings.stamps_stuck |= self.stuck > Self::STUCK;
        }
        let usable = stamped.filter(|_| !findings.stamps_stuck);
        let ticks = match (usable, rtp, self.last) {
            (Some(pts), _, _) => pts,
            (None, Some(rtp), _) => rtp + self.offset,
            (None, None, Some((last, _))) => last + Self::FRAME,
            (None, None, None) => 0,
        };
        if let (Some(pts), Some(rtp)) = (usable, rtp) {
            self.offset = pts - rtp;
        }
        self.last = Some((stamped.unwrap_or(ticks), rtp));
        let earlier = usable.and(dts).zip(pts).map(|(dts, pts)| Unwrap::<33>::distance(pts, dts));
        let at = |ticks| Timestamp::from_ticks(ticks, Self::CLOCK);
        Stamp { pts: at(ticks), dts: earlier.map(|by| at(ticks - by)) }
    }

    /// The time of a stamp of audio.
    pub fn audio(&mut self, pts: u64) -> Timestamp {
        Timestamp::from_ticks(self.unwrap.next(pts), Self::CLOCK)
    }

    /// The time for a frame that has none.
    pub fn now(&self) -> Timestamp {
        let ticks = self.rtp.map(|rtp| rtp + self.offset).or(self.last.map(|(ticks, _)| ticks));
        Timestamp::from_ticks(ticks.unwrap_or(0), Self::CLOCK)
    }
}
