//! Tenants: opening, suspending, renewing and closing their service. The operator's alone.

use super::action::{Action, Who};
use super::context::Context;
use super::cut;
use super::error::Error;
use super::param::Patch;
use super::quota::{self, Limit};
use super::reply::Done;
use super::value::AccessInfo;
use crate::model::id::UserId;
use crate::model::quota::What;
use crate::model::tenant;
use crate::store;
use crate::{action, actions, reply};

actions!["Tenants", "订购": CreateMtsService, SuspendMtsService, RenewMtsService, DeleteMtsService, GetMtsServiceStatus];

action! {
    /// Opens the service for a tenant and gives it a key, whose secret is told this once. Quotas may be given at once; see
    /// SetTenantQuota.
    /// zh: 创建服务，返回用户密钥（密钥仅此一次返回）；可同时设置配额，参见SetTenantQuota。
    pub struct CreateMtsService {
        /// The key pair of the tenant's buckets.
        /// zh: 对象存储密钥对信息。
        "AccessInfo" access: AccessInfo,
        /// The tenant's id.
        /// zh: 用户ID。
        "UserId" user: UserId,
        /// Most groups.
        /// zh: 空间数上限。
        "Groups" groups: Patch<Limit>,
        /// Most devices in all groups.
        /// zh: 设备数上限（全部空间）。
        "Devices" devices: Patch<Limit>,
        /// Most streams that are sent at once.
        /// zh: 并发接入流数上限。
        "Streams" streams: Patch<Limit>,
        /// Most players at once.
        /// zh: 并发播放人数上限。
        "Viewers" viewers: Patch<Limit>,
        /// Most streams that are recorded at once.
        /// zh: 并发录制路数上限。
        "Recordings" recordings: Patch<Limit>,
        /// Most bits a second that players take.
        /// zh: 播放带宽上限，单位bit/s。
        "Bandwidth" bandwidth: Patch<Limit>,
        /// Most bytes of recordings and pictures that are kept.
        /// zh: 录像与截图存储上限，单位B。
        "Storage" storage: Patch<Limit>,
    }
}

reply! {
    /// A new tenant's key.
    pub struct NewTenant {
        /// The tenant's id.
        /// zh: 用户ID。
        "UserId" user: String,
        /// The id of its key.
        /// zh: 用户密钥KeyID。
        "UserAccessKeyId" key_id: String,
        /// The secret of its key.
        /// zh: 用户密钥KeySecret。
        "UserAccessKeySecret" secret: String,
    }
}

action! {
    /// Suspends a tenant: its calls, pushes, plays and pulls are cut.
    /// zh: 暂停服务。
    pub struct SuspendMtsService {
        /// The tenant's id.
        /// zh: 用户ID。
        "UserId" user: UserId,
    }
}

action! {
    /// Restores a suspended tenant.
    /// zh: 恢复服务。
    pub struct RenewMtsService {
        /// The tenant's id.
        /// zh: 用户ID。
        "UserId" user: UserId,
    }
}

action! {
    /// Closes a tenant's service for good.
    /// zh: 删除服务。
    pub struct DeleteMtsService {
        /// The tenant's id.
        /// zh: 用户ID。
        "UserId" user: UserId,
    }
}

action! {
    /// Tells what a tenant's service is in.
    /// zh: 获取服务状态。
    pub struct GetMtsServiceStatus {
        /// The tenant's id.
        /// zh: 用户ID。
        "UserId" user: UserId,
    }
}

reply! {
    /// What a tenant's service is in.
    pub struct Status {
        /// 0 never opened, 1 suspended, 2 active, 3 deleted.
        /// zh: 服务状态：0未开通，1暂停，2已开通，3删除。
        "Status" status: i64,
    }
}

impl Action for CreateMtsService {
    type Reply = NewTenant;
    const WHO: Who = Who::Operator;

    async fn run(self, cx: &Context) -> Result<NewTenant, Error> {
        let limits = quota::changes([
            (What::Groups, self.groups),
            (What::Devices, self.devices),
            (What::Streams, self.streams),
            (What::Viewers, self.viewers),
            (What::Recordings, self.recordings),
            (What::Bandwidth, self.bandwidth),
            (What::Storage, self.storage),
        ]);
        let (tenant, key) = cx.store().create_tenant_with(self.user, limits).await?;
        cx.store().put_bucket_key(tenant.id, "", "", &self.access.into()).await?;
        Ok(NewTenant { user: tenant.user.to_string(), key_id: key.id, secret: key.secret.0 })
    }
}

impl Action for SuspendMtsService {
    type Reply = Done;
    const WHO: Who = Who::Operator;

    async fn run(self, cx: &Context) -> Result<Done, Error> {
        set(cx, self.user, tenant::Status::Suspended).await
    }
}

impl Action for RenewMtsService {
    type Reply = Done;
    const WHO: Who = Who::Operator;

    async fn run(self, cx: &Context) -> Result<Done, Error> {
        set(cx, self.user, tenant::Status::Active).await
    }
}

impl Action for DeleteMtsService {
    type Reply = Done;
    const WHO: Who = Who::Operator;

    async fn run(self, cx: &Context) -> Result<Done, Error> {
        set(cx, self.user, tenant::Status::Deleted).await
    }
}

impl Action for GetMtsServiceStatus {
    type Reply = Status;
    const WHO: Who = Who::Operator;

    async fn run(self, cx: &Context) -> Result<Status, Error> {
        match cx.store().tenant(&self.user).await {
            Ok(tenant) => Ok(Status { status: tenant.status.number() }),
            Err(store::Error::NotFound { .. }) => Ok(Status { status: tenant::Status::NotOpened.number() }),
            Err(error) => Err(error.into()),
        }
    }
}

async fn set(cx: &Context, user: UserId, status: tenant::Status) -> Result<Done, Error> {
    let tenant = cx.store().set_tenant_status(user, status).await?;
    cx.book().forget();
    if status != tenant::Status::Active {
        cut::tenant(cx, tenant.id, "the service of its owner is not open").await;
    }
    Ok(Done {})
}
