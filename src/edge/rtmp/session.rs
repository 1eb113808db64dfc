//! A connection from its handshake to publish or play.

use super::socket::Socket;
use super::view::Wire;
use super::{Parts, Settings, play, publish};
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::container::flv::Hevc;
use crate::edge::net::Place;
use crate::edge::net::pump::Format;
use crate::edge::session::{Role, Session};
use crate::proto::rtmp::chunk::Limits;
use crate::proto::rtmp::{self, Event, Refusal, Target};
use crate::stream::access::{Act, Ask, Denied, Grant};
use bytes::{Buf, Bytes, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a read takes before it is known what the peer is.
const GREETING: usize = 4096;
/// How long a refused peer has to take our answer and go.
const FAREWELL: Duration = Duration::from_secs(1);

/// What all sessions share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) parts: Parts,
    pub(super) limits: Limits,
    /// One for each way to mark H.265: a pump tells its players apart by them.
    formats: [Arc<dyn Format>; 2],
}

impl Shared {
    pub(super) fn new(settings: Settings, parts: Parts) -> Shared {
        let message = settings.max_message.bytes();
        let limits = Limits { message, streams: 32, partial: message.saturating_mul(2) };
        let formats: [Arc<dyn Format>; 2] = [Arc::new(Wire { hevc: Hevc::Enhanced }), Arc::new(Wire { hevc: Hevc::Legacy })];
        Shared { settings, parts, limits, formats }
    }

    /// The wire form of all players that want H.265 marked so.
    pub(super) fn format(&self, hevc: Hevc) -> Arc<dyn Format> {
        self.formats[usize::from(hevc == Hevc::Legacy)].clone()
    }
}

/// A connection whose socket is ours: its peer is being asked what it wants, publishes, or plays in TLS.
pub(super) struct Peer {
    pub(super) socket: Socket,
    pub(super) server: rtmp::Server,
    pub(super) session: Session,
    /// What was read and not yet understood.
    pub(super) rest: BytesMut,
    /// What is being sent.
    pub(super) out: Bytes,
}

impl Peer {
    /// The next thing that the peer asks for, or why there will be none. Cancel-safe.
    pub(super) async fn event(&mut self) -> Result<Event, End> {
        loop {
            let mut input = &self.rest[..];
            let event = self.server.next(&mut input);
            let used = self.rest.len() - input.len();
            self.rest.advance(used);
            match event.map_err(|e| End::PeerBroke(e.to_string()))? {
                Some(event) => return Ok(event),
                None => self.flush().await?,
            }
            self.rest.reserve(GREETING);
            let read = tokio::select! {
                read = self.socket.read_buf(&mut self.rest) => read,
                end = self.session.kicked() => return Err(end),
            };
            match read {
                Ok(0) => return Err(End::PeerClosed),
                Ok(n) => self.session.read(n),
                Err(e) => return Err(End::from_io(&e)),
            }
        }
    }

    /// Sends what there is to send. Cancel-safe: what is left goes first the next time.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        loop {
            if self.out.is_empty() {
                self.out = self.server.output();
            }
            if self.out.is_empty() {
                return self.socket.flush().await.map_err(|e| End::from_io(&e));
            }
            let n = self.socket.write_buf(&mut self.out).await.map_err(|e| End::from_io(&e))?;
            self.session.wrote(n);
        }
    }

    /// Says no and ends the session in such a way that the peer can read the answer.
    pub(super) async fn refuse(mut self, why: Refusal, end: End) {
        let text = match &end {
            End::Denied(text) | End::PeerBroke(text) => text.clone(),
            other => other.to_string(),
        };
        self.server.refuse(why, &text);
        self.leave(end).await;
    }

    /// Sends what there is to send and closes.
    pub(super) async fn leave(mut self, end: End) {
        let farewell = async {
            if self.flush().await.is_ok() && self.socket.shutdown().await.is_ok() {
                // Closing with unread bytes would reset the connection, and the answer with it.
                let mut void = [0; 1024];
                while matches!(self.socket.read(&mut void).await, Ok(n) if n > 0) {}
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        self.session.close(end);
    }
}

/// Runs a session to its end, or until a pump takes it over.
pub(super) async fn run(shared: Arc<Shared>, socket: Socket, peer: SocketAddr, place: Place) {
    let session = shared.parts.sessions.open(socket.protocol(), peer);
    // Not from the wire: only that handshakes differ.
    let server = rtmp::Server::new(rand::random());
    let mut peer = Box::new(Peer { socket, server, session, rest: BytesMut::new(), out: Bytes::new() });
    let stop = shared.parts.tasks.stopping();
    let wish = async {
        loop {
            match peer.event().await? {
                Event::Publish(target) => return Ok((Act::Publish, target)),
                Event::Play(target) => return Ok((Act::Play, target)),
                Event::Media(_) | Event::Pause(_) | Event::Stop => {}
            }
        }
    };
    let wish = tokio::select! {
        wish = tokio::time::timeout(shared.settings.handshake.0, wish) => wish.unwrap_or(Err(End::Silent)),
        () = stop.requested() => Err(End::Stopped),
    };
    let (act, target) = match wish {
        Ok(wish) => wish,
        Err(end) => return peer.session.close(end),
    };
    let key = match StreamKey::new(&target.app, &target.name) {
        Ok(key) => key,
        Err(bad) => return peer.refuse(Refusal::BadName, End::PeerBroke(format!("the stream name: {bad}"))).await,
    };
    let role = if act == Act::Publish { Role::Publish } else { Role::Play };
    peer.session.begin(role, &key);
    match ask(&shared, act, &key, &target, peer.session.peer()).await {
        Ok(grant) => peer.session.admitted(grant),
        Err(denied) => {
            let why = match denied {
                Denied::Forbidden(_) | Denied::Quota(..) => Refusal::Denied,
                Denied::NotFound(_) => Refusal::NotFound,
                Denied::Unavailable(_) => Refusal::Failed,
            };
            return peer.refuse(why, End::Denied(denied.to_string())).await;
        }
    }
    match act {
        Act::Publish => publish::run(&shared, *peer, &key).await,
        Act::Play => play::run(&shared, *peer, &key, &target, place).await,
    }
}

async fn ask(shared: &Shared, act: Act, key: &StreamKey, target: &Target, peer: SocketAddr) -> Result<Grant, Denied> {
    // URL signatures cover the path as the peer gave it, without query.
    let path = format!("/{}/{}", target.app, target.name);
    let ask = Ask { act, key, protocol: "rtmp", peer, path: &path, query: &target.query };
    shared.parts.access.check(ask).await
}
