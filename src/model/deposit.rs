//! Deposits: files on their way to where they are kept.

use crate::model::callback;
use crate::model::id::{DepositId, TenantId};
use crate::model::record::{self, Place};
use crate::model::tenant::BucketKey;
use crate::model::time::Time;

/// What a new deposit is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Whose it is.
    pub owner: TenantId,
    /// The file, below the local directory or absolute.
    pub file: String,
    /// The region of the bucket.
    pub region: String,
    /// Where it shall be.
    pub place: Place,
    /// Its MIME type.
    pub content_type: String,
    /// Bytes.
    pub size: u64,
    /// Whether it takes the place of an object of the same name.
    pub replaces: bool,
    /// A key for this object alone; none: the tenant's.
    pub key: Option<BucketKey>,
    /// The record that is written when it is there; none: it is a part of another object.
    pub record: Option<record::Draft>,
    /// What is told then.
    pub callback: Option<callback::Draft>,
}

/// A deposit that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// The row.
    pub id: DepositId,
    /// What it is.
    pub draft: Draft,
    /// The multipart upload that is under way; empty: none.
    pub upload: String,
    /// Tries so far.
    pub tries: u32,
    /// Not tried again before.
    pub due: Time,
    /// Why the last try failed.
    pub error: String,
    /// When it was handed in.
    pub created: Time,
}

/// A part of a multipart upload that the bucket has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What the bucket calls it.
    pub tag: String,
    /// The MD5 of its bytes, hexadecimal.
    pub sum: String,
    /// Bytes.
    pub bytes: u64,
}
