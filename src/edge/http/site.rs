//! What stands behind HTTP beside media: a router, and who answers a request that never became one.

use super::reply::Refusal;
use super::{Http, head};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use std::sync::Arc;

/// How the part of the server that a path belongs to says no to a request that was too large, too slow or no HTTP; `None` where
/// the path belongs to nobody in particular.
pub type Early = Arc<dyn Fn(&str, &Refusal) -> Option<Response<Bytes>> + Send + Sync>;

/// What a listener serves beside media.
#[derive(Clone)]
pub struct Site {
    /// Answers requests.
    pub router: Router,
    /// Answers what never became a request.
    pub early: Early,
}

impl From<Router> for Site {
    fn from(router: Router) -> Site {
        Site { router, early: Arc::new(|_, _| None) }
    }
}

impl Http {
    /// Refuses a request of which this was read, in the words of whom its path belongs to, if that can be seen.
    pub(super) fn refuse(&self, site: &Site, refusal: &Refusal, read: &[u8]) -> Response<Body> {
        let own = head::path(read).and_then(|path| (site.early)(path, refusal));
        own.map_or_else(|| refusal.response(self.settings(), &Default::default()), |response| response.map(Body::from))
    }
}
