//! Backups: the whole store and the key of its secrets in one file, taken while the server runs.
//!
//! The file is a line of JSON, the content, and a checksum. The content is a SQLite database ([`Form::Image`]) or rows as JSON
//! lines ([`Form::Rows`]), which either database takes. Whoever has a backup has all secrets: it is made readable by its owner alone.

use super::db::{Backend, Conn, Db, Tx};
use super::error::{Error, Result};
use super::open::own;
use super::seal::{FILE, Sealer};
use super::sql::sql;
use super::{Settings, Store, dump, migrate, nonce};
use crate::model::time::Time;
use crate::runtime::clock::Clock;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What the content of a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A SQLite database.
    Image,
    /// Rows as JSON lines, for either database.
    Rows,
}

#[derive(Serialize, Deserialize)]
struct Head {
    weir_backup: u32,
    schema: i64,
    form: Form,
    created: Time,
    key: String,
}

const VERSION: u32 = 1;
const TRAILER: u64 = 72; // "\nsha256 ", then 64 hex digits.

fn fail(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |e| Error::Unusable(format!("{}: {e}", path.display()))
}

fn bad(path: &Path, why: &str) -> Error {
    Error::Unusable(format!("{}: {why}", path.display()))
}

impl Store {
    /// Writes a backup to a file that is not there yet. A SQLite store is copied as it is unless rows are asked for.
    pub async fn backup(&self, file: &Path, rows: bool) -> Result<()> {
        let mut conn = self.reader().await?;
        let form = if conn.backend() == Backend::Sqlite && !rows { Form::Image } else { Form::Rows };
        let part = Part::beside(file)?;
        let out = private(&part.0).map_err(fail(&part.0))?;
        let mut out = Summed { out: BufWriter::new(out), sum: Sha256::new() };
        let head = Head { weir_backup: VERSION, schema: migrate::VERSION, form, created: self.now(), key: self.0.sealer.export() };
        let line = serde_json::to_string(&head).map_err(|e| Error::Damaged(e.to_string()))?;
        writeln!(out, "{line}").map_err(fail(&part.0))?;
        match form {
            Form::Rows => dump::write(&mut conn, &mut out).await?,
            Form::Image => image(&mut conn, &part, &mut out).await?,
        }
        let sum = hex::encode(out.sum.clone().finalize());
        let mut out = out.out;
        write!(out, "\nsha256 {sum}").and_then(|()| out.flush()).and_then(|()| out.get_ref().sync_all()).map_err(fail(&part.0))?;
        if file.exists() {
            return Err(bad(file, "it is there already"));
        }
        std::fs::rename(&part.0, file).map_err(fail(file))
    }

    /// Brings a backup back into the store that the settings name. What is there is kept beside (SQLite) or deleted (PostgreSQL),
    /// and only with `force`; a store that a server uses is refused in any case.
    pub async fn restore(settings: &Settings, data_dir: &Path, file: &Path, force: bool) -> Result<()> {
        let (head, source) = read_head(file)?;
        std::fs::create_dir_all(data_dir).map_err(fail(data_dir))?;
        let sealer = hex::decode(&head.key).ok().and_then(|bytes| bytes.try_into().ok()).map(Sealer::new);
        let sealer = sealer.ok_or_else(|| bad(file, "its key does not read"))??;
        if settings.url.0.is_empty() {
            restore_sqlite(settings, data_dir, &head, source, sealer, force).await
        } else {
            restore_postgres(settings, data_dir, &head, source, sealer, force).await
        }
    }
}

/// A consistent copy of a SQLite database, without stopping its writer.
async fn image(conn: &mut Conn, part: &Part, out: &mut impl Write) -> Result<()> {
    let copy = Part(part.0.with_extension("image"));
    let name = copy.0.to_str().ok_or_else(|| bad(&copy.0, "the path is not UTF-8"))?;
    // SQLite takes an empty file that is there: so it is private from the start.
    private(&copy.0).map_err(fail(&copy.0))?;
    // A reader may not write, not even another file.
    conn.execute(sql("PRAGMA query_only = OFF")).await?;
    let copied = conn.execute(sql("VACUUM INTO $1").bind(name).once()).await;
    conn.execute(sql("PRAGMA query_only = ON")).await?;
    copied?;
    let mut image = File::open(&copy.0).map_err(fail(&copy.0))?;
    std::io::copy(&mut image, out).map(drop).map_err(fail(&part.0))
}

/// Checks the whole file, and returns its head and its content.
fn read_head(path: &Path) -> Result<(Head, Content)> {
    let mut file = BufReader::new(File::open(path).map_err(fail(path))?);
    let len = file.get_ref().metadata().map_err(fail(path))?.len();
    let body = len.checked_sub(TRAILER).ok_or_else(|| bad(path, "not a backup"))?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut left = body;
    while left > 0 {
        let n = file.read(&mut buffer[..left.min(1 << 16) as usize]).map_err(fail(path))?;
        if n == 0 {
            return Err(bad(path, "it got shorter while it was read"));
        }
        sum.update(&buffer[..n]);
        left -= n as u64;
    }
    let mut trailer = String::new();
    let read = file.read_to_string(&mut trailer);
    if read.is_err() || trailer != format!("\nsha256 {}", hex::encode(sum.finalize())) {
        return Err(bad(path, "not a backup, or damaged: its checksum does not fit"));
    }
    file.seek(SeekFrom::Start(0)).map_err(fail(path))?;
    let mut line = String::new();
    let start = file.read_line(&mut line).map_err(fail(path))? as u64;
    let head: Head = serde_json::from_str(&line).map_err(|_| bad(path, "its head does not read"))?;
    if head.weir_backup != VERSION || !(1..=migrate::VERSION).contains(&head.schema) {
        return Err(bad(path, "a newer version of the server wrote it"));
    }
    Ok((head, Content { file, left: body - start }))
}

/// What stands between the head and the checksum.
pub(super) struct Content {
    file: BufReader<File>,
    left: u64,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = self.file.read(&mut buffer[..most])?;
        self.left -= n as u64;
        Ok(n)
    }
}

async fn restore_sqlite(settings: &Settings, data_dir: &Path, head: &Head, source: Content, sealer: Sealer, force: bool) -> Result<()> {
    let _lock = own(data_dir)?;
    let (db, key) = (data_dir.join("weir.db"), data_dir.join(FILE));
    if (db.exists() || key.exists()) && !force {
        return Err(bad(data_dir, "there is a store already; force puts it aside"));
    }
    let new = Folder::inside(data_dir)?;
    unpack(settings, &new.0, head, source).await?;
    sealer.save(&new.0)?;
    // Everything is complete and on disk: from here on only names change.
    let aside = format!("before-restore-{}", head_time());
    for name in ["weir.db", "weir.db-wal", "weir.db-shm", FILE] {
        let old = data_dir.join(name);
        if old.exists() {
            let kept = data_dir.join(format!("{name}.{aside}"));
            std::fs::rename(&old, &kept).map_err(fail(&old))?;
        }
    }
    std::fs::rename(new.0.join(FILE), &key).map_err(fail(&key))?;
    std::fs::rename(new.0.join("weir.db"), &db).map_err(fail(&db))?;
    File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(fail(data_dir))
}

/// Makes a SQLite file of the content in `dir`, without a WAL.
async fn unpack(settings: &Settings, dir: &Path, head: &Head, mut source: Content) -> Result<()> {
    let path = dir.join("weir.db");
    match head.form {
        Form::Image => {
            let mut out = private(&path).map_err(fail(&path))?;
            std::io::copy(&mut source, &mut out).and_then(|_| out.sync_all()).map_err(fail(&path))
        }
        Form::Rows => {
            let local = Settings { url: Default::default(), ..settings.clone() };
            let db = Db::open(&local, dir).await?;
            let schema = head.schema;
            let loaded = db.write(move |tx| Box::pin(async move { load(tx, schema, BufReader::new(source)).await })).await;
            db.close().await;
            loaded.map(drop)?;
            File::open(&path).and_then(|file| file.sync_all()).map_err(fail(&path))
        }
    }
}

async fn restore_postgres(settings: &Settings, data_dir: &Path, head: &Head, source: Content, sealer: Sealer, force: bool) -> Result<()> {
    let key = data_dir.join(FILE);
    if key.exists() && !force && Sealer::load(data_dir)?.map(|old| old.export()) != Some(sealer.export()) {
        return Err(bad(&key, "another key is there already; force puts it aside"));
    }
    // An image is turned into rows first.
    let folder = Folder::inside(data_dir)?;
    let source: Box<dyn BufRead + Send> = match head.form {
        Form::Rows => Box::new(BufReader::new(source)),
        Form::Image => {
            unpack(settings, &folder.0, head, source).await?;
            let rows = folder.0.join("rows");
            let db = Db::open(&Settings { url: Default::default(), ..settings.clone() }, &folder.0).await?;
            let mut out = BufWriter::new(private(&rows).map_err(fail(&rows))?);
            let done = dump::write(&mut db.reader().await?, &mut out).await;
            db.close().await;
            done?;
            out.flush().map_err(fail(&rows))?;
            Box::new(BufReader::new(File::open(&rows).map_err(fail(&rows))?))
        }
    };
    let (db, schema) = (Db::open(settings, data_dir).await?, head.schema);
    let done = db.write(move |tx| Box::pin(async move { replace(tx, schema, source, force).await })).await;
    db.close().await;
    done?;
    if key.exists() {
        std::fs::rename(&key, data_dir.join(format!("{FILE}.before-restore-{}", head_time()))).map_err(fail(&key))?;
    }
    sealer.save(data_dir).map(drop)
}

async fn replace(tx: &mut Tx, schema: i64, source: Box<dyn BufRead + Send>, force: bool) -> Result<()> {
    let others = "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'weir' AND pid <> pg_backend_pid()";
    if tx.number(sql(others)).await? > 0 {
        return Err(Error::Unusable("a server uses this database: stop it first".to_owned()));
    }
    let there =
        tx.number(sql("SELECT COUNT(*) AS n FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'migrations'")).await? > 0;
    if there && !force {
        return Err(Error::Unusable("there is a store in this database already; force deletes it".to_owned()));
    }
    let tables = dump::TABLES.iter().rev().chain(dump::PASSING).copied().chain(["migrations"]);
    let drop = tables.map(|table| format!("DROP TABLE IF EXISTS {table} CASCADE;")).collect::<String>();
    tx.script(drop).await?;
    load(tx, schema, source).await
}

/// The schema as it was when the rows were written, the rows, then the schema of this program.
async fn load(tx: &mut Tx, schema: i64, source: impl BufRead + Send) -> Result<()> {
    let now = Time::from_nanos(Clock::real().unix().0);
    migrate::migrate_to(tx, schema, now).await?;
    dump::read(tx, source).await?;
    migrate::migrate(tx, now).await?;
    nonce::restored(tx, now.as_secs()).await
}

fn head_time() -> String {
    Time::from_nanos(Clock::real().unix().0).escaped()
}

fn private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Counts what is written into a checksum.
struct Summed<W> {
    out: W,
    sum: Sha256,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.sum.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// A file that is gone when this is.
struct Part(PathBuf);

impl Part {
    fn beside(file: &Path) -> Result<Part> {
        let name = file.file_name().and_then(|name| name.to_str()).ok_or_else(|| bad(file, "not a file name"))?;
        if file.exists() {
            return Err(bad(file, "it is there already"));
        }
        Ok(Part(file.with_file_name(format!(".{name}.{}", std::process::id()))))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A folder that is gone when this is.
struct Folder(PathBuf);

impl Folder {
    fn inside(data_dir: &Path) -> Result<Folder> {
        let path = data_dir.join(format!("restore-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(fail(&path))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
