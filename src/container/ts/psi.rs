//! The program association and program map tables (ISO/IEC 13818-1 §2.4.4).

use bytes::{BufMut, BytesMut};

/// What the program map says of one elementary stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The stream type (table 2-34).
    pub stream_type: u8,
    /// Its packets.
    pub pid: u16,
}

/// The association section: one program, whose map is at `map`.
pub fn association(map: u16) -> BytesMut {
    section(0x00, 1, 0, |out| {
        out.put_u16(1); // program_number
        out.put_u16(0xe000 | map);
    })
}

/// The map section of the one program.
pub fn map(version: u8, clock: u16, entries: impl Iterator<Item = Entry>) -> BytesMut {
    section(0x02, 1, version, |out| {
        out.put_u16(0xe000 | clock);
        out.put_u16(0xf000); // no program descriptors
        for entry in entries {
            out.put_u8(entry.stream_type);
            out.put_u16(0xe000 | entry.pid);
            // H.265 is named by a registration descriptor too (§2.6.8), as encoders do, for players that read those.
            match entry.stream_type {
                super::mux::STREAM_H265 => out.put_slice(b"\xf0\x06\x05\x04HEVC"),
                _ => out.put_u16(0xf000),
            }
        }
    })
}

fn section(table: u8, id: u16, version: u8, body: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::with_capacity(64);
    out.put_u8(table);
    out.put_u16(0); // section_length, below
    out.put_u16(id);
    out.put_u8(0xc1 | (version & 31) << 1); // current_next_indicator
    out.put_u16(0); // section_number, last_section_number
    body(&mut out);
    let len = (out.len() - 3 + 4) as u16;
    out[1..3].copy_from_slice(&(0xb000 | len).to_be_bytes());
    let crc = crc32(&out);
    out.put_u32(crc);
    out
}

/// CRC-32/MPEG-2 (annex A): polynomial 0x04c11db7, no reflection.
pub fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
        assert_eq!(crc32(&association(0x1000)), 0, "a section with its checksum leaves nothing");
    }
}
