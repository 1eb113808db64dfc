//! RTMP without a socket: handshake, chunks, messages, commands, and the session of either side (Adobe RTMP 1.0).
//!
//! [`Server`] and [`Client`] take bytes with `next`, give events, and leave what they have to say in `output`. They have no
//! notion of time: time-outs are the edge's. Audio, video and metadata go through as messages whose payload is an FLV tag body.

pub mod chunk;
mod client;
mod command;
pub mod handshake;
mod link;
pub mod message;
mod server;
#[cfg(test)]
mod session_tests;
mod url;

pub use client::{Client, Event as ClientEvent, Role};
pub use link::{Error, OUT_CHUNK};
pub use message::Message;
pub use server::{Event, Refusal, Server, Target};
pub use server::{stream_over, wire};
pub use url::{BadUrl, Url};
