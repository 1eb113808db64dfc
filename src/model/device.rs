//! Devices: cameras, recorders and platforms that register, and intelligent edge devices.

use crate::base::pii::Secret;
use crate::model::id::{DeviceId, DirectoryId, GbId, GroupId, TenantId};
use crate::model::time::Time;
use crate::model::word::words;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

words! {
    /// `Type`.
    Kind {
        /// A camera, or a recorder that is used like one.
        Ipc = "ipc",
        /// A platform with a tree of directories and channels.
        Platform = "platform",
        /// An intelligent edge device.
        Ied = "ied",
    }
}

words! {
    /// `Status`.
    Status {
        /// Never registered.
        New = "new",
        /// Registered and heard of.
        On = "on",
        /// Registered once, silent now.
        Off = "off",
        /// Locked after repeated wrong passwords.
        Failed = "failed",
    }
}

words! {
    /// How a device's signalling travels.
    Transport {
        /// Datagrams.
        Udp = "udp",
        /// A connection that the device opened.
        Tcp = "tcp",
    }
}

/// The last registration, kept so that a restart does not make every device look lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Where requests to it are sent: the source of its REGISTER.
    pub source: SocketAddr,
    /// How.
    pub transport: Transport,
    /// Its `Contact`, as it was sent.
    pub contact: String,
    /// When it registered, milliseconds since 1970.
    pub at: i64,
    /// When the registration ends, milliseconds since 1970.
    pub expires: i64,
    /// Its `User-Agent`.
    #[serde(default)]
    pub agent: String,
    /// `X-GB-Ver`, where it announced one.
    #[serde(default)]
    pub version: Option<String>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// `Id`.
    pub id: DeviceId,
    /// Whose it is.
    pub owner: TenantId,
    /// `GroupId`.
    pub group: GroupId,
    /// `ParentId`: the platform that it belongs to.
    pub parent: Option<DeviceId>,
    /// `DirectoryId`.
    pub directory: Option<DirectoryId>,
    /// `Name`.
    pub name: String,
    /// `Description`.
    pub description: String,
    /// `Type`.
    pub kind: Kind,
    /// `AutoStart`.
    pub auto_start: bool,
    /// `Enabled`.
    pub enabled: bool,
    /// `GbId`.
    pub gb_id: GbId,
    /// `Ip`.
    pub ip: String,
    /// `Port`.
    pub port: Option<u16>,
    /// `Username`.
    pub username: String,
    /// `Password`: none of its own means the group's.
    pub password: Option<Secret>,
    /// `Vendor`.
    pub vendor: String,
    /// `Longitude`.
    pub longitude: String,
    /// `Latitude`.
    pub latitude: String,
    /// `AutoPos`.
    pub auto_pos: bool,
    /// `PosInterval`, seconds.
    pub pos_interval: u32,
    /// `AlarmMethod`.
    pub alarm_method: String,
    /// `Params`: a JSON object as text.
    pub params: String,
    /// `Status`.
    pub status: Status,
    /// When the status changed last.
    pub status_at: Time,
    /// The last registration.
    pub registration: Option<Registration>,
    /// `CreatedTime`.
    pub created: Time,
}

/// What a new device is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// `GroupId`.
    pub group: GroupId,
    /// `ParentId`.
    pub parent: Option<DeviceId>,
    /// `DirectoryId`.
    pub directory: Option<DirectoryId>,
    /// `Name`.
    pub name: String,
    /// `Description`.
    pub description: String,
    /// `Type`.
    pub kind: Kind,
    /// `AutoStart`.
    pub auto_start: bool,
    /// `GbId`.
    pub gb_id: GbId,
    /// `Ip`.
    pub ip: String,
    /// `Port`.
    pub port: Option<u16>,
    /// `Username`.
    pub username: String,
    /// `Password`.
    pub password: Option<Secret>,
    /// `Vendor`.
    pub vendor: String,
    /// `Longitude`.
    pub longitude: String,
    /// `Latitude`.
    pub latitude: String,
    /// `AutoPos`.
    pub auto_pos: bool,
    /// `PosInterval`.
    pub pos_interval: u32,
    /// `AlarmMethod`.
    pub alarm_method: String,
    /// `Params`.
    pub params: String,
}

impl Draft {
    /// A draft with the defaults of the document.
    pub fn new(group: GroupId, kind: Kind, gb_id: GbId) -> Draft {
        Draft {
            group,
            parent: None,
            directory: None,
            name: gb_id.as_str().to_owned(),
            description: String::new(),
            kind,
            auto_start: false,
            gb_id,
            ip: String::new(),
            port: None,
            username: String::new(),
            password: None,
            vendor: String::new(),
            longitude: String::new(),
            latitude: String::new(),
            auto_pos: false,
            pos_interval: 300,
            alarm_method: String::new(),
            params: "{}".to_owned(),
        }
    }
}

/// Which devices are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this group.
    pub group: Option<GroupId>,
    /// With this code.
    pub gb_id: Option<GbId>,
    /// Named so.
    pub name: Option<String>,
    /// Below this platform.
    pub parent: Option<DeviceId>,
    /// In this directory.
    pub directory: Option<DirectoryId>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// In this state.
    pub status: Option<Status>,
}

/// A change of state that is written in a batch: a device came, went or was locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which device.
    pub id: DeviceId,
    /// Its state from now on.
    pub status: Status,
    /// Since when.
    pub at: Time,
    /// The registration that goes with it; `None` leaves what is known.
    pub registration: Option<Registration>,
}

/// `Stats` of a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// `ChannelNum`.
    pub channels: u64,
    /// `StreamNum`.
    pub streams: u64,
    /// `OnlineNum`.
    pub online: u64,
    /// `OfflineNum`.
    pub offline: u64,
    /// `FailedNum`: streams whose start failed.
    pub failed: u64,
}
