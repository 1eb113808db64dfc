//! A stretch of the past as one MP4 that begins with its index: nothing is copied before it is read.

use super::chunk;
use super::past::Found;
use crate::container::mp4::{self, Index};
use crate::media::time::Timestamp;
use crate::worker::record::finish;
use bytes::Bytes;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Each chunk lies this far behind the one before in the addresses of the joint index.
const APART: u32 = 44;

/// An MP4 that is read piece by piece.
#[derive(Debug, Clone)]
pub struct Film {
    head: Bytes,
    /// What comes behind the head: where it is, and from where on in the film.
    parts: Vec<(PathBuf, Range<u64>, u64)>,
    length: u64,
}

impl Film {
    /// Its size, bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// At most `most` bytes from `at` on; none at the end. Blocking.
    pub fn read(&self, at: u64, most: usize) -> io::Result<Bytes> {
        if let Some(rest) = usize::try_from(at).ok().and_then(|at| self.head.get(at..)).filter(|rest| !rest.is_empty()) {
            return Ok(self.head.slice_ref(&rest[..rest.len().min(most)]));
        }
        let n = self.parts.partition_point(|(_, _, begins)| *begins <= at);
        let Some((path, range, begins)) = n.checked_sub(1).and_then(|n| self.parts.get(n)) else { return Ok(Bytes::new()) };
        let from = range.start + (at - begins);
        let size = range.end.saturating_sub(from).min(most as u64);
        if size == 0 {
            return Ok(Bytes::new());
        }
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::with_capacity(size as usize);
        file.take(size).read_to_end(&mut bytes)?;
        match bytes.is_empty() {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(bytes.into()),
        }
    }
}

/// The film of segments that follow each other, from one moment to another on the wall clock, in milliseconds; `None` if there is
/// nothing. It is decoded from the newest key frame at or before its beginning, and shown from its beginning.
pub(super) fn make(folder: &Path, found: &[Found], from: i64, to: i64) -> io::Result<Option<Film>> {
    let mut joint = Index::default();
    let mut files: Vec<PathBuf> = Vec::new();
    let mut shift = Timestamp::ZERO;
    let mut window: Option<mp4::Window> = None;
    for part in found.chunk_by(|a, b| a.chunk == b.chunk) {
        let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
        let path = folder.join(chunk::film(first.chunk));
        let index = finish::index(&mut File::open(&path)?)?;
        let fragments = first.n..last.n + 1;
        if let Some(end) = joint.end().filter(|_| first.breaks) {
            // the time that is missing is left out
            shift = end - index.begin(first.n).unwrap_or_default();
        }
        let base = (files.len() as u64) << APART;
        if !joint.splice(&index, fragments, base, shift) {
            break;
        }
        files.push(path);
        // where a moment of the wall clock lies in the film, counted from the segment that holds it
        let at =
            |n: usize, wall: i64, moment: i64| index.lead(n).unwrap_or_default() + shift + Timestamp::from_millis((moment - wall).max(0));
        let (from, to) = (at(first.n, first.entry.wall, from), at(last.n, last.entry.wall, to));
        window = Some(mp4::Window { from: window.map_or(from, |window| window.from), to });
    }
    if let Some(window) = window {
        joint.clip(window);
    }
    let created = found.first().map(|first| Timestamp::from_millis(first.entry.wall.max(from)));
    let Some(plan) = mp4::plan(&joint, created) else { return Ok(None) };
    let mut length = plan.head.len() as u64;
    let mut parts = Vec::with_capacity(plan.copy.len());
    for range in plan.copy {
        let Some(path) = files.get((range.start >> APART) as usize) else { continue };
        let base = range.start >> APART << APART;
        let here = range.start - base..range.end - base;
        let size = here.end - here.start;
        parts.push((path.clone(), here, length));
        length += size;
    }
    Ok(Some(Film { head: plan.head, parts, length }))
}
