//! Channels: the cameras behind a device, as its catalog names them.

use crate::model::device;
use crate::model::id::{ChannelId, DeviceId, DirectoryId, GbId, GroupId, StreamId, TenantId};
use crate::model::stream;
use crate::model::word::words;
use serde::{Deserialize, Serialize};

words! {
    /// What a channel is to us.
    State {
        /// In the catalog.
        Active = "active",
        /// It was in the catalog and is no longer; it comes back with its ids when the catalog names it again.
        Retired = "retired",
        /// An operator deleted it; it comes back only with `RefreshChannels`.
        Deleted = "deleted",
    }
}

/// What a catalog tells about a channel beside its name; absent and unknown fields are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// `Manufacturer`.
    pub manufacturer: String,
    /// `Model`.
    pub model: String,
    /// `Owner`.
    pub owner: String,
    /// `CivilCode`.
    pub civil_code: String,
    /// `Address`.
    pub address: String,
    /// `IPAddress`.
    pub ip: String,
    /// `Port`.
    pub port: Option<u16>,
    /// `PTZType`.
    pub ptz_type: Option<u8>,
    /// `Longitude`.
    pub longitude: String,
    /// `Latitude`.
    pub latitude: String,
    /// `Resolution`.
    pub resolution: String,
    /// `StreamNumberList`.
    pub streams: String,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// `Id`.
    pub id: ChannelId,
    /// Whose it is.
    pub owner: TenantId,
    /// Its device's group.
    pub group: GroupId,
    /// `DeviceId`.
    pub device: DeviceId,
    /// `GbId`.
    pub gb_id: GbId,
    /// `Name`.
    pub name: String,
    /// `StreamId`.
    pub stream: StreamId,
    /// Where it stands in the platform's tree.
    pub directory: Option<DirectoryId>,
    /// The code that it names as its parent.
    pub parent_code: String,
    /// Whether the catalog says that it is on.
    pub online: bool,
    /// What it is to us.
    pub state: State,
    /// The rest of its catalog item.
    pub info: Info,
}

/// A channel as `DescribeDeviceChannels` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The channel.
    pub channel: Channel,
    /// `StreamStatus`.
    pub stream_status: stream::Status,
    /// `DeviceStatus`.
    pub device_status: device::Status,
}

/// Which channels of a device are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whose stream is in this state.
    pub status: Option<stream::Status>,
    /// Whose name holds this text, in either letter case.
    pub name: Option<String>,
    /// In this directory.
    pub directory: Option<DirectoryId>,
    /// Which the catalog says are on, or off.
    pub online: Option<bool>,
}

/// One item of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `DeviceID`.
    pub gb_id: GbId,
    /// `Name`.
    pub name: String,
    /// Code of the directory that it stands in, of those in [`Catalog::directories`]; empty: none.
    pub directory: String,
    /// `ParentID`, reduced to one code; empty: the device itself.
    pub parent_code: String,
    /// `Status`.
    pub online: bool,
    /// The rest.
    pub info: Info,
}

/// A directory of a platform's catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its code.
    pub code: String,
    /// The code of the directory above; empty, unknown or in a circle: it stands at the top.
    pub parent: String,
    /// `Name`.
    pub name: String,
}

/// A catalog, whole or a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Channels.
    pub items: Vec<Item>,
    /// Directories of a platform.
    pub directories: Vec<Branch>,
    /// It is all there is: what it does not name retires.
    pub complete: bool,
    /// An operator asked for it: what was deleted comes back if it names it.
    pub revive: bool,
}

/// What a catalog changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Synced {
    /// Channels that are new.
    pub created: u64,
    /// Channels that were known and are in the catalog.
    pub updated: u64,
    /// Channels that it no longer names.
    pub retired: u64,
    /// Channels that it names and an operator deleted.
    pub skipped: u64,
}
