//! Who wants to know what changed: recorders, edges and caches follow the store without being called by the API.

use crate::model::binding::Instance;
use crate::model::id::{DeviceId, GroupId, StreamId, TemplateId, TenantId, UpperId};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Something was created, modified or deleted; whoever cares reads it again. It is durable already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A tenant or its keys.
    Tenant(TenantId),
    /// A group; everything inside went with it if it is gone.
    Group(GroupId),
    /// A device, as an operator sees it; changes of its status alone are not told.
    Device(DeviceId, GroupId),
    /// Channels of a device, and with them streams.
    Channels(DeviceId),
    /// A stream, as an operator sees it; changes of its status alone are not told.
    Stream(StreamId),
    /// A template.
    Template(TemplateId),
    /// What is bound to a group (and, by `ApplyAll`, to its streams) or to a stream.
    Bindings(Instance),
    /// Callbacks were queued.
    Callbacks,
    /// Licenses of a group were activated or extended.
    Licenses(GroupId),
    /// An upper platform, or what is shown to it.
    Upper(UpperId),
}

/// What a watcher gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A change.
    Change(Change),
    /// So many changes were missed: the watcher was too slow and must read everything again.
    Missed(u64),
}

/// A watcher.
pub struct Changes(broadcast::Receiver<Change>);

impl Changes {
    /// The next change; `None` when the store is gone.
    pub async fn next(&mut self) -> Option<Seen> {
        match self.0.recv().await {
            Ok(change) => Some(Seen::Change(change)),
            Err(RecvError::Lagged(n)) => Some(Seen::Missed(n)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Changes that a watcher may be behind.
const KEPT: usize = 4096;

pub(super) struct Watchers(broadcast::Sender<Change>);

impl Watchers {
    pub(super) fn new() -> Watchers {
        Watchers(broadcast::Sender::new(KEPT))
    }

    pub(super) fn watch(&self) -> Changes {
        Changes(self.0.subscribe())
    }

    pub(super) fn tell(&self, change: Change) {
        // Nobody watching is fine.
        let _ = self.0.send(change);
    }
}
