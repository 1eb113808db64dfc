//! The `rtp` section of the configuration.

use crate::base::units::{Size, Span};
use crate::container::ps::Damaged;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Who may send the media of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Senders {
    /// Whoever sends the expected SSRC first; the device's own address may take over at any time. Devices behind NAT and
    /// with several addresses need this.
    #[default]
    Any,
    /// Only the address that the device registered from.
    Device,
}

crate::settings! {
    /// Media of GB28181 devices: RTP over UDP and TCP.
    pub struct Settings {
        /// The one UDP and TCP port for all media; streams are told apart by their SSRC. Port 0 picks a free one.
        pub listen: SocketAddr = SocketAddr::from(([0, 0, 0, 0], 10_000)),
        /// Ports for calls that get one of their own, as in "30000-30499". Empty: all calls use the shared port.
        pub ports: String = String::new(),
        /// Gives each call a port of its own. Needed for devices whose SSRC cannot be predicted; takes `ports`.
        pub port_per_call: bool = false,
        /// How long packets gather before they are read together. "0" reads at once, for more CPU time.
        pub gather: Span = Span::millis(5),
        /// Receive buffer of each UDP socket. Above the machine's net.core.rmem_max only a privileged process gets it.
        pub receive_buffer: Size = Size(8 << 20),
        /// Tasks that read and demux, each with its own UDP socket on the shared port. 0: one for each core, at most 8.
        pub readers: usize = 0,
        /// The longest that packets wait for a missing one before it counts as lost.
        pub reorder: Span = Span::millis(100),
        /// Packets that wait for a missing one at most.
        pub reorder_packets: usize = 256,
        /// What happens to frames with missing packets: "drop", "keep", or "until-key", which drops up to the next key frame.
        pub damaged: Damaged = Damaged::Drop,
        /// The largest frame.
        pub max_frame: Size = Size(8 << 20),
        /// A call ends when no packet came for so long after it was set up.
        pub first_packet: Span = Span::secs(15),
        /// A call ends when no packet came for so long.
        pub silence: Span = Span::secs(15),
        /// TCP connections to the shared port at most.
        pub max_connections: usize = 16_384,
        /// How long a TCP connection is tried, once a second.
        pub connect: Span = Span::secs(10),
        /// Who may send: "any" or "device".
        pub senders: Senders = Senders::Any,
        /// How often receiver reports go to UDP senders. "0": never.
        pub reports: Span = Span::secs(5),
        /// The largest payload of packets that are sent.
        pub mtu: usize = 1_400,
    }
}

impl Settings {
    /// The port range, if there is one.
    pub fn range(&self) -> Result<Option<(u16, u16)>, String> {
        let text = self.ports.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let bad = || format!("rtp.ports: {text:?} is not a range of ports such as \"30000-30499\"");
        let (from, to) = text.split_once('-').ok_or_else(bad)?;
        let (from, to): (u16, u16) = (from.trim().parse().map_err(|_| bad())?, to.trim().parse().map_err(|_| bad())?);
        if from == 0 || to <= from {
            return Err(bad());
        }
        Ok(Some((from, to)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let range = |text: &str| Settings { ports: text.to_owned(), ..Settings::default() }.range();
        assert_eq!(range(""), Ok(None));
        assert_eq!(range(" 30000 - 30499 "), Ok(Some((30_000, 30_499))));
        for text in ["30000", "0-9", "9-8", "a-b", "1-70000", "-"] {
            assert!(range(text).is_err(), "{text}");
        }
    }
}
