//! Where recordings and pictures are kept: a local directory, or buckets of an S3-compatible object storage.
//!
//! Whoever has made a file hands it in ([`Shelf::deposit`]). From then on it is the shelf's: the intent is in the store before
//! anything is moved, so that a restart at any moment neither loses the file nor writes its record twice. [`local`] is the
//! directory, [`bucket`] the object storage, [`upload`] the way there, [`sweep`] the end; [`names`] what objects may be called.

mod bucket;
mod local;
mod names;
mod playlist;
mod sweep;
#[cfg(test)]
mod tests;
mod upload;

pub use bucket::Style;
pub use playlist::{parts, rewrite};

use crate::base::units::{Size, Span};
use crate::model::callback::{self, Pictured, Recorded};
use crate::model::deposit::{self, Deposit as Row};
use crate::model::id::{DepositId, TenantId};
use crate::model::record::{Draft, Kind, Place, Record};
use crate::model::tenant::{BucketKey, Scope};
use crate::model::time::Time;
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::store::{self, Store};
use bucket::Buckets;
use bytes::Bytes;
use names::Reserved;
use object_store::aws::AmazonS3;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use upload::Uploads;

/// What gives way when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// What was stored first.
    DeleteOldest,
    /// What comes now.
    Refuse,
}

crate::settings! {
    /// Where recordings and pictures are kept.
    pub struct Settings {
        /// The local directory. Empty: `records` in `data_dir`.
        pub dir: PathBuf = PathBuf::new(),
        /// What is left free on its disk; 0 means that nobody looks.
        pub min_free: Size = Size(1 << 30),
        /// What gives way when the disk is full, or too much waits for buckets: "delete-oldest" or "refuse".
        pub when_full: WhenFull = WhenFull::DeleteOldest,
        /// Bytes that may wait on the local disk for buckets that cannot be reached.
        pub spill: Size = Size(50 << 30),
        /// How buckets are named in requests: "path", "virtual-host", or "auto", which goes by the end point.
        pub style: Style = Style::Auto,
        /// Files that are sent at the same time.
        pub uploads: u32 = 4,
        /// Larger files are sent in parts of this size, at least 5MiB; a part of each is held in memory while it is sent.
        pub part: Size = Size(8 << 20),
        /// How long one request to a bucket may take.
        pub timeout: Span = Span::secs(60),
        /// The wait after the first failure; it doubles with each.
        pub first_wait: Span = Span::secs(1),
        /// The longest wait.
        pub longest_wait: Span = Span::secs(60),
        /// A file of certificates (PEM) that end points may be signed by, beside the public authorities. Empty: none.
        pub ca_file: PathBuf = PathBuf::new(),
    }
}

/// Where drafts are written.
const SPOOL: &str = ".spool";
/// Where files wait for their bucket.
const PENDING: &str = ".pending";
/// How long files are kept that nobody knows.
const ORPHAN: Duration = Duration::from_secs(7 * 86_400);
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
    buckets: Buckets,
    uploads: Uploads,
    /// Held by who hands a file in while it is written down and not moved yet; who looks for work waits for them.
    handing: tokio::sync::RwLock<()>,
    /// Something waits for a bucket, or one has room again.
    woken: Notify,
    /// Files and bytes that wait for buckets, as they were counted last.
    waiting: (AtomicU64, AtomicU64),
    /// Bytes that were free on the disk when it was looked last.
    free: AtomicU64,
    /// Records that gave way because the disk was full.
    evicted: AtomicU64,
    /// Files for buckets that nobody knows, as they were found at the start.
    orphans: AtomicU64,
}

/// Figures for `/metrics`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Files that wait for buckets.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Files that reached their bucket.
    pub uploaded: u64,
    /// Their bytes.
    pub uploaded_bytes: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Files that gave way because too much waited.
    pub dropped: u64,
    /// Records that gave way because the disk was full.
    pub evicted: u64,
    /// Bytes that are free on the disk.
    pub free: u64,
    /// Files for buckets that were found at the start and that nobody knows.
    pub orphans: u64,
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
    /// The bucket.
    #[error("the bucket: {0}")]
    Bucket(String),
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
        let buckets = Buckets::new(&settings)?;
        let shelf = Shelf(Arc::new(Inner {
            settings,
            root,
            spool,
            store,
            clock,
            callbacks,
            names: Mutex::default(),
            buckets,
            uploads: Uploads::default(),
            handing: tokio::sync::RwLock::default(),
            woken: Notify::new(),
            waiting: (AtomicU64::new(0), AtomicU64::new(0)),
            // Nobody has looked yet.
            free: AtomicU64::new(u64::MAX),
            evicted: AtomicU64::new(0),
            orphans: AtomicU64::new(0),
        }));
        shelf.resume().await.map_err(|e| format!("storage: {e}"))?;
        shelf.look_for_orphans().await.map_err(|e| format!("storage: {e}"))?;
        Ok(shelf)
    }

    /// Begins to bring files to their buckets and to delete what is past its time, in `tasks`.
    pub fn start(&self, tasks: &Tasks) {
        tasks.spawn("uploads", self.clone().upload_all(tasks.clone(), tasks.stopping()));
        tasks.spawn("storage sweep", self.clone().sweep_always(tasks.stopping()));
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
        self.make_way(size).await?;
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
        let handing = self.0.handing.read().await;
        let row = self.write_down(deposit, &place, size, self.now()).await?;
        drop(reserved);
        // A crash here leaves it where it was, which the row says.
        let pending = self.pending(row.id);
        tokio::fs::rename(&file, &pending).await.map_err(|e| Error::File(file, e))?;
        drop(handing);
        self.0.woken.notify_one();
        Ok(place)
    }

    /// Counts what waits for buckets.
    async fn count(&self) -> Result<store::Waiting, Error> {
        let now = self.0.store.deposits_waiting().await?;
        self.0.waiting.0.store(now.files, Ordering::Relaxed);
        self.0.waiting.1.store(now.bytes, Ordering::Relaxed);
        Ok(now)
    }

    /// Room for `size` bytes more that wait for buckets.
    async fn make_way(&self, size: u64) -> Result<(), Error> {
        let most = self.0.settings.spill.0;
        let mut waiting = self.count().await?.bytes;
        if waiting.saturating_add(size) <= most {
            return Ok(());
        }
        if self.0.settings.when_full == WhenFull::Refuse {
            return Err(Error::Full(format!("{waiting} bytes wait for buckets already, storage.spill is {most}")));
        }
        let all = self.0.handing.write().await;
        let rows = self.0.store.deposits(DepositId(0), 1000).await?;
        drop(all);
        for row in rows {
            if waiting.saturating_add(size) <= most {
                break;
            }
            if row.draft.place.bucket.is_empty() || !self.0.uploads.take(row.id) {
                continue;
            }
            tracing::error!(object = %row.draft.place.object, bucket = %row.draft.place.bucket, "too much waits for buckets: a file is given up");
            self.0.store.drop_deposit(row.id).await?;
            let _ = tokio::fs::remove_file(self.pending(row.id)).await;
            self.0.uploads.leave(row.id);
            self.0.uploads.counts.dropped.fetch_add(1, Ordering::Relaxed);
            waiting = waiting.saturating_sub(row.draft.size);
        }
        Ok(())
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

    /// Files that wait for a bucket although nobody knows for which: after a crash behind the last step of an upload, or where the
    /// database is older than the directory. They are told, kept for some days, then deleted.
    async fn look_for_orphans(&self) -> Result<(), Error> {
        let (mut kept, mut bytes, mut gone) = (0_u64, 0_u64, 0_u64);
        let dir = self.0.root.join(PENDING);
        for file in std::fs::read_dir(&dir).map_err(|e| Error::File(dir.clone(), e))?.flatten() {
            let id = file.file_name().to_str().and_then(|name| name.parse::<DepositId>().ok());
            let known = match id {
                Some(id) => self.0.store.has_deposit(id).await?,
                None => false,
            };
            let Ok(meta) = file.metadata() else { continue };
            if known || !meta.is_file() {
                continue;
            }
            let old = meta.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > ORPHAN);
            if old && std::fs::remove_file(file.path()).is_ok() {
                gone += 1;
            } else {
                (kept, bytes) = (kept + 1, bytes + meta.len());
            }
        }
        if kept + gone > 0 {
            tracing::warn!(
                dir = %dir.display(), files = kept, bytes, deleted = gone,
                "files wait for a bucket that the store does not know: they are in their bucket already, or the store is older than they; \
                 they are deleted when they are {} days old", ORPHAN.as_secs() / 86_400
            );
        }
        self.0.orphans.store(kept, Ordering::Relaxed);
        Ok(())
    }

    /// Where an object of the local directory is; `None`: no object is called so.
    pub fn find(&self, object: &str) -> Option<PathBuf> {
        (names::safe(object) == object).then(|| self.0.root.join(object))
    }

    /// Figures for `/metrics`.
    pub fn figures(&self) -> Figures {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let counts = &self.0.uploads.counts;
        Figures {
            waiting: get(&self.0.waiting.0),
            waiting_bytes: get(&self.0.waiting.1),
            uploaded: get(&counts.done),
            uploaded_bytes: get(&counts.bytes),
            failed: get(&counts.failed),
            dropped: get(&counts.dropped),
            evicted: get(&self.0.evicted),
            free: get(&self.0.free),
            orphans: get(&self.0.orphans),
        }
    }

    /// The bucket of a record's object, with the key that its owner gave.
    async fn bucket_of(&self, record: &Record) -> Result<Arc<AmazonS3>, String> {
        let Place { endpoint, bucket, .. } = &record.place;
        let key = self.0.store.bucket_key(record.owner, endpoint, bucket).await.map_err(|e| e.to_string())?;
        let key = key.ok_or_else(|| format!("no key of the bucket {bucket} is known"))?;
        let region = match record.template {
            Some(id) => self.0.store.template(Scope::Operator, id).await.map(|template| template.storage.region).unwrap_or_default(),
            None => String::new(),
        };
        self.0.buckets.open(&record.place, &region, &key)
    }

    /// A URL of the bucket itself that opens an object beside or of a record, for so long.
    pub async fn signed(&self, record: &Record, object: &str, within: Duration) -> Result<String, String> {
        let bucket = self.bucket_of(record).await?;
        bucket::signed(&bucket, object, within).await.map_err(|e| e.to_string())
    }

    /// A record's object in its bucket, whole, if it is there and small.
    pub async fn read(&self, record: &Record) -> Result<Option<Bytes>, String> {
        let bucket = self.bucket_of(record).await?;
        bucket::read(&bucket, &record.place.object).await.map_err(|e| e.to_string())
    }
}
