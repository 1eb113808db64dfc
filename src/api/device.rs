//! Devices: cameras, recorders and platforms that register with a GB28181 group.

use super::param::Patch;
use super::value::{AlarmMethods, Degrees, Flag, Host, Id, Ids, Int, Json, PageNum, PageSize, Secret, SortBy, SortDirection, Text};
use crate::model::device::{Kind, Status};
use crate::model::id::GbId;
use crate::{action, actions, page_reply, reply};

actions!["Devices", "设备": DescribeDevices, DescribeDevice, CreateDevice, ModifyDevice, DeleteDevice, BatchDeleteDevices, UnlockDevice];

action! {
    /// Lists the devices of a group.
    /// zh: 查询设备列表。
    pub struct DescribeDevices {
        /// The group.
        /// zh: 所属空间ID。
        "GroupId" group: Id,
        /// Only this device.
        /// zh: 按设备ID查询。
        "Id" id: Option<Id>,
        /// Only the device with this national id.
        /// zh: 按国标ID查询。
        "GbId" gb_id: Option<GbId>,
        /// Only devices whose name contains this.
        /// zh: 按设备名称查询。
        "Name" name: Option<Text<128>>,
        /// Only devices below this one.
        /// zh: 按上级设备ID查询。
        "ParentId" parent: Option<Id>,
        /// Only devices of this directory.
        /// zh: 按目录ID查询。
        "DirectoryId" directory: Option<Id>,
        /// Only devices of this kind.
        /// zh: 按设备类型查询：ipc摄像头，platform平台，ied智能设备。
        "Type" kind: Option<Kind>,
        /// Only devices in this state: on (registered), off, failed (locked after wrong passwords), new (never registered).
        /// zh: 按状态查询：on在线，off离线，failed锁定，new未注册。
        "Status" status: Option<Status>,
        /// Only devices of this vendor.
        /// zh: 按厂商查询。
        "Vendor" vendor: Option<Text<64>>,
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
        /// Whether to count the streams of each.
        /// zh: 是否返回流统计信息，默认false。
        "IncludeStats" stats: Flag,
        /// Whether to describe the directory of each.
        /// zh: 是否返回目录信息，默认false。
        "IncludeDirectory" directories: Flag,
    }
}

page_reply! {
    /// A page of devices.
    Devices "Devices" of Device
}

reply! {
    /// A device.
    pub struct Device {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: String,
        /// Its name.
        /// zh: 设备名称。
        "Name" name: String,
        /// Its description.
        /// zh: 设备描述。
        "Description" description: String,
        /// The group that it belongs to.
        /// zh: 所属空间ID。
        "GroupId" group: String,
        /// The device above it, such as the platform of a camera.
        /// zh: 上级设备ID。
        "ParentId" parent: String,
        /// The directory that it is filed in.
        /// zh: 目录ID。
        "DirectoryId" directory_id: String,
        /// What it is: ipc, platform or ied.
        /// zh: 设备类型。
        "Type" kind: &'static str,
        /// Whether its streams start by themselves.
        /// zh: 是否自动启动流。
        "AutoStart" auto_start: bool,
        /// Whether it may register.
        /// zh: 是否启用。
        "Enabled" enabled: bool,
        /// How it is reached.
        /// zh: 设备协议。
        "Protocol" protocol: &'static str,
        /// on (registered), off, failed (locked after wrong passwords) or new (never registered).
        /// zh: 状态：on在线，off离线，failed锁定，new未注册。
        "Status" status: &'static str,
        /// Its national id.
        /// zh: 设备国标ID。
        "GbId" gb_id: String,
        /// Its address: as it was set, or as it registered from.
        /// zh: 设备IP。
        "Ip" ip: String,
        /// Its port.
        /// zh: 设备端口。
        "Port" port: Option<u16>,
        /// The user name of its registration.
        /// zh: 设备用户名。
        "Username" username: String,
        /// Its password, masked: a password that is set is never told again.
        /// zh: 设备密码，已掩码。
        "Password" password: &'static str,
        /// Its vendor.
        /// zh: 设备厂商。
        "Vendor" vendor: String,
        /// Its longitude.
        /// zh: 设备经度。
        "Longitude" longitude: String,
        /// Its latitude.
        /// zh: 设备纬度。
        "Latitude" latitude: String,
        /// Whether its position is subscribed to.
        /// zh: 是否启用设备位置订阅。
        "AutoPos" auto_pos: bool,
        /// How often it tells its position, in seconds.
        /// zh: 位置订阅周期，单位秒。
        "PosInterval" pos_interval: i64,
        /// The kinds of alarm subscribed to: 0 (all), 5 (video), 7 (others); empty for none.
        /// zh: 订阅的报警方式：0全部，5视频报警，7其他报警，空值表示不订阅。
        "AlarmMethod" alarm_method: String,
        /// When it was made.
        /// zh: 创建时间。
        "CreatedTime" created: String,
        /// When it registered last.
        /// zh: 最近注册时间。
        "RegisteredTime" registered: Option<String>,
        /// When its channels were told last.
        /// zh: 最近通道同步时间。
        "ChannelSyncTime" synced: Option<String>,
        /// Other parameters, as a JSON object.
        /// zh: 其他参数，JSON格式。
        "Params" params: String,
        /// How many channels and streams it has, where that was asked for.
        /// zh: 流统计信息。
        "Stats" stats: Option<Stats>,
        /// Its directory, where that was asked for.
        /// zh: 目录信息。
        "Directory" directory: Option<Directory>,
    }
}

reply! {
    /// How many channels and streams a device has.
    pub struct Stats {
        /// Its channels.
        /// zh: 通道数量。
        "ChannelNum" channels: u64,
        /// Its streams.
        /// zh: 流数量。
        "StreamNum" streams: u64,
        /// Its streams that run.
        /// zh: 在线流数量。
        "OnlineNum" online: u64,
        /// Its streams that do not run.
        /// zh: 离线流数量。
        "OfflineNum" offline: u64,
        /// Its streams whose last start failed.
        /// zh: 失败流数量。
        "FailedNum" failed: u64,
    }
}

reply! {
    /// A directory that devices are filed in.
    pub struct Directory {
        /// Its id.
        /// zh: 目录ID。
        "Id" id: String,
        /// Its name.
        /// zh: 目录名称。
        "Name" name: String,
        /// Its description.
        /// zh: 目录描述。
        "Description" description: String,
        /// The group that it belongs to.
        /// zh: 目录所属空间ID。
        "GroupId" group: String,
        /// The directory above it.
        /// zh: 上级目录ID。
        "ParentId" parent: String,
        /// When it was made.
        /// zh: 目录创建时间。
        "CreatedTime" created: String,
    }
}

action! {
    /// Describes a device.
    /// zh: 查询设备。
    pub struct DescribeDevice {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: Id,
        /// Whether to count its streams.
        /// zh: 是否返回流统计信息，默认false。
        "IncludeStats" stats: Flag,
        /// Whether to describe its directory.
        /// zh: 是否返回目录信息，默认false。
        "IncludeDirectory" directory: Flag,
    }
}

action! {
    /// Adds a device to a GB28181 group, so that it may register.
    /// zh: 添加设备。
    pub struct CreateDevice {
        /// The device's name; its national id where it is not given.
        /// zh: 设备名称。
        "Name" name: Option<Text<128>>,
        /// Its description.
        /// zh: 设备描述。
        "Description" description: Option<Text<512>>,
        /// The group that it belongs to.
        /// zh: 所属空间ID。
        "GroupId" group: Id,
        /// The device above it, such as the platform of a camera.
        /// zh: 上级设备ID。
        "ParentId" parent: Option<Id>,
        /// The directory that it is filed in.
        /// zh: 目录ID。
        "DirectoryId" directory: Option<Id>,
        /// What it is: ipc (camera), platform (recorder or platform), ied (intelligent device).
        /// zh: 设备类型：ipc摄像头，platform平台，ied智能设备。
        "Type" kind: Kind,
        /// Whether its streams start as soon as it is online, and again after every loss.
        /// zh: 是否自动启动流，默认false。
        "AutoStart" auto_start: Flag,
        /// Its national id, 20 digits; unique within its group. One is made where it is not given.
        /// zh: 设备国标ID，20位数字，空间内唯一；缺省时自动生成。
        "GbId" gb_id: Option<GbId>,
        /// Its address.
        /// zh: 设备IP。
        "Ip" ip: Option<Host>,
        /// Its port.
        /// zh: 设备端口。
        "Port" port: Option<Int<1, 65535>>,
        /// The user name of its registration.
        /// zh: 设备用户名。
        "Username" username: Option<Text<64>>,
        /// The password of its registration; the group's default password where it is not given.
        /// zh: 设备密码；缺省时使用空间默认密码。
        "Password" password: Option<Secret<64>>,
        /// Its vendor.
        /// zh: 设备厂商。
        "Vendor" vendor: Option<Text<64>>,
        /// Its longitude.
        /// zh: 设备经度。
        "Longitude" longitude: Option<Degrees<180>>,
        /// Its latitude.
        /// zh: 设备纬度。
        "Latitude" latitude: Option<Degrees<90>>,
        /// Whether to subscribe to its position.
        /// zh: 是否启用设备位置订阅，默认false。
        "AutoPos" auto_pos: Flag,
        /// How often it tells its position, in seconds.
        /// zh: 位置订阅周期，单位秒。
        "PosInterval" pos_interval: Option<Int<1, 86400>>,
        /// The kinds of alarm to subscribe to: 0 (all), 5 (video), 7 (others); empty for none.
        /// zh: 订阅的报警方式：0全部，5视频报警，7其他报警，多值用逗号分隔，空值表示不订阅。
        "AlarmMethod" alarm_method: Option<AlarmMethods>,
        /// Other parameters, as a JSON object.
        /// zh: 其他参数，JSON格式。
        "Params" params: Option<Json<4096>>,
    }
}

action! {
    /// Changes a device. What is not given stays as it is.
    /// zh: 修改设备，未给出的参数保持不变。
    pub struct ModifyDevice {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: Id,
        /// The group that it belongs to: only to make sure.
        /// zh: 所属空间ID，用于校验。
        "GroupId" group: Option<Id>,
        /// A new name.
        /// zh: 设备名称。
        "Name" name: Option<Text<128>>,
        /// A new description; empty removes it.
        /// zh: 设备描述。
        "Description" description: Patch<Text<512>>,
        /// What it is.
        /// zh: 设备类型：ipc摄像头，platform平台，ied智能设备。
        "Type" kind: Option<Kind>,
        /// Whether its streams start by themselves.
        /// zh: 是否自动启动流。
        "AutoStart" auto_start: Option<bool>,
        /// A new national id; the device must register again.
        /// zh: 设备国标ID。
        "GbId" gb_id: Option<GbId>,
        /// The device above it; empty for none.
        /// zh: 上级设备ID。
        "ParentId" parent: Patch<Id>,
        /// The directory that it is filed in; empty for none.
        /// zh: 目录ID。
        "DirectoryId" directory: Patch<Id>,
        /// Its address; empty removes it.
        /// zh: 设备IP地址。
        "Ip" ip: Patch<Host>,
        /// Its port; empty removes it.
        /// zh: 设备端口。
        "Port" port: Patch<Int<1, 65535>>,
        /// The user name of its registration; empty removes it.
        /// zh: 设备用户名。
        "Username" username: Patch<Text<64>>,
        /// The password of its registration; empty falls back to the group's default password.
        /// zh: 设备密码。
        "Password" password: Patch<Secret<64>>,
        /// Its vendor; empty removes it.
        /// zh: 设备厂商。
        "Vendor" vendor: Patch<Text<64>>,
        /// Its longitude; empty removes it.
        /// zh: 设备经度。
        "Longitude" longitude: Patch<Degrees<180>>,
        /// Its latitude; empty removes it.
        /// zh: 设备纬度。
        "Latitude" latitude: Patch<Degrees<90>>,
        /// Whether to subscribe to its position.
        /// zh: 是否启用设备位置订阅。
        "AutoPos" auto_pos: Option<bool>,
        /// How often it tells its position, in seconds.
        /// zh: 位置订阅周期，单位秒。
        "PosInterval" pos_interval: Option<Int<1, 86400>>,
        /// The kinds of alarm to subscribe to; empty for none.
        /// zh: 订阅的报警方式：0全部，5视频报警，7其他报警，空值表示不订阅。
        "AlarmMethod" alarm_method: Patch<AlarmMethods>,
        /// Other parameters, as a JSON object; empty removes them.
        /// zh: 其他参数，JSON格式。
        "Params" params: Patch<Json<4096>>,
    }
}

action! {
    /// Deletes a device with its channels and streams. It must not be sending.
    /// zh: 删除设备，正在拉流时需先停止。
    pub struct DeleteDevice {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: Id,
    }
}

action! {
    /// Deletes several devices.
    /// zh: 批量删除设备。
    pub struct BatchDeleteDevices {
        /// The devices' ids.
        /// zh: 设备ID，多值用逗号分隔。
        "Id" ids: Ids,
    }
}

action! {
    /// Unlocks a device that was locked after wrong passwords.
    /// zh: 解锁设备。
    pub struct UnlockDevice {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: Id,
    }
}
