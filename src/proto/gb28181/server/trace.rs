//! The last messages of every device and call, in bounded memory: what the call doctor shows.

use super::call::Calls;
use crate::media::time::Timestamp;
use crate::proto::sip::message::Envelope;
use crate::proto::sip::{Message, Method, Name, Path};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The most of one message that is kept.
const KEPT: usize = 4096;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Whether we sent it.
    pub ours: bool,
    /// The other side.
    pub peer: SocketAddr,
    /// The message, cut after 4 KiB.
    pub bytes: Bytes,
}

/// A ring of entries; life signs and their answers are left out.
pub(super) struct Trace {
    ring: VecDeque<Entry>,
    held: usize,
    most: usize,
}

impl Trace {
    pub fn new(most: usize) -> Trace {
        Trace { ring: VecDeque::new(), held: 0, most }
    }

    pub fn heard(&mut self, now: Timestamp, path: &Path, message: &Message, calls: &mut Calls) {
        let routine = match message {
            Message::Request(request) => request.method == Method::Message && memchr::memmem::find(&request.body, b"Keepalive").is_some(),
            Message::Response(response) => response.status == 200 && matches!(response.cseq(), Some((_, Method::Message))),
        };
        if routine || self.most == 0 {
            return;
        }
        let entry = Entry { at: now, ours: false, peer: path.remote, bytes: cut(&message.to_bytes()) };
        let call_id = message.headers().get(&Name::CallId).unwrap_or_default();
        self.keep(entry, &call_id, calls);
    }

    pub fn said(&mut self, now: Timestamp, path: &Path, bytes: &Bytes, calls: &mut Calls) {
        let head = &bytes[..bytes.len().min(2048)];
        let routine = head.starts_with(b"SIP/2.0 200") && memchr::memmem::find(head, b" MESSAGE\r\n").is_some();
        if routine || self.most == 0 {
            return;
        }
        let call_id = memchr::memmem::find(head, b"\r\nCall-ID: ").map(|at| &head[at + 11..]);
        let call_id = call_id.and_then(|rest| std::str::from_utf8(rest.split(|byte| *byte == b'\r').next()?).ok()).unwrap_or_default();
        let entry = Entry { at: now, ours: true, peer: path.remote, bytes: cut(bytes) };
        self.keep(entry, call_id, calls);
    }

    fn keep(&mut self, entry: Entry, call_id: &str, calls: &mut Calls) {
        if calls.trace(call_id, &entry) {
            return;
        }
        self.held += entry.bytes.len() + std::mem::size_of::<Entry>();
        self.ring.push_back(entry);
        while self.held > self.most {
            let Some(old) = self.ring.pop_front() else { break };
            self.held -= old.bytes.len() + std::mem::size_of::<Entry>();
        }
    }

    /// What mentions a device's id, oldest first.
    pub fn of_device(&self, id: &str) -> Vec<Entry> {
        let finder = memchr::memmem::Finder::new(id.as_bytes());
        self.ring.iter().filter(|entry| finder.find(&entry.bytes).is_some()).cloned().collect()
    }
}

/// A copy, so that a kept head does not keep a catalog of megabytes alive; passwords are never in it, only their hashes.
fn cut(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(&bytes[..bytes.len().min(KEPT)])
}

impl super::Server {
    /// The last messages from and to a device outside of calls.
    pub fn trace_of_device(&self, key: &super::DeviceKey) -> Vec<Entry> {
        self.trace.of_device(key.device.as_str())
    }

    /// The messages of a call, the first and the last of them if there are many.
    pub fn trace_of_call(&self, call: super::CallId) -> Vec<Entry> {
        self.calls.trace_of(call)
    }
}
