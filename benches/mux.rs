//! Frames in, bytes out: FLV tags, RTMP chunks, transport and program streams. Each runs once for a stream, whatever the number of players.

mod fixture;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir::container::flv::{Hevc, mux};
use weir::container::{ps, ts};
use weir::proto::rtmp;

fn all(c: &mut Criterion) {
    let (tracks, frames) = fixture::media("h264_1080_aac.flv");
    let bytes: usize = frames.iter().map(|frame| frame.data.len()).sum();
    let mut group = c.benchmark_group("mux");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("flv tags", |b| {
        b.iter(|| {
            for frame in &frames {
                black_box(mux::frame_tag(frame, &tracks, Hevc::Enhanced));
            }
        });
    });
    group.bench_function("rtmp chunks", |b| {
        b.iter(|| {
            for frame in &frames {
                let head = mux::head(frame, &tracks, Hevc::Enhanced).expect("the track is known");
                black_box(rtmp::wire(mux::kind_of(frame.kind), mux::time_of(frame), [&head, &frame.data]));
            }
        });
    });
    group.bench_function("ts", |b| {
        let carried = ts::carried(&tracks);
        b.iter(|| {
            let (mut muxer, mut out) = (ts::Muxer::new(), BytesMut::with_capacity(bytes * 2));
            muxer.tables(&carried, &mut out);
            for frame in &frames {
                muxer.frame(frame, &carried, &mut out);
            }
            muxer.flush(&mut out);
            black_box(out)
        });
    });
    group.bench_function("ps", |b| {
        b.iter(|| {
            let (mut muxer, mut out) = (ps::Muxer::new(ps::Style::default()), Vec::with_capacity(bytes * 2));
            for frame in &frames {
                muxer.put(frame, &tracks, &mut out);
            }
            black_box(out)
        });
    });
}

criterion_group!(benches, all);
criterion_main!(benches);
