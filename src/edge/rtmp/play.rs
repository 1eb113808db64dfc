//! A player: waits for its stream, then goes to a pump; in TLS, where bytes cannot be shared, it writes for itself.

use super::session::{Peer, Shared};
use super::socket::Socket;
use super::view::Wire;
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::container::flv::Hevc;
use crate::edge::net::Place;
use crate::edge::net::pump::{Format, Inbound, Input, Viewer};
use crate::media::frame::Kind;
use crate::media::track::Tracks;
use crate::proto::rtmp::{self, Event, Refusal, Target};
use crate::stream::{Class, NoPublisher, Recv, Start, Subscriber, Unit};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::sync::Arc;

/// Runs a granted player until a pump takes it over, or to its end.
pub(super) async fn run(shared: &Shared, mut peer: Peer, key: &StreamKey, target: &Target, place: Place) {
    let start = if parameter(&target.query, "start") == Some("live") { Start::Live } else { Start::Key };
    let stop = shared.parts.tasks.stopping();
    let found = tokio::select! {
        found = shared.parts.registry.wait_for(key, Class::Viewer, start, shared.settings.patience.0) => Ok(found),
        end = waiting(&mut peer) => Err(end),
        () = stop.requested() => Err(End::Stopped),
    };
    let subscriber = match found {
        Ok(Ok(subscriber)) => subscriber,
        Ok(Err(why)) => {
            let text = match why {
                NoPublisher::TimedOut => format!("nobody publishes {key}"),
                NoPublisher::Refused(why) => why,
            };
            return peer.refuse(Refusal::NotFound, End::Denied(text)).await;
        }
        Err(end) => return peer.session.close(end),
    };
    let hevc = hevc(shared.settings.hevc, target);
    peer.server.start_play();
    match peer {
        Peer { socket: Socket::Plain(socket), mut server, session, rest, out } => {
            let first = [out, server.output()].concat().into();
            let mut listener = Listener { server, answers: VecDeque::new() };
            // What the player said right behind `play`.
            listener.hear(&rest);
            let (format, inbound, keep) = (shared.format(hevc), Box::new(listener), Box::new(place));
            shared.parts.pumps.play(Viewer { subscriber, socket, session, format, inbound: Some(inbound), first, keep: Some(keep) });
        }
        mut peer => {
            let format = Wire { hevc };
            let end = tokio::select! {
                end = write(shared, &mut peer, subscriber, &format) => end,
                () = stop.requested() => End::Stopped,
            };
            peer.leave(end).await;
        }
    }
}

/// Listens to a player that waits for its stream: it may leave.
async fn waiting(peer: &mut Peer) -> End {
    loop {
        match peer.event().await {
            Ok(Event::Stop) => return End::PeerClosed,
            Ok(_) => {}
            Err(end) => return end,
        }
    }
}

/// The address's own wish first, then what the player says it understands, then the configuration.
fn hevc(configured: Hevc, target: &Target) -> Hevc {
    match parameter(&target.query, "hevc") {
        Some("legacy") => Hevc::Legacy,
        Some("enhanced") => Hevc::Enhanced,
        _ if target.fourcc.iter().any(|f| f == "hvc1" || f == "*") => Hevc::Enhanced,
        _ => configured,
    }
}

/// A parameter of a query string.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name).map(|(_, value)| value))
}

/// Understands what a player says while a pump serves it.
struct Listener {
    server: rtmp::Server,
    answers: VecDeque<Input>,
}

impl Listener {
    fn hear(&mut self, mut bytes: &[u8]) {
        loop {
            let event = self.server.next(&mut bytes);
            let out = self.server.output();
            if !out.is_empty() {
                self.answers.push_back(Input::Reply(out));
            }
            match event {
                Ok(None) => return,
                Ok(Some(Event::Pause(paused))) => self.answers.push_back(Input::Pause(paused)),
                Ok(Some(Event::Stop)) => self.answers.push_back(Input::Close(End::PeerClosed)),
                Ok(Some(Event::Media(_) | Event::Publish(_) | Event::Play(_))) => {}
                Err(e) => return self.answers.push_back(Input::Close(End::PeerBroke(e.to_string()))),
            }
        }
    }
}

impl Inbound for Listener {
    fn input(&mut self, bytes: &[u8]) -> Input {
        if !bytes.is_empty() {
            self.hear(bytes);
        }
        self.answers.pop_front().unwrap_or(Input::Continue)
    }
}

/// Serves a player of its own: TLS makes every player's bytes different.
async fn write(shared: &Shared, peer: &mut Peer, mut subscriber: Subscriber, format: &Wire) -> End {
    let mut batch: Vec<Arc<Unit>> = Vec::new();
    let mut told = Tracks::default();
    let mut fresh = true;
    let mut paused = false;
    loop {
        let wrote = tokio::time::timeout(shared.parts.pumps.stall(), peer.flush()).await;
        match wrote {
            Ok(Ok(())) => {}
            Ok(Err(end)) => return end,
            Err(_) => return End::TooSlow,
        }
        let received = tokio::select! {
            received = subscriber.recv(&mut batch), if !paused => received,
            event = peer.event() => match event {
                Ok(Event::Pause(pause)) => {
                    if paused && !pause {
                        // What passed meanwhile is not wanted: go on at the newest key frame.
                        let key = subscriber.stream().key().clone();
                        match shared.parts.registry.subscribe(&key, Class::Viewer, Start::Key) {
                            Some(anew) => subscriber = anew,
                            None => return End::StreamEnded,
                        }
                    }
                    paused = pause;
                    continue;
                }
                Ok(Event::Stop) => return End::PeerClosed,
                Ok(_) => continue,
                Err(end) => return end,
            },
        };
        match received {
            Recv::Units => {
                let mut out = BytesMut::new();
                for unit in &batch {
                    if std::mem::take(&mut fresh) {
                        out.extend_from_slice(&format.head(unit));
                        told = (*unit.tracks).clone();
                    } else if !knows(&told, unit) {
                        out.extend_from_slice(&format.announce(unit));
                        match unit.frame.kind {
                            Kind::Video => told.video = unit.tracks.video.clone(),
                            Kind::Audio => told.audio = unit.tracks.audio.clone(),
                        }
                    }
                    out.extend_from_slice(format.unit(unit));
                }
                peer.session.frames(batch.len() as u64);
                peer.out = out.freeze();
            }
            Recv::Lagged { .. } => peer.session.skipped(),
            Recv::Ended(end) => {
                peer.out = format.end();
                return end;
            }
        }
    }
}

/// Whether the player has the header of this unit's track.
fn knows(told: &Tracks, unit: &Unit) -> bool {
    match unit.frame.kind {
        Kind::Video => told.video == unit.tracks.video,
        Kind::Audio => told.audio == unit.tracks.audio,
    }
}
