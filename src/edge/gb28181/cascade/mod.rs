//! Upward: this server as a device of upper platforms. It registers to each, shows them streams as channels, sends what they call
//! for as a program stream, and passes on what they ask cameras and what cameras tell.
//!
//! The protocol is `proto::gb28181::client`. One task looks after the rows (`mod`), one after each upper platform (`upper`);
//! `list` is what one sees, `call` what it fetches, `pass` what it asks the devices below, `voice` what it says to them.

mod call;
mod list;
mod pass;
#[cfg(test)]
mod tests;
mod upper;
mod voice;

use super::service::Service;
use crate::model::id::{DeviceId, UpperId};
use crate::model::time::Time;
use crate::model::upper::Upper;
use crate::proto::gb28181::manscdp::{Alarm, Position};
use crate::runtime::task::Tasks;
use crate::store::{Change, Changes, Seen};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// How an upper platform is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Whether we are registered there.
    pub registered: bool,
    /// Since when that is so.
    pub since: Option<Time>,
    /// Why we are not registered.
    pub error: String,
    /// Streams that it fetches now.
    pub calls: usize,
    /// Channels that it sees.
    pub channels: usize,
}

/// What devices told that upper platforms may want to know.
#[derive(Debug, Clone)]
enum Told {
    Alarm(DeviceId, Box<Alarm>),
    Positions(DeviceId, Vec<Position>),
}

/// All upper platforms. Cloning shares them.
#[derive(Clone, Default)]
pub(super) struct Cascade(Arc<Mutex<HashMap<UpperId, Running>>>);

struct Running {
    row: Upper,
    state: watch::Receiver<State>,
    told: mpsc::Sender<Told>,
    changed: Arc<Notify>,
    tasks: Tasks,
}

/// Alarms and positions that may wait for one upper platform.
const WAITING: usize = 1000;
/// How long unregistering may take.
const FAREWELL: Duration = Duration::from_secs(4);

impl Cascade {
    /// Follows the rows until the service stops.
    pub(super) fn start(&self, service: Arc<Service>) {
        let (cascade, stop) = (self.clone(), service.tasks.stopping());
        // before the rows are read, so that nothing is missed in between
        let changes = service.store.watch();
        service.tasks.clone().spawn("gb28181 cascade", async move {
            tokio::select! {
                () = stop.requested() => {}
                () = cascade.follow(service, changes) => {}
            }
        });
    }

    async fn follow(&self, service: Arc<Service>, mut changes: Changes) {
        self.read_all(&service).await;
        while let Some(seen) = changes.next().await {
            match seen {
                Seen::Change(Change::Upper(id)) => self.read(&service, id).await,
                Seen::Change(Change::Group(_) | Change::Device(..) | Change::Channels(_) | Change::Stream(_)) => {
                    self.lock().values().for_each(|running| running.changed.notify_one());
                }
                Seen::Change(_) => {}
                Seen::Missed(_) => self.read_all(&service).await,
            }
        }
    }

    async fn read_all(&self, service: &Arc<Service>) {
        match service.store.all_uppers().await {
            Ok(rows) => {
                let known: Vec<UpperId> = self.lock().keys().copied().collect();
                for gone in known.into_iter().filter(|id| rows.iter().all(|row| row.id != *id)) {
                    self.put(service, gone, None).await;
                }
                for row in rows {
                    self.put(service, row.id, Some(row)).await;
                }
            }
            Err(error) => tracing::warn!(%error, "cannot read the upper platforms"),
        }
    }

    async fn read(&self, service: &Arc<Service>, id: UpperId) {
        match service.store.upper(crate::model::tenant::Scope::Operator, id).await {
            Ok(row) => self.put(service, id, Some(row)).await,
            Err(crate::store::Error::NotFound { .. }) => self.put(service, id, None).await,
            Err(error) => tracing::warn!(upper = %id, %error, "cannot read an upper platform"),
        }
    }

    /// Runs what is to run, and that as it is set now.
    async fn put(&self, service: &Arc<Service>, id: UpperId, row: Option<Upper>) {
        let row = row.filter(|row| row.setup.enabled);
        let old = {
            let mut all = self.lock();
            if let (Some(running), Some(row)) = (all.get(&id), &row)
                && running.row == *row
            {
                // what it is shown may be other things now
                return running.changed.notify_one();
            }
            all.remove(&id)
        };
        if let Some(old) = old {
            // It unregisters before another takes its place: the platform would forget that one.
            old.tasks.finish(FAREWELL).await;
        }
        let Some(row) = row else { return };
        let (state, watched) = watch::channel(State::default());
        let (told, inbox) = mpsc::channel(WAITING);
        let (changed, tasks) = (Arc::<Notify>::default(), service.tasks.child());
        let connection = upper::Connection::new(row.clone(), service.clone(), state, changed.clone(), tasks.clone());
        let Some(connection) = connection else { return tracing::warn!(upper = %id, "the ids of the upper platform are unusable") };
        tasks.spawn("gb28181 upper platform", connection.run(inbox));
        self.lock().insert(id, Running { row, state: watched, told, changed, tasks });
    }

    /// How an upper platform is doing; `None` if it is disabled or unknown.
    pub(super) fn state(&self, id: UpperId) -> Option<State> {
        self.lock().get(&id).map(|running| running.state.borrow().clone())
    }

    /// A device alarmed.
    pub(super) fn alarm(&self, device: DeviceId, alarm: &Alarm) {
        self.tell(|| Told::Alarm(device, Box::new(alarm.clone())));
    }

    /// A device told where it is.
    pub(super) fn positions(&self, device: DeviceId, positions: &[Position]) {
        self.tell(|| Told::Positions(device, positions.to_vec()));
    }

    fn tell(&self, told: impl Fn() -> Told) {
        for running in self.lock().values().filter(|running| running.state.borrow().registered) {
            // one that is so far behind misses it
            let _ = running.told.try_send(told());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UpperId, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
