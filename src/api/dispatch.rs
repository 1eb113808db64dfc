//! The HTTP face: one path, GET and POST. It alone knows statuses, the envelope, request ids and the log line of a call.

use super::Api;
use super::action::{Entry, Who};
use super::auth::{self, Parts, acs3, nonce};
use super::context::Context;
use super::error::{Error, Kind, shown};
use super::query::Given;
use crate::edge::http::{Late, Refusal};
use crate::model::tenant::{AccessKey, Status};
use crate::store::Taken;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderValue, Method, Request, Response, header};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError};
use std::net::SocketAddr;
use std::sync::Arc;
use tower::ServiceExt;
use tracing::{info, warn};

/// The version of the API that clients name.
pub const VERSION: &str = "2018-12-12";

/// Answers `/`. A GET that names no action is a person with a browser: the front page is theirs.
pub async fn root(State(api): State<Api>, request: Request<Body>) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let call = request.method() != Method::GET || request.headers().contains_key("x-acs-action") || names_action(query);
    match (call, api.front()) {
        (false, Some(front)) => match front.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        _ => answer(&api, request).await,
    }
}

fn names_action(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next().is_some_and(|name| name == "Action" || name == "AccessKeyId"))
}

/// What the log line tells of a call beside its outcome.
#[derive(Default)]
struct Seen {
    action: String,
    key: String,
}

async fn answer(api: &Api, request: Request<Body>) -> Response<Body> {
    let id = request_id();
    let begun = api.clock().now();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|c| c.0);
    let mut seen = Seen::default();
    let outcome = call(api, request, &mut seen).await;
    let took = api.clock().now().since(begun);
    let peer = crate::base::pii::Pii(peer.map(|p| p.to_string()).unwrap_or_default());
    let (status, body) = match outcome {
        Ok(reply) => {
            info!(request = %id, action = %seen.action, key = %seen.key, %peer, ms = took.as_millis() as u64, "api call");
            (http::StatusCode::OK, with_id(reply, &id))
        }
        Err(error) => {
            let (code, ms) = (&error.code, took.as_millis() as u64);
            match error.kind {
                Kind::Internal | Kind::Unavailable => {
                    warn!(request = %id, action = %seen.action, key = %seen.key, %peer, ms, %code, "api call failed")
                }
                _ => info!(request = %id, action = %seen.action, key = %seen.key, %peer, ms, %code, "api call refused"),
            }
            (error.kind.status(), failure(&error, &id, api.host_id()))
        }
    };
    enveloped(status, &id, body).map(Body::from)
}

/// An answer with the headers that all have.
fn enveloped(status: http::StatusCode, id: &str, body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
    if status == http::StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    if matches!(status, http::StatusCode::TOO_MANY_REQUESTS | http::StatusCode::SERVICE_UNAVAILABLE) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// How the API answers at its path what never became a call: a head that is too large, too slow or no HTTP, a server that stops.
pub fn early(api: &Api, path: &str, refusal: &Refusal) -> Option<Response<Bytes>> {
    if path != "/" {
        return None;
    }
    use http::StatusCode as Status;
    let (kind, code) = match refusal.status {
        Status::REQUEST_TIMEOUT => (Kind::Late, "RequestTimeout"),
        Status::REQUEST_HEADER_FIELDS_TOO_LARGE | Status::URI_TOO_LONG => (Kind::HeadTooLarge, "RequestHeaderTooLarge"),
        Status::SERVICE_UNAVAILABLE => (Kind::Unavailable, "ServiceUnavailable"),
        _ => (Kind::Invalid, "InvalidRequest"),
    };
    let id = request_id();
    let why = &refusal.why;
    info!(request = %id, %code, %why, "api call refused before it was read");
    let error = Error::new(kind, code, format!("The request cannot be taken: {why}."));
    Some(enveloped(kind.status(), &id, failure(&error, &id, api.host_id())))
}

fn request_id() -> String {
    uuid::Uuid::new_v4().hyphenated().to_string().to_uppercase()
}

/// Puts the request id in front of the answer's own fields.
fn with_id(reply: Vec<u8>, id: &str) -> Vec<u8> {
    let mut out = format!("{{\"RequestId\":\"{id}\"").into_bytes();
    match reply.as_slice() {
        [b'{', b'}'] => out.push(b'}'),
        [b'{', fields @ ..] => {
            out.push(b',');
            out.extend_from_slice(fields);
        }
        // `Reply` is made by `reply!`, which makes objects.
        _ => out.push(b'}'),
    }
    out
}

fn failure(error: &Error, id: &str, host: &str) -> Vec<u8> {
    serde_json::json!({
        "Status": 0,
        "Code": error.code,
        "HostId": host,
        "Message": error.message,
        "RequestId": id,
        "Data": {},
    })
    .to_string()
    .into_bytes()
}

async fn call(api: &Api, request: Request<Body>, seen: &mut Seen) -> Result<Vec<u8>, Error> {
    let (head, body) = request.into_parts();
    if head.method != Method::GET && head.method != Method::POST {
        return Err(Error::new(Kind::Method, "UnsupportedHTTPMethod", "Use GET or POST."));
    }
    let body = read(body, api.settings().body.bytes()).await?;
    let bad = |why: super::query::BadQuery| Error::new(Kind::Invalid, "InvalidParameter", format!("The request cannot be read: {why}."));
    let mut query = Given::default();
    query.extend(head.uri.query().unwrap_or_default().as_bytes()).map_err(bad)?;
    let mut all = query.clone();
    if head.method == Method::POST && is_form(&head.headers) {
        all.extend(&body).map_err(bad)?;
    }

    let entry = named(api, &head.headers, &all, seen)?;
    let parts =
        Parts { method: head.method.as_str(), path: head.uri.path(), headers: &head.headers, query: &query, all: &all, body: &body };
    let key = identify(api, parts, seen).await?;
    if entry.who == Who::Operator && !key.root {
        return Err(Error::forbidden(format!("The action {} is the operator's.", entry.name)));
    }
    let cx = Context::new(api.clone(), key);
    (entry.run)(&all, &cx).await
}

/// Reads the body. One that is too long is read to its end nevertheless, as far as HTTP lets it come: a client that still sends
/// does not hear the answer.
async fn read(mut body: Body, most: usize) -> Result<Bytes, Error> {
    let too_large = || {
        let why = format!("The request's body is too long: at most {most} bytes are taken.");
        Error::new(Kind::TooLarge, "RequestEntityTooLarge", why)
    };
    let (mut taken, mut fits) = (BytesMut::new(), true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let Ok(data) = frame.into_data() else { continue };
                fits = fits && taken.len() + data.len() <= most;
                if fits {
                    taken.extend_from_slice(&data);
                }
            }
            Err(error) if is::<LengthLimitError>(&error) => return Err(too_large()),
            Err(error) if is::<Late>(&error) => {
                return Err(Error::new(Kind::Late, "RequestTimeout", "The request's body did not come in time."));
            }
            Err(_) => return Err(Error::new(Kind::Invalid, "InvalidRequest", "The request's body broke off.")),
        }
    }
    if fits { Ok(taken.freeze()) } else { Err(too_large()) }
}

/// Whether this is what is behind an error.
fn is<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<E>())
}

/// A body without a type is taken as a form: that is what our clients send.
fn is_form(headers: &http::HeaderMap) -> bool {
    match headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()) {
        Some(kind) => kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")),
        None => true,
    }
}

/// The action that is called, after the common parameters that come before it.
fn named(api: &Api, headers: &http::HeaderMap, given: &Given, seen: &mut Seen) -> Result<&'static Entry, Error> {
    let once = |name: &str| match given.ambiguous(name) {
        true => Err(Error::invalid(name, "is given more than once with different values")),
        false => Ok(()),
    };
    for name in ["Format", "Action", "Version"] {
        once(name)?;
    }
    if let Some(format) = given.get("Format").filter(|f| !f.is_empty() && !f.eq_ignore_ascii_case("json")) {
        let why = format!("The parameter Format must be JSON, not {}.", shown(format));
        return Err(Error::new(Kind::Invalid, "InvalidParameter.Format", why));
    }
    // The header counts only where the signature covers it; other clients send it too, and sign the parameter.
    let (headers, spare) = (acs3::is(headers).then_some(headers), http::HeaderMap::new());
    let headers = headers.unwrap_or(&spare);
    let action = acs3::common(headers, given, "x-acs-action", "Action").ok_or_else(|| Error::missing("Action"))?;
    let version = acs3::common(headers, given, "x-acs-version", "Version").ok_or_else(|| Error::missing("Version"))?;
    let differs = |name: &str, value: &str| given.get(name).is_some_and(|v| !v.is_empty() && v != value);
    if differs("Action", &action) || differs("Version", &version) {
        return Err(Error::invalid("Action", "and Version must be the same in the headers and in the parameters"));
    }
    seen.action = shown(&action);
    let unknown = || {
        Error::new(Kind::NotFound, "InvalidApi.NotFound", format!("There is no action {} of version {}.", shown(&action), shown(&version)))
    };
    if version != VERSION {
        return Err(unknown());
    }
    api.action(&action).ok_or_else(unknown)
}

async fn identify(api: &Api, parts: Parts<'_>, seen: &mut Seen) -> Result<Arc<AccessKey>, Error> {
    let now = api.now();
    let claim = auth::claim(parts)?;
    seen.key = shown(&claim.key_id);
    let key = api.store().access_key(&claim.key_id).await?.ok_or_else(|| {
        let why = format!("Specified access key is not found: {}", shown(&claim.key_id));
        Error::new(Kind::NotFound, "InvalidAccessKeyId.NotFound", why)
    })?;
    auth::fresh(claim.time, now, api.nonces().floor())?;
    claim.proof.verify(&key.secret.0)?;
    if key.status != Status::Active {
        return Err(Error::new(Kind::Forbidden, "InvalidAccessKeyId.Inactive", "The service of this access key is suspended or deleted."));
    }
    let throttled = |why: &str| Error::new(Kind::Throttled, "Throttling.User", why);
    if !api.rates().allow(&claim.key_id, api.clock().now().0) {
        return Err(throttled("Request was denied due to user flow control: too many calls a second."));
    }
    let used = || Error::new(Kind::Invalid, "SignatureNonceUsed", "Specified signature nonce was used already.");
    match api.nonces().take(&claim.key_id, &claim.nonce, claim.time, now) {
        Ok(()) => {}
        Err(nonce::Refused::Used) => return Err(used()),
        Err(nonce::Refused::Full) => {
            return Err(throttled("Request was denied due to user flow control: too many calls within the time window."));
        }
    }
    // Another server with the same database may have taken the call.
    if api.store().is_shared() {
        let nonce::Entry { until, key, nonce } = nonce::entry(&claim.key_id, &claim.nonce, claim.time, now);
        match api.store().take_nonce(key, nonce, claim.time, i64::from(until) * 60).await? {
            Taken::New => {}
            Taken::Used => return Err(used()),
            Taken::Before(floor) => auth::fresh(claim.time, now, floor)?,
        }
    }
    Ok(key)
}
