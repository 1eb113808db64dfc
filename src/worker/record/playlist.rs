//! From the journal of a draft's segments to its playlist. Blocking.

use super::draft::Note;
use super::finish::Made;
use super::sink::{Line, segment_name};
use crate::container::m3u8::{self, Entry, Head};
use crate::media::time::Timestamp;
use crate::model::time::Time;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A transport packet.
const PACKET: u64 = 188;

/// A segment as the journal tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which, counted in the recording.
    pub n: u64,
    /// Its path.
    pub object: String,
    /// The file, where it is not stored yet.
    pub file: Option<PathBuf>,
    wall: i64,
    key: bool,
    bytes: u64,
    ms: u64,
}

/// The segments of a draft; those that a crash cut off end where they are whole.
pub fn segments(spool: &Path, note: &Note) -> io::Result<Vec<Listed>> {
    let mut listed: Vec<Listed> = Vec::new();
    for line in BufReader::new(File::open(spool.join(note.draft()))?).split(b'\n') {
        // the last line may be torn
        let Ok(line) = serde_json::from_slice::<Line>(&line?) else { break };
        match line {
            Line::Open { n, object, wall, key } => listed.push(Listed { n, object, file: None, wall, key, bytes: 0, ms: 0 }),
            Line::Mark { bytes, ms } => {
                if let Some(last) = listed.last_mut() {
                    (last.bytes, last.ms) = (bytes, ms);
                }
            }
            Line::Stored { n, object } => {
                if let Some(segment) = listed.iter_mut().find(|segment| segment.n == n) {
                    segment.object = object;
                }
            }
        }
    }
    listed.retain(|segment| segment.bytes > 0);
    for segment in &mut listed {
        let file = spool.join(segment_name(note, segment.n));
        let Ok(metadata) = fs::metadata(&file) else { continue };
        // what was said to be written but is not there was lost with the power
        segment.bytes = segment.bytes.min(metadata.len()) / PACKET * PACKET;
        let out = File::options().write(true).open(&file)?;
        out.set_len(segment.bytes)?;
        out.sync_data()?;
        segment.file = Some(file);
    }
    listed.retain(|segment| segment.bytes > 0);
    Ok(listed)
}

/// Notes in the journal where a segment is now.
pub fn stored(spool: &Path, note: &Note, n: u64, object: &str) -> io::Result<()> {
    let line = serde_json::to_string(&Line::Stored { n, object: object.to_owned() })?;
    // a torn line before it would swallow this one
    writeln!(File::options().append(true).open(spool.join(note.draft()))?, "{line}")
}

/// Writes the playlist. `end` is when it ended, on the wall clock, if that is known.
pub fn make(spool: &Path, note: &Note, end: Option<Timestamp>, listed: &[Listed]) -> io::Result<Option<Made>> {
    if listed.is_empty() {
        return Ok(None);
    }
    let duration = Duration::from_millis(listed.iter().map(|segment| segment.ms).sum());
    let end = end.unwrap_or(note.start() + duration.into());
    let own = note.object(Time::from_nanos(end.0));
    let entries = listed.iter().map(|segment| Entry {
        uri: relative(&own, &segment.object),
        duration: Duration::from_millis(segment.ms.max(1)),
        wall: Timestamp(segment.wall),
        discontinuity: false,
    });
    let target = listed.iter().map(|segment| m3u8::target_of(Duration::from_millis(segment.ms))).max().unwrap_or(1);
    let independent = listed.iter().all(|segment| segment.key);
    let head = Head { target, independent, ended: true, vod: true, ..Head::default() };
    let text = m3u8::media(head, entries).map_err(io::Error::other)?;
    let file = spool.join(note.made());
    fs::write(&file, &text)?;
    let size = listed.iter().map(|segment| segment.bytes).sum::<u64>() + text.len() as u64;
    Ok(Some(Made { file, duration_ms: duration.as_millis() as i64, size }))
}

/// The way from one object to another, as a playlist has it.
fn relative(from: &str, to: &str) -> String {
    let (from, to): (Vec<&str>, Vec<&str>) = (from.split('/').collect(), to.split('/').collect());
    let folders = (from.len() - 1).min(to.len() - 1);
    let common = from.iter().zip(&to).take(folders).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - 1 - common);
    let encoded = to[common..].iter().map(|part| encode(part));
    up.map(str::to_owned).chain(encoded).collect::<Vec<_>>().join("/")
}

/// A path's part as URLs write it.
fn encode(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playlists_name_segments_from_where_they_are() {
        for (from, to, way) in [
            ("a/b/list.m3u8", "a/b/1.ts", "1.ts"),
            ("a/b/list.m3u8", "a/1.ts", "../1.ts"),
            ("list.m3u8", "ts/1 2.ts", "ts/1%202.ts"),
            ("x/y/list.m3u8", "z/1.ts", "../../z/1.ts"),
        ] {
            assert_eq!(relative(from, to), way);
        }
    }
}
