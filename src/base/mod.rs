//! Words that everything uses: identifiers, who is to blame, bounds-checked bytes, settings.
//!
//! Depends on nothing of ours, does no IO, reads no clock. Start with [`id::StreamKey`] and [`error::End`].

pub mod amf0;
mod amf3;
pub mod bytes;
pub mod error;
pub mod id;
pub mod pii;
pub mod settings;
pub mod units;
pub mod unwrap;
