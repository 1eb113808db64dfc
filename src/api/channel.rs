//! Channels: what a device shows; a recorder has many, a camera one.

use super::value::{Id, Ids, OnOff, PageNum, PageSize, Text};
use crate::{action, actions, page_reply, reply};

actions!["Channels", "设备通道": DescribeDeviceChannels, DeleteChannel, BatchDeleteChannels, RefreshChannels];

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
        /// Its number among the device's channels, from 0.
        /// zh: 通道序号。
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
