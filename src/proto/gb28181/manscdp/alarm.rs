//! Alarms (annex A.2.5.3).

use super::super::localtime::Zone;
use super::super::{Id, Version};
use super::{Body, Cmd, Root, bytes, document};
use bytes::Bytes;

/// How an alarm came about: 1 phone, 2 device, 3 SMS, 4 GPS, 5 video, 6 device fault, 7 other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlarmMethod(pub u8);

impl AlarmMethod {
    /// After an alarm of this method a device stays silent until it is reset (note to A.2.5.3).
    pub const DEVICE: AlarmMethod = AlarmMethod(2);
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// The camera, the alarm input or the device itself.
    pub source: Option<Id>,
    /// Its number, which the answer repeats.
    pub sn: u32,
    /// 1 (highest) to 4.
    pub priority: u8,
    /// How it came about.
    pub method: AlarmMethod,
    /// What it is, by the method's own list; 0 where it is not told.
    pub kind: u32,
    /// `EventType` of method 5, kind 6: 1 enters, 2 leaves.
    pub event: Option<u8>,
    /// Milliseconds since 1970; `None` if the device's text cannot be read.
    pub time: Option<i64>,
    /// Free text.
    pub description: String,
    /// Degrees.
    pub position: Option<(String, String)>,
}

impl Alarm {
    /// Reads a notification.
    pub fn read(body: &Body, zone: Zone) -> Alarm {
        let root = body.root_element();
        let info = root.child("Info");
        // 2022 puts the type into Info, some 2016 devices beside it
        let kind = info.and_then(|info| info.number("AlarmType")).or_else(|| root.number("AlarmType"));
        let parameters = info.and_then(|info| info.child("AlarmTypeParam"));
        let position = root.get("Longitude").zip(root.get("Latitude")).map(|(x, y)| (x.to_owned(), y.to_owned()));
        Alarm {
            source: body.device,
            sn: body.sn,
            priority: root.number("AlarmPriority").unwrap_or(4),
            method: AlarmMethod(root.number("AlarmMethod").unwrap_or(7)),
            kind: kind.unwrap_or(0),
            event: parameters.and_then(|parameters| parameters.number("EventType")),
            time: root.get("AlarmTime").and_then(|text| zone.parse(text)),
            description: root.text_of("AlarmDescription").chars().take(1024).collect(),
            position,
        }
    }

    /// Writes a notification.
    pub fn write(&self, version: Version, zone: Zone) -> Bytes {
        let source = self.source.map(|id| id.to_string()).unwrap_or_default();
        let mut w = document(version, Root::Notify, &Cmd::Alarm, self.sn, &source);
        w.field("AlarmPriority", self.priority).field("AlarmMethod", self.method.0);
        w.field("AlarmTime", zone.format(self.time.unwrap_or(0))).optional("AlarmDescription", &self.description);
        if let Some((longitude, latitude)) = &self.position {
            w.field("Longitude", longitude).field("Latitude", latitude);
        }
        if self.kind > 0 {
            w.open("Info").field("AlarmType", self.kind);
            if let Some(event) = self.event {
                w.open("AlarmTypeParam").field("EventType", event).close();
            }
            w.close();
        }
        bytes(w)
    }
}
