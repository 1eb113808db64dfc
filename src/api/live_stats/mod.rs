//! Recording usage: `GET /v2/{project_id}/stats/record`, for each hour the most recordings at once and when. A project is a tenant.
//!
//! Two ways to sign: `SDK-HMAC-SHA256` with the tenant's key pair, or `X-Auth-Token` with a token that `POST /v3/auth/tokens` gives
//! for the key pair. The operator's key opens every project.

#[cfg(test)]
mod tests;
mod token;

use super::Api;
use super::auth::{WINDOW, sdk};
use super::query::Given;
use super::rest::{self, Door, Turned};
use crate::model::id::UserId;
use crate::model::tenant::AccessKey;
use crate::model::time::Time;
use crate::store::{self, MINUTE, TotalOf};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
/// The longest range of a query.
const SPAN: i64 = 31 * DAY;
/// How far a query may look back.
const BACK: i64 = 90 * DAY;

/// The first segments of the paths that [`router`] answers.
pub const SEGMENTS: &[&str] = &["v2", "v3"];

/// The routes.
pub fn router(api: Api) -> Router {
    let door = Door::new(api);
    Router::new().route("/v2/{project_id}/stats/record", get(record)).route("/v3/auth/tokens", post(token::create)).with_state(door)
}

/// What goes wrong, as the document's error codes say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    /// A parameter is not what is allowed (400).
    Parameter(&'static str),
    /// Nobody that we know (401).
    Unknown,
    /// The project is not the caller's (403).
    Foreign,
    /// Turned away at the door.
    Turned(Turned),
    /// A defect, or the store (500).
    Inside,
}

impl From<Turned> for Wrong {
    fn from(turned: Turned) -> Wrong {
        match turned {
            Turned::Unauthorized => Wrong::Unknown,
            turned => Wrong::Turned(turned),
        }
    }
}

impl From<store::Error> for Wrong {
    fn from(error: store::Error) -> Wrong {
        tracing::warn!(%error, "recording usage cannot be told");
        Wrong::Inside
    }
}

impl Wrong {
    fn answer(&self, id: &str) -> Response<Body> {
        let (status, code, why) = match self {
            Wrong::Parameter(name) => (StatusCode::BAD_REQUEST, "LIVE.100011001", format!("Invalid request parameter: {name}")),
            Wrong::Unknown => (StatusCode::UNAUTHORIZED, "LIVE.100011003", "Authentication failed".to_owned()),
            Wrong::Foreign => (StatusCode::FORBIDDEN, "LIVE.100011003", "The project is not accessible with these credentials".to_owned()),
            Wrong::Turned(turned) => (turned.status(), "LIVE.100011003", turned.why().to_owned()),
            Wrong::Inside => (StatusCode::INTERNAL_SERVER_ERROR, "LIVE.100011000", "Internal error".to_owned()),
        };
        rest::json(status, id, &json!({"error_code": code, "error_msg": why}))
    }
}

async fn record(State(door): State<Door>, Path(project): Path<String>, request: Request<Body>) -> Response<Body> {
    let id = rest::request_id();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().cloned();
    let mut caller = String::new();
    let response = match answer(&door, &project, request, &mut caller).await {
        Ok(value) => rest::json(StatusCode::OK, &id, &value),
        Err(wrong) => wrong.answer(&id),
    };
    rest::log("stats", "record", &id, &caller, peer.as_ref(), &response);
    response
}

async fn answer(door: &Door, project: &str, request: Request<Body>, caller: &mut String) -> Result<Value, Wrong> {
    let (head, body) = request.into_parts();
    let body = rest::body(body).await.ok_or(Wrong::Parameter("body"))?;
    let mut given = Given::default();
    given.extend(head.uri.query().unwrap_or_default().as_bytes()).map_err(|_| Wrong::Parameter("query"))?;
    let key = identify(door, &head, &given, &body, caller).await?;
    let said = head.headers.get("x-project-id").and_then(|v| v.to_str().ok());
    if said.is_some_and(|said| said != project) {
        return Err(Wrong::Parameter("X-Project-Id"));
    }
    let user: UserId = project.parse().map_err(|_| Wrong::Parameter("project_id"))?;
    if !key.root && key.user != user {
        return Err(Wrong::Foreign);
    }
    let tenant = match door.api().store().tenant(&user).await {
        Err(store::Error::NotFound { .. }) => return Err(Wrong::Parameter("project_id")),
        found => found?,
    };
    let hours = Hours::of(given.get("start_time"), given.get("end_time"), door.api().now())?;
    let found = hours.look(door.api(), tenant.id).await?;
    Ok(json!({ "record_data_list": found }))
}

/// Who calls: by a token, or by a signature.
async fn identify(
    door: &Door,
    head: &http::request::Parts,
    given: &Given,
    body: &[u8],
    caller: &mut String,
) -> Result<Arc<AccessKey>, Wrong> {
    let now = door.api().now();
    if let Some(token) = head.headers.get("x-auth-token").and_then(|v| v.to_str().ok()) {
        let key_id = token::read(door.api(), token, now).ok_or(Wrong::Unknown)?;
        *caller = key_id.clone();
        return Ok(door.admit(door.key(&key_id).await?, "stats")?);
    }
    let claim = sdk::claim(head.method.as_str(), head.uri.path(), given, &head.headers, body).ok_or(Wrong::Unknown)?;
    *caller = claim.key_id.clone();
    let key = door.key(&claim.key_id).await?;
    if !claim.verify(&key.secret.0) || claim.time.abs_diff(now) > WINDOW as u64 {
        return Err(Wrong::Unknown);
    }
    Ok(door.admit(key, "stats")?)
}

/// The hours that are asked for: from the one that holds the start to the one that holds the end, as the document's example has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours {
    first: i64,
    last: i64,
}

impl Hours {
    /// Reads the parameters; `now` in unix seconds. What lies ahead is left out.
    fn of(start: Option<&str>, end: Option<&str>, now: i64) -> Result<Hours, Wrong> {
        let read = |text: Option<&str>, name: &'static str| match text.filter(|text| !text.is_empty()) {
            Some(text) => text.parse::<Time>().map(|time| Some(time.as_secs())).map_err(|_| Wrong::Parameter(name)),
            None => Ok(None),
        };
        let (start, end) = (read(start, "start_time")?, read(end, "end_time")?);
        let end = end.unwrap_or(now);
        let start = start.unwrap_or_else(|| end.min(now) - DAY);
        if end <= start || end - start > SPAN {
            return Err(Wrong::Parameter("end_time"));
        }
        if start < now - BACK - HOUR {
            return Err(Wrong::Parameter("start_time"));
        }
        Ok(Hours { first: start.div_euclid(HOUR) * HOUR, last: end.min(now).div_euclid(HOUR) * HOUR })
    }

    async fn look(self, api: &Api, tenant: crate::model::id::TenantId) -> Result<Vec<Value>, Wrong> {
        let (from, to) = (Time::from_secs(self.first), Time::from_secs(self.last + HOUR));
        let found = api.store().totals(TotalOf::Tenant(tenant), HOUR, from, to).await?;
        let mut peaks: std::collections::HashMap<i64, (i64, Time)> =
            found.iter().map(|total| (total.at.as_secs(), (total.peaks.recordings.most, total.peaks.recordings.at))).collect();
        let hours = (self.first..=self.last).step_by(HOUR as usize);
        Ok(hours
            .map(|hour| {
                let (most, at) = peaks.remove(&hour).filter(|(most, _)| *most > 0).unwrap_or((0, Time::from_secs(hour)));
                json!({"time": at.floor(MINUTE), "concurrent_count": most})
            })
            .collect())
    }
}
