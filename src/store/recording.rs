//! Recordings on demand that were ordered and not stopped, so that a restart does not end them.

use super::Store;
use super::error::{Error, Result};
use super::sql::{Row, Where, sql};
use crate::base::id::StreamKey;
use crate::model::id::{RecordingId, TemplateId};
use crate::model::recording::{Order, Ordered, Paths};
use crate::model::template::{Formats, Storage};
use serde::{Deserialize, Serialize};

const SELECT: &str = "SELECT id, owner, group_id, stream_id, ordered, sequence, since FROM recordings";

impl Store {
    /// Writes down what was ordered, before it begins. The key of a bucket is not written here.
    pub async fn put_recording(&self, new: Ordered) -> Result<()> {
        let Ordered { id, since, sequence, order } = new;
        let text = serde_json::to_string(&Kept::of(&order)).map_err(|e| Error::Damaged(format!("recordings: {e}")))?;
        let insert = sql("INSERT INTO recordings (id, node, owner, group_id, stream_id, ordered, sequence, since) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
        let insert = insert.bind(id).bind(self.0.settings.node).bind(order.owner).bind(order.group).bind(order.stream);
        let insert = insert.bind(text).bind(sequence).bind(since);
        self.write(move |tx| Box::pin(async move { tx.execute(insert).await.map(drop) })).await
    }

    /// It was stopped; `false`: it is not known.
    pub async fn end_recording(&self, id: RecordingId) -> Result<bool> {
        let delete = sql("DELETE FROM recordings WHERE id = $1").bind(id);
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(delete).await? > 0) })).await
    }

    /// Its files are numbered this far; never fewer than before.
    pub async fn set_recording_sequence(&self, id: RecordingId, sequence: u64) -> Result<()> {
        let update = sql("UPDATE recordings SET sequence = $2 WHERE id = $1 AND sequence < $2").bind(id).bind(sequence);
        self.write(move |tx| Box::pin(async move { tx.execute(update).await.map(drop) })).await
    }

    /// What this server has to go on with, the oldest first.
    pub async fn recordings(&self) -> Result<Vec<Ordered>> {
        let rows = self.reader().await?.all(Where::default().is("node", self.0.settings.node).sql(SELECT, " ORDER BY id")).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<Ordered> {
    let (id, text): (RecordingId, String) = (row.get("id")?, row.get("ordered")?);
    let damaged = |e: &dyn std::fmt::Display| Error::Damaged(format!("recordings {id}: {e}"));
    let kept: Kept = serde_json::from_str(&text).map_err(|e| damaged(&e))?;
    let Kept { key, template, formats, interval, paths, storage, expired, callback } = kept;
    let order = Order {
        owner: row.get("owner")?,
        group: row.get("group_id")?,
        stream: row.get("stream_id")?,
        key: StreamKey::parse(&key).map_err(|e| damaged(&e))?,
        template,
        formats,
        interval,
        paths,
        storage,
        bucket_key: None,
        expired,
        callback,
    };
    Ok(Ordered { id, since: row.get("since")?, sequence: row.get("sequence")?, order })
}

/// An order as JSON; what stands in columns of its own is left out.
#[derive(Serialize, Deserialize)]
struct Kept {
    key: String,
    template: Option<TemplateId>,
    formats: Formats,
    interval: u32,
    paths: Paths,
    storage: Storage,
    expired: u32,
    callback: Option<String>,
}

impl Kept {
    fn of(order: &Order) -> Kept {
        Kept {
            key: order.key.as_str().to_owned(),
            template: order.template,
            formats: order.formats,
            interval: order.interval,
            paths: order.paths.clone(),
            storage: order.storage.clone(),
            expired: order.expired,
            callback: order.callback.clone(),
        }
    }
}
