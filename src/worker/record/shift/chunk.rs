//! A chunk on disk: `{milliseconds}.mp4` and its index `{milliseconds}.idx`, a line a segment, written behind the segment.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// A line of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it begins, on the wall clock, milliseconds since 1970.
    #[serde(rename = "w")]
    pub wall: i64,
    /// How long it plays, milliseconds.
    #[serde(rename = "d")]
    pub ms: u32,
    /// Where it lies in the file.
    #[serde(rename = "o")]
    pub offset: u64,
    /// Bytes.
    #[serde(rename = "s")]
    pub size: u32,
    /// It begins with a key frame, or has sound only.
    #[serde(rename = "k")]
    pub key: bool,
    /// It does not connect to the segment before.
    #[serde(rename = "x")]
    pub broken: bool,
}

impl Entry {
    /// When it ends, milliseconds since 1970.
    pub fn end(&self) -> i64 {
        self.wall.saturating_add(i64::from(self.ms))
    }
}

/// The name of a chunk's film.
pub fn film(chunk: i64) -> String {
    format!("{chunk}.mp4")
}

/// The name of a chunk's index.
pub fn index(chunk: i64) -> String {
    format!("{chunk}.idx")
}

/// The chunks in a folder, the oldest first.
pub fn list(folder: &Path) -> io::Result<Vec<i64>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut chunks = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if let Some(number) = name.to_str().and_then(|name| name.strip_suffix(".idx")).and_then(|number| number.parse().ok()) {
            chunks.push(number);
        }
    }
    chunks.sort_unstable();
    Ok(chunks)
}

/// The segments of a chunk that are whole.
pub fn read(folder: &Path, chunk: i64) -> io::Result<Vec<Entry>> {
    let (index, film) = match (fs::File::open(folder.join(index(chunk))), fs::metadata(folder.join(film(chunk)))) {
        (Ok(index), Ok(film)) => (index, film.len()),
        // deleted meanwhile
        _ => return Ok(Vec::new()),
    };
    let mut out: Vec<Entry> = Vec::new();
    for line in BufReader::new(index).split(b'\n') {
        // a line that does not read was cut off by a crash, as was a segment that is longer than the file
        let Ok(entry) = serde_json::from_slice::<Entry>(&line?) else { break };
        if entry.offset.saturating_add(entry.size.into()) > film {
            break;
        }
        out.push(entry);
    }
    Ok(out)
}

/// Removes a chunk; returns the bytes that it had.
pub fn remove(folder: &Path, chunk: i64) -> io::Result<u64> {
    let path: PathBuf = folder.join(film(chunk));
    let size = fs::metadata(&path).map_or(0, |m| m.len());
    for path in [folder.join(index(chunk)), path] {
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(size)
}
