//! Subscriptions and what they bring.

use super::*;
use crate::proto::sip::fixtures;

fn online() -> (World, Path) {
    let mut w = World::new(Config::default());
    let path = udp("198.51.100.8:5060");
    w.register(path, NVR);
    (w, path)
}

fn accept(w: &mut World, path: Path) -> Request {
    let request = w.request(Method::Subscribe);
    let answer = ok(&request).with(Name::Expires, "600").with(Name::Contact, format!("<sip:{NVR}@10.0.0.8:5060>"));
    w.take(path, answer);
    request
}

#[test]
fn made_renewed_in_the_same_dialog_and_ended() {
    let (mut w, path) = online();
    w.server.subscribe(w.now, &key(), Subscription::Catalog);
    w.drain();
    let first = accept(&mut w, path);
    assert!(first.headers.get(&Name::Event).unwrap().starts_with("Catalog;id="));
    assert_eq!(first.headers.get(&Name::Expires).unwrap(), "600");
    assert!(first.headers.raw(&Name::Contact).is_some());
    assert_eq!(w.event(), Event::Subscribed { device: key(), kind: SubscriptionKind::Catalog, accepted: Ok(()) });
    // asked for again: nothing to do
    w.server.subscribe(w.now, &key(), Subscription::Catalog);
    w.drain();
    w.quiet();
    for _ in 0..8 {
        w.wait(secs(60));
        w.keepalive(path, NVR);
    }
    w.sent.retain(|(_, message)| matches!(message, Message::Request(_)));
    let second = accept(&mut w, path);
    assert_eq!((second.call_id(), second.to().unwrap().tag()), (first.call_id(), "dev"));
    assert!(second.cseq().unwrap().0 > first.cseq().unwrap().0);
    w.clear();
    w.server.unsubscribe(w.now, &key(), SubscriptionKind::Catalog);
    w.drain();
    let last = w.request(Method::Subscribe);
    assert_eq!((last.call_id(), last.headers.get(&Name::Expires).unwrap().as_ref()), (first.call_id(), "0"));
}

#[test]
fn notifications_whatever_their_tags() {
    let (mut w, path) = online();
    for (name, check) in [
        ("51_notify_catalog", "changes"),
        ("54_notify_position_2022", "positions"),
        ("55_notify_position_2016", "positions"),
        ("57_notify_alarm", "alarm"),
    ] {
        w.take(path, fixtures::request(name));
        assert_eq!(w.response().status, 200, "{name}");
        let found = match w.event() {
            Event::Changes { items, .. } => (items.len(), "changes"),
            Event::Positions { positions, .. } => (positions.len(), "positions"),
            Event::Alarm { .. } => (1, "alarm"),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, (1, check), "{name}");
        w.clear();
    }
    // from nobody that we know
    let mut stranger = fixtures::request("51_notify_catalog");
    stranger.headers.set(Name::From, "<sip:34020000001180000099@3402000000>;tag=x");
    stranger.headers.set(Name::CallId, "elsewhere");
    w.take(udp("203.0.113.1:5060"), stranger);
    assert_eq!(w.response().status, 403);
}

#[test]
fn another_event_name_is_tried_once() {
    let (mut w, path) = online();
    w.server.subscribe(w.now, &key(), Subscription::Position { interval: 5 });
    w.drain();
    let first = w.request(Method::Subscribe);
    assert_eq!(first.headers.get(&Name::Event).unwrap(), "presence");
    w.take(path, reply(&first, 489));
    let second = w.request(Method::Subscribe);
    assert_eq!(second.headers.get(&Name::Event).unwrap(), "MobilePosition");
    w.take(path, reply(&second, 489));
    assert_eq!(w.event(), Event::Subscribed { device: key(), kind: SubscriptionKind::Position, accepted: Err(489) });
    w.wait(secs(170));
    w.quiet();
}

#[test]
fn lost_ended_and_forgotten_subscriptions_are_made_again() {
    let (mut w, path) = online();
    w.server.subscribe(w.now, &key(), Subscription::Alarm { method: 0 });
    w.drain();
    let first = accept(&mut w, path);
    w.clear();
    // the device ends it
    let mut ended = fixtures::request("57_notify_alarm");
    ended.headers.set(Name::CallId, first.call_id().into_owned());
    ended.headers.set(Name::SubscriptionState, "terminated;reason=timeout");
    ended.body = bytes::Bytes::new();
    w.take(path, ended);
    assert_eq!(w.response().status, 200);
    w.wait(secs(61));
    let again = accept(&mut w, path);
    assert_ne!(again.call_id(), first.call_id());
    w.clear();
    // the device restarts and registers from elsewhere
    w.register(udp("198.51.100.8:6000"), NVR);
    assert!(w.sent.is_empty(), "the first message after a registration was thrown away with it");
    w.server.subscribe(w.now, &key(), Subscription::Alarm { method: 0 });
    w.drain();
}

#[test]
fn a_restart_of_the_device_subscribes_again() {
    let (mut w, path) = online();
    w.server.subscribe(w.now, &key(), Subscription::Catalog);
    w.drain();
    accept(&mut w, path);
    w.clear();
    w.password = None;
    let elsewhere = udp("198.51.100.8:6000");
    let register = w.device_request(Method::Register, NVR);
    w.take(elsewhere, register);
    assert_eq!(w.response().status, 200);
    assert!(matches!(w.event(), Event::Registered { fresh: Fresh::Again, .. }));
    let again = w.request(Method::Subscribe);
    assert_eq!(again.to().unwrap().tag(), "");
    // no answer at all: tried again later, while the device lives
    for _ in 0..2 {
        w.wait(secs(50));
        w.keepalive(elsewhere, NVR);
    }
    assert!(
        w.sent
            .iter()
            .filter(|(_, m)| matches!(m, Message::Request(r) if r.method == Method::Subscribe && r.call_id() != again.call_id()))
            .count()
            > 0
    );
}
