//! Questions to a device.

use super::super::localtime::Zone;
use super::super::{Id, Version};
use super::{Body, Cmd, Root, bytes, document};
use bytes::Bytes;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// All channels below the target.
    Catalog,
    /// Make, model, firmware.
    DeviceInfo,
    /// How it is doing.
    DeviceStatus,
    /// What it recorded.
    RecordInfo(RecordQuery),
    /// Parts of its configuration, joined by `/`.
    ConfigDownload(String),
    /// Stored positions of its head.
    Presets,
    /// Where it is, every so many seconds; the body of a subscription.
    MobilePosition {
        /// Seconds.
        interval: u32,
    },
    /// Alarms; the body of a subscription.
    Alarm {
        /// Highest and lowest priority.
        priorities: (u8, u8),
        /// 0 for all, or one method.
        method: u8,
    },
    /// Anything else, by name only.
    Other(Cmd),
}

/// What part of the recordings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordQuery {
    /// Milliseconds since 1970.
    pub start: i64,
    /// Milliseconds since 1970.
    pub end: i64,
    /// `all`, `time`, `alarm`, `manual`; empty is `all`.
    pub kind: String,
}

impl Query {
    /// What it is about.
    pub fn cmd(&self) -> Cmd {
        match self {
            Query::Catalog => Cmd::Catalog,
            Query::DeviceInfo => Cmd::DeviceInfo,
            Query::DeviceStatus => Cmd::DeviceStatus,
            Query::RecordInfo(_) => Cmd::RecordInfo,
            Query::ConfigDownload(_) => Cmd::ConfigDownload,
            Query::Presets => Cmd::PresetQuery,
            Query::MobilePosition { .. } => Cmd::MobilePosition,
            Query::Alarm { .. } => Cmd::Alarm,
            Query::Other(cmd) => cmd.clone(),
        }
    }

    /// The body.
    pub fn write(&self, version: Version, sn: u32, target: &str, zone: Zone) -> Bytes {
        let mut w = document(version, Root::Query, &self.cmd(), sn, target);
        match self {
            Query::RecordInfo(query) => {
                w.field("StartTime", zone.format(query.start)).field("EndTime", zone.format(query.end)).field("Secrecy", 0);
                // without a type some NVRs give scheduled recordings only, or nothing
                w.field("Type", if query.kind.is_empty() { "all" } else { &query.kind });
            }
            Query::ConfigDownload(kinds) => {
                w.field("ConfigType", kinds);
            }
            Query::MobilePosition { interval } => {
                w.field("Interval", interval);
            }
            Query::Alarm { priorities: (highest, lowest), method } => {
                w.field("StartAlarmPriority", highest).field("EndAlarmPriority", lowest).field("AlarmMethod", method);
            }
            Query::Catalog | Query::DeviceInfo | Query::DeviceStatus | Query::Presets | Query::Other(_) => {}
        }
        bytes(w)
    }

    /// Reads a body whose root is Query, with whom it asks about.
    pub fn read(body: &Body, zone: Zone) -> (Query, Option<Id>) {
        let root = body.root_element();
        let query = match &body.cmd {
            Cmd::Catalog => Query::Catalog,
            Cmd::DeviceInfo => Query::DeviceInfo,
            Cmd::DeviceStatus => Query::DeviceStatus,
            Cmd::RecordInfo => Query::RecordInfo(RecordQuery {
                start: root.get("StartTime").and_then(|text| zone.parse(text)).unwrap_or(0),
                end: root.get("EndTime").and_then(|text| zone.parse(text)).unwrap_or(i64::MAX),
                kind: root.text_of("Type").to_owned(),
            }),
            Cmd::ConfigDownload => Query::ConfigDownload(root.text_of("ConfigType").to_owned()),
            Cmd::PresetQuery => Query::Presets,
            Cmd::MobilePosition => Query::MobilePosition { interval: root.number("Interval").unwrap_or(5) },
            Cmd::Alarm => Query::Alarm {
                priorities: (root.number("StartAlarmPriority").unwrap_or(1), root.number("EndAlarmPriority").unwrap_or(4)),
                method: root.number("AlarmMethod").unwrap_or(0),
            },
            other => Query::Other(other.clone()),
        };
        (query, body.device)
    }
}
