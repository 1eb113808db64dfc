//! A running server, a publisher whose every frame is numbered, and players that read the numbers back.

use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use weir::proto::rtmp::message::kind;
use weir::proto::rtmp::{self, ClientEvent, Role, chunk::Limits};

/// How long anything may take that should take no time.
pub const SOON: Duration = Duration::from_secs(30);

/// What a client of ours takes from a server.
const LIMITS: Limits = Limits { message: 1 << 20, streams: 64, partial: 4 << 20 };

/// A Weir with ports and a folder of its own; ends with this value.
pub struct Server {
    child: Child,
    folder: tempfile::TempDir,
    pub http: SocketAddr,
    pub rtmp: SocketAddr,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub async fn start(keys: &[(&str, &str)]) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let (http, rtmp) = (free_address().await, free_address().await);
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WEIR_")) {
            command.env_remove(name);
        }
        command.arg("serve").current_dir(folder.path());
        let set = [("data_dir", folder.path().join("data").display().to_string())]
            .into_iter()
            .chain([("http.listen", http.to_string()), ("rtmp.listen", rtmp.to_string()), ("access.open", "[\"live/*\"]".into())])
            .chain(closed_ports())
            .chain(keys.iter().map(|(key, value)| (*key, (*value).to_owned())));
        for (key, value) in set {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut server = Server { child, folder, http, rtmp };
        let until = Instant::now() + SOON;
        while server.get("/readyz").await.is_none_or(|(status, _)| status != 200) {
            assert!(server.child.try_wait().unwrap().is_none(), "the server ended:\n{}", server.log());
            assert!(Instant::now() < until, "the server is not ready:\n{}", server.log());
            sleep(Duration::from_millis(50)).await;
        }
        server
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Status and body of a GET; none if it does not answer.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut socket = TcpStream::connect(self.http).await.ok()?;
        socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        timeout(Duration::from_secs(5), socket.read_to_end(&mut answer)).await.ok()?.ok()?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Memory that the process holds, in KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells the memory of a process");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Sockets and files that the process holds open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Fails if anything in the server panicked.
    pub fn assert_sound(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the server ended:\n{}", self.log());
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports of other protocols that this build serves: any free one will do.
fn closed_ports() -> Vec<(&'static str, String)> {
    let known = weir::config::reference();
    let section = |name: &str| known.contains(&format!("[{name}]"));
    let free = || {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let mut found = Vec::new();
    if section("sip") {
        found.extend([("sip.udp_listen", free()), ("sip.tcp_listen", free())]);
    }
    if section("rtp") {
        found.push(("rtp.listen", free()));
        found.push(("webrtc.listen", "127.0.0.1:0".to_owned()));
    }
    found
}

async fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap()
}

/// An RTMP connection from the client's side.
pub struct Rtmp {
    socket: TcpStream,
    client: rtmp::Client,
    input: Vec<u8>,
}

impl Rtmp {
    /// Connects and waits until the server lets it publish or play.
    pub async fn open(server: SocketAddr, name: &str, role: Role, receive_buffer: Option<u32>) -> Result<Rtmp, String> {
        let url = rtmp::Url::parse(&format!("rtmp://{server}/live/{name}")).unwrap();
        let socket = connect(server, receive_buffer).await.map_err(|e| e.to_string())?;
        let client = rtmp::Client::new(url, role, LIMITS, u64::from(socket.local_addr().unwrap().port()));
        let mut rtmp = Rtmp { socket, client, input: Vec::new() };
        loop {
            match timeout(SOON, rtmp.event()).await.map_err(|_| "no answer in time")?? {
                Some(ClientEvent::Started) => return Ok(rtmp),
                Some(ClientEvent::Refused(why)) => return Err(why),
                Some(_) => {}
                None => return Err("closed".into()),
            }
        }
    }

    /// The next event; none at the end of the connection.
    pub async fn event(&mut self) -> Result<Option<ClientEvent>, String> {
        let mut chunk = vec![0; 16 * 1024];
        loop {
            let mut rest = self.input.as_slice();
            let event = self.client.next(&mut rest).map_err(|e| e.to_string())?;
            let used = self.input.len() - rest.len();
            self.input.drain(..used);
            let output = self.client.output();
            if !output.is_empty() {
                // The server may be gone; reading tells.
                let _ = self.socket.write_all(&output).await;
            }
            if event.is_some() {
                return Ok(event);
            }
            match self.socket.read(&mut chunk).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(n) => self.input.extend_from_slice(&chunk[..n]),
            }
        }
    }

    /// Sends a message of the stream.
    pub async fn send(&mut self, kind: u8, timestamp: u32, payload: &[u8]) {
        self.client.send(kind, timestamp, [payload, &[]]);
        self.socket.write_all(&self.client.output()).await.expect("the server takes what its publisher sends");
    }

    /// Ends in order: everything that was sent is read before the connection is over.
    pub async fn close(mut self) {
        self.client.stop();
        let _ = self.socket.write_all(&self.client.output()).await;
        let _ = self.socket.shutdown().await;
        let _ = timeout(SOON, async { while let Ok(Some(_)) = self.event().await {} }).await;
    }
}

/// Connects, with a small window where asked: such a peer is soon full.
pub async fn connect(to: SocketAddr, receive_buffer: Option<u32>) -> std::io::Result<TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    if let Some(size) = receive_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    socket.connect(to).await
}

/// Sends H.264 and AAC whose every frame carries its number; the numbers go on when the publisher comes back.
pub struct Source {
    pub sent: u32,
    rtmp: Rtmp,
    clock: u32,
}

/// A real encoder's sequence headers (320 × 180), as FLV carries them.
const AVC_HEADER: &[u8] = include_bytes!("avc_header.bin");
const AAC_HEADER: &[u8] = &[0xaf, 0, 0x12, 0x10];
/// Pictures from one key frame to the next.
const GOP: u32 = 50;

impl Source {
    /// Begins to publish, numbering from `sent` on.
    pub async fn open(server: SocketAddr, name: &str, sent: u32) -> Source {
        let mut rtmp = Rtmp::open(server, name, Role::Publish, None).await.expect("may publish");
        rtmp.send(kind::VIDEO, 0, AVC_HEADER).await;
        rtmp.send(kind::AUDIO, 0, AAC_HEADER).await;
        Source { sent, rtmp, clock: 0 }
    }

    /// Sends `pictures` pictures of `size` bytes, at their real pace, each with a sound.
    pub async fn send(&mut self, pictures: u32, size: usize) {
        for n in 0..pictures {
            let key = n % GOP == 0;
            let mut picture = vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
            picture.extend_from_slice(&(size as u32 + 5).to_be_bytes());
            picture.push(if key { 0x65 } else { 0x41 });
            picture.extend(self.number());
            picture.resize(picture.len() + size, 0xaa);
            self.rtmp.send(kind::VIDEO, self.clock, &picture).await;
            let mut sound = vec![0xaf, 1];
            sound.extend(self.number());
            sound.resize(120, 0x55);
            self.rtmp.send(kind::AUDIO, self.clock, &sound).await;
            self.clock += 40;
            sleep(Duration::from_millis(40)).await;
        }
    }

    fn number(&mut self) -> [u8; 4] {
        self.sent += 1;
        self.sent.to_be_bytes()
    }

    /// Ends the publication in order.
    pub async fn close(self) -> u32 {
        self.rtmp.close().await;
        self.sent
    }
}

/// The number in a message of a [`Source`], by its FLV body; none for headers and metadata.
pub fn number(kind: u8, body: &[u8]) -> Option<u32> {
    let at = match (kind, body.get(1)?) {
        (kind::VIDEO, 1) => 10,
        (kind::AUDIO, 1) => 2,
        _ => return None,
    };
    Some(u32::from_be_bytes(body.get(at..at + 4)?.try_into().ok()?))
}

/// Plays by RTMP until the server ends it; gives the numbers that came.
pub async fn play_rtmp(server: SocketAddr, name: &str) -> Result<Vec<u32>, String> {
    let mut rtmp = Rtmp::open(server, name, Role::Play, None).await?;
    let mut numbers = Vec::new();
    while let Some(event) = rtmp.event().await? {
        match event {
            ClientEvent::Media(message) => numbers.extend(number(message.kind, &message.data)),
            ClientEvent::Ended => break,
            ClientEvent::Refused(why) => return Err(why),
            ClientEvent::Started => {}
        }
    }
    Ok(numbers)
}

/// Plays by HTTP-FLV until the server ends it; gives the numbers that came.
pub async fn play_flv(server: SocketAddr, name: &str) -> Result<Vec<u32>, String> {
    let mut socket = connect(server, None).await.map_err(|e| e.to_string())?;
    ask_flv(&mut socket, name).await?;
    let mut flv = Flv::default();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        match socket.read(&mut chunk).await {
            Ok(0) => return flv.end(),
            Ok(n) => flv.take(&chunk[..n])?,
            Err(e) => return Err(e.to_string()),
        }
    }
}

/// Sends the request of an HTTP-FLV player.
pub async fn ask_flv(socket: &mut TcpStream, name: &str) -> Result<(), String> {
    let request = format!("GET /live/{name}.flv HTTP/1.0\r\nHost: test\r\n\r\n");
    socket.write_all(request.as_bytes()).await.map_err(|e| e.to_string())
}

/// Reads an HTTP answer that is FLV, in any pieces.
#[derive(Default)]
struct Flv {
    buffer: Vec<u8>,
    begun: bool,
    numbers: Vec<u32>,
}

impl Flv {
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.buffer.extend_from_slice(bytes);
        if !self.begun {
            let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(()) };
            let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
            if !head.contains(" 200 ") || head.to_ascii_lowercase().contains("transfer-encoding") {
                return Err(format!("not a plain 200: {head}"));
            }
            // The FLV header and the size before the first tag.
            if self.buffer.len() < end + 4 + 13 {
                return Ok(());
            }
            if &self.buffer[end + 4..end + 7] != b"FLV" {
                return Err("no FLV header".into());
            }
            self.buffer.drain(..end + 4 + 13);
            self.begun = true;
        }
        let mut at = 0;
        while let Some(head) = self.buffer.get(at..at + 11) {
            let size = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
            let Some(body) = self.buffer.get(at + 11..at + 11 + size + 4) else { break };
            if u32::from_be_bytes(body[size..].try_into().expect("four bytes")) as usize != size + 11 {
                return Err("the size after a tag is not its size".into());
            }
            self.numbers.extend(number(head[0] & 31, &body[..size]));
            at += 11 + size + 4;
        }
        self.buffer.drain(..at);
        Ok(())
    }

    fn end(self) -> Result<Vec<u32>, String> {
        if !self.begun {
            return Err(format!("no FLV came: {}", String::from_utf8_lossy(&self.buffer)));
        }
        if !self.buffer.is_empty() {
            return Err("ended in the middle of a tag".into());
        }
        Ok(self.numbers)
    }
}

/// Bytes that no protocol of ours begins with, and some that one does.
pub fn garbage(n: usize) -> Bytes {
    let noise = |seed: usize, length: usize| (0..length).map(|i| ((i * 2_654_435_761 + seed * 40_503) >> 7) as u8).collect::<Vec<u8>>();
    match n % 5 {
        0 => noise(n, 5000).into(),
        1 => [vec![3], noise(n, 1536), noise(n + 1, 3000)].concat().into(),
        2 => b"GET /live/crowd.flv HTTP/1.1\r\nHost: te".as_slice().into(),
        3 => [b"GET / HTTP/1.1\r\n".as_slice(), &b"A: b\r\n".repeat(5000)].concat().into(),
        _ => Bytes::from_static(&[3]),
    }
}
