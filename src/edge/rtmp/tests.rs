//! The edge over real loopback connections: publishers and players made of the client machine.

use super::*;
use crate::base::id::StreamKey;
use crate::container::flv::{Demuxer, Item};
use crate::media::frame::{Frame, Kind};
use crate::media::track::Track;
use crate::proto::rtmp::chunk::Limits;
use crate::proto::rtmp::{Client, ClientEvent, Role, Url};
use crate::runtime::clock::Clock;
use crate::stream::access::{self, Open};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMITS: Limits = Limits { message: 4 << 20, streams: 32, partial: 8 << 20 };

/// A server on port 0, everything else as in production.
struct Bench {
    parts: Parts,
    at: SocketAddr,
    tls: Option<SocketAddr>,
}

async fn bench(change: impl FnOnce(&mut Settings)) -> Bench {
    let tasks = Tasks::new();
    let clock = Clock::real();
    let streams = crate::stream::Settings { grace: Span::millis(0), ..Default::default() };
    let registry = Registry::new(streams, clock.clone(), &tasks);
    let sessions = Sessions::new(clock.clone());
    let pumps = Pumps::new(Default::default(), clock, &tasks);
    let open = access::Settings { open: vec!["live/*".to_owned()] };
    let parts = Parts { registry, sessions, pumps, access: Arc::new(Open::new(&open)), tasks };
    let mut settings = Settings { listen: "127.0.0.1:0".to_owned(), patience: Span::millis(300), ..Settings::default() };
    change(&mut settings);
    let listening = listen(&settings, parts.clone()).await.unwrap();
    Bench { parts, at: listening.plain.unwrap(), tls: listening.tls }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

struct Peer {
    socket: Box<dyn Stream>,
    client: Client,
    rest: Vec<u8>,
    demuxer: Demuxer,
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time")
}

impl Peer {
    async fn connect(at: SocketAddr, role: Role, name: &str) -> Peer {
        Peer::over(Box::new(TcpStream::connect(at).await.unwrap()), role, name)
    }

    fn over(socket: Box<dyn Stream>, role: Role, name: &str) -> Peer {
        let url = Url::parse(&format!("rtmp://127.0.0.1/{name}")).unwrap();
        Peer { socket, client: Client::new(url, role, LIMITS, 1), rest: Vec::new(), demuxer: Demuxer::new() }
    }

    /// The next event; `None` when the server closed.
    async fn next(&mut self) -> Option<ClientEvent> {
        within(async {
            loop {
                let mut input = &self.rest[..];
                let event = self.client.next(&mut input).unwrap();
                self.rest = input.to_vec();
                self.flush().await;
                if event.is_some() {
                    return event;
                }
                let mut buffer = vec![0; 65536];
                match self.socket.read(&mut buffer).await {
                    Ok(n) if n > 0 => self.rest.extend(&buffer[..n]),
                    _ => return None,
                }
            }
        })
        .await
    }

    async fn flush(&mut self) {
        let out = self.client.output();
        let _ = self.socket.write_all(&out).await;
        let _ = self.socket.flush().await;
    }

    async fn send(&mut self, kind: u8, time: u32, body: &[u8]) {
        self.client.send(kind, time, [body, &[]]);
        self.flush().await;
    }

    /// The tracks and frames of the next `count` frames.
    async fn frames(&mut self, count: usize) -> (Vec<Track>, Vec<Frame>) {
        let (mut tracks, mut frames) = (Vec::new(), Vec::new());
        while frames.len() < count {
            match self.next().await.expect("more frames") {
                ClientEvent::Media(m) => {
                    self.demuxer.push(m.kind, m.timestamp, &m.data).unwrap();
                    while let Some(item) = self.demuxer.pull() {
                        match item {
                            Item::Track(track) => tracks.push(track),
                            Item::Frame(frame) => frames.push(frame),
                        }
                    }
                }
                ClientEvent::Started => {}
                other => panic!("{other:?}"),
            }
        }
        (tracks, frames)
    }
}

const HEADER: &str = "17000000000142c00cffe100196742c00cd901419f9f011000000300100000030320f142a48001000568cb83cb20";

fn hexed(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

async fn publisher(bench: &Bench, name: &str) -> Peer {
    let mut peer = Peer::connect(bench.at, Role::Publish, name).await;
    assert_eq!(peer.next().await, Some(ClientEvent::Started));
    peer.send(9, 0, &hexed(HEADER)).await;
    peer.send(8, 0, &[0xaf, 0, 0x12, 0x10]).await;
    peer
}

async fn publish_frames(peer: &mut Peer, from: u32, count: u32) {
    for n in from..from + count {
        let (first, nal) = if n % 5 == 0 { (0x17, 0x65) } else { (0x27, 0x41) };
        peer.send(9, n * 40, &[first, 1, 0, 0, 0, 0, 0, 0, 3, nal, 0x88, n as u8]).await;
        peer.send(8, n * 40 + 1, &[0xaf, 1, n as u8, 2, 3]).await;
    }
}

async fn until(what: &str, mut check: impl FnMut() -> bool) {
    for _ in 0..500 {
        if check() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} never came true");
}

#[tokio::test]
async fn what_is_published_is_played() {
    let bench = bench(|_| {}).await;
    let key = StreamKey::parse("live/a").unwrap();
    let mut publisher = publisher(&bench, "live/a").await;
    publish_frames(&mut publisher, 0, 10).await;
    until("the stream is there", || bench.parts.registry.get(&key).is_some_and(|s| s.info().counts.audio_frames == 10)).await;
    let mut player = Peer::connect(bench.at, Role::Play, "live/a").await;
    assert_eq!(player.next().await, Some(ClientEvent::Started));
    // From the newest key frame on: frames 5 to 9, both kinds.
    let (tracks, frames) = player.frames(10).await;
    assert_eq!(tracks.len(), 2);
    assert!(frames[0].key && frames[0].kind == Kind::Video && frames[0].data[..] == [0, 0, 0, 3, 0x65, 0x88, 5]);
    let video: Vec<_> = frames.iter().filter(|f| f.kind == Kind::Video).collect();
    assert!(video.windows(2).all(|w| (w[1].dts - w[0].dts).as_millis() == 40));
    publish_frames(&mut publisher, 10, 1).await;
    let (_, more) = player.frames(1).await;
    assert_eq!(more[0].data[6], 10);
    let info = bench.parts.sessions.list();
    assert_eq!(info.len(), 2);
    publisher.client.stop();
    publisher.flush().await;
    loop {
        match player.next().await {
            Some(ClientEvent::Media(_)) => {}
            other => break assert_eq!(other, Some(ClientEvent::Ended)),
        }
    }
    until("all sessions are closed", || bench.parts.sessions.is_empty()).await;
    assert!(bench.parts.registry.get(&key).is_none());
}

#[tokio::test]
async fn a_player_waits_for_its_stream_and_is_told_when_it_does_not_come() {
    let bench = bench(|s| s.patience = Span::secs(10)).await;
    let mut player = Peer::connect(bench.at, Role::Play, "live/late?hevc=legacy").await;
    tokio::select! {
        event = player.next() => panic!("too early: {event:?}"),
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
    }
    let mut publisher = publisher(&bench, "live/late").await;
    publish_frames(&mut publisher, 0, 2).await;
    assert_eq!(player.frames(4).await.1.len(), 4);

    let bench = self::bench(|s| s.patience = Span::millis(50)).await;
    let mut player = Peer::connect(bench.at, Role::Play, "live/never").await;
    let Some(ClientEvent::Refused(why)) = player.next().await else { panic!() };
    assert!(why.starts_with("NetStream.Play.StreamNotFound"), "{why}");
    assert_eq!(player.next().await, None);
}

#[tokio::test]
async fn names_and_permissions_are_checked() {
    let bench = bench(|_| {}).await;
    let _first = publisher(&bench, "live/a").await;
    for (role, name, code) in [
        (Role::Publish, "live/a", "NetStream.Publish.BadName"),
        (Role::Publish, "closed/a", "NetStream.Publish.Denied"),
        (Role::Play, "closed/a", "NetStream.Play.Failed"),
        (Role::Publish, "live/a/b", "NetStream.Publish.BadName"),
        (Role::Play, "live/a b", "NetStream.Play.Failed"),
    ] {
        let mut peer = Peer::connect(bench.at, role, name).await;
        let Some(ClientEvent::Refused(why)) = peer.next().await else { panic!("{name}") };
        assert!(why.starts_with(code), "{name}: {why}");
        assert_eq!(peer.next().await, None, "closed");
    }
    until("only the first is left", || bench.parts.sessions.len() == 1).await;
}

#[tokio::test]
async fn hostile_and_silent_peers_lose_only_their_own_session() {
    let bench = bench(|s| {
        s.handshake = Span::millis(200);
        s.idle = Span::millis(400);
    })
    .await;
    // Another protocol, half a handshake, a handshake and then garbage, a publisher that falls silent.
    let mut http = TcpStream::connect(bench.at).await.unwrap();
    http.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut half = TcpStream::connect(bench.at).await.unwrap();
    half.write_all(&[3; 100]).await.unwrap();
    let mut garbage = TcpStream::connect(bench.at).await.unwrap();
    garbage.write_all(&[&[3][..], &[0; 3072], &[0xff; 2000]].concat()).await.unwrap();
    for (name, socket) in [("http", &mut http), ("half", &mut half), ("garbage", &mut garbage)] {
        let mut void = Vec::new();
        let closed = within(socket.read_to_end(&mut void)).await;
        assert!(closed.is_ok() || closed.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset), "{name}");
    }
    let mut silent = publisher(&bench, "live/silent").await;
    let Some(ClientEvent::Refused(why)) = silent.next().await else { panic!() };
    assert!(why.contains("silent"), "{why}");
    let mut broken = publisher(&bench, "live/broken").await;
    for n in 0..60 {
        broken.send(9, n, &[0x17, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1]).await;
    }
    let Some(ClientEvent::Refused(why)) = broken.next().await else { panic!() };
    assert!(why.contains("broken tags"), "{why}");
    let mut speex = publisher(&bench, "live/vp6").await;
    speex.send(9, 1, &[0x14, 1, 2, 3]).await;
    let Some(ClientEvent::Refused(why)) = speex.next().await else { panic!() };
    assert!(why.contains("VP6"), "{why}");
    until("all sessions are closed", || bench.parts.sessions.is_empty()).await;
    assert!(bench.parts.registry.is_empty());
}

#[tokio::test]
async fn a_kicked_publisher_and_a_stopping_server_say_goodbye() {
    let bench = bench(|_| {}).await;
    let mut peer = publisher(&bench, "live/a").await;
    let key = StreamKey::parse("live/a").unwrap();
    bench.parts.registry.get(&key).unwrap().eject(crate::base::error::End::Kicked("by the operator".to_owned()));
    let Some(ClientEvent::Refused(why)) = peer.next().await else { panic!() };
    assert!(why.contains("by the operator"), "{why}");
    let mut peer = publisher(&bench, "live/b").await;
    let mut player = Peer::connect(bench.at, Role::Play, "live/nobody").await;
    player.flush().await;
    let late = within(bench.parts.tasks.finish(Duration::from_secs(5))).await;
    assert_eq!(late, Vec::<&str>::new());
    assert!(matches!(peer.next().await, Some(ClientEvent::Refused(_))));
}

#[tokio::test]
async fn connections_are_limited_for_each_address() {
    let bench = bench(|s| s.max_per_address = 2).await;
    let _one = publisher(&bench, "live/a").await;
    let _two = publisher(&bench, "live/b").await;
    let mut three = TcpStream::connect(bench.at).await.unwrap();
    assert!(matches!(within(three.read(&mut [0])).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn rtmps_publishes_and_plays() {
    let folder = tempfile::tempdir().unwrap();
    let cert = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (pem, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&pem, cert.cert.pem()).unwrap();
    std::fs::write(&key, cert.signing_key.serialize_pem()).unwrap();
    let bench = bench(|s| {
        s.tls_listen = "127.0.0.1:0".to_owned();
        (s.tls_certificate, s.tls_key) = (pem, key);
    })
    .await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let secure = async || {
        let socket = TcpStream::connect(bench.tls.unwrap()).await.unwrap();
        Box::new(connector.connect("localhost".try_into().unwrap(), socket).await.unwrap())
    };
    let mut publisher = Peer::over(secure().await, Role::Publish, "live/a");
    assert_eq!(publisher.next().await, Some(ClientEvent::Started));
    publisher.send(9, 0, &hexed(HEADER)).await;
    publisher.send(8, 0, &[0xaf, 0, 0x12, 0x10]).await;
    publish_frames(&mut publisher, 0, 6).await;
    let mut player = Peer::over(secure().await, Role::Play, "live/a");
    let (tracks, frames) = player.frames(2).await;
    assert_eq!((tracks.len(), frames.len()), (2, 2));
    // A new picture size in mid-stream reaches the player with its header.
    let sps = hexed("67640028acd940780227e5c04400000fa40003a9803c60c658");
    let nals = [&[0, 0, 0, 25][..], &sps, &[0, 0, 0, 6], &hexed("68eae3cb22c0"), &[0, 0, 0, 2, 0x65, 0x88]].concat();
    publisher.send(9, 400, &[&[0x17, 1, 0, 0, 0][..], &nals].concat()).await;
    let widths = async {
        loop {
            let (tracks, _) = player.frames(1).await;
            if let Some(Track::Video(v)) = tracks.last() {
                break v.width;
            }
        }
    };
    assert_eq!(within(widths).await, 1920);
    drop(publisher);
    loop {
        match player.next().await {
            Some(ClientEvent::Media(_)) => {}
            other => break assert_eq!(other, Some(ClientEvent::Ended)),
        }
    }
}
