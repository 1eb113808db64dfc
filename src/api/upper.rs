//! Upper platforms (上级平台): whom this server registers to as a device, and which streams it shows them. Not in the interface document.

use super::action::Action;
use super::context::{Context, number};
use super::error::Error;
use super::param::{Patch, Shape, Value};
use super::reply::Touched;
use super::value::{Host, Id, Ids, Int, PageNum, PageSize, Secret, Text};
use crate::model::binding::InstanceType;
use crate::model::id::{GbId, UpperId};
use crate::model::page::Page;
use crate::model::upper::{self, Edition, Setup, Transport};
use crate::{action, actions, page_reply, reply};

actions![
    "Upper platforms", "上级平台级联":
    CreateUpperPlatform, ModifyUpperPlatform, DeleteUpperPlatform, DescribeUpperPlatforms, BindUpperPlatformStreams,
    UnbindUpperPlatformStreams, DescribeUpperPlatformStreams
];

/// A time in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds<const MIN: i64, const MAX: i64>(pub u32);

impl<const MIN: i64, const MAX: i64> Value for Seconds<MIN, MAX> {
    const SHAPE: Shape = Shape::integer(MIN, MAX, "60");
    fn read(text: &str) -> Result<Self, String> {
        Int::<MIN, MAX>::read(text).map(|n| Seconds(n.0 as u32))
    }
}

/// A port.
type Port = Int<1, 65_535>;
/// For how long we register, in seconds; the standard's least is an hour.
type Expires = Seconds<60, 864_000>;
/// How often we tell that we are alive, in seconds.
type Keepalive = Seconds<5, 3600>;

action! {
    /// Registers this server at an upper platform as a device. It sees the streams that BindUpperPlatformStreams names.
    /// zh: 添加上级平台：本服务作为下级设备向其注册，通过BindUpperPlatformStreams选择共享的流。
    pub struct CreateUpperPlatform {
        /// Our name there.
        /// zh: 名称，也是向上级报送目录时本级的名称。
        "Name" name: Text<128>,
        /// The host of its SIP server.
        /// zh: 上级平台SIP服务器地址。
        "Host" host: Host,
        /// The port of its SIP server.
        /// zh: 上级平台SIP服务器端口。
        "Port" port: Port,
        /// How SIP travels, `udp` where it is not given. Media travels as the platform asks.
        /// zh: SIP传输协议，默认udp；媒体传输方式由上级决定。
        "Transport" transport: Option<Transport>,
        /// Its id.
        /// zh: 上级平台国标ID。
        "ServerGbId" server: GbId,
        /// Its SIP domain; the first ten digits of its id where it is not given. Some platforms want `host:port`.
        /// zh: 上级平台SIP域，默认取其国标ID前10位。
        "Domain" domain: Option<Text<128>>,
        /// Our id there.
        /// zh: 本级在上级平台的国标ID。
        "LocalGbId" local: GbId,
        /// Our user name there; our id where it is not given.
        /// zh: 认证用户名，默认为本级国标ID。
        "Username" username: Option<Text<64>>,
        /// Our password there.
        /// zh: 认证密码。
        "Password" password: Option<Secret<64>>,
        /// The edition of GB/T 28181 that is spoken, `2016` where it is not given.
        /// zh: 国标版本，默认2016。
        "Edition" edition: Option<Edition>,
        /// For how many seconds we register; 86400 where it is not given.
        /// zh: 注册有效期，单位秒，默认86400。
        "Expires" expires: Option<Expires>,
        /// How often we tell that we are alive, in seconds; 60 where it is not given.
        /// zh: 心跳间隔，单位秒，默认60。
        "KeepaliveInterval" keepalive: Option<Keepalive>,
        /// Whether it may move our cameras, arm them and the like; true where it is not given. It never restarts them.
        /// zh: 是否允许上级控制设备（云台等），默认true；不允许上级重启设备。
        "AllowControl" control: Option<bool>,
    }
}

action! {
    /// Changes an upper platform. What is not given stays as it is. It is registered at anew.
    /// zh: 修改上级平台，未给出的参数保持不变，修改后重新注册。
    pub struct ModifyUpperPlatform {
        /// The upper platform's id.
        /// zh: 上级平台ID。
        "Id" id: Id,
        /// A new name.
        /// zh: 名称。
        "Name" name: Option<Text<128>>,
        /// Whether we register.
        /// zh: 是否启用。
        "Enabled" enabled: Option<bool>,
        /// Another host.
        /// zh: 上级平台SIP服务器地址。
        "Host" host: Option<Host>,
        /// Another port.
        /// zh: 上级平台SIP服务器端口。
        "Port" port: Option<Port>,
        /// How SIP travels.
        /// zh: SIP传输协议。
        "Transport" transport: Option<Transport>,
        /// Its id.
        /// zh: 上级平台国标ID。
        "ServerGbId" server: Option<GbId>,
        /// Its SIP domain; empty stands for the first ten digits of its id.
        /// zh: 上级平台SIP域，空值表示取其国标ID前10位。
        "Domain" domain: Patch<Text<128>>,
        /// Our id there.
        /// zh: 本级在上级平台的国标ID。
        "LocalGbId" local: Option<GbId>,
        /// Our user name there; empty stands for our id.
        /// zh: 认证用户名，空值表示使用本级国标ID。
        "Username" username: Patch<Text<64>>,
        /// Our password there; empty removes it.
        /// zh: 认证密码，空值表示清除。
        "Password" password: Patch<Secret<64>>,
        /// The edition of GB/T 28181 that is spoken.
        /// zh: 国标版本。
        "Edition" edition: Option<Edition>,
        /// For how many seconds we register.
        /// zh: 注册有效期，单位秒。
        "Expires" expires: Option<Expires>,
        /// How often we tell that we are alive, in seconds.
        /// zh: 心跳间隔，单位秒。
        "KeepaliveInterval" keepalive: Option<Keepalive>,
        /// Whether it may control our cameras.
        /// zh: 是否允许上级控制设备。
        "AllowControl" control: Option<bool>,
    }
}

action! {
    /// Unregisters from an upper platform and forgets it.
    /// zh: 删除上级平台并注销。
    pub struct DeleteUpperPlatform {
        /// The upper platform's id.
        /// zh: 上级平台ID。
        "Id" id: Id,
    }
}

action! {
    /// Lists upper platforms, and how it stands with each.
    /// zh: 查询上级平台列表及注册状态。
    pub struct DescribeUpperPlatforms {
        /// Only this one.
        /// zh: 按上级平台ID查询。
        "Id" id: Option<Id>,
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of upper platforms.
    UpperPlatforms "UpperPlatforms" of UpperPlatform
}

reply! {
    /// An upper platform.
    pub struct UpperPlatform {
        /// Its id.
        /// zh: 上级平台ID。
        "Id" id: String,
        /// Our name there.
        /// zh: 名称。
        "Name" name: String,
        /// Whether we register.
        /// zh: 是否启用。
        "Enabled" enabled: bool,
        /// `on` while we are registered there.
        /// zh: 注册状态：on已注册，off未注册。
        "Status" status: &'static str,
        /// Since when that is so.
        /// zh: 状态起始时间。
        "StatusTime" since: Option<String>,
        /// Why we are not registered; absent while we are.
        /// zh: 未注册的原因。
        "Error" error: Option<String>,
        /// The host of its SIP server.
        /// zh: 上级平台SIP服务器地址。
        "Host" host: String,
        /// Its port.
        /// zh: 上级平台SIP服务器端口。
        "Port" port: u16,
        /// How SIP travels.
        /// zh: SIP传输协议。
        "Transport" transport: &'static str,
        /// Its id in the signalling.
        /// zh: 上级平台国标ID。
        "ServerGbId" server: String,
        /// Its SIP domain.
        /// zh: 上级平台SIP域。
        "Domain" domain: String,
        /// Our id there.
        /// zh: 本级在上级平台的国标ID。
        "LocalGbId" local: String,
        /// Our user name there.
        /// zh: 认证用户名。
        "Username" username: String,
        /// The edition of GB/T 28181 that is spoken.
        /// zh: 国标版本。
        "Edition" edition: &'static str,
        /// For how many seconds we register.
        /// zh: 注册有效期，单位秒。
        "Expires" expires: u32,
        /// How often we tell that we are alive, in seconds.
        /// zh: 心跳间隔，单位秒。
        "KeepaliveInterval" keepalive: u32,
        /// Whether it may control our cameras.
        /// zh: 是否允许上级控制设备。
        "AllowControl" control: bool,
        /// The groups all of whose streams it is shown.
        /// zh: 整体共享的空间ID。
        "GroupIds" groups: Vec<String>,
        /// How many channels it is shown now.
        /// zh: 已共享的通道数。
        "ChannelNum" channels: u64,
        /// How many streams it fetches now.
        /// zh: 上级正在点播的路数。
        "CallNum" calls: u64,
        /// When it was made.
        /// zh: 创建时间。
        "CreatedTime" created: String,
    }
}

action! {
    /// Shows groups or streams to an upper platform. Streams that come to a shown group later are shown too.
    /// zh: 向上级平台共享空间或流；共享空间后新增的流自动共享。
    pub struct BindUpperPlatformStreams {
        /// The upper platform's id.
        /// zh: 上级平台ID。
        "Id" id: Id,
        /// The ids of the groups or streams.
        /// zh: 实例ID，多值用逗号分隔。
        "InstanceId" instances: Ids,
        /// Whether those are groups or streams.
        /// zh: 实例类型：group空间，stream流。
        "InstanceType" instance_type: InstanceType,
        /// By which id the platform knows the stream, where it is one. Else: its channel's own, or one that is made and stays.
        /// zh: 单个流对上级的国标ID；省略时使用通道自身的国标ID，没有或重复时自动生成并保持不变。
        "GbId" code: Option<GbId>,
    }
}

action! {
    /// Shows groups or streams to an upper platform no longer.
    /// zh: 取消向上级平台共享空间或流。
    pub struct UnbindUpperPlatformStreams {
        /// The upper platform's id.
        /// zh: 上级平台ID。
        "Id" id: Id,
        /// The ids of the groups or streams.
        /// zh: 实例ID，多值用逗号分隔。
        "InstanceId" instances: Ids,
        /// Whether those are groups or streams.
        /// zh: 实例类型：group空间，stream流。
        "InstanceType" instance_type: InstanceType,
    }
}

reply! {
    /// The outcomes for the groups or streams of a batch.
    pub struct UpperBindings {
        /// One row for each group or stream.
        /// zh: 结果列表。
        "Results" results: Vec<UpperBinding>,
    }
}

reply! {
    /// The outcome for one group or stream.
    pub struct UpperBinding {
        /// The id of the group or stream.
        /// zh: 实例ID。
        "InstanceId" instance: String,
        /// group or stream.
        /// zh: 实例类型。
        "InstanceType" instance_type: &'static str,
        /// The id by which the platform knows the stream.
        /// zh: 流对上级的国标ID。
        "GbId" code: Option<String>,
        /// Why it failed; absent where it did not.
        /// zh: 错误信息，仅当操作出错时存在。
        "Error" error: Option<String>,
    }
}

action! {
    /// Lists the channels that an upper platform is shown.
    /// zh: 查询向上级平台共享的通道列表。
    pub struct DescribeUpperPlatformStreams {
        /// The upper platform's id.
        /// zh: 上级平台ID。
        "Id" id: Id,
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
    UpperChannels "Streams" of UpperChannel
}

reply! {
    /// A stream as an upper platform sees it.
    pub struct UpperChannel {
        /// The stream's id.
        /// zh: 流ID。
        "StreamId" stream: String,
        /// The id of its group.
        /// zh: 空间ID。
        "GroupId" group: String,
        /// The id of its device; absent where it is pushed.
        /// zh: 设备ID，推流无此项。
        "DeviceId" device: Option<String>,
        /// By which id the platform knows it.
        /// zh: 对上级的国标ID。
        "GbId" code: String,
        /// Its name.
        /// zh: 通道名称。
        "Name" name: String,
    }
}

impl Action for CreateUpperPlatform {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let mut setup = Setup::new(&self.name.0, &self.host.0, self.port.0 as u16, self.server, self.local);
        differ(&setup)?;
        setup.transport = self.transport.unwrap_or(setup.transport);
        setup.domain = self.domain.map(|domain| domain.0).unwrap_or_default();
        setup.username = self.username.map(|name| name.0).unwrap_or_default();
        setup.password = self.password.map(|password| password.0);
        setup.edition = self.edition.unwrap_or(setup.edition);
        setup.expires = self.expires.map_or(setup.expires, |n| n.0);
        setup.keepalive = self.keepalive.map_or(setup.keepalive, |n| n.0);
        setup.control = self.control.unwrap_or(setup.control);
        let upper = cx.store().create_upper(cx.scope(), setup).await?;
        Ok(Touched::new(upper.id))
    }
}

/// A platform that registers to itself would answer its own calls.
fn differ(setup: &Setup) -> Result<(), Error> {
    match setup.server == setup.local {
        true => Err(Error::invalid("LocalGbId", "must differ from ServerGbId")),
        false => Ok(()),
    }
}

impl Action for ModifyUpperPlatform {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let id: UpperId = upper_id(&self.id)?;
        let change = move |setup: &mut Setup| {
            if let Some(name) = self.name {
                setup.name = name.0;
            }
            if let Some(host) = self.host {
                setup.host = host.0;
            }
            if let Some(port) = self.port {
                setup.port = port.0 as u16;
            }
            setup.enabled = self.enabled.unwrap_or(setup.enabled);
            setup.transport = self.transport.unwrap_or(setup.transport);
            setup.edition = self.edition.unwrap_or(setup.edition);
            setup.control = self.control.unwrap_or(setup.control);
            if let Some(server) = self.server {
                setup.server = server;
            }
            if let Some(local) = self.local {
                setup.local = local;
            }
            self.domain.map(|text| text.0).over(&mut setup.domain);
            self.username.map(|text| text.0).over(&mut setup.username);
            self.password.map(|password| Some(password.0)).over(&mut setup.password);
            setup.expires = self.expires.map_or(setup.expires, |n| n.0);
            setup.keepalive = self.keepalive.map_or(setup.keepalive, |n| n.0);
            differ(setup)
        };
        cx.store().update_upper(cx.scope(), id, change).await?;
        Ok(Touched::new(id))
    }
}

impl Action for DeleteUpperPlatform {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let id = upper_id(&self.id)?;
        cx.store().delete_upper(cx.scope(), id).await?;
        Ok(Touched::new(id))
    }
}

impl Action for DescribeUpperPlatforms {
    type Reply = UpperPlatforms;

    async fn run(self, cx: &Context) -> Result<UpperPlatforms, Error> {
        let page = Page::new(self.page_num.0, self.page_size.0);
        let found = match &self.id {
            None => cx.store().uppers(cx.scope(), page).await?,
            Some(id) => {
                let only = cx.store().upper(cx.scope(), upper_id(id)?).await?;
                let items = if page.num() == 1 { vec![only] } else { Vec::new() };
                crate::model::page::Paged { items, total: 1, page }
            }
        };
        let (total, page) = (found.total, found.page);
        let mut items = Vec::with_capacity(found.items.len());
        for upper in found.items {
            let groups = cx.store().shown_groups(upper.id).await?;
            items.push(UpperPlatform::of(cx, upper, groups.iter().map(ToString::to_string).collect()));
        }
        Ok(crate::model::page::Paged { items, total, page }.into())
    }
}

impl UpperPlatform {
    fn of(cx: &Context, upper: upper::Upper, groups: Vec<String>) -> UpperPlatform {
        let state = cx.devices().upper(upper.id).unwrap_or_default();
        let setup = upper.setup;
        let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
        UpperPlatform {
            id: upper.id.to_string(),
            enabled: setup.enabled,
            status: if state.registered { "on" } else { "off" },
            since: state.since.map(|since| since.to_string()),
            error: Some(state.error).filter(|error| !error.is_empty()),
            host: setup.host,
            port: setup.port,
            transport: setup.transport.as_str(),
            domain: or(setup.domain, setup.server.as_str().get(..10).unwrap_or_default()),
            server: setup.server.to_string(),
            username: or(setup.username, setup.local.as_str()),
            local: setup.local.to_string(),
            edition: setup.edition.as_str(),
            expires: setup.expires,
            keepalive: setup.keepalive,
            control: setup.control,
            name: setup.name,
            groups,
            channels: state.channels as u64,
            calls: state.calls as u64,
            created: upper.created.to_string(),
        }
    }
}

fn upper_id(id: &Id) -> Result<UpperId, Error> {
    number(id, "UpperPlatform")
}

impl Action for BindUpperPlatformStreams {
    type Reply = UpperBindings;

    async fn run(self, cx: &Context) -> Result<UpperBindings, Error> {
        let upper = cx.store().upper(cx.scope(), upper_id(&self.id)?).await?.id;
        if self.code.is_some() && (self.instances.0.len() > 1 || self.instance_type != InstanceType::Stream) {
            return Err(Error::invalid("GbId", "goes with a single stream only"));
        }
        let mut results = Vec::with_capacity(self.instances.0.len());
        for id in self.instances.0 {
            let instance = Id(id.clone());
            let done = match self.instance_type {
                InstanceType::Group => show_group(cx, upper, &instance, true).await.map(|()| None),
                InstanceType::Stream => show_stream(cx, upper, &instance, self.code.clone()).await.map(Some),
            };
            results.push(UpperBinding::of(id, self.instance_type, done));
        }
        Ok(UpperBindings { results })
    }
}

impl Action for UnbindUpperPlatformStreams {
    type Reply = UpperBindings;

    async fn run(self, cx: &Context) -> Result<UpperBindings, Error> {
        let upper = cx.store().upper(cx.scope(), upper_id(&self.id)?).await?.id;
        let mut results = Vec::with_capacity(self.instances.0.len());
        for id in self.instances.0 {
            let instance = Id(id.clone());
            let done = match self.instance_type {
                InstanceType::Group => show_group(cx, upper, &instance, false).await,
                InstanceType::Stream => hide_stream(cx, upper, &instance).await,
            };
            results.push(UpperBinding::of(id, self.instance_type, done.map(|()| None)));
        }
        Ok(UpperBindings { results })
    }
}

async fn show_group(cx: &Context, upper: UpperId, id: &Id, shown: bool) -> Result<(), Error> {
    Ok(cx.store().show_group(cx.scope(), upper, number(id, "Group")?, shown).await?)
}

async fn show_stream(cx: &Context, upper: UpperId, id: &Id, code: Option<GbId>) -> Result<GbId, Error> {
    Ok(cx.store().show_stream(cx.scope(), upper, number(id, "Stream")?, code).await?)
}

async fn hide_stream(cx: &Context, upper: UpperId, id: &Id) -> Result<(), Error> {
    Ok(cx.store().hide_stream(cx.scope(), upper, number(id, "Stream")?).await?)
}

impl UpperBinding {
    fn of(instance: String, kind: InstanceType, done: Result<Option<GbId>, Error>) -> UpperBinding {
        let (code, error) = match done {
            Ok(code) => (code.map(|code| code.to_string()), None),
            Err(error) => (None, Some(error.message)),
        };
        UpperBinding { instance, instance_type: kind.as_str(), code, error }
    }
}

impl Action for DescribeUpperPlatformStreams {
    type Reply = UpperChannels;

    async fn run(self, cx: &Context) -> Result<UpperChannels, Error> {
        let page = Page::new(self.page_num.0, self.page_size.0);
        let upper = cx.store().upper(cx.scope(), upper_id(&self.id)?).await?;
        let shown = cx.store().shown_streams(&upper).await?;
        let total = shown.len() as u64;
        let from = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let items = shown.into_iter().skip(from).take(page.size() as usize).map(|shown| UpperChannel {
            stream: shown.stream.to_string(),
            group: shown.group.to_string(),
            device: shown.device.map(|device| device.to_string()),
            code: shown.code.to_string(),
            name: shown.name,
        });
        Ok(crate::model::page::Paged { items: items.collect(), total, page }.into())
    }
}
