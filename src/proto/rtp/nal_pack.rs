//! Access units become payloads: H.264 in packetization mode 1 (RFC 6184 section 5), H.265 without DON (RFC 7798 section 4.4).

use crate::media::nal::Family;
use std::sync::Arc;

/// Puts NAL units into payloads of at most `most` bytes, in their order: small units share a payload, large ones are cut.
/// The pieces of a unit are all of the same length but the last, so that they can leave in one system call.
pub fn pack<'a>(family: Family, units: impl IntoIterator<Item = &'a [u8]>, most: usize) -> Vec<Arc<[u8]>> {
    let header = family.header();
    // Room for a header, a fragment header and something behind them.
    let most = most.max(header + 16);
    let mut out = Vec::new();
    let mut group = Group { family, units: Vec::new(), bytes: header };
    for unit in units.into_iter().filter(|unit| unit.len() > header) {
        if unit.len() > most {
            group.flush(&mut out);
            fragment(family, unit, most, &mut out);
            continue;
        }
        if group.bytes + 2 + unit.len() > most {
            group.flush(&mut out);
        }
        group.bytes += 2 + unit.len();
        group.units.push(unit);
    }
    group.flush(&mut out);
    out
}

impl Family {
    /// Bytes of a NAL unit's header.
    fn header(self) -> usize {
        match self {
            Family::H264 => 1,
            Family::H265 => 2,
        }
    }
}

/// Units that are going to share a payload.
struct Group<'a> {
    family: Family,
    units: Vec<&'a [u8]>,
    bytes: usize,
}

impl Group<'_> {
    fn flush(&mut self, out: &mut Vec<Arc<[u8]>>) {
        match &*self.units {
            [] => {}
            [unit] => out.push(Arc::from(*unit)),
            units => {
                let mut payload = Vec::with_capacity(self.bytes);
                payload.extend_from_slice(&aggregate(self.family, units)[..self.family.header()]);
                for unit in units {
                    payload.extend_from_slice(&(unit.len() as u16).to_be_bytes());
                    payload.extend_from_slice(unit);
                }
                out.push(payload.into());
            }
        }
        self.units.clear();
        self.bytes = self.family.header();
    }
}

/// The header of a payload with several units.
fn aggregate(family: Family, units: &[&[u8]]) -> [u8; 2] {
    match family {
        // STAP-A: F if any has it, the highest NRI (section 5.7).
        Family::H264 => {
            let forbidden = units.iter().fold(0, |bit, unit| bit | (unit[0] & 0x80));
            let importance = units.iter().map(|unit| unit[0] & 0x60).max().unwrap_or(0);
            [forbidden | importance | 24, 0]
        }
        // AP: F if any has it, the lowest layer and the lowest temporal id (section 4.4.2).
        Family::H265 => {
            let forbidden = units.iter().fold(0, |bit, unit| bit | (unit[0] & 0x80));
            let layer = units.iter().map(|unit| (unit[0] & 1) << 5 | unit[1] >> 3).min().unwrap_or(0);
            let temporal = units.iter().map(|unit| unit[1] & 7).min().unwrap_or(1);
            [forbidden | 48 << 1 | layer >> 5, layer << 3 | temporal]
        }
    }
}

/// Cuts a unit: FU-A (RFC 6184 section 5.8), FU (RFC 7798 section 4.4.3). The unit's own header is told by the pieces' headers.
fn fragment(family: Family, unit: &[u8], most: usize, out: &mut Vec<Arc<[u8]>>) {
    let (header, body) = unit.split_at(family.header());
    let (indicator, kind) = match family {
        Family::H264 => (vec![header[0] & 0xe0 | 28], header[0] & 0x1f),
        Family::H265 => (vec![header[0] & 0x81 | 49 << 1, header[1]], header[0] >> 1 & 0x3f),
    };
    let room = most - indicator.len() - 1;
    let count = body.len().div_ceil(room);
    for (n, piece) in body.chunks(room).enumerate() {
        let start = if n == 0 { 0x80 } else { 0 };
        let end = if n + 1 == count { 0x40 } else { 0 };
        let mut payload = Vec::with_capacity(indicator.len() + 1 + piece.len());
        payload.extend_from_slice(&indicator);
        payload.push(start | end | kind);
        payload.extend_from_slice(piece);
        out.push(payload.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::nal;
    use crate::proto::rtp::Arrival;
    use crate::proto::rtp::nal_depack::Depacketizer;

    fn unit(head: &[u8], length: usize) -> Vec<u8> {
        let mut unit = head.to_vec();
        unit.extend((head.len()..length).map(|n| (n % 251) as u8 | 1));
        unit
    }

    /// What our own depacketizer makes of the payloads.
    fn round(family: Family, units: &[Vec<u8>], most: usize) -> Vec<Vec<u8>> {
        let payloads = pack(family, units.iter().map(Vec::as_slice), most);
        assert!(payloads.iter().all(|p| p.len() <= most));
        let mut depack = Depacketizer::new(family, 1 << 20);
        let count = payloads.len();
        for (n, payload) in payloads.iter().enumerate() {
            let (timestamp, sequence, marker) = (90, n as i64, n + 1 == count);
            depack.push(&Arrival { payload, timestamp, sequence, payload_type: 98, marker, lost: 0, fresh: false });
        }
        depack.finish();
        let access = depack.pull().expect("an access unit").access;
        let sets = access.sets.vps.into_iter().chain(access.sets.sps).chain(access.sets.pps).map(|set| set.to_vec());
        sets.chain(nal::units(&access.data).map(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn h264_goes_there_and_back() {
        let units = [unit(&[0x67], 12), unit(&[0x68], 5), unit(&[0x65], 5_000), unit(&[0x65], 1_000), unit(&[0x65], 300)];
        for most in [60, 500, 1_150] {
            assert_eq!(round(Family::H264, &units, most), units, "{most}");
        }
        let payloads = pack(Family::H264, units.iter().map(Vec::as_slice), 1_150);
        assert_eq!(payloads[0][0], 0x60 | 24, "the sets share a packet");
        assert_eq!(payloads[1][..2], [0x60 | 28, 0x80 | 5]);
        assert!(payloads[1..5].iter().all(|p| p.len() == 1_150));
    }

    #[test]
    fn h265_goes_there_and_back() {
        let units = [unit(&[0x40, 1], 24), unit(&[0x42, 1], 40), unit(&[0x44, 1], 8), unit(&[0x26, 1], 4_000), unit(&[0x26, 1], 90)];
        for most in [60, 500, 1_150] {
            assert_eq!(round(Family::H265, &units, most), units, "{most}");
        }
        let payloads = pack(Family::H265, units.iter().map(Vec::as_slice), 1_150);
        assert_eq!(payloads[0][..2], [48 << 1, 1]);
        assert_eq!(payloads[1][..3], [49 << 1, 1, 0x80 | 19]);
    }

    #[test]
    fn nothing_makes_nothing() {
        assert!(pack(Family::H264, [&[0x67][..], &[]], 1_150).is_empty());
    }
}
