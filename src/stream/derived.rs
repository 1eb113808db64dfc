//! Streams made of other streams: the same pictures with other sound, under a name that shows it.
//!
//! Whoever needs one waits for it by name; whoever can make it watches for the demand. Neither knows the other.

use crate::base::id::StreamKey;

/// What is different in a derived stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derived {
    /// The sound is AAC: for HLS, RTMP and MP4.
    Aac,
    /// The sound is Opus: for WebRTC.
    Opus,
    /// The sound is G.711 A-law, 8 kHz, mono: for voice towards cameras.
    G711a,
}

impl Derived {
    fn suffix(self) -> &'static str {
        match self {
            Derived::Aac => "@aac",
            Derived::Opus => "@opus",
            Derived::G711a => "@g711a",
        }
    }

    /// The derived stream's name.
    pub fn of(self, key: &StreamKey) -> Option<StreamKey> {
        StreamKey::new(key.app(), &format!("{}{}", key.name(), self.suffix())).ok()
    }

    /// What a name says: the source's name and what is different.
    pub fn parse(key: &StreamKey) -> Option<(StreamKey, Derived)> {
        [Derived::Aac, Derived::Opus, Derived::G711a].into_iter().find_map(|derived| {
            let source = key.name().strip_suffix(derived.suffix())?;
            Some((StreamKey::new(key.app(), source).ok()?, derived))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        let key = StreamKey::parse("live/cam").unwrap();
        let aac = Derived::Aac.of(&key).unwrap();
        assert_eq!(aac.as_str(), "live/cam@aac");
        assert_eq!(Derived::parse(&aac), Some((key.clone(), Derived::Aac)));
        let voice = Derived::G711a.of(&key).unwrap();
        assert_eq!(Derived::parse(&voice), Some((key.clone(), Derived::G711a)));
        assert_eq!(Derived::parse(&key), None);
    }
}
