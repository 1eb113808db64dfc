//! The small parsers on the way of every frame or message: NAL units, parameter sets, times, SIP, MANSCDP.

mod fixture;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir::media::frame::Kind;
use weir::media::nal::{self, Family};
use weir::media::timeline::Sanitizer;
use weir::media::track::VideoCodec;
use weir::media::{h264, h265};
use weir::proto::gb28181::manscdp::Body;
use weir::proto::sip::framer;

fn units(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    let (tracks, frames) = fixture::media("h264_1080_aac.flv");
    let largest = frames.iter().filter(|f| f.kind == Kind::Video).max_by_key(|f| f.data.len()).expect("there is video");
    let mut annex_b = Vec::new();
    nal::put_annex_b(&largest.data, &mut annex_b);
    group.throughput(Throughput::Bytes(annex_b.len() as u64));
    group.bench_function("annex b to canonical", |b| b.iter(|| nal::from_annex_b(Family::H264, black_box(&annex_b))));
    group.bench_function("length-prefixed to canonical", |b| b.iter(|| nal::from_prefixed(Family::H264, black_box(&largest.data), 4)));
    group.finish();

    let mut group = c.benchmark_group("parse");
    let Some(VideoCodec::H264 { sps, .. }) = tracks.video.as_deref().map(|t| &t.codec) else { panic!("H.264") };
    group.bench_function("h264 sps", |b| b.iter(|| h264::parse_sps(black_box(&sps[0]))));
    let (tracks, _) = fixture::media("h265_aac_enhanced.flv");
    let Some(VideoCodec::H265 { sps, .. }) = tracks.video.as_deref().map(|t| &t.codec) else { panic!("H.265") };
    group.bench_function("h265 sps", |b| b.iter(|| h265::parse_sps(black_box(&sps[0]))));
}

fn times(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    let (_, frames) = fixture::media("h264_bframes_aac.flv");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("timestamps", |b| {
        b.iter(|| {
            let mut sanitizer = Sanitizer::default();
            for frame in &frames {
                black_box(sanitizer.fix(frame.kind, Some(frame.dts), frame.pts, frame.dts));
            }
        });
    });
}

fn messages(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    for name in ["10_keepalive", "13_catalog_part1", "60_invite_play_udp"] {
        let data = Bytes::from(fixture::bytes(&format!("sip/messages/{name}.sip")));
        group.throughput(Throughput::Bytes(data.len() as u64));
        group.bench_function(format!("sip/{name}"), |b| b.iter(|| framer::datagram(black_box(&data))));
    }
    let message = framer::datagram(&fixture::bytes("sip/messages/13_catalog_part1.sip").into()).expect("a fixture is whole");
    let Some(weir::proto::sip::Message::Request(request)) = message else { panic!("a request") };
    group.throughput(Throughput::Bytes(request.body.len() as u64));
    group.bench_function("manscdp/13_catalog_part1", |b| b.iter(|| Body::parse(black_box(&request.body))));
}

criterion_group!(benches, units, times, messages);
criterion_main!(benches);
