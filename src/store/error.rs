//! What can go wrong in the store, sorted by what the caller does about it.

use crate::model::quota::Exceeded;
use std::fmt;

/// What kind of object is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Noun {
    User,
    AccessKey,
    Group,
    Device,
    Directory,
    Channel,
    Stream,
    Template,
    Binding,
    Record,
    Callback,
    Product,
    License,
    UpperPlatform,
}

impl Error {
    /// There is no such object.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::NotFound { .. })
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An operation that did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such object, or it is another tenant's.
    #[error("{noun} {id} not found")]
    NotFound {
        /// What.
        noun: Noun,
        /// Which.
        id: String,
    },
    /// There is one already.
    #[error("{noun}: {field} {value} is taken")]
    Exists {
        /// What.
        noun: Noun,
        /// The parameter that must be unique.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// The object's state forbids it.
    #[error("{noun} {id}: {why}")]
    Status {
        /// What.
        noun: Noun,
        /// Which.
        id: String,
        /// Why not.
        why: &'static str,
    },
    /// A parameter that only the store can judge.
    #[error("{parameter}: {why}")]
    Invalid {
        /// The parameter.
        parameter: &'static str,
        /// What is allowed.
        why: String,
    },
    /// A limit is reached.
    #[error("{what}: the limit of {limit} is reached")]
    Quota {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A tenant's quota is used up.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// The database cannot be reached, is full, or refuses for a reason of its own.
    #[error("the database failed: {0}")]
    Unavailable(String),
    /// The store cannot be opened as it is; the text says what to do.
    #[error("{0}")]
    Unusable(String),
    /// A row does not read: a defect of ours, or someone else wrote it.
    #[error("a stored row does not read: {0}")]
    Damaged(String),
}

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// There is no such object.
    pub fn not_found(noun: Noun, id: impl fmt::Display) -> Error {
        Error::NotFound { noun, id: id.to_string() }
    }

    /// There is one already.
    pub fn exists(noun: Noun, field: &'static str, value: impl fmt::Display) -> Error {
        Error::Exists { noun, field, value: value.to_string() }
    }

    /// The object's state forbids it.
    pub fn status(noun: Noun, id: impl fmt::Display, why: &'static str) -> Error {
        Error::Status { noun, id: id.to_string(), why }
    }
}

/// What a database error stands for; constraint violations are told apart by whoever knows the constraint.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => Error::Damaged(error.to_string()),
            sqlx::Error::Database(e) if e.is_unique_violation() => Error::Unavailable(format!("{UNIQUE}{}", e.message())),
            sqlx::Error::Database(e) if e.is_foreign_key_violation() => Error::Unavailable(format!("{REFERENCE}{}", e.message())),
            sqlx::Error::PoolTimedOut => Error::Unavailable("no connection in time".to_owned()),
            error => Error::Unavailable(error.to_string()),
        }
    }
}

const UNIQUE: &str = "unique: ";
const REFERENCE: &str = "reference: ";

impl Error {
    /// Says what a violated uniqueness means here.
    pub(super) fn unique_means(self, meaning: impl FnOnce() -> Error) -> Error {
        if matches!(&self, Error::Unavailable(text) if text.starts_with(UNIQUE)) { meaning() } else { self }
    }

    /// Says what a violated reference means here: the other object went away in the meantime.
    pub(super) fn reference_means(self, meaning: impl FnOnce() -> Error) -> Error {
        if matches!(&self, Error::Unavailable(text) if text.starts_with(REFERENCE)) { meaning() } else { self }
    }
}
