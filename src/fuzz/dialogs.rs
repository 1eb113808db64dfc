//! The machines of GB/T 28181 in whole conversations: a platform against a hostile device, a device against a hostile platform.
//!
//! The input is a list of moves: bytes as they come from the network, an answer to one of the requests that are open, a request
//! outside or inside a dialog, time that passes. So a fuzzer gets behind Call-IDs and branches that it could not guess.

use crate::media::time::Timestamp;
use crate::proto::gb28181::client::{self, Client};
use crate::proto::gb28181::manscdp::{self, Query, RecordQuery};
use crate::proto::gb28181::sdp::{self, Carriage, Description};
use crate::proto::gb28181::server::{self, DeviceKey, Invite, Restored, Server, Subscription, Verdict};
use crate::proto::gb28181::{Id, mansrtsp};
use crate::proto::sip::message::{Request, Response};
use crate::proto::sip::{Message, Method, Name, Path, Transport, framer};
use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const PLATFORM: &str = "34020000002000000001";
const DEVICE: &str = "34020000001180000001";
const CHANNEL: &str = "34020000001310000001";
/// Requests that can be answered; older ones are forgotten.
const OPEN_MAX: usize = 16;
/// What one move may bring out: a machine that answers itself would never end.
const OUT_MAX: usize = 10_000;

/// One move of the peer.
enum Move<'a> {
    Raw(&'a [u8]),
    Answer(u8, u16, &'a [u8]),
    Request(u8, u8, &'a [u8]),
    Time(u8),
}

/// Reads moves; what does not add up ends the list.
struct Moves<'a>(&'a [u8]);

impl<'a> Moves<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn word(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn part(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.word()?).min(self.0.len());
        let (part, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(part)
    }
}

impl<'a> Iterator for Moves<'a> {
    type Item = Move<'a>;

    fn next(&mut self) -> Option<Move<'a>> {
        Some(match self.byte()? % 4 {
            0 => Move::Raw(self.part()?),
            1 => Move::Answer(self.byte()?, 100 + self.word()? % 600, self.part()?),
            2 => Move::Request(self.byte()?, self.byte()?, self.part()?),
            _ => Move::Time(self.byte()?),
        })
    }
}

/// The peer: what it was sent and has not answered, and how it makes messages.
struct Peer {
    own: &'static str,
    other: &'static str,
    open: Vec<Request>,
    number: u32,
}

impl Peer {
    fn new(own: &'static str, other: &'static str) -> Peer {
        Peer { own, other, open: Vec::new(), number: 0 }
    }

    /// Notes what the machine sent.
    fn sent(&mut self, bytes: &Bytes) {
        let Ok(Some(message)) = framer::datagram(bytes) else { panic!("the machine sent what is no message: {bytes:?}") };
        if let Message::Request(request) = message {
            self.open.push(request);
            if self.open.len() > OPEN_MAX {
                self.open.remove(0);
            }
        }
    }

    fn message(&mut self, one: &Move<'_>) -> Option<Message> {
        match *one {
            Move::Raw(bytes) => framer::datagram(&Bytes::copy_from_slice(bytes)).ok()?,
            Move::Answer(which, status, body) => {
                let at = usize::from(which).checked_rem(self.open.len())?;
                let request = self.open.get(at)?;
                let response =
                    Response::to(request, address(), status, "peer").with(Name::Contact, format!("<sip:{}@192.0.2.7:5060>", self.own));
                let kind = if request.method == Method::Invite { sdp::TYPE } else { manscdp::TYPE };
                let response = match status {
                    401 | 407 => response.with(Name::WwwAuthenticate, "Digest realm=\"3402000000\", nonce=\"1\", qop=\"auth\""),
                    _ => response.with(Name::Expires, "3600"),
                };
                Some(Message::Response(response.with_body(kind, Bytes::copy_from_slice(body))))
            }
            Move::Request(kind, within, body) => Some(Message::Request(self.request(kind, within, body))),
            Move::Time(_) => None,
        }
    }

    /// `within`: 0 a conversation of its own, else that of a request that is open.
    fn request(&mut self, kind: u8, within: u8, body: &[u8]) -> Request {
        let (method, content) = match kind % 8 {
            0 => (Method::Message, manscdp::TYPE),
            1 => (Method::Notify, manscdp::TYPE),
            2 => (Method::Info, mansrtsp::TYPE),
            3 => (Method::Bye, sdp::TYPE),
            4 => (Method::Invite, sdp::TYPE),
            5 => (Method::Subscribe, manscdp::TYPE),
            6 => (Method::Ack, sdp::TYPE),
            _ => (Method::Cancel, sdp::TYPE),
        };
        self.number += 1;
        let n = self.number;
        let of = usize::from(within).checked_sub(1).and_then(|at| self.open.get(at.checked_rem(self.open.len())?));
        let text = |request: &Request, name: &Name| request.headers.get(name).unwrap_or_default().into_owned();
        let (from, to, call) = match of {
            Some(of) => (text(of, &Name::To) + ";tag=peer", text(of, &Name::From), text(of, &Name::CallId)),
            None => {
                (format!("<sip:{}@3402000000>;tag=own{n}", self.own), format!("<sip:{}@3402000000>", self.other), format!("peer{}", n / 4))
            }
        };
        let target = if method == Method::Invite { CHANNEL } else { self.other };
        Request::new(method.clone(), format!("sip:{target}@3402000000"))
            .with(Name::Via, format!("SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bKpeer{}", n / 2))
            .with(Name::From, from)
            .with(Name::To, to)
            .with(Name::CallId, call)
            .with(Name::CSeq, format!("{n} {method}"))
            .with(Name::Contact, format!("<sip:{}@192.0.2.7:5060>", self.own))
            .with(Name::Subject, format!("{CHANNEL}:0200000001,{PLATFORM}:0"))
            .with_body(content, Bytes::copy_from_slice(body))
    }
}

fn address() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 7), 5060).into()
}

fn path() -> Path {
    Path { transport: Transport::Udp, link: 0, remote: address(), local: (Ipv4Addr::new(192, 0, 2, 10), 5060).into() }
}

fn id(text: &str) -> Id {
    Id::new(text).expect("an id")
}

/// A platform with one registered device, which it asks and calls.
pub(super) fn server(data: &[u8]) {
    let key = DeviceKey { platform: id(PLATFORM), device: id(DEVICE) };
    let mut machine = Server::new(server::Config::default(), [1; 32]);
    let mut now = Timestamp::ZERO;
    machine.set_platforms(vec![key.platform]);
    let (expires_in, version) = (Duration::from_secs(3600), Default::default());
    machine.restore(now, vec![Restored { key, path: Some(path()), expires_in, version, authenticated: true }]);
    let media = (Ipv4Addr::new(192, 0, 2, 20), 10_000).into();
    let _ = machine.invite(now, &key, Invite::play(id(CHANNEL), media, Carriage::Udp));
    let _ = machine.query(now, &key, key.device, &Query::Catalog);
    let _ = machine.query(now, &key, id(CHANNEL), &Query::RecordInfo(RecordQuery { start: 0, end: i64::MAX / 4, kind: String::new() }));
    let recording = Invite::playback(id(CHANNEL), media, Carriage::TcpPassive, (1, 2));
    let playback = machine.invite(now, &key, recording).ok().map(|(call, _)| call);
    machine.subscribe(now, &key, Subscription::Alarm { method: 0 });
    let mut peer = Peer::new(DEVICE, PLATFORM);
    for one in Moves(data) {
        if let Some(message) = peer.message(&one) {
            machine.receive(now, path(), message);
        }
        if let Move::Time(tenths) = one {
            now = now + Duration::from_millis(u64::from(tenths) * 100).into();
            machine.handle_timeout(now);
            if let Some(call) = playback {
                let _ = machine.playback(now, call, mansrtsp::Command::Pause);
            }
        }
        for n in 0.. {
            assert!(n < OUT_MAX, "it never ends");
            match machine.poll() {
                None => break,
                Some(server::Output::Send { bytes, .. }) => peer.sent(&bytes),
                Some(server::Output::Event(server::Event::Ask { ask, .. })) => {
                    let verdict = Verdict::Admit { platform: key.platform, password: Some("12345678".to_owned()), username: None };
                    machine.verdict(now, ask, verdict);
                }
                Some(server::Output::Event(_)) => {}
            }
        }
    }
    assert!(machine.registered() <= 1 && machine.open_calls() <= 1_000);
}

/// A device that registers and does what it is asked.
pub(super) fn client(data: &[u8]) {
    let mut machine = Client::new(client::Config::new(id(DEVICE), id(PLATFORM), "12345678"), [1; 32]);
    let mut now = Timestamp::ZERO;
    machine.connect(now, path());
    let mut peer = Peer::new(PLATFORM, DEVICE);
    for one in std::iter::once(Move::Time(0)).chain(Moves(data)) {
        if let Some(message) = peer.message(&one) {
            machine.receive(now, path(), message);
        }
        if let Move::Time(tenths) = one {
            now = now + Duration::from_millis(u64::from(tenths) * 100).into();
            machine.handle_timeout(now);
        }
        for n in 0.. {
            assert!(n < OUT_MAX, "it never ends");
            match machine.poll() {
                None => break,
                Some(client::Output::Send { bytes, .. }) => peer.sent(&bytes),
                Some(client::Output::Event(event)) => react(&mut machine, now, event),
            }
        }
    }
}

fn react(machine: &mut Client, now: Timestamp, event: client::Event) {
    match event {
        client::Event::Query { reply, query: Query::Catalog, .. } => {
            let item = |n: u32| manscdp::Item { id: Id::new(&format!("3402000000131{n:07}")), online: true, ..manscdp::Item::default() };
            machine.reply(now, reply, client::Reply::Catalog((0..9).map(item).collect()));
        }
        client::Event::Query { reply, .. } => machine.reply(now, reply, client::Reply::Result(false)),
        client::Event::Invited { call, offer, .. } if offer.port != 0 => {
            let answer = Description { carriage: offer.carriage.opposite(), ssrc: offer.ssrc, ..(*offer).clone() };
            machine.accept(now, call, Some(&answer));
        }
        client::Event::Invited { call, .. } => machine.refuse(now, call, 488),
        client::Event::Broadcast { source, target } => {
            let offer = Description { port: 9, ..Description::default() };
            let _ = machine.call_voice(now, target, source, &offer);
        }
        _ => {}
    }
}
