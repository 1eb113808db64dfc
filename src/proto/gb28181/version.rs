//! Which edition a peer speaks: `X-GB-Ver` (annex I).

/// An edition of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Version {
    /// 2011, and its amendment of 2014.
    V2011,
    /// 2016: what a device speaks that announces nothing.
    #[default]
    V2016,
    /// 2022.
    V2022,
}

impl Version {
    /// Reads the header's value; what cannot be read is 2016.
    pub fn parse(text: &str) -> Version {
        match text.trim().split('.').next() {
            Some("1") => Version::V2011,
            Some("3" | "4" | "5") => Version::V2022,
            _ => Version::V2016,
        }
    }

    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::V2011 => "1.1",
            Version::V2016 => "2.0",
            Version::V2022 => "3.0",
        }
    }

    /// How we label XML for this peer. The bytes are GB 18030 either way, whose first 24,000 characters are GB 2312 and GBK.
    pub fn label(self) -> &'static str {
        match self {
            Version::V2011 | Version::V2016 => "GB2312",
            Version::V2022 => "GB18030",
        }
    }
}
