//! A simulated camera, recorder or platform: registers, tells that it is alive, answers questions, sends a clip to whoever calls.
//!
//! The protocol is [`crate::proto::gb28181::client`]; here are its life (`device`), what it answers (`answers`),
//! the calls it takes (`calls`), a platform's tree (`tree`), the ids of many (`series`) and bad habits (`quirk`, `spoil`).
//! It is for demos and for tests of platforms, ours and others.

mod answers;
mod calls;
mod device;
mod quirk;
mod series;
mod spoil;
mod tree;

pub use quirk::{NoQuirk, Quirk, Quirks};
pub use series::{NoSeries, Series};

use super::media::clip::Clip;
use crate::base::pii::Secret;
use crate::proto::gb28181::{Id, Version};
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use crate::proto::sip::Transport;

/// What it pretends to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// A camera or a recorder: its channels stand below itself.
    #[default]
    Device,
    /// A platform: its channels stand in a tree of regions, business groups and virtual organisations.
    Platform,
}

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
    /// What it pretends to be.
    pub form: Form,
    /// Its channels, in the order of the catalog.
    pub channels: Vec<Id>,
    /// Entries in one message of a catalog.
    pub items: usize,
    /// What every channel shows, over and over; its recordings hold the same.
    pub clip: Arc<Clip>,
    /// The edition of the standard that it announces; `None` announces nothing.
    pub edition: Option<Version>,
    /// How often it alarms.
    pub alarms: Option<Duration>,
    /// Its bad habits.
    pub quirks: Quirks,
}

impl Settings {
    /// A well-behaved camera with one channel, which is itself.
    pub fn new(server: SocketAddr, platform: Id, id: Id, password: Secret, clip: Arc<Clip>) -> Settings {
        Settings {
            server,
            transport: Transport::Udp,
            platform,
            id,
            password,
            keepalive: Duration::from_secs(60),
            form: Form::Device,
            channels: vec![id],
            items: 4,
            clip,
            edition: None,
            alarms: None,
            quirks: Quirks::default(),
        }
    }
}

macro_rules! totals {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// What all cameras that share it did and do.
        #[derive(Debug, Default)]
        pub struct Totals {
            $($name: AtomicU64,)*
        }

        impl Totals {
            $($(#[doc = $doc])* pub fn $name(&self) -> u64 {
                self.$name.load(Ordering::Relaxed)
            })*
        }
    };
}

totals! {
    /// Cameras that are registered now.
    registered,
    /// Calls that are open now.
    calls,
    /// Calls that were taken since the start.
    served,
    /// Orders, such as to move, since the start.
    controls,
    /// Restarts that were ordered, since the start.
    reboots,
    /// Alarms that were told, since the start.
    alarms,
    /// Positions that were told, since the start.
    positions,
}

/// Runs a camera in a task of `tasks`, until they stop; then it hangs up and unregisters.
pub fn start(settings: Settings, totals: Arc<Totals>, clock: Clock, tasks: &Tasks) {
    let device = device::Device::new(settings, totals, clock, tasks.clone());
    tasks.spawn("camera", device.run());
}
