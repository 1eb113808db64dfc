//! Every media fixture reads as its README says, and the broken ones are mended.

use crate::{files, root};
use std::path::Path;
use weir::container::flv::{Demuxer, Item, Reader};
use weir::media::frame::{Frame, Kind};
use weir::media::time::Timestamp;
use weir::media::timeline::{Counts, Sanitizer};
use weir::media::track::{AudioTrack, Track, Tracks, VideoTrack};

/// A file, read: its tracks and its frames with the file's times.
struct Media {
    tracks: Tracks,
    frames: Vec<Frame>,
}

fn read(name: &str) -> Media {
    let data = std::fs::read(root().join("fixtures/media").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (mut reader, mut demuxer) = (Reader::new(1 << 20), Demuxer::new());
    let mut media = Media { tracks: Tracks::default(), frames: Vec::new() };
    let mut rest = data.as_slice();
    while let Some(tag) = reader.read(&mut rest).unwrap_or_else(|error| panic!("{name}: {error}")) {
        demuxer.push(tag.kind, tag.timestamp, &tag.data).unwrap_or_else(|error| panic!("{name}: {error}"));
        while let Some(item) = demuxer.pull() {
            match item {
                Item::Track(Track::Video(track)) => media.tracks.video = Some(track.into()),
                Item::Track(Track::Audio(track)) => media.tracks.audio = Some(track.into()),
                Item::Frame(frame) => media.frames.push(frame),
            }
        }
    }
    media
}

/// What a fixture holds: codec, size and reordering; codec, rate and channels; frames of each, key frames.
fn describe(media: &Media) -> String {
    let video = |t: &VideoTrack| format!("{} {}x{} {:?}", t.codec.name(), t.width, t.height, t.reorder);
    let audio = |t: &AudioTrack| format!("{} {} {}", t.codec.name(), t.sample_rate, t.channels);
    let count = |kind| media.frames.iter().filter(|f| f.kind == kind).count();
    let keys = media.frames.iter().filter(|f| f.kind == Kind::Video && f.key).count();
    let video = media.tracks.video.as_deref().map(video).unwrap_or_default();
    let audio = media.tracks.audio.as_deref().map(audio).unwrap_or_default();
    format!("{video} | {audio} | {} {} {keys}", count(Kind::Video), count(Kind::Audio))
}

/// As ffprobe counts them.
const FIXTURES: &[(&str, &str)] = &[
    ("demo.flv", "H264 640x360 Some(0) | AAC 44100 2 | 300 518 6"),
    ("h264_aac.flv", "H264 320x180 Some(0) | AAC 44100 2 | 200 346 4"),
    ("h264_bframes_aac.flv", "H264 320x180 Some(2) | AAC 44100 2 | 200 346 4"),
    ("h264_1080_aac.flv", "H264 1920x1080 Some(2) | AAC 48000 2 | 90 142 2"),
    ("h264_gop10_aac.flv", "H264 320x180 Some(0) | AAC 44100 2 | 550 949 3"),
    ("h264_g711a.flv", "H264 320x180 Some(0) | G711A 8000 1 | 200 63 4"),
    ("h264_g711u.flv", "H264 320x180 Some(0) | G711U 8000 1 | 200 63 4"),
    ("h264_mp3.flv", "H264 320x180 Some(0) | MP3 44100 2 | 200 308 4"),
    ("h264_only.flv", "H264 320x180 Some(0) |  | 200 0 8"),
    ("aac_only.flv", " | AAC 44100 2 | 0 346 0"),
    ("g711a_only.flv", " | G711A 8000 1 | 0 63 0"),
    ("h265_aac_enhanced.flv", "H265 320x180 Some(0) | AAC 44100 2 | 200 346 4"),
    ("h265_aac_legacy.flv", "H265 320x180 Some(0) | AAC 44100 2 | 200 346 4"),
    ("h265_bframes_aac_enhanced.flv", "H265 320x180 Some(2) | AAC 44100 2 | 200 346 4"),
    ("h265_bframes_aac_legacy.flv", "H265 320x180 Some(2) | AAC 44100 2 | 200 346 4"),
    ("h265_g711a_enhanced.flv", "H265 320x180 Some(0) | G711A 8000 1 | 200 63 4"),
    ("h265_g711a_legacy.flv", "H265 320x180 Some(0) | G711A 8000 1 | 200 63 4"),
    ("av1_opus_enhanced.flv", "AV1 320x180 Some(0) | Opus 48000 2 | 100 201 2"),
    ("vp9_opus_enhanced.flv", "VP9 320x180 None | Opus 48000 2 | 100 201 2"),
];

#[test]
fn every_fixture_is_what_it_is_said_to_be() {
    for (name, described) in FIXTURES {
        assert_eq!(describe(&read(name)), *described, "{name}");
    }
    let known = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("broken_") || FIXTURES.iter().any(|(known, _)| *known == name)
    };
    assert!(files("fixtures/media", ".flv").iter().all(|path| known(path)), "a file that this table does not know");
}

/// The times that come out where each frame arrives at `arrivals`, in milliseconds, with what was repaired.
fn sanitize(media: &Media, arrivals: impl Fn(usize, &Frame) -> i64) -> (Vec<(Kind, i64)>, Counts) {
    let mut sanitizer = Sanitizer::default();
    sanitizer.set_reorder(media.tracks.video.as_ref().and_then(|t| t.reorder));
    let (mut out, mut last) = (Vec::new(), [None; 2]);
    for (n, frame) in media.frames.iter().enumerate() {
        let arrived = Timestamp::from_millis(arrivals(n, frame));
        let (dts, pts) = sanitizer.fix(frame.kind, Some(frame.dts), frame.pts, arrived);
        let last = &mut last[frame.kind as usize];
        assert!(last.is_none_or(|last| last < dts) && dts <= pts, "{dts:?} after {last:?}");
        *last = Some(dts);
        out.push((frame.kind, dts.as_millis()));
    }
    (out, *sanitizer.counts())
}

#[test]
fn the_clean_ones_pass_unchanged() {
    for (name, _) in FIXTURES {
        let media = read(name);
        let start = media.frames.iter().map(|f| f.dts).min().unwrap();
        let (out, counts) = sanitize(&media, |_, frame| (frame.dts - start).as_millis());
        assert_eq!(counts, Counts::default(), "{name}");
        assert!(out.iter().zip(&media.frames).all(|((_, dts), f)| *dts == f.dts.as_millis()), "{name}");
    }
}

#[test]
fn the_broken_ones_are_mended() {
    let clean = read("h264_aac.flv");
    let right = |n: usize| clean.frames[n].dts.as_millis();
    let case = |name: &str, slack: i64, counts: Counts| {
        let media = read(&format!("broken_{name}.flv"));
        assert_eq!(media.frames.len(), clean.frames.len(), "{name}");
        let (out, found) = sanitize(&media, |n, _| right(n));
        assert_eq!(found, counts, "{name}");
        // the frames stand where they would stand without the fault
        let first = out[0].1 - right(0);
        let worst = out.iter().enumerate().map(|(n, (_, dts))| (dts - first - right(n)).abs()).max();
        assert!(worst.is_some_and(|worst| worst <= slack), "{name}: {worst:?} ms");
    };
    case("jump", 25, Counts { jump: 1, ..Counts::default() });
    case("rollback", 25, Counts { rollback: 1, ..Counts::default() });
    case("wrap", 0, Counts::default()); // the demuxer knows its own clock
    case("equal", 40, Counts { equal: 40, ..Counts::default() });
    case("oneside", 25, Counts { jump: 1, ..Counts::default() });
    case("drift", 2_700, Counts { drift: 1, ..Counts::default() });
}

#[test]
fn late_and_swapped_audio_is_no_fault() {
    for name in ["broken_late.flv", "broken_swapped.flv"] {
        let media = read(name);
        let mut latest = 0;
        let arrivals: Vec<i64> = media
            .frames
            .iter()
            .map(|f| {
                latest = latest.max(f.dts.as_millis());
                latest
            })
            .collect();
        let (_, counts) = sanitize(&media, |n, _| arrivals[n]);
        assert_eq!(counts, Counts::default(), "{name}");
    }
}
