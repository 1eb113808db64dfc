//! What a device says about itself now: its make, its state, its configuration; and where it was. Not in the interface document.

use super::action::Action;
use super::context::Context;
use super::error::Error;
use super::plane::{Facts, Question};
use super::value::{Id, PageNum, PageSize, Text};
use super::view;
use super::voice::output;
use crate::model::position::{Filter, Fix};
use crate::model::time::Time;
use crate::{action, actions, page_reply, reply};

actions!["Questions to devices", "设备查询": DescribeDeviceInfo, DescribeDeviceStatus, DescribeDeviceConfig, DescribeDevicePositions];

action! {
    /// Asks a device what it is.
    /// zh: 查询设备信息（厂商、型号、固件、通道数），由设备实时应答。
    pub struct DescribeDeviceInfo {
        /// The id of a device, of one of its channels, or of a channel's stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
    }
}

reply! {
    /// What a device is, by its own account.
    pub struct DeviceInfo {
        /// The id that was given.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: String,
        /// Its name.
        /// zh: 设备名称。
        "Name" name: String,
        /// Who made it.
        /// zh: 厂商。
        "Manufacturer" manufacturer: String,
        /// Its model.
        /// zh: 型号。
        "Model" model: String,
        /// Its firmware.
        /// zh: 固件版本。
        "Firmware" firmware: String,
        /// How many channels it says it has; absent where it does not say.
        /// zh: 通道数。
        "ChannelNum" channels: Option<u32>,
    }
}

action! {
    /// Asks a device how it is doing.
    /// zh: 查询设备状态，由设备实时应答。
    pub struct DescribeDeviceStatus {
        /// The id of a device, of one of its channels, or of a channel's stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
    }
}

reply! {
    /// How a device is doing, by its own account.
    pub struct DeviceStatus {
        /// The id that was given.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: String,
        /// Whether it is there.
        /// zh: 是否在线。
        "Online" online: bool,
        /// Whether it works.
        /// zh: 是否正常工作。
        "Working" working: bool,
        /// Whether it encodes.
        /// zh: 是否编码。
        "Encoding" encoding: bool,
        /// Whether it records.
        /// zh: 是否录像。
        "Recording" recording: bool,
        /// Its clock, as it writes it.
        /// zh: 设备时间。
        "DeviceTime" time: String,
        /// Its alarm inputs.
        /// zh: 报警设备状态列表。
        "Alarms" alarms: Vec<AlarmInput>,
    }
}

reply! {
    /// An alarm input.
    pub struct AlarmInput {
        /// Its id in the signalling.
        /// zh: 报警设备国标ID。
        "GbId" gb_id: String,
        /// ONDUTY armed, OFFDUTY not armed, ALARM alarming.
        /// zh: 状态：ONDUTY布防，OFFDUTY撤防，ALARM报警中。
        "Duty" duty: String,
    }
}

action! {
    /// Asks a device for its configuration.
    /// zh: 查询设备配置，由设备实时应答。
    pub struct DescribeDeviceConfig {
        /// The id of a device, of one of its channels, or of a channel's stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
        /// Which parts, joined by `/`, as the standard names them: BasicParam (where it is not given), VideoParamOpt, SVACEncodeConfig …
        /// zh: 配置类型，多个用/连接，默认BasicParam。
        "ConfigType" kind: Option<Text<128>>,
    }
}

reply! {
    /// A device's configuration.
    pub struct DeviceConfig {
        /// The id that was given.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: String,
        /// The values.
        /// zh: 配置项列表。
        "Config" config: Vec<ConfigValue>,
    }
}

reply! {
    /// A value of a configuration.
    pub struct ConfigValue {
        /// Its part and name, as in `BasicParam.HeartBeatInterval`.
        /// zh: 配置项名称。
        "Name" name: String,
        /// The value.
        /// zh: 配置项的值。
        "Value" value: String,
    }
}

action! {
    /// Lists where a device was, newest first: what it told while AutoPos was on.
    /// zh: 查询设备上报的移动位置历史，按时间倒序（需开启AutoPos）。
    pub struct DescribeDevicePositions {
        /// The id of a device, or of one of its channels.
        /// zh: 设备ID或通道ID。
        "Id" id: Id,
        /// Not before this time.
        /// zh: 按起始时间查询。
        "StartTime" from: Option<Time>,
        /// Before this time.
        /// zh: 按结束时间查询。
        "EndTime" to: Option<Time>,
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of positions.
    Positions "Positions" of Position
}

reply! {
    /// Where something was.
    pub struct Position {
        /// What was there: the device, or one of its channels.
        /// zh: 设备或通道的国标ID。
        "GbId" gb_id: String,
        /// When.
        /// zh: 时间。
        "Time" at: String,
        /// Longitude in degrees.
        /// zh: 经度。
        "Longitude" longitude: String,
        /// Latitude in degrees.
        /// zh: 纬度。
        "Latitude" latitude: String,
        /// km/h, where told.
        /// zh: 速度，单位km/h。
        "Speed" speed: Option<String>,
        /// Degrees from north, where told.
        /// zh: 方向，正北为0度。
        "Direction" direction: Option<String>,
        /// Metres, where told.
        /// zh: 海拔，单位米。
        "Altitude" altitude: Option<String>,
    }
}

impl Action for DescribeDevicePositions {
    type Reply = Positions;

    async fn run(self, cx: &Context) -> Result<Positions, Error> {
        let (device, gb_id) = match cx.device(&self.id).await {
            Ok(device) => (device.id, None),
            Err(error) if error.code == "ResourceNotFound.Device" => {
                let (device, gb_id) = output(cx, &self.id).await?;
                (device, Some(gb_id))
            }
            Err(error) => return Err(error),
        };
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(Error::invalid("EndTime", "must lie behind StartTime"));
        }
        let filter = Filter { gb_id, from: self.from, to: self.to };
        let page = cx.store().positions(cx.scope(), device, filter, view::page(self.page_size, self.page_num)).await?;
        Ok(page.map(Position::of).into())
    }
}

impl Position {
    fn of(fix: Fix) -> Position {
        let text = |value: Option<f64>| value.map(|value| value.to_string());
        Position {
            gb_id: fix.gb_id.to_string(),
            at: fix.at.to_string(),
            longitude: fix.longitude.to_string(),
            latitude: fix.latitude.to_string(),
            speed: text(fix.speed),
            direction: text(fix.direction),
            altitude: text(fix.altitude),
        }
    }
}

async fn ask(cx: &Context, id: &Id, question: Question) -> Result<Facts, Error> {
    let (device, to) = output(cx, id).await?;
    Ok(cx.devices().question(device, to, question, cx.settings().device_patience.0).await?)
}

/// A device that answers something else.
fn odd() -> Error {
    Error::new(super::error::Kind::Refused, "DeviceRefused", "the device answered another question")
}

impl Action for DescribeDeviceInfo {
    type Reply = DeviceInfo;

    async fn run(self, cx: &Context) -> Result<DeviceInfo, Error> {
        let Facts::Info(info) = ask(cx, &self.id, Question::Info).await? else { return Err(odd()) };
        let crate::proto::gb28181::manscdp::DeviceInfo { name, manufacturer, model, firmware, channels } = info;
        Ok(DeviceInfo { id: self.id.0, name, manufacturer, model, firmware, channels })
    }
}

impl Action for DescribeDeviceStatus {
    type Reply = DeviceStatus;

    async fn run(self, cx: &Context) -> Result<DeviceStatus, Error> {
        let Facts::Status(status) = ask(cx, &self.id, Question::Status).await? else { return Err(odd()) };
        let alarms = status.alarms.into_iter().map(|(id, duty)| AlarmInput { gb_id: id.to_string(), duty }).collect();
        Ok(DeviceStatus {
            id: self.id.0,
            online: status.online,
            working: status.working,
            encoding: status.encoding,
            recording: status.recording,
            time: status.time,
            alarms,
        })
    }
}

impl Action for DescribeDeviceConfig {
    type Reply = DeviceConfig;

    async fn run(self, cx: &Context) -> Result<DeviceConfig, Error> {
        let kind = self.kind.map_or_else(|| "BasicParam".to_owned(), |kind| kind.0);
        let Facts::Config(values) = ask(cx, &self.id, Question::Config(kind)).await? else { return Err(odd()) };
        Ok(DeviceConfig { id: self.id.0, config: values.into_iter().map(|(name, value)| ConfigValue { name, value }).collect() })
    }
}
