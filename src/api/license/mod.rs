//! Licenses as REST: `/dabiz/license/v2/{active,detail,allocate,product/allocations,renew}`. HTTP Basic with a tenant's key pair, ten
//! requests a second of each function; answers `{"code","data"|"message"}`. An application (`appid`) is a group. What operators sell
//! and extend is in `api::licensing`.

#[cfg(test)]
mod tests;

use super::Api;
use super::query::Given;
use super::rest::{self, Door, Turned};
use crate::model::group::Group;
use crate::model::license::{License, Product, Sku};
use crate::model::page::Page;
use crate::model::tenant::{AccessKey, Scope};
use crate::model::time::Time;
use crate::store::{self, Store};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The most rows of a page.
const SIZE_MAX: i64 = 100;
/// The most licenses of one allocation.
const COUNT_MAX: i64 = 1_000_000;
/// The longest licenseKey and creator, in characters.
const TEXT_MAX: usize = 128;

/// The first segment of the paths that [`router`] answers.
pub const SEGMENTS: &[&str] = &["dabiz"];

/// The routes.
pub fn router(api: Api) -> Router {
    macro_rules! face {
        ($method:ident, $name:literal, $run:path) => {
            $method(|State(door): State<Door>, request: Request<Body>| async move {
                serve(&door, $name, request, |asked| Box::pin($run(asked))).await
            })
        };
    }
    Router::new()
        .route("/dabiz/license/v2/active", face!(post, "active", active))
        .route("/dabiz/license/v2/detail", face!(get, "detail", detail))
        .route("/dabiz/license/v2/allocate", face!(post, "allocate", allocate))
        .route("/dabiz/license/v2/product/allocations", face!(get, "allocations", allocations))
        .route("/dabiz/license/v2/renew", face!(post, "renew", renew))
        .with_state(Door::new(api))
}

/// A request whose caller is known.
struct Asked {
    store: Store,
    scope: Scope,
    given: Given,
    body: Bytes,
}

/// What a caller reads when it goes wrong.
struct Wrong(StatusCode, String);

impl Wrong {
    fn input(why: impl Into<String>) -> Wrong {
        Wrong(StatusCode::BAD_REQUEST, why.into())
    }
}

impl From<Turned> for Wrong {
    fn from(turned: Turned) -> Wrong {
        Wrong(turned.status(), turned.why().to_owned())
    }
}

impl From<store::Error> for Wrong {
    fn from(error: store::Error) -> Wrong {
        match error {
            store::Error::NotFound { noun, id } => Wrong::input(format!("{noun} not found: {}", super::error::shown(&id))),
            store::Error::Quota { what, limit } => Wrong::input(format!("the limit of {limit} {what} is reached")),
            store::Error::Status { noun, id, why } => Wrong::input(format!("{noun} {id}: {why}")),
            store::Error::Invalid { parameter, why } => Wrong::input(format!("{parameter} must be {why}")),
            error => {
                tracing::warn!(%error, "the license service failed");
                Wrong(StatusCode::INTERNAL_SERVER_ERROR, "internal error, try again later".to_owned())
            }
        }
    }
}

type Answered<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Value, Wrong>> + Send + 'a>>;

async fn serve(door: &Door, name: &'static str, request: Request<Body>, run: impl FnOnce(Asked) -> Answered<'static>) -> Response<Body> {
    let id = rest::request_id();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().cloned();
    let caller = rest::named(request.headers());
    let answer = async {
        let key = door.basic(request.headers(), name).await?;
        let asked = Asked::read(door.api().store().clone(), &key, request).await?;
        run(asked).await
    };
    let (status, mut value) = match answer.await {
        Ok(value) => (StatusCode::OK, value),
        Err(Wrong(status, why)) => (status, json!({ "message": why })),
    };
    value["code"] = status.as_u16().into();
    let response = rest::json(status, &id, &value);
    rest::log("license", name, &id, &caller, peer.as_ref(), &response);
    response
}

impl Asked {
    async fn read(store: Store, key: &AccessKey, request: Request<Body>) -> Result<Asked, Wrong> {
        let (head, body) = request.into_parts();
        let mut given = Given::default();
        given.extend(head.uri.query().unwrap_or_default().as_bytes()).map_err(|why| Wrong::input(why.to_string()))?;
        let body = rest::body(body).await.ok_or_else(|| Wrong::input("the body is too long or broke off"))?;
        Ok(Asked { store, scope: key.scope(), given, body })
    }

    /// A parameter of the query that must be there.
    fn text(&self, name: &str) -> Result<String, Wrong> {
        let value = self.given.get(name).map(str::trim).unwrap_or_default();
        checked(name, value)
    }

    fn number(&self, name: &str, default: i64, most: i64) -> Result<i64, Wrong> {
        match self.given.get(name).filter(|text| !text.is_empty()) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(n) if (1..=most).contains(&n) => Ok(n),
                _ => Err(Wrong::input(format!("{name} must be a number from 1 to {most}"))),
            },
        }
    }

    /// The application of `appid`, one of the caller's.
    async fn app(&self) -> Result<Group, Wrong> {
        let text = self.text("appid")?;
        let unknown = || Wrong::input(format!("appid not found: {}", super::error::shown(&text)));
        let id = text.parse().map_err(|_| unknown())?;
        match self.store.group(self.scope, id).await {
            Err(store::Error::NotFound { .. }) => Err(unknown()),
            found => Ok(found?),
        }
    }
}

fn checked(name: &str, value: &str) -> Result<String, Wrong> {
    if value.is_empty() {
        return Err(Wrong::input(format!("{name} is required")));
    }
    if value.chars().count() > TEXT_MAX || value.chars().any(char::is_control) {
        return Err(Wrong::input(format!("{name} must be at most {TEXT_MAX} characters long, without control characters")));
    }
    Ok(value.to_owned())
}

fn shown(license: &License, sku: &Sku) -> Value {
    json!({
        "pid": license.pid,
        "license": license.license,
        "licenseKey": license.key,
        "activationTime": license.activated.as_secs(),
        "expireTime": license.expires.as_secs(),
        "skuView": {
            "product": sku.product, "name": sku.name, "mediaType": sku.media_type, "minutes": sku.minutes, "period": sku.period,
        },
    })
}

async fn active(asked: Asked) -> Result<Value, Wrong> {
    let (pid, key) = (asked.text("pid")?, asked.text("licenseKey")?);
    let app = asked.app().await?;
    let license = asked.store.activate_license(asked.scope, app.id, &pid, &key).await?;
    let product: Product = asked.store.license_product(asked.scope, &pid).await?;
    Ok(json!({ "data": shown(&license, &product.sku) }))
}

async fn detail(asked: Asked) -> Result<Value, Wrong> {
    let key = asked.text("key")?;
    let app = asked.app().await?;
    let (license, product) = asked.store.find_license(asked.scope, app.id, &key).await?;
    Ok(json!({ "data": shown(&license, &product.sku) }))
}

async fn allocate(asked: Asked) -> Result<Value, Wrong> {
    let body: Value = serde_json::from_slice(&asked.body).map_err(|_| Wrong::input("the body must be JSON"))?;
    let text = |name: &str| checked(name, body[name].as_str().map(str::trim).unwrap_or_default());
    let (pid, creator) = (text("pid")?, text("creator")?);
    let count = body["count"].as_i64().filter(|n| (1..=COUNT_MAX).contains(n));
    let count = count.ok_or_else(|| Wrong::input(format!("count must be a number from 1 to {COUNT_MAX}")))?;
    let app = asked.app().await?;
    asked.store.allocate_licenses(asked.scope, app.id, &pid, count, &creator).await?;
    Ok(json!({ "message": "license配额成功" }))
}

async fn allocations(asked: Asked) -> Result<Value, Wrong> {
    let (page, size) = (asked.number("page", 1, i64::from(u32::MAX))?, asked.number("size", 10, SIZE_MAX)?);
    let pid = asked.text("pid")?;
    let app = asked.app().await?;
    let page = Page::new(u32::try_from(page).unwrap_or(u32::MAX), u32::try_from(size).unwrap_or(1));
    let found = asked.store.license_allocations(asked.scope, app.id, &pid, page).await?;
    let list: Vec<Value> = found
        .items
        .iter()
        .map(|a| json!({"pid": a.pid, "type": a.kind, "creator": a.creator, "count": a.quantity, "createTime": plain(a.created)}))
        .collect();
    Ok(json!({ "data": { "count": found.total, "list": list } }))
}

async fn renew(asked: Asked) -> Result<Value, Wrong> {
    let (renew_id, license) = (asked.text("renewId")?, asked.text("license")?);
    let app = asked.app().await?;
    asked.store.renew_license(asked.scope, app.id, &renew_id, &license).await?;
    Ok(json!({ "message": "license续期成功" }))
}

/// `2022-07-22 09:10:12`, UTC.
fn plain(time: Time) -> String {
    time.to_string().replace('T', " ").replace('Z', "")
}
