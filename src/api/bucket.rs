//! Keys of buckets: kept when a call brings one, asked for when a template needs one and none is known.

use super::context::Context;
use super::error::Error;
use super::value::AccessInfo;
use crate::model::id::TenantId;
use crate::model::template::Template;

/// Keeps the key pair of a call, for all buckets of the objects' owner that have none of their own.
pub async fn keep(cx: &Context, owner: TenantId, access: Option<AccessInfo>) -> Result<(), Error> {
    match access {
        Some(access) => Ok(cx.store().put_bucket_key(owner, "", "", &access.into()).await?),
        None => Ok(()),
    }
}

/// Asks for a key pair where one of the templates stores to a bucket that no key is known of.
pub async fn needed(cx: &Context, templates: &[Template]) -> Result<(), Error> {
    for template in templates {
        let storage = &template.storage;
        if storage.bucket.is_empty() {
            continue;
        }
        if cx.store().bucket_key(template.owner, &storage.endpoint, &storage.bucket).await?.is_none() {
            return Err(Error::missing("AccessInfo"));
        }
    }
    Ok(())
}
