//! Connects the HTTP edge, which answers playlists, with the worker that cuts segments.

use crate::base::id::StreamKey;
use crate::container::m3u8::Window;
use crate::edge::http::{self, Refusal};
use crate::model::template::TransConfig;
use crate::runtime::task::Tasks;
use crate::stream::Registry;
use crate::worker::segment::{Feeds, Form, LowFeeds, NoSegments, Settings};
use crate::worker::transcode;
use axum::http::StatusCode;
use std::sync::Arc;
use std::time::Duration;

/// Connects the HTTP edge with the worker that cuts segments, which do not know each other.
pub(super) struct Hls {
    whole: Feeds,
    parts: LowFeeds,
    patience: Duration,
    form: Form,
}

impl Hls {
    /// Nothing is cut yet; its tasks run in `tasks`.
    pub(super) fn new(settings: &Settings, registry: &Registry, tasks: &Tasks) -> Hls {
        Hls {
            whole: Feeds::new(settings.clone(), registry.clone(), tasks),
            parts: LowFeeds::new(settings.clone(), registry.clone(), tasks),
            patience: settings.patience.0,
            form: settings.format,
        }
    }
}

impl http::Segments for Hls {
    fn first<'a>(&'a self, key: &'a StreamKey) -> http::Found<'a> {
        Box::pin(async move {
            let feed = self.whole.open(key).ok_or_else(|| nobody(key))?;
            feed.first(self.patience).await.map_err(no_segments)
        })
    }

    fn now(&self, key: &StreamKey) -> Option<Arc<Window>> {
        self.whole.open(key).map(|feed| feed.window())
    }

    fn parts<'a>(&'a self, key: &'a StreamKey, until: http::Until) -> http::Listed<'a> {
        Box::pin(async move {
            let feed = self.parts.open(key).ok_or_else(|| nobody(key))?;
            let http::Until::Holds(segment, part) = until else {
                return feed.when(self.patience, |list| list.is_ready()).await.map_err(no_segments);
            };
            let list = feed.when(self.patience, |list| list.is_ready()).await.map_err(no_segments)?;
            if !list.expects(segment) {
                return Err(Refusal::new(StatusCode::BAD_REQUEST, format!("segment {segment} is too far in the future")));
            }
            feed.when(list.target() * 3, |list| list.holds(segment, part)).await.map_err(no_segments)
        })
    }

    fn prefers_parts(&self) -> bool {
        self.form == Form::Fmp4
    }

    fn streams(&self) -> usize {
        self.whole.len() + self.parts.len()
    }
}

/// Connects the HTTP edge with the worker that makes streams by rules.
pub(super) struct Steps(pub(super) transcode::Parts);

impl http::Ladder for Steps {
    fn rungs<'a>(&'a self, key: &'a StreamKey) -> http::Rungs<'a> {
        Box::pin(async move {
            let rules = self.0.rules(key).await.map_err(|error| {
                tracing::warn!(%error, stream = %key, "cannot read the rules of a stream");
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer now")
            })?;
            let given = |n: u32| (n > 0).then_some(n);
            let rung = |rule: TransConfig| {
                Some(http::Rung {
                    key: transcode::output(key, &rule.name)?,
                    size: given(rule.width).zip(given(rule.height)),
                    fps: given(rule.fps),
                    bitrate: given(rule.video_bitrate).map(|kbits| u64::from(kbits) * 1000),
                    stands_in: rule.name == transcode::H264 && rule.width == 0,
                })
            };
            Ok(rules.into_iter().filter_map(rung).collect())
        })
    }
}

fn nobody(key: &StreamKey) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("nobody publishes {key}"))
}

fn no_segments(e: NoSegments) -> Refusal {
    let status = match e {
        NoSegments::Unfit(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        NoSegments::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
        NoSegments::Over => StatusCode::NOT_FOUND,
    };
    Refusal::new(status, e.to_string())
}
