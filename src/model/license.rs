//! Licenses: what an operator sells by the piece, and what of it is bound to a device or an account.

use crate::model::id::TenantId;
use crate::model::time::Time;

/// What a license allows (`skuView`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sku {
    /// 1, 2 or 3, as the interface numbers its products.
    pub product: i64,
    /// Its name.
    pub name: String,
    /// 1 sound, 2 pictures, 3 both.
    pub media_type: i64,
    /// Most minutes; 0 without limit.
    pub minutes: i64,
    /// When it may be used, as `00:00~23:59`.
    pub period: String,
}

/// What an operator sells to a tenant: so many licenses of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// 32 hex digits.
    pub pid: String,
    /// Who bought it.
    pub owner: TenantId,
    /// What it allows.
    pub sku: Sku,
    /// 1 for use, 2 for trial.
    pub kind: i64,
    /// How long a license is good once it is activated, seconds.
    pub validity: i64,
    /// How many there are.
    pub quantity: i64,
    /// How many of them are given to applications.
    pub allocated: i64,
    /// When it was sold.
    pub created: Time,
}

/// So many licenses that were given to an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// Of which product.
    pub pid: String,
    /// The product's [`Product::kind`].
    pub kind: i64,
    /// Who did it.
    pub creator: String,
    /// How many.
    pub quantity: i64,
    /// When.
    pub created: Time,
}

/// An activated license.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct License {
    /// 32 hex digits.
    pub license: String,
    /// Its product.
    pub pid: String,
    /// Who bought it.
    pub owner: TenantId,
    /// The application: a group's id.
    pub app: String,
    /// The account or device that it is bound to; a GB28181 device's national id.
    pub key: String,
    /// When it was activated.
    pub activated: Time,
    /// When it ends.
    pub expires: Time,
}

/// So many extensions of licenses of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// 32 hex digits.
    pub renew_id: String,
    /// Of which product.
    pub pid: String,
    /// Who bought it.
    pub owner: TenantId,
    /// How much longer a license is good, seconds.
    pub validity: i64,
    /// How many licenses it can extend.
    pub quantity: i64,
    /// How many it has extended.
    pub used: i64,
    /// When it was sold.
    pub created: Time,
}
