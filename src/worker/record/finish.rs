//! From a draft to the finished file: MP4 gets its index in front, FLV ends where it is whole. Blocking, bounded memory.
//!
//! It works from what is on disk alone, so that it is the same after a crash as after an orderly end.

use super::draft::Note;
use crate::container::flv;
use crate::container::mp4::{self, Index, Scan};
use crate::model::record::Format;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A finished file.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Where it is now.
    pub file: PathBuf,
    /// What is played, milliseconds.
    pub duration_ms: i64,
    /// Bytes.
    pub size: u64,
}

/// Makes the file of a draft of MP4 or FLV; `None` if there is nothing in it.
pub fn make(spool: &Path, note: &Note) -> io::Result<Option<Made>> {
    match note.format {
        Format::Mp4 => mp4(spool, note),
        Format::Flv => flv(spool, note),
        Format::Hls | Format::Jpg => Ok(None),
    }
}

/// Removes what is left of a draft.
pub fn clear(spool: &Path, note: &Note) -> io::Result<()> {
    for name in [note.draft(), note.made(), note.name()] {
        match fs::remove_file(spool.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

fn read(file: &mut File, range: Range<u64>) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = Vec::new();
    file.take(range.end - range.start).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a file of fragments holds.
pub fn index(file: &mut File) -> io::Result<Index> {
    let mut scan = Scan::new(file.metadata()?.len());
    while let Some(range) = scan.wants() {
        scan.push(&read(file, range)?);
    }
    Ok(scan.finish())
}

fn mp4(spool: &Path, note: &Note) -> io::Result<Option<Made>> {
    let draft = spool.join(note.draft());
    let mut file = File::open(&draft)?;
    let index = index(&mut file)?;
    let Some(plan) = mp4::plan(&index, Some(note.start())) else { return Ok(None) };
    let made = spool.join(note.made());
    let written = File::create(&made).and_then(|mut out| {
        out.write_all(&plan.head)?;
        for range in &plan.copy {
            file.seek(SeekFrom::Start(range.start))?;
            let length = range.end - range.start;
            if io::copy(&mut (&mut file).take(length), &mut out)? != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        out.sync_data()?;
        Ok(out.metadata()?.len())
    });
    let duration_ms = plan.duration.as_millis() as i64;
    match written {
        Ok(size) => Ok(Some(Made { file: made, duration_ms, size })),
        Err(e) if e.kind() == io::ErrorKind::StorageFull => {
            // no room for a second copy: the fragments themselves are a file that plays
            fs::remove_file(&made)?;
            let size = index.whole();
            File::options().write(true).open(&draft)?.set_len(size)?;
            Ok(Some(Made { file: draft, duration_ms, size }))
        }
        Err(e) => Err(e),
    }
}

fn flv(spool: &Path, note: &Note) -> io::Result<Option<Made>> {
    let draft = spool.join(note.draft());
    let mut file = BufReader::with_capacity(1 << 16, File::open(&draft)?);
    let mut scan = flv::Scan::new(file.get_ref().metadata()?.len());
    let mut at = 0;
    while let Some(range) = scan.wants() {
        file.seek_relative(i64::try_from(range.start - at).unwrap_or(i64::MAX))?;
        let mut bytes = Vec::new();
        (&mut file).take(range.end - range.start).read_to_end(&mut bytes)?;
        at = range.start + bytes.len() as u64;
        scan.push(&bytes);
    }
    let found = scan.finish();
    if found.frames == 0 || found.duration.is_zero() {
        return Ok(None);
    }
    let out = File::options().write(true).open(&draft)?;
    out.set_len(found.whole)?;
    out.sync_data()?;
    Ok(Some(Made { file: draft, duration_ms: found.duration.as_millis() as i64, size: found.whole }))
}
