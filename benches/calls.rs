//! Signed reads: how many `DescribeStream` a second this machine answers, beside a bare axum handler that answers as many bytes.
//!
//! Both servers are processes of their own and get the same client; what the client costs is part of the first figure and not
//! of the second, which counts the processor time of the server alone. `cargo bench --bench calls`

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir::api::auth::v1;
use weir::api::query::{self, Given};
use weir::model::time::Time;

const KEY: (&str, &str) = ("bench-key", "bench-secret-0123456789");
/// The goal, on two cores.
const LEAST: f64 = 10_000.0;
const CONNECTIONS: usize = 32;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    match std::env::var("WEIR_BENCH_BARE") {
        Ok(answer) => runtime.block_on(bare(answer)),
        Err(_) => runtime.block_on(compare()),
    }
}

/// The other server: it answers what it was told, whatever is asked.
async fn bare(answer: String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("its address"));
    let json = [(http::header::CONTENT_TYPE, "application/json; charset=utf-8")];
    let handler = move || {
        let answer = answer.clone();
        async move { (json, answer) }
    };
    let router = axum::Router::new().route("/", axum::routing::get(handler));
    axum::serve(listener, router).await.expect("to serve");
}

async fn compare() {
    let calls: usize = std::env::var("CALLS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a folder");
    let port = || TcpListener::bind("127.0.0.1:0");
    let mut ports = Vec::new();
    for _ in 0..5 {
        ports.push(port().await.expect("a port").local_addr().expect("its address"));
    }
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.arg("serve").current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for (key, value) in [
        ("data_dir", folder.path().join("data").display().to_string()),
        ("access_key_id", KEY.0.to_owned()),
        ("access_key_secret", KEY.1.to_owned()),
        ("api.rate", "0".to_owned()),
        ("http.listen", ports[0].to_string()),
        ("rtmp.listen", ports[1].to_string()),
        ("sip.udp_listen", ports[2].to_string()),
        ("sip.tcp_listen", ports[3].to_string()),
        ("rtp.listen", ports[4].to_string()),
        ("webrtc.listen", "127.0.0.1:0".to_owned()),
    ] {
        weir.arg("--set").arg(format!("{key}={value}"));
    }
    let weir = Server::start(weir, ports[0]).await;
    let group = ask(weir.address, &[("Action", "CreateGroup"), ("Name", "g"), ("InProtocol", "rtmp"), ("OutProtocol", "flv")]).await;
    let made = ask(weir.address, &[("Action", "CreateRtmpGroupStreamurl"), ("Id", &group["Id"]), ("Name", "s")]).await;
    let call = [("Action", "DescribeStream"), ("Id", made["StreamId"].as_str())];
    let answer = serde_json::to_string(&ask(weir.address, &call).await).expect("JSON");

    let mut other = Command::new(std::env::current_exe().expect("this program"));
    other.env("WEIR_BENCH_BARE", &answer).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let other = Server::told(other);

    println!("DescribeStream, signed (HMAC-SHA1), {calls} calls on {CONNECTIONS} connections, {} bytes an answer", answer.len());
    let (mut ours, mut theirs) = ((0.0, 0.0), (0.0, 0.0));
    for _ in 0..3 {
        ours = best(ours, weir.measure(&call, calls).await);
        theirs = best(theirs, other.measure(&call, calls).await);
    }
    let cores = 2.0;
    for (name, (rate, micros)) in [("weir", ours), ("bare axum handler", theirs)] {
        println!(
            "  {name:<18} {rate:>8.0} a second with the client on the same cores; {micros:>5.1} µs of processor a call, so {:>8.0} a second on two cores",
            cores * 1e6 / micros
        );
    }
    println!("  ratio               {:.2} of the rate, {:.2} times the processor time", ours.0 / theirs.0, ours.1 / theirs.1);
    println!("  at least {LEAST:.0} a second: {}", if cores * 1e6 / ours.1 >= LEAST && ours.0 >= LEAST { "yes" } else { "NO" });
}

fn best(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    if b.0 > a.0 { b } else { a }
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    async fn start(mut command: Command, address: SocketAddr) -> Server {
        let server = Server { child: command.spawn().expect("weir starts"), address };
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < until, "weir is not ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    fn told(mut command: Command) -> Server {
        use std::io::BufRead;
        let mut child = command.spawn().expect("this program starts");
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its address");
        Server { child, address: line.trim().parse().expect("an address") }
    }

    /// Processor time of the process so far.
    fn processor(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux tells the time of a process");
        let (_, rest) = stat.rsplit_once(')').expect("a name in brackets");
        let fields: Vec<u64> = rest.split_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
        Duration::from_millis((fields[11] + fields[12]) * 10)
    }

    /// Calls a second, and microseconds of the server's processor time a call.
    async fn measure(&self, call: &[(&str, &str)], calls: usize) -> (f64, f64) {
        let each = calls / CONNECTIONS;
        let lanes: Vec<Arc<Vec<Vec<u8>>>> =
            (0..CONNECTIONS).map(|_| Arc::new((0..each).map(|_| request(call)).collect::<Vec<_>>())).collect();
        let (before, begun) = (self.processor(), Instant::now());
        let mut tasks = tokio::task::JoinSet::new();
        for lane in lanes {
            let address = self.address;
            tasks.spawn(async move {
                let mut line = Line::open(address).await;
                for request in lane.iter() {
                    let (status, _) = line.exchange(request).await;
                    assert_eq!(status, 200);
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("every call is answered");
        }
        let n = (each * CONNECTIONS) as f64;
        (n / begun.elapsed().as_secs_f64(), (self.processor() - before).as_secs_f64() * 1e6 / n)
    }
}

fn request(call: &[(&str, &str)]) -> Vec<u8> {
    let mut given = Given::from_pairs(call.iter().copied());
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let stamp = Time::from_secs(seconds as i64).to_string();
    v1::sign_call("GET", &mut given, KEY.0, KEY.1, &stamp, &uuid::Uuid::new_v4().to_string());
    format!("GET /?{} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\n\r\n", query::canonical(&given, &[])).into_bytes()
}

async fn ask(address: SocketAddr, call: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let (status, body) = Line::open(address).await.exchange(&request(call)).await;
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(status, 200, "{body}");
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    body.as_object().expect("an object").iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// A connection that is kept.
struct Line {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Line {
    async fn open(address: SocketAddr) -> Line {
        let socket = TcpStream::connect(address).await.expect("a connection");
        socket.set_nodelay(true).expect("no delay");
        Line { socket, buffer: Vec::with_capacity(4096) }
    }

    /// Status and body.
    async fn exchange(&mut self, request: &[u8]) -> (u16, Vec<u8>) {
        self.socket.write_all(request).await.expect("to send");
        self.buffer.clear();
        loop {
            assert!(self.socket.read_buf(&mut self.buffer).await.expect("an answer") > 0, "the connection was closed");
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut answer = httparse::Response::new(&mut headers);
            let Ok(httparse::Status::Complete(head)) = answer.parse(&self.buffer) else { continue };
            let length = answer.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length")).expect("a length");
            let length: usize = std::str::from_utf8(length.value).ok().and_then(|l| l.parse().ok()).expect("a number");
            let status = answer.code.expect("a status");
            if self.buffer.len() >= head + length {
                return (status, self.buffer[head..head + length].to_vec());
            }
        }
    }
}
