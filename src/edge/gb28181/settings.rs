//! The `sip` and `gb28181` sections of the configuration.

use crate::base::units::{Size, Span};
use crate::proto::gb28181::catalog::Patience;
use crate::proto::gb28181::localtime::Zone;
use crate::proto::gb28181::server::{self, Follow};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

crate::settings! {
    /// Where GB28181 devices register. Both ports take UDP and TCP.
    pub struct Sip {
        /// The first port, for most devices.
        pub udp_listen: SocketAddr = SocketAddr::from(([0, 0, 0, 0], 5060)),
        /// The second port; the same as the first opens one only.
        pub tcp_listen: SocketAddr = SocketAddr::from(([0, 0, 0, 0], 6060)),
        /// TCP connections at most.
        pub max_connections: usize = 110_000,
        /// TCP connections of one address at most; 0 is no limit.
        pub max_per_address: usize = 0,
        /// The largest body of a message over TCP. A catalog of 10,000 entries is about 5.5 MB.
        pub max_body: Size = Size(16 << 20),
        /// Receive buffer of each UDP socket.
        pub receive_buffer: Size = Size(8 << 20),
        /// How long a new TCP connection may stay silent.
        pub first_message: Span = Span::secs(30),
        /// A TCP connection whose network was cut is noticed within this time.
        pub idle: Span = Span::secs(180),
    }
}

/// How media travels from a device, unless the device's parameters say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carriage {
    /// Over TCP, the device connects to us. A device that refuses is asked for UDP.
    #[default]
    Tcp,
    /// Over UDP.
    Udp,
    /// Over TCP, we connect to the device.
    TcpActive,
}

/// From where a device may go on talking after it registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// The address that it registered from, any port.
    #[default]
    Address,
    /// Anywhere.
    Anywhere,
}

crate::settings! {
    /// GB28181 devices: registration, questions, calls.
    pub struct Settings {
        /// The address by which devices outside of this network reach this host, for signalling and media. Empty: the address of the
        /// interface that leads to the device. Needed behind NAT and in clouds.
        pub public_ip: String = String::new(),
        /// Tells `public_ip` to devices of private networks as well, as behind a container's bridge.
        pub public_ip_for_all: bool = false,
        /// How media travels: "tcp" (the device connects to us), "udp", "tcp-active" (we connect to the device).
        pub media: Carriage = Carriage::Tcp,
        /// Takes devices that have no password of their own while their group has none either.
        pub no_password: bool = false,
        /// Offers SHA-256 before MD5 in challenges.
        pub sha256: bool = false,
        /// Offers qop="auth" in challenges.
        pub qop: bool = false,
        /// Wrong passwords within ten minutes that lock a device; 0 never locks.
        pub wrong_passwords: u32 = 5,
        /// REGISTER requests of one address a second; more are dropped. 0 is no limit.
        pub register_rate: u32 = 2000,
        /// How long a registration lasts whose device names no time.
        pub expires: Span = Span::secs(3600),
        /// How often devices are expected to send a sign of life, unless they show a slower rhythm.
        pub keepalive: Span = Span::secs(60),
        /// Signs of life that may be missing before a device is asked, and then counts as off.
        pub misses: u32 = 3,
        /// How long a device may take to come back when its TCP connection closed.
        pub reconnect: Span = Span::secs(10),
        /// From where a device may go on talking: "address" or "anywhere".
        pub follow: From = From::Address,
        /// Hours east of Greenwich of the devices' local time.
        pub utc_offset: i8 = 8,
        /// How long a device may take to answer an INVITE.
        pub invite: Span = Span::secs(10),
        /// How long a device may take to answer a question.
        pub query: Span = Span::secs(10),
        /// How long the first part of a catalog may take.
        pub catalog_first: Span = Span::secs(120),
        /// How long the next part of a catalog or of a list of recordings may take.
        pub catalog_gap: Span = Span::secs(5),
        /// Catalogs that are fetched at once.
        pub catalogs: usize = 16,
        /// Follows changes of the catalogs of platforms and recorders by subscription.
        pub subscribe_catalogs: bool = true,
        /// Resets an alarm that silences its device until it is reset.
        pub reset_alarms: bool = true,
        /// How long a stream that was started for its viewers goes on after the last one.
        pub linger: Span = Span::secs(15),
        /// How long a playback waits for a viewer, or for its viewer to come back.
        pub playback_linger: Span = Span::secs(30),
        /// The first pause before a stream that broke off is started again; it doubles up to a minute.
        pub retry: Span = Span::secs(2),
        /// Memory for the last messages of all devices, for the call doctor.
        pub trace: Size = Size(16 << 20),
        /// How long after a refusal we register at an upper platform again; a random part comes on top. The standard asks for 60 s.
        pub upper_retry: Span = Span::secs(60),
        /// Callbacks that may wait at most; more are dropped.
        pub callbacks: u64 = 100_000,
    }
}

impl Settings {
    /// The public address, if one is set.
    pub fn public(&self) -> Result<Option<IpAddr>, String> {
        let text = self.public_ip.trim();
        match text.is_empty() {
            true => Ok(None),
            false => text.parse().map(Some).map_err(|_| format!("gb28181.public_ip: {text:?} is not an IP address")),
        }
    }

    /// What the machine wants to know.
    pub fn machine(&self) -> server::Config {
        server::Config {
            zone: self.zone(),
            keepalive: self.keepalive.0.max(Duration::from_secs(1)),
            misses: self.misses,
            expires: u32::try_from(self.expires.0.as_secs()).unwrap_or(u32::MAX).max(60),
            qop: self.qop,
            sha256: self.sha256,
            wrong_passwords: self.wrong_passwords,
            register_rate: self.register_rate,
            reconnect: self.reconnect.0,
            follow: match self.follow {
                From::Address => Follow::Port,
                From::Anywhere => Follow::Anywhere,
            },
            invite: self.invite.0,
            query: self.query.0,
            catalog: Patience { first: self.catalog_first.0, gap: self.catalog_gap.0, ..Patience::default() },
            records: Patience {
                first: self.query.0.max(Duration::from_secs(15)),
                gap: self.catalog_gap.0.max(Duration::from_secs(8)),
                ..Patience::default()
            },
            reset_alarms: self.reset_alarms,
            trace_bytes: self.trace.bytes(),
            ..server::Config::default()
        }
    }

    /// What local time means.
    pub fn zone(&self) -> Zone {
        Zone(i32::from(self.utc_offset.clamp(-18, 18)) * 3600)
    }
}
