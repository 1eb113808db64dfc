//! RTP over a byte stream: frames of a 2-byte length (RFC 4571), and the `$` variant of RTSP that some devices use.

use super::packet::is_rtcp;
use memchr::memmem;

/// How packets are framed on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Length in 2 bytes, then the packet (RFC 4571).
    Rfc4571,
    /// `$`, a channel, length in 2 bytes, then the packet (RFC 2326 section 10.12).
    Dollar,
}

impl Kind {
    /// The bytes in front of each packet.
    pub const fn prefix(self) -> usize {
        match self {
            Kind::Rfc4571 => 2,
            Kind::Dollar => 4,
        }
    }

    /// Writes the prefix of a packet; `length` is at most 65,535.
    pub fn put(self, length: usize, out: &mut Vec<u8>) {
        if self == Kind::Dollar {
            out.extend([b'$', 0]);
        }
        out.extend((length as u16).to_be_bytes());
    }
}

/// Finds the packets of one connection in what was read. It owns no bytes: the caller keeps what was not consumed.
#[derive(Debug, Default)]
pub struct Framer {
    kind: Option<Kind>,
    /// The SSRC of the last packet.
    last: Option<[u8; 4]>,
    /// The SSRC that two packets in a row had.
    known: Option<[u8; 4]>,
    lost: bool,
    resyncs: u64,
    skipped: u64,
    skipped_now: usize,
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A packet; continue behind `consumed` bytes.
    Packet {
        /// The packet, RTP or RTCP.
        packet: &'a [u8],
        /// The bytes that are done, prefix included.
        consumed: usize,
    },
    /// Bytes that belong to no packet; continue behind them.
    Skip(usize),
    /// The next packet is not complete yet.
    More,
}

/// The framing is lost and was not found again within [`Framer::PATIENCE`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("RTP framing lost: no packet found in {0} bytes")]
pub struct Lost(pub usize);

impl Framer {
    /// The longest packet with its prefix: so much must fit into the caller's buffer.
    pub const LONGEST: usize = 65_535 + 4;
    /// Bytes that are searched for a packet before the connection is given up.
    pub const PATIENCE: usize = 512 << 10;
    const RTP_HEADER: usize = 12;

    /// The framing, once known.
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// How often the framing was lost and found again, and how many bytes that cost.
    pub fn resyncs(&self) -> (u64, u64) {
        (self.resyncs, self.skipped)
    }

    /// Looks at the bytes that come next.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Step<'a>, Lost> {
        if self.lost {
            return self.search(bytes);
        }
        let kind = match self.kind {
            Some(kind) => kind,
            // Decided once: later a length of 0x24xx is legal (ZLMediaKit pull request 2499).
            None => match detect(bytes) {
                Detect::Kind(kind) => *self.kind.insert(kind),
                Detect::More => return Ok(Step::More),
                Detect::Neither => return self.lose(bytes),
            },
        };
        let prefix = kind.prefix();
        let Some(head) = bytes.get(..prefix) else { return Ok(Step::More) };
        if kind == Kind::Dollar && head[0] != b'$' {
            return self.lose(bytes);
        }
        let length = usize::from(u16::from_be_bytes([head[prefix - 2], head[prefix - 1]]));
        if length == 0 {
            return Ok(Step::Skip(prefix)); // seen as keep-alive
        }
        let Some(start) = bytes.get(prefix..prefix + length.min(Self::RTP_HEADER)) else { return Ok(Step::More) };
        if !plausible(start, length) {
            return self.lose(bytes);
        }
        let Some(packet) = bytes.get(prefix..prefix + length) else {
            let slipped = self.known.is_some_and(|known| ssrc_bytes(start).is_some_and(|ssrc| ssrc != known) && !is_rtcp(start));
            return if slipped && matches!(self.candidate(bytes), Found::At(..)) { self.lose(bytes) } else { Ok(Step::More) };
        };
        if let (false, Some(ssrc)) = (is_rtcp(packet), ssrc_bytes(packet)) {
            if self.known.is_some_and(|known| known != ssrc) {
                // A slip, or another SSRC: the packet behind it decides, or the old SSRC that goes on inside it.
                let goes_on = || matches!(self.candidate(bytes), Found::At(..));
                match self.follows(&bytes[prefix + length..], kind, ssrc) {
                    Some(true) => {}
                    None if !goes_on() => return Ok(Step::More),
                    _ => return self.lose(bytes),
                }
            }
            if self.last.replace(ssrc) == Some(ssrc) {
                self.known = Some(ssrc);
            }
        }
        Ok(Step::Packet { packet, consumed: prefix + length })
    }

    fn lose<'a>(&mut self, bytes: &'a [u8]) -> Result<Step<'a>, Lost> {
        self.lost = true;
        self.resyncs += 1;
        self.skipped_now = 0;
        self.search(bytes)
    }

    /// After a sender's buffer has overrun the framing slips (ZLMediaKit issue 571): find two packets in a row again.
    fn search<'a>(&mut self, bytes: &'a [u8]) -> Result<Step<'a>, Lost> {
        let (at, kind) = match self.candidate(bytes) {
            Found::At(at, kind) => (at, Some(kind)),
            Found::UpTo(at) => (at, None),
        };
        self.skipped += at as u64;
        self.skipped_now += at;
        if let Some(kind) = kind {
            self.lost = false;
            self.kind = Some(kind);
            return if at > 0 { Ok(Step::Skip(at)) } else { self.next(bytes) };
        }
        if self.skipped_now > Self::PATIENCE {
            return Err(Lost(self.skipped_now));
        }
        Ok(if at > 0 { Step::Skip(at) } else { Step::More })
    }

    fn candidate(&self, bytes: &[u8]) -> Found {
        let kinds: &[Kind] = match &self.kind {
            Some(kind) => std::slice::from_ref(kind),
            None => &[Kind::Rfc4571, Kind::Dollar],
        };
        // With a known SSRC only its places come into question, else every place.
        let places: Box<dyn Iterator<Item = usize>> = match &self.known {
            Some(ssrc) => Box::new(memmem::find_iter(bytes, ssrc).filter_map(|at| at.checked_sub(8))),
            None => Box::new(0..bytes.len().saturating_sub(Self::RTP_HEADER)),
        };
        for rtp in places {
            for &kind in kinds {
                match self.confirms(bytes, rtp, kind) {
                    Some(true) => return Found::At(rtp - kind.prefix(), kind),
                    None => return Found::UpTo(rtp - kind.prefix()),
                    Some(false) => {}
                }
            }
        }
        // The last bytes may begin a packet whose SSRC is not here yet.
        Found::UpTo(bytes.len().saturating_sub(Self::RTP_HEADER + 4))
    }

    /// Whether a packet starts at `rtp` and another one follows it; `None`: the following one is not here yet.
    fn confirms(&self, bytes: &[u8], rtp: usize, kind: Kind) -> Option<bool> {
        let prefix = kind.prefix();
        let Some(at) = rtp.checked_sub(prefix) else { return Some(false) };
        let length = usize::from(u16::from_be_bytes([bytes[rtp - 2], bytes[rtp - 1]]));
        if kind == Kind::Dollar && bytes[at] != b'$' || bytes[rtp] >> 6 != 2 {
            return Some(false);
        }
        // what `next` would not take must not be found here: the two would go around for ever
        if length < Self::RTP_HEADER || !plausible(bytes.get(rtp..rtp + Self::RTP_HEADER)?, length) {
            return Some(false);
        }
        let ssrc = ssrc_bytes(bytes.get(rtp..)?)?;
        self.follows(bytes.get(rtp + length..)?, kind, ssrc)
    }

    /// Whether `rest` begins with a packet of that SSRC, or RTCP; `None`: too little is here.
    fn follows(&self, rest: &[u8], kind: Kind, ssrc: [u8; 4]) -> Option<bool> {
        let prefix = kind.prefix();
        let follower = rest.get(..prefix + Self::RTP_HEADER)?;
        let start = &follower[prefix..];
        let length = usize::from(u16::from_be_bytes([follower[prefix - 2], follower[prefix - 1]]));
        let framed = kind == Kind::Rfc4571 || follower[0] == b'$';
        Some(framed && plausible(start, length) && (is_rtcp(start) || ssrc_bytes(start) == Some(ssrc)))
    }
}

/// `start` holds the first 12 bytes of a packet of `length` bytes.
fn plausible(start: &[u8], length: usize) -> bool {
    match start {
        // whole words, and the first packet of the compound fits
        [_, _, high, low, ..] if is_rtcp(start) => {
            let first = (usize::from(u16::from_be_bytes([*high, *low])) + 1) * 4;
            length.is_multiple_of(4) && first <= length && length <= 2_048
        }
        _ => start[0] >> 6 == 2 && length >= Framer::RTP_HEADER,
    }
}

fn ssrc_bytes(packet: &[u8]) -> Option<[u8; 4]> {
    packet.get(8..12)?.try_into().ok()
}

enum Found {
    At(usize, Kind),
    UpTo(usize),
}

enum Detect {
    Kind(Kind),
    More,
    Neither,
}

fn detect(bytes: &[u8]) -> Detect {
    let version = |at: usize| bytes.get(at).map(|b| b >> 6 == 2);
    match bytes {
        [b'$', channel, ..] if *channel < 4 => match version(4) {
            None => Detect::More,
            Some(true) => Detect::Kind(Kind::Dollar),
            Some(false) if version(2) == Some(true) => Detect::Kind(Kind::Rfc4571),
            Some(false) => Detect::Neither,
        },
        [0, 0, ..] => Detect::Kind(Kind::Rfc4571),
        _ => match version(2) {
            None => Detect::More,
            Some(true) => Detect::Kind(Kind::Rfc4571),
            Some(false) => Detect::Neither,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rtp(ssrc: u32, n: u16, size: usize) -> Vec<u8> {
        let mut packet = vec![0x80, 96];
        packet.extend(n.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend(ssrc.to_be_bytes());
        packet.extend((0..size).map(|i| (i as u8).wrapping_mul(7) ^ n as u8));
        packet
    }

    fn framed(kind: Kind, packets: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for packet in packets {
            kind.put(packet.len(), &mut out);
            out.extend(packet);
        }
        out
    }

    /// Feeds the bytes in pieces, as a connection does.
    fn read(framer: &mut Framer, bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, Lost> {
        let (mut buffer, mut out) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(piece.max(1)) {
            buffer.extend_from_slice(piece);
            let mut at = 0;
            loop {
                match framer.next(&buffer[at..])? {
                    Step::Packet { packet, consumed } => {
                        out.push(packet.to_vec());
                        at += consumed;
                    }
                    Step::Skip(n) => at += n,
                    Step::More => break,
                }
            }
            buffer.drain(..at);
            assert!(buffer.len() < 2 * Framer::LONGEST, "bounded");
        }
        Ok(out)
    }

    #[test]
    fn both_framings_in_pieces_of_any_size() {
        // 0x2400 bytes: the length begins with `$`, later in the stream.
        let packets = [rtp(7, 1, 1400), rtp(7, 2, 0), rtp(7, 3, 0x2400 - 12), rtp(7, 4, 65_523)];
        for kind in [Kind::Rfc4571, Kind::Dollar] {
            for piece in [1, 2, 3, 13, 1500, 1 << 20] {
                let mut framer = Framer::default();
                assert_eq!(read(&mut framer, &framed(kind, &packets), piece).unwrap(), packets, "{kind:?} {piece}");
                assert_eq!((framer.kind(), framer.resyncs().0), (Some(kind), 0));
            }
        }
    }

    #[test]
    fn a_slip_of_the_framing_is_mended_at_the_ssrc() {
        let packets: Vec<_> = (0..20).map(|n| rtp(0x0beb_c201, n, 900)).collect();
        for kind in [Kind::Rfc4571, Kind::Dollar] {
            let mut bytes = framed(kind, &packets);
            bytes.drain(5_000..5_100); // what the sender's full buffer swallowed
            for piece in [1, 700, 1 << 20] {
                let mut framer = Framer::default();
                let out = read(&mut framer, &bytes, piece).unwrap();
                assert!(out.len() >= 17, "{} of 20, {kind:?} {piece}", out.len());
                assert_eq!(out[out.len() - 5..], packets[15..]);
                assert_eq!(framer.resyncs().0, 1);
            }
        }
    }

    /// Found by fuzzing: what looks like RTCP of a length that RTCP cannot have was refused and found again without end.
    #[test]
    fn a_refused_packet_is_not_found_again() {
        let mut odd = rtp(7, 1, 1);
        odd[1] = 200;
        let bytes = framed(Kind::Rfc4571, &[odd, rtp(7, 2, 100), rtp(7, 3, 100)]);
        let (mut framer, mut at, mut packets) = (Framer::default(), 0, 0);
        for _ in 0..100 {
            match framer.next(&bytes[at..]).unwrap() {
                Step::Packet { consumed, .. } => (at, packets) = (at + consumed, packets + 1),
                Step::Skip(n) => at += n,
                Step::More => break,
            }
        }
        assert_eq!(packets, 2);
    }

    #[test]
    fn a_private_prefix_is_skipped() {
        // An Ehome header of 256 bytes (ZLMediaKit pull request 2490).
        let packets: Vec<_> = (0..4).map(|n| rtp(7, n, 500)).collect();
        let bytes = [[1, 0, 1].to_vec(), vec![0x11; 253], framed(Kind::Rfc4571, &packets)].concat();
        assert_eq!(read(&mut Framer::default(), &bytes, 1 << 20).unwrap(), packets);
    }

    #[test]
    fn what_is_no_rtp_is_given_up() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1 << 16);
        assert!(read(&mut Framer::default(), &text, 4096).is_err());
    }

    #[test]
    fn rtcp_and_keep_alives_share_the_connection() {
        let rtcp = vec![0x80, 200, 0, 1, 0, 0, 0, 7];
        let packets = [rtp(7, 1, 10), rtcp, rtp(7, 2, 10)];
        let mut bytes = framed(Kind::Rfc4571, &packets);
        bytes.splice(0..0, [0, 0]);
        assert_eq!(read(&mut Framer::default(), &bytes, 3).unwrap(), packets);
    }

    proptest! {
        #[test]
        fn hostile(bytes in prop::collection::vec(prop_oneof![Just(0x80u8), Just(0x24), Just(0), any::<u8>()], 0..5_000), piece in 1usize..700) {
            let _ = read(&mut Framer::default(), &bytes, piece);
        }

        #[test]
        fn damage_costs_only_its_surroundings(at in 2_000usize..40_000, cut in 1usize..3_000, piece in 1usize..5_000) {
            let packets: Vec<_> = (0..60).map(|n| rtp(0x0beb_c201, n, 900)).collect();
            let mut bytes = framed(Kind::Rfc4571, &packets);
            bytes.drain(at..at + cut);
            let out = read(&mut Framer::default(), &bytes, piece).unwrap();
            prop_assert_eq!(&out[out.len() - 5..], &packets[55..]);
        }
    }
}
