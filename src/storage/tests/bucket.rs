//! Buckets that refuse, slow, close, answer garbage, lose answers and are away: nothing that was handed in is lost, or there twice.

use super::s3::{Fault, S3};
use super::*;
use crate::base::pii::Secret;
use crate::base::units::Span;
use crate::runtime::task::Tasks;
use std::time::Duration;

struct Cloud {
    desk: Desk,
    s3: S3,
    place: Place,
    tasks: Tasks,
}

fn quick() -> Settings {
    let (first_wait, longest_wait) = (Span::millis(50), Span::millis(200));
    Settings { part: Size(5 << 20), first_wait, longest_wait, timeout: Span::secs(2), uploads: 2, ..Settings::default() }
}

impl Cloud {
    async fn new() -> Cloud {
        Cloud::with(quick()).await
    }

    async fn with(settings: Settings) -> Cloud {
        let (s3, address) = S3::start().await;
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::real();
        let store = Store::open(&store::Settings::default(), dir.path(), clock.clone()).await.unwrap();
        let key = BucketKey { id: "id".into(), secret: Secret("secret".into()) };
        store.put_bucket_key(OPERATOR, "", "", &key).await.unwrap();
        let shelf = Shelf::open(settings, dir.path(), store.clone(), clock, 100).await.unwrap();
        let tasks = Tasks::new();
        shelf.start(&tasks);
        let place = Place { endpoint: format!("http://{address}"), bucket: "b".into(), object: String::new() };
        Cloud { desk: Desk { shelf, store, dir }, s3, place, tasks }
    }

    async fn deposit(&self, object: &str, text: &[u8]) -> Place {
        let place = Place { object: object.into(), ..self.place.clone() };
        let deposit = Deposit { place, ..self.desk.deposit("draft", "", "") };
        std::fs::write(&deposit.file, text).unwrap();
        self.desk.shelf.deposit(deposit).await.unwrap()
    }

    /// Waits until nothing waits.
    async fn through(&self) {
        let wait = async {
            while self.desk.store.deposits_waiting().await.unwrap().files > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), wait).await.is_err() {
            panic!("{:?}, asked: {:?}", self.desk.store.deposits(DepositId(0), 10).await.unwrap(), self.s3.log());
        }
    }

    /// Everything is there once, and nothing is left behind.
    async fn is_right(&self, objects: &[(&str, &[u8])]) {
        self.through().await;
        let records = self.desk.records().await;
        let mut names: Vec<_> = records.iter().map(|r| (r.place.object.as_str(), r.size)).collect();
        names.sort();
        let expected: Vec<_> = objects.iter().map(|(name, data)| (*name, data.len() as u64)).collect();
        assert_eq!(names, expected);
        for (name, data) in objects {
            let (there, kind) = self.s3.object(name).unwrap_or_else(|| panic!("{name} is not there: {:?}", self.s3.names()));
            assert!(there == *data, "{name}: {} bytes of {}", there.len(), data.len());
            assert_eq!(kind, "video/mp4");
        }
        let pending = self.desk.shelf.root().join(PENDING);
        for _ in 0..100 {
            if std::fs::read_dir(&pending).unwrap().count() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a file that is in its bucket is still here");
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(length)
    .collect()
}

#[tokio::test]
async fn each_fault_of_a_small_object_is_got_over() {
    for fault in [Fault::Refuse, Fault::CloseMidBody, Fault::Garbage, Fault::Busy, Fault::Forbidden, Fault::LoseAnswer, Fault::Hang] {
        let cloud = Cloud::new().await;
        cloud.s3.faults([fault]);
        cloud.deposit("a/b.mp4", b"some bytes").await;
        cloud.is_right(&[("a/b.mp4", b"some bytes")]).await;
        let puts = cloud.s3.log().iter().filter(|line| line.starts_with("PUT")).count();
        assert_eq!(puts, 1, "{fault:?}: what is there is not sent again: {:?}", cloud.s3.log());
        assert!(cloud.tasks.finish(Duration::from_secs(5)).await.is_empty());
    }
}

#[tokio::test]
async fn a_large_object_goes_in_parts_and_a_fault_costs_one_part() {
    let data = noise(11 << 20);
    for (at, fault) in [(0, Fault::Busy), (1, Fault::CloseMidBody), (2, Fault::Garbage), (3, Fault::Refuse), (3, Fault::LoseAnswer)] {
        let cloud = Cloud::new().await;
        cloud.s3.faults(std::iter::repeat_n(Fault::Fine, at).chain([fault]));
        cloud.deposit("big.mp4", &data).await;
        cloud.is_right(&[("big.mp4", &data)]).await;
        let parts = cloud.s3.log().iter().filter(|line| line.contains("part")).count();
        assert!(parts <= 4, "{fault:?}: {:?}", cloud.s3.log());
        assert_eq!(cloud.s3.open(), 0);
        assert!(cloud.tasks.finish(Duration::from_secs(5)).await.is_empty());
    }
}

/// The answer of the last part is lost: the object is there, and is neither sent again nor given up.
#[tokio::test]
async fn a_lost_answer_of_the_last_step_is_asked_for() {
    let (cloud, data) = (Cloud::new().await, noise(11 << 20));
    // Begin, three parts, complete.
    cloud.s3.faults([Fault::Fine, Fault::Fine, Fault::Fine, Fault::Fine, Fault::LoseAnswer]);
    cloud.deposit("big.mp4", &data).await;
    cloud.is_right(&[("big.mp4", &data)]).await;
    let log = cloud.s3.log();
    assert_eq!(log.iter().filter(|line| line.contains("part")).count(), 3, "{log:?}");
    assert_eq!(log.iter().filter(|line| line.contains("begin")).count(), 1, "{log:?}");
    assert!(log.iter().any(|line| line.starts_with("HEAD")), "{log:?}");
}

#[tokio::test]
async fn a_restart_costs_no_part_that_the_bucket_has() {
    let (cloud, data) = (Cloud::new().await, noise(11 << 20));
    // It stops in the second part.
    cloud.s3.faults([Fault::Fine, Fault::Fine, Fault::Hang]);
    cloud.deposit("big.mp4", &data).await;
    let id = cloud.desk.store.deposits(DepositId(0), 10).await.unwrap()[0].id;
    while cloud.desk.store.deposit_parts(id).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let Cloud { desk, s3, place, tasks } = cloud;
    assert!(tasks.finish(Duration::from_secs(5)).await.is_empty());
    // Another size of parts by now: the upload keeps its own.
    let settings = Settings { part: Size(6 << 20), ..quick() };
    let shelf = Shelf::open(settings, desk.dir.path(), desk.store.clone(), Clock::real(), 100).await.unwrap();
    let tasks = Tasks::new();
    shelf.start(&tasks);
    let cloud = Cloud { desk: Desk { shelf, ..desk }, s3, place, tasks };
    cloud.is_right(&[("big.mp4", &data)]).await;
    let log = cloud.s3.log();
    assert_eq!(log.iter().filter(|line| line.contains("part")).count(), 3, "{log:?}");
    assert_eq!(log.iter().filter(|line| line.contains("begin")).count(), 1, "{log:?}");
    assert!(cloud.desk.store.deposit_parts(id).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_upload_that_the_bucket_forgot_begins_again() {
    let (cloud, data) = (Cloud::new().await, noise(11 << 20));
    cloud.s3.faults([Fault::Fine, Fault::Fine, Fault::Busy]);
    cloud.s3.faults([Fault::Busy; 3]);
    cloud.deposit("big.mp4", &data).await;
    while cloud.s3.log().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cloud.s3.forget_uploads();
    cloud.is_right(&[("big.mp4", &data)]).await;
}

#[tokio::test]
async fn a_bucket_that_is_away_loses_nothing_not_even_across_a_restart() {
    let cloud = Cloud::new().await;
    cloud.s3.away(true);
    let files: Vec<(String, Vec<u8>)> = (0..12).map(|n| (format!("{n:02}.mp4"), noise(100 + n))).collect();
    for (name, data) in &files {
        cloud.deposit(name, data).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let waiting = cloud.desk.store.deposits_waiting().await.unwrap();
    assert_eq!((waiting.files, cloud.desk.records().await.len()), (12, 0), "nothing is told before it is there");
    // A restart in between.
    assert!(cloud.tasks.finish(Duration::from_secs(5)).await.is_empty());
    let Cloud { desk, s3, place, .. } = cloud;
    let shelf = Shelf::open(quick(), desk.dir.path(), desk.store.clone(), Clock::real(), 100).await.unwrap();
    let tasks = Tasks::new();
    shelf.start(&tasks);
    s3.away(false);
    let cloud = Cloud { desk: Desk { shelf, ..desk }, s3, place, tasks };
    cloud.through().await;
    let mut names: Vec<_> = cloud.desk.records().await.into_iter().map(|r| r.place.object).collect();
    names.sort();
    assert_eq!(names, files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    for (name, data) in &files {
        assert_eq!(cloud.s3.object(name).unwrap().0, *data);
    }
}

#[tokio::test]
async fn too_much_that_waits_is_refused_or_gives_way_as_set() {
    let full = |when_full| Settings { spill: Size(250), when_full, ..quick() };
    let cloud = Cloud::with(full(WhenFull::Refuse)).await;
    cloud.s3.away(true);
    cloud.deposit("1.mp4", &noise(100)).await;
    cloud.deposit("2.mp4", &noise(100)).await;
    let place = Place { object: "3.mp4".into(), ..cloud.place.clone() };
    let third = Deposit { place, ..cloud.desk.deposit("third", &"x".repeat(100), "") };
    let file = third.file.clone();
    assert!(matches!(cloud.desk.shelf.deposit(third).await, Err(Error::Full(_))));
    assert!(file.exists(), "it is still the caller's");

    let cloud = Cloud::with(full(WhenFull::DeleteOldest)).await;
    cloud.s3.away(true);
    for name in ["1.mp4", "2.mp4", "3.mp4", "4.mp4"] {
        cloud.deposit(name, &noise(100)).await;
    }
    let left: Vec<_> = cloud.desk.store.deposits(DepositId(0), 10).await.unwrap();
    assert!(left.iter().map(|row| row.draft.place.object.as_str()).eq(["3.mp4", "4.mp4"]), "{left:?}");
    assert_eq!(cloud.desk.shelf.figures().dropped, 2);
    cloud.s3.away(false);
    cloud.is_right(&[("3.mp4", &noise(100)), ("4.mp4", &noise(100))]).await;
}

#[tokio::test]
async fn what_is_past_its_days_is_deleted_with_its_parts_here_and_in_buckets() {
    let cloud = Cloud::new().await;
    let list = "#EXTM3U\n#EXTINF:2,\n1.ts\n#EXTINF:2,\n../../../weir.db\n";
    let put = async |object: &str, text: &str, place: &Place, record: bool, expires: Option<Time>| {
        let place = Place { object: object.into(), ..place.clone() };
        let mut deposit = Deposit { place, ..cloud.desk.deposit("draft", text, "") };
        deposit.record = record.then(|| Draft { format: Some(Format::Hls), expires, ..draft("") });
        cloud.desk.shelf.deposit(deposit).await.unwrap();
        cloud.through().await;
    };
    for place in [&Place::default(), &cloud.place] {
        put("hls/1.ts", "one", place, false, None).await;
        put("hls/a.m3u8", list, place, true, Some(Time(1))).await;
        put("hls/2.ts", "two", place, false, None).await;
        put("hls/b.m3u8", "#EXTM3U\n2.ts\n", place, true, None).await;
    }
    let here = |object: &str| cloud.desk.shelf.root().join(object).exists();
    cloud.desk.shelf.sweep(&crate::runtime::task::Stop::never()).await.unwrap();
    assert_eq!(["hls/1.ts", "hls/a.m3u8", "hls/2.ts", "hls/b.m3u8"].map(here), [false, false, true, true]);
    assert_eq!(cloud.s3.names(), ["hls/2.ts", "hls/b.m3u8"]);
    assert!(cloud.desk.dir.path().join("weir.db").exists(), "a playlist cannot reach outside");
    assert_eq!(cloud.desk.records().await.len(), 2);
    // A bucket that is away keeps its record for later, and does not hold up others.
    put("hls/c.m3u8", "#EXTM3U\n", &cloud.place, true, Some(Time(1))).await;
    cloud.s3.away(true);
    cloud.desk.shelf.sweep(&crate::runtime::task::Stop::never()).await.unwrap();
    assert_eq!(cloud.desk.records().await.len(), 3);
}

#[tokio::test]
async fn a_full_disk_makes_the_oldest_give_way_or_refuses() {
    let tiny = |when_full| Settings { min_free: Size(u64::MAX), when_full, ..quick() };
    let cloud = Cloud::with(Settings { min_free: Size(0), ..quick() }).await;
    cloud.desk.shelf.deposit(cloud.desk.deposit("1", "x", "old.mp4")).await.unwrap();
    assert!(cloud.desk.shelf.has_room().is_ok());
    cloud.tasks.stop();
    let again = async |settings: Settings| {
        Shelf::open(settings, cloud.desk.dir.path(), cloud.desk.store.clone(), Clock::real(), 100).await.unwrap()
    };
    let stop = crate::runtime::task::Stop::never();
    let refusing = again(tiny(WhenFull::Refuse)).await;
    refusing.sweep(&stop).await.unwrap();
    assert!(matches!(refusing.has_room(), Err(Error::Full(_))));
    assert!(cloud.desk.shelf.root().join("old.mp4").exists());
    let yielding = again(tiny(WhenFull::DeleteOldest)).await;
    yielding.sweep(&stop).await.unwrap();
    assert!(yielding.has_room().is_ok());
    assert!(!cloud.desk.shelf.root().join("old.mp4").exists());
    assert!(cloud.desk.records().await.is_empty());
}
