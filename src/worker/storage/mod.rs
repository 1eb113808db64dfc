//! Where recordings and pictures are kept: a local directory, or buckets of an S3-compatible object storage.
//!
//! Whoever has made a file hands it in ([`Shelf::deposit`]). From then on it is the shelf's: the intent is in the store before
//! anything is moved, so that a restart at any moment neither loses the file nor writes its record twice. [`local`] is the
//! directory, [`names`] what objects may be called.

mod local;
mod names;
#[cfg(test)]
mod tests;

use crate::base::units::Size;
use crate::model::callback::{self, Pictured, Recorded};
use crate::model::deposit::{self, Deposit as Row};
use crate::model::id::{DepositId, TenantId};
use crate::model::record::{Draft, Kind, Place, Record};
use crate::model::tenant::BucketKey;
use crate::model::time::Time;
use crate::runtime::clock::Clock;
use crate::store::{self, Store};
use names::Reserved;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

crate::settings! {
    /// Where recordings and pictures are kept.
    pub struct Settings {
        /// The local directory. Empty: `records` in `data_dir`.
        pub dir: PathBuf = PathBuf::new(),
        /// Bytes that may wait for buckets that cannot be reached.
        pub spill: Size = Size(50 << 30),
    }
}

/// Where drafts are written.
const SPOOL: &str = ".spool";
/// Where files wait for their bucket.
const PENDING: &str = ".pending";
/// How long the one who hands a file in has to bring it to its place, before somebody else tries, in milliseconds.
const OWN_TRY: i64 = 60_000;

/// The files. Cloning shares them.
#[derive(Clone)]
pub struct Shelf(Arc<Inner>);

struct Inner {
    settings: Settings,
    root: PathBuf,
    spool: PathBuf,
    store: Store,
    clock: Clock,
    /// Callbacks that may wait.
    callbacks: u64,
    /// Names that are being given out now.
    names: Mutex<HashSet<String>>,
}

/// A file that is complete and shall be kept.
#[derive(Debug, Clone)]
pub struct Deposit {
    /// The file; it goes. On the file system of [`Shelf::spool`].
    pub file: PathBuf,
    /// The record that is written when it is there; its place and size are filled in. None: a part, such as an HLS segment.
    pub record: Option<Draft>,
    /// Where to; without a bucket: the local directory.
    pub place: Place,
    /// The region of the bucket.
    pub region: String,
    /// Whose it is.
    pub owner: TenantId,
    /// Its MIME type.
    pub content_type: &'static str,
    /// Whether it takes the place of an object of the same name; if not, it gets another name.
    pub replaces: bool,
    /// A key for this object alone; none: the one that the API was given.
    pub key: Option<BucketKey>,
    /// The URL that is told when it is there.
    pub callback: Option<String>,
    /// The names that the callback says.
    pub names: Names,
}

/// Names in a callback's body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The host that the stream is played from.
    pub domain: String,
    /// The application.
    pub app: String,
    /// The stream.
    pub stream: String,
}

/// Why a file was not taken; it is still where it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// No room.
    #[error("no room: {0}")]
    Full(String),
}

impl Deposit {
    /// A file of `owner`, to be kept at `place` under this name or another if it is taken.
    pub fn new(owner: TenantId, file: PathBuf, place: Place, content_type: &'static str) -> Deposit {
        let (region, names) = (String::new(), Names::default());
        Deposit { file, record: None, place, region, owner, content_type, replaces: false, key: None, callback: None, names }
    }

    /// What is told when the file is there.
    fn told(&self, place: &Place) -> Option<callback::Draft> {
        let (url, record) = (self.callback.clone()?, self.record.as_ref()?);
        let Names { domain, app, stream } = self.names.clone();
        let (uri, start_time, stop_time) = (place.object.clone(), record.start.as_secs(), record.end.as_secs());
        let duration = (record.duration_ms + 500).div_euclid(1000);
        let body = match record.kind {
            Kind::Snapshot => serde_json::to_string(&Pictured { domain, app, stream, uri, time: start_time }),
            _ => serde_json::to_string(&Recorded { domain, app, stream, uri, duration, start_time, stop_time }),
        };
        Some(callback::Draft { owner: self.owner, object: format!("files/{}", record.stream), url, body: body.ok()? })
    }
}

impl Shelf {
    /// Opens the directory, and finishes what an earlier run left half done. `callbacks` may wait at most.
    pub async fn open(settings: Settings, data_dir: &Path, store: Store, clock: Clock, callbacks: u64) -> Result<Shelf, String> {
        let root = if settings.dir.as_os_str().is_empty() { data_dir.join("records") } else { settings.dir.clone() };
        let root = std::path::absolute(&root).map_err(|e| format!("storage.dir: {}: {e}", root.display()))?;
        for dir in [SPOOL, PENDING] {
            let dir = root.join(dir);
            std::fs::create_dir_all(&dir).map_err(|e| format!("storage.dir: {}: {e}", dir.display()))?;
        }
        let spool = root.join(SPOOL);
        let shelf = Shelf(Arc::new(Inner { settings, root, spool, store, clock, callbacks, names: Mutex::default() }));
        shelf.resume().await.map_err(|e| format!("storage: {e}"))?;
        Ok(shelf)
    }

    /// Where drafts are written: on the file system of the local directory. Nobody else looks into it.
    pub fn spool(&self) -> &Path {
        &self.0.spool
    }

    /// The local directory.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.0.clock.unix().0)
    }

    /// Takes a file over and says where it will be. When this returns the file is safe: it is in the local directory with its
    /// record written and its callback queued, or waits for its bucket. After an error the file is still the caller's.
    pub async fn deposit(&self, deposit: Deposit) -> Result<Place, Error> {
        let meta = tokio::fs::metadata(&deposit.file).await.map_err(|e| Error::File(deposit.file.clone(), e))?;
        match deposit.place.bucket.is_empty() {
            true => self.keep(deposit, meta.len()).await,
            false => self.send(deposit, meta.len()).await,
        }
    }

    /// Into the local directory.
    async fn keep(&self, deposit: Deposit, size: u64) -> Result<Place, Error> {
        let place = Place { object: names::safe(&deposit.place.object), ..Place::default() };
        let reserved = self.reserve(&place.object, deposit.replaces);
        let place = Place { object: reserved.name().to_owned(), ..place };
        if deposit.record.is_none() {
            // Without a record there is nothing to finish later.
            local::put(deposit.file, self.0.root.join(&place.object), false).await?;
            return Ok(place);
        }
        let file = deposit.file.clone();
        let row = self.write_down(deposit, &place, size, Time(self.now().0 + OWN_TRY)).await?;
        if let Err(error) = self.finish_local(row.clone()).await {
            // It is written down: it is tried again.
            tracing::warn!(%error, file = %file.display(), "a file does not reach its place yet");
            self.0.store.retry_deposit(row.id, self.now(), &error.to_string()).await?;
        }
        Ok(place)
    }

    /// On the way to a bucket.
    async fn send(&self, deposit: Deposit, size: u64) -> Result<Place, Error> {
        let waiting = self.0.store.deposits_waiting().await?;
        if waiting.bytes.saturating_add(size) > self.0.settings.spill.0 {
            return Err(Error::Full(format!("{} bytes wait for buckets already: storage.spill", waiting.bytes)));
        }
        let mut place = Place { object: names::safe(&deposit.place.object), ..deposit.place.clone() };
        let plain = place.object.clone();
        let mut n = 0;
        let reserved = loop {
            let name = format!("{}/{}/{}", place.endpoint, place.bucket, place.object);
            if deposit.replaces {
                break Reserved::shared(&self.0.names, &name);
            }
            if let Some(reserved) = Reserved::in_set(&self.0.names, &name)
                && !self.0.store.is_object_taken(&place).await?
            {
                break reserved;
            }
            n += 1;
            place.object = names::other(&plain, n);
        };
        let file = deposit.file.clone();
        let row = self.write_down(deposit, &place, size, self.now()).await?;
        drop(reserved);
        // A crash here leaves it where it was, which the row says.
        let pending = self.pending(row.id);
        tokio::fs::rename(&file, &pending).await.map_err(|e| Error::File(file, e))?;
        Ok(place)
    }

    /// The intent, in the store.
    async fn write_down(&self, deposit: Deposit, place: &Place, size: u64, due: Time) -> Result<Row, Error> {
        let callback = deposit.told(place);
        let file = deposit.file.strip_prefix(&self.0.root).unwrap_or(&deposit.file).to_string_lossy().into_owned();
        let Deposit { record, region, owner, content_type, replaces, key, .. } = deposit;
        let (place, content_type) = (place.clone(), content_type.to_owned());
        let draft = deposit::Draft { owner, file, region, place, content_type, size, replaces, key, record, callback };
        Ok(self.0.store.put_deposit(draft, due).await?)
    }

    /// A name in the local directory, held until it is dropped; free, unless the file replaces what is there.
    fn reserve(&self, object: &str, replaces: bool) -> Reserved<'_> {
        if replaces {
            return Reserved::shared(&self.0.names, object);
        }
        let (mut name, mut n) = (object.to_owned(), 0);
        loop {
            if let Some(reserved) = Reserved::in_set(&self.0.names, &name)
                && !self.0.root.join(&name).exists()
            {
                return reserved;
            }
            n += 1;
            name = names::other(object, n);
        }
    }

    fn pending(&self, id: DepositId) -> PathBuf {
        self.0.root.join(PENDING).join(id.to_string())
    }

    /// Brings the file of a row to its place in the local directory and writes the record; done already is done.
    async fn finish_local(&self, row: Row) -> Result<Option<Record>, Error> {
        let (from, to) = (self.0.root.join(&row.draft.file), self.0.root.join(&row.draft.place.object));
        if from.exists() {
            let durable = row.draft.record.as_ref().is_some_and(|r| r.kind != Kind::Snapshot);
            local::put(from, to, durable).await?;
        } else if !to.exists() {
            tracing::error!(file = %from.display(), "a file that was to be kept is gone");
            self.0.store.drop_deposit(row.id).await?;
            return Ok(None);
        }
        Ok(self.0.store.finish_deposit(row, self.0.callbacks).await?)
    }

    /// Finishes what an earlier run left half done.
    async fn resume(&self) -> Result<(), Error> {
        let mut after = DepositId(0);
        loop {
            let rows = self.0.store.deposits(after, 500).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.id;
            for row in rows {
                let from = self.0.root.join(&row.draft.file);
                if row.draft.place.bucket.is_empty() {
                    self.finish_local(row).await?;
                } else if from.exists() {
                    let pending = self.pending(row.id);
                    std::fs::rename(&from, &pending).map_err(|e| Error::File(from, e))?;
                }
            }
        }
    }

    /// Where an object of the local directory is; `None`: no object is called so.
    pub fn find(&self, object: &str) -> Option<PathBuf> {
        (names::safe(object) == object).then(|| self.0.root.join(object))
    }
}
