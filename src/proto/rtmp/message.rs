//! Messages: what travels in chunks (Adobe RTMP 1.0, sections 5.4, 6 and 7.1).

use bytes::Bytes;

/// The largest payload that a message header can announce (24 bits).
pub const LENGTH_MAX: usize = 0xff_ffff;

/// Message type ids.
pub mod kind {
    /// Set Chunk Size.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort a partly received message.
    pub const ABORT: u8 = 2;
    /// Acknowledgement: the running total of bytes received.
    pub const ACK: u8 = 3;
    /// User control: stream begin, ping and their like.
    pub const USER: u8 = 4;
    /// Window Acknowledgement Size.
    pub const WINDOW: u8 = 5;
    /// Set Peer Bandwidth.
    pub const BANDWIDTH: u8 = 6;
    /// Audio.
    pub const AUDIO: u8 = 8;
    /// Video.
    pub const VIDEO: u8 = 9;
    /// Data in AMF3 clothing.
    pub const DATA3: u8 = 15;
    /// A command in AMF3 clothing.
    pub const COMMAND3: u8 = 17;
    /// Data in AMF0, metadata above all.
    pub const DATA: u8 = 18;
    /// A command in AMF0.
    pub const COMMAND: u8 = 20;
    /// Several audio, video and data messages in one.
    pub const AGGREGATE: u8 = 22;
}

/// User control event types (section 7.1.7).
pub mod user {
    /// Stream Begin.
    pub const BEGIN: u16 = 0;
    /// Stream EOF.
    pub const EOF: u16 = 1;
    /// Set Buffer Length (client to server).
    pub const BUFFER: u16 = 3;
    /// Ping request.
    pub const PING: u16 = 6;
    /// Ping response.
    pub const PONG: u16 = 7;
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its type id, see [`kind`].
    pub kind: u8,
    /// Milliseconds, modulo 2³².
    pub timestamp: u32,
    /// The message stream that it belongs to; 0 for control.
    pub stream: u32,
    /// The payload.
    pub data: Bytes,
}

/// The messages inside an aggregate message (section 7.1.6): FLV tags whose times count from the aggregate's own time.
#[derive(Debug)]
pub struct Aggregate {
    rest: Bytes,
    stream: u32,
    time: u32,
    first: Option<u32>,
}

impl Aggregate {
    /// Takes an aggregate message apart.
    pub fn new(message: Message) -> Aggregate {
        Aggregate { rest: message.data, stream: message.stream, time: message.timestamp, first: None }
    }
}

impl Iterator for Aggregate {
    type Item = Message;

    /// The next message; `None` at the end, also where the rest is cut off.
    fn next(&mut self) -> Option<Message> {
        let head: [u8; 11] = self.rest.get(..11)?.try_into().ok()?;
        let length = usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]);
        let time = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
        if self.rest.len() < 11 + length {
            self.rest.clear();
            return None;
        }
        let data = self.rest.slice(11..11 + length);
        // A back pointer of 4 bytes follows; some senders leave out the last one.
        self.rest = self.rest.slice((11 + length + 4).min(self.rest.len())..);
        let offset = time.wrapping_sub(*self.first.get_or_insert(time));
        Some(Message { kind: head[0], timestamp: self.time.wrapping_add(offset), stream: self.stream, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(kind: u8, time: u32, data: &[u8]) -> Vec<u8> {
        let mut out = vec![kind, 0, 0, data.len() as u8];
        let t = time.to_be_bytes();
        out.extend([t[1], t[2], t[3], t[0], 0, 0, 0]);
        out.extend(data);
        out.extend((data.len() as u32 + 11).to_be_bytes());
        out
    }

    #[test]
    fn an_aggregate_comes_apart_on_its_own_time() {
        let mut data = [sub(8, 1000, b"aa"), sub(9, 1040, b"vvv"), sub(9, 0x0100_0400, b"")].concat();
        let whole = Message { kind: kind::AGGREGATE, timestamp: 5000, stream: 1, data: data.clone().into() };
        let got: Vec<_> = Aggregate::new(whole.clone()).map(|m| (m.kind, m.timestamp, m.data)).collect();
        assert_eq!(got[0], (8, 5000, Bytes::from_static(b"aa")));
        assert_eq!(got[1], (9, 5040, Bytes::from_static(b"vvv")));
        assert_eq!(got[2], (9, 5000 + 0x0100_0400 - 1000, Bytes::new()));

        data.truncate(data.len() - 4);
        assert_eq!(Aggregate::new(Message { data: data.clone().into(), ..whole.clone() }).count(), 3, "last back pointer missing");
        data.truncate(data.len() - 12);
        assert_eq!(Aggregate::new(Message { data: data.into(), ..whole }).count(), 2, "last message cut");
    }
}
