//! What an RTP payload type stands for.

use serde::Serialize;

/// The format of an RTP payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Codec {
    /// A program stream.
    Ps,
    /// H.264 (RFC 6184).
    H264,
    /// H.265 (RFC 7798).
    H265,
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
    /// A transport stream.
    Ts,
    /// Something that is not supported.
    Other,
}

impl Codec {
    /// By the name in an `a=rtpmap` line.
    pub fn named(encoding: &str) -> Codec {
        match encoding.to_ascii_uppercase().as_str() {
            // Dahua and Hikvision name their private variants after themselves; what comes is a program stream.
            "PS" | "MP2P" | "DAHUA" | "HIKVISION" => Codec::Ps,
            "H264" => Codec::H264,
            "H265" | "HEVC" => Codec::H265,
            "PCMA" => Codec::Pcma,
            "PCMU" => Codec::Pcmu,
            "MP2T" => Codec::Ts,
            _ => Codec::Other,
        }
    }

    /// By custom, where no SDP told it.
    pub fn usual(payload_type: u8) -> Codec {
        match payload_type {
            0 => Codec::Pcmu,
            8 => Codec::Pcma,
            33 => Codec::Ts,
            98 => Codec::H264,
            // 100 by GB/T 28181-2022; 99 is what other platforms offer
            99 | 100 => Codec::H265,
            96 | 97 | 101.. => Codec::Ps,
            _ => Codec::Other,
        }
    }

    /// What the first payload shows by itself, whatever was said about it.
    pub fn seen(payload: &[u8]) -> Option<Codec> {
        match payload {
            [0, 0, 1, 0xba..=0xbc | 0xc0..=0xef, ..] => Some(Codec::Ps),
            [0x47, ..] if payload.len() >= 188 && payload.len().is_multiple_of(188) && payload.chunks(188).all(|p| p[0] == 0x47) => {
                Some(Codec::Ts)
            }
            _ => None,
        }
    }

    /// The RTP clock in Hz.
    pub fn clock(self) -> u32 {
        match self {
            Codec::Pcma | Codec::Pcmu => 8_000,
            _ => 90_000,
        }
    }

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Ps => "PS",
            Codec::H264 => "H264",
            Codec::H265 => "H265",
            Codec::Pcma => "PCMA",
            Codec::Pcmu => "PCMU",
            Codec::Ts => "MPEG-TS",
            Codec::Other => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_looks() {
        assert_eq!((Codec::named("ps"), Codec::named("H265"), Codec::named("SVAC")), (Codec::Ps, Codec::H265, Codec::Other));
        assert_eq!(
            (Codec::usual(96), Codec::usual(98), Codec::usual(8), Codec::usual(99)),
            (Codec::Ps, Codec::H264, Codec::Pcma, Codec::H265)
        );
        assert_eq!(Codec::seen(&[0, 0, 1, 0xba, 0x44]), Some(Codec::Ps));
        assert_eq!(Codec::seen(&[0, 0, 1, 0x65]), None, "a start code in front of a NAL unit");
        let mut ts = vec![0u8; 376];
        (ts[0], ts[188]) = (0x47, 0x47);
        assert_eq!(Codec::seen(&ts), Some(Codec::Ts));
        assert_eq!(Codec::seen(&[0x47; 100]), None);
    }
}
