//! What an action answers when it cannot do what it was asked: a kind, a code and a message. HTTP belongs to the dispatcher.

use crate::model::quota::Exceeded;
use crate::store;
use std::borrow::Cow;

/// A failure of a call. The message names the parameter or object at fault, never a path, a query or a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure, which decides the HTTP status.
    pub kind: Kind,
    /// The code that programs look at.
    pub code: Cow<'static, str>,
    /// The text that people read.
    pub message: String,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed or a parameter is not what is allowed.
    Invalid,
    /// The object, the action or the key does not exist for this caller.
    NotFound,
    /// It exists, but is not this caller's to use.
    Forbidden,
    /// The object's state, another object of the same name or a limit stands against it.
    Conflict,
    /// The HTTP method is not one of ours.
    Method,
    /// The request did not come in time.
    Late,
    /// The request's body is longer than what is taken.
    TooLarge,
    /// The request's head is.
    HeadTooLarge,
    /// Too many calls.
    Throttled,
    /// A device answered with a refusal.
    Refused,
    /// A device did not answer in time.
    Timeout,
    /// What is needed is not running now.
    Unavailable,
    /// A defect of ours.
    Internal,
}

impl Kind {
    /// The HTTP status that it stands for.
    pub fn status(self) -> http::StatusCode {
        use http::StatusCode as Code;
        match self {
            Kind::Invalid => Code::BAD_REQUEST,
            Kind::NotFound => Code::NOT_FOUND,
            Kind::Forbidden => Code::FORBIDDEN,
            Kind::Conflict => Code::CONFLICT,
            Kind::Method => Code::METHOD_NOT_ALLOWED,
            Kind::Late => Code::REQUEST_TIMEOUT,
            Kind::TooLarge => Code::PAYLOAD_TOO_LARGE,
            Kind::HeadTooLarge => Code::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Kind::Throttled => Code::TOO_MANY_REQUESTS,
            Kind::Refused => Code::BAD_GATEWAY,
            Kind::Timeout => Code::GATEWAY_TIMEOUT,
            Kind::Unavailable => Code::SERVICE_UNAVAILABLE,
            Kind::Internal => Code::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Error {
    /// A failure of any kind.
    pub fn new(kind: Kind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Error {
        Error { kind, code: code.into(), message: message.into() }
    }

    /// A required parameter is absent or empty.
    pub fn missing(name: &str) -> Error {
        Error::new(Kind::Invalid, "MissingParameter", format!("The parameter {name} is required and was not given."))
    }

    /// A parameter's value is malformed or out of range; `allowed` completes "The parameter X …".
    pub fn invalid(name: &str, allowed: impl std::fmt::Display) -> Error {
        Error::new(Kind::Invalid, "InvalidParameter", format!("The parameter {name} {allowed}."))
    }

    /// No such object of `noun` (Group, Device, …) for this caller.
    pub fn not_found(noun: &str, id: &str) -> Error {
        Error::new(Kind::NotFound, format!("ResourceNotFound.{noun}"), format!("{noun} not found: {}", shown(id)))
    }

    /// The state of an object of `noun` forbids the call.
    pub fn status(noun: &str, why: impl Into<String>) -> Error {
        Error::new(Kind::Conflict, format!("IncorrectStatus.{noun}"), why)
    }

    /// Another object of `noun` has taken what must be unique.
    pub fn exists(noun: &str, why: impl Into<String>) -> Error {
        Error::new(Kind::Conflict, format!("AlreadyExists.{noun}"), why)
    }

    /// A limit on objects of `noun` is reached.
    pub fn quota(noun: &str, why: impl Into<String>) -> Error {
        Error::new(Kind::Conflict, format!("QuotaExceeded.{noun}"), why)
    }

    /// The action or object is not this key's to use.
    pub fn forbidden(why: impl Into<String>) -> Error {
        Error::new(Kind::Forbidden, "Forbidden", why)
    }

    /// What is needed for the call is not running.
    pub fn unavailable(why: impl Into<String>) -> Error {
        Error::new(Kind::Unavailable, "ServiceUnavailable", why)
    }

    /// A defect of ours: the caller learns no more than that; `detail` goes to the log.
    pub fn internal(detail: impl std::fmt::Display) -> Error {
        tracing::error!(%detail, "an API call failed inside");
        Error::new(Kind::Internal, "InternalError", "The request processing has failed due to some unknown error.")
    }
}

/// At most 64 characters of what a caller sent, without control characters: fit for a message.
pub fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(64).is_some() {
        short.push('…');
    }
    short
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}

impl From<Exceeded> for Error {
    fn from(exceeded: Exceeded) -> Error {
        Error::quota(exceeded.what.noun(), sentence(&exceeded.to_string()))
    }
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::NotFound { noun, id } => Error::not_found(&noun.to_string(), &id),
            store::Error::Exists { noun, field, value } => {
                Error::exists(&noun.to_string(), format!("The {field} {} is taken by another {noun}.", shown(&value)))
            }
            store::Error::Status { noun, id, why } => Error::status(&noun.to_string(), format!("{noun} {id}: {why}.")),
            store::Error::Invalid { parameter, why } => Error::invalid(parameter, format!("must be {why}")),
            store::Error::Quota { what, limit } => {
                Error::new(Kind::Conflict, "QuotaExceeded", format!("The limit of {limit} {what} is reached."))
            }
            store::Error::Exceeded(exceeded) => exceeded.into(),
            store::Error::Unavailable(detail) => {
                tracing::warn!(%detail, "the store failed");
                Error::unavailable("The store does not answer now; try again later.")
            }
            other => Error::internal(other),
        }
    }
}
