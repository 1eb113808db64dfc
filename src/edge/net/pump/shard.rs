//! The task that serves a stream's players, or a share of them.

use super::Settings;
use super::batch::Batch;
use super::player::{Player, Standing};
use crate::base::error::End;
use crate::media::time::Timestamp;
use crate::runtime::clock::Clock;
use crate::runtime::task::Stop;
use crate::stream::Stream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// A full socket is tried again after this; the readiness of the socket is known without a system call.
const RETRY: Duration = Duration::from_millis(5);
/// What players send, and whether they left, is looked at this often.
const LISTEN: Duration = Duration::from_millis(100);
/// A player's own bytes are few: acknowledgements, pings, a goodbye.
const SCRATCH: usize = 4096;

/// The door of a pump: players come in here.
pub(super) struct Shard {
    stream: Arc<Stream>,
    /// `None` when the pump has ended.
    arrivals: Mutex<Option<Vec<Player>>>,
    arrived: Notify,
    players: AtomicUsize,
}

impl Shard {
    pub(super) fn new(stream: Arc<Stream>) -> Shard {
        Shard { stream, arrivals: Mutex::new(Some(Vec::new())), arrived: Notify::new(), players: AtomicUsize::new(0) }
    }

    pub(super) fn players(&self) -> usize {
        self.players.load(Ordering::Relaxed)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Takes a player in; gives it back if the pump has ended.
    pub(super) fn adopt(&self, player: Player) -> Result<(), Box<Player>> {
        match &mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner) {
            None => return Err(Box::new(player)),
            Some(arrivals) => arrivals.push(player),
        }
        self.players.fetch_add(1, Ordering::Relaxed);
        self.arrived.notify_one();
        Ok(())
    }

    fn take_arrivals(&self) -> Vec<Player> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Closes the door if nobody stands in it.
    fn close_if_empty(&self) -> bool {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = arrivals.as_ref().is_none_or(Vec::is_empty);
        if empty {
            *arrivals = None;
        }
        empty
    }
}

/// Players of one format share what is prepared for them.
struct Crowd {
    players: Vec<Player>,
    batch: Batch,
}

struct Pump<'a> {
    settings: &'a Settings,
    shard: &'a Shard,
    crowds: Vec<Crowd>,
    scratch: Box<[u8; SCRATCH]>,
    behind: bool,
}

/// Serves players until the last one has left.
pub(super) async fn run(settings: &Settings, clock: &Clock, stop: Stop, shard: &Shard) {
    let mut pump = Pump { settings, shard, crowds: Vec::new(), scratch: Box::new([0; SCRATCH]), behind: false };
    let stream = &*shard.stream;
    let merge = settings.merge.0;
    let stopping = stop.requested();
    tokio::pin!(stopping);
    let mut listened = clock.now();
    let mut served = listened;
    loop {
        let changed = stream.changed();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let newcomers = pump.welcome();
        let now = clock.now();
        let due = served + Timestamp::from(merge);
        if newcomers || merge.is_zero() || now >= due {
            pump.serve(now, merge.is_zero() || now >= due);
            served = if now >= due { now } else { served };
        }
        if now.since(listened) >= LISTEN {
            pump.listen();
            listened = now;
        }
        if pump.crowds.is_empty() && shard.close_if_empty() {
            return;
        }
        let mut wake = listened + Timestamp::from(LISTEN);
        if pump.behind {
            wake = wake.min(now + Timestamp::from(RETRY));
        }
        tokio::select! {
            biased;
            () = &mut stopping => break,
            () = shard.arrived.notified() => {}
            () = changed => {
                // More may come within the merge time: one write for all of it.
                let due = served + Timestamp::from(merge);
                if !merge.is_zero() && clock.now() < due {
                    tokio::select! {
                        () = clock.sleep_until(due) => {}
                        () = shard.arrived.notified() => {}
                    }
                }
            }
            () = clock.sleep_until(wake) => {}
        }
    }
    shard.arrivals.lock().unwrap_or_else(PoisonError::into_inner).take().into_iter().flatten().for_each(|p| p.close(End::Stopped));
    for crowd in pump.crowds {
        crowd.players.into_iter().for_each(|p| p.close(End::Stopped));
    }
}

impl Pump<'_> {
    /// Takes in who has arrived.
    fn welcome(&mut self) -> bool {
        let arrivals = self.shard.take_arrivals();
        let any = !arrivals.is_empty();
        for player in arrivals {
            let same = |crowd: &&mut Crowd| crowd.players.first().is_some_and(|p| Arc::ptr_eq(&p.format, &player.format));
            match self.crowds.iter_mut().find(same) {
                Some(crowd) => crowd.players.push(player),
                None => self.crowds.push(Crowd { players: vec![player], batch: Batch::default() }),
            }
        }
        any
    }

    /// Writes what is due; between two merged writes only to newcomers and to those whose socket was full.
    fn serve(&mut self, now: Timestamp, everybody: bool) {
        let stall = self.settings.stall.0;
        let stream = &*self.shard.stream;
        self.behind = false;
        for crowd in &mut self.crowds {
            crowd.batch.expire();
            let mut n = 0;
            while let Some(player) = crowd.players.get_mut(n) {
                if !everybody && !player.is_new() {
                    n += 1;
                    continue;
                }
                match player.serve(stream, &mut crowd.batch, now, stall) {
                    Standing::Level => n += 1,
                    Standing::Behind => {
                        self.behind = true;
                        n += 1;
                    }
                    Standing::Over(end) => {
                        crowd.players.swap_remove(n).close(end);
                        self.shard.players.fetch_sub(1, Ordering::Relaxed);
                    }
                }
            }
            crowd.batch.expire();
        }
        self.crowds.retain(|crowd| !crowd.players.is_empty());
    }

    /// Reads what players sent and drops those who left.
    fn listen(&mut self) {
        for crowd in &mut self.crowds {
            let mut n = 0;
            while let Some(player) = crowd.players.get_mut(n) {
                match player.listen(&mut self.scratch[..]) {
                    None => n += 1,
                    Some(end) => {
                        crowd.players.swap_remove(n).close(end);
                        self.shard.players.fetch_sub(1, Ordering::Relaxed);
                    }
                }
            }
        }
        self.crowds.retain(|crowd| !crowd.players.is_empty());
    }
}
