//! What the muxer writes, read back by the strict demuxer.

use super::demux::{self, Content};
use super::mux::{PID_AUDIO, PID_VIDEO};
use super::{Muxer, PACKET, carried};
use crate::media::frame::{Frame, Kind};
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Tracks, VideoCodec, VideoTrack};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;

const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f];
const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

fn video(codec: VideoCodec) -> Option<Arc<VideoTrack>> {
    Some(Arc::new(VideoTrack { codec, width: 640, height: 360, fps: None, reorder: None }))
}

fn h264() -> Option<Arc<VideoTrack>> {
    video(VideoCodec::H264 { sps: vec![Bytes::from_static(SPS)], pps: vec![Bytes::from_static(PPS)] })
}

fn audio(codec: AudioCodec, sample_rate: u32) -> Option<Arc<AudioTrack>> {
    Some(Arc::new(AudioTrack { codec, sample_rate, channels: 2 }))
}

fn aac() -> Option<Arc<AudioTrack>> {
    audio(AudioCodec::Aac { config: Bytes::from_static(&[0x12, 0x10]) }, 44_100)
}

fn picture(ms: i64, later: i64, key: bool, nals: &[&[u8]]) -> Frame {
    let mut data = BytesMut::new();
    for nal in nals {
        data.put_u32(nal.len() as u32);
        data.put_slice(nal);
    }
    let dts = Timestamp::from_millis(ms);
    Frame { kind: Kind::Video, dts, pts: dts + Timestamp::from_millis(later), key, data: data.freeze() }
}

fn sound(t: Timestamp, data: &[u8]) -> Frame {
    Frame { kind: Kind::Audio, dts: t, pts: t, key: true, data: Bytes::copy_from_slice(data) }
}

fn mux(tracks: &Tracks, frames: &[Frame]) -> Content {
    let mut out = BytesMut::new();
    let mut muxer = Muxer::new();
    muxer.tables(tracks, &mut out);
    for frame in frames {
        muxer.frame(frame, tracks, &mut out);
    }
    muxer.flush(&mut out);
    demux::read(&out).unwrap()
}

#[test]
fn a_key_frame_gets_delimiter_and_parameter_sets_and_others_only_the_delimiter() {
    let tracks = Tracks { video: h264(), audio: None };
    let slice = vec![0x65; 100];
    let content = mux(&tracks, &[picture(0, 40, true, &[&[6, 1], &slice]), picture(40, 0, false, &[&[0x41, 7]])]);
    let start: &[u8] = &[0, 0, 0, 1];
    let first = [start, &[9, 0xf0], start, SPS, start, PPS, start, &[6, 1], start, &slice].concat();
    assert_eq!(content.pes.len(), 2);
    assert_eq!(content.pes[0].data, first);
    assert_eq!(content.pes[1].data, [start, &[9, 0xf0], start, &[0x41, 7]].concat());
    assert_eq!((content.pes[0].random_access, content.pes[1].random_access), (true, false));
    assert_eq!(content.pes[0].pts - content.pes[0].dts, 3_600);
    assert_eq!(content.pes[1].dts - content.pes[0].dts, 3_600);
    assert_eq!(content.pes[1].pts, content.pes[1].dts);
    assert_eq!(content.streams.into_iter().collect::<Vec<_>>(), [(PID_VIDEO, 0x1b)]);
}

#[test]
fn h265_keeps_all_three_kinds_of_parameter_sets() {
    let sets = |b: &'static [u8]| vec![Bytes::from_static(b)];
    let tracks =
        Tracks { video: video(VideoCodec::H265 { vps: sets(&[0x40, 1]), sps: sets(&[0x42, 1]), pps: sets(&[0x44, 1]) }), audio: None };
    let content = mux(&tracks, &[picture(0, 0, true, &[&[0x26, 1, 9]])]);
    let expected = [0, 0, 0, 1, 0x46, 1, 0x50, 0, 0, 0, 1, 0x40, 1, 0, 0, 0, 1, 0x42, 1, 0, 0, 0, 1, 0x44, 1, 0, 0, 0, 1, 0x26, 1, 9];
    assert_eq!(content.pes[0].data, expected);
    assert_eq!(content.streams[&PID_VIDEO], 0x24);
}

#[test]
fn every_size_is_stuffed_to_whole_packets() {
    let tracks = Tracks { video: h264(), audio: None };
    let sizes = (1..600).chain([65_000, 65_535, 65_536, 300_000]);
    for size in sizes {
        let slice: Vec<u8> = (0..size).map(|i| i as u8 | 1).collect();
        // Alternating, so that first packets with and without a clock and start flag are met.
        for key in [true, false] {
            let content = mux(&tracks, &[picture(0, 0, true, &[&[0x65]]), picture(10, 30, key, &[&slice])]);
            assert!(content.pes[1].data.ends_with(&slice), "size {size}");
            assert_eq!(content.pes[1].data.len(), slice.len() + 4 + 6 + if key { SPS.len() + PPS.len() + 8 } else { 0 }, "size {size}");
        }
    }
}

#[test]
fn audio_frames_share_packets_and_none_is_lost() {
    let tracks = Tracks { video: None, audio: aac() };
    // Times as RTMP has them, in whole milliseconds.
    let frames: Vec<Frame> = (0..200i64).map(|i| sound(Timestamp::from_millis(i * 1024 * 1000 / 44_100), &[i as u8; 300])).collect();
    let content = mux(&tracks, &frames);
    let bytes = content.stream(PID_AUDIO);
    assert_eq!(bytes.len(), 200 * 307);
    for (i, frame) in bytes.chunks(307).enumerate() {
        assert_eq!(frame[..7], [0xff, 0xf1, 0x50, 0x80, 0x26, 0x7f, 0xfc]);
        assert!(frame[7..].iter().all(|b| *b == i as u8));
    }
    assert!(content.pes.len() < 60, "{} PES packets", content.pes.len());
    for pes in &content.pes {
        assert!(pes.random_access);
    }
    assert_eq!(content.clock_pid, PID_AUDIO);
}

#[test]
fn an_audio_gap_starts_a_packet_with_its_own_time() {
    let tracks = Tracks { video: None, audio: aac() };
    let content = mux(&tracks, &[sound(Timestamp::ZERO, &[1; 10]), sound(Timestamp::from_millis(60), &[2; 10])]);
    assert_eq!(content.pes.len(), 2);
    assert_eq!(content.pes[1].pts - content.pes[0].pts, 5_400);
}

#[test]
fn times_wrap_at_33_bits() {
    let tracks = Tracks { video: h264(), audio: None };
    let wrap_ms = (1i64 << 33) / 90;
    let frames: Vec<Frame> = (-50..50).map(|i| picture(wrap_ms + i * 40, 80, i % 25 == 0, &[&[0x41, 1]])).collect();
    let content = mux(&tracks, &frames);
    let step = |a: u64, b: u64| (b.wrapping_sub(a)) & ((1 << 33) - 1);
    for pair in content.pes.windows(2) {
        assert!(step(pair[0].dts, pair[1].dts).abs_diff(3_600) <= 1);
        assert!(step(pair[0].dts, pair[0].pts).abs_diff(7_200) <= 1);
    }
    assert!(content.pes.iter().any(|p| p.dts > 1 << 32) && content.pes.iter().any(|p| p.dts < 1 << 20));
    // The same below zero: a stream whose first time is negative.
    let content = mux(&tracks, &[picture(-5_000, 0, true, &[&[0x65]])]);
    assert_eq!(content.pes[0].dts, (1 << 33) - 5_000 * 90 + 90_000);
}

#[test]
fn the_clock_keeps_behind_the_data_and_close() {
    // 5 frames a second with audio between them: the clock still comes every 100 ms.
    let tracks = Tracks { video: h264(), audio: aac() };
    let mut frames: Vec<Frame> = (0..50).map(|i| picture(i * 200, 0, i % 10 == 0, &[&[0x41; 50]])).collect();
    frames.extend((0..430i64).map(|i| sound(Timestamp::from_ticks(i * 1024, 44_100), &[3; 200])));
    frames.sort_by_key(|f| f.dts);
    let mut out = BytesMut::new();
    let mut muxer = Muxer::new();
    muxer.tables(&tracks, &mut out);
    for frame in &frames {
        muxer.frame(frame, &tracks, &mut out);
    }
    muxer.flush(&mut out);
    let content = demux::read(&out).unwrap();
    for pair in content.clocks.windows(2) {
        assert!(pair[1].0 > pair[0].0 && pair[1].0 - pair[0].0 < 9_000 + 13_500, "{pair:?}");
    }
    // No packet arrives when it is already due: demux step by step and compare with the clock so far.
    for end in (PACKET..=out.len()).step_by(PACKET) {
        let so_far = demux::read(&out[..end]);
        let Ok(so_far) = so_far else { continue }; // a PES packet that is not complete yet
        if let (Some(clock), Some(pes)) = (so_far.clocks.last(), so_far.pes.last()) {
            assert!(pes.dts > clock.0 && pes.dts - clock.0 < 90_000, "{pes:?} at clock {clock:?}");
        }
    }
}

#[test]
fn segments_continue_the_counters_and_stand_alone() {
    let tracks = Tracks { video: h264(), audio: aac() };
    let mut muxer = Muxer::new();
    let mut whole = BytesMut::new();
    for segment in 0..20 {
        let mut out = BytesMut::new();
        muxer.tables(&tracks, &mut out);
        for i in 0..7 {
            let ms = segment * 280 + i * 40;
            muxer.frame(&picture(ms, 0, i == 0, &[&[0x65; 333]]), &tracks, &mut out);
            muxer.frame(&sound(Timestamp::from_millis(ms), &[0; 33]), &tracks, &mut out);
        }
        muxer.flush(&mut out);
        let content = demux::read(&out).unwrap();
        assert_eq!((content.pes.len() >= 8, content.maps, content.clocks.is_empty()), (true, (1, 0), false));
        whole.extend_from_slice(&out);
    }
    assert_eq!(demux::read(&whole).unwrap().maps, (20, 0));
}

#[test]
fn a_changed_program_gets_a_new_version_and_a_break_is_flagged() {
    let mut muxer = Muxer::new();
    let mut out = BytesMut::new();
    let one = Tracks { video: h264(), audio: None };
    muxer.tables(&one, &mut out);
    muxer.frame(&picture(90_000, 0, true, &[&[0x65]]), &one, &mut out);
    let two = Tracks { video: h264(), audio: aac() };
    muxer.discontinuity();
    muxer.tables(&two, &mut out);
    muxer.frame(&picture(0, 0, true, &[&[0x65]]), &two, &mut out);
    let content = demux::read(&out).unwrap();
    assert_eq!(content.maps, (2, 1));
    assert_eq!(content.streams.into_iter().collect::<Vec<_>>(), [(PID_VIDEO, 0x1b), (PID_AUDIO, 0x0f)]);
    assert_eq!(content.clocks.iter().map(|c| c.1).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_a_transport_stream_cannot_carry_is_left_out() {
    let g711 = Tracks { video: h264(), audio: audio(AudioCodec::G711A, 8_000) };
    assert_eq!(carried(&g711), Tracks { video: h264(), audio: None });
    let av1 = Tracks { video: video(VideoCodec::Av1 { config: Bytes::new() }), audio: audio(AudioCodec::Opus { head: None }, 48_000) };
    assert_eq!(carried(&av1), Tracks::default());
    let content = mux(&g711, &[picture(0, 0, true, &[&[0x65]]), sound(Timestamp::ZERO, &[0xd5; 160])]);
    assert_eq!(content.pes.len(), 1);
    for (rate, stream_type) in [(44_100, 3), (24_000, 4)] {
        let mp3 = Tracks { video: None, audio: audio(AudioCodec::Mp3, rate) };
        let content = mux(&mp3, &[sound(Timestamp::ZERO, &[0xff; 417])]);
        assert_eq!((content.streams[&PID_AUDIO], content.pes[0].data.len()), (stream_type, 417));
    }
}

#[test]
fn broken_frames_write_nothing() {
    let tracks = Tracks { video: h264(), audio: aac() };
    let mut broken = picture(0, 0, true, &[]);
    for data in [&[][..], &[0, 0], &[0, 0, 0, 0], &[0xff, 0xff, 0xff, 0xff, 1], &[0, 0, 0, 9, 1, 2]] {
        broken.data = Bytes::copy_from_slice(data);
        assert!(mux(&tracks, &[broken.clone()]).pes.is_empty(), "{data:?}");
    }
    assert!(mux(&tracks, &[sound(Timestamp::ZERO, &[]), sound(Timestamp::ZERO, &[0; 9_000])]).pes.is_empty());
    // The units before a broken length are kept.
    broken.data = Bytes::from_static(&[0, 0, 0, 1, 0x65, 0, 0, 1, 0, 7]);
    assert!(mux(&tracks, &[broken]).pes[0].data.ends_with(&[0, 0, 0, 1, 0x65]));
}
