//! Where devices were.

use crate::model::id::{DeviceId, GbId, GroupId, TenantId};
use crate::model::time::Time;

/// A position that a device told (WGS-84 by the standard).
#[derive(Debug, Clone, PartialEq)]
pub struct Fix {
    /// Whose device.
    pub owner: TenantId,
    /// Its group.
    pub group: GroupId,
    /// The device that told it.
    pub device: DeviceId,
    /// What was there: the device, or one of its channels.
    pub gb_id: GbId,
    /// Degrees.
    pub longitude: f64,
    /// Degrees.
    pub latitude: f64,
    /// km/h, where told.
    pub speed: Option<f64>,
    /// Degrees from north, where told.
    pub direction: Option<f64>,
    /// Metres, where told.
    pub altitude: Option<f64>,
    /// When.
    pub at: Time,
}

/// Which positions are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this channel, or of the device itself.
    pub gb_id: Option<GbId>,
    /// Not before.
    pub from: Option<Time>,
    /// Before.
    pub to: Option<Time>,
}
