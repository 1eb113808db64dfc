//! Paths that do not name a stream, told apart by their first segment: the one list of what no application may be called.
//!
//! A part of the server answers the segments that it is added with and no others, so a route whose segment is not named here cannot
//! be reached: the list is true because requests go by it.

use super::service::OWN;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use std::collections::{BTreeMap, BTreeSet};
use tower::Service;

/// Who answers which first segment.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    table: BTreeMap<&'static str, Router>,
}

impl Fixed {
    /// Nobody answers anything but what HTTP answers by itself.
    pub fn new() -> Fixed {
        Fixed::default()
    }

    /// The router answers all paths whose first segment is one of these; the empty one is `/` itself.
    ///
    /// # Panics
    /// If a segment is taken: two parts of the server claim the same paths.
    pub fn add(mut self, segments: &[&'static str], router: Router) -> Fixed {
        for &segment in segments {
            assert!(self.table.insert(segment, router.clone()).is_none(), "two parts answer /{segment}");
        }
        self
    }

    /// The segments that are taken, those among them that HTTP answers by itself: no application can have such a name.
    pub fn taken(&self) -> BTreeSet<&'static str> {
        self.table.keys().copied().chain(OWN).filter(|segment| !segment.is_empty()).collect()
    }

    /// Answers if the path belongs to anybody, else gives the request back.
    pub(super) async fn answer(&self, request: Request<Body>) -> Result<Response, Request<Body>> {
        let path = request.uri().path();
        let first = path.strip_prefix('/').unwrap_or(path).split('/').next().unwrap_or_default();
        let Some(router) = self.table.get(first) else { return Err(request) };
        // A router is always ready.
        let Ok(response) = router.clone().call(request).await;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use http::StatusCode;

    #[tokio::test]
    async fn a_router_answers_below_its_segments_only() {
        let two = Router::new().route("/v1/a", get(|| async { "a" })).route("/v2/b", get(|| async { "b" }));
        let fixed = Fixed::new().add(&["", "front"], Router::new().fallback(|| async { "front" })).add(&["v1"], two);
        let status = async |path: &str| match fixed.answer(Request::get(path).body(Body::empty()).unwrap()).await {
            Ok(response) => Some(response.status()),
            Err(_) => None,
        };
        for (path, expected) in [
            ("/", Some(StatusCode::OK)),
            ("/?x=/v1/a", Some(StatusCode::OK)),
            ("/front/anything", Some(StatusCode::OK)),
            ("/v1/a", Some(StatusCode::OK)),
            ("/v1/other", Some(StatusCode::NOT_FOUND)),
            // A route that was not named with its segment.
            ("/v2/b", None),
            ("/live/a.jpg", None),
        ] {
            assert_eq!(status(path).await, expected, "{path}");
        }
        assert_eq!(fixed.taken().into_iter().collect::<Vec<_>>(), ["front", "healthz", "metrics", "readyz", "v1"]);
    }
}
