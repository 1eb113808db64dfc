//! Usage: what streams counted in a minute, and the longer spans that minutes are rolled up to. Writing a span again replaces it, so
//! that nothing is counted twice after a crash.

use super::Store;
use super::error::{Error, Result};
use super::sql::{Row, Rows, Value, Where, sql};
use crate::model::id::{GroupId, StreamId};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::model::usage::{Sums, Usage};

/// A minute, in seconds.
pub const MINUTE: i64 = 60;
/// The spans that are rolled up, each from the one before: five minutes, an hour, a day.
pub const SPANS: [i64; 4] = [MINUTE, 300, 3600, 86_400];

const COLUMNS: &str = "span, stream_id, happened, owner, group_id, bytes_in, bytes_out, video_frames, audio_frames, live_ms, viewers, mp4_ms, flv_ms, \
     hls_ms, snapshots";
const REPLACE: &str = " ON CONFLICT (span, stream_id, happened, group_id) DO UPDATE SET owner = excluded.owner, \
     bytes_in = excluded.bytes_in, bytes_out = excluded.bytes_out, video_frames = excluded.video_frames, audio_frames = excluded.audio_frames, \
     live_ms = excluded.live_ms, viewers = excluded.viewers, mp4_ms = excluded.mp4_ms, flv_ms = excluded.flv_ms, hls_ms = excluded.hls_ms, \
     snapshots = excluded.snapshots";
const SUMS: &str = "CAST(SUM(bytes_in) AS BIGINT) AS bytes_in, CAST(SUM(bytes_out) AS BIGINT) AS bytes_out, \
     CAST(SUM(video_frames) AS BIGINT) AS video_frames, CAST(SUM(audio_frames) AS BIGINT) AS audio_frames, CAST(SUM(live_ms) AS BIGINT) AS live_ms, \
     MAX(viewers) AS viewers, CAST(SUM(mp4_ms) AS BIGINT) AS mp4_ms, CAST(SUM(flv_ms) AS BIGINT) AS flv_ms, CAST(SUM(hls_ms) AS BIGINT) AS hls_ms, \
     CAST(SUM(snapshots) AS BIGINT) AS snapshots";

/// Which usage is summed; what is `None` does not matter.
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

impl Store {
    /// Writes minutes, all in one transaction; a minute that is there already is replaced.
    pub async fn put_usage(&self, minutes: Vec<Usage>) -> Result<()> {
        let mut rows = Rows::new(15);
        for u in &minutes {
            let s = &u.sums;
            rows.push([
                MINUTE.into(),
                u.stream.into(),
                u.at.floor(MINUTE).into(),
                u.owner.into(),
                u.group.into(),
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
        let statements = rows.statements(&format!("INSERT INTO usage_spans ({COLUMNS}) VALUES"), REPLACE);
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

    /// Rolls all spans of `span` seconds that start in `[from, to)` up from the next shorter ones.
    pub async fn roll_usage(&self, span: i64, from: Time, to: Time) -> Result<()> {
        let finer = SPANS.iter().position(|s| *s == span).and_then(|n| n.checked_sub(1)).map(|n| SPANS[n]);
        let finer = finer.ok_or_else(|| Error::Invalid { parameter: "span", why: "one of 300, 3600, 86400".to_owned() })?;
        let ms = span * 1000;
        let query = Where::default().is("span", finer).with("happened >= ?", from.floor(span)).with("happened < ?", to.floor(span));
        // A stream that moved within the span has a row in each of its groups; its owner stays.
        let head = format!(
            "INSERT INTO usage_spans ({COLUMNS}) SELECT {span}, stream_id, happened - happened % {ms} AS slot, MAX(owner), group_id, {SUMS} FROM usage_spans"
        );
        let roll = query.sql(&head, &format!(" GROUP BY stream_id, group_id, happened - happened % {ms}{REPLACE}"));
        self.write(move |tx| Box::pin(async move { tx.execute(roll.once()).await.map(drop) })).await
    }

    /// Sums over all streams that fit, a row for each span that has any.
    pub async fn usage_series(&self, scope: Scope, span: i64, filter: UsageFilter) -> Result<Vec<(Time, Sums)>> {
        let head = format!("SELECT happened, {SUMS} FROM usage_spans");
        let query = wanted(scope, span, filter).sql(&head, " GROUP BY happened ORDER BY happened");
        self.reader().await?.all(query).await?.iter().map(|row| Ok((row.get("happened")?, sums(row)?))).collect()
    }

    /// The rows themselves.
    pub async fn usage(&self, scope: Scope, span: i64, filter: UsageFilter) -> Result<Vec<Usage>> {
        let query = wanted(scope, span, filter).sql(&format!("SELECT {COLUMNS} FROM usage_spans"), " ORDER BY happened, stream_id");
        let rows = self.reader().await?.all(query).await?;
        let read = |row: &Row| {
            let (at, owner, group, stream) = (row.get("happened")?, row.get("owner")?, row.get("group_id")?, row.get("stream_id")?);
            Ok(Usage { at, owner, group, stream, sums: sums(row)? })
        };
        rows.iter().map(read).collect()
    }

    /// Forgets spans that are over before `before`; a portion at a time. Returns whether there may be more.
    pub async fn sweep_usage(&self, span: i64, before: Time) -> Result<bool> {
        let delete = sql("DELETE FROM usage_spans WHERE span = $1 AND (stream_id, happened) IN \
             (SELECT stream_id, happened FROM usage_spans WHERE span = $1 AND happened < $2 LIMIT 5000)");
        let delete = delete.bind(span).bind(before);
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(delete).await? >= 5000) })).await
    }
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
