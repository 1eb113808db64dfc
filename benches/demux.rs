//! Bytes in, frames out: FLV, RTMP chunks, program streams in RTP over TCP.

mod fixture;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir::container::flv::{Hevc, mux};
use weir::container::ps;
use weir::proto::rtmp::chunk::{self, Head, Limits};
use weir::proto::rtp::{Framer, Packet, Receiver, Step, Window};

fn flv(c: &mut Criterion) {
    let mut group = c.benchmark_group("demux");
    for name in ["h264_1080_aac.flv", "h265_bframes_aac_enhanced.flv"] {
        let data = fixture::bytes(&format!("media/{name}"));
        group.throughput(Throughput::Bytes(data.len() as u64));
        group.bench_function(format!("flv/{name}"), |b| b.iter(|| fixture::flv(&data, |item| drop(black_box(item)))));
    }
}

fn rtmp(c: &mut Criterion) {
    let mut group = c.benchmark_group("demux");
    let (tracks, frames) = fixture::media("h264_1080_aac.flv");
    let limits = Limits { message: 1 << 20, streams: 16, partial: 4 << 20 };
    for size in [128, 4096, 60_000] {
        let mut data = BytesMut::new();
        for frame in &frames {
            let body = mux::head(frame, &tracks, Hevc::Enhanced).expect("the track is known");
            let head = Head { kind: mux::kind_of(frame.kind), timestamp: mux::time_of(frame), stream: 1 };
            chunk::write(&mut data, size, 6, head, [&body, &frame.data]);
        }
        group.throughput(Throughput::Bytes(data.len() as u64));
        group.bench_function(format!("rtmp/chunks of {size}"), |b| {
            b.iter(|| {
                let mut reader = chunk::Reader::new(limits);
                let announced = chunk::whole(128, 2, Head { kind: 1, timestamp: 0, stream: 0 }, &(size as u32).to_be_bytes());
                let mut read = reader.read(&mut &announced[..]);
                let mut rest = &data[..];
                while let Some(message) = read.expect("our own chunks") {
                    black_box(&message);
                    read = reader.read(&mut rest);
                }
                while let Some(message) = reader.read(&mut rest).expect("our own chunks") {
                    black_box(message);
                }
                assert!(rest.is_empty());
            });
        });
    }
}

fn gb28181(c: &mut Criterion) {
    let mut group = c.benchmark_group("demux");
    let data = fixture::bytes("rtp/srsbench_ps_h264_aac.rtp4571");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("rtp and ps", |b| {
        b.iter(|| {
            let (mut framer, mut receiver) = (Framer::default(), Receiver::new(90_000, Window::ORDERED));
            let mut demuxer = ps::Demuxer::new(ps::Options::default());
            let (mut rest, mut frames) = (&data[..], 0);
            loop {
                let (consumed, bytes) = match framer.next(rest).expect("a fixture is whole") {
                    Step::Packet { packet, consumed } => (consumed, Some(packet)),
                    Step::Skip(n) => (n, None),
                    Step::More => break,
                };
                rest = &rest[consumed..];
                let Some(packet) = bytes.and_then(|bytes| Packet::parse(bytes).ok()) else { continue };
                let Some(a) = receiver.handle(Default::default(), &packet) else { continue };
                demuxer.push(ps::Input { payload: a.payload, timestamp: Some(a.timestamp), marker: a.marker, lost: a.lost > 0 });
                while let Some(item) = demuxer.pull() {
                    frames += usize::from(matches!(black_box(item), ps::Item::Frame(_)));
                }
            }
            assert!(frames > 100);
        });
    });
}

criterion_group!(benches, flv, rtmp, gb28181);
criterion_main!(benches);
