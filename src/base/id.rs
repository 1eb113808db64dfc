//! Names of things: what identifies a stream and a session.

use std::fmt;
use std::sync::Arc;

/// The longest application or stream name, in bytes.
pub const NAME_MAX: usize = 255;

/// Names a live stream: `app/name`, as it stands in every URL.
///
/// Cloning shares the text. Equality and hash go over the whole text, so near-equal names never meet.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    text: Arc<str>,
    slash: usize,
}

/// Why a text is not a stream name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing between the slashes.
    #[error("the name is empty")]
    Empty,
    /// Longer than [`NAME_MAX`] bytes.
    #[error("the name is longer than {NAME_MAX} bytes")]
    TooLong,
    /// A character that cannot stand in a path segment, or `.` and `..`.
    #[error("the name holds {0:?}, which cannot stand in a URL path segment")]
    Character(char),
    /// `app/name` without the slash.
    #[error("an application and a stream name are needed, as in live/camera1")]
    NoSlash,
}

impl StreamKey {
    /// Checks both names: one URL path segment each, no white space, no control characters.
    pub fn new(app: &str, name: &str) -> Result<StreamKey, BadName> {
        check(app)?;
        check(name)?;
        Ok(StreamKey { text: format!("{app}/{name}").into(), slash: app.len() })
    }

    /// Reads `app/name`.
    pub fn parse(text: &str) -> Result<StreamKey, BadName> {
        let (app, name) = text.split_once('/').ok_or(BadName::NoSlash)?;
        StreamKey::new(app, name)
    }

    /// The application, the first path segment.
    pub fn app(&self) -> &str {
        &self.text[..self.slash]
    }

    /// The stream's name, the second path segment.
    pub fn name(&self) -> &str {
        &self.text[self.slash + 1..]
    }

    /// `app/name`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn check(name: &str) -> Result<(), BadName> {
    if name.is_empty() {
        return Err(BadName::Empty);
    }
    if name.len() > NAME_MAX {
        return Err(BadName::TooLong);
    }
    if name == "." || name == ".." {
        return Err(BadName::Character('.'));
    }
    let bad = |c: &char| c.is_whitespace() || c.is_control() || "/\\?#%&\"'<>`".contains(*c);
    match name.chars().find(bad) {
        Some(c) => Err(BadName::Character(c)),
        None => Ok(()),
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Numbers the sessions of one process; unique while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_both_names() {
        let key = StreamKey::parse("live/门口-1").unwrap();
        assert_eq!((key.app(), key.name(), key.as_str()), ("live", "门口-1", "live/门口-1"));
    }

    #[test]
    fn hostile_names_are_refused() {
        for text in ["", "live", "/a", "live/", "live/a/b", "live/..", "../x", "live/a b", "live/a\n", "live/a?b", "live/%2e"] {
            assert!(StreamKey::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(StreamKey::new("live", &"x".repeat(256)), Err(BadName::TooLong));
    }
}
