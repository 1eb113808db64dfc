//! Each cause by example, then random streams: clean ones pass untouched, broken ones come out in order.

use super::*;
use crate::media::frame::Kind::{self, Audio, Video};
use crate::media::time::Timestamp;
use proptest::prelude::*;

/// A frame as it comes: times in milliseconds.
#[derive(Debug, Clone, Copy)]
struct In {
    kind: Kind,
    dts: Option<i64>,
    pts: i64,
    at: i64,
}

fn video(ms: i64, at: i64) -> In {
    In { kind: Video, dts: Some(ms), pts: ms, at }
}

fn audio(ms: i64, at: i64) -> In {
    In { kind: Audio, dts: Some(ms), pts: ms, at }
}

/// Both tracks in real time: video every 40 ms, audio every 20 ms, from `start` on for `length`, arriving from `at` on.
fn both(start: i64, at: i64, length: i64) -> Vec<In> {
    (0..length / 20)
        .flat_map(|n| {
            let (ms, at) = (start + n * 20, at + n * 20);
            (n % 2 == 0).then_some(video(ms, at)).into_iter().chain([audio(ms, at)])
        })
        .collect()
}

fn run(frames: &[In]) -> (Vec<(i64, i64)>, Counts) {
    run_with(Sanitizer::default(), frames)
}

/// Whatever comes in, nothing runs back, and nothing is shown before it is decoded.
fn run_with(mut sanitizer: Sanitizer, frames: &[In]) -> (Vec<(i64, i64)>, Counts) {
    let ms = Timestamp::from_millis;
    let (mut out, mut last) = (Vec::new(), [None; 2]);
    for f in frames {
        let (dts, pts) = sanitizer.fix(f.kind, f.dts.map(ms), ms(f.pts), ms(f.at));
        let last = &mut last[f.kind as usize];
        assert!(last.is_none_or(|last| last < dts) && dts <= pts, "{f:?}: {dts:?} after {last:?}, {pts:?}");
        *last = Some(dts);
        out.push((dts.as_millis(), pts.as_millis()));
    }
    (out, *sanitizer.counts())
}

fn of(kind: Kind, frames: &[In], out: &[(i64, i64)]) -> Vec<i64> {
    frames.iter().zip(out).filter(|(f, _)| f.kind == kind).map(|(_, (dts, _))| *dts).collect()
}

/// Frames that belong together, as they arrive at the same moment, have the same times on both tracks.
fn check_sync(frames: &[In], out: &[(i64, i64)]) {
    let audio: std::collections::HashMap<i64, i64> =
        frames.iter().zip(out).filter(|(f, _)| f.kind == Audio).map(|(f, out)| (f.at, out.0)).collect();
    let video: Vec<_> = frames.iter().zip(out).filter(|(f, _)| f.kind == Video).map(|(f, out)| (f.at, out.0)).collect();
    assert!(!video.is_empty());
    for (at, video) in video {
        assert_eq!(audio[&at], video, "at {at}");
    }
}

#[test]
fn clean_times_pass_unchanged() {
    let frames = both(123_456, 7, 60_000);
    let (out, counts) = run(&frames);
    assert!(frames.iter().zip(&out).all(|(f, out)| *out == (f.pts, f.pts)));
    assert_eq!(counts, Counts::default());
}

#[test]
fn a_jump_of_both_tracks_keeps_their_offset() {
    for jump in [3_500, 100_000, 3_600_000, -3_600_000, -2_000] {
        let mut frames = both(5_000_000, 0, 4_000);
        frames.extend(both(5_004_000 + jump, 4_000, 4_000));
        let (out, counts) = run(&frames);
        check_sync(&frames, &out);
        assert_eq!((counts.jump, counts.rollback), if jump > 0 { (1, 0) } else { (0, 1) }, "{jump}");
        assert_eq!(counts.repairs(), 1);
        assert_eq!(*out.last().unwrap(), (5_007_980, 5_007_980), "real time went on");
    }
}

#[test]
fn a_jump_after_silence_leaves_the_silence_in() {
    let frames = [video(0, 0), video(40, 40), video(1_000_000, 2_080), video(1_000_040, 2_120)];
    assert_eq!(of(Video, &frames, &run(&frames).0), [0, 40, 2_080, 2_120]);
}

#[test]
fn a_gap_that_the_arrival_times_explain_is_no_jump() {
    let frames = [video(0, 0), video(40, 40), video(60_080, 60_080)];
    assert_eq!(run(&frames), (vec![(0, 0), (40, 40), (60_080, 60_080)], Counts::default()));
    // a network that stalls for 10 s and delivers all but what the source dropped meanwhile
    let frames = [video(0, 0), video(40, 40), video(80, 10_000), video(120, 10_000), video(9_960, 10_000), video(10_000, 10_001)];
    let (out, counts) = run(&frames);
    assert_eq!((of(Video, &frames, &out), counts), (vec![0, 40, 80, 120, 9_960, 10_000], Counts::default()));
}

#[test]
fn a_source_that_sends_faster_than_real_time_is_clean() {
    let frames: Vec<In> = both(0, 0, 600_000).into_iter().map(|f| In { at: f.at / 1000, ..f }).collect();
    let (out, counts) = run(&frames);
    assert!(frames.iter().zip(&out).all(|(f, out)| out.0 == f.pts));
    assert_eq!(counts, Counts::default());
}

#[test]
fn clocks_wrap() {
    let period_32 = 1i64 << 32;
    let (period_31, mpeg) = (1i64 << 31, Timestamp::from_ticks(1 << 33, 90_000).as_millis());
    for period in [period_32, period_31, mpeg] {
        let mut frames = both(period - 2_000, 0, 4_000);
        for f in &mut frames {
            f.pts = (f.pts + if f.kind == Video { 80 } else { 0 }) % period;
            f.dts = f.dts.map(|dts| dts % period);
        }
        let (out, counts) = run(&frames);
        assert_eq!((counts.wrap, counts.repairs()), (2, 0), "{period}");
        assert!((out.last().unwrap().0 - (period + 1_980)).abs() <= 1);
        let video = frames.iter().zip(&out).filter(|(f, _)| f.kind == Video);
        assert!(video.map(|(_, (dts, pts))| pts - dts).all(|delay| (79..=81).contains(&delay)));
    }
}

#[test]
fn equal_times_and_small_steps_back() {
    let frames = [video(0, 0), video(40, 40), video(40, 41), video(80, 80), video(70, 120), video(120, 125)];
    let (out, counts) = run(&frames);
    assert_eq!(of(Video, &frames, &out), [0, 40, 41, 80, 81, 120]);
    assert_eq!((counts.equal, counts.repairs()), (2, 2));
}

#[test]
fn a_frozen_clock_is_replaced_by_the_arrival_times() {
    let frames: Vec<In> = (0..500).map(|n| video(if n < 100 { n * 40 } else { 4_000 }, n * 40)).collect();
    let (out, _) = run(&frames);
    assert!((out[499].0 - 499 * 40).abs() <= 40, "{:?}", out[499]);
    // and back to a running clock
    let more: Vec<In> = (500..600).map(|n| video(n * 40 - 16_000, n * 40)).collect();
    let frames = [frames, more].concat();
    let (out, _) = run(&frames);
    assert!((out[599].0 - 599 * 40).abs() <= 40, "{:?}", out[599]);
}

#[test]
fn decoding_times_are_derived_where_they_are_missing() {
    let order = [0, 120, 40, 80, 240, 160, 200, 360, 280, 320];
    let frames: Vec<In> = order.iter().enumerate().map(|(n, pts)| In { dts: None, ..video(*pts, n as i64 * 40) }).collect();
    let mut sanitizer = Sanitizer::default();
    sanitizer.set_reorder(Some(1));
    let (out, counts) = run_with(sanitizer, &frames);
    assert!(out.iter().zip(order).all(|((_, pts), raw)| *pts == raw), "{out:?}");
    assert!(counts.missing > 0 && counts.repairs() == counts.missing);
}

#[test]
fn a_missing_decoding_time_beside_given_ones_equals_the_presentation_time() {
    let frames = [In { dts: Some(0), ..video(80, 0) }, In { dts: None, ..video(40, 40) }, In { dts: Some(80), ..video(160, 80) }];
    assert_eq!(run(&frames), (vec![(0, 80), (40, 40), (80, 160)], Counts::default()));
}

#[test]
fn pretended_decoding_times_are_seen_through() {
    let group = [0, 120, 40, 80];
    let frames: Vec<In> = (0..400).map(|n| video(n / 4 * 160 + group[n as usize % 4], n * 40)).collect();
    let (out, counts) = run(&frames);
    assert!(out.iter().zip(&frames).skip(20).all(|((_, pts), f)| *pts == f.pts), "{out:?}");
    assert!(counts.equal < 20, "{counts:?}");
}

#[test]
fn presentation_times_without_sense_are_replaced() {
    let frames = [video(0, 0), In { dts: Some(40), ..video(20, 40) }, In { dts: Some(80), ..video(1_000_000, 80) }];
    let (out, counts) = run(&frames);
    assert_eq!((out, counts.order), (vec![(0, 0), (40, 40), (80, 80)], 2));
}

#[test]
fn the_other_track_keeps_its_offset_from_the_start() {
    // 300 ms earlier, as it must be squeezed in; 500 ms later; 2 s later
    let frames = [audio(10_000, 0), video(9_700, 1), video(9_740, 41), video(9_980, 281), video(10_020, 321), audio(10_400, 400)];
    let (out, counts) = run(&frames);
    assert_eq!(out.iter().map(|out| out.0).collect::<Vec<_>>(), [10_000, 10_000, 10_001, 10_002, 10_020, 10_400]);
    assert_eq!((counts.early, counts.repairs()), (3, 3));
    for late in [500, 2_000, 60_000] {
        let frames = [video(10_000, 0), video(10_040, 40), audio(10_000 + late, late), video(10_080 + late, late + 80)];
        assert_eq!(run(&frames).1.repairs(), 0, "{late}");
    }
}

#[test]
fn a_track_with_a_clock_of_its_own_is_put_where_it_arrives() {
    let frames: Vec<In> = both(1_000_000, 0, 5_000);
    let mut frames: Vec<In> =
        frames.into_iter().map(|f| if f.kind == Audio { audio(f.pts - 1_000_000 + 77_000_000, f.at) } else { f }).collect();
    frames.retain(|f| f.kind == Video || f.at > 1_000);
    let (out, counts) = run(&frames);
    assert_eq!((counts.jump, counts.repairs()), (1, 1));
    let worst = frames.iter().zip(&out).map(|(f, out)| (out.0 - 1_000_000 - f.at).abs()).max();
    assert_eq!(worst, Some(0));
}

#[test]
fn audio_of_a_cache_that_was_sent_behind_the_video_is_in_time() {
    let cached = |kind: fn(i64, i64) -> In, step: i64| (0..10_000 / step).map(move |n| kind(n * step, 1));
    let frames: Vec<In> = cached(video, 40).chain(cached(audio, 20)).chain(both(10_000, 2, 60_000)).collect();
    let (out, counts) = run(&frames);
    assert!(frames.iter().zip(&out).all(|(f, out)| out.0 == f.pts));
    assert_eq!(counts, Counts::default());
}

/// How far audio is from video at most, in milliseconds, in the last half of a stream whose tracks both arrive in real time.
fn worst_distance(frames: &[In], out: &[(i64, i64)]) -> i64 {
    let mut last = None;
    let mut worst = 0;
    for (f, (dts, _)) in frames.iter().zip(out).skip(frames.len() / 2) {
        match (f.kind, last) {
            (Video, _) => last = Some((*dts, f.at)),
            (Audio, Some((video, at))) => worst = worst.max((dts - video - (f.at - at)).abs()),
            _ => {}
        }
    }
    worst
}

#[test]
fn drift_is_bounded_and_corrected_gently() {
    for (name, numerator) in [("1 % fast", 101), ("1 % slow", 99), ("10 % slow", 90), ("twice as fast", 200), ("half as fast", 50)] {
        for wrong in [Audio, Video] {
            let mut frames = both(0, 0, 1_200_000);
            for f in frames.iter_mut().filter(|f| f.kind == wrong) {
                f.pts = f.pts * numerator / 100;
                f.dts = Some(f.pts);
            }
            let (out, counts) = run(&frames);
            let worst = worst_distance(&frames, &out);
            assert!(worst < 6_000, "{name}, {wrong:?}: {worst} ms");
            assert!(counts.drift > 0 && counts.drift < 2_000, "{name}, {wrong:?}: {counts:?}");
            let right = if wrong == Audio { Video } else { Audio };
            let right: Vec<_> = frames.iter().zip(&out).filter(|(f, _)| f.kind == right).collect();
            assert!(right.iter().all(|(f, out)| out.0 == f.pts), "{name}: the other track is left alone");
        }
    }
}

#[test]
fn audio_that_paused_its_clock_comes_back_in_time() {
    let frames: Vec<In> = both(0, 0, 60_000).into_iter().filter(|f| f.kind == Video || !(20_000..40_000).contains(&f.at)).collect();
    let paused = |f: In| if f.kind == Audio && f.at >= 40_000 { audio(f.pts - 20_000, f.at) } else { f };
    let frames: Vec<In> = frames.into_iter().map(paused).collect();
    let (out, counts) = run(&frames);
    assert_eq!((counts.drift, counts.repairs()), (1, 1));
    assert!(worst_distance(&frames, &out) <= 40);
}

#[test]
fn nonsense_is_survived() {
    let times = [i64::MAX, i64::MIN, 0, -1, 1, i64::MAX - 1, i64::MIN / 2, 40, 40];
    let mut sanitizer = Sanitizer::default();
    let mut last = [i64::MIN; 2];
    for (n, time) in times.into_iter().cycle().take(5_000).enumerate() {
        let kind = if n % 3 == 0 { Audio } else { Video };
        let dts = (n % 5 > 1).then_some(Timestamp(times[n / 7 % times.len()]));
        let (dts, pts) = sanitizer.fix(kind, dts, Timestamp(time), Timestamp(n as i64 * 13 * MILLI));
        assert!(dts.0 > last[kind as usize] && pts >= dts);
        last[kind as usize] = dts.0;
    }
    assert!(last.iter().all(|last| last.abs() < 10_000 * SECOND), "{last:?}");
}

/// A stream without fault: how it is cut into frames, and how the network delivers it.
fn clean() -> impl Strategy<Value = Vec<In>> {
    let rates = (prop::sample::select(vec![5.0, 12.5, 25.0, 29.97, 60.0]), prop::sample::select(vec![20.0, 1024e3 / 44_100.0, 128.0]));
    let start = prop_oneof![Just(0i64), 0i64..4_000_000_000];
    let stalls = prop::collection::vec((0i64..30_000, 0i64..8_000), 0..3);
    (rates, start, 0i64..300, 0usize..3, stalls, any::<bool>(), prop::collection::vec(0i64..300, 64)).prop_map(
        |((fps, audio_ms), start, offset, reorder, stalls, live, jitter)| {
            let mut frames = Vec::new();
            let frame = 1000.0 / fps;
            for n in 0..(30_000.0 / frame) as usize {
                let dts = start + (n as f64 * frame).round() as i64;
                let delay = ((reorder + [0, 2, 1, 0][n % 4] * usize::from(reorder > 1)) as f64 * frame).round() as i64;
                frames.push(In { dts: Some(dts), pts: dts + delay, ..video(0, 0) });
            }
            for n in 0..(30_000.0 / audio_ms) as usize {
                frames.push(audio(start + offset + (n as f64 * audio_ms).round() as i64, 0));
            }
            frames.sort_by_key(|f| f.dts);
            let mut latest = 0;
            for (n, f) in frames.iter_mut().enumerate() {
                let ideal = f.dts.unwrap() - start;
                let stalled = stalls.iter().filter(|(from, _)| ideal >= *from).map(|(from, long)| from + long).max().unwrap_or(0);
                latest = if live { latest.max((ideal + jitter[n % jitter.len()]).max(stalled)) } else { n as i64 / 50 };
                f.at = latest;
            }
            frames
        },
    )
}

/// What can befall a stream.
#[derive(Debug, Clone, Copy)]
enum Fault {
    BothShift(i64),
    OneShift(Kind, i64),
    Repeat(Kind),
    NoDts,
    PtsOnly(i64),
    Lost(i64),
    Nonsense(i64),
}

fn fault() -> impl Strategy<Value = Fault> {
    let kind = prop::sample::select(vec![Video, Audio]);
    prop_oneof![
        (-10_000_000i64..10_000_000).prop_map(Fault::BothShift),
        (-4_000i64..4_000).prop_map(Fault::BothShift),
        (kind.clone(), -10_000i64..10_000).prop_map(|(kind, by)| Fault::OneShift(kind, by)),
        kind.prop_map(Fault::Repeat),
        Just(Fault::NoDts),
        (-200i64..200).prop_map(Fault::PtsOnly),
        (0i64..20_000).prop_map(Fault::Lost),
        any::<i64>().prop_map(Fault::Nonsense),
    ]
}

fn broken() -> impl Strategy<Value = Vec<In>> {
    (clean(), prop::collection::vec((0.0..1.0f64, 1usize..60, fault()), 1..12)).prop_map(|(mut frames, faults)| {
        for (place, length, fault) in faults {
            let from = (place * frames.len() as f64) as usize;
            let last = frames[from.saturating_sub(1)];
            for (n, f) in frames[from..].iter_mut().enumerate() {
                let short = n < length;
                let shift = |f: &mut In, by: i64| {
                    f.dts = f.dts.map(|dts| dts.saturating_add(by));
                    f.pts = f.pts.saturating_add(by);
                };
                match fault {
                    Fault::BothShift(by) => shift(f, by),
                    Fault::OneShift(kind, by) if f.kind == kind => shift(f, by),
                    Fault::Repeat(kind) if short && f.kind == kind => (f.dts, f.pts) = (last.dts, last.pts),
                    Fault::NoDts if short => f.dts = None,
                    Fault::PtsOnly(by) if short => f.pts += by,
                    Fault::Lost(time) => f.at += time,
                    Fault::Nonsense(time) if n == 0 => (f.dts, f.pts) = (Some(time), time),
                    _ => {}
                }
            }
        }
        frames
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_clean_stream_passes_unchanged(frames in clean()) {
        let (out, counts) = run(&frames);
        for (f, out) in frames.iter().zip(&out) {
            prop_assert_eq!(*out, (f.dts.unwrap(), f.pts));
        }
        prop_assert_eq!(counts, Counts::default());
    }

    #[test]
    fn any_broken_stream_comes_out_in_order(frames in broken(), reorder in prop::option::of(0u32..5)) {
        let mut sanitizer = Sanitizer::default();
        sanitizer.set_reorder(reorder);
        run_with(sanitizer, &frames);
    }

    #[test]
    fn whatever_befalls_both_tracks_together_leaves_them_together(
        frames in clean(),
        shifts in prop::collection::vec((0.0..0.95f64, prop_oneof![-10_000_000i64..-1_000, 4_000i64..10_000_000]), 1..4),
    ) {
        let mut broken = frames.clone();
        for (place, by) in shifts {
            let from = (place * broken.len() as f64) as usize;
            for f in &mut broken[from..] {
                f.dts = f.dts.map(|dts| dts + by);
                f.pts += by;
            }
        }
        let (out, counts) = run(&broken);
        // how far each frame was moved from where it belongs; both tracks by nearly the same
        let mut moved = [0i64; 2];
        for (f, out) in frames.iter().zip(&out) {
            moved[f.kind as usize] = out.0 - f.dts.unwrap();
        }
        prop_assert!((moved[0] - moved[1]).abs() <= 1_000, "{:?} {:?}", moved, counts);
    }

    #[test]
    fn any_times_at_all_come_out_in_order(
        times in prop::collection::vec((any::<bool>(), any::<Option<i64>>(), any::<i64>(), 0i64..100 * MILLI), 0..500),
    ) {
        let mut sanitizer = Sanitizer::default();
        let (mut at, mut last) = (0, [None, None]);
        for (is_video, dts, pts, wait) in times {
            at += wait;
            let kind = if is_video { Video } else { Audio };
            let (dts, pts) = sanitizer.fix(kind, dts.map(Timestamp), Timestamp(pts), Timestamp(at));
            prop_assert!(last[kind as usize].is_none_or(|last| last < dts) && pts >= dts);
            last[kind as usize] = Some(dts);
        }
    }
}
