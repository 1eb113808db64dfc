//! WebSocket (RFC 6455) as far as playing needs it: the handshake's answer, frames to the player, and what it sends back.

use crate::base::error::End;
use crate::edge::net::pump::{Inbound, Input};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use sha1::{Digest, Sha1};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// The longest message that a player may send: none has a reason to send any.
const MESSAGE_MAX: u64 = 64 << 10;
/// The longest payload of a control frame (§5.5).
const CONTROL_MAX: u64 = 125;

/// What a request says about WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: it is an ordinary request.
    No,
    /// It asks for one; this is the `Sec-WebSocket-Accept` that answers it.
    Yes(String),
    /// It asks for a version that we do not speak.
    Version,
    /// It asks wrongly.
    Broken(&'static str),
}

/// Reads the handshake (§4.2.1).
pub fn wish(headers: &HeaderMap) -> Wish {
    let has = |name, token: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
        values.flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    };
    if !has(UPGRADE, "websocket") {
        return Wish::No;
    }
    if !has(CONNECTION, "upgrade") {
        return Wish::Broken("Connection must say Upgrade");
    }
    if !has(SEC_WEBSOCKET_VERSION, "13") {
        return Wish::Version;
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok()).map(str::trim);
    match key.filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)) {
        Some(key) => Wish::Yes(accept(key)),
        None => Wish::Broken("Sec-WebSocket-Key must be 16 bytes in base64"),
    }
}

fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize())
}

/// A binary message in one frame; unmasked, so that it is the same for all players.
pub fn message(payload: &[u8]) -> Bytes {
    frame(BINARY, payload)
}

/// The closing frame: a code of §7.4.1.
pub fn close(code: u16) -> Bytes {
    frame(CLOSE, &code.to_be_bytes())
}

fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(10 + payload.len());
    out.put_u8(0x80 | opcode);
    match payload.len() {
        len @ 0..=125 => out.put_u8(len as u8),
        len @ 126..=0xffff => {
            out.put_u8(126);
            out.put_u16(len as u16);
        }
        len => {
            out.put_u8(127);
            out.put_u64(len as u64);
        }
    }
    out.put_slice(payload);
    out.freeze()
}

/// What the player sends: pings are answered, its messages are dropped unread.
#[derive(Debug, Default)]
pub struct Listener {
    /// At most one frame header and one control frame that are not there whole, besides what came at once.
    buffer: BytesMut,
    /// Bytes of a message that are still to be dropped.
    skip: u64,
    /// Bytes of the present message so far; `None` between messages.
    message: Option<u64>,
    over: Option<End>,
}

struct Header {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    len: u64,
    size: usize,
}

impl Listener {
    /// Nothing was heard but `early`, which came right behind the handshake.
    pub fn new(early: &[u8]) -> Listener {
        Listener { buffer: BytesMut::from(early), ..Listener::default() }
    }

    fn next(&mut self) -> Result<Option<Input>, &'static str> {
        loop {
            let drop = self.skip.min(self.buffer.len() as u64) as usize;
            self.buffer.advance(drop);
            self.skip -= drop as u64;
            if self.skip > 0 {
                return Ok(None);
            }
            let Some(header) = self.header()? else { return Ok(None) };
            if header.opcode < CLOSE {
                self.buffer.advance(header.size);
                self.skip = header.len;
                let so_far = self.message.unwrap_or(0).saturating_add(header.len);
                if so_far > MESSAGE_MAX {
                    return Err("a message of more than 64 KiB");
                }
                self.message = (!header.fin).then_some(so_far);
                continue;
            }
            let len = header.len as usize; // at most 125
            if self.buffer.len() < header.size + len {
                return Ok(None);
            }
            self.buffer.advance(header.size);
            let mut payload = self.buffer.split_to(len);
            payload.iter_mut().zip(header.mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            match header.opcode {
                PING => return Ok(Some(Input::Reply(frame(PONG, &payload)))),
                CLOSE => {
                    // The code is echoed (§5.5.1).
                    let code = payload.get(..2).unwrap_or_default();
                    return Ok(Some(Input::Last(frame(CLOSE, code), End::PeerClosed)));
                }
                _ => {}
            }
        }
    }

    fn header(&self) -> Result<Option<Header>, &'static str> {
        let mut bytes = crate::base::bytes::Reader::new(&self.buffer);
        let (Some(first), Some(second)) = (bytes.u8(), bytes.u8()) else { return Ok(None) };
        let (fin, opcode) = (first & 0x80 != 0, first & 15);
        if first & 0x70 != 0 {
            return Err("reserved bits are set, though no extension was agreed");
        }
        if second & 0x80 == 0 {
            return Err("a frame from the player is not masked");
        }
        let len = match second & 127 {
            126 => bytes.u16().map(u64::from),
            127 => bytes.u64(),
            n => Some(n.into()),
        };
        match opcode {
            0 if self.message.is_none() => return Err("a continuation of nothing"),
            TEXT | BINARY if self.message.is_some() => return Err("a new message within another"),
            0..=BINARY => {}
            CLOSE..=PONG if !fin => return Err("a control frame in fragments"),
            CLOSE..=PONG if u64::from(second & 127) > CONTROL_MAX => return Err("a control frame of more than 125 bytes"),
            CLOSE..=PONG => {}
            _ => return Err("an opcode that does not exist"),
        }
        let (Some(len), Some(mask)) = (len, bytes.take(4)) else { return Ok(None) };
        let mask = [mask[0], mask[1], mask[2], mask[3]];
        Ok(Some(Header { fin, opcode, mask, len, size: self.buffer.len() - bytes.len() }))
    }
}

impl Inbound for Listener {
    fn input(&mut self, bytes: &[u8]) -> Input {
        if let Some(end) = &self.over {
            return Input::Close(end.clone());
        }
        // What is to be dropped need not be stored.
        let drop = self.skip.min(bytes.len() as u64) as usize;
        if self.buffer.is_empty() {
            self.skip -= drop as u64;
            self.buffer.extend_from_slice(&bytes[drop..]);
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        match self.next() {
            Ok(None) => Input::Continue,
            Ok(Some(Input::Last(bytes, end))) => {
                self.over = Some(end.clone());
                Input::Last(bytes, end)
            }
            Ok(Some(input)) => input,
            Err(why) => {
                let end = End::PeerBroke(format!("WebSocket: {why}"));
                self.over = Some(end.clone());
                // 1002: protocol error.
                Input::Last(close(1002), end)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut out = vec![first];
        match payload.len() {
            n @ 0..=125 => out.push(0x80 | n as u8),
            n => {
                out.push(0x80 | 126);
                out.extend((n as u16).to_be_bytes());
            }
        }
        out.extend(mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        out
    }

    /// All answers to these bytes, given in pieces of `step`.
    fn hear(bytes: &[u8], step: usize) -> Vec<Input> {
        let mut listener = Listener::default();
        let mut heard = Vec::new();
        for piece in bytes.chunks(step) {
            let mut input = listener.input(piece);
            while input != Input::Continue {
                let over = matches!(input, Input::Last(..) | Input::Close(_));
                heard.push(input);
                if over {
                    return heard;
                }
                input = listener.input(&[]);
            }
        }
        heard
    }

    #[test]
    fn the_handshake_of_the_rfc() {
        let mut headers = HeaderMap::new();
        assert_eq!(wish(&headers), Wish::No);
        headers.insert(UPGRADE, "WebSocket".parse().unwrap());
        assert!(matches!(wish(&headers), Wish::Broken(_)));
        headers.insert(CONNECTION, "keep-alive, Upgrade".parse().unwrap());
        assert_eq!(wish(&headers), Wish::Version);
        headers.insert(SEC_WEBSOCKET_VERSION, "13".parse().unwrap());
        assert!(matches!(wish(&headers), Wish::Broken(_)));
        headers.insert(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
        assert_eq!(wish(&headers), Wish::Yes("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned()));
        headers.insert(SEC_WEBSOCKET_KEY, "dG9vIHNob3J0".parse().unwrap());
        assert!(matches!(wish(&headers), Wish::Broken(_)));
    }

    #[test]
    fn frames_have_the_shortest_length_form() {
        for (len, head) in [(0, &[0x82, 0][..]), (125, &[0x82, 125]), (126, &[0x82, 126, 0, 126]), (65_535, &[0x82, 126, 255, 255])] {
            let frame = message(&vec![7; len]);
            assert_eq!((&frame[..head.len()], frame.len()), (head, head.len() + len));
        }
        assert_eq!(message(&[7; 65_536])[..10], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(close(1000)[..], [0x88, 2, 3, 0xe8]);
    }

    #[test]
    fn pings_are_answered_between_fragments_of_messages_that_nobody_reads() {
        let parts = [
            masked(0x01, &[9; 300]),
            masked(0x89, b"are you there"),
            masked(0x00, b"more"),
            masked(0x8a, b"pong that nobody asked for"),
            masked(0x80, &[]),
            masked(0x82, &[1, 2, 3]),
            masked(0x89, b""),
        ]
        .concat();
        for step in [1, 2, 7, 64, 4096] {
            let expected = [Input::Reply(frame(PONG, b"are you there")), Input::Reply(frame(PONG, b""))];
            assert_eq!(hear(&parts, step), expected, "in pieces of {step}");
        }
    }

    #[test]
    fn a_close_is_echoed_and_nothing_is_heard_after_it() {
        let bytes = [masked(0x88, &[3, 0xe9, b'b', b'y', b'e']), masked(0x89, b"late")].concat();
        assert_eq!(hear(&bytes, 100), [Input::Last(close(1001), End::PeerClosed)]);
        let mut listener = Listener::new(&masked(0x88, &[]));
        assert_eq!(listener.input(&[]), Input::Last(frame(CLOSE, &[]), End::PeerClosed));
        assert_eq!(listener.input(b"x"), Input::Close(End::PeerClosed));
    }

    #[test]
    fn violations_end_the_session() {
        let cases: [(&str, Vec<u8>); 10] = [
            ("unmasked", vec![0x82, 1, 9]),
            ("reserved bit", masked(0xc2, b"x")),
            ("reserved opcode", masked(0x83, b"x")),
            ("reserved control opcode", masked(0x8b, b"x")),
            ("fragmented ping", masked(0x09, b"x")),
            ("long ping", masked(0x89, &[0; 126])),
            ("continuation of nothing", masked(0x80, b"x")),
            ("message in message", [masked(0x01, b"x"), masked(0x81, b"y")].concat()),
            ("a message without end", (0..40).flat_map(|n| masked(if n == 0 { 2 } else { 0 }, &[0; 2000])).collect()),
            ("2^63 bytes", vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
        ];
        for (name, bytes) in cases {
            let heard = hear(&bytes, 16);
            assert!(matches!(heard[..], [Input::Last(_, End::PeerBroke(_))]), "{name}: {heard:?}");
        }
    }
}
