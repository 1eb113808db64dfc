//! What else a device can be asked and told: its own recordings and their playback, restart, key frames, alarms, its home position,
//! and what is wrong with it. Not in the interface document.

use super::action::Action;
use super::context::Context;
use super::error::Error;
use super::param::{Kind, Shape, Value};
use super::plane::{Home, Order, Trick};
use super::ptz::camera;
use super::reply::Touched;
use super::value::{Id, Int, PlaybackCommand, Unix};
use crate::model::time::Time;
use crate::{action, actions, reply};

actions![
    "Orders to devices", "设备控制":
    DescribeDeviceRecords, ControlPlayback, RebootDevice, ResetDeviceAlarm, ForceKeyFrame, SetHomePosition, DiagnoseDevice
];

/// How many times faster a playback runs; negative runs backwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace(pub f64);

impl Value for Pace {
    const SHAPE: Shape = Shape { kind: Kind::Number, range: Some((-32, 32)), max_len: None, ..Shape::text(0, "2") };
    fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let decimal = text.len() <= 24 && text.bytes().all(|b| b.is_ascii_digit() || b"+-.".contains(&b));
        match text.parse::<f64>() {
            Ok(pace) if decimal && pace != 0.0 && pace.abs() <= 32.0 => Ok(Pace(pace)),
            _ => Err("must be a number from -32 to 32 other than 0".to_owned()),
        }
    }
}

action! {
    /// Lists what a device itself recorded, as it tells it now; at most 10000 recordings.
    /// zh: 查询设备端录像（如NVR上的历史录像）列表，最多返回10000条。
    pub struct DescribeDeviceRecords {
        /// The id of a device, of one of its channels, or of a stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
        /// Only recordings with something after this time.
        /// zh: 按起始时间查询。
        "StartTime" from: Time,
        /// Only recordings with something before this time; must lie behind StartTime.
        /// zh: 按结束时间查询，需大于起始时间。
        "EndTime" to: Time,
    }
}

reply! {
    /// What a device recorded.
    pub struct DeviceRecords {
        /// The id that was given.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: String,
        /// How many recordings the device told of.
        /// zh: 录像总数。
        "TotalCount" total: u64,
        /// The recordings.
        /// zh: 录像列表。
        "Records" records: Vec<DeviceRecord>,
    }
}

reply! {
    /// A recording of a device.
    pub struct DeviceRecord {
        /// Its name.
        /// zh: 录像名称。
        "Name" name: String,
        /// Where the device keeps it; empty where it does not tell.
        /// zh: 设备端文件路径。
        "FilePath" path: String,
        /// Why it was made, in the device's words: time, alarm or manual.
        /// zh: 录像类型：time定时，alarm报警，manual手动。
        "Type" kind: String,
        /// When it begins.
        /// zh: 录像起始时间。
        "StartTime" from: String,
        /// When it ends.
        /// zh: 录像结束时间。
        "EndTime" to: String,
        /// Its size in bytes, where the device tells it.
        /// zh: 文件大小，单位字节。
        "FileSize" size: Option<u64>,
    }
}

action! {
    /// Pauses, resumes, moves or speeds up a playback of a device's own recording that DescribeStreamURL opened with Type vod.
    /// zh: 控制设备端录像回放：暂停、恢复、定位、倍速。
    pub struct ControlPlayback {
        /// The id of a device, of one of its channels, or of a stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
        /// Where the recording begins, in unix seconds, as it was opened.
        /// zh: 回放的开始时间，unix时间戳，与打开时一致。
        "StartTime" from: Unix,
        /// Where the recording ends, in unix seconds, as it was opened.
        /// zh: 回放的结束时间，unix时间戳，与打开时一致。
        "EndTime" to: Unix,
        /// What to do: pause, resume, seek (needs Position) or speed (needs Speed).
        /// zh: 操作：pause暂停，resume恢复，seek定位（需Position），speed倍速（需Speed）。
        "Command" command: PlaybackCommand,
        /// Where to go on, in seconds behind StartTime.
        /// zh: 定位到的位置，相对StartTime的秒数。
        "Position" position: Option<Int<0, 31_536_000>>,
        /// How many times faster; negative runs backwards, where the device can.
        /// zh: 播放倍速，负值倒放（需设备支持）。
        "Speed" speed: Option<Pace>,
    }
}

action! {
    /// Restarts a device.
    /// zh: 远程重启设备。
    pub struct RebootDevice {
        /// The device.
        /// zh: 设备ID。
        "Id" id: Id,
    }
}

action! {
    /// Tells a device that its alarm was seen to, so that it reports the next one.
    /// zh: 报警复位。
    pub struct ResetDeviceAlarm {
        /// The device.
        /// zh: 设备ID。
        "Id" id: Id,
    }
}

action! {
    /// Asks a camera for a key frame now.
    /// zh: 强制关键帧。
    pub struct ForceKeyFrame {
        /// The id of a device, of one of its channels, or of a stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
    }
}

action! {
    /// Sets the preset position that a camera returns to when it is left alone.
    /// zh: 设置看守位。
    pub struct SetHomePosition {
        /// The id of a device, of one of its channels, or of a stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
        /// Whether it returns at all.
        /// zh: 是否启用看守位。
        "Enabled" enabled: bool,
        /// The number of the preset position; needed where Enabled is true.
        /// zh: 看守位使用的预置位编号，启用时必填。
        "PresetId" preset: Option<Int<1, 255>>,
        /// After how many seconds it returns; 60 where it is not given.
        /// zh: 自动归位时间间隔，单位秒，默认60。
        "ResetTime" reset_after: Option<Int<1, 86_400>>,
    }
}

action! {
    /// Tells what a device last said, what arrived of its streams, and what is wrong with it.
    /// zh: 诊断设备：最近的信令、各路呼叫的媒体接收情况与结论。
    pub struct DiagnoseDevice {
        /// The device.
        /// zh: 设备ID。
        "Id" id: Id,
    }
}

reply! {
    /// What is known about a device.
    pub struct Diagnosis {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: String,
        /// What is wrong, a sentence each; or that nothing is.
        /// zh: 结论，每项一句。
        "Verdict" verdict: Vec<String>,
        /// What that was concluded from: registration, the last messages outside of calls, and each call with its messages and media.
        /// zh: 依据：注册情况、最近的信令、各路呼叫的信令与媒体统计。
        "Findings" findings: serde_json::Value,
    }
}

impl Action for DescribeDeviceRecords {
    type Reply = DeviceRecords;

    async fn run(self, cx: &Context) -> Result<DeviceRecords, Error> {
        if self.from >= self.to {
            return Err(Error::invalid("EndTime", "must lie behind StartTime"));
        }
        let target = camera(cx, &self.id).await?;
        let found = cx.devices().recordings(target, self.from, self.to, cx.settings().device_patience.0).await?;
        let total = found.len() as u64;
        let records = found.into_iter().take(MOST_RECORDS).map(|r| DeviceRecord {
            name: r.name,
            path: r.path,
            kind: r.kind,
            from: r.from.to_string(),
            to: r.to.to_string(),
            size: r.size,
        });
        Ok(DeviceRecords { id: self.id.0, total, records: records.collect() })
    }
}

/// A recorder of 32 days in pieces of five minutes has 9216.
const MOST_RECORDS: usize = 10_000;

impl Action for ControlPlayback {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        if self.from.0 >= self.to.0 {
            return Err(Error::invalid("EndTime", "must lie behind StartTime"));
        }
        let trick = match self.command {
            PlaybackCommand::Pause => Trick::Pause,
            PlaybackCommand::Resume => Trick::Resume,
            PlaybackCommand::Seek => {
                let position = self.position.ok_or_else(|| Error::missing("Position"))?.0;
                if position >= self.to.0 - self.from.0 {
                    return Err(Error::invalid("Position", "must lie before EndTime"));
                }
                Trick::Seek(position as f64)
            }
            PlaybackCommand::Speed => Trick::Speed(self.speed.ok_or_else(|| Error::missing("Speed"))?.0),
        };
        let target = camera(cx, &self.id).await?;
        cx.devices().control_playback(target, self.from.0, self.to.0, trick).await?;
        Ok(Touched::new(self.id.0))
    }
}

async fn to_device(cx: &Context, id: Id, order: Order) -> Result<Touched, Error> {
    let device = cx.device(&id).await?;
    cx.devices().order(device.id, device.gb_id, order).await?;
    Ok(Touched::new(id.0))
}

async fn to_camera(cx: &Context, id: Id, order: Order) -> Result<Touched, Error> {
    let target = camera(cx, &id).await?;
    cx.devices().order(target.device, target.channel_gb_id, order).await?;
    Ok(Touched::new(id.0))
}

impl Action for RebootDevice {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        to_device(cx, self.id, Order::Reboot).await
    }
}

impl Action for ResetDeviceAlarm {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        to_device(cx, self.id, Order::ResetAlarm).await
    }
}

impl Action for ForceKeyFrame {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        to_camera(cx, self.id, Order::KeyFrame).await
    }
}

impl Action for SetHomePosition {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let preset = match (self.enabled, &self.preset) {
            (true, None) => return Err(Error::missing("PresetId")),
            (_, preset) => preset.as_ref().map_or(1, |p| p.0) as u8,
        };
        let reset_after = self.reset_after.map_or(60, |r| r.0) as u32;
        to_camera(cx, self.id, Order::Home(Home { enabled: self.enabled, reset_after, preset })).await
    }
}

impl Action for DiagnoseDevice {
    type Reply = Diagnosis;

    async fn run(self, cx: &Context) -> Result<Diagnosis, Error> {
        let device = cx.device(&self.id).await?;
        let (verdict, findings) = cx.devices().diagnose(device.id).await?;
        Ok(Diagnosis { id: self.id.0, verdict, findings })
    }
}
