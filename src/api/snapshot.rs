//! Pictures on demand.

use super::action::Action;
use super::bucket;
use super::context::Context;
use super::error::Error;
use super::value::{AccessInfo, Id};
use crate::model::id::RecordId;
use crate::model::record::Record;
use crate::{action, actions, reply};

actions!["Snapshots", "截图": CreateStreamSnapshot];

action! {
    /// Takes a picture of a stream that is on, now, and stores it as the snapshot template that acts on the stream says; without
    /// a template on this server's disk. Its newest key frame is what it shows.
    /// zh: 对正在推送的流立即截图。
    pub struct CreateStreamSnapshot {
        /// The stream's id.
        /// zh: 流ID。
        "Id" | "StreamId" stream: Id,
        /// The key pair of the template's bucket, kept for later calls.
        /// zh: 对象存储的访问密钥。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

reply! {
    /// The picture.
    pub struct Snapshot {
        /// The stream's id.
        /// zh: 流ID。
        "StreamId" stream: String,
        /// Where to fetch it; a picture for a bucket may take some seconds to get there.
        /// zh: 截图的URL。
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
        /// When it was taken.
        /// zh: 截图时间。
        "CreatedTime" at: String,
        /// Width of the picture.
        /// zh: 宽度。
        "Width" width: i64,
        /// Height of the picture.
        /// zh: 高度。
        "Height" height: i64,
        /// Bytes of the file.
        /// zh: 文件大小，单位字节。
        "Size" size: i64,
    }
}

impl Action for CreateStreamSnapshot {
    type Reply = Snapshot;

    async fn run(self, cx: &Context) -> Result<Snapshot, Error> {
        let stream = cx.stream(&self.stream).await?;
        bucket::keep(cx, stream.owner, self.access).await?;
        let draft = cx.pictures().take(stream.id).await?;
        let record = Record::of(RecordId(0), draft);
        let url = cx.files().url(&record).await;
        Ok(Snapshot {
            stream: stream.id.to_string(),
            url,
            bucket: record.place.bucket,
            object: record.place.object,
            endpoint: record.place.endpoint,
            at: record.start.to_string(),
            width: i64::from(record.width),
            height: i64::from(record.height),
            size: i64::try_from(record.size).unwrap_or(i64::MAX),
        })
    }
}
