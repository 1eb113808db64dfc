//! Times and sizes as people write them in a configuration: `"10s"`, `"500ms"`, `"64KiB"`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time, written `"500ms"`, `"10s"`, `"5m"`, `"2h"`, `"7d"`; a bare `0` is zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub Duration);

/// A number of bytes, written `"512B"`, `"64KiB"`, `"16MiB"`, `"1GiB"`; a bare number is bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(pub u64);

const SPANS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

impl Span {
    /// So many milliseconds.
    pub const fn millis(n: u64) -> Span {
        Span(Duration::from_millis(n))
    }

    /// So many seconds.
    pub const fn secs(n: u64) -> Span {
        Span(Duration::from_secs(n))
    }
}

impl Size {
    /// As a length in memory.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

fn parse(text: &str, units: &[(&str, u64)], what: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is not a {what}"))?;
    let unit = unit.trim();
    if unit.is_empty() && (number == 0 || units == SIZES) {
        return Ok(number);
    }
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let (_, scale) = units
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| format!("{text:?} is not a {what}: use a number and one of {}", names()))?;
    number.checked_mul(*scale).ok_or_else(|| format!("{text:?} is too large"))
}

fn print(f: &mut fmt::Formatter<'_>, n: u64, units: &[(&str, u64)]) -> fmt::Result {
    let mut units: Vec<_> = units.to_vec();
    units.sort_by_key(|(_, scale)| std::cmp::Reverse(*scale));
    let fits = units.iter().find(|(_, scale)| n != 0 && n.is_multiple_of(*scale)).or(units.last());
    match fits {
        Some((name, scale)) => write!(f, "{}{}", n / scale, name),
        None => write!(f, "{n}"),
    }
}

macro_rules! text_form {
    ($type:ty, $units:expr, $what:literal, $from:expr, $into:expr) => {
        impl FromStr for $type {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                parse(text, &$units, $what).map($from)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                print(f, $into(*self), &$units)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(untagged)]
                enum Form {
                    Number(u64),
                    Text(String),
                }
                let text = match Form::deserialize(d)? {
                    Form::Number(n) => n.to_string(),
                    Form::Text(text) => text,
                };
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
text_form!(Span, SPANS, "length of time", |ms| Span(Duration::from_millis(ms)), |s: Span| s.0.as_millis() as u64);
text_form!(Size, SIZES, "size", Size, |s: Size| s.0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_read_as_they_print() {
        for text in ["500ms", "10s", "5m", "2h", "7d", "90s"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["64KiB", "16MiB", "1GiB", "1500B"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        assert_eq!("0".parse::<Span>().unwrap(), Span::default());
        assert_eq!("4096".parse::<Size>().unwrap(), Size(4096));
    }

    #[test]
    fn a_wrong_unit_is_told_with_the_right_ones() {
        assert!("10 parsec".parse::<Span>().unwrap_err().contains("ms, s, m, h, d"));
        assert!("10".parse::<Span>().is_err());
        assert!("18446744073709551615GiB".parse::<Size>().is_err());
    }
}
