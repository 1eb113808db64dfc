//! Opening: the data directory's lock, the schema, the key of secrets, the operator's tenant.

use super::db::{Db, Tx};
use super::error::{Error, Result};
use super::seal::{FILE, Sealer};
use super::sql::sql;
use super::tenant::Keys;
use super::watch::Watchers;
use super::{Inner, Settings, Store, migrate};
use crate::base::pii::Secret;
use crate::model::id::Sequence;
use crate::model::tenant::{OPERATOR, Status};
use crate::model::time::Time;
use crate::runtime::clock::Clock;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

/// What the meta row of the key holds when it is opened: only the right key finds it.
const WITNESS: &str = "weir";

impl Store {
    /// Opens the store for the server: makes what is not there yet, brings the schema up to date. One server at a time may own
    /// `data_dir` when the database is in it.
    pub async fn open(settings: &Settings, data_dir: &Path, clock: Clock) -> Result<Store> {
        let fail = |e: std::io::Error| Error::Unusable(format!("{}: {e}", data_dir.display()));
        std::fs::create_dir_all(data_dir).map_err(fail)?;
        let lock = match settings.url.0.is_empty() {
            true => Some(own(data_dir)?),
            false => None,
        };
        Store::build(settings, data_dir, clock, lock, true).await
    }

    /// Opens the store beside a server that runs, for the command line: nothing is made, the schema must fit.
    pub async fn attach(settings: &Settings, data_dir: &Path, clock: Clock) -> Result<Store> {
        if settings.url.0.is_empty() && !data_dir.join("weir.db").exists() {
            return Err(Error::Unusable(format!("{}: there is no store here; has the server been started yet?", data_dir.display())));
        }
        Store::build(settings, data_dir, clock, None, false).await
    }

    async fn build(settings: &Settings, data_dir: &Path, clock: Clock, lock: Option<File>, make: bool) -> Result<Store> {
        let db = Db::open(settings, data_dir).await?;
        let now = Time::from_nanos(clock.unix().0);
        let dir = data_dir.to_owned();
        let opened = db.write(move |tx| Box::pin(prepare(tx, dir, now, make))).await;
        let (sealer, last, new) = match opened {
            Ok((opened, _)) => opened,
            Err(error) => {
                db.close().await;
                return Err(error);
            }
        };
        let inner = Inner {
            db,
            sealer,
            clock,
            ids: Sequence::new(last, settings.node),
            watchers: Watchers::new(),
            keys: Keys::default(),
            stored: super::usage::Stored::default(),
            catalogs: tokio::sync::Mutex::default(),
            settings: settings.clone(),
            dir: data_dir.to_owned(),
            new,
            _lock: lock,
        };
        Ok(Store(Arc::new(inner)))
    }
}

/// Takes the data directory for this process until it ends.
pub(super) fn own(data_dir: &Path) -> Result<File> {
    let path = data_dir.join("weir.lock");
    let fail = |e: std::io::Error| Error::Unusable(format!("{}: {e}", path.display()));
    let file = File::options().create(true).write(true).truncate(false).open(&path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Unusable(format!("{}: another server uses this directory", data_dir.display()))),
        Err(TryLockError::Error(e)) => Err(fail(e)),
    }
}

/// The key of secrets, the last id, and whether the database was empty.
async fn prepare(tx: &mut Tx, data_dir: std::path::PathBuf, now: Time, make: bool) -> Result<(Sealer, i64, bool)> {
    if make {
        migrate::migrate(tx, now).await?;
    } else {
        migrate::check(tx).await?;
    }
    let (sealer, new) = sealer(tx, &data_dir, make).await?;
    let operator = sql("INSERT INTO tenants (id, user_id, status, created) VALUES ($1, 'operator', $2, $3) ON CONFLICT (id) DO NOTHING");
    tx.execute(operator.bind(OPERATOR).bind(Status::Active.number()).bind(now)).await?;
    let mut last = 0;
    const NUMBERED: [&str; 12] = [
        "tenants",
        "groups",
        "devices",
        "directories",
        "channels",
        "streams",
        "templates",
        "records",
        "recordings",
        "alarms",
        "callbacks",
        "deposits",
    ];
    for table in NUMBERED {
        let max = super::sql::Sql::built(format!("SELECT MAX(id) AS n FROM {table}"), Vec::new());
        last = tx.number(max.once()).await?.max(last);
    }
    Ok((sealer, last, new))
}

/// The key of secrets: the one that this database was sealed with, or (and `true`) a new one for a new database.
async fn sealer(tx: &mut Tx, data_dir: &Path, make: bool) -> Result<(Sealer, bool)> {
    let witness = tx.one(sql("SELECT value FROM meta WHERE name = 'seal'")).await?;
    let witness = witness.map(|row| row.get::<String>("value")).transpose()?;
    let path = data_dir.join(FILE);
    match (witness, Sealer::load(data_dir)?) {
        (Some(witness), Some(sealer)) => match sealer.open("meta/seal", &witness) {
            Ok(text) if text.0 == WITNESS => Ok((sealer, false)),
            _ => Err(Error::Unusable(format!("{}: the secrets in the database are sealed with another key than this", path.display()))),
        },
        (Some(_), None) => Err(Error::Unusable(format!(
            "{}: not found, and the secrets in the database are sealed with it; copy it from the other server or restore a backup",
            path.display()
        ))),
        (None, _) if !make => Err(Error::Unusable("the database was never opened by a server".to_owned())),
        (None, found) => {
            let sealer = match found {
                Some(sealer) => sealer,
                None => Sealer::create(data_dir)?,
            };
            let sealed = sealer.seal("meta/seal", &Secret(WITNESS.to_owned()))?;
            tx.execute(sql("INSERT INTO meta (name, value) VALUES ('seal', $1)").bind(sealed)).await?;
            Ok((sealer, true))
        }
    }
}
