//! Reads a stream and has its past written.

use super::sink::Chunks;
use super::{Shift, folder};
use crate::base::id::StreamKey;
use crate::container::{mp4, ts};
use crate::media::time::Timestamp;
use crate::model::id::{GroupId, RecordingId, StreamId, TenantId};
use crate::model::recording::{Order, Paths};
use crate::model::template::{Formats, Storage};
use crate::runtime::task::Stop;
use crate::stream::{Class, Derived, Recv, Start, Subscriber};
use crate::worker::record::disk::Disk;
use crate::worker::record::session::{Rules, Session};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long it is waited for sound that browsers play.
const SOUND: Duration = Duration::from_secs(1);
/// How often it is looked whether the sound is there.
const GLANCE: Duration = Duration::from_millis(20);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How long frames gather between two reads.
const GATHER: Duration = Duration::from_millis(200);
/// Bytes that wait for the disk at most.
const WAITING: usize = 8 << 20;

type Writing = tokio::task::JoinHandle<(Disk, io::Result<()>)>;

/// Writes until the stream is over, or it is told to stop.
pub async fn run(shift: Shift, key: StreamKey, mut stopped: watch::Receiver<bool>, stop: Stop) {
    let subscriber = tokio::select! {
        _ = stopped.wait_for(|stopped| *stopped) => return,
        () = stop.requested() => return,
        subscriber = heard(&shift, &key) => subscriber,
    };
    let Some(subscriber) = subscriber else { return };
    tracing::info!(stream = %key, "time shift: opened");
    let over = async {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = stop.requested() => {}
        }
    };
    let bytes = write(&shift, &key, subscriber, over).await;
    tracing::info!(stream = %key, bytes, "time shift: closed");
}

/// The stream with sound that browsers play, if it can be had: where its own is not, the derived one with AAC.
async fn heard(shift: &Shift, key: &StreamKey) -> Option<Subscriber> {
    let (registry, clock) = (&shift.0.registry, &shift.0.clock);
    let subscriber = registry.subscribe(key, Class::Worker, Start::Key)?;
    let stream = subscriber.stream().clone();
    let young = stream.info().since + Timestamp::from(SOUND);
    while stream.tracks().audio.is_none() && clock.unix() < young {
        clock.sleep(GLANCE).await;
    }
    let tracks = stream.tracks();
    if tracks.audio.is_none() || ts::carried(&tracks).audio.is_some() {
        return Some(subscriber);
    }
    let Some(derived) = Derived::Aac.of(key) else { return Some(subscriber) };
    Some(registry.wait_for(&derived, Class::Worker, Start::Key, SOUND).await.unwrap_or(subscriber))
}

/// What the session asks for: chunks are all that is made of it.
fn order(key: &StreamKey, chunk: Duration) -> Order {
    Order {
        owner: TenantId(0),
        group: GroupId(0),
        stream: StreamId(0),
        key: key.clone(),
        template: None,
        formats: Formats::NONE,
        interval: u32::try_from(chunk.as_secs()).unwrap_or(600).max(1),
        paths: Paths::default(),
        storage: Storage::default(),
        bucket_key: None,
        expired: 0,
        callback: None,
    }
}

async fn write(shift: &Shift, key: &StreamKey, mut subscriber: Subscriber, over: impl Future<Output = ()>) -> u64 {
    tokio::pin!(over);
    let settings = &shift.0.settings;
    let clock = &shift.0.clock;
    let folder = folder(&shift.0.root, key);
    let rules = Rules { fragment: settings.segment.0, align: true, segment: settings.segment.0 };
    let video = mp4::carried(&subscriber.stream().tracks()).video.is_some();
    let sinks: Vec<Box<dyn crate::worker::record::sink::Sink>> = vec![Box::new(Chunks::new(settings.segment.0))];
    let mut session = Session::with(Arc::new(order(key, settings.chunk.0)), RecordingId(0), 0, rules, sinks, video);
    let new_disk = || Disk::new(&folder);
    let mut disk = Some(new_disk());
    let (mut writing, mut batch, mut total): (Option<Writing>, Vec<_>, u64) = (None, Vec::new(), 0);
    // after a failure nothing is read before this
    let mut again: Option<Timestamp> = None;
    let mut complained = false;
    let mut gathering: Option<Timestamp> = None;
    loop {
        if writing.is_none()
            && !session.ops.is_empty()
            && let Some(mut disk) = disk.take()
        {
            total += session.ops.bytes() as u64;
            let (ops, folder) = (session.ops.take(), folder.clone());
            writing = Some(tokio::task::spawn_blocking(move || {
                let done = std::fs::create_dir_all(&folder).and_then(|()| disk.perform(ops).1);
                (disk, done)
            }));
        }
        let room = session.ops.bytes() <= WAITING && again.is_none();
        let failed = tokio::select! {
            biased;
            () = &mut over => break,
            done = async { Some(writing.as_mut()?.await) }, if writing.is_some() => {
                writing = None;
                match done {
                    Some(Ok((back, done))) => {
                        disk = Some(back);
                        done.err()
                    }
                    Some(Err(error)) => {
                        disk = Some(new_disk());
                        Some(io::Error::other(error))
                    }
                    None => None,
                }
            }
            () = clock.sleep_until(gathering.unwrap_or_default()), if gathering.is_some() => {
                gathering = None;
                None
            }
            got = subscriber.recv(&mut batch), if room && gathering.is_none() => {
                if subscriber.place().next >= subscriber.stream().head() {
                    gathering = Some(clock.now() + GATHER.into());
                }
                match got {
                    Recv::Units => batch.drain(..).for_each(|unit| session.push(unit)),
                    Recv::Lagged { .. } => session.lost(),
                    Recv::Ended(_) => break,
                }
                None
            }
            () = clock.sleep_until(again.unwrap_or_default()), if again.is_some() => {
                again = None;
                session.lost();
                None
            }
        };
        if let Some(error) = failed {
            if !std::mem::replace(&mut complained, true) {
                tracing::error!(stream = %key, %error, "time shift: writing failed; it is tried again");
            }
            session.abandon();
            again = Some(clock.now() + AGAIN.into());
        }
    }
    session.end();
    if let Some(writing) = writing
        && let Ok((back, _)) = writing.await
    {
        disk = Some(back);
    }
    let ops = session.ops.take();
    if let Some(mut disk) = disk {
        let last = tokio::task::spawn_blocking(move || disk.perform(ops).1).await;
        if let Ok(Err(error)) = last {
            tracing::warn!(stream = %key, %error, "time shift: the last segment was not written");
        }
    }
    total
}
