//! Who calls: both signature methods, the time window, replays and the rate of a key.
//!
//! Start with `check`. Nothing is remembered of a call before its signature has been verified, so that nobody can fill our
//! memory or use up a key's rate without its secret.

pub mod acs3;
mod log;
pub mod nonce;
pub mod rate;
pub mod sdk;
pub mod v1;

use super::error::{Error, Kind};
use super::query::Given;
use crate::model::time::Time;

/// How far a request's time may be from ours, in seconds.
pub const WINDOW: i64 = 15 * 60;

/// What a request brings to prove who sent it, whichever the method of signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The key that it names.
    pub key_id: String,
    /// When it says that it was made, in unix seconds.
    pub time: i64,
    /// Its nonce.
    pub nonce: String,
    /// What is to be verified.
    pub proof: Proof,
}

/// A signature and what it was made over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Signature 1.0, HMAC-SHA1.
    V1 {
        /// The string to sign as we build it.
        text: String,
        /// The signature received.
        signature: String,
    },
    /// ACS3-HMAC-SHA256.
    Acs3 {
        /// The string to sign as we build it.
        text: String,
        /// The signature received.
        signature: String,
    },
}

impl Proof {
    /// Whether the secret made this signature; compared in constant time.
    pub fn verify(&self, secret: &str) -> Result<(), Error> {
        let (text, good) = match self {
            Proof::V1 { text, signature } => (text, v1::verify(secret, text, signature)),
            Proof::Acs3 { text, signature } => (text, acs3::verify(secret, text, signature)),
        };
        match good {
            true => Ok(()),
            false => Err(Error::new(
                Kind::Invalid,
                "SignatureDoesNotMatch",
                format!("Specified signature is not matched with our calculation. server string to sign is:{text}"),
            )),
        }
    }
}

/// The part of an HTTP request that signatures cover.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// The headers.
    pub headers: &'a http::HeaderMap,
    /// The parameters of the query string.
    pub query: &'a Given,
    /// The parameters of the query string and of the form.
    pub all: &'a Given,
    /// The body.
    pub body: &'a [u8],
}

/// Reads what the request claims, by the method that it uses.
pub fn claim(parts: Parts<'_>) -> Result<Claim, Error> {
    match acs3::is(parts.headers) {
        true => acs3::claim(parts),
        false => v1::claim(parts.method, parts.all),
    }
}

fn time(text: &str, name: &str) -> Result<i64, Error> {
    text.parse::<Time>().map(Time::as_secs).map_err(|_| {
        let why = format!("Specified time stamp is not well formed: {name} must look like 2014-05-26T12:00:00Z, in UTC.");
        Error::new(Kind::Invalid, "InvalidTimeStamp.Format", why)
    })
}

/// Whether a request's time is within the window around ours, and not before `floor`: see [`nonce::Nonces::floor`].
pub fn fresh(time: i64, now: i64, floor: i64) -> Result<(), Error> {
    if time.abs_diff(now) <= WINDOW as u64 {
        if time >= floor {
            return Ok(());
        }
        let why = format!(
            "Specified time stamp is expired: the server started at {} and does not know which calls were made before.",
            Time::from_secs(floor)
        );
        return Err(Error::new(Kind::Invalid, "InvalidTimeStamp.Expired", why));
    }
    let why =
        format!("Specified time stamp is expired: the server's time is {}, at most 15 minutes may lie between.", Time::from_secs(now));
    Err(Error::new(Kind::Invalid, "InvalidTimeStamp.Expired", why))
}

fn incomplete(why: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, "IncompleteSignature", why)
}
