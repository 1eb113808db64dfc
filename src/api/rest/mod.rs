//! What the REST faces beside the signed RPC share: HTTP Basic, requests a second, bodies, request ids, the log line of a call.

use super::Api;
use super::auth::rate::Rates;
use crate::base::pii::Pii;
use crate::model::tenant::{AccessKey, Status};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;

/// Requests that an account may make a second, as the documents of these interfaces say.
const PER_SECOND: u32 = 10;

/// The longest body that is read.
const BODY_MAX: usize = 256 << 10;

/// Why a caller is turned away before it is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// No, or wrong, credentials (401).
    Unauthorized,
    /// The key's tenant is suspended or deleted (403).
    Inactive,
    /// Too many requests a second (429).
    TooMany,
    /// The store does not answer (503).
    Unavailable,
}

impl Turned {
    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Turned::Unauthorized => StatusCode::UNAUTHORIZED,
            Turned::Inactive => StatusCode::FORBIDDEN,
            Turned::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Turned::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the caller reads.
    pub fn why(self) -> &'static str {
        match self {
            Turned::Unauthorized => "Invalid authentication credentials",
            Turned::Inactive => "The service of this account is suspended or deleted",
            Turned::TooMany => "Too many requests: at most 10 a second are taken from an account",
            Turned::Unavailable => "The service does not answer now; try again later",
        }
    }
}

/// The door of a face: who calls, and how often.
#[derive(Clone)]
pub struct Door {
    api: Api,
    rates: Arc<Rates>,
}

impl Door {
    /// For one face.
    pub fn new(api: Api) -> Door {
        Door { api, rates: Arc::new(Rates::new(PER_SECOND, PER_SECOND)) }
    }

    /// The API behind it.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Who calls by HTTP Basic (RFC 7617): the id and the secret of an access key. `of` is what is counted a second: the whole
    /// face, or one of its functions.
    pub async fn basic(&self, headers: &HeaderMap, of: &str) -> Result<Arc<AccessKey>, Turned> {
        let (id, secret) = credentials(headers).ok_or(Turned::Unauthorized)?;
        let key = self.key(&id).await?;
        if !same(key.secret.0.as_bytes(), secret.as_bytes()) {
            return Err(Turned::Unauthorized);
        }
        self.admit(key, of)
    }

    /// The key of an id, whoever shows it.
    pub async fn key(&self, id: &str) -> Result<Arc<AccessKey>, Turned> {
        match self.api.store().access_key(id).await {
            Ok(found) => found.ok_or(Turned::Unauthorized),
            Err(error) => {
                tracing::warn!(%error, "cannot look up an access key");
                Err(Turned::Unavailable)
            }
        }
    }

    /// Lets a key in that has proved itself, unless its tenant is closed or calls too often.
    pub fn admit(&self, key: Arc<AccessKey>, of: &str) -> Result<Arc<AccessKey>, Turned> {
        if key.status != Status::Active {
            return Err(Turned::Inactive);
        }
        match self.rates.allow(&format!("{}/{of}", key.tenant), self.api.clock().now().0) {
            true => Ok(key),
            false => Err(Turned::TooMany),
        }
    }
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// Reads a body; `None`: it broke off or is too long.
pub async fn body(body: Body) -> Option<Bytes> {
    Limited::new(body, BODY_MAX).collect().await.ok().map(|body| body.to_bytes())
}

/// A JSON answer, with the request's id in a header.
pub fn json(status: StatusCode, id: &str, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"weir\""));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A new request id.
pub fn request_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The one log line of a call.
pub fn log(face: &'static str, what: &str, id: &str, key: &str, peer: Option<&ConnectInfo<SocketAddr>>, response: &Response<Body>) {
    let peer = Pii(peer.map(|p| p.0.to_string()).unwrap_or_default());
    let (status, key) = (response.status().as_u16(), super::error::shown(key));
    match status {
        500.. => tracing::warn!(request = %id, face, what, %key, %peer, status, "api call failed"),
        400.. => tracing::info!(request = %id, face, what, %key, %peer, status, "api call refused"),
        _ => tracing::info!(request = %id, face, what, %key, %peer, status, "api call"),
    }
}

/// The id that a Basic header names, for the log.
pub fn named(headers: &HeaderMap) -> String {
    credentials(headers).map(|(id, _)| id).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_read_or_not() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            credentials(&headers)
        };
        assert_eq!(read("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Some(("Aladdin".to_owned(), "open sesame".to_owned())));
        assert_eq!(read("basic  YTpiOmM="), Some(("a".to_owned(), "b:c".to_owned())));
        for wrong in ["Basic", "Basic ", "Bearer YTpi", "Basic !!!!", "Basic YWI=", "Basic /////w=="] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(credentials(&HeaderMap::new()), None);
    }
}
