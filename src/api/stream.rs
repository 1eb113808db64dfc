//! Streams: what is sent and played, whether it comes from a device's channel or is pushed.

use super::action::Action;
use super::context::{Context, number, number_maybe};
use super::error::Error;
use super::reply::Touched;
use super::url::{self, Form};
use super::value::{App, Id, Int, OnOff, PageNum, PageSize, PlayType, Secret, SortBy, SortDirection, Text, Unix};
use super::{Api, cut, pull, push, view};
use crate::base::id::StreamKey;
use crate::model::group::{InProtocol, OutProtocol};
use crate::model::id::StreamId;
use crate::model::page::Sort;
use crate::model::stream::{self, Filter, Status};
use crate::model::time::Time;
use crate::{action, actions, page_reply, reply};
use subtle::ConstantTimeEq;

actions!["Streams", "流": DescribeStream, DescribeStreams, DescribeStreamURL, ForbidVsStream, ResumeVsStream, ScreenShowStreams, ModifyStream];

action! {
    /// Describes a stream.
    /// zh: 查询流。
    pub struct DescribeStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: Id,
    }
}

reply! {
    /// A stream.
    pub struct Stream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: String,
        /// Its name: what it was given, or the national id of its channel.
        /// zh: 流名称。
        "Name" name: String,
        /// The application, the first part of the path of its URLs.
        /// zh: 流所属应用。
        "App" app: String,
        /// How it comes in.
        /// zh: 流协议。
        "Protocol" protocol: &'static str,
        /// The group that it belongs to.
        /// zh: 所属空间ID。
        "GroupId" group: String,
        /// The device that it comes from; empty for a pushed stream.
        /// zh: 所属设备ID。
        "DeviceId" device: String,
        /// Whether it may be sent; a forbidden stream is not enabled.
        /// zh: 是否启用。
        "Enabled" enabled: bool,
        /// on while it is being sent, else off.
        /// zh: 流状态：on在线，off离线。
        "Status" status: &'static str,
        /// When it was made.
        /// zh: 流创建时间。
        "CreatedTime" created: String,
        /// When it was last started; empty if never.
        /// zh: 流开始时间。
        "StartTime" started: String,
        /// When it last stopped; empty if never, or while it runs.
        /// zh: 流结束时间。
        "StopTime" stopped: String,
        /// Where to push it to; empty for the stream of a device.
        /// zh: RTMP推流完整地址。
        "PushUrl" push_url: String,
        /// The name of its channel; empty for a pushed stream.
        /// zh: 设备通道名称。
        "ChannelName" channel_name: String,
        /// Width of the picture while it is being sent.
        /// zh: 视频宽度。
        "Width" width: Option<u32>,
        /// Height of the picture while it is being sent.
        /// zh: 视频高度。
        "Height" height: Option<u32>,
        /// Players now.
        /// zh: 当前播放人数。
        "ViewerNum" viewers: Option<u32>,
    }
}

action! {
    /// Lists streams.
    /// zh: 查询流列表。
    pub struct DescribeStreams {
        /// Only streams of this device.
        /// zh: 按设备ID查询。
        "DeviceId" device: Option<Id>,
        /// Only streams of this group.
        /// zh: 按空间ID查询。
        "GroupId" group: Option<Id>,
        /// Only streams of this application.
        /// zh: 按应用查询。
        "App" app: Option<App>,
        /// Only streams of this name.
        /// zh: 按名称查询。
        "Name" name: Option<Text<128>>,
        /// Only streams that are being sent (on), or are not (off).
        /// zh: 按状态查询：on在线，off离线。
        "Status" status: Option<OnOff>,
        /// Only streams whose last run had not ended at this time.
        /// zh: 按开始时间查询。
        "StartTime" from: Option<Time>,
        /// Only streams whose last run had begun before this time; must lie behind StartTime.
        /// zh: 按结束时间查询，需大于起始时间。
        "StopTime" to: Option<Time>,
        /// The field to sort by; the id where it is not given.
        /// zh: 排序字段，默认按ID。
        "SortBy" sort_by: Option<SortBy>,
        /// The direction of the sorting.
        /// zh: 排序方式，默认升序。
        "SortDirection" direction: SortDirection,
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of streams.
    Streams "Streams" of Stream
}

action! {
    /// Gives a signed URL that plays a stream for some time.
    /// zh: 获取流的播放URL。
    pub struct DescribeStreamURL {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: Id,
        /// How to play it; the group must allow it.
        /// zh: 流播放协议。
        "OutProtocol" protocol: OutProtocol,
        /// The main or the backup key of the play domain.
        /// zh: 播放域名的主key或备key，用于生成鉴权URL。
        "AuthKey" auth_key: Secret<64>,
        /// How long the URL is good, in seconds.
        /// zh: URL的过期时长，单位秒。
        "Expire" expire: Option<Int<1, 315_360_000>>,
        /// What runs now (live), or a recording of the device itself (vod).
        /// zh: 流类型：live直播流，vod点播流（如NVR上的历史流），默认live。
        "Type" kind: Option<PlayType>,
        /// Where the recording begins, in unix seconds.
        /// zh: 开始时间，unix时间戳，适用于vod。
        "StartTime" from: Option<Unix>,
        /// Where the recording ends, in unix seconds.
        /// zh: 结束时间，unix时间戳，适用于vod。
        "EndTime" to: Option<Unix>,
        /// The name of a transcode rule whose output is to be played.
        /// zh: 转码规则名称。
        "Transcode" rule: Option<App>,
    }
}

reply! {
    /// A URL that plays.
    pub struct SignedUrl {
        /// The URL.
        /// zh: 流的URL。
        "Url" url: String,
        /// Until when it opens the stream, in unix seconds.
        /// zh: URL过期时间点，unix时间戳，单位秒。
        "ExpireTime" expires: i64,
    }
}

action! {
    /// Forbids a stream: whoever sends it is cut off at once and refused until it is resumed. By id, or by application and name in URLs.
    /// zh: 禁止某条流的推送。
    pub struct ForbidVsStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: Option<Id>,
        /// Instead of the id: the application.
        /// zh: 应用名称，与StreamName一起代替Id。
        "AppName" app: Option<App>,
        /// Instead of the id: the stream's name in URLs, or its name.
        /// zh: 流名称，与AppName一起代替Id。
        "StreamName" name: Option<Text<128>>,
    }
}

action! {
    /// Allows a forbidden stream again.
    /// zh: 恢复某条流的推送。
    pub struct ResumeVsStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: Option<Id>,
        /// Instead of the id: the application.
        /// zh: 应用名称，与StreamName一起代替Id。
        "AppName" app: Option<App>,
        /// Instead of the id: the stream's name in URLs, or its name.
        /// zh: 流名称，与AppName一起代替Id。
        "StreamName" name: Option<Text<128>>,
    }
}

action! {
    /// Lists the streams that are being sent, with URLs for playing many at once in a browser.
    /// zh: 分屏展示在线流列表。
    pub struct ScreenShowStreams {
        /// Only streams of this group.
        /// zh: 按空间ID查询。
        "GroupId" group: Option<Id>,
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of streams that are being sent.
    Shown "Streams" of ShownStream
}

reply! {
    /// A stream that is being sent.
    pub struct ShownStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: String,
        /// Its name.
        /// zh: 流名称。
        "Name" name: String,
        /// How it comes in.
        /// zh: 空间使用的接入协议。
        "InProtocol" protocol: &'static str,
        /// Where to play it by WebRTC.
        /// zh: 流播放地址（WebRTC）。
        "Url" url: String,
        /// The name of its device; empty for a pushed stream.
        /// zh: 设备名称。
        "DeviceName" device_name: String,
    }
}

action! {
    /// Renames a stream.
    /// zh: 修改流名称。
    pub struct ModifyStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: Id,
        /// The group that it belongs to.
        /// zh: 所属空间ID。
        "GroupId" group: Id,
        /// The new name.
        /// zh: 流名称。
        "Name" name: Text<128>,
    }
}

impl Action for DescribeStream {
    type Reply = Stream;

    async fn run(self, cx: &Context) -> Result<Stream, Error> {
        let view = cx.store().stream_view(cx.scope(), number(&self.id, "Stream")?).await?;
        Ok(Stream::of(cx, view))
    }
}

impl Action for DescribeStreams {
    type Reply = Streams;

    async fn run(self, cx: &Context) -> Result<Streams, Error> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(Error::invalid("StopTime", "must lie behind StartTime"));
        }
        let filter = Filter {
            group: number_maybe(&self.group, "Group")?,
            device: number_maybe(&self.device, "Device")?,
            app: self.app.map(|a| a.0),
            name: self.name.map(|n| n.0),
            status: self.status.map(|s| if s == OnOff::On { Status::On } else { Status::Off }),
            from: self.from,
            to: self.to,
        };
        let sort = view::sort(self.sort_by, self.direction);
        let page = cx.store().streams(cx.scope(), filter, &sort, view::page(self.page_size, self.page_num)).await?;
        Ok(page.map(|row| Stream::of(cx, row)).into())
    }
}

impl Action for DescribeStreamURL {
    type Reply = SignedUrl;

    async fn run(self, cx: &Context) -> Result<SignedUrl, Error> {
        let stream = cx.stream(&self.id).await?;
        let group = cx.store().group(cx.scope(), stream.group).await?;
        if !cx.play_keys().iter().any(|key| bool::from(key.as_bytes().ct_eq(self.auth_key.0.0.as_bytes()))) {
            return Err(Error::invalid("AuthKey", "must be a key of the play domain: a URL that another key signs opens nothing"));
        }
        if !group.out_protocols.has(self.protocol) {
            return Err(Error::invalid("OutProtocol", format!("must be one that the stream's group allows: {}", group.out_protocols)));
        }
        let key = match self.kind.unwrap_or(PlayType::Live) {
            PlayType::Vod => {
                let from = self.from.ok_or_else(|| Error::missing("StartTime"))?.0;
                let to = self.to.ok_or_else(|| Error::missing("EndTime"))?.0;
                playback(cx, &stream, from, to).await?
            }
            PlayType::Live => match &self.rule {
                Some(rule) => output(cx, &stream, &rule.0).await?,
                None => stream.key().map_err(Error::internal)?,
            },
        };
        let form = match self.protocol {
            OutProtocol::Rtmp => Form::Rtmp,
            OutProtocol::Flv => Form::Flv,
            OutProtocol::Hls => Form::Hls,
        };
        let expires = cx.now().saturating_add(self.expire.map_or_else(|| default_expiry(cx), |e| e.0));
        Ok(SignedUrl { url: signed(cx, form, &key, &self.auth_key.0.0, expires), expires })
    }
}

/// Opens a playback of what the device itself recorded, between two unix times.
pub(super) async fn playback(cx: &Context, stream: &stream::Stream, from: i64, to: i64) -> Result<StreamKey, Error> {
    if from >= to {
        return Err(Error::invalid("EndTime", "must lie behind StartTime"));
    }
    if stream.device.is_none() {
        return Err(Error::invalid("Type", "must be live: a pushed stream has no device that records it"));
    }
    let (target, ..) = pull::target(cx, stream).await?;
    Ok(cx.devices().playback(target, from, to, cx.settings().device_patience.0).await?)
}

/// The output of a transcode rule that is bound to the stream.
pub(super) async fn output(cx: &Context, stream: &stream::Stream, rule: &str) -> Result<StreamKey, Error> {
    if !cx.book().rule(stream.id, rule).await? {
        return Err(Error::invalid("Transcode", "must be the name of a rule of a transcode template that is bound to the stream"));
    }
    StreamKey::new(&stream.app, &format!("{}_{rule}", stream.id)).map_err(Error::internal)
}

pub(super) fn default_expiry(api: &Api) -> i64 {
    i64::try_from(api.playback().expire.0.as_secs()).unwrap_or(i64::MAX).max(1)
}

/// A URL that plays a stream until `expires`.
pub fn signed(api: &Api, form: Form, key: &StreamKey, with: &str, expires: i64) -> String {
    let path = url::path(key.app(), key.name(), form.extension());
    format!("{}?auth_key={}", api.places().play(form, None, &path), url::auth_key(&path, expires, "0", "0", with))
}

impl Action for ForbidVsStream {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let stream = named(cx, self.id, self.app, self.name).await?;
        set_forbidden(cx, stream.id, true).await?;
        if let Ok(key) = stream.key() {
            cut::stream(cx, &key, "the stream was forbidden");
        }
        if stream.device.is_some()
            && let Ok((target, ..)) = pull::target(cx, &stream).await
            && let Err(refusal) = cx.devices().stop(target).await
        {
            // It is cut off and stays refused on our side, whatever the device says.
            tracing::info!(%refusal, stream = %stream.id, "the device of a forbidden stream was not stopped");
        }
        Ok(Touched::new(stream.id))
    }
}

impl Action for ResumeVsStream {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let stream = named(cx, self.id, self.app, self.name).await?;
        set_forbidden(cx, stream.id, false).await?;
        Ok(Touched::new(stream.id))
    }
}

async fn set_forbidden(cx: &Context, id: StreamId, forbidden: bool) -> Result<(), Error> {
    let change = move |stream: &mut stream::Stream| {
        stream.forbidden = forbidden;
        Ok::<_, Error>(())
    };
    cx.store().update_stream(cx.scope(), id, change).await?;
    cx.book().forget();
    Ok(())
}

/// The stream of an id, or of an application and a name, as the public SDKs give it.
async fn named(cx: &Context, id: Option<Id>, app: Option<App>, name: Option<Text<128>>) -> Result<stream::Stream, Error> {
    match (id, app, name) {
        (Some(id), ..) => cx.stream(&id).await,
        (None, Some(app), Some(name)) => {
            let door = cx.store().door(&app.0, &name.0).await?.filter(|door| cx.scope().sees(door.stream.owner));
            door.map(|door| door.stream).ok_or_else(|| Error::not_found("Stream", &format!("{}/{}", app.0, name.0)))
        }
        (None, Some(_), None) => Err(Error::missing("StreamName")),
        (None, None, Some(_)) => Err(Error::missing("AppName")),
        (None, None, None) => Err(Error::missing("Id")),
    }
}

impl Action for ScreenShowStreams {
    type Reply = Shown;

    async fn run(self, cx: &Context) -> Result<Shown, Error> {
        let filter = Filter { group: number_maybe(&self.group, "Group")?, status: Some(Status::On), ..Filter::default() };
        let page = cx.store().streams(cx.scope(), filter, &Sort::default(), view::page(self.page_size, self.page_num)).await?;
        let expires = cx.now().saturating_add(default_expiry(cx));
        let row = |row: stream::View| ShownStream {
            id: row.stream.id.to_string(),
            url: row.stream.key().map(|key| screen_url(cx, &key, expires)).unwrap_or_default(),
            name: row.stream.name,
            protocol: row.stream.protocol.as_str(),
            device_name: row.device_name.unwrap_or_default(),
        };
        Ok(page.map(row).into())
    }
}

/// A `rtc://` URL; signed where players need that.
fn screen_url(api: &Api, key: &StreamKey, expires: i64) -> String {
    match api.playback().auth {
        true => signed(api, Form::Rtc, key, &api.play_keys().main.0, expires),
        false => api.places().play(Form::Rtc, None, &url::path(key.app(), key.name(), "")),
    }
}

impl Action for ModifyStream {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let group = cx.group(&self.group).await?;
        let stream = cx.stream(&self.id).await?;
        if stream.group != group.id {
            return Err(Error::not_found("Stream", &self.id.0));
        }
        let name = self.name.0;
        let change = move |stream: &mut stream::Stream| {
            stream.name = name;
            Ok::<_, Error>(())
        };
        cx.store().update_stream(cx.scope(), stream.id, change).await?;
        Ok(Touched::new(stream.id))
    }
}

impl Stream {
    /// As answers show it: what the store knows, and what is live this moment.
    fn of(cx: &Context, view: stream::View) -> Stream {
        let stream = view.stream;
        let live = stream.key().ok().and_then(|key| cx.media().live(&key));
        let on = live.is_some() || stream.status == Status::On;
        let time = |time: Option<Time>| time.map(|t| t.to_string()).unwrap_or_default();
        let started = live.as_ref().map(|live| Time::from_secs(live.since)).or(stream.start_time);
        Stream {
            id: stream.id.to_string(),
            push_url: if stream.protocol == InProtocol::Rtmp { push::url(cx, &stream) } else { String::new() },
            app: stream.app,
            protocol: stream.protocol.as_str(),
            group: stream.group.to_string(),
            device: stream.device.map(|id| id.to_string()).unwrap_or_default(),
            enabled: !stream.forbidden,
            status: view::on(on),
            created: stream.created.to_string(),
            started: time(started),
            stopped: if on { String::new() } else { time(stream.stop_time) },
            name: stream.name,
            channel_name: view.channel_name.unwrap_or_default(),
            width: live.as_ref().map(|live| live.width).filter(|n| *n > 0),
            height: live.as_ref().map(|live| live.height).filter(|n| *n > 0),
            viewers: live.map(|live| live.viewers),
        }
    }
}
