//! Writes what changed, in batches: states of devices and streams, and the callbacks that tell of them.

use super::roster::{Entry, Roster};
use crate::model::alarm::Alarm;
use crate::model::callback::Draft;
use crate::model::device::{self, Registration, Status};
use crate::model::id::DeviceId;
use crate::model::{stream, time::Time};
use crate::runtime::task::Stop;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Something to be written.
#[derive(Debug)]
enum Write {
    Device(device::Change),
    Stream(stream::Change),
    Alarm(Box<Alarm>),
    /// Longitude and latitude.
    Position(DeviceId, String, String),
    Callback(Draft),
}

/// The way to the writer. Cloning shares it.
#[derive(Clone)]
pub struct States {
    writes: mpsc::UnboundedSender<Write>,
    roster: Arc<Roster>,
}

/// Written at once at most, and how long the first of a batch waits for others.
const BATCH: usize = 2000;
const GATHER: Duration = Duration::from_millis(50);
/// How long a store that fails is left alone.
const AGAIN: Duration = Duration::from_secs(1);

/// The writing end.
pub struct Writer {
    writes: mpsc::UnboundedReceiver<Write>,
    store: Store,
    callbacks: u64,
}

impl States {
    /// The way to a writer, and the writer, which somebody has to run.
    pub fn new(store: Store, roster: Arc<Roster>, callbacks: u64) -> (States, Writer) {
        let (writes, receiver) = mpsc::unbounded_channel();
        (States { writes, roster }, Writer { writes: receiver, store, callbacks })
    }

    /// A device's state is now so. A state that it has already is written only with a registration.
    pub fn device(&self, entry: &Entry, status: Status, at: Time, registration: Option<Registration>) {
        let changed = self.roster.set_status(&entry.key, status, at);
        if changed.is_none() && registration.is_none() {
            return;
        }
        let since = changed.as_ref().map_or(entry.since, |changed| changed.since);
        self.write(Write::Device(device::Change { id: entry.id, status, at: since, registration }));
        if changed.is_some() {
            self.call_back(entry, "device_status", at, serde_json::json!({ "DeviceStatus": status.as_str() }));
        }
    }

    /// A stream's state is now so.
    pub fn stream(&self, change: stream::Change) {
        self.write(Write::Stream(change));
    }

    /// A device alarmed.
    pub fn alarm(&self, entry: &Entry, alarm: Alarm) {
        let body = serde_json::json!({
            "Alarm": alarm.method.to_string(),
            "SubAlarm": alarm.kind.unwrap_or(0),
            "Priority": alarm.priority,
            "StartTime": alarm.at.0,
        });
        self.call_back(entry, "device_alarm", alarm.at, body);
        self.write(Write::Alarm(Box::new(alarm)));
    }

    /// A device is here now, in degrees.
    pub fn position(&self, entry: &Entry, longitude: f64, latitude: f64) {
        self.write(Write::Position(entry.id, longitude.to_string(), latitude.to_string()));
    }

    fn call_back(&self, entry: &Entry, event: &str, at: Time, more: serde_json::Value) {
        let Some(group) = self.roster.group(entry.group) else { return };
        let Some(url) = group.callback else { return };
        let mut body = serde_json::json!({
            "Event": event,
            "Time": at.as_secs(),
            "GroupId": entry.group.to_string(),
            "DeviceId": entry.id.to_string(),
            "GbId": entry.key.device.as_str(),
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        self.write(Write::Callback(Draft { owner: group.owner, object: object(entry.id), url, body: body.to_string() }));
    }

    fn write(&self, write: Write) {
        // the writer outlives everything that writes, except at the very end
        let _ = self.writes.send(write);
    }
}

fn object(device: DeviceId) -> String {
    format!("device/{device}")
}

impl Writer {
    /// Writes until the stop, and then what is left.
    pub async fn run(mut self, stop: Stop) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                n = self.writes.recv_many(&mut batch, BATCH) => if n == 0 { return },
                () = stop.requested() => {
                    while let Ok(write) = self.writes.try_recv() {
                        batch.push(write);
                    }
                    if let Err(error) = self.put(&mut batch).await {
                        tracing::error!(%error, left = batch.len(), "states are lost at shutdown");
                    }
                    return;
                }
            }
            if batch.len() < BATCH {
                tokio::time::sleep(GATHER).await;
                let room = BATCH - batch.len();
                for _ in 0..room {
                    let Ok(write) = self.writes.try_recv() else { break };
                    batch.push(write);
                }
            }
            while let Err(error) = self.put(&mut batch).await {
                tracing::warn!(%error, waiting = batch.len() + self.writes.len(), "cannot write states, trying again");
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = stop.requested() => break,
                }
            }
        }
    }

    /// Writes a batch; what was written is taken out of it.
    async fn put(&self, batch: &mut Vec<Write>) -> crate::store::Result<()> {
        let (mut devices, mut streams, mut alarms, mut callbacks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // the last place of each is enough
        let mut positions = std::collections::HashMap::new();
        for write in batch.iter() {
            match write {
                Write::Device(change) => devices.push(change.clone()),
                Write::Stream(change) => streams.push(*change),
                Write::Alarm(alarm) => alarms.push((**alarm).clone()),
                Write::Callback(draft) => callbacks.push(draft.clone()),
                Write::Position(id, longitude, latitude) => drop(positions.insert(*id, (longitude.clone(), latitude.clone()))),
            }
        }
        self.store.set_device_states(latest(devices)).await?;
        batch.retain(|write| !matches!(write, Write::Device(_)));
        self.store.set_stream_states(streams).await?;
        batch.retain(|write| !matches!(write, Write::Stream(_)));
        self.store.set_positions(positions.into_iter().map(|(id, (longitude, latitude))| (id, longitude, latitude)).collect()).await?;
        batch.retain(|write| !matches!(write, Write::Position(..)));
        if !alarms.is_empty() {
            self.store.add_alarms(alarms).await?;
            batch.retain(|write| !matches!(write, Write::Alarm(_)));
        }
        let dropped = self.store.queue_callbacks(callbacks, self.callbacks).await?;
        if dropped > 0 {
            tracing::warn!(dropped, "the queue of callbacks is full");
        }
        batch.clear();
        Ok(())
    }
}

/// One change a device: the last state with the last registration. A statement with one row twice would take either.
fn latest(changes: Vec<device::Change>) -> Vec<device::Change> {
    let mut kept: Vec<device::Change> = Vec::with_capacity(changes.len());
    let mut at = std::collections::HashMap::new();
    for change in changes {
        match at.get(&change.id) {
            None => {
                at.insert(change.id, kept.len());
                kept.push(change);
            }
            Some(at) => {
                let old: &mut device::Change = &mut kept[*at];
                let registration = change.registration.or(old.registration.take());
                *old = device::Change { registration, id: change.id, status: change.status, at: change.at };
            }
        }
    }
    kept
}
