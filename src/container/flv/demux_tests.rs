//! Tests of both directions: every codec out and in again, senders' habits, hostile tags.

use super::super::{Hevc, mux};
use super::*;
use crate::media::track::Tracks;
use proptest::prelude::*;
use std::sync::Arc;

fn hexed(text: &str) -> Bytes {
    hex::decode(text).unwrap().into()
}

fn h264_track() -> VideoTrack {
    let sps = hexed("6742c00cd901419f9f011000000300100000030320f142a480");
    h264::track_from_sets(vec![sps], vec![hexed("68cb83cb20")]).unwrap()
}

fn h265_track() -> VideoTrack {
    let vps = hexed("40010c01ffff01600000030090000003000003003c959809");
    let sps = hexed("42010101600000030090000003000003003ca00a080b9f796566924caf016808000003000800000300c840");
    h265::track_from_sets(vec![vps], vec![sps], vec![hexed("4401c172b46240")]).unwrap()
}

fn audio(codec: AudioCodec, sample_rate: u32, channels: u8) -> Tracks {
    Tracks { video: None, audio: Some(Arc::new(AudioTrack { codec, sample_rate, channels })) }
}

fn video(track: VideoTrack) -> Tracks {
    Tracks { video: Some(Arc::new(track)), audio: None }
}

fn opaque(codec: VideoCodec) -> Tracks {
    video(VideoTrack { codec, width: 0, height: 0, fps: None, reorder: None })
}

fn pull_all(demuxer: &mut Demuxer) -> Vec<Item> {
    std::iter::from_fn(|| demuxer.pull()).collect()
}

fn mp3_frame() -> Bytes {
    // MPEG-1 layer III, 128 kbit/s, 44.1 kHz, stereo.
    [&[0xff, 0xfb, 0x90, 0x00][..], &[0; 413]].concat().into()
}

/// Tracks with a frame of each codec that FLV carries.
fn all() -> Vec<(&'static str, Tracks, Bytes)> {
    let idr = hexed("000000046588840a");
    vec![
        ("H.264", video(h264_track()), idr.clone()),
        ("H.265", video(h265_track()), hexed("000000052601af0a0b")),
        ("AV1", opaque(VideoCodec::Av1 { config: hexed("81050c00") }), hexed("0a0b0000002d4cffb3c0")),
        ("VP9", opaque(VideoCodec::Vp9 { config: hexed("0100000000") }), hexed("8249834200")),
        ("AAC", audio(AudioCodec::Aac { config: hexed("1210") }, 44_100, 2), hexed("211004608c1c")),
        ("G.711 A", audio(AudioCodec::G711A, 8_000, 1), hexed("d5d5d5")),
        ("G.711 µ", audio(AudioCodec::G711U, 8_000, 2), hexed("ffff")),
        ("MP3", audio(AudioCodec::Mp3, 44_100, 2), mp3_frame()),
        ("Opus", audio(AudioCodec::Opus { head: Some(opus::build_head(2, 312, 48_000)) }, 48_000, 2), hexed("fc01020304")),
    ]
}

#[test]
fn every_codec_out_and_in_again() {
    for hevc in [Hevc::Enhanced, Hevc::Legacy] {
        for (name, tracks, data) in all() {
            let kind = if tracks.video.is_some() { Kind::Video } else { Kind::Audio };
            let pts = if matches!(name, "H.264" | "H.265") { 1080 } else { 1000 };
            let frame = Frame { kind, dts: Timestamp::from_millis(1000), pts: Timestamp::from_millis(pts), key: true, data: data.clone() };
            let mut demuxer = Demuxer::new();
            if let Some(header) = mux::sequence_header(kind, &tracks, hevc) {
                demuxer.push(mux::kind_of(kind), 1000, &header).unwrap();
                demuxer.push(mux::kind_of(kind), 1000, &header).unwrap();
            }
            let body: Bytes = [&mux::head(&frame, &tracks, hevc).unwrap()[..], &data].concat().into();
            let mut items = pull_all(&mut demuxer);
            demuxer.push(mux::kind_of(kind), mux::time_of(&frame), &body).unwrap();
            items.extend(pull_all(&mut demuxer));
            let track = match (&tracks.video, &tracks.audio) {
                (Some(v), _) => Track::Video((**v).clone()),
                (_, Some(a)) => Track::Audio((**a).clone()),
                _ => unreachable!("one of both"),
            };
            assert_eq!(items, [Item::Track(track), Item::Frame(frame)], "{name} {hevc:?}");
        }
    }
}

#[test]
fn enhanced_heads_as_others_write_them() {
    let record = h265::build_hvcc(&h265_track()).unwrap();
    let nal = hexed("000000052601af0a0b");
    let cases: [(&str, Vec<u8>, i64); 4] = [
        ("CodedFrames with composition time", [&[0x91][..], b"hvc1", &[0, 0, 80], &nal].concat(), 80),
        ("CodedFrames, negative", [&[0x91][..], b"hvc1", &[0xff, 0xff, 0xd8], &nal].concat(), -40),
        ("CodedFramesX", [&[0x93][..], b"hvc1", &nal].concat(), 0),
        ("ModEx nanoseconds before CodedFramesX", [&[0x97, 2, 0, 0, 1, 0x03][..], b"hvc1", &nal].concat(), 0),
    ];
    for (name, body, offset) in cases {
        let mut demuxer = Demuxer::new();
        demuxer.push(9, 0, &[&[0x90][..], b"hvc1", &record].concat().into()).unwrap();
        demuxer.push(9, 500, &body.into()).unwrap();
        let items = pull_all(&mut demuxer);
        let Some(Item::Frame(frame)) = items.last() else { panic!("{name}: {items:?}") };
        assert_eq!((frame.pts - frame.dts).as_millis(), offset, "{name}");
        assert!(frame.key);
        assert_eq!(frame.data, nal);
    }
    let mut demuxer = Demuxer::new();
    demuxer.push(9, 0, &[&[0x90][..], b"avc1", &h264::build_avcc(&h264_track()).unwrap()].concat().into()).unwrap();
    demuxer.push(9, 0, &[&[0xa1][..], b"avc1", &[0, 0, 40], &hexed("00000002419a")].concat().into()).unwrap();
    assert!(matches!(&pull_all(&mut demuxer)[..], [Item::Track(_), Item::Frame(f)] if !f.key && f.pts.as_millis() == 40));
    for (body, codec) in [(&b"\x91mp4a\x11"[..], "mp4a"), (b"\x91Opus\x11", "Opus")] {
        let mut demuxer = Demuxer::new();
        let header: Bytes = match codec {
            "mp4a" => b"\x90mp4a\x12\x10"[..].into(),
            _ => [&b"\x90Opus"[..], &opus::build_head(1, 0, 16_000)].concat().into(),
        };
        demuxer.push(8, 0, &header).unwrap();
        assert!(matches!(demuxer.pull(), Some(Item::Track(Track::Audio(_)))), "{codec}");
        demuxer.push(8, 0, &Bytes::copy_from_slice(body)).unwrap();
        assert!(matches!(demuxer.pull(), Some(Item::Frame(_))), "{codec}");
    }
}

#[test]
fn parameter_sets_in_the_band_make_a_new_track_and_stay_in_the_frame() {
    let mut demuxer = Demuxer::new();
    let prefixed = |nals: &[&[u8]]| nals.iter().flat_map(|n| [&(n.len() as u32).to_be_bytes()[..], n].concat()).collect::<Vec<u8>>();
    let tag = |nals: &[&[u8]]| Bytes::from([&[0x17, 1, 0, 0, 0][..], &prefixed(nals)].concat());
    demuxer.push(9, 0, &mux::sequence_header(Kind::Video, &video(h264_track()), Hevc::Enhanced).unwrap()).unwrap();
    assert!(matches!(demuxer.pull(), Some(Item::Track(Track::Video(t))) if t.width == 320));
    let (sps, pps) = (hexed("67640028acd940780227e5c04400000fa40003a9803c60c658"), hexed("68eae3cb22c0"));
    let idr = [0x65, 0x88, 0x84, 0x0a];
    demuxer.push(9, 40, &tag(&[&[9, 0xf0], &sps, &pps, &idr])).unwrap();
    let items = pull_all(&mut demuxer);
    let [Item::Track(Track::Video(track)), Item::Frame(frame)] = &items[..] else { panic!("{items:?}") };
    assert_eq!(track.width, 1920);
    assert_eq!(&frame.data[..], prefixed(&[&[9, 0xf0], &sps, &pps, &idr]));
    // Nothing but parameter sets: no frame.
    demuxer.push(9, 80, &tag(&[&sps, &pps])).unwrap();
    assert_eq!(pull_all(&mut demuxer), []);
}

#[test]
fn start_codes_where_lengths_belong() {
    let sets = hexed("000000016742c00cd901419f9f011000000300100000030320f142a4800000000168cb83cb20");
    let mut demuxer = Demuxer::new();
    demuxer.push(9, 0, &[&[0x17, 0, 0, 0, 0][..], &sets].concat().into()).unwrap();
    demuxer.push(9, 0, &[&[0x17, 1, 0, 0, 0][..], &hexed("000000016588840a")].concat().into()).unwrap();
    let items = pull_all(&mut demuxer);
    assert!(matches!(&items[..], [Item::Track(_), Item::Frame(f)] if f.data == hexed("000000046588840a")), "{items:?}");
    // No configuration record at all, the sets in the band.
    let mut demuxer = Demuxer::new();
    assert_eq!(demuxer.push(9, 0, &hexed("1701000000000000046588840a")), Err(Error::NoTrack(Kind::Video)));
    demuxer.push(9, 0, &[&[0x17, 1, 0, 0, 0][..], &sets, &hexed("000000016588840a")].concat().into()).unwrap();
    assert_eq!(pull_all(&mut demuxer).len(), 2);
}

#[test]
fn other_length_sizes_are_converted() {
    let mut record = h264::build_avcc(&h264_track()).unwrap().to_vec();
    record[4] = 0xfc | 1;
    let mut demuxer = Demuxer::new();
    demuxer.push(9, 0, &[&[0x17, 0, 0, 0, 0][..], &record].concat().into()).unwrap();
    demuxer.push(9, 0, &hexed("170100000000046588840a")).unwrap();
    let items = pull_all(&mut demuxer);
    assert!(matches!(&items[..], [Item::Track(_), Item::Frame(f)] if f.data == hexed("000000046588840a")), "{items:?}");
}

#[test]
fn what_cannot_be_carried_is_refused_by_name() {
    let cases: [(u8, &[u8], &str, bool); 7] = [
        (9, &[0x12, 0], "Sorenson H.263", true),
        (9, &[0x14, 0], "On2 VP6", true),
        (9, b"\x90vvc1", "vvc1", true),
        (9, b"\x96\x01hvc1", "multitrack", true),
        (8, &[0xb2, 0], "Speex", false),
        (8, b"\x90fLaC", "fLaC", false),
        (8, b"\x95\x01Opus", "multitrack", true),
    ];
    for (kind, body, text, last) in cases {
        let error = Demuxer::new().push(kind, 0, &Bytes::copy_from_slice(body)).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.is_final(), last, "{error}");
    }
}

#[test]
fn times_unwrap() {
    let mut clock = Unwrap::default();
    let times = [u32::MAX - 20, u32::MAX, 19, 39, 10].map(|t| clock.unwrap(t));
    let base = i64::from(u32::MAX);
    assert_eq!(times, [base - 20, base, base + 20, base + 40, base + 11]);
}

#[test]
fn a_started_file_reads_back() {
    let tracks = Tracks { audio: audio(AudioCodec::Aac { config: hexed("1210") }, 44_100, 2).audio, ..video(h265_track()) };
    let bytes = mux::start(&tracks, 777, Hevc::Legacy);
    let mut reader = super::super::Reader::new(10_000);
    let mut demuxer = Demuxer::new();
    let mut input = &bytes[..];
    let mut kinds = Vec::new();
    let mut items = Vec::new();
    while let Some(tag) = reader.read(&mut input).unwrap() {
        assert_eq!(tag.timestamp, if tag.kind == 18 { 0 } else { 777 });
        demuxer.push(tag.kind, tag.timestamp, &tag.data).unwrap();
        items.extend(pull_all(&mut demuxer));
        kinds.push(tag.kind);
    }
    assert_eq!(kinds, [18, 9, 8]);
    assert_eq!(items.len(), 2);
    assert_eq!(demuxer.metadata.width, h265_track().width);
}

proptest! {
    #[test]
    fn hostile_tags_are_survived(tags in prop::collection::vec((prop_oneof![Just(8u8), Just(9), Just(18)], any::<u32>(), prop::collection::vec(any::<u8>(), 0..80)), 0..20)) {
        let mut demuxer = Demuxer::new();
        for (kind, time, body) in tags {
            let _ = demuxer.push(kind, time, &body.into());
            prop_assert!(pull_all(&mut demuxer).len() <= 2);
        }
    }
}
