//! Real bytes, mistakes on purpose, loss at every place, and noise.

use super::*;
use crate::base::bytes::LimitedHex;
use crate::media::frame::{self, Frame as Canonical};
use crate::media::nal::{self, Family};
use crate::media::sets::Follow;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track, Tracks};
use bytes::Bytes;
use md5::{Digest, Md5};
use proptest::prelude::*;
use std::sync::Arc;

const BFRAMES: &[u8] = include_bytes!("../../../fixtures/clips/bframes.h264");
const H265: &[u8] = include_bytes!("../../../fixtures/clips/pattern_h265.h265");
const SRS_BENCH: &[u8] = include_bytes!("../../../fixtures/rtp/srsbench_ps_h264_aac.rtp4571");
const SRS_BENCH_FRAMES: &str = include_str!("../../../fixtures/rtp/srsbench_ps_h264_aac.frames");
const HIKVISION: &[u8] = include_bytes!("../../../fixtures/rtp/lal_hik_h264_g711u.rtp4571");
const GB28181_RS: &[u8] = include_bytes!("../../../fixtures/rtp/gbrs_ps_h264_tcp_dollar.bin");

/// The frames of an Annex B file, 25 a second.
pub(crate) fn clip(family: Family, bytes: &[u8]) -> (Tracks, Vec<Canonical>) {
    let mut follow = Follow::new(family);
    let (mut frames, mut unit, mut pictures) = (Vec::new(), Vec::<&[u8]>::new(), 0);
    let mut close = |unit: &mut Vec<&[u8]>| {
        let access = nal::from_units(family, unit.drain(..));
        follow.take(&access.sets).unwrap();
        let dts = Timestamp::from_millis(1_000 + 40 * frames.len() as i64);
        frames.push(Canonical { kind: frame::Kind::Video, dts, pts: dts, key: access.key, data: access.data });
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
    let video = follow.track().cloned().map(Arc::new);
    (Tracks { video, audio: None }, frames)
}

pub(crate) fn h264() -> (Tracks, Vec<Canonical>) {
    let (tracks, mut frames) = clip(Family::H264, BFRAMES);
    assert_eq!(frames.len(), 50);
    // shown later than decoded, as with B-frames
    frames.iter_mut().enumerate().for_each(|(n, f)| f.pts = f.dts + Timestamp::from_millis([80, 120, 40][n % 3]));
    (tracks, frames)
}

/// One G.711 frame of 40 ms for each frame of video, in order of time.
fn with_g711(tracks: &mut Tracks, frames: &mut Vec<Canonical>, codec: AudioCodec) {
    tracks.audio = Some(Arc::new(AudioTrack { codec, sample_rate: 8_000, channels: 1 }));
    let video = std::mem::take(frames);
    for (n, picture) in video.into_iter().enumerate() {
        let data: Bytes = (0..320u32).map(|i| (i as u8).wrapping_mul(n as u8 | 1) ^ 0xd5).collect();
        let sound = Canonical { kind: frame::Kind::Audio, dts: picture.dts, pts: picture.dts, key: true, data };
        frames.extend([picture, sound]);
    }
}

/// A transport packet.
#[derive(Clone)]
struct Packet {
    payload: Vec<u8>,
    timestamp: i64,
    marker: bool,
}

fn mux(style: &Style, tracks: &Tracks, frames: &[Canonical]) -> Vec<Vec<u8>> {
    let mut muxer = Muxer::new(style.clone());
    let put = |frame| {
        let mut out = Vec::new();
        assert!(muxer.put(frame, tracks, &mut out));
        out
    };
    frames.iter().map(put).collect()
}

fn packets(frames: &[Canonical], muxed: &[Vec<u8>], mtu: usize, markers: bool) -> Vec<Packet> {
    let mut out = Vec::new();
    for (frame, bytes) in frames.iter().zip(muxed) {
        let count = bytes.len().div_ceil(mtu);
        for (n, payload) in bytes.chunks(mtu).enumerate() {
            let timestamp = frame.dts.to_ticks(90_000);
            out.push(Packet { payload: payload.to_vec(), timestamp, marker: markers && n + 1 == count });
        }
    }
    out
}

struct Run {
    items: Vec<Item>,
    findings: Findings,
}

impl Run {
    fn frames(&self, kind: frame::Kind) -> Vec<&Frame> {
        let frame = |item: &'_ Item| matches!(item, Item::Frame(f) if f.kind == kind);
        self.items.iter().filter(|item| frame(item)).filter_map(|item| if let Item::Frame(f) = item { Some(f) } else { None }).collect()
    }

    fn tracks(&self) -> Vec<&Track> {
        self.items.iter().filter_map(|item| if let Item::Track(track) = item { Some(track) } else { None }).collect()
    }
}

/// Demuxes; packets whose number is in `lose` do not arrive.
fn demux_losing(options: Options, packets: &[Packet], lose: &[usize]) -> Run {
    let mut demuxer = Demuxer::new(options);
    let (mut items, mut lost) = (Vec::new(), false);
    for (n, packet) in packets.iter().enumerate() {
        if lose.contains(&n) {
            lost = true;
            continue;
        }
        let (payload, timestamp, marker) = (&packet.payload, Some(packet.timestamp), packet.marker);
        demuxer.push(Input { payload, timestamp, marker, lost: std::mem::take(&mut lost) });
        items.extend(std::iter::from_fn(|| demuxer.pull()));
    }
    demuxer.finish();
    items.extend(std::iter::from_fn(|| demuxer.pull()));
    Run { items, findings: *demuxer.findings() }
}

fn demux(packets: &[Packet]) -> Run {
    demux_losing(Options::default(), packets, &[])
}

/// Whether the run gave exactly these frames.
fn assert_frames(run: &Run, frames: &[Canonical], stamps: bool, name: &str) {
    for kind in [frame::Kind::Video, frame::Kind::Audio] {
        let sent: Vec<_> = frames.iter().filter(|f| f.kind == kind).collect();
        let got = run.frames(kind);
        assert_eq!(got.len(), sent.len(), "{name}: frames of {kind:?}");
        for (n, (got, sent)) in got.iter().zip(&sent).enumerate() {
            assert_eq!(LimitedHex(&got.data).to_string(), LimitedHex(&sent.data).to_string(), "{name}: {kind:?} {n}");
            assert!(got.data == sent.data && got.key == sent.key, "{name}: {kind:?} {n}");
            let near = |a: Timestamp, b: Timestamp| (a - b).0.abs() <= 11_112; // a tick
            let dts = got.dts.unwrap_or(got.pts);
            assert!(!stamps || near(got.pts, sent.pts) && near(dts, sent.dts), "{name}: {kind:?} {n}: {got:?} for {sent:?}");
        }
    }
}

fn sent_tracks(tracks: &Tracks) -> Vec<Track> {
    let video = tracks.video.iter().map(|t| Track::Video((**t).clone()));
    video.chain(tracks.audio.iter().map(|t| Track::Audio((**t).clone()))).collect()
}

#[test]
fn what_the_muxer_writes_comes_back_in_any_style_and_packet_size() {
    let plain = Style::default;
    let styles = [
        ("plain", plain()),
        ("no map, no system header", Style { map: false, system_header: false, ..plain() }),
        ("no length", Style { length: false, ..plain() }),
        ("unit by unit", Style { unit_by_unit: true, ..plain() }),
        ("small packets, each with its time", Style { largest: 1_000, stamp_all: true, ..plain() }),
        ("small packets", Style { largest: 333, ..plain() }),
        ("private packets and counters", Style { private: true, counter: true, ..plain() }),
        ("no pack headers", Style { pack: false, ..plain() }),
        ("a map that lies", Style { lie: Some((0x10, 0x0f)), ..plain() }),
        ("a map that says H.265", Style { lie: Some((0x24, 0x90)), ..plain() }),
        ("zeros behind each frame", Style { tail: 9, ..plain() }),
        ("no times", Style { stamps: false, ..plain() }),
        (
            "everything at once",
            Style { map: false, system_header: false, length: false, unit_by_unit: true, private: true, counter: true, tail: 3, ..plain() },
        ),
    ];
    let (mut tracks, mut frames) = h264();
    with_g711(&mut tracks, &mut frames, AudioCodec::G711A);
    for (name, style) in &styles {
        let muxed = mux(style, &tracks, &frames);
        for mtu in [1, 7, 188, 1_400, 70_000] {
            for markers in [false, true] {
                let mut run = demux(&packets(&frames, &muxed, mtu, markers));
                // A map that says AAC delays what is not AAC until its mistake is noticed, which G.711 never is.
                if style.lie.is_some_and(|(_, audio)| audio == 0x0f) {
                    assert_eq!(run.frames(frame::Kind::Audio).len(), 0);
                    run.items.retain(|i| !matches!(i, Item::Frame(f) if f.kind == frame::Kind::Audio));
                    let video: Vec<_> = frames.iter().filter(|f| f.kind == frame::Kind::Video).cloned().collect();
                    assert_frames(&run, &video, style.stamps, &format!("{name}, {mtu}, {markers}"));
                    continue;
                }
                // Without a map sound is taken for A-law only after a second.
                if !style.map {
                    let late = run.frames(frame::Kind::Audio);
                    assert_eq!(late.len(), 25, "{name}, {mtu}");
                    let (mut audio, mut rest): (Vec<_>, Vec<_>) = frames.iter().cloned().partition(|f| f.kind == frame::Kind::Audio);
                    rest.extend(audio.drain(25..));
                    assert_frames(&run, &rest, style.stamps, &format!("{name}, {mtu}, {markers}"));
                    continue;
                }
                assert_frames(&run, &frames, style.stamps, &format!("{name}, {mtu}, {markers}"));
                let sent = sent_tracks(&tracks);
                assert!(run.tracks().len() == sent.len() && sent.iter().all(|t| run.tracks().contains(&t)), "{name}");
                assert_eq!(
                    (run.findings.damaged, run.findings.junk, run.findings.cut, run.findings.overrun),
                    (0, 0, 0, 0),
                    "{name}, {mtu}"
                );
            }
        }
    }
}

#[test]
fn h265_and_aac_come_back() {
    let (mut tracks, mut frames) = clip(Family::H265, H265);
    assert_eq!(frames.len(), 100);
    let config = crate::media::aac::build_asc(2, 16_000, 1).unwrap();
    tracks.audio = Some(Arc::new(crate::media::aac::track_from_asc(&config).unwrap()));
    for n in 0..60 {
        let at = Timestamp::from_millis(1_000 + n * 64);
        let data = Bytes::from(vec![n as u8; 300 + n as usize]);
        frames.push(Canonical { kind: frame::Kind::Audio, dts: at, pts: at, key: true, data });
    }
    frames.sort_by_key(|f| f.dts);
    // Dahua: AAC declared as G.711 needs a few packets of proof
    for (lie, missing) in [(None, 0), (Some((0x24, 0x90)), 2), (Some((0x1b, 0x0f)), 0)] {
        let muxed = mux(&Style { lie, ..Style::default() }, &tracks, &frames);
        let run = demux(&packets(&frames, &muxed, 1_400, true));
        let first = frames.iter().position(|f| f.kind == frame::Kind::Audio).unwrap();
        let mut expected = frames.clone();
        for _ in 0..missing {
            let at = expected[first..].iter().position(|f| f.kind == frame::Kind::Audio).unwrap();
            expected.remove(first + at);
        }
        assert_frames(&run, &expected, true, &format!("{lie:?}"));
        assert!(sent_tracks(&tracks).iter().all(|t| run.tracks().contains(&t)) && run.tracks().len() == 2, "{lie:?}");
        assert_eq!((run.findings.video, run.findings.audio), (Some(VideoKind::H265), Some(AudioKind::Aac)));
        assert_eq!(run.findings.notes().is_empty(), lie.is_none(), "{:?}", run.findings.notes());
    }
}

/// RTP packets of a file: payloads with timestamps, and whether packets are missing in front.
fn rtp_file(bytes: &[u8], prefix: usize) -> Vec<(Packet, bool)> {
    let (mut rest, mut out, mut next) = (bytes, Vec::new(), None);
    while rest.len() > prefix {
        let length = usize::from(u16::from_be_bytes([rest[prefix - 2], rest[prefix - 1]]));
        let Some(rtp) = rest.get(prefix..prefix + length) else { break };
        rest = &rest[prefix + length..];
        let sequence = u16::from_be_bytes([rtp[2], rtp[3]]);
        let timestamp = i64::from(u32::from_be_bytes([rtp[4], rtp[5], rtp[6], rtp[7]]));
        let lost = next.is_some_and(|next| next != sequence);
        next = Some(sequence.wrapping_add(1));
        out.push((Packet { payload: rtp[12..].to_vec(), timestamp, marker: rtp[1] & 0x80 != 0 }, lost));
    }
    out
}

fn demux_file(file: &[(Packet, bool)]) -> Run {
    let mut demuxer = Demuxer::new(Options::default());
    let mut items = Vec::new();
    for (packet, lost) in file {
        demuxer.push(Input { payload: &packet.payload, timestamp: Some(packet.timestamp), marker: packet.marker, lost: *lost });
        items.extend(std::iter::from_fn(|| demuxer.pull()));
    }
    demuxer.finish();
    items.extend(std::iter::from_fn(|| demuxer.pull()));
    Run { items, findings: *demuxer.findings() }
}

#[test]
fn srs_bench_frame_for_frame_as_ffmpeg_demuxes_it() {
    let run = demux_file(&rtp_file(SRS_BENCH, 2));
    let video: Vec<String> = run
        .frames(frame::Kind::Video)
        .iter()
        .map(|f| format!("{} {} {}", if f.key { "key" } else { "p" }, f.data.len(), hex::encode(Md5::digest(&f.data))))
        .collect();
    assert_eq!(video, SRS_BENCH_FRAMES.lines().collect::<Vec<_>>());
    let audio = run.frames(frame::Kind::Audio);
    let sound: Vec<u8> = audio.iter().flat_map(|f| f.data.to_vec()).collect();
    assert_eq!((audio.len(), hex::encode(Md5::digest(&sound)).as_str()), (230, "82fe55638d7dd183e4ed9686c9a4cded"));
    let [Track::Audio(audio), Track::Video(video)] = run.tracks()[..] else { panic!("{:?}", run.tracks()) };
    assert_eq!((video.width, video.height, audio.sample_rate, audio.channels), (768, 320, 44_100, 2));
    // 40 frames a second, as its packets say
    let times: Vec<_> = run.frames(frame::Kind::Video).iter().map(|f| f.pts.to_ticks(90_000)).collect();
    assert!(times.windows(2).all(|t| t[1] - t[0] == 2_250), "{times:?}");
    assert!(run.findings.notes().is_empty(), "{:?}", run.findings.notes());
}

#[test]
fn hikvision_bytes() {
    let file = rtp_file(HIKVISION, 2);
    assert_eq!(file.iter().filter(|(_, lost)| *lost).count(), 1);
    let run = demux_file(&file);
    let Some(Track::Video(video)) = run.tracks().first().copied() else { panic!("{:?}", run.items) };
    assert!(video.width > 0 && video.codec.name() == "H264");
    let f = &run.findings;
    assert_eq!((f.before_sets, f.video_frames, f.key_frames, f.odd_packs, f.odd_pes, f.odd_maps), (2, 1, 1, 0, 0, 0), "{f:?}");
    assert_eq!((f.video_declared, f.audio_declared, f.damaged), (Some(0x1b), Some(0x91), 0));
}

#[test]
fn a_simulator_that_breaks_the_rules() {
    let run = demux_file(&rtp_file(GB28181_RS, 4));
    let video = run.frames(frame::Kind::Video);
    assert!(video.len() > 50 && video[0].key, "{} frames, {:?}", video.len(), run.findings);
    assert!(video.windows(2).all(|f| f[1].pts > f[0].pts));
    assert!(run.findings.notes().iter().any(|n| n.contains("PES headers are malformed")), "{:?}", run.findings.notes());
    assert_eq!(run.findings.video_declared, Some(0x1b), "the map under the wrong start code");
}

#[test]
fn fragments_from_srs() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ps");
    let mut seen = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("srs_") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let rtp = name.contains("Normal_L25") || name.contains("RegularMessage");
        let payload = &bytes[if rtp { 12 } else { 0 }..];
        for size in [1, 3, 100, 70_000] {
            let run = demux(&payload.chunks(size).map(|p| Packet { payload: p.to_vec(), timestamp: 0, marker: false }).collect::<Vec<_>>());
            seen += usize::from(run.findings.packs + run.findings.video_frames + run.findings.audio_frames + run.findings.skipped > 0);
        }
    }
    assert!(seen >= 20, "{seen}");
}

/// Two slices of pictures that no frame is without; enough for what needs no decoder.
#[test]
fn every_single_loss_costs_the_frames_it_hits_and_no_other() {
    let (mut tracks, mut frames) = h264();
    with_g711(&mut tracks, &mut frames, AudioCodec::G711U);
    let muxed = mux(&Style::default(), &tracks, &frames);
    for markers in [true, false] {
        let sent = packets(&frames, &muxed, 500, markers);
        for lost in 1..sent.len() {
            let run = demux_losing(Options::default(), &sent, &[lost]);
            let hit = sent[lost].timestamp;
            let whole: Vec<_> = frames.iter().filter(|f| f.kind == frame::Kind::Video && f.dts.to_ticks(90_000) != hit).collect();
            let got = run.frames(frame::Kind::Video);
            let right = got.iter().filter(|g| frames.iter().any(|f| f.data == g.data)).count();
            assert_eq!(right, got.len(), "packet {lost}: a damaged frame passed for a whole one");
            // Without markers the frame before a lost start cannot be known to be whole.
            let spare = if markers { 0 } else { 1 };
            // sets are lost with the first key frame: everything up to the next one is in vain
            let first_key = hit == frames[0].dts.to_ticks(90_000);
            assert!(first_key || got.len() + spare >= whole.len(), "packet {lost}: {} of {}", got.len(), whole.len());
        }
    }
}

#[test]
fn damage_is_dropped_kept_or_waited_out() {
    let (tracks, frames) = h264();
    let muxed = mux(&Style::default(), &tracks, &frames);
    let sent = packets(&frames, &muxed, 200, true);
    // the second packet of the fourth frame
    let lost = sent.iter().position(|p| p.timestamp == frames[3].dts.to_ticks(90_000)).unwrap() + 1;
    let run = |damaged| demux_losing(Options { damaged, ..Options::default() }, &sent, &[lost]);
    let (drop, keep, wait) = (run(Damaged::Drop), run(Damaged::Keep), run(Damaged::UntilKey));
    assert_eq!(drop.frames(frame::Kind::Video).len(), 49);
    assert_eq!(keep.frames(frame::Kind::Video).len(), 50);
    let second_key = frames.iter().skip(1).position(|f| f.key).unwrap() + 1;
    assert_eq!(wait.frames(frame::Kind::Video).len(), 50 - (second_key - 3));
    for run in [&drop, &keep, &wait] {
        assert_eq!(run.findings.damaged, 1);
        assert_eq!(run.items.iter().filter(|i| **i == Item::Damaged).count(), 1);
    }
}

#[test]
fn times_wrap() {
    let (tracks, mut frames) = h264();
    let top = Timestamp::from_ticks((1 << 33) - 45_000, 90_000);
    frames.iter_mut().for_each(|f| (f.dts, f.pts) = (f.dts + top, f.pts + top));
    let muxed = mux(&Style::default(), &tracks, &frames);
    let run = demux(&packets(&frames, &muxed, 1_400, true));
    let times: Vec<_> = run.frames(frame::Kind::Video).iter().map(|f| f.dts.unwrap()).collect();
    assert!(times.windows(2).all(|t| (t[1] - t[0] - Timestamp::from_millis(40)).0.abs() < 20_000), "{times:?}");
}

#[test]
fn times_that_stand_still_are_replaced_by_the_transports() {
    let (tracks, mut frames) = h264();
    let times: Vec<_> = frames.iter().map(|f| f.dts).collect();
    frames.iter_mut().for_each(|f| (f.dts, f.pts) = (Timestamp::ZERO, Timestamp::ZERO));
    let muxed = mux(&Style::default(), &tracks, &frames);
    frames.iter_mut().zip(times).for_each(|(f, dts)| f.dts = dts);
    let run = demux(&packets(&frames, &muxed, 1_400, false));
    let got = run.frames(frame::Kind::Video);
    assert_eq!(got.len(), 50);
    assert!(run.findings.stamps_stuck);
    assert!(got[20..].windows(2).all(|f| (f[1].pts - f[0].pts).as_millis() == 40));
}

#[test]
fn the_codec_changes_in_mid_stream() {
    let (tracks_a, a) = h264();
    let (tracks_b, mut b) = clip(Family::H265, H265);
    b.iter_mut().for_each(|f| (f.dts, f.pts) = (f.dts + Timestamp::from_millis(5_000), f.pts + Timestamp::from_millis(5_000)));
    for map in [true, false] {
        let style = Style { map, ..Style::default() };
        let mut muxed = mux(&style, &tracks_a, &a);
        muxed.extend(mux(&style, &tracks_b, &b));
        let all: Vec<_> = a.iter().chain(&b).cloned().collect();
        let run = demux(&packets(&all, &muxed, 1_400, true));
        assert_frames(&run, &all, true, "both");
        let names: Vec<_> = run.tracks().iter().map(|t| if let Track::Video(v) = t { v.codec.name() } else { "" }).collect();
        assert_eq!(names, ["H264", "H265"]);
    }
}

#[test]
fn svac_is_refused_with_its_name_and_sound_goes_on() {
    let (mut tracks, mut frames) = h264();
    with_g711(&mut tracks, &mut frames, AudioCodec::G711A);
    // NAL units of SVAC look like none of H.264's parameter sets
    for frame in frames.iter_mut().filter(|f| f.kind == frame::Kind::Video) {
        frame.data = [&[0, 0, 0, 40, 0x01][..], &[0x77; 39]].concat().into();
        frame.key = true;
    }
    tracks.video = tracks.video.map(|t| {
        let sps = Bytes::from_static(&[0x1d, 1, 2, 3]);
        let codec = crate::media::track::VideoCodec::H264 { sps: vec![sps.clone()], pps: vec![sps] };
        Arc::new(crate::media::track::VideoTrack { codec, ..(*t).clone() })
    });
    let muxed = mux(&Style { lie: Some((0x80, 0x90)), ..Style::default() }, &tracks, &frames);
    let run = demux(&packets(&frames, &muxed, 1_400, true));
    assert_eq!(run.items.iter().filter(|i| **i == Item::Refused(Kind::Video(VideoKind::Svac))).count(), 1);
    assert_eq!((run.frames(frame::Kind::Video).len(), run.frames(frame::Kind::Audio).len()), (0, 50));
    assert!(run.findings.notes()[0].contains("SVAC"), "{:?}", run.findings.notes());
}

#[test]
fn lengths_that_are_too_short_or_too_long() {
    let (tracks, frames) = h264();
    for by in [-20i32, 300] {
        let mut muxed = mux(&Style::default(), &tracks, &frames);
        for bytes in &mut muxed {
            let at = bytes.windows(4).position(|w| w == [0, 0, 1, 0xe0]).unwrap() + 4;
            let length = i32::from(u16::from_be_bytes([bytes[at], bytes[at + 1]])) + by;
            bytes[at..at + 2].copy_from_slice(&(length.max(30) as u16).to_be_bytes());
        }
        let run = demux(&packets(&frames, &muxed, 1_400, true));
        assert_frames(&run, &frames, true, &by.to_string());
        let f = &run.findings;
        assert!(if by < 0 { f.overrun > 0 } else { f.cut > 0 }, "{f:?}");
    }
}

#[test]
fn packs_in_the_middle_of_a_nal_unit() {
    let (tracks, frames) = h264();
    let style = Style { largest: 300, ..Style::default() };
    let mut muxed = mux(&style, &tracks, &frames);
    let pack: Vec<u8> = muxed[1][..14].to_vec();
    for bytes in &mut muxed {
        // in front of each PES packet but the first
        let places: Vec<_> = memchr::memmem::find_iter(bytes, &[0, 0, 1, 0xe0]).collect();
        for at in places.into_iter().skip(1).rev() {
            bytes.splice(at..at, pack.iter().copied());
        }
    }
    for markers in [true, false] {
        assert_frames(&demux(&packets(&frames, &muxed, 1_400, markers)), &frames, true, "packs of 300 bytes");
    }
}

#[test]
fn an_endless_frame_is_given_up() {
    let (tracks, frames) = h264();
    let muxed = mux(&Style { length: false, ..Style::default() }, &tracks, &frames[..2]);
    let mut sent = packets(&frames[..1], &muxed[..1], 1_400, false);
    for _ in 0..1_000 {
        sent.push(Packet { payload: vec![0x55; 1_400], timestamp: sent[0].timestamp, marker: false });
    }
    sent.extend(packets(&frames[1..2], &muxed[1..], 1_400, false));
    let run = demux_losing(Options { max_frame: 100_000, ..Options::default() }, &sent, &[]);
    assert_eq!(run.findings.too_large, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// How the bytes are cut into packets changes nothing.
    #[test]
    fn cuts_do_not_matter(seed in prop::collection::vec(1usize..600, 20), unit_by_unit in any::<bool>(), length in any::<bool>()) {
        let (mut tracks, mut frames) = h264();
        with_g711(&mut tracks, &mut frames, AudioCodec::G711U);
        frames.truncate(30);
        let muxed = mux(&Style { unit_by_unit, length, ..Style::default() }, &tracks, &frames);
        let mut sizes = seed.iter().cycle();
        let mut sent = Vec::new();
        for (frame, bytes) in frames.iter().zip(&muxed) {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (head, tail) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                sent.push(Packet { payload: head.to_vec(), timestamp: frame.dts.to_ticks(90_000), marker: tail.is_empty() });
                rest = tail;
            }
        }
        assert_frames(&demux(&sent), &frames, true, "cut");
    }

    /// A good stream with bytes changed and packets lost: frames stay canonical, memory bounded.
    #[test]
    fn damaged_streams(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40), lose in prop::collection::vec(any::<prop::sample::Index>(), 0..6), keep in any::<bool>()) {
        let (mut tracks, mut frames) = h264();
        with_g711(&mut tracks, &mut frames, AudioCodec::G711A);
        let muxed = mux(&Style::default(), &tracks, &frames);
        let mut sent = packets(&frames, &muxed, 700, true);
        for (place, byte) in &changes {
            let n = sent.len();
            let payload = &mut sent[place.index(n)].payload;
            let at = place.index(payload.len());
            payload[at] = *byte;
        }
        let lose: Vec<usize> = lose.iter().map(|i| i.index(sent.len())).collect();
        let damaged = if keep { Damaged::Keep } else { Damaged::Drop };
        check(&demux_losing(Options { damaged, max_frame: 50_000 }, &sent, &lose));
    }

    /// Noise that is full of start codes.
    #[test]
    fn hostile(pieces in prop::collection::vec((prop::collection::vec(prop_oneof![
        4 => Just(vec![0u8, 0, 1]), 2 => Just(vec![0xba]), 2 => Just(vec![0xe0]), 1 => Just(vec![0xc0]), 1 => Just(vec![0xbc]), 1 => Just(vec![0xbb]),
        1 => Just(vec![0x80, 0x80, 5]), 1 => Just(vec![0]), 1 => Just(vec![0x67, 0x42]), 1 => Just(vec![0x40, 1]), 1 => Just(vec![0xff, 0xf1]),
        2 => prop::collection::vec(any::<u8>(), 1..12)], 1..40), any::<bool>(), any::<bool>(), -2i64..4), 1..60)) {
        let mut demuxer = Demuxer::new(Options { max_frame: 2_000, ..Options::default() });
        let mut run = Run { items: Vec::new(), findings: Findings::default() };
        let mut timestamp = 0;
        for (payload, marker, lost, step) in &pieces {
            timestamp += step * 100;
            demuxer.push(Input { payload: &payload.concat(), timestamp: Some(timestamp), marker: *marker, lost: *lost });
            run.items.extend(std::iter::from_fn(|| demuxer.pull()));
        }
        demuxer.finish();
        run.items.extend(std::iter::from_fn(|| demuxer.pull()));
        check(&run);
        let _ = demuxer.findings().notes();
    }
}

fn check(run: &Run) {
    for frame in run.frames(frame::Kind::Video) {
        let total: usize = nal::units(&frame.data).map(|u| u.len() + 4).sum();
        assert_eq!(total, frame.data.len(), "canonical");
    }
}
