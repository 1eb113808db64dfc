//! The page and its files as a browser gets them.

use super::{Dist, Settings, asset, assets, front};
use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use tower::Service;

async fn ask(router: &Router, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let Ok(response) = router.clone().call(request.body(Body::empty()).unwrap()).await;
    response
}

async fn text(response: Response<Body>) -> String {
    let body = axum::body::to_bytes(response.into_body(), 8 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map(|v| v.to_str().unwrap()).unwrap_or_default()
}

fn on() -> Settings {
    Settings::default()
}

/// All paths below `/console/` that a text names.
fn named(text: &str) -> Vec<String> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || "./-_".contains(c));
    text.match_indices("/console/").map(|(at, _)| text[at..].split(ends).next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_file_that_the_page_names_is_there() {
    let (page, files) = (front(&on()).unwrap(), assets(&on()));
    let mut open = named(&text(ask(&page, "/", &[]).await).await);
    assert!(open.iter().any(|path| path.ends_with(".js")) && open.iter().any(|path| path.ends_with(".css")), "{open:?}");
    let mut seen = Vec::new();
    while let Some(path) = open.pop() {
        if seen.contains(&path) || path.ends_with('/') {
            continue;
        }
        let response = ask(&files, &path, &[]).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(header(&response, "cache-control").contains("immutable"), "{path}");
        let code = path.ends_with(".js") || path.ends_with(".css");
        if code {
            open.extend(named(&text(response).await));
        }
        seen.push(path);
    }
    // The players are loaded by the page when they are needed.
    assert!(seen.iter().any(|path| path.contains("/hls.")) && seen.iter().any(|path| path.contains("/mpegts.")), "{seen:?}");
}

#[tokio::test]
async fn the_page_is_kept_to_itself() {
    let page = front(&on()).unwrap();
    let response = ask(&page, "/", &[]).await;
    let policy = header(&response, "content-security-policy").to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert_eq!(header(&response, "x-content-type-options"), "nosniff");
    assert_eq!(header(&response, "cache-control"), "no-cache");
    let html = text(response).await;
    assert!(!html.contains("://") && !html.contains("<style") && !html.contains(" style=") && !html.contains(" on"), "{html}");
}

#[tokio::test]
async fn tags_are_strong_and_differ_by_coding() {
    let page = front(&on()).unwrap();
    let mut tags = Vec::new();
    for (accepted, coding) in [("", ""), ("gzip", "gzip"), ("gzip, deflate, br", "br"), ("br;q=0, gzip;q=0.5", "gzip"), ("identity", "")] {
        let response = ask(&page, "/", &[("accept-encoding", accepted)]).await;
        assert_eq!(header(&response, "content-encoding"), coding, "{accepted}");
        assert_eq!(header(&response, "vary"), "Accept-Encoding");
        let tag = header(&response, "etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        let again = ask(&page, "/", &[("accept-encoding", accepted), ("if-none-match", &tag)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers().get(header::ETAG).unwrap(), tag.as_str());
        assert!(text(again).await.is_empty());
        tags.push(tag);
    }
    assert_eq!(ask(&page, "/", &[("if-none-match", "\"other\"")]).await.status(), StatusCode::OK);
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3);
}

#[test]
fn every_text_has_its_packed_forms_and_all_of_it_is_small() {
    let mut size = 0;
    for name in Dist::iter() {
        size += Dist::get(&name).unwrap().data.len();
        if !asset::is_packed(&name) {
            for ending in ["br", "gz"] {
                assert!(Dist::get(&format!("{name}.{ending}")).is_some(), "{name}.{ending} is missing");
            }
        }
    }
    assert!(size < 1_500_000, "{size} bytes");
}

#[tokio::test]
async fn what_is_switched_off_is_not_there() {
    let off = Settings { enabled: false };
    assert!(front(&off).is_none());
    let path = named(&text(ask(&front(&on()).unwrap(), "/", &[]).await).await).remove(0);
    assert_eq!(ask(&assets(&off), &path, &[]).await.status(), StatusCode::NOT_FOUND);
}
