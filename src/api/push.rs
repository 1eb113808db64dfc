//! Push URLs: how a stream of an RTMP group is made.

use super::value::{AccessInfo, Id, Names, Text};
use crate::{action, actions, reply};

actions!["Push URLs", "推流地址": CreateRtmpGroupStreamurl, CreateRtmpGroupStreamurls];

action! {
    /// Makes a stream of an RTMP group and gives the URL to push it to.
    /// zh: 在RTMP推流空间创建单条推流地址。
    pub struct CreateRtmpGroupStreamurl {
        /// The group's id.
        /// zh: 空间ID。
        "Id" group: Id,
        /// The stream's name.
        /// zh: 流名称。
        "Name" name: Text<128>,
        /// The key pair of the bucket that records of this group go to.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

action! {
    /// Makes several streams of an RTMP group and gives the URLs to push them to: all of them, or none.
    /// zh: 在RTMP推流空间批量创建推流地址。
    pub struct CreateRtmpGroupStreamurls {
        /// The group's id.
        /// zh: 空间ID。
        "Id" group: Id,
        /// The streams' names.
        /// zh: 流名称，多值用逗号分隔或JSON数组。
        "Name" names: Names,
        /// The key pair of the bucket that records of this group go to.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

reply! {
    /// Where to push a stream to.
    pub struct PushUrl {
        /// The group's id.
        /// zh: 空间ID。
        "Id" group: String,
        /// The URL.
        /// zh: 推流地址。
        "PushUrl" url: String,
        /// The new stream's id.
        /// zh: 流ID。
        "StreamId" stream: String,
        /// Its name.
        /// zh: 流名称。
        "Name" name: String,
    }
}

reply! {
    /// Where to push several streams to.
    pub struct PushUrls {
        /// One row for each name.
        /// zh: 推流地址列表。
        "Results" results: Vec<PushUrl>,
    }
}
