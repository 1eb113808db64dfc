//! Wall-clock time as the API writes it: `YYYY-MM-DDThh:mm:ssZ`; inside, milliseconds since 1970.

use std::fmt;
use std::str::FromStr;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

/// A text is not `YYYY-MM-DDThh:mm:ssZ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("times are UTC, written YYYY-MM-DDThh:mm:ssZ")]
pub struct BadTime;

impl Time {
    /// From seconds since 1970.
    pub const fn from_secs(secs: i64) -> Time {
        Time(secs.saturating_mul(1000))
    }

    /// From nanoseconds since 1970.
    pub const fn from_nanos(nanos: i64) -> Time {
        Time(nanos.div_euclid(1_000_000))
    }

    /// Seconds since 1970, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The start of the span of `secs` seconds that holds this time; spans are aligned to 1970.
    pub const fn floor(self, secs: i64) -> Time {
        Time(self.0.saturating_sub(self.0.rem_euclid(secs.saturating_mul(1000))))
    }

    /// As `YYYY-MM-DD-hh-mm-ss`, which can stand in a file name.
    pub fn escaped(self) -> String {
        self.civil().strftime("%Y-%m-%d-%H-%M-%S").to_string()
    }

    /// The UTC day, as `YYYY-MM-DD`.
    pub fn date(self) -> String {
        self.civil().strftime("%Y-%m-%d").to_string()
    }

    fn civil(self) -> jiff::Zoned {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC)
    }
}

impl FromStr for Time {
    type Err = BadTime;
    fn from_str(text: &str) -> Result<Time, BadTime> {
        let shape = b"0000-00-00T00:00:00Z";
        let fits = |(have, want): (u8, &u8)| if *want == b'0' { have.is_ascii_digit() } else { have == *want };
        if text.len() != shape.len() || !text.bytes().zip(shape).all(fits) {
            return Err(BadTime);
        }
        text.parse::<jiff::Timestamp>().map(|t| Time(t.as_millisecond())).map_err(|_| BadTime)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.civil().strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_they_are_written() {
        let time: Time = "2019-02-28T17:00:17Z".parse().unwrap();
        assert_eq!(time.as_secs(), 1_551_373_217);
        assert_eq!(time.to_string(), "2019-02-28T17:00:17Z");
        assert_eq!(Time(time.0 + 999).to_string(), "2019-02-28T17:00:17Z");
        assert_eq!(time.escaped(), "2019-02-28-17-00-17");
        assert_eq!(time.date(), "2019-02-28");
        assert_eq!(time.floor(3600).to_string(), "2019-02-28T17:00:00Z");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "2019-02-28", "2019-02-28T17:00:17", "2019-02-28T17:00:17+08:00", "2019-02-30T00:00:00Z", "2019-02-28t17:00:17z"] {
            assert_eq!(text.parse::<Time>(), Err(BadTime), "{text:?}");
        }
        // Extremes print and do not panic.
        assert_eq!(Time(i64::MIN).floor(86_400), Time(i64::MIN));
        assert_eq!(Time(i64::MAX).to_string(), "1970-01-01T00:00:00Z");
    }
}
