//! Callbacks: what is posted to an operator's URL, and what became of it.

use crate::model::id::{CallbackId, TenantId};
use crate::model::time::Time;

/// A callback to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Whose key signs it.
    pub owner: TenantId,
    /// What it tells about, as in `device/123`: callbacks of one object are posted one after the other.
    pub object: String,
    /// Where to.
    pub url: String,
    /// The JSON body.
    pub body: String,
}

/// A callback that waits for its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The row.
    pub id: CallbackId,
    /// The callback.
    pub draft: Draft,
    /// Tries so far.
    pub tries: u32,
    /// When it was queued.
    pub created: Time,
}

/// One try, as the delivery log shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The callback; several tries share it.
    pub id: CallbackId,
    /// Whose it is.
    pub owner: TenantId,
    /// What it tells about.
    pub object: String,
    /// Where it was sent.
    pub url: String,
    /// The body.
    pub body: String,
    /// The number of the try, from 1.
    pub tried: u32,
    /// When.
    pub at: Time,
    /// How long it took, milliseconds.
    pub took_ms: i64,
    /// The HTTP status of the answer; 0: there was none.
    pub status: u16,
    /// What went wrong; empty: it was taken.
    pub error: String,
    /// Whether it was the last try.
    pub last: bool,
}
