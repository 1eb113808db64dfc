//! WebRTC: browsers play and publish over one UDP port. ICE, DTLS, SRTP and SDP are str0m's, which does no IO; here are the
//! ports, the tasks and the frames.
//!
//! An offer comes by HTTP (the HTTP edge asks, the composition root connects) and makes a session ([`WebRtc::play`],
//! [`WebRtc::publish`]). [`port`] reads the socket and finds the session of each datagram ([`table`]); [`mod@line`] does the same for
//! connections over TCP, where UDP does not come through. Viewers of one stream
//! share a task, a [`crowd`]: a frame is cut into packets once ([`sheet`]) and encrypted for each [`viewer`]. A publisher has
//! a task of its own ([`ingest`]).

mod answer;
mod choice;
mod crowd;
mod figures;
mod hub;
mod inbox;
mod ingest;
mod line;
mod pace;
mod peer;
mod port;
mod reel;
mod relief;
mod sheet;
mod table;
#[cfg(test)]
mod tests;
mod viewer;

use crate::base::units::Span;
use std::net::{IpAddr, SocketAddr};

pub use figures::Figures;
pub use hub::{Opened, Parts, Plain, Refused, Status, WebRtc, Wish};

crate::settings! {
    /// WebRTC: playing and publishing in browsers. Offers come by HTTP, media go through one UDP port.
    pub struct Settings {
        /// Whether it is served.
        pub enabled: bool = true,
        /// The UDP address and port for the media of all sessions.
        pub listen: SocketAddr = SocketAddr::from(([0, 0, 0, 0], 8000)),
        /// Whether the same port is served over TCP as well (ICE over TCP), for browsers in networks that let no UDP through. They
        /// choose UDP where it works.
        pub tcp: bool = true,
        /// The addresses at which browsers reach that port: behind NAT the public one. Empty: this machine's own address, the
        /// one of `public.host`, and the one that the browser's request was sent to.
        pub addresses: Vec<IpAddr> = Vec::new(),
        /// The port at those addresses, where NAT changes it; 0 is the port that is listened on.
        pub port: u16 = 0,
        /// Sessions at most.
        pub sessions: usize = 5_000,
        /// How long a browser may take from its offer to an encrypted connection.
        pub connect_time: Span = Span::secs(20),
        /// A browser from which nothing comes for this time is gone.
        pub dead_after: Span = Span::secs(15),
        /// How often a browser that publishes is asked for a key frame; 0 is only when a viewer needs one. Browsers send none by themselves.
        pub key_interval: Span = Span::secs(2),
        /// Whether viewers whose way is too narrow for the stream get less of it: key frames only, until the way is tried again. Without,
        /// they get everything, and lose what does not fit.
        pub relief: bool = true,
    }
}
