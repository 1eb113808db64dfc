//! Calls on loopback sockets: what is sent comes out of the registry, whatever the transport and the SSRC.

use super::*;
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::base::units::Span;
use crate::container::ps;
use crate::edge::session::Sessions;
use crate::media::frame::Frame;
use crate::media::nal;
use crate::media::track::Tracks;
use crate::proto::rtp::{Framing, Packetizer};
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::stream::{Class, Recv, Registry, Start, Subscriber};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

mod reports;

struct Rig {
    media: Media,
    registry: Registry,
    sessions: Sessions,
    tasks: Tasks,
}

impl Rig {
    fn new(change: impl FnOnce(&mut Settings)) -> Rig {
        let mut settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), gather: Span::millis(1), readers: 2, ..Settings::default() };
        change(&mut settings);
        let (clock, tasks) = (Clock::real(), Tasks::new());
        let registry = Registry::new(Default::default(), clock.clone(), &tasks);
        let sessions = Sessions::new(clock.clone());
        let parts = Parts { settings, registry: registry.clone(), sessions: sessions.clone(), clock, tasks: tasks.clone() };
        Rig { media: Media::start(parts).unwrap(), registry, sessions, tasks }
    }

    fn port(&self) -> SocketAddr {
        self.media.address()
    }

    async fn subscribe(&self, key: &StreamKey) -> Subscriber {
        self.registry.wait_for(key, Class::Worker, Start::Key, PATIENCE).await.expect("the stream appears")
    }
}

fn key(name: &str) -> StreamKey {
    StreamKey::new("gb", name).unwrap()
}

fn expect(name: &str, ssrc: u32) -> Expect {
    Expect { device: Some("127.0.0.1".parse().unwrap()), ..Expect::new(key(name), ssrc) }
}

/// A device: frames as RTP packets.
struct Device {
    tracks: Tracks,
    frames: Vec<Frame>,
    packets: Vec<Vec<u8>>,
}

impl Device {
    fn new(ssrc: u32) -> Device {
        // one group of pictures: who subscribes late still begins at the first frame
        let (tracks, mut frames) = ps::tests::h264();
        frames.truncate(25);
        let (mut muxer, mut packetizer) = (ps::Muxer::new(ps::Style::default()), Packetizer::new(ssrc, 96, 300, 65_500));
        let mut packets = Vec::new();
        for frame in &frames {
            let mut bytes = Vec::new();
            assert!(muxer.put(frame, &tracks, &mut bytes));
            let timestamp = frame.dts.to_ticks(90_000) as u32;
            packets.extend(packetizer.packets(&bytes, timestamp).map(|(head, payload)| [&head, payload].concat()));
        }
        Device { tracks, frames, packets }
    }

    /// Raw H.264 in single NAL unit packets of any size.
    fn raw(ssrc: u32) -> Device {
        // one group of pictures: who subscribes late still begins at the first frame
        let (tracks, mut frames) = ps::tests::h264();
        frames.truncate(25);
        let mut packetizer = Packetizer::new(ssrc, 98, 60_000, 7);
        let Some(crate::media::track::VideoCodec::H264 { sps, pps }) = tracks.video.as_ref().map(|v| &v.codec) else { panic!() };
        let mut packets = Vec::new();
        for frame in &frames {
            let timestamp = frame.dts.to_ticks(90_000) as u32;
            let sets: Vec<&[u8]> = if frame.key { vec![&sps[0], &pps[0]] } else { vec![] };
            let units: Vec<&[u8]> = sets.into_iter().chain(nal::units(&frame.data)).collect();
            for (n, unit) in units.iter().enumerate() {
                packets.push([&packetizer.header(unit.len(), timestamp, n + 1 == units.len())[..], unit].concat());
            }
        }
        Device { tracks, frames, packets }
    }

    fn send_udp(&self, socket: &UdpSocket, to: SocketAddr, which: std::ops::Range<usize>) {
        for packet in &self.packets[which] {
            socket.send_to(packet, to).unwrap();
        }
    }

    fn framed(&self, kind: Framing) -> Vec<u8> {
        let mut out = Vec::new();
        for packet in &self.packets {
            kind.put(packet.len(), &mut out);
            out.extend(packet);
        }
        out
    }

    /// Reads the stream up to the last frame but `spare` and compares.
    async fn check(&self, sub: &mut Subscriber, spare: usize) {
        let wanted = self.frames.len() - spare;
        let (mut got, mut batch) = (Vec::new(), Vec::new());
        tokio::time::timeout(PATIENCE, async {
            while got.len() < wanted {
                match sub.recv(&mut batch).await {
                    Recv::Units => got.append(&mut batch),
                    other => panic!("{other:?} after {} frames", got.len()),
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("frames come in time: {} of {wanted}", got.len()));
        for (n, (unit, frame)) in got.iter().zip(&self.frames).enumerate() {
            assert!(unit.frame.data == frame.data && unit.frame.key == frame.key, "frame {n}");
        }
        assert_eq!(got[0].tracks.video, self.tracks.video);
    }
}

/// Waits until something is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("in time: {what}"));
}

fn udp() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_udp_on_the_shared_port() {
    let rig = Rig::new(|_| {});
    let mut receiving = rig.media.expect(expect("a", 200_000_001)).unwrap();
    assert_eq!((receiving.port(), receiving.state()), (rig.port().port(), State::Waiting));
    let (device, socket) = (Device::new(200_000_001), udp());
    let all = device.packets.len();
    device.send_udp(&socket, rig.port(), 0..all);
    assert_eq!(receiving.settled().await, State::Live);
    device.check(&mut rig.subscribe(&key("a")).await, 1).await;
    until("all packets are here", || receiving.report().packets == all as u64).await;
    let report = receiving.report();
    assert_eq!((report.packets, report.lost, report.ssrc), (all as u64, 0, Some(200_000_001)));
    assert_eq!((report.source, report.video.as_deref()), (Some(socket.local_addr().unwrap()), Some("H264 320x180")));
    assert!(report.notes.is_empty(), "{:?}", report.notes);
    assert!(serde_json::to_string(&report).unwrap().contains("\"payloads\":[[96,\"PS\"]]"));
    let sessions = rig.sessions.list();
    assert_eq!((sessions.len(), sessions[0].frames, sessions[0].key.as_ref()), (1, 25, Some(&key("a"))));
    drop(receiving);
    assert!(rig.sessions.is_empty() && rig.media.reports().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_in_both_framings_and_directions() {
    let rig = Rig::new(|_| {});
    for (n, kind) in [Framing::Rfc4571, Framing::Dollar].into_iter().enumerate() {
        let ssrc = 300_000_000 + n as u32;
        let (device, name) = (Device::new(ssrc), format!("passive{n}"));
        let receiving = rig.media.expect(Expect { transport: Transport::TcpPassive, ..expect(&name, ssrc) }).unwrap();
        let mut socket = TcpStream::connect(rig.port()).unwrap();
        for piece in device.framed(kind).chunks(777) {
            socket.write_all(piece).unwrap();
        }
        device.check(&mut rig.subscribe(&key(&name)).await, 1).await;
        assert_eq!(receiving.report().framing, Some(kind));
    }
    // we connect
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let device = Device::new(9);
    let receiving = rig.media.expect(Expect { transport: Transport::TcpActive, ..expect("active", 300_000_009) }).unwrap();
    receiving.connect(listener.local_addr().unwrap());
    let bytes = device.framed(Framing::Rfc4571);
    let sent = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(&bytes).unwrap();
        socket
    });
    device.check(&mut rig.subscribe(&key("active")).await, 1).await;
    let report = receiving.report();
    assert_eq!((report.ssrc, report.expected_ssrc), (Some(9), 300_000_009));
    assert!(report.notes[0].contains("SSRC 0000000009"), "{:?}", report.notes);
    drop(sent.join());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_ends_the_call_unless_the_device_comes_back() {
    let rig = Rig::new(|_| {});
    let mut receiving = rig.media.expect(Expect { transport: Transport::TcpPassive, ..expect("a", 5) }).unwrap();
    let device = Device::new(5);
    let bytes = device.framed(Framing::Rfc4571);
    let half = bytes.len() / 2;
    TcpStream::connect(rig.port()).unwrap().write_all(&bytes[..half]).unwrap();
    assert_eq!(receiving.settled().await, State::Live);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut again = TcpStream::connect(rig.port()).unwrap();
    again.write_all(&bytes).unwrap();
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!(receiving.state(), State::Live);
    drop(again);
    assert_eq!(tokio::time::timeout(PATIENCE, receiving.ended()).await.unwrap(), End::PeerClosed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_its_own_takes_any_ssrc_and_comes_back() {
    let from = udp().local_addr().unwrap().port().clamp(20_000, 65_000);
    let rig = Rig::new(|s| s.ports = format!("{from}-{}", from + 100));
    let mut held = Vec::new();
    for (name, transport, ssrc) in [("udp", Transport::Udp, 0), ("tcp", Transport::TcpPassive, 77)] {
        let own = Expect { own_port: true, transport, ..expect(name, 200_000_001) };
        let receiving = rig.media.expect(own).unwrap();
        assert!(receiving.port() != rig.port().port() && receiving.port().is_multiple_of(2));
        let (device, to) = (Device::new(ssrc), SocketAddr::new(rig.port().ip(), receiving.port()));
        match transport {
            Transport::Udp => device.send_udp(&udp(), to, 0..device.packets.len()),
            _ => {
                let mut socket = TcpStream::connect(to).unwrap();
                socket.write_all(&device.framed(Framing::Rfc4571)).unwrap();
                held.push(socket);
            }
        }
        device.check(&mut rig.subscribe(&key(name)).await, 1).await;
        assert_eq!(receiving.report().ssrc, Some(ssrc));
        assert_eq!(rig.media.ports().unwrap().0, 1);
        drop(receiving);
        assert_eq!(rig.media.ports().unwrap().0, 0);
    }
    // all calls at once, then none
    let calls: Vec<_> = (0..60).map_while(|n| rig.media.expect(Expect { own_port: true, ..expect("x", n) }).ok()).collect();
    assert!(calls.len() >= 40, "{}", calls.len());
    let error = rig.media.expect(Expect { own_port: true, ..expect("x", 999) }).err().unwrap();
    assert!(matches!(error, CannotExpect::NoPort(_) | CannotExpect::Io(_)), "{error}");
    drop(calls);
    assert_eq!(rig.media.ports().unwrap().0, 0);
    assert!(Rig::new(|_| {}).media.expect(Expect { own_port: true, ..expect("x", 1) }).is_err(), "no range");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_an_ssrc_of_its_own_is_followed() {
    let rig = Rig::new(|_| {});
    // the only call that waits
    let only = rig.media.expect(expect("only", 1)).unwrap();
    let device = Device::new(0);
    device.send_udp(&udp(), rig.port(), 0..device.packets.len());
    device.check(&mut rig.subscribe(&key("only")).await, 1).await;
    assert_eq!(only.report().ssrc, Some(0));

    // two calls of one device wait; its packets come before its answers
    let calls = [rig.media.expect(expect("x", 11)).unwrap(), rig.media.expect(expect("y", 12)).unwrap()];
    let devices = [Device::new(1_011), Device::new(1_012)];
    let sockets = [udp(), udp()];
    for (device, socket) in devices.iter().zip(&sockets) {
        device.send_udp(socket, rig.port(), 0..20);
    }
    until("strangers are noted", || rig.media.strangers().iter().map(|s| s.packets).sum::<u64>() == 40).await;
    calls[0].answer(Answer { ssrc: Some(1_011), ..Answer::default() });
    calls[1].answer(Answer { source: Some(sockets[1].local_addr().unwrap()), ..Answer::default() });
    for ((device, socket), name) in devices.iter().zip(&sockets).zip(["x", "y"]) {
        device.send_udp(socket, rig.port(), 20..device.packets.len());
        device.check(&mut rig.subscribe(&key(name)).await, 1).await;
    }
    assert!(rig.media.strangers().is_empty());

    // in mid-stream, after a moment of silence
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let changed = Device::new(2_011);
    changed.send_udp(&sockets[0], rig.port(), 0..changed.packets.len());
    until("the change is followed", || calls[0].report().ssrc_changes == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_cannot_break_in_and_ended_calls_attract_nobody() {
    let rig = Rig::new(|_| {});
    let receiving = rig.media.expect(expect("a", 7)).unwrap();
    let (device, socket) = (Device::new(7), udp());
    device.send_udp(&socket, rig.port(), 0..30);
    let mut sub = rig.subscribe(&key("a")).await;
    device.send_udp(&udp(), rig.port(), 30..40);
    until("the intruder is counted", || receiving.report().foreign == 10).await;
    device.send_udp(&socket, rig.port(), 30..device.packets.len());
    device.check(&mut sub, 1).await;
    drop(receiving);
    // the device has not noticed the end; the next call of the same address is not for this SSRC
    let next = rig.media.expect(expect("b", 8)).unwrap();
    device.send_udp(&socket, rig.port(), 0..30);
    until("it is a stranger", || rig.media.strangers().iter().any(|s| s.ssrc == 7 && s.ended_call && s.packets >= 30)).await;
    assert_eq!(next.state(), State::Waiting);
    assert!(matches!(rig.media.expect(expect("c", 8)).err(), Some(CannotExpect::SsrcTaken(8))));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_a_call_and_a_pause_does_not() {
    let rig = Rig::new(|s| (s.first_packet, s.silence) = (Span::millis(300), Span::millis(400)));
    let mut never = rig.media.expect(expect("never", 1)).unwrap();
    assert_eq!(never.settled().await, State::Ended(End::Silent));
    assert_eq!(never.report().notes, ["no packet has arrived"]);
    let mut receiving = rig.media.expect(expect("a", 2)).unwrap();
    let device = Device::new(2);
    device.send_udp(&udp(), rig.port(), 0..device.packets.len());
    assert_eq!(receiving.settled().await, State::Live);
    receiving.hold(true);
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(receiving.state(), State::Live);
    receiving.hold(false);
    assert_eq!(tokio::time::timeout(PATIENCE, receiving.ended()).await.unwrap(), End::Silent);
    // the last frame came out at the end
    device.check(&mut rig.subscribe(&key("a")).await, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_h264_and_g711() {
    let rig = Rig::new(|_| {});
    let receiving = rig.media.expect(expect("raw", 1)).unwrap();
    let device = Device::raw(1);
    device.send_udp(&udp(), rig.port(), 0..device.packets.len());
    device.check(&mut rig.subscribe(&key("raw")).await, 0).await;
    assert_eq!(receiving.report().payloads, [(98, Codec::H264)]);

    let talk = rig.media.expect(expect("talk", 2)).unwrap();
    let (to, socket) = (rig.port(), udp());
    let sender = std::thread::spawn(move || {
        let mut packetizer = Packetizer::new(2, 8, 1_400, 0);
        for n in 0..100u32 {
            let packet = [&packetizer.header(160, n * 160, false)[..], &[n as u8; 160]].concat();
            socket.send_to(&packet, to).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let mut sub = rig.subscribe(&key("talk")).await;
    let (mut batch, mut got) = (Vec::new(), Vec::new());
    while got.len() < 10 {
        assert_eq!(tokio::time::timeout(PATIENCE, sub.recv(&mut batch)).await.unwrap(), Recv::Units);
        got.append(&mut batch);
    }
    sender.join().unwrap();
    assert_eq!(got[0].tracks.audio.as_ref().unwrap().codec, crate::media::track::AudioCodec::G711A);
    assert_eq!((got[9].frame.dts - got[0].frame.dts).as_millis(), 180);
    assert_eq!(talk.report().audio.as_deref(), Some("G711A 8000 Hz"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_a_call_and_so_does_the_servers_stop() {
    let rig = Rig::new(|_| {});
    let mut kicked = rig.media.expect(expect("a", 1)).unwrap();
    let mut stopped = rig.media.expect(expect("b", 2)).unwrap();
    for ssrc in [1, 2] {
        let device = Device::new(ssrc);
        device.send_udp(&udp(), rig.port(), 0..device.packets.len());
    }
    assert_eq!((kicked.settled().await, stopped.settled().await), (State::Live, State::Live));
    let session = rig.sessions.list().into_iter().find(|s| s.key == Some(key("a"))).unwrap();
    assert!(rig.sessions.kick(session.id, "test"));
    assert_eq!(tokio::time::timeout(PATIENCE, kicked.ended()).await.unwrap(), End::Kicked("test".to_owned()));
    assert!(rig.tasks.finish(PATIENCE).await.is_empty());
    assert_eq!(stopped.settled().await, State::Ended(End::Stopped));
}

/// Floods of strange SSRCs, of noise, and of connections that say nothing: calls go on, memory stays bounded.
#[tokio::test(flavor = "multi_thread")]
async fn floods_leave_calls_alone() {
    let rig = Rig::new(|s| s.max_connections = 20);
    let receiving = rig.media.expect(expect("a", 4_000_000_000)).unwrap();
    let _other = rig.media.expect(expect("b", 4_000_000_001)).unwrap();
    let (device, socket, flood) = (Device::new(4_000_000_000), udp(), udp());
    let connections: Vec<_> = (0..40).map(|_| TcpStream::connect(rig.port()).unwrap()).collect();
    for (n, packet) in device.packets.iter().enumerate() {
        socket.send_to(packet, rig.port()).unwrap();
        for m in 0..20u32 {
            let ssrc = (n as u32 * 20 + m) * 7_919;
            let mut fake = Packetizer::new(ssrc, 96, 1_400, 0).header(4, 0, false).to_vec();
            fake.extend([0, 0, 1, 0xba]);
            flood.send_to(if m % 2 == 0 { &fake } else { b"noise" }, rig.port()).unwrap();
        }
        if n % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    device.check(&mut rig.subscribe(&key("a")).await, 1).await;
    assert!(rig.media.strangers().len() <= 256);
    assert!(rig.media.no_rtp() > 0);
    assert_eq!(receiving.report().lost, 0);
    drop(connections);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_arrives() {
    let rig = Rig::new(|_| {});
    let clip = std::sync::Arc::new(clip::pattern().unwrap());
    let clock = Clock::real();
    let local = |port: u16| SocketAddr::new(rig.port().ip(), port);
    for (n, transport) in [Transport::Udp, Transport::TcpActive, Transport::TcpPassive].into_iter().enumerate() {
        let (name, ssrc) = (format!("sent{n}"), 600_000_000 + n as u32);
        // what the one side does actively, the other waits for
        let mine = match transport {
            Transport::Udp => Transport::Udp,
            Transport::TcpActive => Transport::TcpPassive,
            Transport::TcpPassive => Transport::TcpActive,
        };
        let mut receiving = rig.media.expect(Expect { transport: mine, ..expect(&name, ssrc) }).unwrap();
        let player = clip::Player::new(clip.clone(), None);
        let mut send = Send::program(Feed::Clip(player), transport, Some(rig.port()), ssrc);
        send.local = local(0);
        let sending = Sending::start(send, clock.clone(), &rig.tasks).unwrap();
        if transport == Transport::TcpPassive {
            receiving.connect(local(sending.port()));
        }
        assert_eq!(tokio::time::timeout(PATIENCE, receiving.settled()).await.unwrap(), State::Live, "{transport:?}");
        let mut sub = rig.subscribe(&key(&name)).await;
        let (mut batch, mut got) = (Vec::new(), Vec::new());
        while got.len() < 30 {
            assert_eq!(tokio::time::timeout(PATIENCE, sub.recv(&mut batch)).await.unwrap(), Recv::Units);
            got.append(&mut batch);
        }
        let (kinds, tracks) = (got.iter().filter(|u| u.frame.kind == crate::media::frame::Kind::Audio).count(), &got[29].tracks);
        assert!(kinds > 5 && tracks.video == clip.tracks().video && tracks.audio == clip.tracks().audio, "{kinds}");
        assert_eq!(receiving.report().lost, 0);
        drop(sending);
        if transport != Transport::Udp {
            assert_eq!(tokio::time::timeout(PATIENCE, receiving.ended()).await.unwrap(), End::PeerClosed);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_up_and_a_voice_goes_out() {
    let rig = Rig::new(|_| {});
    let clock = Clock::real();
    // a camera comes in
    let _camera = rig.media.expect(expect("camera", 1)).unwrap();
    let player = clip::Player::new(std::sync::Arc::new(clip::pattern().unwrap()), Some(crate::media::time::Timestamp::from_millis(4_000)));
    let camera = Sending::start(Send::program(Feed::Clip(player), Transport::Udp, Some(rig.port()), 1), clock.clone(), &rig.tasks).unwrap();
    // and goes out again, over another SSRC; its sound in the other law
    let upper = rig.media.expect(expect("upper", 2)).unwrap();
    let voice = rig.media.expect(expect("voice", 3)).unwrap();
    let up = Send::program(Feed::Live(rig.subscribe(&key("camera")).await), Transport::Udp, Some(rig.port()), 2);
    let up = Sending::start(up, clock.clone(), &rig.tasks).unwrap();
    let talk = Send::voice(Feed::Live(rig.subscribe(&key("camera")).await), Transport::Udp, Some(rig.port()), 3, Law::U);
    let talk = Sending::start(talk, clock.clone(), &rig.tasks).unwrap();
    let mut sub = rig.subscribe(&key("upper")).await;
    let mut batch = Vec::new();
    assert_eq!(tokio::time::timeout(PATIENCE, sub.recv(&mut batch)).await.unwrap(), Recv::Units);
    assert!(batch[0].frame.key && batch[0].tracks.video.is_some());
    assert_eq!(tokio::time::timeout(PATIENCE, camera.ended()).await.unwrap(), End::StreamEnded);
    until("sound arrives", || voice.report().packets > 20).await;
    assert_eq!((voice.report().audio.as_deref(), upper.report().lost), (Some("G711U 8000 Hz"), 0));
    assert!(up.sent().frames > 50 && talk.sent().packets > 20, "{:?} {:?}", up.sent(), talk.sent());
    assert_eq!((up.sent().left_out, talk.sent().left_out), (0, 0));
}
