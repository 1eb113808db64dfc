//! `/records/…`: stored files over HTTP, behind signed URLs that expire; and the URLs themselves.
//!
//! A URL is signed as those of streams are, with the path and its time. The third field of its `auth_key`, which streams leave 0,
//! is the record's id where the object is in a bucket: then its playlist is served here, and everything else by the bucket
//! itself, at an address that it has signed. A playlist's parts get signed addresses of their own when it is served.

mod body;
mod range;
#[cfg(test)]
mod tests;

use super::action::Boxed;
use super::plane::Files;
use super::{query, url};
use crate::model::domain::Keys;
use crate::model::id::RecordId;
use crate::model::record::{Format, Kind, Record};
use crate::model::tenant::Scope;
use crate::runtime::clock::Clock;
use crate::storage::{self, Shelf};
use crate::store::Store;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::any;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Where they stand; no stream's application is called so.
const ROOT: &str = "/records/";
/// The first segment of the paths that [`Stored::router`] answers.
pub const SEGMENTS: &[&str] = &["records"];
/// The longest playlist that is served.
const PLAYLIST: u64 = 8 << 20;

/// The stored files of this server. Cloning shares them.
#[derive(Clone)]
pub struct Stored(Arc<Parts>);

/// What they are served with.
pub struct Parts {
    /// The files.
    pub shelf: Shelf,
    /// Their records.
    pub store: Store,
    /// This server's HTTP address, as in `http://vs.example.com:8080`.
    pub base: String,
    /// What signs URLs.
    pub keys: Keys,
    /// Whether URLs must be signed.
    pub auth: bool,
    /// How long a URL is good.
    pub expire: Duration,
    /// The clock.
    pub clock: Clock,
}

impl Files for Stored {
    fn url<'a>(&'a self, record: &'a Record) -> Boxed<'a, String> {
        Box::pin(async move {
            if record.kind == Kind::Gap {
                return String::new();
            }
            let place = &record.place;
            let link = |id: i64| format!("{}{}", self.0.base, self.link(&place.object, id));
            match (place.bucket.is_empty(), record.format) {
                (true, _) => link(0),
                (false, Some(Format::Hls)) => link(record.id.0),
                (false, _) => match self.0.shelf.signed(record, &place.object, self.0.expire).await {
                    Ok(url) => url,
                    // The row is shown all the same; whoever opens the address is told what is missing.
                    Err(_) => link(record.id.0),
                },
            }
        })
    }
}

impl Stored {
    /// Serves and signs.
    pub fn new(parts: Parts) -> Stored {
        Stored(Arc::new(parts))
    }

    /// The routes.
    pub fn router(&self) -> Router {
        Router::new().route("/records/{*path}", any(serve)).with_state(self.clone())
    }

    /// The path of an object with its signature; `id` is the record's, or 0 for the local directory.
    fn link(&self, object: &str, id: i64) -> String {
        let path = path(object);
        let until = self.now() + i64::try_from(self.0.expire.as_secs()).unwrap_or(i64::MAX / 4);
        match self.0.auth || id != 0 {
            true => format!("{path}?auth_key={}", url::auth_key(&path, until, "0", &id.to_string(), &self.0.keys.main.0)),
            false => path,
        }
    }

    fn now(&self) -> i64 {
        self.0.clock.unix().0.div_euclid(1_000_000_000)
    }

    async fn answer(&self, method: &Method, uri: &http::Uri, headers: &HeaderMap) -> Result<Response<Body>, Refused> {
        let object = uri.path().strip_prefix(ROOT).and_then(decode).ok_or_else(|| no(StatusCode::NOT_FOUND, "there is no such file"))?;
        let asked = uri.query().unwrap_or_default();
        if self.0.auth || record_of(asked).is_some() {
            let keys: Vec<&str> = self.0.keys.iter().collect();
            let signed = url::open(asked, &[uri.path(), &path(&object)], &keys, self.now());
            signed.map_err(|shut| no(StatusCode::FORBIDDEN, shut.to_string()))?;
        }
        match record_of(asked) {
            Some(id) => self.in_bucket(method, &object, id).await,
            None => self.on_disk(method, &object, headers).await,
        }
    }

    async fn on_disk(&self, method: &Method, object: &str, headers: &HeaderMap) -> Result<Response<Body>, Refused> {
        let none = || no(StatusCode::NOT_FOUND, "there is no such file");
        let file = self.0.shelf.find(object).ok_or_else(none)?;
        let meta = tokio::fs::metadata(&file).await.ok().filter(|meta| meta.is_file()).ok_or_else(none)?;
        if object.ends_with(".m3u8") {
            if meta.len() > PLAYLIST {
                return Err(no(StatusCode::PAYLOAD_TOO_LARGE, "the playlist is too long"));
            }
            let text = tokio::fs::read_to_string(&file).await.map_err(|_| none())?;
            let text = storage::rewrite(&text, object, |part| Some(self.link(part, 0)));
            return Ok(playlist(method, text));
        }
        let since = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let tag = format!("\"{:x}-{:x}\"", meta.len(), since.as_millis());
        let what = range::Ask { length: meta.len(), tag: &tag, head: *method == Method::HEAD };
        let mut response = match what.read(headers) {
            range::Part::Unchanged => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response
            }
            range::Part::Outside => {
                let mut response = no(StatusCode::RANGE_NOT_SATISFIABLE, "the file is shorter").response();
                put(&mut response, header::CONTENT_RANGE, &format!("bytes */{}", meta.len()));
                return Ok(response);
            }
            range::Part::Of(from, length) => {
                let body = match what.head {
                    true => Body::empty(),
                    false => body::file(&file, from, length).await.map_err(|_| none())?,
                };
                let mut response = Response::new(body);
                put(&mut response, header::CONTENT_LENGTH, &length.to_string());
                if headers.contains_key(header::RANGE) && length < meta.len() {
                    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                    put(
                        &mut response,
                        header::CONTENT_RANGE,
                        &format!("bytes {from}-{}/{}", (from + length).saturating_sub(1), meta.len()),
                    );
                }
                response
            }
        };
        put(&mut response, header::CONTENT_TYPE, kind(object));
        put(&mut response, header::ACCEPT_RANGES, "bytes");
        put(&mut response, header::ETAG, &tag);
        // A picture may be overwritten at any time.
        put(&mut response, header::CACHE_CONTROL, if object.ends_with(".jpg") { "no-cache" } else { "private, max-age=3600" });
        Ok(response)
    }

    async fn in_bucket(&self, method: &Method, object: &str, id: RecordId) -> Result<Response<Body>, Refused> {
        let none = || no(StatusCode::NOT_FOUND, "there is no such file");
        let record = self.0.store.record(Scope::Operator, id).await.map_err(|_| none())?;
        if record.place.object != object || record.place.bucket.is_empty() {
            return Err(none());
        }
        let away = |why: String| {
            tracing::warn!(why, bucket = %record.place.bucket, object, "a bucket does not give a file");
            no(StatusCode::BAD_GATEWAY, "the bucket does not give this file now")
        };
        let shelf = &self.0.shelf;
        if record.format != Some(Format::Hls) {
            let url = shelf.signed(&record, object, self.0.expire).await.map_err(away)?;
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            put(&mut response, header::LOCATION, &url);
            return Ok(response);
        }
        let text = shelf.read(&record).await.map_err(away)?.ok_or_else(none)?;
        let text = String::from_utf8_lossy(&text);
        let mut urls = std::collections::HashMap::new();
        for part in storage::parts(&text, object) {
            let url = shelf.signed(&record, &part, self.0.expire).await.map_err(away)?;
            urls.insert(part, url);
        }
        Ok(playlist(method, storage::rewrite(&text, object, |part| urls.remove(part))))
    }
}

async fn serve(State(stored): State<Stored>, request: Request) -> Response<Body> {
    let (head, _) = request.into_parts();
    let mut response = match head.method {
        Method::GET | Method::HEAD => {
            stored.answer(&head.method, &head.uri, &head.headers).await.unwrap_or_else(|refused| refused.response())
        }
        _ => {
            let mut response = no(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are allowed").response();
            put(&mut response, header::ALLOW, "GET, HEAD");
            response
        }
    };
    put(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

/// Why a file is not served.
struct Refused(StatusCode, String);

fn no(status: StatusCode, why: impl Into<String>) -> Refused {
    Refused(status, why.into())
}

impl Refused {
    fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(format!("{}\n", self.1)));
        *response.status_mut() = self.0;
        put(&mut response, header::CONTENT_TYPE, "text/plain; charset=utf-8");
        put(&mut response, header::CACHE_CONTROL, "no-store");
        response
    }
}

fn playlist(method: &Method, text: String) -> Response<Body> {
    let length = text.len().to_string();
    let mut response = Response::new(if *method == Method::HEAD { Body::empty() } else { Body::from(text) });
    put(&mut response, header::CONTENT_TYPE, "application/vnd.apple.mpegurl");
    put(&mut response, header::CONTENT_LENGTH, &length);
    put(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

fn put(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The path of an object in URLs.
fn path(object: &str) -> String {
    let parts: Vec<_> = object.split('/').map(query::encode).collect();
    format!("{ROOT}{}", parts.join("/"))
}

fn decode(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? << 4 | digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

/// The record that the third field of the `auth_key` names.
fn record_of(query: &str) -> Option<RecordId> {
    let key = query.split('&').find_map(|pair| pair.strip_prefix("auth_key="))?;
    key.split('-').nth(2)?.parse().ok()
}

/// The MIME type by the name.
fn kind(object: &str) -> &'static str {
    match Path::new(object).extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("mp4") => "video/mp4",
        Some("flv") => "video/x-flv",
        Some("ts") => "video/mp2t",
        Some("jpg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}
