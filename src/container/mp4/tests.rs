//! What is written, read back by independent readers.

use super::*;
use crate::media::frame::{Frame, Kind};
use crate::media::nal::{self, Family};
use crate::media::sets::Follow;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Tracks};
use bytes::Bytes;
use shiguredo_mp4::boxes::{FtypBox, MoofBox, MoovBox, SampleEntry};
use shiguredo_mp4::{BoxType, Decode};
use std::io::Cursor;
use std::sync::Arc;

const H264: &[u8] = include_bytes!("../../../fixtures/clips/bframes.h264");
const H265: &[u8] = include_bytes!("../../../fixtures/clips/pattern_h265.h265");

/// When the clips begin: fragments count from 0 all the same.
const ORIGIN: Timestamp = Timestamp::from_millis(987_654);

/// The frames of an Annex B file, 25 a second, shown later than decoded as with B-frames.
fn clip(family: Family, bytes: &[u8]) -> (Tracks, Vec<Frame>) {
    let mut follow = Follow::new(family);
    let (mut frames, mut unit, mut pictures) = (Vec::new(), Vec::<&[u8]>::new(), 0);
    let mut close = |unit: &mut Vec<&[u8]>| {
        let access = nal::from_units(family, unit.drain(..));
        follow.take(&access.sets).unwrap();
        let dts = ORIGIN + Timestamp::from_millis(40 * frames.len() as i64);
        let pts = dts + Timestamp::from_millis([80, 120, 40][frames.len() % 3]);
        frames.push(Frame { kind: Kind::Video, dts, pts, key: access.key, data: access.data });
    };
    for nal in nal::annex_b(bytes) {
        let slice = matches!(family.role(nal), nal::Role::Slice | nal::Role::KeySlice);
        if pictures > 0 && (family.begins_picture(nal) || !slice) {
            close(&mut unit);
            pictures = 0;
        }
        pictures += usize::from(slice);
        unit.push(nal);
    }
    close(&mut unit);
    (Tracks { video: follow.track().cloned().map(Arc::new), audio: None }, frames)
}

/// Adds 2 s of audio at `hz`, `block` samples each, in order of time.
fn with_audio(tracks: &mut Tracks, frames: &mut Vec<Frame>, codec: AudioCodec, hz: u32, block: i64) {
    tracks.audio = Some(Arc::new(AudioTrack { codec, sample_rate: hz, channels: 2 }));
    for n in 0..2 * i64::from(hz) / block {
        let dts = ORIGIN + Timestamp::from_ticks(n * block, hz);
        let data = Bytes::from(vec![n as u8; 20 + n as usize % 7]);
        frames.push(Frame { kind: Kind::Audio, dts, pts: dts, key: true, data });
    }
    frames.sort_by_key(|frame| frame.dts);
}

fn aac() -> AudioCodec {
    AudioCodec::Aac { config: Bytes::from_static(&[0x12, 0x10]) }
}

/// Fragments that begin with key frames.
fn fragments(tracks: &Tracks, frames: &[Frame]) -> Vec<Fragment> {
    let mut muxer = Muxer::new(tracks, ORIGIN);
    let mut out = Vec::new();
    for frame in frames {
        muxer.push(frame).unwrap();
        if frame.kind == Kind::Video && frame.key {
            out.extend(muxer.cut());
        }
    }
    out.extend(muxer.finish());
    out
}

fn file(tracks: &Tracks, fragments: &[Fragment]) -> Vec<u8> {
    let mut out = init(tracks).unwrap().to_vec();
    for fragment in fragments {
        out.extend(&fragment.head);
        fragment.frames.iter().for_each(|frame| out.extend(frame));
    }
    out
}

fn moov(tracks: &Tracks) -> MoovBox {
    let bytes = init(tracks).unwrap();
    let (_, at) = FtypBox::decode(&bytes).unwrap();
    let (moov, size) = MoovBox::decode(&bytes[at..]).unwrap();
    assert_eq!(at + size, bytes.len());
    moov
}

/// What a fragment holds: track, decoding time, duration, composition offset, sync, bytes; found as a reader finds it.
type Row = (u32, u64, u32, i64, bool, Vec<u8>);

fn rows(fragment: &Fragment) -> Vec<Row> {
    let mut bytes = fragment.head.to_vec();
    fragment.frames.iter().for_each(|frame| bytes.extend(frame));
    let (moof, _) = MoofBox::decode(&bytes).unwrap();
    let mut out = Vec::new();
    for traf in moof.traf_boxes {
        let mut time = traf.tfdt_box.unwrap().base_media_decode_time;
        for run in traf.trun_boxes {
            let mut at = run.data_offset.unwrap() as usize;
            for sample in run.samples {
                let (duration, size) = (sample.duration.unwrap(), sample.size.unwrap() as usize);
                let flags = sample.flags.or(traf.tfhd_box.default_sample_flags).unwrap();
                let later = sample.composition_time_offset.unwrap_or(0);
                out.push((
                    traf.tfhd_box.track_id,
                    time,
                    duration,
                    later,
                    !flags.sample_is_non_sync_sample(),
                    bytes[at..at + size].to_vec(),
                ));
                (time, at) = (time + u64::from(duration), at + size);
            }
        }
    }
    out
}

/// What must stand in the file for these frames.
fn expected(kind: Kind, hz: u32, frames: &[Frame]) -> Vec<(u64, i64, bool, Vec<u8>)> {
    let ticks = |t: Timestamp| (t - ORIGIN).to_ticks(hz);
    let of_kind = frames.iter().filter(|frame| frame.kind == kind);
    of_kind.map(|f| (ticks(f.dts) as u64, ticks(f.pts) - ticks(f.dts), f.key, f.data.to_vec())).collect()
}

fn check(tracks: &Tracks, frames: &[Frame], hz: u32) -> Vec<Fragment> {
    let fragments = fragments(tracks, frames);
    let rows: Vec<Row> = fragments.iter().flat_map(rows).collect();
    for (kind, id, hz) in [(Kind::Video, VIDEO, HZ), (Kind::Audio, AUDIO, hz)] {
        let mine: Vec<&Row> = rows.iter().filter(|row| row.0 == id).collect();
        let found: Vec<_> = mine.iter().map(|r| (r.1, r.3, r.4, r.5.clone())).collect();
        assert!(found == expected(kind, hz, frames), "{kind:?}");
        assert!(mine.windows(2).all(|pair| pair[0].1 + u64::from(pair[0].2) == pair[1].1), "{kind:?}: each ends where the next begins");
    }
    fragments
}

#[test]
fn frames_come_back_with_exact_times_whatever_the_codec() {
    for (family, clip_bytes) in [(Family::H264, H264), (Family::H265, H265)] {
        let opus = AudioCodec::Opus { head: None };
        for (codec, hz, block) in [(aac(), 44_100, 1024), (AudioCodec::G711A, 8_000, 320), (opus, 48_000, 960)] {
            let (mut tracks, mut frames) = clip(family, clip_bytes);
            with_audio(&mut tracks, &mut frames, codec, hz, block);
            let fragments = check(&tracks, &frames, hz);
            assert!(fragments[0].key && fragments[0].start == Timestamp::ZERO);
            assert!(fragments.iter().all(|fragment| fragment.key), "each was cut before a key frame");
        }
    }
}

#[test]
fn a_gap_in_time_stays_a_gap() {
    let (mut tracks, mut frames) = clip(Family::H264, H264);
    with_audio(&mut tracks, &mut frames, aac(), 44_100, 1024);
    for frame in frames.iter_mut().skip(60) {
        (frame.dts, frame.pts) = (frame.dts + Timestamp::from_millis(7_003), frame.pts + Timestamp::from_millis(7_003));
    }
    check(&tracks, &frames, 44_100);
}

#[test]
fn every_codec_gets_the_entry_that_readers_know() {
    let entry = |tracks: &Tracks, n: usize| moov(tracks).trak_boxes[n].mdia_box.minf_box.stbl_box.stsd_box.entries[0].clone();
    let (mut tracks, _) = clip(Family::H264, H264);
    assert!(matches!(entry(&tracks, 0), SampleEntry::Avc1(_)));
    let (hevc, _) = clip(Family::H265, H265);
    let SampleEntry::Hvc1(hvc1) = entry(&hevc, 0) else { panic!("H.265 is hvc1") };
    assert_eq!(hvc1.hvcc_box.nalu_arrays.len(), 3);
    let mut audio = |codec, sample_rate| {
        tracks.audio = Some(Arc::new(AudioTrack { codec, sample_rate, channels: 1 }));
        (entry(&tracks, 1), moov(&tracks).trak_boxes[1].mdia_box.mdhd_box.timescale.get())
    };
    let (SampleEntry::Mp4a(mp4a), 44_100) = audio(aac(), 44_100) else { panic!("AAC is mp4a") };
    assert_eq!(mp4a.esds_box.es.dec_config_descr.dec_specific_info.unwrap().payload, [0x12, 0x10]);
    let (SampleEntry::Opus(opus), 48_000) = audio(AudioCodec::Opus { head: None }, 16_000) else { panic!("Opus at 48 kHz") };
    assert_eq!(opus.dops_box.output_channel_count, 1);
    for (codec, name) in [(AudioCodec::G711A, b"alaw"), (AudioCodec::G711U, b"ulaw")] {
        let (SampleEntry::Unknown(entry), 8_000) = audio(codec, 8_000) else { panic!("G.711") };
        assert_eq!((entry.box_type, entry.payload.len()), (BoxType::Normal(*name), 28));
    }
}

#[test]
fn the_mp4_crate_reads_what_is_written() {
    let (mut tracks, mut frames) = clip(Family::H264, H264);
    with_audio(&mut tracks, &mut frames, aac(), 44_100, 1024);
    let bytes = file(&tracks, &fragments(&tracks, &frames));
    let size = bytes.len() as u64;
    let reader = ::mp4::Mp4Reader::read_header(Cursor::new(bytes), size).unwrap();
    assert!(reader.is_fragmented());
    let video = &reader.tracks()[&VIDEO];
    let track = tracks.video.as_ref().unwrap();
    assert_eq!((u32::from(video.width()), u32::from(video.height())), (track.width, track.height));
    assert_eq!(reader.sample_count(VIDEO).unwrap() as usize, frames.iter().filter(|f| f.kind == Kind::Video).count());
    assert_eq!(reader.sample_count(AUDIO).unwrap() as usize, frames.iter().filter(|f| f.kind == Kind::Audio).count());
}

#[test]
fn a_fragment_that_nobody_cuts_is_bounded() {
    let (tracks, frames) = clip(Family::H264, H264);
    let mut muxer = Muxer::new(&tracks, ORIGIN);
    let large = Frame { data: Bytes::from(vec![0; MAX_SIZE / 3]), ..frames[0].clone() };
    for _ in 0..3 {
        muxer.push(&large).unwrap();
    }
    assert_eq!(muxer.push(&large), Err(Full));
    assert_eq!(muxer.cut().unwrap().frames.len(), 2);
    muxer.push(&large).unwrap();
}

#[test]
fn frames_before_the_origin_and_tracks_that_are_not_carried_are_left_out() {
    let (tracks, mut frames) = clip(Family::H264, H264);
    frames[0].dts = ORIGIN - Timestamp::from_millis(1);
    let mut muxer = Muxer::new(&tracks, ORIGIN);
    muxer.push(&frames[0]).unwrap();
    muxer.push(&Frame { kind: Kind::Audio, ..frames[1].clone() }).unwrap();
    assert_eq!(muxer.size(), 0);
    assert!(muxer.cut().is_none());
    assert!(init(&Tracks::default()).is_none());
}

/// Reads what the scan asks for.
fn scan(bytes: &[u8]) -> Index {
    let mut scan = Scan::new(bytes.len() as u64);
    while let Some(range) = scan.wants() {
        scan.push(&bytes[range.start as usize..range.end as usize]);
    }
    scan.finish()
}

fn recording() -> (Tracks, Vec<Frame>, Vec<Fragment>) {
    let (mut tracks, mut frames) = clip(Family::H264, H264);
    with_audio(&mut tracks, &mut frames, aac(), 44_100, 1024);
    let mut muxer = Muxer::new(&tracks, ORIGIN);
    let mut fragments = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        muxer.push(frame).unwrap();
        fragments.extend((n % 17 == 16).then(|| muxer.cut()).flatten());
    }
    fragments.extend(muxer.finish());
    assert!(fragments.len() > 5);
    (tracks, frames, fragments)
}

#[test]
fn a_file_torn_anywhere_keeps_its_whole_fragments() {
    let (tracks, _, fragments) = recording();
    let bytes = file(&tracks, &fragments);
    let mut ends = vec![init(&tracks).unwrap().len()];
    for fragment in &fragments {
        ends.push(ends.last().unwrap() + fragment.size());
    }
    assert_eq!(*ends.last().unwrap(), bytes.len());
    for length in (0..bytes.len()).step_by(61).chain(ends.iter().copied()).chain(ends.iter().map(|end| end - 1)) {
        let whole = ends.iter().rfind(|end| **end <= length).copied().unwrap_or(0);
        let torn = scan(&bytes[..length]);
        assert_eq!(torn.whole(), whole as u64, "torn at {length}");
        assert_eq!(torn.fragments(), ends.iter().filter(|end| **end <= length).count().saturating_sub(1));
        // what a file system leaves behind when it had grown the file but not written it
        assert_eq!(scan(&[&bytes[..whole], &[0; 5_000]].concat()).whole(), whole as u64);
    }
}

#[test]
fn the_mp4_crate_plays_the_file_that_was_planned() {
    let (tracks, frames, mut fragments) = recording();
    let check = |fragments: &[Fragment], video_frames: usize| {
        let bytes = file(&tracks, fragments);
        let plan = plan(&scan(&bytes), None).unwrap();
        let mut out = plan.head.to_vec();
        plan.copy.iter().for_each(|range| out.extend(&bytes[range.start as usize..range.end as usize]));
        let size = out.len() as u64;
        let mut reader = ::mp4::Mp4Reader::read_header(Cursor::new(out), size).unwrap();
        assert!(!reader.is_fragmented());
        for (kind, id, hz) in [(Kind::Video, VIDEO, HZ), (Kind::Audio, AUDIO, 44_100)] {
            let expected = expected(kind, hz, &frames);
            let count = reader.sample_count(id).unwrap();
            assert!(kind == Kind::Audio || count as usize == video_frames);
            for (n, (dts, later, key, data)) in (1..=count).zip(&expected) {
                let sample = reader.read_sample(id, n).unwrap().unwrap();
                assert_eq!((sample.start_time, i64::from(sample.rendering_offset)), (*dts, *later), "{kind:?} {n}");
                assert!(sample.bytes == data, "{kind:?} {n}");
                assert!(kind == Kind::Audio || sample.is_sync == *key, "{kind:?} {n}");
            }
        }
        reader.duration().as_millis()
    };
    assert!((1_950..2_060).contains(&check(&fragments, 50)));
    fragments.truncate(3);
    let video = fragments.iter().flat_map(rows).filter(|row| row.0 == VIDEO).count();
    check(&fragments, video);
    assert!(plan(&scan(&file(&tracks, &[])), None).is_none());
}

#[test]
fn a_track_that_begins_later_keeps_its_distance() {
    let (mut tracks, mut frames) = clip(Family::H264, H264);
    with_audio(&mut tracks, &mut frames, aac(), 44_100, 1024);
    frames.retain(|frame| frame.kind == Kind::Video || frame.dts >= ORIGIN + Timestamp::from_millis(1_000));
    let bytes = file(&tracks, &fragments(&tracks, &frames));
    let head = plan(&scan(&bytes), None).unwrap().head;
    let (_, at) = FtypBox::decode(&head).unwrap();
    let (moov, _) = MoovBox::decode(&head[at..]).unwrap();
    assert!(moov.trak_boxes[0].edts_box.is_none());
    let edits = moov.trak_boxes[1].edts_box.clone().unwrap().elst_box.unwrap().entries;
    let first = frames.iter().find(|frame| frame.kind == Kind::Audio).unwrap();
    assert_eq!(edits[0].media_time, -1);
    assert!(edits[0].edit_duration.abs_diff((first.dts - ORIGIN).to_ticks(HZ) as u64) <= 3);
}

#[test]
fn noise_is_no_recording() {
    let (tracks, _, fragments) = recording();
    let bytes = file(&tracks, &fragments);
    for at in (0..bytes.len()).step_by(7) {
        let mut noisy = bytes.clone();
        noisy[at] ^= 0xff;
        let index = scan(&noisy);
        assert!(index.whole() <= bytes.len() as u64);
        let _ = plan(&index, None);
    }
}

#[test]
fn av1_is_described_by_its_record() {
    let config = Bytes::from_static(&[0x81, 0x04, 0x0c, 0x00]);
    let tracks = |config: Bytes, width| {
        let codec = crate::media::track::VideoCodec::Av1 { config };
        let video = crate::media::track::VideoTrack { codec, width, height: 180, fps: None, reorder: Some(0) };
        Tracks { video: Some(Arc::new(video)), audio: None }
    };
    let bytes = init(&tracks(config.clone(), 320)).unwrap();
    let (ftyp, size) = FtypBox::decode(&bytes).unwrap();
    assert_eq!(ftyp.major_brand, shiguredo_mp4::boxes::Brand::ISO5);
    let (moov, _) = MoovBox::decode(&bytes[size..]).unwrap();
    let entry = &moov.trak_boxes[0].mdia_box.minf_box.stbl_box.stsd_box.entries[0];
    let SampleEntry::Av01(entry) = entry else { panic!("{entry:?}") };
    assert_eq!((entry.visual.width, entry.visual.height, entry.av1c_box.seq_level_idx_0.get()), (320, 180, 4));
    // Without a size, and with a record that is none, nothing is carried.
    assert!(carried(&tracks(config, 0)).video.is_none() && carried(&tracks(Bytes::from_static(&[1]), 320)).video.is_none());
}

/// The index of a file in memory.
fn scanned(file: &[u8]) -> Index {
    let mut scan = Scan::new(file.len() as u64);
    while let Some(range) = scan.wants() {
        scan.push(&file[range.start as usize..range.end as usize]);
    }
    scan.finish()
}

/// Ten seconds of numbered pictures, a key frame every four, shown later than decoded as with B-frames, and sound.
fn numbered() -> (Tracks, Vec<Frame>) {
    let (tracks, _) = clip(Family::H264, H264);
    let mut tracks = tracks;
    let mut frames: Vec<Frame> = (0..250i64)
        .map(|n| {
            let dts = ORIGIN + Timestamp::from_millis(40 * n);
            let pts = dts + Timestamp::from_millis([80, 120, 40][n as usize % 3]);
            Frame { kind: Kind::Video, dts, pts, key: n % 100 == 0, data: Bytes::from((n as u32).to_be_bytes().to_vec()) }
        })
        .collect();
    with_audio(&mut tracks, &mut frames, aac(), 16_000, 1_024);
    for n in 32_000 / 1_024..160_000 / 1_024 {
        let dts = ORIGIN + Timestamp::from_ticks(n * 1_024, 16_000);
        frames.push(Frame { kind: Kind::Audio, dts, pts: dts, key: true, data: Bytes::from(vec![n as u8; 20]) });
    }
    frames.sort_by_key(|frame| frame.dts);
    (tracks, frames)
}

#[test]
fn a_window_shows_exactly_what_was_asked_for_and_decodes_from_the_key_frame_before() {
    let (tracks, frames) = numbered();
    let bytes = file(&tracks, &fragments(&tracks, &frames));
    let at = Timestamp::from_millis;
    // (from, to) and the pictures that are in the file: from the key frame, to the last that is shown before the end
    for (from, to, first, last) in [(5_000, 7_000, 100, 173), (0, 4_000, 0, 98), (4_600, 20_000, 100, 249), (9_000, 9_400, 200, 233)] {
        let mut index = scanned(&bytes);
        index.clip(Window { from: at(from), to: at(to) });
        let plan = plan(&index, None).unwrap();
        let mut made = plan.head.to_vec();
        plan.copy.iter().for_each(|range| made.extend(&bytes[range.start as usize..range.end as usize]));
        let size = made.len() as u64;
        let mut reader = ::mp4::Mp4Reader::read_header(Cursor::new(&made), size).unwrap();
        let count = reader.sample_count(VIDEO).unwrap();
        let shown = |n: i64| [80, 120, 40][n as usize % 3] + 40 * n;
        let end = (0..250).filter(|n| shown(*n) < to).max().unwrap();
        assert_eq!(end, last, "{from} {to}");
        let numbers: Vec<i64> = (1..=count)
            .map(|n| i64::from(u32::from_be_bytes(*reader.read_sample(VIDEO, n).unwrap().unwrap().bytes.first_chunk().unwrap())))
            .collect();
        assert_eq!(numbers, (first..=last).collect::<Vec<_>>(), "{from} {to}");
        // what is shown is the window, or what there is of it
        let (_, offset) = FtypBox::decode(&made).unwrap();
        let (moov, _) = MoovBox::decode(&made[offset..]).unwrap();
        for trak in &moov.trak_boxes {
            let edits = trak.edts_box.as_ref().and_then(|edts| edts.elst_box.as_ref()).unwrap();
            let hz = trak.mdia_box.mdhd_box.timescale.get();
            let (blank, edit) = match edits.entries.as_slice() {
                [edit] => (0, edit),
                [blank, edit] => (blank.edit_duration, edit),
                other => panic!("{other:?}"),
            };
            // where the edit begins on the time line of the recording: the track's own beginning and what is skipped
            let skipped = Timestamp::from_ticks(edit.media_time, hz);
            let run = index.runs.iter().find(|run| run.track == trak.tkhd_box.track_id).unwrap();
            let begins = splice::time(run.start, hz) + skipped - Timestamp::from_ticks(blank as i64, HZ);
            assert!((begins - at(from)).0.abs() <= 1_000_000, "{from}: track {} begins at {begins:?}", trak.tkhd_box.track_id);
            let length = Timestamp::from_ticks((edit.edit_duration + blank) as i64, HZ).as_millis();
            let expected = to.min(10_100) - from;
            assert!((length - expected).abs() <= 130, "{from} {to}: track {} shows {length} ms", trak.tkhd_box.track_id);
        }
        assert!(plan.duration.as_millis() as i64 <= to - from, "{:?}", plan.duration);
    }
    let mut index = scanned(&bytes);
    index.clip(Window { from: at(0), to: at(0) });
    assert!(plan(&index, None).is_none(), "nothing is shown in no time");
}

#[test]
fn a_shortened_fragment_is_a_fragment_with_fewer_frames() {
    let (tracks, frames) = numbered();
    let init = init(&tracks).unwrap();
    let fragment = &fragments(&tracks, &frames)[1];
    let whole: Vec<u8> = [fragment.head.to_vec(), fragment.frames.concat()].concat();
    let before = rows(fragment);
    let short = shorten(&init, &whole, Timestamp::from_millis(1_000)).unwrap();
    let (_, head) = MoofBox::decode(&short).unwrap();
    let short = Fragment { head: short.slice(..head + 8), frames: vec![short.slice(head + 8..)], start: fragment.start, key: true };
    assert_eq!(u32::from_be_bytes(*short.head[head..].first_chunk().unwrap()) as usize, short.frames[0].len() + 8);
    let after = rows(&short);
    for track in [VIDEO, AUDIO] {
        let of = |rows: &[Row]| rows.iter().filter(|row| row.0 == track).cloned().collect::<Vec<_>>();
        let (before, after) = (of(&before), of(&after));
        assert!(!after.is_empty() && after.len() < before.len() && before[..after.len()] == after, "track {track}: {}", after.len());
    }
    // 23 pictures are shown in its first second, none behind them in the order of decoding
    assert_eq!(after.iter().filter(|row| row.0 == VIDEO).count(), 23);
    assert!(shorten(&init, &whole, Timestamp::from_millis(60_000)).is_some());
    for broken in [&whole[..20], &whole[..whole.len() - 1], &[], &init[..]] {
        assert_eq!(shorten(&init, broken, Timestamp::from_millis(1_000)), None);
    }
    assert_eq!(shorten(&[], &whole, Timestamp::from_millis(1_000)), None);
}
