//! Records: stored files, whether recordings or snapshots.

use super::value::{Id, PageNum, PageSize, RecordType, SortBy, SortDirection};
use crate::model::time::Time;
use crate::{action, actions, page_reply, reply};

actions!["Records", "录制": DescribeRecords];

action! {
    /// Lists the stored files of a stream.
    /// zh: 查询存储记录列表。
    pub struct DescribeRecords {
        /// Recordings (record) or pictures (snapshot).
        /// zh: 存储记录类型：record录制，snapshot截图。
        "Type" kind: RecordType,
        /// The stream's id.
        /// zh: 流ID。
        "StreamId" stream: Id,
        /// Only files with something at this time or later.
        /// zh: 按开始时间查询。
        "StartTime" from: Time,
        /// Only files with something before this time; must lie behind StartTime.
        /// zh: 按结束时间查询，需大于起始时间。
        "EndTime" to: Time,
        /// The field to sort by; the beginning where it is not given.
        /// zh: 排序字段，默认按开始时间。
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
    /// A page of records.
    Records "Records" of Record
}

reply! {
    /// A stored file.
    pub struct Record {
        /// The record's id.
        /// zh: 存储记录ID。
        "Id" id: String,
        /// record or snapshot.
        /// zh: 存储记录类型。
        "Type" kind: &'static str,
        /// The format of the file.
        /// zh: 存储文件格式。
        "FileFormat" format: &'static str,
        /// Where to play or fetch the file.
        /// zh: 存储文件的URL。
        "Url" url: String,
        /// The bucket that holds it; empty for this server's disk.
        /// zh: 存储文件的bucket。
        "oNestBucket" also "OssBucket" bucket: String,
        /// Its name there.
        /// zh: 存储文件的object。
        "oNestObject" also "OssObject" object: String,
        /// The address of the object storage.
        /// zh: 对象存储的域名。
        "oNestEndpoint" also "OssEndpoint" endpoint: String,
        /// When it begins.
        /// zh: 存储记录开始时间。
        "StartTime" from: String,
        /// When it ends.
        /// zh: 存储记录结束时间。
        "EndTime" to: String,
        /// Height of the picture.
        /// zh: 高度。
        "Height" height: i64,
        /// Width of the picture.
        /// zh: 宽度。
        "Width" width: i64,
        /// How long it is, in seconds.
        /// zh: 时长，单位秒。
        "Duration" duration: i64,
        /// Bytes of the file.
        /// zh: 文件大小，单位字节。
        "Size" size: i64,
        /// The stream that it is of.
        /// zh: 流ID。
        "StreamId" stream: String,
    }
}
