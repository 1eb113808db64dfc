//! Upper platforms: made, listed, changed; what is shown to each, and by which ids.

use super::error::{Error, Noun, Result};
use super::list::{List, Order};
use super::sql::{Row, Rows, Value, Where, sql};
use super::{Change, Conn, Store, Tx};
use crate::model::id::{GbId, GroupId, StreamId, UpperId};
use crate::model::page::{Page, Paged};
use crate::model::tenant::Scope;
use crate::model::upper::{Setup, Shown, Upper, made_code};
use std::collections::HashSet;

const SELECT: &str = "SELECT id, owner, name, enabled, host, port, transport, server_id, domain, local_id, username, password, edition, \
     expires, keepalive, control, created FROM uppers";

/// What is shown; `$1` is the upper platform.
const SHOWN: &str = "SELECT streams.id, streams.group_id, streams.app, streams.name, streams.device_id, channels.gb_id AS channel_code, \
     channels.name AS channel_name, channels.online, channels.info, upper_streams.gb_id AS code FROM streams \
     LEFT JOIN channels ON channels.id = streams.channel_id \
     LEFT JOIN upper_streams ON upper_streams.upper_id = $1 AND upper_streams.stream_id = streams.id \
     WHERE streams.hidden = 0 AND (upper_streams.shared = 1 OR \
     streams.group_id IN (SELECT group_id FROM upper_groups WHERE upper_id = $1)) ORDER BY streams.id";

/// Upper platforms of a tenant at most: each is a connection and a task.
const LIMIT: u64 = 100;

/// The ids of an upper platform's channels: one text of the catalog each.
struct Found {
    shown: Shown,
    /// Whether it has an id there already.
    known: bool,
}

impl Store {
    /// Makes an upper platform.
    pub async fn create_upper(&self, scope: Scope, setup: Setup) -> Result<Upper> {
        let upper = Upper { id: UpperId(self.next_id()), owner: scope.owner(), setup, created: self.now() };
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let mine = Where::default().is("owner", upper.owner).sql("SELECT COUNT(*) AS n FROM uppers", "");
                if tx.number(mine).await? >= LIMIT as i64 {
                    return Err(Error::Quota { what: "upper platforms", limit: LIMIT });
                }
                store.put_upper(tx, &upper, true).await?;
                Ok(upper)
            })
        })
        .await
    }

    /// An upper platform.
    pub async fn upper(&self, scope: Scope, id: UpperId) -> Result<Upper> {
        self.find_upper(&mut self.reader().await?, scope, id, "").await
    }

    /// A page of upper platforms.
    pub async fn uppers(&self, scope: Scope, page: Page) -> Result<Paged<Upper>> {
        let list = List { table: "uppers", select: SELECT, filter: Where::scope(scope), order: Order::ID, walked: false, counted: None };
        let (rows, total) = self.reader().await?.page(list, page).await?;
        Ok(Paged { items: rows.iter().map(|row| self.read_upper(row)).collect::<Result<_>>()?, total, page })
    }

    /// All upper platforms, whoever owns them: how the edge reads them at start.
    pub async fn all_uppers(&self) -> Result<Vec<Upper>> {
        let rows = self.reader().await?.all(Where::default().sql(SELECT, " ORDER BY id")).await?;
        rows.iter().map(|row| self.read_upper(row)).collect()
    }

    /// Changes an upper platform: `change` sees its setup as it is and leaves it as it shall be.
    pub async fn update_upper<E, F>(&self, scope: Scope, id: UpperId, change: F) -> std::result::Result<Upper, E>
    where
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut Setup) -> std::result::Result<(), E> + Send + 'static,
    {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                let mut upper = store.find_upper(tx, scope, id, update).await?;
                if let Err(error) = change(&mut upper.setup) {
                    return Ok(Err(error));
                }
                store.put_upper(tx, &upper, false).await?;
                Ok(Ok(upper))
            })
        })
        .await
        .map_err(E::from)?
    }

    /// Deletes an upper platform with what it was shown.
    pub async fn delete_upper(&self, scope: Scope, id: UpperId) -> Result<()> {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                store.find_upper(tx, scope, id, update).await?;
                tx.execute(sql("DELETE FROM uppers WHERE id = $1").bind(id)).await?;
                tx.changed(Change::Upper(id));
                Ok(())
            })
        })
        .await
    }

    /// Shows all streams of a group, those included that come later; or no longer.
    pub async fn show_group(&self, scope: Scope, id: UpperId, group: GroupId, shown: bool) -> Result<()> {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                store.find_upper(tx, scope, id, "").await?;
                store.find_group(tx, scope, group, "").await?;
                let statement = match shown {
                    true => {
                        sql("INSERT INTO upper_groups (upper_id, group_id) VALUES ($1, $2) ON CONFLICT (upper_id, group_id) DO NOTHING")
                    }
                    false => sql("DELETE FROM upper_groups WHERE upper_id = $1 AND group_id = $2"),
                };
                let changed = tx.execute(statement.bind(id).bind(group)).await?;
                if !shown && changed == 0 {
                    return Err(Error::not_found(Noun::Binding, group));
                }
                tx.changed(Change::Upper(id));
                Ok(())
            })
        })
        .await
    }

    /// Shows a stream, by an id of the operator's choice, or by the one that it had there, its channel's own, or one that is made.
    /// Gives the id.
    pub async fn show_stream(&self, scope: Scope, id: UpperId, stream: StreamId, code: Option<GbId>) -> Result<GbId> {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                tx.lock("upper", &id.to_string()).await?;
                let upper = store.find_upper(tx, scope, id, "").await?;
                let found = super::stream::find(tx, scope, stream, "").await?;
                let mut taken = codes(tx, &upper, Some(stream)).await?;
                let code = match code {
                    Some(code) if taken.contains(&code) => return Err(Error::exists(Noun::Stream, "GbId", code)),
                    Some(code) => code,
                    None => {
                        let had = sql("SELECT gb_id FROM upper_streams WHERE upper_id = $1 AND stream_id = $2").bind(id).bind(stream);
                        let had = tx.one(had).await?.map(|row| row.parse("gb_id")).transpose()?;
                        let own = match found.channel {
                            Some(channel) => tx.one(sql("SELECT gb_id FROM channels WHERE id = $1").bind(channel)).await?,
                            None => None,
                        };
                        let own = own.map(|row| row.parse("gb_id")).transpose()?;
                        had.unwrap_or_else(|| free_code(&upper, own, &mut taken))
                    }
                };
                let put = sql("INSERT INTO upper_streams (upper_id, stream_id, gb_id, shared) VALUES ($1, $2, $3, 1) \
                     ON CONFLICT (upper_id, stream_id) DO UPDATE SET gb_id = excluded.gb_id, shared = 1");
                tx.execute(put.bind(id).bind(stream).bind(&code)).await?;
                tx.changed(Change::Upper(id));
                Ok(code)
            })
        })
        .await
    }

    /// Shows a stream no longer, unless its group is shown. Its id stays reserved for it.
    pub async fn hide_stream(&self, scope: Scope, id: UpperId, stream: StreamId) -> Result<()> {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                store.find_upper(tx, scope, id, "").await?;
                let hide = sql("UPDATE upper_streams SET shared = 0 WHERE upper_id = $1 AND stream_id = $2 AND shared = 1");
                if tx.execute(hide.bind(id).bind(stream)).await? == 0 {
                    return Err(Error::not_found(Noun::Binding, stream));
                }
                tx.changed(Change::Upper(id));
                Ok(())
            })
        })
        .await
    }

    /// The groups that are shown.
    pub async fn shown_groups(&self, id: UpperId) -> Result<Vec<GroupId>> {
        let query = sql("SELECT group_id FROM upper_groups WHERE upper_id = $1 ORDER BY group_id").bind(id);
        self.reader().await?.all(query).await?.iter().map(|row| row.get("group_id")).collect()
    }

    /// Everything that is shown, oldest stream first. What has no id there yet gets one, for good.
    pub async fn shown_streams(&self, upper: &Upper) -> Result<Vec<Shown>> {
        let found = find_shown(&mut self.reader().await?, upper).await?;
        if found.iter().all(|found| found.known) {
            return Ok(found.into_iter().map(|found| found.shown).collect());
        }
        let upper = upper.clone();
        self.write(move |tx| {
            Box::pin(async move {
                tx.lock("upper", &upper.id.to_string()).await?;
                let mut found = find_shown(tx, &upper).await?;
                let mut taken = codes(tx, &upper, None).await?;
                let mut rows = Rows::new(4);
                for one in found.iter_mut().filter(|one| !one.known) {
                    one.shown.code = free_code(&upper, one.shown.channel.clone(), &mut taken);
                    rows.push([upper.id.into(), one.shown.stream.into(), Value::from(&one.shown.code), false.into()]);
                }
                for statement in rows.statements("INSERT INTO upper_streams (upper_id, stream_id, gb_id, shared) VALUES", "") {
                    tx.execute(statement).await?;
                }
                Ok(found.into_iter().map(|found| found.shown).collect())
            })
        })
        .await
    }

    async fn find_upper(&self, conn: &mut Conn, scope: Scope, id: UpperId, tail: &str) -> Result<Upper> {
        let row = conn.one(Where::scope(scope).is("id", id).sql(SELECT, tail)).await?;
        self.read_upper(&row.ok_or_else(|| Error::not_found(Noun::UpperPlatform, id))?)
    }

    fn read_upper(&self, row: &Row) -> Result<Upper> {
        let id: UpperId = row.get("id")?;
        let sealed: Option<String> = row.get("password")?;
        let setup = Setup {
            name: row.get("name")?,
            enabled: row.get("enabled")?,
            host: row.get("host")?,
            port: row.get("port")?,
            transport: row.parse("transport")?,
            server: row.parse("server_id")?,
            domain: row.get("domain")?,
            local: row.parse("local_id")?,
            username: row.get("username")?,
            password: sealed.map(|sealed| self.0.sealer.open(&place(id), &sealed)).transpose()?,
            edition: row.parse("edition")?,
            expires: row.get("expires")?,
            keepalive: row.get("keepalive")?,
            control: row.get("control")?,
        };
        Ok(Upper { id, owner: row.get("owner")?, setup, created: row.get("created")? })
    }

    async fn put_upper(&self, tx: &mut Tx, upper: &Upper, new: bool) -> Result<()> {
        let put = match new {
            true => sql(
                "INSERT INTO uppers (id, owner, name, enabled, host, port, transport, server_id, domain, local_id, username, password, \
                 edition, expires, keepalive, control, created) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            ),
            false => sql("UPDATE uppers SET owner = $2, name = $3, enabled = $4, host = $5, port = $6, transport = $7, server_id = $8, \
                 domain = $9, local_id = $10, username = $11, password = $12, edition = $13, expires = $14, keepalive = $15, control = $16, \
                 created = $17 WHERE id = $1"),
        };
        let setup = &upper.setup;
        let password = setup.password.as_ref().map(|password| self.0.sealer.seal(&place(upper.id), password)).transpose()?;
        let put = put.bind(upper.id).bind(upper.owner).bind(&setup.name).bind(setup.enabled).bind(&setup.host).bind(setup.port);
        let put = put.bind(setup.transport.as_str()).bind(&setup.server).bind(&setup.domain).bind(&setup.local).bind(&setup.username);
        let put = put.bind(password).bind(setup.edition.as_str()).bind(setup.expires).bind(setup.keepalive).bind(setup.control);
        let taken = || Error::exists(Noun::UpperPlatform, "LocalGbId", &setup.local);
        tx.execute(put.bind(upper.created)).await.map_err(|e| e.unique_means(taken))?;
        tx.changed(Change::Upper(upper.id));
        Ok(())
    }
}

fn place(id: UpperId) -> String {
    format!("uppers/{id}/password")
}

async fn find_shown(conn: &mut Conn, upper: &Upper) -> Result<Vec<Found>> {
    conn.all(sql(SHOWN).bind(upper.id)).await?.iter().map(|row| read_shown(row, upper)).collect()
}

fn read_shown(row: &Row, upper: &Upper) -> Result<Found> {
    let code: Option<GbId> = row.parse_maybe("code")?;
    let known = code.is_some();
    let channel_name: Option<String> = row.get("channel_name")?;
    let info: Option<String> = row.get("info")?;
    let info = info.map(|text| serde_json::from_str(&text)).transpose().map_err(|e| Error::Damaged(e.to_string()))?;
    let shown = Shown {
        stream: row.get("id")?,
        group: row.get("group_id")?,
        app: row.get("app")?,
        device: row.get("device_id")?,
        channel: row.parse_maybe("channel_code")?,
        code: code.unwrap_or_else(|| upper.setup.local.clone()),
        name: match channel_name {
            Some(name) => name,
            None => row.get("name")?,
        },
        online: row.get::<Option<i64>>("online")?.is_none_or(|online| online != 0),
        info: info.unwrap_or_default(),
    };
    Ok(Found { shown, known })
}

/// The ids that are given out there, our own included.
async fn codes(tx: &mut Tx, upper: &Upper, but: Option<StreamId>) -> Result<HashSet<GbId>> {
    let query = sql("SELECT gb_id FROM upper_streams WHERE upper_id = $1 AND stream_id <> $2");
    let rows = tx.all(query.bind(upper.id).bind(but.unwrap_or(StreamId(0)))).await?;
    let own = [upper.setup.local.clone(), upper.setup.server.clone()];
    rows.iter().map(|row| row.parse("gb_id")).chain(own.into_iter().map(Ok)).collect()
}

/// The id that is wanted if nobody has it, else one that nobody has; it is taken then.
fn free_code(upper: &Upper, wanted: Option<GbId>, taken: &mut HashSet<GbId>) -> GbId {
    let made = (taken.len() as u64..).map(|n| made_code(&upper.setup.local, n));
    let mut free = wanted.into_iter().chain(made).filter(|code| !taken.contains(code));
    let code = free.next().unwrap_or_else(|| upper.setup.local.clone());
    taken.insert(code.clone());
    code
}
