//! Cloud recording by REST: `/v1/apps/{appid}/cloud_recording/…`: acquire, start, query, update, updateLayout, stop. HTTP Basic with a
//! tenant's key pair, ten requests a second. An `appid` is a group, a `cname` the name or the id of a stream in it; the recorder
//! behind [`plane::Recorders`](super::plane::Recorders) does the work. What was started is kept in the store: [`keeper`] goes on with
//! it after a restart and ends what nobody sends any more.
//!
//! Bodies are read in [`body`], buckets in [`bucket`]; failures have the numbers of the interface in [`Code`].

mod body;
mod bucket;
mod keeper;
mod order;
#[cfg(test)]
mod tests;

use super::Api;
use super::plane::Recorders;
use super::rest::{self, Door, Turned};
use crate::model::cloud::CloudRecording;
use crate::model::group::Group;
use crate::model::id::{GroupId, RecordingId, StreamId};
use crate::model::record::{Format, Kind, Record};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::runtime::task::Tasks;
use crate::store::{self, CloudBegin, Store};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use body::{Acquire, Start};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

crate::settings! {
    /// The cloud recording interface.
    pub struct Settings {
        /// The end point of the S3-compatible storage that recordings go to, as in `https://s3.example.com`, whatever vendor and region
        /// callers name. Empty: the vendor's own (1 Amazon S3, 2 Alibaba Cloud OSS), or the caller's (vendor 11, extensionParams.endpoint).
        pub endpoint: String = String::new(),
        /// The length of one file.
        pub interval: crate::base::units::Span = crate::base::units::Span::secs(7200),
    }
}

/// How long a resource waits for its start, in seconds.
const GOOD: i64 = 300;
/// How long a stop waits for the files to be in the bucket; clients wait ten seconds.
const PATIENCE: Duration = Duration::from_secs(6);
/// The most files that are listed.
const FILES: u32 = 1000;
const PURPOSE: &str = "cloud recording";

/// The numbers of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// A parameter is not what is allowed, or asks for what is not supported.
    Parameter = 2,
    /// This resource records already.
    Running = 7,
    /// It was stopped before.
    Stopped = 49,
    /// The same application, channel and user are recorded already.
    Same = 53,
    /// The tenant's quota is used up.
    Quota = 403,
    /// No such recording runs any more.
    Gone = 404,
    /// The call differs from what was acquired.
    Differs = 432,
    /// The resource is too old, or used.
    Expired = 433,
    /// There are no files.
    Nothing = 435,
    /// A defect, or something that we need does not answer.
    Inside = 500,
    /// The resource is none of ours.
    Resource = 1001,
    /// Application, resource and recording do not belong together.
    Mismatch = 1003,
    /// The channel is no stream of the application.
    Channel = 1013,
}

/// A call that is refused.
#[derive(Debug)]
enum Wrong {
    Turned(Turned),
    Code(Code, String),
}

impl Wrong {
    fn parameter(why: impl Into<String>) -> Wrong {
        Wrong::Code(Code::Parameter, why.into())
    }

    fn answer(&self, id: &str) -> Response<Body> {
        match self {
            Wrong::Turned(turned) => {
                rest::json(turned.status(), id, &json!({"code": turned.status().as_u16(), "reason": turned.why(), "message": turned.why()}))
            }
            Wrong::Code(code, why) => {
                let status = match code {
                    Code::Quota => StatusCode::FORBIDDEN,
                    Code::Gone => StatusCode::NOT_FOUND,
                    Code::Inside => StatusCode::INTERNAL_SERVER_ERROR,
                    _ => StatusCode::BAD_REQUEST,
                };
                rest::json(status, id, &json!({"code": *code as i32, "reason": why}))
            }
        }
    }
}

impl From<Turned> for Wrong {
    fn from(turned: Turned) -> Wrong {
        Wrong::Turned(turned)
    }
}

impl From<store::Error> for Wrong {
    fn from(error: store::Error) -> Wrong {
        tracing::warn!(%error, "cloud recording failed");
        Wrong::Code(Code::Inside, "internal error, try again later".to_owned())
    }
}

/// The interface. Cloning shares it.
#[derive(Clone)]
pub struct Cloud {
    door: Door,
    settings: Settings,
    recorders: Arc<dyn Recorders>,
}

/// What a resource id holds, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Resource {
    id: String,
    app: String,
    cname: String,
    uid: String,
    region: Option<String>,
    hours: i64,
    scene: i64,
    until: i64,
}

/// A handler: the log line and the shape of the answer around a function.
macro_rules! handler {
    ($name:literal, $path:ty, $run:path) => {
        |State(cloud): State<Cloud>, Path(path): Path<$path>, request: Request<Body>| async move {
            let (id, caller) = (rest::request_id(), rest::named(request.headers()));
            let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().cloned();
            let answer = match cloud.hear(request).await {
                Ok((scope, body)) => $run(&cloud, scope, &path, body).await,
                Err(wrong) => Err(wrong),
            };
            let response = match answer {
                Ok(value) => rest::json(StatusCode::OK, &id, &value),
                Err(wrong) => wrong.answer(&id),
            };
            rest::log("cloud", $name, &id, &caller, peer.as_ref(), &response);
            response
        }
    };
}

/// The first segment of the paths that [`Cloud::router`] answers.
pub const SEGMENTS: &[&str] = &["v1"];

impl Cloud {
    /// Goes on with what ran before, as a task of `tasks`, and answers by [`router`](Cloud::router).
    pub fn start(api: Api, settings: Settings, recorders: Arc<dyn Recorders>, tasks: &Tasks) -> Cloud {
        let cloud = Cloud { door: Door::new(api), settings, recorders };
        tasks.spawn("cloud recording", keeper::run(cloud.clone(), tasks.stopping()));
        cloud
    }

    /// The routes.
    pub fn router(self) -> Router {
        const APP: &str = "/v1/apps/{appid}/cloud_recording";
        let sid = format!("{APP}/resourceid/{{resource}}/sid/{{sid}}/mode/{{mode}}");
        Router::new()
            .route(&format!("{APP}/acquire"), post(handler!("acquire", String, acquire)))
            .route(&format!("{APP}/resourceid/{{resource}}/mode/{{mode}}/start"), post(handler!("start", ResourcePath, start)))
            .route(&format!("{sid}/query"), get(handler!("query", SidPath, query)))
            .route(&format!("{sid}/update"), post(handler!("update", SidPath, update)))
            .route(&format!("{sid}/updateLayout"), post(handler!("updateLayout", SidPath, layout)))
            .route(&format!("{sid}/stop"), post(handler!("stop", SidPath, stop)))
            .with_state(self)
    }

    fn store(&self) -> &Store {
        self.door.api().store()
    }

    fn now(&self) -> i64 {
        self.door.api().now()
    }

    /// Who calls, and what it says.
    async fn hear(&self, request: Request<Body>) -> Result<(Scope, Value), Wrong> {
        let key = self.door.basic(request.headers(), "cloud").await?;
        let body = rest::body(request.into_body()).await.ok_or_else(|| Wrong::parameter("the body is too long or broke off"))?;
        let body = match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&body).map_err(|_| Wrong::parameter("the body is not JSON"))?,
        };
        Ok((key.scope(), body))
    }

    async fn group(&self, scope: Scope, app: &str) -> Result<Group, Wrong> {
        let unknown = || Wrong::parameter("appid: there is no such application");
        let id: GroupId = app.parse().map_err(|_| unknown())?;
        match self.store().group(scope, id).await {
            Err(store::Error::NotFound { .. }) => Err(unknown()),
            found => Ok(found?),
        }
    }

    /// The stream that a channel's name means: its id, or its name if only one has it.
    async fn stream(&self, group: &Group, cname: &str) -> Result<crate::model::stream::Stream, Wrong> {
        let unknown = || Wrong::Code(Code::Channel, "cname: the application has no such stream".to_owned());
        if let Ok(id) = cname.parse::<StreamId>()
            && let Ok(stream) = self.store().stream(Scope::Operator, id).await
            && stream.group == group.id
        {
            return Ok(stream);
        }
        let door = self.store().door(&group.app, cname).await?.filter(|door| door.group.id == group.id);
        Ok(door.ok_or_else(unknown)?.stream)
    }

    /// The recording of a path, if it is the caller's and may still be asked about.
    async fn recording(&self, scope: Scope, path: &SidPath) -> Result<CloudRecording, Wrong> {
        let resource = self.open(&path.resource)?;
        let mismatch = || Wrong::Code(Code::Mismatch, "appid, resourceid and sid do not belong together".to_owned());
        let found = match self.store().cloud_recording(scope, &path.sid).await {
            Err(store::Error::NotFound { .. }) => return Err(mismatch()),
            found => found?,
        };
        if resource.app != path.appid || found.resource != resource.id || found.group.to_string() != path.appid {
            return Err(mismatch());
        }
        if found.mode != path.mode {
            return Err(Wrong::parameter(format!("mode: it was started as {}", found.mode)));
        }
        if found.expires.as_secs() <= self.now() {
            return Err(Wrong::Code(Code::Expired, "resourceExpiredHour is over".to_owned()));
        }
        Ok(found)
    }

    fn open(&self, resource: &str) -> Result<Resource, Wrong> {
        let text = self.store().open_token(PURPOSE, resource);
        let read = text.and_then(|text| serde_json::from_str(&text).ok());
        read.ok_or_else(|| Wrong::Code(Code::Resource, "resourceid: it is none that acquire has given".to_owned()))
    }

    /// The files of a recording that are in the bucket.
    async fn files(&self, recording: &CloudRecording) -> Result<Vec<Record>, Wrong> {
        let mut files = Vec::new();
        for id in ids(recording) {
            let records = self.store().records_of_recording(Scope::Operator, id, FILES).await?;
            files.extend(records.into_iter().filter(|record| record.kind == Kind::Record));
        }
        Ok(files)
    }

    fn runs(&self, recording: &CloudRecording) -> bool {
        let id = ids(recording).pop();
        self.recorders.running().iter().any(|running| Some(running.id) == id)
    }
}

/// The recorder's ids of a recording: one for each time that it was started.
fn ids(recording: &CloudRecording) -> Vec<RecordingId> {
    recording.recording.split(',').filter_map(|id| id.parse().ok()).collect()
}

#[derive(Deserialize)]
struct ResourcePath {
    appid: String,
    resource: String,
    mode: String,
}

#[derive(Deserialize)]
struct SidPath {
    appid: String,
    resource: String,
    sid: String,
    mode: String,
}

async fn acquire(cloud: &Cloud, scope: Scope, app: &str, body: Value) -> Result<Value, Wrong> {
    let asked = Acquire::read(&body).map_err(body::Bad::wrong)?;
    let group = cloud.group(scope, app).await?;
    if asked.scene != 1 {
        cloud.stream(&group, &asked.cname).await?;
    }
    let Acquire { cname, uid, region, hours, scene } = asked;
    let id = uuid::Uuid::new_v4().simple().to_string();
    let resource =
        Resource { id, app: group.id.to_string(), cname: cname.clone(), uid: uid.clone(), region, hours, scene, until: cloud.now() + GOOD };
    let text = serde_json::to_string(&resource).map_err(|_| Wrong::Code(Code::Inside, "internal error".to_owned()))?;
    let sealed = cloud.store().token(PURPOSE, &text)?;
    Ok(json!({"code": 200, "cname": cname, "uid": uid, "resourceId": sealed}))
}

async fn start(cloud: &Cloud, scope: Scope, path: &ResourcePath, body: Value) -> Result<Value, Wrong> {
    let resource = cloud.open(&path.resource)?;
    let group = cloud.group(scope, &path.appid).await?;
    if resource.app != path.appid {
        return Err(Wrong::Code(Code::Mismatch, "appid and resourceid do not belong together".to_owned()));
    }
    let asked = Start::read(&body, &path.mode).map_err(body::Bad::wrong)?;
    if asked.cname != resource.cname || asked.uid != resource.uid {
        return Err(Wrong::Code(Code::Differs, "cname and uid must be those of acquire".to_owned()));
    }
    let stream = cloud.stream(&group, &asked.cname).await?;
    let place = asked.bucket.place(&cloud.settings.endpoint).map_err(Wrong::parameter)?;
    if !bucket::fits(&asked.bucket, resource.region.as_deref()) {
        return Err(Wrong::Code(Code::Differs, "storageConfig.region must lie in the region of acquire".to_owned()));
    }
    let sid = uuid::Uuid::new_v4().simple().to_string();
    let kept = order::Kept::new(&asked, place, resource.scene == 2);
    let order = kept.order(&sid, &stream, &asked.cname, &asked.uid, &path.mode, &cloud.settings).map_err(Wrong::parameter)?;
    let now = cloud.now();
    let recording = CloudRecording {
        sid: sid.clone(),
        resource: resource.id,
        owner: stream.owner,
        group: group.id,
        stream: stream.id,
        cname: asked.cname.clone(),
        uid: asked.uid.clone(),
        mode: path.mode.clone(),
        recording: String::new(),
        order: kept.sealed(),
        running: true,
        started: Time::from_secs(now),
        stopped: None,
        expires: Time::from_secs(now + resource.hours * 3600),
    };
    // What has been used says so for as long as it is known, however old it is.
    let used = |recording: &CloudRecording| match recording.running {
        true => Wrong::Code(Code::Running, format!("the resource records already: sid {}", recording.sid)),
        false => Wrong::Code(Code::Expired, "the resource has been used: acquire another".to_owned()),
    };
    let fresh = resource.until > now;
    if !fresh {
        return Err(match cloud.store().cloud_recording_of(&recording.resource).await? {
            Some(other) => used(&other),
            None => Wrong::Code(Code::Expired, "the resource is older than five minutes: acquire another".to_owned()),
        });
    }
    match cloud.store().begin_cloud_recording(recording).await? {
        CloudBegin::New => {}
        CloudBegin::Used(other) => return Err(used(&other)),
        CloudBegin::Same => return Err(Wrong::Code(Code::Same, "this appid, cname and uid is being recorded already".to_owned())),
    }
    // the keeper goes on with it after a restart, from its own row
    match cloud.recorders.start(order, false).await {
        Ok(id) => cloud.store().set_cloud_recording(&sid, &id.to_string()).await?,
        Err(error) => {
            cloud.store().drop_cloud_recording(&sid).await?;
            let code = if error.code.starts_with("QuotaExceeded.") { Code::Quota } else { Code::Inside };
            return Err(Wrong::Code(code, error.message));
        }
    }
    Ok(json!({"cname": asked.cname, "uid": asked.uid, "resourceId": path.resource, "sid": sid}))
}

async fn query(cloud: &Cloud, scope: Scope, path: &SidPath, _: Value) -> Result<Value, Wrong> {
    let recording = cloud.recording(scope, path).await?;
    if !recording.running || !cloud.runs(&recording) {
        return Err(Wrong::Code(Code::Gone, "the recording is over".to_owned()));
    }
    let files = cloud.files(&recording).await?;
    Ok(shown(&recording, &path.resource, &files, json!({"status": 5})))
}

async fn update(cloud: &Cloud, scope: Scope, path: &SidPath, body: Value) -> Result<Value, Wrong> {
    let recording = cloud.recording(scope, path).await?;
    same(&recording, &body)?;
    if !recording.running {
        return Err(Wrong::Code(Code::Gone, "the recording is over".to_owned()));
    }
    body::subscription(&body["clientRequest"]["streamSubscribe"]).map_err(body::Bad::wrong)?;
    body::unsupported(&body["clientRequest"], &["webRecordingConfig", "rtmpPublishConfig"]).map_err(body::Bad::wrong)?;
    Ok(json!({"cname": recording.cname, "uid": recording.uid, "resourceId": path.resource, "sid": recording.sid}))
}

async fn layout(cloud: &Cloud, scope: Scope, path: &SidPath, body: Value) -> Result<Value, Wrong> {
    let recording = cloud.recording(scope, path).await?;
    same(&recording, &body)?;
    Err(Wrong::parameter("updateLayout is not supported: one stream is recorded as it is, there is no layout"))
}

async fn stop(cloud: &Cloud, scope: Scope, path: &SidPath, body: Value) -> Result<Value, Wrong> {
    let recording = cloud.recording(scope, path).await?;
    same(&recording, &body)?;
    if !cloud.store().end_cloud_recording(&recording.sid).await? {
        return Err(Wrong::Code(Code::Stopped, "the recording was stopped before".to_owned()));
    }
    if let Some(id) = ids(&recording).pop() {
        cloud.recorders.stop(id).await.map_err(|error| Wrong::Code(Code::Inside, error.message))?;
    }
    let at_once = body["clientRequest"]["async_stop"].as_bool().unwrap_or(false);
    let mut files = cloud.files(&recording).await?;
    let formats = order::Kept::open(&recording.order).map_or(1, |kept| kept.formats());
    let lacks = |files: &[Record]| files.iter().filter_map(|file| file.format).collect::<BTreeSet<_>>().len() < formats;
    let until = cloud.door.api().clock().now() + PATIENCE.into();
    while lacks(&files) && !at_once && cloud.door.api().clock().now() < until {
        cloud.door.api().clock().sleep(Duration::from_millis(200)).await;
        files = cloud.files(&recording).await?;
    }
    if files.is_empty() && !at_once {
        return Err(Wrong::Code(Code::Nothing, "nothing has been recorded, or it is not in the bucket yet".to_owned()));
    }
    let uploaded = if lacks(&files) { "unknown" } else { "uploaded" };
    Ok(shown(&recording, &path.resource, &files, json!({"uploadingStatus": uploaded})))
}

fn same(recording: &CloudRecording, body: &Value) -> Result<(), Wrong> {
    let (cname, uid) = body::whom(body).map_err(body::Bad::wrong)?;
    match cname == recording.cname && uid == recording.uid {
        true => Ok(()),
        false => Err(Wrong::Code(Code::Differs, "cname and uid must be those of acquire".to_owned())),
    }
}

fn shown(recording: &CloudRecording, resource: &str, files: &[Record], mut server: Value) -> Value {
    let name = |record: &Record| {
        json!({
            "fileName": record.place.object,
            "trackType": "audio_and_video",
            "uid": recording.uid,
            "mixedAllUser": recording.mode == "mix",
            "isPlayable": matches!(record.format, Some(Format::Hls | Format::Mp4)),
            "sliceStartTime": record.start.0,
        })
    };
    server["fileListMode"] = "json".into();
    server["fileList"] = files.iter().map(name).collect();
    server["sliceStartTime"] = files.first().map_or(recording.started, |record| record.start).0.into();
    json!({"cname": recording.cname, "uid": recording.uid, "resourceId": resource, "sid": recording.sid, "serverResponse": server})
}
