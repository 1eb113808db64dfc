//! One picture: the newest key frame, made a JPEG and stored.

use super::{Parts, Snapshots};
use crate::av::{NoPicture, Picture};
use crate::base::id::StreamKey;
use crate::media::frame::Kind as FrameKind;
use crate::model::id::StreamId;
use crate::model::path::{PathTemplate, Purpose, Values};
use crate::model::record::{Draft, Format, Kind, Place};
use crate::model::stream::Stream;
use crate::model::template::{Body, Template};
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::storage::{self, Deposit, Names};
use crate::store;
use crate::stream::{Class, Recv, Start, Subscriber, Unit};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a stream that is live may take to bring a key frame where it keeps none.
const PATIENCE: Duration = Duration::from_secs(10);
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// A picture that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What the records say of it.
    pub draft: Draft,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Nobody publishes the stream now.
    #[error("nobody publishes the stream now")]
    Off,
    /// It has no video, or no key frame came.
    #[error("no key frame came within {0:?}")]
    NoKeyFrame(Duration),
    /// It could not be made.
    #[error(transparent)]
    Picture(#[from] NoPicture),
    /// It could not be stored.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Snapshots {
    /// Takes a picture of a stream now: to where its template says, or the local directory if it has none.
    pub async fn take(&self, id: StreamId) -> Result<Taken, Failed> {
        let store = &self.0.parts.store;
        let stream = store.stream(Scope::Operator, id).await?;
        let Ok(key) = stream.key() else { return Err(Failed::Off) };
        let templates = store.templates_for(id).await?;
        let template = templates.iter().find(|template| matches!(template.body, Body::Snapshot(_)));
        self.store_picture(&key, &stream, template, self.0.number.fetch_add(1, Ordering::Relaxed)).await
    }

    /// Takes a picture, and stores it under each name that the template has for it.
    pub(super) async fn store_picture(
        &self,
        key: &StreamKey,
        stream: &Stream,
        template: Option<&Template>,
        sequence: u64,
    ) -> Result<Taken, Failed> {
        let done = self.try_store(key, stream, template, sequence).await;
        let count = if done.is_ok() { &self.0.taken } else { &self.0.failed };
        count.fetch_add(1, Ordering::Relaxed);
        done
    }

    async fn try_store(&self, key: &StreamKey, stream: &Stream, template: Option<&Template>, sequence: u64) -> Result<Taken, Failed> {
        let Parts { settings, store, stills, shelf, domain, clock, .. } = &self.0.parts;
        store.may_store(stream.owner).await?;
        if template.is_none_or(|template| template.storage.bucket.is_empty()) {
            shelf.has_room()?;
        }
        let unit = self.key_frame(key).await?;
        let at = Time::from_nanos(clock.unix().0);
        let Picture { jpeg, width, height } = stills.take(&unit, settings.width, settings.quality).await?;
        let mut paths: Vec<(Purpose, PathTemplate)> = Vec::new();
        let mut expired = 0;
        match template.map(|template| &template.body) {
            Some(Body::Snapshot(snapshot)) => {
                paths.extend(snapshot.overwrite.clone().map(|path| (Purpose::JpgOverwrite, path)));
                paths.extend(snapshot.sequence.clone().map(|path| (Purpose::JpgSequence, path)));
                expired = i64::from(snapshot.expired);
            }
            _ => paths.push((Purpose::JpgSequence, PathTemplate::default_of(Purpose::JpgSequence))),
        }
        let storage = template.map(|template| template.storage.clone()).unwrap_or_default();
        let mut draft = Draft {
            stream: stream.id,
            group: stream.group,
            owner: stream.owner,
            template: template.map(|template| template.id),
            recording: None,
            kind: Kind::Snapshot,
            format: Some(Format::Jpg),
            place: Place::default(),
            start: at,
            end: at,
            duration_ms: 0,
            width: width.into(),
            height: height.into(),
            size: jpeg.len() as u64,
            expires: (expired > 0).then(|| Time(at.0.saturating_add(expired * DAY))),
        };
        for (purpose, path) in paths {
            let object = path.expand(purpose, &Values { app: key.app(), stream: key.name(), sequence, start: at, end: at });
            let file = shelf.spool().join(format!("picture-{}-{}", stream.id, self.0.number.fetch_add(1, Ordering::Relaxed)));
            tokio::fs::write(&file, &jpeg).await.map_err(|e| storage::Error::File(file.clone(), e))?;
            let place = Place { endpoint: storage.endpoint.clone(), bucket: storage.bucket.clone(), object };
            let names = Names { domain: domain.clone(), app: key.app().to_owned(), stream: key.name().to_owned() };
            let deposit = Deposit {
                record: Some(draft.clone()),
                region: storage.region.clone(),
                replaces: purpose == Purpose::JpgOverwrite,
                callback: template.and_then(|template| template.callback.clone()),
                names,
                ..Deposit::new(stream.owner, file.clone(), place, "image/jpeg")
            };
            match shelf.deposit(deposit).await {
                Ok(place) => draft.place = place,
                Err(error) => {
                    let _ = tokio::fs::remove_file(&file).await;
                    return Err(error.into());
                }
            }
        }
        Ok(Taken { draft })
    }

    async fn key_frame(&self, key: &StreamKey) -> Result<Arc<Unit>, Failed> {
        let registry = &self.0.parts.registry;
        // Whoever looks at a stream this way does not ask for it: what nobody sends is not fetched for a picture.
        let mut subscriber = registry.subscribe(key, Class::Worker, Start::Key).filter(|s| s.stream().is_live()).ok_or(Failed::Off)?;
        match tokio::time::timeout(PATIENCE, newest(&mut subscriber)).await {
            Ok(Some(unit)) => Ok(unit),
            Ok(None) => Err(Failed::Off),
            Err(_) => Err(Failed::NoKeyFrame(PATIENCE)),
        }
    }
}

async fn newest(subscriber: &mut Subscriber) -> Option<Arc<Unit>> {
    let mut batch = Vec::new();
    loop {
        match subscriber.recv(&mut batch).await {
            Recv::Units => {
                if let Some(unit) = batch.drain(..).find(|unit| unit.frame.kind == FrameKind::Video && unit.frame.key) {
                    return Some(unit);
                }
            }
            Recv::Lagged { .. } => {}
            Recv::Ended(_) => return None,
        }
    }
}
