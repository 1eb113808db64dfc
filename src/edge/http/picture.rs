//! `/{app}/{stream}.jpg`: the present picture of a stream, which is its newest key frame, as JPEG.
//!
//! Nothing is decoded before somebody asks. Who asks at the same time, or within a second, gets the same picture. A picture is
//! no reason to fetch a stream: of one that nobody sends now there is none.

use super::reply::{self, Refusal};
use super::target::{self, parameter};
use super::{Http, play};
use crate::base::id::StreamKey;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::runtime::clock::Clock;
use crate::stream::{Class, Recv, Start, Subscriber, Unit};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use bytes::Bytes;
use dashmap::DashMap;
use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode, request};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// A picture is good for this long.
const FRESH: Duration = Duration::from_secs(1);
/// How long a stream that has no video yet may take to bring some.
const VIDEO_WITHIN: Duration = Duration::from_secs(1);
/// Pictures that are kept or made at one time at most.
const KEPT: usize = 256;
/// The widths that may be asked for, in pixels.
const WIDTHS: std::ops::RangeInclusive<u16> = 16..=4096;

/// A JPEG file, when it is made.
pub type Taken<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Refusal>> + Send + 'a>>;

/// Who decodes and encodes. Edges and workers do not know each other.
pub trait Pictures: Send + Sync {
    /// Makes a JPEG file of a key frame of video; at most `width` pixels wide, or of the source's size if that is 0.
    fn take<'a>(&'a self, unit: &'a Unit, width: u16) -> Taken<'a>;
}

/// When it was made, and what came of it. Failures are kept as well: a frame that does not decode is not tried at every request.
type Made = (Timestamp, Result<Bytes, Refusal>);

/// The pictures of the last second, and those being made.
pub struct Kept {
    clock: Clock,
    cells: DashMap<(StreamKey, u16), Arc<OnceCell<Made>>>,
}

impl Kept {
    /// None yet.
    pub fn new(clock: Clock) -> Kept {
        Kept { clock, cells: DashMap::new() }
    }

    /// Forgets what is too old to be shown.
    pub fn sweep(&self) {
        self.cells.retain(|_, cell| self.is_good(cell) && (cell.initialized() || Arc::strong_count(cell) > 1));
    }

    /// Whether there are none, not even in the making.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Being made, or not too old.
    fn is_good(&self, cell: &OnceCell<Made>) -> bool {
        cell.get().is_none_or(|(at, _)| self.clock.now().since(*at) < FRESH)
    }

    fn cell(&self, key: &StreamKey, width: u16) -> Result<Arc<OnceCell<Made>>, Refusal> {
        if self.cells.len() >= KEPT {
            self.sweep();
            if self.cells.len() >= KEPT {
                return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, format!("{KEPT} pictures are being made, which is the limit")));
            }
        }
        let mut cell = self.cells.entry((key.clone(), width)).or_default();
        if !self.is_good(&cell) {
            *cell = Arc::default();
        }
        Ok(cell.clone())
    }
}

impl Http {
    /// Answers all paths that end in `.jpg`.
    pub fn pictures(&self) -> Router {
        let http = self.clone();
        Router::new().fallback(move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
            let http = http.clone();
            async move {
                let (head, _) = request.into_parts();
                http.picture(&head, peer).await
            }
        })
    }

    async fn picture(&self, request: &request::Parts, peer: SocketAddr) -> Response<Body> {
        let made = match request.method {
            Method::OPTIONS => return reply::options(self.settings(), &request.headers),
            Method::GET | Method::HEAD => self.jpeg(request, peer).await,
            _ => Err(play::not_allowed()),
        };
        match made {
            Ok(jpeg) => {
                let length = HeaderValue::from(jpeg.len());
                let mut response = Response::new(if request.method == Method::HEAD { Body::empty() } else { Body::from(jpeg) });
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
                headers.insert(header::CONTENT_LENGTH, length);
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
                reply::allow(headers, self.settings(), &request.headers);
                response
            }
            Err(refusal) => refusal.response(self.settings(), &request.headers),
        }
    }

    async fn jpeg(&self, request: &request::Parts, peer: SocketAddr) -> Result<Bytes, Refusal> {
        let key = target::stream(request.uri.path(), ".jpg")
            .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "pictures are at /{app}/{stream}.jpg"))?;
        let width = match parameter(request.uri.query().unwrap_or_default(), "width") {
            None => 0,
            Some(text) => text.parse().ok().filter(|width| WIDTHS.contains(width)).ok_or_else(|| {
                Refusal::new(StatusCode::BAD_REQUEST, format!("width={text}: a number from {} to {}", WIDTHS.start(), WIDTHS.end()))
            })?,
        };
        self.permit(request, &key, peer, "jpg").await?;
        let subscriber = self.parts().registry.subscribe(&key, Class::Worker, Start::Key);
        let subscriber = subscriber.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("nobody publishes {key}")))?;
        let kept = self.kept();
        let cell = kept.cell(&key, width)?;
        // If who makes it goes away, the next one who waits makes it.
        let make = async {
            let made = self.make(subscriber, width).await;
            (kept.clock.now(), made)
        };
        let stop = self.stop();
        tokio::select! {
            biased;
            () = stop.requested() => Err(Refusal::stopping()),
            (_, made) = cell.get_or_init(|| make) => made.clone(),
        }
    }

    async fn make(&self, mut subscriber: Subscriber, width: u16) -> Result<Bytes, Refusal> {
        let stream = subscriber.stream().clone();
        let key = stream.key();
        if !stream.is_live() {
            return Err(Refusal::new(StatusCode::NOT_FOUND, format!("nobody publishes {key} now")));
        }
        let patience = self.settings().patience.0;
        let mut found = tokio::time::timeout(VIDEO_WITHIN.min(patience), key_frame(&mut subscriber)).await;
        if found.is_err() && stream.tracks().video.is_some() {
            found = tokio::time::timeout(patience.saturating_sub(VIDEO_WITHIN), key_frame(&mut subscriber)).await;
        }
        let unit = match found {
            Ok(Some(unit)) => unit,
            Ok(None) => return Err(Refusal::new(StatusCode::NOT_FOUND, format!("{key} has ended"))),
            Err(_) if stream.tracks().video.is_none() => {
                return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{key} has no video")));
            }
            Err(_) => return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, format!("no key frame of {key} came within {patience:?}"))),
        };
        self.parts().pictures.take(&unit, width).await
    }
}

/// The newest key frame, or the next one; `None` at the stream's end.
async fn key_frame(subscriber: &mut Subscriber) -> Option<Arc<Unit>> {
    let mut batch = Vec::new();
    loop {
        match subscriber.recv(&mut batch).await {
            Recv::Units => {
                if let Some(unit) = batch.drain(..).find(|unit| unit.frame.kind == Kind::Video && unit.frame.key) {
                    return Some(unit);
                }
            }
            Recv::Lagged { .. } => {}
            Recv::Ended(_) => return None,
        }
    }
}
