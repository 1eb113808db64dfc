//! The receiving side of one RTP stream: puts packets in order, counts what is lost, measures, follows a sender that starts anew.

use super::packet::Packet;
use super::rtcp::{ReportBlock, SenderReport};
use crate::base::unwrap::Unwrap;
use crate::media::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long to wait for a packet that is missing while later ones are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Packets that are held back at most; 0: the transport keeps the order (TCP), nothing is ever held back.
    pub packets: usize,
    /// The longest that a packet is held back.
    pub patience: Duration,
}

impl Window {
    /// For a transport that keeps the order.
    pub const ORDERED: Window = Window { packets: 0, patience: Duration::ZERO };
    /// 50 to 200 ms are enough in practice.
    pub const UDP: Window = Window { packets: 256, patience: Duration::from_millis(100) };
    /// The bytes that are held back at most, whatever their number.
    const BYTES: usize = 1 << 20;
}

/// A packet whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// The payload.
    pub payload: &'a [u8],
    /// The timestamp in ticks, unwrapped.
    pub timestamp: i64,
    /// The sequence number, extended.
    pub sequence: i64,
    /// The payload type.
    pub payload_type: u8,
    /// The marker bit.
    pub marker: bool,
    /// Packets that are missing right before this one.
    pub lost: u32,
    /// The sender began anew here: another SSRC, or a jump of the sequence. What was before has no continuation.
    pub fresh: bool,
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets of this stream that arrived, duplicates included.
    pub packets: u64,
    /// Their bytes, headers not counted.
    pub bytes: u64,
    /// Packets that never came in time.
    pub lost: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came after they were given up.
    pub late: u64,
    /// Packets that came before one with a lower number.
    pub reordered: u64,
    /// Jumps of the sequence that were followed.
    pub jumps: u64,
    /// Changes of the SSRC that were followed.
    pub ssrc_changes: u64,
    /// Packets of another SSRC that were refused.
    pub foreign: u64,
}

/// Receives one stream. Call [`handle`](Receiver::handle) for each packet, then [`poll`](Receiver::poll) until `None`;
/// call `poll` also when [`deadline`](Receiver::deadline) has passed.
#[derive(Debug)]
pub struct Receiver {
    clock: u32,
    window: Window,
    ssrc: Option<u32>,
    /// The extended number of the packet that is expected next.
    next: i64,
    /// Bit n: the packet `next - 1 - n` was delivered.
    seen: u128,
    time: Unwrap<32>,
    held: BTreeMap<i64, Held>,
    held_bytes: usize,
    /// Given up and waiting to be polled, in front of `held`.
    ready: VecDeque<Held>,
    current: Held,
    /// A packet far off the sequence; the one after it decides.
    probe: Option<Held>,
    fresh: bool,
    last_arrival: Option<Timestamp>,
    counts: Counts,
    jitter: Jitter,
    reports: Reports,
}

#[derive(Debug, Clone, Default)]
struct Held {
    sequence: i64,
    timestamp: u32,
    payload_type: u8,
    marker: bool,
    lost: u32,
    fresh: bool,
    arrived: Timestamp,
    payload: Vec<u8>,
}

impl Held {
    fn new(packet: &Packet<'_>, sequence: i64, arrived: Timestamp) -> Held {
        Held {
            sequence,
            timestamp: packet.timestamp,
            payload_type: packet.payload_type,
            marker: packet.marker,
            lost: 0,
            fresh: false,
            arrived,
            payload: packet.payload.to_vec(),
        }
    }
}

impl Receiver {
    /// A jump of the sequence beyond this is a sender that began anew, if the next packet continues there.
    const JUMP: i64 = 1_000;
    /// How far back a packet is recognized as a duplicate or as late.
    const MEMORY: i64 = 128;
    /// Another SSRC is followed when the old one has been silent for so long.
    const SSRC_SILENCE: Duration = Duration::from_secs(1);

    /// A receiver of payloads with a clock of `clock` Hz.
    pub fn new(clock: u32, window: Window) -> Receiver {
        Receiver {
            clock: clock.max(1),
            window,
            ssrc: None,
            next: 0,
            seen: 0,
            time: Unwrap::default(),
            held: BTreeMap::new(),
            held_bytes: 0,
            ready: VecDeque::new(),
            current: Held::default(),
            probe: None,
            fresh: true,
            last_arrival: None,
            counts: Counts::default(),
            jitter: Jitter::default(),
            reports: Reports::default(),
        }
    }

    /// Takes a packet. Returns it at once when it is its turn; packets behind it then come from [`poll`](Receiver::poll).
    pub fn handle<'a>(&mut self, now: Timestamp, packet: &Packet<'a>) -> Option<Arrival<'a>> {
        if self.ssrc != Some(packet.ssrc) && !self.follow_ssrc(now, packet) {
            return None;
        }
        self.last_arrival = Some(now);
        self.counts.packets += 1;
        self.counts.bytes += packet.payload.len() as u64;
        self.jitter.measure(now, packet.timestamp, self.clock);
        let ahead = i64::from(packet.sequence.wrapping_sub(self.next as u16) as i16);
        if ahead == 0 && self.ready.is_empty() {
            self.probe = None;
            return Some(self.deliver(packet));
        }
        match self.window.packets {
            0 => Some(self.deliver_ordered(packet, ahead)),
            _ => {
                self.hold(now, packet, ahead);
                None
            }
        }
    }

    /// The next packet that was held back and whose turn it is now, or that is given up waiting.
    pub fn poll(&mut self, now: Timestamp) -> Option<Arrival<'_>> {
        if let Some(held) = self.ready.pop_front() {
            return Some(self.release(held));
        }
        let (&sequence, first) = self.held.first_key_value()?;
        let lost = sequence - self.next;
        let give_up =
            self.held.len() > self.window.packets || self.held_bytes > Window::BYTES || now.since(first.arrived) >= self.window.patience;
        if lost > 0 && !give_up {
            return None;
        }
        let (_, mut held) = self.held.pop_first()?;
        self.held_bytes -= held.payload.len();
        held.lost = lost.max(0) as u32;
        self.skip_to(sequence);
        self.reports.received += 1;
        Some(self.release(held))
    }

    /// Nothing more will come: [`poll`](Receiver::poll) gives what is held back at once.
    pub fn finish(&mut self) {
        self.flush_held();
    }

    /// Whether [`poll`](Receiver::poll) has nothing to give, now or later, until another packet comes.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.ready.is_empty()
    }

    /// When [`poll`](Receiver::poll) gives up the packet that is missing.
    pub fn deadline(&self) -> Option<Timestamp> {
        let (_, first) = self.held.first_key_value()?;
        Some(first.arrived + Timestamp::from(self.window.patience))
    }

    /// The SSRC that is received; `None` before the first packet.
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// What happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// When the last packet came.
    pub fn last_arrival(&self) -> Option<Timestamp> {
        self.last_arrival
    }

    /// The interarrival jitter (RFC 3550 section 6.4.1), measured at the first packet of each timestamp.
    pub fn jitter(&self) -> Duration {
        Timestamp::from_ticks(self.jitter.ticks(), self.clock).since(Timestamp::ZERO)
    }

    /// Notes a sender report, which the next receiver report has to refer to.
    pub fn sender_report(&mut self, now: Timestamp, report: &SenderReport) {
        if self.ssrc == Some(report.ssrc) {
            self.reports.last_sr = Some((report.middle_ntp(), now));
        }
    }

    /// The block of a receiver report (RFC 3550 section 6.4.1); begins a new interval. `None` before the first packet.
    pub fn report(&mut self, now: Timestamp) -> Option<ReportBlock> {
        let highest = self.held.last_key_value().map_or(self.next - 1, |(&last, _)| last);
        let (lsr, dlsr) = self.reports.last_sr.map_or((0, 0), |(ntp, at)| (ntp, (now - at).to_ticks(65_536) as u32));
        let (fraction, lost) = self.reports.close(highest, self.held.len() as u64);
        let jitter = self.jitter.ticks() as u32;
        Some(ReportBlock { ssrc: self.ssrc?, fraction, lost, highest: highest as u32, jitter, lsr, dlsr })
    }

    fn follow_ssrc(&mut self, now: Timestamp, packet: &Packet<'_>) -> bool {
        let silent = self.last_arrival.is_none_or(|last| now.since(last) >= Self::SSRC_SILENCE);
        if self.ssrc.is_some() {
            if self.window.packets > 0 && !silent {
                self.counts.foreign += 1;
                return false;
            }
            self.counts.ssrc_changes += 1;
        }
        self.ssrc = Some(packet.ssrc);
        self.flush_held();
        self.begin_at(packet.sequence);
        true
    }

    /// Starts the sequence anew; the unwrapped numbers go on upwards, so that they stay unique.
    fn begin_at(&mut self, sequence: u16) {
        let above = (self.next | 0xffff) + 1;
        self.next = if self.reports.received == 0 { 0 } else { above } + i64::from(sequence);
        self.reports.begin(self.next);
        self.seen = 0;
        self.fresh = true;
        self.probe = None;
        self.time = Unwrap::default();
        self.jitter = Jitter::default();
    }

    fn deliver<'a>(&mut self, packet: &Packet<'a>) -> Arrival<'a> {
        let sequence = self.next;
        self.skip_to(sequence);
        self.reports.received += 1;
        Arrival {
            payload: packet.payload,
            timestamp: self.time.next(u64::from(packet.timestamp)),
            sequence,
            payload_type: packet.payload_type,
            marker: packet.marker,
            lost: 0,
            fresh: std::mem::take(&mut self.fresh),
        }
    }

    /// TCP loses nothing on its way: a gap was made by the sender's full buffer, a step back by a sender that counts
    /// in its own way. Both are delivered.
    fn deliver_ordered<'a>(&mut self, packet: &Packet<'a>, ahead: i64) -> Arrival<'a> {
        let gap = (1..=Self::JUMP).contains(&ahead);
        if gap {
            self.counts.lost += ahead as u64;
            self.next += ahead;
        } else {
            self.counts.jumps += 1;
            let fresh = self.fresh;
            let time = self.time;
            self.begin_at(packet.sequence);
            (self.fresh, self.time) = (fresh, time);
        }
        let mut arrival = self.deliver(packet);
        arrival.lost = if gap { ahead as u32 } else { 0 };
        arrival
    }

    fn hold(&mut self, now: Timestamp, packet: &Packet<'_>, ahead: i64) {
        let back = -ahead;
        if (1..=Self::MEMORY).contains(&back) {
            match self.seen >> (back - 1) & 1 {
                1 => self.counts.duplicates += 1,
                _ => self.counts.late += 1,
            }
            self.seen |= 1 << (back - 1);
        } else if (0..=Self::JUMP).contains(&ahead) {
            let sequence = self.next + ahead;
            if self.held.contains_key(&sequence) {
                self.counts.duplicates += 1;
                return;
            }
            if self.held.last_key_value().is_some_and(|(&last, _)| last > sequence) {
                self.counts.reordered += 1;
            }
            self.held_bytes += packet.payload.len();
            self.held.insert(sequence, Held::new(packet, sequence, now));
        } else {
            self.hold_far_off(now, packet);
        }
    }

    fn hold_far_off(&mut self, now: Timestamp, packet: &Packet<'_>) {
        let expected = self.probe.as_ref().map(|probe| (probe.sequence as u16).wrapping_add(1));
        let held = Held::new(packet, i64::from(packet.sequence), now);
        let (Some(mut first), true) = (self.probe.take(), expected == Some(packet.sequence)) else {
            self.probe = Some(held);
            return;
        };
        self.flush_held();
        self.begin_at(first.sequence as u16);
        self.counts.jumps += 1;
        first.fresh = std::mem::take(&mut self.fresh);
        for mut held in [first, held] {
            held.sequence = self.next;
            self.skip_to(self.next);
            self.reports.received += 1;
            self.ready.push_back(held);
        }
    }

    /// Gives up all gaps: what is held becomes ready.
    fn flush_held(&mut self) {
        while let Some((sequence, mut held)) = self.held.pop_first() {
            held.lost = (sequence - self.next).max(0) as u32;
            self.skip_to(sequence);
            self.reports.received += 1;
            self.ready.push_back(held);
        }
        self.held_bytes = 0;
    }

    /// Marks `sequence` as delivered and what lies before it as lost.
    fn skip_to(&mut self, sequence: i64) {
        let step = sequence + 1 - self.next;
        self.counts.lost += (step - 1).max(0) as u64;
        self.seen = if step >= 128 { 1 } else { self.seen << step | 1 };
        self.next = sequence + 1;
    }

    fn release(&mut self, held: Held) -> Arrival<'_> {
        if held.fresh {
            self.time = Unwrap::default();
        }
        self.current = held;
        let held = &self.current;
        Arrival {
            payload: &held.payload,
            timestamp: self.time.next(u64::from(held.timestamp)),
            sequence: held.sequence,
            payload_type: held.payload_type,
            marker: held.marker,
            lost: held.lost,
            fresh: held.fresh,
        }
    }
}

/// Interarrival jitter, scaled by 16 as in RFC 3550 appendix A.8.
#[derive(Debug, Default)]
struct Jitter {
    last: Option<(u32, Timestamp)>,
    scaled: i64,
}

impl Jitter {
    fn measure(&mut self, now: Timestamp, timestamp: u32, clock: u32) {
        match self.last {
            Some((last, _)) if last == timestamp => return,
            Some((last, at)) => {
                let sent = i64::from(timestamp.wrapping_sub(last) as i32);
                let took = (now - at).to_ticks(clock);
                // A clock that was set, or a pause, is no jitter.
                let distance = (took - sent).abs().min(i64::from(clock));
                self.scaled += distance - ((self.scaled + 8) >> 4);
            }
            None => {}
        }
        self.last = Some((timestamp, now));
    }

    fn ticks(&self) -> i64 {
        self.scaled >> 4
    }
}

/// What receiver reports are made of (RFC 3550 appendix A.3).
#[derive(Debug, Default)]
struct Reports {
    /// The first number since the sequence began.
    base: i64,
    received: u64,
    /// Expected and received at the end of the last interval.
    prior: (u64, u64),
    last_sr: Option<(u32, Timestamp)>,
}

impl Reports {
    fn begin(&mut self, first: i64) {
        *self = Reports { base: first, last_sr: self.last_sr, ..Reports::default() };
    }

    fn close(&mut self, highest: i64, held: u64) -> (u8, i32) {
        let expected = (highest + 1 - self.base).max(0) as u64;
        let received = self.received + held;
        let (interval_expected, interval_received) = (expected.saturating_sub(self.prior.0), received.saturating_sub(self.prior.1));
        self.prior = (expected, received);
        let lost = interval_expected.saturating_sub(interval_received);
        let fraction = (lost * 256).checked_div(interval_expected).unwrap_or(0).min(255);
        (fraction as u8, expected.saturating_sub(received).min(0x7f_ffff) as i32)
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
