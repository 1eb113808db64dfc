//! MANSCDP (annex A): the XML of queries, controls, notifications and their answers.
//!
//! [`Body`] is any of them, read; the other types here are what is in it. A type with `read` comes from devices, one with `write`
//! goes to them, and what both sides say has both.

mod alarm;
mod control;
mod info;
mod item;
mod position;
mod query;
mod record;
#[cfg(test)]
mod tests;

pub use alarm::{Alarm, AlarmMethod};
pub use control::{Control, DragZoom, HomePosition};
pub use info::{DeviceInfo, DeviceStatus, Preset, presets};
pub use item::{Change, Item};
pub use position::{Position, positions};
pub use query::{Query, RecordQuery};
pub use record::Record;

use super::xml::{self, Document, Element, Writer};
use super::{Id, Version, charset};
use bytes::Bytes;

/// The content type.
pub const TYPE: &str = "Application/MANSCDP+xml";

/// The root element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Root {
    /// Do something.
    Control,
    /// Tell something.
    Query,
    /// Something happened.
    Notify,
    /// The answer to one of the others.
    Response,
}

impl Root {
    /// The element's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Root::Control => "Control",
            Root::Query => "Query",
            Root::Notify => "Notify",
            Root::Response => "Response",
        }
    }
}

macro_rules! commands {
    ($($variant:ident = $text:literal),* $(,)?) => {
        /// What it is about: `CmdType`.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Cmd {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
            /// Any other.
            Other(Box<str>),
        }

        impl Cmd {
            /// As it is written.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Cmd::$variant => $text,)*
                    Cmd::Other(text) => text,
                }
            }

            /// Reads it, in any letter case.
            pub fn parse(text: &str) -> Cmd {
                $(if text.eq_ignore_ascii_case($text) {
                    return Cmd::$variant;
                })*
                Cmd::Other(text.into())
            }
        }
    };
}

commands! {
    Keepalive = "Keepalive",
    Catalog = "Catalog",
    DeviceInfo = "DeviceInfo",
    DeviceStatus = "DeviceStatus",
    RecordInfo = "RecordInfo",
    MobilePosition = "MobilePosition",
    Alarm = "Alarm",
    ConfigDownload = "ConfigDownload",
    DeviceConfig = "DeviceConfig",
    PresetQuery = "PresetQuery",
    DeviceControl = "DeviceControl",
    Broadcast = "Broadcast",
    MediaStatus = "MediaStatus",
    HomePositionQuery = "HomePositionQuery",
    CruiseTrackListQuery = "CruiseTrackListQuery",
    CruiseTrackQuery = "CruiseTrackQuery",
    PtzPosition = "PTZPosition",
    SdCardStatus = "SDCardStatus",
    DeviceUpgradeResult = "DeviceUpgradeResult",
    UploadSnapShotFinished = "UploadSnapShotFinished",
    VideoUploadNotify = "VideoUploadNotify",
}

/// Why a body is not MANSCDP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not XML that can be read.
    #[error(transparent)]
    Xml(#[from] xml::Error),
    /// Another root element.
    #[error("the root element is none of Control, Query, Notify, Response: {0:?}")]
    Root(String),
    /// No command.
    #[error("no CmdType")]
    NoCommand,
}

/// A body, read.
#[derive(Debug, Clone)]
pub struct Body {
    /// Its root.
    pub root: Root,
    /// Its command.
    pub cmd: Cmd,
    /// Its number; 0 where there is none.
    pub sn: u32,
    /// Whom it is about: a device, a channel, a platform; not always the sender.
    pub device: Option<Id>,
    document: Document,
}

impl Body {
    /// Reads a body in whatever charset it is.
    pub fn parse(body: &[u8]) -> Result<Body, Error> {
        let document = Document::parse(&charset::decode(body))?;
        let element = document.root();
        let roots = [Root::Control, Root::Query, Root::Notify, Root::Response];
        let root = roots.into_iter().find(|root| element.name().eq_ignore_ascii_case(root.as_str()));
        let root = root.ok_or_else(|| Error::Root(element.name().chars().take(40).collect()))?;
        let cmd = Cmd::parse(element.get("CmdType").ok_or(Error::NoCommand)?);
        let sn = element.number("SN").unwrap_or(0);
        let device = element.get("DeviceID").and_then(Id::new);
        Ok(Body { root, cmd, sn, device, document })
    }

    /// Its root element.
    pub fn root_element(&self) -> Element<'_> {
        self.document.root()
    }

    /// Whether the text broke off.
    pub fn is_cut(&self) -> bool {
        self.document.cut
    }

    /// `Result`: whether a control was carried out; missing counts as yes.
    pub fn is_ok(&self) -> bool {
        self.root_element().get("Result").is_none_or(|text| text.eq_ignore_ascii_case("OK"))
    }

    /// `SumNum`: how many items the whole answer has.
    pub fn sum(&self) -> Option<u64> {
        self.root_element().number("SumNum")
    }

    /// The items of a list element and the count that it announces.
    pub fn list(&self, name: &str) -> (Option<u64>, impl Iterator<Item = Element<'_>>) {
        let list = self.root_element().child(name);
        (list.and_then(|list| list.number("Num")), list.into_iter().flat_map(Element::items))
    }
}

/// A document about to be written: prolog, root, CmdType, SN, DeviceID.
pub fn document(version: Version, root: Root, cmd: &Cmd, sn: u32, device: &str) -> Writer {
    let mut writer = Writer::new(version.label(), root.as_str());
    writer.field("CmdType", cmd.as_str()).field("SN", sn).field("DeviceID", device);
    writer
}

/// A finished document as bytes.
pub fn bytes(writer: Writer) -> Bytes {
    charset::encode(&writer.finish()).into_owned().into()
}

/// A response that only says yes or no.
pub fn result(version: Version, cmd: &Cmd, sn: u32, device: &str, ok: bool) -> Bytes {
    let mut writer = document(version, Root::Response, cmd, sn, device);
    writer.field("Result", if ok { "OK" } else { "ERROR" });
    bytes(writer)
}

/// A device's sign of life; `faulty` children are listed.
pub fn keepalive(version: Version, sn: u32, device: &str, faulty: &[Id]) -> Bytes {
    let mut writer = document(version, Root::Notify, &Cmd::Keepalive, sn, device);
    writer.field("Status", "OK");
    if !faulty.is_empty() {
        writer.open("Info");
        for id in faulty {
            writer.field("DeviceID", id);
        }
    }
    bytes(writer)
}

/// The children that a keep-alive reports as faulty.
pub fn faulty(body: &Body) -> Vec<Id> {
    let info = body.root_element().child("Info");
    let children = info.into_iter().flat_map(Element::children).filter(|child| child.name().eq_ignore_ascii_case("DeviceID"));
    children.filter_map(|child| Id::new(child.text())).take(10_000).collect()
}

/// Asks a device to fetch our voice for one of its outputs (section 9.12).
pub fn broadcast(version: Version, sn: u32, source: &str, target: &str) -> Bytes {
    let mut writer = Writer::new(version.label(), Root::Notify.as_str());
    writer.field("CmdType", Cmd::Broadcast.as_str()).field("SN", sn).field("SourceID", source).field("TargetID", target);
    bytes(writer)
}

/// Tells that a recording was sent to its end (121).
pub fn media_status(version: Version, sn: u32, channel: &str) -> Bytes {
    let mut writer = document(version, Root::Notify, &Cmd::MediaStatus, sn, channel);
    writer.field("NotifyType", 121);
    bytes(writer)
}
