//! What an upper platform sees: streams as channels of its catalog, and which of them are on.

use super::super::service::Service;
use crate::base::id::StreamKey;
use crate::model::device::Status;
use crate::model::id::DeviceId;
use crate::model::upper::{Setup, Shown};
use crate::proto::gb28181::Id;
use crate::proto::gb28181::manscdp::{Change, Item};
use std::collections::HashMap;

/// A channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub shown: Shown,
    /// Its id there.
    pub code: Id,
    /// Its id below its device.
    pub channel: Option<Id>,
    pub key: StreamKey,
}

/// All channels, and what the platform was told of them last.
#[derive(Default)]
pub(super) struct List {
    /// In the order of the catalog.
    entries: Vec<Entry>,
    by_code: HashMap<Id, usize>,
    /// `None`: the platform does not follow.
    told: Option<HashMap<Id, (Item, bool)>>,
}

/// Changes that are told at once: the rest follows.
const CHANGES: usize = 200;

impl List {
    /// Takes what is shown now. What cannot be named is left out.
    pub fn set(&mut self, shown: Vec<Shown>) {
        let entry = |shown: Shown| {
            let (code, key) = (Id::new(shown.code.as_str())?, shown.key().ok()?);
            Some(Entry { channel: shown.channel.as_ref().and_then(|channel| Id::new(channel.as_str())), code, key, shown })
        };
        self.entries = shown.into_iter().filter_map(entry).collect();
        self.by_code = self.entries.iter().enumerate().map(|(n, entry)| (entry.code, n)).collect();
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, code: Id) -> Option<&Entry> {
        self.entries.get(*self.by_code.get(&code)?)
    }

    /// The channel of a device that `source` names: itself, or the first where it names the device or something that is not shown.
    pub fn of_device(&self, device: DeviceId, source: Option<Id>) -> Option<&Entry> {
        let mut of_device = self.entries.iter().filter(|entry| entry.shown.device == Some(device)).peekable();
        let first = of_device.peek().copied();
        of_device.find(|entry| source.is_some() && entry.channel == source).or(first)
    }

    /// The catalog: our system first (without a parent: platforms take it for the root), then all channels; or one of them.
    pub fn catalog(&self, service: &Service, setup: &Setup, target: Id) -> Vec<Item> {
        let item = |entry: &Entry| entry.item(setup, entry.is_on(service));
        if let Some(entry) = self.get(target) {
            return vec![item(entry)];
        }
        let own = Item {
            id: Id::new(setup.local.as_str()),
            name: setup.name.clone(),
            manufacturer: "Weir".to_owned(),
            model: "Weir".to_owned(),
            civil_code: region(setup.local.as_str()),
            parental: Some(true),
            register_way: Some(1),
            secrecy: Some(0),
            online: true,
            ..Item::default()
        };
        std::iter::once(own).chain(self.entries.iter().map(item)).collect()
    }

    /// From now on changes are told: who subscribes has the catalog, or asks for it. Who did already misses nothing.
    pub fn follow(&mut self, service: &Service, setup: &Setup) {
        if self.told.is_none() {
            self.told = Some(self.entries.iter().map(|entry| entry.state(service, setup)).collect());
        }
    }

    /// Nobody follows any more.
    pub fn unfollow(&mut self) {
        self.told = None;
    }

    /// What is different from what the platform was told: now it counts as told.
    pub fn changes(&mut self, service: &Service, setup: &Setup) -> Vec<Item> {
        let mut changes = Vec::new();
        let Some(told) = &mut self.told else { return changes };
        for entry in &self.entries {
            let (code, (item, on)) = entry.state(service, setup);
            let change = match told.get(&code) {
                None => Change::Added,
                Some((before, _)) if !same_but_state(before, &item) => Change::Updated,
                Some((_, before)) if *before == on => continue,
                Some(_) if on => Change::On,
                Some(_) => Change::Off,
            };
            told.insert(code, (item.clone(), on));
            changes.push(Item { change: Some(change), ..item });
            if changes.len() >= CHANGES {
                return changes;
            }
        }
        let gone: Vec<Id> = told.keys().filter(|code| !self.by_code.contains_key(code)).take(CHANGES).copied().collect();
        for code in gone {
            told.remove(&code);
            changes.push(Item { id: Some(code), change: Some(Change::Deleted), ..Item::default() });
        }
        changes
    }
}

fn same_but_state(a: &Item, b: &Item) -> bool {
    Item { online: b.online, ..a.clone() } == *b
}

/// The administrative region of an id.
fn region(code: &str) -> String {
    code.get(..6).unwrap_or_default().to_owned()
}

impl Entry {
    /// Whether it can be fetched now, as far as is known: its device is registered and says that it is on; or somebody pushes it.
    pub fn is_on(&self, service: &Service) -> bool {
        match self.shown.device {
            Some(device) => self.shown.online && service.roster.by_id(device).is_some_and(|entry| entry.status == Status::On),
            None => service.registry.get(&self.key).is_some_and(|stream| stream.is_live()),
        }
    }

    fn state(&self, service: &Service, setup: &Setup) -> (Id, (Item, bool)) {
        let on = self.is_on(service);
        (self.code, (self.item(setup, on), on))
    }

    fn item(&self, setup: &Setup, online: bool) -> Item {
        let info = &self.shown.info;
        let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
        Item {
            id: Some(self.code),
            name: self.shown.name.clone(),
            manufacturer: or(&info.manufacturer, "Weir"),
            model: or(&info.model, "Weir"),
            owner: or(&info.owner, "Owner"),
            civil_code: or(&info.civil_code, &region(self.code.as_str())),
            address: or(&info.address, "Address"),
            parental: Some(false),
            parent_id: setup.local.as_str().to_owned(),
            register_way: Some(1),
            secrecy: Some(0),
            online,
            longitude: info.longitude.parse().ok(),
            latitude: info.latitude.parse().ok(),
            ptz_type: info.ptz_type,
            resolution: info.resolution.clone(),
            streams: info.streams.clone(),
            ..Item::default()
        }
    }
}
