//! Usage in manual time, against numbers computed by hand.

use super::*;
use crate::base::id::SessionId;
use crate::base::units::Span;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track, VideoCodec, VideoTrack};
use crate::model::group::{Draft, InProtocol};
use crate::model::id::GroupId;
use crate::model::record;
use crate::model::stream::Stream;
use crate::model::tenant::OPERATOR;
use crate::model::usage::{Peak, Peaks};
use crate::store::TotalOf;
use crate::stream::{Class, Derived, Publisher, Raw, Source, Start};
use bytes::Bytes;
use std::sync::{Mutex, PoisonError};

/// A time at which five minutes begin, in seconds.
const BEGIN: i64 = 1_700_000_100;

#[derive(Default)]
struct Players(Mutex<Vec<(StreamKey, u64)>>, Mutex<Vec<StreamKey>>);

impl Players {
    fn took(&self, key: &StreamKey, bytes: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((key.clone(), bytes));
    }
}

impl Sources for Players {
    fn sent(&self) -> Vec<(StreamKey, &'static str, u64)> {
        let sent = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        sent.into_iter().map(|(key, bytes)| (key, "rtmp", bytes)).collect()
    }

    fn recorded(&self, each: &mut dyn FnMut(&StreamKey)) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(each);
    }
}

struct Rig {
    clock: Clock,
    store: Store,
    tasks: Tasks,
    registry: Registry,
    players: Arc<Players>,
    stream: Stream,
    key: StreamKey,
    _dir: tempfile::TempDir,
}

async fn rig() -> Rig {
    let clock = Clock::manual(Timestamp::from_millis(BEGIN * 1000));
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&crate::store::Settings::default(), dir.path(), clock.clone()).await.unwrap();
    store.root_key(None).await.unwrap();
    let draft = Draft::new("g", InProtocol::Rtmp, "rtmp,flv,hls".parse().unwrap());
    let group = store.create_group(Scope::Operator, draft).await.unwrap();
    let stream = store.create_streams(Scope::Operator, group.id, vec!["cam".to_owned()]).await.unwrap().remove(0);
    let (tasks, key) = (Tasks::new(), stream.key().unwrap());
    let registry = registry(&clock, &tasks);
    Rig { clock, store, tasks, registry, players: Arc::default(), stream, key, _dir: dir }
}

/// Streams that end with their publishers.
fn registry(clock: &Clock, tasks: &Tasks) -> Registry {
    let settings = crate::stream::Settings { grace: Span::millis(0), ..crate::stream::Settings::default() };
    Registry::new(settings, clock.clone(), tasks)
}

impl Rig {
    fn ledger(&self) -> Ledger {
        Ledger::new(Settings::default(), self.store.clone(), self.registry.clone(), self.players.clone())
    }

    fn publish(&self, key: &StreamKey) -> Publisher {
        let source = Source { protocol: "test", peer: "here".to_owned(), session: SessionId(1) };
        let mut publisher = self.registry.publish(key, source).unwrap();
        let set = |byte: u8| vec![Bytes::from(vec![byte])];
        let codec = VideoCodec::H264 { sps: set(0x67), pps: set(0x68) };
        publisher.set_track(Track::Video(VideoTrack { codec, width: 320, height: 240, fps: None, reorder: Some(0) }));
        publisher.set_track(Track::Audio(AudioTrack { codec: AudioCodec::G711A, sample_rate: 8000, channels: 1 }));
        publisher
    }

    /// So many seconds; in each a key frame of 100 bytes and 20 bytes of sound from every publisher.
    async fn run(&self, ledger: &mut Ledger, seconds: i64, publishers: &mut [&mut Publisher]) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            for publisher in publishers.iter_mut() {
                push(publisher, self.clock.now());
            }
            ledger.tick().await;
        }
    }

    async fn rows(&self, span: i64) -> Vec<Usage> {
        let (from, to) = (Time::from_secs(BEGIN - 2 * DAY), Time::from_secs(BEGIN + 2 * DAY));
        self.store.usage(Scope::Operator, span, UsageFilter { group: None, stream: None, from, to }).await.unwrap()
    }

    /// The tenant's own totals, which are those of its one group.
    async fn totals(&self, span: i64) -> Vec<Total> {
        let (from, to) = (Time::from_secs(BEGIN - 2 * DAY), Time::from_secs(BEGIN + 2 * DAY));
        let of_group = TotalOf::Group(self.stream.group, self.stream.owner);
        let group = self.store.totals(of_group, span, from, to).await.unwrap();
        let tenant = self.store.totals(TotalOf::Tenant(self.stream.owner), span, from, to).await.unwrap();
        let without = |totals: &[Total]| totals.iter().map(|t| Total { group: None, ..t.clone() }).collect::<Vec<_>>();
        assert_eq!(without(&group), tenant);
        tenant
    }

    fn usage(&self, at: i64, sums: Sums) -> Usage {
        let Stream { owner, group, id, .. } = self.stream;
        Usage { at: Time::from_secs(at), owner, group, stream: id, sums }
    }
}

fn push(publisher: &mut Publisher, at: Timestamp) {
    for (kind, size) in [(Kind::Video, 100), (Kind::Audio, 20)] {
        publisher.push(Raw { kind, dts: Some(at), pts: at, key: true, data: Bytes::from(vec![0; size]) });
    }
}

#[tokio::test]
async fn minutes_hold_what_was_used_also_across_a_restart() {
    let mut rig = rig().await;
    let mut ledger = rig.ledger();
    let nobodys = StreamKey::parse("live/nobodys").unwrap();
    let aac = Derived::Aac.of(&rig.key).unwrap();

    // The first minute: 10 s of nothing, then 50 s of 120 bytes each.
    rig.run(&mut ledger, 10, &mut []).await;
    let (mut camera, mut other, mut derived) = (rig.publish(&rig.key), rig.publish(&nobodys), rig.publish(&aac));
    rig.run(&mut ledger, 20, &mut [&mut camera, &mut other, &mut derived]).await;
    let seats = [&rig.key, &rig.key, &aac].map(|key| rig.registry.subscribe(key, Class::Viewer, Start::Live).unwrap());
    rig.run(&mut ledger, 5, &mut [&mut camera, &mut other, &mut derived]).await;
    drop(seats);
    rig.players.took(&rig.key, 1000);
    rig.players.took(&aac, 200);
    rig.players.took(&rig.key, 34);
    rig.players.took(&nobodys, 5);
    assert!(rig.rows(MINUTE).await.is_empty(), "the minute runs");
    rig.run(&mut ledger, 25, &mut [&mut camera, &mut other, &mut derived]).await;
    let first =
        Sums { bytes_in: 50 * 120, bytes_out: 1234, video_frames: 50, audio_frames: 50, live_ms: 50_000, viewers: 3, ..Sums::default() };
    assert_eq!(rig.rows(MINUTE).await, [rig.usage(BEGIN, first)]);
    assert!(rig.rows(300).await.is_empty(), "the five minutes run");
    // Totals do not wait.
    for span in SPANS {
        let totals = rig.totals(span).await;
        assert_eq!(totals.len(), 1, "{span}");
        assert_eq!(totals[0].sums, Sums { viewers: 0, ..first }, "{span}");
        let peak = |most| Peak { most, at: Time::from_secs(BEGIN) };
        let peaks = Peaks { streams: peak(1), viewers: peak(3), recordings: peak(0), devices: peak(0) };
        assert_eq!(totals[0].peaks, peaks, "{span}");
    }

    // The second: 30 s, then the server stops; what came since the last look is written with it.
    rig.run(&mut ledger, 30, &mut [&mut camera, &mut other, &mut derived]).await;
    push(&mut camera, rig.clock.now());
    rig.players.took(&rig.key, 60);
    drop((camera, other, derived));
    rig.tasks.stop();
    ledger.run(rig.tasks.stopping()).await;
    let before = Sums { bytes_in: 31 * 120, bytes_out: 60, video_frames: 31, audio_frames: 31, live_ms: 30_000, ..Sums::default() };
    assert_eq!(rig.rows(MINUTE).await, [rig.usage(BEGIN, first), rig.usage(BEGIN + 60, before)]);

    // It is back after 5 s, still in that minute.
    rig.clock.advance(Duration::from_secs(5));
    rig.tasks = Tasks::new();
    rig.registry = registry(&rig.clock, &rig.tasks);
    let mut ledger = rig.ledger();
    let mut camera = rig.publish(&rig.key);
    rig.players.took(&rig.key, 6);
    rig.run(&mut ledger, 25, &mut [&mut camera]).await;
    let second = Sums { bytes_in: 56 * 120, bytes_out: 66, video_frames: 56, audio_frames: 56, live_ms: 55_000, ..Sums::default() };
    assert_eq!(rig.rows(MINUTE).await, [rig.usage(BEGIN, first), rig.usage(BEGIN + 60, second)]);

    // The longer spans follow when the five minutes are over.
    rig.run(&mut ledger, 180, &mut []).await;
    let third = Sums { live_ms: 60_000, ..Sums::default() };
    let mut all = first;
    [second, third, third, third].iter().for_each(|sums| all.add(sums));
    assert_eq!((all.bytes_in, all.bytes_out, all.live_ms, all.viewers), (12_720, 1300, 285_000, 3));
    assert_eq!(rig.rows(MINUTE).await.len(), 5);
    assert_eq!(rig.rows(300).await, [rig.usage(BEGIN, all)]);
    for span in &SPANS[1..] {
        let total = rig.totals(*span).await.remove(0);
        assert_eq!(total.sums, Sums { viewers: 0, ..all }, "{span}");
        assert_eq!((total.top_in, total.top_out), (12_720, 1300), "{span}");
    }
}

#[tokio::test]
async fn a_minute_that_is_written_again_counts_once() {
    let rig = rig().await;
    let sums = Sums { bytes_out: 7, snapshots: 1, ..Sums::default() };
    let row = rig.usage(BEGIN, sums);
    rig.store.put_usage(vec![row], Vec::new()).await.unwrap();
    let mut minute = Minute { at: row.at, rows: vec![row], totals: Vec::new(), whole: false };
    for _ in 0..2 {
        // The second time stands for an answer of the store that was lost.
        minute.write(&rig.store, true).await.unwrap();
        let twice = rig.usage(BEGIN, Sums { bytes_out: 14, snapshots: 2, ..Sums::default() });
        assert_eq!(rig.rows(MINUTE).await, [twice]);
        assert_eq!(rig.rows(86_400).await, [Usage { at: row.at.floor(DAY), ..twice }]);
    }
}

#[tokio::test]
async fn the_last_frames_of_a_stream_and_a_deleted_stream_are_billed() {
    let rig = rig().await;
    let mut ledger = rig.ledger();
    let mut camera = rig.publish(&rig.key);
    rig.run(&mut ledger, 3, &mut [&mut camera]).await;
    // Between two looks: more frames, the end, and a newcomer of the same name.
    push(&mut camera, rig.clock.now());
    drop(camera);
    let mut again = rig.publish(&rig.key);
    rig.run(&mut ledger, 2, &mut [&mut again]).await;
    drop(again);
    rig.store.delete_stream(Scope::Operator, rig.stream.id).await.unwrap();
    ledger.moved.insert(rig.stream.id);
    ledger.all_moved = true;
    rig.run(&mut ledger, 55, &mut []).await;
    let sums = Sums { bytes_in: 6 * 120, video_frames: 6, audio_frames: 6, live_ms: 5000, ..Sums::default() };
    assert_eq!(rig.rows(MINUTE).await, [rig.usage(BEGIN, sums)]);
}

#[tokio::test]
async fn old_rows_go_and_an_unfinished_roll_is_made_up_for() {
    let rig = rig().await;
    let sums = Sums { bytes_in: 1, ..Sums::default() };
    // A crash came between this minute and its longer spans.
    let (old, recent) = (rig.usage(BEGIN - 10 * DAY, sums), rig.usage(BEGIN - 3600, sums));
    rig.store.put_usage(vec![old, recent], Vec::new()).await.unwrap();
    let mut ledger = rig.ledger();
    rig.run(&mut ledger, 60, &mut []).await;
    let filter = UsageFilter { group: None, stream: None, from: Time(0), to: Time::from_secs(BEGIN) };
    assert_eq!(rig.store.usage(Scope::Operator, MINUTE, filter).await.unwrap(), [recent]);
    assert_eq!(rig.rows(300).await, [recent]);
    assert_eq!(rig.rows(86_400).await, [Usage { at: recent.at.floor(DAY), ..recent }]);
}

/// Everything that is charged, over minutes of simulated time, against numbers computed by hand: two groups, players that come and
/// go, recordings, snapshots, a stream that moves, a group that goes.
#[tokio::test]
async fn a_known_load_gives_the_numbers_computed_by_hand() {
    let rig = rig().await;
    let group = async |name: &str| {
        let draft = Draft::new(name, InProtocol::Rtmp, "rtmp,flv,hls".parse().unwrap());
        rig.store.create_group(Scope::Operator, draft).await.unwrap()
    };
    let (one, two) = (rig.stream.group, group("two").await.id);
    let second = rig.store.create_streams(Scope::Operator, one, vec!["b".to_owned()]).await.unwrap().remove(0);
    let third = rig.store.create_streams(Scope::Operator, two, vec!["c".to_owned()]).await.unwrap().remove(0);
    let (b_key, c_key) = (second.key().unwrap(), third.key().unwrap());
    let mut ledger = rig.ledger();
    let (mut a, mut b, mut c) = (rig.publish(&rig.key), rig.publish(&b_key), rig.publish(&c_key));

    // Minute 0: three streams; two players of the first and one of the third take 1000 and 500 bytes; two are recorded.
    let watch = |key: &StreamKey| rig.registry.subscribe(key, Class::Viewer, Start::Live).unwrap();
    let seats = [watch(&rig.key), watch(&rig.key), watch(&c_key)];
    rig.players.took(&rig.key, 1000);
    rig.players.took(&c_key, 500);
    *rig.players.1.lock().unwrap() = vec![rig.key.clone(), c_key.clone()];
    rig.run(&mut ledger, 60, &mut [&mut a, &mut b, &mut c]).await;
    // Minute 1: the players are gone, one stream is left; a file of 40 s and two pictures were stored.
    drop((seats, b, c));
    *rig.players.1.lock().unwrap() = vec![rig.key.clone()];
    let draft = |kind, format, ms| record::Draft {
        stream: rig.stream.id,
        group: one,
        owner: OPERATOR,
        template: None,
        recording: None,
        kind,
        format: Some(format),
        place: record::Place { endpoint: String::new(), bucket: String::new(), object: "o".to_owned() },
        start: Time::from_secs(BEGIN),
        end: Time::from_secs(BEGIN + 40),
        duration_ms: ms,
        width: 0,
        height: 0,
        size: 1,
        expires: None,
    };
    let picture = || draft(record::Kind::Snapshot, record::Format::Jpg, 0);
    let stored = vec![draft(record::Kind::Record, record::Format::Mp4, 40_000), picture(), picture()];
    rig.store.add_records(stored).await.unwrap();
    rig.run(&mut ledger, 60, &mut [&mut a]).await;
    // Minute 2 to 4: nobody. The second group is deleted; what it used stays.
    drop(a);
    rig.players.1.lock().unwrap().clear();
    let halt = |group: &mut crate::model::group::Group| -> Result<(), store::Error> {
        group.enabled = false;
        Ok(())
    };
    rig.store.update_group(Scope::Operator, two, halt).await.unwrap();
    rig.store.delete_group(Scope::Operator, two).await.unwrap();
    ledger.all_moved = true;
    rig.run(&mut ledger, 180, &mut []).await;

    let (from, to) = (Time::from_secs(BEGIN), Time::from_secs(BEGIN + 300));
    let five = async |of| rig.store.totals(of, 300, from, to).await.unwrap().remove(0);
    let all = five(TotalOf::Tenant(OPERATOR)).await;
    assert_eq!((all.sums.bytes_in, all.top_in), (4 * 60 * 120, 4 * 60 * 120));
    assert_eq!((all.sums.bytes_out, all.sums.mp4_ms, all.sums.snapshots), (1500, 40_000, 2));
    // A stream that ended is seen to be gone at the next look: a second each, for three streams.
    assert_eq!(all.sums.live_ms, 4 * 60_000);
    let at = |most, minute: i64| Peak { most, at: Time::from_secs(BEGIN + minute * 60) };
    assert_eq!(all.peaks, Peaks { streams: at(3, 0), viewers: at(3, 0), recordings: at(2, 0), devices: at(0, 0) });
    let first = five(TotalOf::Group(one, OPERATOR)).await;
    assert_eq!((first.sums.bytes_in, first.sums.bytes_out, first.sums.snapshots), (3 * 60 * 120, 1000, 2));
    assert_eq!((first.peaks.streams, first.peaks.viewers, first.peaks.recordings), (at(2, 0), at(2, 0), at(1, 0)));
    let gone = five(TotalOf::Group(two, OPERATOR)).await;
    assert_eq!((gone.sums.bytes_in, gone.sums.bytes_out, gone.peaks.viewers), (60 * 120, 500, at(1, 0)));
    // By protocol: in by the one that publishes, out by the one that plays.
    let by = rig.store.totals_by_protocol(TotalOf::Tenant(OPERATOR), 300, from, to).await.unwrap();
    let by: Vec<_> = by.iter().map(|t| (t.protocol.as_str(), t.sums.bytes_in, t.sums.bytes_out)).collect();
    assert_eq!(by, [("rtmp", 0, 1500), ("test", 4 * 60 * 120, 0)]);
}

#[tokio::test]
async fn a_stream_that_moves_is_paid_by_whoever_had_it() {
    let rig = rig().await;
    let mut ledger = rig.ledger();
    let mut camera = rig.publish(&rig.key);
    rig.run(&mut ledger, 20, &mut [&mut camera]).await;
    let before = Whose { owner: rig.stream.owner, group: rig.stream.group };
    let after = Whose { owner: rig.stream.owner, group: GroupId(7) };
    // What the store would say after a move.
    ledger.meter.moved(|_| true);
    ledger.meter.told(&HashMap::from([(rig.stream.id, (rig.key.app().to_owned(), after))]));
    rig.run(&mut ledger, 40, &mut [&mut camera]).await;
    let rows = rig.rows(MINUTE).await;
    let of = |whose: Whose| rows.iter().find(|row| row.group == whose.group).unwrap().sums;
    assert_eq!((of(before).bytes_in, of(before).live_ms), (20 * 120, 20_000));
    assert_eq!((of(after).bytes_in, of(after).live_ms), (40 * 120, 40_000));
}

/// The most of everything, each at another minute: what a span tells of its minutes is when it was, and of equal ones the first.
#[tokio::test]
async fn each_peak_is_told_at_its_own_minute() {
    let rig = rig().await;
    let names = vec!["b".to_owned(), "c".to_owned()];
    let more = rig.store.create_streams(Scope::Operator, rig.stream.group, names).await.unwrap();
    let draft = Draft::new("gb", InProtocol::Gb28181, "flv".parse().unwrap());
    let gb = rig.store.create_group(Scope::Operator, draft).await.unwrap();
    let code = "34020000001320000001".parse().unwrap();
    let camera = crate::model::device::Draft::new(gb.id, crate::model::device::Kind::Ipc, code);
    let camera = rig.store.create_device(Scope::Operator, camera).await.unwrap();
    let keys = [rig.key.clone(), more[0].key().unwrap(), more[1].key().unwrap()];
    let mut ledger = rig.ledger();
    let watch = |key: &StreamKey| rig.registry.subscribe(key, Class::Viewer, Start::Live).unwrap();
    let record = |keys: &[StreamKey]| *rig.players.1.lock().unwrap_or_else(PoisonError::into_inner) = keys.to_vec();

    // Minute 0: one stream. Minute 1: four players for ten seconds of it. Minute 2: a device is there.
    let mut a = rig.publish(&keys[0]);
    rig.run(&mut ledger, 60, &mut [&mut a]).await;
    rig.run(&mut ledger, 20, &mut [&mut a]).await;
    let seats = [0; 4].map(|_| watch(&keys[0]));
    rig.run(&mut ledger, 10, &mut [&mut a]).await;
    drop(seats);
    rig.run(&mut ledger, 30, &mut [&mut a]).await;
    let on = crate::model::device::Change {
        id: camera.id,
        status: crate::model::device::Status::On,
        at: Time::from_secs(BEGIN + 120),
        registration: None,
    };
    rig.store.set_device_states(vec![on]).await.unwrap();
    rig.run(&mut ledger, 60, &mut [&mut a]).await;
    // Minute 3: three streams at once. Minute 4: two are left, and both are recorded.
    let (mut b, mut c) = (rig.publish(&keys[1]), rig.publish(&keys[2]));
    rig.run(&mut ledger, 60, &mut [&mut a, &mut b, &mut c]).await;
    drop(c);
    record(&keys[..2]);
    rig.run(&mut ledger, 60, &mut [&mut a, &mut b]).await;
    // The next five minutes: as many players and streams as before, in their second minute.
    record(&[]);
    rig.run(&mut ledger, 60, &mut [&mut a, &mut b]).await;
    let mut c = rig.publish(&keys[2]);
    let seats = [0; 4].map(|_| watch(&keys[1]));
    rig.run(&mut ledger, 60, &mut [&mut a, &mut b, &mut c]).await;
    drop((a, b, c, seats));
    rig.run(&mut ledger, 180, &mut []).await;

    let totals = async |span| {
        let (from, to) = (Time::from_secs(BEGIN).floor(span), Time::from_secs(BEGIN + 600));
        rig.store.totals(TotalOf::Tenant(OPERATOR), span, from, to).await.unwrap()
    };
    let at = |most, minute: i64| Peak { most, at: Time::from_secs(BEGIN + minute * 60) };
    let first = Peaks { streams: at(3, 3), viewers: at(4, 1), recordings: at(2, 4), devices: at(1, 2) };
    let fives = totals(300).await;
    assert_eq!((fives.len(), fives[0].peaks), (2, first));
    assert_eq!((fives[1].peaks.streams, fives[1].peaks.viewers, fives[1].peaks.devices), (at(3, 6), at(4, 6), at(1, 5)));
    for span in [3600, DAY] {
        assert_eq!(totals(span).await[0].peaks, first, "{span}");
    }
}
