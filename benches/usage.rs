//! The ledger at size: a year of 10,000 streams read by statistics and charging, and what writing costs a minute.
//!
//!     cargo bench --bench usage
//!
//! The year is made by SQL, as minutes would have rolled it up; queries go through the store as the API's actions do.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir::base::id::{SessionId, StreamKey};
use weir::media::frame::Kind;
use weir::media::time::Timestamp;
use weir::media::track::{Track, VideoCodec, VideoTrack};
use weir::model::group::{Draft, InProtocol};
use weir::model::id::{GroupId, StreamId};
use weir::model::tenant::{OPERATOR, Scope};
use weir::model::time::Time;
use weir::runtime::clock::Clock;
use weir::runtime::task::Tasks;
use weir::store::{Settings, Store, TotalOf, UsageFilter};
use weir::stream::{Raw, Registry, Source};
use weir::worker::ledger::{self, Sources};

/// 2025-01-01T00:00:00Z.
const YEAR: i64 = 1_735_689_600;
const DAY: i64 = 86_400;
const STREAMS: usize = 10_000;

const TOTALS: &str = "INSERT INTO usage_totals WITH RECURSIVE slot(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM slot WHERE n + 1 < 31536000 / SPAN) \
     SELECT SPAN, (1735689600 + n * SPAN) * 1000, 1, GROUPS, '', 0, n % 1000000, n, 25, 50, 60000, 0, 0, 0, n % 3, n % 977, n % 991, \
     n % 100, (1735689600 + n * SPAN) * 1000, n % 1000, (1735689600 + n * SPAN) * 1000, n % 10, (1735689600 + n * SPAN) * 1000, n % 50, \
     (1735689600 + n * SPAN) * 1000 FROM slot";
const STREAM_DAYS: &str = "INSERT INTO usage_spans WITH RECURSIVE stream(s) AS (SELECT 1 UNION ALL SELECT s + 1 FROM stream WHERE s < 10000), \
     day(d) AS (SELECT 0 UNION ALL SELECT d + 1 FROM day WHERE d < 364) \
     SELECT 86400, (1735689600 + d * 86400) * 1000, s, s % 10 + 10, 1, 0, s, d, 25, 50, 86400000, 3, 0, 0, 0, 0 FROM day, stream";
const STREAM_FIVES: &str = "INSERT INTO usage_spans WITH RECURSIVE stream(s) AS (SELECT 1 UNION ALL SELECT s + 1 FROM stream WHERE s < 10000), \
     five(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM five WHERE n < 71) \
     SELECT 300, (1735689600 + n * 300) * 1000, s, s % 10 + 10, 1, 0, s, n, 7500, 15000, 300000, 3, 0, 0, 0, 0 FROM five, stream";

struct Year {
    runtime: tokio::runtime::Runtime,
    store: Store,
    _dir: tempfile::TempDir,
}

/// A store with a year of a tenant with ten groups of a thousand streams.
fn year() -> Year {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    let store = runtime.block_on(async {
        let clock = Clock::manual(Timestamp::from_millis((YEAR + 365 * DAY) * 1000));
        let store = Store::open(&Settings::default(), dir.path(), clock.clone()).await.expect("a store");
        store.close().await;
        drop(store);
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.path().join("weir.db"));
        let pool = sqlx::SqlitePool::connect_with(options).await.expect("the database");
        for group in std::iter::once(0).chain(10..20) {
            for span in [300, 3600, 86_400] {
                let text = TOTALS.replace("SPAN", &span.to_string()).replace("GROUPS", &group.to_string());
                sqlx::query(sqlx::AssertSqlSafe(text)).execute(&pool).await.expect("totals");
            }
        }
        for text in [STREAM_DAYS, STREAM_FIVES] {
            sqlx::query(text).execute(&pool).await.expect("streams");
        }
        pool.close().await;
        Store::open(&Settings::default(), dir.path(), clock).await.expect("a store")
    });
    Year { runtime, store, _dir: dir }
}

fn queries(c: &mut Criterion) {
    let Year { runtime, store, _dir } = year();
    let at = |day: i64| Time::from_secs(YEAR + day * DAY);
    let mut group = c.benchmark_group("a year of 10,000 streams");
    group.sample_size(20).measurement_time(Duration::from_secs(4));
    group.bench_function("charging: a tenant's year", |b| {
        b.iter(|| black_box(runtime.block_on(store.total(TotalOf::Tenant(OPERATOR), 86_400, at(0), at(365))).expect("a total")))
    });
    group.bench_function("statistics: a group's 90 days, hour by hour", |b| {
        b.iter(|| black_box(runtime.block_on(store.totals(TotalOf::Group(GroupId(12), OPERATOR), 3600, at(100), at(190))).expect("totals")))
    });
    group.bench_function("peaks: a group's 90 days, every five minutes", |b| {
        b.iter(|| black_box(runtime.block_on(store.totals(TotalOf::Group(GroupId(12), OPERATOR), 300, at(100), at(190))).expect("totals")))
    });
    group.bench_function("peaks: a tenant's whole year, every five minutes", |b| {
        b.iter(|| black_box(runtime.block_on(store.total(TotalOf::Tenant(OPERATOR), 300, at(0), at(365))).expect("a total")))
    });
    group.bench_function("rates: a stream's six hours", |b| {
        let filter = UsageFilter { group: None, stream: Some(StreamId(77)), from: at(0), to: Time::from_secs(YEAR + 6 * 3600) };
        b.iter(|| black_box(runtime.block_on(store.usage_series(Scope::Operator, 300, filter)).expect("rows")))
    });
    group.finish();
    runtime.block_on(store.close());
}

/// Nobody plays.
struct Silence;

impl Sources for Silence {
    fn sent(&self) -> Vec<(StreamKey, &'static str, u64)> {
        Vec::new()
    }
    fn recorded(&self, _: &mut dyn FnMut(&StreamKey)) {}
}

/// The processor time of this process, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// 10,000 live streams: the ledger's looks and its writing, over minutes of a clock that is moved by hand.
fn writer(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    let (minutes, spent) = runtime.block_on(async {
        let clock = Clock::manual(Timestamp::from_millis(YEAR * 1000));
        let store = Store::open(&Settings::default(), dir.path(), clock.clone()).await.expect("a store");
        store.root_key(None).await.expect("a key");
        let draft = Draft::new("g", InProtocol::Rtmp, "rtmp".parse().expect("a protocol"));
        let group = store.create_group(Scope::Operator, draft).await.expect("a group");
        let names = (0..STREAMS).map(|n| n.to_string()).collect();
        let streams = store.create_streams(Scope::Operator, group.id, names).await.expect("streams");
        let tasks = Tasks::new();
        let registry = Registry::new(weir::stream::Settings::default(), clock.clone(), &tasks);
        let mut publishers: Vec<_> = streams
            .iter()
            .map(|stream| {
                let source = Source { protocol: "rtmp", peer: String::new(), session: SessionId(1) };
                let mut publisher = registry.publish(&stream.key().expect("a key"), source).expect("a publisher");
                let set = |byte: u8| vec![bytes::Bytes::from(vec![byte])];
                let codec = VideoCodec::H264 { sps: set(0x67), pps: set(0x68) };
                publisher.set_track(Track::Video(VideoTrack { codec, width: 320, height: 240, fps: None, reorder: Some(0) }));
                publisher
            })
            .collect();
        let data = bytes::Bytes::from(vec![0; 100]);
        let minutes = 6;
        ledger::start(ledger::Settings::default(), store.clone(), registry.clone(), Arc::new(Silence), &tasks);
        let mut pushing = 0.0;
        let begun = cpu();
        for second in 0..minutes * 60 {
            let before = cpu();
            // Something new every few seconds, so that there is something to count.
            if second % 10 == 0 {
                let at = clock.now();
                for publisher in &mut publishers {
                    publisher.push(Raw { kind: Kind::Video, dts: Some(at), pts: at, key: true, data: data.clone() });
                }
            }
            pushing += cpu() - before;
            clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(if second % 60 == 59 { 3000 } else { 15 })).await;
        }
        let spent = cpu() - begun - pushing;
        tasks.finish(Duration::from_secs(30)).await;
        store.close().await;
        (minutes, spent)
    });
    let share = spent / (minutes as f64 * 60.0) * 100.0;
    println!("ledger: {STREAMS} streams for {minutes} minutes cost {spent:.2} s of processor time: {share:.2} % of a core");
    let _ = (c, Instant::now());
}

criterion_group!(benches, queries, writer);
criterion_main!(benches);
