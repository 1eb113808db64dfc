//! Figures for those who watch over a server: how much there is of everything, and which tenants.

use super::action::{Action, Who};
use super::context::Context;
use super::error::Error;
use super::value::{PageNum, PageSize};
use super::view;
use crate::model::device;
use crate::model::group;
use crate::model::page::{Page, Paged, Sort};
use crate::model::stream::{self, Status};
use crate::model::time::Time;
use crate::store::AlarmFilter;
use crate::{action, actions, page_reply, reply};

actions!["Overview", "总览": DescribeOverview, DescribeTenants];

/// The time over which alarms are counted.
const DAY_SECS: i64 = 86_400;

action! {
    /// Counts what there is now: groups, devices, streams, players, bits a second, alarms of the last day.
    /// zh: 查询总览数据：空间、设备、流、播放人数、码率及近24小时报警数。
    pub struct DescribeOverview {}
}

reply! {
    /// How much there is of everything.
    pub struct Overview {
        /// Groups.
        /// zh: 空间数。
        "GroupNum" groups: u64,
        /// Devices.
        /// zh: 设备总数。
        "DeviceNum" devices: u64,
        /// Devices that are registered now.
        /// zh: 在线设备数。
        "OnlineDeviceNum" online: u64,
        /// Streams.
        /// zh: 流总数。
        "StreamNum" streams: u64,
        /// Streams that are being sent now.
        /// zh: 在线流数。
        "OnlineStreamNum" live: u64,
        /// Players now.
        /// zh: 当前播放人数。
        "ViewerNum" viewers: u64,
        /// Bits a second that the streams bring.
        /// zh: 上行码率，单位bit/s。
        "InBps" bps_in: u64,
        /// Bits a second that players take: each stream's rate, as often as it is played.
        /// zh: 下行码率，单位bit/s。
        "OutBps" bps_out: u64,
        /// Alarms of the last 24 hours.
        /// zh: 近24小时报警数。
        "AlarmNum" alarms: u64,
    }
}

action! {
    /// Lists the tenants with their keys; secrets are not told.
    /// zh: 查询租户列表及其密钥ID（不返回密钥Secret）。
    pub struct DescribeTenants {
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of tenants.
    Tenants "Tenants" of Tenant
}

reply! {
    /// A tenant.
    pub struct Tenant {
        /// Its id.
        /// zh: 用户ID。
        "UserId" user: String,
        /// What its service is in: 1 suspended, 2 active, 3 deleted.
        /// zh: 服务状态：1暂停，2已开通，3删除。
        "Status" status: i64,
        /// When it was opened.
        /// zh: 开通时间。
        "CreatedTime" created: String,
        /// The ids of its keys.
        /// zh: 密钥KeyID列表。
        "AccessKeyIds" keys: Vec<String>,
    }
}

impl Action for DescribeOverview {
    type Reply = Overview;

    async fn run(self, cx: &Context) -> Result<Overview, Error> {
        let (store, scope, sort, page) = (cx.store(), cx.scope(), Sort::default(), Page::new(1, 1));
        let online = device::Filter { status: Some(device::Status::On), ..device::Filter::default() };
        let live = stream::Filter { status: Some(Status::On), ..stream::Filter::default() };
        let since = Time::from_secs(cx.now().saturating_sub(DAY_SECS));
        let alarms = AlarmFilter { from: Some(since), ..AlarmFilter::default() };
        let mut overview = Overview {
            groups: store.groups(scope, group::Filter::default(), &sort, page).await?.total,
            devices: store.devices(scope, device::Filter::default(), &sort, page).await?.total,
            online: store.devices(scope, online, &sort, page).await?.total,
            streams: store.streams(scope, stream::Filter::default(), &sort, page).await?.total,
            live: store.streams(scope, live, &sort, page).await?.total,
            viewers: 0,
            bps_in: 0,
            bps_out: 0,
            alarms: store.alarms(scope, alarms, page).await?.total,
        };
        for live in cx.media().list() {
            // Streams that the API does not know are the operator's.
            let seen = match scope {
                crate::model::tenant::Scope::Operator => true,
                scope => cx.book().row(&live.key).await?.is_some_and(|row| scope.sees(row.owner)),
            };
            if seen {
                overview.viewers += u64::from(live.viewers);
                overview.bps_in = overview.bps_in.saturating_add(live.bit_rate);
                overview.bps_out = overview.bps_out.saturating_add(live.bit_rate.saturating_mul(u64::from(live.viewers)));
            }
        }
        Ok(overview)
    }
}

impl Action for DescribeTenants {
    type Reply = Tenants;
    const WHO: Who = Who::Operator;

    async fn run(self, cx: &Context) -> Result<Tenants, Error> {
        let page = view::page(self.page_size, self.page_num);
        let all = cx.store().tenants().await?;
        let total = all.len() as u64;
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        for tenant in all.into_iter().skip(skip).take(page.size() as usize) {
            let keys = cx.store().access_keys(tenant.id).await?;
            items.push(Tenant {
                user: tenant.user.to_string(),
                status: tenant.status.number(),
                created: tenant.created.to_string(),
                keys: keys.into_iter().map(|key| key.id).collect(),
            });
        }
        Ok(Paged { items, total, page }.into())
    }
}
