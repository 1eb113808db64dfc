//! What is past its days is deleted, and what gives way when the disk is full.

use super::{Error, Shelf, WhenFull, bucket, local, playlist};
use crate::model::id::RecordId;
use crate::model::record::{Format, Kind, Record};
use crate::model::time::Time;
use crate::runtime::task::Stop;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(15);
/// Records that are dealt with at a time.
const PORTION: u32 = 200;
/// A record whose object cannot be deleted now is tried again so much later, in milliseconds.
const LATER: i64 = 3_600_000;

impl Shelf {
    /// Sweeps until it is told to stop.
    pub(super) async fn sweep_always(self, stop: Stop) {
        loop {
            if let Err(error) = self.sweep(&stop).await {
                tracing::warn!(%error, "records that are past their time were not all deleted");
            }
            tokio::select! {
                () = self.0.clock.sleep(LOOK) => {}
                () = stop.requested() => return,
            }
        }
    }

    /// Deletes what is past its time, then what the disk has no room for.
    pub(super) async fn sweep(&self, stop: &Stop) -> Result<(), Error> {
        loop {
            let old = self.0.store.expired_records(self.now(), PORTION).await?;
            self.delete(&old).await?;
            if old.len() < PORTION as usize || stop.is_requested() {
                break;
            }
        }
        self.make_room(stop).await
    }

    /// Deletes objects and forgets their records. Those that cannot be deleted now stay, for an hour.
    async fn delete(&self, records: &[Record]) -> Result<(), Error> {
        let (mut gone, mut later): (Vec<RecordId>, Vec<RecordId>) = (Vec::new(), Vec::new());
        for record in records {
            match self.remove(record).await {
                Ok(()) => gone.push(record.id),
                Err(error) => {
                    if later.is_empty() {
                        tracing::warn!(%error, object = %record.place.object, bucket = %record.place.bucket, "an object cannot be deleted");
                    }
                    later.push(record.id);
                }
            }
        }
        if !later.is_empty() {
            self.0.store.postpone_records(&later, Time(self.now().0 + LATER)).await?;
        }
        self.0.store.delete_records(&gone).await?;
        Ok(())
    }

    /// Deletes the object of a record, and its parts. What is gone is gone.
    pub async fn remove(&self, record: &Record) -> Result<(), Error> {
        if record.kind == Kind::Gap {
            return Ok(());
        }
        let list = record.format == Some(Format::Hls);
        if record.place.bucket.is_empty() {
            let Some(file) = self.find(&record.place.object) else { return Ok(()) };
            if list && let Ok(text) = tokio::fs::read_to_string(&file).await {
                for part in playlist::parts(&text, &record.place.object) {
                    local::remove(self.root(), self.root().join(part)).await?;
                }
            }
            return local::remove(self.root(), file).await;
        }
        let bucket = self.bucket_of(record).await.map_err(Error::Bucket)?;
        let wrong = |e: object_store::Error| Error::Bucket(e.to_string());
        if list && let Some(text) = bucket::read(&bucket, &record.place.object).await.map_err(wrong)? {
            for part in playlist::parts(&String::from_utf8_lossy(&text), &record.place.object) {
                bucket::delete(&bucket, &part).await.map_err(wrong)?;
            }
        }
        bucket::delete(&bucket, &record.place.object).await.map_err(wrong)
    }

    /// Looks how much room is left on the local disk; deletes the oldest records where the settings say so.
    async fn make_room(&self, stop: &Stop) -> Result<(), Error> {
        let least = self.0.settings.min_free.0;
        loop {
            let free = local::free(self.root()).await?;
            self.0.free.store(free, Ordering::Relaxed);
            if least == 0 || free >= least || stop.is_requested() {
                return Ok(());
            }
            if self.0.settings.when_full == WhenFull::Refuse {
                return Ok(());
            }
            let oldest = self.0.store.oldest_local_records(20).await?;
            if oldest.is_empty() {
                return Ok(());
            }
            tracing::warn!(free, least, records = oldest.len(), "the disk is nearly full: the oldest records are deleted");
            self.0.evicted.fetch_add(oldest.len() as u64, Ordering::Relaxed);
            let mut gone = Vec::new();
            for record in &oldest {
                match self.remove(record).await {
                    Ok(()) => gone.push(record.id),
                    Err(error) => tracing::warn!(%error, object = %record.place.object, "a record cannot be deleted"),
                }
            }
            if self.0.store.delete_records(&gone).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Whether there is room for more on the local disk: who records asks before it begins a file.
    pub fn has_room(&self) -> Result<(), Error> {
        let (free, least) = (self.0.free.load(Ordering::Relaxed), self.0.settings.min_free.0);
        match free < least && self.0.settings.when_full == WhenFull::Refuse {
            true => Err(Error::Full(format!("{free} bytes are free on the disk of records, storage.min_free is {least}"))),
            false => Ok(()),
        }
    }
}
