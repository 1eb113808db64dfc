//! Keeps where devices were: gathered for a moment, then written together.

use super::roster::{Entry, Roster};
use crate::model::position::Fix;
use crate::model::time::Time;
use crate::proto::gb28181::manscdp::Position;
use crate::runtime::task::Tasks;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The way to the writer.
pub(super) struct Tracks {
    fixes: mpsc::Sender<Fix>,
    roster: Arc<Roster>,
}

/// Positions that may wait; more are dropped and counted in the log.
const WAITING: usize = 20_000;
/// Written at once at most, and how long the first waits for others.
const BATCH: usize = 2000;
const GATHER: Duration = Duration::from_secs(1);

impl Tracks {
    /// Starts to write, until its tasks stop.
    pub fn start(store: Store, roster: Arc<Roster>, tasks: &Tasks) -> Tracks {
        let (fixes, mut inbox) = mpsc::channel(WAITING);
        let stop = tasks.stopping();
        tasks.spawn("gb28181 positions", async move {
            let mut batch = Vec::new();
            loop {
                tokio::select! {
                    n = inbox.recv_many(&mut batch, BATCH) => if n == 0 { return },
                    () = stop.requested() => while batch.len() < BATCH && let Ok(fix) = inbox.try_recv() {
                        batch.push(fix);
                    }
                }
                let over = stop.is_requested();
                if !over {
                    tokio::select! {
                        () = tokio::time::sleep(GATHER) => {}
                        () = stop.requested() => {}
                    }
                }
                while batch.len() < BATCH
                    && let Ok(fix) = inbox.try_recv()
                {
                    batch.push(fix);
                }
                let count = batch.len();
                if let Err(error) = store.add_positions(std::mem::take(&mut batch)).await {
                    tracing::warn!(%error, count, "positions are lost");
                }
                if over {
                    return;
                }
            }
        });
        Tracks { fixes, roster }
    }

    /// A device told positions at `now`; those without a time of their own have this one.
    pub fn note(&self, entry: &Entry, positions: &[Position], now: Time) {
        let Some(group) = self.roster.group(entry.group) else { return };
        for position in positions {
            let Ok(gb_id) = position.id.unwrap_or(entry.key.device).as_str().parse() else { continue };
            let fix = Fix {
                owner: group.owner,
                group: group.id,
                device: entry.id,
                gb_id,
                longitude: position.longitude,
                latitude: position.latitude,
                speed: position.speed,
                direction: position.direction,
                altitude: position.altitude,
                at: position.time.map(Time).unwrap_or(now),
            };
            if self.fixes.try_send(fix).is_err() {
                return tracing::warn!(device = %entry.key, "too many positions at once: some are lost");
            }
        }
    }
}
