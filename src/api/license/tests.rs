//! Licenses as the document's examples ask for them.

use super::*;
use crate::api::tests::{Answered, Desk, Signer, root};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

struct Shop {
    desk: Desk,
    tenant: Signer,
    app: String,
    pid: String,
}

impl Shop {
    /// A tenant with an application, and `quantity` licenses of a product.
    async fn new(quantity: &str) -> Shop {
        let desk = Desk::new().await;
        let tenant = desk.tenant("buyer").await;
        let app = desk.group(&tenant, "gb28181").await;
        let product = [
            ("UserId", "buyer"),
            ("Name", "演示申请01"),
            ("Product", "1"),
            ("MediaType", "1"),
            ("Minutes", "100"),
            ("Validity", "365"),
            ("Quantity", quantity),
        ];
        let pid = desk.root("CreateLicenseProduct", &product).await.ok()["Pid"].as_str().unwrap().to_owned();
        Shop { desk, tenant, app, pid }
    }

    async fn ask_as(&self, by: &Signer, method: &str, path: &str, body: &str) -> Answered {
        // Ten a second: each request has its own tenth.
        self.desk.clock.advance(std::time::Duration::from_millis(100));
        self.at_once(by, method, path, body).await
    }

    async fn at_once(&self, by: &Signer, method: &str, path: &str, body: &str) -> Answered {
        let basic = STANDARD.encode(format!("{}:{}", by.id, by.secret));
        let request =
            Request::builder().method(method).uri(format!("/dabiz/license/v2/{path}")).header("authorization", format!("Basic {basic}"));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap();
        self.desk.rest(router(self.desk.api.clone()), request).await
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Answered {
        self.ask_as(&self.tenant, method, path, body).await
    }

    async fn allocate(&self, count: i64) -> Answered {
        let body = json!({"pid": self.pid, "count": count, "creator": "someone"}).to_string();
        self.ask("POST", &format!("allocate?appid={}", self.app), &body).await
    }

    async fn activate(&self, key: &str) -> Answered {
        self.ask("POST", &format!("active?pid={}&licenseKey={key}&appid={}", self.pid, self.app), "").await
    }
}

#[track_caller]
fn refused(answered: &Answered, status: u16, about: &str) {
    let message = answered.body["message"].as_str().unwrap_or_default();
    assert_eq!((answered.status, &answered.body["code"]), (status, &json!(status)), "{}", answered.body);
    assert!(message.contains(about), "{message}");
}

#[tokio::test]
async fn every_example_of_the_document_has_its_shape() {
    let shop = Shop::new("10").await;
    let answered = shop.allocate(5).await;
    assert_eq!((answered.status, &answered.body), (200, &json!({"code": 200, "message": "license配额成功"})));
    shop.allocate(2).await;
    let activated = shop.activate("111").await;
    let data = activated.body["data"].clone();
    assert_eq!((activated.status, &activated.body["code"]), (200, &json!(200)));
    let sku = json!({"product": 1, "name": "演示申请01", "mediaType": 1, "minutes": 100, "period": "00:00~23:59"});
    assert_eq!((&data["pid"], &data["licenseKey"], &data["skuView"]), (&json!(shop.pid), &json!("111"), &sku));
    assert_eq!(data["license"].as_str().unwrap().len(), 32);
    let (from, to) = (data["activationTime"].as_i64().unwrap(), data["expireTime"].as_i64().unwrap());
    assert_eq!((from, to - from), (shop.desk.api.now(), 365 * 86_400));
    // The same call again gives the same license.
    assert_eq!(shop.activate("111").await.body["data"], data);
    for key in ["111", data["license"].as_str().unwrap()] {
        let found = shop.ask("GET", &format!("detail?appid={}&key={key}", shop.app), "").await;
        assert_eq!(found.body, json!({"code": 200, "data": data}));
    }
    let page = shop.ask("GET", &format!("product/allocations?page=1&size=1&pid={}&appid={}", shop.pid, shop.app), "").await.body;
    let list = &page["data"]["list"];
    assert_eq!((&page["code"], &page["data"]["count"], list.as_array().unwrap().len()), (&json!(200), &json!(2), 1));
    let row = json!({"pid": shop.pid, "type": 1, "creator": "someone", "count": 2, "createTime": "2026-03-01 00:00:00"});
    assert_eq!(list[0], row);
    let past = shop.ask("GET", &format!("product/allocations?page=9&size=2&pid={}&appid={}", shop.pid, shop.app), "").await.body;
    assert_eq!(past["data"], json!({"count": 2, "list": []}));

    let sold = [("Pid", shop.pid.as_str()), ("Validity", "30"), ("Quantity", "1")];
    let renew_id = shop.desk.root("CreateLicenseRenewal", &sold).await.ok()["RenewId"].as_str().unwrap().to_owned();
    let path = format!("renew?renewId={renew_id}&license={}&appid={}", data["license"].as_str().unwrap(), shop.app);
    assert_eq!(shop.ask("POST", &path, "").await.body, json!({"code": 200, "message": "license续期成功"}));
    refused(&shop.ask("POST", &path, "").await, 400, "already");
    let found = shop.ask("GET", &format!("detail?appid={}&key=111", shop.app), "").await.body;
    assert_eq!(found["data"]["expireTime"], to + 30 * 86_400);
    // The operator sees what was sold and used.
    let products = shop.desk.root("DescribeLicenseProducts", &[]).await.ok();
    let product = &products["Products"][0];
    assert_eq!((&product["Quantity"], &product["Allocated"], &product["UserId"]), (&json!(10), &json!(7), &json!("buyer")));
    let licenses = shop.desk.call(&shop.tenant, "DescribeLicenses", &[("Pid", &shop.pid)]).await.ok();
    assert_eq!((&licenses["TotalCount"], &licenses["Licenses"][0]["LicenseKey"]), (&json!(1), &json!("111")));
    let renewals = shop.desk.root("DescribeLicenseRenewals", &[("Pid", &shop.pid)]).await.ok();
    assert_eq!((&renewals["Renewals"][0]["Used"], &renewals["Renewals"][0]["RenewId"]), (&json!(1), &json!(renew_id)));
}

#[tokio::test]
async fn every_failure_is_told() {
    let shop = Shop::new("3").await;
    let app = &shop.app;
    refused(&shop.activate("1").await, 400, "limit of 0");
    refused(&shop.allocate(4).await, 400, "limit of 3");
    for count in [0, -1, 1_000_001] {
        refused(&shop.allocate(count).await, 400, "count");
    }
    assert_eq!(shop.allocate(1).await.status, 200);
    assert_eq!(shop.activate("1").await.status, 200);
    refused(&shop.activate("2").await, 400, "limit of 1");
    for (method, path, about) in [
        ("POST", format!("active?licenseKey=1&appid={app}"), "pid"),
        ("POST", format!("active?pid=x&appid={app}"), "licenseKey"),
        ("POST", "active?pid=x&licenseKey=1".to_owned(), "appid"),
        ("POST", format!("active?pid=0000&licenseKey=1&appid={app}"), "Product not found"),
        ("POST", format!("active?pid={}&licenseKey=1&appid=a6d6", shop.pid), "appid not found"),
        ("POST", format!("active?pid={}&licenseKey={}&appid={app}", shop.pid, "k".repeat(129)), "licenseKey"),
        ("GET", format!("detail?appid={app}&key=none"), "License not found"),
        ("GET", format!("product/allocations?page=0&size=2&pid={}&appid={app}", shop.pid), "page"),
        ("GET", format!("product/allocations?page=1&size=101&pid={}&appid={app}", shop.pid), "size"),
        ("POST", format!("renew?renewId=1&license=2&appid={app}"), "License not found"),
        ("POST", format!("allocate?appid={app}"), "JSON"),
    ] {
        refused(&shop.ask(method, &path, "").await, 400, about);
    }
    // Another tenant finds neither the application nor the product.
    let other = shop.desk.tenant("other").await;
    let path = format!("active?pid={}&licenseKey=1&appid={app}", shop.pid);
    refused(&shop.ask_as(&other, "POST", &path, "").await, 400, "appid not found");
    let wrong = Signer { secret: "no".into(), ..other.clone() };
    let answered = shop.ask_as(&wrong, "POST", &path, "").await;
    refused(&answered, 401, "credentials");
    assert!(answered.headers.contains_key("www-authenticate"));
    // What operators do is not the tenants'.
    shop.desk.call(&other, "CreateLicenseProduct", &[("Quantity", "1"), ("Validity", "1"), ("Name", "x")]).await.refused(403, "Forbidden");
    shop.desk
        .root("CreateLicenseRenewal", &[("Pid", "0"), ("Quantity", "1"), ("Validity", "1")])
        .await
        .refused(404, "ResourceNotFound.Product");
    shop.desk
        .root("CreateLicenseProduct", &[("UserId", "nobody"), ("Quantity", "1"), ("Validity", "1"), ("Name", "x")])
        .await
        .refused(404, "ResourceNotFound.User");
    let shrink = [("Pid", shop.pid.as_str()), ("Quantity", "0")];
    shop.desk.root("ModifyLicenseProduct", &shrink).await.refused(400, "InvalidParameter");
    shop.desk.root("ModifyLicenseProduct", &[shrink[0], ("Quantity", "1")]).await.ok();
}

/// The document's third status: what is nobody's input.
#[tokio::test]
async fn a_failure_of_ours_is_told_as_such() {
    let shop = Shop::new("3").await;
    assert_eq!(shop.allocate(1).await.status, 200);
    // The key is known, the store answers nothing any more.
    shop.desk.api.store().close().await;
    let path = format!("active?pid={}&licenseKey=1&appid={}", shop.pid, shop.app);
    refused(&shop.ask("POST", &path, "").await, 500, "internal error");
}

#[tokio::test]
async fn ten_requests_a_second_are_taken() {
    let shop = Shop::new("1").await;
    let face = router(shop.desk.api.clone());
    let path = format!("/dabiz/license/v2/detail?appid={}&key=1", shop.app);
    let ask = async |by: &Signer| {
        let basic = STANDARD.encode(format!("{}:{}", by.id, by.secret));
        let request = Request::get(&path).header("authorization", format!("Basic {basic}")).body(Body::empty()).unwrap();
        shop.desk.rest(face.clone(), request).await
    };
    for _ in 0..10 {
        assert_eq!(ask(&shop.tenant).await.status, 400);
    }
    refused(&ask(&shop.tenant).await, 429, "10 a second");
    assert_eq!(ask(&root()).await.status, 400, "another account is not held up");
    shop.desk.clock.advance(std::time::Duration::from_millis(100));
    assert_eq!(ask(&shop.tenant).await.status, 400);
}
