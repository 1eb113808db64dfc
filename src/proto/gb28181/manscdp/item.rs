//! One entry of a catalog: a channel, a directory node, a region.

use super::super::xml::{Element, Writer};
use super::super::{Id, Version};

/// What happened to a catalog entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It is back.
    On,
    /// It is gone for now.
    Off,
    /// Its picture is lost.
    VideoLost,
    /// It is broken.
    Defect,
    /// It is new.
    Added,
    /// It is gone for good.
    Deleted,
    /// Its description changed.
    Updated,
}

impl Change {
    fn parse(text: &str) -> Option<Change> {
        Some(match text.to_ascii_uppercase().as_str() {
            "ON" => Change::On,
            "OFF" => Change::Off,
            "VLOST" => Change::VideoLost,
            "DEFECT" => Change::Defect,
            "ADD" => Change::Added,
            "DEL" => Change::Deleted,
            "UPDATE" => Change::Updated,
            _ => return None,
        })
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::On => "ON",
            Change::Off => "OFF",
            Change::VideoLost => "VLOST",
            Change::Defect => "DEFECT",
            Change::Added => "ADD",
            Change::Deleted => "DEL",
            Change::Updated => "UPDATE",
        }
    }
}

/// A catalog entry. Fields that a device left out are empty; both editions' layouts are read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Item {
    /// Its id.
    pub id: Option<Id>,
    /// Its name.
    pub name: String,
    /// Who made it.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
    /// Who owns it (2016).
    pub owner: String,
    /// The region; longer than 8 digits with some devices, then it is left out.
    pub civil_code: String,
    /// The police district.
    pub block: String,
    /// Where it is.
    pub address: String,
    /// Whether it has children; Hikvision's 65535 counts as yes.
    pub parental: Option<bool>,
    /// Its parents, joined by `/`, as written.
    pub parent_id: String,
    /// The business group that it belongs to.
    pub business_group: String,
    /// 1 to 4.
    pub register_way: Option<u8>,
    /// 0 public, 1 secret.
    pub secrecy: Option<u8>,
    /// The camera's own address.
    pub ip: String,
    /// The camera's own port.
    pub port: Option<u16>,
    /// Whether it works; anything but OFF, OFFLINE and the like is yes.
    pub online: bool,
    /// Degrees.
    pub longitude: Option<f64>,
    /// Degrees.
    pub latitude: Option<f64>,
    /// 1 dome, 2 semi-dome, 3 fixed, 4 remote bullet, 5 remote semi-dome, 6 panoramic, 7 split.
    pub ptz_type: Option<u8>,
    /// `6/5/1920x1080`.
    pub resolution: String,
    /// `0/1`.
    pub streams: String,
    /// `1/2/4`.
    pub download_speeds: String,
    /// Of a notification: what happened.
    pub change: Option<Change>,
}

impl Item {
    /// Reads an `Item`; `None` without a usable id.
    pub fn read(element: Element<'_>) -> Option<Item> {
        let mut item = Item { online: true, ..Item::default() };
        item.read_fields(element);
        item.id.is_some().then_some(item)
    }

    fn read_fields(&mut self, element: Element<'_>) {
        for child in element.children() {
            let (name, value) = (child.name(), child.text());
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            if is("Info") {
                self.read_fields(child);
                continue;
            }
            if value.is_empty() {
                continue;
            }
            let text = || value.chars().take(256).collect::<String>();
            match name.len() {
                _ if is("DeviceID") => self.id = self.id.or_else(|| Id::new(value)),
                _ if is("Name") => self.name = text(),
                _ if is("Status") => self.online = is_online(value),
                _ if is("ParentID") => self.parent_id = text(),
                _ if is("Parental") => self.parental = value.parse().ok().map(|n: u32| n != 0),
                _ if is("Manufacturer") => self.manufacturer = text(),
                _ if is("Model") => self.model = text(),
                _ if is("Owner") => self.owner = text(),
                _ if is("CivilCode") && value.len() <= 8 => self.civil_code = text(),
                _ if is("Block") => self.block = text(),
                _ if is("Address") => self.address = text(),
                _ if is("RegisterWay") => self.register_way = value.parse().ok(),
                _ if is("Secrecy") => self.secrecy = value.parse().ok(),
                _ if is("IPAddress") => self.ip = text(),
                _ if is("Port") => self.port = value.parse().ok(),
                _ if is("Longitude") => self.longitude = degrees(value, 180.0),
                _ if is("Latitude") => self.latitude = degrees(value, 90.0),
                _ if is("BusinessGroupID") => self.business_group = text(),
                _ if is("PTZType") => self.ptz_type = value.parse().ok(),
                _ if is("Resolution") => self.resolution = text(),
                // the 2016 amendment spells it StreamNumberList, some devices StreamNumber
                _ if is("StreamNumberList") || is("StreamNumber") => self.streams = text(),
                _ if is("DownloadSpeed") => self.download_speeds = text(),
                _ if is("Event") => self.change = Change::parse(value),
                _ => {}
            }
        }
    }

    /// Its parents from the nearest, without itself, without what is no id.
    pub fn parents(&self) -> impl Iterator<Item = Id> {
        let own = self.id;
        self.parent_id.split('/').filter_map(Id::new).filter(move |id| Some(*id) != own)
    }

    /// Writes the `Item`.
    pub fn write(&self, version: Version, w: &mut Writer) {
        w.open("Item").field("DeviceID", self.id.map(|id| id.to_string()).unwrap_or_default());
        if let Some(change) = self.change {
            w.field("Event", change.as_str());
            if !matches!(change, Change::Added | Change::Updated) {
                w.close();
                return;
            }
        }
        w.field("Name", &self.name);
        if self.id.is_some_and(|id| id.kind() == super::super::id::Kind::Region) {
            w.close();
            return;
        }
        w.field("Manufacturer", &self.manufacturer).field("Model", &self.model);
        if version < Version::V2022 {
            w.field("Owner", if self.owner.is_empty() { "Owner" } else { &self.owner });
        }
        w.field("CivilCode", &self.civil_code).optional("Block", &self.block).field("Address", &self.address);
        w.field("Parental", u8::from(self.parental.unwrap_or(false))).optional("ParentID", &self.parent_id);
        w.optional("BusinessGroupID", &self.business_group);
        w.field("RegisterWay", self.register_way.unwrap_or(1)).field("Secrecy", self.secrecy.unwrap_or(0));
        w.optional("IPAddress", &self.ip);
        if let Some(port) = self.port {
            w.field("Port", port);
        }
        w.field("Status", if self.online { "ON" } else { "OFF" });
        if let (Some(longitude), Some(latitude)) = (self.longitude, self.latitude) {
            w.field("Longitude", longitude).field("Latitude", latitude);
        }
        if self.ptz_type.is_some() || !self.resolution.is_empty() || !self.streams.is_empty() || !self.download_speeds.is_empty() {
            w.open("Info");
            if let Some(kind) = self.ptz_type {
                w.field("PTZType", kind);
            }
            w.optional("Resolution", &self.resolution).optional("StreamNumberList", &self.streams);
            w.optional("DownloadSpeed", &self.download_speeds).close();
        }
        w.close();
    }
}

/// `ON`, `OK`, `ONLINE`, nothing, anything: yes.
fn is_online(text: &str) -> bool {
    !["OFF", "OFFLINE", "ERROR", "DEFECT", "VLOST", "0", "FALSE"].iter().any(|off| text.eq_ignore_ascii_case(off))
}

fn degrees(text: &str, most: f64) -> Option<f64> {
    text.parse::<f64>().ok().filter(|n| n.abs() <= most && *n != 0.0)
}
