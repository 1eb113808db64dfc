//! STUN (RFC 8489), as much of it as tells whose a datagram is. The ICE agent reads the rest.

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 0x0006;

/// Whether a datagram on a port that STUN, DTLS and RTP share is STUN (RFC 7983 section 7, RFC 8489 section 5).
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER && datagram[0] < 2 && datagram[4..8] == COOKIE
}

/// The name fragment of the agent that a connectivity check is for: `USERNAME` is `{receiver}:{sender}` (RFC 8445 section 7.2.2).
/// Nothing is proven by it: the agent itself checks the message's integrity.
pub fn addressee(datagram: &[u8]) -> Option<&str> {
    if !is_stun(datagram) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([datagram[2], datagram[3]]));
    let mut rest = datagram.get(HEADER..HEADER + length)?;
    while let [k0, k1, l0, l1, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let value = tail.get(..length)?;
        if u16::from_be_bytes([*k0, *k1]) == USERNAME {
            let (receiver, _) = std::str::from_utf8(value).ok()?.split_once(':')?;
            return (!receiver.is_empty()).then_some(receiver);
        }
        // Attributes are padded to 4 bytes, the last one sometimes is not.
        rest = tail.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(username: &[u8]) -> Vec<u8> {
        let mut attributes = vec![0x80, 0x22, 0, 3, b'a', b'b', b'c', 0];
        attributes.extend_from_slice(&[0, 6, 0, username.len() as u8]);
        attributes.extend_from_slice(username);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
        let mut message = vec![0, 1, 0, attributes.len() as u8];
        message.extend_from_slice(&COOKIE);
        message.extend_from_slice(&[7; 12]);
        message.extend_from_slice(&attributes);
        message
    }

    #[test]
    fn the_receiver_stands_first() {
        assert_eq!(addressee(&check(b"ours:theirs")), Some("ours"));
        assert_eq!(addressee(&check(b"ours")), None);
        assert_eq!(addressee(&check(b":theirs")), None);
        assert_eq!(addressee(&check(&[0xff, b':', b'a'])), None);
    }

    #[test]
    fn every_cut_is_survived() {
        let whole = check(b"ours:theirs");
        for end in 0..whole.len() {
            assert_eq!(addressee(&whole[..end]), None);
        }
        let mut dtls = whole.clone();
        dtls[0] = 22;
        assert_eq!(addressee(&dtls), None);
    }
}
