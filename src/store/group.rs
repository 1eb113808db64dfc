//! Groups: created, listed, halted, deleted with everything inside.

use super::error::{Error, Noun, Result};
use super::list::{List, Order, SortColumns};
use super::sql::{Row, Where, sql};
use super::{Change, Conn, Store, Tx, quota};
use crate::model::binding::InstanceType;
use crate::model::device::Kind;
use crate::model::group::{Draft, Filter, Group, InProtocol, Stats};
use crate::model::id::{GbId, GroupId};
use crate::model::page::{Page, Paged, Sort};
use crate::model::quota::What;
use crate::model::tenant::Scope;
use std::collections::HashMap;

const SELECT: &str = "SELECT id, owner, name, description, region, app, in_protocol, out_protocols, enabled, lazy_pull, callback, gb_id, \
     gb_password, auto_register, license_required, created FROM groups";

const SORT: SortColumns = &[
    ("id", "id", false),
    ("name", "name", false),
    ("description", "description", false),
    ("region", "region", false),
    ("app", "app", false),
    ("inprotocol", "in_protocol", false),
    ("outprotocol", "out_protocols", false),
    ("enabled", "enabled", false),
    ("status", "enabled", false),
    ("createdtime", "created", false),
    ("lazypull", "lazy_pull", false),
    ("callback", "callback", true),
    ("gbid", "gb_id", true),
];

impl Store {
    /// Makes a group; a gb28181 one without a code gets a free one of its area.
    pub async fn create_group(&self, scope: Scope, draft: Draft) -> Result<Group> {
        let (store, id, created) = (self.clone(), GroupId(self.next_id()), self.now());
        let owner = scope.owner();
        self.write(move |tx| {
            Box::pin(async move {
                quota::room(tx, owner, What::Groups).await?;
                let gb_id = match (draft.in_protocol, draft.gb_id) {
                    (InProtocol::Rtmp, _) => None,
                    (InProtocol::Gb28181, Some(code)) => Some(code),
                    (InProtocol::Gb28181, None) => Some(free_code(tx, draft.gb_area).await?),
                };
                let group = Group {
                    id,
                    owner,
                    name: draft.name,
                    description: draft.description,
                    region: draft.region,
                    app: draft.app,
                    in_protocol: draft.in_protocol,
                    out_protocols: draft.out_protocols,
                    enabled: true,
                    lazy_pull: draft.lazy_pull,
                    callback: draft.callback,
                    gb_id,
                    gb_password: draft.gb_password,
                    auto_register: draft.auto_register,
                    license_required: draft.license_required,
                    created,
                };
                store.put_group(tx, &group, true).await?;
                Ok(group)
            })
        })
        .await
    }

    /// A group.
    pub async fn group(&self, scope: Scope, id: GroupId) -> Result<Group> {
        self.find_group(&mut self.reader().await?, scope, id, "").await
    }

    /// The gb28181 group whose platform id this is, whoever owns it.
    pub async fn group_by_code(&self, code: &GbId) -> Result<Option<Group>> {
        let row = self.reader().await?.one(Where::default().is("gb_id", code).sql(SELECT, "")).await?;
        row.map(|row| self.read_group(&row)).transpose()
    }

    /// Whether any group has this application, whoever owns it.
    pub async fn app_in_use(&self, app: &str) -> Result<bool> {
        let query = Where::default().is("app", app).sql("SELECT id FROM groups", " LIMIT 1");
        Ok(self.reader().await?.one(query).await?.is_some())
    }

    /// All gb28181 groups, whoever owns them: what a SIP listener answers for.
    pub async fn gb_groups(&self) -> Result<Vec<Group>> {
        let rows = self.reader().await?.all(Where::default().and("gb_id IS NOT NULL").sql(SELECT, " ORDER BY id")).await?;
        rows.iter().map(|row| self.read_group(row)).collect()
    }

    /// A page of groups.
    pub async fn groups(&self, scope: Scope, filter: Filter, sort: &Sort, page: Page) -> Result<Paged<Group>> {
        let filter = Where::scope(scope)
            .equals_if("id", filter.id)
            .equals_if("name", filter.name)
            .equals_if("region", filter.region)
            .equals_if("in_protocol", filter.in_protocol.map(InProtocol::as_str))
            .equals_if("enabled", filter.enabled);
        let list = List { table: "groups", select: SELECT, filter, order: Order::of(sort, SORT)?, walked: false, counted: None };
        let (rows, total) = self.reader().await?.page(list, page).await?;
        Ok(Paged { items: rows.iter().map(|row| self.read_group(row)).collect::<Result<_>>()?, total, page })
    }

    /// Changes a group: `change` sees it as it is and leaves it as it shall be. Its id, owner, application and way in stay.
    pub async fn update_group<E, F>(&self, scope: Scope, id: GroupId, change: F) -> std::result::Result<Group, E>
    where
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut Group) -> std::result::Result<(), E> + Send + 'static,
    {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                let old = store.find_group(tx, scope, id, update).await?;
                let mut new = old.clone();
                if let Err(error) = change(&mut new) {
                    return Ok(Err(error));
                }
                let Group { id, owner, app, in_protocol, gb_id, created, .. } = old;
                let new = Group { id, owner, app, in_protocol, gb_id: if gb_id.is_some() { new.gb_id } else { None }, created, ..new };
                store.put_group(tx, &new, false).await?;
                Ok(Ok(new))
            })
        })
        .await
        .map_err(E::from)?
    }

    /// Deletes a group with its devices, channels, streams, directories and bindings; it must be halted. Records and usage stay.
    pub async fn delete_group(&self, scope: Scope, id: GroupId) -> Result<()> {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                let group = store.find_group(tx, scope, id, update).await?;
                if group.enabled {
                    return Err(Error::status(Noun::Group, id, "it must be halted before it is deleted"));
                }
                let streams =
                    "DELETE FROM bindings WHERE instance_type = $1 AND instance_id IN (SELECT id FROM streams WHERE group_id = $2)";
                tx.execute(sql(streams).bind(InstanceType::Stream.as_str()).bind(id)).await?;
                let own = "DELETE FROM bindings WHERE instance_type = $1 AND instance_id = $2";
                tx.execute(sql(own).bind(InstanceType::Group.as_str()).bind(id)).await?;
                tx.execute(sql("DELETE FROM groups WHERE id = $1").bind(id)).await?;
                tx.changed(Change::Group(id));
                Ok(())
            })
        })
        .await
    }

    /// `Stats` of groups, in one query.
    pub async fn group_stats(&self, ids: &[GroupId]) -> Result<HashMap<GroupId, Stats>> {
        let mut stats: HashMap<GroupId, Stats> = ids.iter().map(|id| (*id, Stats::default())).collect();
        if ids.is_empty() {
            return Ok(stats);
        }
        let query = Where::default().one_of("group_id", ids.iter().copied());
        let query = query.sql("SELECT group_id, kind, COUNT(*) AS n FROM devices", " GROUP BY group_id, kind");
        for row in self.reader().await?.all(query.once()).await? {
            let Some(stats) = stats.get_mut(&row.get::<GroupId>("group_id")?) else { continue };
            let n: u64 = row.get("n")?;
            stats.devices += n;
            match row.parse("kind")? {
                Kind::Ipc => stats.ipcs += n,
                Kind::Ied => stats.ieds += n,
                Kind::Platform => stats.platforms += n,
            }
        }
        Ok(stats)
    }

    /// The rows that a scope sees, of one group where one is given: who owns the group owns what is in it. `None`: it is not the scope's.
    pub(super) async fn within(&self, conn: &mut Conn, scope: Scope, group: Option<GroupId>) -> Result<Option<Where>> {
        let Some(id) = group else { return Ok(Some(Where::scope(scope))) };
        let seen = conn.one(Where::scope(scope).is("id", id).sql("SELECT id FROM groups", "")).await?.is_some();
        Ok(seen.then(|| Where::default().is("group_id", id)))
    }

    pub(super) async fn find_group(&self, conn: &mut Conn, scope: Scope, id: GroupId, tail: &str) -> Result<Group> {
        let row = conn.one(Where::scope(scope).is("id", id).sql(SELECT, tail)).await?;
        self.read_group(&row.ok_or_else(|| Error::not_found(Noun::Group, id))?)
    }

    fn read_group(&self, row: &Row) -> Result<Group> {
        let id: GroupId = row.get("id")?;
        let password: Option<String> = row.get("gb_password")?;
        Ok(Group {
            id,
            owner: row.get("owner")?,
            name: row.get("name")?,
            description: row.get("description")?,
            region: row.get("region")?,
            app: row.get("app")?,
            in_protocol: row.parse("in_protocol")?,
            out_protocols: row.parse("out_protocols")?,
            enabled: row.get("enabled")?,
            lazy_pull: row.get("lazy_pull")?,
            callback: row.get("callback")?,
            gb_id: row.parse_maybe("gb_id")?,
            gb_password: password.map(|sealed| self.0.sealer.open(&place(id), &sealed)).transpose()?,
            auto_register: row.get("auto_register")?,
            license_required: row.get("license_required")?,
            created: row.get("created")?,
        })
    }

    async fn put_group(&self, tx: &mut Tx, group: &Group, new: bool) -> Result<()> {
        let password = group.gb_password.as_ref().map(|password| self.0.sealer.seal(&place(group.id), password)).transpose()?;
        let put = match new {
            true => sql(
                "INSERT INTO groups (id, owner, name, description, region, app, in_protocol, out_protocols, enabled, lazy_pull, callback, \
                 gb_id, gb_password, auto_register, license_required, created) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            ),
            false => sql(
                "UPDATE groups SET owner = $2, name = $3, description = $4, region = $5, app = $6, in_protocol = $7, out_protocols = $8, \
                 enabled = $9, lazy_pull = $10, callback = $11, gb_id = $12, gb_password = $13, auto_register = $14, license_required = $15, \
                 created = $16 WHERE id = $1",
            ),
        };
        let put = put
            .bind(group.id)
            .bind(group.owner)
            .bind(&group.name)
            .bind(&group.description)
            .bind(&group.region)
            .bind(&group.app)
            .bind(group.in_protocol.as_str())
            .bind(group.out_protocols.to_string())
            .bind(group.enabled)
            .bind(group.lazy_pull)
            .bind(group.callback.as_deref())
            .bind(group.gb_id.as_ref())
            .bind(password)
            .bind(group.auto_register)
            .bind(group.license_required)
            .bind(group.created);
        let taken = || Error::exists(Noun::Group, "GbId", group.gb_id.as_ref().map_or("", GbId::as_str));
        tx.execute(put).await.map_err(|e| e.unique_means(taken))?;
        tx.changed(Change::Group(group.id));
        Ok(())
    }
}

/// The next platform id of an area that nobody has.
async fn free_code(tx: &mut Tx, area: u64) -> Result<GbId> {
    loop {
        let next = sql(
            "INSERT INTO counters (name, value) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value AS n",
        );
        let serial = tx.number(next.bind(format!("platform/{area:08}"))).await?;
        if serial > 9_999_999 {
            return Err(Error::Quota { what: "platform ids of this area", limit: 9_999_999 });
        }
        let code = GbId::platform(area, serial as u64);
        if tx.one(sql("SELECT id FROM groups WHERE gb_id = $1").bind(&code)).await?.is_none() {
            return Ok(code);
        }
    }
}

fn place(id: GroupId) -> String {
    format!("groups/{id}/gb_password")
}
