//! Bindings: templates on groups and streams, and which of them act on a stream.

use super::error::{Error, Noun, Result};
use super::sql::{Row, Sql, Where, sql};
use super::template::{self, SELECT};
use super::{Change, Conn, Store, Tx};
use crate::model::binding::{Binding, How, Instance, InstanceType};
use crate::model::id::{GroupId, StreamId, TemplateId};
use crate::model::template::{Kind, Template};
use crate::model::tenant::Scope;

impl Store {
    /// Binds a template to a group or a stream of the same owner.
    pub async fn bind(&self, scope: Scope, template: TemplateId, instance: Instance, how: How) -> Result<Binding> {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                // The row stays locked: it cannot be deleted meanwhile.
                let share = tx.for_update();
                let template = template::find(tx, scope, template, share).await?;
                let owner = store.find_instance(tx, scope, instance).await?;
                if owner != template.owner {
                    return Err(Error::not_found(Noun::Template, template.id));
                }
                let binding = Binding { template: template.id, kind: template.kind(), instance };
                put(tx, &binding, how.replace).await?;
                if let (Instance::Group(group), true) = (instance, how.apply_all) {
                    apply_all(tx, &binding, group).await?;
                }
                tx.changed(Change::Bindings(instance));
                Ok(binding)
            })
        })
        .await
    }

    /// Unbinds a template, or every template, or every one of a kind; returns what was bound. Nothing bound is [`NotFound`](Error::NotFound).
    pub async fn unbind(&self, scope: Scope, template: Option<TemplateId>, kind: Option<Kind>, instance: Instance) -> Result<Vec<Binding>> {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                store.find_instance(tx, scope, instance).await?;
                let delete = of(instance).equals_if("template_id", template).equals_if("kind", kind.map(Kind::as_str));
                let gone = tx.all(delete.sql("DELETE FROM bindings", " RETURNING template_id, kind, instance_type, instance_id")).await?;
                if gone.is_empty() {
                    let what = template.map(|id| id.to_string()).or(kind.map(|kind| kind.to_string())).unwrap_or_default();
                    return Err(Error::not_found(Noun::Binding, what));
                }
                tx.changed(Change::Bindings(instance));
                gone.iter().map(read).collect()
            })
        })
        .await
    }

    /// What is bound to a group or stream itself.
    pub async fn bindings(&self, instance: Instance) -> Result<Vec<Binding>> {
        let query = of(instance).sql("SELECT template_id, kind, instance_type, instance_id FROM bindings", " ORDER BY kind");
        self.reader().await?.all(query).await?.iter().map(read).collect()
    }

    /// The templates that act on a stream, at most one of a kind: its own, else its group's.
    pub async fn templates_for(&self, stream: StreamId) -> Result<Vec<Template>> {
        let text = format!(
            "{SELECT} WHERE id IN (SELECT template_id FROM bindings WHERE instance_type = 'stream' AND instance_id = $1) \
             OR id IN (SELECT template_id FROM bindings b JOIN streams s ON s.group_id = b.instance_id WHERE b.instance_type = 'group' \
             AND s.id = $1 AND b.kind NOT IN (SELECT kind FROM bindings WHERE instance_type = 'stream' AND instance_id = $1)) ORDER BY kind"
        );
        self.reader().await?.all(Sql::built(text, vec![stream.into()])).await?.iter().map(template::read).collect()
    }

    async fn find_instance(&self, conn: &mut Conn, scope: Scope, instance: Instance) -> Result<crate::model::id::TenantId> {
        Ok(match instance {
            Instance::Group(id) => self.find_group(conn, scope, id, "").await?.owner,
            Instance::Stream(id) => super::stream::find(conn, scope, id, "").await?.owner,
        })
    }
}

fn of(instance: Instance) -> Where {
    Where::default().is("instance_type", instance.kind().as_str()).is("instance_id", instance.id())
}

async fn put(tx: &mut Tx, binding: &Binding, replace: bool) -> Result<()> {
    let old = of(binding.instance).is("kind", binding.kind.as_str()).sql("SELECT template_id FROM bindings", "");
    let old = tx.one(old).await?.map(|row| row.get::<TemplateId>("template_id")).transpose()?;
    if old.is_some_and(|old| old != binding.template) && !replace {
        return Err(taken(binding));
    }
    let insert = sql("INSERT INTO bindings (instance_type, instance_id, kind, template_id) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (instance_type, instance_id, kind) DO UPDATE SET template_id = excluded.template_id");
    let insert = insert.bind(binding.instance.kind().as_str()).bind(binding.instance.id()).bind(binding.kind.as_str());
    tx.execute(insert.bind(binding.template)).await.map(drop)
}

fn taken(binding: &Binding) -> Error {
    Error::exists(Noun::Binding, "TemplateType", binding.kind)
}

/// Rewrites the bindings of all streams of a group.
async fn apply_all(tx: &mut Tx, binding: &Binding, group: GroupId) -> Result<()> {
    let rewrite = sql("INSERT INTO bindings (instance_type, instance_id, kind, template_id) \
         SELECT 'stream', id, $2, $3 FROM streams WHERE group_id = $1 AND hidden = 0 \
         ON CONFLICT (instance_type, instance_id, kind) DO UPDATE SET template_id = excluded.template_id");
    tx.execute(rewrite.bind(group).bind(binding.kind.as_str()).bind(binding.template)).await.map(drop)
}

fn read(row: &Row) -> Result<Binding> {
    let id: i64 = row.get("instance_id")?;
    let instance = match row.parse("instance_type")? {
        InstanceType::Group => Instance::Group(GroupId(id)),
        InstanceType::Stream => Instance::Stream(StreamId(id)),
    };
    Ok(Binding { template: row.get("template_id")?, kind: row.parse("kind")?, instance })
}
