//! H.265, IPv6, connections over TCP, and ways that are too narrow.

use super::*;
use crate::media::nal::{self, Family};
use crate::media::sets::Follow;

const CLIP: &[u8] = include_bytes!("../../../../fixtures/clips/pattern_h265.h265");

/// A track of a real encoder.
fn h265() -> VideoTrack {
    let mut follow = Follow::new(Family::H265);
    follow.take(&nal::from_annex_b(Family::H265, CLIP).sets).unwrap().expect("a track")
}

#[tokio::test(flavor = "multi_thread")]
async fn h265_comes_whole_over_ipv6() {
    let rig = rig(Settings { listen: "[::1]:0".parse().unwrap(), ..Settings::default() });
    let source = Source { protocol: "test", peer: "here".to_owned(), session: SessionId(0) };
    let mut publisher = rig.registry.publish(&rig.key, source).unwrap();
    let track = VideoTrack { reorder: Some(0), ..h265() };
    let VideoCodec::H265 { vps, sps, pps } = track.codec.clone() else { panic!("H.265") };
    publisher.set_track(Track::Video(track));
    publisher.set_track(Track::Audio(AudioTrack { codec: AudioCodec::G711A, sample_rate: 8_000, channels: 1 }));
    // Pictures of every size that the packets tell apart: one unit in one packet, several in one, one in several.
    let sizes = [20, 400, 1_140, 1_147, 1_148, 1_149, 1_150, 1_151, 2_400, 60_000];
    let mut pushed = Vec::new();
    for (n, size) in (0i64..).zip(sizes.iter().cycle().take(60)) {
        let key = n % 20 == 0;
        let mut slice = vec![if key { 0x26 } else { 0x02 }, 0x01, 0x80];
        slice.extend_from_slice(&coded(n as u32));
        slice.resize(*size, 0xa5);
        // A message in front, as cameras send it.
        let message = [0x4e, 0x01, 0x05, 0x81, n as u8 | 0x80, 0x80];
        let units = if n % 3 == 0 { vec![&message[..], &slice] } else { vec![&slice[..]] };
        let data: Vec<u8> = units.iter().flat_map(|unit| [&(unit.len() as u32).to_be_bytes()[..], unit].concat()).collect();
        let sets: Vec<Vec<u8>> = if key { vps.iter().chain(&sps).chain(&pps).map(|set| set.to_vec()).collect() } else { Vec::new() };
        pushed.push(sets.into_iter().chain(units.into_iter().map(<[u8]>::to_vec)).collect::<Vec<_>>());
        let pts = Timestamp::from_millis(n * 40);
        publisher.push(Raw { kind: Kind::Video, dts: Some(pts), pts, key, data: data.into() });
        publisher.push(Raw { kind: Kind::Audio, dts: Some(pts), pts, key: true, data: vec![n as u8; 320].into() });
    }
    let mut client = Client::at("[::1]:0", Protocol::Udp, Direction::RecvOnly, |config| config.enable_h265(true)).await;
    let opened = rig.play(&mut client).await.unwrap();
    assert!(opened.answer.contains("H265/90000") && opened.answer.contains(" ::1 "), "{}", opened.answer);
    client.accept(&opened.answer);
    client.until("a group of pictures", |client| client.of(Codec::H265).len() >= 20).await;
    let got: Vec<Vec<Vec<u8>>> = client.of(Codec::H265).iter().map(|data| nal::annex_b(data).map(<[u8]>::to_vec).collect()).collect();
    for (n, (got, pushed)) in got.iter().zip(&pushed[40..]).enumerate() {
        assert!(got == pushed, "picture {n}: {:?} instead of {:?}", lengths(got), lengths(pushed));
    }
}

fn lengths(units: &[Vec<u8>]) -> Vec<usize> {
    units.iter().map(Vec::len).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_take_h265_is_told_so() {
    let rig = rig(Settings::default());
    let source = Source { protocol: "test", peer: "here".to_owned(), session: SessionId(0) };
    let mut publisher = rig.registry.publish(&rig.key, source).unwrap();
    publisher.set_track(Track::Video(VideoTrack { reorder: Some(0), ..h265() }));
    publisher.push(Raw { kind: Kind::Video, dts: None, pts: Timestamp::ZERO, key: true, data: vec![0, 0, 0, 3, 0x26, 1, 0x80].into() });
    let mut client = Client::new(Direction::RecvOnly).await;
    let refused = rig.play(&mut client).await.unwrap_err();
    assert!(refused.status == Status::NotAcceptable && refused.why.contains("H.265"), "{refused}");
}

impl Client {
    /// What came in a codec.
    fn of(&self, codec: Codec) -> Vec<&[u8]> {
        self.media.iter().filter(|data| data.params.spec().codec == codec).map(|data| &data.data[..]).collect()
    }

    /// Connects to where the answer says.
    async fn connect(&mut self, answer: &str) {
        let line = answer.lines().find(|line| line.contains(" tcp ") && line.contains("tcptype passive")).expect("a candidate");
        let fields: Vec<&str> = line.split(' ').collect();
        let to = format!("{}:{}", fields[4], fields[5]).parse().unwrap();
        let udp = Wire::Udp(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let Wire::Unconnected(socket) = std::mem::replace(&mut self.wire, udp) else { panic!("connected already") };
        self.wire = Wire::Tcp(socket.connect(to).await.unwrap(), Vec::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_udp_does_not_come_through_there_is_tcp() {
    let rig = rig(Settings::default());
    let mut publisher = rig.publish();
    (0..25).for_each(|n| push(&mut publisher, n, 30_000));
    let mut client = Client::at("127.0.0.1:0", Protocol::Tcp, Direction::RecvOnly, |config| config.enable_h264(true)).await;
    let opened = rig.play(&mut client).await.unwrap();
    client.accept(&opened.answer);
    client.connect(&opened.answer).await;
    client.until("the past", |client| client.pictures().len() >= 25).await;
    for n in 25..50 {
        push(&mut publisher, n, 30_000);
        let next = Instant::now() + Duration::from_millis(10);
        client.until("its time", |_| Instant::now() >= next).await;
    }
    client.until("the present", |client| client.pictures().len() >= 50).await;
    let numbers: Vec<u32> = client.pictures().iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
    assert_eq!(rig.rtc.figures().lost, 0);
    rig.sessions.kick_all("enough", |_| true);
    client.until("the goodbye", |client| client.closed).await;
    assert!(rig.sessions.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_comes_over_tcp() {
    let rig = rig(Settings::default());
    let mut client = Client::at("127.0.0.1:0", Protocol::Tcp, Direction::SendOnly, |config| config.enable_h264(true)).await;
    let session = rig.sessions.open("webrtc", "127.0.0.1:1".parse().unwrap());
    let wish = Wish { key: rig.key.clone(), offer: client.offer.clone(), host: None };
    let opened = rig.rtc.publish(session, &wish).unwrap();
    client.accept(&opened.answer);
    client.connect(&opened.answer).await;
    client.until("connected", |client| client.connected).await;
    let video = client.video;
    for n in 0..20u32 {
        let sets = ["00000001", SPS, "00000001", PPS].concat();
        let mut data = hex::decode(sets).unwrap();
        data.extend_from_slice(&[0, 0, 0, 1, 0x65, 0x88]);
        data.extend_from_slice(&coded(n));
        data.resize(data.len() + 4_000, 0xaa);
        let writer = client.rtc.writer(video).unwrap();
        let pt = writer.payload_params().next().unwrap().pt();
        writer.write(pt, Instant::now(), MediaTime::from_90khz(u64::from(n) * 3_600), data).unwrap();
        let next = Instant::now() + Duration::from_millis(40);
        client.until("its time", |_| Instant::now() >= next).await;
    }
    let stream = rig.registry.get(&rig.key).unwrap();
    client.until("the pictures", |_| stream.counts().video_frames >= 18).await;
}

#[tokio::test]
async fn strangers_over_tcp_are_shown_the_door() {
    let rig = rig(Settings::default());
    let to = rig.rtc.bound_tcp().expect("a port");
    for hello in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 4, 1, 2, 3, 4], &[0xff, 0xff, 0]] {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(hello).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut rest)).await.expect("it is closed at once");
        assert!(rest.is_empty() && !read.is_ok_and(|n| n > 0));
    }
    let off = super::rig(Settings { tcp: false, ..Settings::default() });
    let _publisher = off.publish();
    assert_eq!(off.rtc.bound_tcp(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_whose_way_is_too_narrow_gets_key_frames_and_sound() {
    let rig = rig(Settings::default());
    let mut publisher = rig.publish();
    (0..5).for_each(|n| push(&mut publisher, n, 5_000));
    let mut client = Client::new(Direction::RecvOnly).await;
    let opened = rig.play(&mut client).await.unwrap();
    client.accept(&opened.answer);
    client.until("the past", |client| client.pictures().len() >= 5).await;
    let mut n = 5;
    // A megabit a second; the client says that ever less of it comes through.
    let mut estimate = 2_000_000;
    while rig.rtc.figures().left_out < 60 {
        assert!(n < 400, "{:?}", rig.rtc.figures());
        push(&mut publisher, n, 5_000);
        n += 1;
        if n % 12 == 0 {
            estimate = (estimate * 7 / 10).max(50_000);
            let (mid, bitrate) = (client.video, str0m::bwe::Bitrate::bps(estimate));
            client.rtc.direct_api().stream_rx_by_mid(mid, None).expect("a stream").request_remb(bitrate);
        }
        let next = Instant::now() + Duration::from_millis(40);
        client.until("its time", |_| Instant::now() >= next).await;
    }
    let figures = rig.rtc.figures();
    assert_eq!((figures.spared, figures.congested), (1, 1));
    let numbers: Vec<u32> = client.pictures().iter().map(|(n, _)| *n).collect();
    let first = numbers.windows(2).position(|pair| pair[1] != pair[0] + 1).expect("something was left out");
    assert!(numbers[first + 1..].iter().all(|n| n % 25 == 0), "{numbers:?}");
    let sounds = client.of(Codec::PCMA).len();
    assert!(sounds as i64 >= n - 15, "{sounds} sounds of {n}");
    rig.rtc.leave(&opened.resource).unwrap();
    client.until("gone", |_| rig.sessions.is_empty() && rig.rtc.figures().spared == 0).await;
}
