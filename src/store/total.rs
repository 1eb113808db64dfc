//! What groups and tenants used in all, and what they had at once: made by the ledger beside the rows of single streams, because a
//! peak of a sum cannot be told from the peaks of its parts, and so that a year of a tenant is read without reading its streams.

use super::Store;
use super::error::Result;
use super::sql::{Row, Rows, Sql, Value, Where, sql};
use super::usage::{MINUTE, finer, in_turn};
use crate::model::id::{GroupId, TenantId};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::model::usage::{Peak, Peaks, Sums, Total};

const COLUMNS: &str = "span, happened, owner, group_id, protocol, node, bytes_in, bytes_out, video_frames, audio_frames, live_ms, mp4_ms, flv_ms, \
     hls_ms, snapshots, top_in, top_out, streams, streams_at, viewers, viewers_at, recordings, recordings_at, devices, devices_at";
const REPLACE: &str = " ON CONFLICT (owner, group_id, protocol, span, happened, node) DO UPDATE SET bytes_in = excluded.bytes_in, \
     bytes_out = excluded.bytes_out, video_frames = excluded.video_frames, audio_frames = excluded.audio_frames, live_ms = excluded.live_ms, \
     mp4_ms = excluded.mp4_ms, flv_ms = excluded.flv_ms, hls_ms = excluded.hls_ms, snapshots = excluded.snapshots, top_in = excluded.top_in, \
     top_out = excluded.top_out, streams = excluded.streams, streams_at = excluded.streams_at, viewers = excluded.viewers, \
     viewers_at = excluded.viewers_at, recordings = excluded.recordings, recordings_at = excluded.recordings_at, devices = excluded.devices, \
     devices_at = excluded.devices_at";
const COUNTERS: [&str; 9] = ["bytes_in", "bytes_out", "video_frames", "audio_frames", "live_ms", "mp4_ms", "flv_ms", "hls_ms", "snapshots"];
const GAUGES: [&str; 4] = ["streams", "viewers", "recordings", "devices"];
const DAY_MS: i64 = 86_400_000;
/// A peak and the minute of its day in one number, so that MAX finds the highest and of equal ones the first.
const PACK: i64 = 2048;

/// Whose totals are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalOf {
    /// A tenant, all its groups.
    Tenant(TenantId),
    /// A group.
    Group(GroupId, TenantId),
}

impl TotalOf {
    fn rows(self, protocol: &str) -> Where {
        let (owner, group) = match self {
            TotalOf::Tenant(owner) => (owner, 0),
            TotalOf::Group(group, owner) => (owner, group.0),
        };
        Where::default().is("owner", owner).is("group_id", group).is("protocol", protocol)
    }
}

impl Store {
    /// The spans of `span` seconds that start in `[from, to)` and have something, oldest first; over all protocols.
    pub async fn totals(&self, of: TotalOf, span: i64, from: Time, to: Time) -> Result<Vec<Total>> {
        let rows = of.rows("").is("span", span).with("happened >= ?", from).with("happened < ?", to);
        self.reader().await?.all(spans(&rows, span, " ORDER BY happened")).await?.iter().map(read).collect()
    }

    /// The same of every single protocol.
    pub async fn totals_by_protocol(&self, of: TotalOf, span: i64, from: Time, to: Time) -> Result<Vec<Total>> {
        let (owner, group) = match of {
            TotalOf::Tenant(owner) => (owner, 0),
            TotalOf::Group(group, owner) => (owner, group.0),
        };
        let rows = Where::default().is("owner", owner).is("group_id", group).and("protocol <> ''").is("span", span);
        let rows = rows.with("happened >= ?", from).with("happened < ?", to);
        self.reader().await?.all(spans(&rows, span, " ORDER BY happened, protocol")).await?.iter().map(read).collect()
    }

    /// One total over spans of `span` seconds that start in `[from, to)`; `None`: there is none.
    pub async fn total(&self, of: TotalOf, span: i64, from: Time, to: Time) -> Result<Option<Total>> {
        let rows = of.rows("").is("span", span).with("happened >= ?", from).with("happened < ?", to);
        let mut columns = vec!["MIN(happened) AS happened, MAX(owner) AS owner, MAX(group_id) AS group_id, '' AS protocol".to_owned()];
        columns.extend(COUNTERS.map(|c| format!("CAST(SUM({c}) AS BIGINT) AS {c}")));
        columns.extend(["top_in", "top_out"].map(|c| format!("MAX({c}) AS {c}")));
        // Within a range of many days the time of a peak is not asked for.
        columns.extend(GAUGES.map(|c| format!("MAX({c}) AS {c}, MIN({c}_at) AS {c}_at")));
        let inner = spans(&rows, span, "");
        let query = Sql::built(format!("SELECT {} FROM ({}) AS spans HAVING COUNT(*) > 0", columns.join(", "), inner.text), inner.args);
        self.reader().await?.one(query).await?.as_ref().map(read).transpose()
    }

    /// The rows of this server's minute.
    pub async fn totals_of_minute(&self, at: Time) -> Result<Vec<Total>> {
        let rows = Where::default().is("span", MINUTE).is("happened", at).is("node", self.0.settings.node);
        let query = rows.sql(&format!("SELECT {COLUMNS} FROM usage_totals"), "");
        self.reader().await?.all(query).await?.iter().map(read).collect()
    }

    /// Whose a group is, or was, that used anything: its past outlives it.
    pub async fn owner_of_used_group(&self, scope: Scope, group: GroupId) -> Result<Option<TenantId>> {
        if group.0 == 0 {
            // That stands for all groups of a tenant.
            return Ok(None);
        }
        let tenants = match scope {
            Scope::Operator => Where::default(),
            Scope::Tenant(id) => Where::default().is("id", id),
        };
        let used = "EXISTS (SELECT 1 FROM usage_totals WHERE usage_totals.owner = tenants.id AND usage_totals.group_id = ?)";
        let row = self.reader().await?.one(tenants.with(used, group).sql("SELECT id FROM tenants", " ORDER BY id LIMIT 1")).await?;
        row.map(|row| row.get("id")).transpose()
    }

    /// Rolls all totals of `span` seconds that start in `[from, to)` up from the next shorter ones.
    pub async fn roll_totals(&self, span: i64, from: Time, to: Time) -> Result<()> {
        let finer = finer(span)?;
        let ms = span * 1000;
        let rows = Where::default().is("span", finer).with("happened >= ?", from.floor(span)).with("happened < ?", to.floor(span));
        // The servers of a minute are added up; then spans are added up, and the highest of their peaks is kept.
        let inner = spans(&rows, finer, "");
        let mut columns = vec![format!("{span}, happened - happened % {ms} AS slot, owner, group_id, protocol, 0")];
        columns.extend(COUNTERS.map(|c| format!("CAST(SUM({c}) AS BIGINT)")));
        columns.extend(
            match finer {
                MINUTE => ["CAST(SUM(bytes_in) AS BIGINT)", "CAST(SUM(bytes_out) AS BIGINT)"],
                _ => ["MAX(top_in)", "MAX(top_out)"],
            }
            .map(str::to_owned),
        );
        columns.extend(GAUGES.map(|c| {
            let packed = format!("MAX({c} * {PACK} + {PACK} - 1 - {c}_at % {DAY_MS} / 60000)");
            let day = format!("MIN(happened - happened % {DAY_MS})");
            format!("{packed} / {PACK}, {day} + ({PACK} - 1 - {packed} % {PACK}) * 60000")
        }));
        let text = format!(
            "INSERT INTO usage_totals ({COLUMNS}) SELECT {} FROM ({}) AS finer GROUP BY happened - happened % {ms}, owner, group_id, protocol{REPLACE}",
            columns.join(", "),
            inner.text
        );
        let roll = Sql::built(text, inner.args);
        self.write(move |tx| {
            Box::pin(async move {
                in_turn(tx).await?;
                tx.execute(roll).await.map(drop)
            })
        })
        .await
    }

    /// Forgets totals that are over before `before`, a portion at a time: of single protocols alone, or all. Returns whether there
    /// may be more.
    pub async fn sweep_totals(&self, span: i64, before: Time, protocols: bool) -> Result<bool> {
        let delete = sql(match protocols {
            true => {
                "DELETE FROM usage_totals WHERE span = $1 AND protocol <> '' AND (owner, group_id, happened) IN (SELECT owner, group_id, happened \
                 FROM usage_totals WHERE span = $1 AND happened < $2 AND protocol <> '' ORDER BY happened LIMIT 5000)"
            }
            false => {
                "DELETE FROM usage_totals WHERE span = $1 AND (owner, group_id, happened) IN (SELECT owner, group_id, happened \
                 FROM usage_totals WHERE span = $1 AND happened < $2 ORDER BY happened LIMIT 5000)"
            }
        });
        let delete = delete.bind(span).bind(before);
        self.write(move |tx| Box::pin(async move { Ok(tx.execute(delete).await? >= 5000) })).await
    }
}

/// One row a span: minutes are summed over the servers that wrote them, longer spans are such sums already.
fn spans(rows: &Where, span: i64, tail: &str) -> Sql {
    match span {
        MINUTE => rows.sql(&format!("SELECT {} FROM usage_totals", grouped()), &format!(" {GROUP}{tail}")),
        _ => rows.sql(&format!("SELECT {COLUMNS} FROM usage_totals"), tail),
    }
}

/// One row a span, whatever servers wrote it. Devices are counted in the store that all servers share, so they do not add up.
fn grouped() -> String {
    let mut columns = vec!["happened, owner, group_id, protocol".to_owned()];
    columns.extend(COUNTERS.map(|c| format!("CAST(SUM({c}) AS BIGINT) AS {c}")));
    columns.extend(["top_in", "top_out"].map(|c| format!("MAX({c}) AS {c}")));
    columns.extend(GAUGES.map(|c| match c {
        "devices" => "MAX(devices) AS devices, MAX(devices_at) AS devices_at".to_owned(),
        c => format!("CAST(SUM({c}) AS BIGINT) AS {c}, MAX({c}_at) AS {c}_at"),
    }));
    columns.join(", ")
}

const GROUP: &str = "GROUP BY happened, owner, group_id, protocol";

/// Writes totals of this server's minutes.
pub(super) fn insert(totals: &[Total], node: u16) -> Vec<Sql> {
    let mut rows = Rows::new(25);
    for t in totals {
        let (s, p) = (&t.sums, &t.peaks);
        let at = t.at.floor(MINUTE);
        rows.push([
            MINUTE.into(),
            at.into(),
            t.owner.into(),
            t.group.map_or(0, |group| group.0).into(),
            Value::from(&t.protocol),
            node.into(),
            s.bytes_in.into(),
            s.bytes_out.into(),
            s.video_frames.into(),
            s.audio_frames.into(),
            s.live_ms.into(),
            s.mp4_ms.into(),
            s.flv_ms.into(),
            s.hls_ms.into(),
            s.snapshots.into(),
            0i64.into(),
            0i64.into(),
            p.streams.most.into(),
            at.into(),
            p.viewers.most.into(),
            at.into(),
            p.recordings.most.into(),
            at.into(),
            p.devices.most.into(),
            at.into(),
        ]);
    }
    rows.statements(&format!("INSERT INTO usage_totals ({COLUMNS}) VALUES"), REPLACE)
}

fn read(row: &Row) -> Result<Total> {
    let group: i64 = row.get("group_id")?;
    let peak = |name: &str, at: &str| -> Result<Peak> { Ok(Peak { most: row.get(name)?, at: row.get(at)? }) };
    Ok(Total {
        at: row.get("happened")?,
        owner: row.get("owner")?,
        group: (group != 0).then_some(GroupId(group)),
        protocol: row.get("protocol")?,
        sums: Sums {
            bytes_in: row.get("bytes_in")?,
            bytes_out: row.get("bytes_out")?,
            video_frames: row.get("video_frames")?,
            audio_frames: row.get("audio_frames")?,
            live_ms: row.get("live_ms")?,
            viewers: 0,
            mp4_ms: row.get("mp4_ms")?,
            flv_ms: row.get("flv_ms")?,
            hls_ms: row.get("hls_ms")?,
            snapshots: row.get("snapshots")?,
        },
        top_in: row.get("top_in")?,
        top_out: row.get("top_out")?,
        peaks: Peaks {
            streams: peak("streams", "streams_at")?,
            viewers: peak("viewers", "viewers_at")?,
            recordings: peak("recordings", "recordings_at")?,
            devices: peak("devices", "devices_at")?,
        },
    })
}
