//! The past, with a shelf that tells what it is asked for.

use super::*;
use crate::edge::http::past::{Later, Listing, Past, Reel, Wanted};

/// What it plays is what it was asked for.
pub struct Canned;

struct Digits;

impl Past for Canned {
    fn playlist<'a>(&'a self, key: &'a StreamKey, wanted: Wanted, query: &'a str) -> Later<'a, Listing> {
        Box::pin(async move {
            match key.name() {
                "new" => Err(Refusal::new(http::StatusCode::NOT_FOUND, "nothing is kept")),
                _ => Ok((format!("{wanted:?} of {key}: {query}"), 1_000)),
            }
        })
    }

    fn piece<'a>(&'a self, key: &'a StreamKey, chunk: i64, n: Option<usize>, length: Option<u32>) -> Later<'a, Bytes> {
        Box::pin(async move { Ok(format!("piece {n:?} {length:?} of {key} {chunk}").into()) })
    }

    fn film<'a>(&'a self, _: &'a StreamKey, _: Timestamp, _: Timestamp) -> Later<'a, Arc<dyn Reel>> {
        Box::pin(async { Ok(Arc::new(Digits) as Arc<dyn Reel>) })
    }
}

/// A million bytes, each the last digit of its place.
impl Reel for Digits {
    fn length(&self) -> u64 {
        1_000_000
    }

    fn read(&self, at: u64, most: usize) -> std::io::Result<Bytes> {
        let end = (at + most.min(70_001) as u64).min(1_000_000);
        Ok((at..end).map(|n| b'0' + (n % 10) as u8).collect())
    }
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn the_past_is_behind_the_streams_own_address_and_a_pass() {
    let rig = rig(Settings::default()).await;
    // nobody publishes it: its past plays all the same
    let master = rig.get("/closed/a.m3u8?auth_key=right&start=100&end=200").await;
    assert!(master.starts_with("HTTP/1.1 200 ") && master.contains("#EXT-X-STREAM-INF:BANDWIDTH=1000"), "{master}");
    let uri = body(&master).lines().find(|line| !line.starts_with('#')).unwrap();
    assert!(uri.starts_with("a.m3u8?start=100&end=200&past="), "{uri}");
    let media = rig.get(&format!("/closed/{uri}")).await;
    let (wanted, query) = body(&media).split_once(" of closed/a: ").unwrap();
    assert!(wanted.starts_with("Between("), "{media}");
    let piece = rig.get(&format!("/past/closed/a/77/3.m4s{query}")).await;
    assert_eq!(body(&piece), "piece Some(3) None of closed/a 77");
    assert_eq!(body(&rig.get(&format!("/past/closed/a/77/3-250.m4s{query}")).await), "piece Some(3) Some(250) of closed/a 77");
    assert_eq!(body(&rig.get(&format!("/past/closed/a/77/init.mp4{query}")).await), "piece None None of closed/a 77");
    let delayed = rig.get("/live/a.m3u8?delay=60").await;
    assert!(body(&delayed).contains("\na.m3u8?delay=60&since="), "{delayed}");
    let refused = |answer: String, status: &str| assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    for (path, status) in [
        ("/closed/a.m3u8?start=100".to_owned(), "403"),
        (format!("/past/closed/b/77/3.m4s{query}"), "403"),
        ("/past/closed/a/77/3.m4s".to_owned(), "403"),
        (format!("/past/closed/a/77/x.m4s{query}"), "404"),
        (format!("/past/closed/a/77/a.ts{query}"), "404"),
        (format!("/past/closed/a/77/3-.m4s{query}"), "404"),
        (format!("/past/closed/a/77/3--1.m4s{query}"), "404"),
        ("/live/new.m3u8?start=100".to_owned(), "404"),
        ("/live/a.m3u8?start=200&end=100".to_owned(), "400"),
        ("/live/a.m3u8?start=x".to_owned(), "400"),
        ("/live/a.m3u8?delay=-1".to_owned(), "400"),
        ("/live/a.m3u8?start=1&delay=1".to_owned(), "400"),
        ("/live/a.m3u8?start=1&past=1-2".to_owned(), "403"),
    ] {
        refused(rig.get(&path).await, status);
    }
}

#[tokio::test]
async fn a_stretch_is_one_file_with_ranges() {
    let rig = rig(Settings::default()).await;
    let whole = rig.get("/live/a.mp4?start=1&end=2").await;
    assert!(whole.to_lowercase().contains("content-length: 1000000\r\n") && body(&whole).len() == 1_000_000);
    assert!(body(&whole).bytes().enumerate().all(|(n, b)| b == b'0' + (n % 10) as u8));
    let request = |range: &str| format!("GET /live/a.mp4?start=1 HTTP/1.1\r\nHost: h\r\nRange: bytes={range}\r\nConnection: close\r\n\r\n");
    let part = rig.send(request("3-7")).await;
    assert!(part.starts_with("HTTP/1.1 206 ") && part.to_lowercase().contains("content-range: bytes 3-7/1000000\r\n"), "{part}");
    assert_eq!(body(&part), "34567");
    assert_eq!(body(&rig.send(request("-2")).await), "89");
    assert!(rig.send(request("1000000-")).await.starts_with("HTTP/1.1 416 "));
    assert!(rig.get("/closed/a.mp4?start=1&end=2").await.starts_with("HTTP/1.1 403 "));
    assert!(rig.get("/live/a.mp4").await.starts_with("HTTP/1.1 400 "));
    assert!(rig.get("/live/a.mp4?delay=5").await.starts_with("HTTP/1.1 404 "));
}
