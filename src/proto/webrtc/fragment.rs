//! The fragment that a client patches its session with (RFC 8840 section 9): candidates as they are found, or new credentials.

/// What a fragment asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// Here are candidates, this many.
    Candidates(usize),
    /// ICE begins anew with other credentials.
    Restart,
}

/// Reads a fragment; `present` is the client's name fragment as its offer had it. The error says what is missing.
pub fn parse(text: &str, present: &str) -> Result<Fragment, &'static str> {
    let mut candidates = 0;
    let mut named = false;
    for line in text.lines().map(str::trim_end) {
        if let Some(name) = line.strip_prefix("a=ice-ufrag:") {
            if name != present {
                return Ok(Fragment::Restart);
            }
            named = true;
        }
        candidates += usize::from(line.starts_with("a=candidate:"));
        named |= line.starts_with("a=end-of-candidates");
    }
    if candidates == 0 && !named {
        return Err("the fragment holds neither candidates nor credentials");
    }
    Ok(Fragment::Candidates(candidates))
}

/// The client's name fragment, as an SDP offer tells it.
pub fn name(offer: &str) -> Option<&str> {
    offer.lines().find_map(|line| line.trim_end().strip_prefix("a=ice-ufrag:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_and_restarts_are_told_apart() {
        let text = "a=ice-ufrag:abcd\r\na=ice-pwd:x\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 2 10.0.0.1 5 typ host\r\n";
        assert_eq!(parse(text, "abcd"), Ok(Fragment::Candidates(1)));
        assert_eq!(parse(text, "efgh"), Ok(Fragment::Restart));
        assert_eq!(parse("a=ice-ufrag:abcd\na=end-of-candidates\n", "abcd"), Ok(Fragment::Candidates(0)));
        assert!(parse("hello", "abcd").is_err());
        assert_eq!(name("v=0\r\na=ice-ufrag:abcd\r\n"), Some("abcd"));
    }
}
