//! Which part of a file a request is for (RFC 9110 §13 and §14).

use http::HeaderMap;
use http::header;

/// A file as it is now, and who asks.
pub struct Ask<'a> {
    /// Its bytes.
    pub length: u64,
    /// Its entity tag, in quotes.
    pub tag: &'a str,
    /// Whether only the head is asked for.
    pub head: bool,
}

/// The answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// The asker has it already.
    Unchanged,
    /// From this byte, so many.
    Of(u64, u64),
    /// There is no such part.
    Outside,
}

impl Ask<'_> {
    /// What these headers ask for. Several ranges at once, and what is malformed, mean the whole file.
    pub fn read(&self, headers: &HeaderMap) -> Part {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if text(header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == self.tag || tag.trim() == "*")) {
            return Part::Unchanged;
        }
        let whole = Part::Of(0, self.length);
        if text(header::IF_RANGE).is_some_and(|tag| tag != self.tag) {
            return whole;
        }
        let Some((from, to)) = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else { return whole };
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let (from, to) = match (from.trim().is_empty(), to.trim().is_empty()) {
            // The last so many bytes.
            (true, false) => match number(to) {
                Some(0) => return Part::Outside,
                Some(n) => (self.length.saturating_sub(n), self.length),
                None => return whole,
            },
            (false, true) => match number(from) {
                Some(from) => (from, self.length),
                None => return whole,
            },
            (false, false) => match (number(from), number(to)) {
                (Some(from), Some(to)) if from <= to => (from, to.saturating_add(1).min(self.length)),
                _ => return whole,
            },
            (true, true) => return whole,
        };
        if from >= self.length { Part::Outside } else { Part::Of(from, to - from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(header::HeaderName, &str)]) -> Part {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        Ask { length: 100, tag: "\"t\"", head: false }.read(&headers)
    }

    #[test]
    fn ranges_as_players_ask_for_them() {
        for (range, part) in [
            ("bytes=0-", Part::Of(0, 100)),
            ("bytes=0-9", Part::Of(0, 10)),
            ("bytes=90-200", Part::Of(90, 10)),
            ("bytes=99-99", Part::Of(99, 1)),
            ("bytes=-10", Part::Of(90, 10)),
            ("bytes=-1000", Part::Of(0, 100)),
            ("bytes=100-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=9-3", Part::Of(0, 100)),
            ("bytes=0-1,5-6", Part::Of(0, 100)),
            ("bytes=", Part::Of(0, 100)),
            ("bytes=-", Part::Of(0, 100)),
            ("bytes=99999999999999999999-", Part::Of(0, 100)),
            ("bytes=0-18446744073709551615", Part::Of(0, 100)),
            ("lines=1-2", Part::Of(0, 100)),
        ] {
            assert_eq!(read(&[(header::RANGE, range)]), part, "{range}");
        }
        assert_eq!(Ask { length: 0, tag: "", head: false }.read(&HeaderMap::new()), Part::Of(0, 0));
    }

    #[test]
    fn what_has_changed_is_sent_whole_and_what_has_not_not_at_all() {
        assert_eq!(read(&[(header::RANGE, "bytes=5-"), (header::IF_RANGE, "\"t\"")]), Part::Of(5, 95));
        assert_eq!(read(&[(header::RANGE, "bytes=5-"), (header::IF_RANGE, "\"u\"")]), Part::Of(0, 100));
        assert_eq!(read(&[(header::IF_NONE_MATCH, "\"x\", \"t\"")]), Part::Unchanged);
        assert_eq!(read(&[(header::IF_NONE_MATCH, "\"x\"")]), Part::Of(0, 100));
    }
}
