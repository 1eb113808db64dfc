//! `weir push FILE URL`: sends an FLV file to an RTMP server in real time, over and over, so that a demo needs no ffmpeg.

use crate::container::flv::{Reader, Tag, tag};
use crate::proto::rtmp::Url;
use crate::worker::dial::Backoff;
use crate::worker::relay::Outgoing;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// The longest tag of a file.
const LONGEST: usize = 16 << 20;
/// The longest file; it is kept in memory.
const FILE_MAX: u64 = 1 << 30;

/// What `weir push` takes.
#[derive(clap::Args)]
pub(super) struct Push {
    /// An FLV file.
    file: PathBuf,
    /// Where it goes, as in rtmp://127.0.0.1/live/demo
    url: String,
    /// Send the file once instead of over and over.
    #[arg(long)]
    once: bool,
    /// Try again when the server cannot be reached or ends the stream.
    #[arg(long)]
    retry: bool,
}

pub(super) fn run(push: &Push) -> ExitCode {
    let work = async {
        let url = Url::parse(&push.url).map_err(|e| format!("{}: {e}", push.url))?;
        let tags = load(&push.file)?;
        let mut backoff = Backoff::new(Duration::from_secs(5));
        loop {
            match send(&tags, &url, push.once).await {
                Err(why) if push.retry => {
                    eprintln!("{url}: {why}");
                    tokio::time::sleep(backoff.wait()).await;
                }
                done => return done.map_err(|why| format!("{url}: {why}")),
            }
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn load(path: &Path) -> Result<Vec<Tag>, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let size = std::fs::metadata(path).map_err(|e| wrong(&e))?.len();
    if size > FILE_MAX {
        return Err(wrong(&format!("longer than {FILE_MAX} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|e| wrong(&e))?;
    let (mut reader, mut rest, mut tags) = (Reader::new(LONGEST), &bytes[..], Vec::new());
    while let Some(tag) = reader.read(&mut rest).map_err(|e| wrong(&e))? {
        tags.push(tag);
    }
    match tags.iter().any(|t| t.kind != tag::kind::SCRIPT) {
        true => Ok(tags),
        false => Err(wrong(&"no audio and no video in it")),
    }
}

/// One connection: the file in real time, its times going on from round to round.
async fn send(tags: &[Tag], url: &Url, once: bool) -> Result<(), String> {
    let mut link = Outgoing::connect(url).await?;
    eprintln!("pushing to {url}");
    let first = tags.iter().find(|t| t.kind != tag::kind::SCRIPT).map_or(0, |t| t.timestamp);
    let start = Instant::now();
    let mut shift = 0;
    loop {
        let (mut last, mut step) = (0, 40);
        for tag in tags {
            let time = tag.timestamp.saturating_sub(first);
            // The last frame lasts as long as the frames before it.
            if time > last {
                (step, last) = ((time - last).clamp(1, 1000), time);
            }
            let at = shift + u64::from(time);
            wait(&mut link, start + Duration::from_millis(at)).await?;
            let name: &[u8] = if tag.kind == tag::kind::SCRIPT { b"\x02\x00\x0d@setDataFrame" } else { &[] };
            link.client.send(tag.kind, at as u32, [name, &tag.data]);
            link.flush().await?;
        }
        shift += u64::from(last + step);
        if once {
            link.client.stop();
            return link.flush().await;
        }
    }
}

/// Waits for the time of the next frame, and listens to the server meanwhile.
async fn wait(link: &mut Outgoing, at: Instant) -> Result<(), String> {
    while Instant::now() < at {
        tokio::select! {
            () = tokio::time::sleep_until(at) => {}
            heard = link.hear() => heard?,
        }
    }
    Ok(())
}
