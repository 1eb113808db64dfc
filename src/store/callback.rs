//! The queue of callbacks and the log of their deliveries. Callbacks of one object go out one after the other: only the first of
//! each, its *head*, may be taken.

use super::error::Result;
use super::list::{List, Order};
use super::sql::{Row, Rows, Value, Where, sql};
use super::{Change, Store, Tx};
use crate::model::callback::{Delivery, Draft, Event, Waiting};
use crate::model::group::Group;
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
    /// Queues what happened in a group for its callback URL, in this order; a group without one wants to know nothing.
    pub async fn queue_events(&self, group: &Group, events: &[Event], limit: u64) -> Result<u64> {
        let Some(url) = &group.callback else { return Ok(0) };
        let draft = |e: &Event| Draft { owner: group.owner, object: e.object(), url: url.clone(), body: e.body() };
        self.queue_callbacks(events.iter().map(draft).collect(), limit).await
    }

    /// Queues callbacks, in this order. Beyond `limit` waiting ones nothing more is taken; returns how many were turned away.
    pub async fn queue_callbacks(&self, drafts: Vec<Draft>, limit: u64) -> Result<u64> {
        if drafts.is_empty() {
            return Ok(0);
        }
        let store = self.clone();
        self.write(move |tx| Box::pin(async move { queue(tx, &store, drafts, limit).await })).await
    }

    /// Takes callbacks that are due, for `lease`: whoever takes them and dies loses them to the next after that. Those for the
    /// hosts of `except` are left.
    pub async fn take_callbacks(&self, limit: u32, lease: Duration, except: &[String]) -> Result<Vec<Waiting>> {
        let now = self.now();
        let until = Time(now.0.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)));
        let due = Where::default().and("head = 1").with("due <= ?", now).none_of("host", except);
        // The usual case costs no transaction.
        if self.reader().await?.one(due.sql("SELECT id FROM callbacks", " LIMIT 1").once()).await?.is_none() {
            return Ok(Vec::new());
        }
        let head = format!("UPDATE callbacks SET due = ${} WHERE id IN (SELECT id FROM callbacks", due.count() + 1);
        let take = due.sql(&head, " ORDER BY due, id").bind(until).then(" LIMIT ?)", limit);
        let take = take.tail(" RETURNING id, owner, object, url, body, tries, created");
        self.write(move |tx| {
            Box::pin(async move {
                // Two servers must not take the same.
                tx.lock("callbacks", "take").await?;
                let mut taken = tx.all(take.once()).await?.iter().map(waiting).collect::<Result<Vec<_>>>()?;
                taken.sort_by_key(|w| w.id);
                Ok(taken)
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
                    }
                }
                // Whoever waits for the next one to be due must look again.
                tx.changed(Change::Callbacks);
                Ok(())
            })
        })
        .await
    }

    /// A page of the delivery log, newest first.
    pub async fn deliveries(&self, scope: Scope, filter: DeliveryFilter, page: Page) -> Result<Paged<Delivery>> {
        let mut rows = Where::scope(scope).equals_if("object", filter.object);
        if filter.failed {
            rows = rows.and("error <> ''");
        }
        let select = "SELECT id, callback_id, owner, object, url, body, tried, happened, took_ms, status, error, last FROM deliveries";
        let list = List { table: "deliveries", select, filter: rows, order: Order::NEWEST, walked: false, counted: None };
        let (rows, total) = self.reader().await?.page(list, page).await?;
        Ok(Paged { items: rows.iter().map(delivery).collect::<Result<_>>()?, total, page })
    }
}

/// The part of a URL that says where it goes: callbacks to a host that hangs must not hold the others up.
pub fn callback_host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
}

/// Queues callbacks in a transaction; returns how many were turned away.
pub(super) async fn queue(tx: &mut Tx, store: &Store, drafts: Vec<Draft>, limit: u64) -> Result<u64> {
    let now = store.now();
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
    let mut rows = Rows::new(10);
    for draft in &drafts[..room] {
        let head = busy.insert(draft.object.clone());
        let id = CallbackId(store.next_id());
        rows.push([
            id.into(),
            draft.owner.into(),
            Value::from(&draft.object),
            callback_host(&draft.url).into(),
            Value::from(&draft.url),
            Value::from(&draft.body),
            0_i64.into(),
            now.into(),
            head.into(),
            now.into(),
        ]);
    }
    let head = "INSERT INTO callbacks (id, owner, object, host, url, body, tries, due, head, created) VALUES";
    for statement in rows.statements(head, "") {
        tx.execute(statement).await?;
    }
    tx.changed(Change::Callbacks);
    Ok((drafts.len() - room) as u64)
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
