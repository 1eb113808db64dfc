//! Parameter sets of real encoders, and broken ones.

use super::*;
use crate::media::malformed::Malformed;
use crate::media::track::VideoCodec;
use bytes::Bytes;

fn hex(text: &str) -> Bytes {
    hex::decode(text).unwrap().into()
}

/// x265, Main, 320 × 180, 25 fps, B-frames: the record as ffmpeg writes it.
const HVCC: &str = "0101600000009000000000003cf000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003003c95\
                    9809a10001002b42010101600000030090000003000003003ca00a080b9f796566924caf016808000003000800000300c840\
                    a2000100074401c172b46240";

#[test]
fn sequence_parameter_sets_of_real_streams() {
    let case = |name: &str, sps: &str, size: (u32, u32), bits: u8, fps: (u32, u32), reorder: u32, codec: &str| {
        let set = hex(sps);
        let sps = parse_sps(&set).unwrap();
        assert_eq!(((sps.width, sps.height), sps.luma_bits, sps.fps, sps.reorder), (size, bits, Some(fps), reorder), "{name}");
        assert_eq!(codec_string(&set).unwrap(), codec, "{name}");
    };
    let main = "42010101600000030090000003000003003ca00a080b9f796566924caf016808000003000800000300c840";
    case("x265 main", main, (320, 180), 8, (25, 1), 2, "hvc1.1.6.L60.90");
    let main10 = "420101022000000300900000030000030078a003c08010e4d964a924caf0168080000003008000000f04";
    case("x265 main 10", main10, (1920, 1080), 10, (30, 1), 0, "hvc1.2.4.L120.90");
    let scaling = "42010121600000030090000003000003007ba00a480b9c9596566924e5780b4040000003004000000303c2";
    case("x265 scaling lists, high tier", scaling, (322, 182), 8, (15, 1), 2, "hvc1.1.6.H123.90");
}

#[test]
fn video_parameter_sets() {
    assert_eq!(parse_vps(&hex("40010c01ffff01600000030090000003000003003c959809")), Ok(Vps { id: 0, fps: None }));
    assert_eq!(parse_vps(&[0x40, 1]), Err(Malformed::Not("H.265 VPS")));
    assert_eq!(parse_vps(&[0x40, 1, 0x0c]), Ok(Vps { id: 0, fps: None }));
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    let whole = hex("42010121600000030090000003000003007ba00a480b9c9596566924e5780b4040000003004000000303c2");
    for end in 0..whole.len() {
        let _ = parse_sps(&whole[..end]);
    }
    for at in 2..whole.len() {
        for value in 0..=255 {
            let mut broken = whole.to_vec();
            broken[at] = value;
            if let Ok(sps) = parse_sps(&broken) {
                assert!((1..=16_888).contains(&sps.width) && (1..=16_888).contains(&sps.height));
                let _ = codec_string(&broken);
            }
        }
    }
}

#[test]
fn hvcc_is_what_ffmpeg_writes() {
    let record = hex(HVCC);
    let hvcc = parse_hvcc(&record).unwrap();
    assert_eq!((hvcc.length_size, hvcc.track.width, hvcc.track.fps, hvcc.track.reorder), (4, 320, Some((25, 1)), Some(2)));
    assert_eq!(build_hvcc(&hvcc.track).unwrap(), record);
    let VideoCodec::H265 { pps, .. } = &hvcc.track.codec else { panic!("H.265") };
    assert_eq!(pps_ids(&pps[0]), Ok((0, 0)));
    for end in 0..record.len() {
        assert!(parse_hvcc(&record[..end]).is_err(), "{end}");
    }
}

#[test]
fn unit_types() {
    use crate::media::nal::Role::*;
    let roles = [1, 16, 19, 21, 22, 32, 33, 34, 35, 38, 39, 40, 48].map(|kind: u8| role(&[kind << 1, 1]));
    assert_eq!(roles, [Slice, KeySlice, KeySlice, KeySlice, Slice, Vps, Sps, Pps, Delimiter, Waste, Sei, Sei, Waste]);
    assert!(is_key(&[0x26, 1]) && !is_key(&[0x02, 1]) && !is_key(&[]));
}
