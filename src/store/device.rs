//! Devices: created with their own channel, listed, moved, deleted; their states are written in batches.

use super::channel::{NewChannel, insert_channels};
use super::db::Backend;
use super::error::{Error, Noun, Result};
use super::list::{List, Order, SortColumns};
use super::sql::{Row, Rows, Where, sql};
use super::{Change, Conn, Store, Tx, quota};
use crate::model::binding::InstanceType;
use crate::model::channel::Info;
use crate::model::device::{self, Device, Draft, Filter, Kind, Registration, Stats, Status};
use crate::model::id::{DeviceId, DirectoryId, GbId, GroupId, TenantId};
use crate::model::page::{Page, Paged, Sort};
use crate::model::quota::What;
use crate::model::stream;
use crate::model::tenant::Scope;
use crate::model::time::Time;
use std::collections::HashMap;
use std::str::FromStr;

/// The columns of a row, in the order of [`Packed`].
macro_rules! columns {
    () => {
        "id, owner, group_id, parent, directory, name, description, kind, auto_start, enabled, gb_id, ip, port, username, \
         password, vendor, longitude, latitude, auto_pos, pos_interval, alarm_method, params, status, status_at, registration, created"
    };
}

const SELECT: &str = concat!("SELECT ", columns!(), " FROM devices");

/// A row as an array of JSON.
#[derive(serde::Deserialize)]
struct Packed {
    id: i64,
    owner: i64,
    group: i64,
    parent: Option<i64>,
    directory: Option<i64>,
    name: String,
    description: String,
    kind: String,
    auto_start: u8,
    enabled: u8,
    gb_id: String,
    ip: String,
    port: Option<u16>,
    username: String,
    password: Option<String>,
    vendor: String,
    longitude: String,
    latitude: String,
    auto_pos: u8,
    pos_interval: u32,
    alarm_method: String,
    params: String,
    status: String,
    status_at: i64,
    registration: Option<String>,
    created: i64,
}

pub(super) const SORT: SortColumns = &[
    ("id", "id", false),
    ("name", "name", false),
    ("description", "description", false),
    ("groupid", "group_id", false),
    ("parentid", "parent", true),
    ("directoryid", "directory", true),
    ("type", "kind", false),
    ("autostart", "auto_start", false),
    ("enabled", "enabled", false),
    ("status", "status", false),
    ("gbid", "gb_id", false),
    ("ip", "ip", false),
    ("port", "port", true),
    ("username", "username", false),
    ("vendor", "vendor", false),
    ("longitude", "longitude", false),
    ("latitude", "latitude", false),
    ("autopos", "auto_pos", false),
    ("posinterval", "pos_interval", false),
    ("alarmmethod", "alarm_method", false),
    // Ids are given in the order of creation.
    ("createdtime", "id", false),
];

impl Store {
    /// Makes a device in a group of this scope. A camera has one channel from the start: itself.
    pub async fn create_device(&self, scope: Scope, draft: Draft) -> Result<Device> {
        let (store, id, now) = (self.clone(), DeviceId(self.next_id()), self.now());
        self.write(move |tx| {
            Box::pin(async move {
                let group = store.find_group(tx, scope, draft.group, "").await?;
                quota::room(tx, group.owner, What::Devices).await?;
                let device = Device {
                    id,
                    owner: group.owner,
                    group: group.id,
                    parent: draft.parent,
                    directory: draft.directory,
                    name: draft.name,
                    description: draft.description,
                    kind: draft.kind,
                    auto_start: draft.auto_start,
                    enabled: true,
                    gb_id: draft.gb_id,
                    ip: draft.ip,
                    port: draft.port,
                    username: draft.username,
                    password: draft.password,
                    vendor: draft.vendor,
                    longitude: draft.longitude,
                    latitude: draft.latitude,
                    auto_pos: draft.auto_pos,
                    pos_interval: draft.pos_interval,
                    alarm_method: draft.alarm_method,
                    params: draft.params,
                    status: Status::New,
                    status_at: now,
                    registration: None,
                    created: now,
                };
                check_places(tx, &device).await?;
                store.put_device(tx, &device, true).await?;
                if device.kind != Kind::Platform {
                    let own = NewChannel::of_device(&store, &device);
                    insert_channels(tx, &device, &group, &[own], now).await?;
                }
                Ok(device)
            })
        })
        .await
    }

    /// A device.
    pub async fn device(&self, scope: Scope, id: DeviceId) -> Result<Device> {
        self.find_device(&mut self.reader().await?, scope, id, "").await
    }

    /// The device of a group that has this code.
    pub async fn device_by_code(&self, group: GroupId, code: &GbId) -> Result<Option<Device>> {
        let row = self.reader().await?.one(Where::default().is("group_id", group).is("gb_id", code).sql(SELECT, "")).await?;
        row.map(|row| self.read_device(&row)).transpose()
    }

    /// A page of devices.
    pub async fn devices(&self, scope: Scope, filter: Filter, sort: &Sort, page: Page) -> Result<Paged<Device>> {
        let mut conn = self.reader().await?;
        let Some(within) = self.within(&mut conn, scope, filter.group).await? else { return Ok(Paged::none(page)) };
        // A code or a name is of few.
        let walked = filter.gb_id.is_none() && filter.name.is_none();
        let filter = within
            .equals_if("gb_id", filter.gb_id.as_ref())
            .equals_if("name", filter.name)
            .equals_if("parent", filter.parent)
            .equals_if("directory", filter.directory)
            .equals_if("kind", filter.kind.map(Kind::as_str))
            .equals_if("status", filter.status.map(Status::as_str));
        let list = List { table: "devices", select: SELECT, filter, order: Order::of(sort, SORT)?, walked, counted: None };
        let (rows, total) = conn.page(list, page).await?;
        Ok(Paged { items: rows.iter().map(|row| self.read_device(row)).collect::<Result<_>>()?, total, page })
    }

    /// Devices whose id follows `after`, whoever owns them, in portions: how an edge reads all of them at start. The database packs
    /// a portion into one text, which costs a third of so many rows of so many columns.
    pub async fn devices_after(&self, after: Option<DeviceId>, limit: u32) -> Result<Vec<Device>> {
        let mut conn = self.reader().await?;
        let query = match conn.backend() {
            Backend::Sqlite => concat!(
                "SELECT json_group_array(json_array(",
                columns!(),
                ")) AS packed FROM (SELECT * FROM devices WHERE id > $1 ORDER BY id LIMIT $2) AS portion"
            ),
            Backend::Postgres => concat!(
                "SELECT CAST(json_agg(json_build_array(",
                columns!(),
                ")) AS TEXT) AS packed FROM (SELECT * FROM devices WHERE id > $1 ORDER BY id LIMIT $2) AS portion"
            ),
        };
        let row = conn.one(sql(query).bind(after.unwrap_or(DeviceId(0))).bind(limit)).await?;
        let Some(text) = row.map(|row| row.get::<Option<String>>("packed")).transpose()?.flatten() else { return Ok(Vec::new()) };
        let mut rows: Vec<Packed> = serde_json::from_str(&text).map_err(|e| Error::Damaged(format!("devices: {e}")))?;
        // An aggregate promises no order.
        rows.sort_unstable_by_key(|row| row.id);
        rows.into_iter().map(|row| self.unpack(row)).collect()
    }

    fn unpack(&self, row: Packed) -> Result<Device> {
        fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str, name: &str) -> Result<T> {
            text.parse().map_err(|e| Error::Damaged(format!("{name}: {e}")))
        }
        let id = DeviceId(row.id);
        Ok(Device {
            id,
            owner: TenantId(row.owner),
            group: GroupId(row.group),
            parent: row.parent.map(DeviceId),
            directory: row.directory.map(DirectoryId),
            name: row.name,
            description: row.description,
            kind: parse(&row.kind, "kind")?,
            auto_start: row.auto_start != 0,
            enabled: row.enabled != 0,
            gb_id: parse(&row.gb_id, "gb_id")?,
            ip: row.ip,
            port: row.port,
            username: row.username,
            password: row.password.map(|sealed| self.0.sealer.open(&place(id), &sealed)).transpose()?,
            vendor: row.vendor,
            longitude: row.longitude,
            latitude: row.latitude,
            auto_pos: row.auto_pos != 0,
            pos_interval: row.pos_interval,
            alarm_method: row.alarm_method,
            params: row.params,
            status: parse(&row.status, "status")?,
            status_at: Time(row.status_at),
            registration: row.registration.as_deref().map(registration).transpose()?,
            created: Time(row.created),
        })
    }

    /// Changes a device: `change` sees it as it is and leaves it as it shall be. Its id, owner and state stay. A new group takes
    /// its channels and streams along.
    pub async fn update_device<E, F>(&self, scope: Scope, id: DeviceId, change: F) -> std::result::Result<Device, E>
    where
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut Device) -> std::result::Result<(), E> + Send + 'static,
    {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                let old = store.find_device(tx, scope, id, update).await?;
                let mut new = old.clone();
                if let Err(error) = change(&mut new) {
                    return Ok(Err(error));
                }
                let Device { id, owner, status, status_at, created, .. } = old;
                let mut new = Device { id, owner, status, status_at, created, registration: old.registration.clone(), ..new };
                if new.group != old.group {
                    store.move_device(tx, scope, &old, &mut new).await?;
                }
                check_places(tx, &new).await?;
                store.put_device(tx, &new, false).await?;
                if new.gb_id != old.gb_id {
                    rename_own_channel(tx, &old, &new).await?;
                }
                Ok(Ok(new))
            })
        })
        .await
        .map_err(E::from)?
    }

    async fn move_device(&self, tx: &mut Tx, scope: Scope, old: &Device, new: &mut Device) -> Result<()> {
        let (from, to) = (self.find_group(tx, scope, old.group, "").await?, self.find_group(tx, scope, new.group, "").await?);
        if from.owner != to.owner {
            return Err(Error::not_found(Noun::Group, to.id));
        }
        if from.in_protocol != to.in_protocol {
            return Err(Error::status(Noun::Group, to.id, "it takes another protocol"));
        }
        // Parents and directories belong to the old group.
        if new.parent == old.parent {
            new.parent = None;
        }
        if new.directory == old.directory {
            new.directory = None;
        }
        tx.execute(sql("UPDATE devices SET parent = NULL WHERE parent = $1").bind(old.id)).await?;
        tx.execute(sql("UPDATE directories SET group_id = $2 WHERE device_id = $1").bind(old.id).bind(to.id)).await?;
        tx.execute(sql("UPDATE channels SET group_id = $2 WHERE device_id = $1").bind(old.id).bind(to.id)).await?;
        tx.execute(sql("UPDATE streams SET group_id = $2, app = $3 WHERE device_id = $1").bind(old.id).bind(to.id).bind(&to.app)).await?;
        tx.changed(Change::Channels(old.id));
        Ok(())
    }

    /// Writes states that changed, all in one transaction. Devices that are gone are passed over. Nothing is written for a mere
    /// sign of life: do not call it then.
    pub async fn set_device_states(&self, changes: Vec<device::Change>) -> Result<()> {
        let mut rows = Rows::new(4);
        for change in &changes {
            let registration = change.registration.as_ref().map(serde_json::to_string).transpose();
            let registration = registration.map_err(|e| Error::Damaged(e.to_string()))?;
            rows.push([change.id.into(), change.status.as_str().into(), change.at.into(), registration.into()]);
        }
        let statements = rows.statements(
            "WITH v (id, status, since, registration) AS (VALUES",
            ") UPDATE devices SET status = v.status, status_at = v.since, registration = COALESCE(v.registration, devices.registration) \
             FROM v WHERE devices.id = v.id",
        );
        if statements.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            Box::pin(async move {
                for statement in statements {
                    tx.execute(statement).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Writes where devices are (longitude, latitude), one place a device. Not told as a change: a moving device tells it every few
    /// seconds, and nothing depends on it.
    pub async fn set_positions(&self, places: Vec<(DeviceId, String, String)>) -> Result<()> {
        let mut rows = Rows::new(3);
        for (id, longitude, latitude) in &places {
            rows.push([(*id).into(), longitude.into(), latitude.into()]);
        }
        let statements = rows.statements(
            "WITH v (id, longitude, latitude) AS (VALUES",
            ") UPDATE devices SET longitude = v.longitude, latitude = v.latitude FROM v WHERE devices.id = v.id",
        );
        if statements.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            Box::pin(async move {
                for statement in statements {
                    tx.execute(statement).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Deletes a device with its channels, streams and their bindings; devices below it stay, without a parent.
    pub async fn delete_device(&self, scope: Scope, id: DeviceId) -> Result<()> {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                let device = store.find_device(tx, scope, id, update).await?;
                let bindings =
                    "DELETE FROM bindings WHERE instance_type = $1 AND instance_id IN (SELECT id FROM streams WHERE device_id = $2)";
                tx.execute(sql(bindings).bind(InstanceType::Stream.as_str()).bind(id)).await?;
                tx.execute(sql("DELETE FROM devices WHERE id = $1").bind(id)).await?;
                tx.changed(Change::Device(id, device.group));
                Ok(())
            })
        })
        .await
    }

    /// `Stats` of devices, in two queries.
    pub async fn device_stats(&self, ids: &[DeviceId]) -> Result<HashMap<DeviceId, Stats>> {
        let mut stats: HashMap<DeviceId, Stats> = ids.iter().map(|id| (*id, Stats::default())).collect();
        if ids.is_empty() {
            return Ok(stats);
        }
        let mut conn = self.reader().await?;
        let channels = Where::default().and("state = 'active'").one_of("device_id", ids.iter().copied());
        let channels = channels.sql("SELECT device_id, COUNT(*) AS n FROM channels", " GROUP BY device_id");
        for row in conn.all(channels.once()).await? {
            if let Some(stats) = stats.get_mut(&row.get::<DeviceId>("device_id")?) {
                stats.channels = row.get("n")?;
            }
        }
        let streams = Where::default().and("hidden = 0").one_of("device_id", ids.iter().copied());
        let streams = streams.sql("SELECT device_id, status, COUNT(*) AS n FROM streams", " GROUP BY device_id, status");
        for row in conn.all(streams.once()).await? {
            let Some(stats) = stats.get_mut(&row.get::<DeviceId>("device_id")?) else { continue };
            let n: u64 = row.get("n")?;
            stats.streams += n;
            match row.parse("status")? {
                stream::Status::On => stats.online += n,
                stream::Status::Off => stats.offline += n,
                stream::Status::Failed => stats.failed += n,
            }
        }
        Ok(stats)
    }

    pub(super) async fn find_device(&self, conn: &mut Conn, scope: Scope, id: DeviceId, tail: &str) -> Result<Device> {
        let row = conn.one(Where::scope(scope).is("id", id).sql(SELECT, tail)).await?;
        self.read_device(&row.ok_or_else(|| Error::not_found(Noun::Device, id))?)
    }

    fn read_device(&self, row: &Row) -> Result<Device> {
        let id: DeviceId = row.get("id")?;
        let password: Option<String> = row.get("password")?;
        let sent: Option<String> = row.get("registration")?;
        Ok(Device {
            id,
            owner: row.get("owner")?,
            group: row.get("group_id")?,
            parent: row.get("parent")?,
            directory: row.get("directory")?,
            name: row.get("name")?,
            description: row.get("description")?,
            kind: row.parse("kind")?,
            auto_start: row.get("auto_start")?,
            enabled: row.get("enabled")?,
            gb_id: row.parse("gb_id")?,
            ip: row.get("ip")?,
            port: row.get("port")?,
            username: row.get("username")?,
            password: password.map(|sealed| self.0.sealer.open(&place(id), &sealed)).transpose()?,
            vendor: row.get("vendor")?,
            longitude: row.get("longitude")?,
            latitude: row.get("latitude")?,
            auto_pos: row.get("auto_pos")?,
            pos_interval: row.get("pos_interval")?,
            alarm_method: row.get("alarm_method")?,
            params: row.get("params")?,
            status: row.parse("status")?,
            status_at: row.get("status_at")?,
            registration: sent.as_deref().map(registration).transpose()?,
            created: row.get("created")?,
        })
    }

    async fn put_device(&self, tx: &mut Tx, device: &Device, new: bool) -> Result<()> {
        let password = device.password.as_ref().map(|password| self.0.sealer.seal(&place(device.id), password)).transpose()?;
        let put = match new {
            true => sql(
                "INSERT INTO devices (id, owner, group_id, parent, directory, name, description, kind, auto_start, enabled, gb_id, ip, \
                 port, username, password, vendor, longitude, latitude, auto_pos, pos_interval, alarm_method, params, status, status_at, created) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)",
            ),
            // Its state belongs to set_device_states alone.
            false => {
                sql("UPDATE devices SET owner = $2, group_id = $3, parent = $4, directory = $5, name = $6, description = $7, kind = $8, \
                 auto_start = $9, enabled = $10, gb_id = $11, ip = $12, port = $13, username = $14, password = $15, vendor = $16, \
                 longitude = $17, latitude = $18, auto_pos = $19, pos_interval = $20, alarm_method = $21, params = $22 WHERE id = $1")
            }
        };
        let put = put
            .bind(device.id)
            .bind(device.owner)
            .bind(device.group)
            .bind(device.parent)
            .bind(device.directory)
            .bind(&device.name)
            .bind(&device.description)
            .bind(device.kind.as_str())
            .bind(device.auto_start)
            .bind(device.enabled)
            .bind(&device.gb_id)
            .bind(&device.ip)
            .bind(device.port)
            .bind(&device.username)
            .bind(password)
            .bind(&device.vendor)
            .bind(&device.longitude)
            .bind(&device.latitude)
            .bind(device.auto_pos)
            .bind(device.pos_interval)
            .bind(&device.alarm_method)
            .bind(&device.params);
        let put = if new { put.bind(device.status.as_str()).bind(device.status_at).bind(device.created) } else { put };
        let done = tx.execute(put).await;
        let done = done.map_err(|e| e.unique_means(|| Error::exists(Noun::Device, "GbId", &device.gb_id)));
        done.map_err(|e| e.reference_means(|| Error::not_found(Noun::Group, device.group)))?;
        tx.changed(Change::Device(device.id, device.group));
        Ok(())
    }
}

/// The parent must be a platform, the directory one of an operator's, both in the device's group.
async fn check_places(tx: &mut Tx, device: &Device) -> Result<()> {
    if let Some(parent) = device.parent {
        let query = sql("SELECT id FROM devices WHERE id = $1 AND group_id = $2 AND kind = 'platform' AND id <> $3");
        let found = tx.one(query.bind(parent).bind(device.group).bind(device.id)).await?;
        found.ok_or_else(|| Error::Invalid { parameter: "ParentId", why: "a platform of the same group is needed".to_owned() })?;
    }
    if let Some(directory) = device.directory {
        let query = sql("SELECT id FROM directories WHERE id = $1 AND group_id = $2 AND device_id IS NULL");
        let found = tx.one(query.bind(directory).bind(device.group)).await?;
        found.ok_or_else(|| Error::Invalid { parameter: "DirectoryId", why: "a directory of the same group is needed".to_owned() })?;
    }
    Ok(())
}

/// A camera that is its own channel got another code.
async fn rename_own_channel(tx: &mut Tx, old: &Device, new: &Device) -> Result<()> {
    let own = sql("SELECT id, stream_id FROM channels WHERE device_id = $1 AND gb_id = $2");
    let Some(row) = tx.one(own.bind(old.id).bind(&old.gb_id)).await? else { return Ok(()) };
    let taken = || Error::exists(Noun::Channel, "GbId", &new.gb_id);
    let rename = sql("UPDATE channels SET gb_id = $2 WHERE id = $1").bind(row.get::<i64>("id")?).bind(&new.gb_id);
    tx.execute(rename).await.map_err(|e| e.unique_means(taken))?;
    let stream = sql("UPDATE streams SET name = $2 WHERE id = $1 AND name = $3");
    tx.execute(stream.bind(row.get::<i64>("stream_id")?).bind(&new.gb_id).bind(&old.gb_id)).await?;
    tx.changed(Change::Channels(old.id));
    Ok(())
}

impl NewChannel {
    fn of_device(store: &Store, device: &Device) -> NewChannel {
        NewChannel::new(store, device.gb_id.clone(), device.name.clone(), None, String::new(), true, Info::default())
    }
}

fn registration(text: &str) -> Result<Registration> {
    serde_json::from_str(text).map_err(|e| Error::Damaged(format!("registration: {e}")))
}

fn place(id: DeviceId) -> String {
    format!("devices/{id}/password")
}
