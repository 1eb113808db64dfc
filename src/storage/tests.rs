//! What the shelf promises, with a real store and a real directory.

mod bucket;
mod s3;

use super::*;
use crate::model::id::{GroupId, StreamId};
use crate::model::page::Page;
use crate::model::record::{Filter, Format};
use crate::model::tenant::{OPERATOR, Scope};

struct Desk {
    shelf: Shelf,
    store: Store,
    dir: tempfile::TempDir,
}

const NOW: i64 = 1_760_000_000_000;

impl Desk {
    async fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&store::Settings::default(), dir.path(), clock()).await.unwrap();
        let shelf = Desk::open(dir.path(), &store).await;
        Desk { shelf, store, dir }
    }

    async fn open(dir: &Path, store: &Store) -> Shelf {
        Shelf::open(Settings::default(), dir, store.clone(), clock(), 100).await.unwrap()
    }

    fn draft(&self, name: &str, text: &str) -> PathBuf {
        let file = self.shelf.spool().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    fn deposit(&self, name: &str, text: &str, object: &str) -> Deposit {
        let place = Place { object: object.to_owned(), ..Place::default() };
        let record = Some(draft(object));
        let names = Names { domain: "d".into(), app: "live".into(), stream: "7".into() };
        let callback = Some("http://example.com/cb".to_owned());
        Deposit { record, callback, names, ..Deposit::new(OPERATOR, self.draft(name, text), place, "video/mp4") }
    }

    async fn records(&self) -> Vec<Record> {
        let filter = Filter { stream: StreamId(7), kind: Kind::Record, from: Time(0), to: Time(i64::MAX / 2) };
        self.store.records(Scope::Operator, filter, Page::new(1, 100)).await.unwrap().items
    }

    fn read(&self, object: &str) -> String {
        std::fs::read_to_string(self.shelf.root().join(object)).unwrap()
    }
}

fn clock() -> Clock {
    Clock::manual(crate::media::time::Timestamp::from_millis(NOW))
}

fn draft(_: &str) -> Draft {
    Draft {
        stream: StreamId(7),
        group: GroupId(8),
        owner: OPERATOR,
        template: None,
        recording: None,
        kind: Kind::Record,
        format: Some(Format::Mp4),
        place: Place::default(),
        start: Time(NOW - 10_400),
        end: Time(NOW),
        duration_ms: 10_400,
        width: 320,
        height: 240,
        size: 0,
        expires: None,
    }
}

#[tokio::test]
async fn a_file_reaches_its_place_with_its_record_and_its_callback() {
    let desk = Desk::new().await;
    let place = desk.shelf.deposit(desk.deposit("1", "first", "rec/live/a.mp4")).await.unwrap();
    assert_eq!((place.object.as_str(), desk.read("rec/live/a.mp4").as_str()), ("rec/live/a.mp4", "first"));
    // The second of the same name does not harm the first.
    let place = desk.shelf.deposit(desk.deposit("2", "second", "rec/live/a.mp4")).await.unwrap();
    assert_eq!((place.object.as_str(), desk.read("rec/live/a.mp4").as_str()), ("rec/live/a_1.mp4", "first"));
    assert_eq!(desk.read("rec/live/a_1.mp4"), "second");
    let records = desk.records().await;
    let known: Vec<_> = records.iter().map(|r| (r.place.object.as_str(), r.size, r.width)).collect();
    assert_eq!(known, [("rec/live/a.mp4", 5, 320), ("rec/live/a_1.mp4", 6, 320)]);
    let told = desk.store.take_callbacks(10, std::time::Duration::from_secs(1), &[]).await.unwrap();
    let body =
        r#"{"domain":"d","app":"live","stream":"7","uri":"rec/live/a.mp4","duration":10,"start_time":1759999989,"stop_time":1760000000}"#;
    assert_eq!(told.iter().map(|w| w.draft.body.as_str()).collect::<Vec<_>>(), [body], "in order: the second waits for the first");
    assert_eq!(std::fs::read_dir(desk.shelf.spool()).unwrap().count(), 0);
    assert!(desk.store.deposits(DepositId(0), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_name_cannot_leave_the_directory() {
    let desk = Desk::new().await;
    let place = desk.shelf.deposit(desk.deposit("1", "x", "../../../etc/x.mp4")).await.unwrap();
    assert_eq!(place.object, "_./_./_./etc/x.mp4");
    assert_eq!(desk.read(&place.object), "x");
    assert_eq!(desk.shelf.find("../weir.db"), None);
    assert_eq!(desk.shelf.find(".spool/1"), None);
    assert_eq!(desk.shelf.find("a/../b"), None);
    assert_eq!(desk.shelf.find("a/b.mp4"), Some(desk.shelf.root().join("a/b.mp4")));
}

#[tokio::test]
async fn what_replaces_leaves_one_file_and_one_record() {
    let desk = Desk::new().await;
    for text in ["one", "three"] {
        let deposit = Deposit { replaces: true, ..desk.deposit("1", text, "now.jpg") };
        assert_eq!(desk.shelf.deposit(deposit).await.unwrap().object, "now.jpg");
    }
    assert_eq!(desk.read("now.jpg"), "three");
    let records = desk.records().await;
    assert_eq!(records.iter().map(|r| r.size).collect::<Vec<_>>(), [5]);
}

#[tokio::test]
async fn parts_have_no_records() {
    let desk = Desk::new().await;
    let part = Deposit { record: None, ..desk.deposit("1", "ts", "a/1.ts") };
    desk.shelf.deposit(part).await.unwrap();
    assert_eq!((desk.read("a/1.ts").as_str(), desk.records().await.len()), ("ts", 0));
}

/// A crash at each moment between the intent and the end.
#[tokio::test]
async fn what_a_crash_left_is_finished_once() {
    let desk = Desk::new().await;
    let row = |deposit: Deposit| async {
        let place = deposit.place.clone();
        desk.shelf.write_down(deposit, &place, 5, Time(NOW)).await.unwrap()
    };
    // Written down; written down and moved; moved and the file lost.
    row(desk.deposit("1", "first", "1.mp4")).await;
    row(desk.deposit("2", "other", "2.mp4")).await;
    std::fs::rename(desk.shelf.spool().join("2"), desk.shelf.root().join("2.mp4")).unwrap();
    row(desk.deposit("3", "third", "3.mp4")).await;
    std::fs::remove_file(desk.shelf.spool().join("3")).unwrap();
    for _ in 0..2 {
        Desk::open(desk.dir.path(), &desk.store).await;
        let records = desk.records().await;
        assert_eq!(records.iter().map(|r| r.place.object.as_str()).collect::<Vec<_>>(), ["1.mp4", "2.mp4"]);
        assert_eq!((desk.read("1.mp4").as_str(), desk.read("2.mp4").as_str()), ("first", "other"));
        assert!(desk.store.deposits(DepositId(0), 10).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn files_for_a_bucket_wait_with_their_key_sealed() {
    let desk = Desk::new().await;
    let place = Place { endpoint: "s3.example.com".into(), bucket: "b".into(), object: "x.mp4".into() };
    let key = Some(BucketKey { id: "key".into(), secret: crate::base::pii::Secret("hidden".into()) });
    let to_bucket = |name: &str| Deposit { place: place.clone(), key: key.clone(), ..desk.deposit(name, "abc", "") };
    desk.shelf.deposit(to_bucket("1")).await.unwrap();
    let second = desk.shelf.deposit(to_bucket("2")).await.unwrap();
    assert_eq!(second.object, "x_1.mp4");
    let rows = desk.store.deposits(DepositId(0), 10).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0].draft.key, rows[0].draft.place.object.as_str()), (&key, "x.mp4"));
    assert_eq!(rows[0].draft.record.as_ref().map(|r| (r.start, r.duration_ms, r.kind)), Some((Time(NOW - 10_400), 10_400, Kind::Record)));
    assert!(rows.iter().all(|row| desk.shelf.pending(row.id).exists()));
    assert_eq!(desk.store.deposits_waiting().await.unwrap(), store::Waiting { files: 2, bytes: 6 });
    assert!(desk.records().await.is_empty(), "nothing is told before it is there");
}

#[tokio::test]
async fn files_for_buckets_that_nobody_knows_are_told_and_kept_for_a_while() {
    let desk = Desk::new().await;
    let orphan = desk.shelf.pending(DepositId(77));
    std::fs::write(&orphan, "from an older database").unwrap();
    let again = Desk::open(desk.dir.path(), &desk.store).await;
    assert_eq!((again.figures().orphans, orphan.exists()), (1, true));
    let long_ago = std::time::SystemTime::now() - ORPHAN - Duration::from_secs(60);
    std::fs::File::options().write(true).open(&orphan).unwrap().set_modified(long_ago).unwrap();
    let again = Desk::open(desk.dir.path(), &desk.store).await;
    assert_eq!((again.figures().orphans, orphan.exists()), (0, false));
}
