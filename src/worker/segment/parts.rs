//! Units into parts of fragmented MP4 segments, all in memory.

use super::Settings;
use super::cutter::{Cut, Cutter, Step};
use crate::container::m3u8::{Limits, Part, Parts};
use crate::container::mp4;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use crate::stream::Unit;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;

/// What a frame lasts when nothing tells.
const FRAME: Timestamp = Timestamp::from_millis(40);
/// Times of frames are rounded, to a millisecond at worst.
const ROUNDING: i64 = 1_000_000;

/// Cuts one stream.
pub(super) struct PartCutter {
    cutter: Cutter,
    steps: Vec<Step>,
    muxer: Option<mp4::Muxer>,
    part: Timestamp,
    /// Where the open segment begins, into how many parts it is cut so far, and how far apart they are meant to begin: a segment is
    /// as long as the one before, and its parts are equally long. A short rest at its end would be left out by players that
    /// take what is nearly complete for complete.
    begun: Timestamp,
    cuts: i64,
    step: Timestamp,
    most: usize,
    lead: Kind,
    /// Where the open part begins; the newest of the frames that make the time, and how long one lasts.
    start: Timestamp,
    last: Timestamp,
    frame: Timestamp,
    /// The unit that is in the muxer already.
    taken: Option<u64>,
}

impl Settings {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            segment: self.segment.0,
            part: self.part.0,
            // Twice as many as of whole segments: a player that begins at the edge must not fall off the other end.
            listed: self.window * 2,
            kept: self.kept,
            bytes: self.bytes.bytes(),
        }
    }
}

impl PartCutter {
    /// A stream that has these tracks so far.
    pub fn new(settings: &Settings, tracks: &Tracks) -> PartCutter {
        let expect_video = mp4::played(tracks).video.is_some();
        PartCutter {
            cutter: Cutter::new(settings.segment.0.into(), settings.segment_max.0.into(), mp4::played, expect_video),
            steps: Vec::new(),
            muxer: None,
            part: Timestamp::from(settings.part.0),
            begun: Timestamp::ZERO,
            cuts: 0,
            step: step(settings.segment.0.into(), settings.part.0.into(), FRAME),
            most: (settings.bytes.bytes() / 4).max(64 << 10),
            lead: Kind::Video,
            start: Timestamp::ZERO,
            last: Timestamp::ZERO,
            frame: FRAME,
            taken: None,
        }
    }

    /// Takes the next unit; whether the list changed.
    pub fn push(&mut self, unit: Arc<Unit>, list: &mut Parts) -> bool {
        let mut steps = std::mem::take(&mut self.steps);
        let mut changed = false;
        self.cutter.push(unit, &mut steps);
        for step in steps.drain(..) {
            changed |= match step {
                Step::Begin { cut, tracks, first, .. } => self.begin(cut, &tracks, &first, list),
                Step::Add(unit) => self.add(&unit, list),
            };
        }
        self.steps = steps;
        changed
    }

    /// Units are missing between the last one and the next.
    pub fn lost(&mut self) {
        self.cutter.lost();
    }

    /// The stream is over.
    pub fn end(&mut self, list: &mut Parts) {
        self.close(list);
        list.end();
    }

    fn begin(&mut self, cut: Cut, tracks: &Tracks, first: &Unit, list: &mut Parts) -> bool {
        if let (Cut::Length, Some(muxer)) = (cut, &mut self.muxer) {
            // The first frame of the next segment tells how long the last one of this lasts.
            let full = muxer.push(&first.frame).is_err();
            self.taken = Some(first.seq).filter(|_| !full);
            self.cut(first.frame.dts, list);
            self.step = step(first.frame.dts - self.begun, self.part, self.frame);
            list.begin(first.wall, false);
        } else {
            let continues = self.muxer.is_none();
            self.close(list);
            let Some(header) = mp4::init(tracks) else { return false };
            list.header(header, tracks);
            list.begin(first.wall, !continues);
            self.muxer = Some(mp4::Muxer::new(tracks, Timestamp::ZERO));
            self.lead = if tracks.video.is_some() { Kind::Video } else { Kind::Audio };
        }
        self.start = first.frame.dts;
        self.last = first.frame.dts;
        (self.begun, self.cuts) = (first.frame.dts, 0);
        true
    }

    fn add(&mut self, unit: &Unit, list: &mut Parts) -> bool {
        let Some(muxer) = &mut self.muxer else { return false };
        let frame = &unit.frame;
        if self.taken.take() == Some(unit.seq) {
            return false;
        }
        if muxer.push(frame).is_err() {
            self.cut(frame.dts, list);
            // An empty fragment takes any frame.
            let _ = self.muxer.as_mut().map(|muxer| muxer.push(frame));
            return true;
        }
        if muxer.size() > self.most {
            self.cutter.overdue();
        }
        if frame.kind != self.lead || frame.dts <= self.last {
            return false;
        }
        self.frame = frame.dts - self.last;
        self.last = frame.dts;
        // What is complete ends where this frame begins; with this one it would be too long.
        let end = frame.dts + self.frame;
        let due = end - self.start > self.part || (end - self.begun).0 > self.step.0.saturating_mul(self.cuts + 1).saturating_add(ROUNDING);
        due && self.cut(frame.dts, list)
    }

    /// A part of all that is complete, which ends at `end`.
    fn cut(&mut self, end: Timestamp, list: &mut Parts) -> bool {
        let Some(fragment) = self.muxer.as_mut().and_then(mp4::Muxer::cut) else { return false };
        list.push(part(&fragment, end.since(self.start)));
        self.start = end;
        self.cuts += 1;
        true
    }

    /// The open segment ends, and nothing continues it.
    fn close(&mut self, list: &mut Parts) {
        let end = self.last + self.frame;
        if let Some(fragment) = self.muxer.take().and_then(mp4::Muxer::finish) {
            list.push(part(&fragment, end.since(self.start)));
        }
        list.finish();
    }
}

/// How far apart the parts of a segment begin, so that all have about as many frames, and none more than fit into `part`.
fn step(segment: Timestamp, part: Timestamp, frame: Timestamp) -> Timestamp {
    let frame = frame.0.max(ROUNDING);
    let most = ((part.0 + ROUNDING) / frame).max(1) as u64;
    let frames = ((segment.0 + frame / 2) / frame).max(0) as u64;
    match frames.div_ceil(most) {
        0 | 1 => part,
        parts => Timestamp(segment.0 / parts as i64),
    }
}

fn part(fragment: &mp4::Fragment, duration: Duration) -> Part {
    let mut bytes = BytesMut::with_capacity(fragment.size());
    bytes.extend_from_slice(&fragment.head);
    fragment.frames.iter().for_each(|frame| bytes.extend_from_slice(frame));
    let bytes: Bytes = bytes.freeze();
    Part { bytes, duration: duration.max(Duration::from_millis(1)), independent: fragment.key }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::m3u8::Piece;
    use crate::media::frame::Frame;
    use crate::media::track::{VideoCodec, VideoTrack};

    /// Ten seconds of 25 pictures, a key frame every two seconds; frames in `gap` are missing.
    fn cut(gap: std::ops::Range<i64>) -> Parts {
        let set = |text: &str| vec![Bytes::from(hex::decode(text).unwrap())];
        let codec = VideoCodec::H264 { sps: set("6742c00cd901419f9f011000000300100000030320f142a480"), pps: set("68cb83cb20") };
        let video = VideoTrack { codec, width: 320, height: 180, fps: Some((25, 1)), reorder: Some(0) };
        let tracks = Arc::new(Tracks { video: Some(Arc::new(video)), audio: None });
        let settings = Settings::default();
        let mut list = Parts::new(settings.limits(), 7);
        let mut cutter = PartCutter::new(&settings, &tracks);
        for n in 0..251 {
            if gap.contains(&n) {
                cutter.lost();
                continue;
            }
            let time = Timestamp::from_millis(n * 40);
            let frame = Frame { kind: Kind::Video, dts: time, pts: time, key: n % 50 == 0, data: vec![0, 0, 0, 2, 0x65, n as u8].into() };
            cutter.push(Arc::new(Unit::new(n as u64, frame, tracks.clone(), time)), &mut list);
        }
        list
    }

    #[test]
    fn segments_begin_at_key_frames_and_parts_are_short() {
        let list = cut(0..0);
        let text = list.playlist(false, |piece| piece.to_string());
        assert_eq!(text.matches("#EXTINF:2.00000,\n").count(), 5, "{text}");
        assert_eq!((list.next(), list.target(), text.contains("DISCONTINUITY\n")), (13, Duration::from_secs(2), false));
        // Fifty pictures in seven parts: seven in each, eight in the last.
        assert!(text.contains("PART-TARGET=0.320") && text.contains("DURATION=0.28000,URI=\"10.0.m4s\",INDEPENDENT=YES\n"), "{text}");
        assert!(text.contains("DURATION=0.32000,URI=\"11.6.m4s\"\n") && !text.contains("11.7.m4s"), "{text}");
        let whole: usize = list.get(Piece::Segment(8)).unwrap().iter().map(Bytes::len).sum();
        let parts: Vec<Bytes> = (0..7).map(|n| list.get(Piece::Part(8, n)).unwrap().remove(0)).collect();
        assert_eq!(parts.iter().map(Bytes::len).sum::<usize>(), whole, "the same bytes");
        assert!(parts.iter().all(|part| part[4..8] == *b"moof"));
        assert!(list.get(Piece::Header(0)).is_some_and(|header| header[0][4..8] == *b"ftyp"));
    }

    #[test]
    fn parts_divide_a_segment_evenly() {
        let ms = Timestamp::from_millis;
        let of = |segment, part| step(ms(segment), ms(part), ms(40)).0 / 1_000;
        // Fifty frames: by eight, by twelve, by twenty-five; what is shorter than a part is one.
        assert_eq!([of(2_000, 320), of(2_000, 500), of(2_000, 1_000), of(200, 320)], [285_714, 400_000, 1_000_000, 320_000]);
        assert_eq!((of(0, 320), of(12_000, 320), of(2_000, 10)), (320_000, 315_789, 40_000));
    }

    #[test]
    fn what_is_missing_is_a_discontinuity() {
        let list = cut(60..70);
        let text = list.playlist(false, |piece| piece.to_string());
        // From 2.4 s to the next key frame nothing can be shown.
        assert!(text.contains("#EXTINF:0.40000,\n8.m4s\n#EXT-X-DISCONTINUITY\n"), "{text}");
        assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    }
}
