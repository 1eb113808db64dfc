//! A strict demuxer for the tests: every rule that the muxer must keep is an error here when it is broken.

use super::{PACKET, psi};
use std::collections::BTreeMap;

/// One PES packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pes {
    /// Its packets' identifier.
    pub pid: u16,
    /// Presentation time, 33 bits.
    pub pts: u64,
    /// Decoding time, 33 bits.
    pub dts: u64,
    /// The adaptation field called it a point to start at.
    pub random_access: bool,
    /// The payload.
    pub data: Vec<u8>,
}

/// What a transport stream held.
#[derive(Debug, Default)]
pub struct Content {
    /// Stream type of each elementary stream by PID, as the last map says.
    pub streams: BTreeMap<u16, u8>,
    /// The program clock's PID.
    pub clock_pid: u16,
    /// How many maps were seen and the last one's version.
    pub maps: (usize, u8),
    /// Every PES packet, in order.
    pub pes: Vec<Pes>,
    /// The program clock, 33 bits, with its discontinuity flag.
    pub clocks: Vec<(u64, bool)>,
}

impl Content {
    /// The payloads of one stream, joined.
    pub fn stream(&self, pid: u16) -> Vec<u8> {
        self.pes.iter().filter(|p| p.pid == pid).flat_map(|p| p.data.clone()).collect()
    }
}

/// Demuxes a whole stream; counters may start anywhere.
pub fn read(bytes: &[u8]) -> Result<Content, String> {
    let mut content = Content::default();
    let mut counters = BTreeMap::<u16, u8>::new();
    let mut open = BTreeMap::<u16, (bool, Vec<u8>)>::new();
    if !bytes.len().is_multiple_of(PACKET) {
        return Err(format!("{} bytes are not whole packets", bytes.len()));
    }
    for (n, packet) in bytes.chunks(PACKET).enumerate() {
        let at = |why: &str| format!("packet {n}: {why}");
        if packet[0] != 0x47 || packet[1] & 0x80 != 0 {
            return Err(at("no sync byte, or the error bit"));
        }
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        let start = packet[1] & 0x40 != 0;
        let (adapted, loaded) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        let counter = packet[3] & 15;
        if let Some(last) = counters.insert(pid, counter) {
            let expected = if loaded { (last + 1) & 15 } else { last };
            if counter != expected {
                return Err(at(&format!("pid {pid:#x} counter {counter}, expected {expected}")));
            }
        }
        let mut payload = &packet[4..];
        let mut random_access = false;
        if adapted {
            let len = usize::from(payload[0]);
            let field = payload.get(1..=len).ok_or_else(|| at("adaptation field too long"))?;
            if !loaded && len != 183 {
                return Err(at("an adaptation field alone must fill the packet"));
            }
            if let Some(flags) = field.first() {
                random_access = flags & 0x40 != 0;
                let mut used = 1;
                if flags & 0x10 != 0 {
                    let pcr = field.get(1..7).ok_or_else(|| at("clock cut short"))?;
                    let base = pcr.iter().fold(0, |v, b| v << 8 | u64::from(*b)) >> 15;
                    content.clocks.push((base, flags & 0x80 != 0));
                    if pid != content.clock_pid {
                        return Err(at("a clock on another pid than the map says"));
                    }
                    used = 7;
                }
                if field[used..].iter().any(|b| *b != 0xff) {
                    return Err(at("stuffing is not 0xff"));
                }
            }
            payload = &payload[1 + len..];
        }
        if !loaded {
            continue;
        }
        match pid {
            0 | 0x1000 => table(&mut content, pid, start, payload).map_err(|e| at(&e))?,
            _ => {
                if !content.streams.contains_key(&pid) {
                    return Err(at(&format!("pid {pid:#x} is not in the map")));
                }
                if start {
                    if let Some((key, bytes)) = open.insert(pid, (random_access, Vec::new())) {
                        content.pes.push(pes(pid, key, &bytes).map_err(|e| at(&e))?);
                    }
                } else if random_access {
                    return Err(at("random access in the middle"));
                }
                open.get_mut(&pid).ok_or_else(|| at("no start"))?.1.extend_from_slice(payload);
            }
        }
    }
    for (pid, (key, bytes)) in open {
        content.pes.push(pes(pid, key, &bytes)?);
    }
    Ok(content)
}

fn table(content: &mut Content, pid: u16, start: bool, payload: &[u8]) -> Result<(), String> {
    if !start || payload[0] != 0 {
        return Err("a section must start at once".to_owned());
    }
    let len = 3 + (usize::from(payload[2] & 0x0f) << 8 | usize::from(payload[3]));
    let section = payload.get(1..1 + len).ok_or("section cut short")?;
    if psi::crc32(section) != 0 {
        return Err("wrong checksum".to_owned());
    }
    let u16_at = |at: usize| u16::from_be_bytes([section[at], section[at + 1]]);
    if pid == 0 {
        return (section[0] == 0 && u16_at(10) == 0xf000).then_some(()).ok_or("no program map".to_owned());
    }
    if section[0] != 2 {
        return Err("not a program map".to_owned());
    }
    content.maps = (content.maps.0 + 1, section[5] >> 1 & 31);
    content.clock_pid = u16_at(8) & 0x1fff;
    content.streams.clear();
    let mut at = 12 + usize::from(u16_at(10) & 0x0fff);
    while at + 5 <= len - 4 {
        content.streams.insert(u16_at(at + 1) & 0x1fff, section[at]);
        at += 5 + usize::from(u16_at(at + 3) & 0x0fff);
    }
    Ok(())
}

fn pes(pid: u16, random_access: bool, bytes: &[u8]) -> Result<Pes, String> {
    let video = pid == 0x100;
    if bytes.get(..3) != Some(&[0, 0, 1]) || bytes.len() < 14 || bytes[3] != if video { 0xe0 } else { 0xc0 } {
        return Err("no PES header".to_owned());
    }
    let declared = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
    if declared + 6 != bytes.len() && !(video && declared == 0) {
        return Err(format!("PES length {declared}, but {} bytes follow", bytes.len() - 6));
    }
    let time = |b: &[u8], tag: u8| -> Result<u64, String> {
        if b[0] >> 4 != tag || b[0] & b[2] & b[4] & 1 != 1 {
            return Err("marker bits of a time".to_owned());
        }
        Ok(u64::from(b[0] & 0x0e) << 29
            | u64::from(b[1]) << 22
            | u64::from(b[2] & 0xfe) << 14
            | u64::from(b[3]) << 7
            | u64::from(b[4]) >> 1)
    };
    let (pts, dts) = match bytes[7] >> 6 {
        2 => time(&bytes[9..14], 2).map(|t| (t, t))?,
        3 => (time(&bytes[9..14], 3)?, time(&bytes[14..19], 1)?),
        _ => return Err("no time".to_owned()),
    };
    Ok(Pes { pid, pts, dts, random_access, data: bytes[9 + usize::from(bytes[8])..].to_vec() })
}
