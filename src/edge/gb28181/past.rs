//! Calls that are over, for the call doctor: who asks what went wrong asks afterwards.

use super::media::Report;
use super::pull::Failure;
use crate::base::id::StreamKey;
use crate::media::time::Timestamp;
use crate::model::id::DeviceId;
use crate::proto::gb28181::server::CallId;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// A call that is over.
#[derive(Debug, Clone)]
pub struct Past {
    /// The device.
    pub device: DeviceId,
    /// The stream.
    pub stream: StreamKey,
    /// The call: the signalling keeps its messages for a while.
    pub call: CallId,
    /// What had arrived.
    pub media: Report,
    /// Why it is over.
    pub why: Failure,
    /// When that was.
    pub at: Timestamp,
}

/// The last of them.
#[derive(Default)]
pub struct PastCalls(Mutex<VecDeque<Past>>);

/// Calls that are kept: of all devices, and of one.
const KEPT: usize = 500;
const OF_ONE: usize = 4;

impl PastCalls {
    /// Keeps a call in place of the oldest.
    pub fn note(&self, past: Past) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.iter().filter(|other| other.device == past.device).count() >= OF_ONE
            && let Some(oldest) = all.iter().position(|other| other.device == past.device)
        {
            all.remove(oldest);
        }
        if all.len() >= KEPT {
            all.pop_front();
        }
        all.push_back(past);
    }

    /// A device's, oldest first.
    pub fn of(&self, device: DeviceId) -> Vec<Past> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|past| past.device == device).cloned().collect()
    }
}
