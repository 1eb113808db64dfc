//! Push URLs: how a stream of an RTMP group is made.

use super::Api;
use super::action::Action;
use super::context::Context;
use super::error::Error;
use super::reply::Touched;
use super::value::{AccessInfo, Id, Names, Text};
use super::{bucket, cut, url};
use crate::model::group::InProtocol;
use crate::model::page::{Page, Sort};
use crate::model::{stream, template};
use crate::{action, actions, reply};

actions!["Push URLs", "推流地址": CreateRtmpGroupStreamurl, CreateRtmpGroupStreamurls, DeleteStream];

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

action! {
    /// Deletes a stream that was made for pushes; whoever pushes or plays it is cut off. Records stay.
    /// zh: 删除推流流，正在推流与播放的会被断开，存储记录保留。
    pub struct DeleteStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: Id,
    }
}

impl Action for DeleteStream {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let stream = cx.stream(&self.id).await?;
        cx.store().delete_stream(cx.scope(), stream.id).await?;
        cx.book().forget();
        if let Ok(key) = stream.key() {
            cut::stream(cx, &key, "the stream was deleted");
        }
        Ok(Touched::new(stream.id))
    }
}

impl Action for CreateRtmpGroupStreamurl {
    type Reply = PushUrl;

    async fn run(self, cx: &Context) -> Result<PushUrl, Error> {
        let mut made = create(cx, &self.group, vec![self.name.0], self.access).await?;
        made.pop().ok_or_else(|| Error::internal("a stream was made and is not there"))
    }
}

impl Action for CreateRtmpGroupStreamurls {
    type Reply = PushUrls;

    async fn run(self, cx: &Context) -> Result<PushUrls, Error> {
        Ok(PushUrls { results: create(cx, &self.group, self.names.0, self.access).await? })
    }
}

async fn create(cx: &Context, group: &Id, names: Vec<String>, access: Option<AccessInfo>) -> Result<Vec<PushUrl>, Error> {
    let group = cx.group(group).await?;
    if group.in_protocol != InProtocol::Rtmp {
        return Err(Error::status("Group", "The group takes no pushes: its streams come with its devices."));
    }
    bucket::keep(cx, group.owner, access).await?;
    let bound = template::Filter { instance: Some(group.id.0), ..template::Filter::default() };
    bucket::needed(cx, &cx.store().templates(cx.scope(), bound, Page::new(1, Page::MAX)).await?.items).await?;
    let limit = u64::from(cx.settings().streams);
    let filter = stream::Filter { group: Some(group.id), ..stream::Filter::default() };
    let there = cx.store().streams(cx.scope(), filter, &Sort::default(), Page::new(1, 1)).await?.total;
    if there + names.len() as u64 > limit {
        return Err(Error::quota("Stream", format!("A group holds at most {limit} streams.")));
    }
    let streams = cx.store().create_streams(cx.scope(), group.id, names).await?;
    let row = |stream: stream::Stream| PushUrl {
        group: group.id.to_string(),
        url: url(cx, &stream),
        stream: stream.id.to_string(),
        name: stream.name,
    };
    Ok(streams.into_iter().map(row).collect())
}

/// Until when push URLs are good that are good for good.
const FOR_GOOD: i64 = 4_102_444_800;

/// Where to push a stream to; the same whenever it is asked for, unless push URLs expire.
pub fn url(api: &Api, stream: &stream::Stream) -> String {
    let id = stream.id.to_string();
    let path = url::path(&stream.app, &id, "");
    let base = format!("{}/{id}", api.places().push_base(&stream.app));
    if !api.playback().push_auth {
        return base;
    }
    let exp = match api.playback().push_expire.0.as_secs() {
        0 => FOR_GOOD,
        secs => api.now().saturating_add(i64::try_from(secs).unwrap_or(i64::MAX)),
    };
    format!("{base}?auth_key={}", url::auth_key(&path, exp, "0", "0", &api.push_keys().main.0))
}
