//! A simulated camera: registers, tells that it is alive, answers questions, sends a clip to whoever calls.
//!
//! The protocol is [`crate::proto::gb28181::client`]; here are its sockets (`link`), its manners (`device`) and the ids of many (`series`).
//! It is for demos and for tests of platforms, ours and others.

mod device;
mod link;
mod series;

pub use series::{NoSeries, Series};

use super::media::clip::Clip;
use crate::base::pii::Secret;
use crate::container::ps;
use crate::proto::gb28181::Id;
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use crate::proto::sip::Transport;

/// One camera.
#[derive(Clone)]
pub struct Settings {
    /// Where the platform listens.
    pub server: SocketAddr,
    /// How SIP travels. Media travels as the platform asks.
    pub transport: Transport,
    /// The platform's id.
    pub platform: Id,
    /// The camera's id.
    pub id: Id,
    /// Its password.
    pub password: Secret,
    /// How often it tells that it is alive.
    pub keepalive: Duration,
    /// Its channels, in the order of the catalog.
    pub channels: Vec<Id>,
    /// What every channel shows, over and over.
    pub clip: Arc<Clip>,
    /// The muxer's habits.
    pub style: ps::Style,
}

/// What all cameras that share it did and do.
#[derive(Debug, Default)]
pub struct Totals {
    registered: AtomicU64,
    calls: AtomicU64,
    served: AtomicU64,
    controls: AtomicU64,
}

impl Totals {
    /// Cameras that are registered now.
    pub fn registered(&self) -> u64 {
        self.registered.load(Ordering::Relaxed)
    }

    /// Calls that are open now.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Calls that were taken since the start.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Orders, such as to move, since the start.
    pub fn controls(&self) -> u64 {
        self.controls.load(Ordering::Relaxed)
    }
}

/// Runs a camera in a task of `tasks`, until they stop; then it hangs up and unregisters.
pub fn start(settings: Settings, totals: Arc<Totals>, clock: Clock, tasks: &Tasks) {
    let device = device::Device::new(settings, totals, clock, tasks.clone());
    tasks.spawn("camera", device.run());
}
