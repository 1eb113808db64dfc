//! The web console: a page that drives the signed API from the browser. Its sources are in `web/`, what they are built into is
//! in `dist/`, which is committed, so that building Weir needs no Node.
//!
//! The server knows nothing of who is signed in: the page signs its requests as any client does. Here are only the files, with
//! the headers that keep the page to itself. Files other than the page are named after their content and never change.

mod asset;
#[cfg(test)]
mod tests;

use asset::Asset;
use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use http::HeaderMap;

crate::settings! {
    /// The web console at `/`.
    pub struct Settings {
        /// Whether it is served.
        pub enabled: bool = true,
    }
}

/// The folder of the built page.
#[derive(rust_embed::Embed)]
#[folder = "src/console/dist/"]
struct Dist;

/// The first segment of the paths that [`assets`] answers.
pub const SEGMENTS: &[&str] = &["console"];

/// The page itself.
const PAGE: &str = "index.html";

/// What answers a browser at `/`; `None` where the console is switched off.
pub fn front(settings: &Settings) -> Option<Router> {
    let page = settings.enabled.then(|| Asset::page(Dist::get(PAGE)?, PAGE)).flatten()?;
    Some(Router::new().fallback(move |request: Request| {
        let response = page.answer(request.headers());
        async move { response }
    }))
}

/// The files that the page names, each at a path of its own; none where the console is switched off.
pub fn assets(settings: &Settings) -> Router {
    let mut router = Router::new();
    if !settings.enabled {
        return router;
    }
    for name in Dist::iter().filter(|name| name != PAGE && !asset::is_packed(name)) {
        let Some(asset) = Dist::get(&name).and_then(|file| Asset::named(file, &name)) else { continue };
        let path = asset.path().to_owned();
        router = router.route(
            &path,
            get(move |headers: HeaderMap| {
                let response = asset.answer(&headers);
                async move { response }
            }),
        );
    }
    router
}
