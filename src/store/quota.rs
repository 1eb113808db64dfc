//! Quotas of tenants: kept with the tenant, asked where something is made.

use super::error::{Error, Noun, Result};
use super::sql::{Row, sql};
use super::tenant::{TENANT_BY_ID, find, tenant};
use super::{Change, Store, Tx};
use crate::model::id::{TenantId, UserId};
use crate::model::quota::{Quota, What};
use crate::model::tenant::Tenant;

/// What a tenant has in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Possessions {
    /// Groups.
    pub groups: i64,
    /// Devices.
    pub devices: i64,
    /// Bytes of recordings and pictures.
    pub stored: i64,
}

impl Store {
    /// Changes limits of a tenant; `None` takes one away. What is there already stays, however much it is.
    pub async fn set_tenant_quota(&self, user: UserId, changes: Vec<(What, Option<i64>)>) -> Result<Tenant> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.lock("tenant", user.as_str()).await?;
                let tenant = find(tx, &user).await?.ok_or_else(|| Error::not_found(Noun::User, &user))?;
                put(tx, tenant, &changes).await
            })
        })
        .await
    }

    /// What a tenant has now.
    pub async fn possessions(&self, owner: TenantId) -> Result<Possessions> {
        let query = sql("SELECT (SELECT COUNT(*) FROM groups WHERE owner = $1) AS groups_now, \
             (SELECT COUNT(*) FROM devices WHERE owner = $1) AS devices_now, stored FROM tenants WHERE id = $1");
        let row = self.reader().await?.one(query.bind(owner)).await?.ok_or_else(|| Error::not_found(Noun::User, owner))?;
        Ok(Possessions { groups: row.get("groups_now")?, devices: row.get("devices_now")?, stored: row.get("stored")? })
    }

    /// Whether a tenant may store more recordings and pictures; [`Error::Exceeded`] if not. Cheap: meant to be asked before every file.
    pub async fn may_store(&self, owner: TenantId) -> Result<()> {
        let row = self.reader().await?.one(sql("SELECT max_storage, stored FROM tenants WHERE id = $1").bind(owner)).await?;
        let Some(row) = row else { return Ok(()) };
        let quota = Quota::default().with(What::Storage, row.get("max_storage")?);
        Ok(quota.room(What::Storage, row.get("stored")?, 1)?)
    }
}

/// Writes changed limits.
pub(super) async fn put(tx: &mut Tx, tenant: Tenant, changes: &[(What, Option<i64>)]) -> Result<Tenant> {
    let quota = changes.iter().fold(tenant.quota, |quota, (what, limit)| quota.with(*what, *limit));
    if quota != tenant.quota {
        let update = sql("UPDATE tenants SET max_groups = $2, max_devices = $3, max_streams = $4, max_viewers = $5, max_recordings = $6, \
             max_bandwidth = $7, max_storage = $8 WHERE id = $1");
        let update = What::ALL.iter().fold(update.bind(tenant.id), |update, what| update.bind(quota.of(*what)));
        tx.execute(update).await?;
        tx.changed(Change::Tenant(tenant.id));
    }
    Ok(Tenant { quota, ..tenant })
}

/// The limits in a tenant's row.
pub(super) fn read(row: &Row) -> Result<Quota> {
    let mut quota = Quota::default();
    for (what, column) in [
        (What::Groups, "max_groups"),
        (What::Devices, "max_devices"),
        (What::Streams, "max_streams"),
        (What::Viewers, "max_viewers"),
        (What::Recordings, "max_recordings"),
        (What::Bandwidth, "max_bandwidth"),
        (What::Storage, "max_storage"),
    ] {
        quota = quota.with(what, row.get(column)?);
    }
    Ok(quota)
}

/// Whether a tenant may make one more group or device; others that make one for it wait until this transaction is over.
pub(super) async fn room(tx: &mut Tx, owner: TenantId, what: What) -> Result<()> {
    let Some(row) = tx.one(sql(TENANT_BY_ID).bind(owner)).await? else { return Ok(()) };
    let quota = tenant(row)?.quota;
    if quota.of(what).is_none() {
        return Ok(());
    }
    tx.lock("quota", &owner.to_string()).await?;
    let count = match what {
        What::Devices => "SELECT COUNT(*) AS n FROM devices WHERE owner = $1",
        _ => "SELECT COUNT(*) AS n FROM groups WHERE owner = $1",
    };
    let used = tx.number(sql(count).bind(owner)).await?;
    Ok(quota.room(what, used, 1)?)
}
