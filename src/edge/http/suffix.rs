//! Paths of the form `/{app}/….{suffix}`: several parts of the server answer some, told apart by the suffix alone.
//!
//! A router cannot have the same pattern twice, so each part brings a router of its own and names its suffixes; what is not
//! claimed is not found. FLV and classic HLS never come here: they are answered before, from the raw socket.

use super::fixed::Fixed;
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use http::{Request, StatusCode};
use std::collections::HashMap;
use std::sync::Arc;
use tower::Service;

/// Who answers which suffix.
#[derive(Default)]
pub struct Suffixes {
    table: HashMap<&'static str, Router>,
}

impl Suffixes {
    /// Nobody answers anything.
    pub fn new() -> Suffixes {
        Suffixes::default()
    }

    /// The router answers all paths that end in `.{suffix}` and that no other route has.
    ///
    /// # Panics
    /// If the suffix is taken: two parts of the server claim the same paths.
    pub fn add(mut self, suffix: &'static str, router: Router) -> Suffixes {
        assert!(self.table.insert(suffix, router).is_none(), "two parts answer .{suffix}");
        self
    }

    /// Answers by suffix what is none of the fixed paths.
    pub fn after(self, first: Fixed) -> Router {
        let shared = Arc::new((first, self.table));
        Router::new().fallback(move |request: Request<Body>| {
            let shared = shared.clone();
            async move {
                let (first, table) = &*shared;
                let request = match first.answer(request).await {
                    Ok(response) => return response,
                    Err(request) => request,
                };
                match suffix(request.uri().path()).and_then(|suffix| table.get(suffix)) {
                    Some(router) => {
                        // A router is always ready.
                        let Ok(response) = router.clone().call(request).await;
                        response
                    }
                    None => (StatusCode::NOT_FOUND, "there is nothing at this address\n").into_response(),
                }
            }
        })
    }
}

/// What the last part of a path ends in.
fn suffix(path: &str) -> Option<&str> {
    let (_, file) = path.rsplit_once('/')?;
    file.rsplit_once('.').map(|(_, suffix)| suffix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;

    async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let Ok(response) = router.clone().call(request).await;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 10).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_suffix_decides_and_routes_come_first() {
        let records = Router::new().route("/records/{*path}", get(|| async { "a record" }));
        let first = Fixed::new().add(&["records"], records);
        let of = |text: &'static str| Router::new().route("/{app}/{file}", get(move || async move { text }));
        let router = Suffixes::new().add("jpg", of("a picture")).add("whep", of("an offer")).after(first);
        assert_eq!(ask(&router, "/live/a.jpg").await, (StatusCode::OK, "a picture".to_owned()));
        assert_eq!(ask(&router, "/live/a.b.whep").await, (StatusCode::OK, "an offer".to_owned()));
        assert_eq!(ask(&router, "/records/a.jpg").await, (StatusCode::OK, "a record".to_owned()));
        assert_eq!(ask(&router, "/live/a.mp4").await.0, StatusCode::NOT_FOUND);
        assert_eq!(ask(&router, "/live.d/a").await.0, StatusCode::NOT_FOUND);
        assert_eq!(ask(&router, "/live/a/b.jpg").await.0, StatusCode::NOT_FOUND);
    }
}
