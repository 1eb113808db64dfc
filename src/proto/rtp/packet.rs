//! The header of one RTP packet (RFC 3550 section 5.1), read with `rtp-rs`.

use rtp_rs::{RtpReader, RtpReaderError};

/// One RTP packet; the payload is what remains without CSRC list, header extension and padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The synchronization source.
    pub ssrc: u32,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp, in ticks of the payload's clock.
    pub timestamp: u32,
    /// The payload type.
    pub payload_type: u8,
    /// The marker bit.
    pub marker: bool,
    /// The payload.
    pub payload: &'a [u8],
}

/// Why bytes are not an RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than its headers say.
    #[error("RTP packet of {0} bytes ends inside its headers")]
    Short(usize),
    /// Not version 2.
    #[error("RTP version {0} instead of 2")]
    Version(u8),
    /// More padding than packet.
    #[error("RTP padding of {0} bytes does not fit")]
    Padding(u8),
}

impl<'a> Packet<'a> {
    /// Reads a datagram, or one frame of a TCP connection.
    pub fn parse(bytes: &'a [u8]) -> Result<Packet<'a>, Malformed> {
        let reader = RtpReader::new(bytes).map_err(|e| match e {
            RtpReaderError::BufferTooShort(_) | RtpReaderError::HeadersTruncated { .. } => Malformed::Short(bytes.len()),
            RtpReaderError::UnsupportedVersion(v) => Malformed::Version(v),
            RtpReaderError::PaddingLengthInvalid(n) => Malformed::Padding(n),
        })?;
        Ok(Packet {
            ssrc: reader.ssrc(),
            sequence: reader.sequence_number().into(),
            timestamp: reader.timestamp(),
            payload_type: reader.payload_type(),
            marker: reader.mark(),
            payload: reader.payload(),
        })
    }
}

/// Whether the bytes are RTCP, where both share a port or a connection (RFC 5761 section 4; packet types 200 to 207).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, 200..=207, ..] if first >> 6 == 2)
}

/// The SSRC of something that looks like an RTP packet, without reading the rest.
pub fn ssrc_of(bytes: &[u8]) -> Option<u32> {
    let header = bytes.first_chunk::<12>()?;
    (header[0] >> 6 == 2).then(|| u32::from_be_bytes([header[8], header[9], header[10], header[11]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 16] = [0x80, 0xe0, 0x12, 0x34, 0, 0, 0x0e, 0x10, 0x0b, 0xeb, 0xc2, 0x01, 1, 2, 3, 4];

    #[test]
    fn a_plain_packet() {
        let packet = Packet::parse(&PLAIN).unwrap();
        let expected =
            Packet { ssrc: 200_000_001, sequence: 0x1234, timestamp: 3600, payload_type: 96, marker: true, payload: &[1, 2, 3, 4] };
        assert_eq!(packet, expected);
        assert_eq!(ssrc_of(&PLAIN), Some(200_000_001));
        assert!(!is_rtcp(&PLAIN));
    }

    #[test]
    fn extension_csrc_and_padding_are_not_payload() {
        // SRS issue srs-gb28181#52: a camera with a header extension.
        let mut bytes = PLAIN[..12].to_vec();
        bytes[0] = 0x80 | 0x20 | 0x10 | 1;
        bytes.extend([9, 9, 9, 9]); // CSRC
        bytes.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]); // extension of one word
        bytes.extend([0xaa, 0xbb, 0, 2]); // payload, then two bytes of padding
        assert_eq!(Packet::parse(&bytes).unwrap().payload, [0xaa, 0xbb]);
    }

    #[test]
    fn hostile_headers_are_refused() {
        assert_eq!(Packet::parse(&[]), Err(Malformed::Short(0)));
        assert_eq!(Packet::parse(&PLAIN[..11]), Err(Malformed::Short(11)));
        let with = |at: usize, byte: u8| {
            let mut bytes = PLAIN;
            bytes[at] = byte;
            bytes
        };
        assert_eq!(Packet::parse(&with(0, 0x40)), Err(Malformed::Version(1)));
        assert_eq!(Packet::parse(&with(0, 0x8f)), Err(Malformed::Short(16)));
        assert_eq!(Packet::parse(&with(0, 0x90)), Err(Malformed::Short(16)));
        assert_eq!(Packet::parse(&with(0, 0xa0)).map(|p| p.payload.len()), Ok(0));
        let mut padded = with(0, 0xa0);
        padded[15] = 200;
        assert_eq!(Packet::parse(&padded), Err(Malformed::Padding(200)));
    }

    #[test]
    fn rtcp_is_told_from_rtp() {
        assert!(is_rtcp(&[0x80, 200, 0, 6]));
        assert!(is_rtcp(&[0x81, 203]));
        assert!(!is_rtcp(&[0x80, 96 | 0x80]));
        assert!(!is_rtcp(&[0x80, 8 | 0x80]));
        assert!(!is_rtcp(&[0]));
    }
}
