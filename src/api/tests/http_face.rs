//! HTTP: methods, forms, envelopes, ids; signatures, clocks, replays and rates as clients meet them.

use super::super::auth::{WINDOW, v1};
use super::super::query::{self, Given};
use super::{Desk, NOW, ROOT, SECRET, Signer, root};
use crate::api::{Playback, Settings};
use axum::body::Body;
use http_body_util::BodyExt;
use std::time::Duration;
use tower::ServiceExt;

fn get(given: &Given) -> http::Request<Body> {
    http::Request::get(format!("/?{}", query::canonical(given, &[]))).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn get_and_post_are_taken_and_nothing_else() {
    let desk = Desk::new().await;
    desk.send(desk.signed(&root(), "GET", "DescribeGroups", &[])).await.ok();
    desk.send(desk.signed(&root(), "POST", "DescribeGroups", &[("Name", "视频 +*~%&=")])).await.ok();
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request = http::Request::builder().method(method).uri("/?Action=DescribeGroups").body(Body::empty()).unwrap();
        desk.send(request).await.refused(405, "UnsupportedHTTPMethod");
    }
}

#[tokio::test]
async fn a_post_may_split_its_parameters_between_query_and_form() {
    let desk = Desk::new().await;
    let given = desk.sign(&root(), "POST", "DescribeGroups", &[("PageSize", "7")]);
    let (first, second) = given.pairs().split_at(3);
    let part = |pairs: &[(String, String)]| query::canonical(&Given::from_pairs(pairs.to_vec()), &[]);
    let request = http::Request::post(format!("/?{}", part(first))).body(Body::from(part(second))).unwrap();
    assert_eq!(desk.send(request).await.ok()["PageSize"], 7);
    // A form of another type is no parameter, so the signature does not fit.
    let json = http::Request::post(format!("/?{}", part(first))).header("content-type", "application/json").body(Body::from(part(second)));
    desk.send(json.unwrap()).await.refused(400, "MissingParameter");
}

#[tokio::test]
async fn common_parameters_are_checked() {
    let desk = Desk::new().await;
    let with = |name: &str, value: &str| {
        let mut given = desk.sign(&root(), "GET", "DescribeGroups", &[]);
        let pairs = given.pairs().iter().map(|(n, v)| (n.clone(), if n == name { value.to_owned() } else { v.clone() }));
        given = Given::from_pairs(pairs);
        get(&given)
    };
    let told = desk.send(with("Format", "XML")).await.refused(400, "InvalidParameter.Format");
    assert!(told.contains("Format"), "{told}");
    desk.send(with("Action", "NoSuch")).await.refused(404, "InvalidApi.NotFound");
    desk.send(with("Action", "describegroups")).await.refused(404, "InvalidApi.NotFound");
    desk.send(with("Version", "2014-05-26")).await.refused(404, "InvalidApi.NotFound");
    desk.send(with("Action", "")).await.refused(400, "MissingParameter");
    desk.send(with("SignatureMethod", "HMAC-SHA256")).await.refused(400, "InvalidSignatureMethod");
    desk.send(with("SignatureVersion", "1.1")).await.refused(400, "IncompleteSignature");
    desk.send(with("Timestamp", "now")).await.refused(400, "InvalidTimeStamp.Format");
    desk.send(with("AccessKeyId", "nobody")).await.refused(404, "InvalidAccessKeyId.NotFound");
    let told = desk.send(with("Signature", "x")).await.refused(400, "SignatureDoesNotMatch");
    assert!(told.contains("server string to sign is:GET&%2F&AccessKeyId%3Droot-key%26"), "{told}");
    assert!(!told.contains(SECRET));
    // Any letter case of JSON will do, and parameters that nobody knows are ignored, but signed.
    for format in ["json", "JSON", "Json"] {
        let mut given = Given::from_pairs([("Action", "DescribeGroups"), ("RegionId", "cn"), ("SecurityToken", "t")]);
        v1::sign_call("GET", &mut given, ROOT, SECRET, "2026-03-01T00:00:00Z", format);
        let pairs: Vec<_> = given.pairs().iter().filter(|(n, _)| n != "Format" && n != "Signature").cloned().collect();
        let mut given = Given::from_pairs(pairs);
        given.push("Format", format);
        let text = v1::string_to_sign("GET", &given);
        given.push("Signature", v1::sign(SECRET, &text));
        desk.send(get(&given)).await.ok();
    }
}

#[tokio::test]
async fn the_documents_spelling_of_the_version_is_taken() {
    let desk = Desk::new().await;
    let given = desk.sign(&root(), "GET", "DescribeGroups", &[]);
    let rename = |(n, v): &(String, String)| (if n == "SignatureVersion" { "signature_version".to_owned() } else { n.clone() }, v.clone());
    let pairs: Vec<_> = given.pairs().iter().filter(|(n, _)| n != "Signature").map(rename).collect();
    let mut given = Given::from_pairs(pairs);
    let text = v1::string_to_sign("GET", &given);
    given.push("Signature", v1::sign(SECRET, &text));
    desk.send(get(&given)).await.ok();
}

#[tokio::test]
async fn clocks_may_be_a_quarter_of_an_hour_off() {
    let desk = Desk::new().await;
    let at = |seconds: i64| {
        let mut given = Given::from_pairs([("Action", "DescribeGroups")]);
        let stamp = crate::model::time::Time::from_secs(NOW + seconds).to_string();
        v1::sign_call("GET", &mut given, ROOT, SECRET, &stamp, &seconds.to_string());
        get(&given)
    };
    for seconds in [-WINDOW, -1, 1, WINDOW] {
        desk.send(at(seconds)).await.ok();
    }
    for seconds in [-WINDOW - 1, WINDOW + 1] {
        desk.send(at(seconds)).await.refused(400, "InvalidTimeStamp.Expired");
    }
}

#[tokio::test]
async fn a_request_is_good_once() {
    let desk = Desk::new().await;
    let given = desk.sign(&root(), "GET", "DescribeGroups", &[]);
    desk.send(get(&given)).await.ok();
    desk.send(get(&given)).await.refused(400, "SignatureNonceUsed");
    desk.clock.advance(Duration::from_secs(WINDOW as u64));
    desk.send(get(&given)).await.refused(400, "SignatureNonceUsed");
    desk.clock.advance(Duration::from_secs(1));
    desk.send(get(&given)).await.refused(400, "InvalidTimeStamp.Expired");
    // Another key may use the same nonce; a wrong signature uses none up.
    let tenant = desk.tenant("t").await;
    let stamp = crate::model::time::Time::from_secs(desk.api.now()).to_string();
    let with = |signer: &Signer| {
        let mut given = Given::from_pairs([("Action", "DescribeGroups")]);
        v1::sign_call("GET", &mut given, &signer.id, &signer.secret, &stamp, "same");
        get(&given)
    };
    desk.send(with(&Signer { secret: "wrong".into(), ..root() })).await.refused(400, "SignatureDoesNotMatch");
    desk.send(with(&root())).await.ok();
    desk.send(with(&tenant)).await.ok();
    desk.send(with(&tenant)).await.refused(400, "SignatureNonceUsed");
}

#[tokio::test]
async fn a_key_that_calls_too_often_is_throttled() {
    let desk = Desk::with(Settings { rate: 10, burst: 3, ..Settings::default() }, Playback::default()).await;
    let tenant = desk.tenant("t").await;
    for _ in 0..3 {
        desk.call(&tenant, "DescribeGroups", &[]).await.ok();
    }
    desk.call(&tenant, "DescribeGroups", &[]).await.refused(429, "Throttling.User");
    // Others are not held up, and time passes.
    desk.root("DescribeGroups", &[]).await.ok();
    desk.clock.advance(Duration::from_millis(100));
    desk.call(&tenant, "DescribeGroups", &[]).await.ok();
    desk.call(&tenant, "DescribeGroups", &[]).await.refused(429, "Throttling.User");
}

#[tokio::test]
async fn hostile_requests_are_answered_in_order() {
    let desk = Desk::new().await;
    for uri in ["/?Action=%ff", "/?%00=%00&Action=DescribeGroups", &format!("/?Action={}", "x".repeat(5000))] {
        let request = http::Request::get(uri).body(Body::empty()).unwrap();
        assert!((400..500).contains(&desk.send(request).await.status), "{uri}");
    }
    let many = format!("/?Action=DescribeGroups&{}", "a=1&".repeat(600));
    desk.send(http::Request::get(many).body(Body::empty()).unwrap()).await.refused(400, "InvalidParameter");
    let long = http::Request::post("/").body(Body::from(vec![b'a'; (1 << 20) + 1])).unwrap();
    desk.send(long).await.refused(413, "RequestEntityTooLarge");
    // Bodies that HTTP gave up: too long for it, too slow for it, broken off.
    for (error, status, code) in [
        (Box::new(crate::edge::http::Late) as Box<dyn std::error::Error + Send + Sync>, 408, "RequestTimeout"),
        (std::io::Error::other("reset").into(), 400, "InvalidRequest"),
    ] {
        let frames = futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"Action=")), Err(error)]);
        desk.send(http::Request::post("/").body(Body::from_stream(frames)).unwrap()).await.refused(status, code);
    }
    let limited = http_body_util::Limited::new(Body::from(vec![b'a'; 100]), 10);
    desk.send(http::Request::post("/").body(Body::new(limited)).unwrap()).await.refused(413, "RequestEntityTooLarge");
}

#[tokio::test]
async fn what_never_became_a_call_is_answered_as_calls_are() {
    use super::super::dispatch::early;
    use crate::edge::http::Refusal;
    let desk = Desk::new().await;
    let openapi = super::super::openapi::document("/");
    for (status, expected, code) in [
        (408, 408, "RequestTimeout"),
        (431, 431, "RequestHeaderTooLarge"),
        (414, 431, "RequestHeaderTooLarge"),
        (400, 400, "InvalidRequest"),
        (503, 503, "ServiceUnavailable"),
    ] {
        let refusal = Refusal::new(http::StatusCode::from_u16(status).unwrap(), "so it is");
        assert!(early(&desk.api, "/live/a.flv", &refusal).is_none());
        let (head, body) = early(&desk.api, "/", &refusal).unwrap().into_parts();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((head.status.as_u16(), body["Code"].as_str()), (expected, Some(code)));
        assert_eq!(head.headers["content-type"], "application/json; charset=utf-8");
        assert_eq!(body["RequestId"].as_str(), head.headers["x-request-id"].to_str().ok());
        assert!(body["Message"].as_str().unwrap().contains("so it is"));
        let range = if expected < 500 { "4XX" } else { "5XX" };
        let documented = &openapi["paths"]["/#Action=CreateGroup"]["get"]["responses"];
        assert!(documented.get(expected.to_string()).or(documented.get(range)).is_some(), "{expected}");
    }
}

#[tokio::test]
async fn pages_are_served() {
    let desk = Desk::new().await;
    for (path, kind) in [("/reference", "text/html; charset=utf-8"), ("/openapi.json", "application/json")] {
        let response = desk.router.clone().oneshot(http::Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()), (200, kind));
        assert!(response.into_body().collect().await.unwrap().to_bytes().len() > 10_000);
    }
}

#[tokio::test]
async fn the_wire_may_spell_a_signed_call_in_other_ways() {
    let desk = Desk::new().await;
    let signed =
        || desk.sign(&root(), "GET", "DescribeGroups", &[("Name", "a b*~视+"), ("空", ""), ("Twice", "y"), ("Twice", "x"), ("Twice", "x")]);
    let canonical = |given: &Given| query::canonical(given, &[]);
    let unsorted = |given: &Given| {
        let pairs: Vec<String> = given.pairs().iter().rev().map(|(n, v)| format!("{}={}", query::encode(n), query::encode(v))).collect();
        pairs.join("&")
    };
    let other = |text: String| text.replace("%20", "+").replace("%2A", "*").replace('~', "%7E").replace("%E8%A7%86", "%e8%a7%86");
    let bare = |text: String| text.replace("%E7%A9%BA=", "%E7%A9%BA").replace("%3A", ":").replace("%2F", "/");
    for spell in [&canonical as &dyn Fn(&Given) -> String, &unsorted, &|g| other(canonical(g)), &|g| bare(other(unsorted(g))), &|g| {
        format!("&&{}&", canonical(g))
    }] {
        let text = spell(&signed());
        desk.send(http::Request::get(format!("/?{text}")).body(Body::empty()).unwrap()).await.ok();
    }
    // Encoded twice it is another value; without its empty parameter, or with one more, it is another call.
    let twice = |text: String| text.replace("%20", "%2520");
    let less = |text: String| text.replace("&%E7%A9%BA=", "");
    let more = |text: String| format!("{text}&Empty=");
    let once = |text: String| text.replacen("Twice=x&", "", 1);
    for alter in [&twice as &dyn Fn(String) -> String, &less, &more, &once] {
        let text = alter(canonical(&signed()));
        desk.send(http::Request::get(format!("/?{text}")).body(Body::empty()).unwrap()).await.refused(400, "SignatureDoesNotMatch");
    }
}
