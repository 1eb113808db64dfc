//! Bad habits of real devices, by name: how a simulated one misbehaves so that platforms can show what they bear.

use super::super::media::Send;
use crate::container::ps;
use crate::proto::gb28181::client;
use crate::proto::rtp::Framing;
use std::fmt;
use std::str::FromStr;

macro_rules! quirks {
    ($($variant:ident = $name:literal, $what:literal;)*) => {
        /// One habit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Quirk {
            $(#[doc = $what] $variant,)*
        }

        impl Quirk {
            /// All of them.
            pub const ALL: &[Quirk] = &[$(Quirk::$variant,)*];

            /// As it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Quirk::$variant => $name,)*
                }
            }

            /// What it does.
            pub fn what(self) -> &'static str {
                match self {
                    $(Quirk::$variant => $what,)*
                }
            }
        }
    };
}

quirks! {
    NoPsm = "no-psm", "its program streams have no program stream map";
    WrongPsm = "wrong-psm", "its program stream map names other codecs than it sends";
    NoSystemHeader = "no-system-header", "its program streams have no system header";
    NoPack = "no-pack", "its frames begin without a pack header";
    PesZero = "pes-zero", "its video PES packets say length 0";
    SmallPes = "small-pes", "its PES packets hold 1400 bytes, each with the frame's time";
    UnitPes = "unit-pes", "each NAL unit stands in PES packets of its own";
    PrivatePes = "private-pes", "private PES packets follow its frames, and its pack headers count";
    ZeroTail = "zero-tail", "zero bytes follow its frames";
    NoMarker = "no-marker", "its RTP packets have no marker bits";
    Dollar = "dollar", "it frames RTP over TCP as RTSP does, with a dollar sign";
    WrongSsrc = "wrong-ssrc", "it sends with another SSRC than it was told and says";
    OwnSsrc = "own-ssrc", "it chooses the SSRC itself and says so in its answer";
    ZeroSsrc = "zero-ssrc", "it sends with SSRC 0";
    NoY = "no-y", "its answers have no y line";
    NoSdp = "no-sdp", "it answers calls without a description";
    UdpOnly = "udp-only", "it refuses media over TCP (488)";
    Triple200 = "triple-200", "it answers each call three times";
    SlowOk = "slow-ok", "it takes three seconds to answer a call";
    Busy = "busy", "it refuses every call (486)";
    Silent = "silent", "it takes calls and sends nothing";
    LateCatalog = "late-catalog", "it takes six seconds to answer for its catalog";
    OneItem = "one-item", "it sends its catalog entry by entry";
    SumnumZero = "sumnum-zero", "it announces catalogs of 0 entries";
    SumnumMore = "sumnum-more", "it announces three entries more than it sends";
    SnZero = "sn-zero", "it numbers its answers 0";
    Gbk = "gbk", "its names are GBK under a GB2312 label";
    Utf8 = "utf8", "its names are UTF-8 under a GB2312 label";
    NoProlog = "no-prolog", "its XML has no prolog";
    BareAmp = "bare-amp", "its names hold & as it stands";
    LfLines = "lf-lines", "its SIP lines end with LF alone";
    CompactHeaders = "compact-headers", "it writes headers in their compact forms";
    NoKeepalive = "no-keepalive", "it never tells that it is alive";
    ShortExpires = "short-expires", "it registers for a minute";
    NoDate = "no-date", "its clock stands in the year 2000 whatever the platform says";
    NoBye = "no-bye", "it stops without unregistering or hanging up";
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such habit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no quirk is called {0}")]
pub struct NoQuirk(String);

impl FromStr for Quirk {
    type Err = NoQuirk;

    fn from_str(text: &str) -> Result<Quirk, NoQuirk> {
        let found = Quirk::ALL.iter().find(|quirk| quirk.as_str() == text);
        found.copied().ok_or_else(|| NoQuirk(text.chars().take(40).collect()))
    }
}

/// The habits of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks(u64);

impl Quirks {
    /// Whether it has that one.
    pub fn has(self, quirk: Quirk) -> bool {
        self.0 & 1 << quirk as u8 != 0
    }

    /// Whether it writes anything otherwise than the machine does.
    pub(super) fn spoil(self) -> bool {
        use Quirk::{BareAmp, CompactHeaders, LfLines, NoProlog, Utf8};
        [Utf8, NoProlog, BareAmp, LfLines, CompactHeaders].into_iter().any(|quirk| self.has(quirk))
    }

    /// What the machine itself does wrong.
    pub(super) fn config(self, mut config: client::Config) -> client::Config {
        if self.has(Quirk::OneItem) {
            config.items = 1;
        }
        if self.has(Quirk::SumnumZero) {
            config.sum_skew = -1_000_000_000;
        }
        if self.has(Quirk::SumnumMore) {
            config.sum_skew = 3;
        }
        if self.has(Quirk::ShortExpires) {
            config.expires = 60;
        }
        if self.has(Quirk::NoKeepalive) {
            config.keepalive = std::time::Duration::from_secs(365 * 86_400);
        }
        if self.has(Quirk::Triple200) {
            config.answers = 3;
        }
        config.forgets_sn |= self.has(Quirk::SnZero);
        config
    }

    /// How it writes program streams.
    pub(super) fn style(self) -> ps::Style {
        let small = self.has(Quirk::SmallPes);
        let whole = ps::Style::default();
        ps::Style {
            map: !self.has(Quirk::NoPsm),
            // MPEG-4 video and G.711 µ-law
            lie: self.has(Quirk::WrongPsm).then_some((0x10, 0x91)),
            system_header: !self.has(Quirk::NoSystemHeader),
            pack: !self.has(Quirk::NoPack),
            length: !self.has(Quirk::PesZero),
            stamp_all: small,
            largest: if small { 1_400 } else { whole.largest },
            unit_by_unit: self.has(Quirk::UnitPes),
            private: self.has(Quirk::PrivatePes),
            counter: self.has(Quirk::PrivatePes),
            tail: if self.has(Quirk::ZeroTail) { 3 } else { 0 },
            ..whole
        }
    }

    /// How its packets travel.
    pub(super) fn send(self, send: Send) -> Send {
        let framing = if self.has(Quirk::Dollar) { Framing::Dollar } else { send.framing };
        Send { markers: !self.has(Quirk::NoMarker), framing, ..send }
    }
}

impl FromIterator<Quirk> for Quirks {
    fn from_iter<T: IntoIterator<Item = Quirk>>(quirks: T) -> Quirks {
        Quirks(quirks.into_iter().fold(0, |all, quirk| all | 1 << quirk as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_each_is_one_bit() {
        assert!(Quirk::ALL.len() <= 64);
        for quirk in Quirk::ALL {
            assert_eq!(quirk.as_str().parse(), Ok(*quirk));
            let alone = Quirks::from_iter([*quirk]);
            assert_eq!(Quirk::ALL.iter().filter(|other| alone.has(**other)).collect::<Vec<_>>(), [quirk]);
        }
        assert!("".parse::<Quirk>().is_err());
        assert_eq!("nonsense".parse::<Quirk>(), Err(NoQuirk("nonsense".to_owned())));
    }
}
