//! Streams: made for pushes or with their channels, listed, forbidden; their states are written in batches.

use super::error::{Error, Noun, Result};
use super::list::{List, Order, SortColumns};
use super::sql::{Row, Rows, Value, Where, sql};
use super::{Change, Conn, Store};
use crate::model::binding::InstanceType;
use crate::model::group::{Group, InProtocol};
use crate::model::id::{DeviceId, GroupId, StreamId};
use crate::model::page::{Page, Paged, Sort};
use crate::model::stream::{self, Filter, Status, Stream, View};
use crate::model::tenant::{Scope, Tenant};
use crate::model::time::Time;

const SELECT: &str = "SELECT id, owner, group_id, device_id, channel_id, name, app, protocol, forbidden, started, status, start_time, stop_time, \
     created FROM streams";

const VIEW: &str = "SELECT streams.id, streams.owner, streams.group_id, streams.device_id, streams.channel_id, streams.name, streams.app, \
     streams.protocol, streams.forbidden, streams.started, streams.status, streams.start_time, streams.stop_time, streams.created, \
     channels.name AS channel_name, devices.name AS device_name \
     FROM streams LEFT JOIN channels ON channels.id = streams.channel_id LEFT JOIN devices ON devices.id = streams.device_id";

const RUN: &str = "SELECT streams.id, streams.owner, streams.group_id, streams.device_id, streams.channel_id, streams.name, streams.app, \
     streams.protocol, streams.forbidden, streams.started, streams.status, streams.start_time, streams.stop_time, streams.created, \
     channels.gb_id AS channel_code FROM streams JOIN channels ON channels.id = streams.channel_id";

pub(super) const INSERT: &str = "INSERT INTO streams (id, owner, group_id, device_id, channel_id, name, app, protocol, forbidden, started, status, \
     start_time, stop_time, created, hidden) VALUES";

pub(super) const SORT: SortColumns = &[
    ("id", "id", false),
    ("name", "name", false),
    ("app", "app", false),
    ("protocol", "protocol", false),
    ("groupid", "group_id", false),
    ("deviceid", "device_id", true),
    ("enabled", "forbidden", false),
    ("status", "status", false),
    // Ids are given in the order of creation.
    ("createdtime", "id", false),
    ("starttime", "start_time", true),
    ("stoptime", "stop_time", true),
];

/// Streams that one transaction turns off at start.
const OFF_AT_ONCE: u32 = 2000;

/// All that decides whether a stream may be pushed or played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The stream.
    pub stream: Stream,
    /// Its group.
    pub group: Group,
    /// Whose it is.
    pub tenant: Tenant,
}

impl Store {
    /// Makes streams in an RTMP group, one a name, in the same order.
    pub async fn create_streams(&self, scope: Scope, group: GroupId, names: Vec<String>) -> Result<Vec<Stream>> {
        let (store, created) = (self.clone(), self.now());
        self.write(move |tx| {
            Box::pin(async move {
                let group = store.find_group(tx, scope, group, "").await?;
                if group.in_protocol != InProtocol::Rtmp {
                    return Err(Error::status(Noun::Group, group.id, "it takes no pushes: its streams come with its devices"));
                }
                let (mut rows, mut streams) = (Rows::new(15), Vec::new());
                for name in names {
                    let stream = Stream {
                        id: StreamId(store.next_id()),
                        owner: group.owner,
                        group: group.id,
                        device: None,
                        channel: None,
                        name,
                        app: group.app.clone(),
                        protocol: group.in_protocol,
                        forbidden: false,
                        started: false,
                        status: Status::Off,
                        start_time: None,
                        stop_time: None,
                        created,
                    };
                    rows.push(values(&stream));
                    tx.changed(Change::Stream(stream.id));
                    streams.push(stream);
                }
                for statement in rows.statements(INSERT, "") {
                    tx.execute(statement).await.map_err(|e| e.reference_means(|| Error::not_found(Noun::Group, group.id)))?;
                }
                Ok(streams)
            })
        })
        .await
    }

    /// A stream.
    pub async fn stream(&self, scope: Scope, id: StreamId) -> Result<Stream> {
        find(&mut self.reader().await?, scope, id, "").await
    }

    /// A stream with the names around it.
    pub async fn stream_view(&self, scope: Scope, id: StreamId) -> Result<View> {
        let owner = match scope {
            Scope::Operator => Where::default(),
            Scope::Tenant(id) => Where::default().is("streams.owner", id),
        };
        let row = self.reader().await?.one(owner.is("streams.id", id).and("streams.hidden = 0").sql(VIEW, "")).await?;
        view(&row.ok_or_else(|| Error::not_found(Noun::Stream, id))?)
    }

    /// What stands behind the path `/{app}/{name}`: the stream of this id, else the only one of this name. Whoever owns it.
    pub async fn door(&self, app: &str, name: &str) -> Result<Option<Door>> {
        let mut conn = self.reader().await?;
        let by_id = match name.parse::<StreamId>() {
            Ok(id) => conn.one(Where::default().is("id", id).is("app", app).and("hidden = 0").sql(SELECT, "")).await?,
            Err(_) => None,
        };
        let row = match by_id {
            Some(row) => row,
            None => {
                let query = Where::default().is("name", name).is("app", app).and("hidden = 0").sql(SELECT, " LIMIT 2");
                let mut rows = conn.all(query).await?;
                match (rows.pop(), rows.pop()) {
                    (Some(row), None) => row,
                    _ => return Ok(None),
                }
            }
        };
        let stream = read(&row)?;
        let group = self.find_group(&mut conn, Scope::Operator, stream.group, "").await?;
        drop(conn);
        Ok(Some(Door { tenant: self.tenant_by_id(stream.owner).await?, stream, group }))
    }

    /// A page of streams, with the names around them.
    pub async fn streams(&self, scope: Scope, filter: Filter, sort: &Sort, page: Page) -> Result<Paged<View>> {
        let mut conn = self.reader().await?;
        let Some(within) = self.within(&mut conn, scope, filter.group).await? else { return Ok(Paged::none(page)) };
        let mut rows = within.and("hidden = 0").equals_if("device_id", filter.device);
        if let Some(app) = filter.app {
            // A stream's application is its group's, which the indexes of streams hold.
            let groups = Where::scope(scope).is("app", app).sql("SELECT id FROM groups", " ORDER BY id");
            let groups = conn.all(groups).await?.iter().map(|row| row.get::<GroupId>("id")).collect::<Result<Vec<_>>>()?;
            match filter.group {
                Some(group) if groups.contains(&group) => {}
                _ => rows = rows.one_of("group_id", groups),
            }
        }
        // A name is of few.
        let walked = filter.name.is_none();
        let counted = match (filter.from.or(filter.to), filter.status, filter.group, scope) {
            _ if !walked => None,
            (Some(_), ..) => Some("streams_by_start_time"),
            (None, Some(_), None, Scope::Tenant(_)) if filter.device.is_none() => Some("streams_by_status"),
            _ => None,
        };
        rows = rows
            .equals_if("name", filter.name)
            .equals_if("status", filter.status.filter(|status| *status != Status::Off).map(Status::as_str));
        if filter.status == Some(Status::Off) {
            // What failed to start is off too.
            rows = rows.and("status IN ('off', 'failed')");
        }
        if let Some(from) = filter.from {
            rows = rows.and("start_time IS NOT NULL").with("(stop_time IS NULL OR stop_time > ?)", from);
        }
        if let Some(to) = filter.to {
            rows = rows.with("start_time < ?", to);
        }
        let list = List { table: "streams", select: VIEW, filter: rows, order: Order::of(sort, SORT)?, walked, counted };
        let (rows, total) = conn.page(list, page).await?;
        Ok(Paged { items: rows.iter().map(view).collect::<Result<_>>()?, total, page })
    }

    /// All streams of a device, oldest first.
    pub async fn streams_of(&self, device: DeviceId) -> Result<Vec<Stream>> {
        let query = Where::default().is("device_id", device).and("hidden = 0").sql(SELECT, " ORDER BY id");
        self.reader().await?.all(query).await?.iter().map(read).collect()
    }

    /// What of a device's streams is to run, with the codes of their channels: all that are not forbidden, or only those that were
    /// started. A platform of 100,000 channels is read in full only where all of them run.
    pub async fn runnable_streams(&self, device: DeviceId, all: bool) -> Result<Vec<(Stream, String)>> {
        let which = if all { "streams.forbidden = 0" } else { "streams.forbidden = 0 AND streams.started = 1" };
        let query = Where::default().is("streams.device_id", device).and("streams.hidden = 0").and(which).sql(RUN, " ORDER BY streams.id");
        let rows = self.reader().await?.all(query).await?;
        rows.iter().map(|row| Ok((read(row)?, row.get("channel_code")?))).collect()
    }

    /// All streams that are to be pulled whenever they can: `StartStream` was called, `StopStream` not yet.
    pub async fn started_streams(&self) -> Result<Vec<Stream>> {
        let query = Where::default().and("started = 1 AND hidden = 0").sql(SELECT, " ORDER BY id");
        self.reader().await?.all(query).await?.iter().map(read).collect()
    }

    /// Changes a stream: its name, whether it is forbidden, whether it is started. The rest stays.
    pub async fn update_stream<E, F>(&self, scope: Scope, id: StreamId, change: F) -> std::result::Result<Stream, E>
    where
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut Stream) -> std::result::Result<(), E> + Send + 'static,
    {
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                let old = find(tx, scope, id, update).await?;
                let mut new = old.clone();
                if let Err(error) = change(&mut new) {
                    return Ok(Err(error));
                }
                let Stream { name, forbidden, started, .. } = new;
                let new = Stream { name, forbidden, started, ..old };
                let put = sql("UPDATE streams SET name = $2, forbidden = $3, started = $4 WHERE id = $1");
                tx.execute(put.bind(id).bind(&new.name).bind(new.forbidden).bind(new.started)).await?;
                tx.changed(Change::Stream(id));
                Ok(Ok(new))
            })
        })
        .await
        .map_err(E::from)?
    }

    /// Writes states that changed, all in one transaction. Streams that are gone are passed over.
    pub async fn set_stream_states(&self, changes: Vec<stream::Change>) -> Result<()> {
        let mut rows = Rows::new(4);
        for change in &changes {
            let on = change.status == Status::On;
            let (start, stop) = if on { (Some(change.at), None) } else { (None, Some(change.at)) };
            rows.push([change.id.into(), change.status.as_str().into(), start.into(), stop.into()]);
        }
        // What was never on has no stop time.
        let statements = rows.statements(
            "WITH v (id, status, start_time, stop_time) AS (VALUES",
            ") UPDATE streams SET status = v.status, start_time = COALESCE(v.start_time, streams.start_time), \
             stop_time = CASE WHEN v.start_time IS NULL AND streams.status <> 'on' THEN streams.stop_time ELSE v.stop_time END \
             FROM v WHERE streams.id = v.id",
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

    /// Streams that the last run left on and whose group has a callback, the first ones.
    pub async fn streams_left_on(&self, limit: u32) -> Result<Vec<StreamId>> {
        let query = "SELECT id FROM streams WHERE status = 'on' AND group_id IN (SELECT id FROM groups WHERE callback IS NOT NULL) \
             ORDER BY id LIMIT $1";
        self.reader().await?.all(sql(query).bind(limit)).await?.iter().map(|row| row.get("id")).collect()
    }

    /// At start: nothing is live yet, whatever the last run left. Returns how many streams it had left on. In portions: others
    /// write in between.
    pub async fn all_streams_off(&self, at: Time) -> Result<u64> {
        let mut all = 0;
        loop {
            let off = "UPDATE streams SET status = 'off', stop_time = $1 WHERE id IN (SELECT id FROM streams WHERE status = 'on' LIMIT $2)";
            let off = sql(off).bind(at).bind(OFF_AT_ONCE);
            let some = self.write(move |tx| Box::pin(async move { tx.execute(off).await })).await?;
            all += some;
            if some < u64::from(OFF_AT_ONCE) {
                return Ok(all);
            }
        }
    }

    /// Deletes a stream that was made for pushes; one of a channel goes with its channel.
    pub async fn delete_stream(&self, scope: Scope, id: StreamId) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                if find(tx, scope, id, update).await?.channel.is_some() {
                    return Err(Error::status(Noun::Stream, id, "it goes with its channel"));
                }
                let bindings = sql("DELETE FROM bindings WHERE instance_type = $1 AND instance_id = $2");
                tx.execute(bindings.bind(InstanceType::Stream.as_str()).bind(id)).await?;
                tx.execute(sql("DELETE FROM streams WHERE id = $1").bind(id)).await?;
                tx.changed(Change::Stream(id));
                Ok(())
            })
        })
        .await
    }
}

pub(super) async fn find(conn: &mut Conn, scope: Scope, id: StreamId, tail: &str) -> Result<Stream> {
    let row = conn.one(Where::scope(scope).is("id", id).and("hidden = 0").sql(SELECT, tail)).await?;
    read(&row.ok_or_else(|| Error::not_found(Noun::Stream, id))?)
}

fn read(row: &Row) -> Result<Stream> {
    Ok(Stream {
        id: row.get("id")?,
        owner: row.get("owner")?,
        group: row.get("group_id")?,
        device: row.get("device_id")?,
        channel: row.get("channel_id")?,
        name: row.get("name")?,
        app: row.get("app")?,
        protocol: row.parse("protocol")?,
        forbidden: row.get("forbidden")?,
        started: row.get("started")?,
        status: row.parse("status")?,
        start_time: row.get("start_time")?,
        stop_time: row.get("stop_time")?,
        created: row.get("created")?,
    })
}

fn view(row: &Row) -> Result<View> {
    Ok(View { stream: read(row)?, channel_name: row.get("channel_name")?, device_name: row.get("device_name")? })
}

fn values(stream: &Stream) -> [Value; 15] {
    [
        stream.id.into(),
        stream.owner.into(),
        stream.group.into(),
        stream.device.into(),
        stream.channel.into(),
        Value::from(&stream.name),
        Value::from(&stream.app),
        stream.protocol.as_str().into(),
        stream.forbidden.into(),
        stream.started.into(),
        stream.status.as_str().into(),
        stream.start_time.into(),
        stream.stop_time.into(),
        stream.created.into(),
        false.into(),
    ]
}
