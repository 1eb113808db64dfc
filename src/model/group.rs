//! Groups (空间): one way in, a set of ways out, and what holds for everything inside.

use crate::base::pii::Secret;
use crate::model::id::{GbId, GroupId, TenantId};
use crate::model::time::Time;
use crate::model::word::{word_set, words};

words! {
    /// How streams come in.
    InProtocol {
        /// Cameras, recorders and platforms register.
        Gb28181 = "gb28181",
        /// Encoders push.
        Rtmp = "rtmp",
    }
}

words! {
    /// How streams go out.
    OutProtocol {
        /// HTTP-FLV and WebSocket-FLV.
        Flv = "flv",
        /// HLS.
        Hls = "hls",
        /// RTMP.
        Rtmp = "rtmp",
    }
}

word_set! {
    /// The ways out of a group, as in `rtmp,flv`.
    OutProtocols of OutProtocol
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `Id`.
    pub id: GroupId,
    /// Whose it is.
    pub owner: TenantId,
    /// `Name`.
    pub name: String,
    /// `Description`.
    pub description: String,
    /// `Region`.
    pub region: String,
    /// `App`: the first segment of its streams' paths.
    pub app: String,
    /// `InProtocol`.
    pub in_protocol: InProtocol,
    /// `OutProtocol`.
    pub out_protocols: OutProtocols,
    /// `Enabled`; `Status` is `on` or `off` after it.
    pub enabled: bool,
    /// `LazyPull`: pull on the first viewer, stop after the last.
    pub lazy_pull: bool,
    /// `Callback`: where changes of devices and streams are posted.
    pub callback: Option<String>,
    /// `GbId`: the platform id that its devices register to; none in an RTMP group.
    pub gb_id: Option<GbId>,
    /// The password of devices that have none of their own.
    pub gb_password: Option<Secret>,
    /// Whether a device that nobody created is created at its first registration.
    pub auto_register: bool,
    /// Whether a device needs a valid license (its key is its GbId).
    pub license_required: bool,
    /// `CreatedTime`.
    pub created: Time,
}

/// What a new group is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// `Name`.
    pub name: String,
    /// `Description`.
    pub description: String,
    /// `Region`.
    pub region: String,
    /// `App`.
    pub app: String,
    /// `InProtocol`.
    pub in_protocol: InProtocol,
    /// `OutProtocol`.
    pub out_protocols: OutProtocols,
    /// `LazyPull`.
    pub lazy_pull: bool,
    /// `Callback`.
    pub callback: Option<String>,
    /// The platform id; `None` in a gb28181 group: the store makes a free one in `gb_area`.
    pub gb_id: Option<GbId>,
    /// The 8-digit administrative area that platform ids are made in, as in `31000000`.
    pub gb_area: u64,
    /// See [`Group::gb_password`].
    pub gb_password: Option<Secret>,
    /// See [`Group::auto_register`].
    pub auto_register: bool,
    /// See [`Group::license_required`].
    pub license_required: bool,
}

impl Draft {
    /// A draft with the defaults of the document.
    pub fn new(name: &str, in_protocol: InProtocol, out_protocols: OutProtocols) -> Draft {
        Draft {
            name: name.to_owned(),
            description: String::new(),
            region: "cn-shanghai".to_owned(),
            app: "live".to_owned(),
            in_protocol,
            out_protocols,
            lazy_pull: false,
            callback: None,
            gb_id: None,
            gb_area: 31_000_000,
            gb_password: None,
            auto_register: false,
            license_required: false,
        }
    }
}

/// Which groups are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// This one.
    pub id: Option<GroupId>,
    /// Named so.
    pub name: Option<String>,
    /// In this region.
    pub region: Option<String>,
    /// With this way in.
    pub in_protocol: Option<InProtocol>,
    /// Enabled (`on`) or halted (`off`).
    pub enabled: Option<bool>,
}

/// `Stats` of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// `DeviceNum`.
    pub devices: u64,
    /// `IpcNum`.
    pub ipcs: u64,
    /// `IedNum`.
    pub ieds: u64,
    /// `PlatformNum`.
    pub platforms: u64,
}
