//! Records: finished recordings, snapshots and gaps; pages of a stream's records stay quick with tens of millions of rows.
//!
//! Beside the rows, `record_days` counts those of each stream, kind and UTC day. A list's total is the sum of whole days and the
//! count of its two border days; a page far down starts on the day that holds it. No query walks more than some days' rows.

use super::error::{Error, Noun, Result};
use super::sql::{Row, Rows, Sql, Value, Where, sql};
use super::{Conn, Store, Tx};
use crate::model::id::{RecordId, RecordingId, TenantId};
use crate::model::page::{Page, Paged};
use crate::model::record::{Draft, Filter, Format, Kind, Place, Record};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::model::usage::Sums;
use std::collections::BTreeMap;

const SELECT: &str = "SELECT id, owner, group_id, stream_id, template_id, recording, kind, format, endpoint, bucket, object, start_time, end_time, \
     duration_ms, width, height, size, expires FROM records";
const DAY: i64 = 86_400;

impl Store {
    /// Writes records of finished objects.
    pub async fn add_records(&self, drafts: Vec<Draft>) -> Result<Vec<Record>> {
        let store = self.clone();
        let write = self.write(move |tx| {
            Box::pin(async move {
                let mut stored = Stored::default();
                let records = insert(tx, &store, drafts, &mut stored).await?;
                stored.note(tx).await?;
                Ok(records)
            })
        });
        let records = write.await?;
        records.iter().for_each(|record| self.count_stored(record));
        Ok(records)
    }

    /// A page of the records of a stream, oldest first.
    pub async fn records(&self, scope: Scope, filter: Filter, page: Page) -> Result<Paged<Record>> {
        let mut conn = self.reader().await?;
        let span = Span::of(&mut conn, scope, filter).await?;
        let (early, within) = (span.count_early(&mut conn).await?, span.count(&mut conn).await?);
        let (offset, size) = (page.offset(), i64::from(page.size()));
        let mut items = Vec::new();
        if offset < early {
            items = span.early(&mut conn, offset, size).await?;
        }
        let (skip, rest) = ((offset - early).max(0), size - items.len() as i64);
        if rest > 0 && skip < within {
            items.extend(span.page(&mut conn, skip, rest).await?);
        }
        Ok(Paged { items, total: (early + within) as u64, page })
    }

    /// A record.
    pub async fn record(&self, scope: Scope, id: RecordId) -> Result<Record> {
        let row = self.reader().await?.one(Where::scope(scope).is("id", id).sql(SELECT, "")).await?;
        read(&row.ok_or_else(|| Error::not_found(Noun::Record, id))?)
    }

    /// The records of an object: what a request for a file asks.
    pub async fn records_of_object(&self, bucket: &str, object: &str) -> Result<Vec<Record>> {
        let query = Where::default().is("bucket", bucket).is("object", object).sql(SELECT, " ORDER BY id LIMIT 100");
        self.reader().await?.all(query).await?.iter().map(read).collect()
    }

    /// A new recording's id.
    pub fn new_recording(&self) -> RecordingId {
        RecordingId(self.next_id())
    }

    /// The records that a recording made so far, oldest first, at most `limit`.
    pub async fn records_of_recording(&self, scope: Scope, recording: RecordingId, limit: u32) -> Result<Vec<Record>> {
        let query = Where::scope(scope).is("recording", recording).sql(SELECT, " ORDER BY start_time, id");
        self.reader().await?.all(query.then(" LIMIT ?", limit)).await?.iter().map(read).collect()
    }

    /// Records that are past their time, the oldest first.
    pub async fn expired_records(&self, now: Time, limit: u32) -> Result<Vec<Record>> {
        let query = Where::default().and("expires IS NOT NULL").with("expires <= ?", now).sql(SELECT, " ORDER BY expires");
        self.reader().await?.all(query.then(" LIMIT ?", limit)).await?.iter().map(read).collect()
    }

    /// The oldest records that are stored locally, whoever owns them: what gives way when the disk is full.
    pub async fn oldest_local_records(&self, limit: u32) -> Result<Vec<Record>> {
        let query = Where::default().and("bucket = ''").and("kind <> 'gap'").sql(SELECT, " ORDER BY id");
        self.reader().await?.all(query.then(" LIMIT ?", limit)).await?.iter().map(read).collect()
    }

    /// Records whose objects cannot be deleted now: they are past their time later.
    pub async fn postpone_records(&self, ids: &[RecordId], until: Time) -> Result<()> {
        for portion in ids.chunks(1000) {
            let query = Where::default().one_of("id", portion.iter().copied());
            let later = format!("UPDATE records SET expires = ${}", query.count() + 1);
            let update = query.sql(&later, "").bind(until).once();
            self.write(move |tx| Box::pin(async move { tx.execute(update).await.map(drop) })).await?;
        }
        Ok(())
    }

    /// Forgets records whose objects are gone; returns how many there were.
    pub async fn delete_records(&self, ids: &[RecordId]) -> Result<u64> {
        let mut gone = 0;
        for portion in ids.chunks(1000) {
            let portion = portion.to_vec();
            let delete = self.write(move |tx| {
                Box::pin(async move {
                    let mut stored = Stored::default();
                    let gone = delete(tx, &portion, &mut stored).await?;
                    stored.note(tx).await?;
                    Ok(gone)
                })
            });
            gone += delete.await?;
        }
        Ok(gone)
    }
}

/// What a transaction adds to the bytes that tenants have stored.
#[derive(Default)]
pub(super) struct Stored(BTreeMap<TenantId, i64>);

impl Stored {
    /// Writes it down: the last thing that a transaction does with records, so that all lock in the same order.
    pub(super) async fn note(self, tx: &mut Tx) -> Result<()> {
        for (owner, bytes) in self.0.into_iter().filter(|(_, bytes)| *bytes != 0) {
            tx.execute(sql("UPDATE tenants SET stored = stored + $2 WHERE id = $1").bind(owner).bind(bytes)).await?;
        }
        Ok(())
    }
}

/// Writes records in a transaction.
pub(super) async fn insert(tx: &mut Tx, store: &Store, drafts: Vec<Draft>, stored: &mut Stored) -> Result<Vec<Record>> {
    let (mut rows, mut days) = (Rows::new(18), BTreeMap::<_, (i64, i64)>::new());
    let number = |d| Record::of(RecordId(store.next_id()), d);
    let records: Vec<Record> = drafts.into_iter().map(number).collect();
    for r in &records {
        let (n, longest) = days.entry((r.stream, r.kind, r.start.floor(DAY), r.owner)).or_default();
        (*n, *longest) = (*n + 1, (*longest).max(r.end.0 - r.start.0));
        rows.push([
            r.id.into(),
            r.owner.into(),
            r.group.into(),
            r.stream.into(),
            r.template.into(),
            r.recording.into(),
            r.kind.as_str().into(),
            r.format.map(Format::as_str).into(),
            Value::from(&r.place.endpoint),
            Value::from(&r.place.bucket),
            Value::from(&r.place.object),
            r.start.into(),
            r.end.into(),
            r.duration_ms.into(),
            r.width.into(),
            r.height.into(),
            r.size.into(),
            r.expires.into(),
        ]);
    }
    let mut counts = Rows::new(6);
    // In the order of the map: two servers that write the same days lock them in the same order.
    for ((stream, kind, day, owner), (n, longest)) in days {
        counts.push([stream.into(), kind.as_str().into(), day.into(), owner.into(), n.into(), longest.into()]);
    }
    let rows = rows.statements(
        "INSERT INTO records (id, owner, group_id, stream_id, template_id, recording, kind, format, endpoint, bucket, object, start_time, end_time, \
         duration_ms, width, height, size, expires) VALUES",
        "",
    );
    let counts = counts.statements(
        "INSERT INTO record_days (stream_id, kind, day, owner, rows, longest_ms) VALUES",
        "ON CONFLICT (stream_id, kind, day) DO UPDATE SET rows = record_days.rows + excluded.rows, \
         longest_ms = CASE WHEN excluded.longest_ms > record_days.longest_ms THEN excluded.longest_ms ELSE record_days.longest_ms END",
    );
    for statement in rows.into_iter().chain(counts) {
        tx.execute(statement).await?;
    }
    records.iter().for_each(|r| *stored.0.entry(r.owner).or_default() += i64::try_from(r.size).unwrap_or(i64::MAX));
    Ok(records)
}

/// Deletes records in a transaction.
pub(super) async fn delete(tx: &mut Tx, ids: &[RecordId], stored: &mut Stored) -> Result<u64> {
    let query = Where::default().one_of("id", ids.iter().copied());
    let rows = tx.all(query.sql("DELETE FROM records", " RETURNING stream_id, kind, start_time, owner, size").once()).await?;
    let mut days = BTreeMap::<(i64, String, Time), i64>::new();
    for row in &rows {
        *stored.0.entry(row.get("owner")?).or_default() -= row.get::<i64>("size")?;
        *days.entry((row.get("stream_id")?, row.get("kind")?, row.get::<Time>("start_time")?.floor(DAY))).or_default() += 1;
    }
    for ((stream, kind, day), n) in days {
        let less = sql("UPDATE record_days SET rows = rows - $4 WHERE stream_id = $1 AND kind = $2 AND day = $3");
        tx.execute(less.bind(stream).bind(&kind).bind(day).bind(n)).await?;
        let none = sql("DELETE FROM record_days WHERE stream_id = $1 AND kind = $2 AND day = $3 AND rows <= 0");
        tx.execute(none.bind(stream).bind(&kind).bind(day)).await?;
    }
    Ok(rows.len() as u64)
}

/// The records of a list: those that start in `[from, to)`, and the *early* ones that start before and reach into it.
struct Span {
    scope: Scope,
    filter: Filter,
    /// No record of the stream is longer: early ones start at most this long before.
    longest: i64,
}

impl Span {
    async fn of(conn: &mut Conn, scope: Scope, filter: Filter) -> Result<Span> {
        let mut span = Span { scope, filter, longest: 0 };
        span.longest = conn.number(span.days().sql("SELECT MAX(longest_ms) AS n FROM record_days", "")).await?;
        Ok(span)
    }

    fn days(&self) -> Where {
        Where::scope(self.scope).is("stream_id", self.filter.stream).is("kind", self.filter.kind.as_str())
    }

    fn starts(&self, from: Time, to: Time) -> Where {
        self.days().with("start_time >= ?", from).with("start_time < ?", to)
    }

    fn early_rows(&self) -> Where {
        let Filter { from, to, .. } = self.filter;
        self.starts(Time(from.0.saturating_sub(self.longest)), from.min(to)).with("end_time > ?", from)
    }

    async fn count_early(&self, conn: &mut Conn) -> Result<i64> {
        conn.number(self.early_rows().sql("SELECT COUNT(*) AS n FROM records", "")).await
    }

    async fn early(&self, conn: &mut Conn, skip: i64, size: i64) -> Result<Vec<Record>> {
        read_all(conn, window(&self.early_rows(), skip, size)).await
    }

    async fn count_rows(&self, conn: &mut Conn, from: Time, to: Time) -> Result<i64> {
        if from >= to {
            return Ok(0);
        }
        conn.number(self.starts(from, to).sql("SELECT COUNT(*) AS n FROM records", "")).await
    }

    /// The days that lie wholly in the span, from the first up to and without the last.
    fn whole_days(&self) -> (Time, Time) {
        let Filter { from, to, .. } = self.filter;
        let first = if from == from.floor(DAY) { from } else { Time(from.floor(DAY).0.saturating_add(DAY * 1000)) };
        (first, to.floor(DAY))
    }

    async fn count(&self, conn: &mut Conn) -> Result<i64> {
        let Filter { from, to, .. } = self.filter;
        let (first, last) = self.whole_days();
        if first >= last {
            return self.count_rows(conn, from, to).await;
        }
        let days = self.days().with("day >= ?", first).with("day < ?", last);
        let whole = conn.number(days.sql("SELECT CAST(SUM(rows) AS BIGINT) AS n FROM record_days", "")).await?;
        Ok(self.count_rows(conn, from, first).await? + whole + self.count_rows(conn, last, to).await?)
    }

    /// `size` rows from `skip` on: whole days are skipped by their counts.
    async fn page(&self, conn: &mut Conn, mut skip: i64, size: i64) -> Result<Vec<Record>> {
        let Filter { from, to, .. } = self.filter;
        let (first, last) = self.whole_days();
        let mut start = from;
        if first < last {
            let head = self.count_rows(conn, from, first).await?;
            if skip >= head {
                (start, skip) = (first, skip - head);
                let days = self.days().with("day >= ?", first).with("day < ?", last);
                for row in conn.all(days.sql("SELECT day, rows FROM record_days", " ORDER BY day")).await? {
                    let (day, rows): (Time, i64) = (row.get("day")?, row.get("rows")?);
                    start = day;
                    if skip < rows {
                        break;
                    }
                    (start, skip) = (Time(day.0 + DAY * 1000), skip - rows);
                }
            }
        }
        read_all(conn, window(&self.starts(start, to), skip, size)).await
    }
}

fn window(rows: &Where, skip: i64, size: i64) -> Sql {
    // The rows that are skipped are skipped in the index.
    let head = format!("{SELECT} WHERE id IN (SELECT id FROM records");
    let query = rows.sql(&head, " ORDER BY start_time, id").then(" LIMIT ?", size).then(" OFFSET ?)", skip);
    query.tail(" ORDER BY start_time, id")
}

async fn read_all(conn: &mut Conn, sql: Sql) -> Result<Vec<Record>> {
    conn.all(sql).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Record> {
    Ok(Record {
        id: row.get("id")?,
        owner: row.get("owner")?,
        group: row.get("group_id")?,
        stream: row.get("stream_id")?,
        template: row.get("template_id")?,
        recording: row.get("recording")?,
        kind: row.parse::<Kind>("kind")?,
        format: row.parse_maybe("format")?,
        place: Place { endpoint: row.get("endpoint")?, bucket: row.get("bucket")?, object: row.get("object")? },
        start: row.get("start_time")?,
        end: row.get("end_time")?,
        duration_ms: row.get("duration_ms")?,
        width: row.get("width")?,
        height: row.get("height")?,
        size: row.get("size")?,
        expires: row.get("expires")?,
    })
}

impl Store {
    /// Tells the ledger of a record that was written.
    pub(super) fn count_stored(&self, record: &Record) {
        self.0.stored.add((record.owner, record.group, record.stream), used(record));
    }
}

/// What the ledger counts of a record.
fn used(record: &Record) -> Sums {
    let ms = record.duration_ms.max(0);
    let none = Sums::default();
    match (record.kind, record.format) {
        (Kind::Record, Some(Format::Mp4)) => Sums { mp4_ms: ms, ..none },
        (Kind::Record, Some(Format::Flv)) => Sums { flv_ms: ms, ..none },
        (Kind::Record, Some(Format::Hls)) => Sums { hls_ms: ms, ..none },
        (Kind::Snapshot, _) => Sums { snapshots: 1, ..none },
        _ => none,
    }
}
