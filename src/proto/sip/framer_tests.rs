//! Framing and parsing: every message of the fixtures, then what devices and attackers do to them.

use super::*;
use crate::proto::sip::header::Name;
use crate::proto::sip::{Method, Request, fixtures};
use proptest::prelude::*;

fn one(bytes: &'static [u8]) -> Message {
    datagram(&Bytes::from_static(bytes)).unwrap().unwrap()
}

fn request(bytes: &'static [u8]) -> Request {
    match one(bytes) {
        Message::Request(request) => request,
        Message::Response(response) => panic!("{response:?}"),
    }
}

#[test]
fn every_fixture_is_read_and_written_back_byte_for_byte() {
    let names = fixtures::names();
    assert_eq!(names.len(), 101);
    for name in names {
        let bytes = fixtures::bytes(&name);
        let message = datagram(&bytes).unwrap().unwrap();
        assert_eq!(message.to_bytes(), bytes, "{name}");
        assert!(message.headers().raw(&Name::CallId).is_some(), "{name}");
    }
}

#[test]
fn an_independent_parser_agrees() {
    for name in fixtures::names() {
        let message = fixtures::message(&name);
        match message {
            Message::Request(request) => {
                let theirs = rsip::Request::try_from(request.to_bytes().to_vec()).unwrap();
                assert_eq!(theirs.method.to_string(), request.method.as_str(), "{name}");
                assert_eq!(theirs.uri.auth.as_ref().map(|auth| auth.user.as_str()), Some(request.user()), "{name}");
                assert_eq!(theirs.body, request.body, "{name}");
            }
            Message::Response(response) => {
                let theirs = rsip::Response::try_from(response.to_bytes().to_vec()).unwrap();
                assert_eq!(u16::from(theirs.status_code.clone()), response.status, "{name}");
                assert_eq!(theirs.body, response.body, "{name}");
            }
        }
    }
}

#[test]
fn a_stream_of_all_fixtures_in_pieces_of_every_size() {
    let all: Vec<_> = fixtures::names().iter().map(|name| fixtures::bytes(name)).collect();
    for piece in [1, 7, 1460, 1 << 20] {
        let stream = all.concat();
        let mut framer = Framer::default();
        let mut got = Vec::new();
        for part in stream.chunks(piece) {
            framer.push(part);
            while let Some(message) = framer.pull().unwrap() {
                got.push(message.to_bytes());
            }
        }
        assert_eq!(got, all, "pieces of {piece}");
        assert_eq!(framer.skipped(), 0);
    }
}

#[test]
fn compact_folded_and_odd_white_space() {
    let message = request(
        b"message   sip:3402@h  SIP/2.0\nv : SIP/2.0/UDP a:1;branch=z9hG4bK1,\r\n\tSIP/2.0/UDP b\r\nf:<sip:1@a>;tag=x\nt\t: <sip:2@b>\r\n\
          i: c1\r\ncseq:  20   MESSAGE \r\nnoise without a colon\r\nc: application/manscdp+XML; charset=GB2312\r\nl : 3\r\n\r\nabc",
    );
    assert_eq!(message.method, Method::Message);
    assert_eq!(message.uri, "sip:3402@h");
    assert_eq!(message.via().unwrap().branch, "z9hG4bK1");
    assert_eq!(message.headers.get(&Name::Via).unwrap(), "SIP/2.0/UDP a:1;branch=z9hG4bK1, SIP/2.0/UDP b");
    assert_eq!(message.from().unwrap().tag(), "x");
    assert_eq!(message.cseq(), Some((20, Method::Message)));
    assert!(message.is_type("Application/MANSCDP+xml"));
    assert_eq!(&message.body[..], b"abc");
}

#[test]
fn content_length_of_a_datagram_is_advice() {
    for (head, body, kept) in [
        ("", &b"<a>1</a>"[..], &b"<a>1</a>"[..]),
        ("Content-Length: 900\r\n", b"<a>1</a>", b"<a>1</a>"),
        ("Content-Length: nine\r\n", b"<a>1</a>", b"<a>1</a>"),
        ("Content-Length: 18446744073709551615\r\n", b"<a>1</a>", b"<a>1</a>"),
        // counted in characters: three bytes short
        ("Content-Length: 5\r\n", b"<a>1</a>", b"<a>1</a>"),
        ("Content-Length: 8\r\n", b"<a>1</a>\r\n\0\0", b"<a>1</a>"),
        ("Content-Length: 0\r\n", b"\r\n", b""),
    ] {
        let head = format!("MESSAGE sip:1@h SIP/2.0\r\nContent-Type: Application/MANSCDP+xml\r\n{head}\r\n");
        let bytes = [head.as_bytes(), body].concat().into();
        let Some(Message::Request(message)) = datagram(&bytes).unwrap() else { panic!() };
        assert_eq!(&message.body[..], kept, "{head}");
    }
}

#[test]
fn keep_alives_are_no_messages() {
    for bytes in [&b""[..], b"\r\n\r\n", b"\0\0\0\0", b"jaK", b"  \r\n"] {
        assert_eq!(datagram(&Bytes::from_static(bytes)), Ok(None));
    }
    let mut framer = Framer::default();
    framer.push(b"\r\n\r\n\r\n\r\n");
    assert_eq!(framer.pull(), Ok(None));
    assert!(framer.take_pings() >= 1);
    assert_eq!(framer.take_pings(), 0);
    framer.push(b"\r\n\r\nOPTIONS sip:h SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n");
    assert!(framer.pull().unwrap().is_some());
}

#[test]
fn responses_with_and_without_a_phrase() {
    for (bytes, status, reason) in [
        (&b"SIP/2.0 200 OK\r\n\r\n"[..], 200, "OK"),
        (b"SIP/2.0 486\r\n\r\n", 486, ""),
        (b"sip/2.0  404  Not  Here \n\n", 404, "Not  Here"),
    ] {
        let Message::Response(response) = one(bytes) else { panic!() };
        assert_eq!((response.status, response.reason.as_str()), (status, reason));
    }
}

#[test]
fn what_is_not_sip_is_an_error_and_nothing_worse() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"SIP/2.0 2000 OK\r\n\r\n",
        b"SIP/2.0 abc\r\n\r\n",
        b"REGISTER\r\n\r\n",
        b"REGISTER sip:1@h\r\n\r\n",
        b"<xml> sip:1@h SIP/2.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\xff\xff\xff\xff\xff SIP/2.0",
    ] {
        assert!(matches!(datagram(&Bytes::from_static(bytes)), Err(ParseError::StartLine(_))), "{bytes:?}");
        let mut framer = Framer::default();
        framer.push(bytes);
        framer.push(b"\r\n\r\n");
        assert!(framer.pull().is_err(), "{bytes:?}");
    }
}

#[test]
fn a_head_without_end_is_bounded() {
    let mut framer = Framer::default();
    framer.push(b"REGISTER sip:1@h SIP/2.0\r\n");
    let mut refused = false;
    for _ in 0..70 {
        framer.push(&[b'X'; 1024]);
        refused |= framer.pull().is_err();
    }
    assert!(refused);
    let mut framer = Framer::default();
    framer.push(&[b'A'; 5000]);
    assert!(framer.pull().is_err());
    let many: String = (0..300).map(|n| format!("X-{n}: y\r\n")).collect();
    let bytes = format!("REGISTER sip:1@h SIP/2.0\r\n{many}\r\n").into();
    assert_eq!(datagram(&bytes), Err(ParseError::TooManyHeaders));
}

#[test]
fn a_body_of_eight_megabytes_is_taken_and_one_over_the_limit_refused_at_its_head() {
    let body = vec![b'x'; 8 << 20];
    let mut framer = Framer::default();
    framer.push(format!("MESSAGE sip:1@h SIP/2.0\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
    for part in body.chunks(65_536) {
        assert_eq!(framer.pull(), Ok(None));
        framer.push(part);
    }
    let Some(Message::Request(message)) = framer.pull().unwrap() else { panic!() };
    assert_eq!(message.body.len(), 8 << 20);

    let mut framer = Framer::new(1000);
    framer.push(b"MESSAGE sip:1@h SIP/2.0\r\nContent-Length: 1001\r\n\r\n");
    assert_eq!(framer.pull(), Err(ParseError::BodyTooLong { said: 1001, limit: 1000 }));
}

#[test]
fn a_length_in_characters_costs_the_tail_of_one_body_and_no_message() {
    let mut framer = Framer::default();
    framer.push(b"MESSAGE sip:1@h SIP/2.0\r\nContent-Length: 20\r\n\r\n<R><Name>\xb6\xab\xc3\xc5</Name></Response>\n");
    framer.push(b"MESSAGE sip:2@h SIP/2.0\r\nContent-Length: 0\r\n\r\n");
    let Some(Message::Request(first)) = framer.pull().unwrap() else { panic!() };
    assert_eq!(first.body.len(), 20);
    let Some(Message::Request(second)) = framer.pull().unwrap() else { panic!() };
    assert_eq!(second.user(), "2");
    assert!(framer.skipped() > 0);
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600), piece in 1usize..50) {
        let _ = datagram(&Bytes::from(bytes.clone()));
        let mut framer = Framer::new(4096);
        for part in bytes.chunks(piece) {
            framer.push(part);
            while let Ok(Some(_)) = framer.pull() {}
        }
    }

    #[test]
    fn damaged_messages_do_no_harm(which in 0usize..101, at in 0usize..4000, with in proptest::collection::vec(any::<u8>(), 0..8)) {
        let mut bytes = fixtures::bytes(&fixtures::names()[which]).to_vec();
        let at = at % bytes.len();
        bytes.splice(at..(at + with.len()).min(bytes.len()), with);
        if let Ok(Some(message)) = datagram(&bytes.into()) {
            // what was read can be written and read again
            let again = message.to_bytes();
            prop_assert!(datagram(&again).unwrap().is_some());
        }
    }
}
