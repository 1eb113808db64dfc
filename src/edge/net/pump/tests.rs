//! The pump over real loopback sockets, in manual media time.

use super::*;
use crate::base::error::End;
use crate::base::id::{SessionId, StreamKey};
use crate::edge::session::{Role, Sessions};
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track};
use crate::stream::{Class, Publisher, Raw, Registry, Slot, Source, Start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// `H` once, `A` before a unit with a new track, then each unit's bytes.
struct Plain;

impl Format for Plain {
    fn head(&self, _: &Unit) -> Bytes {
        Bytes::from_static(b"H")
    }
    fn announce(&self, _: &Unit) -> Bytes {
        Bytes::from_static(b"A")
    }
    fn tracks(&self, _: &Unit) -> Bytes {
        Bytes::from_static(b"T")
    }
    fn unit<'a>(&self, unit: &'a Unit) -> &'a Bytes {
        unit.view(Slot::FlvTag, |unit| unit.frame.data.clone())
    }
    fn end(&self) -> Bytes {
        Bytes::from_static(b"E")
    }
}

struct Rig {
    registry: Registry,
    pumps: Pumps,
    sessions: Sessions,
    publisher: Option<Publisher>,
    listener: TcpListener,
    format: Arc<dyn Format>,
    tasks: Tasks,
    pushed: i64,
}

async fn rig(settings: Settings) -> Rig {
    rig_with(settings, crate::stream::Settings::default()).await
}

async fn rig_with(settings: Settings, ring: crate::stream::Settings) -> Rig {
    let (clock, tasks) = (Clock::real(), Tasks::new());
    let ring = crate::stream::Settings { grace: Span::millis(0), ..ring };
    let registry = Registry::new(ring, clock.clone(), &tasks);
    let key = StreamKey::parse("live/a").unwrap();
    let mut publisher = registry.publish(&key, Source { protocol: "test", peer: String::new(), session: SessionId(0) }).unwrap();
    publisher.set_track(Track::Audio(AudioTrack { codec: AudioCodec::G711A, sample_rate: 8000, channels: 1 }));
    Rig {
        registry,
        pumps: Pumps::new(settings, clock.clone(), &tasks),
        sessions: Sessions::new(clock),
        publisher: Some(publisher),
        listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        format: Arc::new(Plain),
        tasks,
        pushed: 0,
    }
}

impl Rig {
    fn push(&mut self, data: impl Into<Bytes>) {
        let at = Timestamp::from_millis(self.pushed * 20);
        self.pushed += 1;
        let raw = Raw { kind: Kind::Audio, dts: Some(at), pts: at, key: true, data: data.into() };
        self.publisher.as_mut().unwrap().push(raw);
    }

    async fn player(&self, inbound: Option<Box<dyn Inbound>>) -> TcpStream {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).await.unwrap();
        let (socket, peer) = self.listener.accept().await.unwrap();
        let key = StreamKey::parse("live/a").unwrap();
        let subscriber = self.registry.subscribe(&key, Class::Viewer, Start::Key).unwrap();
        let session = self.sessions.open("test", peer);
        session.begin(Role::Play, &key);
        let format = self.format.clone();
        self.pumps.play(Viewer { subscriber, socket, session, format, inbound, first: Bytes::from_static(b"F"), keep: None });
        client
    }
}

async fn read(client: &mut TcpStream, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    tokio::time::timeout(std::time::Duration::from_secs(10), client.read_exact(&mut bytes)).await.expect("in time").unwrap();
    bytes
}

#[tokio::test]
async fn everybody_gets_everything_from_its_first_unit_to_the_end() {
    for merge in [0, 20] {
        let mut rig = rig(Settings { merge: Span::millis(merge), ..Settings::default() }).await;
        rig.push("one.");
        let mut early = rig.player(None).await;
        assert_eq!(read(&mut early, 6).await, b"FHone.");
        rig.push("two.");
        assert_eq!(read(&mut early, 4).await, b"two.");
        let mut late = rig.player(None).await;
        rig.push("three.");
        rig.push("four.");
        assert_eq!(read(&mut late, 17).await, b"FHtwo.three.four.");
        assert_eq!(read(&mut early, 11).await, b"three.four.");
        let changed = AudioTrack { codec: AudioCodec::G711U, sample_rate: 8000, channels: 1 };
        rig.publisher.as_mut().unwrap().set_track(Track::Audio(changed));
        rig.push("five.");
        assert_eq!(read(&mut early, 6).await, b"Afive.");
        assert_eq!(read(&mut late, 6).await, b"Afive.");
        rig.publisher = None;
        for mut client in [early, late] {
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"E");
        }
        assert!(rig.sessions.is_empty());
        assert!(rig.registry.is_empty());
    }
}

#[tokio::test]
async fn a_full_socket_holds_up_nobody_and_loses_nothing_while_the_ring_has_it() {
    let mut rig = rig(Settings::default()).await;
    let (mut slow, mut quick) = (rig.player(None).await, rig.player(None).await);
    let mut expected = b"FH".to_vec();
    for n in 0..40 {
        let data = vec![n; 200_000];
        expected.extend_from_slice(&data);
        rig.push(data);
        let len = if n == 0 { 200_002 } else { 200_000 };
        read(&mut quick, len).await;
    }
    assert_eq!(read(&mut slow, expected.len()).await, expected);
    rig.push("level.");
    assert_eq!(read(&mut slow, 6).await, b"level.");
}

/// `H` once, `T` after a skip: the unit that announced the new track may be among those that were skipped.
#[tokio::test]
async fn a_player_that_skipped_gets_the_headers_of_the_tracks_anew() {
    let mut rig = rig_with(Settings::default(), crate::stream::Settings { ring_frames: 16, ..Default::default() }).await;
    rig.push("one.");
    let mut player = rig.player(None).await;
    assert_eq!(read(&mut player, 6).await, b"FHone.");
    let changed = AudioTrack { codec: AudioCodec::G711U, sample_rate: 8000, channels: 1 };
    rig.publisher.as_mut().unwrap().set_track(Track::Audio(changed));
    // One thread: the pump does not run before all of them are in the ring, whose 16 places the first ones have lost.
    for n in 10..50 {
        rig.push(format!("{n}."));
    }
    let got = read(&mut player, 4).await;
    assert_eq!(got[0], b'T', "{:?}", String::from_utf8_lossy(&got));
    rig.push("end.");
    let mut last = got;
    while !last.ends_with(b"end.") {
        last.extend(read(&mut player, 1).await);
    }
    assert_eq!(last.iter().filter(|b| **b == b'T').count(), 1, "{:?}", String::from_utf8_lossy(&last));
}

#[tokio::test]
async fn a_player_that_takes_nothing_is_closed() {
    let mut rig = rig(Settings { stall: Span::millis(200), ..Settings::default() }).await;
    let _stalled = rig.player(None).await;
    for _ in 0..30 {
        rig.push(vec![0; 500_000]);
    }
    let gone = async {
        while !rig.sessions.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.expect("closed in time");
    assert_eq!(rig.sessions.sums()[0].blamed, [1, 0, 0]);
    assert_eq!(rig.registry.list()[0].viewers(), 0);
}

struct Echo;

impl Inbound for Echo {
    fn input(&mut self, bytes: &[u8]) -> Input {
        match bytes {
            b"" => Input::Continue,
            b"bye" => Input::Close(End::PeerClosed),
            b"pause" => Input::Pause(true),
            b"go" => Input::Pause(false),
            other => Input::Reply(Bytes::copy_from_slice(other)),
        }
    }
}

#[tokio::test]
async fn what_a_player_sends_is_answered_between_units() {
    let mut rig = rig(Settings::default()).await;
    let mut client = rig.player(Some(Box::new(Echo))).await;
    rig.push("one.");
    assert_eq!(read(&mut client, 6).await, b"FHone.");
    client.write_all(b"ping").await.unwrap();
    assert_eq!(read(&mut client, 4).await, b"ping");
    client.write_all(b"bye").await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    let mut kicked = rig.player(Some(Box::new(Echo))).await;
    rig.sessions.kick_all("test", |_| true);
    kicked.read_to_end(&mut rest).await.unwrap();
    assert!(rig.sessions.is_empty());
    assert!(rig.tasks.finish(std::time::Duration::from_secs(5)).await.is_empty());
}
