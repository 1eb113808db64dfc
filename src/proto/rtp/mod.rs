//! RTP and RTCP (RFC 3550), as GB28181 devices send them: over UDP, and over TCP in two framings.
//!
//! Bytes go in as slices and come out as slices: a packet in order is never copied here. What is *not* here: sockets,
//! time (an argument), and what the payload means, except for H.264 and H.265 ([`nal_depack`]).
//! Start with [`Packet`], then [`Receiver`].

mod framing;
pub mod nal_depack;
pub mod nal_pack;
mod packet;
mod receiver;
pub mod rtcp;
mod sender;

pub use framing::{Framer, Kind as Framing, Lost, Step};
pub use packet::{Malformed, Packet, is_rtcp, ssrc_of};
pub use receiver::{Arrival, Counts, Receiver, Window};
pub use sender::{Header, Packetizer};
