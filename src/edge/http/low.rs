//! Low-latency HLS: playlists that wait for what they are asked for, and the pieces of fragmented MP4 that they list.

use super::hls::{codecs, ours};
use super::reply::{self, Refusal};
use super::target::{encode, parameter};
use super::{Http, play};
use crate::base::id::StreamKey;
use crate::container::m3u8::{self, Parts, Piece, Variant};
use crate::stream::Start;
use axum::body::Body;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode, request};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The query parameter that carries the token.
const TOKEN: &str = "hls";

/// What a player waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Anything to begin with.
    Ready,
    /// A segment, or a part of one.
    Holds(u64, Option<usize>),
}

/// The list of a stream's parts, when it holds what is waited for.
pub type Listed<'a> = Pin<Box<dyn Future<Output = Result<Arc<Parts>, Refusal>> + Send + 'a>>;

impl Http {
    /// Whether a player that asks for a stream's playlist gets it in parts.
    pub(super) fn wants_parts(&self, query: &str) -> bool {
        match parameter(query, "format").as_deref() {
            Some("fmp4") => true,
            Some(_) => false,
            None => self.parts().segments.prefers_parts(),
        }
    }

    /// Lets a player in and sends it to its own media playlist.
    pub(super) async fn low_master(&self, request: &request::Parts, key: &StreamKey, peer: SocketAddr) -> Result<String, Refusal> {
        let (subscriber, grant) = self.find(request, key, peer, "hls", Start::Live).await.inspect_err(|refusal| {
            self.parts().sessions.open("hls", peer).close(refusal.end(key));
        })?;
        let (seat, _) = subscriber.into_parts();
        let list = self.parts().segments.parts(key, Until::Ready).await?;
        let token = match request.method {
            Method::HEAD => String::new(), // nobody will show it
            _ => self.viewers().admit(key, peer, seat, grant)?,
        };
        let picture = list.tracks().video.as_deref();
        let variant = Variant {
            uri: format!("{}.m3u8?format=fmp4&{TOKEN}={token}", encode(key.name())),
            // What comes may be larger than what came.
            bandwidth: list.bandwidth() * 5 / 4,
            codecs: codecs(list.tracks()),
            resolution: picture.map(|v| (v.width, v.height)).filter(|(w, h)| *w > 0 && *h > 0),
            fps: picture.and_then(|v| v.fps),
        };
        m3u8::master(&variant).map_err(ours)
    }

    /// A media playlist, which waits for what the player asks for (`_HLS_msn`, `_HLS_part`).
    pub(super) async fn low_media(&self, query: &str, key: &StreamKey, token: &str) -> Result<String, Refusal> {
        let viewer = self.viewers().get(token, key)?;
        self.viewers().follow(&viewer);
        let number = |name| match parameter(query, name) {
            None => Ok(None),
            Some(text) => {
                text.parse::<u64>().map(Some).map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, format!("{name}={text}: a number")))
            }
        };
        let until = match (number("_HLS_msn")?, number("_HLS_part")?) {
            (Some(segment), part) => Until::Holds(segment, part.map(|part| usize::try_from(part).unwrap_or(usize::MAX))),
            (None, None) => Until::Ready,
            (None, Some(_)) => return Err(Refusal::new(StatusCode::BAD_REQUEST, "_HLS_part goes with _HLS_msn")),
        };
        let skip = parameter(query, "_HLS_skip").is_some_and(|how| how == "YES" || how == "v2");
        let list = self.parts().segments.parts(key, until).await?;
        viewer.served(0, list.target());
        let name = encode(key.name());
        Ok(list.playlist(skip, |piece| format!("{name}/{piece}?{TOKEN}={token}")))
    }

    /// Answers a request for a piece; one that is announced is waited for.
    pub async fn piece(&self, request: &request::Parts, key: &StreamKey, piece: Piece) -> Response<Body> {
        let found = match request.method {
            Method::OPTIONS => return reply::options(self.settings(), &request.headers),
            Method::GET | Method::HEAD => self.find_piece(request, key, piece).await,
            _ => Err(play::not_allowed()),
        };
        match found {
            Ok(pieces) => {
                let size: usize = pieces.iter().map(Bytes::len).sum();
                let body = if request.method == Method::HEAD { Body::empty() } else { Body::new(Pieces(pieces.into())) };
                let mut response = Response::new(body);
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
                // A number is never used again, so a player may keep what it has; the token makes it private.
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=60"));
                reply::allow(headers, self.settings(), &request.headers);
                response
            }
            Err(refusal) => refusal.response(self.settings(), &request.headers),
        }
    }

    async fn find_piece(&self, request: &request::Parts, key: &StreamKey, piece: Piece) -> Result<Vec<Bytes>, Refusal> {
        let token = parameter(request.uri.query().unwrap_or_default(), TOKEN).unwrap_or_default();
        let viewer = self.viewers().get(&token, key)?;
        let until = match piece {
            Piece::Header(_) => Until::Ready,
            Piece::Segment(segment) => Until::Holds(segment, None),
            Piece::Part(segment, part) => Until::Holds(segment, Some(part)),
        };
        let list = self.parts().segments.parts(key, until).await?;
        let gone = || Refusal::new(StatusCode::NOT_FOUND, format!("{piece} of {key} is not there: too old, or never made"));
        let pieces = list.get(piece).ok_or_else(gone)?;
        if request.method == Method::GET {
            viewer.served(pieces.iter().map(Bytes::len).sum(), list.target());
        }
        Ok(pieces)
    }
}

/// A body of bytes that others share.
struct Pieces(VecDeque<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|bytes| bytes.len() as u64).sum())
    }
}
