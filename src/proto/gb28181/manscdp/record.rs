//! One stretch of a recording.

use super::super::Id;
use super::super::localtime::Zone;
use super::super::xml::{Element, Writer};

/// An `Item` of RecordInfo.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The channel.
    pub channel: Option<Id>,
    /// Its name.
    pub name: String,
    /// Where the device keeps it.
    pub path: String,
    /// Milliseconds since 1970.
    pub start: i64,
    /// Milliseconds since 1970; the start again with some devices.
    pub end: i64,
    /// `time`, `alarm`, `manual`.
    pub kind: String,
    /// Bytes, where told.
    pub size: Option<u64>,
}

impl Record {
    /// Reads an `Item`; `None` without times that can be read.
    pub fn read(element: Element<'_>, zone: Zone) -> Option<Record> {
        let text = |name: &str| element.text_of(name).chars().take(512).collect();
        Some(Record {
            channel: element.get("DeviceID").and_then(Id::new),
            name: text("Name"),
            path: text("FilePath"),
            start: zone.parse(element.get("StartTime")?)?,
            end: zone.parse(element.get("EndTime")?)?,
            kind: text("Type"),
            size: element.number("FileSize"),
        })
    }

    /// Writes the `Item`.
    pub fn write(&self, zone: Zone, w: &mut Writer) {
        w.open("Item").field("DeviceID", self.channel.map(|id| id.to_string()).unwrap_or_default()).field("Name", &self.name);
        w.optional("FilePath", &self.path).field("StartTime", zone.format(self.start)).field("EndTime", zone.format(self.end));
        w.field("Secrecy", 0).field("Type", if self.kind.is_empty() { "time" } else { &self.kind });
        if let Some(size) = self.size {
            w.field("FileSize", size);
        }
        w.close();
    }
}
