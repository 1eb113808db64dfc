//! Times in MANSCDP: local, without a zone (`2025-03-01T08:00:00`); all of China is at UTC+8.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// The offset that devices mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(pub i32);

impl Default for Zone {
    fn default() -> Zone {
        Zone(8 * 3600)
    }
}

impl Zone {
    /// Milliseconds since 1970 of a device's text: any separators, fractions kept to the millisecond, an explicit `Z` or `+08:00` obeyed.
    pub fn parse(self, text: &str) -> Option<i64> {
        let text = text.trim();
        let (date_end, rest) = fields::<3>(text)?;
        let tail = &text[rest..];
        let ([hour, minute, second], used) = match fields::<3>(tail) {
            Some(found) => found,
            None if tail.trim().is_empty() => ([0, 0, 0], tail.len()),
            None => return None,
        };
        let [year, month, day] = date_end;
        let tail = &tail[used..];
        let (millis, tail) = fraction(tail);
        let at = DateTime::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(day).ok()?,
            i8::try_from(hour).ok()?,
            i8::try_from(minute).ok()?,
            i8::try_from(second.min(59)).ok()?,
            0,
        );
        let offset = explicit_offset(tail).unwrap_or(self.0);
        let zoned = at.ok()?.to_zoned(TimeZone::fixed(Offset::from_seconds(offset).ok()?)).ok()?;
        Some(zoned.timestamp().as_millisecond() + millis)
    }

    /// The text of a time in milliseconds since 1970, to the second.
    pub fn format(self, unix_ms: i64) -> String {
        self.strftime(unix_ms, "%Y-%m-%dT%H:%M:%S")
    }

    /// The text with milliseconds, as `Date` in the 200 of REGISTER carries it (section 9.10.1).
    pub fn format_millis(self, unix_ms: i64) -> String {
        format!("{}.{:03}", self.format(unix_ms), unix_ms.rem_euclid(1000))
    }

    fn strftime(self, unix_ms: i64, pattern: &str) -> String {
        let offset = Offset::from_seconds(self.0).unwrap_or(Offset::UTC);
        let at = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        offset.to_datetime(at).strftime(pattern).to_string()
    }
}

/// Reads `N` numbers with one or more non-digits between them; gives them and where they end.
fn fields<const N: usize>(text: &str) -> Option<([u32; N], usize)> {
    let mut found = [0; N];
    let mut at = 0;
    for slot in &mut found {
        let rest = &text[at..];
        let skip = rest.find(|c: char| c.is_ascii_digit()).filter(|skip| *skip <= 2)?;
        let digits = rest[skip..].len() - rest[skip..].trim_start_matches(|c: char| c.is_ascii_digit()).len();
        *slot = rest[skip..skip + digits].parse().ok()?;
        at += skip + digits;
    }
    Some((found, at))
}

fn fraction(text: &str) -> (i64, &str) {
    let Some(rest) = text.strip_prefix('.') else { return (0, text) };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let millis = format!("{:0<3}", &rest[..digits.min(3)]).parse().unwrap_or(0);
    (millis, &rest[digits..])
}

fn explicit_offset(text: &str) -> Option<i32> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = digits.get(2..4).and_then(|minutes| minutes.parse().ok()).unwrap_or(0);
    Some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_devices_write_them() {
        let zone = Zone::default();
        // the sheet's t= line: 2025-03-01 00:00 at UTC+8
        assert_eq!(zone.parse("2025-03-01T00:00:00"), Some(1_740_758_400_000));
        for text in [
            "2025-03-01 00:00:00",
            "2025-03-01T00:00:00.000",
            "2025/3/1 0:0:0",
            "2025-02-28T16:00:00Z",
            "2025-03-01T01:00:00+09:00",
            " 2025-03-01 ",
        ] {
            assert_eq!(zone.parse(text), Some(1_740_758_400_000), "{text}");
        }
        assert_eq!(zone.parse("2025-03-01T00:00:00.25"), Some(1_740_758_400_250));
        for text in ["", "now", "2025-13-01T00:00:00", "2025-03-32T00:00:00", "2025-03-01T25:00:00", "99999999999-1-1T0:0:0"] {
            assert_eq!(zone.parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_as_we_write_them() {
        assert_eq!(Zone::default().format(1_740_758_400_250), "2025-03-01T00:00:00");
        assert_eq!(Zone::default().format_millis(1_740_787_200_250), "2025-03-01T08:00:00.250");
        assert_eq!(Zone(0).format(0), "1970-01-01T00:00:00");
        assert!(!Zone(i32::MAX).format(i64::MAX).is_empty());
    }
}
