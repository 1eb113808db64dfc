//! What a recording wants done on disk, in order. Whoever decides does not wait for the disk, whoever does it knows no media.

use super::draft::Note;
use crate::media::time::Timestamp;
use bytes::Bytes;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Begin a file; one of that name is replaced.
    Create {
        /// The file in later operations.
        file: u32,
        /// Its name in the spool directory.
        name: String,
    },
    /// Append to a file.
    Write {
        /// Which.
        file: u32,
        /// What, one after the other.
        data: Vec<Bytes>,
    },
    /// That was all of a file.
    Close {
        /// Which.
        file: u32,
    },
    /// Write a small file whole.
    Note {
        /// What it says.
        note: Box<Note>,
    },
    /// Make the file of a draft that was closed, and store it.
    Finish {
        /// The draft's note.
        note: Box<Note>,
        /// When its last frame ends, on the wall clock.
        end: Timestamp,
    },
    /// Nothing was recorded in this time.
    Gap {
        /// From, on the wall clock.
        start: Timestamp,
        /// To.
        end: Timestamp,
    },
}

/// Operations that wait.
#[derive(Debug, Default)]
pub struct Ops {
    list: Vec<Op>,
    bytes: usize,
    files: u32,
}

impl Ops {
    /// Begins a file.
    pub fn create(&mut self, name: String) -> u32 {
        self.files = self.files.wrapping_add(1);
        self.list.push(Op::Create { file: self.files, name });
        self.files
    }

    /// Appends to a file.
    pub fn write(&mut self, file: u32, data: Vec<Bytes>) {
        self.bytes += data.iter().map(Bytes::len).sum::<usize>();
        self.list.push(Op::Write { file, data });
    }

    /// Adds any other.
    pub fn push(&mut self, op: Op) {
        self.list.push(op);
    }

    /// What waits to be written, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All that waits.
    pub fn take(&mut self) -> Vec<Op> {
        self.bytes = 0;
        std::mem::take(&mut self.list)
    }
}
