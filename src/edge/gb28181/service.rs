//! Puts the parts together and follows what happens: devices that come and go, what the store says, who wants a stream.

use super::address::Addresses;
use super::cascade::Cascade;
use super::handle::Handle;
use super::media::Media;
use super::pull::{self, Pulls};
use super::roster::{Entry, Roster};
use super::settings::{Settings, Sip};
use super::signalling::{Happening, Signalling};
use super::states::States;
use super::sync::Syncs;
use super::tracks::Tracks;
use super::voice::Voices;
use super::wire::{Inbound, Listeners};
use crate::base::pii::Pii;
use crate::model::alarm::Alarm;
use crate::model::device::{Draft, Kind, Registration, Status, Transport};
use crate::model::group::Group;
use crate::model::id::{AlarmId, DeviceId, GbId, GroupId, TenantId};
use crate::model::tenant::{self, Scope};
use crate::model::time::Time;
use crate::proto::gb28181::server::{AskId, DeviceKey, Event, Fresh, Gone, Restored, Server, Verdict};
use crate::proto::gb28181::{Version, id};
use crate::proto::sip;
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::store::{self, Change, Seen, Store};
use crate::stream::access::Access;
use crate::stream::{self, Registry};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// What the service is built from.
pub struct Parts {
    /// Where devices register.
    pub sip: Sip,
    /// The settings.
    pub settings: Settings,
    /// The media ports.
    pub media: Media,
    /// The rows.
    pub store: Store,
    /// The streams.
    pub registry: Registry,
    /// Who says whether a stream may be fetched.
    pub access: Arc<dyn Access>,
    /// The clock.
    pub clock: Clock,
    /// Where its tasks run.
    pub tasks: Tasks,
}

/// Everything that the tasks of this edge share.
pub(super) struct Service {
    pub signalling: Signalling,
    pub pulls: Pulls,
    pub syncs: Syncs,
    pub roster: Arc<Roster>,
    pub states: States,
    pub store: Store,
    pub registry: Registry,
    pub media: Media,
    pub tasks: Tasks,
    /// Devices whose catalog is fetched because they came, for the first seconds.
    pub awaited: Mutex<HashSet<DeviceId>>,
    pub addresses: Arc<Addresses>,
    pub settings: Arc<Settings>,
    pub cascade: Cascade,
    pub voices: Voices,
    pub tracks: Tracks,
}

/// Devices read from the store at once.
const PORTION: u32 = 1000;
/// Opens the ports, takes over what was registered before a restart, and runs.
pub async fn start(parts: Parts) -> Result<Handle, String> {
    let Parts { sip, settings, media, store, registry, access, clock, tasks } = parts;
    let settings = Arc::new(settings);
    let addresses = Arc::new(Addresses::new(settings.public()?, settings.public_ip_for_all));
    let listeners = Listeners::open(&sip, addresses.clone())?;
    let roster = Arc::new(Roster::new(settings.no_password));
    // before it is read, so that nothing is missed in between
    let changes = store.watch();
    let wants = registry.watch();
    let registrations = read(&store, &roster).await.map_err(|error| format!("gb28181: cannot read devices: {error}"))?;

    let mut server = Server::new(settings.machine(), rand::random());
    server.set_platforms(roster.platforms());
    let (signalling, happenings) = Signalling::start(server, roster.clone(), listeners.wire(), clock.clone(), &tasks);
    let restored = restore(registrations, &signalling, clock.unix());
    let count = restored.len();
    let reachable: Vec<_> = restored.iter().filter(|device| device.path.is_some()).map(|device| device.key).collect();
    signalling.with(|server, now| {
        server.set_wall(now, clock.unix());
        server.restore(now, restored);
    });
    let (states, writer) = States::new(store.clone(), roster.clone(), settings.callbacks);
    let stop = tasks.stopping();
    tasks.spawn("gb28181 states", writer.run(stop));
    let pulls = Pulls::new(pull::Parts {
        signalling: signalling.clone(),
        media: media.clone(),
        roster: roster.clone(),
        states: states.clone(),
        registry: registry.clone(),
        addresses: addresses.clone(),
        access,
        settings: settings.clone(),
        tasks: tasks.clone(),
    });
    let syncs = Syncs::new(signalling.clone(), store.clone(), settings.clone());
    let tracks = Tracks::start(store.clone(), roster.clone(), &tasks);
    let service = Arc::new(Service {
        signalling: signalling.clone(),
        pulls,
        syncs,
        roster,
        states,
        store,
        registry,
        media,
        tasks: tasks.clone(),
        awaited: Mutex::default(),
        addresses,
        settings,
        cascade: Cascade::default(),
        voices: Voices::default(),
        tracks,
    });
    service.run(happenings, changes, wants);
    service.cascade.start(service.clone());
    for address in signalling.wire().addresses() {
        tracing::info!(%address, "GB28181 devices register here, over UDP and TCP");
    }
    tracing::info!(devices = service.roster.count(), registered = count, "gb28181 ready");
    listeners.start(Arc::new(signalling) as Arc<dyn Inbound>, &tasks);
    let starting = service.clone();
    tasks.spawn("gb28181 streams", async move {
        let stop = starting.tasks.stopping();
        tokio::select! {
            () = stop.requested() => {}
            () = starting.start_all(reachable) => {}
        }
    });
    Ok(Handle::new(service))
}

/// Reads groups and devices; gives the registrations of those that were on.
async fn read(store: &Store, roster: &Roster) -> crate::store::Result<Vec<(DeviceKey, Registration)>> {
    let open: HashSet<TenantId> = store.tenants().await?.into_iter().filter(|t| t.status == tenant::Status::Active).map(|t| t.id).collect();
    for group in store.gb_groups().await? {
        roster.put_group(group.id, Some(&group), open.contains(&group.owner));
        read_licenses(store, roster, &group).await?;
    }
    let (mut after, mut on) = (None, Vec::new());
    loop {
        let portion = store.devices_after(after, PORTION).await?;
        for device in &portion {
            roster.put_device(device.id, Some(device));
            if let (Status::On, Some(registration), Some(entry)) = (device.status, &device.registration, roster.by_id(device.id)) {
                on.push((entry.key, registration.clone()));
            }
        }
        match portion.last() {
            Some(last) => after = Some(last.id),
            None => return Ok(on),
        }
    }
}

/// Reads who has a license, where a group requires one.
async fn read_licenses(store: &Store, roster: &Roster, group: &Group) -> crate::store::Result<()> {
    let licenses = match group.license_required {
        true => Some(store.licensed(group.id).await?.into_iter().collect()),
        false => None,
    };
    roster.set_licenses(group.id, licenses);
    Ok(())
}

/// The devices that were on before a restart count as on; what they do not show within the usual time is told then.
fn restore(on: Vec<(DeviceKey, Registration)>, signalling: &Signalling, unix: crate::media::time::Timestamp) -> Vec<Restored> {
    let now = unix.0 / 1_000_000;
    on.into_iter()
        .map(|(key, registration)| {
            let left = u64::try_from(registration.expires.saturating_sub(now)).unwrap_or(0);
            let path = match registration.transport {
                Transport::Udp => signalling.wire().restore(registration.source),
                Transport::Tcp => None,
            };
            Restored {
                key,
                path,
                // an expired one gets the time to renew that a running one would get
                expires_in: Duration::from_millis(left).max(Duration::from_secs(60)),
                version: registration.version.as_deref().map(Version::parse).unwrap_or_default(),
                // whoever comes back from another address shows its password again
                authenticated: true,
            }
        })
        .collect()
}

impl Service {
    fn run(self: &Arc<Service>, happenings: mpsc::Receiver<Happening>, changes: crate::store::Changes, wants: stream::Events) {
        let spawn = |name, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            let stop = self.tasks.stopping();
            self.tasks.spawn(name, async move {
                tokio::select! {
                    () = stop.requested() => {}
                    () = task => {}
                }
            });
        };
        let service = self.clone();
        spawn("gb28181 events", Box::pin(async move { service.follow_devices(happenings).await }));
        let service = self.clone();
        spawn("gb28181 changes", Box::pin(async move { service.follow_store(changes).await }));
        let service = self.clone();
        spawn("gb28181 demand", Box::pin(async move { service.follow_demand(wants).await }));
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.signalling.clock().unix().0)
    }

    async fn follow_devices(self: Arc<Service>, mut happenings: mpsc::Receiver<Happening>) {
        while let Some(happening) = happenings.recv().await {
            match happening {
                Happening::Create(ask, registration, group) => {
                    let service = self.clone();
                    self.tasks.spawn("gb28181 new device", async move { service.create(ask, *registration, group).await });
                }
                Happening::Event(event) => self.happened(event),
            }
        }
    }

    /// Creates a device at its first registration.
    async fn create(&self, ask: AskId, registration: crate::proto::gb28181::server::Registration, group: GroupId) {
        let made = async {
            let failed = Verdict::Refuse { status: 503, why: "it could not be created" };
            let Ok(code) = registration.device.as_str().parse::<GbId>() else { return Err(failed) };
            let kind = if registration.device.kind() == id::Kind::Platform { Kind::Platform } else { Kind::Ipc };
            let draft = Draft::new(group, kind, code);
            match self.store.create_device(Scope::Operator, draft).await {
                Ok(device) => {
                    self.roster.put_device(device.id, Some(&device));
                    tracing::info!(device = %registration.device, group = %group, "device created at its first registration");
                    Ok(())
                }
                Err(store::Error::Exceeded(exceeded)) => {
                    tracing::info!(device = %registration.device, group = %group, why = %exceeded, "the device is not created");
                    Err(Verdict::Refuse { status: 403, why: "its owner has as many devices as it may have" })
                }
                Err(error) => {
                    tracing::warn!(device = %registration.device, %error, "cannot create the device");
                    Err(failed)
                }
            }
        };
        let verdict = match made.await {
            Err(refuse) => refuse,
            Ok(()) => match self.roster.judge(&registration, self.now()) {
                super::roster::Say::Verdict(verdict) => verdict,
                super::roster::Say::Create(_) => Verdict::Refuse { status: 503, why: "it could not be created" },
            },
        };
        self.signalling.with(|server, now| server.verdict(now, ask, verdict));
    }

    fn happened(self: &Arc<Service>, event: Event) {
        match event {
            Event::Registered { device, fresh, path, version, expires, agent } => {
                self.registered(device, fresh, path, version, expires, agent)
            }
            Event::Offline { device, why } => {
                let Some(entry) = self.roster.device(&device) else { return };
                if why != Gone::Removed {
                    self.states.device(&entry, Status::Off, self.now(), None);
                }
                tracing::info!(%device, %why, "device off");
            }
            Event::Locked { device } => {
                tracing::warn!(%device, "device locked after repeated wrong passwords");
                if let Some(entry) = self.roster.device(&device) {
                    self.states.device(&entry, Status::Failed, self.now(), None);
                }
            }
            Event::WrongPassword { device, source, times } => {
                tracing::info!(%device, source = %Pii(source), times, "wrong password");
            }
            Event::Refused { device, source, status, why } => {
                let device = device.map(|id| id.to_string()).unwrap_or_default();
                tracing::debug!(device, source = %Pii(source), status, why, "refused");
            }
            Event::Moved { device, path } => tracing::debug!(%device, path = %Pii(path), "device talks from elsewhere"),
            Event::Changes { device, items } => self.changed(device, items),
            Event::Alarm { device, alarm } => self.alarmed(&device, alarm),
            Event::Positions { device, positions } => self.moved(&device, positions),
            Event::Subscribed { device, kind, accepted } => match accepted {
                Ok(()) => tracing::debug!(%device, ?kind, "subscribed"),
                Err(status) => tracing::info!(%device, ?kind, status, "the device takes no subscription"),
            },
            Event::Faulty { device, children } => tracing::info!(%device, ?children, "the device reports faulty children"),
            Event::VoiceInvited { call, device, offer, .. } => {
                if self.voices.called(&device, call, offer) {
                    return;
                }
                // voice that nobody offered
                tracing::info!(%device, "the device calls, but no voice is offered to it");
                self.signalling.with(|server, now| server.hang_up(now, call));
            }
            Event::Unknown { device, what } => tracing::debug!(%device, what, "not understood"),
            // these go to whoever asked
            Event::Ask { .. }
            | Event::Items { .. }
            | Event::Records { .. }
            | Event::Answered { .. }
            | Event::CallAnswered { .. }
            | Event::CallFinished { .. }
            | Event::CallEnded { .. }
            | Event::Controlled { .. } => {}
        }
    }

    fn registered(self: &Arc<Service>, key: DeviceKey, fresh: Fresh, path: sip::Path, version: Version, expires: u32, agent: String) {
        let Some(entry) = self.roster.device(&key) else { return };
        let now = self.now();
        let registration = Registration {
            source: path.remote,
            transport: match path.transport {
                sip::Transport::Udp => Transport::Udp,
                sip::Transport::Tcp => Transport::Tcp,
            },
            contact: format!("sip:{}@{}", key.device, path.remote),
            at: now.0,
            expires: now.0 + i64::from(expires) * 1000,
            agent,
            version: Some(version.as_str().to_owned()),
        };
        let was_on = entry.status == Status::On;
        self.states.device(&entry, Status::On, now, Some(registration));
        if fresh == Fresh::Renewed && was_on {
            // what broke off meanwhile, or could not start after a restart of ours, gets another chance
            let service = self.clone();
            self.tasks.spawn("gb28181 streams", async move { service.start_streams(&entry).await });
            return;
        }
        tracing::info!(device = %key, path = %Pii(path), ?version, expires, "device on");
        // it has forgotten what it was called for
        self.pulls.returned(entry.id);
        let service = self.clone();
        self.tasks.spawn("gb28181 greeting", async move {
            let stop = service.tasks.stopping();
            tokio::select! {
                () = stop.requested() => {}
                () = service.greet(&entry) => {}
            }
        });
    }

    fn changed(self: &Arc<Service>, key: DeviceKey, items: Vec<crate::proto::gb28181::manscdp::Item>) {
        let Some(entry) = self.roster.device(&key) else { return };
        let service = self.clone();
        self.tasks.spawn("gb28181 catalog changes", async move {
            match service.syncs.changes(&entry, items).await {
                Ok(()) => {
                    service.stop_retired(&entry).await;
                    if entry.auto_start {
                        service.start_streams(&entry).await;
                    }
                }
                Err(error) => tracing::warn!(device = %key, %error, "cannot store catalog changes"),
            }
        });
    }

    fn alarmed(&self, key: &DeviceKey, alarm: crate::proto::gb28181::manscdp::Alarm) {
        let Some(entry) = self.roster.device(key) else { return };
        let Some(group) = self.roster.group(entry.group) else { return };
        let source = alarm.source.unwrap_or(key.device);
        let Some(gb_id) = [source, key.device].iter().find_map(|id| id.as_str().parse::<GbId>().ok()) else { return };
        tracing::info!(device = %key, %source, method = alarm.method.0, kind = alarm.kind, priority = alarm.priority, "alarm");
        self.cascade.alarm(entry.id, &alarm);
        let at = alarm.time.map(Time).unwrap_or_else(|| self.now());
        let row = Alarm {
            id: AlarmId(0),
            owner: group.owner,
            group: group.id,
            device: entry.id,
            gb_id,
            method: alarm.method.0,
            kind: Some(i64::from(alarm.kind)).filter(|kind| *kind > 0),
            priority: alarm.priority.to_string(),
            description: alarm.description,
            at,
        };
        self.states.alarm(&entry, row);
    }

    fn moved(self: &Arc<Service>, key: &DeviceKey, positions: Vec<crate::proto::gb28181::manscdp::Position>) {
        let Some(entry) = self.roster.device(key) else { return };
        self.cascade.positions(entry.id, &positions);
        self.tracks.note(&entry, &positions, self.now());
        // the device's own place; a channel's is in its catalog
        let own = positions.into_iter().rev().find(|position| position.id.is_none_or(|id| id == key.device));
        let Some(position) = own else { return };
        self.states.position(&entry, position.longitude, position.latitude);
    }

    /// Keeps the roster in step with the store.
    async fn follow_store(self: Arc<Service>, mut changes: crate::store::Changes) {
        while let Some(seen) = changes.next().await {
            let done = match seen {
                Seen::Change(Change::Group(id)) => self.group_changed(id).await,
                Seen::Change(Change::Licenses(id)) => match self.store.group(Scope::Operator, id).await {
                    Ok(group) => read_licenses(&self.store, &self.roster, &group).await,
                    Err(error) => Err(error),
                },
                Seen::Change(Change::Tenant(id)) => self.tenant_changed(id).await,
                Seen::Change(Change::Device(id, _)) => self.device_changed(id).await,
                Seen::Change(Change::Stream(id)) => self.stream_changed(id).await,
                Seen::Change(_) => Ok(()),
                Seen::Missed(n) => {
                    tracing::warn!(missed = n, "reading all devices again");
                    read(&self.store, &self.roster).await.map(|_| self.set_platforms())
                }
            };
            if let Err(error) = done {
                tracing::warn!(%error, "cannot follow the store");
            }
        }
    }

    fn set_platforms(&self) {
        let platforms = self.roster.platforms();
        self.signalling.with(|server, _| server.set_platforms(platforms));
    }

    /// A tenant was opened, suspended, renewed or deleted: its devices may register, or may not any more.
    async fn tenant_changed(&self, id: TenantId) -> crate::store::Result<()> {
        for group in self.roster.groups_of(id) {
            self.group_changed(group).await?;
        }
        Ok(())
    }

    async fn group_changed(&self, id: GroupId) -> crate::store::Result<()> {
        let group = match self.store.group(Scope::Operator, id).await {
            Ok(group) => Some(group),
            Err(crate::store::Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let open = match &group {
            Some(group) => self.store.tenant_by_id(group.owner).await?.status == tenant::Status::Active,
            None => false,
        };
        let devices = self.roster.devices_of(id);
        self.roster.put_group(id, group.as_ref(), open);
        match &group {
            Some(group) => read_licenses(&self.store, &self.roster, group).await?,
            None => self.roster.set_licenses(id, None),
        }
        self.set_platforms();
        if !self.roster.runs(id) {
            self.let_go(&devices, "the group is halted, or its owner's service is not open");
        }
        if let Some(group) = &group {
            // a new platform id is a new name for each device
            for device in
                devices.iter().filter(|device| group.gb_id.as_ref().is_none_or(|code| code.as_str() != device.key.platform.as_str()))
            {
                self.device_changed(device.id).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn device_changed(&self, id: DeviceId) -> crate::store::Result<()> {
        let device = match self.store.device(Scope::Operator, id).await {
            Ok(device) => Some(device),
            Err(crate::store::Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let before = self.roster.by_id(id);
        if let Some(old) = self.roster.put_device(id, device.as_ref()) {
            // gone, or known by another name: it has to register again
            self.signalling.with(|server, now| server.remove(now, &old));
            self.pulls.stop_all(|other| other == id);
        }
        match self.roster.by_id(id) {
            Some(entry) if !entry.enabled => self.let_go(&[entry], "the device is disabled"),
            Some(entry) => {
                let same = before.is_some_and(|old| {
                    old.auto_pos == entry.auto_pos && old.pos_interval == entry.pos_interval && old.alarm_method == entry.alarm_method
                });
                if !same {
                    self.syncs.subscribe(&entry);
                }
                if entry.auto_start && entry.status == Status::On {
                    self.start_streams(&entry).await;
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Ends everything with devices that are not wanted now.
    pub(super) fn let_go(&self, devices: &[Entry], why: &str) {
        let now = self.now();
        for device in devices {
            self.pulls.stop_all(|id| id == device.id);
            let known = self.signalling.with(|server, now| {
                let known = server.device(&device.key).is_some();
                server.remove(now, &device.key);
                known
            });
            if known {
                tracing::info!(device = %device.key, why, "device let go");
                self.states.device(device, Status::Off, now, None);
            }
        }
    }
}
