//! Somebody wants a stream that nobody publishes yet.

use super::registry::{Event, Registry};
use crate::base::id::StreamKey;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// One wanted name, shared by all who wait for it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) changed: Notify,
    refusal: Mutex<Option<String>>,
}

impl Wanted {
    pub(super) fn refuse(&self, why: &str) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
        self.changed.notify_waiters();
    }

    pub(super) fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Keeps a name wanted while it lives.
pub(super) struct Want {
    registry: Registry,
    key: StreamKey,
    pub(super) wanted: Arc<Wanted>,
}

impl Want {
    pub(super) fn new(registry: Registry, key: &StreamKey) -> Want {
        let mut first = false;
        let wanted = registry
            .wanted()
            .entry(key.clone())
            .or_insert_with(|| {
                first = true;
                Arc::default()
            })
            .clone();
        if first {
            registry.tell(Event::Wanted(key.clone()));
        }
        Want { registry, key: key.clone(), wanted }
    }
}

impl Drop for Want {
    fn drop(&mut self) {
        // Two references are left when nobody else waits: the table's and ours.
        let last = self.registry.wanted().remove_if(&self.key, |_, w| Arc::strong_count(w) <= 2).is_some();
        if last && self.registry.get(&self.key).is_none_or(|s| s.viewers() == 0) {
            self.registry.tell(Event::Idle(self.key.clone()));
        }
    }
}
