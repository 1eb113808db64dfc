//! Who is there: life signs, rhythms learned, questions to the silent, closed connections (section 9.6).

use super::super::manscdp::{self, Body, Query};
use super::device::DeviceKey;
use super::event::{Event, Gone};
use super::{Follow, Purpose, Server, Wake};
use crate::media::time::Timestamp;
use crate::proto::sip::Path;
use std::time::Duration;

/// The longest rhythm that is believed.
const INTERVAL_MAX: Duration = Duration::from_secs(900);
/// How long after its end a registration is still good: the renewal may be on its way, twice.
const RENEWAL: Duration = Duration::from_secs(40);

impl Server {
    /// The device is alive: it sent something, or its media flows.
    pub fn heard(&mut self, now: Timestamp, key: &DeviceKey) {
        if let Some(device) = self.devices.get_mut(key) {
            device.heard = device.heard.max(now);
            device.probed = None;
        }
    }

    /// Whether a device may talk from there; if so, that is where it is reached from now on.
    pub(super) fn follow(&mut self, now: Timestamp, key: &DeviceKey, path: &Path) -> bool {
        let Some(device) = self.devices.get(key) else { return false };
        let known = device.path;
        if known == Some(*path) {
            self.heard(now, key);
            return true;
        }
        // a restored TCP device has no address to compare with: it must register again if it once had to
        let same_address = known.map_or(!device.authenticated, |known| known.remote.ip() == path.remote.ip());
        if !same_address && device.authenticated && self.config.follow == Follow::Port {
            return false;
        }
        self.devices.set_path(key, *path);
        self.heard(now, key);
        self.event(Event::Moved { device: *key, path: *path });
        true
    }

    pub(super) fn on_keepalive(&mut self, now: Timestamp, key: &DeviceKey, body: &Body) {
        let default = self.config.keepalive;
        let children = manscdp::faulty(body);
        let hash = if children.is_empty() { 0 } else { self.ids.key(&children) };
        let Some(device) = self.devices.get_mut(key) else { return };
        if let Some(last) = device.keepalive {
            let gap = now.since(last).min(INTERVAL_MAX);
            // the shorter of two neighbouring gaps: one lost life sign makes no slower rhythm
            device.interval = default.max(gap.min(device.last_gap));
            device.last_gap = gap;
        }
        device.keepalive = Some(now);
        if std::mem::replace(&mut device.faulty, hash) != hash {
            self.event(Event::Faulty { device: *key, children });
        }
    }

    pub(super) fn link_closed(&mut self, now: Timestamp, link: u64) {
        for key in self.devices.take_link(link) {
            let Some(device) = self.devices.get_mut(&key) else { continue };
            if device.path.is_some_and(|path| path.link == link) {
                device.path = None;
                device.lost = Some(now);
                device.wake = now + self.config.reconnect.into();
                let wake = device.wake;
                self.timers.set(wake, Wake::Device(key));
            }
        }
    }

    pub(super) fn device_timer(&mut self, now: Timestamp, at: Timestamp, key: DeviceKey) {
        let Some(device) = self.devices.get(&key).filter(|device| device.wake == at) else { return };
        let expired = device.expires + RENEWAL.into();
        let silent = device.heard + (device.interval * self.config.misses.max(1)).into();
        let lost = device.lost.map(|lost| lost + self.config.reconnect.into());
        let probed = device.probed.map(|probed| probed + self.config.probe.into());
        let path = device.path;
        let next = if lost.is_some_and(|lost| now >= lost) {
            return self.gone(now, &key, Gone::Disconnected);
        } else if now >= expired {
            return self.gone(now, &key, Gone::Expired);
        } else if let Some(probed) = probed {
            if now >= probed {
                return self.gone(now, &key, Gone::Silent);
            }
            probed
        } else if now >= silent {
            match path {
                // a restored device that never came back
                None => return self.gone(now, &key, Gone::Silent),
                Some(_) => self.probe(now, key),
            }
            now + self.config.probe.into()
        } else {
            silent
        };
        let next = next.min(expired).min(lost.unwrap_or(next)).max(Timestamp(now.0 + 1));
        if let Some(device) = self.devices.get_mut(&key) {
            device.wake = next;
            self.timers.set(next, Wake::Device(key));
        }
    }

    /// Asks a silent device how it is: any answer, even a refusal, is a life sign. Devices that never send any stay online by this.
    fn probe(&mut self, now: Timestamp, key: DeviceKey) {
        let sn = self.next_sn();
        let zone = self.config.zone;
        let Some(device) = self.devices.get_mut(&key) else { return };
        device.probed = Some(now);
        let body = Query::DeviceStatus.write(device.version, sn, key.device.as_str(), zone);
        self.message(now, &key, key.device, body, Purpose::Probe(key));
    }

    /// Forgets a device; its calls and questions end.
    pub(super) fn gone(&mut self, now: Timestamp, key: &DeviceKey, why: Gone) {
        let Some(device) = self.devices.remove(key) else { return };
        for id in device.queries {
            self.fail_query(id, super::Unanswered::Offline);
        }
        for id in device.calls {
            self.device_gone(now, id, device.path);
        }
        self.event(Event::Offline { device: *key, why });
    }

    /// Forgets a device that is deleted or whose group is halted. It is told nothing; its next message is refused.
    pub fn remove(&mut self, now: Timestamp, key: &DeviceKey) {
        self.gone(now, key, Gone::Removed);
        self.unlock(key);
        self.pump(now);
    }
}
