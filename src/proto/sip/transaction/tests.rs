//! Transactions in simulated time: two layers over a network that loses, doubles and delays.

use super::*;
use crate::proto::sip::{Name, Transport, framer};

const MS: i64 = 1_000_000;

fn ms(n: i64) -> Timestamp {
    Timestamp(n * MS)
}

fn path(transport: Transport) -> Path {
    Path { transport, link: 1, remote: "198.51.100.8:5060".parse().unwrap(), local: "192.0.2.10:5060".parse().unwrap() }
}

fn layer(seed: u8) -> Layer {
    Layer::new([seed; 32], Timing::default())
}

fn make(method: Method) -> Request {
    let cseq = format!("1 {method}");
    Request::new(method, "sip:1@198.51.100.8:5060")
        .with(Name::From, "<sip:2@d>;tag=a")
        .with(Name::To, "<sip:1@d>")
        .with(Name::CallId, "c1@192.0.2.10")
        .with(Name::CSeq, cseq)
}

fn sent(layer: &mut Layer) -> Vec<Message> {
    drain(layer).0
}

fn drain(layer: &mut Layer) -> (Vec<Message>, Vec<Output>) {
    let (mut sent, mut rest) = (Vec::new(), Vec::new());
    while let Some(output) = layer.poll() {
        match output {
            Output::Send { bytes, .. } => sent.push(framer::datagram(&bytes).unwrap().unwrap()),
            other => rest.push(other),
        }
    }
    (sent, rest)
}

/// The times, in ms, at which the layer sends something until it has nothing left to wait for.
fn schedule(layer: &mut Layer) -> (Vec<i64>, Vec<Output>) {
    let (mut times, mut rest) = (Vec::new(), Vec::new());
    while let Some(at) = layer.deadline() {
        layer.handle_timeout(at);
        let (messages, mut others) = drain(layer);
        times.extend(messages.iter().map(|_| at.0 / MS));
        rest.append(&mut others);
    }
    (times, rest)
}

fn answer(request: &Message, status: u16) -> Message {
    let Message::Request(request) = request else { panic!() };
    Message::Response(Response::to(request, "192.0.2.10:5060".parse().unwrap(), status, "dev"))
}

#[test]
fn a_request_over_udp_is_repeated_by_the_book_and_given_up_after_32_seconds() {
    let mut a = layer(1);
    let id = a.request(ms(0), path(Transport::Udp), make(Method::Message));
    assert_eq!(sent(&mut a).len(), 1);
    let (times, rest) = schedule(&mut a);
    assert_eq!(times, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert_eq!(rest, [Output::Failed { id, why: Failure::Timeout }]);
    assert_eq!(a.in_flight(), (0, 0));
}

#[test]
fn an_invite_doubles_without_bound_and_stops_repeating_at_the_first_sign_of_life() {
    let mut a = layer(1);
    a.request(ms(0), path(Transport::Udp), make(Method::Invite));
    sent(&mut a);
    let (times, _) = schedule(&mut a);
    assert_eq!(times, [500, 1500, 3500, 7500, 15500, 31500]);

    let id = a.request(ms(0), path(Transport::Udp), make(Method::Invite));
    let invite = sent(&mut a).remove(0);
    a.receive(ms(100), path(Transport::Udp), answer(&invite, 100));
    let (times, rest) = schedule(&mut a);
    assert_eq!(times, [] as [i64; 0]);
    assert!(matches!(&rest[0], Output::Response { response, .. } if response.status == 100));
    assert_eq!(rest[1], Output::Failed { id, why: Failure::Timeout });
}

#[test]
fn nothing_is_repeated_over_tcp_and_a_closed_connection_fails_at_once() {
    let mut a = layer(1);
    let id = a.request(ms(0), path(Transport::Tcp), make(Method::Message));
    sent(&mut a);
    a.handle_timeout(ms(10_000));
    assert_eq!(drain(&mut a), (vec![], vec![]));
    a.path_lost(1);
    assert_eq!(drain(&mut a).1, [Output::Failed { id, why: Failure::PathLost }]);
    a.path_lost(1);
    assert_eq!(drain(&mut a).1, []);
}

#[test]
fn a_refused_invite_is_acknowledged_each_time_on_its_own_branch() {
    let mut a = layer(1);
    a.request(ms(0), path(Transport::Udp), make(Method::Invite));
    let invite = sent(&mut a).remove(0);
    let refusal = answer(&invite, 486);
    for round in 0..3 {
        a.receive(ms(100 * round), path(Transport::Udp), refusal.clone());
        let (messages, rest) = drain(&mut a);
        let [Message::Request(ack)] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!(ack.method, Method::Ack);
        assert_eq!(ack.headers.raw(&Name::Via), invite.headers().raw(&Name::Via));
        assert_eq!(ack.to().unwrap().tag(), "dev");
        assert_eq!(rest.len(), usize::from(round == 0));
    }
    schedule(&mut a);
    assert_eq!(a.in_flight(), (0, 0));
}

#[test]
fn cancel_waits_for_a_provisional_answer() {
    let mut a = layer(1);
    let id = a.request(ms(0), path(Transport::Udp), make(Method::Invite));
    let invite = sent(&mut a).remove(0);
    a.cancel(ms(10), id);
    assert_eq!(sent(&mut a), []);
    a.receive(ms(20), path(Transport::Udp), answer(&invite, 180));
    let messages = sent(&mut a);
    let [Message::Request(cancel)] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((&cancel.method, cancel.cseq()), (&Method::Cancel, Some((1, Method::Cancel))));
    assert_eq!(cancel.headers.raw(&Name::Via), invite.headers().raw(&Name::Via));
    // its answer says nothing, the INVITE's does
    a.receive(ms(30), path(Transport::Udp), answer(&messages[0], 200));
    assert_eq!(drain(&mut a), (vec![], vec![]));
    a.receive(ms(40), path(Transport::Udp), answer(&invite, 487));
    let (messages, rest) = drain(&mut a);
    assert_eq!(messages.len(), 1);
    assert!(matches!(&rest[..], [Output::Response { response, .. }] if response.status == 487));
}

#[test]
fn answers_that_nobody_waits_for_are_stray() {
    let mut a = layer(1);
    a.request(ms(0), path(Transport::Udp), make(Method::Invite));
    let invite = sent(&mut a).remove(0);
    let ok = answer(&invite, 200);
    a.receive(ms(10), path(Transport::Udp), ok.clone());
    a.receive(ms(20), path(Transport::Udp), ok);
    let (_, rest) = drain(&mut a);
    assert!(matches!(&rest[..], [Output::Response { .. }, Output::Stray { .. }]), "{rest:?}");
}

#[test]
fn a_repeated_request_is_answered_again_and_handled_once() {
    let mut b = layer(2);
    let mut request = make(Method::Message);
    request.headers.push_front(Name::Via, "SIP/2.0/UDP 198.51.100.8:5060;rport;branch=z9hG4bKq");
    let message = Message::Request(request.clone());
    b.receive(ms(0), path(Transport::Udp), message.clone());
    b.receive(ms(1), path(Transport::Udp), message.clone());
    let (_, rest) = drain(&mut b);
    let [Output::Request { id, .. }] = &rest[..] else { panic!("{rest:?}") };
    b.respond(ms(2), *id, Response::to(&request, path(Transport::Udp).remote, 200, "t"));
    b.receive(ms(3), path(Transport::Udp), message.clone());
    let (messages, rest) = drain(&mut b);
    assert_eq!((messages.len(), rest.len()), (2, 0));
    assert_eq!(messages[0], messages[1]);
    // a second final answer is not sent
    b.respond(ms(4), *id, Response::to(&request, path(Transport::Udp).remote, 500, "t"));
    assert_eq!(drain(&mut b), (vec![], vec![]));
    // forgotten after timer J
    schedule(&mut b);
    b.receive(ms(40_000), path(Transport::Udp), message);
    assert_eq!(drain(&mut b).1.len(), 1);
}

#[test]
fn one_branch_for_a_life_time_still_makes_different_requests() {
    // measured: a stack that keeps its first branch on top of every later request
    let mut b = layer(2);
    for number in 1..=3 {
        let mut request = make(Method::Message);
        request.headers.set(Name::CSeq, format!("{number} MESSAGE"));
        request.headers.push_front(Name::Via, "SIP/2.0/UDP h;branch=z9hG4bKsame, SIP/2.0/UDP h;branch=z9hG4bKother");
        b.receive(ms(number), path(Transport::Udp), Message::Request(request));
    }
    assert_eq!(drain(&mut b).1.len(), 3);
}

#[test]
fn senders_without_a_branch_are_told_apart_too() {
    let mut b = layer(2);
    for (call, times) in [("c1", 2), ("c2", 1)] {
        let mut request = make(Method::Message);
        request.headers.set(Name::CallId, call);
        request.headers.push_front(Name::Via, "SIP/2.0/UDP 198.51.100.8:5060");
        for _ in 0..times {
            b.receive(ms(0), path(Transport::Udp), Message::Request(request.clone()));
        }
    }
    assert_eq!(drain(&mut b).1.len(), 2);
}

fn incoming_invite(b: &mut Layer, at: Timestamp) -> (ServerId, Request) {
    let mut invite = make(Method::Invite);
    invite.headers.push_front(Name::Via, "SIP/2.0/UDP 198.51.100.8:5060;rport;branch=z9hG4bKinv");
    b.receive(at, path(Transport::Udp), Message::Request(invite.clone()));
    let (_, rest) = drain(b);
    let [Output::Request { id, .. }] = &rest[..] else { panic!("{rest:?}") };
    (*id, invite)
}

fn ack_to(invite: &Request, branch: &str) -> Message {
    let mut ack = make(Method::Ack);
    ack.headers.set(Name::CSeq, format!("{} ACK", invite.cseq().unwrap().0));
    ack.headers.push_front(Name::Via, format!("SIP/2.0/UDP 198.51.100.8:5060;rport;branch={branch}"));
    Message::Request(ack)
}

#[test]
fn our_200_is_repeated_until_its_ack_which_has_another_branch() {
    let mut b = layer(2);
    let (id, invite) = incoming_invite(&mut b, ms(0));
    b.respond(ms(0), id, Response::to(&invite, path(Transport::Udp).remote, 200, "t"));
    b.handle_timeout(ms(500));
    b.handle_timeout(ms(1500));
    assert_eq!(sent(&mut b).len(), 3);
    b.receive(ms(1600), path(Transport::Udp), ack_to(&invite, "z9hG4bKelse"));
    assert!(matches!(&drain(&mut b).1[..], [Output::Acked { .. }]));
    b.receive(ms(1700), path(Transport::Udp), ack_to(&invite, "z9hG4bKelse"));
    assert_eq!(schedule(&mut b), (vec![], vec![]));
    assert_eq!(b.in_flight(), (0, 0));
}

#[test]
fn a_200_without_ack_is_told_after_ten_seconds() {
    let mut b = layer(2);
    let (id, invite) = incoming_invite(&mut b, ms(0));
    b.respond(ms(0), id, Response::to(&invite, path(Transport::Udp).remote, 200, "t"));
    sent(&mut b);
    let (times, rest) = schedule(&mut b);
    assert_eq!(times, [500, 1500, 3500, 7500]);
    assert_eq!(rest, [Output::Unacked { id }]);
}

#[test]
fn a_peers_cancel_is_answered_and_told_once() {
    let mut b = layer(2);
    let (id, invite) = incoming_invite(&mut b, ms(0));
    let mut cancel = make(Method::Cancel);
    cancel.headers.push_front(Name::Via, invite.headers.raw(&Name::Via).unwrap().clone());
    b.receive(ms(10), path(Transport::Udp), Message::Request(cancel.clone()));
    let (messages, rest) = drain(&mut b);
    assert!(matches!(&messages[..], [Message::Response(response)] if response.status == 200));
    assert_eq!(rest, [Output::Cancelled { id }]);
    b.respond(ms(20), id, Response::to(&invite, path(Transport::Udp).remote, 487, "t"));
    b.receive(ms(30), path(Transport::Udp), ack_to(&invite, "z9hG4bKinv"));
    // a CANCEL of nothing
    cancel.headers.set(Name::CallId, "unknown");
    b.receive(ms(40), path(Transport::Udp), Message::Request(cancel));
    let (messages, _) = drain(&mut b);
    assert!(matches!(messages.last(), Some(Message::Response(response)) if response.status == 481));
}

#[test]
fn a_flood_is_bounded() {
    let mut b = Layer::new([3; 32], Timing { held_max: 100, ..Timing::default() });
    for n in 0..1000 {
        let mut request = make(Method::Register);
        request.headers.set(Name::CallId, format!("c{n}"));
        b.receive(ms(0), path(Transport::Udp), Message::Request(request));
    }
    assert_eq!(drain(&mut b).1.len(), 100);
    assert_eq!((b.in_flight(), b.dropped()), ((0, 100), 900));
    schedule(&mut b);
    assert_eq!(b.in_flight(), (0, 0));
}

/// A network with a seed: loses, doubles and delays datagrams; same seed, same fate.
struct Network {
    seed: u64,
    loss: u64,
    held: Vec<(Timestamp, bool, Message)>,
}

impl Network {
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.seed >> 33
    }

    fn take(&mut self, now: Timestamp, to_b: bool, message: Message) {
        for _ in 0..1 + u64::from(self.random() % 100 < 20) {
            if self.random() % 100 >= self.loss {
                let delay = ms((self.random() % 900) as i64);
                self.held.push((now + delay, to_b, message.clone()));
            }
        }
    }
}

#[test]
fn every_request_gets_exactly_one_answer_through_a_bad_network() {
    for seed in 0..40 {
        let (mut a, mut b) = (layer(4), layer(5));
        let mut net = Network { seed, loss: 30, held: Vec::new() };
        let mut now = ms(0);
        let mut handled = HashMap::new();
        let mut answered = HashMap::new();
        let ids: Vec<_> = (0..20)
            .map(|n| {
                let mut request = make(Method::Message);
                request.headers.set(Name::CallId, format!("c{n}"));
                a.request(now, path(Transport::Udp), request)
            })
            .collect();
        loop {
            for (is_b, layer) in [(false, &mut a), (true, &mut b)] {
                while let Some(output) = layer.poll() {
                    match output {
                        Output::Send { bytes, .. } => net.take(now, !is_b, framer::datagram(&bytes).unwrap().unwrap()),
                        Output::Request { id, request, .. } => {
                            *handled.entry(request.call_id().into_owned()).or_insert(0) += 1;
                            layer.respond(now, id, Response::to(&request, path(Transport::Udp).remote, 200, "t"));
                        }
                        Output::Response { id, .. } => *answered.entry(id).or_insert(0) += 1,
                        Output::Failed { .. } => {}
                        Output::Stray { .. } => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
            let next = net.held.iter().map(|(at, ..)| *at).min();
            let Some(at) = [next, a.deadline(), b.deadline()].into_iter().flatten().min() else { break };
            now = at;
            a.handle_timeout(now);
            b.handle_timeout(now);
            let (due, later) = std::mem::take(&mut net.held).into_iter().partition(|(at, ..)| *at <= now);
            net.held = later;
            let due: Vec<(Timestamp, bool, Message)> = due;
            for (_, to_b, message) in due {
                if to_b { &mut b } else { &mut a }.receive(now, path(Transport::Udp), message);
            }
        }
        assert!(handled.values().all(|n| *n == 1), "seed {seed}: {handled:?}");
        assert!(answered.values().all(|n| *n == 1), "seed {seed}");
        assert!(ids.iter().filter(|id| answered.contains_key(id)).count() >= 19, "seed {seed}");
        assert_eq!((a.in_flight(), b.in_flight()), ((0, 0), (0, 0)));
    }
}
