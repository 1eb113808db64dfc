//! Devices: cameras, recorders and platforms that register with a GB28181 group.

use super::action::Action;
use super::context::{Context, number, number_maybe};
use super::error::Error;
use super::param::Patch;
use super::reply::{Done, Touched};
use super::value::{AlarmMethods, Degrees, Flag, Host, Id, Ids, Int, Json, PageNum, PageSize, Secret, SortBy, SortDirection, Text};
use super::view::{self, Outcome, Outcomes};
use super::{gb_id, pull};
use crate::model::device::{self, Draft, Filter, Kind, Status};
use crate::model::directory;
use crate::model::id::{DirectoryId, GbId};
use crate::model::time::Time;
use crate::{action, actions, page_reply, reply};
use std::collections::HashMap;

actions!["Devices", "设备": DescribeDevices, DescribeDevice, CreateDevice, ModifyDevice, DeleteDevice, BatchDeleteDevices, UnlockDevice];

action! {
    /// Lists the devices of a group.
    /// zh: 查询设备列表。
    pub struct DescribeDevices {
        /// The group.
        /// zh: 所属空间ID。
        "GroupId" group: Id,
        /// Only the device with this national id.
        /// zh: 按国标ID查询。
        "GbId" gb_id: Option<GbId>,
        /// Only devices of this name.
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
        /// Its port; 0 where it is not known.
        /// zh: 设备端口，未知时为0。
        "Port" port: u16,
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
        /// The group that it belongs to; another one of the same protocol moves it there.
        /// zh: 所属空间ID，给出其他空间则迁移设备。
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

impl Action for DescribeDevices {
    type Reply = Devices;

    async fn run(self, cx: &Context) -> Result<Devices, Error> {
        let group = cx.group(&self.group).await?;
        let filter = Filter {
            group: Some(group.id),
            gb_id: self.gb_id,
            name: self.name.map(|n| n.0),
            parent: number_maybe(&self.parent, "Device")?,
            directory: number_maybe(&self.directory, "Directory")?,
            kind: self.kind,
            status: self.status,
        };
        let sort = view::sort(self.sort_by, self.direction);
        let page = cx.store().devices(cx.scope(), filter, &sort, view::page(self.page_size, self.page_num)).await?;
        let mut stats = match self.stats.0 {
            true => cx.store().device_stats(&page.items.iter().map(|d| d.id).collect::<Vec<_>>()).await?,
            false => HashMap::new(),
        };
        let directories: HashMap<DirectoryId, directory::Directory> = match self.directories.0 {
            true => cx.store().directories(cx.scope(), group.id).await?.into_iter().map(|d| (d.id, d)).collect(),
            false => HashMap::new(),
        };
        let row = |device: device::Device| {
            let directory = device.directory.and_then(|id| directories.get(&id)).cloned();
            let stats = stats.remove(&device.id);
            Device::of(device, stats, directory)
        };
        Ok(page.map(row).into())
    }
}

impl Action for DescribeDevice {
    type Reply = Device;

    async fn run(self, cx: &Context) -> Result<Device, Error> {
        let device = cx.device(&self.id).await?;
        let stats = match self.stats.0 {
            true => cx.store().device_stats(&[device.id]).await?.remove(&device.id),
            false => None,
        };
        let directory = match device.directory.filter(|_| self.directory.0) {
            Some(id) => Some(cx.store().directory(cx.scope(), id).await?),
            None => None,
        };
        Ok(Device::of(device, stats, directory))
    }
}

impl Action for CreateDevice {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let group = cx.group(&self.group).await?;
        let Some(platform) = &group.gb_id else {
            return Err(Error::status("Group", "The group takes pushed streams, not devices: make a group with InProtocol=gb28181."));
        };
        let mut draft = Draft::new(group.id, self.kind, self.gb_id.clone().unwrap_or_else(|| gb_id::random(platform, self.kind)));
        draft.name = self.name.map_or(draft.name, |n| n.0);
        draft.description = self.description.map(|d| d.0).unwrap_or_default();
        draft.parent = number_maybe(&self.parent, "Device")?;
        draft.directory = number_maybe(&self.directory, "Directory")?;
        draft.auto_start = self.auto_start.0;
        draft.ip = self.ip.map(|i| i.0).unwrap_or_default();
        draft.port = self.port.map(port);
        draft.username = self.username.map(|u| u.0).unwrap_or_default();
        draft.password = self.password.map(|p| p.0);
        draft.vendor = self.vendor.map(|v| v.0).unwrap_or_default();
        draft.longitude = self.longitude.map(|l| l.0).unwrap_or_default();
        draft.latitude = self.latitude.map(|l| l.0).unwrap_or_default();
        draft.auto_pos = self.auto_pos.0;
        draft.pos_interval = self.pos_interval.map_or(draft.pos_interval, |i| i.0 as u32);
        draft.alarm_method = self.alarm_method.map(|a| a.0).unwrap_or_default();
        draft.params = self.params.map_or(draft.params, |p| p.0);
        let device = cx.store().create_device(cx.scope(), draft).await?;
        cx.devices().changed(device.id);
        Ok(Touched::new(device.id))
    }
}

fn port(port: Int<1, 65535>) -> u16 {
    port.0 as u16
}

impl Action for ModifyDevice {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let device = cx.device(&self.id).await?;
        let group = match &self.group {
            Some(id) => Some(cx.group(id).await?.id),
            None => None,
        };
        let parent = match self.parent {
            Patch::Set(id) => Patch::Set(Some(number(&id, "Device")?)),
            other => other.map(|_| None),
        };
        let directory = match self.directory {
            Patch::Set(id) => Patch::Set(Some(number(&id, "Directory")?)),
            other => other.map(|_| None),
        };
        if group.is_some_and(|group| group != device.group) {
            cx.devices().forgotten(device.id);
        }
        let change = move |device: &mut device::Device| -> Result<(), Error> {
            device.group = group.unwrap_or(device.group);
            if let Some(name) = self.name {
                device.name = name.0;
            }
            self.description.map(|d| d.0).over(&mut device.description);
            device.kind = self.kind.unwrap_or(device.kind);
            device.auto_start = self.auto_start.unwrap_or(device.auto_start);
            if let Some(gb_id) = self.gb_id {
                device.gb_id = gb_id;
            }
            parent.over(&mut device.parent);
            directory.over(&mut device.directory);
            self.ip.map(|i| i.0).over(&mut device.ip);
            self.port.map(|p| Some(port(p))).over(&mut device.port);
            self.username.map(|u| u.0).over(&mut device.username);
            self.password.map(|p| Some(p.0)).over(&mut device.password);
            self.vendor.map(|v| v.0).over(&mut device.vendor);
            self.longitude.map(|l| l.0).over(&mut device.longitude);
            self.latitude.map(|l| l.0).over(&mut device.latitude);
            device.auto_pos = self.auto_pos.unwrap_or(device.auto_pos);
            device.pos_interval = self.pos_interval.map_or(device.pos_interval, |i| i.0 as u32);
            self.alarm_method.map(|a| a.0).over(&mut device.alarm_method);
            match self.params {
                Patch::Clear => device.params = "{}".to_owned(),
                params => params.map(|p| p.0).over(&mut device.params),
            }
            Ok(())
        };
        let after = cx.store().update_device(cx.scope(), device.id, change).await?;
        cx.book().forget();
        cx.devices().changed(after.id);
        Ok(Touched::new(after.id))
    }
}

impl Action for DeleteDevice {
    type Reply = Done;

    async fn run(self, cx: &Context) -> Result<Done, Error> {
        delete(cx, &self.id).await.map(|()| Done {})
    }
}

impl Action for BatchDeleteDevices {
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
    let device = cx.device(id).await?;
    let streams = cx.store().streams_of(device.id).await?;
    if streams.iter().any(|stream| pull::runs(cx, stream)) {
        return Err(Error::status("Device", "The device is sending: stop it before it is deleted."));
    }
    cx.store().delete_device(cx.scope(), device.id).await?;
    cx.book().forget();
    cx.devices().forgotten(device.id);
    Ok(())
}

impl Action for UnlockDevice {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let device = cx.device(&self.id).await?;
        cx.devices().unlock(device.id).await?;
        if device.status == Status::Failed {
            let change = device::Change { id: device.id, status: Status::Off, at: Time::from_secs(cx.now()), registration: None };
            cx.store().set_device_states(vec![change]).await?;
        }
        Ok(Touched::new(device.id))
    }
}

impl Device {
    fn of(device: device::Device, stats: Option<device::Stats>, directory: Option<directory::Directory>) -> Device {
        let text = |id: Option<i64>| id.map(|id| id.to_string()).unwrap_or_default();
        // What was set by hand wins; else the address that it registered from.
        let source = device.registration.as_ref().map(|r| r.source);
        let ip = match (device.ip.is_empty(), source) {
            (true, Some(source)) => source.ip().to_string(),
            _ => device.ip,
        };
        Device {
            id: device.id.to_string(),
            name: device.name,
            description: device.description,
            group: device.group.to_string(),
            parent: text(device.parent.map(i64::from)),
            directory_id: text(device.directory.map(i64::from)),
            kind: device.kind.as_str(),
            auto_start: device.auto_start,
            enabled: device.enabled,
            protocol: "gb28181",
            status: device.status.as_str(),
            gb_id: device.gb_id.to_string(),
            ip,
            port: device.port.or(source.map(|s| s.port())).unwrap_or(0),
            username: device.username,
            password: if device.password.is_some() { "******" } else { "" },
            vendor: device.vendor,
            longitude: device.longitude,
            latitude: device.latitude,
            auto_pos: device.auto_pos,
            pos_interval: i64::from(device.pos_interval),
            alarm_method: device.alarm_method,
            created: device.created.to_string(),
            registered: device.registration.map(|r| Time(r.at).to_string()),
            params: device.params,
            stats: stats.map(|s| Stats {
                channels: s.channels,
                streams: s.streams,
                online: s.online,
                // A stream whose start failed is not on either.
                offline: s.offline,
                failed: s.failed,
            }),
            directory: directory.map(Directory::of),
        }
    }
}

impl Directory {
    /// As answers show it.
    pub fn of(directory: directory::Directory) -> Directory {
        Directory {
            id: directory.id.to_string(),
            name: directory.name,
            description: directory.description,
            group: directory.group.to_string(),
            parent: directory.parent.map(|id| id.to_string()).unwrap_or_default(),
            created: directory.created.to_string(),
        }
    }
}
