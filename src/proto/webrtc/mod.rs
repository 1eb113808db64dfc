//! What we read of WebRTC's signalling ourselves: which codecs an offer takes ([`Offer`]), which stream a web player's JSON
//! means ([`exchange`]), and what a trickled fragment asks for ([`fragment`]). ICE, DTLS, SRTP and the answer are str0m's.

pub mod exchange;
pub mod fragment;
mod offer;

pub use offer::{Coding, Offer};
