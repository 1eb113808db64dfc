//! Alarms that devices reported.

use crate::model::id::{AlarmId, DeviceId, GbId, GroupId, TenantId};
use crate::model::time::Time;

/// An alarm, as GB/T 28181-2016 9.4 reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The row; the store gives it.
    pub id: AlarmId,
    /// Whose device.
    pub owner: TenantId,
    /// Its group.
    pub group: GroupId,
    /// The device that reported it.
    pub device: DeviceId,
    /// The code that it names: a channel, an alarm input or the device.
    pub gb_id: GbId,
    /// `AlarmMethod`: 1 telephone, 2 device, 3 SMS, 4 GPS, 5 video, 6 failure, 7 other.
    pub method: u8,
    /// `AlarmType`.
    pub kind: Option<i64>,
    /// `AlarmPriority`: 1 to 4.
    pub priority: String,
    /// `AlarmDescription`.
    pub description: String,
    /// `AlarmTime`.
    pub at: Time,
}
