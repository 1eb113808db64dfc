//! Records: stored files, whether recordings or snapshots.

use super::action::Action;
use super::context::Context;
use super::error::Error;
use super::value::{Id, PageNum, PageSize, RecordType};
use super::view;
use crate::model::record::{self, Filter, Format, Kind};
use crate::model::time::Time;
use crate::{action, actions, page_reply, reply};

actions!["Records", "录制": DescribeRecords];

action! {
    /// Lists the stored files of a stream, oldest first.
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
        "oNestBucket" & "OssBucket" bucket: String,
        /// Its name there.
        /// zh: 存储文件的object。
        "oNestObject" & "OssObject" object: String,
        /// The address of the object storage.
        /// zh: 对象存储的域名。
        "oNestEndpoint" & "OssEndpoint" endpoint: String,
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

impl Action for DescribeRecords {
    type Reply = Records;

    async fn run(self, cx: &Context) -> Result<Records, Error> {
        if self.from >= self.to {
            return Err(Error::invalid("EndTime", "must lie behind StartTime"));
        }
        let stream = cx.stream(&self.stream).await?;
        let kind = match self.kind {
            RecordType::Record => Kind::Record,
            RecordType::Snapshot => Kind::Snapshot,
        };
        let filter = Filter { stream: stream.id, kind, from: self.from, to: self.to };
        let page = cx.store().records(cx.scope(), filter, view::page(self.page_size, self.page_num)).await?;
        let mut urls = Vec::with_capacity(page.items.len());
        for record in &page.items {
            urls.push(cx.files().url(record).await);
        }
        let mut urls = urls.into_iter();
        Ok(page.map(|record| Record::of(urls.next().unwrap_or_default(), record)).into())
    }
}

impl Record {
    fn of(url: String, record: record::Record) -> Record {
        Record {
            id: record.id.to_string(),
            kind: record.kind.as_str(),
            format: record.format.map_or("", Format::as_str),
            url,
            bucket: record.place.bucket,
            object: record.place.object,
            endpoint: record.place.endpoint,
            from: record.start.to_string(),
            to: record.end.to_string(),
            height: i64::from(record.height),
            width: i64::from(record.width),
            duration: (record.duration_ms + 500) / 1000,
            size: i64::try_from(record.size).unwrap_or(i64::MAX),
            stream: record.stream.to_string(),
        }
    }
}
