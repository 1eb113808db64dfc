//! One file of the console as HTTP wants it: plain and packed forms, a strong tag for each, and headers.

use super::Dist;
use axum::body::Body;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use rust_embed::EmbeddedFile;
use std::borrow::Cow;
use std::sync::Arc;

/// The page runs its own scripts and styles and talks to its own host only. Players make their pictures from `blob:` objects.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How files other than the page are kept by browsers: for good, their names change with their content.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// Digits of the digest that stand in a file's name; the build script of the page counts the same.
const DIGITS: usize = 10;

/// The packed forms that may lie beside a file, the smallest first: ending and name of the coding.
const PACKED: [(&str, &str); 2] = [("br", "br"), ("gz", "gzip")];

/// A file. Cloning shares it.
#[derive(Clone)]
pub struct Asset(Arc<Inner>);

struct Inner {
    path: String,
    kind: &'static str,
    forever: bool,
    /// In the order in which they are preferred; the plain one is the last.
    forms: Vec<Form>,
}

struct Form {
    /// The content coding, empty for the file as it is.
    coding: &'static str,
    tag: String,
    body: Bytes,
}

/// Whether a file is the packed form of another one.
pub fn is_packed(name: &str) -> bool {
    PACKED.iter().any(|(ending, _)| name.rsplit_once('.').is_some_and(|(_, found)| found == *ending))
}

impl Asset {
    /// The page, which may change with every version of the server.
    pub fn page(file: EmbeddedFile, name: &str) -> Option<Asset> {
        Asset::new(file, name, "/".to_owned(), false)
    }

    /// A file that the page names by its content: `app.js` is `/console/app.0123456789.js`.
    pub fn named(file: EmbeddedFile, name: &str) -> Option<Asset> {
        let (stem, ending) = name.rsplit_once('.')?;
        let digest = hex::encode(file.metadata.sha256_hash());
        let path = format!("/console/{stem}.{}.{ending}", digest.get(..DIGITS)?);
        Asset::new(file, name, path, true)
    }

    fn new(file: EmbeddedFile, name: &str, path: String, forever: bool) -> Option<Asset> {
        let digest = hex::encode(file.metadata.sha256_hash());
        let digest = digest.get(..32)?;
        let kind = match name.rsplit_once('.')?.1 {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            "txt" => "text/plain; charset=utf-8",
            _ => return None,
        };
        let packed = PACKED.iter().filter_map(|(ending, coding)| {
            let file = Dist::get(&format!("{name}.{ending}"))?;
            Some(Form { coding, tag: format!("\"{digest}-{ending}\""), body: bytes(file.data) })
        });
        let mut forms: Vec<Form> = packed.collect();
        forms.push(Form { coding: "", tag: format!("\"{digest}\""), body: bytes(file.data) });
        Some(Asset(Arc::new(Inner { path, kind, forever, forms })))
    }

    /// Where it is found.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Answers a GET; a HEAD is cut by whoever routes.
    pub fn answer(&self, asked: &HeaderMap) -> Response<Body> {
        let Inner { kind, forever, forms, .. } = &*self.0;
        let accepted = asked.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let Some(form) = forms.iter().find(|form| form.coding.is_empty() || accepts(accepted, form.coding)) else {
            return Response::new(Body::empty());
        };
        let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
        let known = known.map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == form.tag);
        let mut response = Response::new(if known { Body::empty() } else { Body::from(form.body.clone()) });
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
        set(header::CONTENT_TYPE, kind);
        set(header::CACHE_CONTROL, if *forever { FOREVER } else { "no-cache" });
        set(header::VARY, "Accept-Encoding");
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::REFERRER_POLICY, "no-referrer");
        if !forever {
            set(header::CONTENT_SECURITY_POLICY, POLICY);
            set(header::X_FRAME_OPTIONS, "DENY");
            set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
            set(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), payment=(), usb=()");
        }
        if !form.coding.is_empty() && !known {
            set(header::CONTENT_ENCODING, form.coding);
        }
        if let Ok(tag) = HeaderValue::from_str(&form.tag) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}

fn bytes(data: Cow<'static, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => data.into(),
    }
}

/// Whether an `Accept-Encoding` takes a coding (RFC 9110 §12.5.3): it is named, or covered by `*`, and not with weight 0.
fn accepts(header: &str, coding: &str) -> bool {
    let weight = |wanted: &str| {
        header.split(',').find_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next()?;
            let zero = parts.any(|p| p.strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()).is_some_and(|q| q <= 0.0));
            name.eq_ignore_ascii_case(wanted).then_some(!zero)
        })
    };
    weight(coding).or_else(|| weight("*")).unwrap_or(false)
}
