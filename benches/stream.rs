//! The heart: pushing into a stream, reading it with many cursors, finding it among many.

mod fixture;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use weir::base::id::{SessionId, StreamKey};
use weir::container::flv::{Hevc, mux};
use weir::media::frame::Frame;
use weir::media::time::Timestamp;
use weir::media::track::{Track, Tracks};
use weir::runtime::clock::Clock;
use weir::runtime::task::Tasks;
use weir::stream::{Class, Publisher, Raw, Read, Registry, Settings, Slot, Source, Start};

fn registry() -> Registry {
    Registry::new(Settings::default(), Clock::manual(Timestamp::ZERO), &Tasks::new())
}

fn publish(registry: &Registry, name: &str, tracks: &Tracks) -> Publisher {
    let key = StreamKey::new("live", name).expect("a name");
    let source = Source { protocol: "bench", peer: "here".to_owned(), session: SessionId(1) };
    let mut publisher = registry.publish(&key, source).expect("the name is free");
    if let Some(video) = &tracks.video {
        publisher.set_track(Track::Video((**video).clone()));
    }
    if let Some(audio) = &tracks.audio {
        publisher.set_track(Track::Audio((**audio).clone()));
    }
    publisher
}

fn raw(frame: &Frame) -> Raw {
    Raw { kind: frame.kind, dts: Some(frame.dts), pts: frame.pts, key: frame.key, data: frame.data.clone() }
}

fn ring(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let (tracks, frames) = fixture::media("h264_1080_aac.flv");
    let mut group = c.benchmark_group("stream");
    group.throughput(Throughput::Elements(frames.len() as u64));
    let registry = registry();
    let mut publisher = publish(&registry, "a", &tracks);
    group.bench_function("push", |b| b.iter(|| frames.iter().for_each(|frame| publisher.push(raw(frame)))));
    for readers in [1, 10, 100, 1000] {
        group.throughput(Throughput::Elements(frames.len() as u64 * readers));
        // push, then let every reader take what is new and the shared wire form of it
        group.bench_with_input(BenchmarkId::new("push and read", readers), &readers, |b, readers| {
            let key = publisher.stream().key().clone();
            let subscribe = || registry.subscribe(&key, Class::Viewer, Start::Live).expect("the stream is live");
            let mut seats: Vec<_> = (0..*readers).map(|_| subscribe().into_parts()).collect();
            let mut batch = Vec::new();
            b.iter(|| {
                for frame in &frames {
                    publisher.push(raw(frame));
                    for (seat, cursor) in &mut seats {
                        while seat.stream().read(cursor, &mut batch) == Read::Units {
                            for unit in &batch {
                                black_box(unit.view(Slot::FlvTag, |u| mux::frame_tag(&u.frame, &u.tracks, Hevc::Enhanced)).clone());
                            }
                        }
                    }
                }
            });
        });
    }
}

fn lookup(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let mut group = c.benchmark_group("registry");
    for streams in [1usize, 100, 10_000] {
        let registry = registry();
        let publishers: Vec<_> = (0..streams).map(|n| publish(&registry, &format!("camera{n}"), &Tracks::default())).collect();
        let keys: Vec<StreamKey> = publishers.iter().map(|publisher| publisher.stream().key().clone()).collect();
        let mut at = 0;
        group.bench_with_input(BenchmarkId::new("get", streams), &streams, |b, streams| {
            b.iter(|| {
                at = (at + 1) % streams;
                black_box(registry.get(&keys[at]).map(|stream| Arc::strong_count(&stream)))
            });
        });
    }
}

criterion_group!(benches, ring, lookup);
criterion_main!(benches);
