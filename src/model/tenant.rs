//! Tenants and their keys: who may ask, and what they see.

use crate::base::pii::Secret;
use crate::model::id::{TenantId, UserId};
use crate::model::quota::Quota;
use crate::model::time::Time;

/// What a tenant's service is in, numbered as `GetMtsServiceStatus` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Never opened.
    NotOpened = 0,
    /// Suspended: API, pushes, plays and pulls are cut.
    Suspended = 1,
    /// Open.
    Active = 2,
    /// Deleted.
    Deleted = 3,
}

impl Status {
    /// From the number that is stored.
    pub fn from_number(n: i64) -> Status {
        match n {
            1 => Status::Suspended,
            2 => Status::Active,
            3 => Status::Deleted,
            _ => Status::NotOpened,
        }
    }

    /// The number of the API.
    pub fn number(self) -> i64 {
        self as i64
    }
}

/// A tenant. The operator is one too: number 1, the owner of what the root key makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The row.
    pub id: TenantId,
    /// Its name towards the outside.
    pub user: UserId,
    /// What its service is in.
    pub status: Status,
    /// When it was opened first.
    pub created: Time,
    /// What it may have at most.
    pub quota: Quota,
}

/// The operator's own tenant.
pub const OPERATOR: TenantId = TenantId(1);

/// An access key: it signs requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// `AccessKeyId`.
    pub id: String,
    /// `AccessKeySecret`.
    pub secret: Secret,
    /// Whose it is.
    pub tenant: TenantId,
    /// The same, towards the outside.
    pub user: UserId,
    /// What the tenant's service is in.
    pub status: Status,
    /// Whether it is the root key, the operator's.
    pub root: bool,
    /// When it was made.
    pub created: Time,
}

impl AccessKey {
    /// What this key sees.
    pub fn scope(&self) -> Scope {
        if self.root { Scope::Operator } else { Scope::Tenant(self.tenant) }
    }
}

/// Whose objects an operation reaches; any other object is *not found*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All tenants' objects.
    Operator,
    /// This tenant's objects.
    Tenant(TenantId),
}

impl Scope {
    /// Who owns what is made in this scope.
    pub fn owner(self) -> TenantId {
        match self {
            Scope::Operator => OPERATOR,
            Scope::Tenant(id) => id,
        }
    }

    /// Whether an object of `owner` is seen.
    pub fn sees(self, owner: TenantId) -> bool {
        match self {
            Scope::Operator => true,
            Scope::Tenant(id) => id == owner,
        }
    }
}

/// Opens a bucket of an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketKey {
    /// Access key id.
    pub id: String,
    /// Access key secret.
    pub secret: Secret,
}
