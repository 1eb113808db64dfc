//! A voice on loopback: a stream with numbered sound, a device that takes it, and every byte compared.

use super::super::tests::{CHANNEL, LONG, NVR, World, camera_that, until, world};
use super::*;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::{AudioTrack, Track};
use crate::proto::gb28181::client;
use crate::proto::gb28181::sdp::{Carriage as Way, Direction};
use crate::stream::{Raw, Source};
use std::io::Read;
use std::net::TcpStream;

/// Publishes A-law sound, 20 ms a frame, each frame filled with its number.
pub(in super::super) fn speak(w: &World) -> StreamKey {
    let key = StreamKey::parse("live/voice").unwrap();
    let source = Source { protocol: "rtmp", peer: "127.0.0.1:1".into(), session: crate::base::id::SessionId(1) };
    let mut publisher = w.registry.publish(&key, source).unwrap();
    publisher.set_track(Track::Audio(AudioTrack { codec: AudioCodec::G711A, sample_rate: 8000, channels: 1 }));
    let stop = w.tasks.stopping();
    w.tasks.spawn("speaker", async move {
        for n in 0.. {
            if stop.is_requested() {
                return;
            }
            let at = Timestamp::from_millis(20 * n);
            let data = vec![n as u8; 160].into();
            publisher.push(Raw { kind: Kind::Audio, dts: Some(at), pts: at, key: true, data });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    key
}

/// What the device heard: payload type, SSRC and sound of each packet.
pub(in super::super) type Heard = Arc<Mutex<Vec<(u8, u32, Vec<u8>)>>>;

fn note(heard: &Heard, packet: &[u8]) {
    let ssrc = u32::from_be_bytes(packet[8..12].try_into().unwrap());
    heard.lock().unwrap().push((packet[1] & 0x7f, ssrc, packet[12..].to_vec()));
}

/// Reads datagrams in a thread of its own until none comes for a while.
pub(in super::super) fn listen(heard: &Heard) -> u16 {
    let (socket, heard) = (UdpSocket::bind("127.0.0.1:0").unwrap(), heard.clone());
    let port = socket.local_addr().unwrap().port();
    socket.set_read_timeout(Some(LONG)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok(len) = socket.recv(&mut buffer) {
            note(&heard, &buffer[..len]);
        }
    });
    port
}

/// Connects and reads framed packets until the connection is closed.
fn connect(to: SocketAddr, heard: &Heard) {
    let heard = heard.clone();
    std::thread::spawn(move || {
        let mut connection = TcpStream::connect(to).unwrap();
        let mut len = [0; 2];
        while connection.read_exact(&mut len).is_ok() {
            let mut packet = vec![0; usize::from(u16::from_be_bytes(len))];
            connection.read_exact(&mut packet).unwrap();
            note(&heard, &packet);
        }
    });
}

fn order(w: &World, source: &StreamKey, talk: bool) -> VoiceOrder {
    VoiceOrder { device: w.device, target: Id::new(NVR).unwrap(), source: source.clone(), talk }
}

/// Starts the voice when the device is there.
async fn start(w: &World, order: &VoiceOrder) -> Voice {
    until("the device", async || w.handle.start_voice(order.clone(), LONG).await.map_err(|why| assert_eq!(why, Failure::Offline)).ok())
        .await
}

/// What was heard is what was said: 100 ms a packet, no byte lost.
pub(in super::super) async fn check(heard: &Heard, ssrc: u32) {
    until("ten packets", async || (heard.lock().unwrap().len() >= 10).then_some(())).await;
    let heard = heard.lock().unwrap();
    assert!(heard.iter().all(|(number, other, sound)| *number == 8 && *other == ssrc && sound.len() == 800), "{:?}", heard.first());
    let sound: Vec<u8> = heard.iter().flat_map(|(_, _, sound)| sound.clone()).collect();
    let frames: Vec<u8> = sound.chunks(160).map(|frame| frame[0]).collect();
    assert!(sound.chunks(160).all(|frame| frame.iter().all(|byte| *byte == frame[0])));
    assert!(frames.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{frames:?}");
}

async fn a_broadcast_is_heard(way: Way) {
    let w = world(super::super::Carriage::Udp, false).await;
    let (source, heard) = (speak(&w), Heard::default());
    let (ears, ssrc) = (heard.clone(), Arc::new(Mutex::new(0)));
    let told = ssrc.clone();
    let log = camera_that(&w, move |machine, clock, event| {
        match event {
            client::Event::Broadcast { source, target } => {
                let port = if way == Way::Udp { listen(&ears) } else { 9 };
                let offer = Description::voice(NVR, "127.0.0.1".parse().unwrap(), port, way, Direction::RecvOnly);
                machine.call_voice(clock.now(), *target, *source, &offer).unwrap();
            }
            client::Event::Up { answer: Some(answer), .. } if answer.audio => {
                *told.lock().unwrap() = answer.ssrc.unwrap().0;
                if way == Way::TcpActive {
                    connect(format!("{}:{}", answer.host, answer.port).parse().unwrap(), &ears);
                }
            }
            _ => {}
        }
        false
    });
    let order = order(&w, &source, false);
    let voice = start(&w, &order).await;
    assert!(voice.up && voice.order == order);
    let again = w.handle.start_voice(order.clone(), LONG).await;
    assert!(matches!(again, Err(Failure::Busy(_))), "{again:?}");
    let ssrc = *ssrc.lock().unwrap();
    check(&heard, ssrc).await;
    assert!(w.handle.voices()[0].packets >= 10);

    assert!(w.handle.stop_voice(w.device).await && !w.handle.stop_voice(w.device).await);
    assert_eq!(w.handle.voices(), []);
    let hung_up = |event: &client::Event| matches!(event, client::Event::Ended { why: client::CallEnd::RemoteBye, .. });
    until("the device to be told", async || log.lock().unwrap().iter().any(hung_up).then_some(())).await;
    until("the SSRC to be free", async || (w.handle.counts().ssrcs == 0 && w.handle.counts().calls == 0).then_some(())).await;
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_is_heard_over_udp() {
    a_broadcast_is_heard(Way::Udp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_is_heard_by_a_device_that_connects() {
    a_broadcast_is_heard(Way::TcpActive).await;
}

async fn a_talk_is_heard(carriage: super::super::Carriage) {
    let w = world(carriage, false).await;
    let (source, heard) = (speak(&w), Heard::default());
    let (ears, ssrc) = (heard.clone(), Arc::new(Mutex::new(0)));
    let told = ssrc.clone();
    camera_that(&w, move |machine, clock, event| {
        if let client::Event::Invited { call, offer, .. } = event
            && offer.audio
        {
            assert_eq!(offer.purpose, Some(Purpose::Talk));
            *told.lock().unwrap() = offer.ssrc.unwrap().0;
            let port = if offer.carriage == Way::Udp { listen(&ears) } else { 9 };
            let way = offer.carriage.opposite();
            let answer = Description::voice(NVR, "127.0.0.1".parse().unwrap(), port, way, Direction::SendRecv);
            machine.accept(clock.now(), *call, Some(&answer));
            if offer.carriage == Way::TcpPassive {
                connect(format!("{}:{}", offer.host, offer.port).parse().unwrap(), &ears);
            }
        }
        false
    });
    start(&w, &order(&w, &source, true)).await;
    let ssrc = *ssrc.lock().unwrap();
    check(&heard, ssrc).await;
    // a device that is let go hears no more
    assert!(w.handle.stop_voice(w.device).await);
    until("the end of the call", async || (w.handle.counts().ssrcs == 0).then_some(())).await;
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_talk_is_heard_over_udp() {
    a_talk_is_heard(super::super::Carriage::Udp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_talk_is_heard_by_a_device_that_connects() {
    a_talk_is_heard(super::super::Carriage::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_does_not_call_is_given_up() {
    let w = world(super::super::Carriage::Udp, false).await;
    let source = speak(&w);
    camera_that(&w, |_, _, _| false);
    let order = VoiceOrder { target: Id::new(CHANNEL).unwrap(), ..order(&w, &source, false) };
    let failure = until("the device", async || {
        let failure = w.handle.start_voice(order.clone(), Duration::from_secs(2)).await.unwrap_err();
        (failure != Failure::Offline).then_some(failure)
    })
    .await;
    assert_eq!(failure, Failure::Timeout);
    assert_eq!(w.handle.voices(), [], "its place is free again");
    let silent = VoiceOrder { source: StreamKey::parse("live/nobody").unwrap(), ..order };
    let failure = w.handle.start_voice(silent, Duration::from_millis(500)).await;
    assert!(failure.is_err() && w.handle.voices().is_empty());
    w.finish().await;
}

fn offer(formats: &[u8], names: &[(u8, &str)]) -> Description {
    let payload = |(number, encoding): &(u8, &str)| sdp::Payload { number: *number, encoding: (*encoding).to_owned(), rate: 8000 };
    Description { formats: formats.to_vec(), payloads: names.iter().map(payload).collect(), ..Description::default() }
}

#[test]
fn the_device_gets_what_it_takes() {
    assert_eq!(payload(&offer(&[8], &[(8, "PCMA")])), Some((8, Law::A)));
    assert_eq!(payload(&offer(&[0, 8], &[])), Some((8, Law::A)));
    assert_eq!(payload(&offer(&[0], &[])), Some((0, Law::U)));
    assert_eq!(payload(&offer(&[97], &[(97, "pcmu")])), Some((97, Law::U)));
    assert_eq!(payload(&offer(&[], &[])), Some((8, Law::A)));
    assert_eq!(payload(&offer(&[96], &[(96, "PS")])), None);
    assert_eq!(payload(&offer(&[18], &[])), None, "G.729");
}
