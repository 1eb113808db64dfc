//! Who is registered: one small record a device, found by id.

use super::super::{Id, Version};
use super::call::CallId;
use super::query::QueryId;
use super::subscribe::Subscriptions;
use super::{Server, Wake};
use crate::media::time::Timestamp;
use crate::proto::sip::Path;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// A device: the platform id that it registered to and its own. Factory ids repeat, so one alone names nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceKey {
    /// Ours.
    pub platform: Id,
    /// Its own.
    pub device: Id,
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.device, self.platform)
    }
}

impl fmt::Display for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A registration from before a restart.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The device.
    pub key: DeviceKey,
    /// How it was reached; `None` for a TCP connection, which is gone.
    pub path: Option<Path>,
    /// How much longer its registration lasts.
    pub expires_in: Duration,
    /// What it speaks.
    pub version: Version,
    /// Whether it had to give a password.
    pub authenticated: bool,
}

/// What is known of a registered device.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// How it is reached; `None` while its connection is lost.
    pub path: Option<Path>,
    /// What it speaks.
    pub version: Version,
    /// When it was last heard.
    pub heard: Timestamp,
    /// When its registration ends.
    pub expires: Timestamp,
    /// The rhythm of its life signs, as seen.
    pub interval: Duration,
}

pub(super) struct Device {
    pub key: DeviceKey,
    pub path: Option<Path>,
    pub version: Version,
    /// Whether it had to give a password.
    pub authenticated: bool,
    pub heard: Timestamp,
    pub expires: Timestamp,
    /// When its connection closed.
    pub lost: Option<Timestamp>,
    /// A probe is out since.
    pub probed: Option<Timestamp>,
    pub keepalive: Option<Timestamp>,
    pub last_gap: Duration,
    pub interval: Duration,
    /// When its live timer entry fires.
    pub wake: Timestamp,
    /// A hash of the Call-ID that it registered with.
    pub registration: u128,
    /// A hash of the faulty children that it last told.
    pub faulty: u128,
    pub queries: Vec<QueryId>,
    pub calls: Vec<CallId>,
    pub subscriptions: Option<Box<Subscriptions>>,
}

/// All registered devices, by their own id and then by platform; nearly always there is one of an id.
#[derive(Default)]
pub(super) struct Table {
    by_id: HashMap<Id, Vec<Device>>,
    /// Devices by where they are reached: some sign with a channel's id, and are known by this.
    at: HashMap<(u64, Option<SocketAddr>), At>,
    len: usize,
}

/// Nearly always one; a simulator or a gateway can be many.
enum At {
    One(DeviceKey),
    Many(HashSet<DeviceKey>),
}

/// A connection is enough to know a peer by; a UDP socket needs its address as well.
fn place(path: &Path) -> (u64, Option<SocketAddr>) {
    (path.link, (!path.is_reliable()).then_some(path.remote))
}

impl Table {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn get(&self, key: &DeviceKey) -> Option<&Device> {
        self.by_id.get(&key.device)?.iter().find(|device| device.key == *key)
    }

    pub fn get_mut(&mut self, key: &DeviceKey) -> Option<&mut Device> {
        self.by_id.get_mut(&key.device)?.iter_mut().find(|device| device.key == *key)
    }

    /// The device that a message means: its id, the platform that it talks to if that says something, else the one on this path,
    /// else the only one.
    pub fn find(&self, id: Id, platform: Option<Id>, path: &Path) -> Option<DeviceKey> {
        let all = self.by_id.get(&id)?;
        let of_platform = all.iter().find(|device| Some(device.key.platform) == platform);
        let on_path = || all.iter().find(|device| device.path.is_some_and(|known| known.link == path.link && known.remote == path.remote));
        let only = || if all.len() == 1 { all.first() } else { None };
        of_platform.or_else(on_path).or_else(only).map(|device| device.key)
    }

    pub fn insert(&mut self, device: Device) {
        let key = device.key;
        let all = self.by_id.entry(key.device).or_default();
        match all.iter_mut().find(|old| old.key == key) {
            Some(old) => *old = device,
            None => {
                all.push(device);
                self.len += 1;
            }
        }
    }

    pub fn remove(&mut self, key: &DeviceKey) -> Option<Device> {
        let all = self.by_id.get_mut(&key.device)?;
        let at = all.iter().position(|device| device.key == *key)?;
        let device = all.swap_remove(at);
        if all.is_empty() {
            self.by_id.remove(&key.device);
        }
        self.len -= 1;
        if let Some(path) = device.path {
            self.unlink(&path, key);
        }
        Some(device)
    }

    /// Sets how a device is reached.
    pub fn set_path(&mut self, key: &DeviceKey, path: Path) {
        let Some(device) = self.get_mut(key) else { return };
        let old = device.path.replace(path);
        device.lost = None;
        if old.is_some_and(|old| place(&old) == place(&path)) {
            return;
        }
        if let Some(old) = old {
            self.unlink(&old, key);
        }
        match self.at.get_mut(&place(&path)) {
            None => {
                self.at.insert(place(&path), At::One(*key));
            }
            Some(At::Many(keys)) => {
                keys.insert(*key);
            }
            Some(one) => {
                if let At::One(other) = *one
                    && other != *key
                {
                    *one = At::Many([other, *key].into());
                }
            }
        }
    }

    /// The only device that is reached there.
    pub fn on_path(&self, path: &Path) -> Option<DeviceKey> {
        match self.at.get(&place(path))? {
            At::One(only) => Some(*only),
            At::Many(_) => None,
        }
    }

    /// The devices of a connection that closed.
    pub fn take_link(&mut self, link: u64) -> Vec<DeviceKey> {
        match self.at.remove(&(link, None)) {
            None => Vec::new(),
            Some(At::One(key)) => vec![key],
            Some(At::Many(keys)) => keys.into_iter().collect(),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.by_id.values().flatten()
    }

    fn unlink(&mut self, path: &Path, key: &DeviceKey) {
        let empty = match self.at.get_mut(&place(path)) {
            None => false,
            Some(At::One(one)) => one == key,
            Some(At::Many(keys)) => {
                keys.remove(key);
                keys.is_empty()
            }
        };
        if empty {
            self.at.remove(&place(path));
        }
    }
}

impl Server {
    /// Takes over registrations from before a restart: those devices count as there, and have the usual time to show it.
    pub fn restore(&mut self, now: Timestamp, registrations: impl IntoIterator<Item = Restored>) {
        for restored in registrations {
            let spread = Duration::from_millis(self.ids.number() % 30_000);
            let silence = self.config.keepalive * self.config.misses.max(1) + spread;
            let wake = now + silence.into();
            let device = Device {
                key: restored.key,
                path: None,
                version: restored.version,
                authenticated: restored.authenticated,
                heard: now + spread.into(),
                expires: now + restored.expires_in.into(),
                lost: None,
                probed: None,
                keepalive: None,
                last_gap: Duration::ZERO,
                interval: self.config.keepalive,
                wake,
                registration: 0,
                faulty: 0,
                queries: Vec::new(),
                calls: Vec::new(),
                subscriptions: None,
            };
            self.devices.insert(device);
            if let Some(path) = restored.path {
                self.devices.set_path(&restored.key, path);
            }
            self.timers.set(wake, Wake::Device(restored.key));
        }
    }

    /// What is known of a device; `None` if it is not registered.
    pub fn device(&self, key: &DeviceKey) -> Option<Snapshot> {
        self.devices.get(key).map(|device| Snapshot {
            path: device.path,
            version: device.version,
            heard: device.heard,
            expires: device.expires,
            interval: device.interval,
        })
    }

    /// All registered devices.
    pub fn devices(&self) -> impl Iterator<Item = DeviceKey> {
        self.devices.iter().map(|device| device.key)
    }
}
