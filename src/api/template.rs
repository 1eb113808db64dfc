//! Templates: how streams are recorded, photographed, transcoded or kept for time shift.

use super::param::Patch;
use super::value::{Callback, Id, Int, PageNum, PageSize, SortBy, SortDirection, Text};
use crate::model::template::{Formats, Kind, Trigger};
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
        /// Only this template.
        /// zh: 按模板ID查询。
        "Id" id: Option<Id>,
        /// Only templates of this type.
        /// zh: 按模板类型查询。
        "Type" kind: Option<Kind>,
        /// Only templates that are bound to this group or stream.
        /// zh: 按绑定的实例ID查询。
        "InstanceId" instance: Option<Id>,
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
        "oNestBucket" also "OssBucket" bucket: String,
        /// The address of the object storage.
        /// zh: 对象存储的域名。
        "oNestEndpoint" also "OssEndpoint" endpoint: String,
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
