//! Players of live streams in one answer or WebSocket: from the request to the pump, or to a task of its own where there is no plain socket.

use super::io::Transport;
use super::reply::{self, Refusal};
use super::target::{Container, parameter};
use super::ws::{self, Wish};
use super::{Http, session_task};
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::container::flv::Hevc;
use crate::edge::net::pump::{Inbound, Viewer};
use crate::edge::session::{Role, Session};
use crate::stream::access::{Act, Ask, Denied, Grant};
use crate::stream::{Class, NoPublisher, Start, Subscriber};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{Method, Response, StatusCode, request};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a player may send while it waits for its stream.
const EARLY_MAX: usize = 16 << 10;

/// A player that may begin.
pub struct Admitted {
    subscriber: Subscriber,
    session: Session,
    websocket: bool,
    container: Container,
    hevc: Hevc,
    /// The head of the answer.
    pub response: Response<Body>,
}

/// A session whose request is dropped while it waits ended because its peer left.
pub(super) struct Waiting(Option<Session>);

impl Waiting {
    pub(super) fn new(session: Session) -> Waiting {
        Waiting(Some(session))
    }

    pub(super) fn over(mut self) -> Session {
        self.0.take().expect("taken once, by value")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            session.close(End::PeerClosed);
        }
    }
}

impl Http {
    /// Decides whether the request may play, and waits for its stream. A refusal has closed the session.
    pub async fn admit(
        &self,
        request: &request::Parts,
        key: &StreamKey,
        container: Container,
        peer: SocketAddr,
    ) -> Result<Admitted, Refusal> {
        let refuse = |status, why: String| Err(Refusal::new(status, why));
        let accept = match ws::wish(&request.headers) {
            Wish::No => None,
            Wish::Yes(accept) if request.method == Method::GET => Some(accept),
            Wish::Version => return refuse(StatusCode::UPGRADE_REQUIRED, "WebSocket version 13 is spoken here".to_owned()),
            Wish::Broken(why) => return refuse(StatusCode::BAD_REQUEST, format!("WebSocket: {why}")),
            Wish::Yes(_) => return refuse(StatusCode::BAD_REQUEST, "WebSocket: the method must be GET".to_owned()),
        };
        let query = request.uri.query().unwrap_or_default();
        let hevc = match parameter(query, "hevc").as_deref() {
            None => self.settings().hevc,
            Some("enhanced") => Hevc::Enhanced,
            Some("legacy") => Hevc::Legacy,
            Some(other) => return refuse(StatusCode::BAD_REQUEST, format!("hevc={other}: enhanced or legacy")),
        };
        let start = match parameter(query, "start").as_deref() {
            None | Some("key") => Start::Key,
            Some("live") => Start::Live,
            Some(other) => return refuse(StatusCode::BAD_REQUEST, format!("start={other}: key or live")),
        };
        let protocol = container.protocol(accept.is_some());
        let waiting = Waiting::new(self.parts().sessions.open(protocol, peer));
        match self.find(request, key, peer, protocol, start).await {
            Ok((subscriber, grant)) => {
                let response = match &accept {
                    Some(accept) => reply::websocket(accept),
                    None => reply::live(self.settings(), &request.headers, container.mime()),
                };
                let (mut session, websocket) = (waiting.over(), accept.is_some());
                session.admitted(grant);
                Ok(Admitted { subscriber, session, websocket, container, hevc, response })
            }
            Err(refusal) => {
                waiting.over().close(refusal.end(key));
                Err(refusal)
            }
        }
    }

    /// Asks whether the stream may be played.
    pub async fn permit(&self, request: &request::Parts, key: &StreamKey, peer: SocketAddr, protocol: &'static str) -> Result<(), Refusal> {
        let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
        self.allowed(Ask { act: Act::Play, key, protocol, peer, path, query }).await.map(drop)
    }

    /// Asks for permission, then for the stream.
    pub async fn find(
        &self,
        request: &request::Parts,
        key: &StreamKey,
        peer: SocketAddr,
        protocol: &'static str,
        start: Start,
    ) -> Result<(Subscriber, Grant), Refusal> {
        let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
        self.wait(Ask { act: Act::Play, key, protocol, peer, path, query }, start).await
    }

    /// Asks for permission, whatever it is for.
    pub async fn allowed(&self, ask: Ask<'_>) -> Result<Grant, Refusal> {
        self.parts().access.check(ask).await.map_err(|denied| {
            let status = match denied {
                Denied::Forbidden(_) | Denied::Quota(..) => StatusCode::FORBIDDEN,
                Denied::NotFound(_) => StatusCode::NOT_FOUND,
                Denied::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            Refusal::new(status, denied.to_string())
        })
    }

    /// Asks for permission to play, then for the stream; whoever plays keeps the grant.
    pub async fn wait(&self, ask: Ask<'_>, start: Start) -> Result<(Subscriber, Grant), Refusal> {
        let key = ask.key;
        let grant = self.allowed(ask).await?;
        let wait = self.parts().registry.wait_for(key, Class::Viewer, start, self.settings().patience.0);
        let stop = self.stop();
        tokio::select! {
            biased;
            () = stop.requested() => Err(Refusal::stopping()),
            found = wait => found.map(|subscriber| (subscriber, grant)).map_err(|e| match e {
                NoPublisher::TimedOut => Refusal::new(StatusCode::NOT_FOUND, format!("nobody publishes {key}")),
                NoPublisher::Refused(why) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why),
            }),
        }
    }

    /// Serves a connection whose first request asks for a live stream; `early` came behind the request.
    pub async fn play<S: Transport>(
        &self,
        mut io: S,
        early: BytesMut,
        request: request::Parts,
        (key, container): (StreamKey, Container),
        peer: SocketAddr,
        keep: Box<dyn Send>,
    ) {
        let mut early = early;
        let answer = match request.method {
            Method::OPTIONS => Err(reply::options(self.settings(), &request.headers)),
            Method::GET | Method::HEAD => {
                let admission = self.admit(&request, &key, container, peer);
                tokio::select! {
                    biased;
                    admitted = admission => admitted.map_err(|refusal| refusal.response(self.settings(), &request.headers)),
                    () = left(&mut io, &mut early) => return,
                }
            }
            _ => Err(not_allowed().response(self.settings(), &request.headers)),
        };
        match answer {
            Ok(admitted) if request.method == Method::HEAD => {
                let head = reply::head(&admitted.response, None);
                admitted.session.close(End::PeerClosed);
                finish(io, &[&head]).await;
            }
            Ok(admitted) => self.start(io, early.freeze(), admitted, keep, true).await,
            Err(response) => answer_and_close(io, response, request.method == Method::HEAD).await,
        }
    }

    /// Hands an admitted player to its pump, or serves it here. `headed`: the head of the answer is still to be sent.
    pub async fn start<S: Transport>(&self, io: S, early: Bytes, admitted: Admitted, keep: Box<dyn Send>, headed: bool) {
        let Admitted { subscriber, session, websocket, container, hevc, response } = admitted;
        session.begin(Role::Play, subscriber.stream().key());
        let first = if headed { reply::head(&response, None) } else { Bytes::new() };
        let format = match container {
            Container::Flv => self.formats().get(websocket, hevc),
            Container::Fmp4 => self.fmp4(websocket),
        };
        let inbound = websocket.then(|| Box::new(ws::Listener::new(&early)) as Box<dyn Inbound>);
        match io.into_socket() {
            Ok(socket) => {
                self.parts().pumps.play(Viewer { subscriber, socket, session, format, inbound, first, keep: Some(keep) });
            }
            Err(io) => {
                let task = session_task::Player { subscriber, session, format, inbound, first };
                task.run(io, self.stop(), self.parts().pumps.stall()).await;
                drop(keep);
            }
        }
    }
}

/// A method that makes no sense here.
pub fn not_allowed() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "only GET, HEAD and OPTIONS make sense here")
}

/// Returns when the peer is gone, or sends more than makes sense before it was answered; what it sends is kept.
async fn left<S: Transport>(io: &mut S, early: &mut BytesMut) {
    while early.len() < EARLY_MAX {
        match io.read_buf(early).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Sends a whole answer and closes.
pub async fn answer_and_close<S: Transport>(io: S, response: Response<Body>, bodiless: bool) {
    let (parts, body) = response.into_parts();
    // Refusals are a sentence; this bounds nothing that anybody wrote.
    let body = axum::body::to_bytes(body, 64 << 10).await.unwrap_or_default();
    let head = reply::head(&Response::from_parts(parts, Body::empty()), Some(body.len()));
    finish(io, &[&head, if bodiless { &[] } else { &body }]).await;
}

/// Writes, says goodbye, and waits a moment for the peer to take it: closing with unread bytes would reset the connection
/// and could take the answer away again.
async fn finish<S: Transport>(mut io: S, parts: &[&[u8]]) {
    let farewell = async {
        for part in parts {
            io.write_all(part).await?;
        }
        io.shutdown().await?;
        let mut scratch = [0; 1024];
        for _ in 0..256 {
            if io.read(&mut scratch).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    // Whether the peer took it or not, the connection ends.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), farewell).await;
}
