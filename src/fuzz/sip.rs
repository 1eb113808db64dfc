//! SIP: datagrams and connections.

use super::pieces;
use crate::proto::sip::{Message, Response, digest, framer, header, uri};
use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddr};

/// A datagram; what we write of it reads back as the same.
pub(super) fn message(data: &[u8]) {
    let Ok(Some(message)) = framer::datagram(&Bytes::copy_from_slice(data)) else { return };
    touch(&message);
    let written = message.to_bytes();
    let again = framer::datagram(&written).expect("what we write can be read").expect("and is a message");
    assert_eq!(again.to_bytes(), written);
}

/// A connection in pieces.
pub(super) fn stream(data: &[u8]) {
    let mut framer = framer::Framer::new(64 << 10);
    for piece in pieces(data) {
        framer.push(piece);
        loop {
            match framer.pull() {
                Err(_) => return,
                Ok(None) => break,
                Ok(Some(message)) => touch(&message),
            }
        }
        framer.take_pings();
    }
}

/// Everything that a server looks at.
fn touch(message: &Message) {
    for (_, value) in message.headers().iter() {
        let text = header::text(value);
        if let Some(address) = uri::Address::parse(&text) {
            let _ = (address.user(), address.tag());
        }
        let _ = uri::Via::parse(value);
        let _ = uri::first_value(value);
        let _ = uri::stamp_via(value, source());
        let _ = digest::Challenge::parse(&text);
        if let Some(credentials) = digest::Credentials::parse(&text) {
            let _ = credentials.verify("password", "REGISTER");
        }
    }
    if let Message::Request(request) = message {
        let _ = request.user();
        let _ = Response::to(request, source(), 200, "tag").to_bytes();
    }
}

fn source() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 5060).into()
}
