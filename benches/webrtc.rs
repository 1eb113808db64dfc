//! What WebRTC viewers cost: one process serves them, a child of it is their other side, over loopback.
//!
//!     cargo bench --bench webrtc -- [VIEWERS] [KBIT/S] [SECONDS]
//!
//! The server's CPU time alone is counted. The clients are str0m, too; they decrypt every `LOOK`th packet's session only, as the
//! machine that measures is the one that is measured.

use bytes::Bytes;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Input, Output, Rtc, RtcConfig};
use weir::base::id::{SessionId, StreamKey};
use weir::edge::session::Sessions;
use weir::edge::webrtc::{Parts, Settings, WebRtc, Wish};
use weir::media::frame::Kind;
use weir::media::time::Timestamp;
use weir::media::track::{Track, VideoCodec, VideoTrack};
use weir::runtime::clock::Clock;
use weir::runtime::task::Tasks;
use weir::stream::{Class, Publisher, Raw, Registry, Source, Start};

const SPS: &str = "6742c00cd901419f9f011000000300100000030320f142a480";
const PPS: &str = "68cb83cb20";
/// Every so many-th client takes what it gets; the others drop the pictures unread.
const LOOK: usize = 25;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|first| first == "clients") {
        return clients(args.get(1).and_then(|n| n.parse().ok()).expect("a number of clients"));
    }
    let number = |at: usize, default: u64| args.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    // `cargo test --benches` runs this, too: then only a moment.
    let short = args.iter().any(|arg| arg.starts_with("--"));
    let (viewers, rate, seconds) = if short { (2, 500, 1) } else { (number(0, 500), number(1, 1_000), number(2, 20)) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(serve(viewers as usize, rate, Duration::from_secs(seconds)));
}

async fn serve(viewers: usize, kbits: u64, length: Duration) {
    let (tasks, clock) = (Tasks::new(), Clock::real());
    let registry = Registry::new(weir::stream::Settings::default(), clock.clone(), &tasks);
    let sessions = Sessions::new(clock);
    let settings = Settings { listen: "127.0.0.1:0".parse().expect("an address"), ..Settings::default() };
    let rtc = WebRtc::open(settings, Parts { registry: registry.clone(), tasks: tasks.clone(), public: None }).expect("a port");
    let key = StreamKey::parse("live/bench").expect("a name");
    let source = Source { protocol: "bench", peer: "here".to_owned(), session: SessionId(0) };
    let publisher = registry.publish(&key, source).expect("a free name");
    let feed = tokio::spawn(publish(publisher, kbits));

    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["clients", &viewers.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a second process");
    let (mut to, mut from) = (child.stdin.take().expect("piped"), BufReader::new(child.stdout.take().expect("piped")));
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..viewers {
        let mut line = String::new();
        from.read_line(&mut line).expect("an offer");
        let offer: String = serde_json::from_str(&line).expect("an offer");
        let subscriber = registry.subscribe(&key, Class::Viewer, Start::Key).expect("the stream");
        let session = sessions.open("webrtc", "127.0.0.1:1".parse().expect("an address"));
        let opened = rtc.play(subscriber, session, Wish { key: key.clone(), offer, host: None }).await.expect("an answer");
        writeln!(to, "{}", serde_json::to_string(&opened.answer).expect("text")).expect("the child");
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sent = || sessions.sums().iter().map(|sum| sum.wrote).sum::<u64>();
    let (cpu, bytes, packets, began) = (cpu_time(), sent(), rtc.figures().sent, Instant::now());
    tokio::time::sleep(length).await;
    let (cpu, bytes, packets, took) = (cpu_time() - cpu, sent() - bytes, rtc.figures().sent - packets, began.elapsed().as_secs_f64());
    let gbit = bytes as f64 * 8.0 / 1e9;
    println!(
        "{viewers} viewers of {kbits} kbit/s: {:.3} Gbit/s, {:.0} packets/s, {:.1} % of one core, {:.2} CPU s a Gbit, {:.2} µs a packet; {} not taken by the kernel, {} sessions",
        gbit / took,
        packets as f64 / took,
        cpu / took * 100.0,
        cpu / gbit,
        cpu * 1e6 / packets as f64,
        rtc.figures().lost,
        sessions.len(),
    );
    let _ = child.kill();
    let _ = child.wait();
    feed.abort();
    tasks.finish(Duration::from_secs(3)).await;
}

/// 25 pictures a second, a key frame of four times the size every two seconds.
async fn publish(mut publisher: Publisher, kbits: u64) {
    let set = |text: &str| vec![Bytes::from(hex::decode(text).expect("hexadecimal"))];
    let codec = VideoCodec::H264 { sps: set(SPS), pps: set(PPS) };
    publisher.set_track(Track::Video(VideoTrack { codec, width: 320, height: 180, fps: Some((25, 1)), reorder: Some(0) }));
    let mut tick = tokio::time::interval(Duration::from_millis(40));
    let size = kbits as usize * 1_000 / 8 / 25 * 50 / 53;
    for n in 0i64.. {
        tick.tick().await;
        let key = n % 50 == 0;
        let mut slice = vec![0x55; if key { size * 4 } else { size }];
        slice[..2].copy_from_slice(&[if key { 0x65 } else { 0x41 }, 0x88]);
        let data = [&(slice.len() as u32).to_be_bytes()[..], &slice].concat();
        publisher.push(Raw { kind: Kind::Video, dts: None, pts: Timestamp::from_millis(n * 40), key, data: data.into() });
    }
}

/// This process's CPU time, in seconds.
fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_ascii_whitespace().collect();
    let ticks: f64 = [11, 12].iter().map(|at| fields[*at].parse::<f64>().expect("a number")).sum();
    ticks / 100.0
}

struct Client {
    rtc: Rtc,
    socket: UdpSocket,
    next: Instant,
}

fn clients(count: usize) {
    let (mut stdin, mut stdout) = (BufReader::new(std::io::stdin()), std::io::stdout());
    let mut all = Vec::new();
    for _ in 0..count {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_nonblocking(true).expect("a socket");
        let mut rtc = RtcConfig::new().clear_codecs().enable_h264(true).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(socket.local_addr().expect("bound"), "udp").expect("a candidate"));
        let mut change = rtc.sdp_api();
        change.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = change.apply().expect("an offer");
        writeln!(stdout, "{}", serde_json::to_string(&offer.to_sdp_string()).expect("text")).expect("the parent");
        let mut line = String::new();
        stdin.read_line(&mut line).expect("an answer");
        let answer: String = serde_json::from_str(&line).expect("an answer");
        rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer).expect("SDP")).expect("an answer that fits");
        all.push(Client { rtc, socket, next: Instant::now() });
        all.iter_mut().enumerate().for_each(|(n, client)| client.live(n));
    }
    loop {
        all.iter_mut().enumerate().for_each(|(n, client)| client.live(n));
        std::thread::sleep(Duration::from_millis(4));
    }
}

impl Client {
    fn live(&mut self, n: usize) {
        let mut buffer = [0; 2_000];
        let local = self.socket.local_addr().expect("bound");
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let rtp = (128..192).contains(&buffer[0]) && !(192..224).contains(&buffer[1]);
            if rtp && !n.is_multiple_of(LOOK) {
                continue;
            }
            if let Ok(receive) = Receive::new(Protocol::Udp, from, local, &buffer[..length]) {
                let _ = self.rtc.handle_input(Input::Receive(Instant::now(), receive));
                self.drain();
            }
        }
        if self.next <= Instant::now() {
            let _ = self.rtc.handle_input(Input::Timeout(Instant::now()));
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Ok(output) = self.rtc.poll_output() {
            match output {
                Output::Timeout(at) => {
                    self.next = at;
                    return;
                }
                Output::Transmit(datagram) => {
                    let _ = self.socket.send_to(&datagram.contents, datagram.destination);
                }
                Output::Event(_) => {}
            }
        }
    }
}
