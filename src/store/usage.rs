//! Usage of single streams: what was counted in a minute, and the longer spans that minutes are rolled up to. Writing a span again
//! replaces it, so that nothing is counted twice after a crash. A minute is written by each server under its own node number;
//! longer spans are sums over all servers. What groups and tenants used in all is in `total.rs`.

use super::error::{Error, Result};
use super::sql::{Row, Rows, Value, Where, sql};
use super::{Store, Tx, total};
use crate::model::id::{GroupId, StreamId, TenantId};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::model::usage::{Sums, Total, Usage};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A minute, in seconds.
pub const MINUTE: i64 = 60;
/// The spans that are rolled up, each from the one before: five minutes, an hour, a day.
pub const SPANS: [i64; 4] = [MINUTE, 300, 3600, 86_400];

const COLUMNS: &str = "span, happened, stream_id, group_id, owner, node, bytes_in, bytes_out, video_frames, audio_frames, live_ms, viewers, \
     mp4_ms, flv_ms, hls_ms, snapshots";
const REPLACE: &str = " ON CONFLICT (span, happened, stream_id, group_id, node) DO UPDATE SET owner = excluded.owner, \
     bytes_in = excluded.bytes_in, bytes_out = excluded.bytes_out, video_frames = excluded.video_frames, audio_frames = excluded.audio_frames, \
     live_ms = excluded.live_ms, viewers = excluded.viewers, mp4_ms = excluded.mp4_ms, flv_ms = excluded.flv_ms, hls_ms = excluded.hls_ms, \
     snapshots = excluded.snapshots";
const SUMS: &str = "CAST(SUM(bytes_in) AS BIGINT) AS bytes_in, CAST(SUM(bytes_out) AS BIGINT) AS bytes_out, \
     CAST(SUM(video_frames) AS BIGINT) AS video_frames, CAST(SUM(audio_frames) AS BIGINT) AS audio_frames, CAST(SUM(live_ms) AS BIGINT) AS live_ms, \
     MAX(viewers) AS viewers, CAST(SUM(mp4_ms) AS BIGINT) AS mp4_ms, CAST(SUM(flv_ms) AS BIGINT) AS flv_ms, CAST(SUM(hls_ms) AS BIGINT) AS hls_ms, \
     CAST(SUM(snapshots) AS BIGINT) AS snapshots";

/// Which usage is meant; what is `None` does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageFilter {
    /// Of this group.
    pub group: Option<GroupId>,
    /// Of this stream.
    pub stream: Option<StreamId>,
    /// Not before.
    pub from: Time,
    /// Before.
    pub to: Time,
}

/// What was stored of streams since it was last asked: filled where records are written, emptied by the ledger.
#[derive(Default)]
pub(super) struct Stored(Mutex<HashMap<(TenantId, GroupId, StreamId), Sums>>);

/// Streams that are remembered at most, where nobody asks.
const STORED: usize = 100_000;

impl Stored {
    pub(super) fn add(&self, whose: (TenantId, GroupId, StreamId), sums: Sums) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < STORED || all.contains_key(&whose) {
            all.entry(whose).or_default().add(&sums);
        }
    }
}

impl Store {
    /// Length and number of the recordings and snapshots that were written since the last call, with whose they are.
    pub fn take_stored(&self) -> HashMap<(TenantId, GroupId, StreamId), Sums> {
        std::mem::take(&mut *self.0.stored.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes minutes of this server, all in one transaction; a minute that is there already is replaced.
    pub async fn put_usage(&self, minutes: Vec<Usage>, totals: Vec<Total>) -> Result<()> {
        let mut rows = Rows::new(16);
        let node = self.0.settings.node;
        for u in &minutes {
            let s = &u.sums;
            rows.push([
                MINUTE.into(),
                u.at.floor(MINUTE).into(),
                u.stream.into(),
                u.group.into(),
                u.owner.into(),
                node.into(),
                Value::from(s.bytes_in),
                s.bytes_out.into(),
                s.video_frames.into(),
                s.audio_frames.into(),
                s.live_ms.into(),
                s.viewers.into(),
                s.mp4_ms.into(),
                s.flv_ms.into(),
                s.hls_ms.into(),
                s.snapshots.into(),
            ]);
        }
        let mut statements = rows.statements(&format!("INSERT INTO usage_spans ({COLUMNS}) VALUES"), REPLACE);
        statements.extend(total::insert(&totals, node));
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

    /// Rolls all spans of streams of `span` seconds that start in `[from, to)` up from the next shorter ones.
    pub async fn roll_usage(&self, span: i64, from: Time, to: Time) -> Result<()> {
        let finer = finer(span)?;
        let ms = span * 1000;
        let query = Where::default().is("span", finer).with("happened >= ?", from.floor(span)).with("happened < ?", to.floor(span));
        // A stream that moved within the span has a row in each of its groups; its owner stays.
        let head = format!(
            "INSERT INTO usage_spans ({COLUMNS}) SELECT {span}, happened - happened % {ms} AS slot, stream_id, group_id, MAX(owner), 0, {SUMS} \
             FROM usage_spans"
        );
        let roll = query.sql(&head, &format!(" GROUP BY happened - happened % {ms}, stream_id, group_id{REPLACE}"));
        self.write(move |tx| {
            Box::pin(async move {
                in_turn(tx).await?;
                tx.execute(roll.once()).await.map(drop)
            })
        })
        .await
    }

    /// Sums over all streams that fit, a row for each span that has any.
    pub async fn usage_series(&self, scope: Scope, span: i64, filter: UsageFilter) -> Result<Vec<(Time, Sums)>> {
        let head = format!("SELECT happened, {SUMS} FROM usage_spans");
        let query = wanted(scope, span, filter).sql(&head, " GROUP BY happened ORDER BY happened");
        self.reader().await?.all(query).await?.iter().map(|row| Ok((row.get("happened")?, sums(row)?))).collect()
    }

    /// Whether a stream used anything in a group: it may have moved since, or be gone.
    pub async fn was_used(&self, scope: Scope, group: GroupId, stream: StreamId) -> Result<bool> {
        let mut conn = self.reader().await?;
        for span in SPANS {
            let rows = Where::scope(scope).is("span", span).is("stream_id", stream).is("group_id", group);
            if conn.one(rows.sql("SELECT span FROM usage_spans", " LIMIT 1")).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rows themselves; minutes of this server alone.
    pub async fn usage(&self, scope: Scope, span: i64, filter: UsageFilter) -> Result<Vec<Usage>> {
        let node = if span == MINUTE { self.0.settings.node } else { 0 };
        let query = wanted(scope, span, filter).is("node", node);
        let query = query.sql(&format!("SELECT {COLUMNS} FROM usage_spans"), " ORDER BY happened, stream_id, group_id");
        let rows = self.reader().await?.all(query).await?;
        let read = |row: &Row| {
            let (at, owner, group, stream) = (row.get("happened")?, row.get("owner")?, row.get("group_id")?, row.get("stream_id")?);
            Ok(Usage { at, owner, group, stream, sums: sums(row)? })
        };
        rows.iter().map(read).collect()
    }

    /// Forgets spans of streams that are over before `before`; a portion at a time. Returns whether there may be more.
    pub async fn sweep_usage(&self, span: i64, before: Time) -> Result<bool> {
        let delete = sql("DELETE FROM usage_spans WHERE span = $1 AND (stream_id, happened) IN \
             (SELECT stream_id, happened FROM usage_spans WHERE span = $1 AND happened < $2 ORDER BY happened LIMIT 5000)");
        let delete = delete.bind(span).bind(before);
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(delete).await? >= 5000) })).await
    }

    /// The last minute that this server wrote.
    pub async fn last_usage_minute(&self) -> Result<Option<Time>> {
        let mut conn = self.reader().await?;
        let mut last = None;
        for table in ["usage_spans", "usage_totals"] {
            // Not MAX(): this walks back from the end and stops.
            let query = Where::default().is("span", MINUTE).is("node", self.0.settings.node);
            let query = query.sql(&format!("SELECT happened FROM {table}"), " ORDER BY happened DESC LIMIT 1");
            let found: Option<Time> = conn.one(query).await?.map(|row| row.get("happened")).transpose()?;
            last = last.max(found);
        }
        Ok(last)
    }

    /// Whose streams are, by their ids: those that are not there are left out.
    pub async fn owners_of_streams(&self, ids: &[StreamId]) -> Result<Vec<(StreamId, String, TenantId, GroupId)>> {
        let mut found = Vec::with_capacity(ids.len());
        for portion in ids.chunks(1000) {
            let query = Where::default().and("hidden = 0").one_of("id", portion.iter().copied());
            let query = query.sql("SELECT id, app, owner, group_id FROM streams", "").once();
            for row in self.reader().await?.all(query).await? {
                found.push((row.get("id")?, row.get("app")?, row.get("owner")?, row.get("group_id")?));
            }
        }
        Ok(found)
    }

    /// How many devices are online, by tenant and group.
    pub async fn devices_online(&self) -> Result<Vec<(TenantId, GroupId, i64)>> {
        let query = sql("SELECT owner, group_id, COUNT(*) AS n FROM devices WHERE status = 'on' GROUP BY owner, group_id");
        let rows = self.reader().await?.all(query).await?;
        rows.iter().map(|row| Ok((row.get("owner")?, row.get("group_id")?, row.get("n")?))).collect()
    }
}

/// The span that a longer one is made from.
pub(super) fn finer(span: i64) -> Result<i64> {
    let finer = SPANS.iter().position(|s| *s == span).and_then(|n| n.checked_sub(1)).and_then(|n| SPANS.get(n));
    finer.copied().ok_or_else(|| Error::Invalid { parameter: "span", why: "one of 300, 3600, 86400".to_owned() })
}

/// Servers roll one after the other: the last one sees the minutes of all.
pub(super) async fn in_turn(tx: &mut Tx) -> Result<()> {
    tx.lock("usage", "roll").await
}

fn wanted(scope: Scope, span: i64, filter: UsageFilter) -> Where {
    let rows = Where::scope(scope).is("span", span).equals_if("group_id", filter.group).equals_if("stream_id", filter.stream);
    rows.with("happened >= ?", filter.from).with("happened < ?", filter.to)
}

fn sums(row: &Row) -> Result<Sums> {
    Ok(Sums {
        bytes_in: row.get("bytes_in")?,
        bytes_out: row.get("bytes_out")?,
        video_frames: row.get("video_frames")?,
        audio_frames: row.get("audio_frames")?,
        live_ms: row.get("live_ms")?,
        viewers: row.get("viewers")?,
        mp4_ms: row.get("mp4_ms")?,
        flv_ms: row.get("flv_ms")?,
        hls_ms: row.get("hls_ms")?,
        snapshots: row.get("snapshots")?,
    })
}
