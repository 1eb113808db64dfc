//! A full store: 100,000 devices, 400,000 channels and streams, 10 million records; what its pages and writes take.
//!
//! `cargo bench --bench store`, on SQLite; and with WEIR_TEST_POSTGRES=postgres://… (an empty database) on PostgreSQL.
//! DEVICES and RECORDS make it smaller. What is beyond its goal is marked.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weir::base::pii::Secret;
use weir::model::channel::{Catalog, Filter as ChannelFilter, Item};
use weir::model::device::{self, Device, Kind};
use weir::model::group::{self, Group, InProtocol};
use weir::model::id::{GbId, GroupId, StreamId, TenantId};
use weir::model::page::{Page, Sort};
use weir::model::tenant::Scope;
use weir::model::time::Time;
use weir::model::{record, stream};
use weir::runtime::clock::Clock;
use weir::store::{Settings, Store};

const STREAM_ORDERS: &[&str] =
    &["", "Name", "App", "Protocol", "GroupId", "DeviceId", "Enabled", "Status", "CreatedTime", "StartTime", "StopTime"];
const DEVICE_ORDERS: &[&str] = &[
    "",
    "Name",
    "Description",
    "GroupId",
    "ParentId",
    "DirectoryId",
    "Type",
    "AutoStart",
    "Enabled",
    "Status",
    "GbId",
    "Ip",
    "Port",
    "Username",
    "Vendor",
    "Longitude",
    "Latitude",
    "AutoPos",
    "PosInterval",
    "AlarmMethod",
    "CreatedTime",
];
const PAGE: Duration = Duration::from_millis(50);
const RECORD_PAGE: Duration = Duration::from_millis(100);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    println!("SQLite");
    runtime.block_on(Bench::open(Settings::default()).run());
    if let Ok(url) = std::env::var("WEIR_TEST_POSTGRES") {
        println!("\nPostgreSQL");
        runtime.block_on(Bench::open(Settings { url: Secret(url), ..Settings::default() }).run());
    }
}

struct Bench {
    settings: Settings,
    folder: tempfile::TempDir,
}

/// Whether the server at this address says that it is ready.
async fn ready(at: std::net::SocketAddr) -> bool {
    let Ok(mut socket) = tokio::net::TcpStream::connect(at).await else { return false };
    let mut answer = String::new();
    let asked = socket.write_all(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").await;
    asked.is_ok() && socket.read_to_string(&mut answer).await.is_ok() && answer.starts_with("HTTP/1.1 200 ")
}

fn size(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(usual)
}

fn code(serial: u64) -> GbId {
    format!("3402000000132{serial:07}").parse().expect("a code")
}

fn item(serial: u64) -> Item {
    let (directory, parent_code, info) = (String::new(), String::new(), Default::default());
    Item { gb_id: code(serial), name: format!("channel {serial}"), directory, parent_code, online: true, info }
}

fn told(what: &str, took: Duration, most: Option<Duration>) {
    let mark = if most.is_some_and(|most| took > most) { "   OVER" } else { "" };
    println!("  {what:<74} {:>9.1} ms{mark}", took.as_secs_f64() * 1e3);
}

async fn timed<T>(what: &str, most: Option<Duration>, future: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let value = future.await;
    told(what, start.elapsed(), most);
    value
}

/// The middle one of five runs.
async fn middle<T>(mut run: impl AsyncFnMut() -> T) -> Duration {
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        run().await;
        times.push(start.elapsed());
    }
    times.sort();
    times[2]
}

impl Bench {
    fn open(settings: Settings) -> Bench {
        Bench { settings, folder: tempfile::tempdir().expect("a folder") }
    }

    async fn store(&self) -> Store {
        Store::open(&self.settings, self.folder.path(), Clock::real()).await.expect("the store opens")
    }

    /// Starts the program on this store, and ends it when it says that it is ready.
    async fn serve(&self) {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
        weir.arg("serve").current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        weir.arg("--set").arg(format!("data_dir={}", self.folder.path().display())).arg("--set").arg(format!("http.listen={port}"));
        weir.arg("--set").arg(format!("store.url={}", self.settings.url.0));
        for listen in ["rtmp.listen", "sip.udp_listen", "sip.tcp_listen", "rtp.listen", "webrtc.listen"] {
            weir.arg("--set").arg(format!("{listen}=127.0.0.1:0"));
        }
        // It is no key of the configuration.
        weir.env_remove("WEIR_TEST_POSTGRES");
        let mut child = weir.spawn().expect("weir starts");
        while !ready(port).await {
            assert!(child.try_wait().expect("a process").is_none(), "weir ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().and_then(|()| child.wait()).expect("to end it");
    }

    async fn run(self) {
        let store = self.store().await;
        let (devices, records) = (size("DEVICES", 100_000), size("RECORDS", 10_000_000));
        let group = fill(&store, devices).await;
        store.close().await;
        drop(store);
        let store = timed("start with that store", Some(Duration::from_secs(3)), self.store()).await;
        let live = timed("… all streams off", None, store.all_streams_off(Time(7))).await.expect("to write");
        println!("  ({live} streams were on)");
        streams(&store, &group).await;
        channels(&store).await;
        device_pages(&store, &group).await;
        fill_records(&store, records).await;
        store.close().await;
        drop(store);
        timed("the whole server, from its start until it is ready", Some(Duration::from_secs(3)), self.serve()).await;
    }
}

async fn creates(store: &Store, group: GroupId, at_once: u64, n: u64, first: u64) {
    let start = Instant::now();
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..at_once {
        let store = store.clone();
        lanes.spawn(async move {
            for k in 0..n / at_once {
                let serial = first + lane * (n / at_once) + k;
                let vendor = ["Hikvision", "Dahua", "Uniview", ""][serial as usize % 4].to_owned();
                let draft = device::Draft {
                    name: format!("camera {}", serial * 7919 % 1_000_003),
                    vendor,
                    ip: format!("10.{}.{}.{}", serial % 7, serial % 251, serial % 241),
                    ..device::Draft::new(group, Kind::Ipc, code(serial))
                };
                store.create_device(Scope::Operator, draft).await.expect("a device");
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.expect("a lane");
    }
    let rate = n as f64 / start.elapsed().as_secs_f64();
    let mark = if at_once >= 16 && rate < 500.0 { "   UNDER" } else { "" };
    println!("  CreateDevice, {at_once:>2} callers at a time: {rate:.0} a second{mark}");
}

async fn fill(store: &Store, devices: u64) -> Group {
    let draft = |name: &str| group::Draft::new(name, InProtocol::Gb28181, "flv,hls".parse().expect("ways"));
    let group = store.create_group(Scope::Operator, draft("large")).await.expect("a group");
    let few = store.create_group(Scope::Operator, draft("small")).await.expect("a group");
    let (alone, together) = (devices / 100, devices / 10);
    creates(store, group.id, 1, alone, 9_000_000).await;
    creates(store, group.id, 16, together, 9_100_000).await;
    creates(store, few.id, 16, 160, 9_500_000).await;
    creates(store, group.id, 64, (devices - alone - together) / 64 * 64, 0).await;
    let platform =
        store.create_device(Scope::Operator, device::Draft::new(group.id, Kind::Platform, code(9_999_999))).await.expect("a platform");
    let catalog = |to: u64| Catalog { items: (0..to).map(item).collect(), complete: true, ..Catalog::default() };
    let ten = Some(Duration::from_secs(10));
    timed(&format!("a catalog of {devices} channels, all new"), ten, store.sync_catalog(platform.id, catalog(devices)))
        .await
        .expect("stored");
    timed("the same again", ten, store.sync_catalog(platform.id, catalog(devices))).await.expect("stored");
    let three = format!("a catalog of {} channels, {} of them new", devices * 3, devices * 2);
    timed(&three, None, store.sync_catalog(platform.id, catalog(devices * 3))).await.expect("stored");
    let all = store.devices_after(None, devices as u32).await.expect("devices");
    let change = |d: &Device, status| device::Change { id: d.id, status, at: Time(1), registration: None };
    let on: Vec<_> = all.iter().enumerate().filter(|(n, _)| n % 3 > 0).map(|(_, d)| change(d, device::Status::On)).collect();
    timed(&format!("{} devices come on, in one batch", on.len()), None, store.set_device_states(on)).await.expect("stored");
    let (mut after, mut live) = (0, Vec::new());
    for page in 1.. {
        let rows =
            store.streams(Scope::Operator, stream::Filter::default(), &Sort::default(), Page::new(page * 10, 100)).await.expect("streams");
        if rows.items.is_empty() {
            break;
        }
        after += 1;
        live.extend(rows.items.iter().map(|v| stream::Change { id: v.stream.id, status: stream::Status::On, at: Time(5 + after) }));
    }
    timed(&format!("{} streams come on, in one batch", live.len()), None, store.set_stream_states(live.clone())).await.expect("stored");
    let off = live.iter().step_by(2).map(|c| stream::Change { status: stream::Status::Off, at: Time(c.at.0 + 1000), ..*c }).collect();
    store.set_stream_states(off).await.expect("stored");
    group
}

/// The slowest of all orders, first, middle and last page, upwards and downwards.
async fn slowest(what: &str, orders: &[&str], total: u64, mut page: impl AsyncFnMut(&Sort, Page)) {
    let last = total.div_ceil(100).max(1) as u32;
    let mut worst = (Duration::ZERO, String::new());
    for by in orders {
        for (num, descending) in [(1, false), (last.div_ceil(2), false), (last.div_ceil(2), true), (last, false)] {
            let sort = Sort { by: Some((*by).to_owned()).filter(|by| !by.is_empty()), descending };
            let took = middle(async || page(&sort, Page::new(num, 100)).await).await;
            if took > worst.0 {
                worst = (took, format!("by {}, page {num}", if by.is_empty() { "Id" } else { by }));
            }
        }
    }
    told(&format!("{what} ({total}): slowest {}", worst.1), worst.0, Some(PAGE));
}

async fn streams(store: &Store, group: &Group) {
    let all = stream::Filter::default;
    let of = || stream::Filter { group: Some(group.id), ..all() };
    let platform = platform(store).await;
    let (on, off) = (Some(stream::Status::On), Some(stream::Status::Off));
    let owner = Scope::Tenant(group.owner);
    for (what, scope, filter) in [
        ("DescribeStreams, all", Scope::Operator, all()),
        ("… of a tenant", owner, all()),
        ("… of the group", owner, of()),
        ("… of the group, on", owner, stream::Filter { status: on, ..of() }),
        ("… of the group, off", owner, stream::Filter { status: off, ..of() }),
        ("… on", Scope::Operator, stream::Filter { status: on, ..all() }),
        ("… of a tenant, off", owner, stream::Filter { status: off, ..all() }),
        ("… of a platform", owner, stream::Filter { device: Some(platform.id), ..all() }),
        ("… of a platform, off", owner, stream::Filter { device: Some(platform.id), status: off, ..all() }),
        ("… of a name", owner, stream::Filter { name: Some(code(77).to_string()), ..all() }),
        ("… of an application", owner, stream::Filter { app: Some("live".to_owned()), ..all() }),
        ("… of the group and an application", owner, stream::Filter { app: Some("live".to_owned()), ..of() }),
        ("… of the group, in a time", owner, stream::Filter { from: Some(Time(1)), to: Some(Time(9_999)), ..of() }),
        ("… in a time", Scope::Operator, stream::Filter { from: Some(Time(500)), to: Some(Time(700)), ..all() }),
    ] {
        let total = store.streams(scope, filter.clone(), &Sort::default(), Page::default()).await.expect("streams").total;
        let page = async |sort: &Sort, page| drop(store.streams(scope, filter.clone(), sort, page).await.expect("streams"));
        slowest(what, STREAM_ORDERS, total, page).await;
    }
    let rows = store.streams(Scope::Operator, all(), &Sort::default(), Page::new(1, 100)).await.expect("streams").items;
    let start = Instant::now();
    for n in 0..5_000 {
        store.stream_view(Scope::Operator, rows[n % rows.len()].stream.id).await.expect("a stream");
    }
    told("DescribeStream", start.elapsed() / 5_000, None);
    told("IncludeStats of the group", middle(async || store.group_stats(&[group.id]).await.expect("stats")).await, Some(PAGE));
    told("IncludeStats of the platform", middle(async || store.device_stats(&[platform.id]).await.expect("stats")).await, Some(PAGE));
}

async fn platform(store: &Store) -> Device {
    let filter = device::Filter { kind: Some(Kind::Platform), ..Default::default() };
    store.devices(Scope::Operator, filter, &Sort::default(), Page::default()).await.expect("devices").items.remove(0)
}

async fn channels(store: &Store) {
    let platform = platform(store).await;
    let all = ChannelFilter::default;
    for (what, filter) in [
        ("DescribeDeviceChannels of the platform", all()),
        ("… online", ChannelFilter { online: Some(true), ..all() }),
        ("… whose stream is off", ChannelFilter { status: Some(stream::Status::Off), ..all() }),
        ("… whose stream is on", ChannelFilter { status: Some(stream::Status::On), ..all() }),
        ("… named so (few)", ChannelFilter { name: Some("CHANNEL 29999".to_owned()), ..all() }),
        ("… named so (many)", ChannelFilter { name: Some("channel 1".to_owned()), ..all() }),
        ("… named so, whose stream is off", ChannelFilter { name: Some("29999".to_owned()), status: Some(stream::Status::Off), ..all() }),
    ] {
        let total = store.channels(Scope::Operator, platform.id, filter.clone(), Page::default()).await.expect("channels").total;
        let page = async |_: &Sort, page| drop(store.channels(Scope::Operator, platform.id, filter.clone(), page).await.expect("channels"));
        slowest(what, &[""], total, page).await;
    }
}

async fn device_pages(store: &Store, group: &Group) {
    let all = device::Filter::default;
    let of = || device::Filter { group: Some(group.id), ..all() };
    let owner = Scope::Tenant(group.owner);
    for (what, scope, filter) in [
        ("DescribeDevices, all", Scope::Operator, all()),
        ("… of a tenant", owner, all()),
        ("… of the group", owner, of()),
        ("… of the group, on", owner, device::Filter { status: Some(device::Status::On), ..of() }),
        ("… new", Scope::Operator, device::Filter { status: Some(device::Status::New), ..all() }),
        ("… of the group, of a type", owner, device::Filter { kind: Some(Kind::Ipc), ..of() }),
        ("… of a code", owner, device::Filter { gb_id: Some(code(77)), ..all() }),
        ("… of a name", owner, device::Filter { name: Some("camera 7919".to_owned()), ..of() }),
    ] {
        let total = store.devices(scope, filter.clone(), &Sort::default(), Page::default()).await.expect("devices").total;
        let page = async |sort: &Sort, page| drop(store.devices(scope, filter.clone(), sort, page).await.expect("devices"));
        slowest(what, DEVICE_ORDERS, total, page).await;
    }
}

async fn fill_records(store: &Store, records: u64) {
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
        let some = (from..(from + 5_000).min(records)).map(|n| draft(stream(n), n as i64)).collect();
        store.add_records(some).await.expect("stored");
    }
    println!("  {records} records: {:.0} a second", records as f64 / start.elapsed().as_secs_f64());
    let ends = records as i64 * 60_000;
    let day = 86_400_000;
    for (what, from, to) in [("all", 0, ends), ("a day", ends / 4, ends / 4 + day), ("a year", ends / 8 + 77, ends / 8 + 365 * day)] {
        let filter = record::Filter { stream: StreamId(1), kind: record::Kind::Record, from: Time(from), to: Time(to) };
        let total = store.records(Scope::Operator, filter, Page::default()).await.expect("records").total;
        for page in [1, (total / 200).max(1) as u32, total.div_ceil(100).max(1) as u32] {
            let took = middle(async || store.records(Scope::Operator, filter, Page::new(page, 100)).await.expect("records")).await;
            told(&format!("DescribeRecords, {what} ({total}), page {page}"), took, Some(RECORD_PAGE));
        }
    }
}
