//! Charging: what each tenant used over a range of time; the operator sees all tenants, others themselves.

use super::action::Action;
use super::context::Context;
use super::error::Error;
use super::series::{self, DAY, FIVE_MINUTES, Range, Whose};
use super::value::Way;
use crate::model::device;
use crate::model::page::{Page, Sort};
use crate::model::tenant::{Scope, Status, Tenant};
use crate::model::time::Time;
use crate::model::usage::Sums;
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

/// One row a tenant, made from what it counted every five minutes.
async fn charge(cx: &Context, from: Time, to: Time, usage: impl Fn(&[(Time, Sums)]) -> String) -> Result<Usages, Error> {
    let range = Range::new(from, to, MOST)?;
    let mut rows = Vec::new();
    for tenant in tenants(cx).await? {
        let whose = Whose { scope: Scope::Tenant(tenant.id), group: None, stream: None };
        let points = series::sums(cx.store(), whose, range, FIVE_MINUTES).await?;
        rows.push(Usage { user: tenant.user.to_string(), usage: usage(&points) });
    }
    Ok(Usages { rows })
}

fn bytes(way: Way, sums: &Sums) -> i64 {
    match way {
        Way::Up => sums.bytes_in,
        Way::Down => sums.bytes_out,
    }
}

impl Action for QueryChargingBpsMaxUsage {
    type Reply = Usages;

    async fn run(self, cx: &Context) -> Result<Usages, Error> {
        let most = |points: &[(Time, Sums)]| {
            let highest = points.iter().map(|(_, sums)| bytes(self.way, sums)).max().unwrap_or_default();
            series::decimal(highest as f64 * 8.0 / FIVE_MINUTES as f64)
        };
        charge(cx, self.from, self.to, most).await
    }
}

impl Action for QueryChargingTrafficTotalUsage {
    type Reply = Usages;

    async fn run(self, cx: &Context) -> Result<Usages, Error> {
        let total = |points: &[(Time, Sums)]| points.iter().map(|(_, sums)| bytes(self.way, sums)).sum::<i64>().to_string();
        charge(cx, self.from, self.to, total).await
    }
}

impl Action for QueryChargingDevicesOnlineMaxNum {
    type Reply = Usages;

    /// The devices that are online now, where the range holds now: past peaks are the ledger's.
    async fn run(self, cx: &Context) -> Result<Usages, Error> {
        let range = Range::new(self.from, self.to, MOST)?;
        let now = range.from.as_secs() <= cx.now() && cx.now() < range.to.as_secs();
        let mut rows = Vec::new();
        for tenant in tenants(cx).await? {
            let filter = device::Filter { status: Some(device::Status::On), ..device::Filter::default() };
            let online = match now {
                true => cx.store().devices(Scope::Tenant(tenant.id), filter, &Sort::default(), Page::new(1, 1)).await?.total,
                false => 0,
            };
            rows.push(Usage { user: tenant.user.to_string(), usage: online.to_string() });
        }
        Ok(Usages { rows })
    }
}

impl Action for QueryChargingRecordMaxNum {
    type Reply = Usages;

    async fn run(self, cx: &Context) -> Result<Usages, Error> {
        let most = |points: &[(Time, Sums)]| {
            // A stream that is stored in several formats is recorded once.
            let at_once = |sums: &Sums| series::at_once(sums.mp4_ms.max(sums.flv_ms).max(sums.hls_ms), FIVE_MINUTES);
            points.iter().map(|(_, sums)| at_once(sums)).max().unwrap_or_default().to_string()
        };
        charge(cx, self.from, self.to, most).await
    }
}

impl Action for QueryChargingScreenshotTotal {
    type Reply = Usages;

    async fn run(self, cx: &Context) -> Result<Usages, Error> {
        let total = |points: &[(Time, Sums)]| points.iter().map(|(_, sums)| sums.snapshots).sum::<i64>().to_string();
        charge(cx, self.from, self.to, total).await
    }
}
