//! Cuts one PES packet into transport packets (ISO/IEC 13818-1 §2.4.3) in a single pass over pieces that lie anywhere in memory.

use super::PACKET;
use bytes::{BufMut, BytesMut};

/// The elementary stream that a packet belongs to, with its continuity counter.
#[derive(Debug)]
pub struct Pid {
    /// The 13-bit packet identifier.
    pub id: u16,
    next: u8,
}

impl Pid {
    /// Counts from 0.
    pub const fn new(id: u16) -> Pid {
        Pid { id, next: 0 }
    }

    fn count(&mut self) -> u8 {
        let counter = self.next;
        self.next = (counter + 1) & 15;
        counter
    }
}

/// What the adaptation field of the first packet says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Adaptation {
    /// A decoder may start here.
    pub random_access: bool,
    /// The clock or the continuity counters break here.
    pub discontinuity: bool,
    /// The program clock, in ticks of 90 kHz.
    pub pcr: Option<u64>,
}

impl Adaptation {
    fn len(&self) -> usize {
        match (self.pcr, self.random_access || self.discontinuity) {
            (Some(_), _) => 8,
            (None, true) => 2,
            (None, false) => 0,
        }
    }

    /// Writes the field with as much stuffing as makes it `len` bytes; `len` is 0 or at least 1 and no less than [`Self::len`].
    fn write(&self, len: usize, out: &mut BytesMut) {
        if len == 0 {
            return;
        }
        out.put_u8((len - 1) as u8);
        if len == 1 {
            return;
        }
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        out.put_u8(flag(self.discontinuity, 0x80) | flag(self.random_access, 0x40) | flag(self.pcr.is_some(), 0x10));
        let mut written = 2;
        if let Some(pcr) = self.pcr {
            // 33 bits of base, 6 reserved, 9 bits of extension (always 0: our clock has 90 kHz).
            out.put_slice(&(pcr << 15 | 0x7e00).to_be_bytes()[2..]);
            written = 8;
        }
        out.put_bytes(0xff, len - written);
    }
}

/// Writes the transport packets of one PES packet whose total size is known beforehand.
pub struct Packets<'a> {
    out: &'a mut BytesMut,
    pid: &'a mut Pid,
    first: Option<Adaptation>,
    /// Bytes of the PES packet that are still to come.
    due: usize,
    /// Room in the packet that is open.
    room: usize,
}

impl<'a> Packets<'a> {
    /// Begins a PES packet of `total` bytes, header included.
    pub fn begin(out: &'a mut BytesMut, pid: &'a mut Pid, adaptation: Adaptation, total: usize) -> Packets<'a> {
        let count = (total + adaptation.len()).div_ceil(PACKET - 4);
        out.reserve(count * PACKET);
        Packets { out, pid, first: Some(adaptation), due: total, room: 0 }
    }

    /// Adds bytes; all calls together bring exactly the total.
    pub fn put(&mut self, mut bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.due);
        while !bytes.is_empty() {
            if self.room == 0 {
                self.open();
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.room));
            self.out.put_slice(now);
            self.room -= now.len();
            self.due = self.due.saturating_sub(now.len());
            bytes = later;
        }
    }

    fn open(&mut self) {
        let start = self.first.is_some();
        let adaptation = self.first.take().unwrap_or_default();
        let space = PACKET - 4;
        // Stuffing goes into the adaptation field of the last packet (§2.4.3.5).
        let field = adaptation.len().max(space.saturating_sub(self.due));
        self.room = space - field;
        header(self.out, self.pid, start, field > 0, true);
        adaptation.write(field, self.out);
    }
}

/// A packet that carries nothing but the program clock.
pub fn clock_only(out: &mut BytesMut, pid: &mut Pid, pcr: u64) {
    // The counter does not move on packets without payload (§2.4.3.3).
    let counter = pid.next.wrapping_sub(1) & 15;
    out.put_slice(&[0x47, (pid.id >> 8) as u8, pid.id as u8, 0x20 | counter]);
    Adaptation { pcr: Some(pcr), ..Default::default() }.write(PACKET - 4, out);
}

/// A packet with one section of a table.
pub fn section(out: &mut BytesMut, pid: &mut Pid, section: &[u8]) {
    debug_assert!(section.len() <= PACKET - 5);
    header(out, pid, true, false, true);
    out.put_u8(0); // pointer_field
    out.put_slice(section);
    out.put_bytes(0xff, PACKET - 5 - section.len());
}

fn header(out: &mut BytesMut, pid: &mut Pid, start: bool, adaptation: bool, payload: bool) {
    let counter = pid.count();
    let start = if start { 0x40 } else { 0 };
    let control = if adaptation { 0x20 } else { 0 } | if payload { 0x10 } else { 0 };
    out.put_slice(&[0x47, start | (pid.id >> 8) as u8, pid.id as u8, control | counter]);
}
