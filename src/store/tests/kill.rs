//! kill -9 in the middle of many writes: whatever was answered is there.

use super::*;
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Where the child finds its store: data directory, then URL.
const WHERE: &str = "WEIR_TEST_KILL";

/// Not a test of its own: [`whatever_was_answered_is_there`] runs it in a process that it kills.
#[test]
#[ignore = "the child of another test"]
fn child() {
    let Ok(place) = std::env::var(WHERE) else { return };
    let (dir, url) = place.split_once('|').unwrap();
    let settings = Settings { url: Secret(url.to_owned()), ..Settings::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&settings, dir.as_ref(), Clock::real()).await.unwrap();
        let group = store.create_group(Scope::Operator, group::Draft::new("g", InProtocol::Gb28181, "flv".parse().unwrap())).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for lane in 0..8 {
            let (store, group) = (store.clone(), group.id);
            tasks.spawn(async move {
                for n in 0..100_000 {
                    let draft = device::Draft::new(group, Kind::Ipc, code(lane * 100_000 + n));
                    let device = store.create_device(Scope::Operator, draft).await.unwrap();
                    // One write call a line: what reaches the parent was answered before.
                    use std::io::Write;
                    std::io::stdout().lock().write_all(format!("ANSWERED {}\n", device.id).as_bytes()).unwrap();
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    });
}

async fn whatever_was_answered_is_there(settings: Settings, answers: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::kill::child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(WHERE, format!("{}|{}", dir.path().display(), settings.url.0))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answered = HashSet::new();
    let mut keep = |line: std::io::Result<String>| {
        // The harness may have begun the line.
        let id = line.ok().and_then(|line| line.split_once("ANSWERED ").and_then(|(_, id)| id.parse::<crate::model::id::DeviceId>().ok()));
        answered.extend(id);
        answered.len()
    };
    for line in lines.by_ref() {
        if keep(line) >= answers {
            break;
        }
    }
    child.kill().unwrap();
    // What it had written before it died counts as well.
    for line in lines {
        keep(line);
    }
    child.wait().unwrap();
    assert!(answered.len() >= answers, "the child ended early: {}", answered.len());
    let store = Store::open(&settings, dir.path(), Clock::real()).await.unwrap();
    let (mut there, mut after) = (HashSet::new(), None);
    loop {
        let portion = store.devices_after(after, 1000).await.unwrap();
        let Some(last) = portion.last() else { break };
        after = Some(last.id);
        there.extend(portion.iter().map(|d| d.id));
    }
    let lost: Vec<_> = answered.difference(&there).collect();
    assert!(lost.is_empty(), "{} of {} answered devices are lost", lost.len(), answered.len());
    // No half of an operation either: each device has its channel and stream.
    let page = store.streams(Scope::Operator, stream::Filter::default(), &Sort::default(), Page::default()).await.unwrap();
    assert_eq!(page.total, there.len() as u64);
    store.close().await;
}

#[tokio::test]
async fn sqlite() {
    for answers in [1, 100, 1000] {
        whatever_was_answered_is_there(Settings::default(), answers).await;
    }
}

#[tokio::test]
async fn postgres() {
    let Some(url) = postgres_database().await else { return };
    whatever_was_answered_is_there(Settings { url: Secret(url), ..Settings::default() }, 300).await;
}
