//! Charging: what each tenant used over a range of time; the operator sees all tenants, others themselves.

use super::value::Way;
use crate::model::time::Time;
use crate::{action, actions, reply};

actions![
    "Charging", "计费用量": QueryChargingBpsMaxUsage, QueryChargingTrafficTotalUsage, QueryChargingDevicesOnlineMaxNum,
    QueryChargingRecordMaxNum, QueryChargingScreenshotTotal
];

action! {
    /// Tells the highest bandwidth, as the mean of five minutes, in bits a second.
    /// zh: 查询带宽峰值，单位bps。
    pub struct QueryChargingBpsMaxUsage {
        /// What came in (up) or what went out (down).
        /// zh: 统计类型：up上行，down下行。
        "Type" way: Way,
        /// Where the range begins.
        /// zh: 起始时间。
        "StartTime" from: Time,
        /// Where it ends; must lie behind StartTime.
        /// zh: 结束时间，需大于起始时间。
        "EndTime" to: Time,
    }
}

action! {
    /// Tells the traffic in all, in bytes.
    /// zh: 查询流量总量，单位B。
    pub struct QueryChargingTrafficTotalUsage {
        /// What came in (up) or what went out (down).
        /// zh: 统计类型：up上行，down下行。
        "Type" way: Way,
        /// Where the range begins.
        /// zh: 起始时间。
        "StartTime" from: Time,
        /// Where it ends; must lie behind StartTime.
        /// zh: 结束时间，需大于起始时间。
        "EndTime" to: Time,
    }
}

macro_rules! range_action {
    ($($(#[doc = $doc:literal])+ $name:ident)+) => {$(
        action! {
            $(#[doc = $doc])+
            pub struct $name {
                /// Where the range begins.
                /// zh: 起始时间。
                "StartTime" from: Time,
                /// Where it ends; must lie behind StartTime.
                /// zh: 结束时间，需大于起始时间。
                "EndTime" to: Time,
            }
        }
    )+};
}
range_action! {
    /// Tells the most devices that were online at once.
    /// zh: 查询在线设备峰值，单位台。
    QueryChargingDevicesOnlineMaxNum
    /// Tells the most streams that were recorded at once.
    /// zh: 查询录制路数并发峰值，单位路。
    QueryChargingRecordMaxNum
    /// Tells how many pictures were taken.
    /// zh: 查询截图总张数，单位张。
    QueryChargingScreenshotTotal
}

reply! {
    /// What the tenants used.
    pub struct Usages {
        /// One row a tenant.
        /// zh: 数据信息。
        "Datas" also "datas" rows: Vec<Usage>,
    }
}

reply! {
    /// What a tenant used.
    pub struct Usage {
        /// The tenant.
        /// zh: 用户ID。
        "UserId" also "Userid" user: String,
        /// How much.
        /// zh: 用量。
        "Usage" usage: String,
    }
}
