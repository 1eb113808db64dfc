//! Whole sessions over loopback: the other side is str0m as well, as a client that does full ICE.

mod ways;

use super::*;
use crate::base::id::{SessionId, StreamKey};
use crate::edge::session::Sessions;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track, VideoCodec, VideoTrack};
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::stream::{Class, Publisher, Raw, Recv, Registry, Source, Start};
use bytes::Bytes;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, KeyframeRequestKind, MediaData, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

const SPS: &str = "6742c00cd901419f9f011000000300100000030320f142a480";
const PPS: &str = "68cb83cb20";

struct Rig {
    tasks: Tasks,
    registry: Registry,
    sessions: Sessions,
    rtc: WebRtc,
    key: StreamKey,
}

fn rig(settings: Settings) -> Rig {
    let (tasks, clock) = (Tasks::new(), Clock::real());
    let registry = Registry::new(crate::stream::Settings::default(), clock.clone(), &tasks);
    let anywhere = settings.listen.ip().is_unspecified();
    let settings = if anywhere { Settings { listen: "127.0.0.1:0".parse().unwrap(), ..settings } } else { settings };
    let rtc = WebRtc::open(settings, Parts { registry: registry.clone(), tasks: tasks.clone(), public: None }).unwrap();
    Rig { tasks, registry, sessions: Sessions::new(clock), rtc, key: StreamKey::parse("live/a").unwrap() }
}

impl Rig {
    fn publish(&self) -> Publisher {
        let source = Source { protocol: "test", peer: "here".to_owned(), session: SessionId(0) };
        let mut publisher = self.registry.publish(&self.key, source).unwrap();
        let set = |text: &str| vec![Bytes::from(hex::decode(text).unwrap())];
        let codec = VideoCodec::H264 { sps: set(SPS), pps: set(PPS) };
        publisher.set_track(Track::Video(VideoTrack { codec, width: 320, height: 180, fps: None, reorder: Some(0) }));
        publisher.set_track(Track::Audio(AudioTrack { codec: AudioCodec::G711A, sample_rate: 8_000, channels: 1 }));
        publisher
    }

    async fn play(&self, client: &mut Client) -> Result<Opened, Refused> {
        let subscriber = self.registry.subscribe(&self.key, Class::Viewer, Start::Key).unwrap();
        let session = self.sessions.open("webrtc", "127.0.0.1:1".parse().unwrap());
        let wish = Wish { key: self.key.clone(), offer: client.offer.clone(), host: None };
        self.rtc.play(subscriber, session, wish).await
    }
}

/// A number in four bytes none of which is zero, so that no start code is among them.
fn coded(n: u32) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| 0x80 | (n >> shift) as u8)
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |n, byte| n << 7 | u32::from(byte & 0x7f))
}

/// A picture whose bytes tell its number, and its sound.
fn push(publisher: &mut Publisher, n: i64, size: usize) {
    let key = n % 25 == 0;
    let mut slice = vec![if key { 0x65 } else { 0x41 }, 0x88];
    slice.extend_from_slice(&coded(n as u32));
    slice.resize(size, 0xaa);
    let data = [&(slice.len() as u32).to_be_bytes()[..], &slice].concat();
    let pts = Timestamp::from_millis(n * 40);
    publisher.push(Raw { kind: Kind::Video, dts: None, pts, key, data: data.into() });
    publisher.push(Raw { kind: Kind::Audio, dts: Some(pts), pts, key: true, data: vec![n as u8; 320].into() });
}

/// The client's socket.
enum Wire {
    Udp(UdpSocket),
    /// Not connected yet, and where it is bound.
    Unconnected(TcpSocket),
    /// With what came of the next datagram.
    Tcp(TcpStream, Vec<u8>),
}

impl Wire {
    /// A datagram, if one comes within this time.
    async fn receive(&mut self, wait: Duration) -> Option<(Protocol, std::net::SocketAddr, Vec<u8>)> {
        match self {
            Wire::Udp(socket) => {
                let mut buffer = vec![0; 2_000];
                let (length, from) = tokio::time::timeout(wait, socket.recv_from(&mut buffer)).await.ok()?.ok()?;
                buffer.truncate(length);
                Some((Protocol::Udp, from, buffer))
            }
            Wire::Unconnected(_) => {
                tokio::time::sleep(wait).await;
                None
            }
            Wire::Tcp(stream, begun) => loop {
                if let Some((length, rest)) = begun.split_first_chunk::<2>()
                    && let Some(datagram) = rest.get(..usize::from(u16::from_be_bytes(*length)))
                {
                    let datagram = datagram.to_vec();
                    begun.drain(..2 + datagram.len());
                    return Some((Protocol::Tcp, stream.peer_addr().ok()?, datagram));
                }
                match tokio::time::timeout(wait, stream.read_buf(begun)).await {
                    Ok(Ok(1..)) => {}
                    _ => return None,
                }
            },
        }
    }

    async fn send(&mut self, datagram: str0m::net::Transmit) {
        match self {
            Wire::Udp(socket) => drop(socket.send_to(&datagram.contents, datagram.destination).await.unwrap()),
            Wire::Unconnected(_) => {}
            Wire::Tcp(stream, _) => {
                let framed = [&(datagram.contents.len() as u16).to_be_bytes()[..], &datagram.contents].concat();
                // Whoever was closed learns it when it reads.
                let _ = stream.write_all(&framed).await;
            }
        }
    }
}

struct Client {
    rtc: Rtc,
    wire: Wire,
    local: std::net::SocketAddr,
    offer: String,
    pending: Option<SdpPendingOffer>,
    video: Mid,
    media: Vec<MediaData>,
    connected: bool,
    closed: bool,
    asked: u32,
}

impl Client {
    async fn new(direction: Direction) -> Client {
        Client::at("127.0.0.1:0", Protocol::Udp, direction, |config| config.enable_h264(true)).await
    }

    async fn at(address: &str, way: Protocol, direction: Direction, codecs: impl FnOnce(RtcConfig) -> RtcConfig) -> Client {
        let mut rtc = codecs(RtcConfig::new().clear_codecs().enable_pcma(true, false)).build(Instant::now());
        let (wire, local) = if way == Protocol::Udp {
            let socket = UdpSocket::bind(address).await.unwrap();
            let local = socket.local_addr().unwrap();
            (Wire::Udp(socket), local)
        } else {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(address.parse().unwrap()).unwrap();
            let local = socket.local_addr().unwrap();
            (Wire::Unconnected(socket), local)
        };
        let candidate = match way {
            Protocol::Udp => Candidate::host(local, "udp"),
            _ => Candidate::builder().tcp().host(local).tcptype(TcpType::Active).build(),
        };
        rtc.add_local_candidate(candidate.unwrap());
        let mut change = rtc.sdp_api();
        change.add_media(MediaKind::Audio, direction, None, None, None);
        let video = change.add_media(MediaKind::Video, direction, None, None, None);
        let (offer, pending) = change.apply().unwrap();
        let (offer, pending) = (offer.to_sdp_string(), Some(pending));
        Client { rtc, wire, local, offer, pending, video, media: Vec::new(), connected: false, closed: false, asked: 0 }
    }

    fn accept(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        self.rtc.sdp_api().accept_answer(self.pending.take().unwrap(), answer).unwrap();
    }

    /// Lives until `done`, or fails after ten seconds.
    async fn until(&mut self, what: &str, mut done: impl FnMut(&mut Client) -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let wake = self.drain().await;
            if done(self) {
                return;
            }
            assert!(Instant::now() < end, "{what}: not within ten seconds; {} frames came", self.media.len());
            let wait = wake.saturating_duration_since(Instant::now()).min(Duration::from_millis(10));
            match self.wire.receive(wait).await {
                Some((way, from, bytes)) => {
                    let receive = Receive::new(way, from, self.local, &bytes).unwrap();
                    self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
                }
                None => self.rtc.handle_input(Input::Timeout(Instant::now())).unwrap(),
            }
        }
    }

    async fn drain(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => return at,
                Output::Transmit(datagram) => self.wire.send(datagram).await,
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::Closed) => self.closed = true,
                Output::Event(Event::MediaData(data)) => self.media.push(data),
                Output::Event(Event::KeyframeRequest(_)) => self.asked += 1,
                Output::Event(_) => {}
            }
        }
    }

    /// The numbers of the pictures that came, with their times in milliseconds.
    fn pictures(&self) -> Vec<(u32, i64)> {
        let pictures = self.media.iter().filter(|data| data.params.spec().codec == Codec::H264);
        pictures
            .map(|data| {
                let nal = crate::media::nal::annex_b(&data.data).find(|nal| matches!(nal[0] & 0x1f, 1 | 5)).expect("a slice");
                (number(&nal[2..6]), data.time.numer() as i64 / 90)
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_gets_every_picture_and_starts_in_the_present() {
    let rig = rig(Settings::default());
    let mut publisher = rig.publish();
    // Forty pictures, a second and a half: whoever comes now begins at number 25 and sees 39 at once.
    (0..40).for_each(|n| push(&mut publisher, n, 5_000));
    let mut client = Client::new(Direction::RecvOnly).await;
    let opened = rig.play(&mut client).await.unwrap();
    assert_eq!(rig.sessions.list().len(), 1);
    client.accept(&opened.answer);
    client.until("the past", |client| client.pictures().len() >= 14).await;
    let feed = tokio::spawn(async move {
        for n in 40..90 {
            push(&mut publisher, n, 5_000);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        publisher
    });
    client.until("the present", |client| client.pictures().last().is_some_and(|(n, _)| *n >= 88)).await;
    let publisher = feed.await.unwrap();
    let pictures = client.pictures();
    let numbers: Vec<u32> = pictures.iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, (25..numbers.len() as u32 + 25).collect::<Vec<_>>(), "none is missing, none comes twice");
    let time = |n: u32| pictures[(n - 25) as usize].1;
    assert!(time(39) - time(25) < 60, "the past runs through: {} ms", time(39) - time(25));
    assert_eq!((time(80) - time(50), time(50) - time(40)), (1_200, 400), "the present has its own times");
    let sound: Vec<_> = client.media.iter().filter(|data| data.params.spec().codec == Codec::PCMA).collect();
    assert!(sound.len() >= 48 && sound.iter().all(|data| data.data.len() == 320), "{}", sound.len());
    assert!(sound[0].data[0] >= 39, "no sound of the past");
    // Picture and sound of one moment: the sender's reports put them on one clock.
    let figures = rig.rtc.figures();
    assert!(figures.sessions == 1 && figures.sent > 200 && figures.lost == 0, "{figures:?}");
    assert_eq!(rig.registry.get(&rig.key).unwrap().viewers(), 1);

    rig.rtc.leave(&opened.resource).unwrap();
    client.until("the goodbye is heard", |_| rig.sessions.is_empty()).await;
    // The session is told first, then its place is given back.
    client.until("the place is free", |_| (rig.registry.get(&rig.key).unwrap().viewers(), rig.rtc.figures().sessions) == (0, 0)).await;
    drop(publisher);
    assert!(rig.tasks.finish(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_asks_for_a_key_frame_begins_again() {
    let rig = rig(Settings::default());
    let mut publisher = rig.publish();
    (0..10).for_each(|n| push(&mut publisher, n, 2_000));
    let wanted = publisher.key_wanted();
    let mut client = Client::new(Direction::RecvOnly).await;
    let opened = rig.play(&mut client).await.unwrap();
    client.accept(&opened.answer);
    client.until("the past", |client| client.pictures().len() >= 10).await;
    // A request right after the start is answered by the start.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let video = client.video;
    client.rtc.writer(video).unwrap().request_keyframe(None, KeyframeRequestKind::Pli).unwrap();
    client.until("the past again", |client| client.pictures().len() >= 20).await;
    let numbers: Vec<u32> = client.pictures().iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, (0..10).chain(0..10).collect::<Vec<_>>());
    tokio::time::timeout(Duration::from_secs(5), wanted).await.expect("the source is asked, too");
    assert_eq!(rig.rtc.figures().key_requests, 1);
    // Kicked, and told so.
    rig.sessions.kick_all("enough", |_| true);
    client.until("closed", |client| client.closed).await;
    assert!(rig.sessions.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_comes_in_and_is_asked_for_key_frames() {
    let rig = rig(Settings { key_interval: Span::millis(600), ..Settings::default() });
    let mut client = Client::new(Direction::SendOnly).await;
    let session = rig.sessions.open("webrtc", "127.0.0.1:1".parse().unwrap());
    let wish = Wish { key: rig.key.clone(), offer: client.offer.clone(), host: None };
    let opened = rig.rtc.publish(session, &wish).unwrap();
    let second = rig.sessions.open("webrtc", "127.0.0.1:2".parse().unwrap());
    assert_eq!(rig.rtc.publish(second, &wish).unwrap_err().status, Status::Taken);
    client.accept(&opened.answer);
    client.until("connected", |client| client.connected).await;
    let mut subscriber = rig.registry.subscribe(&rig.key, Class::Viewer, Start::Live).unwrap();
    let video = client.video;
    for n in 0..50u32 {
        let sets = ["00000001", SPS, "00000001", PPS].concat();
        let key = n % 10 == 0;
        let mut data = if key { hex::decode(sets).unwrap() } else { Vec::new() };
        data.extend_from_slice(&[0, 0, 0, 1, if key { 0x65 } else { 0x41 }, 0x88]);
        data.extend_from_slice(&coded(n));
        data.resize(data.len() + 4_000, 0xaa);
        let writer = client.rtc.writer(video).unwrap();
        let pt = writer.payload_params().next().unwrap().pt();
        writer.write(pt, Instant::now(), MediaTime::from_90khz(u64::from(n) * 3_600), data).unwrap();
        let next = Instant::now() + Duration::from_millis(40);
        client.until("its time", |_| Instant::now() >= next).await;
    }
    let (mut got, mut batch) = (Vec::new(), Vec::new());
    while got.len() < 45 {
        let read = tokio::time::timeout(Duration::from_secs(5), subscriber.recv(&mut batch)).await.expect("frames");
        assert_eq!(read, Recv::Units);
        got.append(&mut batch);
    }
    let numbers: Vec<u32> = got.iter().map(|unit| number(&unit.frame.data[6..10])).collect();
    assert_eq!(numbers, (numbers[0]..numbers[0] + numbers.len() as u32).collect::<Vec<_>>());
    assert!(got[0].frame.key && got[0].tracks.video.as_ref().is_some_and(|video| video.width == 320));
    assert!(client.asked >= 2, "asked {} times in two seconds", client.asked);
    rig.rtc.leave(&opened.resource).unwrap();
    client.until("gone", |_| rig.sessions.is_empty()).await;
    client.until("nobody publishes", |_| !rig.registry.get(&rig.key).is_some_and(|stream| stream.is_live())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_connects_is_given_up_and_nonsense_is_refused() {
    let rig = rig(Settings { connect_time: Span::millis(300), ..Settings::default() });
    let mut publisher = rig.publish();
    (0..10).for_each(|n| push(&mut publisher, n, 200));
    let mut client = Client::new(Direction::RecvOnly).await;
    let opened = rig.play(&mut client).await.unwrap();
    // Candidates are taken, another client's tag is not, and ICE does not begin anew.
    let fragment = |name: &str| format!("a=ice-ufrag:{name}\r\na=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n");
    let name = crate::proto::webrtc::fragment::name(&client.offer).unwrap().to_owned();
    assert_eq!(rig.rtc.patch(&opened.resource, Some(&format!("\"{}\"", opened.tag)), &fragment(&name)), Ok(()));
    let status = |refused: Result<(), Refused>| refused.unwrap_err().status;
    assert_eq!(status(rig.rtc.patch(&opened.resource, Some("\"x\""), &fragment(&name))), Status::Stale);
    assert_eq!(status(rig.rtc.patch(&opened.resource, None, &fragment("other"))), Status::Unprocessable);
    assert_eq!(status(rig.rtc.patch("nothing", None, &fragment(&name))), Status::NotFound);
    let before = Instant::now();
    while !rig.sessions.is_empty() {
        assert!(before.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A browser without H.264, and no offer at all.
    client.offer = client.offer.replace("H264", "VP8");
    assert_eq!(rig.play(&mut client).await.unwrap_err().status, Status::NotAcceptable);
    client.offer =
        "v=0\r\na=ice-ufrag:x\r\nm=video 9 UDP/TLS/RTP/SAVPF 1\r\na=rtpmap:1 H264/90000\r\na=fmtp:1 packetization-mode=1\r\n".to_owned();
    assert_eq!(rig.play(&mut client).await.unwrap_err().status, Status::Bad);
    assert!(rig.sessions.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_out_of_order_are_refused_with_the_reason() {
    let rig = rig(Settings::default());
    let mut publisher = rig.publish();
    for (n, pts) in [(0, 0), (1, 120), (2, 40), (3, 80), (4, 240), (5, 160), (6, 200)] {
        let data = [&4u32.to_be_bytes()[..], &[if n == 0 { 0x65 } else { 0x41 }, 0x88, 1, 1]].concat();
        let (dts, pts) = (Some(Timestamp::from_millis(n * 40)), Timestamp::from_millis(pts + 80));
        publisher.push(Raw { kind: Kind::Video, dts, pts, key: n == 0, data: data.into() });
    }
    let mut client = Client::new(Direction::RecvOnly).await;
    let refused = rig.play(&mut client).await.unwrap_err();
    assert!(refused.status == Status::NotAcceptable && refused.why.contains("B-frames"), "{refused}");
}
