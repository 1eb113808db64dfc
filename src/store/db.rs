//! Connections: SQLite with one writer and several readers, or a PostgreSQL pool; reads, and writes that are durable when they return.

use super::error::{Error, Result};
use super::sql::{Row, Sql, Value};
use super::writer::Writer;
use super::{Change, Settings};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Postgres, Sqlite, Transaction};
use std::path::Path;
use std::pin::Pin;
use std::str::FromStr;

/// A future that an operation returns.
pub(super) type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
}

pub(super) enum Db {
    Sqlite { readers: SqlitePool, writer: Writer },
    Postgres(PgPool),
}

/// A connection, or a transaction, of either database.
pub(super) enum Conn {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
    Transaction(Transaction<'static, Postgres>),
}

/// A transaction that writes, and what it changed: told to the watchers once it is durable.
pub(super) struct Tx {
    pub(super) conn: Conn,
    pub(super) changes: Vec<Change>,
}

impl Db {
    /// Opens the database that the settings name; SQLite's file is made if it is not there.
    pub(super) async fn open(settings: &Settings, data_dir: &Path) -> Result<Db> {
        if settings.url.0.is_empty() { Db::sqlite(settings, &data_dir.join("weir.db")).await } else { Db::postgres(settings).await }
    }

    async fn sqlite(settings: &Settings, file: &Path) -> Result<Db> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // The WAL is synced at every commit: what was answered survives a power cut, not only a kill.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(settings.patience.0)
            .statement_cache_capacity(256)
            .pragma("temp_store", "memory")
            .pragma("mmap_size", "1073741824")
            .pragma("journal_size_limit", "67108864");
        let pool = |n: u32| {
            SqlitePoolOptions::new().max_connections(n).min_connections(1).acquire_timeout(settings.patience.0).test_before_acquire(false)
        };
        let open = |e: sqlx::Error| Error::Unusable(format!("{}: {e}", file.display()));
        let one = options.clone().pragma("cache_size", "-65536").optimize_on_close(true, 400);
        let writer = pool(1).connect_with(one).await.map_err(open)?;
        let readers = pool(settings.connections.max(1)).idle_timeout(None).max_lifetime(None);
        let readers = readers.connect_with(options.pragma("cache_size", "-16384").pragma("query_only", "on")).await.map_err(open)?;
        Ok(Db::Sqlite { readers, writer: Writer::start(writer) })
    }

    async fn postgres(settings: &Settings) -> Result<Db> {
        // The URL holds a password: it is not part of the message.
        let options = PgConnectOptions::from_str(&settings.url.0)
            .map_err(|_| Error::Unusable("store.url is not a PostgreSQL URL: postgres://user:password@host/database".to_owned()))?
            .application_name("weir")
            .statement_cache_capacity(256)
            .options([("default_transaction_isolation", "read committed"), ("synchronous_commit", "on")]);
        let pool = PgPoolOptions::new().max_connections(settings.connections.max(2)).acquire_timeout(settings.patience.0);
        let pool = pool.connect_with(options).await.map_err(|e| Error::Unusable(format!("store.url: {e}")))?;
        Ok(Db::Postgres(pool))
    }

    /// A connection to read with.
    pub(super) async fn reader(&self) -> Result<Conn> {
        Ok(match self {
            Db::Sqlite { readers, .. } => Conn::Sqlite(readers.acquire().await?),
            Db::Postgres(pool) => Conn::Postgres(pool.acquire().await?),
        })
    }

    /// Runs `job` in a transaction; when this returns `Ok`, the result is durable. A job that fails leaves nothing behind, and
    /// so does a caller that does not wait, unless the work was done already.
    pub(super) async fn write<T, J>(&self, job: J) -> Result<(T, Vec<Change>)>
    where
        T: Send + 'static,
        J: for<'a> FnOnce(&'a mut Tx) -> Doing<'a, T> + Send + 'static,
    {
        match self {
            Db::Sqlite { writer, .. } => writer.run(job).await,
            Db::Postgres(pool) => {
                let mut tx = Tx { conn: Conn::Transaction(pool.begin().await?), changes: Vec::new() };
                let value = job(&mut tx).await?;
                if let Conn::Transaction(transaction) = tx.conn {
                    transaction.commit().await?;
                }
                Ok((value, tx.changes))
            }
        }
    }

    /// Ends all connections in order.
    pub(super) async fn close(&self) {
        match self {
            Db::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Db::Postgres(pool) => pool.close().await,
        }
    }
}

macro_rules! on {
    ($conn:expr, $sql:expr, $method:ident) => {{
        let Sql { mut text, args, keep, in_order } = $sql;
        if in_order && !matches!($conn, Conn::Sqlite(_)) {
            text = Sql::numbered(&text).into();
        }
        macro_rules! run {
            ($c:expr) => {{
                let mut query = sqlx::query(AssertSqlSafe(text)).persistent(keep);
                for value in args {
                    query = match value {
                        Value::Int(v) => query.bind(v),
                        Value::Text(v) => query.bind(v),
                    };
                }
                query.$method($c).await?
            }};
        }
        match $conn {
            Conn::Sqlite(c) => Either::Sqlite(run!(&mut **c)),
            Conn::Postgres(c) => Either::Postgres(run!(&mut **c)),
            Conn::Transaction(c) => Either::Postgres(run!(&mut **c)),
        }
    }};
}

enum Either<S, P> {
    Sqlite(S),
    Postgres(P),
}

impl Conn {
    /// Which database this is.
    pub(super) fn backend(&self) -> Backend {
        match self {
            Conn::Sqlite(_) => Backend::Sqlite,
            Conn::Postgres(_) | Conn::Transaction(_) => Backend::Postgres,
        }
    }

    /// Runs a statement; returns how many rows it changed.
    pub(super) async fn execute(&mut self, sql: Sql) -> Result<u64> {
        Ok(match on!(self, sql, execute) {
            Either::Sqlite(done) => done.rows_affected(),
            Either::Postgres(done) => done.rows_affected(),
        })
    }

    /// All rows of a query.
    pub(super) async fn all(&mut self, sql: Sql) -> Result<Vec<Row>> {
        Ok(match on!(self, sql, fetch_all) {
            Either::Sqlite(rows) => rows.into_iter().map(Row::Sqlite).collect(),
            Either::Postgres(rows) => rows.into_iter().map(Row::Postgres).collect(),
        })
    }

    /// The first row of a query.
    pub(super) async fn one(&mut self, sql: Sql) -> Result<Option<Row>> {
        Ok(match on!(self, sql, fetch_optional) {
            Either::Sqlite(row) => row.map(Row::Sqlite),
            Either::Postgres(row) => row.map(Row::Postgres),
        })
    }

    /// The number that a query returns as `n`; null and no row are 0.
    pub(super) async fn number(&mut self, sql: Sql) -> Result<i64> {
        match self.one(sql).await? {
            Some(row) => Ok(row.get::<Option<i64>>("n")?.unwrap_or(0)),
            None => Ok(0),
        }
    }

    /// Runs several statements without arguments.
    pub(super) async fn script(&mut self, text: String) -> Result<()> {
        let query = sqlx::raw_sql(AssertSqlSafe(text));
        match self {
            Conn::Sqlite(c) => {
                query.execute(&mut **c).await?;
            }
            Conn::Postgres(c) => {
                query.execute(&mut **c).await?;
            }
            Conn::Transaction(c) => {
                query.execute(&mut **c).await?;
            }
        }
        Ok(())
    }
}

impl Tx {
    /// Notes a change for the watchers.
    pub(super) fn changed(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Keeps other transactions from doing the same to the same object until this one ends. SQLite has one writer: nothing to do.
    pub(super) async fn lock(&mut self, what: &str, which: &str) -> Result<()> {
        if self.conn.backend() == Backend::Postgres {
            let name = format!("{what}/{which}");
            self.conn.all(super::sql::sql("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(name)).await?;
        }
        Ok(())
    }

    /// What a SELECT of a row that is about to be changed ends with.
    pub(super) fn for_update(&self) -> &'static str {
        match self.conn.backend() {
            Backend::Sqlite => "",
            Backend::Postgres => " FOR UPDATE",
        }
    }
}

impl std::ops::Deref for Tx {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl std::ops::DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}
