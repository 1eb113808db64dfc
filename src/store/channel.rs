//! Channels of a device: listed, deleted, and kept in step with the catalogs that the device sends.

use super::db::Backend;
use super::error::{Error, Noun, Result};
use super::list::{List, Order};
use super::sql::{Row, Rows, Sql, Value, Where, sql};
use super::{Change, Conn, Store, Tx};
use crate::model::binding::InstanceType;
use crate::model::channel::{Channel, Filter, Info, State, View};
use crate::model::device::Device;
use crate::model::group::Group;
use crate::model::id::{ChannelId, DeviceId, DirectoryId, GbId, StreamId};
use crate::model::page::{Page, Paged};
use crate::model::stream;
use crate::model::tenant::Scope;
use crate::model::time::Time;

pub(super) const SELECT: &str =
    "SELECT id, owner, group_id, device_id, gb_id, name, stream_id, directory, parent_code, online, state, info FROM channels";

const VIEW: &str = "SELECT channels.id, channels.owner, channels.group_id, channels.device_id, channels.gb_id, channels.name, channels.stream_id, \
     channels.directory, channels.parent_code, channels.online, channels.state, channels.info, \
     streams.status AS stream_status, devices.status AS device_status \
     FROM channels JOIN streams ON streams.id = channels.stream_id JOIN devices ON devices.id = channels.device_id";

impl Store {
    /// A page of the channels of a device that are in its catalog.
    pub async fn channels(&self, scope: Scope, device: DeviceId, filter: Filter, page: Page) -> Result<Paged<View>> {
        let mut conn = self.reader().await?;
        self.find_device(&mut conn, scope, device, "").await?;
        if let Filter { status: Some(status), online: None, directory: None, name: None } = filter {
            return of_status(&mut conn, device, status, page).await;
        }
        let mut rows = Where::default().is("device_id", device).and("state = 'active'").equals_if("directory", filter.directory);
        rows = rows.equals_if("online", filter.online);
        if let Some(name) = &filter.name {
            // SQLite's LIKE does not tell letter cases apart, and its lower() is slow.
            let like = match conn.backend() {
                Backend::Sqlite => "name LIKE ? ESCAPE '\\'",
                Backend::Postgres => "lower(name) LIKE ? ESCAPE '\\'",
            };
            rows = rows.with(like, contains(name));
        }
        let list = |filter: Where| List { table: "channels", select: VIEW, filter, order: Order::ID, walked: false, counted: None };
        // What is looked for by name is looked for once: few are found as a rule, and none of them is counted apart. The streams of
        // those few are looked up one by one, and not all of the device's.
        if filter.name.is_some() {
            let one = "EXISTS (SELECT 1 FROM streams WHERE id = channels.stream_id AND hidden = 0 AND status = ?)";
            let some = match filter.status {
                Some(status) => rows.clone().with(one, status.as_str()),
                None => rows.clone(),
            };
            if let Some((rows, total)) = conn.few(&list(some), page).await? {
                return Ok(Paged { items: rows.iter().map(view).collect::<Result<_>>()?, total, page });
            }
        }
        if let Some(status) = filter.status {
            rows = rows
                .with("stream_id IN (SELECT id FROM streams WHERE device_id = ?", device)
                .with("hidden = 0 AND status = ?)", status.as_str());
        }
        let (rows, total) = conn.page(list(rows), page).await?;
        Ok(Paged { items: rows.iter().map(view).collect::<Result<_>>()?, total, page })
    }

    /// A channel that is not deleted.
    pub async fn channel(&self, scope: Scope, id: ChannelId) -> Result<Channel> {
        find(&mut self.reader().await?, scope, id, "").await
    }

    /// The channel of a device that has this code and is not deleted.
    pub async fn channel_by_code(&self, device: DeviceId, code: &GbId) -> Result<Option<Channel>> {
        let query = Where::default().is("device_id", device).is("gb_id", code).and("state <> 'deleted'").sql(SELECT, "");
        self.reader().await?.one(query).await?.map(|row| read(&row)).transpose()
    }

    /// Deletes a channel: its stream is gone, and so it stays until `RefreshChannels`, whatever the catalog says.
    pub async fn delete_channel(&self, scope: Scope, id: ChannelId) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                let channel = find(tx, scope, id, update).await?;
                tx.execute(sql("UPDATE channels SET state = 'deleted' WHERE id = $1").bind(id)).await?;
                let bindings = sql("DELETE FROM bindings WHERE instance_type = $1 AND instance_id = $2");
                tx.execute(bindings.bind(InstanceType::Stream.as_str()).bind(channel.stream)).await?;
                let hide = sql("UPDATE streams SET hidden = 1, started = 0, forbidden = 0 WHERE id = $1");
                tx.execute(hide.bind(channel.stream)).await?;
                tx.changed(Change::Channels(channel.device));
                tx.changed(Change::Stream(channel.stream));
                Ok(())
            })
        })
        .await
    }
}

/// The channels whose streams are in a state: they stand in the order of their streams, whose index holds the state.
async fn of_status(conn: &mut Conn, device: DeviceId, status: stream::Status, page: Page) -> Result<Paged<View>> {
    let streams = Where::default().is("device_id", device).and("hidden = 0").is("status", status.as_str());
    let total = conn.number(streams.sql("SELECT COUNT(*) AS n FROM streams", "")).await?;
    let head = format!("{VIEW} WHERE channels.id IN (SELECT channel_id FROM streams");
    let query = streams.sql(&head, " ORDER BY id").then(" LIMIT ?", page.size()).then(" OFFSET ?)", page.offset());
    let rows = conn.all(query.tail(" ORDER BY channels.id")).await?;
    Ok(Paged { items: rows.iter().map(view).collect::<Result<_>>()?, total: total.max(0) as u64, page })
}

/// A pattern for LIKE that finds `text` anywhere, in either letter case of ASCII.
fn contains(text: &str) -> String {
    let escaped = text.to_ascii_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

async fn find(conn: &mut Conn, scope: Scope, id: ChannelId, tail: &str) -> Result<Channel> {
    let row = conn.one(Where::scope(scope).is("id", id).and("state <> 'deleted'").sql(SELECT, tail)).await?;
    read(&row.ok_or_else(|| Error::not_found(Noun::Channel, id))?)
}

pub(super) fn read(row: &Row) -> Result<Channel> {
    Ok(Channel {
        id: row.get("id")?,
        owner: row.get("owner")?,
        group: row.get("group_id")?,
        device: row.get("device_id")?,
        gb_id: row.parse("gb_id")?,
        name: row.get("name")?,
        stream: row.get("stream_id")?,
        directory: row.get("directory")?,
        parent_code: row.get("parent_code")?,
        online: row.get("online")?,
        state: row.parse("state")?,
        info: row.json("info")?,
    })
}

fn view(row: &Row) -> Result<View> {
    Ok(View { channel: read(row)?, stream_status: row.parse("stream_status")?, device_status: row.parse("device_status")? })
}

/// A channel that comes into being, with its stream.
pub(super) struct NewChannel {
    pub(super) id: ChannelId,
    pub(super) stream: StreamId,
    pub(super) gb_id: GbId,
    pub(super) name: String,
    pub(super) directory: Option<DirectoryId>,
    pub(super) parent_code: String,
    pub(super) online: bool,
    pub(super) info: String,
}

impl NewChannel {
    pub(super) fn new(
        store: &Store,
        gb_id: GbId,
        name: String,
        directory: Option<DirectoryId>,
        parent_code: String,
        online: bool,
        info: Info,
    ) -> NewChannel {
        let (id, stream) = (ChannelId(store.next_id()), StreamId(store.next_id()));
        NewChannel { id, stream, gb_id, name, directory, parent_code, online, info: info_text(&info) }
    }
}

/// The text that is stored; it is compared with the stored one to see what changed.
pub(super) fn info_text(info: &Info) -> String {
    serde_json::to_string(info).unwrap_or_else(|_| "{}".to_owned())
}

/// Writes new channels and their streams.
pub(super) async fn insert_channels(tx: &mut Tx, device: &Device, group: &Group, new: &[NewChannel], now: Time) -> Result<()> {
    let (mut channels, mut streams) = (Rows::new(12), Rows::new(15));
    for c in new {
        channels.push([
            c.id.into(),
            device.owner.into(),
            group.id.into(),
            device.id.into(),
            Value::from(&c.gb_id),
            Value::from(&c.name),
            c.stream.into(),
            c.directory.into(),
            Value::from(&c.parent_code),
            c.online.into(),
            State::Active.as_str().into(),
            Value::from(&c.info),
        ]);
        streams.push([
            c.stream.into(),
            device.owner.into(),
            group.id.into(),
            device.id.into(),
            c.id.into(),
            Value::from(&c.gb_id),
            Value::from(&group.app),
            group.in_protocol.as_str().into(),
            false.into(),
            false.into(),
            stream::Status::Off.as_str().into(),
            Value::Int(None),
            Value::Int(None),
            now.into(),
            false.into(),
        ]);
    }
    let channels = channels.statements(
        "INSERT INTO channels (id, owner, group_id, device_id, gb_id, name, stream_id, directory, parent_code, online, state, info) VALUES",
        "",
    );
    let streams = streams.statements(super::stream::INSERT, "");
    for statement in channels.into_iter().chain(streams) {
        run(tx, statement, device).await?;
    }
    tx.changed(Change::Channels(device.id));
    Ok(())
}

async fn run(tx: &mut Tx, statement: Sql, device: &Device) -> Result<u64> {
    // The device may have gone while its catalog was on the way.
    tx.execute(statement).await.map_err(|e| e.reference_means(|| Error::not_found(Noun::Device, device.id)))
}
