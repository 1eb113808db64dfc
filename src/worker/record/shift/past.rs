//! Reads the past: which segments there are, and what is in them. All file work is done off the runtime's threads.

use super::chunk::{self, Entry};
use super::film::{self, Film};
use super::{Shift, spell};
use crate::base::id::StreamKey;
use crate::container::mp4;
use crate::media::time::Timestamp;
use bytes::Bytes;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Segments further apart than this do not connect, milliseconds.
const APART: i64 = 1_500;
/// The segments that a playlist shows which runs along behind the present.
const LISTED: usize = 6;

/// Why the past does not play.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Nothing is kept of that time.
    #[error("nothing of {0} is kept of that time")]
    Nothing(StreamKey),
    /// The disk.
    #[error("{0}")]
    Disk(#[from] io::Error),
    /// Too many read at the same time.
    #[error("the server is busy")]
    Busy,
}

/// What is wanted, on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// From one moment to another.
    Between(Timestamp, Timestamp),
    /// From a moment up to the present, and on with it.
    From(Timestamp),
    /// What was so long ago, running along, since the player came.
    Behind {
        /// When the player came.
        since: Timestamp,
        /// How far behind.
        delay: Duration,
    },
}

/// A segment and the chunk that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub chunk: i64,
    pub n: usize,
    pub entry: Entry,
    /// It does not connect to the one before.
    pub breaks: bool,
}

impl Shift {
    /// The playlist of a stretch, and the bits a second of what it lists. `query` is appended to the addresses in it, which are `/past/{app}/{stream}/…`.
    pub async fn playlist(&self, key: &StreamKey, stretch: Stretch, query: &str) -> Result<(String, u64), Trouble> {
        let now = self.0.clock.unix();
        let longest = self.0.settings.longest.0.as_millis() as i64;
        let (from, to, sliding) = match stretch {
            Stretch::Between(from, to) => (from.as_millis(), to.as_millis(), false),
            Stretch::From(from) => (from.as_millis(), now.as_millis(), false),
            Stretch::Behind { since, delay } => {
                let delay = delay.as_millis() as i64;
                // a little before, so that the first list is not empty
                (since.as_millis() - delay - 30_000, now.as_millis() - delay, true)
            }
        };
        let over = matches!(stretch, Stretch::Between(..)) || to - from > longest;
        let to = if sliding { to } else { to.min(from.saturating_add(longest)) };
        let folder = self.folder(key);
        let found = self.read(move || find(&folder, from, to)).await?;
        if found.is_empty() && !sliding {
            return Err(Trouble::Nothing(key.clone()));
        }
        let hidden = if sliding { found.len().saturating_sub(LISTED) } else { 0 };
        let (bytes, ms) = found.iter().fold((0, 0), |(bytes, ms), f| (bytes + u64::from(f.entry.size), ms + u64::from(f.entry.ms)));
        let rate = (bytes * 8_000).checked_div(ms).unwrap_or(1_000_000);
        let kind = match (sliding, over) {
            (true, _) => Sort::Sliding(hidden),
            (false, false) => Sort::Growing { from },
            (false, true) => Sort::Whole { from, to },
        };
        Ok((text(key, &found, kind, query), rate))
    }

    /// A piece of a chunk: a segment, or the first `length` milliseconds of it, or with `None` what a decoder must know before.
    pub async fn piece(&self, key: &StreamKey, chunk: i64, n: Option<usize>, length: Option<u32>) -> Result<Bytes, Trouble> {
        let (folder, missing) = (self.folder(key), Trouble::Nothing(key.clone()));
        let bytes = self.read(move || cut_piece(&folder, chunk, n, length)).await?;
        bytes.ok_or(missing)
    }

    /// A stretch as one MP4, from the first frame of it to the last. It ends earlier where a decoder would have to be set up anew.
    pub async fn film(&self, key: &StreamKey, from: Timestamp, to: Timestamp) -> Result<Film, Trouble> {
        let longest = self.0.settings.longest.0.as_millis() as i64;
        let (from, to) = (from.as_millis(), to.as_millis());
        let to = to.min(from.saturating_add(longest));
        let (folder, missing) = (self.folder(key), Trouble::Nothing(key.clone()));
        let film = self.read(move || film::make(&folder, &find(&folder, from, to)?, from, to)).await?;
        film.ok_or(missing)
    }

    async fn read<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Trouble> {
        let _turn = self.0.readers.acquire().await.map_err(|_| Trouble::Busy)?;
        let done = tokio::task::spawn_blocking(work).await;
        Ok(done.map_err(io::Error::other)??)
    }
}

/// The segments with something between two moments, in order, and before them those that a decoder needs to begin: from the one with
/// the newest key frame on.
pub(super) fn find(folder: &Path, from: i64, to: i64) -> io::Result<Vec<Found>> {
    let chunks = chunk::list(folder)?;
    // the chunk that holds `from` begins before it
    let first = chunks.partition_point(|chunk| *chunk <= from).saturating_sub(1);
    let (mut out, mut lead): (Vec<Found>, Vec<Found>) = (Vec::new(), Vec::new());
    for chunk in chunks.into_iter().skip(first).take_while(|chunk| *chunk < to) {
        for (n, entry) in chunk::read(folder, chunk)?.into_iter().enumerate() {
            if entry.wall >= to {
                continue;
            }
            let before = out.last().or(lead.last());
            let breaks = entry.broken || before.is_some_and(|last| entry.wall - last.entry.end() > APART);
            let found = Found { chunk, n, entry, breaks };
            if out.is_empty() {
                // a player starts at a key frame
                if entry.key {
                    lead.clear();
                } else if lead.is_empty() || breaks {
                    lead.clear();
                    continue;
                }
                lead.push(found);
                if entry.end() > from {
                    out.append(&mut lead);
                }
                continue;
            }
            out.push(found);
        }
    }
    Ok(out)
}

fn cut_piece(folder: &Path, chunk: i64, n: Option<usize>, length: Option<u32>) -> io::Result<Option<Bytes>> {
    let whole = piece(folder, chunk, n)?;
    let (Some(segment), Some(length)) = (&whole, length.filter(|_| n.is_some())) else { return Ok(whole) };
    let init = piece(folder, chunk, None)?.unwrap_or_default();
    Ok(mp4::shorten(&init, segment, Timestamp::from_millis(length.into())))
}

fn piece(folder: &Path, chunk: i64, n: Option<usize>) -> io::Result<Option<Bytes>> {
    let entries = chunk::read(folder, chunk)?;
    let range = match n {
        None => entries.first().map(|entry| (0, entry.offset)),
        Some(n) => entries.get(n).map(|entry| (entry.offset, u64::from(entry.size))),
    };
    let Some((at, size)) = range else { return Ok(None) };
    let path: PathBuf = folder.join(chunk::film(chunk));
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(size).read_to_end(&mut bytes)?;
    Ok(Some(bytes.into()))
}

/// What a playlist shows; moments are on the wall clock, in milliseconds.
#[derive(Debug, Clone, Copy)]
enum Sort {
    /// It runs along; so many segments are not listed any more.
    Sliding(usize),
    /// From a moment on, and it grows.
    Growing { from: i64 },
    /// From one moment to another.
    Whole { from: i64, to: i64 },
}

/// Writes the playlist: fragmented MP4 (RFC 8216 bis, version 7), the map anew for each chunk. A stretch begins with the segment that
/// holds its beginning, and says where in it; its last segment is cut at its end.
fn text(key: &StreamKey, found: &[Found], sort: Sort, query: &str) -> String {
    let hidden = if let Sort::Sliding(hidden) = sort { hidden } else { 0 };
    let target = found.iter().map(|f| f.entry.ms.div_ceil(1000)).max().unwrap_or(1).max(1);
    let mut out = format!("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{hidden}\n");
    let gone = found.iter().take(hidden).skip(1).filter(|f| f.breaks).count();
    if gone > 0 {
        let _ = writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{gone}");
    }
    let begin = |from: i64| {
        let into = found.first().map_or(0, |first| (from - first.entry.wall).max(0));
        format!("#EXT-X-START:TIME-OFFSET={:.3},PRECISE=YES\n", into as f64 / 1e3)
    };
    match sort {
        Sort::Whole { from, .. } => out += &format!("#EXT-X-PLAYLIST-TYPE:VOD\n{}", begin(from)),
        // it grows, and a player begins at its beginning, not near its end
        Sort::Growing { from } => out += &format!("#EXT-X-PLAYLIST-TYPE:EVENT\n{}", begin(from)),
        Sort::Sliding(_) => {}
    }
    let base = format!("/past/{}/{}", spell(key.app()), spell(key.name()));
    let mut chunk = None;
    for (n, f) in found.iter().enumerate().skip(hidden) {
        if n > 0 && f.breaks {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if chunk != Some(f.chunk) {
            chunk = Some(f.chunk);
            let _ = writeln!(out, "#EXT-X-MAP:URI=\"{base}/{}/init.mp4{query}\"", f.chunk);
        }
        let wall = jiff::Timestamp::from_millisecond(f.entry.wall).unwrap_or_default();
        let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", wall.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"));
        let rest = match sort {
            Sort::Whole { to, .. } => u32::try_from(to - f.entry.wall).ok().filter(|rest| *rest < f.entry.ms),
            _ => None,
        };
        let part = rest.map_or_else(String::new, |rest| format!("-{rest}"));
        let _ = writeln!(out, "#EXTINF:{:.3},\n{base}/{}/{}{part}.m4s{query}", f64::from(rest.unwrap_or(f.entry.ms)) / 1e3, f.chunk, f.n);
    }
    if matches!(sort, Sort::Whole { .. }) {
        out.push_str("#EXT-X-ENDLIST\n");
    }
    out
}
