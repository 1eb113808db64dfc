//! Parameter sets of real encoders and cameras, and broken ones.

use super::*;
use crate::media::malformed::Malformed;
use crate::media::track::VideoCodec;
use bytes::Bytes;

fn hex(text: &str) -> Bytes {
    hex::decode(text).unwrap().into()
}

#[test]
fn sequence_parameter_sets_of_real_streams() {
    let case = |name: &str, sps: &str, size: (u32, u32), fps: Option<(u32, u32)>, reorder: Option<u32>, codec: &str| {
        let set = hex(sps);
        let sps = parse_sps(&set).unwrap();
        assert_eq!(((sps.width, sps.height), sps.fps, sps.reorder), (size, fps, reorder), "{name}");
        assert_eq!(codec_string(&set).unwrap(), codec, "{name}");
    };
    case("x264 baseline", "6742c00cd901419f9f011000000300100000030320f142a480", (320, 180), Some((25, 1)), Some(0), "avc1.42c00c");
    let high = "67640028acd940780227e5c04400000fa40003a9803c60c658";
    case("x264 high, B-frames", high, (1920, 1080), Some((30_000, 1001)), Some(2), "avc1.640028");
    case("x264 interlaced", "6764001eacd940b424d8088000000300800000190f8a14cb", (720, 576), Some((25, 1)), Some(2), "avc1.64001e");
    let high422 = "677a000cb6cd941519e222f0110000030001000003001e0f142996";
    case("x264 4:2:2 10 bit, cropped", high422, (322, 182), Some((15, 1)), Some(2), "avc1.7a000c");
    let hikvision = "674d002a9db81e0089f966e0202028000003000800000301942";
    case("hikvision 1080p", &format!("{hikvision}0"), (1920, 1080), Some((25, 1)), Some(0), "avc1.4d002a");
    case("hikvision 1440p", "674d00329da80a002d69b808080a00000300020000030065", (2560, 1440), Some((25, 1)), Some(0), "avc1.4d0032");
    case("hikvision VGA", "674d001e9da8280f69b808080a00000300020000030065", (640, 480), Some((25, 1)), Some(0), "avc1.4d001e");
}

#[test]
fn damaged_usability_information_costs_itself_only() {
    let whole = hex("67640028acd940780227e5c04400000fa40003a9803c60c658");
    let size = |sps: &[u8]| parse_sps(sps).map(|sps| (sps.width, sps.height, sps.fps, sps.reorder));
    assert_eq!(size(&whole[..13]), Ok((1920, 1080, None, None)));
    assert_eq!(size(&whole[..21]), Ok((1920, 1080, Some((30_000, 1001)), None)));
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    let whole = hex("677a000cb6cd941519e222f0110000030001000003001e0f142996");
    for end in 0..whole.len() {
        let _ = parse_sps(&whole[..end]);
    }
    for at in 1..whole.len() {
        for value in 0..=255 {
            let mut broken = whole.to_vec();
            broken[at] = value;
            if let Ok(sps) = parse_sps(&broken) {
                assert!((1..=33_760).contains(&sps.width) && (1..=33_760).contains(&sps.height));
            }
        }
    }
    assert_eq!(parse_sps(&[]), Err(Malformed::Not("H.264 SPS")));
    assert_eq!(parse_sps(&[0x67]), Err(Malformed::Short("H.264 SPS")));
}

#[test]
fn avcc_is_what_ffmpeg_writes() {
    let record = hex("01640028ffe1001967640028acd940780227e5c04400000fa40003a9803c60c65801000668eae3cb22c0fdf8f800");
    let avcc = parse_avcc(&record).unwrap();
    assert_eq!((avcc.length_size, avcc.track.width, avcc.track.reorder), (4, 1920, Some(2)));
    assert_eq!(build_avcc(&avcc.track).unwrap(), record);
    let VideoCodec::H264 { pps, .. } = &avcc.track.codec else { panic!("H.264") };
    assert_eq!(pps_ids(&pps[0]), Ok((0, 0)));
}

#[test]
fn incomplete_avcc_is_an_error() {
    let record = hex("01640028ffe1001967640028acd940780227e5c04400000fa40003a9803c60c65801000668eae3cb22c0fdf8f800");
    for end in 0..record.len() - 4 {
        assert!(parse_avcc(&record[..end]).is_err(), "{end}");
    }
    assert!(parse_avcc(&record[..record.len() - 4]).is_ok(), "the high profile's bytes are missing in old records");
    assert_eq!(parse_avcc(&hex("01640028ffe000")), Err(Malformed::Missing("H.264 SPS")));
}

#[test]
fn unit_types() {
    use crate::media::nal::Role::*;
    let roles = [1, 5, 6, 7, 8, 9, 12, 14, 30].map(|kind: u8| role(&[0x60 | kind]));
    assert_eq!(roles, [Slice, KeySlice, Sei, Sps, Pps, Delimiter, Waste, Other, Waste]);
    assert!(is_key(&[0x65]) && !is_key(&[0x41]) && !is_key(&[]));
}
