//! Cameras that move: pan, tilt, zoom, focus, iris and preset positions. Not in the interface document; as in the public product.

use super::action::Action;
use super::context::Context;
use super::error::Error;
use super::param::{Kind, Shape, Value};
use super::plane::{Motion, PresetAct, Target};
use super::pull;
use super::reply::Touched;
use super::value::{Id, Int};
use crate::model::channel::Filter;
use crate::model::page::Page;
use crate::{action, actions, reply};

actions![
    "Moving cameras", "云台控制": ContinuousMove, StopMove, ContinuousAdjust, StopAdjust, DescribePresets, SetPreset, GotoPreset, DeletePreset
];

/// A speed from -1 to 1; 0 stands still.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(pub f64);

impl Value for Speed {
    const SHAPE: Shape = Shape { kind: Kind::Number, range: Some((-1, 1)), max_len: None, ..Shape::text(0, "0.5") };
    fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let decimal = text.len() <= 24 && text.bytes().all(|b| b.is_ascii_digit() || b"+-.".contains(&b));
        match text.parse::<f64>() {
            Ok(speed) if decimal && speed.abs() <= 1.0 => Ok(Speed(speed)),
            _ => Err("must be a number from -1 to 1".to_owned()),
        }
    }
}

action! {
    /// Moves a camera until it is stopped.
    /// zh: 持续移动云台，直到停止。
    pub struct ContinuousMove {
        /// The id of a device, of one of its channels, or of a stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
        /// To the right, or to the left where negative.
        /// zh: 水平速度，正值向右。
        "Pan" pan: Option<Speed>,
        /// Up, or down where negative.
        /// zh: 垂直速度，正值向上。
        "Tilt" tilt: Option<Speed>,
        /// Closer, or wider where negative.
        /// zh: 变倍速度，正值放大。
        "Zoom" zoom: Option<Speed>,
    }
}

action! {
    /// Stops a camera that moves.
    /// zh: 停止云台移动。
    pub struct StopMove {
        /// The id of a device, of one of its channels, or of a stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
    }
}

action! {
    /// Changes focus and iris until that is stopped.
    /// zh: 持续调整焦距与光圈，直到停止。
    pub struct ContinuousAdjust {
        /// The id of a device, of one of its channels, or of a stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
        /// Further away, or nearer where negative.
        /// zh: 聚焦速度，正值向远。
        "Focus" focus: Option<Speed>,
        /// Open, or close where negative.
        /// zh: 光圈速度，正值开大。
        "Iris" iris: Option<Speed>,
    }
}

action! {
    /// Stops changing focus and iris.
    /// zh: 停止调整焦距与光圈。
    pub struct StopAdjust {
        /// The id of a device, of one of its channels, or of a stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
    }
}

action! {
    /// Lists a camera's preset positions, as the device tells them now.
    /// zh: 查询预置位列表。
    pub struct DescribePresets {
        /// The id of a device, of one of its channels, or of a stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
    }
}

reply! {
    /// A camera's preset positions.
    pub struct Presets {
        /// The id that was given.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: String,
        /// The positions.
        /// zh: 预置位列表。
        "Presets" presets: Vec<Preset>,
    }
}

reply! {
    /// A preset position.
    pub struct Preset {
        /// Its number.
        /// zh: 预置位编号。
        "Id" id: String,
        /// Its name.
        /// zh: 预置位名称。
        "Name" name: String,
    }
}

macro_rules! preset_actions {
    ($($(#[doc = $doc:literal])+ $name:ident => $act:ident)+) => {$(
        action! {
            $(#[doc = $doc])+
            pub struct $name {
                /// The id of a device, of one of its channels, or of a stream.
                /// zh: 设备ID、通道ID或流ID。
                "Id" id: Id,
                /// The position's number.
                /// zh: 预置位编号。
                "PresetId" preset: Int<1, 255>,
            }
        }

        impl Action for $name {
            type Reply = Touched;

            async fn run(self, cx: &Context) -> Result<Touched, Error> {
                let target = camera(cx, &self.id).await?;
                cx.devices().preset(target, PresetAct::$act, self.preset.0 as u8).await?;
                Ok(Touched::new(self.id.0))
            }
        }
    )+};
}
preset_actions! {
    /// Stores where the camera points now as a preset position.
    /// zh: 设置预置位。
    SetPreset => Set
    /// Turns the camera to a preset position.
    /// zh: 转到预置位。
    GotoPreset => Goto
    /// Forgets a preset position.
    /// zh: 删除预置位。
    DeletePreset => Delete
}

/// The camera of an id, whatever it is the id of; a device with several channels needs the channel's.
pub(super) async fn camera(cx: &Context, id: &Id) -> Result<Target, Error> {
    let unknown = |error: &Error| error.code.starts_with("ResourceNotFound.");
    let stream = match cx.device(id).await {
        Ok(device) => {
            let page = cx.store().channels(cx.scope(), device.id, Filter::default(), Page::new(1, 2)).await?;
            match page.items.as_slice() {
                [one] => one.channel.stream,
                [] => return Err(Error::status("Device", "The device's channels are not known yet.")),
                _ => return Err(Error::invalid("Id", "must be a channel's, as the device has several")),
            }
        }
        Err(error) if unknown(&error) => match cx.channel(id).await {
            Ok(channel) => channel.stream,
            Err(error) if unknown(&error) => {
                cx.stream(id).await.map_err(|e| if unknown(&e) { Error::not_found("Device", &id.0) } else { e })?.id
            }
            Err(error) => return Err(error),
        },
        Err(error) => return Err(error),
    };
    let stream = cx.store().stream(cx.scope(), stream).await?;
    Ok(pull::target(cx, &stream).await?.0)
}

async fn steer(cx: &Context, id: Id, motion: Motion) -> Result<Touched, Error> {
    let target = camera(cx, &id).await?;
    cx.devices().steer(target, motion).await?;
    Ok(Touched::new(id.0))
}

fn speed(given: Option<Speed>) -> f64 {
    given.map_or(0.0, |s| s.0)
}

impl Action for ContinuousMove {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let motion = Motion { pan: speed(self.pan), tilt: speed(self.tilt), zoom: speed(self.zoom), ..Motion::default() };
        steer(cx, self.id, motion).await
    }
}

impl Action for StopMove {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        steer(cx, self.id, Motion::default()).await
    }
}

impl Action for ContinuousAdjust {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let motion = Motion { focus: speed(self.focus), iris: speed(self.iris), ..Motion::default() };
        steer(cx, self.id, motion).await
    }
}

impl Action for StopAdjust {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        steer(cx, self.id, Motion::default()).await
    }
}

impl Action for DescribePresets {
    type Reply = Presets;

    async fn run(self, cx: &Context) -> Result<Presets, Error> {
        let target = camera(cx, &self.id).await?;
        let found = cx.devices().presets(target, cx.settings().device_patience.0).await?;
        let presets = found.into_iter().map(|p| Preset { id: p.id.to_string(), name: p.name }).collect();
        Ok(Presets { id: self.id.0, presets })
    }
}
