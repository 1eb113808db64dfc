//! Streams as an operator manages them; the live ones with their frames are in the registry.

use crate::base::id::{BadName, StreamKey};
use crate::model::group::InProtocol;
use crate::model::id::{ChannelId, DeviceId, GroupId, StreamId, TenantId};
use crate::model::time::Time;
use crate::model::word::words;

words! {
    /// `Status`.
    Status {
        /// Frames come in.
        On = "on",
        /// Nothing comes in.
        Off = "off",
        /// It was asked for and could not be started.
        Failed = "failed",
    }
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// `Id`.
    pub id: StreamId,
    /// Whose it is.
    pub owner: TenantId,
    /// `GroupId`.
    pub group: GroupId,
    /// `DeviceId`; none in an RTMP group.
    pub device: Option<DeviceId>,
    /// The channel that it comes from.
    pub channel: Option<ChannelId>,
    /// `Name`.
    pub name: String,
    /// `App`: its group's.
    pub app: String,
    /// `Protocol`: its group's way in.
    pub protocol: InProtocol,
    /// `ForbidVsStream` was called; `Enabled` is the opposite.
    pub forbidden: bool,
    /// `StartStream` was called, `StopStream` not yet: it is pulled again after every loss.
    pub started: bool,
    /// `Status`.
    pub status: Status,
    /// `StartTime` of the present or last run.
    pub start_time: Option<Time>,
    /// `StopTime` of the last run; none while it is on.
    pub stop_time: Option<Time>,
    /// `CreatedTime`.
    pub created: Time,
}

impl Stream {
    /// Its name on the media plane and in every URL: `{App}/{Id}`. Names are not unique, ids are.
    pub fn key(&self) -> Result<StreamKey, BadName> {
        StreamKey::new(&self.app, &self.id.to_string())
    }
}

/// A stream with the names around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The stream.
    pub stream: Stream,
    /// `ChannelName`.
    pub channel_name: Option<String>,
    /// `DeviceName`.
    pub device_name: Option<String>,
}

/// Which streams are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this group.
    pub group: Option<GroupId>,
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Of this application.
    pub app: Option<String>,
    /// Named so.
    pub name: Option<String>,
    /// In this state.
    pub status: Option<Status>,
    /// Whose last run had not ended before this time.
    pub from: Option<Time>,
    /// Whose last run had begun before this time.
    pub to: Option<Time>,
}

/// A change of state that is written in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which stream.
    pub id: StreamId,
    /// Its state from now on: `On` sets its start time, the others its stop time.
    pub status: Status,
    /// Since when.
    pub at: Time,
}
