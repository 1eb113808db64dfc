//! Tokens for `X-Auth-Token`: `POST /v3/auth/tokens` with a key pair, in the shape of the cloud's identity service. The token comes
//! in the header `X-Subject-Token`, is good for a day, and is sealed: nothing is kept of it.

use super::Wrong;
use crate::api::Api;
use crate::api::rest::{self, Door};
use crate::model::time::Time;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// How long a token is good, in seconds.
const GOOD: i64 = 86_400;
const PURPOSE: &str = "stats";

#[derive(Serialize, Deserialize)]
struct Token {
    key: String,
    until: i64,
}

/// The key pair of a request: `hw_ak_sk` with access and secret key, or `password` with the key's id as the user's name.
fn pair(body: &Value) -> Option<(&str, &str)> {
    let identity = &body["auth"]["identity"];
    let text = |value: &'static str| identity.pointer(value).and_then(Value::as_str);
    let keys = text("/hw_ak_sk/access/key").zip(text("/hw_ak_sk/secret/key"));
    keys.or_else(|| text("/password/user/name").zip(text("/password/user/password")))
}

pub(super) async fn create(State(door): State<Door>, request: Request<Body>) -> Response<Body> {
    let id = rest::request_id();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().cloned();
    let mut caller = String::new();
    let response = match issue(&door, request, &mut caller).await {
        Ok((token, value)) => {
            let mut response = rest::json(StatusCode::CREATED, &id, &value);
            if let Ok(token) = HeaderValue::from_str(&token) {
                response.headers_mut().insert("x-subject-token", token);
            }
            response
        }
        Err(wrong) => wrong.answer(&id),
    };
    rest::log("stats", "token", &id, &caller, peer.as_ref(), &response);
    response
}

async fn issue(door: &Door, request: Request<Body>, caller: &mut String) -> Result<(String, Value), Wrong> {
    let body = rest::body(request.into_body()).await.ok_or(Wrong::Parameter("body"))?;
    let body: Value = serde_json::from_slice(&body).map_err(|_| Wrong::Parameter("body"))?;
    let (key_id, secret) = pair(&body).ok_or(Wrong::Parameter("auth.identity"))?;
    *caller = key_id.to_owned();
    let key = door.key(key_id).await?;
    if !rest::same(key.secret.0.as_bytes(), secret.as_bytes()) {
        return Err(Wrong::Unknown);
    }
    let key = door.admit(key, "token")?;
    let now = door.api().now();
    let token = Token { key: key.id.clone(), until: now + GOOD };
    let text = serde_json::to_string(&token).map_err(|_| Wrong::Inside)?;
    let sealed = door.api().store().token(PURPOSE, &text)?;
    let time = |secs| Time::from_secs(secs).to_string();
    let about = json!({"token": {
        "issued_at": time(now), "expires_at": time(token.until), "project": {"id": key.user, "name": key.user}, "user": {"name": key.id},
    }});
    Ok((sealed, about))
}

/// The id of the key that a token was given for; `None`: it is not ours, or too old.
pub(super) fn read(api: &Api, token: &str, now: i64) -> Option<String> {
    let text = api.store().open_token(PURPOSE, token)?;
    let token: Token = serde_json::from_str(&text).ok()?;
    (token.until > now).then_some(token.key)
}
