//! Upper platforms: whom this server registers to as one device with channels, and what it shows them (GB/T 28181 cascading).

use crate::base::id::{BadName, StreamKey};
use crate::base::pii::Secret;
use crate::model::channel::Info;
use crate::model::id::{DeviceId, GbId, GroupId, StreamId, TenantId, UpperId};
use crate::model::time::Time;
use crate::model::word::words;

words! {
    /// `Transport`: how SIP travels. Media travels as the upper platform asks.
    Transport {
        /// In datagrams.
        Udp = "udp",
        /// On one connection, which we open.
        Tcp = "tcp",
    }
}

words! {
    /// `Edition` of the standard that is spoken.
    Edition {
        /// GB/T 28181-2016.
        V2016 = "2016",
        /// GB/T 28181-2022.
        V2022 = "2022",
    }
}

/// What an operator sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// `Name`: also the name of our system in the catalog.
    pub name: String,
    /// `Enabled`: whether we register.
    pub enabled: bool,
    /// `Host`: its SIP server.
    pub host: String,
    /// `Port`.
    pub port: u16,
    /// `Transport`.
    pub transport: Transport,
    /// `ServerGbId`: its id.
    pub server: GbId,
    /// `Domain`: its SIP domain; empty: the first ten digits of its id.
    pub domain: String,
    /// `LocalGbId`: our id there.
    pub local: GbId,
    /// `Username`: empty: our id.
    pub username: String,
    /// `Password`; none: it does not ask.
    pub password: Option<Secret>,
    /// `Edition`.
    pub edition: Edition,
    /// `Expires`: for how many seconds we register.
    pub expires: u32,
    /// `KeepaliveInterval` in seconds.
    pub keepalive: u32,
    /// `AllowControl`: whether it may move our cameras.
    pub control: bool,
}

impl Setup {
    /// With what most platforms want.
    pub fn new(name: &str, host: &str, port: u16, server: GbId, local: GbId) -> Setup {
        Setup {
            name: name.to_owned(),
            enabled: true,
            host: host.to_owned(),
            port,
            transport: Transport::Udp,
            server,
            domain: String::new(),
            local,
            username: String::new(),
            password: None,
            edition: Edition::V2016,
            expires: 86_400,
            keepalive: 60,
            control: true,
        }
    }
}

/// An upper platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upper {
    /// `Id`.
    pub id: UpperId,
    /// Whose it is.
    pub owner: TenantId,
    /// What was set.
    pub setup: Setup,
    /// `CreatedTime`.
    pub created: Time,
}

/// A stream that an upper platform sees as a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The stream.
    pub stream: StreamId,
    /// Its group.
    pub group: GroupId,
    /// Its application.
    pub app: String,
    /// Its device; none if it is pushed.
    pub device: Option<DeviceId>,
    /// The channel's own id below its device.
    pub channel: Option<GbId>,
    /// The channel's id towards the upper platform.
    pub code: GbId,
    /// Its name.
    pub name: String,
    /// Whether its device's catalog says that it is on; true if it is pushed.
    pub online: bool,
    /// What its device's catalog says beside that.
    pub info: Info,
}

impl Shown {
    /// Its name on the media plane.
    pub fn key(&self) -> Result<StreamKey, BadName> {
        StreamKey::new(&self.app, &self.stream.to_string())
    }
}

/// The first serial number of ids that are made for channels without one, or whose own is taken: network 7, the Internet.
const MADE_FROM: u64 = 7_000_001;

/// An id for a channel: area of `local`, industry 00, type 131, the `n`th serial number.
pub fn made_code(local: &GbId, n: u64) -> GbId {
    let text = format!("{}00131{:07}", &local.as_str()[..8], (MADE_FROM + n) % 10_000_000);
    text.parse().unwrap_or_else(|_| local.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_codes_are_codes_of_cameras_in_our_area() {
        let local: GbId = "34020000002000000001".parse().unwrap();
        assert_eq!(made_code(&local, 0).as_str(), "34020000001317000001");
        assert_eq!(made_code(&local, 41).kind(), 131);
        assert_ne!(made_code(&local, 1), made_code(&local, 2));
    }
}
