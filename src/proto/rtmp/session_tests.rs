//! Both sides of a session: against each other in memory, and each against an independent implementation (rml_rtmp).

use super::chunk::{self, Head, Limits};
use super::client::{Client, Event as Heard, Role};
use super::message::{Message, kind};
use super::server::{Event, Refusal, Server, wire};
use super::{Error, OUT_CHUNK, Url, stream_over};
use crate::base::amf0::{self, Value};
use bytes::{Bytes, BytesMut};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::*;

const LIMITS: Limits = Limits { message: 1 << 20, streams: 32, partial: 2 << 20 };

/// A client and a server with the network between them: bytes come in pieces of `cut`.
struct Pair {
    client: Client,
    server: Server,
    cut: usize,
    heard: Vec<Heard>,
    seen: Vec<Event>,
}

impl Pair {
    fn new(role: Role, cut: usize) -> Pair {
        let url = Url::parse("rtmp://example.com/live/camera?token=1").unwrap();
        Pair { client: Client::new(url, role, LIMITS, 1), server: Server::new(2), cut, heard: Vec::new(), seen: Vec::new() }
    }

    /// Carries bytes both ways until neither side has anything to say.
    fn settle(&mut self) {
        loop {
            let (up, down) = (self.client.output(), self.server.output());
            if up.is_empty() && down.is_empty() {
                return;
            }
            for mut piece in up.chunks(self.cut) {
                while let Some(event) = self.server.next(&mut piece).unwrap() {
                    self.seen.push(event);
                }
            }
            for mut piece in down.chunks(self.cut) {
                while let Some(event) = self.client.next(&mut piece).unwrap() {
                    self.heard.push(event);
                }
            }
        }
    }
}

#[test]
fn a_client_publishes_to_a_server() {
    for cut in [1, 7, 1000, 100_000] {
        let mut pair = Pair::new(Role::Publish, cut);
        pair.settle();
        let [Event::Publish(target)] = &pair.seen[..] else { panic!("{:?}", pair.seen) };
        assert_eq!((target.app.as_str(), target.name.as_str(), target.query.as_str()), ("live", "camera", "token=1"));
        assert!(target.fourcc.contains(&"hvc1".to_owned()));
        pair.server.start_publish(LIMITS);
        pair.settle();
        assert_eq!(pair.heard, [Heard::Started]);
        let big = vec![9; 3 * OUT_CHUNK + 5];
        pair.client.send(kind::VIDEO, 0x0100_0000, [&[0x17], &big]);
        pair.client.send(kind::AUDIO, 0x0100_0005, [&[0xaf], &[1, 2]]);
        pair.client.stop();
        pair.settle();
        let media: Vec<_> = pair.seen[1..3].iter().map(|e| matches!(e, Event::Media(m) if m.stream == 1).then_some(e)).collect();
        assert!(media.iter().all(Option::is_some));
        let Event::Media(video) = &pair.seen[1] else { panic!() };
        assert_eq!((video.timestamp, video.data.len()), (0x0100_0000, big.len() + 1));
        assert_eq!(pair.seen[3..], [Event::Stop]);
    }
}

#[test]
fn a_client_plays_from_a_server() {
    for cut in [1, 13, 100_000] {
        let mut pair = Pair::new(Role::Play, cut);
        pair.settle();
        assert!(matches!(&pair.seen[..], [Event::Play(t)] if t.name == "camera" && t.query == "token=1"));
        pair.server.start_play();
        pair.settle();
        assert_eq!(pair.heard[0], Heard::Started);
        let payload: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        let bytes =
            [wire(kind::VIDEO, 40, [&[0x27, 1, 0, 0, 0], &payload]), wire(kind::AUDIO, u32::MAX, [&[0xaf, 1], &[7]]), stream_over()]
                .concat();
        for mut piece in bytes.chunks(cut) {
            while let Some(event) = pair.client.next(&mut piece).unwrap() {
                pair.heard.push(event);
            }
        }
        let media: Vec<&Message> = pair.heard.iter().filter_map(|e| if let Heard::Media(m) = e { Some(m) } else { None }).collect();
        let video = media.iter().find(|m| m.kind == kind::VIDEO).unwrap();
        assert_eq!((video.timestamp, &video.data[5..]), (40, &payload[..]));
        assert_eq!(media.last().unwrap().timestamp, u32::MAX);
        assert_eq!(pair.heard.last(), Some(&Heard::Ended));
        // What came in was acknowledged at least when it passed the window.
        pair.client.stop();
        pair.settle();
        assert_eq!(pair.seen.last(), Some(&Event::Stop));
    }
}

#[test]
fn refusals_reach_the_client_in_words() {
    for (role, why, code) in [
        (Role::Publish, Refusal::BadName, "NetStream.Publish.BadName taken"),
        (Role::Publish, Refusal::Denied, "NetStream.Publish.Denied taken"),
        (Role::Play, Refusal::NotFound, "NetStream.Play.StreamNotFound taken"),
        (Role::Play, Refusal::Denied, "NetStream.Play.Failed taken"),
    ] {
        let mut pair = Pair::new(role, 1000);
        pair.settle();
        pair.server.refuse(why, "taken");
        pair.settle();
        assert_eq!(pair.heard, [Heard::Refused(code.to_owned())]);
    }
}

/// A server that is past the handshake, and a function to talk to it.
fn open_server() -> Server {
    let mut server = Server::new(0);
    let mut hello = vec![3];
    hello.extend([0; 3072]);
    assert_eq!(server.next(&mut &hello[..]), Ok(None));
    assert!(server.is_open());
    server.output();
    server
}

fn command(kind: u8, values: &[Value]) -> Bytes {
    let mut payload = BytesMut::new();
    if kind == kind::COMMAND3 {
        payload.extend_from_slice(&[0]);
    }
    payload.extend_from_slice(&amf0::encode(values));
    chunk::whole(128, 3, Head { kind, timestamp: 0, stream: 0 }, &payload)
}

fn say(server: &mut Server, values: &[Value]) -> Result<Option<Event>, Error> {
    server.next(&mut &command(kind::COMMAND, values)[..])
}

fn connect(app: &str, tc_url: &str) -> Vec<Value> {
    vec!["connect".into(), Value::Number(1.0), Value::object([("app", app.into()), ("tcUrl", tc_url.into())])]
}

fn publish(name: &str) -> Vec<Value> {
    vec!["publish".into(), Value::Number(0.0), Value::Null, name.into()]
}

#[test]
fn the_target_is_found_wherever_clients_put_it() {
    let cases = [
        ("live", "rtmp://h/live", "a?k=1", ("live", "a", "k=1")),
        ("live?k=1", "rtmp://h/live?k=1", "a", ("live", "a", "k=1")),
        ("live", "rtmp://h/live?k=1", "a?x=2", ("live", "a", "x=2&k=1")),
        ("live/inst", "rtmp://h/live/inst", "a", ("live", "inst/a", "")),
        ("live/", "rtmp://h/live/", "/a", ("live", "a", "")),
        ("", "", "live/a", ("", "live/a", "")),
        ("live", "", "", ("live", "", "")),
    ];
    for (app, tc_url, name, (want_app, want_name, query)) in cases {
        let mut server = open_server();
        assert_eq!(say(&mut server, &connect(app, tc_url)), Ok(None));
        let Ok(Some(Event::Publish(target))) = say(&mut server, &publish(name)) else { panic!("{app} {name}") };
        assert_eq!((target.app.as_str(), target.name.as_str(), target.query.as_str()), (want_app, want_name, query), "{app} {name}");
    }
}

#[test]
fn commands_in_amf3_clothing_are_understood() {
    let mut server = open_server();
    assert_eq!(server.next(&mut &command(kind::COMMAND3, &connect("live", ""))[..]), Ok(None));
    assert!(matches!(server.next(&mut &command(kind::COMMAND3, &publish("a"))[..]), Ok(Some(Event::Publish(_)))));
    server.start_publish(LIMITS);
    let data = chunk::whole(128, 5, Head { kind: kind::DATA3, timestamp: 0, stream: 1 }, b"\0\x02\0\x0aonMetaData");
    let Ok(Some(Event::Media(message))) = server.next(&mut &data[..]) else { panic!() };
    assert_eq!((message.kind, &message.data[..]), (kind::DATA, &b"\x02\0\x0aonMetaData"[..]));
}

#[test]
fn aggregates_come_apart_and_control_messages_stay_inside() {
    let mut server = open_server();
    say(&mut server, &connect("live", "")).unwrap();
    say(&mut server, &publish("a")).unwrap();
    server.start_publish(LIMITS);
    let mut payload = Vec::new();
    for (kind, time) in [(8u8, 100u8), (20, 110), (9, 140)] {
        payload.extend([kind, 0, 0, 1, 0, 0, time, 0, 0, 0, 0, 0xaa, 0, 0, 0, 12]);
    }
    let bytes = chunk::whole(128, 6, Head { kind: kind::AGGREGATE, timestamp: 1000, stream: 1 }, &payload);
    let mut input = &bytes[..];
    let mut got = Vec::new();
    while let Some(Event::Media(m)) = server.next(&mut input).unwrap() {
        got.push((m.kind, m.timestamp));
    }
    assert_eq!(got, [(8, 1000), (9, 1040)], "a command inside is not obeyed");
}

#[test]
fn what_is_out_of_order_ends_the_session() {
    let mut server = open_server();
    assert!(matches!(say(&mut server, &publish("a")), Err(Error::Order(_))), "publish before connect");
    let mut server = open_server();
    say(&mut server, &connect("live", "")).unwrap();
    assert!(matches!(say(&mut server, &connect("live", "")), Err(Error::Order(_))), "a second connect");
    let mut server = open_server();
    say(&mut server, &connect("live", "")).unwrap();
    say(&mut server, &publish("a")).unwrap();
    assert!(matches!(say(&mut server, &publish("b")), Err(Error::Order(_))), "a second publish");
    let mut server = open_server();
    say(&mut server, &connect("live", "")).unwrap();
    let end = (0..100).find_map(|_| say(&mut server, &["createStream".into(), Value::Number(2.0), Value::Null]).err());
    assert!(matches!(end, Some(Error::Chatter(_))), "endless commands");
}

/// The defects that other implementations have had, each as the message that shows it.
#[test]
fn hostile_commands_before_connect() {
    // A command of one value, of two, of none, with a name that is no text.
    assert_eq!(say(&mut open_server(), &["connect".into()]), Ok(None));
    assert_eq!(say(&mut open_server(), &["createStream".into(), Value::Number(1.0)]), Err(Error::Order("createStream")));
    assert_eq!(say(&mut open_server(), &[]), Err(Error::Nameless));
    assert_eq!(say(&mut open_server(), &[Value::Number(1.0)]), Err(Error::Nameless));
    // 5,000 levels of objects before anybody was let in.
    let mut deep = amf0::encode(&["connect".into(), Value::Number(1.0)]).to_vec();
    deep.extend(b"\x03\0\x01a".repeat(5_000));
    let bytes = chunk::whole(128, 3, Head { kind: kind::COMMAND, timestamp: 0, stream: 0 }, &deep);
    assert!(matches!(open_server().next(&mut &bytes[..]), Err(Error::Command { why: amf0::Error::Deep, .. })));
    // @setDataFrame alone, media before publish, an empty AMF3 command.
    let alone = amf0::encode(&["@setDataFrame".into()]);
    for (kind, payload) in [(kind::DATA, &alone[..]), (kind::VIDEO, &[0x17]), (kind::DATA3, &[])] {
        let bytes = chunk::whole(128, 4, Head { kind, timestamp: 0, stream: 1 }, payload);
        assert_eq!(open_server().next(&mut &bytes[..]), Ok(None));
    }
    let empty = chunk::whole(128, 3, Head { kind: kind::COMMAND3, timestamp: 0, stream: 0 }, &[]);
    assert_eq!(open_server().next(&mut &empty[..]), Err(Error::Nameless));
    // A message as large as the format allows, before anybody was let in.
    let head = [3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0, 2];
    assert!(matches!(open_server().next(&mut &head[..]), Err(Error::Chunk(chunk::Error::Long { .. }))));
}

#[test]
fn pings_are_answered_and_bytes_acknowledged_with_the_running_total() {
    let mut server = open_server();
    let window = chunk::whole(128, 2, Head { kind: kind::WINDOW, timestamp: 0, stream: 0 }, &20_000_u32.to_be_bytes());
    server.next(&mut &window[..]).unwrap();
    let ping = chunk::whole(128, 2, Head { kind: kind::USER, timestamp: 0, stream: 0 }, &[0, 6, 1, 2, 3, 4]);
    server.next(&mut &ping[..]).unwrap();
    assert_eq!(server.output()[12..], [0, 7, 1, 2, 3, 4]);
    say(&mut server, &connect("live", "")).unwrap();
    say(&mut server, &publish("a")).unwrap();
    server.start_publish(LIMITS);
    server.output();
    let mut totals = Vec::new();
    let mut sent = 0;
    for _ in 0..10 {
        let bytes = chunk::whole(128, 6, Head { kind: kind::VIDEO, timestamp: 0, stream: 1 }, &[0; 9_000]);
        sent += bytes.len() as u32;
        let mut input = &bytes[..];
        while server.next(&mut input).unwrap().is_some() {}
        let out = server.output();
        if !out.is_empty() {
            assert_eq!((out[7], out.len()), (kind::ACK, 16));
            totals.push(u32::from_be_bytes(out[12..].try_into().unwrap()));
        }
    }
    assert!(totals.len() >= 3 && totals.windows(2).all(|w| w[1] - w[0] >= 20_000), "{totals:?}");
    assert!(*totals.last().unwrap() <= sent + 1_000, "the total, not a sum of sums");
}

#[test]
fn a_player_pauses_seeks_and_asks_for_more() {
    let mut pair = Pair::new(Role::Play, 4096);
    pair.settle();
    pair.server.start_play();
    pair.settle();
    let mut tell = |name: &str, argument: Value| {
        let bytes = {
            let payload = amf0::encode(&[name.into(), Value::Number(7.0), Value::Null, argument]);
            chunk::whole(OUT_CHUNK, 3, Head { kind: kind::COMMAND, timestamp: 0, stream: 1 }, &payload)
        };
        let event = pair.server.next(&mut &bytes[..]).unwrap();
        (event, String::from_utf8_lossy(&pair.server.output()).into_owned())
    };
    let (event, out) = tell("pause", Value::Boolean(true));
    assert!(event == Some(Event::Pause(true)) && out.contains("NetStream.Pause.Notify"));
    let (event, out) = tell("pause", Value::Boolean(false));
    assert!(event == Some(Event::Pause(false)) && out.contains("NetStream.Unpause.Notify"));
    let (event, out) = tell("seek", Value::Number(1000.0));
    assert!(event.is_none() && out.contains("NetStream.Seek.Failed"));
    let (event, out) = tell("getStreamLength", Value::text("a"));
    assert!(event.is_none() && out.contains("_result"));
    let (event, out) = tell("somethingElse", Value::Null);
    assert!(event.is_none() && out.contains("NetConnection.Call.Failed"));
    assert_eq!(tell("deleteStream", Value::Number(1.0)).0, Some(Event::Stop));
}

/// rml's handshake against one of ours; returns what rml has to say first.
fn rml_handshake(peer: PeerType, mut exchange: impl FnMut(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut handshake = Handshake::new(peer);
    let mut to_us = handshake.generate_outbound_p0_and_p1().unwrap();
    for _ in 0..4 {
        let reply = exchange(&to_us);
        match handshake.process_bytes(&reply).unwrap() {
            HandshakeProcessResult::InProgress { response_bytes } => to_us = response_bytes,
            HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                let more = exchange(&response_bytes);
                return [remaining_bytes, more].concat();
            }
        }
    }
    panic!("the handshake does not end");
}

#[test]
fn an_independent_client_publishes_to_our_server() {
    let mut server = Server::new(5);
    let talk = |server: &mut Server, mut bytes: &[u8]| {
        let mut events = Vec::new();
        while let Some(event) = server.next(&mut bytes).unwrap() {
            events.push(event);
        }
        (events, server.output().to_vec())
    };
    let first = rml_handshake(PeerType::Client, |bytes| talk(&mut server, bytes).1);
    let (mut rml, initial) = ClientSession::new(ClientSessionConfig::new()).unwrap();
    let mut incoming = first;
    let mut queue = initial;
    queue.push(rml.request_connection("live".to_owned()).unwrap());
    let mut media = Vec::new();
    let mut accepted = false;
    for _ in 0..20 {
        queue.extend(rml.handle_input(&std::mem::take(&mut incoming)).unwrap());
        let mut outgoing = Vec::new();
        for result in std::mem::take(&mut queue) {
            match result {
                ClientSessionResult::OutboundResponse(packet) => outgoing.extend(packet.bytes),
                ClientSessionResult::RaisedEvent(ClientSessionEvent::ConnectionRequestAccepted) => {
                    queue.push(rml.request_publishing("camera".to_owned(), PublishRequestType::Live).unwrap());
                }
                ClientSessionResult::RaisedEvent(ClientSessionEvent::PublishRequestAccepted) => {
                    accepted = true;
                    let video = vec![0x27; 10_000];
                    queue.push(rml.publish_video_data(video.into(), rml_rtmp::time::RtmpTimestamp::new(40), false).unwrap());
                    queue.push(rml.publish_audio_data(vec![0xaf, 1, 2].into(), rml_rtmp::time::RtmpTimestamp::new(41), false).unwrap());
                    queue.extend(rml.stop_publishing().unwrap());
                }
                _ => {}
            }
        }
        let (events, reply) = talk(&mut server, &outgoing);
        incoming.extend(reply);
        for event in events {
            match event {
                Event::Publish(target) => {
                    assert_eq!((target.app.as_str(), target.name.as_str()), ("live", "camera"));
                    server.start_publish(LIMITS);
                    incoming.extend(server.output());
                }
                other => media.push(other),
            }
        }
    }
    assert!(accepted);
    assert!(
        matches!(&media[..], [Event::Media(v), Event::Media(a), Event::Stop] if v.data.len() == 10_000 && v.timestamp == 40 && a.timestamp == 41),
        "{media:?}"
    );
}

#[test]
fn our_client_plays_from_an_independent_server() {
    let url = Url::parse("rtmp://h/live/camera").unwrap();
    let mut client = Client::new(url, Role::Play, LIMITS, 3);
    let mut heard = Vec::new();
    let mut talk = |client: &mut Client, mut bytes: &[u8]| {
        while let Some(event) = client.next(&mut bytes).unwrap() {
            heard.push(event);
        }
        client.output().to_vec()
    };
    let hello = client.output().to_vec();
    let mut pending = Some(hello);
    let first = rml_handshake(PeerType::Server, |bytes| {
        let mut reply = pending.take().unwrap_or_default();
        reply.extend(talk(&mut client, bytes));
        reply
    });
    let mut config = ServerSessionConfig::new();
    config.window_ack_size = 30_000;
    let (mut rml, initial) = ServerSession::new(config).unwrap();
    let mut queue = initial;
    let mut incoming = first;
    for _ in 0..20 {
        queue.extend(rml.handle_input(&std::mem::take(&mut incoming)).unwrap());
        let mut outgoing = Vec::new();
        for result in std::mem::take(&mut queue) {
            match result {
                ServerSessionResult::OutboundResponse(packet) => outgoing.extend(packet.bytes),
                ServerSessionResult::RaisedEvent(ServerSessionEvent::ConnectionRequested { request_id, app_name }) => {
                    assert_eq!(app_name, "live");
                    queue.extend(rml.accept_request(request_id).unwrap());
                }
                ServerSessionResult::RaisedEvent(ServerSessionEvent::PlayStreamRequested { request_id, stream_key, stream_id, .. }) => {
                    assert_eq!(stream_key, "camera");
                    queue.extend(rml.accept_request(request_id).unwrap());
                    let video = vec![0x27; 50_000];
                    let packet = rml.send_video_data(stream_id, video.into(), rml_rtmp::time::RtmpTimestamp::new(40), false).unwrap();
                    queue.push(ServerSessionResult::OutboundResponse(packet));
                }
                ServerSessionResult::RaisedEvent(ServerSessionEvent::AcknowledgementReceived { bytes_received }) => {
                    assert!(bytes_received >= 30_000);
                    let packet = rml.finish_playing(1).unwrap();
                    queue.push(ServerSessionResult::OutboundResponse(packet));
                }
                _ => {}
            }
        }
        incoming.extend(talk(&mut client, &outgoing));
    }
    assert_eq!(heard[0], Heard::Started);
    let media: Vec<_> =
        heard.iter().filter_map(|e| if let Heard::Media(m) = e { Some((m.kind, m.timestamp, m.data.len())) } else { None }).collect();
    assert!(media.contains(&(kind::VIDEO, 40, 50_000)), "{media:?}");
}
