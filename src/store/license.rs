//! Licenses: products, what of them is allocated, what is activated, what extends it. Every step counts in one transaction with what
//! it hands out, so that no more is ever activated than was allocated, and no more allocated than was sold.

use super::error::{Error, Noun, Result};
use super::seal::random;
use super::sql::{Row, Where, sql};
use super::{Change, Store, Tx};
use crate::model::id::{GroupId, TenantId};
use crate::model::license::{Allocation, License, Product, Renewal, Sku};
use crate::model::page::{Page, Paged};
use crate::model::tenant::Scope;
use crate::model::time::Time;

const PRODUCT: &str =
    "SELECT pid, owner, name, product, media_type, minutes, period, kind, validity, quantity, allocated, created FROM license_products";
const LICENSE: &str = "SELECT license, pid, owner, app, license_key, activated, expires FROM licenses";
const RENEWAL: &str = "SELECT renew_id, pid, owner, validity, quantity, used, created FROM license_renewals";

/// What a new product is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductDraft {
    /// Who buys it.
    pub owner: TenantId,
    /// What it allows.
    pub sku: Sku,
    /// 1 for use, 2 for trial.
    pub kind: i64,
    /// Seconds.
    pub validity: i64,
    /// How many.
    pub quantity: i64,
}

/// 32 hex digits that nobody can guess.
fn code() -> Result<String> {
    Ok(hex::encode_upper(random::<16>()?))
}

impl Store {
    /// Sells a product.
    pub async fn create_license_product(&self, draft: ProductDraft) -> Result<Product> {
        let ProductDraft { owner, sku, kind, validity, quantity } = draft;
        let product = Product { pid: code()?, owner, sku, kind, validity, quantity, allocated: 0, created: self.now() };
        let p = product.clone();
        let insert =
            sql("INSERT INTO license_products (pid, owner, name, product, media_type, minutes, period, kind, validity, quantity, \
             allocated, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11)");
        let insert = insert.bind(p.pid).bind(p.owner).bind(p.sku.name).bind(p.sku.product).bind(p.sku.media_type).bind(p.sku.minutes);
        let insert = insert.bind(p.sku.period).bind(p.kind).bind(p.validity).bind(p.quantity).bind(p.created);
        self.write(move |tx| Box::pin(async move { tx.execute(insert).await.map(drop) })).await?;
        Ok(product)
    }

    /// Sells more of a product, or takes back what is not allocated.
    pub async fn resize_license_product(&self, pid: &str, quantity: i64) -> Result<Product> {
        let pid = pid.to_owned();
        self.write(move |tx| {
            Box::pin(async move {
                let update = sql("UPDATE license_products SET quantity = $2 WHERE pid = $1 AND allocated <= $2");
                let done = tx.execute(update.bind(&pid).bind(quantity)).await?;
                let product = product(tx, Scope::Operator, &pid).await?;
                if done == 0 {
                    return Err(Error::Invalid {
                        parameter: "Quantity",
                        why: format!("at least {}: so many are allocated", product.allocated),
                    });
                }
                Ok(product)
            })
        })
        .await
    }

    /// A page of products, newest first.
    pub async fn license_products(&self, scope: Scope, page: Page) -> Result<Paged<Product>> {
        let rows = Where::scope(scope);
        let mut conn = self.reader().await?;
        let total = conn.number(rows.sql("SELECT COUNT(*) AS n FROM license_products", "")).await?;
        let query = rows.sql(PRODUCT, " ORDER BY created DESC, pid").then(" LIMIT ?", page.size()).then(" OFFSET ?", page.offset());
        let items = conn.all(query).await?.iter().map(read_product).collect::<Result<_>>()?;
        Ok(Paged { items, total: total as u64, page })
    }

    /// A product.
    pub async fn license_product(&self, scope: Scope, pid: &str) -> Result<Product> {
        let row = self.reader().await?.one(Where::scope(scope).is("pid", pid).sql(PRODUCT, "")).await?;
        read_product(&row.ok_or_else(|| Error::not_found(Noun::Product, pid))?)
    }

    /// Gives licenses of a product to an application.
    pub async fn allocate_licenses(&self, scope: Scope, app: GroupId, pid: &str, quantity: i64, creator: &str) -> Result<()> {
        let (pid, creator, now, id) = (pid.to_owned(), creator.to_owned(), self.now(), self.next_id());
        self.write(move |tx| {
            Box::pin(async move {
                let product = product(tx, scope, &pid).await?;
                let update = "UPDATE license_products SET allocated = allocated + $2 WHERE pid = $1 AND allocated + $2 <= quantity";
                if tx.execute(sql(update).bind(&pid).bind(quantity)).await? == 0 {
                    return Err(Error::Quota { what: "licenses of this product", limit: product.quantity as u64 });
                }
                let insert = sql(
                    "INSERT INTO license_allocations (id, pid, owner, app, creator, quantity, created) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                );
                let insert = insert.bind(id).bind(&pid).bind(product.owner).bind(app.to_string()).bind(&creator);
                tx.execute(insert.bind(quantity).bind(now)).await?;
                let quota = sql("INSERT INTO license_quotas (pid, app, allocated, activated) VALUES ($1, $2, $3, 0) \
                     ON CONFLICT (pid, app) DO UPDATE SET allocated = license_quotas.allocated + excluded.allocated");
                tx.execute(quota.bind(&pid).bind(app.to_string()).bind(quantity)).await.map(drop)
            })
        })
        .await
    }

    /// A page of what was allocated to an application, newest first.
    pub async fn license_allocations(&self, scope: Scope, app: GroupId, pid: &str, page: Page) -> Result<Paged<Allocation>> {
        let mut conn = self.reader().await?;
        let kind = match conn.one(Where::scope(scope).is("pid", pid).sql(PRODUCT, "")).await? {
            Some(row) => read_product(&row)?.kind,
            None => return Err(Error::not_found(Noun::Product, pid)),
        };
        let rows = Where::default().is("pid", pid).is("app", app.to_string());
        let total = conn.number(rows.sql("SELECT COUNT(*) AS n FROM license_allocations", "")).await?;
        let query = rows.sql("SELECT creator, quantity, created FROM license_allocations", " ORDER BY id DESC");
        let query = query.then(" LIMIT ?", page.size()).then(" OFFSET ?", page.offset());
        let read = |row: &Row| {
            let (creator, quantity, created) = (row.get("creator")?, row.get("quantity")?, row.get("created")?);
            Ok(Allocation { pid: pid.to_owned(), kind, creator, quantity, created })
        };
        let items = conn.all(query).await?.iter().map(read).collect::<Result<_>>()?;
        Ok(Paged { items, total: total as u64, page })
    }

    /// Binds a license of a product to an account or device of an application. One that is bound already is given again.
    pub async fn activate_license(&self, scope: Scope, app: GroupId, pid: &str, key: &str) -> Result<License> {
        let (pid, key, now, license) = (pid.to_owned(), key.to_owned(), self.now(), code()?);
        self.write(move |tx| {
            Box::pin(async move {
                let product = product(tx, scope, &pid).await?;
                tx.lock("license", &format!("{app}/{key}")).await?;
                let bound = Where::default().is("app", app.to_string()).is("license_key", &key).is("pid", &pid);
                if let Some(row) = tx.one(bound.sql(LICENSE, "")).await? {
                    return read_license(&row);
                }
                let take = "UPDATE license_quotas SET activated = activated + 1 WHERE pid = $1 AND app = $2 AND activated < allocated";
                if tx.execute(sql(take).bind(&pid).bind(app.to_string())).await? == 0 {
                    let quota = sql("SELECT allocated AS n FROM license_quotas WHERE pid = $1 AND app = $2");
                    let limit = tx.number(quota.bind(&pid).bind(app.to_string())).await?;
                    return Err(Error::Quota { what: "licenses allocated to this application", limit: limit as u64 });
                }
                let expires = Time(now.0.saturating_add(product.validity.saturating_mul(1000)));
                let made = License { license, pid, owner: product.owner, app: app.to_string(), key, activated: now, expires };
                let insert = sql(
                    "INSERT INTO licenses (license, pid, owner, app, license_key, activated, expires) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                );
                let insert = insert.bind(&made.license).bind(&made.pid).bind(made.owner).bind(&made.app).bind(&made.key);
                tx.execute(insert.bind(made.activated).bind(made.expires)).await?;
                tx.changed(Change::Licenses(app));
                Ok(made)
            })
        })
        .await
    }

    /// The license of this number, or the one that is bound to this account or device and is good the longest; with what it allows.
    pub async fn find_license(&self, scope: Scope, app: GroupId, key: &str) -> Result<(License, Product)> {
        let mut conn = self.reader().await?;
        let by_number = Where::scope(scope).is("license", key).is("app", app.to_string()).sql(LICENSE, "");
        let row = match conn.one(by_number).await? {
            Some(row) => Some(row),
            None => {
                let by_key = Where::scope(scope).is("app", app.to_string()).is("license_key", key);
                conn.one(by_key.sql(LICENSE, " ORDER BY expires DESC, license LIMIT 1")).await?
            }
        };
        let license = read_license(&row.ok_or_else(|| Error::not_found(Noun::License, key))?)?;
        drop(conn);
        let product = self.license_product(Scope::Operator, &license.pid).await?;
        Ok((license, product))
    }

    /// A page of activated licenses, newest first; of one product, where it says so.
    pub async fn licenses(&self, scope: Scope, pid: Option<&str>, page: Page) -> Result<Paged<License>> {
        let rows = Where::scope(scope).equals_if("pid", pid);
        let mut conn = self.reader().await?;
        let total = conn.number(rows.sql("SELECT COUNT(*) AS n FROM licenses", "")).await?;
        let query = rows.sql(LICENSE, " ORDER BY activated DESC, license").then(" LIMIT ?", page.size()).then(" OFFSET ?", page.offset());
        let items = conn.all(query).await?.iter().map(read_license).collect::<Result<_>>()?;
        Ok(Paged { items, total: total as u64, page })
    }

    /// Who has a license in an application and until when: accounts and devices.
    pub async fn licensed(&self, app: GroupId) -> Result<Vec<(String, Time)>> {
        let query =
            sql("SELECT license_key, MAX(expires) AS expires FROM licenses WHERE app = $1 GROUP BY license_key").bind(app.to_string());
        let rows = self.reader().await?.all(query).await?;
        rows.iter().map(|row| Ok((row.get("license_key")?, row.get("expires")?))).collect()
    }

    /// Sells extensions of licenses of a product.
    pub async fn create_license_renewal(&self, pid: &str, validity: i64, quantity: i64) -> Result<Renewal> {
        let (pid, now, renew_id) = (pid.to_owned(), self.now(), code()?);
        self.write(move |tx| {
            Box::pin(async move {
                let owner = product(tx, Scope::Operator, &pid).await?.owner;
                let renewal = Renewal { renew_id, pid, owner, validity, quantity, used: 0, created: now };
                let insert = sql("INSERT INTO license_renewals (renew_id, pid, owner, validity, quantity, used, created) VALUES ($1, $2, $3, $4, $5, 0, $6)");
                let insert = insert.bind(&renewal.renew_id).bind(&renewal.pid).bind(owner).bind(validity).bind(quantity).bind(now);
                tx.execute(insert).await?;
                Ok(renewal)
            })
        })
        .await
    }

    /// All extensions that were sold of a product, newest first.
    pub async fn license_renewals(&self, scope: Scope, pid: &str) -> Result<Vec<Renewal>> {
        let query = Where::scope(scope).is("pid", pid).sql(RENEWAL, " ORDER BY created DESC, renew_id LIMIT 1000");
        self.reader().await?.all(query).await?.iter().map(read_renewal).collect()
    }

    /// Extends a license; once by each renewal. One that is over begins again now.
    pub async fn renew_license(&self, scope: Scope, app: GroupId, renew_id: &str, license: &str) -> Result<License> {
        let (renew_id, license, now) = (renew_id.to_owned(), license.to_owned(), self.now());
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                let own = Where::scope(scope).is("license", &license).is("app", app.to_string()).sql(LICENSE, update);
                let found = tx.one(own).await?.ok_or_else(|| Error::not_found(Noun::License, &license))?;
                let found = read_license(&found)?;
                let renewal = tx.one(Where::scope(scope).is("renew_id", &renew_id).sql(RENEWAL, "")).await?;
                let renewal = read_renewal(&renewal.ok_or_else(|| Error::Invalid { parameter: "renewId", why: "one that was sold".to_owned() })?)?;
                if renewal.pid != found.pid || renewal.owner != found.owner {
                    return Err(Error::Invalid { parameter: "renewId", why: "a renewal of the license's own product".to_owned() });
                }
                let note = sql("INSERT INTO license_renewed (renew_id, license, happened) VALUES ($1, $2, $3) ON CONFLICT (renew_id, license) DO NOTHING");
                if tx.execute(note.bind(&renew_id).bind(&license).bind(now)).await? == 0 {
                    return Err(Error::status(Noun::License, &license, "this renewal has extended it already"));
                }
                let take = sql("UPDATE license_renewals SET used = used + 1 WHERE renew_id = $1 AND used < quantity").bind(&renew_id);
                if tx.execute(take).await? == 0 {
                    return Err(Error::Quota { what: "licenses of this renewal", limit: renewal.quantity as u64 });
                }
                let expires = Time(found.expires.max(now).0.saturating_add(renewal.validity.saturating_mul(1000)));
                tx.execute(sql("UPDATE licenses SET expires = $2 WHERE license = $1").bind(&license).bind(expires)).await?;
                tx.changed(Change::Licenses(app));
                Ok(License { expires, ..found })
            })
        })
        .await
    }
}

async fn product(tx: &mut Tx, scope: Scope, pid: &str) -> Result<Product> {
    let row = tx.one(Where::scope(scope).is("pid", pid).sql(PRODUCT, "")).await?;
    read_product(&row.ok_or_else(|| Error::not_found(Noun::Product, pid))?)
}

fn read_product(row: &Row) -> Result<Product> {
    Ok(Product {
        pid: row.get("pid")?,
        owner: row.get("owner")?,
        sku: Sku {
            product: row.get("product")?,
            name: row.get("name")?,
            media_type: row.get("media_type")?,
            minutes: row.get("minutes")?,
            period: row.get("period")?,
        },
        kind: row.get("kind")?,
        validity: row.get("validity")?,
        quantity: row.get("quantity")?,
        allocated: row.get("allocated")?,
        created: row.get("created")?,
    })
}

fn read_license(row: &Row) -> Result<License> {
    Ok(License {
        license: row.get("license")?,
        pid: row.get("pid")?,
        owner: row.get("owner")?,
        app: row.get("app")?,
        key: row.get("license_key")?,
        activated: row.get("activated")?,
        expires: row.get("expires")?,
    })
}

fn read_renewal(row: &Row) -> Result<Renewal> {
    Ok(Renewal {
        renew_id: row.get("renew_id")?,
        pid: row.get("pid")?,
        owner: row.get("owner")?,
        validity: row.get("validity")?,
        quantity: row.get("quantity")?,
        used: row.get("used")?,
        created: row.get("created")?,
    })
}
