//! Time shift: a rolling store of streams on disk, from which any moment of the last days plays.
//!
//! A stream lies in chunks of some minutes, each a fragmented MP4 whose fragments begin with key frames, beside an index of them
//! ([`chunk`]). Writing shares the [session](super::session) of recordings; [`past`] reads: lists of segments for HLS, single
//! fragments, and a stretch as one MP4. What is older than its template's days is deleted, a chunk at a time.

mod chunk;
mod film;
mod follow;
mod past;
mod sink;
mod task;
#[cfg(test)]
mod tests;

use crate::base::id::StreamKey;
use crate::base::units::{Size, Span};
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::store::Store;
use crate::stream::Registry;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

pub use film::Film;
pub use past::{Stretch, Trouble};

crate::settings! {
    /// Time shift: the last days of streams, kept on this disk for those that a time shift template is bound to.
    pub struct Settings {
        /// Where. Empty: `timeshift` in `data_dir`.
        pub dir: PathBuf = PathBuf::new(),
        /// The length of segments; they are cut at the key frame that comes nearest to it. It is also what a crash may cost.
        pub segment: Span = Span::secs(4),
        /// The length of a file.
        pub chunk: Span = Span::secs(600),
        /// Most bytes of all streams together; the oldest go first. 0 is no limit.
        pub bytes: Size = Size(0),
        /// The longest stretch that one playlist or one download holds.
        pub longest: Span = Span::secs(6 * 3600),
        /// Streams that are read from disk at the same time.
        pub readers: usize = 8,
    }
}

/// What time shift stands on.
pub struct Parts {
    /// Its settings.
    pub settings: Settings,
    /// The streams.
    pub registry: Registry,
    /// The rows.
    pub store: Store,
    /// Where everything is kept.
    pub data_dir: PathBuf,
}

/// The past of streams. Cloning shares it.
#[derive(Clone)]
pub struct Shift(Arc<Inner>);

struct Inner {
    settings: Settings,
    registry: Registry,
    store: Store,
    clock: Clock,
    tasks: Tasks,
    root: PathBuf,
    readers: Semaphore,
    /// Days that streams are kept, of those that are written or were since the start.
    days: Mutex<HashMap<StreamKey, u32>>,
}

impl Shift {
    /// Opens the directory and starts to follow the templates.
    pub fn start(parts: Parts, tasks: &Tasks) -> Result<Shift, String> {
        let shift = Shift::open(parts, tasks)?;
        tasks.spawn("shift: templates", follow::run(shift.clone(), tasks.stopping()));
        tasks.spawn("shift: sweep", follow::sweep(shift.clone(), tasks.stopping()));
        Ok(shift)
    }

    fn open(parts: Parts, tasks: &Tasks) -> Result<Shift, String> {
        let Parts { settings, registry, store, data_dir } = parts;
        let root = if settings.dir.as_os_str().is_empty() { data_dir.join("timeshift") } else { settings.dir.clone() };
        std::fs::create_dir_all(&root).map_err(|e| format!("timeshift.dir: {}: {e}", root.display()))?;
        let clock = registry.clock().clone();
        let readers = Semaphore::new(settings.readers.max(1));
        let days = Mutex::default();
        Ok(Shift(Arc::new(Inner { settings, registry, store, clock, tasks: tasks.clone(), root, readers, days })))
    }

    /// Where a stream's chunks are.
    fn folder(&self, key: &StreamKey) -> PathBuf {
        folder(&self.0.root, key)
    }
}

/// Where a stream's chunks are. Names are spelled so that they are names everywhere.
fn folder(root: &Path, key: &StreamKey) -> PathBuf {
    root.join(spell(key.app())).join(spell(key.name()))
}

fn spell(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
