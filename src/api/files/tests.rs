//! Stored files through their router: signatures, ranges, playlists, names that climb.

use super::*;
use crate::base::pii::Secret;
use crate::media::time::Timestamp;
use crate::model::id::{GroupId, StreamId};
use crate::model::record::{Draft, Place};
use crate::model::tenant::{BucketKey, OPERATOR};
use crate::model::time::Time;
use crate::storage::{Deposit, Settings};
use http_body_util::BodyExt;
use tower::ServiceExt;

const NOW: i64 = 1_760_000_000;

struct Desk {
    stored: Stored,
    shelf: Shelf,
    store: Store,
    clock: Clock,
    _dir: tempfile::TempDir,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Desk {
    async fn new(auth: bool) -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_millis(NOW * 1000));
        let store = Store::open(&crate::store::Settings::default(), dir.path(), clock.clone()).await.unwrap();
        let shelf = Shelf::open(Settings::default(), dir.path(), store.clone(), clock.clone(), 10).await.unwrap();
        let keys = Keys { main: Secret("main".into()), backup: Secret("backup".into()) };
        let parts = Parts {
            shelf: shelf.clone(),
            store: store.clone(),
            base: "http://h:8080".into(),
            keys,
            auth,
            expire: Duration::from_secs(60),
            clock: clock.clone(),
        };
        Desk { stored: Stored::new(parts), shelf, store, clock, _dir: dir }
    }

    async fn put(&self, object: &str, data: &[u8]) {
        let file = self.shelf.spool().join("draft");
        std::fs::write(&file, data).unwrap();
        let place = Place { object: object.into(), ..Place::default() };
        self.shelf.deposit(Deposit::new(OPERATOR, file, place, "video/mp4")).await.unwrap();
    }

    async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.stored.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.into_body().collect().await.unwrap().to_bytes().to_vec() }
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[]).await
    }

    async fn url(&self, record: &Record) -> String {
        let url = self.stored.url(record).await;
        url.strip_prefix("http://h:8080").unwrap_or(&url).to_owned()
    }
}

fn draft(object: &str, format: Format) -> Draft {
    Draft {
        stream: StreamId(7),
        group: GroupId(8),
        owner: OPERATOR,
        template: None,
        recording: None,
        kind: Kind::Record,
        format: Some(format),
        place: Place { object: object.into(), ..Place::default() },
        start: Time(0),
        end: Time(1000),
        duration_ms: 1000,
        width: 0,
        height: 0,
        size: 0,
        expires: None,
    }
}

fn record(object: &str, format: Format) -> Record {
    Record::of(RecordId(5), draft(object, format))
}

#[tokio::test]
async fn a_signed_url_opens_one_file_until_its_time() {
    let desk = Desk::new(true).await;
    let data: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    desk.put("rec/门口 1.mp4", &data).await;
    desk.put("rec/other.mp4", b"other").await;
    let url = desk.url(&record("rec/门口 1.mp4", Format::Mp4)).await;
    let answer = desk.get(&url).await;
    assert_eq!((answer.status, answer.body.len(), answer.header("content-type")), (200, data.len(), "video/mp4"));
    assert!(answer.body == data);
    assert_eq!((answer.header("accept-ranges"), answer.header("x-content-type-options")), ("bytes", "nosniff"));
    let (_, key) = url.split_once('?').unwrap();
    assert_eq!(desk.get(&format!("/records/rec/other.mp4?{key}")).await.status, 403);
    assert_eq!(desk.get("/records/rec/other.mp4").await.status, 403);
    assert_eq!(desk.get("/records/rec/none.mp4").await.status, 403, "who may not see a file does not learn whether it is there");
    assert_eq!(desk.get(&desk.url(&record("rec/none.mp4", Format::Mp4)).await).await.status, 404);
    desk.clock.advance(Duration::from_secs(61));
    let late = desk.get(&url).await;
    assert!(late.status == 403 && late.text().contains("expired"), "{}", late.text());
}

#[tokio::test]
async fn parts_of_a_file_as_browsers_ask_for_them() {
    let desk = Desk::new(false).await;
    let data: Vec<u8> = (0..1000_u32).map(|n| n as u8).collect();
    desk.put("a.mp4", &data).await;
    let ask = async |range: &str| desk.ask("GET", "/records/a.mp4", &[("range", range)]).await;
    let first = ask("bytes=0-99").await;
    assert_eq!((first.status, first.header("content-range"), first.header("content-length")), (206, "bytes 0-99/1000", "100"));
    assert_eq!(first.body, data[..100]);
    let last = ask("bytes=-10").await;
    assert_eq!((last.status, last.header("content-range"), &last.body[..]), (206, "bytes 990-999/1000", &data[990..]));
    let outside = ask("bytes=1000-").await;
    assert_eq!((outside.status, outside.header("content-range")), (416, "bytes */1000"));
    let head = desk.ask("HEAD", "/records/a.mp4", &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "1000", 0));
    let again = desk.ask("GET", "/records/a.mp4", &[("if-none-match", head.header("etag"))]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let post = desk.ask("POST", "/records/a.mp4", &[]).await;
    assert_eq!((post.status, post.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn nothing_outside_of_the_directory_is_served() {
    let desk = Desk::new(false).await;
    std::fs::write(desk.shelf.spool().join("secret"), "x").unwrap();
    for target in [
        "/records/../weir.db",
        "/records/%2e%2e/weir.db",
        "/records/..%2fweir.db",
        "/records/.spool/secret",
        "/records/%2espool/secret",
        "/records//etc/passwd",
        "/records/%2fetc/passwd",
        "/records/a%00b",
        "/records/%ff",
        "/records/%4",
        "/records/.",
    ] {
        assert_eq!(desk.get(target).await.status, 404, "{target}");
    }
    std::fs::create_dir(desk.shelf.root().join("dir")).unwrap();
    assert_eq!(desk.get("/records/dir").await.status, 404, "a directory is no file");
}

#[tokio::test]
async fn a_playlist_leads_to_its_segments() {
    let desk = Desk::new(true).await;
    desk.put("hls/1 a.ts", b"one").await;
    desk.put("hls/x/2.ts", b"two").await;
    desk.put("hls/a.m3u8", "#EXTM3U\n#EXTINF:2,\n1 a.ts\n#EXTINF:2,\nx/2.ts\n#EXT-X-ENDLIST\n".as_bytes()).await;
    let list = desk.get(&desk.url(&record("hls/a.m3u8", Format::Hls)).await).await;
    assert_eq!((list.status, list.header("content-type")), (200, "application/vnd.apple.mpegurl"));
    let parts: Vec<&str> = list.text().lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(parts.len(), 2);
    for (part, body) in parts.into_iter().zip(["one", "two"]) {
        let answer = desk.get(part).await;
        assert_eq!((answer.status, answer.text(), answer.header("content-type")), (200, body, "video/mp2t"), "{part}");
    }
    assert!(list.text().ends_with("#EXT-X-ENDLIST\n"));
}

#[tokio::test]
async fn what_is_in_a_bucket_is_signed_by_its_owners_key() {
    let desk = Desk::new(true).await;
    let place = Place { endpoint: "http://127.0.0.1:9".into(), bucket: "b".into(), object: "a/b c.mp4".into() };
    let made = Record::of(RecordId(5), Draft { place: place.clone(), ..draft("", Format::Mp4) });
    // Without a key it leads here, where the reason is told.
    let bare = desk.url(&made).await;
    assert!(bare.starts_with("/records/a/b%20c.mp4?auth_key="), "{bare}");
    desk.store.put_bucket_key(OPERATOR, "", "", &BucketKey { id: "id".into(), secret: Secret("secret".into()) }).await.unwrap();
    let signed = desk.url(&made).await;
    assert!(
        signed.starts_with("http://127.0.0.1:9/b/a/b%20c.mp4?") && signed.contains("X-Amz-Signature=") && !signed.contains("secret"),
        "{signed}"
    );
    // A playlist comes through us, and only by the record that was signed.
    let drafts =
        ["one.m3u8", "two.m3u8"].map(|object| Draft { place: Place { object: object.into(), ..place.clone() }, ..draft("", Format::Hls) });
    let rows = desk.store.add_records(drafts.to_vec()).await.unwrap();
    let (one, two) = (desk.url(&rows[0]).await, desk.url(&rows[1]).await);
    let away = desk.get(&one).await;
    assert!(away.status == 502 && !away.text().contains("127.0.0.1"), "{}", away.text());
    let mixed = format!("{}?{}", one.split_once('?').unwrap().0, two.split_once('?').unwrap().1);
    assert_eq!(desk.get(&mixed).await.status, 403);
    let forged = one.replace(&format!("-{}-", rows[0].id), "-0-");
    assert_eq!(desk.get(&forged).await.status, 403);
}
