//! SIP (RFC 3261) as surveillance devices speak it: tolerant on the way in, canonical on the way out.
//!
//! No sockets, no clock: bytes and times come in as arguments. [`framer`] cuts messages out of a stream, [`message`] holds
//! them, [`transaction::Layer`] repeats, matches and times requests, [`dialog::Dialog`] is a call that was answered.
//! Own parser and not a typed crate on the wire path: real devices send compact names, folded lines, GBK bytes, LF line ends, two
//! Via values in one header and unknown algorithms, each of which a strict model drops or refuses as a whole. The strict grammar
//! (`rsip`) judges what an operator configures ([`uri::strict`]) and, in tests, everything that we send.

pub mod dialog;
pub mod digest;
pub mod framer;
pub mod header;
pub mod ids;
pub mod message;
pub mod params;
mod parse;
pub mod path;
pub mod timers;
pub mod transaction;
pub mod uri;

pub use header::{Headers, Name};
pub use message::{Message, Method, Request, Response};
pub use parse::ParseError;
pub use path::{Path, Transport};

#[cfg(test)]
pub(crate) mod fixtures;
