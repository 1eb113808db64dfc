//! Cutting in media time, and feeds in manual time.

use super::*;
use crate::base::id::{SessionId, StreamKey};
use crate::container::m3u8::Segment;
use crate::container::ts::demux;
use crate::media::frame::{Frame, Kind};
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track, Tracks, VideoCodec, VideoTrack};
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::stream::{Derived, Event, Publisher, Raw, Registry, Source, Unit};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

const WALL: i64 = 1_700_000_000_000;

fn video(mark: u8) -> VideoTrack {
    let set = |b: u8| vec![Bytes::from(vec![b, mark])];
    VideoTrack { codec: VideoCodec::H264 { sps: set(0x67), pps: set(0x68) }, width: 320, height: 240, fps: None, reorder: Some(0) }
}

fn aac() -> AudioTrack {
    AudioTrack { codec: AudioCodec::Aac { config: Bytes::from_static(&[0x15, 0x88]) }, sample_rate: 8_000, channels: 1 }
}

fn g711() -> AudioTrack {
    AudioTrack { codec: AudioCodec::G711A, sample_rate: 8_000, channels: 1 }
}

fn tracks(video: Option<VideoTrack>, audio: Option<AudioTrack>) -> Arc<Tracks> {
    Arc::new(Tracks { video: video.map(Arc::new), audio: audio.map(Arc::new) })
}

/// A slice whose last 4 bytes number it.
fn nal(n: u32, size: usize) -> Bytes {
    let mut data = (size as u32 + 5).to_be_bytes().to_vec();
    data.push(0x41);
    data.extend(std::iter::repeat_n(0x55, size));
    data.extend(n.to_be_bytes());
    Bytes::from(data)
}

fn unit(tracks: &Arc<Tracks>, kind: Kind, ms: i64, key: bool) -> Unit {
    let dts = Timestamp::from_millis(ms);
    let data = if kind == Kind::Video { nal(ms as u32, 50) } else { Bytes::from_static(&[7; 40]) };
    Unit::new(0, Frame { kind, dts, pts: dts, key, data }, tracks.clone(), Timestamp::from_millis(WALL + ms))
}

/// Cuts pictures at 25 a second in `from..to` milliseconds, with a key frame every `gop`.
struct Rig {
    segmenter: Segmenter,
    finished: Vec<Segment>,
}

impl Rig {
    fn new(settings: Settings, tracks: &Tracks) -> Rig {
        Rig { segmenter: Segmenter::new(&settings, tracks), finished: Vec::new() }
    }

    fn push(&mut self, unit: Unit) {
        self.segmenter.push(Arc::new(unit), &mut self.finished);
    }

    fn pictures(&mut self, tracks: &Arc<Tracks>, from: i64, to: i64, gop: i64) {
        (from..to).step_by(40).for_each(|ms| self.push(unit(tracks, Kind::Video, ms, ms % gop == 0)));
    }

    /// Length in ms, starts with a key frame, breaks, streams inside.
    fn summary(&self) -> Vec<(u128, bool, bool, usize)> {
        let streams = |s: &Segment| demux::read(&s.bytes).unwrap().streams.len();
        self.finished.iter().map(|s| (s.duration.as_millis(), s.independent, s.discontinuity, streams(s))).collect()
    }

    /// The numbers of all pictures, in order.
    fn pictures_seen(&self) -> Vec<u32> {
        let mut seen = Vec::new();
        for segment in &self.finished {
            for pes in demux::read(&segment.bytes).unwrap().pes.iter().filter(|p| p.pid == 0x100) {
                seen.push(u32::from_be_bytes(pes.data.last_chunk::<4>().copied().unwrap()));
            }
        }
        seen
    }
}

#[test]
fn segments_begin_at_the_key_frame_nearest_to_the_target() {
    // (distance of key frames, length of segments) with a target of 2 s.
    for (gop, length) in [(480, 1_920), (1_000, 2_000), (1_520, 1_520), (2_000, 2_000), (3_000, 3_000), (10_000, 10_000)] {
        let tracks = tracks(Some(video(0)), None);
        let mut rig = Rig::new(Settings::default(), &tracks);
        rig.pictures(&tracks, 0, 40_000, gop);
        rig.segmenter.end(&mut rig.finished);
        let summary = rig.summary();
        let (full, last) = summary.split_at(summary.len() - 1);
        assert!(full.len() >= 3, "{gop}");
        // The distance of key frames is known from the second one on; until then nothing is cut too early.
        assert!(full[1..].iter().all(|s| *s == (length, true, false, 1)), "{gop}: {summary:?}");
        assert!(last[0].1);
        assert_eq!(rig.pictures_seen(), (0..40_000).step_by(40).collect::<Vec<_>>(), "{gop}");
        assert_eq!(rig.finished[1].wall, Timestamp::from_millis(WALL + summary[0].0 as i64));
    }
}

#[test]
fn key_frames_too_far_apart_are_cut_between_and_the_next_one_ends_that_segment() {
    let tracks = tracks(Some(video(0)), None);
    let mut rig = Rig::new(Settings { segment_max: Span::secs(12), ..Settings::default() }, &tracks);
    rig.pictures(&tracks, 0, 61_000, 30_000);
    let expected = [(12_000, true), (12_000, false), (6_000, false), (12_000, true), (12_000, false), (6_000, false)];
    assert_eq!(rig.summary().iter().map(|s| (s.0, s.1)).collect::<Vec<_>>(), expected);
    rig.segmenter.end(&mut rig.finished);
    assert_eq!(rig.pictures_seen().len(), 61_000 / 40);
}

#[test]
fn the_first_segment_is_cut_at_once_and_the_second_ends_at_the_key_frame() {
    let tracks = tracks(Some(video(0)), Some(aac()));
    let mut rig = Rig::new(Settings::default(), &tracks);
    rig.pictures(&tracks, 0, 400, 2_000);
    rig.segmenter.caught_up(&mut rig.finished);
    assert!(rig.finished.is_empty(), "0.4 s are too little to start with");
    rig.pictures(&tracks, 400, 1_200, 2_000);
    rig.segmenter.caught_up(&mut rig.finished);
    assert_eq!(rig.summary(), [(1_200, true, false, 2)]);
    rig.push(unit(&tracks, Kind::Audio, 1_190, true));
    rig.pictures(&tracks, 1_200, 6_040, 2_000);
    rig.segmenter.caught_up(&mut rig.finished);
    let lengths = [(1_200, true, false, 2), (810, false, false, 2), (2_000, true, false, 2), (2_000, true, false, 2)];
    assert_eq!(rig.summary(), lengths);
    assert_eq!(rig.pictures_seen(), (0..6_000).step_by(40).collect::<Vec<_>>());
}

#[test]
fn sound_that_comes_late_waits_for_a_key_frame_and_g711_is_left_out() {
    let (silent, with_g711, with_aac) =
        (tracks(Some(video(0)), None), tracks(Some(video(0)), Some(g711())), tracks(Some(video(0)), Some(aac())));
    let mut rig = Rig::new(Settings::default(), &silent);
    rig.pictures(&silent, 0, 2_000, 2_000);
    rig.push(unit(&with_g711, Kind::Audio, 2_000, true));
    rig.pictures(&with_g711, 2_000, 5_000, 2_000);
    rig.push(unit(&with_aac, Kind::Audio, 5_000, true));
    rig.pictures(&with_aac, 5_000, 8_000, 2_000);
    rig.push(unit(&with_aac, Kind::Audio, 7_990, true));
    rig.segmenter.end(&mut rig.finished);
    let expected = [(2_000, true, false, 1), (2_000, true, false, 1), (2_000, true, false, 1), (2_000, true, true, 2)];
    assert_eq!(rig.summary(), expected);
    assert!(!demux::read(&rig.finished[3].bytes).unwrap().stream(0x101).is_empty());
    assert_eq!(rig.pictures_seen().len(), 200);
}

#[test]
fn new_sequence_parameters_break_and_new_picture_parameters_do_not() {
    let first = tracks(Some(video(0)), None);
    let mut other_pps = video(0);
    other_pps.codec = VideoCodec::H264 { sps: vec![Bytes::from_static(&[0x67, 0])], pps: vec![Bytes::from_static(&[0x68, 9])] };
    let second = tracks(Some(other_pps), None);
    let third = tracks(Some(video(1)), None);
    let mut rig = Rig::new(Settings::default(), &first);
    rig.pictures(&first, 0, 2_000, 2_000);
    rig.pictures(&second, 2_000, 4_000, 2_000);
    rig.pictures(&third, 4_000, 6_000, 1_000);
    rig.segmenter.end(&mut rig.finished);
    assert_eq!(rig.summary(), [(2_000, true, false, 1), (2_000, true, false, 1), (2_000, true, true, 1)]);
}

#[test]
fn after_a_break_a_segment_begins_at_a_key_frame_even_when_sound_comes_first() {
    let both = tracks(Some(video(0)), Some(aac()));
    let sound_so_far = tracks(None, Some(aac()));
    let mut rig = Rig::new(Settings::default(), &both);
    rig.pictures(&both, 0, 1_000, 2_000);
    let mut first = unit(&sound_so_far, Kind::Audio, 9_000, true);
    first.discontinuity = true;
    rig.push(first);
    rig.push(unit(&both, Kind::Audio, 9_020, true));
    rig.pictures(&both, 9_040, 10_000, 9_040);
    rig.segmenter.lost();
    rig.pictures(&both, 20_000, 21_000, 20_000);
    rig.segmenter.end(&mut rig.finished);
    assert_eq!(rig.summary(), [(1_000, true, false, 2), (960, true, true, 2), (1_000, true, true, 2)]);
}

#[test]
fn sound_alone_is_cut_at_the_target_and_pictures_may_join_later() {
    let sound = tracks(None, Some(aac()));
    let both = tracks(Some(video(0)), Some(aac()));
    let mut rig = Rig::new(Settings::default(), &sound);
    (0..5_000).step_by(20).for_each(|ms| rig.push(unit(&sound, Kind::Audio, ms, true)));
    rig.pictures(&both, 5_000, 6_000, 5_000);
    rig.segmenter.end(&mut rig.finished);
    assert_eq!(rig.summary(), [(2_000, true, false, 1), (2_000, true, false, 1), (1_000, true, false, 1), (1_000, true, true, 2)]);
    // A publisher that had pictures comes back without: the sound that waited for them is not lost.
    let mut rig = Rig::new(Settings::default(), &both);
    (0..3_000).step_by(20).for_each(|ms| rig.push(unit(&sound, Kind::Audio, ms, true)));
    rig.segmenter.end(&mut rig.finished);
    assert_eq!(rig.summary(), [(2_000, true, false, 1), (1_000, true, false, 1)]);
    let frames: usize = rig.finished.iter().map(|s| demux::read(&s.bytes).unwrap().stream(0x101).len() / 47).sum();
    assert_eq!(frames, 150);
}

#[test]
fn pictures_that_stop_do_not_hold_the_sound_up() {
    let both = tracks(Some(video(0)), Some(aac()));
    let mut rig = Rig::new(Settings::default(), &both);
    rig.pictures(&both, 0, 200, 2_000);
    (200..30_000).step_by(20).for_each(|ms| rig.push(unit(&both, Kind::Audio, ms, true)));
    assert_eq!(rig.summary().iter().map(|s| s.0).collect::<Vec<_>>(), [12_000, 12_000]);
}

#[test]
fn a_segment_never_takes_more_than_its_share_of_memory() {
    let tracks = tracks(Some(video(0)), None);
    let mut rig = Rig::new(Settings { bytes: Size(4 << 20), ..Settings::default() }, &tracks);
    for n in 0..200i64 {
        let mut unit = unit(&tracks, Kind::Video, n * 10, n == 0);
        unit.frame.data = nal(n as u32, 100_000);
        rig.push(unit);
    }
    assert!(rig.finished.len() > 10);
    assert!(rig.finished.iter().all(|s| s.bytes.len() < (1 << 20) + 200_000));
}

#[test]
fn frames_that_say_nothing_make_no_segment() {
    let tracks = tracks(Some(video(0)), None);
    let mut rig = Rig::new(Settings::default(), &tracks);
    for ms in (0..6_000).step_by(1_000) {
        let mut unit = unit(&tracks, Kind::Video, ms, true);
        unit.frame.data = Bytes::from_static(&[0, 0, 0, 9, 1]);
        rig.push(unit);
    }
    rig.segmenter.end(&mut rig.finished);
    assert!(rig.finished.is_empty());
}

struct Live {
    clock: Clock,
    registry: Registry,
    feeds: Feeds,
    key: StreamKey,
    tasks: Tasks,
}

fn live() -> Live {
    let (clock, tasks) = (Clock::manual(Timestamp::from_millis(WALL)), Tasks::new());
    let registry = Registry::new(crate::stream::Settings::default(), clock.clone(), &tasks);
    let feeds = Feeds::new(Settings::default(), registry.clone(), &tasks);
    Live { clock, registry, feeds, key: StreamKey::parse("live/a").unwrap(), tasks }
}

impl Live {
    fn publish(&self) -> Publisher {
        let source = Source { protocol: "test", peer: String::new(), session: SessionId(1) };
        let mut publisher = self.registry.publish(&self.key, source).unwrap();
        publisher.set_track(Track::Video(video(0)));
        publisher
    }

    /// `count` pictures of 40 ms; the clock and the tasks go along.
    async fn run(&self, publisher: &mut Publisher, from: i64, count: i64) {
        for n in from..from + count {
            let at = Timestamp::from_millis(n * 40);
            publisher.push(Raw { kind: Kind::Video, dts: Some(at), pts: at, key: n % 50 == 0, data: nal(n as u32, 20) });
            self.pass(40).await;
        }
    }

    async fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_feed_starts_from_the_cache_goes_on_over_a_gap_and_ends_with_the_stream() {
    let live = live();
    assert!(live.feeds.open(&live.key).is_none());
    let mut publisher = live.publish();
    live.run(&mut publisher, 0, 80).await;
    let feed = live.feeds.open(&live.key).unwrap();
    let window = feed.first(Duration::from_secs(10)).await.unwrap();
    let first = window.newest().unwrap().clone();
    assert_eq!((first.duration.as_millis(), first.independent, window.next()), (1_200, true, WALL as u64 / 1_000 + 4));
    assert_eq!(first.wall, Timestamp::from_millis(WALL + 2_000));
    assert_eq!(live.registry.get(&live.key).unwrap().viewers(), 0);
    live.run(&mut publisher, 80, 71).await;
    let next = feed.window().next();
    assert_eq!(next, window.next() + 2);
    drop(publisher);
    live.pass(3_000).await;
    let mut publisher = live.publish();
    live.run(&mut publisher, 0, 51).await;
    assert!(std::ptr::eq(Arc::as_ptr(&live.feeds.open(&live.key).unwrap()), Arc::as_ptr(&feed)));
    let window = feed.window();
    // What was open at the gap, then one segment behind it.
    assert_eq!(window.next(), next + 2);
    assert!(window.newest().unwrap().discontinuity);
    drop(publisher);
    live.pass(0).await;
    live.pass(10_000).await;
    let window = feed.window();
    assert!(window.is_ended() && live.registry.is_empty());
    assert!(live.feeds.open(&live.key).is_some(), "what was cut is there for those who still load it");
    // The stream comes back within that time: a new feed, whose numbers go on.
    let mut publisher = live.publish();
    live.run(&mut publisher, 0, 30).await;
    let again = live.feeds.open(&live.key).unwrap();
    let newer = again.first(Duration::from_secs(10)).await.unwrap();
    assert!(!newer.is_ended() && newer.next() > window.next());
}

#[tokio::test]
async fn a_feed_that_nobody_asks_for_stops() {
    let live = live();
    let mut publisher = live.publish();
    live.run(&mut publisher, 0, 40).await;
    live.feeds.open(&live.key).unwrap();
    live.run(&mut publisher, 40, 300).await;
    live.feeds.open(&live.key).unwrap();
    live.run(&mut publisher, 340, 300).await;
    assert_eq!((live.feeds.len(), live.tasks.running()), (1, 1), "asked for 12 s ago");
    live.run(&mut publisher, 640, 80).await;
    assert_eq!((live.feeds.len(), live.tasks.running()), (0, 0));
    assert_eq!(live.registry.get(&live.key).unwrap().info().workers, 0);
}

#[tokio::test]
async fn what_hls_cannot_carry_is_named() {
    let live = live();
    let source = Source { protocol: "test", peer: String::new(), session: SessionId(1) };
    let mut publisher = live.registry.publish(&live.key, source).unwrap();
    let codec = VideoCodec::Av1 { config: Bytes::new() };
    publisher.set_track(Track::Video(VideoTrack { codec, width: 0, height: 0, fps: None, reorder: None }));
    publisher.set_track(Track::Audio(g711()));
    publisher.push(Raw { kind: Kind::Video, dts: None, pts: Timestamp::ZERO, key: true, data: Bytes::from_static(&[1]) });
    let feed = live.feeds.open(&live.key).unwrap();
    // Nobody makes AAC of the sound; after a second it is not waited for any more.
    let waited = async {
        for _ in 0..3 {
            live.pass(500).await;
        }
    };
    let (found, ()) = tokio::join!(feed.first(Duration::from_secs(10)), waited);
    assert_eq!(found.err(), Some(NoSegments::Unfit("AV1 and G711A".to_owned())));
    // A stream that brings nothing at all is waited for, but not for ever.
    let silent = StreamKey::parse("live/silent").unwrap();
    let source = Source { protocol: "test", peer: String::new(), session: SessionId(2) };
    let _publisher = live.registry.publish(&silent, source).unwrap();
    let feed = live.feeds.open(&silent).unwrap();
    let waited = async {
        for _ in 0..11 {
            live.pass(1_000).await;
        }
    };
    let (found, ()) = tokio::join!(feed.first(Duration::from_secs(10)), waited);
    assert_eq!(found.err(), Some(NoSegments::TimedOut));
}

#[tokio::test]
async fn sound_that_hls_cannot_carry_comes_from_the_derived_stream_or_is_left_out() {
    for made in [true, false] {
        let live = live();
        let mut publisher = live.publish();
        publisher.set_track(Track::Audio(g711()));
        let maker = {
            let (registry, derived) = (live.registry.clone(), Derived::Aac.of(&live.key).unwrap());
            let mut events = registry.watch();
            async move {
                loop {
                    if events.next().await == Some(Event::Wanted(derived.clone())) && made {
                        let source = Source { protocol: "av", peer: String::new(), session: SessionId(0) };
                        let mut publisher = registry.publish(&derived, source).unwrap();
                        publisher.set_track(Track::Video(video(0)));
                        publisher.set_track(Track::Audio(aac()));
                        for n in 0..200 {
                            let at = Timestamp::from_millis(n * 40);
                            let raw = |kind, data| Raw { kind, dts: Some(at), pts: at, key: kind == Kind::Audio || n % 50 == 0, data };
                            publisher.push(raw(Kind::Video, nal(n as u32, 20)));
                            publisher.push(raw(Kind::Audio, Bytes::from_static(&[7; 40])));
                        }
                        return Some(publisher);
                    }
                }
            }
        };
        let maker = tokio::spawn(maker);
        tokio::task::yield_now().await;
        live.run(&mut publisher, 0, 10).await;
        let feed = live.feeds.open(&live.key).unwrap();
        live.run(&mut publisher, 10, 150).await;
        let window = feed.first(Duration::from_secs(10)).await.unwrap();
        let streams = demux::read(&window.newest().unwrap().bytes).unwrap().streams;
        assert_eq!(streams.len(), if made { 2 } else { 1 }, "{streams:?}");
        maker.abort();
    }
}
