//! Media of GB28181 calls: RTP in over one shared port or a port for each call, and out again.
//!
//! [`Media::expect`] gives a [`Receiving`] for each call; dropping it is the teardown. What arrives is put in order, demuxed
//! and published by the readers (`reader`), without a task for each call. [`Sending`] is the other direction: a
//! stream of ours, or a [`clip`], as a program stream or as G.711. Signalling is not
//! here: whoever holds the handles speaks SIP.

mod call;
pub mod clip;
mod codec;
mod connection;
mod hub;
mod intake;
mod line;
mod ports;
mod reader;
mod receiving;
mod report;
mod sending;
mod settings;
mod table;
#[cfg(test)]
mod tests;

pub use call::{Answer, Expect, State, Transport};
pub use codec::Codec;
pub use hub::{CannotExpect, Parts};
pub use receiving::{Media, Receiving};
pub use report::Report;
pub use sending::{Feed, Law, Payload, Send, Sending, Sent};
pub use settings::{Senders, Settings};
pub use table::Stranger;
