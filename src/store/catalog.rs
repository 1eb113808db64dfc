//! Catalogs: what a device says that it has, brought into its channels, streams and directories.
//!
//! The differences are worked out against what is stored and written in one transaction: nobody sees half of a catalog. Only one with
//! very many differences, as the first of a large platform, is written in portions: 100,000 channels must not keep other writers
//! waiting for seconds, and a half-written one is made whole by the next.

use super::channel::{NewChannel, SELECT, info_text, insert_channels, read};
use super::error::Result;
use super::sql::{Rows, Sql, Value, Where, sql};
use super::{Change, Store, Tx};
use crate::model::channel::{Branch, Catalog, Channel, Info, Item, State, Synced};
use crate::model::device::{Device, Kind};
use crate::model::id::{ChannelId, DeviceId, DirectoryId, GbId, StreamId};
use crate::model::tenant::Scope;
use std::collections::{HashMap, HashSet};

/// Channels that one statement names, and that one transaction writes where there are more than [`AT_ONCE`].
const PORTION: usize = 2000;
/// Differences that are written in one transaction: some 0.3 s.
const AT_ONCE: usize = 10_000;

/// What is to be written.
struct Differences {
    directories: Vec<Sql>,
    new: Vec<NewChannel>,
    /// With whether they come back.
    changed: Vec<(bool, Channel)>,
    hidden: Vec<(ChannelId, StreamId)>,
}

impl Store {
    /// Brings the channels of a device in step with its catalog.
    pub async fn sync_catalog(&self, device: DeviceId, catalog: Catalog) -> Result<Synced> {
        // Two catalogs of one device must not be compared with the same old state.
        let _turn = self.0.catalogs.lock().await;
        let device = self.device(Scope::Operator, device).await?;
        let group = self.group(Scope::Operator, device.group).await?;
        let (directories, branches) = self.sync_directories(&device, &catalog.directories).await?;
        let mut known = self.known(&device, &catalog).await?;
        let mut items: HashMap<GbId, Item> = catalog.items.into_iter().map(|item| (item.gb_id.clone(), item)).collect();
        if catalog.complete && items.is_empty() && device.kind != Kind::Platform {
            // A camera that reports no catalog has one channel, itself.
            items.insert(device.gb_id.clone(), own_item(&device));
        }
        let mut synced = Synced::default();
        let (mut new, mut changed, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
        let mut items: Vec<Item> = items.into_values().collect();
        items.sort_by(|a, b| a.gb_id.cmp(&b.gb_id));
        for item in items {
            let directory = directories.get(&item.directory).copied();
            let Some(old) = known.remove(&item.gb_id) else {
                new.push(NewChannel::new(self, item.gb_id, item.name, directory, item.parent_code, item.online, item.info));
                continue;
            };
            if old.state == State::Deleted && !catalog.revive {
                synced.skipped += 1;
                continue;
            }
            synced.updated += 1;
            let fresh = Channel {
                name: item.name,
                directory,
                parent_code: item.parent_code,
                online: item.online,
                info: item.info,
                state: State::Active,
                ..old.clone()
            };
            if fresh != old {
                changed.push((old.state != State::Active, fresh));
            }
        }
        if catalog.complete {
            hidden = known.into_values().filter(|old| old.state == State::Active).map(|old| (old.id, old.stream)).collect();
        }
        (synced.created, synced.retired) = (new.len() as u64, hidden.len() as u64);
        self.apply(device, group, Differences { directories: branches, new, changed, hidden }).await?;
        Ok(synced)
    }

    /// Retires channels that the device says are gone; returns how many were there.
    pub async fn retire_channels(&self, device: DeviceId, codes: &[GbId]) -> Result<u64> {
        let _turn = self.0.catalogs.lock().await;
        let device = self.device(Scope::Operator, device).await?;
        let group = self.group(Scope::Operator, device.group).await?;
        let known = self.known_of(&device, codes.iter()).await?;
        let hidden: Vec<_> = known.into_values().filter(|old| old.state == State::Active).map(|old| (old.id, old.stream)).collect();
        let n = hidden.len() as u64;
        self.apply(device, group, Differences { directories: Vec::new(), new: Vec::new(), changed: Vec::new(), hidden }).await?;
        Ok(n)
    }

    /// Notes that channels went on or off.
    pub async fn set_channels_online(&self, device: DeviceId, codes: &[GbId], online: bool) -> Result<()> {
        let mut rows = Rows::new(3);
        for code in codes {
            rows.push([code.into(), device.into(), online.into()]);
        }
        let statements = rows.statements(
            "WITH v (gb_id, device_id, online) AS (VALUES",
            ") UPDATE channels SET online = v.online FROM v WHERE channels.device_id = v.device_id AND channels.gb_id = v.gb_id",
        );
        self.write(move |tx| {
            Box::pin(async move {
                for statement in statements {
                    tx.execute(statement).await?;
                }
                tx.changed(Change::Channels(device));
                Ok(())
            })
        })
        .await
    }

    /// What is stored of the channels that a catalog is about: of a part only those that it names.
    async fn known(&self, device: &Device, catalog: &Catalog) -> Result<HashMap<GbId, Channel>> {
        if !catalog.complete && catalog.items.len() < PORTION {
            return self.known_of(device, catalog.items.iter().map(|item| &item.gb_id)).await;
        }
        let rows = self.reader().await?.all(Where::default().is("device_id", device.id).sql(SELECT, "")).await?;
        rows.iter().map(|row| read(row).map(|channel| (channel.gb_id.clone(), channel))).collect()
    }

    async fn known_of<'a>(&self, device: &Device, codes: impl Iterator<Item = &'a GbId>) -> Result<HashMap<GbId, Channel>> {
        let codes: Vec<&GbId> = codes.collect();
        let (mut known, mut conn) = (HashMap::new(), self.reader().await?);
        for portion in codes.chunks(PORTION) {
            let query = Where::default().is("device_id", device.id).one_of("gb_id", portion.iter().copied());
            for row in conn.all(query.sql(SELECT, "").once()).await? {
                let channel = read(&row)?;
                known.insert(channel.gb_id.clone(), channel);
            }
        }
        Ok(known)
    }

    async fn apply(&self, device: Device, group: crate::model::group::Group, differences: Differences) -> Result<()> {
        let now = self.now();
        let Differences { directories, new, changed, hidden } = differences;
        let count = directories.len() + new.len() + changed.len() + hidden.len();
        if count == 0 {
            return Ok(());
        }
        if count <= AT_ONCE {
            return self
                .write(move |tx| {
                    Box::pin(async move {
                        for statement in directories {
                            tx.execute(statement).await?;
                        }
                        for portion in hidden.chunks(PORTION) {
                            retire(tx, device.id, portion).await?;
                        }
                        for portion in new.chunks(PORTION) {
                            insert_channels(tx, &device, &group, portion, now).await?;
                        }
                        for portion in changed.chunks(PORTION) {
                            update_channels(tx, portion).await?;
                        }
                        Ok(())
                    })
                })
                .await;
        }
        for statement in directories {
            self.write(move |tx| Box::pin(async move { tx.execute(statement).await.map(drop) })).await?;
        }
        for portion in hidden.chunks(PORTION) {
            let (portion, device) = (portion.to_vec(), device.id);
            self.write(move |tx| Box::pin(async move { retire(tx, device, &portion).await })).await?;
        }
        let mut new = new;
        while !new.is_empty() {
            let rest = new.split_off(new.len().min(PORTION));
            let portion = std::mem::replace(&mut new, rest);
            let (device, group) = (device.clone(), group.clone());
            self.write(move |tx| Box::pin(async move { insert_channels(tx, &device, &group, &portion, now).await })).await?;
        }
        for portion in changed.chunks(PORTION) {
            let portion = portion.to_vec();
            self.write(move |tx| Box::pin(async move { update_channels(tx, &portion).await })).await?;
        }
        Ok(())
    }

    /// What brings a platform's directories in step, and the ids of their codes.
    async fn sync_directories(&self, device: &Device, branches: &[Branch]) -> Result<(HashMap<String, DirectoryId>, Vec<Sql>)> {
        let query = sql("SELECT id, code FROM directories WHERE device_id = $1").bind(device.id);
        let mut ids = HashMap::new();
        for row in self.reader().await?.all(query).await? {
            ids.insert(row.get::<String>("code")?, row.get::<DirectoryId>("id")?);
        }
        let parents: HashMap<&str, &str> = branches.iter().map(|b| (b.code.as_str(), b.parent.as_str())).collect();
        let mut branches: Vec<&Branch> = branches.iter().collect();
        // Those above come first: a row's parent must be there. What is in a circle stands at the top.
        let depth = |code: &str| depth(code, &parents);
        branches.sort_by_key(|b| (depth(&b.code).unwrap_or(0), &b.code));
        branches.dedup_by(|a, b| a.code == b.code);
        let mut rows = Rows::new(9);
        for branch in branches {
            let parent = depth(&branch.code).and_then(|_| ids.get(&branch.parent)).copied();
            let id = *ids.entry(branch.code.clone()).or_insert_with(|| DirectoryId(self.next_id()));
            rows.push([
                id.into(),
                device.owner.into(),
                device.group.into(),
                device.id.into(),
                parent.into(),
                Value::from(&branch.code),
                Value::from(&branch.name),
                "".into(),
                self.now().into(),
            ]);
        }
        let statements = rows.statements(
            "INSERT INTO directories (id, owner, group_id, device_id, parent, code, name, description, created) VALUES",
            "ON CONFLICT (device_id, code) DO UPDATE SET parent = excluded.parent, name = excluded.name",
        );
        Ok((ids, statements))
    }
}

/// How many directories stand above one; `None`: it is in a circle, or below one.
fn depth(code: &str, parents: &HashMap<&str, &str>) -> Option<usize> {
    let (mut seen, mut at) = (HashSet::new(), code);
    while let Some(parent) = parents.get(at) {
        if !seen.insert(at) {
            return None;
        }
        at = parent;
    }
    Some(seen.len())
}

fn own_item(device: &Device) -> Item {
    let (directory, parent_code) = (String::new(), String::new());
    Item { gb_id: device.gb_id.clone(), name: device.name.clone(), directory, parent_code, online: true, info: Info::default() }
}

/// Writes channels that differ from what is stored; those that came back show their streams again.
async fn update_channels(tx: &mut Tx, changed: &[(bool, Channel)]) -> Result<()> {
    let mut rows = Rows::new(6);
    for (_, c) in changed {
        let info = info_text(&c.info);
        rows.push([c.id.into(), Value::from(&c.name), c.directory.into(), Value::from(&c.parent_code), c.online.into(), info.into()]);
    }
    let statements = rows.statements(
        "WITH v (id, name, directory, parent_code, online, info) AS (VALUES",
        ") UPDATE channels SET name = v.name, directory = v.directory, parent_code = v.parent_code, online = v.online, info = v.info, \
         state = 'active' FROM v WHERE channels.id = v.id",
    );
    for statement in statements {
        tx.execute(statement).await?;
    }
    let back: Vec<StreamId> = changed.iter().filter(|(back, _)| *back).map(|(_, c)| c.stream).collect();
    if !back.is_empty() {
        let show = Where::default().one_of("id", back).sql("UPDATE streams SET hidden = 0", "");
        tx.execute(show.once()).await?;
    }
    if let Some((_, first)) = changed.first() {
        tx.changed(Change::Channels(first.device));
    }
    Ok(())
}

async fn retire(tx: &mut Tx, device: DeviceId, gone: &[(ChannelId, StreamId)]) -> Result<()> {
    let channels = Where::default().and("state = 'active'").one_of("id", gone.iter().map(|(id, _)| *id));
    tx.execute(channels.sql("UPDATE channels SET state = 'retired', online = 0", "").once()).await?;
    let streams = Where::default().one_of("id", gone.iter().map(|(_, stream)| *stream));
    tx.execute(streams.sql("UPDATE streams SET hidden = 1", "").once()).await?;
    tx.changed(Change::Channels(device));
    Ok(())
}
