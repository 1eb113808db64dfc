//! The sending side of one RTP stream: cuts payloads into packets and numbers them.

/// The header of a packet as it goes on the wire.
pub type Header = [u8; 12];

/// Cuts and numbers. The payload is never copied: each packet is a [`Header`] and a slice, for a gathering write.
#[derive(Debug, Clone)]
pub struct Packetizer {
    ssrc: u32,
    payload_type: u8,
    mtu: usize,
    sequence: u16,
    packets: u32,
    bytes: u32,
}

impl Packetizer {
    /// A payload that keeps the whole packet within an Ethernet frame, as GB28181 devices send it.
    pub const MTU: usize = 1_400;

    /// For payloads of type `payload_type`, cut after `mtu` bytes; the first packet has the number `sequence`.
    pub fn new(ssrc: u32, payload_type: u8, mtu: usize, sequence: u16) -> Packetizer {
        Packetizer { ssrc, payload_type: payload_type & 0x7f, mtu: mtu.clamp(1, 65_535 - 12), sequence, packets: 0, bytes: 0 }
    }

    /// The SSRC that is sent.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Packets and payload bytes so far, for sender reports; both wrap.
    pub fn sent(&self) -> (u32, u32) {
        (self.packets, self.bytes)
    }

    /// The packets of one frame; the marker is set on the last.
    pub fn packets<'a>(&mut self, frame: &'a [u8], timestamp: u32) -> impl Iterator<Item = (Header, &'a [u8])> + use<'a, '_> {
        let count = frame.len().div_ceil(self.mtu);
        frame.chunks(self.mtu).enumerate().map(move |(n, payload)| (self.header(payload.len(), timestamp, n + 1 == count), payload))
    }

    /// The next header, for a payload of `length` bytes.
    pub fn header(&mut self, length: usize, timestamp: u32, marker: bool) -> Header {
        let mut header = [0; 12];
        header[0] = 0x80;
        header[1] = self.payload_type | u8::from(marker) << 7;
        header[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        header[4..8].copy_from_slice(&timestamp.to_be_bytes());
        header[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(length as u32);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::super::Packet;
    use super::*;

    #[test]
    fn a_frame_becomes_packets_and_back() {
        let frame: Vec<u8> = (0..3_000u32).map(|n| n as u8).collect();
        let mut packetizer = Packetizer::new(0x0beb_c201, 96, 1_400, 65_535);
        let wire: Vec<Vec<u8>> = packetizer.packets(&frame, 90_000).map(|(header, payload)| [&header, payload].concat()).collect();
        let packets: Vec<_> = wire.iter().map(|bytes| Packet::parse(bytes).unwrap()).collect();
        assert_eq!(packets.iter().map(|p| (p.sequence, p.marker)).collect::<Vec<_>>(), [(65_535, false), (0, false), (1, true)]);
        assert!(packets.iter().all(|p| p.ssrc == 0x0beb_c201 && p.payload_type == 96 && p.timestamp == 90_000));
        assert_eq!(packets.iter().flat_map(|p| p.payload).copied().collect::<Vec<_>>(), frame);
        assert_eq!(packetizer.sent(), (3, 3_000));
        assert_eq!(packetizer.packets(&[], 0).count(), 0);
    }
}
