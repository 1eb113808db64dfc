//! Does on disk what a recording wants done. Blocking: it runs on a few threads for all recordings.

use super::op::Op;
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

/// Slices that one system call takes.
const SLICES: usize = 512;

/// The open files of one recording.
#[derive(Debug)]
pub struct Disk {
    spool: PathBuf,
    open: HashMap<u32, File>,
}

impl Disk {
    /// No files yet.
    pub fn new(spool: &Path) -> Disk {
        Disk { spool: spool.to_owned(), open: HashMap::new() }
    }

    /// Does what is a matter of files, in order; gives back what else there is to do. After an error nothing more is written, but what
    /// was to be finished still is: of what is there.
    pub fn perform(&mut self, ops: Vec<Op>) -> (Vec<Op>, io::Result<()>) {
        let (mut rest, mut done) = (Vec::new(), Ok(()));
        for op in ops {
            match op {
                Op::Close { file } => drop(self.open.remove(&file)),
                Op::Finish { .. } | Op::Gap { .. } => rest.push(op),
                op if done.is_ok() => done = self.write(op),
                _ => {}
            }
        }
        (rest, done)
    }

    fn write(&mut self, op: Op) -> io::Result<()> {
        match op {
            Op::Create { file, name } => drop(self.open.insert(file, File::create(self.spool.join(name))?)),
            Op::Write { file, data } => {
                let Some(open) = self.open.get_mut(&file) else { return Ok(()) };
                write_all(open, &data)?;
            }
            Op::Note { note } => std::fs::write(self.spool.join(note.name()), note.text())?,
            Op::Close { .. } | Op::Finish { .. } | Op::Gap { .. } => {}
        }
        Ok(())
    }
}

/// Writes all slices, many in one call.
fn write_all(file: &mut File, data: &[Bytes]) -> io::Result<()> {
    for part in data.chunks(SLICES) {
        let mut slices: Vec<IoSlice<'_>> = part.iter().filter(|bytes| !bytes.is_empty()).map(|bytes| IoSlice::new(bytes)).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            match file.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => IoSlice::advance_slices(&mut left, n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_slices_are_written_in_order_and_a_full_disk_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(dir.path());
        let data: Vec<Bytes> = (0..2_000u32).map(|n| Bytes::from(n.to_be_bytes()[..(n % 5) as usize].to_vec())).collect();
        let ops = vec![Op::Create { file: 1, name: "a".to_owned() }, Op::Write { file: 1, data: data.clone() }, Op::Close { file: 1 }];
        let (rest, done) = disk.perform(ops);
        assert!(rest.is_empty() && done.is_ok());
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), data.concat());
        let Ok(file) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
        disk.open.insert(2, file);
        let gap = Op::Gap { start: Default::default(), end: Default::default() };
        let late = Op::Create { file: 3, name: "b".to_owned() };
        let (rest, failed) = disk.perform(vec![Op::Write { file: 2, data }, late, gap.clone()]);
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(rest == [gap] && !dir.path().join("b").exists(), "what is to be told still is");
    }
}
