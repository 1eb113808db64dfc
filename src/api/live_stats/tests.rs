//! Recording usage as its clients ask for it.

use super::*;
use crate::api::tests::{Answered, Desk, NOW, ROOT, SECRET, Signer, root};
use crate::model::tenant::OPERATOR;
use crate::model::usage::{Peak, Peaks, Total};

impl Desk {
    /// A GET that is signed as the public client signs it.
    async fn usage(&self, by: &Signer, project: &str, query: &str) -> Answered {
        let stamp = Time::from_secs(self.api.now()).to_string().replace(['-', ':'], "");
        let request = |signature: &str| {
            let authorization = format!("SDK-HMAC-SHA256 Access={}, SignedHeaders=host;x-sdk-date, Signature={signature}", by.id);
            let request = Request::get(format!("/v2/{project}/stats/record{query}")).header("host", "vs.example.com");
            request.header("x-sdk-date", &stamp).header("authorization", authorization).body(Body::empty()).unwrap()
        };
        let bare = request("00");
        let mut given = Given::default();
        given.extend(bare.uri().query().unwrap_or_default().as_bytes()).unwrap();
        let claim = sdk::claim("GET", bare.uri().path(), &given, bare.headers(), b"").unwrap();
        self.rest(router(self.api.clone()), request(&claim.sign(&by.secret))).await
    }
}

fn error(answered: &Answered) -> (u16, String, String) {
    let text = |name: &str| answered.body[name].as_str().unwrap_or_default().to_owned();
    (answered.status, text("error_code"), text("error_msg"))
}

async fn recordings(desk: &Desk, owner: crate::model::id::TenantId, counts: &[(&str, i64)]) {
    let store = desk.api.store();
    let total = |(at, most): &(&str, i64)| {
        let at: Time = at.parse().unwrap();
        let peaks = Peaks { recordings: Peak { most: *most, at }, ..Peaks::default() };
        Total { peaks, ..Total::new(at, owner, None, "") }
    };
    store.put_usage(Vec::new(), counts.iter().map(total).collect()).await.unwrap();
    let (from, to) = (Time::from_secs(NOW - 100 * DAY), Time::from_secs(NOW + DAY));
    for span in [300, HOUR] {
        store.roll_totals(span, from, to).await.unwrap();
    }
}

#[tokio::test]
async fn each_hour_has_its_peak_and_when_it_was() {
    let desk = Desk::new().await;
    let counts = [("2026-02-28T07:00:00Z", 20), ("2026-02-28T07:30:00Z", 20), ("2026-02-28T08:00:00Z", 3), ("2026-02-28T08:41:00Z", 15)];
    recordings(&desk, OPERATOR, &counts).await;
    let range = "?start_time=2026-02-28T07:20:40Z&end_time=2026-02-28T08:20:40Z";
    let answered = desk.usage(&root(), "operator", range).await;
    let want = json!({"record_data_list": [
        {"time": "2026-02-28T07:00:00Z", "concurrent_count": 20}, {"time": "2026-02-28T08:41:00Z", "concurrent_count": 15},
    ]});
    assert_eq!((answered.status, &answered.body), (200, &want));
    assert!(!answered.headers["x-request-id"].is_empty());
    // Without a range: the last 24 hours, up to the running one; empty hours are there.
    let all = desk.usage(&root(), "operator", "").await.body;
    let all = all["record_data_list"].as_array().unwrap();
    assert_eq!((all.len(), &all[0]), (25, &json!({"time": "2026-02-28T00:00:00Z", "concurrent_count": 0})));
    assert_eq!(all[24]["time"], "2026-03-01T00:00:00Z");
    assert_eq!(all.iter().map(|row| row["concurrent_count"].as_i64().unwrap()).max(), Some(20));
}

#[tokio::test]
async fn parameters_that_are_wrong_are_named() {
    let desk = Desk::new().await;
    for (query, name) in [
        ("?start_time=yesterday", "start_time"),
        ("?end_time=2026-02-28", "end_time"),
        ("?start_time=2026-02-28T08:00:00Z&end_time=2026-02-28T08:00:00Z", "end_time"),
        ("?start_time=2026-02-28T09:00:00Z&end_time=2026-02-28T08:00:00Z", "end_time"),
        ("?start_time=2026-01-01T00:00:00Z&end_time=2026-02-01T00:00:01Z", "end_time"),
        ("?start_time=2025-11-01T00:00:00Z&end_time=2025-11-02T00:00:00Z", "start_time"),
    ] {
        let want = (400, "LIVE.100011001".to_owned(), format!("Invalid request parameter: {name}"));
        assert_eq!(error(&desk.usage(&root(), "operator", query).await), want, "{query}");
    }
    assert_eq!(desk.usage(&root(), "operator", "?start_time=2026-01-01T00:00:00Z&end_time=2026-02-01T00:00:00Z").await.status, 200);
    assert_eq!(error(&desk.usage(&root(), "nobody", "").await).2, "Invalid request parameter: project_id");
}

#[tokio::test]
async fn only_its_tenant_and_the_operator_see_a_project() {
    let desk = Desk::new().await;
    let (mine, other) = (desk.tenant("mine").await, desk.tenant("other").await);
    assert_eq!(desk.usage(&mine, "mine", "").await.status, 200);
    assert_eq!(desk.usage(&root(), "mine", "").await.status, 200);
    assert_eq!(error(&desk.usage(&other, "mine", "").await).0, 403);
    let wrong = Signer { secret: "not it".into(), ..mine.clone() };
    let (status, code, _) = error(&desk.usage(&wrong, "mine", "").await);
    assert_eq!((status, code.as_str()), (401, "LIVE.100011003"));
    let nobody = Signer { id: "nobody".into(), ..mine.clone() };
    assert_eq!(desk.usage(&nobody, "mine", "").await.status, 401);
    let bare = Request::get("/v2/mine/stats/record").body(Body::empty()).unwrap();
    assert_eq!(desk.rest(router(desk.api.clone()), bare).await.status, 401);
    desk.root("SuspendMtsService", &[("UserId", "mine")]).await.ok();
    assert_eq!(desk.usage(&mine, "mine", "").await.status, 403);
}

#[tokio::test]
async fn a_token_opens_until_it_is_too_old() {
    let desk = Desk::new().await;
    let router = router(desk.api.clone());
    let ask = async |identity: Value| {
        let body = json!({"auth": {"identity": identity, "scope": {"project": {"name": "x"}}}}).to_string();
        desk.rest(router.clone(), Request::post("/v3/auth/tokens").body(Body::from(body)).unwrap()).await
    };
    let by_keys = json!({"methods": ["hw_ak_sk"], "hw_ak_sk": {"access": {"key": ROOT}, "secret": {"key": SECRET}}});
    let by_password = json!({"methods": ["password"], "password": {"user": {"name": ROOT, "password": SECRET, "domain": {"name": "d"}}}});
    assert_eq!(ask(json!({"password": {"user": {"name": ROOT, "password": "wrong"}}})).await.status, 401);
    assert_eq!(ask(json!({})).await.status, 400);
    for identity in [by_keys, by_password] {
        let answered = ask(identity).await;
        assert_eq!((answered.status, &answered.body["token"]["project"]["id"]), (201, &json!("operator")));
        let token = answered.headers["x-subject-token"].to_str().unwrap().to_owned();
        let get = async |token: &str| {
            let request = Request::get("/v2/operator/stats/record").header("x-auth-token", token).body(Body::empty()).unwrap();
            desk.rest(router.clone(), request).await.status
        };
        assert_eq!(get(&token).await, 200);
        assert_eq!(get(&token[1..]).await, 401);
        assert_eq!(get("").await, 401);
        desk.clock.advance(std::time::Duration::from_secs(86_400));
        assert_eq!(get(&token).await, 401);
    }
}
