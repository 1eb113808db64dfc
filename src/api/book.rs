//! What decides about a stream - its group, its owner, whether it is forbidden - kept in memory, so that no player costs a query.

use crate::base::id::StreamKey;
use crate::model::group::{InProtocol, OutProtocols};
use crate::model::id::{GroupId, StreamId, TenantId};
use crate::model::quota::Quota;
use crate::model::template::Body;
use crate::model::tenant::Status;
use crate::runtime::clock::Clock;
use crate::store::{self, Change, Seen, Store};
use dashmap::DashMap;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Rows that are kept at most.
const KEPT: usize = 200_000;
/// How long a change by another process that shares the store may go unseen, in seconds.
const FRESH: i64 = 5;

/// What decides about a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub id: StreamId,
    /// Its name in URLs.
    pub key: StreamKey,
    /// Its group.
    pub group: GroupId,
    /// Whose it is.
    pub owner: TenantId,
    /// How it comes in.
    pub in_protocol: InProtocol,
    /// How it may be played.
    pub out_protocols: OutProtocols,
    /// Whether its group is enabled.
    pub enabled: bool,
    /// Whether its owner's service is open.
    pub active: bool,
    /// Whether it was forbidden.
    pub forbidden: bool,
    /// What its owner may have at most.
    pub quota: Quota,
}

impl Row {
    /// Why the stream may neither be sent nor played, if so.
    pub fn shut(&self) -> Option<&'static str> {
        match self {
            Row { active: false, .. } => Some("the service of the stream's owner is not open"),
            Row { enabled: false, .. } => Some("the stream's group is halted"),
            _ => None,
        }
    }
}

/// The rows in memory. Cloning shares them.
#[derive(Clone)]
pub struct Book(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    rows: DashMap<StreamId, Kept>,
    /// What no application may be called: the server answers there itself.
    taken: OnceLock<BTreeSet<&'static str>>,
    /// Counts up whenever something changes that a row depends on; rows of an earlier count are read again.
    edition: AtomicU64,
    /// The transcode rule that every stream has, if there is one.
    always: OnceLock<&'static str>,
}

struct Kept {
    row: Arc<Row>,
    edition: u64,
    until: i64,
}

impl Book {
    /// Over a store.
    pub fn new(store: Store, clock: Clock) -> Book {
        let (taken, always) = (OnceLock::new(), OnceLock::new());
        Book(Arc::new(Inner { store, clock, rows: DashMap::new(), taken, edition: AtomicU64::new(0), always }))
    }

    /// Reads everything again from now on: the caller has just changed something.
    pub fn forget(&self) {
        self.0.edition.fetch_add(1, Ordering::AcqRel);
    }

    /// The row of a name in URLs, `{app}/{id}`; `None` where no stream has that name.
    pub async fn row(&self, key: &StreamKey) -> Result<Option<Arc<Row>>, store::Error> {
        let Ok(id) = key.name().parse::<StreamId>() else { return Ok(None) };
        let now = self.0.clock.now().0.div_euclid(1_000_000_000);
        let edition = self.0.edition.load(Ordering::Acquire);
        let kept = self.0.rows.get(&id).filter(|kept| kept.edition == edition && kept.until > now).map(|kept| kept.row.clone());
        if let Some(row) = kept {
            return Ok(Some(row).filter(|row| row.key == *key));
        }
        let Some(door) = self.0.store.door(key.app(), key.name()).await?.filter(|door| door.stream.id == id) else { return Ok(None) };
        let row = Arc::new(Row {
            id,
            key: key.clone(),
            group: door.group.id,
            owner: door.stream.owner,
            in_protocol: door.group.in_protocol,
            out_protocols: door.group.out_protocols,
            enabled: door.group.enabled,
            active: door.tenant.status == Status::Active,
            forbidden: door.stream.forbidden,
            quota: door.tenant.quota,
        });
        if self.0.rows.len() >= KEPT {
            self.0.rows.clear();
        }
        self.0.rows.insert(id, Kept { row: row.clone(), edition, until: now + FRESH });
        Ok(Some(row))
    }

    /// Every stream has a rule of this name from now on. The first one that is told stays.
    pub fn every_stream_has(&self, rule: &'static str) {
        let _ = self.0.always.set(rule);
    }

    /// Whether a template has transcode rules for a stream.
    pub async fn has_rules(&self, stream: StreamId) -> Result<bool, store::Error> {
        let templates = self.0.store.templates_for(stream).await?;
        Ok(templates.iter().any(|template| matches!(&template.body, Body::Transcode(rules) if !rules.is_empty())))
    }

    /// Whether the output of a transcode rule of this name can be had of a stream.
    pub async fn rule(&self, stream: StreamId, name: &str) -> Result<bool, store::Error> {
        if self.0.always.get().is_some_and(|always| *always == name) {
            return Ok(true);
        }
        let templates = self.0.store.templates_for(stream).await?;
        Ok(templates.iter().any(|template| match &template.body {
            Body::Transcode(rules) => rules.iter().any(|rule| rule.name == name),
            _ => false,
        }))
    }

    /// Whether a group has this application.
    pub async fn uses(&self, app: &str) -> Result<bool, store::Error> {
        self.0.store.app_in_use(app).await
    }

    /// Says once, when all paths of the server are known, what no application may be called.
    pub fn take(&self, names: BTreeSet<&'static str>) {
        // The first word counts: the paths of a server do not change while it runs.
        let _ = self.0.taken.set(names);
    }

    /// Whether the server answers at `/{app}/…` itself, whatever streams there are.
    pub fn is_taken(&self, app: &str) -> bool {
        self.0.taken.get().is_some_and(|names| names.contains(app))
    }

    /// Follows the store's changes until it is closed: what others than the API's actions change.
    pub async fn follow(self) {
        let mut changes = self.0.store.watch();
        while let Some(seen) = changes.next().await {
            match seen {
                // A new stream is in no row yet; a changed or deleted one is.
                Seen::Change(Change::Stream(id)) if !self.0.rows.contains_key(&id) => {}
                Seen::Change(Change::Tenant(_) | Change::Group(_) | Change::Device(..) | Change::Channels(_) | Change::Stream(_)) => {
                    self.forget()
                }
                Seen::Missed(_) => self.forget(),
                Seen::Change(_) => {}
            }
        }
    }
}
