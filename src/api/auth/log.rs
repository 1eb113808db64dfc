//! Nonces on disk, so that a restart does not make a call good a second time.
//!
//! Each nonce is one small `write` behind a file before its call is answered: what a killed process wrote stays in the system's
//! memory and reaches the disk. Nothing is synced, because that would cost every call a turn of the disk; so the files are good
//! only while the machine runs, or when they were closed in order. `state` says which: it names the boot of the machine, or that
//! all was closed. When it does not fit, the log is empty for our purposes, and the *floor* (the time of that start) says so.

use super::nonce::Entry;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How a file of entries begins.
const MAGIC: &[u8; 8] = b"WEIRNON1";
/// Minute, key and nonce.
const ENTRY: usize = 4 + 8 + 8;
/// How long one file is written, in seconds: it can be deleted when its last entry is over.
const PERIOD: i64 = 600;
/// What `state` says after everything was brought to the disk.
const CLOSED: &str = "closed";

/// The files.
pub(super) struct Log {
    folder: PathBuf,
    floor: i64,
    writing: Mutex<Writing>,
}

#[derive(Default)]
struct Writing {
    file: Option<File>,
    /// When the file was begun, in unix seconds.
    begun: i64,
    /// All files, each with the minute after which nothing in it counts.
    files: Vec<(PathBuf, u32)>,
    /// Something could not be written: the next start must not trust the files.
    broken: bool,
    closed: bool,
}

impl Log {
    /// Reads what the last run left, tells each entry, and begins anew. Gives the floor: what was signed before it is not known.
    /// `first`: there was no run before.
    pub(super) fn open(folder: &Path, now: i64, first: bool, mut tell: impl FnMut(Entry)) -> std::io::Result<(Log, i64)> {
        std::fs::create_dir_all(folder)?;
        let known = std::fs::read_to_string(folder.join("state")).ok().and_then(|text| {
            let (run, floor) = text.trim().split_once(' ')?;
            let floor = floor.parse().ok()?;
            (run == CLOSED || boot().is_some_and(|boot| boot == run)).then_some(floor)
        });
        let mut whole = true;
        let mut files = Vec::new();
        for file in std::fs::read_dir(folder)? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            let mut bytes = Vec::new();
            File::open(&path)?.read_to_end(&mut bytes)?;
            let Some(entries) = bytes.strip_prefix(MAGIC) else {
                whole = false;
                std::fs::remove_file(&path)?;
                continue;
            };
            let mut last = 0;
            let (entries, rest) = entries.as_chunks::<ENTRY>();
            whole &= rest.is_empty();
            for entry in entries {
                let entry = decode(entry);
                last = last.max(entry.until);
                tell(entry);
            }
            files.push((path, last));
        }
        let floor = match (first, known.filter(|_| whole)) {
            (true, _) => i64::MIN,
            (false, known) => known.unwrap_or(now),
        };
        let log = Log { folder: folder.to_owned(), floor, writing: Mutex::new(Writing { files, ..Writing::default() }) };
        log.state(&boot().unwrap_or_else(|| "unknown".to_owned()))?;
        log.sweep(now);
        Ok((log, floor))
    }

    fn state(&self, run: &str) -> std::io::Result<()> {
        let (path, new) = (self.folder.join("state"), self.folder.join("state.new"));
        let mut file = File::create(&new)?;
        file.write_all(format!("{run} {}\n", self.floor).as_bytes())?;
        if run == CLOSED {
            file.sync_all()?;
        }
        std::fs::rename(new, path)
    }

    /// Writes an entry down. A failure is told once, and costs the next start its trust.
    pub(super) fn write(&self, entry: Entry, now: i64) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if writing.closed {
            return;
        }
        if let Err(error) = writing.put(&self.folder, entry, now) {
            // What was written in part would shift all that follows.
            writing.file = None;
            if !std::mem::replace(&mut writing.broken, true) {
                tracing::warn!(%error, "used nonces cannot be written: calls signed before the next start will be refused after it");
                let _ = std::fs::remove_file(self.folder.join("state"));
            }
        }
    }

    /// Deletes files in which nothing counts any more.
    pub(super) fn sweep(&self, now: i64) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if now - writing.begun >= PERIOD {
            writing.file = None;
        }
        let current = writing.file.is_some();
        let files = std::mem::take(&mut writing.files);
        let last = files.len().saturating_sub(1);
        for (n, (path, until)) in files.into_iter().enumerate() {
            let over = i64::from(until) * 60 < now && !(current && n == last);
            if !over || std::fs::remove_file(&path).is_err() {
                writing.files.push((path, until));
            }
        }
    }

    /// Brings all to the disk; nothing is written after that.
    pub(super) fn close(&self) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.file = None;
        if std::mem::replace(&mut writing.closed, true) || writing.broken {
            return;
        }
        let synced = writing.files.iter().try_for_each(|(path, _)| File::open(path)?.sync_all());
        if let Err(error) = synced.and_then(|()| self.state(CLOSED)) {
            tracing::warn!(%error, "used nonces may be lost if the machine stops now");
        }
    }
}

impl Writing {
    fn put(&mut self, folder: &Path, entry: Entry, now: i64) -> std::io::Result<()> {
        if self.file.is_none() || now - self.begun >= PERIOD {
            let (file, path) = begin(folder, now)?;
            (self.file, self.begun) = (Some(file), now);
            self.files.push((path, 0));
        }
        let (Some(file), Some((_, last))) = (&mut self.file, self.files.last_mut()) else { return Ok(()) };
        *last = entry.until.max(*last);
        file.write_all(&encode(entry))
    }
}

fn begin(folder: &Path, now: i64) -> std::io::Result<(File, PathBuf)> {
    let mut n = 0;
    loop {
        let path = folder.join(format!("{now}-{n}.log"));
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(MAGIC)?;
                return Ok((file, path));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && n < 1000 => n += 1,
            Err(error) => return Err(error),
        }
    }
}

fn encode(entry: Entry) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    bytes[..4].copy_from_slice(&entry.until.to_le_bytes());
    bytes[4..12].copy_from_slice(&entry.key.to_le_bytes());
    bytes[12..].copy_from_slice(&entry.nonce.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; ENTRY]) -> Entry {
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    Entry { until: u32::from_le_bytes(std::array::from_fn(|i| bytes[i])), key: word(4), nonce: word(12) }
}

/// What tells one run of the machine from the next; `None` where the system does not say.
fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_772_323_200;

    fn entry(n: u64) -> Entry {
        Entry { until: (NOW / 60 + 16) as u32, key: n, nonce: !n }
    }

    fn reopen(folder: &Path, now: i64) -> (Log, i64, Vec<Entry>) {
        let mut found = Vec::new();
        let (log, floor) = Log::open(folder, now, false, |entry| found.push(entry)).unwrap();
        found.sort_by_key(|entry| entry.key);
        (log, floor, found)
    }

    #[test]
    fn a_killed_run_leaves_everything_to_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (log, floor, found) = reopen(dir.path(), NOW);
        assert_eq!((floor, found), (NOW, vec![]));
        for n in 0..100 {
            // Over several files.
            log.write(entry(n), NOW + n as i64 * 60);
        }
        let (log, floor, found) = reopen(dir.path(), NOW + 60);
        assert_eq!((floor, found), (NOW, (0..100).map(entry).collect::<Vec<_>>()));
        log.sweep(NOW + 17 * 60);
        let (_, _, found) = reopen(dir.path(), NOW + 17 * 60);
        assert_eq!(found, []);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().filter(|f| f.as_ref().unwrap().path().extension().is_some()).count(), 0);
    }

    #[test]
    fn what_cannot_be_trusted_raises_the_floor_and_keeps_it_raised() {
        for damage in ["power", "gone", "torn", "foreign"] {
            let dir = tempfile::tempdir().unwrap();
            let (log, ..) = reopen(dir.path(), NOW);
            log.write(entry(1), NOW);
            let file = log.writing.lock().unwrap().files[0].0.clone();
            match damage {
                "power" => std::fs::write(dir.path().join("state"), format!("another-boot {NOW}\n")).unwrap(),
                "gone" => std::fs::remove_file(dir.path().join("state")).unwrap(),
                "torn" => {
                    let length = std::fs::metadata(&file).unwrap().len();
                    OpenOptions::new().write(true).open(&file).unwrap().set_len(length - 3).unwrap();
                }
                _ => std::fs::write(&file, b"something else").unwrap(),
            }
            assert_eq!(reopen(dir.path(), NOW + 5).1, NOW + 5, "{damage}");
            assert!(reopen(dir.path(), NOW + 9).1 >= NOW + 5, "{damage}: what was not known then is not known now");
        }
    }

    #[test]
    fn what_was_closed_in_order_is_good_after_a_restart_of_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let (log, ..) = reopen(dir.path(), NOW);
        log.write(entry(7), NOW);
        log.close();
        log.write(entry(8), NOW);
        assert_eq!(std::fs::read_to_string(dir.path().join("state")).unwrap(), format!("closed {NOW}\n"));
        let (_, floor, found) = reopen(dir.path(), NOW + 5);
        assert_eq!((floor, found), (NOW, vec![entry(7)]));
    }

    #[test]
    fn a_folder_that_takes_nothing_costs_the_next_start_its_trust() {
        let dir = tempfile::tempdir().unwrap();
        let (log, ..) = reopen(dir.path(), NOW);
        let folder = dir.path().join("moved");
        log.write(entry(1), NOW);
        // The next file cannot be made.
        let log = Log { folder: folder.clone(), ..log };
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("state"), "x 0").unwrap();
        for n in 0..=1000 {
            std::fs::write(folder.join(format!("{}-{n}.log", NOW + PERIOD)), b"").unwrap();
        }
        log.write(entry(2), NOW + PERIOD);
        assert!(log.writing.lock().unwrap().broken && !folder.join("state").exists());
    }
}
