//! The client's side of a session: publishes or plays one stream.

use super::chunk::{self, Head, Limits};
use super::command::{Command, body};
use super::link::{Error, Link, OUT_CHUNK, WINDOW, csid};
use super::message::{Aggregate, Message, kind, user};
use super::url::Url;
use crate::base::amf0::Value;
use bytes::{Bytes, BytesMut};

/// What the client does with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends it.
    Publish,
    /// Gets it.
    Play,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The server lets us publish, or begins to play.
    Started,
    /// Audio, video or data of the stream that we play.
    Media(Message),
    /// The server says no, and why.
    Refused(String),
    /// The server says that the stream is over.
    Ended,
}

/// Transaction numbers; answers are told apart by them.
const CONNECT: f64 = 1.0;
const RELEASE: f64 = 2.0;
const ANNOUNCE: f64 = 3.0;
const CREATE: f64 = 4.0;
const BEGIN: f64 = 5.0;
const LENGTH: f64 = 6.0;

/// A session, seen from the client.
#[derive(Debug)]
pub struct Client {
    link: Link,
    role: Role,
    url: Url,
    limits: Limits,
    /// `connect` was sent.
    greeted: bool,
    started: bool,
    stream: u32,
    aggregate: Option<Box<Aggregate>>,
    /// Came before the server said that it plays.
    early: Option<Message>,
}

impl Client {
    /// A new connection to `url`; `seed` makes the handshake's random bytes. [`output`](Client::output) has the first words.
    pub fn new(url: Url, role: Role, limits: Limits, seed: u64) -> Client {
        Client { link: Link::client(seed), role, url, limits, greeted: false, started: false, stream: 0, aggregate: None, early: None }
    }

    /// Takes bytes off the front of `input` until something happens; `None` when `input` is used up.
    /// Afterwards [`output`](Client::output) may have something to send.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Error> {
        if let Some(message) = self.early.take() {
            return Ok(Some(Event::Media(message)));
        }
        loop {
            if let Some(message) = self.aggregate.as_mut().and_then(|a| a.next()) {
                if matches!(message.kind, kind::AUDIO | kind::VIDEO | kind::DATA) {
                    return Ok(Some(Event::Media(message)));
                }
                continue;
            }
            self.aggregate = None;
            let message = self.link.next(input)?;
            if self.link.is_open() && !self.greeted {
                self.greeted = true;
                self.connect();
            }
            let Some(message) = message else { return Ok(None) };
            let event = match message.kind {
                kind::COMMAND | kind::COMMAND3 => self.command(&message)?,
                kind::AUDIO | kind::VIDEO | kind::DATA if self.role == Role::Play && self.stream != 0 => {
                    if !std::mem::replace(&mut self.started, true) {
                        // A server that plays without saying so.
                        self.early = Some(message);
                        return Ok(Some(Event::Started));
                    }
                    Some(Event::Media(message))
                }
                kind::DATA3 if self.role == Role::Play => {
                    let data = message.data.slice_ref(body(&message));
                    Some(Event::Media(Message { kind: kind::DATA, data, ..message }))
                }
                kind::AGGREGATE if self.role == Role::Play => {
                    self.aggregate = Some(Box::new(Aggregate::new(message)));
                    None
                }
                // Only Stream EOF comes this far.
                kind::USER if self.started => Some(Event::Ended),
                _ => None,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// What is to be sent.
    pub fn output(&mut self) -> Bytes {
        self.link.output()
    }

    /// Sends a message of the stream that we publish, its payload in two parts.
    pub fn send(&mut self, kind: u8, timestamp: u32, parts: [&[u8]; 2]) {
        let csid = match kind {
            kind::AUDIO => csid::AUDIO,
            kind::VIDEO => csid::VIDEO,
            _ => csid::DATA,
        };
        chunk::write(&mut self.link.out, self.link.size, csid, Head { kind, timestamp, stream: self.stream }, parts);
    }

    /// Says goodbye in order.
    pub fn stop(&mut self) {
        if self.stream == 0 {
            return;
        }
        if self.role == Role::Publish {
            self.call("FCUnpublish", 0.0, [self.url.name.as_str().into()]);
        }
        self.call("deleteStream", 0.0, [Value::Number(self.stream.into())]);
    }

    /// How many bytes wait to be sent.
    pub fn pending(&self) -> usize {
        self.link.out.len()
    }

    /// Moves what is to be sent behind `out`.
    pub fn drain_into(&mut self, out: &mut BytesMut) {
        out.extend_from_slice(&self.link.out.split());
    }

    fn call<const N: usize>(&mut self, name: &str, transaction: f64, arguments: [Value; N]) {
        let values: Vec<Value> = [name.into(), Value::Number(transaction), Value::Null].into_iter().chain(arguments).collect();
        self.link.command(0, &values);
    }

    fn connect(&mut self) {
        self.link.set_chunk_size(OUT_CHUNK);
        let mut members: Vec<(String, Value)> = vec![
            ("app".into(), self.url.app.as_str().into()),
            ("type".into(), "nonprivate".into()),
            ("flashVer".into(), "FMLE/3.0 (compatible; Weir)".into()),
            ("tcUrl".into(), self.url.tc_url().as_str().into()),
        ];
        if self.role == Role::Play {
            members.push(("fpad".into(), Value::Boolean(false)));
            members.push(("capabilities".into(), Value::Number(239.0)));
            members.push(("audioCodecs".into(), Value::Number(3575.0)));
            members.push(("videoCodecs".into(), Value::Number(252.0)));
            members.push(("videoFunction".into(), Value::Number(1.0)));
        }
        let fourcc = ["hvc1", "avc1", "av01", "vp09", "Opus", "mp4a", ".mp3"].map(Value::from).to_vec();
        members.push(("fourCcList".into(), Value::List(fourcc)));
        self.link.command(0, &["connect".into(), Value::Number(CONNECT), Value::Object(members)]);
    }

    fn command(&mut self, message: &Message) -> Result<Option<Event>, Error> {
        let command = Command::read(message)?;
        match (command.name.as_str(), command.transaction) {
            ("_result", CONNECT) => {
                self.link.control(kind::WINDOW, &WINDOW.to_be_bytes());
                if self.role == Role::Publish {
                    let name = Value::text(self.url.name.as_str());
                    self.call("releaseStream", RELEASE, [name.clone()]);
                    self.call("FCPublish", ANNOUNCE, [name]);
                }
                self.call("createStream", CREATE, []);
                Ok(None)
            }
            ("_result", CREATE) => {
                let id = command.argument(0).and_then(Value::as_f64).filter(|n| (1.0..4294967296.0).contains(n));
                let Some(id) = id else { return Ok(Some(Event::Refused("the server gave no stream number".to_owned()))) };
                self.stream = id as u32;
                self.begin();
                Ok(None)
            }
            // Servers that do not know these two say so, and mean no harm.
            ("_error", RELEASE | ANNOUNCE | LENGTH) => Ok(None),
            ("_error", _) => Ok(Some(Event::Refused(reason(&command)))),
            ("onStatus", _) => Ok(self.status(&command)),
            ("close", _) => Ok(Some(Event::Ended)),
            _ => Ok(None),
        }
    }

    fn begin(&mut self) {
        let name = Value::text(self.url.name.as_str());
        let values = match self.role {
            Role::Publish => vec!["publish".into(), Value::Number(BEGIN), Value::Null, name, "live".into()],
            // Start -2000: live if there is, as every player asks.
            Role::Play => {
                self.link.reader.set_limits(self.limits);
                vec!["play".into(), Value::Number(BEGIN), Value::Null, name, Value::Number(-2000.0)]
            }
        };
        self.link.command(self.stream, &values);
        if self.role == Role::Play {
            self.link.user(user::BUFFER, &[self.stream, 1000]);
        }
    }

    fn status(&mut self, command: &Command) -> Option<Event> {
        let info = command.argument(0).or(command.values.first())?;
        let text = |name: &str| info.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("level") == "error" {
            return Some(Event::Refused(reason(command)));
        }
        match text("code") {
            "NetStream.Publish.Start" | "NetStream.Play.Start" if !self.started => {
                self.started = true;
                Some(Event::Started)
            }
            "NetStream.Play.StreamNotFound" | "NetStream.Play.Failed" | "NetStream.Publish.BadName" => {
                Some(Event::Refused(reason(command)))
            }
            "NetStream.Play.UnpublishNotify" | "NetStream.Play.Stop" | "NetStream.Play.Complete" | "NetStream.Unpublish.Success" => {
                Some(Event::Ended)
            }
            _ => None,
        }
    }
}

/// What the server says in an error or a status, for people.
fn reason(command: &Command) -> String {
    let info = command.values.iter().rev().find(|v| !v.members().is_empty()).unwrap_or(&Value::Null);
    let text = |name: &str| info.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut reason = format!("{} {}", text("code"), text("description")).trim().to_owned();
    if reason.is_empty() {
        reason = format!("{} to transaction {}", command.name, command.transaction);
    }
    reason.truncate(reason.char_indices().nth(300).map_or(reason.len(), |(at, _)| at));
    reason
}
