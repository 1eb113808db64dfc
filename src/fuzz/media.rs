//! Codec configuration, NAL units, timestamps.

use crate::media::frame::Kind;
use crate::media::nal::{self, Family};
use crate::media::sets::Follow;
use crate::media::time::Timestamp;
use crate::media::timeline::Sanitizer;
use crate::media::{aac, av1, h264, h265, mp3, opus};
use bytes::Bytes;

pub(super) fn av1c(data: &[u8]) {
    if let Ok(record) = av1::parse_av1c(data) {
        assert!(record.sequence.is_none_or(|s| s.width > 0 && s.height > 0 && s.fps.is_none_or(|(n, d)| n > 0 && d > 0)));
        assert!(av1::codec_string(data).is_some());
    }
    let _ = av1::parse_sequence(data);
}

pub(super) fn h264_sps(data: &[u8]) {
    if let Ok(sps) = h264::parse_sps(data) {
        assert!(sps.width > 0 && sps.height > 0 && sps.fps.is_none_or(|(n, d)| n > 0 && d > 0));
    }
    let _ = h264::pps_ids(data);
    let _ = h264::codec_string(data);
    let _ = h264::is_recovery_point(data);
}

pub(super) fn h265_sps(data: &[u8]) {
    if let Ok(sps) = h265::parse_sps(data) {
        assert!(sps.width > 0 && sps.height > 0 && sps.fps.is_none_or(|(n, d)| n > 0 && d > 0));
        assert!(h265::codec_string(data).is_some());
    }
    let _ = h265::parse_vps(data);
    let _ = h265::pps_ids(data);
}

/// What a record says is what a record of it says.
pub(super) fn avcc(data: &[u8]) {
    let Ok(avcc) = h264::parse_avcc(data) else { return };
    if let Some(record) = h264::build_avcc(&avcc.track) {
        let again = h264::parse_avcc(&record).expect("our own record is whole");
        assert_eq!((again.track, again.length_size), (avcc.track, 4));
    }
}

/// What a record says is what a record of it says.
pub(super) fn hvcc(data: &[u8]) {
    let Ok(hvcc) = h265::parse_hvcc(data) else { return };
    if let Some(record) = h265::build_hvcc(&hvcc.track) {
        let again = h265::parse_hvcc(&record).expect("our own record is whole");
        assert_eq!((again.track, again.length_size), (hvcc.track, 4));
    }
}

/// Canonical form is a fixed point, whichever way it is reached.
pub(super) fn annexb(data: &[u8]) {
    let (family, data) = match data.split_first() {
        Some((first, rest)) if first & 1 == 1 => (Family::H265, rest),
        Some((_, rest)) => (Family::H264, rest),
        None => return,
    };
    let access = nal::from_annex_b(family, data);
    let mut back = Vec::new();
    nal::put_annex_b(&access.data, &mut back);
    let again = nal::from_annex_b(family, &back);
    assert_eq!((&again.data, again.key), (&access.data, access.key));
    let shared = nal::from_prefixed(family, &access.data, 4).expect("canonical form is length-prefixed");
    assert_eq!((&shared.data, shared.key), (&access.data, access.key));
    let _ = Follow::new(family).take(&access.sets);
    for size in 1..=4 {
        if let Ok(access) = nal::from_prefixed(family, &Bytes::copy_from_slice(data), size) {
            assert!(access.data.len() <= 4 * data.len());
        }
    }
}

/// AudioSpecificConfig, ADTS.
pub(super) fn aac(data: &[u8]) {
    if let Ok(config) = aac::parse_asc(data) {
        assert!(config.core_rate > 0 && config.channels > 0 && config.block_duration() > Timestamp::ZERO);
        if let Some(header) = aac::adts_header(&config, 100) {
            let adts = aac::parse_adts(&header).ok().flatten().expect("our own header is whole");
            assert_eq!((adts.rate, adts.length), (config.core_rate, 107));
        }
    }
    let mut total = 0;
    for (adts, block) in aac::blocks(data) {
        total += block.len();
        if let Some(asc) = adts.asc() {
            assert_eq!(aac::parse_asc(&asc).expect("our own configuration is whole").core_rate, adts.rate);
        }
    }
    assert!(total <= data.len());
}

/// Opus, MPEG audio.
pub(super) fn audio(data: &[u8]) {
    let _ = opus::parse_head(data);
    if let Ok(duration) = opus::duration(data) {
        assert!(duration > Timestamp::ZERO && duration <= Timestamp::from_millis(120));
    }
    if let Ok(header) = mp3::parse_header(data) {
        assert!(header.length > 0 && header.sample_rate > 0);
    }
}

/// Whatever comes in, time does not run back.
pub(super) fn timeline(data: &[u8]) {
    let mut sanitizer = Sanitizer::default();
    let (mut at, mut raw, mut last) = (0i64, [0i64; 2], [None; 2]);
    // what happens (bits), how far the source's clock steps, how long the network takes
    for frame in data.chunks_exact(4) {
        let kind = if frame[0] & 1 == 0 { Kind::Video } else { Kind::Audio };
        let step = i64::from(i16::from_le_bytes([frame[1], frame[2]]));
        at += i64::from(frame[3]) << (4 * (frame[0] >> 1 & 3));
        let clock = &mut raw[kind as usize];
        *clock = match frame[0] >> 3 & 3 {
            0 | 1 => clock.wrapping_add(step),
            2 => clock.wrapping_add(step << 20),
            _ => step << 48,
        };
        let delay = i64::from(frame[0] >> 6) * 40;
        let dts = (frame[0] >> 5 & 1 == 0).then_some(Timestamp::from_millis(*clock));
        let (dts, pts) = sanitizer.fix(kind, dts, Timestamp::from_millis(clock.wrapping_add(delay)), Timestamp::from_millis(at));
        let last = &mut last[kind as usize];
        assert!(last.is_none_or(|last| last < dts) && dts <= pts);
        *last = Some(dts);
    }
}
