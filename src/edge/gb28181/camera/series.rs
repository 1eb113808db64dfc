//! The ids of many cameras and their channels: counted upwards from the first.

use crate::proto::gb28181::Id;

/// Cameras with ids in a row, each with channels of its own.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    first: Id,
    channels: u32,
}

/// Why there are no such ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSeries {
    /// They are made for the standard's form only.
    #[error("{0} is not an id of 20 digits")]
    Form(String),
    /// The last six digits count (annex D of the standard).
    #[error("the serial number, the last six digits of {first}, has no room for {wanted} more")]
    Full {
        /// The first id.
        first: String,
        /// How many ids come after it.
        wanted: u64,
    },
}

const LEN: usize = 20;
/// Digits before the kind: centre and industry.
const AREA: usize = 10;
/// Digits before the serial number.
const SERIAL: usize = 14;
const SERIAL_MAX: u64 = 999_999;

impl Series {
    /// `count` cameras with `channels` channels each, at least one of both; the first has the id `first`.
    pub fn new(first: Id, count: u32, channels: u32) -> Result<Series, NoSeries> {
        let text = first.as_str();
        if text.len() != LEN || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoSeries::Form(text.to_owned()));
        }
        let wanted = (u64::from(count.max(1)) * u64::from(channels.max(1))).saturating_sub(1);
        match serial(text) + wanted <= SERIAL_MAX {
            true => Ok(Series { first, channels: channels.max(1) }),
            false => Err(NoSeries::Full { first: text.to_owned(), wanted }),
        }
    }

    /// The id of camera number `n`, from 0.
    pub fn device(&self, n: u32) -> Option<Id> {
        let text = self.first.as_str();
        numbered(text.get(..SERIAL)?, serial(text) + u64::from(n))
    }

    /// The ids of its channels: of kind 131, or 132 where the cameras themselves are of kind 131.
    pub fn channels(&self, n: u32) -> Vec<Id> {
        let text = self.first.as_str();
        let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
        let kind = if part(AREA..AREA + 3) == "131" { "132" } else { "131" };
        let head = format!("{}{kind}{}", part(0..AREA), part(AREA + 3..SERIAL));
        let from = serial(text) + u64::from(n) * u64::from(self.channels);
        (from..from + u64::from(self.channels)).filter_map(|serial| numbered(&head, serial)).collect()
    }
}

fn serial(text: &str) -> u64 {
    text.get(SERIAL..).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn numbered(head: &str, serial: u64) -> Option<Id> {
    (serial <= SERIAL_MAX).then(|| Id::new(&format!("{head}{serial:06}")))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Id {
        Id::new(text).unwrap()
    }

    #[test]
    fn ids_count_upwards_and_channels_do_not_meet() {
        let series = Series::new(id("34020000001320000009"), 3, 2).unwrap();
        assert_eq!(series.device(0), Some(id("34020000001320000009")));
        assert_eq!(series.device(2), Some(id("34020000001320000011")));
        assert_eq!(series.channels(0), [id("34020000001310000009"), id("34020000001310000010")]);
        assert_eq!(series.channels(2), [id("34020000001310000013"), id("34020000001310000014")]);
        let series = Series::new(id("34020000001310000001"), 1, 1).unwrap();
        assert_eq!(series.channels(0), [id("34020000001320000001")]);
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        assert!(matches!(Series::new(id("340200000013200000"), 1, 1), Err(NoSeries::Form(_))));
        assert!(matches!(Series::new(id("3402000000132000000x"), 1, 1), Err(NoSeries::Form(_))));
        assert!(Series::new(id("34020000001320999999"), 1, 1).is_ok());
        assert!(matches!(Series::new(id("34020000001320999999"), 1, 2), Err(NoSeries::Full { wanted: 1, .. })));
        assert!(Series::new(id("34020000001320000001"), u32::MAX, u32::MAX).is_err());
    }
}
