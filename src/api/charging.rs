//! Charging: what each tenant used over a range of time; the operator sees all tenants, others themselves.

use super::action::Action;
use super::context::Context;
use super::error::Error;
use super::series::{self, DAY, FIVE_MINUTES, Range};
use super::value::Way;
use crate::model::tenant::{Scope, Status, Tenant};
use crate::model::time::Time;
use crate::model::usage::Total;
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
        "Datas" & "datas" rows: Vec<Usage>,
    }
}

reply! {
    /// What a tenant used.
    pub struct Usage {
        /// The tenant.
        /// zh: 用户ID。
        "UserId" & "Userid" user: String,
        /// How much.
        /// zh: 用量。
        "Usage" usage: String,
    }
}

/// The longest range that is charged at once, in seconds.
const MOST: i64 = 366 * DAY;

/// The tenants that the caller sees: the operator all, others themselves.
async fn tenants(cx: &Context) -> Result<Vec<Tenant>, Error> {
    match cx.scope() {
        Scope::Operator => Ok(cx.store().tenants().await?.into_iter().filter(|t| t.status != Status::NotOpened).collect()),
        Scope::Tenant(id) => Ok(vec![cx.store().tenant_by_id(id).await?]),
    }
}

/// One row a tenant, made from what it used in the range.
async fn charge(cx: &Context, from: Time, to: Time, usage: impl Fn(&Total) -> String) -> Result<Usages, Error> {
    let range = Range::new(from, to, MOST)?;
    let mut rows = Vec::new();
    for tenant in tenants(cx).await? {
        let total = series::whole(cx.store(), tenant.id, range).await?;
        rows.push(Usage { user: tenant.user.to_string(), usage: usage(&total) });
    }
    Ok(Usages { rows })
}

macro_rules! charged {
    ($($action:ident: |$this:ident, $total:ident| $usage:expr;)+) => {$(
        impl Action for $action {
            type Reply = Usages;

            async fn run(self, cx: &Context) -> Result<Usages, Error> {
                let $this = &self;
                charge(cx, self.from, self.to, |$total| $usage).await
            }
        }
    )+};
}
charged! {
    QueryChargingBpsMaxUsage: |this, total| {
        let highest = match this.way {
            Way::Up => total.top_in,
            Way::Down => total.top_out,
        };
        series::decimal(highest as f64 * 8.0 / FIVE_MINUTES as f64)
    };
    QueryChargingTrafficTotalUsage: |this, total| match this.way {
        Way::Up => total.sums.bytes_in.to_string(),
        Way::Down => total.sums.bytes_out.to_string(),
    };
    QueryChargingDevicesOnlineMaxNum: |_this, total| total.peaks.devices.most.to_string();
    QueryChargingRecordMaxNum: |_this, total| total.peaks.recordings.most.to_string();
    QueryChargingScreenshotTotal: |_this, total| total.sums.snapshots.to_string();
}
