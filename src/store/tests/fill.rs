//! Figures of a full store. Not run by default: `cargo test --release --lib store::tests::fill -- --ignored --nocapture`.

use super::*;
use crate::model::channel::{Catalog, Item};
use crate::model::id::{StreamId, TenantId};
use crate::model::record;
use std::time::{Duration, Instant};

async fn timed<T>(what: &str, future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let value = future.await;
    let took = start.elapsed();
    println!("{what:<58} {:>9.1} ms", took.as_secs_f64() * 1e3);
    (value, took)
}

fn item(serial: u64) -> Item {
    let (directory, parent_code, info) = (String::new(), String::new(), Default::default());
    Item { gb_id: code(serial), name: format!("channel {serial}"), directory, parent_code, online: true, info }
}

async fn creates(b: &Bench, group: GroupId, at_once: u64, n: u64, first: u64) {
    let start = Instant::now();
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..at_once {
        let store = b.store.clone();
        lanes.spawn(async move {
            for k in 0..n / at_once {
                let draft = device::Draft::new(group, Kind::Ipc, code(first + lane * (n / at_once) + k));
                store.create_device(Scope::Operator, draft).await.unwrap();
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
    println!("CreateDevice, {at_once:>2} at a time: {:.0} a second", n as f64 / start.elapsed().as_secs_f64());
}

/// 100,000 devices, 400,000 channels and streams, 10 million records.
async fn fill(mut b: Bench) {
    let size = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (devices, records) = (size("DEVICES", 100_000), size("RECORDS", 10_000_000));
    let group = b.gb_group(Scope::Operator).await;
    creates(&b, group.id, 1, 1_000, 9_000_000).await;
    creates(&b, group.id, 16, 8_000, 9_100_000).await;
    let start = Instant::now();
    creates(&b, group.id, 64, devices.saturating_sub(9_000) / 64 * 64, 0).await;
    let platform = b.device(group.id, Kind::Platform, 9_999_999).await;
    println!("devices are in after {:.0} s", start.elapsed().as_secs_f64());
    let catalog = |from: u64, to: u64| Catalog { items: (from..to).map(item).collect(), complete: true, ..Catalog::default() };
    let n = devices * 3;
    let (third, two) = (n / 3, n * 2 / 3);
    timed("a catalog of 100,000 channels, all new", b.store.sync_catalog(platform.id, catalog(0, third))).await.0.unwrap();
    timed("the same again", b.store.sync_catalog(platform.id, catalog(0, third))).await.0.unwrap();
    timed("300,000 channels, 200,000 of them new", b.store.sync_catalog(platform.id, catalog(0, n))).await.0.unwrap();
    let ids = b.store.devices_after(None, devices as u32).await.unwrap();
    let on = |d: &Device| device::Change { id: d.id, status: device::Status::On, at: Time(1), registration: None };
    timed("100,000 devices come on, in one batch", b.store.set_device_states(ids.iter().map(on).collect())).await.0.unwrap();
    let streams = b.streams(Scope::Operator, stream::Filter::default()).await.items;
    let live = streams.iter().map(|s| stream::Change { id: s.id, status: stream::Status::On, at: Time(5) }).collect();
    b.store.set_stream_states(live).await.unwrap();
    timed("restart", b.reopen()).await;

    let last = |total: u64| Page::new((total / 100).max(1) as u32, 100);
    let scope = Scope::Operator;
    for (what, filter) in [
        ("DescribeDevices of the group", device::Filter { group: Some(group.id), ..Default::default() }),
        ("… that are on", device::Filter { group: Some(group.id), status: Some(device::Status::On), ..Default::default() }),
    ] {
        for (field, page) in [
            ("", Page::new(1, 100)),
            ("", last(devices / 2)),
            ("", last(devices)),
            ("name", last(devices / 2)),
            ("status", last(devices / 2)),
            ("vendor", Page::new(1, 100)),
        ] {
            let name = format!("{what}, by {field:?}, page {}", page.num());
            timed(&name, b.store.devices(scope, filter.clone(), &by(field, false), page)).await.0.unwrap();
        }
    }
    let total = devices * 4;
    let all = stream::Filter::default;
    let of = || stream::Filter { group: Some(group.id), ..all() };
    for (what, filter) in [
        ("DescribeStreams, all", all()),
        ("… of the group", of()),
        ("… of the group, off", stream::Filter { status: Some(stream::Status::Off), ..of() }),
        ("… on", stream::Filter { status: Some(stream::Status::On), ..all() }),
        ("… of a platform", stream::Filter { device: Some(platform.id), ..all() }),
        ("… of a name", stream::Filter { name: Some(code(77).to_string()), ..all() }),
        ("… of the group and an app", stream::Filter { app: Some("live".to_owned()), ..of() }),
        ("… of the group in a time", stream::Filter { from: Some(Time(1)), to: Some(Time(9)), ..of() }),
    ] {
        for page in [Page::new(1, 100), last(total / 2), last(total)] {
            timed(&format!("{what}, page {}", page.num()), b.store.streams(scope, filter.clone(), &Sort::default(), page)).await.0.unwrap();
        }
    }
    timed("DescribeDeviceChannels, first page", b.store.channels(scope, platform.id, Default::default(), Page::default())).await.0.unwrap();
    let name = crate::model::channel::Filter { name: Some("channel 29999".to_owned()), ..Default::default() };
    timed("… named so", b.store.channels(scope, platform.id, name, Page::default())).await.0.unwrap();
    timed("IncludeStats of the group", b.store.group_stats(&[group.id])).await.0.unwrap();
    let start = Instant::now();
    for n in 0..2_000 {
        b.store.stream(scope, streams[n % streams.len()].id).await.unwrap();
    }
    println!("DescribeStream: {:.0} µs", start.elapsed().as_secs_f64() * 1e6 / 2e3);

    fill_records(&b, two.min(1), records).await;
}

async fn fill_records(b: &Bench, _: u64, records: u64) {
    let (owner, busy) = (TenantId(1), records / 2);
    let draft = |stream: i64, n: i64| record::Draft {
        stream: StreamId(stream),
        group: GroupId(1),
        owner,
        template: None,
        recording: None,
        kind: record::Kind::Record,
        format: Some(record::Format::Mp4),
        place: record::Place { endpoint: String::new(), bucket: String::new(), object: format!("record/live/{stream}/{n}.mp4") },
        start: Time(n * 60_000),
        end: Time((n + 1) * 60_000),
        duration_ms: 60_000,
        width: 1920,
        height: 1080,
        size: 7_500_000,
        expires: Some(Time(n * 60_000 + 604_800_000)),
    };
    let start = Instant::now();
    // Half of them are of one stream.
    for from in (0..records).step_by(5_000) {
        let stream = |n: u64| if n < busy { 1 } else { 2 + (n % 1_000) as i64 };
        b.store.add_records((from..(from + 5_000).min(records)).map(|n| draft(stream(n), n as i64)).collect()).await.unwrap();
    }
    println!("{records} records: {:.0} a second", records as f64 / start.elapsed().as_secs_f64());
    let ends = records as i64 * 60_000;
    for (what, from, to) in
        [("all", 0, ends), ("a day", ends / 4, ends / 4 + 86_400_000), ("a year", ends / 8 + 77, ends / 8 + 365 * 86_400_000)]
    {
        let filter = record::Filter { stream: StreamId(1), kind: record::Kind::Record, from: Time(from), to: Time(to) };
        let total = b.store.records(Scope::Operator, filter, Page::default()).await.unwrap().total;
        for page in [Page::new(1, 100), Page::new((total / 200).max(1) as u32, 100), Page::new((total / 100).max(1) as u32, 100)] {
            let name = format!("DescribeRecords, {what} ({total}), page {}", page.num());
            timed(&name, b.store.records(Scope::Operator, filter, page)).await.0.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures"]
async fn sqlite() {
    fill(Bench::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures"]
async fn postgres() {
    if let Some(b) = Bench::postgres().await {
        fill(b).await;
    }
}
