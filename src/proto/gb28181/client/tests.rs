//! Both machines against each other over a network that loses, doubles, delays and reorders, in simulated time.

use super::super::manscdp::{Alarm, AlarmMethod, Control, DeviceInfo, Item, Position, Query};
use super::super::sdp::{Carriage, Description, Direction};
use super::super::server::{self, Answer, DeviceKey, Invite, Server, Subscription, Verdict};
use super::super::{Version, catalog, mansrtsp, ptz};
use super::*;
use crate::proto::sip::{Transport, framer};
use std::net::SocketAddr;
use std::time::Duration;

const PLATFORM: &str = "34020000002000000001";
const NVR: &str = "34020000001180000001";
const CHANNEL: &str = "34020000001310000001";

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn key() -> DeviceKey {
    DeviceKey { platform: id(PLATFORM), device: id(NVR) }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A device and a server, and the network between them.
struct Pair {
    server: Server,
    device: Client,
    now: Timestamp,
    at_server: Vec<server::Event>,
    at_device: Vec<Event>,
    /// In flight: when it arrives, whether at the server, what.
    flying: Vec<(Timestamp, bool, bytes::Bytes)>,
    loss: u64,
    seed: u64,
    transport: Transport,
    /// The device answers questions and calls by itself.
    items: Vec<Item>,
    sent: u64,
}

impl Pair {
    fn new(config: Config, loss: u64, seed: u64, transport: Transport) -> Pair {
        let mut server = Server::new(server::Config::default(), [1; 32]);
        server.set_platforms(vec![id(PLATFORM)]);
        server.set_wall(Timestamp::ZERO, Timestamp::from_millis(1_740_787_200_000));
        let device = Client::new(config, [seed as u8; 32]);
        let items = (0..23)
            .map(|n| Item { id: Id::new(&format!("34020000001310{n:06}")), name: format!("门 {n}"), online: true, ..Item::default() })
            .collect();
        let mut pair = Pair {
            server,
            device,
            now: Timestamp::ZERO,
            at_server: vec![],
            at_device: vec![],
            flying: vec![],
            loss,
            seed,
            transport,
            items,
            sent: 0,
        };
        let path = pair.path(false);
        pair.device.connect(pair.now, path);
        pair.drain();
        pair
    }

    fn path(&self, at_server: bool) -> Path {
        let (server, device): (SocketAddr, SocketAddr) = ("192.0.2.10:5060".parse().unwrap(), "198.51.100.8:5060".parse().unwrap());
        let (remote, local) = if at_server { (device, server) } else { (server, device) };
        Path { transport: self.transport, link: 5, remote, local }
    }

    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.seed >> 33
    }

    fn fly(&mut self, to_server: bool, bytes: bytes::Bytes) {
        self.sent += 1;
        if self.transport == Transport::Tcp {
            return self.flying.push((self.now + Duration::from_millis(20).into(), to_server, bytes));
        }
        for _ in 0..1 + u64::from(self.loss > 0 && self.random() % 100 < 10) {
            if self.random() % 100 >= self.loss {
                let delay = 5 + self.random() % if self.loss > 0 { 400 } else { 1 };
                self.flying.push((self.now + Duration::from_millis(delay).into(), to_server, bytes.clone()));
            }
        }
    }

    fn drain(&mut self) {
        loop {
            let mut idle = true;
            while let Some(output) = self.server.poll() {
                idle = false;
                match output {
                    server::Output::Send { bytes, .. } => self.fly(false, bytes),
                    server::Output::Event(server::Event::Ask { ask, registration }) => {
                        let verdict =
                            Verdict::Admit { platform: registration.platforms[0], password: Some("12345678".into()), username: None };
                        self.server.verdict(self.now, ask, verdict);
                    }
                    server::Output::Event(event) => self.at_server.push(event),
                }
            }
            while let Some(output) = self.device.poll() {
                idle = false;
                match output {
                    Output::Send { bytes, .. } => self.fly(true, bytes),
                    Output::Event(event) => {
                        self.answer(&event);
                        self.at_device.push(event);
                    }
                }
            }
            if idle {
                return;
            }
        }
    }

    fn answer(&mut self, event: &Event) {
        match event {
            Event::Query { reply, query, .. } => {
                let answer = match query {
                    Query::Catalog => Reply::Catalog(self.items.clone()),
                    Query::DeviceInfo => Reply::Info(DeviceInfo { name: "Recorder".into(), ..DeviceInfo::default() }),
                    _ => Reply::Result(true),
                };
                self.device.reply(self.now, *reply, answer);
            }
            Event::Invited { call, offer, .. } => {
                let mut answer =
                    Description::offer(CHANNEL, Default::default(), "198.51.100.8".parse().unwrap(), 15060, offer.carriage.opposite());
                answer.direction = Some(Direction::SendOnly);
                answer.ssrc = offer.ssrc;
                self.device.accept(self.now, *call, Some(&answer));
            }
            _ => {}
        }
    }

    fn run(&mut self, span: Duration) {
        let until = self.now + span.into();
        self.drain();
        loop {
            let arrival = self.flying.iter().map(|(at, ..)| *at).min();
            let Some(at) = [arrival, self.server.deadline(), self.device.deadline()].into_iter().flatten().min().filter(|at| *at <= until)
            else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.device.handle_timeout(self.now);
            self.drain();
            let now = self.now;
            let mut due: Vec<_> = self.flying.extract_if(.., |(at, ..)| *at <= now).collect();
            due.sort_by_key(|(at, ..)| *at);
            for (_, to_server, bytes) in due {
                let message = framer::datagram(&bytes).unwrap().unwrap();
                let path = self.path(to_server);
                match to_server {
                    true => self.server.receive(self.now, path, message),
                    false => self.device.receive(self.now, path, message),
                }
                self.drain();
            }
        }
    }

    fn count(&self, wanted: impl Fn(&server::Event) -> bool) -> usize {
        self.at_server.iter().filter(|event| wanted(event)).count()
    }
}

fn config() -> Config {
    Config { version: Some(Version::V2022), ..Config::new(id(NVR), id(PLATFORM), "12345678") }
}

fn clean() -> Pair {
    let mut pair = Pair::new(config(), 0, 1, Transport::Udp);
    pair.run(secs(2));
    assert!(pair.device.is_registered());
    pair
}

#[test]
fn a_day_without_trouble() {
    let mut pair = clean();
    assert!(matches!(pair.at_device[0], Event::Registered { first: true, time: Some(time) } if (time - 1_740_787_200_000).abs() < 1000));
    pair.run(secs(86_400));
    // life signs each minute, renewals each 48 minutes, nobody ever off
    assert_eq!(pair.count(|event| matches!(event, server::Event::Offline { .. })), 0);
    assert!(pair.count(|event| matches!(event, server::Event::Registered { .. })) >= 30);
    assert!((2 * 1440 - 100..2 * 1440 + 400).contains(&pair.sent), "{}", pair.sent);
}

#[test]
fn a_wrong_password_is_tried_again_only_after_its_time() {
    let mut pair = Pair::new(Config { password: "wrong".into(), ..config() }, 0, 1, Transport::Udp);
    pair.run(secs(50));
    assert_eq!(pair.at_device, [Event::Unregistered { status: 403 }]);
    pair.run(secs(60));
    assert_eq!(pair.at_device.len(), 2);
}

#[test]
fn questions_and_orders() {
    let mut pair = clean();
    pair.server.query(pair.now, &key(), id(NVR), &Query::Catalog).unwrap();
    pair.server.query(pair.now, &key(), id(NVR), &Query::DeviceInfo).unwrap();
    let order = Control::Ptz(ptz::Command::STOP);
    pair.server.control(pair.now, &key(), id(CHANNEL), &order).unwrap();
    pair.run(secs(5));
    let answers: Vec<_> = pair
        .at_server
        .iter()
        .filter_map(|event| match event {
            server::Event::Answered { answer, .. } => Some(answer.clone().unwrap()),
            _ => None,
        })
        .collect();
    assert!(answers.contains(&Answer::Catalog { end: catalog::End::Complete, items: 23 }), "{answers:?}");
    assert!(answers.iter().any(|answer| matches!(answer, Answer::Info(info) if info.name == "Recorder")));
    assert!(answers.contains(&Answer::Done));
    assert!(pair.at_device.iter().any(
        |event| matches!(event, Event::Control { control: Some(control), target, .. } if *control == order && *target == id(CHANNEL))
    ));
}

#[test]
fn a_device_that_counts_wrong_and_forgets_numbers() {
    let mut pair = Pair::new(Config { sum_skew: 50, forgets_sn: true, items: 1, ..config() }, 0, 1, Transport::Udp);
    pair.run(secs(2));
    pair.server.query(pair.now, &key(), id(NVR), &Query::Catalog).unwrap();
    pair.run(secs(10));
    assert_eq!(
        pair.count(|event| matches!(
            event,
            server::Event::Answered { answer: Ok(Answer::Catalog { end: catalog::End::Short, items: 23 }), .. }
        )),
        1
    );
}

#[test]
fn subscriptions_alarms_positions_changes() {
    let mut pair = clean();
    for wanted in [Subscription::Catalog, Subscription::Position { interval: 5 }, Subscription::Alarm { method: 0 }] {
        pair.server.subscribe(pair.now, &key(), wanted);
    }
    pair.run(secs(1));
    assert_eq!(pair.at_device.iter().filter(|event| matches!(event, Event::Subscribed { on: true, .. })).count(), 3);
    let alarm = Alarm {
        source: Some(id(CHANNEL)),
        sn: 0,
        priority: 1,
        method: AlarmMethod(5),
        kind: 2,
        event: None,
        time: Some(1_740_787_200_000),
        description: "motion".into(),
        position: None,
    };
    pair.device.alarm(pair.now, alarm);
    pair.device.position(pair.now, &Position { longitude: 118.5, latitude: 31.25, ..Position::default() });
    let item = Item { id: Some(id(CHANNEL)), change: Some(super::super::manscdp::Change::Off), ..Item::default() };
    pair.device.changed(pair.now, &[item]);
    pair.run(secs(1));
    assert_eq!(pair.count(|event| matches!(event, server::Event::Alarm { .. })), 1);
    assert_eq!(pair.count(|event| matches!(event, server::Event::Positions { .. })), 1);
    assert_eq!(pair.count(|event| matches!(event, server::Event::Changes { .. })), 1);
    // renewed for an hour, and still there
    pair.run(secs(3600));
    assert!(pair.device.is_subscribed(super::notify::Kind::Alarm));
    pair.server.unsubscribe(pair.now, &key(), server::SubscriptionKind::Alarm);
    pair.run(secs(1));
    assert!(!pair.device.is_subscribed(super::notify::Kind::Alarm));
}

#[test]
fn an_alarm_without_subscription_is_acknowledged() {
    let mut pair = clean();
    let alarm = Alarm {
        source: None,
        sn: 0,
        priority: 1,
        method: AlarmMethod(2),
        kind: 1,
        event: None,
        time: None,
        description: String::new(),
        position: None,
    };
    let sn = pair.device.alarm(pair.now, Alarm { source: Some(id(NVR)), ..alarm });
    pair.run(secs(1));
    assert!(pair.at_device.contains(&Event::AlarmTaken { sn }));
    assert!(pair.at_device.iter().any(|event| matches!(event, Event::Control { control: Some(Control::ResetAlarm { .. }), .. })));
}

#[test]
fn calls_through_any_network_end_on_both_sides() {
    for seed in 0..60 {
        for transport in [Transport::Udp, Transport::Tcp] {
            let config = Config { answers: 1 + (seed % 3) as u8, ..config() };
            let mut pair = Pair::new(config, 25, seed, transport);
            pair.run(secs(60));
            if !pair.device.is_registered() {
                pair.run(secs(120));
            }
            let media = "192.0.2.20:30000".parse().unwrap();
            let mut calls = Vec::new();
            for _ in 0..4 {
                calls.extend(pair.server.invite(pair.now, &key(), Invite::play(id(CHANNEL), media, Carriage::Udp)).map(|(call, _)| call));
                let wait = Duration::from_millis(pair.random() % 3000);
                pair.run(wait);
                if pair.random().is_multiple_of(2)
                    && let Some(call) = calls.first().copied()
                {
                    pair.server.hang_up(pair.now, call);
                }
            }
            pair.run(secs(20));
            for call in calls {
                pair.server.hang_up(pair.now, call);
            }
            pair.run(secs(150));
            assert_eq!((pair.server.open_calls(), pair.server.ssrcs_in_use()), (0, 0), "seed {seed} {transport:?}");
            assert_eq!(pair.device.open_calls(), 0, "seed {seed} {transport:?}: {:?}", pair.at_device);
            for event in &pair.at_server {
                if let server::Event::CallEnded { call, .. } = event {
                    assert_eq!(pair.count(|other| matches!(other, server::Event::CallEnded { call: same, .. } if same == call)), 1);
                }
            }
        }
    }
}

#[test]
fn a_playback_through_its_controls_to_its_end() {
    let mut pair = clean();
    let media = "192.0.2.20:30000".parse().unwrap();
    let (call, _) = pair.server.invite(pair.now, &key(), Invite::playback(id(CHANNEL), media, Carriage::TcpPassive, (1, 2))).unwrap();
    pair.run(secs(1));
    let number = pair.server.playback(pair.now, call, mansrtsp::Command::Scale(2.0)).unwrap();
    pair.run(secs(1));
    assert_eq!(pair.count(|event| matches!(event, server::Event::Controlled { number: n, result: Ok(_), .. } if *n == number)), 1);
    let theirs = pair.at_device.iter().find_map(|event| match event {
        Event::Playback { call, command: mansrtsp::Command::Scale(2.0) } => Some(*call),
        _ => None,
    });
    pair.device.finished(pair.now, theirs.unwrap(), id(CHANNEL));
    pair.run(secs(1));
    assert_eq!(pair.count(|event| matches!(event, server::Event::CallFinished { call: of } if *of == call)), 1);
    pair.server.hang_up(pair.now, call);
    pair.run(secs(1));
    assert_eq!(pair.count(|event| matches!(event, server::Event::CallEnded { why: server::CallEnd::Finished, .. })), 1);
    assert!(pair.at_device.iter().any(|event| matches!(event, Event::Ended { why: CallEnd::RemoteBye, .. })));
    assert_eq!((pair.server.open_calls(), pair.device.open_calls()), (0, 0));
}

#[test]
fn voice_both_ways_of_the_handshake() {
    let mut pair = clean();
    pair.server.broadcast(pair.now, &key(), id("34020000001360000001"), id("34020000001370000001")).unwrap();
    pair.run(secs(1));
    let Some(Event::Broadcast { source, target }) = pair.at_device.iter().find(|event| matches!(event, Event::Broadcast { .. })).cloned()
    else {
        panic!()
    };
    let offer = Description::voice(target.as_str(), "198.51.100.8".parse().unwrap(), 15070, Carriage::Udp, Direction::RecvOnly);
    let ours = pair.device.call_voice(pair.now, target, source, &offer).unwrap();
    pair.run(secs(1));
    let call = pair.at_server.iter().find_map(|event| match event {
        server::Event::VoiceInvited { call, .. } => Some(*call),
        _ => None,
    });
    pair.server.accept_voice(pair.now, call.unwrap(), "192.0.2.20:30010".parse().unwrap(), None).unwrap();
    pair.run(secs(1));
    assert!(
        pair.at_device
            .iter()
            .any(|event| matches!(event, Event::Up { call, answer: Some(answer), .. } if *call == ours && answer.port == 30010))
    );
    assert_eq!(pair.count(|event| matches!(event, server::Event::CallAnswered { .. })), 1);
    pair.device.hang_up(pair.now, ours);
    pair.run(secs(1));
    assert_eq!(pair.count(|event| matches!(event, server::Event::CallEnded { why: server::CallEnd::RemoteBye, .. })), 1);
    assert_eq!((pair.server.open_calls(), pair.device.open_calls()), (0, 0));
}

#[test]
fn a_server_that_forgot_everything_gets_its_device_back_within_a_life_sign() {
    let mut pair = clean();
    pair.server = Server::new(server::Config::default(), [2; 32]);
    pair.server.set_platforms(vec![id(PLATFORM)]);
    pair.run(secs(62));
    assert!(pair.device.is_registered());
    assert_eq!(pair.server.registered(), 1);
}

#[test]
fn a_device_that_leaves_and_one_that_restarts() {
    let mut pair = clean();
    pair.device.leave(pair.now);
    pair.run(secs(1));
    assert_eq!(pair.count(|event| matches!(event, server::Event::Offline { why: server::Gone::Unregistered, .. })), 1);
    assert!(pair.at_device.contains(&Event::Unregistered { status: 200 }));
    pair.run(secs(7200));
    assert_eq!(pair.server.registered(), 0);
    let mut pair = Pair::new(config(), 0, 3, Transport::Tcp);
    pair.run(secs(1));
    pair.device.path_lost(pair.now);
    pair.server.path_lost(pair.now, 5);
    pair.drain();
    assert!(pair.at_device.contains(&Event::Unregistered { status: 0 }));
    let path = pair.path(false);
    pair.device.connect(pair.now, path);
    pair.run(secs(60));
    assert!(pair.device.is_registered());
    assert_eq!(pair.count(|event| matches!(event, server::Event::Offline { .. })), 0);
}

#[test]
fn a_new_call_for_the_same_stream_replaces_the_old_one() {
    let mut pair = clean();
    let media = "192.0.2.20:30000".parse().unwrap();
    for _ in 0..2 {
        pair.server.invite(pair.now, &key(), Invite::play(id(CHANNEL), media, Carriage::Udp)).unwrap();
        pair.run(secs(1));
    }
    assert!(pair.at_device.iter().any(|event| matches!(event, Event::Ended { why: CallEnd::Replaced, .. })));
    assert_eq!((pair.server.open_calls(), pair.device.open_calls()), (1, 1));
}
