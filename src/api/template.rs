//! Templates: how streams are recorded, photographed, transcoded or kept for time shift.

use super::action::Action;
use super::context::Context;
use super::error::Error;
use super::param::Patch;
use super::reply::{Done, Touched};
use super::rules;
use super::value::{Callback, Id, Int, PageNum, PageSize, Text};
use super::view;
use crate::model::page::Page;
use crate::model::path::{PathTemplate, Purpose};
use crate::model::record::Format;
use crate::model::template::{self, Body, Draft, Filter, Formats, Kind, Snapshot, Storage, Trigger};
use crate::model::tenant::Scope;
use crate::{action, actions, page_reply, reply};

actions!["Templates", "模板": CreateTemplate, DeleteTemplate, DescribeTemplate, DescribeTemplates, ModifyTemplate];

action! {
    /// Creates a template. Each type has its own parameters: record and snapshot where and how files are stored,
    /// timeshift how long, transcode a list of rules.
    /// zh: 创建模板。
    pub struct CreateTemplate {
        /// The template's name.
        /// zh: 模板名称。
        "Name" name: Text<128>,
        /// Its description.
        /// zh: 模板描述。
        "Description" description: Option<Text<512>>,
        /// What it does: record, snapshot, transcode or timeshift.
        /// zh: 模板类型：record录制，snapshot截图，transcode转码，timeshift时移。
        "Type" kind: Kind,
        /// Where it is told what was done.
        /// zh: 模板执行后的回调。
        "Callback" callback: Option<Callback>,
        /// record, snapshot: the region of the bucket.
        /// zh: 对象存储所属区域。
        "Region" region: Option<Text<64>>,
        /// record, snapshot: the bucket; files stay on this server where none is given.
        /// zh: 对象存储的Bucket，缺省时文件保存在本机。
        "oNestBucket" | "OssBucket" bucket: Option<Text<63>>,
        /// record, snapshot: the address of the S3-compatible object storage.
        /// zh: 对象存储的域名。
        "oNestEndpoint" | "OssEndpoint" endpoint: Option<Callback>,
        /// record: seconds a file; snapshot: seconds between two pictures.
        /// zh: 操作周期，单位秒。
        "Interval" | "FileInterval" interval: Option<Int<1, 86_400>>,
        /// record: mp4, flv, hls, several between commas; snapshot: jpg.
        /// zh: 存储文件格式，多值用逗号分隔：录制mp4,flv,hls，截图jpg。
        "FileFormat" formats: Option<Formats>,
        /// record: the path of MP4 files, with {EscapedStartTime} and {EscapedEndTime}, perhaps {AppName} {StreamName} {Sequence}.
        /// zh: MP4的存储路径，必须包含{EscapedStartTime}和{EscapedEndTime}。
        "Mp4" mp4: Option<Text<512>>,
        /// record: the path of FLV files, as for Mp4.
        /// zh: FLV的存储路径，格式同Mp4。
        "Flv" flv: Option<Text<512>>,
        /// record: the path of HLS playlists, as for Mp4.
        /// zh: HLS m3u8文件的存储路径，格式同Mp4。
        "HlsM3u8" m3u8: Option<Text<512>>,
        /// record: the path of HLS segments, with {UnixTimestamp} and {Sequence}.
        /// zh: HLS ts文件的存储路径，必须包含{UnixTimestamp}和{Sequence}。
        "HlsTs" ts: Option<Text<512>>,
        /// record: whether to record by itself (auto) or on demand only.
        /// zh: 触发类型：auto自动，ondemand按需，默认auto。
        "Trigger" trigger: Option<Trigger>,
        /// record, snapshot: after how many days files are deleted; 0 keeps them.
        /// zh: 对象存储保存周期，单位天，0代表无期限。
        "Expired" expired: Option<Int<0, 36_500>>,
        /// snapshot: the path of the one picture that is overwritten, with {AppName} and {StreamName}.
        /// zh: 覆盖截图的存储路径，包含{AppName}、{StreamName}。
        "JpgOverwrite" jpg_overwrite: Option<Text<512>>,
        /// snapshot: the path of pictures that are kept, with {UnixTimestamp} or {Sequence}.
        /// zh: 序列截图的存储路径，{UnixTimestamp}、{Sequence}必填一个。
        "JpgSequence" jpg_sequence: Option<Text<512>>,
        /// timeshift: days that are kept.
        /// zh: 时移保存周期，单位天。
        "Retention" retention: Option<Int<1, 365>>,
        /// transcode: a JSON array of rules, each with Name, VideoCodec, VideoBitrate (kbit/s), Fps, Gop, Height and Width.
        /// zh: 转码配置数组，JSON格式。
        "TransConfigsJSON" rules: Option<Text<16_384>>,
    }
}

action! {
    /// Deletes a template that is bound to nothing.
    /// zh: 删除模板，需先解除全部绑定。
    pub struct DeleteTemplate {
        /// The template's id.
        /// zh: 模板ID。
        "Id" id: Id,
    }
}

action! {
    /// Describes a template.
    /// zh: 查询模板。
    pub struct DescribeTemplate {
        /// The template's id.
        /// zh: 模板ID。
        "Id" | "ID" id: Id,
    }
}

action! {
    /// Lists templates.
    /// zh: 查询模板列表。
    pub struct DescribeTemplates {
        /// Only templates of this type.
        /// zh: 按模板类型查询。
        "Type" kind: Option<Kind>,
        /// Only templates that are bound to this group or stream.
        /// zh: 按绑定的实例ID查询。
        "InstanceId" instance: Option<Id>,
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of templates.
    Templates "Templates" of Template
}

reply! {
    /// A template.
    pub struct Template {
        /// The template's id.
        /// zh: 模板ID。
        "Id" id: String,
        /// Its name.
        /// zh: 模板名称。
        "Name" name: String,
        /// Its description.
        /// zh: 模板描述。
        "Description" description: String,
        /// record, snapshot, transcode or timeshift.
        /// zh: 模板类型。
        "Type" kind: &'static str,
        /// The region of the bucket.
        /// zh: 对象存储所属区域。
        "Region" region: String,
        /// The bucket; empty for this server's disk.
        /// zh: 对象存储的Bucket。
        "oNestBucket" & "OssBucket" bucket: String,
        /// The address of the object storage.
        /// zh: 对象存储的域名。
        "oNestEndpoint" & "OssEndpoint" endpoint: String,
        /// Seconds a file, or between two pictures.
        /// zh: 操作周期，单位秒。
        "Interval" interval: Option<i64>,
        /// timeshift: days that are kept.
        /// zh: 时移保存周期，单位天，仅限时移模板。
        "Retention" retention: Option<i64>,
        /// The formats of its files.
        /// zh: 存储文件格式。
        "FileFormat" formats: String,
        /// snapshot: the path of the picture that is overwritten.
        /// zh: 覆盖截图的存储路径，仅限截图模板。
        "JpgOverwrite" jpg_overwrite: Option<String>,
        /// snapshot: the path of pictures that are kept.
        /// zh: 序列截图的存储路径，仅限截图模板。
        "JpgSequence" jpg_sequence: Option<String>,
        /// record: the path of MP4 files.
        /// zh: MP4的存储路径，仅限录制模板。
        "Mp4" mp4: Option<String>,
        /// record: the path of FLV files.
        /// zh: FLV的存储路径，仅限录制模板。
        "Flv" flv: Option<String>,
        /// record: the path of HLS playlists.
        /// zh: m3u8文件的存储路径，仅限录制模板。
        "HlsM3u8" m3u8: Option<String>,
        /// record: the path of HLS segments.
        /// zh: ts文件的存储路径，仅限录制模板。
        "HlsTs" ts: Option<String>,
        /// record: auto or ondemand.
        /// zh: 触发类型，仅限录制模板。
        "Trigger" trigger: Option<&'static str>,
        /// Where it is told what was done.
        /// zh: 模板执行后的回调。
        "Callback" callback: String,
        /// When it was made.
        /// zh: 模板创建时间。
        "CreatedTime" created: String,
        /// After how many days files are deleted; 0 keeps them.
        /// zh: 对象存储保存周期，单位天，0代表无期限。
        "Expired" expired: Option<i64>,
        /// transcode: its rules.
        /// zh: 转码配置列表，仅限转码模板。
        "TransConfigs" rules: Option<Vec<TransConfig>>,
    }
}

reply! {
    /// A transcode rule.
    pub struct TransConfig {
        /// The rule's id.
        /// zh: 转码配置ID。
        "Id" id: String,
        /// Its name, which stands behind the stream's name in URLs.
        /// zh: 转码规则名称，作为转码流后缀。
        "Name" name: String,
        /// The video codec.
        /// zh: 视频编码。
        "VideoCodec" codec: String,
        /// The bit rate of the video in kbit/s.
        /// zh: 视频比特率，单位kbps。
        "VideoBitrate" bitrate: i64,
        /// Frames a second.
        /// zh: 视频帧率，单位fps。
        "Fps" fps: i64,
        /// Frames between key frames.
        /// zh: 视频Gop，单位帧。
        "Gop" gop: i64,
        /// Height of the picture.
        /// zh: 视频高度。
        "Height" height: i64,
        /// Width of the picture.
        /// zh: 视频宽度。
        "Width" width: i64,
    }
}

action! {
    /// Changes a template. What is not given stays as it is; running recordings follow at once.
    /// zh: 修改模板，未给出的参数保持不变。
    pub struct ModifyTemplate {
        /// The template's id.
        /// zh: 模板ID。
        "Id" id: Id,
        /// A new name.
        /// zh: 模板名称。
        "Name" name: Option<Text<128>>,
        /// A new description; empty removes it.
        /// zh: 模板描述。
        "Description" description: Patch<Text<512>>,
        /// Where it is told what was done; empty stops that.
        /// zh: 模板执行后的回调。
        "Callback" callback: Patch<Callback>,
        /// record, snapshot: the region of the bucket.
        /// zh: 对象存储所属区域。
        "Region" region: Option<Text<64>>,
        /// record, snapshot: the bucket; empty for this server's disk.
        /// zh: 对象存储的Bucket。
        "oNestBucket" | "OssBucket" bucket: Patch<Text<63>>,
        /// record, snapshot: the address of the object storage.
        /// zh: 对象存储的域名。
        "oNestEndpoint" | "OssEndpoint" endpoint: Patch<Callback>,
        /// record: seconds a file; snapshot: seconds between two pictures.
        /// zh: 操作周期，单位秒。
        "Interval" | "FileInterval" interval: Option<Int<1, 86_400>>,
        /// The formats of its files.
        /// zh: 存储文件格式，多值用逗号分隔：录制mp4,flv,hls，截图jpg。
        "FileFormat" formats: Option<Formats>,
        /// record: the path of MP4 files; empty for the default.
        /// zh: MP4的存储路径。
        "Mp4" mp4: Patch<Text<512>>,
        /// record: the path of FLV files; empty for the default.
        /// zh: FLV的存储路径。
        "Flv" flv: Patch<Text<512>>,
        /// record: the path of HLS playlists; empty for the default.
        /// zh: m3u8文件的存储路径。
        "HlsM3u8" m3u8: Patch<Text<512>>,
        /// record: the path of HLS segments; empty for the default.
        /// zh: ts文件的存储路径。
        "HlsTs" ts: Patch<Text<512>>,
        /// record: auto or ondemand.
        /// zh: 触发类型：auto自动，ondemand按需。
        "Trigger" trigger: Option<Trigger>,
        /// record, snapshot: after how many days files are deleted; 0 keeps them.
        /// zh: 对象存储保存周期，单位天，0代表无期限。
        "Expired" expired: Option<Int<0, 36_500>>,
        /// snapshot: the path of the picture that is overwritten; empty for none.
        /// zh: 覆盖截图的存储路径。
        "JpgOverwrite" jpg_overwrite: Patch<Text<512>>,
        /// snapshot: the path of pictures that are kept; empty for none.
        /// zh: 序列截图的存储路径。
        "JpgSequence" jpg_sequence: Patch<Text<512>>,
        /// timeshift: days that are kept.
        /// zh: 时移保存周期，单位天。
        "Retention" retention: Option<Int<1, 365>>,
        /// transcode: the rules as a JSON array; one with the Id of an existing rule changes it, one that is left out is removed.
        /// zh: 转码配置数组，JSON格式；带Id者修改已有配置，未列出者删除。
        "TransConfigsJSON" rules: Option<Text<16_384>>,
    }
}

/// Seconds of a recording's file where the caller does not say.
const FILE: u32 = 3600;
/// Seconds between two pictures where the caller does not say.
const PICTURE: u32 = 60;

impl Action for CreateTemplate {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let limit = cx.settings().templates;
        let mine = cx.store().templates(Scope::Tenant(cx.scope().owner()), Filter::default(), Page::new(1, 1)).await?;
        if mine.total >= u64::from(limit) {
            return Err(Error::quota("Template", format!("The limit of {limit} templates is reached.")));
        }
        let draft = self.draft(cx)?;
        let template = cx.store().create_template(cx.scope(), draft).await?;
        Ok(Touched::new(template.id))
    }
}

impl CreateTemplate {
    fn draft(self, cx: &Context) -> Result<Draft, Error> {
        let storage = Storage {
            region: self.region.map_or_else(|| cx.settings().region.clone(), |r| r.0),
            bucket: self.bucket.map(|b| b.0).unwrap_or_default(),
            endpoint: self.endpoint.map(|e| e.0).unwrap_or_default(),
        };
        let interval = self.interval.map(|i| i.0 as u32);
        let expired = self.expired.map_or(0, |e| e.0 as u32);
        let path = |purpose, text: &Option<Text<512>>| path(purpose, text.as_ref().map(|t| t.0.as_str()));
        let body = match self.kind {
            Kind::Record => Body::Record(template::Record {
                interval: interval.unwrap_or(FILE),
                formats: formats(self.formats, Kind::Record)?,
                mp4: path(Purpose::Mp4, &self.mp4)?,
                flv: path(Purpose::Flv, &self.flv)?,
                hls_m3u8: path(Purpose::HlsM3u8, &self.m3u8)?,
                hls_ts: path(Purpose::HlsTs, &self.ts)?,
                trigger: self.trigger.unwrap_or(Trigger::Auto),
                expired,
            }),
            Kind::Snapshot => {
                let maybe = |purpose, text: &Option<Text<512>>| text.is_some().then(|| path(purpose, text)).transpose();
                let (overwrite, sequence) =
                    (maybe(Purpose::JpgOverwrite, &self.jpg_overwrite)?, maybe(Purpose::JpgSequence, &self.jpg_sequence)?);
                let sequence = match (&overwrite, sequence) {
                    (None, None) => Some(PathTemplate::default_of(Purpose::JpgSequence)),
                    (_, sequence) => sequence,
                };
                let (interval, formats) = (interval.unwrap_or(PICTURE), formats(self.formats, Kind::Snapshot)?);
                Body::Snapshot(Snapshot { interval, formats, overwrite, sequence, expired })
            }
            Kind::Timeshift => Body::Timeshift { retention: self.retention.ok_or_else(|| Error::missing("Retention"))?.0 as u32 },
            Kind::Transcode => Body::Transcode(rules::read(&self.rules.ok_or_else(|| Error::missing("TransConfigsJSON"))?.0)?),
        };
        stored(&storage)?;
        Ok(Draft {
            name: self.name.0,
            description: self.description.map(|d| d.0).unwrap_or_default(),
            callback: self.callback.map(|c| c.0),
            storage,
            body,
        })
    }
}

/// A bucket needs an address.
fn stored(storage: &Storage) -> Result<(), Error> {
    match !storage.bucket.is_empty() && storage.endpoint.is_empty() {
        true => Err(Error::missing("oNestEndpoint")),
        false => Ok(()),
    }
}

/// The formats that fit a type.
fn formats(given: Option<Formats>, kind: Kind) -> Result<Formats, Error> {
    let (fit, usual): (&[Format], Format) = match kind {
        Kind::Snapshot => (&[Format::Jpg], Format::Jpg),
        _ => (&[Format::Mp4, Format::Flv, Format::Hls], Format::Mp4),
    };
    let given = given.unwrap_or(Formats::NONE.with(usual));
    match given.iter().all(|format| fit.contains(&format)) {
        true => Ok(given),
        false => {
            let words = fit.iter().map(|f| f.as_str()).collect::<Vec<_>>().join(", ");
            Err(Error::invalid("FileFormat", format!("of a {kind} template must be of {words}")))
        }
    }
}

fn path(purpose: Purpose, text: Option<&str>) -> Result<PathTemplate, Error> {
    template::path(purpose, text).map_err(|why| Error::invalid(purpose.as_str(), format!("is not a path template: {why}")))
}

impl Action for DeleteTemplate {
    type Reply = Done;

    async fn run(self, cx: &Context) -> Result<Done, Error> {
        let template = cx.template(&self.id).await?;
        cx.store().delete_template(cx.scope(), template.id).await?;
        Ok(Done {})
    }
}

impl Action for DescribeTemplate {
    type Reply = Template;

    async fn run(self, cx: &Context) -> Result<Template, Error> {
        Ok(Template::of(cx.template(&self.id).await?))
    }
}

impl Action for DescribeTemplates {
    type Reply = Templates;

    async fn run(self, cx: &Context) -> Result<Templates, Error> {
        // An id that none of ours looks like has nothing bound to it.
        let instance = self.instance.map(|id| id.0.parse().unwrap_or(0));
        let filter = Filter { kind: self.kind, instance };
        let page = cx.store().templates(cx.scope(), filter, view::page(self.page_size, self.page_num)).await?;
        Ok(page.map(Template::of).into())
    }
}

impl Action for ModifyTemplate {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let template = cx.template(&self.id).await?;
        let change = move |template: &mut template::Template| self.apply(template);
        cx.store().update_template(cx.scope(), template.id, change).await?;
        cx.book().forget();
        Ok(Touched::new(template.id))
    }
}

impl ModifyTemplate {
    fn apply(self, template: &mut template::Template) -> Result<(), Error> {
        if let Some(name) = self.name {
            template.name = name.0;
        }
        self.description.map(|d| d.0).over(&mut template.description);
        self.callback.map(|c| Some(c.0)).over(&mut template.callback);
        if let Some(region) = self.region {
            template.storage.region = region.0;
        }
        self.bucket.map(|b| b.0).over(&mut template.storage.bucket);
        self.endpoint.map(|e| e.0).over(&mut template.storage.endpoint);
        let interval = self.interval.map(|i| i.0 as u32);
        let expired = self.expired.map(|e| e.0 as u32);
        match &mut template.body {
            Body::Record(record) => {
                record.interval = interval.unwrap_or(record.interval);
                if self.formats.is_some() {
                    record.formats = formats(self.formats, Kind::Record)?;
                }
                put(Purpose::Mp4, self.mp4, &mut record.mp4)?;
                put(Purpose::Flv, self.flv, &mut record.flv)?;
                put(Purpose::HlsM3u8, self.m3u8, &mut record.hls_m3u8)?;
                put(Purpose::HlsTs, self.ts, &mut record.hls_ts)?;
                record.trigger = self.trigger.unwrap_or(record.trigger);
                record.expired = expired.unwrap_or(record.expired);
            }
            Body::Snapshot(snapshot) => {
                snapshot.interval = interval.unwrap_or(snapshot.interval);
                if self.formats.is_some() {
                    snapshot.formats = formats(self.formats, Kind::Snapshot)?;
                }
                put_maybe(Purpose::JpgOverwrite, self.jpg_overwrite, &mut snapshot.overwrite)?;
                put_maybe(Purpose::JpgSequence, self.jpg_sequence, &mut snapshot.sequence)?;
                if snapshot.overwrite.is_none() && snapshot.sequence.is_none() {
                    return Err(Error::invalid("JpgSequence", "and JpgOverwrite must not both be empty"));
                }
                snapshot.expired = expired.unwrap_or(snapshot.expired);
            }
            Body::Timeshift { retention } => *retention = self.retention.map_or(*retention, |r| r.0 as u32),
            Body::Transcode(present) => {
                if let Some(text) = self.rules {
                    *present = rules::modified(present, &text.0)?;
                }
            }
        }
        stored(&template.storage)
    }
}

fn put(purpose: Purpose, given: Patch<Text<512>>, at: &mut PathTemplate) -> Result<(), Error> {
    match given {
        Patch::Keep => {}
        Patch::Clear => *at = PathTemplate::default_of(purpose),
        Patch::Set(text) => *at = path(purpose, Some(&text.0))?,
    }
    Ok(())
}

fn put_maybe(purpose: Purpose, given: Patch<Text<512>>, at: &mut Option<PathTemplate>) -> Result<(), Error> {
    match given {
        Patch::Keep => {}
        Patch::Clear => *at = None,
        Patch::Set(text) => *at = Some(path(purpose, Some(&text.0))?),
    }
    Ok(())
}

impl Template {
    fn of(template: template::Template) -> Template {
        let kind = template.kind().as_str();
        let mut row = Template {
            id: template.id.to_string(),
            name: template.name,
            description: template.description,
            kind,
            region: template.storage.region,
            bucket: template.storage.bucket,
            endpoint: template.storage.endpoint,
            interval: None,
            retention: None,
            formats: String::new(),
            jpg_overwrite: None,
            jpg_sequence: None,
            mp4: None,
            flv: None,
            m3u8: None,
            ts: None,
            trigger: None,
            callback: template.callback.unwrap_or_default(),
            created: template.created.to_string(),
            expired: None,
            rules: None,
        };
        match template.body {
            Body::Record(record) => {
                row.interval = Some(i64::from(record.interval));
                row.formats = record.formats.to_string();
                row.mp4 = Some(record.mp4.to_string());
                row.flv = Some(record.flv.to_string());
                row.m3u8 = Some(record.hls_m3u8.to_string());
                row.ts = Some(record.hls_ts.to_string());
                row.trigger = Some(record.trigger.as_str());
                row.expired = Some(i64::from(record.expired));
            }
            Body::Snapshot(snapshot) => {
                row.interval = Some(i64::from(snapshot.interval));
                row.formats = snapshot.formats.to_string();
                row.jpg_overwrite = snapshot.overwrite.map(|p| p.to_string());
                row.jpg_sequence = snapshot.sequence.map(|p| p.to_string());
                row.expired = Some(i64::from(snapshot.expired));
            }
            Body::Timeshift { retention } => row.retention = Some(i64::from(retention)),
            Body::Transcode(rules) => row.rules = Some(rules.into_iter().map(TransConfig::of).collect()),
        }
        row
    }
}

impl TransConfig {
    fn of(rule: template::TransConfig) -> TransConfig {
        TransConfig {
            id: rule.id,
            name: rule.name,
            codec: rule.video_codec.to_string(),
            bitrate: i64::from(rule.video_bitrate),
            fps: i64::from(rule.fps),
            gop: i64::from(rule.gop),
            height: i64::from(rule.height),
            width: i64::from(rule.width),
        }
    }
}
