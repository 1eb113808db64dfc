//! Starting and stopping what devices send: by device, by channel, by stream, one at a time or in batches.

use super::action::Action;
use super::bucket;
use super::context::Context;
use super::error::Error;
use super::plane::Target;
use super::reply::Touched;
use super::value::{AccessInfo, Id, Ids};
use crate::model::channel;
use crate::model::device::{self, Device};
use crate::model::group::Group;
use crate::model::id::StreamId;
use crate::model::page::Page;
use crate::model::stream::Stream;
use crate::{action, actions, reply};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

actions![
    "Starting and stopping", "启停": StartDevice, StopDevice, BatchStartDevices, BatchStopDevices, StartChannel, StopChannel, StartStream,
    StopStream, BatchStartStreams, BatchStopStreams
];

action! {
    /// Starts all streams of a device and waits for its answer.
    /// zh: 启动设备拉流，启动设备上的所有流。
    pub struct StartDevice {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: Id,
        /// The key pair of the bucket that a bound template stores to, where none is known yet.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

action! {
    /// Stops all streams of a device.
    /// zh: 停止设备拉流，停止设备上的所有流。
    pub struct StopDevice {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: Id,
    }
}

action! {
    /// Starts the streams of several devices.
    /// zh: 批量启动设备拉流。
    pub struct BatchStartDevices {
        /// The devices' ids.
        /// zh: 设备ID，多值用逗号分隔。
        "Id" ids: Ids,
        /// The key pair of the bucket that a bound template stores to, where none is known yet.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

action! {
    /// Stops the streams of several devices.
    /// zh: 批量停止设备拉流。
    pub struct BatchStopDevices {
        /// The devices' ids.
        /// zh: 设备ID，多值用逗号分隔。
        "Id" ids: Ids,
    }
}

reply! {
    /// The outcomes for the devices of a batch.
    pub struct DeviceOutcomes {
        /// One row for each device.
        /// zh: 结果列表。
        "Results" results: Vec<DeviceOutcome>,
    }
}

reply! {
    /// The outcome for one device of a batch.
    pub struct DeviceOutcome {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: String,
        /// Why nothing could be done; absent where it could.
        /// zh: 设备的错误信息，仅在出错时存在。
        "Error" error: Option<String>,
        /// Its streams.
        /// zh: 设备流列表。
        "Streams" streams: Vec<StreamOutcome>,
    }
}

reply! {
    /// The outcome for one stream.
    pub struct StreamOutcome {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: String,
        /// Its name.
        /// zh: 流名称。
        "Name" name: String,
        /// Why it failed; absent where it did not.
        /// zh: 流的错误信息，仅在出错时存在。
        "Error" error: Option<String>,
    }
}

reply! {
    /// The outcomes for the streams of a batch.
    pub struct StreamOutcomes {
        /// One row for each stream.
        /// zh: 结果列表。
        "Results" results: Vec<StreamOutcome>,
    }
}

reply! {
    /// A stream that was started.
    pub struct Started {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: String,
        /// Its name.
        /// zh: 流名称。
        "Name" name: String,
    }
}

action! {
    /// Starts a channel's stream and waits for the device's answer.
    /// zh: 启动通道拉流。
    pub struct StartChannel {
        /// The channel's id.
        /// zh: 通道ID。
        "Id" id: Id,
        /// The key pair of the bucket that a bound template stores to, where none is known yet.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

action! {
    /// Stops a channel's stream.
    /// zh: 停止通道拉流。
    pub struct StopChannel {
        /// The channel's id.
        /// zh: 通道ID。
        "Id" id: Id,
    }
}

action! {
    /// Starts a stream and waits for the device's answer.
    /// zh: 启动流。
    pub struct StartStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: Id,
        /// The key pair of the bucket that a bound template stores to, where none is known yet.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

action! {
    /// Stops a stream.
    /// zh: 停止流。
    pub struct StopStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: Id,
    }
}

action! {
    /// Starts several streams.
    /// zh: 批量启动流。
    pub struct BatchStartStreams {
        /// The streams' ids.
        /// zh: 流ID，多值用逗号分隔。
        "Id" ids: Ids,
        /// The key pair of the bucket that a bound template stores to, where none is known yet.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

action! {
    /// Stops several streams.
    /// zh: 批量停止流。
    pub struct BatchStopStreams {
        /// The streams' ids.
        /// zh: 流ID，多值用逗号分隔。
        "Id" ids: Ids,
    }
}

/// What became of each stream.
type Done = Vec<(Stream, Result<(), Error>)>;

/// How many devices are asked at the same time for one call.
const TOGETHER: usize = 16;

/// Whether somebody sends the stream now.
pub fn runs(cx: &Context, stream: &Stream) -> bool {
    stream.key().is_ok_and(|key| cx.media().live(&key).is_some())
}

/// What the signalling needs to know of a stream; a pushed stream has no device to ask.
pub async fn target(cx: &Context, stream: &Stream) -> Result<(Target, Device, Group), Error> {
    let (Some(device), Some(channel)) = (stream.device, stream.channel) else {
        return Err(Error::status("Stream", "The stream is pushed: it starts and stops with whoever pushes it."));
    };
    let group = cx.store().group(cx.scope(), stream.group).await?;
    let device = cx.store().device(cx.scope(), device).await?;
    let channel = cx.store().channel(cx.scope(), channel).await?;
    let Some(platform) = group.gb_id.clone() else {
        return Err(Error::status("Group", "The group takes no devices."));
    };
    let target = Target {
        group: group.id,
        group_gb_id: platform,
        device: device.id,
        device_gb_id: device.gb_id.clone(),
        channel_gb_id: channel.gb_id,
        stream: stream.id,
        key: stream.key().map_err(Error::internal)?,
    };
    Ok((target, device, group))
}

/// Why the streams of a device may not be started, if so.
fn allowed(group: &Group, device: &Device) -> Result<(), Error> {
    if !group.enabled {
        return Err(Error::status("Group", "The group is halted."));
    }
    if !device.enabled {
        return Err(Error::status("Device", "The device is not enabled."));
    }
    if device.status == device::Status::Failed {
        return Err(Error::status("Device", "The device is locked after wrong passwords: unlock it first."));
    }
    Ok(())
}

async fn start(cx: Context, stream: Stream) -> Result<(), Error> {
    if stream.forbidden {
        return Err(Error::status("Stream", "The stream is forbidden: resume it first."));
    }
    let (target, device, group) = target(&cx, &stream).await?;
    allowed(&group, &device)?;
    bucket::needed(&cx, &cx.store().templates_for(stream.id).await?).await?;
    cx.devices().start(target, cx.settings().device_patience.0).await?;
    set_started(&cx, stream.id, true).await
}

async fn stop(cx: Context, stream: Stream) -> Result<(), Error> {
    if stream.device.is_none() {
        // Whoever pushes is cut off; nothing keeps it from coming back: that is ForbidVsStream's.
        if let Ok(key) = stream.key() {
            cx.media().cut(&key, "the stream was stopped by a call of the API");
        }
        return Ok(());
    }
    set_started(&cx, stream.id, false).await?;
    let (target, ..) = target(&cx, &stream).await?;
    cx.devices().stop(target).await?;
    Ok(())
}

async fn set_started(cx: &Context, id: StreamId, started: bool) -> Result<(), Error> {
    let change = move |stream: &mut Stream| {
        stream.started = started;
        Ok::<_, Error>(())
    };
    cx.store().update_stream(cx.scope(), id, change).await.map(drop)
}

/// Does the same with several streams, a few at a time; the outcomes are in the order of the streams.
async fn each<F>(cx: &Context, streams: Vec<Stream>, act: fn(Context, Stream) -> F) -> Done
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(TOGETHER));
    let mut set = JoinSet::new();
    for (at, stream) in streams.into_iter().enumerate() {
        let (cx, places) = (cx.clone(), places.clone());
        set.spawn(async move {
            let _place = places.acquire_owned().await;
            let done = act(cx, stream.clone()).await;
            (at, (stream, done))
        });
    }
    let mut outcomes = Vec::with_capacity(set.len());
    while let Some(joined) = set.join_next().await {
        match joined {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => tracing::error!(%error, "starting or stopping a stream failed inside"),
        }
    }
    outcomes.sort_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// The streams of the channels that a device has now.
async fn streams_of(cx: &Context, device: &Device) -> Result<Vec<Stream>, Error> {
    let mut current = HashSet::new();
    for num in 1.. {
        let page = cx.store().channels(cx.scope(), device.id, channel::Filter::default(), Page::new(num, Page::MAX)).await?;
        current.extend(page.items.iter().map(|row| row.channel.stream));
        if u64::from(num) >= page.pages() {
            break;
        }
    }
    let all = cx.store().streams_of(device.id).await?;
    Ok(all.into_iter().filter(|stream| current.contains(&stream.id)).collect())
}

/// The outcomes for all streams of a device.
async fn device<F>(cx: &Context, id: &Id, act: fn(Context, Stream) -> F) -> Result<Done, Error>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let device = cx.device(id).await?;
    let streams = streams_of(cx, &device).await?;
    if streams.is_empty() {
        return Err(Error::status("Device", "The device's channels are not known yet: it must be online, or be asked by RefreshChannels."));
    }
    Ok(each(cx, streams, act).await)
}

impl Action for StartDevice {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let found = cx.device(&self.id).await?;
        bucket::keep(cx, found.owner, self.access).await?;
        first_failure(device(cx, &self.id, start).await?)?;
        Ok(Touched::new(found.id))
    }
}

impl Action for StopDevice {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let found = cx.device(&self.id).await?;
        let streams = streams_of(cx, &found).await?;
        first_failure(each(cx, streams, stop).await)?;
        Ok(Touched::new(found.id))
    }
}

fn first_failure(outcomes: Done) -> Result<(), Error> {
    outcomes.into_iter().try_for_each(|(_, done)| done)
}

impl Action for BatchStartDevices {
    type Reply = DeviceOutcomes;

    async fn run(self, cx: &Context) -> Result<DeviceOutcomes, Error> {
        let mut results = Vec::with_capacity(self.ids.0.len());
        for id in self.ids.0 {
            let kept = match cx.device(&Id(id.clone())).await {
                Ok(device) => bucket::keep(cx, device.owner, self.access.clone()).await,
                Err(error) => Err(error),
            };
            let done = match kept {
                Ok(()) => device(cx, &Id(id.clone()), start).await,
                Err(error) => Err(error),
            };
            results.push(DeviceOutcome::of(id, done));
        }
        Ok(DeviceOutcomes { results })
    }
}

impl Action for BatchStopDevices {
    type Reply = DeviceOutcomes;

    async fn run(self, cx: &Context) -> Result<DeviceOutcomes, Error> {
        let mut results = Vec::with_capacity(self.ids.0.len());
        for id in self.ids.0 {
            let done = match cx.device(&Id(id.clone())).await {
                Ok(device) => match streams_of(cx, &device).await {
                    Ok(streams) => Ok(each(cx, streams, stop).await),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            results.push(DeviceOutcome::of(id, done));
        }
        Ok(DeviceOutcomes { results })
    }
}

impl DeviceOutcome {
    fn of(id: String, done: Result<Done, Error>) -> DeviceOutcome {
        let (streams, error) = match done {
            Ok(streams) => (streams, None),
            Err(error) => (Vec::new(), Some(error.message)),
        };
        let row = |(stream, done): (Stream, Result<(), Error>)| StreamOutcome {
            id: stream.id.to_string(),
            name: stream.name,
            error: done.err().map(|e| e.message),
        };
        DeviceOutcome { id, error, streams: streams.into_iter().map(row).collect() }
    }
}

impl Action for StartChannel {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let channel = cx.channel(&self.id).await?;
        bucket::keep(cx, channel.owner, self.access).await?;
        start(cx.clone(), cx.store().stream(cx.scope(), channel.stream).await?).await?;
        Ok(Touched::new(channel.id))
    }
}

impl Action for StopChannel {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let channel = cx.channel(&self.id).await?;
        stop(cx.clone(), cx.store().stream(cx.scope(), channel.stream).await?).await?;
        Ok(Touched::new(channel.id))
    }
}

impl Action for StartStream {
    type Reply = Started;

    async fn run(self, cx: &Context) -> Result<Started, Error> {
        let stream = cx.stream(&self.id).await?;
        bucket::keep(cx, stream.owner, self.access).await?;
        start(cx.clone(), stream.clone()).await?;
        Ok(Started { id: stream.id.to_string(), name: stream.name })
    }
}

impl Action for StopStream {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let stream = cx.stream(&self.id).await?;
        stop(cx.clone(), stream.clone()).await?;
        Ok(Touched::new(stream.id))
    }
}

impl Action for BatchStartStreams {
    type Reply = StreamOutcomes;

    async fn run(self, cx: &Context) -> Result<StreamOutcomes, Error> {
        batch(cx, self.ids, self.access, start).await
    }
}

impl Action for BatchStopStreams {
    type Reply = StreamOutcomes;

    async fn run(self, cx: &Context) -> Result<StreamOutcomes, Error> {
        batch(cx, self.ids, None, stop).await
    }
}

async fn batch<F>(cx: &Context, ids: Ids, access: Option<AccessInfo>, act: fn(Context, Stream) -> F) -> Result<StreamOutcomes, Error>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    // Which rows the answer has, and which of them can be acted on.
    let mut rows: Vec<StreamOutcome> = Vec::with_capacity(ids.0.len());
    let mut found = Vec::new();
    for id in ids.0 {
        let stream = match cx.stream(&Id(id.clone())).await {
            Ok(stream) => bucket::keep(cx, stream.owner, access.clone()).await.map(|()| stream),
            Err(error) => Err(error),
        };
        match stream {
            Ok(stream) => {
                rows.push(StreamOutcome { id, name: stream.name.clone(), error: None });
                found.push((rows.len() - 1, stream));
            }
            Err(error) => rows.push(StreamOutcome { id, name: String::new(), error: Some(error.message) }),
        }
    }
    let (places, streams): (Vec<usize>, Vec<Stream>) = found.into_iter().unzip();
    for (place, (_, done)) in places.into_iter().zip(each(cx, streams, act).await) {
        rows[place].error = done.err().map(|e| e.message);
    }
    Ok(StreamOutcomes { results: rows })
}
