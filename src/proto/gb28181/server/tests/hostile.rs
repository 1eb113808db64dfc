//! Floods, nonsense, and a hundred thousand devices.

use super::*;
use crate::proto::sip::fixtures;
use proptest::prelude::*;

#[test]
fn a_hundred_thousand_devices_at_a_price_per_message_that_does_not_grow() {
    let mut w = World::new(Config { register_rate: 0, ..Config::default() });
    w.password = None;
    let device = |n: u32| format!("340200000013{:08}", n);
    let path = |n: u32| udp(&format!("10.{}.{}.{}:5060", n >> 16, n >> 8 & 255, n & 255));
    for n in 0..100_000 {
        let request = w.device_request(Method::Register, &device(n));
        w.server.receive(w.now, path(n), request.into());
        w.drain();
        w.clear();
        w.now = w.now + Duration::from_micros(100).into();
    }
    assert_eq!(w.server.registered(), 100_000);
    // two minutes of life signs: nobody is lost, nothing piles up
    for _ in 0..2 {
        for n in 0..100_000 {
            w.keepalive(path(n), &device(n));
            w.clear();
        }
        w.wait(secs(60));
        assert!(w.events.is_empty() && w.sent.is_empty());
    }
    assert_eq!(w.server.registered(), 100_000);
    let (ours, theirs) = w.server.layer.in_flight();
    assert!(ours == 0 && theirs <= 100_000, "{ours} {theirs}");
    assert!(w.server.timers.len() < 250_000, "{}", w.server.timers.len());
}

#[test]
fn a_flood_of_registrations_is_bounded_and_others_go_on() {
    let mut w = World::new(Config { register_rate: 100, asks_max: 500, ..Config::default() });
    w.register(udp("198.51.100.8:5060"), NVR);
    // one address with many ids: only so many a second are looked at
    for n in 0..10_000 {
        let request = w.device_request(Method::Register, &format!("3402000000132{n:07}"));
        w.server.receive(w.now, udp("203.0.113.66:5060"), request.into());
    }
    w.keepalive(udp("198.51.100.8:5060"), NVR);
    assert_eq!(w.sent.iter().filter(|(path, _)| path.remote.ip().to_string() == "203.0.113.66").count(), 100);
    assert!(w.sent.iter().any(|(path, m)| path.remote.port() == 5060 && matches!(m, Message::Response(r) if r.status == 200)));
    // many addresses: only so many verdicts are waited for
    w.clear();
    let mut answers = Vec::new();
    for n in 0..2000u32 {
        let request = w.device_request(Method::Register, &format!("3402000000132{n:07}"));
        w.server.receive(w.now, udp(&format!("203.0.{}.{}:1", n / 250, n % 250)), request.into());
        while let Some(output) = w.server.poll() {
            if let Output::Send { bytes, .. } = output {
                answers.push(framer::datagram(&bytes).unwrap().unwrap());
            }
        }
    }
    assert_eq!(answers.len(), 1500);
    assert!(answers.iter().all(|m| matches!(m, Message::Response(r) if r.status == 503 && r.headers.raw(&Name::RetryAfter).is_some())));
}

#[test]
fn messages_of_strangers_are_refused_and_leave_nothing() {
    let mut w = World::new(Config::default());
    for name in fixtures::names() {
        w.take(udp("203.0.113.5:5060"), fixtures::message(&name));
    }
    w.wait(secs(200));
    assert_eq!((w.server.registered(), w.server.open_calls(), w.server.open_queries()), (0, 0, 0));
    assert_eq!(w.server.layer.in_flight(), (0, 0));
}

#[test]
fn every_message_of_the_fixtures_from_a_registered_device() {
    let mut w = World::new(Config::default());
    let path = udp("198.51.100.8:5060");
    w.register(path, NVR);
    for name in fixtures::names() {
        w.take(path, fixtures::message(&name));
    }
    w.wait(secs(400));
    assert_eq!((w.server.open_calls(), w.server.open_queries(), w.server.layer.in_flight()), (0, 0, (0, 0)));
}

#[test]
fn the_trace_is_bounded_and_leaves_life_signs_out() {
    let mut w = World::new(Config { trace_bytes: 100_000, ..Config::default() });
    let path = udp("198.51.100.8:5060");
    w.register(path, NVR);
    w.keepalive(path, NVR);
    let before = w.server.trace_of_device(&key());
    assert_eq!(before.len(), 4, "REGISTER, 401, REGISTER, 200");
    assert!(before[1].ours && !before[0].ours);
    for _ in 0..2000 {
        let request = w.body(NVR, vec![b'x'; 2000]);
        w.take(path, request);
    }
    let kept: usize = w.server.trace_of_device(&key()).iter().map(|entry| entry.bytes.len()).sum();
    assert!(kept <= 100_000, "{kept}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Any order of damaged messages, closed connections, orders and waiting.
    #[test]
    fn any_order_of_anything(steps in proptest::collection::vec((0u8..10, any::<u16>(), any::<u8>()), 1..80)) {
        let mut w = World::new(Config::default());
        let path = udp("198.51.100.8:5060");
        w.register(path, NVR);
        let names = fixtures::names();
        let mut calls = Vec::new();
        for (what, n, m) in steps {
            match what {
                0..=3 => {
                    let mut bytes = fixtures::bytes(&names[usize::from(n) % names.len()]).to_vec();
                    if what > 1 {
                        let at = usize::from(n) * 7 % bytes.len();
                        bytes[at] = m;
                    }
                    if let Ok(Some(message)) = framer::datagram(&bytes.into()) {
                        w.take(path, message);
                    }
                }
                4 => w.wait(secs(u64::from(n % 50))),
                5 => calls.extend(w.server.invite(w.now, &key(), Invite::play(id(CHANNEL), media(), Default::default())).ok().map(|(call, _)| call)),
                6 => {
                    if let Some(call) = calls.get(usize::from(m) % calls.len().max(1)) {
                        w.server.hang_up(w.now, *call);
                    }
                }
                7 => {
                    // the device answers what is out, with any status
                    let out: Vec<_> = w.sent.drain(..).collect();
                    for (_, message) in out {
                        if let Message::Request(request) = message && request.method != Method::Ack {
                            w.take(path, reply(&request, 100 + n % 600));
                        }
                    }
                }
                8 => {
                    let _ = w.server.query(w.now, &key(), id(NVR), &manscdp::Query::Catalog);
                    w.server.subscribe(w.now, &key(), Subscription::Catalog);
                }
                _ => w.try_register(udp(&format!("198.51.100.8:{}", 5060 + n % 3)), NVR),
            }
            w.drain();
        }
        w.server.remove(w.now, &key());
        w.drain();
        w.wait(secs(400));
        prop_assert_eq!((w.server.open_calls(), w.server.open_queries(), w.server.ssrcs_in_use()), (0, 0, 0));
        prop_assert_eq!(w.server.layer.in_flight(), (0, 0));
        prop_assert!(w.server.purposes.is_empty());
    }
}
