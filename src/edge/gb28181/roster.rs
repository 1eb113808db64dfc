//! Who may register, in memory: read from the store at start and kept in step with it, so that a registration costs no query.

use crate::base::pii::Secret;
use crate::model::device::{Device, Kind, Status};
use crate::model::group::Group;
use crate::model::id::{DeviceId, GbId, GroupId, TenantId};
use crate::model::time::Time;
use crate::proto::gb28181::Id;
use crate::proto::gb28181::server::{DeviceKey, Registration, Verdict};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What is known of a group.
#[derive(Debug, Clone)]
pub struct GroupEntry {
    /// Its id.
    pub id: GroupId,
    /// Whose it is.
    pub owner: TenantId,
    /// Its platform id.
    pub platform: Id,
    /// Whether it runs: it is enabled, and its owner's service is open.
    pub enabled: bool,
    /// The password of devices without one.
    pub password: Option<Secret>,
    /// Whether unknown devices are created.
    pub auto_register: bool,
    /// Where changes are posted.
    pub callback: Option<String>,
}

/// What is known of a device.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id.
    pub id: DeviceId,
    /// Its group.
    pub group: GroupId,
    /// Its name in the signalling.
    pub key: DeviceKey,
    /// What it is.
    pub kind: Kind,
    /// Its password, if it has one of its own.
    pub password: Option<Secret>,
    /// Its user name, if it is not its id.
    pub username: String,
    /// Whether it may register.
    pub enabled: bool,
    /// Whether its streams start by themselves.
    pub auto_start: bool,
    /// Whether its position is followed.
    pub auto_pos: bool,
    /// How often, in seconds.
    pub pos_interval: u32,
    /// Which alarms are followed: a list of numbers; empty is none.
    pub alarm_method: String,
    /// Further settings, JSON.
    pub params: String,
    /// Its state.
    pub status: Status,
    /// Since when.
    pub since: Time,
}

impl Entry {
    /// How its media travels, if its parameters say so: `{"media":"tcp"}`, `"udp"`, `"tcp-active"`.
    pub fn media(&self) -> Option<super::settings::Carriage> {
        serde_json::from_value(self.param("media")?).ok()
    }

    /// Which of its streams is wanted, if its parameters say so: `{"stream":1}`.
    pub fn stream_number(&self) -> Option<u8> {
        self.param("stream")?.as_u64().and_then(|number| u8::try_from(number).ok())
    }

    /// Whether a parameter is true.
    pub fn flag(&self, name: &str) -> bool {
        self.param(name).and_then(|value| value.as_bool()).unwrap_or(false)
    }

    fn param(&self, name: &str) -> Option<serde_json::Value> {
        if self.params.len() <= 2 {
            return None;
        }
        serde_json::from_str::<serde_json::Value>(&self.params).ok()?.get(name).cloned()
    }
}

/// The roster.
#[derive(Default)]
pub struct Roster {
    lists: RwLock<Lists>,
    /// Takes devices without any password.
    no_password: bool,
}

#[derive(Default)]
struct Lists {
    groups: HashMap<GroupId, GroupEntry>,
    platforms: HashMap<Id, GroupId>,
    devices: HashMap<DeviceKey, Entry>,
    keys: HashMap<DeviceId, DeviceKey>,
    /// Of the groups whose devices need a license: who has one, and until when.
    licenses: HashMap<GroupId, HashMap<String, Time>>,
}

/// What the roster says about a registration.
#[derive(Debug, Clone, PartialEq)]
pub enum Say {
    /// This.
    Verdict(Verdict),
    /// The device is to be created in this group first.
    Create(GroupId),
}

impl Roster {
    /// Empty.
    pub fn new(no_password: bool) -> Roster {
        Roster { no_password, ..Roster::default() }
    }

    /// Judges a registration that comes `now`.
    pub fn judge(&self, registration: &Registration, now: Time) -> Say {
        let lists = self.read();
        let refuse = |status, why| Say::Verdict(Verdict::Refuse { status, why });
        // the platform that knows the device; else the first that it can mean
        let known = registration.platforms.iter().find_map(|platform| {
            let key = DeviceKey { platform: *platform, device: registration.device };
            lists.devices.get(&key)
        });
        let group = match known {
            Some(device) => lists.groups.get(&device.group),
            None => registration.platforms.first().and_then(|platform| lists.groups.get(lists.platforms.get(platform)?)),
        };
        let Some(group) = group else { return refuse(404, "no group has this platform id") };
        if !group.enabled {
            return refuse(403, "its group is halted, or its owner's service is suspended");
        }
        let licensed = |licenses: &HashMap<String, Time>| licenses.get(registration.device.as_str()).is_some_and(|until| *until > now);
        if !lists.licenses.get(&group.id).is_none_or(licensed) {
            return refuse(
                403,
                "its group requires a license and it has none that is valid: activate one with its national id as licenseKey",
            );
        }
        let Some(device) = known else {
            let code = registration.device.as_str().parse::<GbId>();
            return match (group.auto_register, code) {
                (true, Ok(_)) => Say::Create(group.id),
                (true, Err(_)) => refuse(404, "its id is no 20-digit code"),
                (false, _) => refuse(404, "no device of the group has this id"),
            };
        };
        if !device.enabled {
            return refuse(403, "it is disabled");
        }
        if device.status == Status::Failed {
            return refuse(403, "it is locked after repeated wrong passwords");
        }
        let password = device.password.as_ref().or(group.password.as_ref()).filter(|password| !password.0.is_empty());
        let username = Some(device.username.clone()).filter(|name| !name.is_empty());
        match password {
            Some(password) => Say::Verdict(Verdict::Admit { platform: group.platform, password: Some(password.0.clone()), username }),
            None if self.no_password => Say::Verdict(Verdict::Admit { platform: group.platform, password: None, username }),
            None => refuse(403, "neither it nor its group has a password, and gb28181.no_password is off"),
        }
    }

    /// Takes a group in, or over. `None`: it is gone. `open`: whether its owner's service is.
    pub fn put_group(&self, id: GroupId, group: Option<&Group>, open: bool) {
        let mut lists = self.write();
        if let Some(old) = lists.groups.remove(&id) {
            lists.platforms.remove(&old.platform);
        }
        let Some((group, platform)) = group.and_then(|group| Some((group, Id::new(group.gb_id.as_ref()?.as_str())?))) else { return };
        let entry = GroupEntry {
            id,
            owner: group.owner,
            platform,
            enabled: group.enabled && open,
            password: group.gb_password.clone(),
            auto_register: group.auto_register,
            callback: group.callback.clone().filter(|url| !url.is_empty()),
        };
        lists.platforms.insert(platform, id);
        lists.groups.insert(id, entry);
    }

    /// Who of a group has a license, and until when; `None`: its devices need none.
    pub fn set_licenses(&self, group: GroupId, licenses: Option<HashMap<String, Time>>) {
        let mut lists = self.write();
        match licenses {
            Some(licenses) => drop(lists.licenses.insert(group, licenses)),
            None => drop(lists.licenses.remove(&group)),
        }
    }

    /// Takes a device in, or over. Gives the name that it had in the signalling, if that is another now or it is gone.
    pub fn put_device(&self, id: DeviceId, device: Option<&Device>) -> Option<DeviceKey> {
        let mut lists = self.write();
        let old = lists.keys.remove(&id);
        let mut before = old.and_then(|key| lists.devices.remove(&key));
        let platform = device.and_then(|device| lists.groups.get(&device.group)).map(|group| group.platform);
        let named = device.zip(platform).and_then(|(device, platform)| Some((device, platform, Id::new(device.gb_id.as_str())?)));
        let Some((device, platform, code)) = named else { return old };
        let key = DeviceKey { platform, device: code };
        // the state in memory is ahead of the one in the store
        let state = before.take().map(|before| (before.status, before.since));
        let (status, since) = state.unwrap_or((device.status, device.status_at));
        let entry = Entry {
            id,
            group: device.group,
            key,
            kind: device.kind,
            password: device.password.clone().filter(|password| !password.0.is_empty()),
            username: device.username.clone(),
            enabled: device.enabled,
            auto_start: device.auto_start,
            auto_pos: device.auto_pos,
            pos_interval: device.pos_interval,
            alarm_method: device.alarm_method.clone(),
            params: device.params.clone(),
            status,
            since,
        };
        lists.keys.insert(id, key);
        lists.devices.insert(key, entry);
        old.filter(|old| *old != key)
    }

    /// Notes a state; gives the entry as it is now, if that is a change.
    pub fn set_status(&self, key: &DeviceKey, status: Status, at: Time) -> Option<Entry> {
        let mut lists = self.write();
        let device = lists.devices.get_mut(key)?;
        if device.status == status {
            return None;
        }
        (device.status, device.since) = (status, at);
        Some(device.clone())
    }

    /// A device by its name in the signalling.
    pub fn device(&self, key: &DeviceKey) -> Option<Entry> {
        self.read().devices.get(key).cloned()
    }

    /// A device by its id.
    pub fn by_id(&self, id: DeviceId) -> Option<Entry> {
        let lists = self.read();
        lists.devices.get(lists.keys.get(&id)?).cloned()
    }

    /// A group.
    pub fn group(&self, id: GroupId) -> Option<GroupEntry> {
        self.read().groups.get(&id).cloned()
    }

    /// The platform ids of all groups, halted ones included: their devices are refused with a reason.
    pub fn platforms(&self) -> Vec<Id> {
        self.read().platforms.keys().copied().collect()
    }

    /// The groups of a tenant.
    pub fn groups_of(&self, owner: TenantId) -> Vec<GroupId> {
        self.read().groups.values().filter(|group| group.owner == owner).map(|group| group.id).collect()
    }

    /// Whether a group runs.
    pub fn runs(&self, group: GroupId) -> bool {
        self.read().groups.get(&group).is_some_and(|group| group.enabled)
    }

    /// The devices of a group.
    pub fn devices_of(&self, group: GroupId) -> Vec<Entry> {
        self.read().devices.values().filter(|device| device.group == group).cloned().collect()
    }

    /// How many devices there are.
    pub fn count(&self) -> usize {
        self.read().devices.len()
    }

    fn read(&self) -> RwLockReadGuard<'_, Lists> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Lists> {
        self.lists.write().unwrap_or_else(PoisonError::into_inner)
    }
}
