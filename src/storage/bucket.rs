//! Buckets of an S3-compatible object storage: opened once for each key, asked in short, bounded requests.

use super::Settings;
use crate::model::record::Place;
use crate::model::tenant::BucketKey;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{Certificate, ClientOptions, ObjectStoreExt, RetryConfig};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Buckets that are kept open at most.
const OPEN: usize = 256;
/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest object that is read whole: playlists.
const WHOLE: u64 = 8 << 20;

/// How the bucket is named in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// By the end point: `virtual-host` for the clouds that want it, else `path`.
    Auto,
    /// `https://end.point/bucket/object`.
    Path,
    /// `https://bucket.end.point/object`.
    VirtualHost,
}

/// Clouds that know no path style.
const VIRTUAL: [&str; 6] = ["amazonaws.com", "aliyuncs.com", "myqcloud.com", "volces.com", "bcebos.com", "myhuaweicloud.com"];

/// The buckets. Cloning shares them.
#[derive(Clone)]
pub struct Buckets(Arc<Inner>);

struct Inner {
    style: Style,
    timeout: Duration,
    certificates: Vec<Certificate>,
    open: Mutex<HashMap<Id, Arc<AmazonS3>>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Id {
    region: String,
    endpoint: String,
    bucket: String,
    key: String,
    secret: String,
}

impl Buckets {
    /// None is open yet. An error means that the settings cannot be used.
    pub fn new(settings: &Settings) -> Result<Buckets, String> {
        let mut certificates = Vec::new();
        if !settings.ca_file.as_os_str().is_empty() {
            let wrong = |e: &dyn std::fmt::Display| format!("storage.ca_file: {}: {e}", settings.ca_file.display());
            let pem = std::fs::read(&settings.ca_file).map_err(|e| wrong(&e))?;
            certificates = Certificate::from_pem_bundle(&pem).map_err(|e| wrong(&e))?;
        }
        let (style, timeout) = (settings.style, settings.timeout.0);
        Ok(Buckets(Arc::new(Inner { style, timeout, certificates, open: Mutex::default() })))
    }

    /// The bucket of a place, as this key opens it.
    pub fn open(&self, place: &Place, region: &str, key: &BucketKey) -> Result<Arc<AmazonS3>, String> {
        // What our own API calls "default" is no region to a cloud.
        let region = if region.is_empty() || region == "default" { "us-east-1" } else { region };
        let id = Id {
            region: region.to_owned(),
            endpoint: place.endpoint.clone(),
            bucket: place.bucket.clone(),
            key: key.id.clone(),
            secret: key.secret.0.clone(),
        };
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = open.get(&id) {
            return Ok(found.clone());
        }
        if open.len() >= OPEN {
            open.clear();
        }
        let (endpoint, virtual_host) = address(&place.endpoint, &place.bucket, self.0.style);
        let mut options = ClientOptions::new().with_connect_timeout(CONNECT).with_timeout(self.0.timeout).with_allow_http(true);
        for certificate in &self.0.certificates {
            options = options.with_root_certificate(certificate.clone());
        }
        // Who uploads tries again by itself, and shows why.
        let retry = RetryConfig { max_retries: 0, retry_timeout: self.0.timeout, ..RetryConfig::default() };
        let made = AmazonS3Builder::new()
            .with_region(region)
            .with_endpoint(endpoint)
            .with_bucket_name(&place.bucket)
            .with_virtual_hosted_style_request(virtual_host)
            .with_access_key_id(&key.id)
            .with_secret_access_key(&key.secret.0)
            .with_client_options(options)
            .with_retry(retry)
            // One request an object is what every S3-compatible storage knows.
            .with_disable_bulk_delete(true)
            .build()
            .map_err(|e| format!("{}: {e}", place.endpoint))?;
        let made = Arc::new(made);
        open.insert(id, made.clone());
        Ok(made)
    }
}

/// Where requests go, and whether the bucket stands in the host name.
fn address(endpoint: &str, bucket: &str, style: Style) -> (String, bool) {
    let endpoint = endpoint.trim().trim_end_matches('/');
    let (scheme, host) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    let bare = host.split(['/', ':']).next().unwrap_or_default();
    let named = bare.strip_prefix(bucket).is_some_and(|rest| rest.starts_with('.'));
    let wants = VIRTUAL.iter().any(|cloud| bare.strip_suffix(cloud).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    match style {
        Style::Path => (format!("{scheme}://{host}"), false),
        _ if named => (format!("{scheme}://{host}"), true),
        Style::VirtualHost => (format!("{scheme}://{bucket}.{host}"), true),
        Style::Auto if wants => (format!("{scheme}://{bucket}.{host}"), true),
        Style::Auto => (format!("{scheme}://{host}"), false),
    }
}

/// The object's name as the client library wants it.
pub fn path(object: &str) -> Path {
    // As it stands, where it can: the records say the same name.
    Path::parse(object).unwrap_or_else(|_| Path::from_iter(object.split('/')))
}

/// A small object, whole; `None`: there is none.
pub async fn read(bucket: &AmazonS3, object: &str) -> Result<Option<Bytes>, object_store::Error> {
    match bucket.get(&path(object)).await {
        Ok(found) if found.meta.size > WHOLE => Ok(None),
        Ok(found) => found.bytes().await.map(Some),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes an object; one that is gone is gone.
pub async fn delete(bucket: &AmazonS3, object: &str) -> Result<(), object_store::Error> {
    match ObjectStoreExt::delete(bucket, &path(object)).await {
        Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A URL that opens an object for so long.
pub async fn signed(bucket: &AmazonS3, object: &str, within: Duration) -> Result<String, object_store::Error> {
    bucket.signed_url(http::Method::GET, &path(object), within).await.map(|url| url.to_string())
}

/// What a bucket says of an object that may be there.
pub async fn head(bucket: &AmazonS3, object: &str) -> Result<Option<object_store::ObjectMeta>, object_store::Error> {
    match ObjectStoreExt::head(bucket, &path(object)).await {
        Ok(meta) => Ok(Some(meta)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_addressed_as_their_cloud_wants() {
        for (endpoint, style, url, in_host) in [
            ("127.0.0.1:9000", Style::Auto, "http://127.0.0.1:9000", false),
            ("https://minio.example.com/", Style::Auto, "https://minio.example.com", false),
            ("https://oss-cn-shanghai.aliyuncs.com", Style::Auto, "https://b.oss-cn-shanghai.aliyuncs.com", true),
            ("https://b.oss-cn-shanghai.aliyuncs.com", Style::Auto, "https://b.oss-cn-shanghai.aliyuncs.com", true),
            ("https://s3.example.com", Style::VirtualHost, "https://b.s3.example.com", true),
            ("https://oss-cn-shanghai.aliyuncs.com", Style::Path, "https://oss-cn-shanghai.aliyuncs.com", false),
            ("https://notaliyuncs.com", Style::Auto, "https://notaliyuncs.com", false),
        ] {
            assert_eq!(address(endpoint, "b", style), (url.to_owned(), in_host), "{endpoint}");
        }
    }
}
