//! Which call a packet belongs to: by SSRC, and for senders that use another one by address and by what is awaited.

use super::call::Call;
use super::codec::Codec;
use crate::media::time::Timestamp;
use crate::proto::rtp::Packet;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// All calls of the shared port, and the senders that belong to none.
#[derive(Default)]
pub struct Table {
    calls: HashMap<u64, Arc<Call>>,
    by_ssrc: HashMap<u32, Arc<Call>>,
    /// Calls of the shared port that nothing has arrived for.
    waiting: HashMap<u64, Arc<Call>>,
    /// SSRCs of calls that ended: their senders may not have noticed yet.
    closed: VecDeque<(u32, Timestamp)>,
    strangers: HashMap<u32, Unknown>,
    kept_bytes: usize,
}

/// A sender that belongs to no call.
#[derive(Debug, Clone, Serialize)]
pub struct Stranger {
    /// Its SSRC.
    pub ssrc: u32,
    /// Its address.
    pub from: SocketAddr,
    /// What its first packet looked like.
    pub payload: Codec,
    /// Packets so far.
    pub packets: u64,
    /// Its last packet, on the clock of the process.
    #[serde(skip)]
    pub last: Timestamp,
    /// Milliseconds since its last packet.
    pub silence_ms: u64,
    /// It belonged to a call that has ended.
    pub ended_call: bool,
}

struct Unknown {
    stranger: Stranger,
    /// Its first packets, in case a call claims it.
    kept: Vec<Vec<u8>>,
}

/// Where a packet of an unknown SSRC goes.
pub enum Found {
    /// To this call, from now on.
    Call(Arc<Call>),
    /// Nowhere; it was noted.
    Stranger,
}

impl Table {
    /// Strangers that are remembered at most.
    const STRANGERS: usize = 256;
    /// Packets and bytes that are kept for a stranger that a call may claim: enough for a key frame and what follows
    /// until the answer to the INVITE is here.
    const KEPT_PACKETS: usize = 512;
    const KEPT_BYTES: usize = 8 << 20;
    /// How long a stranger, and the SSRC of an ended call, is remembered.
    const MEMORY: Duration = Duration::from_secs(60);
    /// How long packets are kept for a claim.
    const CLAIM: Duration = Duration::from_secs(3);

    /// The call of an SSRC.
    pub fn by_ssrc(&self, ssrc: u32) -> Option<&Arc<Call>> {
        self.by_ssrc.get(&ssrc)
    }

    /// All calls.
    pub fn calls(&self) -> impl Iterator<Item = &Arc<Call>> {
        self.calls.values()
    }

    /// Adds a call; `false` if another call of the shared port has its SSRC.
    pub fn insert(&mut self, call: &Arc<Call>) -> bool {
        if !call.own_port {
            if self.by_ssrc.get(&call.expect.ssrc).is_some_and(|other| !other.is_over()) {
                return false;
            }
            self.by_ssrc.insert(call.expect.ssrc, call.clone());
            self.waiting.insert(call.id, call.clone());
            self.closed.retain(|(ssrc, _)| *ssrc != call.expect.ssrc);
        }
        self.calls.insert(call.id, call.clone());
        true
    }

    /// Takes a call out.
    pub fn remove(&mut self, call: &Call, now: Timestamp) {
        self.calls.remove(&call.id);
        self.waiting.remove(&call.id);
        let closed = &mut self.closed;
        self.by_ssrc.retain(|ssrc, other| {
            let mine = other.id == call.id;
            if mine {
                closed.push_back((*ssrc, now));
            }
            !mine
        });
        while self.closed.len() > 4 * Self::STRANGERS {
            self.closed.pop_front();
        }
    }

    /// The device announced another SSRC. Gives its packets that came too early.
    pub fn alias(&mut self, call: &Arc<Call>, ssrc: u32) -> Vec<(SocketAddr, Vec<u8>)> {
        if call.own_port || self.by_ssrc.get(&ssrc).is_some_and(|other| other.id != call.id && !other.is_over()) {
            return Vec::new();
        }
        self.by_ssrc.insert(ssrc, call.clone());
        self.claim(ssrc)
    }

    /// The SSRCs of strangers that send from an announced address, and of no ended call.
    pub fn strangers_at(&self, source: SocketAddr) -> Vec<u32> {
        let here = |u: &&Unknown| u.stranger.from == source && !u.stranger.ended_call && !u.kept.is_empty();
        self.strangers.values().filter(here).map(|u| u.stranger.ssrc).collect()
    }

    /// Packets that came before the call that they belong to.
    pub fn claim(&mut self, ssrc: u32) -> Vec<(SocketAddr, Vec<u8>)> {
        let Some(unknown) = self.strangers.remove(&ssrc) else { return Vec::new() };
        self.kept_bytes -= unknown.kept.iter().map(Vec::len).sum::<usize>();
        unknown.kept.into_iter().map(|bytes| (unknown.stranger.from, bytes)).collect()
    }

    /// A packet of an SSRC that no call has.
    pub fn unknown(&mut self, now: Timestamp, from: SocketAddr, ssrc: u32, bytes: &[u8], tcp: bool, any_sender: bool) -> Found {
        let ended_call = self.closed.iter().any(|(closed, at)| *closed == ssrc && now.since(*at) < Self::MEMORY);
        if !ended_call && let Some(call) = self.adopter(now, from, tcp, any_sender) {
            self.by_ssrc.insert(ssrc, call.clone());
            return Found::Call(call);
        }
        self.note(now, from, ssrc, bytes, ended_call);
        Found::Stranger
    }

    /// The one call that a sender with an unexpected SSRC can belong to, if there is exactly one.
    fn adopter(&self, now: Timestamp, from: SocketAddr, tcp: bool, any_sender: bool) -> Option<Arc<Call>> {
        let waiting = || self.waiting.values().filter(|call| call.is_waiting() && call.expect.transport.is_tcp() == tcp);
        // Dahua sends SSRC 0, Hikvision its own (SRS issues 2047 and 4561): exactly the announced address is proof.
        if let Some(call) = only(waiting().filter(|call| call.answered_source() == Some(from))) {
            return Some(call.clone());
        }
        let here = |call: &&Arc<Call>| {
            call.expect.device == Some(from.ip()) || call.answered_source().is_some_and(|source| source.ip() == from.ip())
        };
        if waiting().any(|call| here(&call)) {
            return only(waiting().filter(here)).cloned();
        }
        if any_sender && let Some(call) = only(waiting()) {
            return Some(call.clone());
        }
        // In mid-stream: the sender of a call that fell silent goes on with another SSRC.
        let silent = |call: &&Arc<Call>| call.silent_for(now).is_some_and(|span| span >= Duration::from_secs(1));
        only(self.by_ssrc.values().filter(|call| call.is_bound_to(from)).filter(silent)).cloned()
    }

    fn note(&mut self, now: Timestamp, from: SocketAddr, ssrc: u32, bytes: &[u8], ended_call: bool) {
        if self.strangers.len() >= Self::STRANGERS && !self.strangers.contains_key(&ssrc) {
            self.forget(now);
            if self.strangers.len() >= Self::STRANGERS {
                return;
            }
        }
        let unknown = self.strangers.entry(ssrc).or_insert_with(|| {
            let payload = Packet::parse(bytes).map_or(Codec::Other, |p| Codec::seen(p.payload).unwrap_or(Codec::usual(p.payload_type)));
            let stranger = Stranger { ssrc, from, payload, packets: 0, last: now, silence_ms: 0, ended_call };
            Unknown { stranger, kept: Vec::new() }
        });
        unknown.stranger.packets += 1;
        unknown.stranger.last = now;
        let early = !ended_call && !self.waiting.is_empty() && from == unknown.stranger.from;
        if early && unknown.kept.len() < Self::KEPT_PACKETS && self.kept_bytes + bytes.len() <= Self::KEPT_BYTES {
            self.kept_bytes += bytes.len();
            unknown.kept.push(bytes.to_vec());
        }
    }

    /// Forgets what is old.
    pub fn forget(&mut self, now: Timestamp) {
        self.closed.retain(|(_, at)| now.since(*at) < Self::MEMORY);
        let kept_bytes = &mut self.kept_bytes;
        self.strangers.retain(|_, unknown| {
            let silence = now.since(unknown.stranger.last);
            if silence >= Self::CLAIM || unknown.stranger.packets as usize > 4 * Self::KEPT_PACKETS {
                *kept_bytes -= unknown.kept.iter().map(Vec::len).sum::<usize>();
                unknown.kept = Vec::new();
            }
            silence < Self::MEMORY
        });
        self.waiting.retain(|_, call| call.is_waiting());
    }

    /// The senders that belong to no call.
    pub fn strangers(&self, now: Timestamp) -> Vec<Stranger> {
        let told =
            |unknown: &Unknown| Stranger { silence_ms: now.since(unknown.stranger.last).as_millis() as u64, ..unknown.stranger.clone() };
        self.strangers.values().map(told).collect()
    }
}

/// The only call of an iterator; the same call twice counts once.
fn only<'a>(mut calls: impl Iterator<Item = &'a Arc<Call>>) -> Option<&'a Arc<Call>> {
    let first = calls.next()?;
    calls.all(|other| other.id == first.id).then_some(first)
}
