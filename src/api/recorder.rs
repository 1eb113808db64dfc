//! Recording on demand, and what is being recorded now.

use super::action::Action;
use super::context::{Context, number_maybe};
use super::error::Error;
use super::reply::Done;
use super::value::{Callback, Id, Int, PageNum, PageSize};
use super::view;
use crate::model::id::{GroupId, RecordingId, StreamId};
use crate::model::page::Paged;
use crate::model::record::Format;
use crate::model::recording::{Order, Paths, Running};
use crate::model::stream::Stream;
use crate::model::template::{Body, Formats, Kind, Template};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::{action, actions, page_reply, reply};

/// Seconds of a file where neither the call nor a template says.
const FILE: u32 = 3_600;

actions!["Recordings", "按需录制": StartRecordStream, StopRecordStream, DescribeRecordStreams];

action! {
    /// Starts to record a stream on demand, from the newest key frame in memory on, until StopRecordStream, also across restarts of the
    /// server. The stream need not be on: it is waited for. How it is recorded is said by the template of TemplateId, else by the record template that is bound to the
    /// stream or its group, else by the other parameters alone, which also win over a template.
    /// zh: 按需启动流录制，直至StopRecordStream，服务重启后自动继续。按TemplateId指定的模板、流或空间绑定的录制模板、或其余参数录制，其余参数优先。
    pub struct StartRecordStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" | "StreamId" stream: Id,
        /// A record template, bound or not.
        /// zh: 录制模板ID，可不绑定。
        "TemplateId" template: Option<Id>,
        /// mp4, flv, hls, several between commas.
        /// zh: 存储文件格式：mp4,flv,hls，多值用逗号分隔。
        "FileFormat" formats: Option<Formats>,
        /// Seconds a file.
        /// zh: 录制周期，单位秒。
        "Interval" | "FileInterval" interval: Option<Int<1, 86_400>>,
        /// Where it is told what was done.
        /// zh: 录制回调。
        "Callback" callback: Option<Callback>,
    }
}

reply! {
    /// A recording that was started.
    pub struct Started {
        /// The recording's id.
        /// zh: 录制ID。
        "Id" id: String,
        /// The stream's id.
        /// zh: 流ID。
        "StreamId" stream: String,
    }
}

action! {
    /// Ends recordings that StartRecordStream began; answers when their files are closed. Recordings by a bound template go on.
    /// zh: 停止按需录制，文件关闭后返回；绑定模板的自动录制不受影响。
    pub struct StopRecordStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" | "StreamId" stream: Id,
        /// One recording only; all that were started on demand where it is not given.
        /// zh: 录制ID，省略时停止该流所有按需录制。
        "RecordingId" recording: Option<Id>,
    }
}

action! {
    /// Lists the recordings that run, by templates or on demand, the oldest first.
    /// zh: 查询正在进行的录制。
    pub struct DescribeRecordStreams {
        /// Only recordings of this stream.
        /// zh: 按流ID查询。
        "StreamId" stream: Option<Id>,
        /// Only recordings in this group.
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
    /// A page of recordings.
    Recordings "Recordings" of Recording
}

reply! {
    /// A recording that runs.
    pub struct Recording {
        /// The recording's id.
        /// zh: 录制ID。
        "Id" id: String,
        /// The stream.
        /// zh: 流ID。
        "StreamId" stream: String,
        /// Its group.
        /// zh: 所属空间ID。
        "GroupId" group: String,
        /// The template that says so; empty for none.
        /// zh: 模板ID。
        "TemplateId" template: String,
        /// What is written.
        /// zh: 存储文件格式。
        "FileFormat" formats: String,
        /// auto or ondemand.
        /// zh: 触发类型。
        "Trigger" trigger: &'static str,
        /// recording, waiting (nobody sends the stream) or failing (writing is tried again).
        /// zh: 录制状态：recording录制中，waiting等待流，failing写入失败重试中。
        "Status" status: &'static str,
        /// Why writing failed last; empty if it did not.
        /// zh: 最近一次写入失败的原因。
        "Trouble" trouble: String,
        /// When it began.
        /// zh: 录制开始时间。
        "StartTime" since: String,
        /// Bytes written so far, since the start of the server.
        /// zh: 已写入字节数（自服务启动起）。
        "Size" bytes: i64,
        /// Files finished so far, since the start of the server.
        /// zh: 已完成文件数（自服务启动起）。
        "Files" files: i64,
    }
}

impl Action for StartRecordStream {
    type Reply = Started;

    async fn run(self, cx: &Context) -> Result<Started, Error> {
        let stream = cx.stream(&self.stream).await?;
        let template = match &self.template {
            Some(id) => Some(cx.template(id).await?),
            None => cx.store().templates_for(stream.id).await?.into_iter().find(|template| template.kind() == Kind::Record),
        };
        let order = self.order(cx, &stream, template)?;
        let twin = |r: &Running| r.on_demand && r.stream == stream.id && r.template == order.template && r.formats == order.formats;
        if let Some(running) = cx.recorders().running().iter().find(|r| twin(r)) {
            return Err(Error::status("Stream", format!("It is being recorded on demand already, by recording {}.", running.id)));
        }
        let id = cx.recorders().start(order, true).await?;
        Ok(Started { id: id.to_string(), stream: stream.id.to_string() })
    }
}

impl StartRecordStream {
    fn order(&self, cx: &Context, stream: &Stream, template: Option<Template>) -> Result<Order, Error> {
        let key = stream.key().map_err(Error::internal)?;
        let mut order = match template.as_ref().map(|template| (template, &template.body)) {
            Some((template, Body::Record(record))) => Order::of(template, record, stream, key),
            Some((template, _)) => return Err(Error::invalid("TemplateId", format!("must be a record template, not {}", template.kind()))),
            None => Order {
                owner: stream.owner,
                group: stream.group,
                stream: stream.id,
                key,
                template: None,
                formats: Formats::NONE.with(Format::Mp4),
                interval: FILE,
                paths: Paths::default(),
                storage: Default::default(),
                bucket_key: None,
                expired: 0,
                callback: None,
            },
        };
        if let Some(formats) = self.formats {
            if formats.is_empty() || formats.has(Format::Jpg) {
                return Err(Error::invalid("FileFormat", "must be of mp4, flv, hls"));
            }
            order.formats = formats;
        }
        if let Some(interval) = &self.interval {
            order.interval = interval.0 as u32;
        }
        if let Some(callback) = &self.callback {
            order.callback = Some(callback.0.clone());
        }
        debug_assert!(cx.scope().sees(order.owner));
        Ok(order)
    }
}

impl Action for StopRecordStream {
    type Reply = Done;

    async fn run(self, cx: &Context) -> Result<Done, Error> {
        let stream = cx.stream(&self.stream).await?;
        let wanted: Option<RecordingId> = number_maybe(&self.recording, "Recording")?;
        let fits = |r: &Running| r.on_demand && r.stream == stream.id && wanted.is_none_or(|id| id == r.id);
        let ids: Vec<_> = cx.recorders().running().into_iter().filter(fits).map(|r| r.id).collect();
        if ids.is_empty() {
            return Err(Error::status("Stream", "It is not being recorded on demand."));
        }
        for id in ids {
            cx.recorders().stop(id).await?;
        }
        Ok(Done {})
    }
}

impl Action for DescribeRecordStreams {
    type Reply = Recordings;

    async fn run(self, cx: &Context) -> Result<Recordings, Error> {
        let (stream, group): (Option<StreamId>, Option<GroupId>) =
            (number_maybe(&self.stream, "Stream")?, number_maybe(&self.group, "Group")?);
        let page = view::page(self.page_size, self.page_num);
        let scope: Scope = cx.scope();
        let fits = |r: &Running| scope.sees(r.owner) && stream.is_none_or(|id| id == r.stream) && group.is_none_or(|id| id == r.group);
        let mut all: Vec<Running> = cx.recorders().running().into_iter().filter(fits).collect();
        all.sort_by_key(|r| r.id);
        let total = all.len() as u64;
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let items = all.into_iter().skip(skip).take(page.size() as usize).map(Recording::of).collect();
        Ok(Paged { items, total, page }.into())
    }
}

impl Recording {
    fn of(running: Running) -> Recording {
        let since: Time = running.since;
        Recording {
            id: running.id.to_string(),
            stream: running.stream.to_string(),
            group: running.group.to_string(),
            template: running.template.map(|id| id.to_string()).unwrap_or_default(),
            formats: running.formats.to_string(),
            trigger: if running.on_demand { "ondemand" } else { "auto" },
            status: running.state.as_str(),
            trouble: running.trouble,
            since: since.to_string(),
            bytes: i64::try_from(running.bytes).unwrap_or(i64::MAX),
            files: i64::try_from(running.files).unwrap_or(i64::MAX),
        }
    }
}
