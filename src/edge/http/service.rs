//! What hyper brings: ordinary requests, and those for streams on a connection that was used for something else before.

use super::head;
use super::heads::Heads;
use super::io::Transport;
use super::reply::{self, Refusal};
use super::site::Site;
use super::target::{Container, Target};
use super::{Http, play};
use axum::body::Body;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, request};
use http_body_util::Limited;
use hyper::body::{Body as HttpBody, Frame, Incoming};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, DuplexStream, ReadBuf};
use tokio::time::{Instant, Sleep};
use tower::Service;

/// Between a player's task and hyper, on connections that hyper owns.
const PIPE: usize = 64 << 10;

/// What HTTP answers by itself, whoever else is there: `/healthz`, `/readyz`, `/metrics`.
pub(super) const OWN: [&str; 3] = ["healthz", "readyz", "metrics"];

/// Answers the requests of one connection. Cheap to clone.
pub struct Requests<S> {
    http: Http,
    site: Site,
    peer: SocketAddr,
    /// What the connection holds; a WebSocket takes it along when it leaves hyper.
    keep: Arc<dyn Send + Sync>,
    transport: PhantomData<fn() -> S>,
}

impl<S: Transport> Requests<S> {
    /// For one connection.
    pub fn new(http: Http, site: Site, peer: SocketAddr, keep: Arc<dyn Send + Sync>) -> Requests<S> {
        Requests { http, site, peer, keep, transport: PhantomData }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        if self.http.stop().is_requested() {
            let stopping = Refusal::stopping();
            return Ok(match (self.site.early)(head.uri.path(), &stopping) {
                Some(response) => response.map(Body::from),
                None => stopping.response(self.http.settings(), &head.headers),
            });
        }
        // Where such a request ends is hyper's to know: the heads behind it are not read before.
        let last = head::follows(&head) == Ok(head::Follows::Anything);
        let mut response = self.target(head, body).await;
        if last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }

    async fn target(&self, head: request::Parts, body: Incoming) -> Response<Body> {
        match Target::parse(head.uri.path()) {
            Target::Live(key, container) => self.live(Request::from_parts(head, body), &key, container).await,
            Target::Playlist(key) => self.http.playlist(&head, &key, self.peer).await,
            Target::Piece(key, piece) => self.http.piece(&head, &key, piece).await,
            Target::Segment(key, number) => self.http.segment(&head, &key, number),
            Target::Other => match self.http.own(&head) {
                Some(response) => response,
                None => self.rest(head, body).await,
            },
        }
    }

    /// Everything that others brought: the API, the console.
    async fn rest(&self, head: request::Parts, body: Incoming) -> Response<Body> {
        let settings = self.http.settings();
        let limited = Limited::new(Timed::new(body, settings.body_time.0), settings.body_max.bytes());
        let mut request = Request::from_parts(head, Body::new(limited));
        request.extensions_mut().insert(axum::extract::ConnectInfo(self.peer));
        // A router is always ready.
        let Ok(response) = self.site.router.clone().call(request).await;
        response
    }

    async fn live(&self, mut request: Request<Incoming>, key: &crate::base::id::StreamKey, container: Container) -> Response<Body> {
        let settings = self.http.settings();
        let upgrade = hyper::upgrade::on(&mut request);
        let (head, _) = request.into_parts();
        match head.method {
            Method::OPTIONS => return reply::options(settings, &head.headers),
            Method::GET | Method::HEAD => {}
            _ => return play::not_allowed().response(settings, &head.headers),
        }
        let mut admitted = match self.http.admit(&head, key, container, self.peer).await {
            Ok(admitted) => admitted,
            Err(refusal) => return refusal.response(settings, &head.headers),
        };
        let mut response = std::mem::take(&mut admitted.response);
        if head.method == Method::HEAD {
            return response;
        }
        let (http, keep) = (self.http.clone(), self.keep.clone());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.http.tasks().spawn("websocket", async move {
                let Ok(upgraded) = upgrade.await else { return };
                if let Ok(parts) = upgraded.downcast::<TokioIo<Heads<S>>>() {
                    let (early, Some(io)) = parts.io.into_inner().into_parts() else { return };
                    // What hyper read came before what it did not.
                    let early = [&parts.read_buf[..], &early[..]].concat().into();
                    http.start(io, early, admitted, Box::new(keep), false).await;
                }
            });
            return response;
        }
        let (ours, theirs) = tokio::io::duplex(PIPE);
        self.http.tasks().spawn("player behind hyper", async move {
            http.start(Piped(ours), Bytes::new(), admitted, Box::new(keep), false).await;
        });
        *response.body_mut() = Body::new(Pipe(theirs));
        response
    }
}

impl Http {
    /// Answers what everybody may ask of the server itself.
    fn own(&self, head: &request::Parts) -> Option<Response<Body>> {
        let text = |status: StatusCode, body: String| {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Some(response)
        };
        let asks = matches!(head.method, Method::GET | Method::HEAD);
        match OWN.into_iter().find(|name| head.uri.path().strip_prefix('/') == Some(*name))? {
            "healthz" if asks => text(StatusCode::OK, "ok\n".to_owned()),
            "readyz" if asks => match (self.parts().ready)() {
                Ok(()) => text(StatusCode::OK, "ready\n".to_owned()),
                Err(why) => Some(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why).response(self.settings(), &head.headers)),
            },
            "metrics" if asks && self.settings().metrics => {
                let mut response = text(StatusCode::OK, self.metrics())?;
                let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                Some(response)
            }
            _ => None,
        }
    }
}

/// A body of which nothing came for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request's body did not come in time")]
pub struct Late;

/// A request body that fails when nothing of it comes for too long.
struct Timed {
    body: Incoming,
    within: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Timed {
    fn new(body: Incoming, within: Duration) -> Timed {
        Timed { body, within, sleep: Box::pin(tokio::time::sleep(within)) }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let at = Instant::now() + self.within;
            self.sleep.as_mut().reset(at);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(Late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// The player's side of the pipe.
struct Piped(DuplexStream);

impl AsyncRead for Piped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Piped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Transport for Piped {
    fn into_socket(self) -> Result<tokio::net::TcpStream, Piped> {
        Err(self)
    }
}

/// Hyper's side: a body of unknown length.
struct Pipe(DuplexStream);

impl HttpBody for Pipe {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let mut space = [0; 16 << 10];
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(match buffer.filled() {
            [] => None,
            bytes => Some(Ok(Frame::data(Bytes::copy_from_slice(bytes)))),
        })
    }
}
