//! What a device says about itself: information, status, presets.

use super::super::xml::Writer;
use super::super::{Id, Version};
use super::{Body, Cmd, Root, bytes, document};
use bytes::Bytes;

/// The answer to DeviceInfo.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceInfo {
    /// Its name.
    pub name: String,
    /// Who made it.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
    /// Its firmware.
    pub firmware: String,
    /// How many channels it says it has.
    pub channels: Option<u32>,
}

impl DeviceInfo {
    /// Reads the answer.
    pub fn read(body: &Body) -> DeviceInfo {
        let root = body.root_element();
        let text = |name: &str| root.text_of(name).chars().take(256).collect();
        DeviceInfo {
            name: text("DeviceName"),
            manufacturer: text("Manufacturer"),
            model: text("Model"),
            firmware: text("Firmware"),
            channels: root.number("Channel"),
        }
    }

    /// Writes the answer.
    pub fn write(&self, version: Version, sn: u32, device: &str) -> Bytes {
        let mut w = document(version, Root::Response, &Cmd::DeviceInfo, sn, device);
        w.field("DeviceName", &self.name).field("Result", "OK").field("Manufacturer", &self.manufacturer);
        w.field("Model", &self.model).field("Firmware", &self.firmware).field("Channel", self.channels.unwrap_or(0));
        bytes(w)
    }
}

/// The answer to DeviceStatus.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceStatus {
    /// Whether it is there.
    pub online: bool,
    /// Whether it works.
    pub working: bool,
    /// Whether it encodes.
    pub encoding: bool,
    /// Whether it records.
    pub recording: bool,
    /// Its clock, as written.
    pub time: String,
    /// Its alarm inputs and whether they are armed (`ONDUTY`, `OFFDUTY`, `ALARM`).
    pub alarms: Vec<(Id, String)>,
}

impl DeviceStatus {
    /// Reads the answer.
    pub fn read(body: &Body) -> DeviceStatus {
        let root = body.root_element();
        let is = |name: &str, wanted: &str| root.text_of(name).eq_ignore_ascii_case(wanted);
        let (_, alarms) = body.list("Alarmstatus");
        let alarm = |item: super::Element<'_>| Some((Id::new(item.text_of("DeviceID"))?, item.text_of("DutyStatus").to_owned()));
        DeviceStatus {
            online: is("Online", "ONLINE"),
            working: is("Status", "OK"),
            encoding: is("Encode", "ON"),
            recording: is("Record", "ON"),
            time: root.text_of("DeviceTime").to_owned(),
            alarms: alarms.filter_map(alarm).take(10_000).collect(),
        }
    }

    /// Writes the answer.
    pub fn write(&self, version: Version, sn: u32, device: &str) -> Bytes {
        let mut w = document(version, Root::Response, &Cmd::DeviceStatus, sn, device);
        let on = |yes: bool| if yes { "ON" } else { "OFF" };
        w.field("Result", "OK").field("Online", if self.online { "ONLINE" } else { "OFFLINE" });
        w.field("Status", if self.working { "OK" } else { "ERROR" }).field("Encode", on(self.encoding)).field("Record", on(self.recording));
        w.optional("DeviceTime", &self.time);
        if !self.alarms.is_empty() {
            w.list("Alarmstatus", self.alarms.len());
            for (id, duty) in &self.alarms {
                w.open("Item").field("DeviceID", id).field("DutyStatus", duty).close();
            }
        }
        bytes(w)
    }
}

/// A stored position of a camera's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Its number; a text in the standard.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Reads the answer to PresetQuery; Hikvision leaves SumNum out and spells the list its own way.
pub fn presets(body: &Body) -> Vec<Preset> {
    let root = body.root_element();
    let list = root.children().find(|child| child.items().next().is_some());
    let read = |item: super::Element<'_>| {
        let id = item.get("PresetID")?.chars().take(32).collect();
        Some(Preset { id, name: item.text_of("PresetName").chars().take(256).collect() })
    };
    list.into_iter().flat_map(super::Element::items).filter_map(read).take(1000).collect()
}

impl Preset {
    /// Writes the answer to PresetQuery.
    pub fn write_all(presets: &[Preset], version: Version, sn: u32, device: &str) -> Bytes {
        let mut w: Writer = document(version, Root::Response, &Cmd::PresetQuery, sn, device);
        w.field("SumNum", presets.len()).list("PresetList", presets.len());
        for preset in presets {
            w.open("Item").field("PresetID", &preset.id).field("PresetName", &preset.name).close();
        }
        bytes(w)
    }
}
