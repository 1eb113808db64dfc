//! RTP, RTCP and their framing over TCP.

use crate::media::nal::{self, Family};
use crate::media::time::Timestamp;
use crate::proto::rtp::nal_depack::Depacketizer;
use crate::proto::rtp::{Framer, Packet, Receiver, Step, Window, is_rtcp, rtcp};

/// Packets with a length of one byte and a wait of one byte in front, through a receiver; what comes out is in order.
pub(super) fn rtp(data: &[u8]) {
    for window in [Window::UDP, Window::ORDERED] {
        let mut receiver = Receiver::new(90_000, window);
        let (mut now, mut last) = (Timestamp::ZERO, None);
        let mut check = |sequence: i64, fresh: bool| {
            assert!(fresh || last.is_none_or(|last| last < sequence), "{sequence} after {last:?}");
            last = Some(sequence);
        };
        each(data, |wait, bytes| {
            now = now + Timestamp::from_millis(wait.into());
            let Ok(packet) = Packet::parse(bytes) else { return };
            if let Some(arrival) = receiver.handle(now, &packet) {
                check(arrival.sequence, arrival.fresh);
            }
            while let Some(arrival) = receiver.poll(now) {
                check(arrival.sequence, arrival.fresh);
            }
            let _ = (receiver.deadline(), receiver.jitter(), receiver.report(now));
        });
    }
}

/// H.264 and H.265 payloads: access units come out in canonical form.
pub(super) fn nal_depack(data: &[u8]) {
    for family in [Family::H264, Family::H265] {
        let mut receiver = Receiver::new(90_000, Window::ORDERED);
        let mut depacketizer = Depacketizer::new(family, 1 << 16);
        let check = |depacketizer: &mut Depacketizer| {
            while let Some(unit) = depacketizer.pull() {
                let length: usize = nal::units(&unit.access.data).map(|nal| nal.len() + 4).sum();
                assert_eq!(length, unit.access.data.len());
            }
        };
        each(data, |_, bytes| {
            let Ok(packet) = Packet::parse(bytes) else { return };
            if let Some(arrival) = receiver.handle(Timestamp::ZERO, &packet) {
                depacketizer.push(&arrival);
            }
            check(&mut depacketizer);
        });
        depacketizer.finish();
        check(&mut depacketizer);
    }
}

/// Compound packets.
pub(super) fn rtcp(data: &[u8]) {
    let _ = is_rtcp(data);
    assert!(rtcp::parse(data).count() <= data.len() / 4 + 1);
}

/// A connection as a reader sees it: more and more bytes in a buffer, which is emptied from the front.
pub(super) fn framing(data: &[u8]) {
    let mut framer = Framer::default();
    let (mut start, mut end) = (0, 0);
    for piece in super::pieces(data) {
        end += piece.len();
        let buffer = &data[1..];
        loop {
            let (length, packet) = match framer.next(&buffer[start..end]) {
                Err(_) => return,
                Ok(Step::More) => break,
                Ok(Step::Skip(length)) => (length, 0),
                Ok(Step::Packet { packet, consumed }) => (consumed, packet.len()),
            };
            assert!(length > 0 && length >= packet && start + length <= end);
            start += length;
        }
        assert!(end - start <= Framer::LONGEST + 255 || data[0] == 0, "a packet is there before the buffer is full");
    }
}

/// Length, wait, bytes; and again.
fn each(mut data: &[u8], mut packet: impl FnMut(u8, &[u8])) {
    while let [length, wait, rest @ ..] = data {
        let (bytes, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        packet(*wait, bytes);
        data = rest;
    }
}
