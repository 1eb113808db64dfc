//! Fan-out: one task writes the shared bytes of a stream to many sockets.
//!
//! A task for each player would cost a wake-up, a poll and a buffer for each player and frame; a pump costs one wake-up a
//! frame and one `writev` for each player. A player that cannot take more is left where it stands and tried again; the
//! others do not notice. A stream gets more pumps, on other cores, as its players grow ([`Pumps::play`] picks one).
//!
//! [`Format`] is what a protocol brings; [`player`] is one socket with its place in the stream; [`shard`] is the task.

mod batch;
mod player;
mod shard;
#[cfg(test)]
mod tests;

use crate::base::units::Span;
use crate::edge::session::Session;
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::stream::{Stream, Subscriber, Unit};
use bytes::Bytes;
use dashmap::DashMap;
use player::Player;
use shard::Shard;
use std::sync::Arc;
use tokio::net::TcpStream;

crate::settings! {
    /// Playing: how bytes go out to players.
    pub struct Settings {
        /// Frames are collected for this long before they are written to all players at once: less CPU time for more delay.
        /// "0" writes every frame at once.
        pub merge: Span = Span::millis(0),
        /// A player that takes nothing for so long is closed.
        pub stall: Span = Span::secs(10),
    }
}

/// The wire form of one protocol, shared by all its players.
pub trait Format: Send + Sync + 'static {
    /// What a newcomer gets before `unit`, its first: file header, metadata, headers of all tracks.
    fn head(&self, unit: &Unit) -> Bytes;
    /// The header of the unit's own track, sent when it changes in mid-stream.
    fn announce(&self, unit: &Unit) -> Bytes;
    /// The headers of all tracks of the unit, for a player that skipped and may have missed a change.
    fn tracks(&self, unit: &Unit) -> Bytes;
    /// The unit; empty if this format does not carry it. Cached in the unit, so that it is made once for all players.
    fn unit<'a>(&self, unit: &'a Unit) -> &'a Bytes;
    /// What a player gets when the stream is over.
    fn end(&self) -> Bytes {
        Bytes::new()
    }
}

/// What a player's own bytes ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    Continue,
    /// An answer that goes out between two units.
    Reply(Bytes),
    /// An answer that goes out between two units, then the end of the session.
    Last(Bytes, crate::base::error::End),
    /// Stop or go on sending.
    Pause(bool),
    /// The end of the session.
    Close(crate::base::error::End),
}

/// Understands what a player sends while it plays.
pub trait Inbound: Send {
    /// Takes the bytes as they come, in any pieces. Called again with nothing after every answer but [`Input::Continue`].
    fn input(&mut self, bytes: &[u8]) -> Input;
}

/// A player as an edge hands it over, its handshake done.
pub struct Viewer {
    /// Its place in the stream.
    pub subscriber: Subscriber,
    /// Its socket.
    pub socket: TcpStream,
    /// Its session.
    pub session: Session,
    /// The protocol's wire form.
    pub format: Arc<dyn Format>,
    /// Understands what it sends; without one everything but the end of the connection is ignored.
    pub inbound: Option<Box<dyn Inbound>>,
    /// What has to be sent first: an answer to its request.
    pub first: Bytes,
    /// What has to live as long as the connection: its place in the limits.
    pub keep: Option<Box<dyn Send>>,
}

/// All pumps of the server. Cloning shares them.
#[derive(Clone)]
pub struct Pumps(Arc<Inner>);

struct Inner {
    settings: Settings,
    clock: Clock,
    tasks: Tasks,
    shards: DashMap<usize, Vec<Arc<Shard>>>,
    most_shards: usize,
}

/// Players that one pump takes before a stream gets another pump on another core.
const CROWD: usize = 128;

impl Pumps {
    /// No pumps yet; their tasks run in `tasks`.
    pub fn new(settings: Settings, clock: Clock, tasks: &Tasks) -> Pumps {
        let most_shards = std::thread::available_parallelism().map_or(1, |n| n.get());
        Pumps(Arc::new(Inner { settings, clock, tasks: tasks.clone(), shards: DashMap::new(), most_shards }))
    }

    /// How long a player may take nothing; for players that do not go through a pump.
    pub fn stall(&self) -> std::time::Duration {
        self.0.settings.stall.0
    }

    /// Takes a player over until it leaves or the stream ends.
    pub fn play(&self, viewer: Viewer) {
        let stream = viewer.subscriber.stream().clone();
        let key = Arc::as_ptr(&stream) as usize;
        let mut player = Player::new(viewer, self.0.clock.now());
        let mut shards = self.0.shards.entry(key).or_default();
        shards.sort_by_key(|shard| shard.players());
        let fits = |shard: &&Arc<Shard>, all: usize| shard.players() < CROWD || all >= self.0.most_shards;
        if let Some(shard) = shards.first().filter(|shard| fits(shard, shards.len())) {
            match shard.adopt(player) {
                Ok(()) => return,
                // It has just run empty and ended.
                Err(back) => player = *back,
            }
        }
        let shard = Arc::new(Shard::new(stream.clone()));
        shards.retain(|shard| !shard.is_closed());
        // A new shard takes what it is given.
        let _ = shard.adopt(player);
        shards.push(shard.clone());
        drop(shards);
        let pumps = self.clone();
        self.0.tasks.spawn("pump", async move {
            shard::run(&pumps.0.settings, &pumps.0.clock, pumps.0.tasks.stopping(), &shard).await;
            pumps.forget(key, &stream);
        });
    }

    fn forget(&self, key: usize, _alive: &Arc<Stream>) {
        // The stream is alive here, so that its address, the key, cannot mean another one.
        self.0.shards.remove_if_mut(&key, |_, shards| {
            shards.retain(|shard| !shard.is_closed());
            shards.is_empty()
        });
    }
}
