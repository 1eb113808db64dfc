//! Files on their way to buckets: in parts, tried again until they are there, across restarts of the server.
//!
//! The parts that a bucket has are written down, so that a broken connection costs one part, and so does a restart. An answer that was
//! lost is asked for: an object of this size and sum that is there already is not sent again.

use super::bucket;
use super::{Error, Row, Shelf};
use crate::model::deposit::Part;
use crate::model::id::DepositId;
use crate::model::record::Place;
use crate::model::tenant::BucketKey;
use crate::model::time::Time;
use crate::runtime::task::{Stop, Tasks};
use bytes::Bytes;
use md5::{Digest, Md5};
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::{Attribute, Attributes, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// Parts at most, by the rules of S3.
const PARTS: u64 = 10_000;
/// Tries after which an upload that cannot be completed begins from the start.
const PATIENT: u32 = 8;
/// How long nothing is asked of the store where nothing is due.
const LOOK: Duration = Duration::from_secs(10);

/// What is under way.
#[derive(Default)]
pub struct Uploads {
    /// Being worked on now.
    busy: Mutex<HashSet<DepositId>>,
    /// Buckets whose last answer was no good.
    troubled: Mutex<HashSet<String>>,
    /// Figures for `/metrics`.
    pub counts: Counts,
}

/// Totals since the start.
#[derive(Default)]
pub struct Counts {
    /// Files that reached their bucket.
    pub done: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Tries that failed.
    pub failed: AtomicU64,
    /// Files that gave way because too much waited.
    pub dropped: AtomicU64,
}

/// A multipart upload, and the parts of it that are there.
struct Sent {
    upload: String,
    parts: Vec<Part>,
}

impl Uploads {
    fn busy(&self) -> MutexGuard<'_, HashSet<DepositId>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a file for one try; `false`: somebody else has it.
    pub fn take(&self, id: DepositId) -> bool {
        self.busy().insert(id)
    }

    /// Gives it back.
    pub fn leave(&self, id: DepositId) {
        self.busy().remove(&id);
    }

    /// Whether this is news of a bucket: that it fails, or that it works again.
    fn is_news(&self, place: &Place, fails: bool) -> bool {
        let mut troubled = self.troubled.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{}/{}", place.endpoint, place.bucket);
        if fails { troubled.insert(name) } else { troubled.remove(&name) }
    }

    fn number(&self) -> usize {
        self.busy().len()
    }
}

/// Why a try failed.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Bucket(#[from] object_store::Error),
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    #[error("{0}")]
    Other(String),
}

impl Shelf {
    /// Brings files to their buckets until it is told to stop.
    pub(super) async fn upload_all(self, tasks: Tasks, stop: Stop) {
        loop {
            let wait = match self.round(&tasks).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "cannot read which files wait for their place");
                    LOOK
                }
            };
            tokio::select! {
                () = self.0.clock.sleep(wait) => {}
                () = self.0.woken.notified() => {}
                () = stop.requested() => return,
            }
        }
    }

    /// Starts what is due and has room; returns when to look again.
    async fn round(&self, tasks: &Tasks) -> Result<Duration, Error> {
        let most = self.0.settings.uploads.max(1) as usize;
        let busy = self.0.uploads.number();
        if busy >= most {
            return Ok(LOOK);
        }
        self.count().await?;
        let now = self.now();
        let all = self.0.handing.write().await;
        let due = self.0.store.due_deposits(now, (most + busy) as u32).await?;
        drop(all);
        for row in due {
            if self.0.uploads.number() >= most {
                break;
            }
            if !self.0.uploads.take(row.id) {
                continue;
            }
            let (shelf, stop) = (self.clone(), tasks.stopping());
            tasks.spawn("upload", async move {
                let id = row.id;
                tokio::select! {
                    () = shelf.try_once(row) => {}
                    () = stop.requested() => {}
                }
                shelf.0.uploads.leave(id);
                shelf.0.woken.notify_one();
            });
        }
        let due = self.0.store.deposits_due().await?;
        let wait = due.filter(|due| due.0 > now.0).map(|due| Duration::from_millis((due.0 - now.0).unsigned_abs()));
        Ok(wait.unwrap_or(LOOK).clamp(Duration::from_millis(50), LOOK))
    }

    async fn try_once(&self, row: Row) {
        let (id, tries, place) = (row.id, row.tries, row.draft.place.clone());
        let done = match place.bucket.is_empty() {
            true => self.finish_local(row).await.map(drop).map_err(|e| Fault::Other(e.to_string())),
            false => self.upload(row).await,
        };
        let Err(fault) = done else {
            if self.0.uploads.is_news(&place, false) {
                tracing::info!(bucket = %place.bucket, endpoint = %place.endpoint, "the bucket takes files again");
            }
            return;
        };
        self.0.uploads.counts.failed.fetch_add(1, Ordering::Relaxed);
        let wait = self.wait(tries);
        // A bucket that is away for a day is no news a thousand times; the metrics say how much waits.
        if self.0.uploads.is_news(&place, true) {
            tracing::warn!(error = %fault, bucket = %place.bucket, endpoint = %place.endpoint, object = %place.object, "files wait for their bucket");
        }
        let at = Time(self.now().0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
        if let Err(error) = self.0.store.retry_deposit(id, at, &fault.to_string()).await {
            tracing::warn!(%error, "cannot write down that a file waits for its bucket");
            // It is due still; not at once all the same.
            self.0.clock.sleep(LOOK).await;
        }
    }

    /// Doubles with each failure, and varies by a quarter, so that files do not all come back at once.
    fn wait(&self, tries: u32) -> Duration {
        let (first, longest) = (self.0.settings.first_wait.0, self.0.settings.longest_wait.0);
        let wait = first.saturating_mul(1 << tries.min(16)).min(longest);
        wait.mul_f64(0.75 + 0.5 * rand::random::<f64>())
    }

    /// The key of a deposit's bucket: its own, else the one that the API was given.
    pub(super) async fn key_of(&self, row: &Row) -> Result<BucketKey, String> {
        if let Some(key) = &row.draft.key {
            return Ok(key.clone());
        }
        let Place { endpoint, bucket, .. } = &row.draft.place;
        let known = self.0.store.bucket_key(row.draft.owner, endpoint, bucket).await.map_err(|e| e.to_string())?;
        known.ok_or_else(|| format!("no key of the bucket {bucket} is known: give one as AccessInfo"))
    }

    async fn upload(&self, row: Row) -> Result<(), Fault> {
        let mut file = self.pending(row.id);
        if !file.exists() {
            file = self.0.root.join(&row.draft.file);
        }
        let bucket = self.key_of(&row).await.and_then(|key| self.0.buckets.open(&row.draft.place, &row.draft.region, &key));
        let bucket = bucket.map_err(Fault::Other)?;
        if !file.exists() {
            tracing::error!(file = %file.display(), object = %row.draft.place.object, "a file that waited for its bucket is gone");
            return Ok(self.0.store.drop_deposit(row.id).await?);
        }
        let upload = Upload { shelf: self, bucket: &bucket, row: &row, file };
        upload.run().await?;
        let (size, file) = (row.draft.size, upload.file.clone());
        self.0.store.finish_deposit(row, self.0.callbacks).await?;
        self.0.uploads.counts.done.fetch_add(1, Ordering::Relaxed);
        self.0.uploads.counts.bytes.fetch_add(size, Ordering::Relaxed);
        if let Err(error) = tokio::fs::remove_file(&file).await {
            tracing::warn!(%error, file = %file.display(), "a file that is in its bucket cannot be deleted here");
        }
        Ok(())
    }
}

/// One try of one file.
struct Upload<'a> {
    shelf: &'a Shelf,
    bucket: &'a Arc<AmazonS3>,
    row: &'a Row,
    file: PathBuf,
}

impl Upload<'_> {
    async fn run(&self) -> Result<(), Fault> {
        let file = File::open(&self.file).await?;
        let size = file.metadata().await?.len();
        let part = self.shelf.0.settings.part.0.clamp(5 << 20, 512 << 20).max(size.div_ceil(PARTS));
        match size <= part {
            true => self.whole(file, size).await,
            false => self.parts(file, size, part).await,
        }
    }

    fn attributes(&self) -> Attributes {
        Attributes::from_iter([(Attribute::ContentType, self.row.draft.content_type.clone())])
    }

    async fn whole(&self, mut file: File, size: u64) -> Result<(), Fault> {
        let mut data = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        file.read_to_end(&mut data).await?;
        let data = Bytes::from(data);
        let sum = hex::encode(Md5::digest(&data));
        // A bucket may allow to write and not to look.
        if self.row.tries > 0 && matches!(self.is_there(size, &sum).await, Ok(true)) {
            return Ok(());
        }
        let options = PutOptions { attributes: self.attributes(), ..PutOptions::default() };
        match self.bucket.put_opts(&bucket::path(&self.row.draft.place.object), data.into(), options).await {
            Ok(_) => Ok(()),
            // Perhaps only the answer was lost.
            Err(error) => match self.is_there(size, &sum).await {
                Ok(true) => Ok(()),
                _ => Err(error.into()),
            },
        }
    }

    async fn parts(&self, mut file: File, size: u64, part: u64) -> Result<(), Fault> {
        let path = bucket::path(&self.row.draft.place.object);
        let mut sent = match self.row.upload.is_empty() {
            true => self.begin().await?,
            false => Sent { upload: self.row.upload.clone(), parts: self.shelf.0.store.deposit_parts(self.row.id).await? },
        };
        // Some buckets want all parts but the last to be of one size, whatever the settings say now.
        let part = sent.parts.first().map_or(part, |first| first.bytes.max(1));
        let mut at = sent.parts.iter().map(|part| part.bytes).sum::<u64>();
        tokio::io::AsyncSeekExt::seek(&mut file, std::io::SeekFrom::Start(at)).await?;
        while at < size {
            let mut data = Vec::with_capacity(usize::try_from(part.min(size - at)).unwrap_or_default());
            (&mut file).take(part).read_to_end(&mut data).await?;
            if data.is_empty() {
                return Err(Fault::Other("the file has become shorter".to_owned()));
            }
            let (bytes, sum) = (data.len() as u64, hex::encode(Md5::digest(&data)));
            let put = self.bucket.put_part(&path, &sent.upload, sent.parts.len(), data.into()).await;
            if matches!(put, Err(object_store::Error::NotFound { .. })) {
                // The bucket knows nothing of the upload any more: from the start next time.
                self.shelf.0.store.set_deposit_upload(self.row.id, "").await?;
            }
            let part = Part { tag: put?.content_id, sum, bytes };
            self.shelf.0.store.add_deposit_part(self.row.id, sent.parts.len(), part.clone()).await?;
            sent.parts.push(part);
            at += bytes;
        }
        let mut all = Md5::new();
        sent.parts.iter().for_each(|part| all.update(hex::decode(&part.sum).unwrap_or_default()));
        let sum = format!("{}-{}", hex::encode(all.finalize()), sent.parts.len());
        let ids = sent.parts.iter().map(|part| PartId { content_id: part.tag.clone() }).collect();
        match self.bucket.complete_multipart(&path, &sent.upload, ids).await {
            Ok(_) => Ok(()),
            Err(error) => {
                if matches!(self.is_there(size, &sum).await, Ok(true)) {
                    return Ok(());
                }
                // A bucket that was not reached still has everything. One that refuses, or has no such upload: from the start next time.
                if !matches!(error, object_store::Error::Generic { .. }) || self.row.tries >= PATIENT {
                    self.abort(&sent.upload).await;
                    self.shelf.0.store.set_deposit_upload(self.row.id, "").await?;
                }
                Err(error.into())
            }
        }
    }

    async fn begin(&self) -> Result<Sent, Fault> {
        let path = bucket::path(&self.row.draft.place.object);
        let options = PutMultipartOptions { attributes: self.attributes(), ..PutMultipartOptions::default() };
        let upload = self.bucket.create_multipart_opts(&path, options).await?;
        self.shelf.0.store.set_deposit_upload(self.row.id, &upload).await?;
        Ok(Sent { upload, parts: Vec::new() })
    }

    /// What the bucket has of an upload is not needed any more; most likely it forgot it already.
    async fn abort(&self, upload: &String) {
        let _ = self.bucket.abort_multipart(&bucket::path(&self.row.draft.place.object), upload).await;
    }

    async fn is_there(&self, size: u64, sum: &str) -> Result<bool, object_store::Error> {
        let found = bucket::head(self.bucket, &self.row.draft.place.object).await?;
        Ok(found.is_some_and(|meta| same(&meta, size, sum, self.row.created)))
    }
}

/// Whether an object is what was sent: its size, and its sum where the bucket tells one in the usual form, else its age.
fn same(meta: &ObjectMeta, size: u64, sum: &str, since: Time) -> bool {
    let tag = meta.e_tag.as_deref().map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase()).unwrap_or_default();
    let digits = tag.split('-').next().unwrap_or_default();
    let usual = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let young = meta.last_modified.timestamp_millis() >= since.0 - 60_000;
    meta.size == size && if usual { tag == sum } else { young }
}
