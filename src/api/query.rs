//! Parameters as they travel: decoding of query strings and forms, the strict percent-encoding of signatures, and their list.

use std::borrow::Cow;

/// The most parameters one request may carry.
pub const PAIRS_MAX: usize = 512;

/// The parameters of one request, decoded, in the order received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    pairs: Vec<(String, String)>,
}

/// Why a query string or a form cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadQuery {
    /// A name or value is not UTF-8 once decoded.
    #[error("the parameters are not UTF-8")]
    NotUtf8,
    /// More than [`PAIRS_MAX`].
    #[error("more than {PAIRS_MAX} parameters")]
    TooMany,
}

impl Given {
    /// Reads `a=1&b=2`, as in a query string or an `application/x-www-form-urlencoded` body, behind what is already there.
    pub fn extend(&mut self, encoded: &[u8]) -> Result<(), BadQuery> {
        for pair in encoded.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match memchr::memchr(b'=', pair) {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            if self.pairs.len() == PAIRS_MAX {
                return Err(BadQuery::TooMany);
            }
            self.pairs.push((decode(name)?, decode(value)?));
        }
        Ok(())
    }

    /// From names and values that need no decoding.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Given {
        Given { pairs: pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect() }
    }

    /// One more parameter.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.pairs.push((name.into(), value.into()));
    }

    /// All pairs in the order received.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The first value of `name`, if it was given at all; it may be empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Whether `name` was given more than once with different values: nobody could say which one is meant.
    pub fn ambiguous(&self, name: &str) -> bool {
        let mut values = self.pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v);
        values.next().is_some_and(|first| values.any(|v| v != first))
    }
}

fn decode(text: &[u8]) -> Result<String, BadQuery> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let hex = |i: usize| text.get(i).and_then(|b| char::from(*b).to_digit(16));
        match text[at] {
            b'+' => out.push(b' '),
            b'%' => match (hex(at + 1), hex(at + 2)) {
                (Some(high), Some(low)) => {
                    out.push((high * 16 + low) as u8);
                    at += 2;
                }
                // A stray percent sign stands for itself, as in browsers.
                _ => out.push(b'%'),
            },
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).map_err(|_| BadQuery::NotUtf8)
}

/// Encodes as RFC 3986 asks and the signature needs it: only `A-Z a-z 0-9 - _ . ~` stay as they are.
pub fn encode(text: &str) -> Cow<'_, str> {
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    encode_into(&mut out, text);
    Cow::Owned(out)
}

/// [`encode`] to the end of `out`.
pub fn encode_into(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
}

/// The canonical query string of both signature methods: sorted by name, then by value, encoded, without the names in `except`.
pub fn canonical(given: &Given, except: &[&str]) -> String {
    let mut pairs: Vec<(&str, &str)> =
        given.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).filter(|(n, _)| !except.contains(n)).collect();
    pairs.sort_unstable();
    let mut out = String::with_capacity(256);
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        encode_into(&mut out, name);
        out.push('=');
        encode_into(&mut out, value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_decoded() {
        let mut given = Given::default();
        given.extend(b"Name=%E8%A7%86%E9%A2%91+%E7%9B%91%2a~&empty=&bare&%25=100%&a=1&a=2&b=1&b=1").unwrap();
        assert_eq!(given.get("Name"), Some("视频 监*~"));
        assert_eq!((given.get("empty"), given.get("bare"), given.get("none")), (Some(""), Some(""), None));
        assert_eq!(given.get("%"), Some("100%"));
        assert!(given.ambiguous("a") && !given.ambiguous("b") && !given.ambiguous("none"));
    }

    #[test]
    fn hostile_queries_are_refused() {
        assert_eq!(Given::default().extend(b"a=%ff"), Err(BadQuery::NotUtf8));
        assert_eq!(Given::default().extend("a&".repeat(PAIRS_MAX + 1).as_bytes()), Err(BadQuery::TooMany));
    }

    #[test]
    fn the_encoding_is_the_signatures() {
        assert_eq!(encode("a b*~+/=:é"), "a%20b%2A~%2B%2F%3D%3A%C3%A9");
        let given = Given::from_pairs([("b", "2"), ("a", "z"), ("a", "y"), ("Signature", "x"), ("A", "")]);
        assert_eq!(canonical(&given, &["Signature"]), "A=&a=y&a=z&b=2");
    }
}
