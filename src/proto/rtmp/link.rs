//! What both sides of a session share: handshake, chunks both ways, acknowledgements, pings.

use super::chunk::{self, Head, Limits, Reader};
use super::handshake::{self, Handshake};
use super::message::{Message, kind, user};
use crate::base::amf0::{self, Value};
use bytes::{BufMut, Bytes, BytesMut};

/// Our chunk size: nearly every frame of a camera is one chunk.
pub const OUT_CHUNK: usize = 60_000;
/// What the peer may send without acknowledgement, and the other way round, until somebody asks for another.
pub(super) const WINDOW: u32 = 2_500_000;

/// Chunk streams that we send on.
pub(super) mod csid {
    /// Protocol control; the number is prescribed.
    pub const CONTROL: u8 = 2;
    pub const COMMAND: u8 = 3;
    pub const AUDIO: u8 = 4;
    pub const DATA: u8 = 5;
    pub const VIDEO: u8 = 6;
}

/// The peer broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// In the handshake.
    #[error(transparent)]
    Handshake(#[from] handshake::Error),
    /// In the chunk layer.
    #[error(transparent)]
    Chunk(#[from] chunk::Error),
    /// A command that is no AMF0.
    #[error("a command of {length} bytes: {why}")]
    Command {
        /// The payload's length.
        length: usize,
        /// What is wrong.
        why: amf0::Error,
    },
    /// A command that does not begin with its name.
    #[error("a command without name")]
    Nameless,
    /// A command out of its order.
    #[error("{0} at this point")]
    Order(&'static str),
    /// More commands than any client needs before it publishes or plays.
    #[error("more than {0} commands without publishing or playing")]
    Chatter(u32),
}

/// One connection, seen from one side.
#[derive(Debug)]
pub(super) struct Link {
    handshake: Option<Box<Handshake>>,
    pub(super) reader: Reader,
    pub(super) out: BytesMut,
    /// Our chunk size as the peer knows it.
    pub(super) size: usize,
    received: u32,
    acknowledged: u32,
    /// Acknowledge after so many bytes.
    window: u32,
}

impl Link {
    pub(super) fn server(seed: u64) -> Link {
        Link::new(Handshake::server(seed), BytesMut::new())
    }

    pub(super) fn client(seed: u64) -> Link {
        let mut out = BytesMut::new();
        let handshake = Handshake::client(seed, &mut out);
        Link::new(handshake, out)
    }

    fn new(handshake: Handshake, out: BytesMut) -> Link {
        Link {
            handshake: Some(Box::new(handshake)),
            reader: Reader::new(Limits::GREETING),
            out,
            size: chunk::SIZE_DEFAULT,
            received: 0,
            acknowledged: 0,
            window: WINDOW,
        }
    }

    /// Takes bytes off `input` until a message is complete that is not the link's own business.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        if let Some(handshake) = &mut self.handshake {
            if !handshake.read(input, &mut self.out)? {
                return Ok(None);
            }
            self.handshake = None;
        }
        loop {
            let before = input.len();
            let message = self.reader.read(input)?;
            self.received = self.received.wrapping_add((before - input.len()) as u32);
            if self.received.wrapping_sub(self.acknowledged) >= self.window {
                self.acknowledged = self.received;
                // The running total, modulo 2³² (section 5.4.3).
                self.control(kind::ACK, &self.received.to_be_bytes());
            }
            match message {
                None => return Ok(None),
                Some(message) => {
                    if !self.handled(&message) {
                        return Ok(Some(message));
                    }
                }
            }
        }
    }

    /// Whether the handshake is over.
    pub(super) fn is_open(&self) -> bool {
        self.handshake.is_none()
    }

    fn handled(&mut self, message: &Message) -> bool {
        match message.kind {
            kind::ACK | kind::BANDWIDTH => true,
            kind::WINDOW => {
                if let Some(window) = message.data.get(..4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes) {
                    // A tiny window would make us answer every chunk.
                    self.window = window.clamp(16 << 10, 1 << 30);
                }
                true
            }
            kind::USER => match message.data.first_chunk::<2>().copied().map(u16::from_be_bytes) {
                Some(user::PING) => {
                    let mut pong = BytesMut::with_capacity(6);
                    pong.put_u16(user::PONG);
                    pong.put_slice(message.data.get(2..6).unwrap_or(&[0; 4]));
                    self.control(kind::USER, &pong);
                    true
                }
                Some(user::EOF) => false,
                _ => true,
            },
            _ => false,
        }
    }

    pub(super) fn control(&mut self, kind: u8, payload: &[u8]) {
        let head = Head { kind, timestamp: 0, stream: 0 };
        chunk::write(&mut self.out, self.size, csid::CONTROL, head, [payload, &[]]);
    }

    /// Tells the peer our chunk size, which holds from the next message on.
    pub(super) fn set_chunk_size(&mut self, size: usize) {
        self.control(kind::SET_CHUNK_SIZE, &(size as u32).to_be_bytes());
        self.size = size;
    }

    pub(super) fn user(&mut self, event: u16, values: &[u32]) {
        let mut payload = BytesMut::with_capacity(10);
        payload.put_u16(event);
        values.iter().for_each(|value| payload.put_u32(*value));
        self.control(kind::USER, &payload);
    }

    pub(super) fn command(&mut self, stream: u32, values: &[Value]) {
        let head = Head { kind: kind::COMMAND, timestamp: 0, stream };
        chunk::write(&mut self.out, self.size, csid::COMMAND, head, [&amf0::encode(values), &[]]);
    }

    /// What is to be sent.
    pub(super) fn output(&mut self) -> Bytes {
        if self.out.is_empty() { Bytes::new() } else { std::mem::take(&mut self.out).freeze() }
    }
}
