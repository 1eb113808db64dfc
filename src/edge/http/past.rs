//! The past of a stream: `/{app}/{stream}.m3u8?start=UNIX[&end=UNIX]` and `?delay=SECONDS` as HLS, `/{app}/{stream}.mp4?start=…&end=…` as
//! one file. Who may play the stream's HLS may play its past.
//!
//! As with live HLS the stream's own address answers with a master playlist; what it leads to carries a pass, so that players need
//! not sign every segment. A pass is for one stream and a day, and good until the server is started anew.

use super::reply::{self, Refusal};
use super::target::{self, encode, parameter};
use super::{Http, play};
use crate::base::id::StreamKey;
use crate::container::m3u8::{self, Variant};
use crate::media::time::Timestamp;
use crate::stream::access::{Act, Ask};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request};
use axum::routing::any;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode, request};
use hyper::body::Frame;
use sha2::Sha256;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;

/// The first segment of the paths that [`Http::pasts`] answers.
pub const SEGMENTS: &[&str] = &["past"];
/// The query parameter that carries the pass.
const PASS: &str = "past";
/// What permission is asked for with, and what bytes of the past are counted under.
const PROTOCOL: &str = "hls-past";
/// How long a pass is good, seconds.
const GOOD: i64 = 86_400;
/// The furthest delay, seconds.
const FURTHEST: i64 = 366 * 86_400;
/// What is read of a file at once, and how many of those wait for the player.
const PIECE: usize = 256 << 10;
const WAITING: usize = 2;

/// What is wanted, on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// From one moment to another.
    Between(Timestamp, Timestamp),
    /// From a moment up to the present, and on with it.
    From(Timestamp),
    /// What was so long ago, running along, since the player came.
    Behind {
        /// When the player came.
        since: Timestamp,
        /// How far behind.
        delay: Duration,
    },
}

/// A playlist and the bits a second of what it lists.
pub type Listing = (String, u64);

/// An answer, when it is there.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>;

/// Who keeps the past. Edges and workers do not know each other.
pub trait Past: Send + Sync {
    /// The playlist of a stretch; `query` is to be appended to the addresses of its segments, which are
    /// `/past/{app}/{stream}/{chunk}/{n}.m4s`, `…/{n}-{milliseconds}.m4s` for the beginning of one, and `…/init.mp4`.
    fn playlist<'a>(&'a self, key: &'a StreamKey, wanted: Wanted, query: &'a str) -> Later<'a, Listing>;
    /// A segment, or its first `length` milliseconds, or with `None` what a decoder must know before.
    fn piece<'a>(&'a self, key: &'a StreamKey, chunk: i64, n: Option<usize>, length: Option<u32>) -> Later<'a, Bytes>;
    /// A stretch as one MP4.
    fn film<'a>(&'a self, key: &'a StreamKey, from: Timestamp, to: Timestamp) -> Later<'a, Arc<dyn Reel>>;
}

/// A file that is read piece by piece.
pub trait Reel: Send + Sync {
    /// Its size, bytes.
    fn length(&self) -> u64;
    /// At most `most` bytes from `at` on; none at the end. Blocking.
    fn read(&self, at: u64, most: usize) -> io::Result<Bytes>;
}

/// Makes and checks passes.
pub struct Passes([u8; 32]);

impl Passes {
    /// With a secret of this run of the server.
    pub fn new() -> Passes {
        Passes(rand::random())
    }

    fn sum(&self, key: &StreamKey, until: i64) -> Option<Hmac<Sha256>> {
        let mut sum = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        sum.update(format!("{until} {key}").as_bytes());
        Some(sum)
    }

    pub(super) fn make(&self, key: &StreamKey, now: i64) -> String {
        let until = now + GOOD;
        let sum = self.sum(key, until).map(|sum| hex::encode(&sum.finalize().into_bytes()[..16])).unwrap_or_default();
        format!("{until}-{sum}")
    }

    pub(super) fn opens(&self, pass: &str, key: &StreamKey, now: i64) -> bool {
        let Some((until, sum)) = pass.split_once('-') else { return false };
        let (Ok(until), Ok(given)) = (until.parse::<i64>(), hex::decode(sum)) else { return false };
        given.len() == 16 && until > now && self.sum(key, until).is_some_and(|sum| sum.verify_truncated_left(&given).is_ok())
    }
}

/// Whether a playlist's query asks for the past.
pub fn is_past(query: &str) -> bool {
    [PASS, "start", "delay"].iter().any(|name| parameter(query, name).is_some())
}

impl Http {
    /// The playlist of the past.
    pub async fn past_playlist(&self, request: &request::Parts, key: &StreamKey, peer: SocketAddr) -> Result<String, Refusal> {
        let query = request.uri.query().unwrap_or_default();
        let wanted = self.wanted(query)?;
        let now = self.seconds();
        let Some(pass) = parameter(query, PASS) else {
            self.may(request, key, peer).await?;
            let (_, bandwidth) = self.parts().past.playlist(key, wanted, "").await?;
            let pass = self.passes().make(key, now);
            let secs = |at: Timestamp| at.0.div_euclid(1_000_000_000);
            let which = match wanted {
                Wanted::Between(from, to) => format!("start={}&end={}", secs(from), secs(to)),
                Wanted::From(from) => format!("start={}", secs(from)),
                Wanted::Behind { delay, .. } => format!("delay={}&since={now}", delay.as_secs()),
            };
            let uri = format!("{}.m3u8?{which}&{PASS}={pass}", encode(key.name()));
            let variant = Variant { uri, bandwidth: bandwidth.max(1), codecs: Vec::new(), resolution: None, fps: None };
            return m3u8::master(&variant).map_err(|e| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()));
        };
        if !self.passes().opens(&pass, key, now) {
            return Err(closed());
        }
        Ok(self.parts().past.playlist(key, wanted, &format!("?{PASS}={pass}")).await?.0)
    }

    /// What a query asks for.
    fn wanted(&self, query: &str) -> Result<Wanted, Refusal> {
        let number = |name: &str, most: i64| match parameter(query, name) {
            None => Ok(None),
            Some(text) => match text.parse::<i64>() {
                Ok(n) if (0..=most).contains(&n) => Ok(Some(n)),
                _ => Err(Refusal::new(StatusCode::BAD_REQUEST, format!("{name}={text}: whole seconds from 0 to {most}"))),
            },
        };
        let at = |secs: i64| Timestamp::from_millis(secs.saturating_mul(1_000));
        let clock = i64::from(u32::MAX);
        let (start, end, delay, since) =
            (number("start", clock)?, number("end", clock)?, number("delay", FURTHEST)?, number("since", clock)?);
        match (start, end, delay) {
            (Some(start), Some(end), None) if start < end => Ok(Wanted::Between(at(start), at(end))),
            (Some(_), Some(_), None) => Err(Refusal::new(StatusCode::BAD_REQUEST, "end must lie behind start")),
            (Some(start), None, None) => Ok(Wanted::From(at(start))),
            (None, None, Some(delay)) => {
                let since = at(since.unwrap_or_else(|| self.seconds()));
                Ok(Wanted::Behind { since, delay: Duration::from_secs(delay.unsigned_abs()) })
            }
            _ => Err(Refusal::new(StatusCode::BAD_REQUEST, "give start (and perhaps end) in unix seconds, or delay in seconds")),
        }
    }

    async fn may(&self, request: &request::Parts, key: &StreamKey, peer: SocketAddr) -> Result<(), Refusal> {
        let query = request.uri.query().unwrap_or_default();
        self.allowed(Ask { act: Act::Play, key, protocol: PROTOCOL, peer, path: request.uri.path(), query }).await.map(drop)
    }

    pub(super) fn seconds(&self) -> i64 {
        self.parts().registry.clock().unix().0.div_euclid(1_000_000_000)
    }

    /// Answers the segments of the past: `/past/{app}/{stream}/{chunk}/{file}`.
    pub fn pasts(&self) -> Router {
        let http = self.clone();
        let answer = move |Path((app, stream, chunk, file)): Path<(String, String, i64, String)>, request: Request| {
            let http = http.clone();
            async move {
                let (head, _) = request.into_parts();
                http.past_piece(&head, (&app, &stream), chunk, &file).await
            }
        };
        Router::new().route("/past/{app}/{stream}/{chunk}/{file}", any(answer))
    }

    async fn past_piece(&self, head: &request::Parts, (app, stream): (&str, &str), chunk: i64, file: &str) -> Response<Body> {
        let found = async {
            let key = StreamKey::new(app, stream).map_err(|e| Refusal::new(StatusCode::NOT_FOUND, e.to_string()))?;
            let pass = parameter(head.uri.query().unwrap_or_default(), PASS).unwrap_or_default();
            if !self.passes().opens(&pass, &key, self.seconds()) {
                return Err(closed());
            }
            let (n, length) = segment(file).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "there is no such segment"))?;
            self.parts().past.piece(&key, chunk, n, length).await.map(|bytes| (key, bytes))
        };
        let found = match head.method {
            Method::OPTIONS => return reply::options(self.settings(), &head.headers),
            Method::GET | Method::HEAD => found.await,
            _ => Err(play::not_allowed()),
        };
        match found {
            Ok((key, bytes)) => {
                let mut response = super::hls::ranged(&bytes, head.headers.get(header::RANGE));
                if head.method == Method::GET {
                    self.parts().sessions.sent(&key, PROTOCOL, super::hls::body_size(&response) as u64);
                }
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
                reply::allow(headers, self.settings(), &head.headers);
                response
            }
            Err(refusal) => refusal.response(self.settings(), &head.headers),
        }
    }

    /// Answers all paths that end in `.mp4`: a stretch of the past as one file.
    pub fn films(&self) -> Router {
        let http = self.clone();
        Router::new().fallback(move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
            let http = http.clone();
            async move {
                let (head, _) = request.into_parts();
                match http.film(&head, peer).await {
                    Ok(response) => response,
                    Err(refusal) => refusal.response(http.settings(), &head.headers),
                }
            }
        })
    }

    async fn film(&self, head: &request::Parts, peer: SocketAddr) -> Result<Response<Body>, Refusal> {
        match head.method {
            Method::OPTIONS => return Ok(reply::options(self.settings(), &head.headers)),
            Method::GET | Method::HEAD => {}
            _ => return Err(play::not_allowed()),
        }
        let missing = || Refusal::new(StatusCode::NOT_FOUND, "the past is at /{app}/{stream}.mp4?start=UNIX&end=UNIX");
        let key = target::stream(head.uri.path(), ".mp4").ok_or_else(missing)?;
        let query = head.uri.query().unwrap_or_default();
        self.may(head, &key, peer).await?;
        let (from, to) = match self.wanted(query)? {
            Wanted::Between(from, to) => (from, to),
            Wanted::From(from) => (from, self.parts().registry.clock().unix()),
            Wanted::Behind { .. } => return Err(missing()),
        };
        let reel = self.parts().past.film(&key, from, to).await?;
        let length = reel.length();
        let (range, status) = match reply::range(head.headers.get(header::RANGE), length) {
            None => (0..length, StatusCode::OK),
            Some(range) if range.is_empty() => (0..0, StatusCode::RANGE_NOT_SATISFIABLE),
            Some(range) => (range, StatusCode::PARTIAL_CONTENT),
        };
        let size = range.end - range.start;
        let body = if head.method == Method::HEAD || size == 0 { Body::empty() } else { self.roll(reel, key.clone(), range.clone()) };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let name = format!("attachment; filename=\"{}-{}.mp4\"", encode(key.name()), from.0.div_euclid(1_000_000_000));
        set(headers, header::CONTENT_DISPOSITION, &name);
        set(headers, header::CONTENT_LENGTH, &size.to_string());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        match status {
            StatusCode::PARTIAL_CONTENT => {
                set(headers, header::CONTENT_RANGE, &format!("bytes {}-{}/{length}", range.start, range.end - 1))
            }
            StatusCode::RANGE_NOT_SATISFIABLE => set(headers, header::CONTENT_RANGE, &format!("bytes */{length}")),
            _ => {}
        }
        reply::allow(headers, self.settings(), &head.headers);
        Ok(response)
    }

    /// Reads a range at the player's pace.
    fn roll(&self, reel: Arc<dyn Reel>, key: StreamKey, range: std::ops::Range<u64>) -> Body {
        let (sender, receiver) = mpsc::channel(WAITING);
        let sessions = self.parts().sessions.clone();
        self.tasks().spawn("film", async move {
            let mut at = range.start;
            while at < range.end {
                let most = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(PIECE);
                let reel = reel.clone();
                let read = tokio::task::spawn_blocking(move || reel.read(at, most)).await.unwrap_or_else(|e| Err(io::Error::other(e)));
                let failed = match &read {
                    Ok(bytes) => bytes.is_empty(),
                    Err(_) => true,
                };
                let size = read.as_ref().map_or(0, |bytes| bytes.len() as u64);
                at += size;
                let sent = tokio::select! {
                    sent = sender.send(read) => sent.is_ok(),
                    () = sender.closed() => false,
                };
                if failed || !sent {
                    return;
                }
                sessions.sent(&key, PROTOCOL, size);
            }
        });
        Body::new(Rolling { receiver })
    }
}

/// Which segment a name means, and how many milliseconds of it; `None` inside: what stands before all of them.
fn segment(file: &str) -> Option<(Option<usize>, Option<u32>)> {
    if file == "init.mp4" {
        return Some((None, None));
    }
    let name = file.strip_suffix(".m4s")?;
    match name.split_once('-') {
        None => Some((Some(name.parse().ok()?), None)),
        Some((n, length)) => Some((Some(n.parse().ok()?), Some(length.parse().ok()?))),
    }
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

pub(super) fn closed() -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "the pass is wrong or too old: ask for the playlist again")
}

/// A body whose pieces come from a task.
struct Rolling {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
}

impl hyper::body::Body for Rolling {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(ready!(self.receiver.poll_recv(cx)).map(|read| read.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_opens_its_stream_for_a_day() {
        let passes = Passes::new();
        let (a, b) = (StreamKey::parse("live/a").unwrap(), StreamKey::parse("live/b").unwrap());
        let pass = passes.make(&a, 1_000);
        assert!(passes.opens(&pass, &a, 1_000) && passes.opens(&pass, &a, 1_000 + GOOD - 1));
        assert!(!passes.opens(&pass, &a, 1_000 + GOOD) && !passes.opens(&pass, &b, 1_000) && !Passes::new().opens(&pass, &a, 1_000));
        let longer = pass.replacen(&(1_000 + GOOD).to_string(), &(2_000 + GOOD).to_string(), 1);
        assert!(!passes.opens(&longer, &a, 1_000));
        for wrong in ["", "-", "99999", "99999-", "99999-00", "x-y", &pass[..pass.len() - 2]] {
            assert!(!passes.opens(wrong, &a, 1_000), "{wrong}");
        }
    }
}
