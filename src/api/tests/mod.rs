//! The API as clients meet it: signed requests through the router, a store in a temporary directory, media and devices that are scripted.

mod bad_input;
mod documents;
mod examples;
mod gate;
mod http_face;
mod life;
mod objects;
mod quota;
mod sweep;
mod tenants;
mod upper;
mod usage;

use super::auth::v1;
use super::book::Book;
use super::plane::{
    Asked, Devices, Diagnosis, Facts, Files, Live, Media, Motion, NoPicture, NoRecorders, Order, Pictures, Player, Preset, PresetAct,
    Question, Recording, Refusal, Target, Trick, Voice,
};
use super::query::{self, Given};
use super::url::Places;
use super::{Api, Parts, Playback, Settings, router};
use crate::base::id::StreamKey;
use crate::base::pii::Secret;
use crate::media::time::Timestamp;
use crate::model::domain::Keys;
use crate::model::id::{DeviceId, GbId, GroupId, StreamId};
use crate::model::record::{self, Record};
use crate::model::time::Time;
use crate::proto::gb28181::manscdp::{DeviceInfo, DeviceStatus};
use crate::runtime::clock::Clock;
use crate::store::Store;
use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt;

/// 2026-03-01T00:00:00Z.
pub(super) const NOW: i64 = 1_772_323_200;
pub(super) const ROOT: &str = "root-key";
pub(super) const SECRET: &str = "root-secret";

/// A server without sockets.
pub(super) struct Desk {
    router: Router,
    pub(super) api: Api,
    pub(super) clock: Clock,
    media: Arc<Stage>,
    devices: Arc<Script>,
    _dir: tempfile::TempDir,
}

/// A key that signs.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) id: String,
    pub(super) secret: String,
}

#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    request_id: String,
    body: Value,
}

impl Answer {
    #[track_caller]
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        assert_eq!(self.body["RequestId"].as_str(), Some(self.request_id.as_str()));
        self.body
    }

    #[track_caller]
    pub(super) fn refused(self, status: u16, code: &str) -> String {
        assert_eq!((self.status, self.body["Code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.body["RequestId"].as_str(), Some(self.request_id.as_str()));
        assert_eq!(
            (&self.body["Status"], &self.body["Data"], &self.body["HostId"]),
            (&0.into(), &serde_json::json!({}), &"vs.example.com".into())
        );
        self.body["Message"].as_str().unwrap().to_owned()
    }
}

pub(super) fn root() -> Signer {
    Signer { id: ROOT.into(), secret: SECRET.into() }
}

impl Desk {
    pub(super) async fn new() -> Desk {
        Desk::with(Settings { rate: 0, ..Settings::default() }, Playback::default()).await
    }

    async fn with(settings: Settings, playback: Playback) -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_millis(NOW * 1000));
        let store = Store::open(&crate::store::Settings::default(), dir.path(), clock.clone()).await.unwrap();
        store.root_key(Some((ROOT.into(), Secret(SECRET.into())))).await.unwrap();
        let (media, devices) = (Arc::new(Stage::default()), Arc::new(Script::default()));
        let keys = |main: &str| Keys { main: Secret(main.into()), backup: Secret(format!("{main}-backup")) };
        let api = Api::new(Parts {
            settings,
            playback,
            book: Book::new(store.clone(), clock.clone()),
            store,
            media: media.clone(),
            devices: devices.clone(),
            files: Arc::new(Served),
            recorders: Arc::new(NoRecorders),
            pictures: Arc::new(Painter),
            tally: crate::stream::tally::Tally::default(),
            play_keys: keys("play-key"),
            push_keys: keys("push-key"),
            clock: clock.clone(),
            places: Places {
                host: "vs.example.com".into(),
                rtmp: 1935,
                http: 8080,
                tls: false,
                gb_host: "192.0.2.1".into(),
                gb_udp: 5060,
                gb_tcp: 5061,
                gb_area: 34_020_000,
            },
            front: None,
        });
        Desk { router: router(api.clone()), api, clock, media, devices, _dir: dir }
    }

    /// A signed call of the root key; pairs are the action's parameters.
    pub(super) async fn root(&self, action: &str, pairs: &[(&str, &str)]) -> Answer {
        self.call(&root(), action, pairs).await
    }

    pub(super) async fn call(&self, by: &Signer, action: &str, pairs: &[(&str, &str)]) -> Answer {
        self.send(self.signed(by, "GET", action, pairs)).await
    }

    /// The parameters of a call with its signature.
    fn sign(&self, by: &Signer, method: &str, action: &str, pairs: &[(&str, &str)]) -> Given {
        let mut given = Given::from_pairs(pairs.iter().map(|(n, v)| (*n, *v)));
        given.push("Action", action);
        let stamp = crate::model::time::Time::from_secs(self.api.now()).to_string();
        v1::sign_call(method, &mut given, &by.id, &by.secret, &stamp, &uuid::Uuid::new_v4().to_string());
        given
    }

    fn signed(&self, by: &Signer, method: &str, action: &str, pairs: &[(&str, &str)]) -> http::Request<Body> {
        let query = query::canonical(&self.sign(by, method, action, pairs), &[]);
        let request = http::Request::builder().method(method).header("host", "vs.example.com");
        match method {
            "GET" => request.uri(format!("/?{query}")).body(Body::empty()).unwrap(),
            _ => {
                let form = "application/x-www-form-urlencoded; charset=utf-8";
                request.uri("/").header("content-type", form).body(Body::from(query)).unwrap()
            }
        }
    }

    async fn send(&self, request: http::Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&body)));
        Answer { status, request_id, body }
    }

    /// The id of a new group.
    pub(super) async fn group(&self, by: &Signer, in_protocol: &str) -> String {
        let pairs = [("Name", "g"), ("InProtocol", in_protocol), ("OutProtocol", "rtmp,flv,hls")];
        text(&self.call(by, "CreateGroup", &pairs).await.ok()["Id"])
    }

    /// The id of a new stream of an RTMP group.
    pub(super) async fn pushed(&self, by: &Signer, group: &str) -> String {
        text(&self.call(by, "CreateRtmpGroupStreamurl", &[("Id", group), ("Name", "s")]).await.ok()["StreamId"])
    }

    /// The ids of a new camera of a gb28181 group, of its channel and its stream.
    pub(super) async fn camera(&self, by: &Signer, group: &str) -> (String, String, String) {
        let device = text(&self.call(by, "CreateDevice", &[("GroupId", group), ("Type", "ipc"), ("Password", "p")]).await.ok()["Id"]);
        let channels = self.call(by, "DescribeDeviceChannels", &[("Id", &device)]).await.ok();
        let channel = &channels["Channels"][0];
        (device, text(&channel["Id"]), text(&channel["StreamId"]))
    }

    /// A tenant with a key of its own.
    pub(super) async fn tenant(&self, user: &str) -> Signer {
        let access = r#"{"AccessKeyId":"b","AccessKeySecret":"s"}"#;
        let made = self.root("CreateMtsService", &[("UserId", user), ("AccessInfo", access)]).await.ok();
        Signer { id: text(&made["UserAccessKeyId"]), secret: text(&made["UserAccessKeySecret"]) }
    }
}

/// What a REST face answers.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Value,
}

impl Desk {
    /// A request to one of the REST faces.
    pub(super) async fn rest(&self, face: Router, request: http::Request<Body>) -> Answered {
        let response = face.oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&body)));
        Answered { status: head.status.as_u16(), headers: head.headers, body }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A media plane that does what tests say.
#[derive(Default)]
struct Stage {
    live: Mutex<BTreeMap<StreamKey, i64>>,
    players: Mutex<Vec<(StreamKey, &'static str)>>,
}

impl Stage {
    fn publish(&self, key: &str) {
        self.live.lock().unwrap().insert(StreamKey::parse(key).unwrap(), NOW);
    }

    fn play(&self, key: &str, protocol: &'static str) {
        self.players.lock().unwrap().push((StreamKey::parse(key).unwrap(), protocol));
    }

    fn playing(&self) -> usize {
        self.players.lock().unwrap().len()
    }

    fn is_live(&self, key: &str) -> bool {
        self.live.lock().unwrap().contains_key(&StreamKey::parse(key).unwrap())
    }
}

impl Media for Stage {
    fn live(&self, key: &StreamKey) -> Option<Live> {
        let since = *self.live.lock().unwrap().get(key)?;
        Some(Live {
            key: key.clone(),
            protocol: "rtmp",
            peer: "192.0.2.9:1".into(),
            since,
            viewers: 2,
            width: 1280,
            height: 720,
            video_fps: 25.0,
            audio_fps: 50.0,
            bit_rate: 1_000_000,
        })
    }

    fn list(&self) -> Vec<Live> {
        let keys: Vec<StreamKey> = self.live.lock().unwrap().keys().cloned().collect();
        keys.iter().filter_map(|key| self.live(key)).collect()
    }

    fn cut(&self, key: &StreamKey, _why: &str) -> bool {
        self.live.lock().unwrap().remove(key).is_some()
    }

    fn kick(&self, _why: &str, which: &dyn Fn(&Player<'_>) -> bool) -> usize {
        let mut players = self.players.lock().unwrap();
        let before = players.len();
        players.retain(|(key, protocol)| !which(&Player { key, protocol }));
        before - players.len()
    }
}

/// Signalling that does what tests say and writes down what it was asked.
#[derive(Default)]
struct Script {
    refusal: Mutex<Option<Refusal>>,
    asked: Mutex<Vec<String>>,
    voices: Mutex<Vec<Voice>>,
}

impl Script {
    fn refuse(&self, refusal: Refusal) {
        *self.refusal.lock().unwrap() = Some(refusal);
    }

    fn agree(&self) {
        *self.refusal.lock().unwrap() = None;
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn note<T: Send + 'static>(&self, what: String, value: T) -> Asked<'_, T> {
        self.asked.lock().unwrap().push(what);
        let refusal = self.refusal.lock().unwrap().clone();
        Box::pin(async move { refusal.map_or(Ok(value), Err) })
    }
}

impl Devices for Script {
    fn start(&self, target: Target, _: Duration) -> Asked<'_> {
        self.note(format!("start {}", target.key), ())
    }
    fn stop(&self, target: Target) -> Asked<'_> {
        self.note(format!("stop {}", target.key), ())
    }
    fn refresh(&self, device: DeviceId, _: Duration) -> Asked<'_> {
        self.note(format!("refresh {device}"), ())
    }
    fn unlock(&self, device: DeviceId) -> Asked<'_> {
        self.note(format!("unlock {device}"), ())
    }
    fn changed(&self, device: DeviceId) {
        self.asked.lock().unwrap().push(format!("changed {device}"));
    }
    fn forgotten(&self, device: DeviceId) {
        self.asked.lock().unwrap().push(format!("forgotten {device}"));
    }
    fn halted(&self, group: GroupId) {
        self.asked.lock().unwrap().push(format!("halted {group}"));
    }
    fn playback(&self, target: Target, from: i64, to: i64, _: Duration) -> Asked<'_, StreamKey> {
        let key = StreamKey::new(target.key.app(), &format!("{}_{from}_{to}", target.stream)).unwrap();
        self.note(format!("playback {key}"), key)
    }
    fn steer(&self, target: Target, _: Motion) -> Asked<'_> {
        self.note(format!("steer {}", target.key), ())
    }
    fn preset(&self, target: Target, _: PresetAct, id: u8) -> Asked<'_> {
        self.note(format!("preset {} {id}", target.key), ())
    }
    fn presets(&self, target: Target, _: Duration) -> Asked<'_, Vec<Preset>> {
        self.note(format!("presets {}", target.key), vec![Preset { id: 1, name: "door".into() }])
    }
    fn order(&self, _: DeviceId, to: GbId, order: Order) -> Asked<'_> {
        self.note(format!("order {to} {order:?}"), ())
    }
    fn recordings(&self, target: Target, from: Time, to: Time, _: Duration) -> Asked<'_, Vec<Recording>> {
        let recording = Recording { name: "gate".into(), path: String::new(), kind: "time".into(), from, to, size: Some(7) };
        self.note(format!("recordings {} {from} {to}", target.channel_gb_id), vec![recording])
    }
    fn control_playback(&self, target: Target, from: i64, to: i64, trick: Trick) -> Asked<'_> {
        self.note(format!("control {} {from} {to} {trick:?}", target.channel_gb_id), ())
    }
    fn question(&self, _: DeviceId, to: GbId, question: Question, _: Duration) -> Asked<'_, Facts> {
        let facts = match &question {
            Question::Info => Facts::Info(DeviceInfo { model: "M1".into(), channels: Some(2), ..DeviceInfo::default() }),
            Question::Status => Facts::Status(DeviceStatus { online: true, time: "2026-03-01T08:00:00".into(), ..DeviceStatus::default() }),
            Question::Config(_) => Facts::Config(vec![("BasicParam.Expiration".into(), "3600".into())]),
        };
        self.note(format!("question {to} {question:?}"), facts)
    }
    fn start_voice(&self, device: DeviceId, to: GbId, source: StreamKey, talk: bool, _: Duration) -> Asked<'_, Voice> {
        let voice = Voice { device, to: to.to_string(), source: source.clone(), talk, since: Time::from_secs(NOW), up: true, packets: 0 };
        self.voices.lock().unwrap().push(voice.clone());
        self.note(format!("voice {to} {source} {talk}"), voice)
    }
    fn stop_voice(&self, device: DeviceId) -> Asked<'_, bool> {
        let mut voices = self.voices.lock().unwrap();
        let before = voices.len();
        voices.retain(|voice| voice.device != device);
        self.note(format!("silence {device}"), voices.len() < before)
    }
    fn voices(&self) -> Vec<Voice> {
        self.voices.lock().unwrap().clone()
    }
    fn diagnose(&self, device: DeviceId) -> Asked<'_, Diagnosis> {
        self.note(format!("diagnose {device}"), (vec!["Nothing is wrong.".into()], serde_json::json!({"status": "on"})))
    }
}

/// Files at a made-up address.
struct Served;

impl Files for Served {
    fn url<'a>(&'a self, record: &'a Record) -> crate::api::action::Boxed<'a, String> {
        Box::pin(async move { format!("http://vs.example.com:8080/records/{}", record.id) })
    }
}

/// Has a picture of every stream.
struct Painter;

impl Pictures for Painter {
    fn take(&self, stream: StreamId) -> crate::api::action::Boxed<'_, Result<record::Draft, NoPicture>> {
        Box::pin(async move {
            Ok(record::Draft {
                stream,
                group: GroupId(1),
                owner: crate::model::tenant::OPERATOR,
                template: None,
                recording: None,
                kind: record::Kind::Snapshot,
                format: Some(record::Format::Jpg),
                place: record::Place { object: "snapshot/live/1.jpg".into(), ..record::Place::default() },
                start: Time(NOW * 1000),
                end: Time(NOW * 1000),
                duration_ms: 0,
                width: 640,
                height: 360,
                size: 1234,
                expires: None,
            })
        })
    }
}
