//! The server over real loopback sockets, on port 0.

mod past;
mod picture;

use super::*;
use crate::base::id::{SessionId, StreamKey};
use crate::container::flv;
use crate::container::m3u8::{Bounds, Segment, Window};
use crate::edge::net::pump;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::{Track, Tracks, VideoCodec, VideoTrack};
use crate::runtime::clock::Clock;
use crate::stream::access::{Answer, Ask, Denied, Grant};
use crate::stream::{Publisher, Raw, Source};
use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe9, 0x48, 0x28, 0x28, 0x2f];

/// `live/*` is open; `closed/*` needs `?auth_key=right`, `away/*` is unavailable.
struct Rules(Mutex<Vec<String>>);

impl Access for Rules {
    fn check<'a>(&'a self, ask: Ask<'a>) -> Answer<'a> {
        self.0.lock().unwrap().push(format!("{} {}?{}", ask.protocol, ask.path, ask.query));
        let answer = match ask.key.app() {
            "live" => Ok(Grant::default()),
            "closed" if ask.query.contains("auth_key=right") => Ok(Grant::default()),
            "away" => Err(Denied::Unavailable("not now".to_owned())),
            _ => Err(Denied::Forbidden("the signature is wrong".to_owned())),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// One window for every stream that is live.
struct Canned {
    registry: Registry,
    window: Mutex<Arc<Window>>,
}

impl Segments for Canned {
    fn first<'a>(&'a self, key: &'a StreamKey) -> Found<'a> {
        let found = match key.name() {
            _ if self.registry.get(key).is_none() => Err(Refusal::new(http::StatusCode::NOT_FOUND, "gone")),
            "av1" => Err(Refusal::new(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, "AV1 does not fit")),
            _ => Ok(self.window.lock().unwrap().clone()),
        };
        Box::pin(std::future::ready(found))
    }

    fn now(&self, key: &StreamKey) -> Option<Arc<Window>> {
        self.registry.get(key).map(|_| self.window.lock().unwrap().clone())
    }

    fn parts<'a>(&'a self, key: &'a StreamKey, _: Until) -> Listed<'a> {
        Box::pin(std::future::ready(Err(Refusal::new(http::StatusCode::NOT_FOUND, format!("{key} is not cut into parts")))))
    }

    fn prefers_parts(&self) -> bool {
        false
    }

    fn streams(&self) -> usize {
        1
    }
}

struct Rig {
    http: Http,
    painter: Arc<picture::Painter>,
    registry: Registry,
    sessions: Sessions,
    rules: Arc<Rules>,
    clock: Clock,
    ready: Arc<AtomicBool>,
    at: SocketAddr,
    tasks: Tasks,
}

async fn rig(settings: Settings) -> Rig {
    rig_with(settings, Clock::real(), None).await
}

async fn rig_with(settings: Settings, clock: Clock, tls: Option<tokio_rustls::TlsAcceptor>) -> Rig {
    let tasks = Tasks::new();
    let ring = crate::stream::Settings { grace: Span::millis(0), ..Default::default() };
    let registry = Registry::new(ring, clock.clone(), &tasks);
    let sessions = Sessions::new(clock.clone());
    let rules = Arc::new(Rules(Mutex::default()));
    let ready = Arc::new(AtomicBool::new(false));
    let bounds = Bounds { segment: Duration::from_secs(2), listed: 3, kept: 1, bytes: 1 << 20 };
    let mut window = Window::new(bounds, 10);
    let tracks = Tracks { video: Some(Arc::new(video(0))), audio: None };
    for n in 0..3u8 {
        let (bytes, duration) = (Bytes::from(vec![n; 1880]), Duration::from_secs(2));
        window.push(Segment { bytes, duration, wall: Timestamp::ZERO, discontinuity: false, independent: true, tracks: tracks.clone() });
    }
    let segments = Arc::new(Canned { registry: registry.clone(), window: Mutex::new(Arc::new(window)) });
    let is_ready = ready.clone();
    let painter = Arc::<picture::Painter>::default();
    let parts = Parts {
        registry: registry.clone(),
        sessions: sessions.clone(),
        pumps: Pumps::new(pump::Settings::default(), clock.clone(), &tasks),
        access: rules.clone(),
        segments: segments.clone(),
        ladder: Arc::new(Steps),
        pictures: painter.clone(),
        past: Arc::new(past::Canned),
        figures: Arc::new(|| vec![Figure { name: "weir_test", kind: "gauge", help: "Of another part.", value: 1.5 }]),
        calls: None,
        ready: Arc::new(move || if is_ready.load(Ordering::Relaxed) { Ok(()) } else { Err("rtmp is not open".to_owned()) }),
    };
    let http = Http::new(settings, parts, &tasks);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = Router::new().route("/api", get(|| async { "api" })).route("/echo", post(|body: Bytes| async move { body }));
    let fixed = Fixed::new().add(&["api", "echo"], router).add(PASTS, http.pasts());
    let early: Early = Arc::new(|path, refusal| {
        let answer = || http::Response::builder().status(refusal.status).body(format!("api: {}", refusal.status).into()).unwrap();
        (path == "/").then(answer)
    });
    let router = Suffixes::new().add("jpg", http.pictures()).add("mp4", http.films()).after(fixed);
    http.serve(listener, tls, Site { router, early });
    Rig { http, painter, registry, sessions, rules, clock, ready, at, tasks }
}

/// One rule, `sd`, of every stream.
struct Steps;

impl Ladder for Steps {
    fn rungs<'a>(&'a self, key: &'a StreamKey) -> Rungs<'a> {
        let key = StreamKey::new(key.app(), &format!("{}_sd", key.name())).unwrap();
        let rung = Rung { key, size: Some((160, 120)), fps: Some(10), bitrate: Some(100_000), stands_in: false };
        Box::pin(std::future::ready(Ok(vec![rung.clone(), Rung { stands_in: true, ..rung }])))
    }
}

fn video(mark: u8) -> VideoTrack {
    let codec = VideoCodec::H264 { sps: vec![Bytes::from_static(SPS)], pps: vec![Bytes::from(vec![0x68, 0xce, mark])] };
    VideoTrack { codec, width: 320, height: 240, fps: Some((25, 1)), reorder: Some(0) }
}

fn picture(n: i64, key: bool) -> Raw {
    let at = Timestamp::from_millis(n * 40);
    Raw { kind: Kind::Video, dts: Some(at), pts: at, key, data: Bytes::from(vec![0, 0, 0, 3, 0x65, n as u8, 1]) }
}

impl Rig {
    fn publish(&self, key: &str) -> Publisher {
        let source = Source { protocol: "test", peer: String::new(), session: SessionId(0) };
        let mut publisher = self.registry.publish(&StreamKey::parse(key).unwrap(), source).unwrap();
        publisher.set_track(Track::Video(video(0)));
        publisher
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).await.unwrap()
    }

    /// Sends these bytes and reads until the server closes.
    async fn send(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.write_all(bytes.as_ref()).await.unwrap();
        String::from_utf8_lossy(&rest(&mut client).await).into_owned()
    }

    async fn get(&self, path: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).await
    }
}

async fn rest(client: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset behind the answer is the end as well.
    let _ = tokio::time::timeout(Duration::from_secs(20), client.read_to_end(&mut bytes)).await.expect("the server closes in time");
    bytes
}

/// Reads up to the end of the head.
async fn head(client: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(tokio::time::timeout(Duration::from_secs(10), client.read_u8()).await.expect("in time").unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

/// Reads FLV until it has so many frames; returns their times in milliseconds.
async fn frames(client: &mut (impl AsyncReadExt + Unpin), demuxer: &mut Demuxer, n: usize) -> Vec<i64> {
    let mut times = Vec::new();
    let mut bytes = [0; 4096];
    while times.len() < n {
        let n = tokio::time::timeout(Duration::from_secs(10), client.read(&mut bytes)).await.expect("in time").unwrap();
        assert!(n > 0, "closed after {times:?}");
        take(&bytes[..n], demuxer, &mut times);
    }
    times
}

struct Demuxer(flv::Reader, flv::Demuxer);

impl Default for Demuxer {
    fn default() -> Demuxer {
        Demuxer(flv::Reader::new(1 << 20), flv::Demuxer::new())
    }
}

fn take(mut bytes: &[u8], Demuxer(reader, demuxer): &mut Demuxer, times: &mut Vec<i64>) {
    while let Some(tag) = reader.read(&mut bytes).unwrap() {
        demuxer.push(tag.kind, tag.timestamp, &tag.data).unwrap();
        while let Some(item) = demuxer.pull() {
            if let flv::Item::Frame(frame) = item {
                times.push(frame.pts.as_millis());
            }
        }
    }
}

const UPGRADE: &str = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn flv_starts_with_the_cache_and_ends_with_the_stream() {
    let rig = rig(Settings::default()).await;
    let mut publisher = rig.publish("live/a");
    (0..3).for_each(|n| publisher.push(picture(n, n == 0)));
    let mut client = rig.connect().await;
    client.write_all(b"GET /live/a.flv?x=y HTTP/1.1\r\nHost: h\r\nOrigin: http://page\r\n\r\n").await.unwrap();
    let answer = head(&mut client).await;
    for part in ["HTTP/1.1 200 OK\r\n", "content-type: video/x-flv\r\n", "Connection: close\r\n", "access-control-allow-origin: *\r\n"] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    assert!(!answer.to_lowercase().contains("chunked") && !answer.to_lowercase().contains("\ncontent-length"), "{answer}");
    let mut demuxer = Demuxer::default();
    assert_eq!(frames(&mut client, &mut demuxer, 3).await, [0, 40, 80]);
    publisher.push(picture(3, false));
    assert_eq!(frames(&mut client, &mut demuxer, 1).await, [120]);
    assert_eq!(rig.registry.list()[0].viewers(), 1);
    assert_eq!((rig.sessions.list()[0].protocol, rig.http.limits().now()), ("flv", 1));
    drop(publisher);
    assert_eq!(rest(&mut client).await, b"");
    assert!(rig.sessions.is_empty());
    assert_eq!(rig.http.limits().now(), 0);
    assert_eq!(rig.rules.0.lock().unwrap()[..], ["flv /live/a.flv?x=y"]);
}

#[tokio::test]
async fn websocket_frames_hold_whole_tags_and_pings_are_answered() {
    let rig = rig(Settings::default()).await;
    let mut publisher = rig.publish("live/a");
    publisher.push(picture(0, true));
    let (mut socket, response) = tokio_tungstenite::client_async("ws://h/live/a.flv", rig.connect().await).await.unwrap();
    assert_eq!(response.status(), 101);
    let (mut demuxer, mut times, mut pong) = (Demuxer::default(), Vec::new(), false);
    socket.send(Message::Ping(Bytes::from_static(b"hello"))).await.unwrap();
    socket.send(Message::text("nobody reads this")).await.unwrap();
    for n in 1..30 {
        publisher.push(picture(n, false));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    while times.len() < 30 || !pong {
        match next(&mut socket).await {
            Message::Binary(bytes) => take(&bytes, &mut demuxer, &mut times),
            Message::Pong(bytes) => pong = bytes == "hello",
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(times, (0..30).map(|n| n * 40).collect::<Vec<i64>>());
    drop(publisher);
    assert!(matches!(next(&mut socket).await, Message::Close(Some(frame)) if u16::from(frame.code) == 1000));
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Message {
    tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("in time").expect("a message").unwrap()
}

#[tokio::test]
async fn raw_websocket_violations_end_only_that_player() {
    let rig = rig(Settings::default()).await;
    let mut publisher = rig.publish("live/a");
    publisher.push(picture(0, true));
    // Unmasked, fragmented ping, lone continuation; the first comes right behind the handshake.
    for bytes in [&[0x82, 1, 9][..], &[0x09, 0x80, 1, 2, 3, 4], &[0x80, 0x80, 1, 2, 3, 4]] {
        let mut client = rig.connect().await;
        let request = [b"GET /live/a.flv HTTP/1.1\r\n", UPGRADE.as_bytes(), bytes].concat();
        client.write_all(&request).await.unwrap();
        assert!(head(&mut client).await.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        client.write_all(&[0x8a, 0x80, 1, 2, 3, 4]).await.unwrap();
        let sent = rest(&mut client).await;
        assert!(sent.ends_with(&[0x88, 2, 3, 0xea]), "1002 is told: {:?}", &sent[sent.len().saturating_sub(8)..]);
    }
    let failed = |rig: &Rig| rig.sessions.sums().iter().find(|s| s.protocol == "ws-flv").map(|s| (s.live, s.blamed));
    assert_eq!(failed(&rig), Some((0, [3, 0, 0])));
    // A close is echoed.
    let mut client = rig.connect().await;
    client.write_all([b"GET /live/a.flv HTTP/1.1\r\n", UPGRADE.as_bytes()].concat().as_slice()).await.unwrap();
    head(&mut client).await;
    client.write_all(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]).await.unwrap();
    assert!(rest(&mut client).await.ends_with(&[0x88, 2, 3, 0xe8]));
    assert_eq!(failed(&rig), Some((0, [3, 0, 0])));
}

#[tokio::test]
async fn wrong_handshakes_are_told() {
    let rig = rig(Settings::default()).await;
    let _publisher = rig.publish("live/a");
    let old = UPGRADE.replace("Version: 13", "Version: 8");
    let answer = rig.send(format!("GET /live/a.flv HTTP/1.1\r\n{old}")).await;
    assert!(answer.starts_with("HTTP/1.1 426 ") && answer.contains("sec-websocket-version: 13\r\n"), "{answer}");
    let short = UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhl");
    assert!(rig.send(format!("GET /live/a.flv HTTP/1.1\r\n{short}")).await.starts_with("HTTP/1.1 400 "));
    assert!(rig.send(format!("POST /live/a.flv HTTP/1.1\r\n{UPGRADE}")).await.starts_with("HTTP/1.1 405 "));
}

#[tokio::test]
async fn refusals_have_a_status_and_a_sentence() {
    let rig = rig(Settings { patience: Span::millis(100), ..Settings::default() }).await;
    let _publisher = rig.publish("closed/a");
    let cases = [
        ("/closed/a.flv", "HTTP/1.1 403 ", "the signature is wrong\n"),
        ("/live/none.flv", "HTTP/1.1 404 ", "nobody publishes live/none\n"),
        ("/away/a.flv", "HTTP/1.1 503 ", "not now\n"),
        ("/live/none.m3u8", "HTTP/1.1 404 ", "nobody publishes live/none\n"),
        ("/closed/a.m3u8", "HTTP/1.1 403 ", "the signature is wrong\n"),
        ("/live/a.flv?hevc=maybe", "HTTP/1.1 400 ", "hevc=maybe: enhanced or legacy\n"),
        ("/live/a.flv?start=then", "HTTP/1.1 400 ", "start=then: key or live\n"),
    ];
    for (path, status, body) in cases {
        let answer = rig.get(path).await;
        assert!(answer.starts_with(status) && answer.ends_with(body), "{path}: {answer}");
        assert!(answer.contains("access-control-allow-origin: *\r\n"), "{answer}");
        assert_eq!(answer.contains("retry-after"), status.contains("503"), "{answer}");
    }
    let json = rig.send("GET /closed/a.flv HTTP/1.1\r\nAccept: application/json\r\n\r\n").await;
    assert!(json.ends_with("{\"error\":\"the signature is wrong\",\"status\":403}\n"), "{json}");
    let head = rig.send("HEAD /closed/a.flv HTTP/1.1\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 403 ") && head.ends_with("\r\n\r\n"), "{head}");
    let head = rig.send("HEAD /closed/a.flv?auth_key=right HTTP/1.1\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("video/x-flv") && head.ends_with("\r\n\r\n"), "{head}");
    let options = rig.send("OPTIONS /live/a.flv HTTP/1.1\r\nOrigin: http://p\r\n\r\n").await;
    assert!(options.starts_with("HTTP/1.1 204 ") && options.contains("access-control-allow-methods: GET, HEAD, OPTIONS"), "{options}");
    assert!(rig.send("DELETE /live/a.flv HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
    assert!(rig.sessions.is_empty());
}

#[tokio::test]
async fn a_player_waits_for_its_stream_and_may_leave_meanwhile() {
    let rig = rig(Settings::default()).await;
    let mut impatient = rig.connect().await;
    impatient.write_all(b"GET /live/b.flv HTTP/1.1\r\n\r\n").await.unwrap();
    let mut patient = rig.connect().await;
    patient.write_all(b"GET /live/a.flv HTTP/1.1\r\n\r\n").await.unwrap();
    while rig.registry.wanted_now().len() < 2 {
        tokio::task::yield_now().await;
    }
    drop(impatient);
    while rig.registry.wanted_now().len() > 1 {
        tokio::task::yield_now().await;
    }
    let mut publisher = rig.publish("live/a");
    publisher.push(picture(0, true));
    assert!(head(&mut patient).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(frames(&mut patient, &mut Demuxer::default(), 1).await, [0]);
    assert_eq!(rig.sessions.sums().iter().map(|s| s.blamed).collect::<Vec<_>>(), [[0; 3]; 2]);
}

#[tokio::test]
async fn ordinary_requests_share_a_connection_and_come_in_a_row() {
    let rig = rig(Settings::default()).await;
    let pipelined = "GET /api HTTP/1.1\r\nHost: h\r\n\r\nPOST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = rig.send(pipelined).await;
    let places: Vec<_> = ["\r\n\r\napi", "\r\n\r\nhello", "\r\n\r\nok\n"].iter().map(|part| answer.find(part).expect(part)).collect();
    assert!(places.is_sorted(), "{answer}");
    assert!(rig.get("/nothing").await.starts_with("HTTP/1.1 404 "));
    // HTTP/1.0 without a word about keeping the connection: it is closed.
    assert!(rig.send("GET /api HTTP/1.0\r\n\r\n").await.ends_with("api"));
}

#[tokio::test]
async fn streams_play_on_connections_that_served_something_else_before() {
    let rig = rig(Settings::default()).await;
    let mut publisher = rig.publish("live/a");
    publisher.push(picture(0, true));
    let warm = b"GET /api HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut client = rig.connect().await;
    client.write_all(warm).await.unwrap();
    head(&mut client).await;
    let mut api = [0; 3];
    client.read_exact(&mut api).await.unwrap();
    // HTTP/1.0 so that the body is plain: hyper would make chunks of it.
    client.write_all(b"GET /live/a.flv HTTP/1.0\r\n\r\n").await.unwrap();
    assert!(head(&mut client).await.contains("content-type: video/x-flv\r\n"));
    let mut demuxer = Demuxer::default();
    assert_eq!(frames(&mut client, &mut demuxer, 1).await, [0]);
    publisher.push(picture(1, false));
    assert_eq!(frames(&mut client, &mut demuxer, 1).await, [40]);

    let mut client = rig.connect().await;
    client.write_all(warm).await.unwrap();
    head(&mut client).await;
    client.read_exact(&mut api).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async("ws://h/live/a.flv", client).await.unwrap();
    let (mut demuxer, mut times) = (Demuxer::default(), Vec::new());
    while times.len() < 2 {
        if let Message::Binary(bytes) = next(&mut socket).await {
            take(&bytes, &mut demuxer, &mut times);
        }
    }
    assert_eq!(rig.registry.list()[0].viewers(), 2);
    drop(publisher);
    assert!(matches!(next(&mut socket).await, Message::Close(Some(_))));
    while !rig.sessions.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn slow_and_large_and_broken_heads_lose_their_connection_and_nobody_else_notices() {
    let rig = rig(Settings { head_time: Span::millis(300), ..Settings::default() }).await;
    let mut publisher = rig.publish("live/a");
    publisher.push(picture(0, true));
    let mut player = rig.connect().await;
    player.write_all(b"GET /live/a.flv HTTP/1.1\r\n\r\n").await.unwrap();
    head(&mut player).await;
    // A byte now and then.
    let mut slow = rig.connect().await;
    for byte in b"GET /api HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
        if slow.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answer = String::from_utf8_lossy(&rest(&mut slow).await).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // Silence.
    assert_eq!(rest(&mut rig.connect().await).await, b"");
    // The second request of a connection is no better than the first.
    let mut client = rig.connect().await;
    client.write_all(b"GET /api HTTP/1.1\r\nHost: h\r\n\r\nGET /api HT").await.unwrap();
    assert!(String::from_utf8_lossy(&rest(&mut client).await).contains("api"));
    for (bytes, status) in [
        (format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(20_000)), "HTTP/1.1 431 "),
        (format!("GET /{}", "a".repeat(20_000)), "HTTP/1.1 431 "),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200)), "HTTP/1.1 431 "),
        ("\x16\x03\x01\x02 no TLS here".to_owned(), "HTTP/1.1 400 "),
        ("GET / HTTP/3\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        ("GET /live/a.flv HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
    ] {
        let answer = rig.send(&bytes).await;
        assert!(answer.starts_with(status), "{} -> {answer}", &bytes[..20]);
    }
    publisher.push(picture(1, false));
    assert_eq!(frames(&mut player, &mut Demuxer::default(), 2).await, [0, 40]);
    let broke = rig.sessions.sums().iter().find(|s| s.protocol == "http").map(|s| s.blamed[0]);
    assert!(broke >= Some(7), "{broke:?}");
}

/// Whatever is wrong with a head, and however often the connection was used before: there is a body, and it says so in the words
/// of whom the path belongs to.
#[tokio::test]
async fn early_refusals_have_a_body_on_kept_connections_too() {
    let rig = rig(Settings::default()).await;
    let warm = "GET /api HTTP/1.1\r\nHost: h\r\n\r\n";
    let body = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
    let cases = [
        (format!("GET /?Action=A&Name={} HTTP/1.1\r\n\r\n", "%E8".repeat(9_000)), "431", "api: 431 "),
        (format!("GET /?{}", "a".repeat(100_000)), "431", "api: 431 "),
        (format!("POST / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(80)), "431", "api: 431 "),
        ("POST / HTTP/1.1\r\nContent-Length: five\r\n\r\n".to_owned(), "400", "api: 400 "),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), "400", "api: 400 "),
        (format!("GET /live/{} HTTP/1.1\r\n\r\n", "a".repeat(20_000)), "431", "the request's head is too large"),
        ("POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), "400", "Transfer-Encoding must be chunked"),
    ];
    for before in ["", warm, body] {
        for (request, status, said) in &cases {
            let mut client = rig.connect().await;
            if !before.is_empty() {
                client.write_all(before.as_bytes()).await.unwrap();
                assert!(head(&mut client).await.starts_with("HTTP/1.1 200 "));
                let mut bytes = vec![0; if before == warm { 3 } else { 5 }];
                client.read_exact(&mut bytes).await.unwrap();
            }
            client.write_all(request.as_bytes()).await.unwrap();
            let answer = String::from_utf8_lossy(&rest(&mut client).await).into_owned();
            let (start, told) = (answer.starts_with(&format!("HTTP/1.1 {status} ")), answer.contains(&format!("\r\n\r\n{said}")));
            assert!(start && told, "{before:?} {} -> {answer:?}", &request[..20]);
        }
    }
    // A body that says itself where it ends is read as ever, and is the last one.
    let chunked = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let answer = rig.send(format!("{warm}{chunked}")).await;
    assert!(answer.contains("\r\n\r\nabcde") && answer.contains("connection: close"), "{answer}");
    // An upgrade that nobody wants is an ordinary request.
    let answer = rig.send(format!("GET /api HTTP/1.1\r\n{UPGRADE}")).await;
    assert!(answer.ends_with("api"), "{answer}");
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let rig = rig(Settings { body_max: Size(1000), body_time: Span::millis(200), ..Settings::default() }).await;
    let post = |len: usize, sent: usize| {
        format!("POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{}", "x".repeat(sent))
    };
    assert!(rig.send(post(900, 900)).await.starts_with("HTTP/1.1 200 "));
    assert!(rig.send(post(1100, 1100)).await.starts_with("HTTP/1.1 4"));
    assert!(rig.send(post(900, 10)).await.starts_with("HTTP/1.1 4"));
}

#[tokio::test]
async fn connections_are_limited_overall_and_from_one_address() {
    let rig = rig(Settings { connections_per_address: 2, ..Settings::default() }).await;
    let (_one, two) = (rig.connect().await, rig.connect().await);
    while rig.http.limits().now() < 2 {
        tokio::task::yield_now().await;
    }
    let answer = String::from_utf8_lossy(&rest(&mut rig.connect().await).await).into_owned();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after") && answer.contains("Content-Length: 28"), "{answer}");
    drop(two);
    while rig.http.limits().now() > 1 {
        tokio::task::yield_now().await;
    }
    assert!(rig.get("/api").await.ends_with("api"));
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let rig = rig(Settings { metrics_streams: true, ..Settings::default() }).await;
    let mut publisher = rig.publish("live/a");
    publisher.push(picture(0, true));
    assert!(rig.get("/healthz").await.ends_with("\r\n\r\nok\n"));
    let answer = rig.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("rtmp is not open\n"), "{answer}");
    rig.ready.store(true, Ordering::Relaxed);
    assert!(rig.get("/readyz").await.starts_with("HTTP/1.1 200 "));
    let mut client = rig.connect().await;
    client.write_all(b"GET /live/a.flv HTTP/1.1\r\n\r\n").await.unwrap();
    frames(&mut client, &mut Demuxer::default(), 0).await;
    head(&mut client).await;
    let metrics = rig.get("/metrics").await;
    for line in [
        "weir_sessions{protocol=\"flv\",role=\"play\"} 1",
        "weir_streams{state=\"live\"} 1",
        "weir_viewers 1",
        "weir_http_connections 2",
        "weir_live_timestamp_repairs{cause=\"rollback\"} 0",
        "weir_stream_viewers{stream=\"live/a\"} 1",
        "weir_stream_frames_total{stream=\"live/a\"} 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} in {metrics}");
    }
    // Every sample belongs to the head above it, as scrapers demand.
    let body = metrics.split_once("\r\n\r\n").unwrap().1;
    let mut current = "";
    for line in body.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(head) => current = head.split(' ').next().unwrap(),
            None if line.starts_with('#') => {}
            None => assert_eq!(line.split(['{', ' ']).next(), Some(current), "{line}"),
        }
    }
}

#[tokio::test]
async fn hls_players_have_sessions_by_token() {
    let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
    let rig = rig_with(Settings::default(), clock, None).await;
    let _publisher = rig.publish("closed/a b".replace(' ', "-").as_str());
    let master = rig.get("/closed/a-b.m3u8?auth_key=right").await;
    assert!(master.starts_with("HTTP/1.1 200 ") && master.contains("content-type: application/vnd.apple.mpegurl\r\n"), "{master}");
    let body = master.split_once("\r\n\r\n").unwrap().1;
    let parsed = hls_m3u8::MasterPlaylist::try_from(body).unwrap();
    assert_eq!(parsed.variant_streams.len(), 1);
    assert!(body.contains("RESOLUTION=320x240") && body.contains("CODECS=\"avc1.42c01f\""), "{body}");
    let media = body.lines().find(|l| l.starts_with("a-b.m3u8?hls=")).unwrap();
    let token = media.split_once('=').unwrap().1.to_owned();
    let playlist = rig.get(&format!("/closed/{media}")).await;
    let text = playlist.split_once("\r\n\r\n").unwrap().1;
    let parsed = hls_m3u8::MediaPlaylist::try_from(text).unwrap();
    assert_eq!((parsed.media_sequence, parsed.segments.num_elements()), (10, 3));
    let uri = parsed.segments.values().next().unwrap().uri().to_string();
    assert_eq!(uri, format!("a-b/10.ts?hls={token}"));
    let segment = rig.get(&format!("/closed/{uri}")).await;
    assert!(
        segment.starts_with("HTTP/1.1 200 ")
            && segment.contains("content-type: video/mp2t\r\n")
            && segment.contains("content-length: 1880\r\n")
    );
    let part = rig.send(format!("GET /closed/{uri} HTTP/1.1\r\nHost: h\r\nRange: bytes=0-187\r\nConnection: close\r\n\r\n")).await;
    assert!(part.starts_with("HTTP/1.1 206 ") && part.contains("content-range: bytes 0-187/1880\r\n"), "{part}");
    let head = rig.send(format!("HEAD /closed/{uri} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).await;
    assert!(head.contains("content-length: 1880\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!((rig.registry.list()[0].viewers(), rig.sessions.list()[0].wrote), (1, 1880 + 188));

    // The token opens nothing else, and nothing opens without it.
    let _other = rig.publish("closed/b");
    let forged = token.replacen(|c: char| c != 'f', "f", 1);
    for path in [
        "/closed/a-b/10.ts".to_owned(),
        format!("/closed/a-b/10.ts?hls={forged}"),
        format!("/closed/b/10.ts?hls={token}"),
        format!("/closed/b.m3u8?hls={token}"),
        "/closed/a-b.m3u8?hls=&auth_key=right".to_owned(),
    ] {
        assert!(rig.get(&path).await.starts_with("HTTP/1.1 403 "), "{path}");
    }
    assert!(rig.get(&format!("/closed/a-b/99.ts?hls={token}")).await.starts_with("HTTP/1.1 404 "));
    assert!(rig.send(format!("POST /closed/{uri} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).await.starts_with("HTTP/1.1 405 "));

    // Seen now and then it lives on; not seen for too long it expires, and stops being a viewer.
    for _ in 0..3 {
        rig.clock.advance(Duration::from_secs(9));
        assert!(rig.get(&format!("/closed/{media}")).await.starts_with("HTTP/1.1 200 "));
    }
    rig.clock.advance(Duration::from_secs(11));
    assert!(rig.get(&format!("/closed/{uri}")).await.starts_with("HTTP/1.1 403 "));
    while !rig.sessions.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.registry.list().iter().map(|s| s.viewers()).sum::<u32>(), 0);
    assert_eq!(rig.rules.0.lock().unwrap().iter().filter(|ask| ask.starts_with("hls ")).count(), 1, "asked once for each session");
}

#[tokio::test]
async fn kicked_and_too_many_hls_players_are_refused() {
    let rig = rig(Settings { hls_players: 1, ..Settings::default() }).await;
    let _publisher = rig.publish("live/a");
    let master = rig.get("/live/a.m3u8").await;
    let media = master.lines().find(|l| l.starts_with("a.m3u8?hls=")).unwrap().to_owned();
    assert!(rig.get("/live/a.m3u8").await.starts_with("HTTP/1.1 503 "));
    let head = rig.send("HEAD /live/a.m3u8 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "looking does not count: {head}");
    assert_eq!(rig.sessions.kick_all("enough", |s| s.protocol == "hls"), 1);
    assert!(rig.get(&format!("/live/{media}")).await.starts_with("HTTP/1.1 403 "));
    let _av1 = rig.publish("live/av1");
    assert!(rig.get("/live/av1.m3u8").await.starts_with("HTTP/1.1 415 "));
    let options = rig.send("OPTIONS /live/a.m3u8 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(options.starts_with("HTTP/1.1 204 "), "{options}");
}

#[tokio::test]
async fn an_hls_player_follows_its_stream_over_a_restart() {
    let rig = rig(Settings::default()).await;
    let publisher = rig.publish("live/a");
    let master = rig.get("/live/a.m3u8").await;
    let media = master.lines().find(|l| l.starts_with("a.m3u8?hls=")).unwrap().to_owned();
    drop(publisher);
    assert!(rig.registry.is_empty());
    assert!(rig.get(&format!("/live/{media}")).await.starts_with("HTTP/1.1 404 "));
    let _again = rig.publish("live/a");
    assert!(rig.get(&format!("/live/{media}")).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(rig.registry.list()[0].viewers(), 1);
}

#[tokio::test]
async fn https_plays_everything() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let told = crate::edge::net::acceptor(&key, &chain).err().unwrap();
    assert!(told.contains("key.pem"), "{told}");
    let acceptor = crate::edge::net::acceptor(&chain, &key).unwrap();
    let rig = rig_with(Settings { head_time: Span::millis(500), ..Settings::default() }, Clock::real(), Some(acceptor)).await;
    let mut publisher = rig.publish("live/a");
    publisher.push(picture(0, true));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let connect = || async { connector.connect("localhost".try_into().unwrap(), rig.connect().await).await.unwrap() };

    let mut client = connect().await;
    client.write_all(b"GET /live/a.flv HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(head(&mut client).await.contains("Connection: close\r\n"));
    let mut demuxer = Demuxer::default();
    assert_eq!(frames(&mut client, &mut demuxer, 1).await, [0]);
    let (mut socket, _) = tokio_tungstenite::client_async("wss://localhost/live/a.flv", connect().await).await.unwrap();
    publisher.push(picture(1, false));
    assert_eq!(frames(&mut client, &mut demuxer, 1).await, [40]);
    socket.send(Message::Ping(Bytes::from_static(b"x"))).await.unwrap();
    let (mut demuxer, mut times, mut pong) = (Demuxer::default(), Vec::new(), false);
    while times.len() < 2 || !pong {
        match tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("in time").unwrap().unwrap() {
            Message::Binary(bytes) => take(&bytes, &mut demuxer, &mut times),
            other => pong |= other == Message::Pong(Bytes::from_static(b"x")),
        }
    }
    let mut api = connect().await;
    api.write_all(b"GET /api HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut api).await.ends_with(b"api"));
    // Who does not speak TLS, or says nothing, is dropped.
    assert!(rig.send("GET / HTTP/1.1\r\n\r\n").await.is_empty() || rig.sessions.sums().iter().any(|s| s.blamed[0] > 0));
    assert_eq!(rest(&mut rig.connect().await).await, b"");
    drop(publisher);
    assert_eq!(rest(&mut client).await, b"", "closed in order");
}

#[tokio::test]
async fn a_stopping_server_ends_players_and_says_so_to_those_that_ask() {
    let rig = rig(Settings::default()).await;
    let mut publisher = rig.publish("live/a");
    publisher.push(picture(0, true));
    let mut player = rig.connect().await;
    player.write_all(b"GET /live/a.flv HTTP/1.1\r\n\r\n").await.unwrap();
    head(&mut player).await;
    let mut waiting = rig.connect().await;
    waiting.write_all(b"GET /live/b.flv HTTP/1.1\r\n\r\n").await.unwrap();
    while rig.registry.wanted_now().is_empty() {
        tokio::task::yield_now().await;
    }
    let idle = rig.connect().await;
    assert_eq!(rig.tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
    rest(&mut player).await;
    let answer = String::from_utf8_lossy(&rest(&mut waiting).await).into_owned();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 3\r\n"), "{answer}");
    drop(idle);
    assert!(rig.sessions.is_empty());
}
