//! Whether there is room for more: asked before a file begins, so that what is full refuses in words instead of failing in the middle.

use crate::model::recording::Order;
use std::fmt;

/// What is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The disk that recordings are written to.
    Disk,
    /// What the recording's owner may use.
    Quota,
}

/// Why no file begins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{limit}: {why}")]
pub struct Full {
    /// What is used up.
    pub limit: Limit,
    /// For operators: how much there is and how much may be.
    pub why: String,
}

/// Knows how much may be recorded.
pub trait Room: Send + Sync {
    /// Whether a file of this order may begin now. Answers from memory: it is asked for each recording every `record.retry`.
    fn ask(&self, order: &Order) -> Result<(), Full>;
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Disk => "the disk is full",
            Limit::Quota => "the quota is used up",
        })
    }
}
