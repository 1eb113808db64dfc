//! Quotas of tenants: what each may have at most, and what it has. The operator sets them; a tenant sees its own.

use super::action::{Action, Who};
use super::context::Context;
use super::error::Error;
use super::param::Patch;
use super::plane::Media;
use super::value::Int;
use crate::model::id::{TenantId, UserId};
use crate::model::quota::What;
use crate::model::tenant::{Scope, Tenant};
use crate::stream::tally::Tally;
use crate::{action, actions, reply};

actions!["Quotas", "配额": SetTenantQuota, DescribeTenantQuota];

/// A limit, as large as anybody can want; -1 is none.
pub type Limit = Int<-1, 1_000_000_000_000_000_000>;

action! {
    /// Limits what a tenant may have. A limit that is not given stays, -1 or nothing takes it away. What is there already stays;
    /// what comes beyond a limit is refused. What is counted at once (streams, players, recordings, bandwidth) is counted by each
    /// server for itself.
    /// zh: 设置租户配额。未传的不变，传-1或空则取消限制；已有的不受影响，超出的将被拒绝。并发类配额（流、播放、录制、带宽）按单台服务器统计。
    pub struct SetTenantQuota {
        /// The tenant's id.
        /// zh: 用户ID。
        "UserId" user: UserId,
        /// Most groups.
        /// zh: 空间数上限。
        "Groups" groups: Patch<Limit>,
        /// Most devices in all groups.
        /// zh: 设备数上限（全部空间）。
        "Devices" devices: Patch<Limit>,
        /// Most streams that are sent at once, by pushes and by devices.
        /// zh: 并发接入流数上限（推流与设备取流）。
        "Streams" streams: Patch<Limit>,
        /// Most players at once.
        /// zh: 并发播放人数上限。
        "Viewers" viewers: Patch<Limit>,
        /// Most streams that are recorded at once.
        /// zh: 并发录制路数上限。
        "Recordings" recordings: Patch<Limit>,
        /// Most bits a second that players take: the rate of each stream, as often as it is played.
        /// zh: 播放带宽上限，单位bit/s（按各流码率与播放人数计算）。
        "Bandwidth" bandwidth: Patch<Limit>,
        /// Most bytes of recordings and pictures that are kept. A file that was begun is finished.
        /// zh: 录像与截图存储上限，单位B；已开始的文件会写完。
        "Storage" storage: Patch<Limit>,
    }
}

action! {
    /// Tells what a tenant may have at most, and what it has now.
    /// zh: 查询租户配额与当前用量。
    pub struct DescribeTenantQuota {
        /// The tenant's id; the caller's own where it is not given.
        /// zh: 用户ID，不传为调用者自身。
        "UserId" user: Option<UserId>,
    }
}

reply! {
    /// A tenant's quotas.
    pub struct Quotas {
        /// The tenant's id.
        /// zh: 用户ID。
        "UserId" user: String,
        /// One row for each kind.
        /// zh: 配额列表。
        "Quotas" quotas: Vec<Row>,
    }
}

reply! {
    /// One quota.
    pub struct Row {
        /// What is limited: Groups, Devices, Streams, Viewers, Recordings, Bandwidth or Storage.
        /// zh: 配额项：Groups、Devices、Streams、Viewers、Recordings、Bandwidth、Storage。
        "Name" name: String,
        /// How much there may be; -1 without a limit.
        /// zh: 上限，-1为不限。
        "Limit" limit: i64,
        /// How much there is now.
        /// zh: 当前用量。
        "Used" used: i64,
    }
}

impl Action for SetTenantQuota {
    type Reply = Quotas;
    const WHO: Who = Who::Operator;

    async fn run(self, cx: &Context) -> Result<Quotas, Error> {
        let changes = changes([
            (What::Groups, self.groups),
            (What::Devices, self.devices),
            (What::Streams, self.streams),
            (What::Viewers, self.viewers),
            (What::Recordings, self.recordings),
            (What::Bandwidth, self.bandwidth),
            (What::Storage, self.storage),
        ]);
        let tenant = cx.store().set_tenant_quota(self.user, changes).await?;
        cx.book().forget();
        show(cx, tenant).await
    }
}

impl Action for DescribeTenantQuota {
    type Reply = Quotas;

    async fn run(self, cx: &Context) -> Result<Quotas, Error> {
        let own = cx.key().user.clone();
        let user = self.user.unwrap_or_else(|| own.clone());
        if cx.scope() != Scope::Operator && user != own {
            return Err(Error::not_found("User", user.as_str()));
        }
        show(cx, cx.store().tenant(&user).await?).await
    }
}

/// The limits that a call gives.
pub fn changes<const N: usize>(given: [(What, Patch<Limit>); N]) -> Vec<(What, Option<i64>)> {
    let change = |(what, limit)| match limit {
        Patch::Keep => None,
        Patch::Clear | Patch::Set(Int(-1)) => Some((what, None)),
        Patch::Set(Int(limit)) => Some((what, Some(limit))),
    };
    given.into_iter().filter_map(change).collect()
}

async fn show(cx: &Context, tenant: Tenant) -> Result<Quotas, Error> {
    let there = cx.store().possessions(tenant.id).await?;
    let row = |what: What| {
        let used = match what {
            What::Groups => there.groups,
            What::Devices => there.devices,
            What::Storage => there.stored,
            What::Bandwidth => bandwidth(cx.media(), cx.tally(), tenant.id),
            What::Streams | What::Viewers | What::Recordings => cx.tally().count(tenant.id, what),
        };
        Row { name: what.name().to_owned(), limit: tenant.quota.of(what).unwrap_or(-1), used }
    };
    Ok(Quotas { user: tenant.user.to_string(), quotas: What::ALL.map(row).into() })
}

/// The bits a second that a tenant's players take now: the measured rate of each stream, as often as it is played.
pub fn bandwidth(media: &dyn Media, tally: &Tally, owner: TenantId) -> i64 {
    let rate = |(key, players): (_, i64)| {
        let rate = media.live(&key).map_or(0, |live| i64::try_from(live.bit_rate).unwrap_or(i64::MAX));
        rate.saturating_mul(players)
    };
    tally.streams(owner, What::Viewers).into_iter().map(rate).fold(0, i64::saturating_add)
}
