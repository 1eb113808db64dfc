//! Where something moves: MobilePosition, the flat notification of 2016 and the list of 2022.

use super::super::localtime::Zone;
use super::super::xml::Element;
use super::super::{Id, Version};
use super::{Body, Cmd, Root, bytes, document};
use bytes::Bytes;

/// A position, WGS-84 by the book.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Position {
    /// Whose; the sender's own where it does not say.
    pub id: Option<Id>,
    /// Milliseconds since 1970; `None` if the device's text cannot be read.
    pub time: Option<i64>,
    /// Degrees.
    pub longitude: f64,
    /// Degrees.
    pub latitude: f64,
    /// km/h.
    pub speed: Option<f64>,
    /// Degrees from north.
    pub direction: Option<f64>,
    /// Metres.
    pub altitude: Option<f64>,
}

/// The positions of a notification; those without coordinates are left out.
pub fn positions(body: &Body, zone: Zone) -> Vec<Position> {
    let root = body.root_element();
    let time = root.get("Time").and_then(|text| zone.parse(text));
    let (_, items) = body.list("DeviceList");
    let mut found: Vec<_> = items.filter_map(|item| read(item, item.get("DeviceID").and_then(Id::new), time, zone)).take(10_000).collect();
    if found.is_empty() {
        found.extend(read(root, body.device, time, zone));
    }
    found
}

fn read(element: Element<'_>, id: Option<Id>, time: Option<i64>, zone: Zone) -> Option<Position> {
    let number = |name: &str| element.number::<f64>(name).filter(|n| n.is_finite());
    Some(Position {
        id,
        time: element.get("CaptureTime").and_then(|text| zone.parse(text)).or(time),
        longitude: number("Longitude").filter(|n| n.abs() <= 180.0)?,
        latitude: number("Latitude").filter(|n| n.abs() <= 90.0)?,
        speed: number("Speed"),
        direction: number("Direction"),
        altitude: number("Altitude"),
    })
}

impl Position {
    /// Writes a notification in the receiver's edition.
    pub fn write(&self, version: Version, sn: u32, device: &str, zone: Zone) -> Bytes {
        let mut w = document(version, Root::Notify, &Cmd::MobilePosition, sn, device);
        let time = zone.format(self.time.unwrap_or(0));
        w.field("Time", &time);
        let list = version >= Version::V2022;
        if list {
            w.field("SumNum", 1).list("DeviceList", 1).open("Item");
            w.field("DeviceID", self.id.map_or_else(|| device.to_owned(), |id| id.to_string())).field("CaptureTime", &time);
        }
        w.field("Longitude", self.longitude).field("Latitude", self.latitude);
        for (name, value) in [("Speed", self.speed), ("Direction", self.direction), ("Altitude", self.altitude)] {
            if let Some(value) = value {
                w.field(name, value);
            }
        }
        bytes(w)
    }
}
