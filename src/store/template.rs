//! Templates: made, listed, changed; one that is bound cannot be deleted.

use super::error::{Error, Noun, Result};
use super::list::{List, Order};
use super::sql::{Row, Where, sql};
use super::{Change, Conn, Store, Tx};
use crate::model::id::TemplateId;
use crate::model::page::{Page, Paged};
use crate::model::template::{Body, Draft, Filter, Kind, Storage, Template};
use crate::model::tenant::Scope;
use std::collections::HashSet;

pub(super) const SELECT: &str =
    "SELECT id, owner, kind, name, description, callback, region, bucket, endpoint, body, created FROM templates";

impl Store {
    /// Makes a template.
    pub async fn create_template(&self, scope: Scope, draft: Draft) -> Result<Template> {
        let (id, created, owner) = (TemplateId(self.next_id()), self.now(), scope.owner());
        let Draft { name, description, callback, storage, mut body } = draft;
        self.number_rules(&mut body)?;
        let template = Template { id, owner, name, description, callback, storage, body, created };
        self.write(move |tx| {
            Box::pin(async move {
                put(tx, &template, true).await?;
                Ok(template)
            })
        })
        .await
    }

    /// A template.
    pub async fn template(&self, scope: Scope, id: TemplateId) -> Result<Template> {
        find(&mut self.reader().await?, scope, id, "").await
    }

    /// A page of templates.
    pub async fn templates(&self, scope: Scope, filter: Filter, page: Page) -> Result<Paged<Template>> {
        let mut rows = Where::scope(scope).equals_if("kind", filter.kind.map(Kind::as_str));
        if let Some(instance) = filter.instance {
            rows = rows.with("id IN (SELECT template_id FROM bindings WHERE instance_id = ?)", instance);
        }
        let list = List { table: "templates", select: SELECT, filter: rows, order: Order::ID, walked: false, counted: None };
        let (rows, total) = self.reader().await?.page(list, page).await?;
        Ok(Paged { items: rows.iter().map(read).collect::<Result<_>>()?, total, page })
    }

    /// Changes a template: `change` sees it as it is and leaves it as it shall be. Its id, owner and type stay.
    pub async fn update_template<E, F>(&self, scope: Scope, id: TemplateId, change: F) -> std::result::Result<Template, E>
    where
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut Template) -> std::result::Result<(), E> + Send + 'static,
    {
        let store = self.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                let old = find(tx, scope, id, update).await?;
                let mut new = old.clone();
                if let Err(error) = change(&mut new) {
                    return Ok(Err(error));
                }
                if new.kind() != old.kind() {
                    return Err(Error::Invalid { parameter: "Type", why: "a template's type stays".to_owned() });
                }
                store.number_rules(&mut new.body)?;
                let new = Template { id: old.id, owner: old.owner, created: old.created, ..new };
                put(tx, &new, false).await?;
                Ok(Ok(new))
            })
        })
        .await
        .map_err(E::from)?
    }

    /// Deletes a template that is not bound.
    pub async fn delete_template(&self, scope: Scope, id: TemplateId) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let update = tx.for_update();
                find(tx, scope, id, update).await?;
                if tx.one(sql("SELECT kind FROM bindings WHERE template_id = $1 LIMIT 1").bind(id)).await?.is_some() {
                    return Err(Error::status(Noun::Template, id, "it is bound"));
                }
                let bound = || Error::status(Noun::Template, id, "it is bound");
                tx.execute(sql("DELETE FROM templates WHERE id = $1").bind(id)).await.map_err(|e| e.reference_means(bound))?;
                tx.changed(Change::Template(id));
                Ok(())
            })
        })
        .await
    }

    /// Gives an id to each transcode rule that has none; their names must differ, or their streams would not.
    fn number_rules(&self, body: &mut Body) -> Result<()> {
        let Body::Transcode(rules) = body else { return Ok(()) };
        let (mut names, mut ids) = (HashSet::new(), HashSet::new());
        for rule in rules {
            if rule.id.is_empty() {
                rule.id = self.next_id().to_string();
            }
            if !names.insert(rule.name.clone()) || !ids.insert(rule.id.clone()) {
                return Err(Error::Invalid { parameter: "TransConfigsJSON", why: format!("the rule {} is there twice", rule.name) });
            }
        }
        Ok(())
    }
}

pub(super) async fn find(conn: &mut Conn, scope: Scope, id: TemplateId, tail: &str) -> Result<Template> {
    let row = conn.one(Where::scope(scope).is("id", id).sql(SELECT, tail)).await?;
    read(&row.ok_or_else(|| Error::not_found(Noun::Template, id))?)
}

pub(super) fn read(row: &Row) -> Result<Template> {
    Ok(Template {
        id: row.get("id")?,
        owner: row.get("owner")?,
        name: row.get("name")?,
        description: row.get("description")?,
        callback: row.get("callback")?,
        storage: Storage { region: row.get("region")?, bucket: row.get("bucket")?, endpoint: row.get("endpoint")? },
        body: row.json("body")?,
        created: row.get("created")?,
    })
}

async fn put(tx: &mut Tx, template: &Template, new: bool) -> Result<()> {
    let put = match new {
        true => sql("INSERT INTO templates (id, owner, kind, name, description, callback, region, bucket, endpoint, body, created) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"),
        false => sql("UPDATE templates SET owner = $2, kind = $3, name = $4, description = $5, callback = $6, region = $7, bucket = $8, \
             endpoint = $9, body = $10, created = $11 WHERE id = $1"),
    };
    let body = serde_json::to_string(&template.body).map_err(|e| Error::Damaged(e.to_string()))?;
    let put = put
        .bind(template.id)
        .bind(template.owner)
        .bind(template.kind().as_str())
        .bind(&template.name)
        .bind(&template.description)
        .bind(template.callback.as_deref())
        .bind(&template.storage.region)
        .bind(&template.storage.bucket)
        .bind(&template.storage.endpoint)
        .bind(body)
        .bind(template.created);
    tx.execute(put).await?;
    tx.changed(Change::Template(template.id));
    Ok(())
}
