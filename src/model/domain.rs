//! The keys that sign play and push URLs.

use crate::base::pii::Secret;
use crate::model::word::words;

words! {
    /// What a key opens.
    Purpose {
        /// Playing.
        Play = "play",
        /// Pushing.
        Push = "push",
    }
}

/// The two keys of a domain; both open, so that one can be changed while URLs of the other are out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Signs new URLs.
    pub main: Secret,
    /// Opens too.
    pub backup: Secret,
}

impl Keys {
    /// Both, the main one first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        [self.main.0.as_str(), self.backup.0.as_str()].into_iter().filter(|key| !key.is_empty())
    }
}
