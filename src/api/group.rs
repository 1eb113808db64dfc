//! Groups (空间): one protocol in, a set of protocols out, and everything that belongs together below them.

use super::action::Action;
use super::context::{Context, number_maybe};
use super::cut;
use super::error::Error;
use super::param::Patch;
use super::reply::Touched;
use super::url::Places;
use super::value::{App, Callback, Flag, Id, OnOff, PageNum, PageSize, Secret, SortBy, SortDirection, Text};
use super::view;
use crate::model::group::{self, Draft, Filter, InProtocol, OutProtocols};
use crate::model::page::{Page, Sort};
use crate::model::tenant::Scope;
use crate::{action, actions, page_reply, reply};
use std::collections::HashMap;

actions!["Groups", "空间": CreateGroup, DeleteGroup, DescribeGroup, DescribeGroups, ModifyGroup, HaltGroup, EnableGroup];

action! {
    /// Creates a group: what devices register to, or streams are pushed to.
    /// zh: 创建业务空间。
    pub struct CreateGroup {
        /// The group's name.
        /// zh: 空间名称。
        "Name" name: Text<128>,
        /// Its description.
        /// zh: 空间描述。
        "Description" description: Option<Text<512>>,
        /// The service region; the server's own where it is not given.
        /// zh: 所属区域，缺省为本服务的区域。
        "Region" region: Option<Text<64>>,
        /// The application, the first part of the path of every URL; `live` where it is not given.
        /// zh: 应用名称，默认live。
        "App" app: Option<App>,
        /// How streams come in.
        /// zh: 接入协议。
        "InProtocol" in_protocol: InProtocol,
        /// How streams may be played.
        /// zh: 播放协议，多值用逗号分隔。
        "OutProtocol" out_protocol: OutProtocols,
        /// Whether streams are fetched only while somebody plays them.
        /// zh: 是否按需拉流，默认false。
        "LazyPull" lazy_pull: Flag,
        /// Where changes of devices and streams are told.
        /// zh: 设备与流状态变化的回调地址。
        "Callback" callback: Option<Callback>,
        /// The password of devices that have none of their own.
        /// zh: 空间内设备的默认密码。
        "GbPassword" gb_password: Option<Secret<64>>,
        /// Whether a device that nobody created is created when it registers for the first time.
        /// zh: 未创建的设备首次注册时是否自动创建，默认false。
        "AutoRegister" auto_register: Flag,
        /// Whether its devices need a valid license.
        /// zh: 设备是否需要有效的License，默认false。
        "RequireLicense" license_required: Flag,
    }
}

reply! {
    /// A new group.
    pub struct Created {
        /// The group's id.
        /// zh: 空间ID。
        "Id" id: String,
        /// The platform id that its devices register to. GB28181 groups only.
        /// zh: 国标ID，仅适用于国标接入的空间。
        "GbId" gb_id: Option<String>,
        /// The address of the signalling server. GB28181 groups only.
        /// zh: 国标信令服务器地址，仅适用于国标接入的空间。
        "GbIp" gb_ip: Option<String>,
        /// Its port. GB28181 groups only.
        /// zh: 国标信令服务器端口，仅适用于国标接入的空间。
        "GbPort" gb_port: Option<u16>,
    }
}

action! {
    /// Deletes a group with everything in it. It must be halted first.
    /// zh: 删除空间，需先停用。
    pub struct DeleteGroup {
        /// The group's id.
        /// zh: 空间ID。
        "Id" | "ID" id: Id,
    }
}

reply! {
    /// A deleted group.
    pub struct Deleted {
        /// The group's id.
        /// zh: 空间ID。
        "Id" & "ID" id: String,
    }
}

action! {
    /// Describes a group.
    /// zh: 查询空间。
    pub struct DescribeGroup {
        /// The group's id.
        /// zh: 空间ID。
        "Id" id: Id,
        /// Whether to count its devices.
        /// zh: 是否返回设备统计信息，默认false。
        "IncludeStats" stats: Flag,
    }
}

action! {
    /// Lists groups.
    /// zh: 查询空间列表。
    pub struct DescribeGroups {
        /// Only this group.
        /// zh: 按空间ID查询。
        "Id" id: Option<Id>,
        /// Only groups of this name.
        /// zh: 按名称查询。
        "Name" name: Option<Text<128>>,
        /// Only groups of this region.
        /// zh: 按区域查询。
        "Region" region: Option<Text<64>>,
        /// Only groups with this protocol in.
        /// zh: 按接入协议查询。
        "InProtocol" in_protocol: Option<InProtocol>,
        /// Only enabled or only halted groups.
        /// zh: 按状态查询。
        "Status" status: Option<OnOff>,
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
        /// Whether to count the devices of each.
        /// zh: 是否包含设备统计信息，默认false。
        "IncludeStats" stats: Flag,
    }
}

page_reply! {
    /// A page of groups.
    Groups "Groups" of Group
}

reply! {
    /// A group.
    pub struct Group {
        /// The group's id.
        /// zh: 空间ID。
        "Id" id: String,
        /// Its name.
        /// zh: 空间名称。
        "Name" name: String,
        /// Its description.
        /// zh: 空间描述。
        "Description" description: String,
        /// Its service region.
        /// zh: 所属区域。
        "Region" region: String,
        /// Its application, the first part of the path of every URL.
        /// zh: 应用名称。
        "App" app: String,
        /// How streams come in.
        /// zh: 接入协议。
        "InProtocol" in_protocol: &'static str,
        /// How streams may be played.
        /// zh: 播放协议。
        "OutProtocol" out_protocol: String,
        /// Whether it is enabled.
        /// zh: 是否启用。
        "Enabled" enabled: bool,
        /// `on` while enabled, `off` while halted.
        /// zh: 状态：on已启用，off已停用。
        "Status" status: &'static str,
        /// When it was made.
        /// zh: 创建时间。
        "CreatedTime" created: String,
        /// Host name in push URLs.
        /// zh: 推流域名。
        "PushDomain" push_domain: String,
        /// Host name in play URLs.
        /// zh: 播放域名。
        "PlayDomain" play_domain: String,
        /// Whether streams are fetched only while somebody plays them.
        /// zh: 是否按需拉流。
        "LazyPull" lazy_pull: bool,
        /// Where changes of devices and streams are told.
        /// zh: 回调地址。
        "Callback" callback: String,
        /// The platform id that its devices register to. GB28181 groups only.
        /// zh: 国标ID，仅适用于国标接入的空间。
        "GbId" gb_id: String,
        /// The address of the signalling server. GB28181 groups only.
        /// zh: 国标信令服务器地址，仅适用于国标接入的空间。
        "GbIp" gb_ip: String,
        /// Its UDP port. GB28181 groups only.
        /// zh: 国标信令服务器UDP端口，仅适用于国标接入的空间。
        "GbUdpPort" gb_udp: Option<u16>,
        /// Its TCP port. GB28181 groups only.
        /// zh: 国标信令服务器TCP端口，仅适用于国标接入的空间。
        "GbTcpPort" gb_tcp: Option<u16>,
        /// How many devices it has, where that was asked for.
        /// zh: 设备统计信息。
        "Stats" stats: Option<Stats>,
        /// What push URLs begin with. RTMP groups only.
        /// zh: 推流公共地址，仅适用于推流空间。
        "PushRtmpBaseUrl" push_base: String,
        /// Whether a device that nobody created is created when it registers for the first time. GB28181 groups only.
        /// zh: 未创建的设备首次注册时是否自动创建，仅适用于国标接入的空间。
        "AutoRegister" auto_register: Option<bool>,
        /// Whether its devices need a valid license. GB28181 groups only.
        /// zh: 设备是否需要有效的License，仅适用于国标接入的空间。
        "RequireLicense" license_required: Option<bool>,
    }
}

reply! {
    /// How many devices of which kind a group has.
    pub struct Stats {
        /// All devices of the group.
        /// zh: 空间内设备总数。
        "DeviceNum" devices: u64,
        /// Its cameras.
        /// zh: 空间内摄像头数量。
        "IpcNum" ipcs: u64,
        /// Its intelligent devices.
        /// zh: 空间内智能设备数量。
        "IedNum" ieds: u64,
        /// Its platforms and recorders.
        /// zh: 空间内平台数量。
        "PlatformNum" platforms: u64,
    }
}

action! {
    /// Changes a group. What is not given stays as it is.
    /// zh: 修改空间，未给出的参数保持不变。
    pub struct ModifyGroup {
        /// The group's id.
        /// zh: 空间ID。
        "Id" id: Id,
        /// A new name.
        /// zh: 空间名称。
        "Name" name: Option<Text<128>>,
        /// A new description; empty removes it.
        /// zh: 空间描述，空值表示清除。
        "Description" description: Patch<Text<512>>,
        /// A new region.
        /// zh: 所属区域。
        "Region" region: Option<Text<64>>,
        /// The protocol in, only to make sure: it cannot be changed.
        /// zh: 接入协议，不可修改，仅用于校验。
        "InProtocol" in_protocol: Option<InProtocol>,
        /// Other protocols out; players of others are cut off.
        /// zh: 播放协议，多值用逗号分隔。
        "OutProtocol" out_protocol: Option<OutProtocols>,
        /// Enables or halts the group.
        /// zh: 是否启用。
        "Enabled" enabled: Option<bool>,
        /// Whether streams are fetched only while somebody plays them.
        /// zh: 是否按需拉流。
        "LazyPull" lazy_pull: Option<bool>,
        /// Where changes are told; empty stops that.
        /// zh: 回调地址，空值表示清除。
        "Callback" callback: Patch<Callback>,
        /// The password of devices that have none of their own; empty removes it.
        /// zh: 空间内设备的默认密码，空值表示清除。
        "GbPassword" gb_password: Patch<Secret<64>>,
        /// Whether a device that nobody created is created when it registers for the first time.
        /// zh: 未创建的设备首次注册时是否自动创建。
        "AutoRegister" auto_register: Option<bool>,
        /// Whether its devices need a valid license.
        /// zh: 设备是否需要有效的License。
        "RequireLicense" license_required: Option<bool>,
    }
}

action! {
    /// Halts a group: its streams end, its devices and pushes are refused.
    /// zh: 停用空间：停止其全部流，拒绝其设备与推流。
    pub struct HaltGroup {
        /// The group's id.
        /// zh: 空间ID。
        "Id" id: Id,
    }
}

action! {
    /// Enables a halted group.
    /// zh: 启用空间。
    pub struct EnableGroup {
        /// The group's id.
        /// zh: 空间ID。
        "Id" id: Id,
    }
}

impl Action for CreateGroup {
    type Reply = Created;

    async fn run(self, cx: &Context) -> Result<Created, Error> {
        if let Some(App(app)) = self.app.as_ref().filter(|app| cx.book().is_taken(&app.0)) {
            return Err(Error::invalid("App", format!("must not be {app}: the server answers at /{app} itself")));
        }
        let limit = cx.settings().groups;
        let mine = cx.store().groups(Scope::Tenant(cx.scope().owner()), Filter::default(), &Sort::default(), Page::new(1, 1)).await?;
        if mine.total >= u64::from(limit) {
            return Err(Error::quota("Group", format!("The limit of {limit} groups is reached.")));
        }
        let mut draft = Draft::new(&self.name.0, self.in_protocol, self.out_protocol);
        draft.description = self.description.map(|d| d.0).unwrap_or_default();
        draft.region = self.region.map_or_else(|| cx.settings().region.clone(), |r| r.0);
        draft.app = self.app.map_or(draft.app, |a| a.0);
        draft.lazy_pull = self.lazy_pull.0;
        draft.callback = self.callback.map(|c| c.0);
        draft.gb_area = cx.places().gb_area;
        draft.gb_password = self.gb_password.map(|p| p.0);
        draft.auto_register = self.auto_register.0;
        draft.license_required = self.license_required.0;
        let group = cx.store().create_group(cx.scope(), draft).await?;
        let gb = group.gb_id.is_some();
        let places = cx.places();
        Ok(Created {
            id: group.id.to_string(),
            gb_id: group.gb_id.map(|id| id.to_string()),
            gb_ip: gb.then(|| places.gb_host.clone()),
            gb_port: gb.then_some(places.gb_udp),
        })
    }
}

impl Action for DeleteGroup {
    type Reply = Deleted;

    async fn run(self, cx: &Context) -> Result<Deleted, Error> {
        let group = cx.group(&self.id).await?;
        cx.store().delete_group(cx.scope(), group.id).await?;
        cx.book().forget();
        cx.devices().halted(group.id);
        Ok(Deleted { id: group.id.to_string() })
    }
}

impl Action for DescribeGroup {
    type Reply = Group;

    async fn run(self, cx: &Context) -> Result<Group, Error> {
        let group = cx.group(&self.id).await?;
        let stats = match self.stats.0 {
            true => cx.store().group_stats(&[group.id]).await?.remove(&group.id),
            false => None,
        };
        Ok(Group::of(group, stats, cx.places()))
    }
}

impl Action for DescribeGroups {
    type Reply = Groups;

    async fn run(self, cx: &Context) -> Result<Groups, Error> {
        let filter = Filter {
            id: number_maybe(&self.id, "Group")?,
            name: self.name.map(|n| n.0),
            region: self.region.map(|r| r.0),
            in_protocol: self.in_protocol,
            enabled: self.status.map(|s| s == OnOff::On),
        };
        let sort = view::sort(self.sort_by, self.direction);
        let page = cx.store().groups(cx.scope(), filter, &sort, view::page(self.page_size, self.page_num)).await?;
        let mut stats = match self.stats.0 {
            true => cx.store().group_stats(&page.items.iter().map(|g| g.id).collect::<Vec<_>>()).await?,
            false => HashMap::new(),
        };
        Ok(page
            .map(|group| {
                let stats = stats.remove(&group.id);
                Group::of(group, stats, cx.places())
            })
            .into())
    }
}

impl Action for ModifyGroup {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let before = cx.group(&self.id).await?;
        if self.in_protocol.is_some_and(|p| p != before.in_protocol) {
            return Err(Error::status("Group", "The InProtocol of a group cannot be changed: make another group."));
        }
        let change = move |group: &mut group::Group| -> Result<(), Error> {
            if let Some(name) = self.name {
                group.name = name.0;
            }
            self.description.map(|d| d.0).over(&mut group.description);
            if let Some(region) = self.region {
                group.region = region.0;
            }
            if let Some(out) = self.out_protocol {
                group.out_protocols = out;
            }
            group.enabled = self.enabled.unwrap_or(group.enabled);
            group.lazy_pull = self.lazy_pull.unwrap_or(group.lazy_pull);
            self.callback.map(|c| Some(c.0)).over(&mut group.callback);
            self.gb_password.map(|p| Some(p.0)).over(&mut group.gb_password);
            group.auto_register = self.auto_register.unwrap_or(group.auto_register);
            group.license_required = self.license_required.unwrap_or(group.license_required);
            Ok(())
        };
        let after = cx.store().update_group(cx.scope(), before.id, change).await?;
        cx.book().forget();
        if before.enabled && !after.enabled {
            cut::group(cx, after.id, "its group was halted").await;
        } else if before.out_protocols != after.out_protocols {
            cut::players(cx, after.id, after.out_protocols).await;
        }
        Ok(Touched::new(after.id))
    }
}

impl Action for HaltGroup {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        switch(cx, &self.id, false).await
    }
}

impl Action for EnableGroup {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        switch(cx, &self.id, true).await
    }
}

/// Enables or halts a group. To halt what is halted, or enable what is enabled, is done already.
async fn switch(cx: &Context, id: &Id, enabled: bool) -> Result<Touched, Error> {
    let group = cx.group(id).await?;
    let change = move |group: &mut group::Group| {
        group.enabled = enabled;
        Ok::<_, Error>(())
    };
    cx.store().update_group(cx.scope(), group.id, change).await?;
    cx.book().forget();
    if !enabled {
        cut::group(cx, group.id, "its group was halted").await;
    }
    Ok(Touched::new(group.id))
}

impl Group {
    /// As answers show it.
    pub fn of(group: group::Group, stats: Option<group::Stats>, places: &Places) -> Group {
        let gb = group.in_protocol == InProtocol::Gb28181;
        Group {
            id: group.id.to_string(),
            name: group.name,
            description: group.description,
            region: group.region,
            in_protocol: group.in_protocol.as_str(),
            out_protocol: group.out_protocols.to_string(),
            enabled: group.enabled,
            status: view::on(group.enabled),
            created: group.created.to_string(),
            push_domain: if gb { String::new() } else { places.host.clone() },
            play_domain: places.host.clone(),
            lazy_pull: group.lazy_pull,
            callback: group.callback.unwrap_or_default(),
            gb_id: group.gb_id.map(|id| id.to_string()).unwrap_or_default(),
            gb_ip: if gb { places.gb_host.clone() } else { String::new() },
            gb_udp: gb.then_some(places.gb_udp),
            gb_tcp: gb.then_some(places.gb_tcp),
            stats: stats.map(|s| Stats { devices: s.devices, ipcs: s.ipcs, ieds: s.ieds, platforms: s.platforms }),
            push_base: if gb { String::new() } else { places.push_base(&group.app) },
            auto_register: gb.then_some(group.auto_register),
            license_required: gb.then_some(group.license_required),
            app: group.app,
        }
    }
}
