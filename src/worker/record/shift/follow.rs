//! Follows templates and streams: whose past is to be kept is written. And deletes what is too old.

use super::{Shift, chunk, task};
use crate::base::id::StreamKey;
use crate::model::binding::Instance;
use crate::model::id::StreamId;
use crate::model::template::Body;
use crate::runtime::task::Stop;
use crate::store::{self, Change, Seen};
use crate::stream::{Derived, Event};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// How long changes are gathered before they are looked at together.
const GATHER: Duration = Duration::from_millis(50);
/// How often everything is compared, should something have been missed.
const COMPARE: Duration = Duration::from_secs(30);
/// How often it is looked for what is too old.
const SWEEP: Duration = Duration::from_secs(60);
/// The longest that a template may keep, and what streams are kept whose template is not known any more, in days.
const MOST_DAYS: u32 = 365;
const DAY: i64 = 86_400_000;

#[derive(Default)]
struct Known {
    id: Option<StreamId>,
    stop: Option<watch::Sender<bool>>,
}

/// Runs until it is told to stop.
pub async fn run(shift: Shift, stop: Stop) {
    let (mut events, mut changes) = (shift.0.registry.watch(), shift.0.store.watch());
    let mut streams: HashMap<StreamKey, Known> = HashMap::new();
    let all = |streams: &HashMap<StreamKey, Known>| -> BTreeSet<StreamKey> {
        let live = shift.0.registry.list().into_iter().map(|stream| stream.key().clone());
        live.chain(streams.keys().cloned()).collect()
    };
    let mut moved = all(&streams);
    loop {
        let wait = if moved.is_empty() { COMPARE } else { GATHER };
        tokio::select! {
            () = stop.requested() => return,
            event = events.next() => match event {
                Some(Event::Published(key) | Event::Ended(key)) => drop(moved.insert(key)),
                Some(_) => {}
                None => moved = all(&streams),
            },
            seen = changes.next() => match seen {
                Some(Seen::Change(Change::Bindings(Instance::Stream(id)) | Change::Stream(id))) => {
                    moved.extend(streams.iter().filter(|(_, known)| known.id == Some(id)).map(|(key, _)| key.clone()));
                }
                Some(Seen::Change(Change::Bindings(Instance::Group(_)) | Change::Group(_) | Change::Template(_)) | Seen::Missed(_)) => {
                    moved.extend(all(&streams));
                }
                Some(Seen::Change(_)) => {}
                None => return,
            },
            () = shift.0.clock.sleep(wait) => {
                let keys = if moved.is_empty() { all(&streams) } else { std::mem::take(&mut moved) };
                for key in keys {
                    if let Err(error) = look(&shift, &mut streams, &key, &stop).await {
                        tracing::warn!(%error, stream = %key, "time shift: the store cannot be asked");
                    }
                }
            }
        }
    }
}

/// Brings what is written of a stream in step with its templates.
async fn look(shift: &Shift, streams: &mut HashMap<StreamKey, Known>, key: &StreamKey, stop: &Stop) -> Result<(), store::Error> {
    if shift.0.registry.get(key).is_none() || Derived::parse(key).is_some() {
        // it ends with the stream
        streams.remove(key);
        return Ok(());
    }
    let known = streams.entry(key.clone()).or_default();
    let Some(door) = shift.0.store.door(key.app(), key.name()).await? else {
        known.stop = None;
        return Ok(());
    };
    known.id = Some(door.stream.id);
    let templates = shift.0.store.templates_for(door.stream.id).await?;
    let days = templates.iter().find_map(|template| match template.body {
        Body::Timeshift { retention } => Some(retention),
        _ => None,
    });
    let runs = known.stop.as_ref().is_some_and(|stop| !stop.is_closed());
    match days {
        Some(days) => {
            super::lock(&shift.0.days).insert(key.clone(), days);
            if !runs {
                let (sender, receiver) = watch::channel(false);
                known.stop = Some(sender);
                shift.0.tasks.spawn("time shift", task::run(shift.clone(), key.clone(), receiver, stop.clone()));
            }
        }
        // dropping the sender ends it; what is there stays until it is too old
        None => known.stop = None,
    }
    Ok(())
}

/// Deletes what is too old, and too much.
pub async fn sweep(shift: Shift, stop: Stop) {
    loop {
        tokio::select! {
            () = stop.requested() => return,
            () = shift.0.clock.sleep(SWEEP) => {}
        }
        let days: HashMap<PathBuf, u32> = super::lock(&shift.0.days).iter().map(|(key, days)| (shift.folder(key), *days)).collect();
        let (root, most, now) = (shift.0.root.clone(), shift.0.settings.bytes.0, shift.0.clock.unix().as_millis());
        let swept = tokio::task::spawn_blocking(move || sweep_once(&root, &days, most, now)).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "time shift: old chunks cannot be deleted");
        }
    }
}

/// One round; returns how many chunks went.
pub(super) fn sweep_once(root: &Path, days: &HashMap<PathBuf, u32>, most: u64, now: i64) -> io::Result<usize> {
    let (mut left, mut total, mut gone): (Vec<(i64, PathBuf, u64)>, u64, usize) = (Vec::new(), 0, 0);
    for app in fs::read_dir(root)? {
        let app = app?.path();
        if !app.is_dir() {
            continue;
        }
        for folder in fs::read_dir(&app)? {
            let folder = folder?.path();
            let days = days.get(&folder).copied().unwrap_or(MOST_DAYS);
            let oldest = now - i64::from(days) * DAY;
            let chunks = chunk::list(&folder)?;
            for (n, chunk) in chunks.iter().enumerate() {
                // a chunk ends where the next one begins; the last one may still grow
                let over = chunks.get(n + 1).is_some_and(|next| *next < oldest);
                let stale = *chunk < oldest - DAY;
                if over || stale {
                    chunk::remove(&folder, *chunk)?;
                    gone += 1;
                } else if most > 0 {
                    let size = fs::metadata(folder.join(chunk::film(*chunk))).map_or(0, |m| m.len());
                    total += size;
                    if n + 1 < chunks.len() {
                        left.push((*chunk, folder.clone(), size));
                    }
                }
            }
            if chunks.is_empty() {
                // a stream that is gone leaves no folder; one that is in use is not empty
                let _ = fs::remove_dir(&folder);
            }
        }
    }
    left.sort_unstable();
    for (chunk, folder, size) in left {
        if total <= most {
            break;
        }
        chunk::remove(&folder, chunk)?;
        total -= size;
        gone += 1;
    }
    Ok(gone)
}
