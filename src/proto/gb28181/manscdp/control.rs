//! Orders to a device (annex A.2.3).

use super::super::{Version, ptz};
use super::{Body, Cmd, Root, bytes, document};
use bytes::Bytes;

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Move the head, turn the lens, use presets.
    Ptz(ptz::Command),
    /// Restart.
    Reboot,
    /// Send a key frame now.
    KeyFrame,
    /// Record, or stop it.
    Record(bool),
    /// Arm, or disarm.
    Guard(bool),
    /// Be ready for the next alarm.
    ResetAlarm {
        /// The method that alarmed.
        method: Option<u8>,
        /// The kind that alarmed.
        kind: Option<u32>,
    },
    /// Where to return to when left alone.
    HomePosition(HomePosition),
    /// Zoom into (or out of) a rectangle of the player's window.
    DragZoom {
        /// In or out.
        zoom_in: bool,
        /// The rectangle.
        area: DragZoom,
    },
}

/// The home position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomePosition {
    /// Whether it returns at all.
    pub enabled: bool,
    /// After how many seconds.
    pub reset_after: u32,
    /// To which preset.
    pub preset: u8,
}

/// A rectangle in a window, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DragZoom {
    /// The window's length and width.
    pub window: (u32, u32),
    /// The rectangle's middle.
    pub middle: (u32, u32),
    /// The rectangle's sides.
    pub sides: (u32, u32),
}

impl Control {
    /// Whether the standard has a MANSCDP answer for it (section 9.3.1); devices mix this up, so nobody should wait long.
    pub fn is_answered(&self) -> bool {
        matches!(self, Control::Record(_) | Control::Guard(_) | Control::ResetAlarm { .. } | Control::HomePosition(_))
    }

    /// The bodies to send, one after the other: a forced key frame for a 2016 device is two, since that edition's text spells the
    /// element `IFameCmd` and its devices know one or the other.
    pub fn write(&self, version: Version, sn: &mut impl FnMut() -> u32, target: &str) -> Vec<Bytes> {
        if *self == Control::KeyFrame {
            let spellings: &[&str] = if version >= Version::V2022 { &["IFrameCmd"] } else { &["IFameCmd", "IFrameCmd"] };
            return spellings
                .iter()
                .map(|name| {
                    let mut w = document(version, Root::Control, &Cmd::DeviceControl, sn(), target);
                    w.field(name, "Send");
                    bytes(w)
                })
                .collect();
        }
        let mut w = document(version, Root::Control, &Cmd::DeviceControl, sn(), target);
        match self {
            Control::Ptz(command) => {
                w.field("PTZCmd", command.encode());
                if version < Version::V2022 {
                    w.open("Info").field("ControlPriority", 5).close();
                }
            }
            Control::Reboot => {
                w.field("TeleBoot", "Boot");
            }
            Control::KeyFrame => {}
            Control::Record(on) => {
                w.field("RecordCmd", if *on { "Record" } else { "StopRecord" });
            }
            Control::Guard(on) => {
                w.field("GuardCmd", if *on { "SetGuard" } else { "ResetGuard" });
            }
            Control::ResetAlarm { method, kind } => {
                w.field("AlarmCmd", "ResetAlarm");
                if method.is_some() || kind.is_some() {
                    w.open("Info");
                    if let Some(method) = method {
                        w.field("AlarmMethod", method);
                    }
                    if let Some(kind) = kind {
                        w.field("AlarmType", kind);
                    }
                    w.close();
                }
            }
            Control::HomePosition(home) => {
                w.open("HomePosition").field("Enabled", u8::from(home.enabled));
                w.field("ResetTime", home.reset_after).field("PresetIndex", home.preset).close();
            }
            Control::DragZoom { zoom_in, area } => {
                w.open(if *zoom_in { "DragZoomIn" } else { "DragZoomOut" });
                w.field("Length", area.window.0).field("Width", area.window.1);
                w.field("MidPointX", area.middle.0).field("MidPointY", area.middle.1);
                w.field("LengthX", area.sides.0).field("LengthY", area.sides.1).close();
            }
        }
        vec![bytes(w)]
    }

    /// Reads a body whose root is Control; `None` for an order that we do not know.
    pub fn read(body: &Body) -> Option<Control> {
        let root = body.root_element();
        let is = |name: &str, wanted: &str| root.get(name).map(|text| text.eq_ignore_ascii_case(wanted));
        if let Some(text) = root.get("PTZCmd") {
            return ptz::Command::decode(text).map(Control::Ptz);
        }
        if root.get("TeleBoot").is_some() {
            return Some(Control::Reboot);
        }
        if root.get("IFameCmd").or(root.get("IFrameCmd")).is_some() {
            return Some(Control::KeyFrame);
        }
        if let Some(on) = is("RecordCmd", "Record") {
            return Some(Control::Record(on));
        }
        if let Some(on) = is("GuardCmd", "SetGuard") {
            return Some(Control::Guard(on));
        }
        if root.get("AlarmCmd").is_some() {
            let info = root.child("Info");
            let number = |name: &str| info.and_then(|info| info.number(name));
            return Some(Control::ResetAlarm { method: number("AlarmMethod").map(|n: u32| n as u8), kind: number("AlarmType") });
        }
        if let Some(home) = root.child("HomePosition") {
            return Some(Control::HomePosition(HomePosition {
                enabled: home.number::<u8>("Enabled").is_some_and(|n| n != 0),
                reset_after: home.number("ResetTime").unwrap_or(0),
                preset: home.number("PresetIndex").unwrap_or(0),
            }));
        }
        let drag = |name| root.child(name);
        let (zoom_in, element) = match (drag("DragZoomIn"), drag("DragZoomOut")) {
            (Some(element), _) => (true, element),
            (None, Some(element)) => (false, element),
            (None, None) => return None,
        };
        let number = |name| element.number(name).unwrap_or(0);
        let area = DragZoom {
            window: (number("Length"), number("Width")),
            middle: (number("MidPointX"), number("MidPointY")),
            sides: (number("LengthX"), number("LengthY")),
        };
        Some(Control::DragZoom { zoom_in, area })
    }
}
