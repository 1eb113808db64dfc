//! Rows in, rows out: everything that an operator manages, in a SQLite file or a PostgreSQL database.
//!
//! [`Store`] is the handle; its typed operations stand in one file a noun. An operation that writes returns when its transaction
//! is on disk. Every operation has a [`Scope`](crate::model::tenant::Scope): another tenant's object is *not found*.
//! What is live (frames, sessions, viewers) is not here. Start with `group.rs`; `writer.rs` says how SQLite is written.

mod backup;
mod db;
mod dump;
mod error;
mod list;
mod migrate;
mod open;
mod seal;
mod settings;
mod sql;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

mod alarm;
mod binding;
mod callback;
mod catalog;
mod channel;
mod cloud;
mod deposit;
mod device;
mod directory;
mod domain;
mod group;
mod license;
mod nonce;
mod position;
mod quota;
mod record;
mod recording;
mod stream;
mod template;
mod tenant;
mod token;
mod total;
mod upper;
mod usage;

pub use alarm::AlarmFilter;
pub use callback::{DeliveryFilter, Outcome, callback_host};
pub use cloud::CloudBegin;
pub use deposit::Waiting;
pub use error::{Error, Noun, Result};
pub use license::ProductDraft;
pub use nonce::Taken;
pub use quota::Possessions;
pub use settings::Settings;
pub use stream::Door;
pub use total::TotalOf;
pub use usage::{MINUTE, SPANS, UsageFilter};
pub use watch::{Change, Changes, Seen};

use crate::model::time::Time;
use crate::runtime::clock::Clock;
use db::{Conn, Db, Doing, Tx};
use std::sync::Arc;

/// The store. Cloning shares it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    db: Db,
    sealer: seal::Sealer,
    clock: Clock,
    ids: crate::model::id::Sequence,
    watchers: watch::Watchers,
    keys: tenant::Keys,
    stored: usage::Stored,
    /// Whose turn it is to bring a catalog in step.
    catalogs: tokio::sync::Mutex<()>,
    settings: Settings,
    /// The data directory.
    dir: std::path::PathBuf,
    /// The database was empty.
    new: bool,
    /// Held while this process owns the data directory.
    _lock: Option<std::fs::File>,
}

impl Store {
    /// Ends all connections in order; operations that come later fail.
    pub async fn close(&self) {
        self.0.db.close().await;
    }

    /// The data directory, for what belongs beside the database in files of its own.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.0.dir
    }

    /// Whether the database was empty when it was opened: nothing can have been done with it before.
    pub fn is_new(&self) -> bool {
        self.0.new
    }

    /// All changes from now on, of this process.
    pub fn watch(&self) -> Changes {
        self.0.watchers.watch()
    }

    /// The wall-clock time that rows get.
    fn now(&self) -> Time {
        Time::from_nanos(self.0.clock.unix().0)
    }

    /// The next id.
    fn next_id(&self) -> i64 {
        self.0.ids.next(self.0.clock.unix().0.div_euclid(1000))
    }

    async fn reader(&self) -> Result<Conn> {
        self.0.db.reader().await
    }

    /// Runs a transaction, then tells the watchers what it changed.
    async fn write<T, J>(&self, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: for<'a> FnOnce(&'a mut Tx) -> Doing<'a, T> + Send + 'static,
    {
        let (value, changes) = self.0.db.write(job).await?;
        for change in changes {
            if let Change::Tenant(_) = change {
                self.0.keys.forget();
            }
            self.0.watchers.tell(change);
        }
        Ok(value)
    }
}
