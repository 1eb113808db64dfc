//! The codecs that an SDP offer (RFC 8866, RFC 3264) takes or brings.

use std::collections::HashMap;

/// A codec, as RTP names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// H.264 in packetization mode 1.
    H264,
    /// H.265.
    H265,
    /// Opus.
    Opus,
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
}

impl Coding {
    /// The usual name.
    pub fn name(self) -> &'static str {
        match self {
            Coding::H264 => "H.264",
            Coding::H265 => "H.265",
            Coding::Opus => "Opus",
            Coding::Pcma => "G.711 A-law",
            Coding::Pcmu => "G.711 µ-law",
        }
    }

    /// Ticks of RTP time in a second.
    pub fn clock(self) -> u32 {
        match self {
            Coding::H264 | Coding::H265 => 90_000,
            Coding::Opus => 48_000,
            Coding::Pcma | Coding::Pcmu => 8_000,
        }
    }
}

/// What an offer says of codecs; `None` where it has no section of that kind that is in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Of pictures.
    pub video: Option<Vec<Coding>>,
    /// Of sound.
    pub audio: Option<Vec<Coding>>,
}

/// Longer than any browser's offer.
const LINES: usize = 4_096;

impl Offer {
    /// Reads an offer; what is not understood is left out. Nothing is checked that str0m checks.
    pub fn parse(text: &str) -> Offer {
        let mut offer = Offer::default();
        let mut section: Option<Section> = None;
        for line in text.lines().take(LINES) {
            let line = line.trim_end();
            match line.split_at_checked(2) {
                Some(("m=", media)) => {
                    section.take().into_iter().for_each(|done| done.close(&mut offer));
                    section = Section::open(media);
                }
                Some(("a=", attribute)) => section.iter_mut().for_each(|section| section.attribute(attribute)),
                _ => {}
            }
        }
        section.into_iter().for_each(|done| done.close(&mut offer));
        offer
    }
}

/// An `m=` section while it is read.
struct Section {
    video: bool,
    /// Payload types in the order of preference.
    types: Vec<u8>,
    maps: HashMap<u8, Coding>,
    /// H.264 types that say `packetization-mode=1`.
    modes: Vec<u8>,
}

impl Section {
    fn open(media: &str) -> Option<Section> {
        let mut words = media.split_ascii_whitespace();
        let video = match words.next()? {
            "video" => true,
            "audio" => false,
            _ => return None,
        };
        let types: Vec<u8> = words.skip(2).filter_map(|word| word.parse().ok()).collect();
        let mut maps = HashMap::new();
        if !video {
            // Static types need no map (RFC 3551 section 6).
            maps.extend([(0, Coding::Pcmu), (8, Coding::Pcma)]);
        }
        Some(Section { video, types, maps, modes: Vec::new() })
    }

    fn attribute(&mut self, attribute: &str) {
        if let Some((kind, map)) = attribute.strip_prefix("rtpmap:").and_then(|rest| rest.split_once(' ')) {
            let name = map.split('/').next().unwrap_or_default();
            let coding =
                [("H264", Coding::H264), ("H265", Coding::H265), ("opus", Coding::Opus), ("PCMA", Coding::Pcma), ("PCMU", Coding::Pcmu)]
                    .into_iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
            if let (Ok(kind), Some((_, coding))) = (kind.parse(), coding) {
                self.maps.insert(kind, coding);
            }
        } else if let Some((kind, parameters)) = attribute.strip_prefix("fmtp:").and_then(|rest| rest.split_once(' ')) {
            let mode = parameters.split(';').any(|parameter| parameter.trim().eq_ignore_ascii_case("packetization-mode=1"));
            if let (Ok(kind), true) = (kind.parse(), mode) {
                self.modes.push(kind);
            }
        }
    }

    fn close(self, offer: &mut Offer) {
        let list = if self.video { &mut offer.video } else { &mut offer.audio };
        let list = list.get_or_insert_default();
        for kind in &self.types {
            match self.maps.get(kind) {
                Some(Coding::H264) if !self.modes.contains(kind) => {}
                Some(coding) if !list.contains(coding) => list.push(*coding),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_found_in_their_order() {
        let text = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 96 102 104\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:102 H264/90000\r\n\
            a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\na=rtpmap:104 H265/90000\r\n\
            m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=rtpmap:8 H264/90000\r\n";
        let offer = Offer::parse(text);
        assert_eq!(offer.audio, Some(vec![Coding::Opus, Coding::Pcmu, Coding::Pcma]));
        assert_eq!(offer.video, Some(vec![Coding::H264, Coding::H265]));
        assert_eq!(Offer::parse("nonsense"), Offer::default());
    }

    #[test]
    fn h264_in_single_packets_is_not_taken() {
        let text = "m=video 9 UDP/TLS/RTP/SAVPF 102\na=rtpmap:102 H264/90000\na=fmtp:102 packetization-mode=0\n";
        assert_eq!(Offer::parse(text).video, Some(vec![]));
    }
}
