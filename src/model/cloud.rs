//! Recordings that were started by the cloud recording interface.

use crate::base::pii::Secret;
use crate::model::id::{GroupId, StreamId, TenantId};
use crate::model::time::Time;

/// A recording, running or over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudRecording {
    /// Its id towards the outside, 32 hex digits.
    pub sid: String,
    /// The resource that it was started with; good for one recording.
    pub resource: String,
    /// Whose.
    pub owner: TenantId,
    /// `appid`.
    pub group: GroupId,
    /// The stream that `cname` names.
    pub stream: StreamId,
    /// `cname`, as given.
    pub cname: String,
    /// `uid`, as given.
    pub uid: String,
    /// `individual` or `mix`.
    pub mode: String,
    /// The recorder's own id.
    pub recording: String,
    /// What was ordered, as JSON, with the keys of its bucket; empty once it is over.
    pub order: Secret,
    /// Whether it runs.
    pub running: bool,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub stopped: Option<Time>,
    /// When the right to ask about it and to stop it ends.
    pub expires: Time,
}
