//! RTCP (RFC 3550 section 6): reads sender reports and goodbyes, writes reports.

use crate::base::bytes::Reader;
use crate::media::time::Timestamp;

/// What a sender says about itself (section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport {
    /// Who says it.
    pub ssrc: u32,
    /// The wall clock, in seconds since 1900 with 32 bits of fraction.
    pub ntp: u64,
    /// The RTP timestamp of the same moment.
    pub timestamp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub bytes: u32,
}

impl SenderReport {
    /// The middle 32 bits of the wall clock, which receiver reports refer to.
    pub fn middle_ntp(&self) -> u32 {
        (self.ntp >> 16) as u32
    }
}

/// What a receiver says about one source (section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Lost in this interval, of 256.
    pub fraction: u8,
    /// Lost since the beginning.
    pub lost: i32,
    /// The highest sequence number, extended.
    pub highest: u32,
    /// Interarrival jitter in ticks.
    pub jitter: u32,
    /// The middle of the last sender report's wall clock; 0: there was none.
    pub lsr: u32,
    /// Since then, in 1/65536 s.
    pub dlsr: u32,
}

/// One packet of a compound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rtcp {
    /// A sender report; its receiver blocks are left out.
    Sender(SenderReport),
    /// The blocks of a receiver report.
    Receiver(Vec<ReportBlock>),
    /// These sources leave.
    Bye(Vec<u32>),
    /// Something else: the packet type.
    Other(u8),
}

/// Reads a compound packet; stops at the first packet that does not fit.
pub fn parse(bytes: &[u8]) -> impl Iterator<Item = Rtcp> + '_ {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        let (first, kind, words) = (reader.u8()?, reader.u8()?, reader.u16()?);
        let body = reader.take(usize::from(words) * 4)?;
        (first >> 6 == 2).then(|| one(first & 0x1f, kind, body))
    })
}

fn one(count: u8, kind: u8, body: &[u8]) -> Rtcp {
    let mut r = Reader::new(body);
    let read = match kind {
        SR => sender(&mut r).map(Rtcp::Sender),
        RR => r.u32().map(|_| Rtcp::Receiver(std::iter::from_fn(|| block(&mut r)).take(usize::from(count)).collect())),
        BYE => Some(Rtcp::Bye(std::iter::from_fn(|| r.u32()).take(usize::from(count)).collect())),
        _ => None,
    };
    read.unwrap_or(Rtcp::Other(kind))
}

fn sender(r: &mut Reader<'_>) -> Option<SenderReport> {
    Some(SenderReport { ssrc: r.u32()?, ntp: r.u64()?, timestamp: r.u32()?, packets: r.u32()?, bytes: r.u32()? })
}

fn block(r: &mut Reader<'_>) -> Option<ReportBlock> {
    let (ssrc, fraction, lost) = (r.u32()?, r.u8()?, r.u24()?);
    // 24 bits, signed
    let lost = ((lost << 8) as i32) >> 8;
    Some(ReportBlock { ssrc, fraction, lost, highest: r.u32()?, jitter: r.u32()?, lsr: r.u32()?, dlsr: r.u32()? })
}

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;

/// A receiver report about one source, with the canonical name that section 6.1 asks for.
pub fn receiver_report(from: u32, block: &ReportBlock, name: &str) -> Vec<u8> {
    let mut out = vec![0x81, RR, 0, 7];
    out.extend(from.to_be_bytes());
    for word in
        [block.ssrc, u32::from(block.fraction) << 24 | (block.lost as u32 & 0xff_ffff), block.highest, block.jitter, block.lsr, block.dlsr]
    {
        out.extend(word.to_be_bytes());
    }
    put_name(&mut out, from, name);
    out
}

/// A sender report without receiver blocks, with the canonical name.
pub fn sender_report(report: &SenderReport, name: &str) -> Vec<u8> {
    let mut out = vec![0x80, SR, 0, 6];
    out.extend(report.ssrc.to_be_bytes());
    out.extend(report.ntp.to_be_bytes());
    for word in [report.timestamp, report.packets, report.bytes] {
        out.extend(word.to_be_bytes());
    }
    put_name(&mut out, report.ssrc, name);
    out
}

/// A goodbye.
pub fn bye(ssrc: u32) -> Vec<u8> {
    let mut out = vec![0x81, BYE, 0, 1];
    out.extend(ssrc.to_be_bytes());
    out
}

/// Wall-clock time as NTP writes it.
pub fn ntp(unix: Timestamp) -> u64 {
    let nanos = unix.0.max(0) as u64;
    let seconds = nanos / 1_000_000_000 + 2_208_988_800;
    (seconds << 32) | (((nanos % 1_000_000_000) << 32) / 1_000_000_000)
}

fn put_name(out: &mut Vec<u8>, ssrc: u32, name: &str) {
    let name = &name.as_bytes()[..name.len().min(255)];
    // SSRC, one CNAME item, and at least one zero byte up to a whole word
    let words = 1 + (name.len() + 3).div_ceil(4);
    out.extend([0x81, SDES]);
    out.extend((words as u16).to_be_bytes());
    out.extend(ssrc.to_be_bytes());
    out.extend([1, name.len() as u8]);
    out.extend(name);
    out.resize(out.len() + words * 4 - 4 - 2 - name.len(), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let block = ReportBlock { ssrc: 7, fraction: 12, lost: -3, highest: 70_000, jitter: 9, lsr: 1, dlsr: 2 };
        for name in ["", "w", "we", "wei", "weir", "weir@192.0.2.1"] {
            let bytes = receiver_report(99, &block, name);
            assert_eq!(bytes.len() % 4, 0);
            assert_eq!(parse(&bytes).collect::<Vec<_>>(), [Rtcp::Receiver(vec![block]), Rtcp::Other(SDES)], "{name}");
        }
        let report = SenderReport { ssrc: 7, ntp: 0x0123_4567_89ab_cdef, timestamp: 5, packets: 6, bytes: 8 };
        assert_eq!(parse(&sender_report(&report, "weir")).next(), Some(Rtcp::Sender(report)));
        assert_eq!(report.middle_ntp(), 0x4567_89ab);
        assert_eq!(parse(&bye(7)).collect::<Vec<_>>(), [Rtcp::Bye(vec![7])]);
    }

    #[test]
    fn hostile_compounds_end_quietly() {
        assert_eq!(parse(&[]).count(), 0);
        assert_eq!(parse(&[0x81, 200, 0xff, 0xff, 1, 2]).count(), 0);
        assert_eq!(parse(&[0x41, 200, 0, 0]).count(), 0);
        assert_eq!(parse(&[0x81, 200, 0, 0]).collect::<Vec<_>>(), [Rtcp::Other(200)]);
        assert_eq!(parse(&[0x9f, 203, 0, 1, 0, 0, 0, 9]).collect::<Vec<_>>(), [Rtcp::Bye(vec![9])]);
    }

    #[test]
    fn the_ntp_epoch() {
        assert_eq!(ntp(Timestamp::ZERO), 2_208_988_800 << 32);
        assert_eq!(ntp(Timestamp(500_000_000)) & 0xffff_ffff, 1 << 31);
    }
}
