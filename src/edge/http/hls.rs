//! HLS: `/{app}/{stream}.m3u8` and the segments that it leads to.
//!
//! The stream's own URL answers with a master playlist, whose one entry is the media playlist with a session token; the
//! segments inherit the token. So every player has a session of its own without cookies or redirects, and who altered a
//! segment's URL, or kept it too long, gets 403.

use super::low::{Listed, Until};
use super::reply::{self, Refusal};
use super::target::{encode, parameter};
use super::viewers::Viewer;
use super::{Http, abr, past, play};
use crate::base::id::StreamKey;
use crate::container::m3u8::{self, Segment, Variant, Window};
use crate::media::track::{AudioCodec, Tracks, VideoCodec};
use crate::media::{aac, av1, h264, h265};
use crate::stream::Start;
use axum::body::Body;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode, request};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The query parameter that carries the token.
pub(super) const TOKEN: &str = "hls";

/// The segments of a stream, when the first is there.
pub type Found<'a> = Pin<Box<dyn Future<Output = Result<Arc<Window>, Refusal>> + Send + 'a>>;

/// Where segments come from: whoever cuts streams. Edges and workers do not know each other.
pub trait Segments: Send + Sync {
    /// The segments of a stream, cut from now on if they are not yet; waits for the first one.
    fn first<'a>(&'a self, key: &'a StreamKey) -> Found<'a>;
    /// The segments that are there now; asking keeps them being cut.
    fn now(&self, key: &StreamKey) -> Option<Arc<Window>>;
    /// The parts of a stream, cut from now on if they are not yet; waits for what is asked for.
    fn parts<'a>(&'a self, key: &'a StreamKey, until: Until) -> Listed<'a>;
    /// Players that do not say what they want get parts.
    fn prefers_parts(&self) -> bool;
    /// How many streams are being cut.
    fn streams(&self) -> usize;
}

/// A segment that its token opens.
struct Authorised {
    viewer: Arc<Viewer>,
    segment: Arc<Segment>,
    target: Duration,
}

impl Http {
    /// Answers a playlist request.
    pub async fn playlist(&self, request: &request::Parts, key: &StreamKey, peer: SocketAddr) -> Response<Body> {
        let query = request.uri.query().unwrap_or_default();
        let low = self.wants_parts(query);
        let made = match (parameter(query, TOKEN), abr::wish(query)) {
            _ if request.method == Method::OPTIONS => return reply::options(self.settings(), &request.headers),
            _ if request.method != Method::GET && request.method != Method::HEAD => Err(play::not_allowed()),
            (None, Some(abr::Wish::All)) => self.abr_master(request, key, peer).await,
            (None, Some(abr::Wish::One(token, pass))) => self.abr_media(key, (&token, &pass), peer).await,
            (None, None) if past::is_past(query) => self.past_playlist(request, key, peer).await,
            (None, None) if low => self.low_master(request, key, peer).await,
            (None, None) => self.master(request, key, peer).await,
            (Some(token), _) if low => self.low_media(query, key, &token).await,
            (Some(token), _) => self.media(key, &token).await,
        };
        match made {
            Ok(text) => {
                let mut response = Response::new(Body::from(text));
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.apple.mpegurl"));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
                reply::allow(headers, self.settings(), &request.headers);
                response
            }
            Err(refusal) => refusal.response(self.settings(), &request.headers),
        }
    }

    /// Answers a segment request.
    pub fn segment(&self, request: &request::Parts, key: &StreamKey, number: u64) -> Response<Body> {
        if request.method == Method::OPTIONS {
            return reply::options(self.settings(), &request.headers);
        }
        let found = match request.method {
            Method::GET | Method::HEAD => self.find_segment(request, key, number),
            _ => Err(play::not_allowed()),
        };
        match found {
            Ok(Authorised { viewer, segment, target }) => {
                let mut response = ranged(&segment.bytes, request.headers.get(header::RANGE));
                if request.method == Method::GET {
                    viewer.served(body_size(&response), target);
                }
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp2t"));
                // A number is never used again, so a player may keep what it has; the token makes it private.
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=60"));
                reply::allow(headers, self.settings(), &request.headers);
                response
            }
            Err(refusal) => refusal.response(self.settings(), &request.headers),
        }
    }

    fn find_segment(&self, request: &request::Parts, key: &StreamKey, number: u64) -> Result<Authorised, Refusal> {
        let token = parameter(request.uri.query().unwrap_or_default(), TOKEN).unwrap_or_default();
        let viewer = self.viewers().get(&token, key)?;
        let gone = || Refusal::new(StatusCode::NOT_FOUND, format!("segment {number} of {key} is not there: too old, or not cut yet"));
        let window = self.parts().segments.now(key).ok_or_else(gone)?;
        let segment = window.get(number).ok_or_else(gone)?.clone();
        Ok(Authorised { viewer, segment, target: window.target() })
    }

    /// Lets a player in and sends it to its own media playlist.
    async fn master(&self, request: &request::Parts, key: &StreamKey, peer: SocketAddr) -> Result<String, Refusal> {
        let (subscriber, grant) = self.find(request, key, peer, "hls", Start::Live).await.inspect_err(|refusal| {
            self.parts().sessions.open("hls", peer).close(refusal.end(key));
        })?;
        let (seat, _) = subscriber.into_parts();
        let window = self.parts().segments.first(key).await?;
        let token = match request.method {
            Method::HEAD => String::new(), // nobody will show it
            _ => self.viewers().admit(key, peer, seat, grant)?,
        };
        let tracks = window.newest().map(|segment| segment.tracks.clone()).unwrap_or_default();
        let picture = tracks.video.as_deref();
        let variant = Variant {
            uri: format!(
                "{}.m3u8?{}{TOKEN}={token}",
                encode(key.name()),
                if self.parts().segments.prefers_parts() { "format=ts&" } else { "" }
            ),
            // What comes may be larger than what came.
            bandwidth: window.bandwidth() * 5 / 4,
            codecs: codecs(&tracks),
            resolution: picture.map(|v| (v.width, v.height)).filter(|(w, h)| *w > 0 && *h > 0),
            fps: picture.and_then(|v| v.fps),
        };
        m3u8::master(&variant).map_err(ours)
    }

    async fn media(&self, key: &StreamKey, token: &str) -> Result<String, Refusal> {
        let viewer = self.viewers().get(token, key)?;
        self.viewers().follow(&viewer);
        let window = self.parts().segments.first(key).await?;
        viewer.served(0, window.target());
        let name = encode(key.name());
        window.playlist(|number| format!("{name}/{number}.ts?{TOKEN}={token}")).map_err(ours)
    }
}

pub(super) fn ours(e: m3u8::Error) -> Refusal {
    tracing::error!(%e, "a playlist could not be written");
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string())
}

/// The codecs by their RFC 6381 names; none rather than half of them.
pub(super) fn codecs(tracks: &Tracks) -> Vec<String> {
    let video = tracks.video.as_ref().map(|v| match &v.codec {
        VideoCodec::H264 { sps, .. } => sps.first().and_then(|sps| h264::codec_string(sps)),
        VideoCodec::H265 { sps, .. } => sps.first().and_then(|sps| h265::codec_string(sps)),
        VideoCodec::Av1 { config } => av1::codec_string(config),
        _ => None,
    });
    let audio = tracks.audio.as_ref().map(|a| match &a.codec {
        AudioCodec::Aac { config } => aac::parse_asc(config).ok().map(|config| aac::codec_string(&config)),
        AudioCodec::Mp3 => Some("mp4a.40.34".to_owned()),
        AudioCodec::Opus { .. } => Some("opus".to_owned()),
        _ => None,
    });
    [video, audio].into_iter().flatten().collect::<Option<Vec<String>>>().unwrap_or_default()
}

/// The whole, or the one range that was asked for (RFC 9110 §14.2); several ranges get the whole.
pub(super) fn ranged(bytes: &Bytes, asked: Option<&HeaderValue>) -> Response<Body> {
    let len = bytes.len() as u64;
    let range = reply::range(asked, len).map(|range| (range.start, range.end));
    let mut response = match range {
        None => Response::new(Body::from(bytes.clone())),
        Some((from, to)) if from < to => {
            let mut response = Response::new(Body::from(bytes.slice(from as usize..to as usize)));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            insert(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes {from}-{}/{len}", to - 1));
            response
        }
        Some(_) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            insert(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{len}"));
            response
        }
    };
    response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

pub(super) fn body_size(response: &Response<Body>) -> usize {
    use hyper::body::Body as _;
    response.body().size_hint().exact().unwrap_or(0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ranges() {
        let bytes = Bytes::from_static(b"0123456789");
        let cases = [
            (None, 200, "0123456789", None),
            (Some("bytes=0-3"), 206, "0123", Some("bytes 0-3/10")),
            (Some("bytes=7-"), 206, "789", Some("bytes 7-9/10")),
            (Some("bytes=-2"), 206, "89", Some("bytes 8-9/10")),
            (Some("bytes=-20"), 206, "0123456789", Some("bytes 0-9/10")),
            (Some("bytes=8-99"), 206, "89", Some("bytes 8-9/10")),
            (Some("bytes=0-18446744073709551615"), 206, "0123456789", Some("bytes 0-9/10")),
            (Some("bytes=10-"), 416, "", Some("bytes */10")),
            (Some("bytes=-0"), 416, "", Some("bytes */10")),
            (Some("bytes=5-2"), 200, "0123456789", None),
            (Some("bytes=0-1,3-4"), 200, "0123456789", None),
            (Some("lines=0-1"), 200, "0123456789", None),
            (Some("bytes=x-"), 200, "0123456789", None),
        ];
        for (asked, status, body, range) in cases {
            let value = asked.map(|v| HeaderValue::from_str(v).unwrap());
            let response = ranged(&bytes, value.as_ref());
            assert_eq!(response.status().as_u16(), status, "{asked:?}");
            assert_eq!(response.headers().get(header::CONTENT_RANGE).map(|v| v.to_str().unwrap()), range, "{asked:?}");
            assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), body, "{asked:?}");
        }
    }
}
