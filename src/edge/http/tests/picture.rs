//! Pictures, with a painter that counts what it is asked for.

use super::*;
use crate::media::track::{AudioCodec, AudioTrack};
use crate::stream::Unit;
use std::sync::atomic::AtomicUsize;

/// "Paints" the frame's last bytes and the width; slowly, so that requests meet.
#[derive(Default)]
pub struct Painter {
    taken: AtomicUsize,
}

impl Pictures for Painter {
    fn take<'a>(&'a self, unit: &'a Unit, width: u16) -> Taken<'a> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            match width {
                404 => Err(Refusal::new(http::StatusCode::SERVICE_UNAVAILABLE, "no helper")),
                _ => Ok(Bytes::from(format!("picture {} at {width}", unit.frame.data[5]))),
            }
        })
    }
}

fn patient(millis: u64) -> Settings {
    Settings { patience: Span::millis(millis), ..Settings::default() }
}

async fn rig_by_hand() -> Rig {
    rig_with(patient(3000), Clock::manual(Timestamp::ZERO), None).await
}

impl Rig {
    fn taken(&self) -> usize {
        self.painter.taken.load(Ordering::SeqCst)
    }
}

fn status(answer: &str) -> &str {
    &answer["HTTP/1.1 ".len()..][..3]
}

#[tokio::test]
async fn the_newest_key_frame_once_a_second() {
    let rig = rig_by_hand().await;
    let mut publisher = rig.publish("live/a");
    for n in 0..6 {
        publisher.push(picture(n, n % 3 == 0));
    }
    assert_eq!(rig.taken(), 0, "nobody has asked");
    let (one, two, three) = tokio::join!(rig.get("/live/a.jpg"), rig.get("/live/a.jpg"), rig.get("/live/a.jpg"));
    for answer in [&one, &two, &three] {
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\npicture 3 at 0"), "{answer}");
        let low = answer.to_lowercase();
        for header in
            ["content-type: image/jpeg", "content-length: 14", "cache-control: no-cache, no-store", "access-control-allow-origin: *"]
        {
            assert!(low.contains(&format!("{header}\r\n")), "{header}: {answer}");
        }
    }
    assert_eq!(rig.taken(), 1, "asked for at the same time, made once");
    publisher.push(picture(6, true));
    rig.clock.advance(Duration::from_millis(900));
    assert!(rig.get("/live/a.jpg").await.ends_with("picture 3 at 0"));
    assert_eq!(rig.taken(), 1, "not a second old");
    rig.clock.advance(Duration::from_millis(200));
    assert!(rig.get("/live/a.jpg?token=x&width=320").await.ends_with("picture 6 at 320"));
    assert!(rig.get("/live/a.jpg").await.ends_with("picture 6 at 0"));
    assert_eq!(rig.taken(), 3);
    assert_eq!(rig.rules.0.lock().unwrap()[0], "jpg /live/a.jpg?");
    // A failure is not tried again at every request either.
    for _ in 0..2 {
        let told = rig.get("/live/a.jpg?width=404").await;
        assert!(status(&told) == "503" && told.contains("no helper"), "{told}");
    }
    assert_eq!(rig.taken(), 4);
}

#[tokio::test]
async fn a_picture_neither_waits_for_a_stream_nor_asks_for_it() {
    let rig = rig(patient(60_000)).await;
    let mut events = rig.registry.watch();
    let told = tokio::time::timeout(Duration::from_secs(5), rig.get("/live/off.jpg")).await.expect("at once");
    assert_eq!(status(&told), "404");
    let _publisher = rig.publish("live/on");
    // The first thing that happens is not that somebody wanted the other.
    assert_eq!(events.next().await, Some(crate::stream::Event::Published(StreamKey::parse("live/on").unwrap())));
}

#[tokio::test]
async fn head_and_options() {
    let rig = rig_by_hand().await;
    let mut publisher = rig.publish("live/a");
    publisher.push(picture(1, true));
    let ask = async |method: &str| rig.send(format!("{method} /live/a.jpg HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).await;
    let head = ask("HEAD").await;
    assert!(status(&head) == "200" && head.to_lowercase().contains("content-length: 14\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let options = ask("OPTIONS").await;
    assert!(status(&options) == "204" && options.to_lowercase().contains("access-control-allow-methods: get, head, options"), "{options}");
    assert_eq!(status(&ask("POST").await), "405");
}

#[tokio::test]
async fn who_gets_none_is_told_why() {
    let rig = rig(patient(1500)).await;
    let _publisher = rig.publish("live/dark");
    let mut radio = rig.registry.publish(&StreamKey::parse("live/radio").unwrap(), source()).unwrap();
    radio.set_track(Track::Audio(AudioTrack { codec: AudioCodec::G711A, sample_rate: 8000, channels: 1 }));
    radio.push(Raw { kind: Kind::Audio, dts: Some(Timestamp::ZERO), pts: Timestamp::ZERO, key: true, data: Bytes::from_static(&[1; 160]) });
    let cases = [
        ("/live/nobody.jpg", "404", "nobody publishes live/nobody"),
        ("/live/radio.jpg", "415", "has no video"),
        ("/live/dark.jpg", "503", "no key frame"),
        ("/closed/a.jpg", "403", "signature"),
        ("/away/a.jpg", "503", "not now"),
        ("/live/dark.jpg?width=0", "400", "from 16 to 4096"),
        ("/live/dark.jpg?width=5000", "400", "from 16 to 4096"),
        ("/live/dark.jpg?width=wide", "400", "width=wide"),
        ("/live/a/b.jpg", "404", "/{app}/{stream}.jpg"),
        ("/live/%ff.jpg", "404", "/{app}/{stream}.jpg"),
    ];
    for (answer, (path, code, why)) in futures_util::future::join_all(cases.map(|(path, ..)| rig.get(path))).await.iter().zip(cases) {
        assert!(status(answer) == code && answer.contains(why), "{path}: {answer}");
    }
    assert_eq!(rig.taken(), 0);
}

#[tokio::test]
async fn who_leaves_takes_nothing_from_the_others() {
    let rig = rig_by_hand().await;
    let mut publisher = rig.publish("live/a");
    publisher.push(picture(1, true));
    let mut leaver = rig.connect().await;
    leaver.write_all(b"GET /live/a.jpg HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    while rig.taken() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(leaver);
    assert!(rig.get("/live/a.jpg").await.ends_with("picture 1 at 0"));
    // What is old is forgotten without a request.
    rig.clock.advance(Duration::from_secs(2));
    rig.http.kept().sweep();
    assert!(rig.http.kept().is_empty());
}

fn source() -> Source {
    Source { protocol: "test", peer: String::new(), session: SessionId(0) }
}
