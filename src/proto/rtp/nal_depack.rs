//! H.264 (RFC 6184) and H.265 (RFC 7798) payloads: packets become access units.

use super::receiver::Arrival;
use crate::media::nal::{self, Access, Family, Role};
use std::collections::VecDeque;
use std::ops::Range;

/// One access unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its timestamp in ticks of 90 kHz, unwrapped.
    pub timestamp: i64,
    /// Its NAL units and parameter sets.
    pub access: Access,
    /// Packets of it are missing.
    pub damaged: bool,
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Access units with missing packets.
    pub damaged: u64,
    /// Packets whose payload makes no sense.
    pub malformed: u64,
    /// Access units larger than the limit.
    pub too_large: u64,
}

/// Collects packets; pull until `None` after each push.
#[derive(Debug)]
pub struct Depacketizer {
    family: Family,
    limit: usize,
    bytes: Vec<u8>,
    units: Vec<Range<usize>>,
    /// Where the fragmented unit begins that is being collected.
    fragment: Option<usize>,
    timestamp: Option<i64>,
    damaged: bool,
    /// The timestamp of the unit that a marker closed last.
    closed: Option<i64>,
    /// A marker stood in the middle of an access unit: it is not believed any more.
    distrust: bool,
    done: VecDeque<Unit>,
    counts: Counts,
}

impl Depacketizer {
    /// More NAL units than any picture has; the rest is left out.
    const UNITS: usize = 4_096;

    /// For one codec; an access unit of more than `limit` bytes is dropped.
    pub fn new(family: Family, limit: usize) -> Depacketizer {
        Depacketizer {
            family,
            limit,
            bytes: Vec::new(),
            units: Vec::new(),
            fragment: None,
            timestamp: None,
            damaged: false,
            closed: None,
            distrust: false,
            done: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// The codec that it was made for.
    pub fn family(&self) -> Family {
        self.family
    }

    /// What happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes the next packet.
    pub fn push(&mut self, arrival: &Arrival<'_>) {
        if self.timestamp != Some(arrival.timestamp) {
            self.close();
            self.timestamp = Some(arrival.timestamp);
        }
        self.distrust |= self.closed == Some(arrival.timestamp);
        if arrival.lost > 0 || arrival.fresh && self.fragment.is_some() {
            self.damaged = true;
            self.drop_fragment();
        }
        self.unpack(arrival.payload);
        if arrival.marker && !self.distrust && self.fragment.is_none() && self.has_slice() {
            self.close();
            self.closed = Some(arrival.timestamp);
        }
    }

    /// Takes one access unit out.
    pub fn pull(&mut self) -> Option<Unit> {
        self.done.pop_front()
    }

    /// The stream is over: what was collected is an access unit.
    pub fn finish(&mut self) {
        self.close();
    }

    fn unpack(&mut self, payload: &[u8]) {
        // Some devices put an elementary stream with start codes into the packets.
        if nal::looks_like_annex_b(payload) {
            self.drop_fragment();
            nal::annex_b(payload).for_each(|nal| self.add(nal));
            return;
        }
        let ok = match (self.family, payload) {
            (_, []) => true,
            (Family::H264, [head, rest @ ..]) => match head & 0x1f {
                1..=23 => self.single(payload),
                24 => self.aggregate(rest),
                28 => self.fragment_h264(*head, rest),
                _ => false, // interleaved modes need a decoding order that GB28181 never negotiates
            },
            (Family::H265, [head, second, rest @ ..]) => match head >> 1 & 0x3f {
                0..=47 => self.single(payload),
                48 => self.aggregate(rest),
                49 => self.fragment_h265(*head, *second, rest),
                _ => false,
            },
            (Family::H265, _) => false,
        };
        if !ok {
            self.counts.malformed += 1;
            self.damaged = true;
        }
    }

    fn single(&mut self, nal: &[u8]) -> bool {
        self.drop_fragment();
        self.add(nal);
        true
    }

    fn aggregate(&mut self, mut rest: &[u8]) -> bool {
        self.drop_fragment();
        while let Some((length, tail)) = rest.split_first_chunk::<2>() {
            let Some((nal, tail)) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { return false };
            self.add(nal);
            rest = tail;
        }
        rest.is_empty()
    }

    /// FU-A (RFC 6184 section 5.8).
    fn fragment_h264(&mut self, head: u8, rest: &[u8]) -> bool {
        let [fu, data @ ..] = rest else { return false };
        self.fragment(fu & 0x80 != 0, fu & 0x40 != 0, &[head & 0xe0 | fu & 0x1f], data)
    }

    /// FU (RFC 7798 section 4.4.3).
    fn fragment_h265(&mut self, head: u8, second: u8, rest: &[u8]) -> bool {
        let [fu, data @ ..] = rest else { return false };
        self.fragment(fu & 0x80 != 0, fu & 0x40 != 0, &[head & 0x81 | (fu & 0x3f) << 1, second], data)
    }

    fn fragment(&mut self, start: bool, end: bool, header: &[u8], data: &[u8]) -> bool {
        if start {
            self.drop_fragment();
            self.fragment = Some(self.bytes.len());
            self.store(header);
        }
        let Some(begin) = self.fragment else {
            return self.damaged; // its start was lost; that was noted
        };
        self.store(data);
        if end {
            self.fragment = None;
            self.file(begin..self.bytes.len());
        }
        true
    }

    fn add(&mut self, nal: &[u8]) {
        let begin = self.bytes.len();
        self.store(nal);
        self.file(begin..self.bytes.len());
    }

    fn store(&mut self, bytes: &[u8]) {
        // One byte over the limit is kept as the sign that it was exceeded.
        let room = (self.limit + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn file(&mut self, unit: Range<usize>) {
        if !unit.is_empty() && self.units.len() < Self::UNITS {
            self.units.push(unit);
        }
    }

    fn drop_fragment(&mut self) {
        if let Some(begin) = self.fragment.take() {
            self.bytes.truncate(begin);
            self.damaged = true;
        }
    }

    fn has_slice(&self) -> bool {
        self.units.iter().rev().any(|unit| matches!(self.family.role(&self.bytes[unit.clone()]), Role::Slice | Role::KeySlice))
    }

    fn close(&mut self) {
        self.drop_fragment();
        let damaged = std::mem::take(&mut self.damaged);
        if self.bytes.len() > self.limit {
            self.counts.too_large += 1;
        } else if !self.units.is_empty() {
            let access = nal::from_units(self.family, self.units.iter().map(|unit| &self.bytes[unit.clone()]));
            self.counts.damaged += u64::from(damaged);
            self.done.push_back(Unit { timestamp: self.timestamp.unwrap_or_default(), access, damaged });
        } else {
            self.counts.damaged += u64::from(damaged);
        }
        self.units.clear();
        self.bytes.clear();
        self.bytes.shrink_to(64 << 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPS: &[u8] = &[0x67, 66, 0, 30];
    const PPS: &[u8] = &[0x68, 0xee];

    fn idr() -> Vec<u8> {
        std::iter::once(0x65).chain((0..5_000u32).map(|n| (n * 7) as u8 | 1)).collect()
    }

    struct Line {
        depacketizer: Depacketizer,
        sequence: i64,
    }

    impl Line {
        fn new(family: Family) -> Line {
            Line { depacketizer: Depacketizer::new(family, 1 << 20), sequence: 0 }
        }

        fn send(&mut self, payload: &[u8], timestamp: i64, marker: bool, lost: u32) -> Vec<Unit> {
            self.sequence += 1 + i64::from(lost);
            let (sequence, fresh) = (self.sequence, false);
            self.depacketizer.push(&Arrival { payload, timestamp, sequence, payload_type: 98, marker, lost, fresh });
            std::iter::from_fn(|| self.depacketizer.pull()).collect()
        }
    }

    fn fu_a(nal: &[u8], size: usize) -> Vec<Vec<u8>> {
        let count = nal[1..].len().div_ceil(size);
        let piece = |(n, data): (usize, &[u8])| {
            let flags = if n == 0 { 0x80 } else { 0 } | if n + 1 == count { 0x40 } else { 0 };
            [&[nal[0] & 0xe0 | 28, flags | nal[0] & 0x1f], data].concat()
        };
        nal[1..].chunks(size).enumerate().map(piece).collect()
    }

    fn prefixed(nal: &[u8]) -> Vec<u8> {
        [&(nal.len() as u32).to_be_bytes(), nal].concat()
    }

    #[test]
    fn aggregated_sets_and_a_fragmented_idr() {
        let mut line = Line::new(Family::H264);
        let stap = [&[24, 0, 4][..], SPS, &[0, 2], PPS].concat();
        assert!(line.send(&stap, 9, false, 0).is_empty());
        let pieces = fu_a(&idr(), 1_400);
        let mut out = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            out.extend(line.send(piece, 9, n + 1 == pieces.len(), 0));
        }
        let [unit] = &out[..] else { panic!("one unit: {out:?}") };
        assert_eq!(unit.access.data, prefixed(&idr()));
        assert!(unit.access.key && !unit.damaged && unit.timestamp == 9);
        assert_eq!((&unit.access.sets.sps[0][..], &unit.access.sets.pps[0][..]), (SPS, PPS));
    }

    /// Found by fuzzing: the fragment was cut off together with the units behind it.
    #[test]
    fn start_codes_inside_of_a_fragmented_unit() {
        let mut line = Line::new(Family::H264);
        assert!(line.send(&fu_a(&idr(), 1_400)[0], 9, false, 0).is_empty());
        assert!(line.send(&[&[0, 0, 0, 1][..], PPS, &[0, 0, 1, 0x41, 0x9a]].concat(), 9, false, 0).is_empty());
        let out = line.send(&fu_a(&idr(), 1_400)[0], 18, true, 0);
        assert_eq!(out[0].access.data, prefixed(&[0x41, 0x9a]));
        assert!(out[0].damaged);
    }

    #[test]
    fn h265_fragments_and_aggregates() {
        let mut line = Line::new(Family::H265);
        let vps = [0x40, 1, 1];
        let idr: Vec<u8> = [0x26, 1].into_iter().chain((0..3_000u32).map(|n| n as u8 | 1)).collect();
        line.send(&[&[48 << 1, 1, 0, 3][..], &vps, &[0, 3, 0x42, 1, 7]].concat(), 1, false, 0);
        line.send(&[&[49 << 1, 1, 0x80 | 19][..], &idr[2..1_002]].concat(), 1, false, 0);
        line.send(&[&[49 << 1, 1, 19][..], &idr[1_002..2_000]].concat(), 1, false, 0);
        let out = line.send(&[&[49 << 1, 1, 0x40 | 19][..], &idr[2_000..]].concat(), 1, true, 0);
        assert_eq!(out[0].access.data, prefixed(&idr));
        assert!(out[0].access.key);
        assert_eq!((out[0].access.sets.vps.len(), out[0].access.sets.sps.len()), (1, 1));
    }

    #[test]
    fn a_lost_fragment_damages_its_unit_and_no_other() {
        let mut line = Line::new(Family::H264);
        let pieces = fu_a(&idr(), 1_400);
        line.send(&pieces[0], 1, false, 0);
        line.send(&pieces[2], 1, false, 1);
        line.send(&pieces[3], 1, true, 0);
        let out = line.send(&[0x41, 0x9a, 7], 2, true, 0);
        assert_eq!(out.len(), 1);
        assert!(!out[0].damaged && out[0].access.data[..] == prefixed(&[0x41, 0x9a, 7]));
        assert_eq!(line.depacketizer.counts().damaged, 1);
    }

    #[test]
    fn markers_inside_a_picture_lose_their_trust() {
        let mut line = Line::new(Family::H264);
        let mut units = 0;
        for frame in 0..10 {
            units += line.send(&[0x41, 0x9a, 7], frame, true, 0).len();
            units += line.send(&[0x41, 0x20, 7], frame, true, 0).len();
        }
        line.depacketizer.finish();
        units += std::iter::from_fn(|| line.depacketizer.pull()).count();
        assert_eq!(units, 11, "one too many before it was noticed");
    }

    #[test]
    fn start_codes_inside_packets() {
        let mut line = Line::new(Family::H264);
        let out = line.send(&[&[0, 0, 0, 1][..], SPS, &[0, 0, 1], PPS, &[0, 0, 1, 0x65, 0x88]].concat(), 1, true, 0);
        assert_eq!(out[0].access.data[..], prefixed(&[0x65, 0x88]));
        assert_eq!(out[0].access.sets.sps.len(), 1);
    }

    #[test]
    fn an_endless_fragment_is_bounded() {
        let mut depacketizer = Depacketizer::new(Family::H264, 10_000);
        for n in 0..100 {
            let payload = [&[28, if n == 0 { 0x85 } else { 5 }][..], &[1; 1_400]].concat();
            depacketizer.push(&Arrival {
                payload: &payload,
                timestamp: 1,
                sequence: n,
                payload_type: 98,
                marker: false,
                lost: 0,
                fresh: false,
            });
            assert!(depacketizer.bytes.len() <= 10_001);
        }
        depacketizer.push(&Arrival {
            payload: &[0x61, 0xe0],
            timestamp: 2,
            sequence: 100,
            payload_type: 98,
            marker: true,
            lost: 0,
            fresh: false,
        });
        assert_eq!(std::iter::from_fn(|| depacketizer.pull()).count(), 1);
    }

    proptest! {
        #[test]
        fn hostile(h265 in any::<bool>(), packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), 0i64..4, any::<bool>(), 0u32..2), 0..60)) {
            let family = if h265 { Family::H265 } else { Family::H264 };
            let mut depacketizer = Depacketizer::new(family, 2_000);
            for (payload, timestamp, marker, lost) in &packets {
                depacketizer.push(&Arrival { payload, timestamp: *timestamp, sequence: 0, payload_type: 98, marker: *marker, lost: *lost, fresh: false });
                while let Some(unit) = depacketizer.pull() {
                    let total: usize = nal::units(&unit.access.data).map(|u| u.len() + 4).sum();
                    prop_assert_eq!(total, unit.access.data.len(), "canonical");
                }
                prop_assert!(depacketizer.bytes.len() <= 2_001);
            }
        }
    }
}
