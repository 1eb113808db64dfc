//! The handshake of either side: the plain one of the specification (section 5.2) and the one with digests that Flash
//! Player 9 brought and that ffmpeg, librtmp and others still send.

use bytes::{BufMut, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of C1, S1, C2 and S2.
const PACKET: usize = 1536;
/// Bytes of a digest.
const DIGEST: usize = 32;
/// The protocol version of C0 and S0.
const VERSION: u8 = 3;

/// The tail of both keys of the digest form.
const TAIL: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e, 0xec, 0x5d, 0x2d, 0x29, 0x80,
    0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];
const PLAYER: &[u8] = b"Genuine Adobe Flash Player 001";
const SERVER: &[u8] = b"Genuine Adobe Flash Media Server 001";

/// The other side does not shake hands as RTMP does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another protocol, or RTMPE (version 6).
    #[error("the handshake asks for version {0}, not 3: this is no plain RTMP")]
    Version(u8),
}

/// A handshake in progress. It is over when [`read`](Handshake::read) returns `true`.
#[derive(Debug)]
pub struct Handshake {
    role: Role,
    seed: u64,
    /// What has arrived of the part that is waited for.
    held: Vec<u8>,
    /// Bytes that are still to come and do not matter: C2.
    skip: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Server,
    Client,
}

/// Where the digest may lie in a packet: the place of its offset, and what the offset counts from.
const PLACES: [(usize, usize); 2] = [(8, 12), (772, 776)];

impl Handshake {
    /// The server's side; `seed` makes the random bytes.
    pub fn server(seed: u64) -> Handshake {
        Handshake { role: Role::Server, seed, held: Vec::new(), skip: 0 }
    }

    /// The client's side, which speaks first.
    pub fn client(seed: u64, out: &mut BytesMut) -> Handshake {
        let mut c1 = [0; PACKET];
        fill(&mut c1, seed);
        c1[..8].copy_from_slice(&[0, 0, 0, 0, 9, 0, 124, 2]);
        sign(&mut c1, PLACES[0], PLAYER);
        out.put_u8(VERSION);
        out.put_slice(&c1);
        Handshake { role: Role::Client, seed, held: Vec::new(), skip: 0 }
    }

    /// Takes bytes off the front of `input` and appends answers to `out`; `true` once the handshake is over.
    pub fn read(&mut self, input: &mut &[u8], out: &mut BytesMut) -> Result<bool, Error> {
        if self.skip == 0 {
            let wanted = match self.role {
                Role::Server => 1 + PACKET,
                Role::Client => 1 + 2 * PACKET,
            };
            let n = (wanted - self.held.len()).min(input.len());
            self.held.extend_from_slice(&input[..n]);
            *input = &input[n..];
            match self.held.first() {
                Some(&VERSION) | None => {}
                Some(&version) => return Err(Error::Version(version)),
            }
            if self.held.len() < wanted {
                return Ok(false);
            }
            let held = std::mem::take(&mut self.held);
            match self.role {
                Role::Server => self.answer_client(&held[1..], out),
                Role::Client => {
                    self.answer_server(&held[1..1 + PACKET], out);
                    return Ok(true);
                }
            }
            self.skip = PACKET;
        }
        // What C2 holds does not matter: some clients send an echo, some a digest, some neither.
        let n = self.skip.min(input.len());
        *input = &input[n..];
        self.skip -= n;
        Ok(self.skip == 0)
    }

    /// S0, S1 and S2.
    fn answer_client(&self, c1: &[u8], out: &mut BytesMut) {
        out.reserve(1 + 2 * PACKET);
        out.put_u8(VERSION);
        let mut s1 = [0; PACKET];
        fill(&mut s1, self.seed);
        s1[..8].fill(0);
        match find(c1, PLAYER) {
            Some((place, digest)) => {
                // A version other than 0 tells the client that there is a digest.
                s1[4..8].copy_from_slice(&[4, 5, 0, 1]);
                sign(&mut s1, place, SERVER);
                out.put_slice(&s1);
                out.put_slice(&reply(self.seed ^ 1, &digest, SERVER));
            }
            None => {
                out.put_slice(&s1);
                out.put_slice(c1);
            }
        }
    }

    /// C2.
    fn answer_server(&self, s1: &[u8], out: &mut BytesMut) {
        match find(s1, SERVER) {
            Some((_, digest)) => out.put_slice(&reply(self.seed ^ 1, &digest, PLAYER)),
            None => out.put_slice(s1),
        }
    }
}

/// The last packet of the digest form: random bytes, then their digest with a key made of the other side's digest.
fn reply(seed: u64, digest: &[u8; DIGEST], who: &[u8]) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    fill(&mut packet, seed);
    let key = hmac(&[who, &TAIL].concat(), &[digest]);
    let (random, end) = packet.split_at_mut(PACKET - DIGEST);
    end.copy_from_slice(&hmac(&key, &[random]));
    packet
}

/// Where a packet's digest begins, by the sum of four bytes.
fn offset(packet: &[u8], (at, base): (usize, usize)) -> usize {
    let sum: usize = packet[at..at + 4].iter().copied().map(usize::from).sum();
    sum % 728 + base
}

fn sign(packet: &mut [u8; PACKET], place: (usize, usize), key: &[u8]) {
    let at = offset(packet, place);
    let digest = hmac(key, &[&packet[..at], &packet[at + DIGEST..]]);
    packet[at..at + DIGEST].copy_from_slice(&digest);
}

/// The place and value of the digest, if the packet has a right one.
fn find(packet: &[u8], key: &[u8]) -> Option<((usize, usize), [u8; DIGEST])> {
    // A plain client says version 0 here, which saves it two digests; zero is what the specification asks for.
    if packet[4..8] == [0; 4] {
        return None;
    }
    PLACES.into_iter().find_map(|place| {
        let at = offset(packet, place);
        let digest = hmac(key, &[&packet[..at], &packet[at + DIGEST..]]);
        (packet[at..at + DIGEST] == digest).then_some((place, digest))
    })
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; DIGEST] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Fills with bytes that need not be secret, only different (splitmix64).
fn fill(bytes: &mut [u8], mut seed: u64) {
    for chunk in bytes.chunks_mut(8) {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs both sides against each other, with the bytes cut in pieces of `cut`; returns what each sent.
    fn pair(cut: usize, tail: &[u8]) -> (BytesMut, BytesMut) {
        let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
        let mut client = Handshake::client(7, &mut to_server);
        let mut server = Handshake::server(9);
        let sent = to_server.split();
        for mut piece in sent.chunks(cut) {
            assert!(!server.read(&mut piece, &mut to_client).unwrap());
        }
        let mut done = false;
        let answer = to_client.clone();
        for mut piece in answer.chunks(cut) {
            done = client.read(&mut piece, &mut to_server).unwrap();
        }
        assert!(done, "the client is through");
        let mut c2 = to_server.clone();
        c2.extend_from_slice(tail);
        let mut rest = Vec::new();
        let mut done = false;
        for mut piece in c2.chunks(cut) {
            if !done {
                done = server.read(&mut piece, &mut to_client).unwrap();
            }
            rest.extend_from_slice(piece);
        }
        assert!(done, "the server is through");
        assert_eq!(rest, tail, "what follows the handshake is left alone");
        (sent, answer)
    }

    proptest! {
        #[test]
        fn both_sides_agree_in_any_pieces(cut in 1..4000_usize, tail in prop::collection::vec(any::<u8>(), 0..30)) {
            pair(cut, &tail);
        }
    }

    #[test]
    fn the_digest_form_is_right_on_both_sides() {
        let (c, s) = pair(5000, b"");
        let (_, client_digest) = find(&c[1..], PLAYER).expect("C1 has a digest");
        assert!(find(&s[1..1 + PACKET], SERVER).is_some(), "S1 has a digest");
        let s2 = &s[1 + PACKET..];
        let key = hmac(&[SERVER, &TAIL].concat(), &[&client_digest]);
        assert_eq!(s2[PACKET - DIGEST..], hmac(&key, &[&s2[..PACKET - DIGEST]]), "S2 answers C1's digest");
    }

    #[test]
    fn a_digest_in_the_second_place_is_found() {
        let mut c1 = [0; PACKET];
        fill(&mut c1, 3);
        sign(&mut c1, PLACES[1], PLAYER);
        let mut out = BytesMut::new();
        Handshake::server(1).read(&mut [&[3], &c1[..]].concat().as_slice(), &mut out).unwrap();
        let (place, _) = find(&out[1..1 + PACKET], SERVER).unwrap();
        assert_eq!(place, PLACES[1], "answered in the same place");
    }

    #[test]
    fn a_plain_client_gets_its_echo() {
        for version in [[0; 4], [9, 0, 124, 2]] {
            // With a version but without a right digest it is a plain client too.
            let mut c1 = vec![7; PACKET];
            c1[4..8].copy_from_slice(&version);
            let mut out = BytesMut::new();
            let mut server = Handshake::server(1);
            assert_eq!(server.read(&mut [&[3], &c1[..]].concat().as_slice(), &mut out), Ok(false));
            assert_eq!(out[1 + PACKET..], c1);
            assert_eq!(out[5..9], [0; 4], "S1 promises no digest");
            assert_eq!(server.read(&mut &[0xaa; PACKET][..], &mut out), Ok(true), "C2 is not judged");
        }
    }

    #[test]
    fn other_protocols_are_refused_at_the_first_byte() {
        for first in [b'G', 6, 0, 0x16] {
            assert_eq!(Handshake::server(1).read(&mut &[first][..], &mut BytesMut::new()), Err(Error::Version(first)));
        }
    }
}
