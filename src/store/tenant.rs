//! Tenants, their access keys and the keys of their buckets.

use super::error::{Error, Noun, Result};
use super::seal::random;
use super::sql::{Row, sql};
use super::{Change, Store, Tx, quota};
use crate::base::pii::Secret;
use crate::model::id::{TenantId, UserId};
use crate::model::quota::{Quota, What};
use crate::model::tenant::{AccessKey, BucketKey, OPERATOR, Status, Tenant};
use crate::model::time::Time;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// A query of tenants.
macro_rules! tenant {
    ($tail:literal) => {
        concat!(
            "SELECT id, user_id, status, created, max_groups, max_devices, max_streams, max_viewers, max_recordings, max_bandwidth, \
             max_storage FROM tenants",
            $tail
        )
    };
}

/// Access keys that were asked for, so that a signed request costs no query.
#[derive(Default)]
pub(super) struct Keys(RwLock<HashMap<String, (Arc<AccessKey>, Time)>>);

/// How long another server's change to a tenant may go unseen.
const FRESH_MS: i64 = 5_000;
/// Keys that are kept at most.
const KEPT: usize = 100_000;

impl Keys {
    pub(super) fn forget(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn find(&self, id: &str, now: Time) -> Option<Arc<AccessKey>> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(id).filter(|(_, at)| (0..FRESH_MS).contains(&(now.0 - at.0))).map(|(key, _)| key.clone())
    }

    fn keep(&self, key: Arc<AccessKey>, now: Time) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEPT {
            keys.clear();
        }
        keys.insert(key.id.clone(), (key, now));
    }
}

const KEY: &str =
    "SELECT k.id, k.secret, k.owner, k.root, k.created, t.user_id, t.status FROM access_keys k JOIN tenants t ON t.id = k.owner";

impl Store {
    /// The operator's key. Given one, it becomes the only one. Given none, the one that there is stays, or, at the first start,
    /// one is made; then it is returned with its secret, which is shown nowhere else.
    pub async fn root_key(&self, given: Option<(String, Secret)>) -> Result<(AccessKey, bool)> {
        let (store, now) = (self.clone(), self.now());
        let (id, made) = self
            .write(move |tx| {
                Box::pin(async move {
                    tx.lock("weir", "root key").await?;
                    let known = tx.one(sql("SELECT id FROM access_keys WHERE root = 1 ORDER BY created, id")).await?;
                    let (id, secret, made) = match (given, known) {
                        (Some((id, secret)), _) => {
                            let other = sql("SELECT id FROM access_keys WHERE id = $1 AND root = 0").bind(&id);
                            if tx.one(other).await?.is_some() {
                                return Err(Error::exists(Noun::AccessKey, "access_key_id", id));
                            }
                            tx.execute(sql("DELETE FROM access_keys WHERE root = 1")).await?;
                            (id, secret, false)
                        }
                        (None, Some(row)) => return Ok((row.get("id")?, false)),
                        (None, None) => (hex::encode(random::<8>()?), Secret(hex::encode(random::<16>()?)), true),
                    };
                    store.insert_key(tx, &id, &secret, OPERATOR, true, now).await?;
                    Ok((id, made))
                })
            })
            .await?;
        let key = self.access_key(&id).await?.ok_or_else(|| Error::not_found(Noun::AccessKey, &id))?;
        Ok((AccessKey::clone(&key), made))
    }

    async fn insert_key(&self, tx: &mut Tx, id: &str, secret: &Secret, owner: TenantId, root: bool, now: Time) -> Result<()> {
        let sealed = self.0.sealer.seal(&key_place(id), secret)?;
        let insert = sql("INSERT INTO access_keys (id, owner, secret, root, created) VALUES ($1, $2, $3, $4, $5)");
        tx.execute(insert.bind(id).bind(owner).bind(sealed).bind(root).bind(now)).await?;
        tx.changed(Change::Tenant(owner));
        Ok(())
    }

    /// The access key of this id, with its secret; `None`: there is none. Cheap: meant to be asked for every request.
    pub async fn access_key(&self, id: &str) -> Result<Option<Arc<AccessKey>>> {
        let now = self.now();
        if let Some(key) = self.0.keys.find(id, now) {
            return Ok(Some(key));
        }
        let row = self.reader().await?.one(super::sql::Sql::built(format!("{KEY} WHERE k.id = $1"), vec![id.into()])).await?;
        let Some(row) = row else { return Ok(None) };
        let key = Arc::new(self.key(&row)?);
        self.0.keys.keep(key.clone(), now);
        Ok(Some(key))
    }

    /// All keys of a tenant, oldest first.
    pub async fn access_keys(&self, tenant: TenantId) -> Result<Vec<AccessKey>> {
        let text = format!("{KEY} WHERE k.owner = $1 ORDER BY k.created, k.id");
        let rows = self.reader().await?.all(super::sql::Sql::built(text, vec![tenant.into()])).await?;
        rows.iter().map(|row| self.key(row)).collect()
    }

    fn key(&self, row: &Row) -> Result<AccessKey> {
        let id: String = row.get("id")?;
        Ok(AccessKey {
            secret: self.0.sealer.open(&key_place(&id), &row.get::<String>("secret")?)?,
            id,
            tenant: row.get("owner")?,
            user: row.parse("user_id")?,
            status: Status::from_number(row.get("status")?),
            root: row.get("root")?,
            created: row.get("created")?,
        })
    }

    /// Opens a tenant and gives it a key. One that was deleted is opened again, with a new key and what it had; one that is open
    /// or suspended [`Exists`](Error::Exists).
    pub async fn create_tenant(&self, user: UserId) -> Result<(Tenant, AccessKey)> {
        self.create_tenant_with(user, Vec::new()).await
    }

    /// The same with limits.
    pub async fn create_tenant_with(&self, user: UserId, limits: Vec<(What, Option<i64>)>) -> Result<(Tenant, AccessKey)> {
        let (store, now, id) = (self.clone(), self.now(), TenantId(self.next_id()));
        let (tenant, key) = self
            .write(move |tx| {
                Box::pin(async move {
                    tx.lock("tenant", user.as_str()).await?;
                    let tenant = match find(tx, &user).await? {
                        Some(old) if old.status != Status::Deleted => return Err(Error::exists(Noun::User, "UserId", &user)),
                        Some(old) => old,
                        None => {
                            let insert = sql("INSERT INTO tenants (id, user_id, status, created) VALUES ($1, $2, $3, $4)");
                            tx.execute(insert.bind(id).bind(&user).bind(Status::Active.number()).bind(now)).await?;
                            Tenant { id, user, status: Status::Active, created: now, quota: Quota::default() }
                        }
                    };
                    let update = sql("UPDATE tenants SET status = $2 WHERE id = $1");
                    tx.execute(update.bind(tenant.id).bind(Status::Active.number())).await?;
                    tx.execute(sql("DELETE FROM access_keys WHERE owner = $1 AND root = 0").bind(tenant.id)).await?;
                    let (key, secret) = (hex::encode(random::<16>()?), Secret(hex::encode_upper(random::<16>()?)));
                    store.insert_key(tx, &key, &secret, tenant.id, false, now).await?;
                    let tenant = quota::put(tx, tenant, &limits).await?;
                    Ok((Tenant { status: Status::Active, ..tenant }, key))
                })
            })
            .await?;
        let key = self.access_key(&key).await?.ok_or_else(|| Error::not_found(Noun::AccessKey, &key))?;
        Ok((tenant, AccessKey::clone(&key)))
    }

    /// Suspends, renews or deletes a tenant. The operator cannot be touched, and what is deleted stays deleted.
    pub async fn set_tenant_status(&self, user: UserId, status: Status) -> Result<Tenant> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.lock("tenant", user.as_str()).await?;
                let tenant = find(tx, &user).await?.ok_or_else(|| Error::not_found(Noun::User, &user))?;
                if tenant.id == OPERATOR {
                    return Err(Error::status(Noun::User, &user, "the operator's own tenant stays open"));
                }
                if tenant.status == Status::Deleted && status != Status::Deleted {
                    return Err(Error::status(Noun::User, &user, "the service is deleted"));
                }
                tx.execute(sql("UPDATE tenants SET status = $2 WHERE id = $1").bind(tenant.id).bind(status.number())).await?;
                tx.changed(Change::Tenant(tenant.id));
                Ok(Tenant { status, ..tenant })
            })
        })
        .await
    }

    /// The tenant of this name.
    pub async fn tenant(&self, user: &UserId) -> Result<Tenant> {
        let row = self.reader().await?.one(sql(TENANT_BY_USER).bind(user)).await?;
        tenant(row.ok_or_else(|| Error::not_found(Noun::User, user))?)
    }

    /// The tenant of this row.
    pub async fn tenant_by_id(&self, id: TenantId) -> Result<Tenant> {
        let row = self.reader().await?.one(sql(TENANT_BY_ID).bind(id)).await?;
        tenant(row.ok_or_else(|| Error::not_found(Noun::User, id))?)
    }

    /// All tenants, the operator first.
    pub async fn tenants(&self) -> Result<Vec<Tenant>> {
        let rows = self.reader().await?.all(sql(tenant!(" ORDER BY id"))).await?;
        rows.into_iter().map(tenant).collect()
    }

    /// Keeps the key of a bucket; an empty end point and bucket stand for all buckets that have no key of their own.
    pub async fn put_bucket_key(&self, owner: TenantId, endpoint: &str, bucket: &str, key: &BucketKey) -> Result<()> {
        let sealed = self.0.sealer.seal(&bucket_place(owner, endpoint, bucket), &key.secret)?;
        let put = sql("INSERT INTO bucket_keys (owner, endpoint, bucket, key_id, secret) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (owner, endpoint, bucket) DO UPDATE SET key_id = excluded.key_id, secret = excluded.secret");
        let put = put.bind(owner).bind(endpoint).bind(bucket).bind(&key.id).bind(sealed);
        self.write(move |tx| Box::pin(async move { tx.execute(put).await.map(drop) })).await
    }

    /// The key of a bucket: its own, or the tenant's for all.
    pub async fn bucket_key(&self, owner: TenantId, endpoint: &str, bucket: &str) -> Result<Option<BucketKey>> {
        let find = sql("SELECT endpoint, bucket, key_id, secret FROM bucket_keys WHERE owner = $1 AND \
             ((endpoint = $2 AND bucket = $3) OR (endpoint = '' AND bucket = '')) ORDER BY bucket DESC, endpoint DESC");
        let Some(row) = self.reader().await?.one(find.bind(owner).bind(endpoint).bind(bucket)).await? else { return Ok(None) };
        let place = bucket_place(owner, &row.get::<String>("endpoint")?, &row.get::<String>("bucket")?);
        Ok(Some(BucketKey { id: row.get("key_id")?, secret: self.0.sealer.open(&place, &row.get::<String>("secret")?)? }))
    }
}

const TENANT_BY_USER: &str = tenant!(" WHERE user_id = $1");
pub(super) const TENANT_BY_ID: &str = tenant!(" WHERE id = $1");

pub(super) async fn find(tx: &mut Tx, user: &UserId) -> Result<Option<Tenant>> {
    tx.one(sql(TENANT_BY_USER).bind(user)).await?.map(tenant).transpose()
}

pub(super) fn tenant(row: Row) -> Result<Tenant> {
    let status = Status::from_number(row.get("status")?);
    Ok(Tenant { id: row.get("id")?, user: row.parse("user_id")?, status, created: row.get("created")?, quota: quota::read(&row)? })
}

fn key_place(id: &str) -> String {
    format!("access_keys/{id}/secret")
}

fn bucket_place(owner: TenantId, endpoint: &str, bucket: &str) -> String {
    format!("bucket_keys/{owner}/{endpoint}/{bucket}/secret")
}
