//! The signalling of WebRTC: WHEP to play (`/{app}/{stream}.whep`), WHIP to publish (RFC 9725, `/{app}/{stream}.whip`), and the
//! JSON exchange of players that take `webrtc://` and `rtc://` URLs. A session is ended at the address that its answer names.

use super::play::Waiting;
use super::reply::{self, Refusal};
use super::{Http, target};
use crate::base::id::StreamKey;
use crate::edge::session::Session;
use crate::proto::webrtc::exchange;
use crate::stream::access::{Act, Ask};
use crate::stream::{Start, Subscriber};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request};
use axum::routing::any;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode, request};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

/// A client's offer for a stream.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The stream.
    pub key: StreamKey,
    /// The SDP.
    pub sdp: String,
    /// The address that the request was sent to, if its URL has one instead of a name.
    pub host: Option<IpAddr>,
}

/// A session that begins when the client connects.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The SDP answer.
    pub answer: String,
    /// What the session is called; nobody guesses it.
    pub id: String,
    /// Its entity tag, without quotes.
    pub tag: String,
}

/// An answer, when it is there.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Opened, Refusal>> + Send + 'a>>;

/// Who answers offers. Edges do not know each other.
pub trait Calls: Send + Sync {
    /// A viewer, who may play. A refusal has closed the session.
    fn play<'a>(&'a self, subscriber: Subscriber, session: Session, offer: Offer) -> Answering<'a>;
    /// A publisher, who may publish. A refusal has closed the session.
    fn publish(&self, session: Session, offer: Offer) -> Result<Opened, Refusal>;
    /// A change of a session that the client has under this tag, or whatever its tag is.
    fn patch(&self, id: &str, tag: Option<&str>, fragment: &str) -> Result<(), Refusal>;
    /// The client ends its session.
    fn leave(&self, id: &str) -> Result<(), Refusal>;
    /// Name, kind, help and value.
    fn metrics(&self) -> Vec<(&'static str, &'static str, &'static str, u64)>;
}

/// Larger than any offer.
const BODY: usize = 256 << 10;
/// The first segment of the paths that [`Http::calls`] answers.
pub const SEGMENTS: &[&str] = &["rtc"];
/// Where sessions are.
const SESSIONS: &str = "/rtc/v1/session/";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Whep,
    Whip,
}

impl Way {
    fn suffix(self) -> &'static str {
        match self {
            Way::Whep => ".whep",
            Way::Whip => ".whip",
        }
    }

    fn act(self) -> Act {
        match self {
            Way::Whep => Act::Play,
            Way::Whip => Act::Publish,
        }
    }
}

/// What a request is about, however it was written.
struct Call<'a> {
    way: Way,
    key: StreamKey,
    path: &'a str,
    query: &'a str,
    sdp: String,
}

impl Http {
    /// Answers all paths that end in `.whep`.
    pub fn whep(&self) -> Router {
        self.offers(Way::Whep)
    }

    /// Answers all paths that end in `.whip`.
    pub fn whip(&self) -> Router {
        self.offers(Way::Whip)
    }

    /// The routes that are at fixed places: the JSON exchange and the sessions.
    pub fn calls(&self) -> Router {
        let exchange = |way| {
            let http = self.clone();
            any(move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
                let http = http.clone();
                async move { http.exchange(way, request, peer).await }
            })
        };
        let http = self.clone();
        let session = any(move |Path(id): Path<String>, request: Request| {
            let http = http.clone();
            async move { http.session(&id, request).await }
        });
        Router::new()
            .route("/rtc/v1/play", exchange(Way::Whep))
            .route("/rtc/v1/play/", exchange(Way::Whep))
            .route("/rtc/v1/publish", exchange(Way::Whip))
            .route("/rtc/v1/publish/", exchange(Way::Whip))
            .route("/rtc/v1/session/{id}", session)
    }

    fn offers(&self, way: Way) -> Router {
        let http = self.clone();
        Router::new().fallback(move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
            let http = http.clone();
            async move { http.offer(way, request, peer).await }
        })
    }

    async fn offer(&self, way: Way, request: Request, peer: SocketAddr) -> Response<Body> {
        let (head, body) = request.into_parts();
        let opened = match head.method {
            Method::OPTIONS => return self.preflight(&head, "POST, OPTIONS", "application/sdp"),
            Method::POST => self.take_offer(way, &head, body, peer).await,
            _ => Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "an offer is sent by POST")),
        };
        match opened {
            Ok(opened) => {
                let mut response = Response::new(Body::from(opened.answer));
                *response.status_mut() = StatusCode::CREATED;
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/sdp"));
                set(headers, header::LOCATION, &format!("{SESSIONS}{}", opened.id));
                set(headers, header::ETAG, &format!("\"{}\"", opened.tag));
                headers
                    .insert(header::HeaderName::from_static("accept-patch"), HeaderValue::from_static("application/trickle-ice-sdpfrag"));
                self.finish(response, &head)
            }
            Err(refusal) => self.finish(refusal.response(self.settings(), &head.headers), &head),
        }
    }

    async fn take_offer(&self, way: Way, head: &request::Parts, body: Body, peer: SocketAddr) -> Result<Opened, Refusal> {
        let path = head.uri.path();
        let key = target::stream(path, way.suffix())
            .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("offers are taken at /{{app}}/{{stream}}{}", way.suffix())))?;
        expect(&head.headers, "application/sdp")?;
        let sdp = text(body).await?;
        self.call(Call { way, key, path, query: head.uri.query().unwrap_or_default(), sdp }, &head.headers, peer).await
    }

    /// Asks for permission, finds the stream, and passes the offer on.
    async fn call(&self, call: Call<'_>, headers: &HeaderMap, peer: SocketAddr) -> Result<Opened, Refusal> {
        let calls = self.parts().calls.as_ref().ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "WebRTC is not served here"))?;
        let waiting = Waiting::new(self.parts().sessions.open("webrtc", peer));
        let Call { way, key, path, query, sdp } = call;
        let ask = Ask { act: way.act(), key: &key, protocol: "webrtc", peer, path, query };
        let found = match way {
            Way::Whep => self.wait(ask, Start::Key).await.map(|(subscriber, grant)| (Some(subscriber), grant)),
            Way::Whip => self.allowed(ask).await.map(|grant| (None, grant)),
        };
        let mut session = waiting.over();
        let offer = Offer { key, sdp, host: host(headers) };
        match found {
            Ok((subscriber, grant)) => {
                session.admitted(grant);
                match subscriber {
                    Some(subscriber) => calls.play(subscriber, session, offer).await,
                    None => calls.publish(session, offer),
                }
            }
            Err(refusal) => {
                session.close(refusal.end(&offer.key));
                Err(refusal)
            }
        }
    }

    /// One request of the JSON exchange: failures are told in the answer, with status 200, as such players expect it.
    async fn exchange(&self, way: Way, request: Request, peer: SocketAddr) -> Response<Body> {
        let (head, body) = request.into_parts();
        if head.method == Method::OPTIONS {
            return self.preflight(&head, "POST, OPTIONS", "application/json");
        }
        let opened = match head.method {
            Method::POST => self.take_exchange(way, &head, body, peer).await,
            _ => Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "the offer is sent by POST, in JSON: streamurl, sdp")),
        };
        let reply = match opened {
            Ok(opened) => exchange::Reply { code: 0, msg: None, sdp: Some(opened.answer), sessionid: Some(opened.id) },
            Err(refusal) => exchange::Reply { code: refusal.status.as_u16(), msg: Some(refusal.why), ..exchange::Reply::default() },
        };
        let mut response = Response::new(Body::from(serde_json::to_string(&reply).unwrap_or_default()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.finish(response, &head)
    }

    async fn take_exchange(&self, way: Way, head: &request::Parts, body: Body, peer: SocketAddr) -> Result<Opened, Refusal> {
        let bad = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
        let body = text(body).await?;
        let request: exchange::Request = serde_json::from_str(&body).map_err(|e| bad(format!("the request cannot be read: {e}")))?;
        let exchange::Target { key, path, query } = exchange::target(&request.streamurl).map_err(bad)?;
        self.call(Call { way, key, path: &path, query: &query, sdp: request.sdp }, &head.headers, peer).await
    }

    /// PATCH and DELETE of a session.
    async fn session(&self, id: &str, request: Request) -> Response<Body> {
        let (head, body) = request.into_parts();
        let done = match (&self.parts().calls, &head.method) {
            (_, &Method::OPTIONS) => return self.preflight(&head, "PATCH, DELETE, OPTIONS", ""),
            (None, _) => Err(Refusal::new(StatusCode::NOT_FOUND, "WebRTC is not served here")),
            (Some(calls), &Method::DELETE) => calls.leave(id).map(|()| StatusCode::OK),
            (Some(calls), &Method::PATCH) => {
                async {
                    expect(&head.headers, "application/trickle-ice-sdpfrag")?;
                    let fragment = text(body).await?;
                    let tag = head.headers.get(header::IF_MATCH).and_then(|tag| tag.to_str().ok());
                    calls.patch(id, tag, &fragment).map(|()| StatusCode::NO_CONTENT)
                }
                .await
            }
            _ => Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "a session takes PATCH and DELETE")),
        };
        let response = match done {
            Ok(status) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = status;
                response
            }
            Err(refusal) => refusal.response(self.settings(), &head.headers),
        };
        self.finish(response, &head)
    }

    /// How browsers ask beforehand.
    fn preflight(&self, head: &request::Parts, methods: &'static str, accepts: &'static str) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type, Authorization, If-Match"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        if !accepts.is_empty() {
            headers.insert(header::HeaderName::from_static("accept-post"), HeaderValue::from_static(accepts));
        }
        self.finish(response, head)
    }

    /// Lets pages of other sites read what they need.
    fn finish(&self, mut response: Response<Body>, head: &request::Parts) -> Response<Body> {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        reply::allow(headers, self.settings(), &head.headers);
        if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Location, ETag, Link, Accept-Patch"));
        }
        response
    }
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A body must be of this type; who says nothing is believed.
fn expect(headers: &HeaderMap, kind: &str) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or(kind);
    let given = given.split(';').next().unwrap_or_default().trim();
    match given.eq_ignore_ascii_case(kind) {
        true => Ok(()),
        false => Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the body is {given}, and {kind} is taken here"))),
    }
}

async fn text(body: Body) -> Result<String, Refusal> {
    let bytes = axum::body::to_bytes(body, BODY)
        .await
        .map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, format!("the body did not come, or is larger than {BODY} bytes: {e}")))?;
    String::from_utf8(bytes.into()).map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the body is not UTF-8"))
}

/// The address in a request's URL.
fn host(headers: &HeaderMap) -> Option<IpAddr> {
    let authority: http::uri::Authority = headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
    authority.host().trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_urls() {
        let of = |text: &str| host(&HeaderMap::from_iter([(header::HOST, HeaderValue::from_str(text).unwrap())]));
        assert_eq!(of("10.0.0.5:8080"), "10.0.0.5".parse().ok());
        assert_eq!(of("[::1]:8080"), "::1".parse().ok());
        assert_eq!(of("example.org"), None);
        assert_eq!(host(&HeaderMap::new()), None);
    }

    #[test]
    fn types_of_bodies() {
        let of = |text: &str| HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(text).unwrap())]);
        assert!(expect(&of("Application/SDP; charset=utf-8"), "application/sdp").is_ok());
        assert!(expect(&HeaderMap::new(), "application/sdp").is_ok());
        assert_eq!(expect(&of("text/plain"), "application/sdp").unwrap_err().status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
