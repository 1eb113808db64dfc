//! Directories: an operator's tree for devices; a platform's own tree comes with its catalog.

use super::error::{Error, Noun, Result};
use super::sql::{Row, Where, sql};
use super::{Change, Conn, Store};
use crate::model::directory::{Directory, Draft};
use crate::model::id::{DeviceId, DirectoryId, GroupId};
use crate::model::tenant::Scope;

const SELECT: &str = "SELECT id, owner, group_id, device_id, parent, code, name, description, created FROM directories";

impl Store {
    /// Makes a directory in a group.
    pub async fn create_directory(&self, scope: Scope, draft: Draft) -> Result<Directory> {
        let (store, id, created) = (self.clone(), DirectoryId(self.next_id()), self.now());
        self.write(move |tx| {
            Box::pin(async move {
                let group = store.find_group(tx, scope, draft.group, "").await?;
                let Draft { group: _, parent, name, description } = draft;
                let directory =
                    Directory { id, owner: group.owner, group: group.id, device: None, parent, code: None, name, description, created };
                check_parent(tx, &directory).await?;
                let insert = sql(
                    "INSERT INTO directories (id, owner, group_id, parent, name, description, created) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                );
                let insert = insert.bind(id).bind(directory.owner).bind(directory.group).bind(directory.parent);
                tx.execute(insert.bind(&directory.name).bind(&directory.description).bind(created)).await?;
                tx.changed(Change::Group(group.id));
                Ok(directory)
            })
        })
        .await
    }

    /// A directory.
    pub async fn directory(&self, scope: Scope, id: DirectoryId) -> Result<Directory> {
        find(&mut self.reader().await?, scope, id).await
    }

    /// The directories that an operator made in a group, oldest first.
    pub async fn directories(&self, scope: Scope, group: GroupId) -> Result<Vec<Directory>> {
        let mut conn = self.reader().await?;
        self.find_group(&mut conn, scope, group, "").await?;
        let query = Where::default().is("group_id", group).and("device_id IS NULL").sql(SELECT, " ORDER BY id");
        conn.all(query).await?.iter().map(read).collect()
    }

    /// The directories that a platform announced.
    pub async fn platform_directories(&self, scope: Scope, device: DeviceId) -> Result<Vec<Directory>> {
        let mut conn = self.reader().await?;
        self.find_device(&mut conn, scope, device, "").await?;
        conn.all(Where::default().is("device_id", device).sql(SELECT, " ORDER BY id")).await?.iter().map(read).collect()
    }

    /// Changes the name, description and parent of an operator's directory.
    pub async fn update_directory<E, F>(&self, scope: Scope, id: DirectoryId, change: F) -> std::result::Result<Directory, E>
    where
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut Directory) -> std::result::Result<(), E> + Send + 'static,
    {
        self.write(move |tx| {
            Box::pin(async move {
                let old = find(tx, scope, id).await?;
                if old.device.is_some() {
                    return Err(Error::status(Noun::Directory, id, "a platform announced it"));
                }
                let mut new = old.clone();
                if let Err(error) = change(&mut new) {
                    return Ok(Err(error));
                }
                let Directory { parent, name, description, .. } = new;
                let new = Directory { parent, name, description, ..old };
                check_parent(tx, &new).await?;
                let put = sql("UPDATE directories SET parent = $2, name = $3, description = $4 WHERE id = $1");
                tx.execute(put.bind(id).bind(new.parent).bind(&new.name).bind(&new.description)).await?;
                tx.changed(Change::Group(new.group));
                Ok(Ok(new))
            })
        })
        .await
        .map_err(E::from)?
    }

    /// Deletes a directory of an operator that holds no other; its devices stand outside from then on.
    pub async fn delete_directory(&self, scope: Scope, id: DirectoryId) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let directory = find(tx, scope, id).await?;
                if directory.device.is_some() {
                    return Err(Error::status(Noun::Directory, id, "a platform announced it"));
                }
                if tx.one(sql("SELECT id FROM directories WHERE parent = $1 LIMIT 1").bind(id)).await?.is_some() {
                    return Err(Error::status(Noun::Directory, id, "it holds other directories"));
                }
                tx.execute(sql("UPDATE devices SET directory = NULL WHERE directory = $1").bind(id)).await?;
                tx.execute(sql("DELETE FROM directories WHERE id = $1").bind(id)).await?;
                tx.changed(Change::Group(directory.group));
                Ok(())
            })
        })
        .await
    }
}

/// The parent must be an operator's directory of the same group, and not below the directory itself.
async fn check_parent(conn: &mut Conn, directory: &Directory) -> Result<()> {
    let wrong = |why: &str| Error::Invalid { parameter: "ParentId", why: why.to_owned() };
    let mut above = directory.parent;
    while let Some(id) = above {
        if id == directory.id {
            return Err(wrong("a directory cannot stand below itself"));
        }
        let query = Where::default().is("id", id).is("group_id", directory.group).and("device_id IS NULL").sql(SELECT, "");
        let row = conn.one(query).await?.ok_or_else(|| wrong("a directory of the same group is needed"))?;
        above = read(&row)?.parent;
    }
    Ok(())
}

async fn find(conn: &mut Conn, scope: Scope, id: DirectoryId) -> Result<Directory> {
    let row = conn.one(Where::scope(scope).is("id", id).sql(SELECT, "")).await?;
    read(&row.ok_or_else(|| Error::not_found(Noun::Directory, id))?)
}

fn read(row: &Row) -> Result<Directory> {
    Ok(Directory {
        id: row.get("id")?,
        owner: row.get("owner")?,
        group: row.get("group_id")?,
        device: row.get("device_id")?,
        parent: row.get("parent")?,
        code: row.get("code")?,
        name: row.get("name")?,
        description: row.get("description")?,
        created: row.get("created")?,
    })
}
