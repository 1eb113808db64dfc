//! What identifies an object: numbers written as digits, ordered by the time they were made; and the 20-digit codes of GB/T 28181.

use std::fmt;
use std::str::FromStr;

/// A text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// Ids are 1 to 19 digits and greater than zero.
    #[error("an id is a number of at most 19 digits")]
    NotANumber,
    /// GB/T 28181-2016 annex D: 20 digits.
    #[error("a GB/T 28181 code has 20 digits")]
    NotACode,
    /// Empty, too long, or not printable.
    #[error("1 to 64 letters, digits, '-', '_' and '.' are allowed")]
    NotAUser,
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                number(text).map($name)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A tenant's row; the outside knows it by its [`UserId`].
    TenantId,
    /// A group (空间).
    GroupId,
    /// A device.
    DeviceId,
    /// A directory of devices or channels.
    DirectoryId,
    /// A channel of a device.
    ChannelId,
    /// A stream.
    StreamId,
    /// A template.
    TemplateId,
    /// A record or snapshot.
    RecordId,
    /// A recording: what runs, and what the records of its files share.
    RecordingId,
    /// An alarm.
    AlarmId,
    /// A callback that waits for its delivery.
    CallbackId,
    /// A file on its way to where it is kept.
    DepositId,
    /// An upper platform.
    UpperId,
}

fn number(text: &str) -> Result<i64, BadId> {
    let digits = (1..=19).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    match digits.then(|| text.parse().ok()).flatten() {
        Some(n) if n > 0 => Ok(n),
        _ => Err(BadId::NotANumber),
    }
}

macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A 20-digit code of GB/T 28181-2016 annex D: administrative area, industry, type, network, serial number.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GbId(Box<str>);
text_id!(GbId);

impl GbId {
    /// The code of a group's own platform: area and industry, type 200 (signalling centre), network 0, serial number.
    pub fn platform(area: u64, serial: u64) -> GbId {
        GbId(format!("{:08}00200{:07}", area % 100_000_000, serial % 10_000_000).into())
    }

    /// Digits 11 to 13: what kind of thing the code names (132 camera, 118 NVR, 200 platform, 215 business group …).
    pub fn kind(&self) -> u16 {
        self.0[10..13].parse().unwrap_or(0)
    }
}

impl FromStr for GbId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<GbId, BadId> {
        match text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit()) {
            true => Ok(GbId(text.into())),
            false => Err(BadId::NotACode),
        }
    }
}

/// A tenant's name towards the outside, given by whoever opens it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Box<str>);
text_id!(UserId);

impl FromStr for UserId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<UserId, BadId> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if fits { Ok(UserId(text.into())) } else { Err(BadId::NotAUser) }
    }
}

/// Makes ids: microseconds since 1970 and three digits of the node, never the same twice and never going back.
#[derive(Debug)]
pub struct Sequence {
    last: std::sync::atomic::AtomicI64,
    node: i64,
}

impl Sequence {
    /// A sequence that goes on after `last`, the greatest id known; `node` tells processes that share a store apart.
    pub fn new(last: i64, node: u16) -> Sequence {
        Sequence { last: (last / 1000).into(), node: i64::from(node % 1000) }
    }

    /// The next id, at `unix_micros`; when the clock stands or steps back, ids go on from the last one.
    pub fn next(&self, unix_micros: i64) -> i64 {
        use std::sync::atomic::Ordering::Relaxed;
        let step = |last: i64| Some(unix_micros.max(last + 1));
        let last = self.last.fetch_update(Relaxed, Relaxed, step).unwrap_or_else(|last| last);
        unix_micros.max(last + 1) * 1000 + self.node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_digits() {
        assert_eq!("32388487739092994".parse(), Ok(GroupId(32388487739092994)));
        assert_eq!(serde_json::to_string(&GroupId(7)).unwrap(), "\"7\"");
        for text in ["", "0", "-1", "+1", "1 ", "1a", "９", "99999999999999999999", "9999999999999999999"] {
            assert_eq!(text.parse::<GroupId>(), Err(BadId::NotANumber), "{text:?}");
        }
    }

    #[test]
    fn codes_have_twenty_digits() {
        let id: GbId = "34020000001320000006".parse().unwrap();
        assert_eq!(id.kind(), 132);
        assert_eq!(GbId::platform(31_000_000, 1).as_str(), "31000000002000000001");
        for text in ["3402000000132000000", "340200000013200000061", "3402000000132000000a", ""] {
            assert!(text.parse::<GbId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn users_are_plain_words() {
        for text in ["12345678901234567890123456789012", "CIDC-U-bd427602c603438c940f218fb49470e8", "a.b_c"] {
            assert!(text.parse::<UserId>().is_ok(), "{text:?}");
        }
        for text in ["", "a b", "a\n", "用户", "a'b", &"x".repeat(65)] {
            assert!(text.parse::<UserId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_sequence_never_repeats_and_never_goes_back() {
        let ids = Sequence::new(0, 7);
        let now = 1_760_000_000_000_000;
        let made: Vec<i64> = [now, now, now - 5, now + 10, now].iter().map(|t| ids.next(*t)).collect();
        assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
        assert_eq!(made[0].to_string().len(), 19);
        assert!(Sequence::new(made[4], 7).next(0) > made[4]);
    }
}
