//! Usage in manual time, against numbers computed by hand.

use super::*;
use crate::base::id::SessionId;
use crate::base::units::Span;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track, VideoCodec, VideoTrack};
use crate::model::group::{Draft, InProtocol};
use crate::model::stream::Stream;
use crate::stream::{Class, Publisher, Raw, Source, Start};
use bytes::Bytes;
use std::sync::{Mutex, PoisonError};

/// A time at which five minutes begin, in seconds.
const BEGIN: i64 = 1_700_000_100;

#[derive(Default)]
struct Players(Mutex<Vec<(StreamKey, u64)>>);

impl Players {
    fn took(&self, key: &StreamKey, bytes: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((key.clone(), bytes));
    }
}

impl Sent for Players {
    fn take(&self) -> Vec<(StreamKey, u64)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
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
        Ledger::new(self.store.clone(), self.registry.clone(), self.players.clone())
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
    assert_eq!(rig.rows(300).await, [rig.usage(BEGIN, first)]);

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
    assert_eq!(rig.rows(3600).await, [rig.usage(BEGIN - BEGIN % 3600, all)]);
}

#[tokio::test]
async fn a_minute_that_is_written_again_counts_once() {
    let rig = rig().await;
    let sums = Sums { bytes_out: 7, snapshots: 1, ..Sums::default() };
    let row = rig.usage(BEGIN, sums);
    rig.store.put_usage(vec![row]).await.unwrap();
    let mut minute = Minute { at: row.at, rows: vec![row], whole: false };
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
    rig.store.put_usage(vec![old, recent]).await.unwrap();
    let mut ledger = rig.ledger();
    rig.run(&mut ledger, 60, &mut []).await;
    let filter = UsageFilter { group: None, stream: None, from: Time(0), to: Time::from_secs(BEGIN) };
    assert_eq!(rig.store.usage(Scope::Operator, MINUTE, filter).await.unwrap(), [recent]);
    assert_eq!(rig.rows(300).await, [recent]);
    assert_eq!(rig.rows(86_400).await, [Usage { at: recent.at.floor(DAY), ..recent }]);
}
