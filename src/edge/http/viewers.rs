//! Who watches by HLS: players come and go request by request, so a token in their URLs tells them apart. A token is given
//! with an authorised playlist, opens that one stream, and expires when nobody shows it for a while.

use super::reply::Refusal;
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::edge::session::{Role, Session, Sessions};
use crate::media::time::Timestamp;
use crate::runtime::clock::Clock;
use crate::stream::access::Grant;
use crate::stream::{Class, Registry, Seat, Start};
use dashmap::DashMap;
use http::StatusCode;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The shortest lease, for playlists with short segments and players with slow networks.
const LEASE_MIN: Duration = Duration::from_secs(10);

/// All HLS players.
pub struct Viewers {
    clock: Clock,
    sessions: Sessions,
    registry: Registry,
    most: usize,
    live: DashMap<String, Arc<Viewer>>,
}

/// One player.
pub struct Viewer {
    key: StreamKey,
    /// Its session and its place among the stream's viewers.
    held: Mutex<Option<(Session, Seat)>>,
    seen: AtomicI64,
    lease: AtomicI64,
}

impl Viewers {
    /// Nobody yet, and never more than `most`.
    pub fn new(sessions: Sessions, registry: Registry, most: usize) -> Viewers {
        Viewers { clock: registry.clock().clone(), sessions, registry, most, live: DashMap::new() }
    }

    /// Lets a player in that may watch; returns its token.
    pub fn admit(&self, key: &StreamKey, peer: std::net::SocketAddr, seat: Seat, grant: Grant) -> Result<String, Refusal> {
        // 128 random bits: nobody guesses one, and two never meet.
        let token = format!("{:032x}", rand::random::<u128>());
        self.admit_as(&token, key, peer, (seat, grant)).map(|()| token)
    }

    /// The same with a token that was given out before. Who is there already stays; who has been away too long comes anew.
    pub fn admit_as(&self, token: &str, key: &StreamKey, peer: std::net::SocketAddr, (seat, grant): (Seat, Grant)) -> Result<(), Refusal> {
        if self.live.len() >= self.most {
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, format!("{} HLS players watch, which is the limit", self.most)));
        }
        if let Some(held) = self.live.get(token).map(|held| held.clone()) {
            if held.kicked() || held.key != *key {
                return Err(Refusal::new(StatusCode::FORBIDDEN, "the session was ended"));
            }
            if !held.expired(self.clock.now()) {
                return Ok(());
            }
        }
        let mut session = self.sessions.open("hls", peer);
        session.admitted(grant);
        session.begin(Role::Play, key);
        let viewer = Viewer {
            key: key.clone(),
            held: Mutex::new(Some((session, seat))),
            seen: AtomicI64::new(self.clock.now().0),
            lease: AtomicI64::new(Timestamp::from(LEASE_MIN).0),
        };
        if let Some(old) = self.live.insert(token.to_owned(), Arc::new(viewer)) {
            old.close();
        }
        Ok(())
    }

    /// The player of a token, if it opens this stream.
    pub fn get(&self, token: &str, key: &StreamKey) -> Result<Arc<Viewer>, Refusal> {
        let refused =
            || Refusal::new(StatusCode::FORBIDDEN, "the session is unknown or has expired: start again from the stream's own URL");
        let viewer = self.live.get(token).map(|v| v.clone()).filter(|v| v.key == *key).ok_or_else(refused)?;
        if viewer.expired(self.clock.now()) || viewer.kicked() {
            return Err(refused());
        }
        viewer.seen.store(self.clock.now().0, Ordering::Relaxed);
        Ok(viewer)
    }

    /// Drops those who were not seen for too long, and those who were kicked. Called now and then.
    pub fn sweep(&self) {
        let now = self.clock.now();
        let mut gone = Vec::new();
        self.live.retain(|_, viewer| {
            let stays = !viewer.expired(now) && !viewer.kicked();
            if !stays {
                gone.push(viewer.clone());
            }
            stays
        });
        // Closing takes other locks and logs: not under the table's.
        gone.iter().for_each(|viewer| viewer.close());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// The stream was published anew under its name: the player counts as a viewer of that one from now on.
    pub fn follow(&self, viewer: &Viewer) {
        let Some(stream) = self.registry.get(&viewer.key) else { return };
        let mut held = viewer.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, seat)) = held.as_mut().filter(|(_, seat)| !Arc::ptr_eq(seat.stream(), &stream)) else { return };
        if let Some(subscriber) = self.registry.subscribe(&viewer.key, Class::Viewer, Start::Live) {
            *seat = subscriber.into_parts().0;
        }
    }
}

impl Viewer {
    /// It gets so many bytes of a segment, and stays three times as long as a segment lasts.
    pub fn served(&self, bytes: usize, target: Duration) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((session, _)) = &*held {
            session.wrote(bytes);
        }
        self.lease.store(Timestamp::from((target * 3).max(LEASE_MIN)).0, Ordering::Relaxed);
    }

    fn expired(&self, now: Timestamp) -> bool {
        now.0 - self.seen.load(Ordering::Relaxed) > self.lease.load(Ordering::Relaxed)
    }

    fn kicked(&self) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().is_none_or(|(session, _)| session.is_kicked().is_some())
    }

    fn close(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((session, _seat)) = held {
            let end = session.is_kicked().unwrap_or(End::PeerClosed);
            session.close(end);
        }
    }
}
