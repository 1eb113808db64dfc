//! What is wrong with a configuration or a frame; the one error of every parser in [`media`](super).

/// Names the field, so that the place can be found in a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The bytes end before the field does.
    #[error("{0} ends early")]
    Short(&'static str),
    /// A value that the standard forbids or that no real stream has.
    #[error("{field} is {value}, which is out of range")]
    Range {
        /// The field, as the standard names it.
        field: &'static str,
        /// What stood there.
        value: u64,
    },
    /// The bytes are something else.
    #[error("this is no {0}")]
    Not(&'static str),
    /// A part that must be there is not.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// Legal, but outside of what is supported.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
}
