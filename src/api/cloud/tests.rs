//! Cloud recording as its clients use it, over a recorder that does what tests say.

use super::*;
use crate::api::action::Boxed;
use crate::api::error::Error;
use crate::api::tests::{Answered, Desk, Signer, root};
use crate::model::quota::{Exceeded, What};
use crate::model::record::{Draft, Place};
use crate::model::recording::{Order, Running, State as Doing};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::sync::Mutex;

/// A recorder that writes nothing.
#[derive(Default)]
struct Scribe {
    running: Mutex<Vec<(RecordingId, Order, Doing)>>,
    next: Mutex<i64>,
    refuses: Mutex<Option<Error>>,
}

impl Recorders for Scribe {
    fn start(&self, order: Order, _: bool) -> Boxed<'_, Result<RecordingId, Error>> {
        let refused = self.refuses.lock().unwrap().clone();
        let mut next = self.next.lock().unwrap();
        *next += 1;
        let id = RecordingId(*next);
        if refused.is_none() {
            self.running.lock().unwrap().push((id, order, Doing::Recording));
        }
        Box::pin(async move { refused.map_or(Ok(id), Err) })
    }

    fn stop(&self, id: RecordingId) -> Boxed<'_, Result<bool, Error>> {
        let mut running = self.running.lock().unwrap();
        let before = running.len();
        running.retain(|(other, ..)| *other != id);
        let stopped = running.len() < before;
        Box::pin(async move { Ok(stopped) })
    }

    fn running(&self) -> Vec<Running> {
        let show = |(id, order, state): &(RecordingId, Order, Doing)| Running {
            id: *id,
            owner: order.owner,
            group: order.group,
            stream: order.stream,
            key: order.key.clone(),
            template: None,
            formats: order.formats,
            on_demand: true,
            since: Time(0),
            state: *state,
            bytes: 0,
            files: 0,
            trouble: String::new(),
        };
        self.running.lock().unwrap().iter().map(show).collect()
    }
}

struct Studio {
    desk: Desk,
    tenant: Signer,
    app: String,
    stream: String,
    scribe: Arc<Scribe>,
    cloud: Cloud,
}

impl Studio {
    async fn new() -> Studio {
        let desk = Desk::new().await;
        let tenant = desk.tenant("studio").await;
        let app = desk.group(&tenant, "rtmp").await;
        let stream = desk.pushed(&tenant, &app).await;
        let scribe = Arc::new(Scribe::default());
        let cloud = Cloud { door: Door::new(desk.api.clone()), settings: Settings::default(), recorders: scribe.clone() };
        Studio { desk, tenant, app, stream, scribe, cloud }
    }

    async fn send(&self, by: &Signer, method: &str, path: &str, body: &Value) -> Answered {
        let basic = STANDARD.encode(format!("{}:{}", by.id, by.secret));
        let request = Request::builder().method(method).uri(format!("/v1/apps/{path}")).header("authorization", format!("Basic {basic}"));
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = request.header("content-type", "application/json;charset=utf-8").body(body).unwrap();
        self.desk.rest(self.cloud.clone().router(), request).await
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Answered {
        // Ten a second: each request has its own tenth.
        self.desk.clock.advance(Duration::from_millis(100));
        self.send(&self.tenant, method, &format!("{}/cloud_recording/{path}", self.app), body).await
    }

    /// A stop that may have to wait: the clock runs meanwhile.
    async fn stop(&self, path: &str) -> Answered {
        let (path, body) = (format!("{path}/stop"), self.whom());
        let clock = async {
            loop {
                tokio::time::sleep(Duration::from_millis(2)).await;
                self.desk.clock.advance(Duration::from_millis(100));
            }
        };
        tokio::select! {
            stopped = self.ask("POST", &path, &body) => stopped,
            () = clock => unreachable!(),
        }
    }

    fn whom(&self) -> Value {
        json!({"cname": self.stream, "uid": "527841"})
    }

    async fn acquire(&self) -> String {
        let mut body = self.whom();
        body["clientRequest"] = json!({"region": "CN", "resourceExpiredHour": 24});
        let answered = self.ask("POST", "acquire", &body).await;
        assert_eq!((answered.status, &answered.body["code"]), (200, &json!(200)), "{}", answered.body);
        answered.body["resourceId"].as_str().unwrap().to_owned()
    }

    fn order(&self) -> Value {
        let mut body = self.whom();
        body["clientRequest"] = json!({
            "token": "ignored",
            "recordingConfig": {"channelType": 0, "streamTypes": 2, "maxIdleTime": 30},
            "recordingFileConfig": {"avFileType": ["hls", "mp4"]},
            "storageConfig": {
                "vendor": 11, "region": 0, "bucket": "records", "accessKey": "k", "secretKey": "s", "fileNamePrefix": ["dir1", "dir2"],
                "extensionParams": {"endpoint": "http://127.0.0.1:9000"},
            },
        });
        body
    }

    async fn start(&self, resource: &str, mode: &str) -> Answered {
        self.ask("POST", &format!("resourceid/{resource}/mode/{mode}/start"), &self.order()).await
    }

    /// A file of the recording is in the bucket.
    async fn deposited(&self, id: RecordingId) {
        let order = self.scribe.running.lock().unwrap().iter().find(|(other, ..)| *other == id).unwrap().1.clone();
        let draft = Draft {
            stream: order.stream,
            group: order.group,
            owner: order.owner,
            template: None,
            recording: Some(id),
            kind: Kind::Record,
            format: Some(Format::Hls),
            place: Place { endpoint: order.storage.endpoint, bucket: order.storage.bucket, object: "dir1/dir2/x.m3u8".to_owned() },
            start: Time::from_secs(self.desk.api.now()),
            end: Time::from_secs(self.desk.api.now() + 5),
            duration_ms: 5000,
            width: 1280,
            height: 720,
            size: 9,
            expires: None,
        };
        self.desk.api.store().add_records(vec![draft]).await.unwrap();
    }
}

#[track_caller]
fn refused(answered: &Answered, status: u16, code: i64) {
    let reason = answered.body["reason"].as_str().unwrap_or_default();
    assert_eq!((answered.status, &answered.body["code"]), (status, &json!(code)), "{}", answered.body);
    assert!(!reason.is_empty());
}

#[tokio::test]
async fn acquire_checks_every_rule_of_the_document() {
    let studio = Studio::new().await;
    // The document's example, as far as its names go.
    assert!(studio.acquire().await.len() > 100);
    let body = |cname: Value, uid: Value, request: Value| json!({"cname": cname, "uid": uid, "clientRequest": request});
    let good = json!(studio.stream);
    for (uid, request) in [
        (json!("1"), json!({})),
        (json!("4294967295"), json!({"scene": 0, "region": "NA"})),
        (json!(527841), json!({"resourceExpiredHour": 1, "region": "EU"})),
        (json!("7"), json!({"resourceExpiredHour": 720, "scene": 2, "region": "AP"})),
        (json!("7"), Value::Null),
    ] {
        assert_eq!(studio.ask("POST", "acquire", &body(good.clone(), uid, request)).await.status, 200);
    }
    for (uid, request) in [
        (json!("0"), json!({})),
        (json!("4294967296"), json!({})),
        (json!("-1"), json!({})),
        (json!("a"), json!({})),
        (json!(""), json!({})),
        (Value::Null, json!({})),
        (json!(1.5), json!({})),
        (json!("1"), json!({"region": "cn"})),
        (json!("1"), json!({"region": 1})),
        (json!("1"), json!({"resourceExpiredHour": 0})),
        (json!("1"), json!({"resourceExpiredHour": 721})),
        (json!("1"), json!({"resourceExpiredHour": "24"})),
        (json!("1"), json!({"scene": 3})),
        (json!("1"), json!([])),
    ] {
        refused(&studio.ask("POST", "acquire", &body(good.clone(), uid.clone(), request.clone())).await, 400, 2);
    }
    for cname in [json!(""), Value::Null, json!("x".repeat(129)), json!("no such stream"), json!(1)] {
        refused(&studio.ask("POST", "acquire", &body(cname, json!("1"), json!({}))).await, 400, 1013);
    }
    // A page is no stream; a stream's name is as good as its id.
    assert_eq!(studio.ask("POST", "acquire", &body(json!("page"), json!("1"), json!({"scene": 1}))).await.status, 200);
    assert_eq!(studio.ask("POST", "acquire", &body(json!("s"), json!("1"), json!({}))).await.status, 200);
    refused(&studio.ask("POST", "acquire", &json!("text")).await, 400, 2);
    refused(&studio.send(&root(), "POST", "404/cloud_recording/acquire", &studio.whom()).await, 400, 2);
    let other = studio.desk.tenant("other").await;
    let path = format!("{}/cloud_recording/acquire", studio.app);
    refused(&studio.send(&other, "POST", &path, &studio.whom()).await, 400, 2);
    let wrong = Signer { secret: "x".into(), ..studio.tenant.clone() };
    assert_eq!(studio.send(&wrong, "POST", &path, &studio.whom()).await.status, 401);
}

#[tokio::test]
async fn ten_requests_a_second_are_taken() {
    let studio = Studio::new().await;
    let path = format!("{}/cloud_recording/acquire", studio.app);
    for _ in 0..10 {
        assert_eq!(studio.send(&studio.tenant, "POST", &path, &studio.whom()).await.status, 200);
    }
    assert_eq!(studio.send(&studio.tenant, "POST", &path, &studio.whom()).await.status, 429);
    assert_eq!(studio.ask("POST", "acquire", &studio.whom()).await.status, 200);
}

#[tokio::test]
async fn a_recording_is_started_queried_and_stopped() {
    let studio = Studio::new().await;
    let resource = studio.acquire().await;
    let started = studio.start(&resource, "mix").await;
    assert_eq!(started.status, 200, "{}", started.body);
    let sid = started.body["sid"].as_str().unwrap().to_owned();
    assert_eq!(
        (&started.body["resourceId"], &started.body["cname"], &started.body["uid"]),
        (&json!(resource), &json!(studio.stream), &json!("527841"))
    );
    let (id, order, _) = studio.scribe.running.lock().unwrap()[0].clone();
    assert_eq!((order.storage.bucket.as_str(), order.storage.endpoint.as_str()), ("records", "http://127.0.0.1:9000"));
    assert_eq!(order.paths.hls_m3u8.as_str(), format!("dir1/dir2/{sid}_{}_{{Sequence}}", studio.stream));
    assert_eq!((order.formats.to_string().as_str(), order.bucket_key.unwrap().secret.0.as_str()), ("mp4,hls", "s"));

    // The same resource again, the same recording with another resource.
    refused(&studio.start(&resource, "mix").await, 400, 7);
    let second = studio.acquire().await;
    refused(&studio.start(&second, "mix").await, 400, 53);

    let path = format!("resourceid/{resource}/sid/{sid}/mode/mix");
    let shown = studio.ask("GET", &format!("{path}/query"), &Value::Null).await;
    assert_eq!(
        (shown.status, &shown.body["serverResponse"]["status"], &shown.body["serverResponse"]["fileList"]),
        (200, &json!(5), &json!([]))
    );
    studio.deposited(id).await;
    let shown = studio.ask("GET", &format!("{path}/query"), &Value::Null).await.body;
    let file = &shown["serverResponse"]["fileList"][0];
    assert_eq!((&file["fileName"], &file["isPlayable"], &file["mixedAllUser"]), (&json!("dir1/dir2/x.m3u8"), &json!(true), &json!(true)));

    let mut body = studio.whom();
    body["clientRequest"] = json!({"streamSubscribe": {"videoUidList": {"subscribeVideoUids": ["#allstream#"]}}});
    assert_eq!(studio.ask("POST", &format!("{path}/update"), &body).await.status, 200);
    body["clientRequest"] = json!({"streamSubscribe": {"videoUidList": {"subscribeVideoUids": ["1", "2"]}}});
    refused(&studio.ask("POST", &format!("{path}/update"), &body).await, 400, 2);
    refused(&studio.ask("POST", &format!("{path}/updateLayout"), &studio.whom()).await, 400, 2);

    refused(&studio.ask("POST", &format!("{path}/stop"), &json!({"cname": studio.stream, "uid": "1"})).await, 400, 432);
    let stopped = studio.stop(&path).await;
    // The MP4 is not there yet.
    assert_eq!((stopped.status, &stopped.body["serverResponse"]["uploadingStatus"]), (200, &json!("unknown")), "{}", stopped.body);
    assert_eq!(stopped.body["serverResponse"]["fileList"].as_array().unwrap().len(), 1);
    assert!(studio.scribe.running.lock().unwrap().is_empty());
    refused(&studio.ask("POST", &format!("{path}/stop"), &studio.whom()).await, 400, 49);
    refused(&studio.ask("GET", &format!("{path}/query"), &Value::Null).await, 404, 404);
    refused(&studio.start(&resource, "mix").await, 400, 433);
    assert_eq!(studio.start(&second, "mix").await.status, 200, "the same may be recorded anew");
}

#[tokio::test]
async fn every_failure_of_a_start_has_its_number() {
    let studio = Studio::new().await;
    let resource = studio.acquire().await;
    let start = |resource: &str, mode: &str| format!("resourceid/{resource}/mode/{mode}/start");
    let with = |pointer: &str, value: Value| {
        let mut body = studio.order();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (mode, body) in [
        ("web", studio.order()),
        ("film", studio.order()),
        ("mix", with("/clientRequest", Value::Null)),
        ("mix", with("/clientRequest/storageConfig", Value::Null)),
        ("mix", with("/clientRequest/storageConfig/bucket", json!(""))),
        ("mix", with("/clientRequest/storageConfig/vendor", json!(6))),
        ("mix", with("/clientRequest/recordingFileConfig/avFileType", json!(["mp3"]))),
        ("mix", with("/clientRequest/recordingConfig/maxIdleTime", json!(1))),
        ("mix", with("/clientRequest/recordingConfig", json!({"subscribeVideoUids": ["1", "2"]}))),
        ("individual", with("/uid", json!("0"))),
    ] {
        refused(&studio.ask("POST", &start(&resource, mode), &body).await, 400, 2);
    }
    refused(&studio.ask("POST", &start(&resource, "mix"), &with("/uid", json!("5"))).await, 400, 432);
    let far = json!({"vendor": 2, "region": 16, "bucket": "b", "accessKey": "k", "secretKey": "s"});
    refused(&studio.ask("POST", &start(&resource, "mix"), &with("/clientRequest/storageConfig", far)).await, 400, 432);
    for wrong in ["x", "JyvK8nXHuV1BE64GDkAaBGEscvtHW7v8BrQoRPCHxmeVxwY22", &resource[1..]] {
        refused(&studio.ask("POST", &start(wrong, "mix"), &studio.order()).await, 400, 1001);
    }
    // Another application of the same tenant.
    let other = studio.desk.group(&studio.tenant, "rtmp").await;
    let path = format!("{other}/cloud_recording/{}", start(&resource, "mix"));
    refused(&studio.send(&studio.tenant, "POST", &path, &studio.order()).await, 400, 1003);
    let nobody = format!("resourceid/{resource}/sid/0123/mode/mix/query");
    refused(&studio.ask("GET", &nobody, &Value::Null).await, 400, 1003);
    // A recorder that cannot leaves nothing behind.
    let full = Exceeded { what: What::Recordings, limit: 2 };
    for (why, number) in [(Error::unavailable("no recorder"), 500), (full.into(), 403)] {
        *studio.scribe.refuses.lock().unwrap() = Some(why);
        refused(&studio.ask("POST", &start(&resource, "mix"), &studio.order()).await, number as u16, number);
    }
    *studio.scribe.refuses.lock().unwrap() = None;
    // Five minutes are the end of a resource.
    studio.desk.clock.advance(Duration::from_secs(301));
    refused(&studio.ask("POST", &start(&resource, "mix"), &studio.order()).await, 400, 433);
}

#[tokio::test]
async fn without_files_a_stop_says_so_and_old_recordings_are_not_told() {
    let studio = Studio::new().await;
    let resource = studio.acquire().await;
    let sid = studio.start(&resource, "individual").await.body["sid"].as_str().unwrap().to_owned();
    let path = format!("resourceid/{resource}/sid/{sid}/mode/individual");
    let order = studio.scribe.running.lock().unwrap()[0].1.clone();
    assert!(order.paths.mp4.as_str().ends_with("__uid_s_527841__uid_e_av_{Sequence}"));
    refused(&studio.ask("GET", &format!("resourceid/{resource}/sid/{sid}/mode/mix/query"), &Value::Null).await, 400, 2);
    let stopped = studio.stop(&path).await;
    refused(&stopped, 400, 435);
    // The day that was asked for is over.
    let resource = studio.acquire().await;
    let sid = studio.start(&resource, "mix").await.body["sid"].as_str().unwrap().to_owned();
    studio.desk.clock.advance(Duration::from_secs(24 * 3600));
    refused(&studio.ask("POST", &format!("resourceid/{resource}/sid/{sid}/mode/mix/stop"), &studio.whom()).await, 400, 433);
    assert_eq!(studio.scribe.running.lock().unwrap().len(), 1, "the recording itself is safe");
}

/// Three days where the caller does not say; then none of the calls is taken any more.
#[tokio::test]
async fn the_right_to_call_ends_when_it_should() {
    let studio = Studio::new().await;
    let acquired = studio.ask("POST", "acquire", &studio.whom()).await.body;
    let resource = acquired["resourceId"].as_str().unwrap().to_owned();
    let sid = studio.start(&resource, "mix").await.body["sid"].as_str().unwrap().to_owned();
    let path = format!("resourceid/{resource}/sid/{sid}/mode/mix");
    studio.desk.clock.advance(Duration::from_secs(72 * 3600 - 1));
    assert_eq!(studio.ask("GET", &format!("{path}/query"), &Value::Null).await.status, 200);
    studio.desk.clock.advance(Duration::from_secs(1));
    refused(&studio.ask("GET", &format!("{path}/query"), &Value::Null).await, 400, 433);
    for call in ["update", "updateLayout", "stop"] {
        refused(&studio.ask("POST", &format!("{path}/{call}"), &studio.whom()).await, 400, 433);
    }
    assert_eq!(studio.scribe.running.lock().unwrap().len(), 1, "the recording itself is safe");
}

#[tokio::test]
async fn a_restart_goes_on_and_a_silent_stream_ends() {
    let studio = Studio::new().await;
    let resource = studio.acquire().await;
    let sid = studio.start(&resource, "mix").await.body["sid"].as_str().unwrap().to_owned();
    // The server was killed: the recorder knows nothing any more.
    studio.deposited(RecordingId(1)).await;
    studio.scribe.running.lock().unwrap().clear();
    let mut silent = HashMap::new();
    keeper::keep(&studio.cloud, &mut silent).await.unwrap();
    assert_eq!(studio.scribe.running.lock().unwrap().len(), 1);
    let path = format!("resourceid/{resource}/sid/{sid}/mode/mix");
    let shown = studio.ask("GET", &format!("{path}/query"), &Value::Null).await;
    assert_eq!((shown.status, shown.body["serverResponse"]["fileList"].as_array().unwrap().len()), (200, 1), "the sid stays");
    // Nobody sends the stream for 30 seconds.
    studio.scribe.running.lock().unwrap()[0].2 = Doing::Waiting;
    keeper::keep(&studio.cloud, &mut silent).await.unwrap();
    studio.desk.clock.advance(Duration::from_secs(29));
    keeper::keep(&studio.cloud, &mut silent).await.unwrap();
    assert_eq!(studio.scribe.running.lock().unwrap().len(), 1);
    studio.desk.clock.advance(Duration::from_secs(1));
    keeper::keep(&studio.cloud, &mut silent).await.unwrap();
    assert!(studio.scribe.running.lock().unwrap().is_empty());
    refused(&studio.ask("POST", &format!("{path}/stop"), &studio.whom()).await, 400, 49);
}
