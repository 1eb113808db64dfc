//! Identifiers of devices, channels and platforms: 20 digits by the book (annex E), any short word in the field.

use std::fmt;

/// The longest identifier that is taken.
pub const LEN_MAX: usize = 31;

/// An identifier; small and copied. Compared as text: nothing is read into it to tell two apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    bytes: [u8; LEN_MAX],
    len: u8,
}

/// What digits 11 to 13 say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Recorders, encoders, servers (111 to 130): they register and own channels.
    Recorder,
    /// Cameras (131, 132).
    Camera,
    /// Alarm inputs and outputs (134, 135).
    Alarm,
    /// Microphones (136).
    AudioIn,
    /// Loudspeakers (137).
    AudioOut,
    /// Other peripherals (133, 138 to 199).
    Peripheral,
    /// Platforms and their servers (200 to 211).
    Platform,
    /// Business groups (215).
    BusinessGroup,
    /// Virtual organisations (216).
    VirtualOrganisation,
    /// Users (300 to 499).
    User,
    /// 2, 4, 6 or 8 digits: an administrative region.
    Region,
    /// Anything else; maybe playable.
    Unknown,
}

impl Id {
    /// Takes printable ASCII without blanks, quotes, and what would end a header, a URI or a tag.
    pub fn new(text: &str) -> Option<Id> {
        let text = text.trim();
        let good = |byte: u8| byte.is_ascii_graphic() && !b"<>\"'&@:;,/\\?#%".contains(&byte);
        if text.is_empty() || text.len() > LEN_MAX || !text.bytes().all(good) {
            return None;
        }
        let mut bytes = [0; LEN_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Id { bytes, len: text.len() as u8 })
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        // only ASCII goes in
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// What it names.
    pub fn kind(&self) -> Kind {
        let text = self.as_str();
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Kind::Unknown;
        }
        if matches!(text.len(), 2 | 4 | 6 | 8) {
            return Kind::Region;
        }
        match text.get(10..13).and_then(|digits| digits.parse::<u16>().ok()) {
            Some(111..=130) => Kind::Recorder,
            Some(131 | 132) => Kind::Camera,
            Some(134 | 135) => Kind::Alarm,
            Some(136) => Kind::AudioIn,
            Some(137) => Kind::AudioOut,
            Some(133 | 138..=199) => Kind::Peripheral,
            Some(200..=211) => Kind::Platform,
            Some(215) => Kind::BusinessGroup,
            Some(216) => Kind::VirtualOrganisation,
            Some(300..=499) => Kind::User,
            _ => Kind::Unknown,
        }
    }

    /// The SIP domain: the first ten characters (section 6.1).
    pub fn domain(&self) -> &str {
        let text = self.as_str();
        text.get(..10).unwrap_or(text)
    }
}

impl Kind {
    /// Whether it may be asked for pictures: cameras, and whatever nobody has heard of.
    pub fn is_playable(self) -> bool {
        matches!(self, Kind::Camera | Kind::Recorder | Kind::Unknown)
    }

    /// Whether it is a node of a tree that holds others and shows nothing.
    pub fn is_directory(self) -> bool {
        matches!(self, Kind::Platform | Kind::BusinessGroup | Kind::VirtualOrganisation | Kind::Region)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_their_digits() {
        for (text, kind) in [
            ("34020000001320000001", Kind::Camera),
            ("34020000001180000001", Kind::Recorder),
            ("34020000002000000001", Kind::Platform),
            ("34020000002160000001", Kind::VirtualOrganisation),
            ("34020000001370000001", Kind::AudioOut),
            ("340200", Kind::Region),
            ("34020000009990000001", Kind::Unknown),
            ("door-1", Kind::Unknown),
        ] {
            assert_eq!(Id::new(text).unwrap().kind(), kind, "{text}");
        }
        assert_eq!(Id::new("34020000002000000001").unwrap().domain(), "3402000000");
        assert_eq!(Id::new("1").unwrap().domain(), "1");
    }

    #[test]
    fn hostile_texts_are_no_ids() {
        for text in ["", "  ", "a b", "a>b", "a\r\nb", "sip:1@h", "门口", "a/b", &"1".repeat(32)] {
            assert_eq!(Id::new(text), None, "{text:?}");
        }
        assert_eq!(Id::new(" 34020000001320000001\n").unwrap().as_str(), "34020000001320000001");
    }
}
