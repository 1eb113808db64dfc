//! GB/T 28181 signalling, 2016 and 2022, both sides: what stands in the bodies of SIP messages, and the machines that speak it.
//!
//! [`server::Server`] is our side towards devices, [`client::Client`] the device's side (the simulated camera and the upward
//! cascade). Neither owns a socket or reads a clock. The smaller modules are codecs: [`manscdp`] (XML), [`sdp`], [`mansrtsp`]
//! (playback control), [`ptz`]. Media is elsewhere (`proto::rtp`, `container::ps`). Clauses cite the 2022 edition unless they say 2016.

pub mod catalog;
pub mod charset;
pub mod client;
pub mod id;
pub mod localtime;
pub mod manscdp;
pub mod mansrtsp;
pub mod ptz;
pub mod sdp;
pub mod server;
pub mod ssrc;
pub mod version;
pub mod xml;

pub use id::Id;
pub use version::Version;
