//! Which streams of a device run, and when: those that start by themselves, those that were started, those that somebody wants to see.

use super::pull::{Failure, Target};
use super::roster::Entry;
use super::service::Service;
use crate::base::id::StreamKey;
use crate::model::device::Status;
use crate::model::id::{DeviceId, StreamId};
use crate::model::stream::Stream;
use crate::model::tenant::{self, Scope};
use crate::proto::gb28181::Id;
use crate::proto::gb28181::server::DeviceKey;
use crate::stream;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long the channel that a device itself is waits for the device's catalog before it is started.
const OWN_CHANNEL: Duration = Duration::from_secs(8);
/// How long a player's wish for a stream is worked on.
const PATIENCE: Duration = Duration::from_secs(30);

impl Service {
    /// Starts what is to run on a device that is there. While its first catalog is awaited, its own channel waits too: most catalogs
    /// replace it.
    pub(super) async fn start_streams(&self, entry: &Entry) {
        let streams = match self.store.runnable_streams(entry.id, entry.auto_start).await {
            Ok(streams) => streams,
            Err(error) => return tracing::warn!(device = %entry.key, %error, "cannot read the device's streams"),
        };
        let early = self.is_awaited(entry.id);
        for (stream, code) in streams {
            if early && code == entry.key.device.as_str() {
                continue;
            }
            match target(&stream, &code) {
                Ok(target) => self.pulls.keep(target),
                Err(error) => tracing::debug!(stream = %stream.id, %error, "not started"),
            }
        }
    }

    /// Stops what runs of a device although its channel is gone: a catalog retired it.
    pub(super) async fn stop_retired(&self, entry: &Entry) {
        for id in self.pulls.streams_of(entry.id) {
            match self.store.stream(Scope::Operator, id).await {
                Err(crate::store::Error::NotFound { .. }) => self.pulls.retire(id),
                Ok(_) => {}
                Err(error) => tracing::warn!(stream = %id, %error, "cannot read a stream"),
            }
        }
    }

    fn is_awaited(&self, device: DeviceId) -> bool {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner).contains(&device)
    }

    /// Notes that a device's catalog is awaited, or not any more.
    fn await_catalog(&self, device: DeviceId, on: bool) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        match on {
            true => awaited.insert(device),
            false => awaited.remove(&device),
        };
    }

    /// What a device that came is asked, and what of it is started when.
    pub(super) async fn greet(&self, entry: &Entry) {
        self.await_catalog(entry.id, true);
        // its streams first: what was running shall run again soon
        self.start_streams(entry).await;
        let mut greeting = std::pin::pin!(self.syncs.greet(entry));
        tokio::select! {
            () = &mut greeting => {}
            () = tokio::time::sleep(OWN_CHANNEL) => {
                self.await_catalog(entry.id, false);
                self.start_streams(entry).await;
                greeting.await;
            }
        }
        self.await_catalog(entry.id, false);
        self.stop_retired(entry).await;
        self.start_streams(entry).await;
    }

    /// By which names a stream is known here.
    pub(super) async fn target(&self, stream: &Stream) -> Result<Target, Failure> {
        let channel = stream.channel.ok_or_else(|| Failure::Unavailable("no device".to_owned()))?;
        let channel = self.store.channel(Scope::Operator, channel).await.map_err(|error| Failure::Unavailable(error.to_string()))?;
        target(stream, channel.gb_id.as_str())
    }

    /// After a restart: what ran before runs again, as far as its devices can be reached.
    pub(super) async fn start_all(&self, devices: Vec<DeviceKey>) {
        for entry in devices.into_iter().filter_map(|key| self.roster.device(&key)) {
            self.start_streams(&entry).await;
        }
    }

    /// A stream was started, stopped, forbidden or renamed.
    pub(super) async fn stream_changed(&self, id: StreamId) -> crate::store::Result<()> {
        let stream = match self.store.stream(Scope::Operator, id).await {
            Ok(stream) => stream,
            Err(crate::store::Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(entry) = stream.device.and_then(|device| self.roster.by_id(device)) else { return Ok(()) };
        let Ok(target) = self.target(&stream).await else { return Ok(()) };
        if stream.forbidden {
            self.pulls.stop(&target.key).await;
        } else if (stream.started || entry.auto_start && !self.is_awaited(entry.id)) && entry.status == Status::On {
            self.pulls.keep(target);
        }
        Ok(())
    }

    /// Players want streams that nobody sends.
    pub(super) async fn follow_demand(self: Arc<Service>, mut wants: stream::Events) {
        for key in self.registry.wanted_now() {
            self.wanted(key);
        }
        loop {
            match wants.next().await {
                Some(stream::Event::Wanted(key)) => self.wanted(key),
                Some(_) => {}
                None => {
                    for key in self.registry.wanted_now() {
                        self.wanted(key);
                    }
                }
            }
        }
    }

    fn wanted(self: &Arc<Service>, key: StreamKey) {
        let service = self.clone();
        self.tasks.spawn("gb28181 demand", async move {
            if service.pulls.runs(&key) {
                return;
            }
            let door = match service.store.door(key.app(), key.name()).await {
                Ok(Some(door)) if door.stream.device.is_some() && door.group.lazy_pull => door,
                Ok(_) => return,
                Err(error) => return tracing::warn!(stream = %key, %error, "cannot look the stream up"),
            };
            if door.stream.forbidden || !door.group.enabled || door.tenant.status != tenant::Status::Active {
                return service.registry.refuse(&key, "the stream is forbidden, its group is halted or its owner's service is not open");
            }
            // the name in the URL may be the stream's id: the camera's own name is what is published
            let started = match service.target(&door.stream).await {
                Ok(target) => service.pulls.start(Target { key: key.clone(), ..target }, false, PATIENCE).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = started {
                service.registry.refuse(&key, &failure.to_string());
            }
        });
    }
}

/// What to ask a device for: the stream of the channel with this code.
fn target(stream: &Stream, code: &str) -> Result<Target, Failure> {
    let unavailable = |why: &str| Failure::Unavailable(why.to_owned());
    let device = stream.device.ok_or_else(|| unavailable("no device"))?;
    let key = stream.key().map_err(|error| Failure::Unavailable(error.to_string()))?;
    let channel = Id::new(code).ok_or_else(|| unavailable("the channel's id is unusable"))?;
    Ok(Target { device, channel, stream: Some(stream.id), key, range: None })
}
