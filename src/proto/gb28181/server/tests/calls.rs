//! Calls in every order of events; after each test nothing is left open and every SSRC is back.

use super::*;
use crate::proto::gb28181::mansrtsp::{Command, Reply};
use crate::proto::gb28181::sdp::{Carriage, Description};
use crate::proto::gb28181::ssrc::Ssrc;
use crate::proto::sip::fixtures;

struct Setup {
    w: World,
    path: Path,
    call: CallId,
    invite: Request,
}

fn online(path: Path) -> World {
    let mut w = World::new(Config::default());
    w.register(path, NVR);
    w
}

fn dial_on(path: Path, invite: Invite) -> Setup {
    let mut w = online(path);
    let (call, ssrc) = w.server.invite(w.now, &key(), invite).unwrap();
    w.drain();
    let invite = w.request(Method::Invite);
    assert_eq!(Description::parse(&invite.body).unwrap().ssrc, Some(ssrc));
    Setup { w, path, call, invite }
}

fn dial() -> Setup {
    dial_on(udp("198.51.100.8:5060"), Invite::play(id(CHANNEL), media(), Carriage::Udp))
}

fn answer(invite: &Request) -> Response {
    let sdp = fixtures::response("61_invite_play_200").body;
    ok(invite).with(Name::Contact, format!("<sip:{CHANNEL}@10.0.0.8:5060>")).with_body(crate::proto::gb28181::sdp::TYPE, sdp)
}

impl Setup {
    fn answered() -> Setup {
        let mut s = dial();
        let response = answer(&s.invite);
        s.device(response);
        assert_eq!(s.w.request(Method::Ack).cseq().unwrap().0, 1);
        assert!(matches!(s.w.event(), Event::CallAnswered { .. }));
        s
    }

    fn device(&mut self, message: impl Into<Message>) {
        let path = self.path;
        self.w.take(path, message);
    }

    fn ended(&mut self) -> CallEnd {
        match self.w.event() {
            Event::CallEnded { call, why } if call == self.call => why,
            other => panic!("{other:?}"),
        }
    }

    fn nothing_left(mut self) {
        self.w.server.remove(self.w.now, &key());
        self.w.wait(secs(170));
        assert_eq!((self.w.server.open_calls(), self.w.server.ssrcs_in_use()), (0, 0));
        assert!(!self.w.events.iter().any(|event| matches!(event, Event::CallEnded { .. })), "told twice: {:?}", self.w.events);
        assert!(self.w.server.purposes.is_empty());
        assert!(!self.w.server.trace_of_call(self.call).is_empty());
    }

    fn bye(&mut self) -> Request {
        let bye = self.w.request(Method::Bye);
        self.device(ok(&bye));
        bye
    }
}

#[test]
fn from_invite_to_bye() {
    let mut s = dial();
    assert_eq!(s.invite.uri, format!("sip:{CHANNEL}@198.51.100.8:5060"));
    assert!(s.invite.headers.get(&Name::Subject).unwrap().starts_with(&format!("{CHANNEL}:0000000001,{PLATFORM}:")));
    s.device(reply(&s.invite.clone(), 100));
    s.device(answer(&s.invite.clone()));
    let ack = s.w.request(Method::Ack);
    assert_eq!((ack.uri.as_str(), ack.to().unwrap().tag()), (format!("sip:{CHANNEL}@10.0.0.8:5060").as_str(), "dev"));
    assert_ne!(ack.via().unwrap().branch, s.invite.via().unwrap().branch);
    let Event::CallAnswered { answered, .. } = s.w.event() else { panic!() };
    assert_eq!((answered.ssrc, answered.remote), (Ssrc(200_000_001), "198.51.100.8:15060".parse().unwrap()));
    s.w.server.hang_up(s.w.now, s.call);
    s.w.drain();
    let bye = s.bye();
    assert_eq!((bye.cseq().unwrap().0, bye.call_id()), (2, s.invite.call_id()));
    assert_eq!(s.ended(), CallEnd::HungUp);
    s.nothing_left();
}

#[test]
fn every_repeated_200_is_acknowledged() {
    let mut s = Setup::answered();
    let mut branches = std::collections::HashSet::new();
    for _ in 0..3 {
        s.device(answer(&s.invite.clone()));
        assert!(branches.insert(s.w.request(Method::Ack).via().unwrap().branch));
    }
    s.w.quiet();
    s.w.server.hang_up(s.w.now, s.call);
    s.w.drain();
    // one that crosses the BYE is acknowledged, too, and nothing more
    let bye = s.w.request(Method::Bye);
    s.device(answer(&s.invite.clone()));
    s.w.request(Method::Ack);
    s.device(ok(&bye));
    s.ended();
    s.nothing_left();
}

#[test]
fn a_second_dialog_of_the_same_invite_is_ended() {
    let mut s = Setup::answered();
    let mut other = answer(&s.invite.clone());
    other.headers.set(Name::To, format!("<sip:{CHANNEL}@3402000000>;tag=another"));
    s.device(other);
    assert_eq!(s.w.request(Method::Ack).to().unwrap().tag(), "another");
    let bye = s.w.request(Method::Bye);
    assert_eq!(bye.to().unwrap().tag(), "another");
    s.device(ok(&bye));
    s.w.server.hang_up(s.w.now, s.call);
    s.w.drain();
    s.bye();
    s.ended();
    s.nothing_left();
}

#[test]
fn refused_in_every_way() {
    for status in [302, 400, 403, 404, 415, 486, 488, 500, 603] {
        let mut s = dial();
        s.device(reply(&s.invite.clone(), status));
        assert_eq!(s.w.request(Method::Ack).via(), s.invite.via());
        assert!(matches!(s.ended(), CallEnd::Refused { status: n, .. } if n == status));
        s.nothing_left();
    }
}

#[test]
fn no_answer_then_cancel_then_487() {
    let mut s = dial();
    s.device(reply(&s.invite.clone(), 180));
    s.w.wait(secs(10));
    let cancel = s.w.request(Method::Cancel);
    assert_eq!(s.ended(), CallEnd::Timeout);
    s.device(ok(&cancel));
    s.device(reply(&s.invite.clone(), 487));
    s.w.request(Method::Ack);
    s.nothing_left();
}

#[test]
fn nothing_at_all_comes_back() {
    let mut s = dial();
    s.w.wait(secs(10));
    assert_eq!(s.ended(), CallEnd::Timeout);
    assert!(
        s.w.sent.iter().all(|(_, message)| matches!(message, Message::Request(r) if r.method == Method::Invite)),
        "no CANCEL before a provisional answer"
    );
    s.nothing_left();
}

#[test]
fn a_late_200_is_acknowledged_and_ended() {
    // after the cancel, while the transaction lives
    let mut s = dial();
    s.device(reply(&s.invite.clone(), 100));
    s.w.server.hang_up(s.w.now, s.call);
    s.w.drain();
    s.w.request(Method::Cancel);
    assert_eq!(s.ended(), CallEnd::Cancelled);
    s.device(answer(&s.invite.clone()));
    s.w.request(Method::Ack);
    s.bye();
    s.nothing_left();
    // long after everything is forgotten (Dahua answers when nobody waits any more)
    let mut s = dial();
    s.w.wait(secs(60));
    s.ended();
    s.w.clear();
    assert_eq!(s.w.server.open_calls(), 0);
    s.device(answer(&s.invite.clone()));
    s.w.request(Method::Ack);
    s.bye();
    s.nothing_left();
}

#[test]
fn the_device_hangs_up_crossing_or_not() {
    for crossing in [false, true] {
        let mut s = Setup::answered();
        let bye = s.w.device_request(Method::Bye, CHANNEL);
        let mut bye = bye;
        bye.headers.set(Name::CallId, s.invite.call_id().into_owned());
        if crossing {
            s.w.server.hang_up(s.w.now, s.call);
            s.w.drain();
            s.w.request(Method::Bye);
            assert_eq!(s.ended(), CallEnd::HungUp);
        }
        s.device(bye.clone());
        assert_eq!(s.w.response().status, 200);
        if !crossing {
            assert_eq!(s.ended(), CallEnd::RemoteBye);
            // again with another branch: it is over
            bye.headers.set(Name::Via, "SIP/2.0/UDP 10.0.0.8;branch=z9hG4bKagain");
            s.device(bye);
            assert_eq!(s.w.response().status, 481);
        }
        s.nothing_left();
    }
}

#[test]
fn a_bye_from_somewhere_else_is_refused() {
    let mut s = Setup::answered();
    let mut bye = s.w.device_request(Method::Bye, CHANNEL);
    bye.headers.set(Name::CallId, s.invite.call_id().into_owned());
    s.w.take(udp("203.0.113.9:5060"), bye);
    assert_eq!(s.w.response().status, 481);
    assert!(s.w.events.is_empty());
    s.w.server.hang_up(s.w.now, s.call);
    s.w.drain();
    s.bye();
    s.ended();
    s.nothing_left();
}

#[test]
fn an_answer_without_description_or_tag() {
    let mut s = dial();
    // measured: a simulator's 200 has neither
    let mut bare = ok(&s.invite.clone());
    bare.headers.set(Name::To, format!("<sip:{CHANNEL}@3402000000>"));
    s.device(bare);
    assert_eq!(s.w.request(Method::Ack).to().unwrap().tag(), "");
    let Event::CallAnswered { answered, .. } = s.w.event() else { panic!() };
    assert_eq!((answered.description.clone(), answered.remote.ip()), (None, "198.51.100.8".parse().unwrap()));
    assert!(answered.ssrc.0 > 0);
    s.w.server.hang_up(s.w.now, s.call);
    s.w.drain();
    s.bye();
    s.ended();
    s.nothing_left();
}

#[test]
fn an_answer_with_hardly_a_header() {
    let mut s = dial();
    let mut bare = answer(&s.invite.clone());
    for name in [Name::From, Name::To, Name::CallId] {
        bare.headers.remove(&name);
    }
    s.device(bare);
    s.w.request(Method::Ack);
    assert!(matches!(s.w.event(), Event::CallAnswered { .. }));
    s.w.server.hang_up(s.w.now, s.call);
    s.w.drain();
    s.bye();
    s.ended();
    s.nothing_left();
}

#[test]
fn a_bye_that_nobody_answers() {
    let mut s = Setup::answered();
    s.w.server.hang_up(s.w.now, s.call);
    s.w.drain();
    s.ended();
    s.nothing_left();
}

#[test]
fn the_device_goes_in_any_state() {
    for up in [false, true] {
        let mut s = if up { Setup::answered() } else { dial() };
        s.w.server.remove(s.w.now, &key());
        s.w.drain();
        assert_eq!(s.ended(), CallEnd::DeviceGone);
        assert!(matches!(s.w.event(), Event::Offline { .. }));
        if up {
            s.w.request(Method::Bye);
        }
        s.nothing_left();
    }
}

#[test]
fn over_tcp_and_its_connection_closes() {
    let path = tcp(3, "198.51.100.8:1000");
    let mut s = dial_on(path, Invite::play(id(CHANNEL), media(), Carriage::TcpPassive));
    let offer = String::from_utf8_lossy(&s.invite.body).into_owned();
    assert!(offer.contains("m=video 30000 TCP/RTP/AVP 96 98 97 100\r\n") && offer.contains("a=setup:passive\r\n"));
    assert!(s.invite.via().unwrap().transport == "TCP");
    s.w.server.path_lost(s.w.now, 3);
    s.w.drain();
    assert_eq!(s.ended(), CallEnd::DeviceGone);
    s.w.wait(secs(11));
    assert!(matches!(s.w.event(), Event::Offline { .. }));
    s.nothing_left();
    // up: the call outlives a connection that is replaced
    let mut s = dial_on(path, Invite::play(id(CHANNEL), media(), Carriage::TcpPassive));
    s.device(answer(&s.invite.clone()));
    s.w.clear();
    s.w.server.path_lost(s.w.now, 3);
    s.w.register(tcp(4, "198.51.100.8:1001"), NVR);
    s.w.wait(secs(30));
    s.w.server.hang_up(s.w.now, s.call);
    s.w.drain();
    assert_eq!(s.w.sent[0].0.link, 4);
    s.path = tcp(4, "198.51.100.8:1001");
    s.bye();
    s.ended();
    s.nothing_left();
}

#[test]
fn playback_is_controlled_and_ends_by_itself() {
    let invite = Invite::playback(id(CHANNEL), media(), Carriage::Udp, (1_740_758_400, 1_740_762_000));
    let mut s = dial_on(udp("198.51.100.8:5060"), invite);
    let sdp = Description::parse(&s.invite.body).unwrap();
    assert_eq!((sdp.uri.as_deref(), sdp.time), (Some("34020000001310000001:0"), (1_740_758_400, 1_740_762_000)));
    assert!(!sdp.ssrc.unwrap().is_live());
    s.device(answer(&s.invite.clone()));
    s.w.clear();
    let number = s.w.server.playback(s.w.now, s.call, Command::Seek(100.0)).unwrap();
    s.w.drain();
    let info = s.w.request(Method::Info);
    assert_eq!(info.cseq(), Some((number, Method::Info)));
    assert!(String::from_utf8_lossy(&info.body).contains("Range: npt=100-"));
    s.device(ok(&info).with_body(crate::proto::gb28181::mansrtsp::TYPE, fixtures::response("67_info_seek_200").body));
    let expected = Reply { status: 200, seq: Some(18139), rtptime: Some(3_119_600_838) };
    assert_eq!(s.w.event(), Event::Controlled { call: s.call, number, result: Ok(expected) });
    let number = s.w.server.playback(s.w.now, s.call, Command::Pause).unwrap();
    s.w.drain();
    let info = s.w.request(Method::Info);
    s.device(reply(&info, 501));
    assert_eq!(s.w.event(), Event::Controlled { call: s.call, number, result: Err(501) });
    // the end of the file, signed by whom Hikvision likes
    let mut end = s.w.body("34020000001310000099", manscdp::media_status(Default::default(), 8, NVR));
    end.headers.set(Name::CallId, s.invite.call_id().into_owned());
    s.device(end);
    assert_eq!(s.w.response().status, 200);
    assert_eq!(s.w.event(), Event::CallFinished { call: s.call });
    // the rest of the media is awaited; said twice it is told once
    s.w.quiet();
    let again = s.w.body(NVR, manscdp::media_status(Default::default(), 9, NVR));
    s.device(again);
    s.w.response();
    s.w.quiet();
    s.w.server.hang_up(s.w.now, s.call);
    s.w.drain();
    s.bye();
    assert_eq!(s.ended(), CallEnd::Finished);
    assert!(s.w.server.playback(s.w.now, s.call, Command::Pause).is_err());
    s.nothing_left();
}

#[test]
fn the_end_of_a_file_outside_of_its_dialog() {
    let invite = Invite::playback(id(CHANNEL), media(), Carriage::Udp, (1, 2));
    let mut s = dial_on(udp("198.51.100.8:5060"), invite);
    s.device(answer(&s.invite.clone()));
    s.w.clear();
    let end = s.w.body(NVR, manscdp::media_status(Default::default(), 8, CHANNEL));
    s.device(end);
    s.w.response();
    assert_eq!(s.w.event(), Event::CallFinished { call: s.call });
    s.w.quiet();
    // nobody hangs up: it is done for him
    s.w.wait(secs(4));
    s.bye();
    assert_eq!(s.ended(), CallEnd::Finished);
    s.nothing_left();
}

#[test]
fn ssrcs_do_not_leak_and_run_out_in_order() {
    let mut w = online(udp("198.51.100.8:5060"));
    let mut calls = Vec::new();
    for _ in 0..300 {
        calls.push(w.server.invite(w.now, &key(), Invite::play(id(CHANNEL), media(), Carriage::Udp)).unwrap().0);
    }
    assert_eq!(w.server.ssrcs_in_use(), 300);
    w.server.remove(w.now, &key());
    w.drain();
    w.wait(secs(60));
    assert_eq!((w.server.ssrcs_in_use(), w.server.open_calls()), (0, 0));
    assert_eq!(w.server.invite(w.now, &key(), Invite::play(id(CHANNEL), media(), Carriage::Udp)), Err(Unanswered::Offline));
}

#[test]
fn voice_from_broadcast_to_bye() {
    let path = udp("198.51.100.8:5060");
    let mut w = online(path);
    let source = "34020000001360000001";
    let query = w.server.broadcast(w.now, &key(), id(source), id("34020000001370000001")).unwrap();
    w.drain();
    let notify = w.request(Method::Message);
    let body = manscdp::Body::parse(&notify.body).unwrap();
    w.take(path, ok(&notify));
    let answer = manscdp::result(Default::default(), &manscdp::Cmd::Broadcast, body.sn, "34020000001370000001", true);
    let answer = w.body(NVR, answer);
    w.take(path, answer);
    w.response();
    assert!(matches!(w.event(), Event::Answered { query: of, answer: Ok(_), .. } if of == query));
    // the output itself calls, not the device that registered
    let invite = fixtures::request("82_broadcast_invite");
    w.take(path, invite.clone());
    assert_eq!(w.response().status, 100);
    let Event::VoiceInvited { call, device, source: wanted, offer } = w.event() else { panic!() };
    assert_eq!((device, wanted, offer.audio, offer.port), (key(), Some(id(source)), true, 15070));
    let ssrc = w.server.accept_voice(w.now, call, "192.0.2.20:30010".parse().unwrap(), None).unwrap();
    w.drain();
    let answer = w.response();
    let mut theirs = Description::parse(&fixtures::response("83_broadcast_200").body).unwrap();
    let ours = Description::parse(&answer.body).unwrap();
    (theirs.owner, theirs.ssrc) = (PLATFORM.into(), Some(ssrc));
    assert_eq!((answer.status, ours), (200, theirs));
    let tag = answer.to().unwrap().tag().to_owned();
    let mut ack = invite.clone();
    ack.method = Method::Ack;
    ack.headers.set(Name::CSeq, "20 ACK");
    w.take(path, ack);
    let Event::CallAnswered { answered, .. } = w.event() else { panic!() };
    assert_eq!(answered.remote, "198.51.100.8:15070".parse().unwrap());
    w.server.hang_up(w.now, call);
    w.drain();
    let bye = w.request(Method::Bye);
    assert_eq!((bye.from().unwrap().tag(), bye.to().unwrap().tag()), (tag.as_str(), "bcd"));
    w.take(path, ok(&bye));
    assert!(matches!(w.event(), Event::CallEnded { why: CallEnd::HungUp, .. }));
    assert_eq!((w.server.open_calls(), w.server.ssrcs_in_use()), (0, 0));
}

#[test]
fn voice_that_is_cancelled_refused_or_never_acknowledged() {
    let path = udp("198.51.100.8:5060");
    let mut w = online(path);
    let invite = fixtures::request("82_broadcast_invite");
    // nobody answers it
    w.take(path, invite.clone());
    w.clear();
    w.wait(secs(21));
    assert_eq!(w.response().status, 480);
    assert!(matches!(w.event(), Event::CallEnded { .. }));
    // taken back
    let mut again = invite.clone();
    again.headers.set(Name::CallId, "two");
    w.take(path, again.clone());
    w.clear();
    let mut cancel = again.clone();
    cancel.method = Method::Cancel;
    cancel.headers.set(Name::CSeq, "20 CANCEL");
    w.take(path, cancel);
    assert_eq!((w.response().status, w.response().status), (200, 487));
    assert!(matches!(w.event(), Event::CallEnded { why: CallEnd::Cancelled, .. }));
    // our 200 stays without ACK
    again.headers.set(Name::CallId, "three");
    w.take(path, again);
    let Event::VoiceInvited { call, .. } = w.event() else { panic!() };
    w.server.accept_voice(w.now, call, media(), None).unwrap();
    w.drain();
    w.clear();
    w.wait(secs(11));
    assert!(w.sent.iter().any(|(_, message)| matches!(message, Message::Request(r) if r.method == Method::Bye)));
    assert!(matches!(w.event(), Event::CallEnded { why: CallEnd::Unacked, .. }));
    w.wait(secs(60));
    assert_eq!((w.server.open_calls(), w.server.ssrcs_in_use()), (0, 0));
    // without a description, and from a stranger
    let mut bare = invite.clone();
    bare.headers.set(Name::CallId, "four");
    bare.body = bytes::Bytes::new();
    w.clear();
    w.keepalive(path, NVR);
    w.clear();
    w.take(path, bare);
    assert_eq!(w.response().status, 488);
    let mut stranger = invite;
    stranger.headers.set(Name::CallId, "five");
    w.take(udp("203.0.113.9:1"), stranger);
    assert_eq!(w.response().status, 403);
}
