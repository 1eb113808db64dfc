//! Registration, life signs, NAT, restarts.

use super::*;
use crate::proto::gb28181::Version;

#[test]
fn challenge_password_and_the_time_of_day() {
    let mut w = World::new(Config::default());
    let path = udp("198.51.100.8:5060");
    let request = w.device_request(Method::Register, NVR).with(Name::Expires, "3600").with(Name::XGbVer, "3.0");
    let request = request.with(Name::Contact, format!("<sip:{NVR}@10.0.0.8:5060>"));
    w.take(path, request.clone());
    let challenge = w.response();
    assert_eq!(challenge.status, 401);
    let text = challenge.headers.get(&Name::WwwAuthenticate).unwrap().into_owned();
    assert!(text.starts_with("Digest realm=\"3402000000\", nonce=\"") && text.ends_with("\", algorithm=MD5"), "{text}");
    assert_eq!(challenge.headers.get(&Name::XGbVer).unwrap(), "3.0");
    assert!(challenge.headers.get(&Name::Via).unwrap().contains("rport=5060;received=198.51.100.8"));
    w.wait(secs(1));
    let again = with_password(&request, &challenge, NVR, PASSWORD);
    w.take(path, again);
    let ok = w.response();
    assert_eq!((ok.status, ok.headers.get(&Name::Expires).unwrap().as_ref()), (200, "3600"));
    assert_eq!(ok.headers.get(&Name::Date).unwrap(), "2025-03-01T08:00:01.000");
    assert_eq!(ok.headers.get(&Name::Contact).unwrap(), format!("<sip:{NVR}@10.0.0.8:5060>"));
    let Event::Registered { device, fresh: Fresh::First, version: Version::V2022, expires: 3600, .. } = w.event() else { panic!() };
    assert_eq!(device, key());
    w.quiet();
}

#[test]
fn every_way_to_write_the_password_answer() {
    // what devices do: qop or not, unquoted, lower-case hex or upper, another URI than the Request-URI
    for qop in [false, true] {
        for sha256 in [false, true] {
            let mut w = World::new(Config { qop, sha256, ..Config::default() });
            w.register(udp("198.51.100.8:5060"), NVR);
            assert!(w.server.device(&key()).is_some(), "qop {qop} sha256 {sha256}");
        }
    }
}

#[test]
fn wrong_passwords_lock_and_unlock_frees() {
    let mut w = World::new(Config::default());
    let path = udp("198.51.100.8:5060");
    let attempt = |w: &mut World, password: &str| {
        let request = w.device_request(Method::Register, NVR);
        w.take(path, request.clone());
        let challenge = w.response();
        if challenge.status != 401 {
            return challenge.status;
        }
        let again = with_password(&request, &challenge, NVR, password);
        // a repetition over UDP is not a second wrong password
        w.take(path, again.clone());
        w.take(path, again);
        let status = w.response().status;
        assert_eq!(w.response().status, status);
        status
    };
    for times in 1..=5 {
        assert_eq!(attempt(&mut w, "wrong"), 403);
        assert!(matches!(w.event(), Event::WrongPassword { times: n, .. } if n == times));
    }
    assert_eq!(w.event(), Event::Locked { device: key() });
    assert_eq!(attempt(&mut w, PASSWORD), 403);
    w.clear();
    w.server.unlock(&key());
    assert_eq!(attempt(&mut w, PASSWORD), 200);
}

#[test]
fn a_stranger_cannot_lock_a_device_out_that_is_there() {
    let mut w = World::new(Config::default());
    w.register(udp("198.51.100.8:5060"), NVR);
    let elsewhere = udp("203.0.113.66:5060");
    for _ in 0..20 {
        let request = w.device_request(Method::Register, NVR);
        w.take(elsewhere, request.clone());
        let challenge = w.response();
        w.take(elsewhere, with_password(&request, &challenge, NVR, "guess"));
        assert_eq!(w.response().status, 403);
    }
    assert!(w.events.iter().all(|event| matches!(event, Event::WrongPassword { .. })));
    // nor take it over without the password
    w.clear();
    w.keepalive(elsewhere, NVR);
    assert_eq!(w.response().status, 403);
    assert_eq!(w.server.device(&key()).unwrap().path.unwrap().remote, udp("198.51.100.8:5060").remote);
}

#[test]
fn old_and_foreign_nonces_are_asked_again_without_counting() {
    let mut w = World::new(Config::default());
    let path = udp("198.51.100.8:5060");
    let request = w.device_request(Method::Register, NVR);
    w.take(path, request.clone());
    let challenge = w.response();
    w.wait(secs(301));
    w.take(path, with_password(&request, &challenge, NVR, PASSWORD));
    let stale = w.response();
    assert!(stale.headers.get(&Name::WwwAuthenticate).unwrap().ends_with("stale=true"));
    // a nonce that was made for another device, or in another life of the server
    let mut other = World::new(Config::default());
    other.server = Server::new(Config::default(), [77; 32]);
    other.server.set_platforms(vec![id(PLATFORM)]);
    other.take(path, with_password(&request, &stale, NVR, PASSWORD));
    assert_eq!(other.response().status, 401);
    assert!(other.events.is_empty());
}

#[test]
fn platforms_share_the_listener_and_are_told_apart() {
    let second = "13010000002000000002";
    let mut w = World::new(Config::default());
    w.server.set_platforms(vec![id(PLATFORM), id(second)]);
    w.password = None;
    for (uri, to, platform) in [
        (format!("sip:{second}@10.0.0.1"), NVR.to_owned(), Some(second)),
        (format!("sip:{PLATFORM}@x"), NVR.to_owned(), Some(PLATFORM)),
        // the domain as user (measured), the domain as host only, the platform in To only
        ("sip:1301000000@1301000000".to_owned(), NVR.to_owned(), Some(second)),
        ("sip:1301000000".to_owned(), NVR.to_owned(), Some(second)),
        ("sip:192.0.2.10".to_owned(), PLATFORM.to_owned(), Some(PLATFORM)),
        ("sip:99990000002000000001@9999000000".to_owned(), NVR.to_owned(), None),
        ("sip:192.0.2.10".to_owned(), NVR.to_owned(), None),
    ] {
        let mut request = w.device_request(Method::Register, NVR);
        request.uri = uri.clone();
        request.headers.set(Name::To, format!("<sip:{to}@h>"));
        w.take(udp("198.51.100.8:5060"), request);
        let status = w.response().status;
        match platform {
            Some(platform) => {
                let Event::Registered { device, .. } = w.event() else { panic!("{uri}") };
                assert_eq!((status, device.platform), (200, id(platform)), "{uri}");
                w.server.remove(w.now, &device);
            }
            None => assert_eq!(status, 404, "{uri}"),
        }
        w.drain();
        w.clear();
    }
    // one platform alone takes what names none
    w.server.set_platforms(vec![id(PLATFORM)]);
    let mut request = w.device_request(Method::Register, NVR);
    request.uri = "sip:192.0.2.10:5060".into();
    w.take(udp("198.51.100.8:5060"), request);
    assert_eq!(w.response().status, 200);
}

#[test]
fn the_same_device_id_in_two_groups_is_two_devices() {
    let second = "13010000002000000002";
    let mut w = World::new(Config::default());
    w.server.set_platforms(vec![id(PLATFORM), id(second)]);
    w.password = None;
    for (platform, path) in [(PLATFORM, udp("198.51.100.8:5060")), (second, udp("198.51.100.9:5060"))] {
        let mut request = w.device_request(Method::Register, NVR);
        request.uri = format!("sip:{platform}@h");
        w.take(path, request);
    }
    assert_eq!(w.server.registered(), 2);
    w.clear();
    // a life sign that does not name the platform belongs to the one on that path
    let mut request = w.body(NVR, manscdp::keepalive(Default::default(), 1, NVR, &[]));
    request.uri = "sip:h".into();
    request.headers.set(Name::To, "<sip:h>");
    w.wait(secs(100));
    w.take(udp("198.51.100.9:5060"), request);
    assert_eq!(w.response().status, 200);
    assert_eq!(w.server.device(&DeviceKey { platform: id(second), device: id(NVR) }).unwrap().heard, w.now);
    assert_ne!(w.server.device(&key()).unwrap().heard, w.now);
}

#[test]
fn unregistering_renewing_and_expiring() {
    let mut w = World::new(Config::default());
    let path = udp("198.51.100.8:5060");
    w.register(path, NVR);
    w.password = None;
    let renew = w.device_request(Method::Register, NVR).with(Name::Expires, "60");
    w.take(path, renew);
    assert!(matches!(w.event(), Event::Registered { fresh: Fresh::Renewed, expires: 60, .. }));
    let off = w.device_request(Method::Register, NVR).with(Name::Contact, "<sip:x@h>;expires=0");
    w.take(path, off);
    assert_eq!(w.event(), Event::Offline { device: key(), why: Gone::Unregistered });
    w.clear();
    // not renewed, though its life signs go on
    let on = w.device_request(Method::Register, NVR).with(Name::Expires, "300");
    w.take(path, on);
    w.clear();
    for _ in 0..6 {
        w.wait(secs(50));
        w.keepalive(path, NVR);
    }
    w.wait(secs(60));
    assert_eq!(w.events.pop_back(), Some(Event::Offline { device: key(), why: Gone::Expired }));
    w.clear();
    w.keepalive(path, NVR);
    assert_eq!(w.response().status, 403, "so that it registers again at once");
}

#[test]
fn a_silent_device_is_asked_before_it_is_gone() {
    let mut w = World::new(Config::default());
    let path = udp("198.51.100.8:5060");
    w.register(path, NVR);
    w.wait(secs(179));
    w.quiet();
    w.wait(secs(1));
    let question = w.request(Method::Message);
    // it answers, if only with a refusal: it stays
    w.take(path, reply(&question, 405));
    w.wait(secs(175));
    w.quiet();
    // the next question stays unanswered
    w.wait(secs(20));
    assert!(w.sent.iter().all(|(_, message)| matches!(message, Message::Request(_))));
    assert_eq!(w.events, [Event::Offline { device: key(), why: Gone::Silent }]);
    assert_eq!(w.server.registered(), 0);
}

#[test]
fn a_slow_rhythm_is_learned() {
    let mut w = World::new(Config::default());
    let path = udp("198.51.100.8:5060");
    w.register(path, NVR);
    for _ in 0..3 {
        w.wait(secs(170));
        w.keepalive(path, NVR);
    }
    assert_eq!(w.server.device(&key()).unwrap().interval, secs(170));
    w.clear();
    w.wait(secs(3 * 170 - 10));
    w.quiet();
    // a quick rhythm is not held against a device either
    for _ in 0..3 {
        w.wait(secs(5));
        w.keepalive(path, NVR);
    }
    assert_eq!(w.server.device(&key()).unwrap().interval, secs(60));
}

#[test]
fn nat_may_change_the_port_and_requests_follow() {
    let mut w = World::new(Config::default());
    w.register(udp("198.51.100.8:5060"), NVR);
    w.keepalive(udp("198.51.100.8:40123"), NVR);
    assert_eq!(w.response().status, 200);
    assert!(matches!(w.event(), Event::Moved { .. }));
    w.server.query(w.now, &key(), id(NVR), &manscdp::Query::DeviceInfo).unwrap();
    w.drain();
    assert_eq!(w.sent[0].0.remote.port(), 40123);
    // another address: only where the operator allows it
    w.clear();
    w.keepalive(udp("198.51.100.77:5060"), NVR);
    assert_eq!(w.response().status, 403);
    let mut w = World::new(Config { follow: Follow::Anywhere, ..Config::default() });
    w.register(udp("198.51.100.8:5060"), NVR);
    w.keepalive(udp("198.51.100.77:5060"), NVR);
    assert_eq!(w.response().status, 200);
}

#[test]
fn a_closed_connection_is_offline_unless_the_device_comes_back_soon() {
    let mut w = World::new(Config::default());
    w.register(tcp(7, "198.51.100.8:1000"), NVR);
    w.server.path_lost(w.now, 7);
    w.wait(secs(5));
    w.register(tcp(8, "198.51.100.8:1001"), NVR);
    w.wait(secs(60));
    w.quiet();
    // the old connection's end says nothing about the new one
    w.server.path_lost(w.now, 7);
    w.wait(secs(20));
    w.quiet();
    w.server.path_lost(w.now, 8);
    w.wait(secs(9));
    w.quiet();
    w.wait(secs(1));
    assert_eq!(w.event(), Event::Offline { device: key(), why: Gone::Disconnected });
}

#[test]
fn registrations_from_before_a_restart_are_taken_over_without_a_storm() {
    let mut w = World::new(Config::default());
    let other = DeviceKey { platform: id(PLATFORM), device: id("34020000001180000002") };
    let restored = |key, path| Restored { key, path, expires_in: secs(3000), version: Version::V2016, authenticated: true };
    w.server.restore(w.now, [restored(key(), Some(udp("198.51.100.8:5060"))), restored(other, None)]);
    assert_eq!(w.server.registered(), 2);
    w.wait(secs(60));
    w.keepalive(udp("198.51.100.8:5060"), NVR);
    assert_eq!(w.response().status, 200);
    w.quiet();
    // a refresh is no news; the one that was on TCP and never came back goes after its time, once
    w.register(udp("198.51.100.8:5060"), NVR);
    w.wait(secs(170));
    let events: Vec<_> = w.events.iter().filter(|event| matches!(event, Event::Offline { .. })).collect();
    assert_eq!(events, [&Event::Offline { device: other, why: Gone::Silent }]);
    assert!(w.server.device(&key()).is_some());
}

#[test]
fn faulty_children_are_told_when_they_change() {
    let mut w = World::new(Config::default());
    let path = udp("198.51.100.8:5060");
    w.register(path, NVR);
    for (faulty, told) in [(vec![], false), (vec![id(CHANNEL)], true), (vec![id(CHANNEL)], false), (vec![], true)] {
        let request = w.body(NVR, manscdp::keepalive(Version::V2016, 1, NVR, &faulty));
        w.take(path, request);
        assert_eq!(w.response().status, 200);
        assert_eq!(w.events.pop_front(), told.then_some(Event::Faulty { device: key(), children: faulty }));
    }
}

#[test]
fn a_redirect_and_a_refusal() {
    let mut w = World::new(Config::default());
    for (verdict, status) in [
        (Verdict::Redirect { contact: "sip:34020000002000000002@192.0.2.11:5060".into(), expires: 86_400 }, 302),
        (Verdict::Refuse { status: 403, why: "its group is halted" }, 403),
    ] {
        let request = w.device_request(Method::Register, NVR);
        w.server.receive(w.now, udp("198.51.100.8:5060"), request.into());
        let Some(Output::Event(Event::Ask { ask, .. })) = w.server.poll() else { panic!() };
        w.server.verdict(w.now, ask, verdict);
        w.drain();
        assert_eq!(w.response().status, status);
        w.clear();
    }
}

#[test]
fn a_verdict_that_never_comes_leaves_nothing() {
    let mut w = World::new(Config::default());
    let request = w.device_request(Method::Register, NVR);
    w.server.receive(w.now, udp("198.51.100.8:5060"), request.into());
    let Some(Output::Event(Event::Ask { ask, .. })) = w.server.poll() else { panic!() };
    w.wait(secs(200));
    w.server.verdict(w.now, ask, Verdict::Refuse { status: 403, why: "" });
    w.drain();
    w.quiet();
    assert_eq!(w.server.layer.in_flight(), (0, 0));
}
