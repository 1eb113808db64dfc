//! Groups (空间): one protocol in, a set of protocols out, and everything that belongs together below them.

use super::param::Patch;
use super::value::{App, Callback, Flag, Id, OnOff, PageNum, PageSize, Secret, SortBy, SortDirection, Text};
use crate::model::group::{InProtocol, OutProtocols};
use crate::{action, actions, page_reply, reply};

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
        "Id" also "ID" id: String,
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
        /// Only groups whose name contains this.
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
        /// Another protocol in; only while the group is empty.
        /// zh: 接入协议，仅空间为空时可改。
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
