//! A crowd: 1,000 players of which half stall, a publisher that restarts twice, and peers that send garbage.

use crate::support::{Rtmp, SOON, Server, Source, ask_flv, connect, garbage, play_flv, play_rtmp};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use weir::proto::rtmp::Role;

const HEALTHY: usize = 500;
const STALLED: usize = 500;
const GARBAGE: usize = 100;
/// A window so small that a peer that does not read is full at once.
const SMALL: Option<u32> = Some(4096);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_healthy_player_receives_every_frame() {
    more_files();
    let keys = [("stream.grace", "10s"), ("play.stall", "3s"), ("net.max_connections_per_address", "5000"), ("log.level", "warn")];
    let mut server = Server::start(&keys.into_iter().filter(|(key, _)| known(key)).collect::<Vec<_>>()).await;
    // The first crowd makes the memory grow to what a crowd needs; the second must find it there.
    crowd(&server, "warm").await;
    let (memory, files) = settled(&server).await;
    crowd(&server, "crowd").await;
    let (after, files_after) = settled(&server).await;
    server.assert_sound();
    assert!(after < memory + memory / 4, "memory does not return: {memory} KiB after the first crowd, {after} KiB after the second");
    assert!(files_after <= files + 2, "sockets stay open: {files} after the first crowd, {files_after} after the second");
}

/// One crowd from its first player to its last.
async fn crowd(server: &Server, name: &'static str) {
    let mut source = Source::open(server.rtmp, name, 0).await;
    source.send(10, 2000).await;
    let first = timeout(SOON, players(server, name)).await.expect("the players are served in time");
    let (mut healthy, stalled, hostile) = first;
    // While they all come, the stream goes on, and breaks twice.
    source.send(100, 4000).await;
    let joined = source.sent;
    for _ in 0..2 {
        let sent = source.close().await;
        source = Source::open(server.rtmp, name, sent).await;
        source.send(75, 4000).await;
    }
    let last = source.close().await;
    let results = timeout(Duration::from_secs(60), async {
        let mut results = Vec::new();
        while let Some(done) = healthy.join_next().await {
            results.push(done.expect("a player does not panic"));
        }
        results
    });
    let results = results.await.expect("the players are told that the stream is over");
    assert_eq!(results.len(), HEALTHY);
    for result in results {
        let (which, numbers) = result.unwrap_or_else(|why| panic!("a healthy player lost its session: {why}\n{}", server.log()));
        let from = *numbers.first().unwrap_or_else(|| panic!("{which}: no frame came"));
        let wanted: Vec<u32> = (from..=last).collect();
        if numbers != wanted {
            let at = numbers.iter().zip(&wanted).position(|(got, wanted)| got != wanted).unwrap_or(numbers.len().min(wanted.len()));
            let near = &numbers[at.saturating_sub(2)..numbers.len().min(at + 3)];
            panic!(
                "{which}: {} frames from {from} instead of {}, wrong at {at}: {near:?}; the last is {last}",
                numbers.len(),
                wanted.len()
            );
        }
        assert!(from <= joined, "{which}: came late, at {from}");
    }
    // They still hold their ends; the server must have let go of its own.
    all_sessions_end(server).await;
    drop((stalled, hostile));
}

/// Waits until the server says that it has no session left.
async fn all_sessions_end(server: &Server) {
    let until = Instant::now() + SOON;
    loop {
        let (_, metrics) = server.get("/metrics").await.expect("metrics are served");
        let open: Vec<&str> = metrics.lines().filter(|line| line.starts_with("weir_sessions{") && !line.ends_with(" 0")).collect();
        if open.is_empty() {
            assert!(metrics.contains("\nweir_sessions{"), "no figure for sessions: {metrics}");
            return;
        }
        assert!(Instant::now() < until, "sessions stay open: {open:?}\n{}", server.log());
        sleep(Duration::from_millis(200)).await;
    }
}

type Healthy = JoinSet<Result<(String, Vec<u32>), String>>;

/// Healthy players, half of them by RTMP; stalled ones that never read what they asked for; and garbage.
async fn players(server: &Server, name: &'static str) -> (Healthy, Vec<Stalled>, Vec<TcpStream>) {
    let (http, rtmp) = (server.http, server.rtmp);
    let mut healthy = JoinSet::new();
    let (mut stalled, mut hostile) = (Vec::new(), Vec::new());
    for n in 0..HEALTHY.max(STALLED) {
        if n < HEALTHY {
            healthy.spawn(async move {
                match n % 2 {
                    0 => play_flv(http, name).await.map(|numbers| (format!("HTTP-FLV player {n}"), numbers)),
                    _ => play_rtmp(rtmp, name).await.map(|numbers| (format!("RTMP player {n}"), numbers)),
                }
            });
        }
        if n < STALLED {
            stalled.push(stall(http, rtmp, name, n).await);
        }
        if n % 5 == 0 && hostile.len() < GARBAGE {
            let mut socket = connect([rtmp, http][n % 2], None).await.expect("anybody may connect");
            // It may be cut while it still talks.
            let _ = socket.write_all(&garbage(n / 5)).await;
            hostile.push(socket);
        }
        if n % 20 == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
    (healthy, stalled, hostile)
}

/// A player that never reads; it holds its connection.
enum Stalled {
    Flv { _socket: TcpStream },
    Rtmp { _session: Box<Rtmp> },
}

async fn stall(http: SocketAddr, rtmp: SocketAddr, name: &str, n: usize) -> Stalled {
    if n.is_multiple_of(2) {
        let mut socket = connect(http, SMALL).await.expect("anybody may connect");
        ask_flv(&mut socket, name).await.expect("a request is taken");
        Stalled::Flv { _socket: socket }
    } else {
        Stalled::Rtmp { _session: Box::new(Rtmp::open(rtmp, name, Role::Play, SMALL).await.expect("may play")) }
    }
}

/// Memory and open files once they do not change any more.
async fn settled(server: &Server) -> (u64, usize) {
    let until = Instant::now() + SOON;
    let mut before = (0, 0);
    loop {
        sleep(Duration::from_secs(1)).await;
        let now = (server.rss_kib(), server.open_files());
        if now == before || Instant::now() > until {
            return now;
        }
        before = now;
    }
}

fn known(key: &str) -> bool {
    let (section, name) = key.split_once('.').expect("a key of a section");
    let reference = weir::config::reference();
    let from = reference.find(&format!("[{section}]\n"));
    from.is_some_and(|from| reference[from..].split("\n\n[").next().is_some_and(|text| text.contains(&format!("\n#{name} ="))))
}

/// A thousand sockets need more files than a shell allows by default.
fn more_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid pointer to a limit that lives until they return.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    assert!(limit.rlim_cur > 4000, "this test needs 4,000 files, the hard limit is {}", limit.rlim_cur);
}
