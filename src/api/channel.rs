//! Channels: what a device shows; a recorder has many, a camera one.

use super::action::Action;
use super::context::{Context, number_maybe};
use super::error::Error;
use super::pull;
use super::reply::{Done, Touched};
use super::value::{Id, Ids, OnOff, PageNum, PageSize, Text};
use super::view::{self, Outcome, Outcomes};
use crate::model::channel::{self, Filter};
use crate::model::{device, stream};
use crate::{action, actions, page_reply, reply};

actions!["Channels", "设备通道": DescribeDeviceChannels, DeleteChannel, BatchDeleteChannels, RefreshChannels, SyncCatalogs];

action! {
    /// Lists the channels of a device.
    /// zh: 查询设备通道列表。
    pub struct DescribeDeviceChannels {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: Id,
        /// Only channels that the device reports as on or as off.
        /// zh: 按状态查询。
        "Status" status: Option<OnOff>,
        /// Only channels whose name contains this.
        /// zh: 按通道名称模糊查询。
        "Name" name: Option<Text<128>>,
        /// Only channels right in this directory of the platform.
        /// zh: 按平台目录ID查询。
        "DirectoryId" directory: Option<Id>,
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of channels.
    Channels "Channels" of Channel
}

reply! {
    /// A channel.
    pub struct Channel {
        /// The channel's id.
        /// zh: 通道ID。
        "Id" id: String,
        /// The same as a number.
        /// zh: 通道ID（数值）。
        "ChannelId" number: i64,
        /// Its name.
        /// zh: 通道名称。
        "Name" name: String,
        /// Its national id.
        /// zh: 国标ID。
        "GbId" gb_id: String,
        /// Its stream.
        /// zh: 流ID。
        "StreamId" stream: String,
        /// Whether its stream runs: on or off.
        /// zh: 流状态。
        "StreamStatus" stream_status: &'static str,
        /// Its device.
        /// zh: 设备ID。
        "DeviceId" device: String,
        /// Whether the device reports it as on or as off.
        /// zh: 设备状态。
        "DeviceStatus" device_status: &'static str,
    }
}

action! {
    /// Deletes a channel with its stream; it comes back with the next refresh. It must not be sending.
    /// zh: 删除通道，正在拉流时需先停止。
    pub struct DeleteChannel {
        /// The channel's id.
        /// zh: 通道ID。
        "Id" id: Id,
    }
}

action! {
    /// Deletes several channels.
    /// zh: 批量删除通道。
    pub struct BatchDeleteChannels {
        /// The channels' ids.
        /// zh: 通道ID，多值用逗号分隔。
        "Id" ids: Ids,
    }
}

action! {
    /// Asks a device for its channels and waits for its answer.
    /// zh: 手动刷新通道列表。
    pub struct RefreshChannels {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: Id,
    }
}

action! {
    /// The same as RefreshChannels, by the name that the public SDKs know.
    /// zh: 同RefreshChannels，公共SDK中的名称。
    pub struct SyncCatalogs {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: Id,
    }
}

impl Action for SyncCatalogs {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        RefreshChannels { id: self.id }.run(cx).await
    }
}

impl Action for DescribeDeviceChannels {
    type Reply = Channels;

    async fn run(self, cx: &Context) -> Result<Channels, Error> {
        let device = cx.device(&self.id).await?;
        let directory = number_maybe(&self.directory, "Directory")?;
        let filter = Filter { online: self.status.map(|s| s == OnOff::On), name: self.name.map(|n| n.0), directory, ..Filter::default() };
        let page = cx.store().channels(cx.scope(), device.id, filter, view::page(self.page_size, self.page_num)).await?;
        Ok(page.map(Channel::of).into())
    }
}

impl Action for DeleteChannel {
    type Reply = Done;

    async fn run(self, cx: &Context) -> Result<Done, Error> {
        delete(cx, &self.id).await.map(|()| Done {})
    }
}

impl Action for BatchDeleteChannels {
    type Reply = Outcomes;

    async fn run(self, cx: &Context) -> Result<Outcomes, Error> {
        let mut results = Vec::with_capacity(self.ids.0.len());
        for id in self.ids.0 {
            let done = delete(cx, &Id(id.clone())).await;
            results.push(Outcome::of(id, done));
        }
        Ok(Outcomes { results })
    }
}

async fn delete(cx: &Context, id: &Id) -> Result<(), Error> {
    let channel = cx.channel(id).await?;
    let stream = cx.store().stream(cx.scope(), channel.stream).await?;
    if pull::runs(cx, &stream) {
        return Err(Error::status("Channel", "The channel is sending: stop it before it is deleted."));
    }
    cx.store().delete_channel(cx.scope(), channel.id).await?;
    cx.book().forget();
    Ok(())
}

impl Action for RefreshChannels {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let device = cx.device(&self.id).await?;
        cx.devices().refresh(device.id, cx.settings().device_patience.0).await?;
        cx.book().forget();
        Ok(Touched::new(device.id))
    }
}

impl Channel {
    fn of(row: channel::View) -> Channel {
        let channel = row.channel;
        Channel {
            id: channel.id.to_string(),
            number: channel.id.0,
            name: channel.name,
            gb_id: channel.gb_id.to_string(),
            stream: channel.stream.to_string(),
            stream_status: view::on(row.stream_status == stream::Status::On),
            device: channel.device.to_string(),
            // A channel is on only while its device is.
            device_status: view::on(channel.online && row.device_status == device::Status::On),
        }
    }
}
