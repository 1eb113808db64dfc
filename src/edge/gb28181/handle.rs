//! What the API may ask of this edge.

use super::cascade::State as UpperState;
use super::doctor;
use super::pull::{Failure, Target};
use super::roster::Entry;
use super::service::Service;
use super::sync::SyncError;
use super::voice::{Voice, VoiceOrder};
use crate::base::id::StreamKey;
use crate::model::channel::Synced;
use crate::model::device::Status;
use crate::model::id::{DeviceId, GroupId, UpperId};
use crate::model::time::Time;
use crate::proto::gb28181::Id;
use crate::proto::gb28181::manscdp::{Control, Preset, Query, Record, RecordQuery};
use crate::proto::gb28181::mansrtsp;
use crate::proto::gb28181::server::Answer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The name under which a stretch (unix seconds) of the device's own recording of a channel is played.
pub fn playback_key(target: &Target, from: u64, to: u64) -> Result<StreamKey, Failure> {
    // After the stream, whose row decides who may play it: a national id is not unique over groups.
    let name = format!("{}_{from}_{to}", target.key.name());
    StreamKey::new(target.key.app(), &name).map_err(|error| Failure::Unavailable(error.to_string()))
}

/// The edge. Cloning shares it.
#[derive(Clone)]
pub struct Handle(Arc<Service>);

/// Numbers for lists and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Devices that the store knows.
    pub devices: usize,
    /// Devices that are registered now.
    pub registered: usize,
    /// Calls that are open now.
    pub calls: usize,
    /// SSRCs in use.
    pub ssrcs: usize,
    /// TCP connections of devices.
    pub connections: usize,
    /// What arrived and was no SIP.
    pub malformed: u64,
    /// Messages that no socket took.
    pub unsent: u64,
    /// Events that were not followed because too many came at once.
    pub lost: u64,
}

impl Handle {
    pub(super) fn new(service: Arc<Service>) -> Handle {
        Handle(service)
    }

    /// Where devices register: the ports that were found where the configuration says 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.signalling.wire().addresses()
    }

    /// Asks a channel to send its stream and waits for the device's answer. A stream that runs already is a success. It ends when
    /// nobody watches it, unless its row says that it is started.
    pub async fn start(&self, target: Target, patience: Duration) -> Result<(), Failure> {
        self.0.pulls.start(target, false, patience).await
    }

    /// Asks a channel to stop sending. A stream that does not run is a success.
    pub async fn stop(&self, key: &StreamKey) -> Result<(), Failure> {
        self.0.pulls.stop(key).await;
        Ok(())
    }

    /// Opens a playback of the device's own recording; viewers of the same stretch share it. Gives the name under which it is played.
    pub async fn playback(&self, target: Target, from: u64, to: u64, patience: Duration) -> Result<StreamKey, Failure> {
        let key = playback_key(&target, from, to)?;
        let target = Target { key: key.clone(), stream: None, range: Some((from, to)), ..target };
        self.0.pulls.start(target, false, patience).await?;
        Ok(key)
    }

    /// Pauses, resumes, moves or speeds a playback.
    pub async fn control_playback(&self, key: &StreamKey, command: mansrtsp::Command) -> Result<(), Failure> {
        self.0.pulls.control(key, command).await
    }

    /// Fetches the catalog and stores it; what an operator deleted comes back.
    pub async fn refresh(&self, device: DeviceId, patience: Duration) -> Result<Synced, Failure> {
        let entry = self.entry(device)?;
        match tokio::time::timeout(patience, self.0.syncs.fetch(&entry, true)).await {
            Err(_) => Err(Failure::Timeout),
            Ok(Ok(synced)) => {
                self.0.stop_retired(&entry).await;
                self.0.start_streams(&entry).await;
                Ok(synced)
            }
            Ok(Err(SyncError::Device(failure))) => Err(failure),
            Ok(Err(error)) => Err(Failure::Unavailable(error.to_string())),
        }
    }

    /// Lets a locked device try again.
    pub fn unlock(&self, device: DeviceId) {
        let Ok(entry) = self.entry(device) else { return };
        self.0.signalling.with(|server, _| server.unlock(&entry.key));
        if entry.status == Status::Failed {
            let now = Time::from_nanos(self.0.signalling.clock().unix().0);
            self.0.states.device(&entry, Status::Off, now, None);
        }
    }

    /// Orders a channel to do something; done when the device took the order.
    pub async fn control(&self, device: DeviceId, channel: Id, control: Control) -> Result<(), Failure> {
        let entry = self.entry(device)?;
        let mut parts = self.0.signalling.ask(|server, now| server.control(now, &entry.key, channel, &control))?;
        while let Some(part) = parts.recv().await {
            if let super::signalling::Part::End(answer) = part {
                return answer.map(drop).map_err(Failure::from);
            }
        }
        Err(Failure::Failed)
    }

    /// Asks a channel for its presets.
    pub async fn presets(&self, device: DeviceId, channel: Id, patience: Duration) -> Result<Vec<Preset>, Failure> {
        match self.ask(device, channel, &Query::Presets, patience).await? {
            (Answer::Presets(presets), _) => Ok(presets),
            _ => Err(Failure::Failed),
        }
    }

    /// Asks a channel what it recorded between two times, milliseconds since 1970. Stretches that came before the device fell silent
    /// are given all the same.
    pub async fn records(&self, device: DeviceId, channel: Id, from: i64, to: i64, patience: Duration) -> Result<Vec<Record>, Failure> {
        let query = Query::RecordInfo(RecordQuery { start: from, end: to, kind: String::new() });
        self.ask(device, channel, &query, patience).await.map(|(_, records)| records)
    }

    /// Asks a device, or one of its channels, about itself.
    pub async fn question(&self, device: DeviceId, target: Id, query: Query, patience: Duration) -> Result<Answer, Failure> {
        self.ask(device, target, &query, patience).await.map(|(answer, _)| answer)
    }

    async fn ask(&self, device: DeviceId, target: Id, query: &Query, patience: Duration) -> Result<(Answer, Vec<Record>), Failure> {
        let entry = self.entry(device)?;
        match tokio::time::timeout(patience, self.0.syncs.ask(&entry, target, query)).await {
            Err(_) => Err(Failure::Timeout),
            Ok(answer) => answer.map(|(answer, _, records)| (answer, records)),
        }
    }

    /// The store follows by itself; this hurries it up.
    pub fn changed(&self, device: DeviceId) {
        let service = self.0.clone();
        self.0.tasks.spawn("gb28181 device changed", async move {
            if let Err(error) = service.device_changed(device).await {
                tracing::warn!(%error, "cannot read a changed device");
            }
        });
    }

    /// Ends everything with the devices of a group.
    pub fn halted(&self, group: GroupId) {
        let devices = self.0.roster.devices_of(group);
        self.0.let_go(&devices, "the group is halted");
    }

    /// What is known about a device and its calls, with a verdict.
    pub fn doctor(&self, device: DeviceId) -> Result<doctor::Findings, Failure> {
        let entry = self.entry(device)?;
        Ok(doctor::examine(&self.0, &entry))
    }

    /// Starts a voice towards a device and waits until it takes it.
    pub async fn start_voice(&self, order: VoiceOrder, patience: Duration) -> Result<Voice, Failure> {
        self.0.voices.start(&self.0, order, patience).await
    }

    /// Ends the voice to a device; whether there was one.
    pub async fn stop_voice(&self, device: DeviceId) -> bool {
        self.0.voices.stop(device).await
    }

    /// All voices.
    pub fn voices(&self) -> Vec<Voice> {
        self.0.voices.list()
    }

    /// How an upper platform is doing; `None` if it is disabled or unknown.
    pub fn upper(&self, id: UpperId) -> Option<UpperState> {
        self.0.cascade.state(id)
    }

    /// Numbers.
    pub fn counts(&self) -> Counts {
        let (registered, calls, ssrcs) =
            self.0.signalling.with(|server, _| (server.registered(), server.open_calls(), server.ssrcs_in_use()));
        let wire = self.0.signalling.wire();
        let (malformed, unsent) = wire.trouble();
        Counts {
            devices: self.0.roster.count(),
            registered,
            calls,
            ssrcs,
            connections: wire.connections(),
            malformed,
            unsent,
            lost: self.0.signalling.lost(),
        }
    }

    fn entry(&self, device: DeviceId) -> Result<Entry, Failure> {
        self.0.roster.by_id(device).ok_or(Failure::Offline)
    }
}
