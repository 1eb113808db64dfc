//! Marks what tells on a person or opens a door, so that logs can leave it out.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

static SHOWN: AtomicBool = AtomicBool::new(true);

/// Sets once, at start, whether addresses and names marked [`Pii`] appear in logs. Secrets never do: they are not logged at all.
pub fn show(shown: bool) {
    SHOWN.store(shown, Ordering::Relaxed);
}

/// An address or a name that `log.redact` blanks out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pii<T>(pub T);

impl<T: fmt::Display> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if SHOWN.load(Ordering::Relaxed) { self.0.fmt(f) } else { f.write_str("[redacted]") }
    }
}

impl<T: fmt::Debug> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if SHOWN.load(Ordering::Relaxed) { self.0.fmt(f) } else { f.write_str("[redacted]") }
    }
}

/// A key or password from the configuration: it never appears in a debug print.
#[derive(Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "[none]" } else { "[secret]" })
    }
}
