//! Streams: what is sent and played, whether it comes from a device's channel or is pushed.

use super::value::{App, Id, Int, OnOff, PageNum, PageSize, PlayType, Secret, SortBy, SortDirection, Text, Unix};
use crate::model::group::OutProtocol;
use crate::model::time::Time;
use crate::{action, actions, page_reply, reply};

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
        /// Only this stream.
        /// zh: 按流ID查询。
        "Id" id: Option<Id>,
        /// Only streams of this device.
        /// zh: 按设备ID查询。
        "DeviceId" device: Option<Id>,
        /// Only streams of this group.
        /// zh: 按空间ID查询。
        "GroupId" group: Option<Id>,
        /// Only streams of this application.
        /// zh: 按应用查询。
        "App" app: Option<App>,
        /// Only streams whose name contains this.
        /// zh: 按名称查询。
        "Name" name: Option<Text<128>>,
        /// Only streams that are being sent (on), or are not (off).
        /// zh: 按状态查询：on在线，off离线。
        "Status" status: Option<OnOff>,
        /// Only streams that were last started at this time or later.
        /// zh: 按开始时间查询。
        "StartTime" from: Option<Time>,
        /// Only streams that were last started at this time or earlier; must lie behind StartTime.
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
