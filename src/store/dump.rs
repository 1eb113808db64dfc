//! All rows of all tables as JSON lines: a line that names the table and its columns, then a line a row.

use super::db::{Backend, Conn, Tx};
use super::error::{Error, Result};
use super::sql::{Row, Rows, Sql, Value, sql};
use serde_json::Value as Json;
use std::io::{BufRead, Read, Write};

/// Every table but `migrations` and [`PASSING`], those that others refer to first.
pub(super) const TABLES: &[&str] = &[
    "meta",
    "counters",
    "tenants",
    "access_keys",
    "bucket_keys",
    "domain_keys",
    "groups",
    "devices",
    "directories",
    "channels",
    "streams",
    "templates",
    "bindings",
    "records",
    "record_days",
    "alarms",
    "callbacks",
    "deliveries",
    "usage_spans",
    "usage_totals",
    "license_products",
    "license_allocations",
    "license_quotas",
    "licenses",
    "license_renewals",
    "license_renewed",
    "cloud_recordings",
    "recordings",
    "deposits",
    "deposit_parts",
    "uppers",
    "upper_groups",
    "upper_streams",
    "positions",
];

/// Tables that no backup holds: what is in them is over in a quarter of an hour.
pub(super) const PASSING: &[&str] = &["nonces"];

/// Rows that are in memory at a time.
const PORTION: i64 = 2000;
/// The longest line that is read.
const LINE: u64 = 16 << 20;

#[derive(serde::Serialize, serde::Deserialize)]
struct Table {
    table: String,
    columns: Vec<String>,
}

/// Writes all rows as they are at one moment.
pub(super) async fn write(conn: &mut Conn, out: &mut impl Write) -> Result<()> {
    let begin = match conn.backend() {
        Backend::Sqlite => "BEGIN",
        Backend::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    conn.execute(sql(begin)).await?;
    let mut done = Ok(());
    for table in TABLES {
        done = write_table(conn, table, out).await;
        if done.is_err() {
            break;
        }
    }
    conn.execute(sql("ROLLBACK")).await?;
    done
}

async fn write_table(conn: &mut Conn, table: &str, out: &mut impl Write) -> Result<()> {
    let fail = |e: std::io::Error| Error::Unusable(e.to_string());
    let columns = columns(conn, table).await?;
    let head = Table { table: table.to_owned(), columns: columns.iter().map(|(name, _)| name.clone()).collect() };
    writeln!(out, "{}", serde_json::to_string(&head).map_err(|e| Error::Damaged(e.to_string()))?).map_err(fail)?;
    let mut portions = Portions::of(conn, table).await?;
    loop {
        let rows = portions.next(conn).await?;
        for row in &rows {
            let values = columns.iter().map(|(name, int)| value(row, name, *int)).collect::<Result<Vec<Json>>>()?;
            writeln!(out, "{}", Json::Array(values)).map_err(fail)?;
        }
        if rows.is_empty() {
            return portions.end(conn).await;
        }
    }
}

fn value(row: &Row, name: &str, int: bool) -> Result<Json> {
    Ok(match int {
        true => row.get::<Option<i64>>(name)?.map_or(Json::Null, Json::from),
        false => row.get::<Option<String>>(name)?.map_or(Json::Null, Json::from),
    })
}

/// The columns of a table, and whether each holds integers.
async fn columns(conn: &mut Conn, table: &str) -> Result<Vec<(String, bool)>> {
    let query = sql(match conn.backend() {
        Backend::Sqlite => "SELECT name, lower(type) AS kind FROM pragma_table_info($1) ORDER BY cid",
        Backend::Postgres => {
            "SELECT CAST(column_name AS TEXT) AS name, CAST(data_type AS TEXT) AS kind FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
        }
    });
    let rows = conn.all(query.bind(table)).await?;
    rows.iter().map(|row| Ok((row.get("name")?, matches!(row.get::<String>("kind")?.as_str(), "integer" | "bigint")))).collect()
}

/// Reads a table a portion at a time: SQLite by row number, PostgreSQL by a cursor.
struct Portions {
    query: String,
    after: Option<i64>,
}

impl Portions {
    async fn of(conn: &mut Conn, table: &str) -> Result<Portions> {
        Ok(match conn.backend() {
            Backend::Sqlite => Portions {
                query: format!("SELECT rowid AS dump_row, * FROM {table} WHERE rowid > $1 ORDER BY rowid LIMIT {PORTION}"),
                after: Some(i64::MIN),
            },
            Backend::Postgres => {
                conn.script(format!("DECLARE dump NO SCROLL CURSOR FOR SELECT * FROM {table}")).await?;
                Portions { query: format!("FETCH {PORTION} FROM dump"), after: None }
            }
        })
    }

    async fn next(&mut self, conn: &mut Conn) -> Result<Vec<Row>> {
        let query = Sql::built(self.query.clone(), self.after.map(Value::from).into_iter().collect()).once();
        let rows = conn.all(query).await?;
        if let (Some(after), Some(last)) = (&mut self.after, rows.last()) {
            *after = last.get("dump_row")?;
        }
        Ok(rows)
    }

    async fn end(self, conn: &mut Conn) -> Result<()> {
        if self.after.is_none() {
            conn.script("CLOSE dump".to_owned()).await?;
        }
        Ok(())
    }
}

/// Reads rows into the tables of the schema that wrote them. What the migration put there already gives way.
pub(super) async fn read(tx: &mut Tx, mut source: impl BufRead + Send) -> Result<()> {
    // A row may refer to one that comes later in its own table.
    let later = match tx.backend() {
        Backend::Sqlite => "PRAGMA defer_foreign_keys = ON",
        Backend::Postgres => "SET CONSTRAINTS ALL DEFERRED",
    };
    tx.execute(sql(later)).await?;
    let mut table: Option<Loading> = None;
    let mut line = String::new();
    loop {
        line.clear();
        let n = source.by_ref().take(LINE).read_line(&mut line).map_err(|e| Error::Unusable(format!("the backup does not read: {e}")))?;
        let json: Json = match n {
            0 => Json::Null,
            _ => serde_json::from_str(&line).map_err(|e| Error::Unusable(format!("a line of the backup does not read: {e}")))?,
        };
        match (json, &mut table) {
            (Json::Array(row), Some(loading)) => loading.push(tx, row).await?,
            (Json::Object(head), _) => {
                if let Some(loading) = table.take() {
                    loading.flush(tx).await?;
                }
                let head: Table = serde_json::from_value(Json::Object(head)).map_err(|e| Error::Unusable(e.to_string()))?;
                table = Some(Loading::of(tx, head).await?);
            }
            (Json::Null, _) if n == 0 => break,
            _ => return Err(Error::Unusable("a line of the backup is neither table nor row".to_owned())),
        }
    }
    match table {
        Some(loading) => loading.flush(tx).await,
        None => Err(Error::Unusable("the backup is empty".to_owned())),
    }
}

/// A table that is being filled.
struct Loading {
    head: String,
    ints: Vec<bool>,
    rows: Vec<Vec<Json>>,
}

impl Loading {
    async fn of(tx: &mut Tx, head: Table) -> Result<Loading> {
        let known = match TABLES.contains(&head.table.as_str()) {
            true => columns(tx, &head.table).await?,
            false => Vec::new(),
        };
        let int = |name: &String| known.iter().find(|(known, _)| known == name).map(|(_, int)| *int);
        let ints: Option<Vec<bool>> = head.columns.iter().map(int).collect();
        // The names go into a statement: they are those of our own schema, or nothing is done.
        let ints = ints
            .filter(|ints| !ints.is_empty())
            .ok_or_else(|| Error::Unusable(format!("the backup's table {:?} is not ours", head.table)))?;
        tx.execute(Sql::built(format!("DELETE FROM {}", head.table), Vec::new()).once()).await?;
        Ok(Loading { head: format!("INSERT INTO {} ({}) VALUES", head.table, head.columns.join(", ")), ints, rows: Vec::new() })
    }

    async fn push(&mut self, tx: &mut Tx, row: Vec<Json>) -> Result<()> {
        if row.len() != self.ints.len() {
            return Err(Error::Unusable("a row of the backup has too few or too many values".to_owned()));
        }
        self.rows.push(row);
        if self.rows.len() < PORTION as usize {
            return Ok(());
        }
        let full = Loading { head: self.head.clone(), ints: self.ints.clone(), rows: std::mem::take(&mut self.rows) };
        full.flush(tx).await
    }

    async fn flush(self, tx: &mut Tx) -> Result<()> {
        let mut rows = Rows::new(self.ints.len());
        for row in self.rows {
            let values = row.into_iter().zip(&self.ints).map(|(json, int)| match (json, int) {
                (Json::Null, true) => Ok(Value::Int(None)),
                (Json::Null, false) => Ok(Value::Text(None)),
                (Json::String(text), false) => Ok(Value::Text(Some(text))),
                (Json::Number(n), true) if n.is_i64() => Ok(Value::Int(n.as_i64())),
                _ => Err(Error::Unusable("a value of the backup has the wrong type".to_owned())),
            });
            rows.extend(values.collect::<Result<Vec<Value>>>()?);
        }
        for statement in rows.statements(&self.head, "") {
            tx.execute(statement).await?;
        }
        Ok(())
    }
}
