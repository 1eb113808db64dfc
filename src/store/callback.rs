//! The queue of callbacks and the log of their deliveries. Callbacks of one object go out one after the other: only the first of
//! each, its *head*, may be taken.

use super::error::Result;
use super::list::{List, Order};
use super::sql::{Row, Rows, Value, Where, sql};
use super::{Change, Store, Tx};
use crate::model::callback::{Delivery, Draft, Waiting};
use crate::model::id::CallbackId;
use crate::model::page::{Page, Paged};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use std::collections::BTreeSet;
use std::time::Duration;

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken, or given up: the next of its object comes up.
    Finished,
    /// It is tried again at this time.
    Again(Time),
}

/// Which deliveries are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// About this object, as in `device/123`.
    pub object: Option<String>,
    /// Only those that failed.
    pub failed: bool,
}

impl Store {
    /// Queues callbacks, in this order. Beyond `limit` waiting ones nothing more is taken; returns how many were turned away.
    pub async fn queue_callbacks(&self, drafts: Vec<Draft>, limit: u64) -> Result<u64> {
        if drafts.is_empty() {
            return Ok(0);
        }
        let (store, now) = (self.clone(), self.now());
        self.write(move |tx| {
            Box::pin(async move {
                let waiting = tx.number(sql("SELECT COUNT(*) AS n FROM callbacks")).await? as u64;
                let room = limit.saturating_sub(waiting).min(drafts.len() as u64) as usize;
                let objects: BTreeSet<&str> = drafts[..room].iter().map(|d| d.object.as_str()).collect();
                let mut busy = BTreeSet::new();
                for object in objects {
                    // Whoever finishes the head of this object meanwhile would not see what comes in here.
                    tx.lock("callback", object).await?;
                    if tx.one(sql("SELECT id FROM callbacks WHERE object = $1 LIMIT 1").bind(object)).await?.is_some() {
                        busy.insert(object.to_owned());
                    }
                }
                let mut rows = Rows::new(9);
                for draft in &drafts[..room] {
                    let head = busy.insert(draft.object.clone());
                    let id = CallbackId(store.next_id());
                    rows.push([
                        id.into(),
                        draft.owner.into(),
                        Value::from(&draft.object),
                        Value::from(&draft.url),
                        Value::from(&draft.body),
                        0_i64.into(),
                        now.into(),
                        head.into(),
                        now.into(),
                    ]);
                }
                let head = "INSERT INTO callbacks (id, owner, object, url, body, tries, due, head, created) VALUES";
                for statement in rows.statements(head, "") {
                    tx.execute(statement).await?;
                }
                tx.changed(Change::Callbacks);
                Ok((drafts.len() - room) as u64)
            })
        })
        .await
    }

    /// Takes callbacks that are due, for `lease`: whoever takes them and dies loses them to the next after that.
    pub async fn take_callbacks(&self, limit: u32, lease: Duration) -> Result<Vec<Waiting>> {
        let (now, until) = (self.now(), Time(self.now().0 + lease.as_millis() as i64));
        let mut conn = self.reader().await?;
        if conn.one(sql("SELECT id FROM callbacks WHERE head = 1 AND due <= $1 LIMIT 1").bind(now)).await?.is_none() {
            // The usual case costs no transaction.
            return Ok(Vec::new());
        }
        drop(conn);
        self.write(move |tx| {
            Box::pin(async move {
                tx.lock("callbacks", "take").await?;
                let take = sql("UPDATE callbacks SET due = $2 WHERE id IN (SELECT id FROM callbacks WHERE head = 1 AND due <= $1 \
                     ORDER BY due, id LIMIT $3) RETURNING id, owner, object, url, body, tries, created");
                let rows = tx.all(take.bind(now).bind(until).bind(limit)).await?;
                rows.iter().map(waiting).collect()
            })
        })
        .await
    }

    /// When the next callback is due; `None`: nothing waits.
    pub async fn callbacks_due(&self) -> Result<Option<Time>> {
        let row = self.reader().await?.one(sql("SELECT MIN(due) AS due FROM callbacks WHERE head = 1")).await?;
        row.map_or(Ok(None), |row| row.get("due"))
    }

    /// How many callbacks wait.
    pub async fn callbacks_waiting(&self) -> Result<u64> {
        Ok(self.reader().await?.number(sql("SELECT COUNT(*) AS n FROM callbacks")).await? as u64)
    }

    /// Logs a try and does what follows from it.
    pub async fn finish_callback(&self, delivery: Delivery, outcome: Outcome) -> Result<()> {
        let row = self.next_id();
        self.write(move |tx| {
            Box::pin(async move {
                tx.lock("callback", &delivery.object).await?;
                log(tx, row, &delivery).await?;
                match outcome {
                    Outcome::Again(at) => {
                        let again = sql("UPDATE callbacks SET tries = tries + 1, due = $2 WHERE id = $1");
                        tx.execute(again.bind(delivery.id).bind(at)).await?;
                    }
                    Outcome::Finished => {
                        tx.execute(sql("DELETE FROM callbacks WHERE id = $1").bind(delivery.id)).await?;
                        let next = sql("UPDATE callbacks SET head = 1 WHERE id = (SELECT MIN(id) FROM callbacks WHERE object = $1)");
                        tx.execute(next.bind(&delivery.object)).await?;
                        tx.changed(Change::Callbacks);
                    }
                }
                Ok(())
            })
        })
        .await
    }

    /// At start: nobody works on anything yet, so what the last run had taken is due at once.
    pub async fn release_callbacks(&self) -> Result<()> {
        let now = self.now();
        let release = sql("UPDATE callbacks SET due = $1 WHERE head = 1 AND due > $1 AND tries = 0").bind(now);
        self.write(move |tx| Box::pin(async move { tx.execute(release).await.map(drop) })).await
    }

    /// A page of the delivery log, newest first.
    pub async fn deliveries(&self, scope: Scope, filter: DeliveryFilter, page: Page) -> Result<Paged<Delivery>> {
        let mut rows = Where::scope(scope).is_maybe("object", filter.object);
        if filter.failed {
            rows = rows.and("error <> ''");
        }
        let select = "SELECT id, callback_id, owner, object, url, body, tried, happened, took_ms, status, error, last FROM deliveries";
        let list = List { table: "deliveries", select, filter: rows, order: Order::NEWEST };
        let (rows, total) = self.reader().await?.page(list, page).await?;
        Ok(Paged { items: rows.iter().map(delivery).collect::<Result<_>>()?, total, page })
    }
}

async fn log(tx: &mut Tx, row: i64, d: &Delivery) -> Result<()> {
    let insert = sql("INSERT INTO deliveries (id, callback_id, owner, object, url, body, tried, happened, took_ms, status, error, last) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
    let insert = insert.bind(row).bind(d.id).bind(d.owner).bind(&d.object).bind(&d.url).bind(&d.body).bind(d.tried).bind(d.at);
    tx.execute(insert.bind(d.took_ms).bind(d.status).bind(&d.error).bind(d.last)).await.map(drop)
}

fn waiting(row: &Row) -> Result<Waiting> {
    let draft = Draft { owner: row.get("owner")?, object: row.get("object")?, url: row.get("url")?, body: row.get("body")? };
    Ok(Waiting { id: row.get("id")?, draft, tries: row.get("tries")?, created: row.get("created")? })
}

fn delivery(row: &Row) -> Result<Delivery> {
    Ok(Delivery {
        id: row.get("callback_id")?,
        owner: row.get("owner")?,
        object: row.get("object")?,
        url: row.get("url")?,
        body: row.get("body")?,
        tried: row.get("tried")?,
        at: row.get("happened")?,
        took_ms: row.get("took_ms")?,
        status: row.get("status")?,
        error: row.get("error")?,
        last: row.get("last")?,
    })
}
