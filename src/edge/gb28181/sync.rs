//! What a device is asked when it comes: its information, its catalog, and what it shall tell by itself.

use super::pull::Failure;
use super::roster::Entry;
use super::settings::Settings;
use super::signalling::{Part, Signalling};
use crate::model::channel::{Branch, Catalog, Info, Item, Synced};
use crate::model::device::Kind;
use crate::model::id::{DeviceId, GbId};
use crate::model::tenant::Scope;
use crate::proto::gb28181::id;
use crate::proto::gb28181::manscdp::{self, Query};
use crate::proto::gb28181::server::{Answer, Subscription};
use crate::proto::gb28181::{Id, catalog};
use crate::store::Store;
use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Asks devices and stores what they say. Cloning shares it.
#[derive(Clone)]
pub struct Syncs(Arc<Inner>);

struct Inner {
    signalling: Signalling,
    store: Store,
    settings: Arc<Settings>,
    places: Semaphore,
    /// Catalogs that are being fetched, and what their devices told by themselves meanwhile.
    running: Mutex<HashMap<DeviceId, Vec<manscdp::Item>>>,
}

/// Changes that are kept while a catalog is fetched; more are stored all the same, only not kept for it.
const TOLD_MAX: usize = 20_000;

/// Why a catalog was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The device did not give it.
    #[error(transparent)]
    Device(#[from] Failure),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// It is being fetched already.
    #[error("the catalog is being fetched already")]
    Running,
}

impl Syncs {
    /// At most so many catalogs at once as the settings say.
    pub fn new(signalling: Signalling, store: Store, settings: Arc<Settings>) -> Syncs {
        let places = Semaphore::new(settings.catalogs.max(1));
        Syncs(Arc::new(Inner { signalling, store, settings, places, running: Mutex::default() }))
    }

    /// Everything that a device is asked when it came: subscriptions at once, questions when it is its turn.
    pub async fn greet(&self, entry: &Entry) {
        self.subscribe(entry);
        // a restart brings thousands within seconds: spread them
        let spread = Duration::from_millis(u64::from(rand::random::<u16>()) % 2000);
        tokio::time::sleep(spread).await;
        let _place = self.0.places.acquire().await;
        if let Err(error) = self.inform(entry).await {
            tracing::debug!(device = %entry.key, %error, "no device information");
        }
        match self.fetch(entry, false).await {
            Ok(synced) => {
                tracing::info!(device = %entry.key, created = synced.created, updated = synced.updated, retired = synced.retired, "catalog stored")
            }
            Err(SyncError::Running) => {}
            Err(error) => tracing::info!(device = %entry.key, %error, "no catalog"),
        }
    }

    /// Subscribes to what the device's row asks for.
    pub fn subscribe(&self, entry: &Entry) {
        use crate::proto::gb28181::server::SubscriptionKind as K;
        let catalog = self.0.settings.subscribe_catalogs && (entry.kind == Kind::Platform || entry.key.device.kind() == id::Kind::Recorder);
        let methods: Vec<u8> = entry.alarm_method.split(',').filter_map(|method| method.trim().parse().ok()).collect();
        // one subscription a device: of the one method that is wanted, or of all
        let method = if methods.contains(&0) || methods.len() > 1 { Some(0) } else { methods.first().copied() };
        self.0.signalling.with(|server, now| {
            let mut want = |wanted: Option<Subscription>, kind| match wanted {
                Some(wanted) => server.subscribe(now, &entry.key, wanted),
                None => server.unsubscribe(now, &entry.key, kind),
            };
            want(catalog.then_some(Subscription::Catalog), K::Catalog);
            want(entry.auto_pos.then_some(Subscription::Position { interval: entry.pos_interval.max(1) }), K::Position);
            want(method.map(|method| Subscription::Alarm { method }), K::Alarm);
        });
    }

    async fn inform(&self, entry: &Entry) -> Result<(), SyncError> {
        let (answer, ..) = self.ask(entry, entry.key.device, &Query::DeviceInfo).await?;
        let Answer::Info(info) = answer else { return Ok(()) };
        let vendor = [info.manufacturer.as_str(), info.model.as_str()].join(" ").trim().to_owned();
        if vendor.is_empty() {
            return Ok(());
        }
        let change = move |device: &mut crate::model::device::Device| {
            // what an operator wrote stays
            if device.vendor.is_empty() {
                device.vendor = vendor;
            }
            Ok::<_, crate::store::Error>(())
        };
        let device = self.0.store.device(Scope::Operator, entry.id).await?;
        if device.vendor.is_empty() {
            self.0.store.update_device(Scope::Operator, entry.id, change).await?;
        }
        Ok(())
    }

    /// Fetches a catalog and stores it. `revive`: what an operator deleted comes back.
    pub async fn fetch(&self, entry: &Entry, revive: bool) -> Result<Synced, SyncError> {
        let Some(running) = Running::begin(&self.0, entry.id) else { return Err(SyncError::Running) };
        let (answer, mut items, _) = self.ask(entry, entry.key.device, &Query::Catalog).await?;
        let Answer::Catalog { end, .. } = answer else { return Err(Failure::Failed.into()) };
        let complete = end == catalog::End::Complete;
        if !complete {
            tracing::info!(device = %entry.key, entries = items.len(), "the catalog broke off: channels that it did not name are kept");
        }
        merge(&mut items, running.told());
        let catalog = Catalog { complete, revive, ..convert(entry, items) };
        Ok(self.0.store.sync_catalog(entry.id, catalog).await?)
    }

    /// Stores entries that came by themselves.
    pub async fn changes(&self, entry: &Entry, items: Vec<manscdp::Item>) -> Result<(), crate::store::Error> {
        use manscdp::Change::{Added, Defect, Deleted, Off, On, Updated, VideoLost};
        self.note(entry.id, &items);
        let (mut on, mut off, mut gone, mut full) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for item in items {
            let Some(code) = item.id.and_then(|id| id.as_str().parse::<GbId>().ok()) else { continue };
            match item.change {
                Some(On) => on.push(code),
                Some(Off | VideoLost | Defect) => off.push(code),
                Some(Deleted) => gone.push(code),
                Some(Added | Updated) | None => full.push(item),
            }
        }
        let store = &self.0.store;
        if !on.is_empty() {
            store.set_channels_online(entry.id, &on, true).await?;
        }
        if !off.is_empty() {
            store.set_channels_online(entry.id, &off, false).await?;
        }
        if !gone.is_empty() {
            store.retire_channels(entry.id, &gone).await?;
        }
        if !full.is_empty() {
            store.sync_catalog(entry.id, Catalog { complete: false, revive: false, ..convert(entry, full) }).await?;
        }
        Ok(())
    }

    /// Keeps changes for a catalog that is being fetched: it may have been written before them and is stored after them.
    fn note(&self, device: DeviceId, items: &[manscdp::Item]) {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = running.get_mut(&device).filter(|told| told.len() + items.len() <= TOLD_MAX) {
            told.extend_from_slice(items);
        }
    }

    /// Asks something and waits for the end of the answer.
    pub async fn ask(
        &self,
        entry: &Entry,
        target: Id,
        query: &Query,
    ) -> Result<(Answer, Vec<manscdp::Item>, Vec<manscdp::Record>), Failure> {
        let mut parts = self.0.signalling.ask(|server, now| server.query(now, &entry.key, target, query))?;
        let (mut items, mut records) = (Vec::new(), Vec::new());
        loop {
            match parts.recv().await {
                Some(Part::Items(more)) => items.extend(more),
                Some(Part::Records(more)) => records.extend(more),
                Some(Part::End(answer)) => return Ok((answer?, items, records)),
                None => return Err(Failure::Failed),
            }
        }
    }
}

/// Keeps a second fetch of the same catalog away while it lives.
struct Running<'a>(&'a Inner, DeviceId);

impl<'a> Running<'a> {
    fn begin(inner: &'a Inner, id: DeviceId) -> Option<Running<'a>> {
        match inner.running.lock().unwrap_or_else(PoisonError::into_inner).entry(id) {
            Slot::Occupied(_) => None,
            Slot::Vacant(free) => {
                free.insert(Vec::new());
                Some(Running(inner, id))
            }
        }
    }

    /// What the device told by itself since the beginning.
    fn told(&self) -> Vec<manscdp::Item> {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get_mut(&self.1).map(std::mem::take).unwrap_or_default()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// Brings a catalog up to what its device told while it was fetched. Without this a channel that was added meanwhile would be
/// retired at once, for the catalog does not name it.
fn merge(items: &mut Vec<manscdp::Item>, told: Vec<manscdp::Item>) {
    use manscdp::Change::{Added, Defect, Deleted, Off, On, Updated, VideoLost};
    let mut at: HashMap<Id, usize> = items.iter().enumerate().filter_map(|(n, item)| Some((item.id?, n))).collect();
    let mut gone = HashSet::new();
    for change in told {
        let Some(id) = change.id else { continue };
        let known = at.get(&id).and_then(|n| items.get_mut(*n));
        match (change.change, known) {
            (Some(Deleted), _) => {
                gone.insert(id);
            }
            (Some(On), Some(known)) => known.online = true,
            (Some(Off | VideoLost | Defect), Some(known)) => known.online = false,
            (Some(On | Off | VideoLost | Defect), None) => {}
            (Some(Added | Updated) | None, known) => {
                gone.remove(&id);
                match known {
                    Some(known) => *known = change,
                    None => {
                        at.insert(id, items.len());
                        items.push(change);
                    }
                }
            }
        }
    }
    items.retain(|item| item.id.is_none_or(|id| !gone.contains(&id)));
}

/// A device's entries as channels and directories. Which entry is a directory is told by its type; a recorder inside a platform's
/// catalog is one if others name it as their parent.
fn convert(entry: &Entry, items: Vec<manscdp::Item>) -> Catalog {
    let parents: HashSet<Id> = items.iter().flat_map(|item| item.parents().collect::<Vec<_>>()).collect();
    let own = entry.key.device;
    let is_branch = |item: &manscdp::Item| {
        item.id.is_some_and(|id| id != own && (id.kind().is_directory() || id.kind() == id::Kind::Recorder && parents.contains(&id)))
    };
    let branches: HashSet<Id> = items.iter().filter(|item| is_branch(item)).filter_map(|item| item.id).collect();
    let place = |item: &manscdp::Item| {
        let groups = item.parents().chain(Id::new(&item.business_group)).chain(Id::new(&item.civil_code));
        let mut known = groups.filter(|id| branches.contains(id) && Some(*id) != item.id);
        known.next().map(|id| id.to_string()).unwrap_or_default()
    };
    let mut catalog = Catalog::default();
    for item in &items {
        let Some(id) = item.id else { continue };
        if branches.contains(&id) {
            catalog.directories.push(Branch { code: id.to_string(), parent: place(item), name: name_of(item) });
        } else if id.kind().is_playable()
            && let Ok(gb_id) = id.as_str().parse::<GbId>()
        {
            catalog.items.push(Item {
                gb_id,
                name: name_of(item),
                directory: place(item),
                parent_code: item.parents().next().map(|id| id.to_string()).unwrap_or_default(),
                online: item.online,
                info: info(item),
            });
        }
    }
    break_cycles(&mut catalog.directories);
    catalog
}

fn name_of(item: &manscdp::Item) -> String {
    match item.name.is_empty() {
        true => item.id.map(|id| id.to_string()).unwrap_or_default(),
        false => item.name.clone(),
    }
}

fn info(item: &manscdp::Item) -> Info {
    let degrees = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    Info {
        manufacturer: item.manufacturer.clone(),
        model: item.model.clone(),
        owner: item.owner.clone(),
        civil_code: item.civil_code.clone(),
        address: item.address.clone(),
        ip: item.ip.clone(),
        port: item.port,
        ptz_type: item.ptz_type,
        longitude: degrees(item.longitude),
        latitude: degrees(item.latitude),
        resolution: item.resolution.clone(),
        streams: item.streams.clone(),
    }
}

/// A parent that leads back to its child becomes a root: one vendor names our own id, or the entry itself, as parent.
fn break_cycles(branches: &mut [Branch]) {
    let parents: HashMap<String, String> = branches.iter().map(|branch| (branch.code.clone(), branch.parent.clone())).collect();
    for branch in branches {
        let mut at = branch.parent.as_str();
        for step in 0.. {
            if at.is_empty() {
                break;
            }
            if at == branch.code || step > 64 {
                branch.parent = String::new();
                break;
            }
            at = parents.get(at).map(String::as_str).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(code: &str, parent: &str) -> Branch {
        Branch { code: code.into(), parent: parent.into(), name: String::new() }
    }

    fn item(id: &str, name: &str, change: Option<manscdp::Change>) -> manscdp::Item {
        manscdp::Item { id: Id::new(id), name: name.into(), online: true, change, ..manscdp::Item::default() }
    }

    #[test]
    fn what_is_told_while_a_catalog_is_fetched_counts() {
        use manscdp::Change::{Added, Deleted, Off, Updated};
        let [a, b, c, d] = ["34020000001310000001", "34020000001310000002", "34020000001310000003", "34020000001310000004"];
        let mut items = vec![item(a, "a", None), item(b, "b", None), item(c, "c", None)];
        let told = vec![
            item(d, "d", Some(Added)),
            item(a, "A", Some(Updated)),
            item(b, "", Some(Deleted)),
            item(c, "", Some(Deleted)),
            item(c, "C", Some(Added)),
            item(a, "", Some(Off)),
            item("34020000001310000009", "", Some(Off)),
        ];
        merge(&mut items, told);
        let seen: Vec<_> = items.iter().map(|item| (item.id.unwrap().to_string(), item.name.as_str(), item.online)).collect();
        assert_eq!(seen, [(a.to_owned(), "A", false), (c.to_owned(), "C", true), (d.to_owned(), "d", true)]);
    }

    #[test]
    fn cycles_are_broken() {
        let mut branches = vec![branch("a", "b"), branch("b", "a"), branch("c", "c"), branch("d", "a"), branch("e", "gone")];
        break_cycles(&mut branches);
        for start in &branches {
            let mut at = start.parent.as_str();
            for step in 0.. {
                assert!(step < 10, "{branches:?}");
                match branches.iter().find(|branch| branch.code == at) {
                    Some(next) => at = next.parent.as_str(),
                    None => break,
                }
            }
        }
    }
}
