//! Finishes drafts: those of recordings that run, and those that a crash, or a full disk, left behind.

use super::draft::Note;
use super::finish::{self, Made};
use super::{Recorder, lock, playlist};
use crate::media::time::Timestamp;
use crate::model::id::RecordingId;
use crate::model::record::Format;
use crate::model::time::Time;
use crate::runtime::task::Stop;
use crate::storage::{Deposit, Names};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// How often it is looked for drafts that are left.
const EVERY: Duration = Duration::from_secs(60);
/// Files that belong to no note are removed at this age.
const ORPHAN: Duration = Duration::from_secs(86_400);

/// Runs until it is told to stop.
pub async fn run(recorder: Recorder, stop: Stop) {
    loop {
        for note in left(&recorder).await {
            if stop.is_requested() {
                return;
            }
            tracing::info!(stream = %note.key, recording = %note.recording, format = %note.format, "recording: a draft that was left is finished");
            finish(&recorder, &note, None).await;
        }
        tokio::select! {
            () = recorder.0.clock.sleep(EVERY) => {}
            () = stop.requested() => return,
        }
    }
}

/// Runs a task that the end of the server waits for.
pub fn spawn(recorder: &Recorder, task: impl Future<Output = ()> + Send + 'static) {
    recorder.0.finishers.spawn("record: finish", task);
}

/// The highest number of a file of each recording whose draft is there still.
pub async fn numbers(spool: PathBuf) -> HashMap<RecordingId, u64> {
    let read = move || -> std::io::Result<HashMap<RecordingId, u64>> {
        let mut numbers = HashMap::new();
        for entry in std::fs::read_dir(&spool)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // `{recording}-{number}-…`, whatever it is a part of
            let mut parts = name.split(['-', '.']);
            if let (Some(Ok(id)), Some(Ok(number))) = (parts.next().map(str::parse), parts.next().map(str::parse::<u64>)) {
                let newest: &mut u64 = numbers.entry(id).or_default();
                *newest = number.max(*newest);
            }
        }
        Ok(numbers)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(numbers)) => numbers,
        _ => HashMap::new(),
    }
}

/// The drafts that nobody works on; they are the caller's now.
async fn left(recorder: &Recorder) -> Vec<Note> {
    let spool = recorder.0.parts.shelf.spool().to_owned();
    let read = move || -> std::io::Result<Vec<Note>> {
        let (mut notes, mut orphans) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(&spool)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".json") {
                let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                match Note::parse(&text).filter(|note| note.name() == name) {
                    Some(note) => notes.push(note),
                    None => orphans.push(entry.path()),
                }
            } else if [".part", ".made", ".ts"].iter().any(|end| name.ends_with(end)) {
                orphans.push(entry.path());
            }
        }
        let stems: Vec<String> = notes.iter().map(Note::stem).collect();
        for orphan in orphans {
            let name = orphan.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let old =
                std::fs::metadata(&orphan).and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > ORPHAN);
            if old && !stems.iter().any(|stem| name.starts_with(stem.as_str())) {
                std::fs::remove_file(&orphan)?;
            }
        }
        notes.sort_by_key(|note| (note.start(), note.sequence));
        Ok(notes)
    };
    let notes = match tokio::task::spawn_blocking(read).await {
        Ok(Ok(notes)) => notes,
        Ok(Err(error)) => {
            tracing::warn!(%error, "recordings: drafts cannot be looked through");
            Vec::new()
        }
        Err(_) => Vec::new(),
    };
    let mut busy = lock(&recorder.0.busy);
    notes.into_iter().filter(|note| busy.insert(note.stem())).collect()
}

/// Finishes a draft and stores it. What fails is tried again in a minute. Returns whether a file was stored.
pub async fn finish(recorder: &Recorder, note: &Note, end: Option<Timestamp>) -> bool {
    let turn = recorder.0.finishing.acquire().await;
    let there = recorder.0.parts.shelf.spool().join(note.name()).exists();
    let done = if there { attempt(recorder, note, end).await } else { Ok(false) };
    drop(turn);
    lock(&recorder.0.busy).remove(&note.stem());
    match done {
        Ok(stored) => stored,
        Err(error) => {
            tracing::warn!(%error, stream = %note.key, recording = %note.recording, "recording: a file cannot be finished yet");
            false
        }
    }
}

async fn attempt(recorder: &Recorder, note: &Note, end: Option<Timestamp>) -> Result<bool, String> {
    let spool = recorder.0.parts.shelf.spool().to_owned();
    let made = match note.format {
        Format::Hls => segments(recorder, note, end).await?,
        _ => blocking(spool.clone(), note, finish::make).await?,
    };
    let stored = made.is_some();
    if let Some(Made { file, duration_ms, size }) = made {
        let end = end.unwrap_or(note.start() + Timestamp::from_millis(duration_ms));
        let end = Time::from_nanos(end.0);
        let record = note.record(end, duration_ms, size);
        let kind = match note.format {
            Format::Mp4 => "video/mp4",
            Format::Flv => "video/x-flv",
            Format::Hls => "application/vnd.apple.mpegurl",
            Format::Jpg => "image/jpeg",
        };
        let place = record.place.clone();
        let deposit = Deposit { record: Some(record), callback: note.callback.clone(), ..deposit(recorder, note, file, place, kind) };
        recorder.0.parts.shelf.deposit(deposit).await.map_err(|e| e.to_string())?;
    }
    blocking(spool, note, finish::clear).await?;
    Ok(stored)
}

fn deposit(recorder: &Recorder, note: &Note, file: PathBuf, place: crate::model::record::Place, kind: &'static str) -> Deposit {
    let (app, stream) = note.names();
    let names = Names { domain: recorder.0.parts.domain.clone(), app: app.to_owned(), stream: stream.to_owned() };
    Deposit { names, region: note.region().to_owned(), ..Deposit::new(note.owner, file, place, kind) }
}

/// Stores the segments, then writes the playlist that names them.
async fn segments(recorder: &Recorder, note: &Note, end: Option<Timestamp>) -> Result<Option<Made>, String> {
    let spool = recorder.0.parts.shelf.spool().to_owned();
    let mut listed = blocking(spool.clone(), note, playlist::segments).await?;
    for segment in &mut listed {
        let Some(file) = segment.file.take() else { continue };
        let place = note.place(segment.object.clone());
        let stored = recorder.0.parts.shelf.deposit(deposit(recorder, note, file, place, "video/mp2t")).await.map_err(|e| e.to_string())?;
        segment.object = stored.object;
        let (n, object) = (segment.n, segment.object.clone());
        blocking(spool.clone(), note, move |spool, note| playlist::stored(spool, note, n, &object)).await?;
    }
    blocking(spool, note, move |spool, note| playlist::make(spool, note, end, &listed)).await
}

async fn blocking<T: Send + 'static>(
    spool: PathBuf,
    note: &Note,
    work: impl FnOnce(&std::path::Path, &Note) -> std::io::Result<T> + Send + 'static,
) -> Result<T, String> {
    let note = note.clone();
    match tokio::task::spawn_blocking(move || work(&spool, &note)).await {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
