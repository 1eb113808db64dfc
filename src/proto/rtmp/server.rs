//! The server's side of a session: from the handshake to publish or play, and what a peer may say after that.

use super::chunk::{self, Head, Limits};
use super::command::{Command, body, info, result, status};
use super::link::{Error, Link, OUT_CHUNK, WINDOW, csid};
use super::message::{Aggregate, Message, kind, user};
use crate::base::amf0::Value;
use bytes::{Bytes, BytesMut};

/// The one message stream of a session. Players share bytes, so that all have the same number.
pub const STREAM: u32 = 1;
/// Commands before a client publishes or plays: about ten are usual.
const CHATTER: u32 = 64;

/// What a peer wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It wants to send a stream: answer with [`Server::start_publish`] or [`Server::refuse`].
    Publish(Target),
    /// It wants to get a stream: answer with [`Server::start_play`] or [`Server::refuse`].
    Play(Target),
    /// Audio, video or data of the stream that it publishes; data without AMF3 clothing.
    Media(Message),
    /// A player pauses, or goes on.
    Pause(bool),
    /// It has finished with its stream.
    Stop,
}

/// Which stream a peer means, and what it says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target {
    /// The application: the first path segment.
    pub app: String,
    /// The stream's name without its query; holds what stood behind the application, too.
    pub name: String,
    /// Query strings of the stream name, the application and `tcUrl`, joined.
    pub query: String,
    /// Enhanced RTMP: FourCCs that the client says it understands; empty if it says nothing.
    pub fourcc: Vec<String>,
    /// What the client calls itself.
    pub client: String,
}

/// Why a stream is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The name is taken, or is none.
    BadName,
    /// The peer may not.
    Denied,
    /// There is no such stream.
    NotFound,
    /// Anything else.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `connect` has not come.
    New,
    Connected,
    /// Waits for our decision.
    Asked(Act),
    Publishing,
    Playing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Publish,
    Play,
}

/// A session, seen from the server.
#[derive(Debug)]
pub struct Server {
    link: Link,
    phase: Phase,
    peer: Option<Box<Peer>>,
    commands: u32,
    aggregate: Option<Box<Aggregate>>,
}

/// What `connect` said; forgotten once the stream is known.
#[derive(Debug, Default)]
struct Peer {
    app: String,
    tc_url: String,
    fourcc: Vec<String>,
    client: String,
}

impl Server {
    /// A new connection; `seed` makes the handshake's random bytes.
    pub fn new(seed: u64) -> Server {
        Server { link: Link::server(seed), phase: Phase::New, peer: None, commands: 0, aggregate: None }
    }

    /// Takes bytes off the front of `input` until something happens; `None` when `input` is used up.
    /// Afterwards [`output`](Server::output) may have something to send.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Error> {
        loop {
            if let Some(message) = self.aggregate.as_mut().and_then(|a| a.next()) {
                if matches!(message.kind, kind::AUDIO | kind::VIDEO | kind::DATA) {
                    return Ok(Some(Event::Media(message)));
                }
                continue;
            }
            self.aggregate = None;
            let Some(message) = self.link.next(input)? else { return Ok(None) };
            let event = match message.kind {
                kind::COMMAND | kind::COMMAND3 => self.command(&message)?,
                kind::AUDIO | kind::VIDEO | kind::DATA if self.phase == Phase::Publishing => Some(Event::Media(message)),
                kind::DATA3 if self.phase == Phase::Publishing => {
                    let data = message.data.slice_ref(body(&message));
                    Some(Event::Media(Message { kind: kind::DATA, data, ..message }))
                }
                kind::AGGREGATE if self.phase == Phase::Publishing => {
                    self.aggregate = Some(Box::new(Aggregate::new(message)));
                    None
                }
                // Media without a stream, shared objects, types that nobody knows.
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

    /// Whether there is something to be sent.
    pub fn has_output(&self) -> bool {
        !self.link.out.is_empty()
    }

    /// Whether the handshake is over.
    pub fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// The publisher may begin; from now on messages may be as large as `limits` allow.
    pub fn start_publish(&mut self, limits: Limits) {
        self.phase = Phase::Publishing;
        self.link.reader.set_limits(limits);
        self.link.user(user::BEGIN, &[STREAM]);
        self.link.command(STREAM, &status("status", "NetStream.Publish.Start", "publishing"));
    }

    /// The stream is there: what a player gets before the stream's own bytes.
    pub fn start_play(&mut self) {
        self.phase = Phase::Playing;
        self.link.user(user::BEGIN, &[STREAM]);
        self.link.command(STREAM, &status("status", "NetStream.Play.Reset", "playing and resetting"));
        self.link.command(STREAM, &status("status", "NetStream.Play.Start", "playing"));
        // Nothing of what Flash wants besides (|RtmpSampleAccess, NetStream.Data.Start): ffmpeg takes it for a stream of its own.
    }

    /// No; the connection is to be closed when the answer is sent.
    pub fn refuse(&mut self, why: Refusal, text: &str) {
        let playing = self.phase == Phase::Asked(Act::Play);
        let code = match (why, playing) {
            (Refusal::NotFound, true) => "NetStream.Play.StreamNotFound",
            (_, true) => "NetStream.Play.Failed",
            (Refusal::BadName | Refusal::NotFound, false) => "NetStream.Publish.BadName",
            (Refusal::Denied, false) => "NetStream.Publish.Denied",
            (Refusal::Failed, false) => "NetStream.Publish.Failed",
        };
        self.link.command(STREAM, &status("error", code, text));
    }

    /// The publisher's session ends from our side: tells it why.
    pub fn end_publish(&mut self, text: &str) {
        self.link.command(STREAM, &status("error", "NetStream.Publish.Failed", text));
    }

    fn command(&mut self, message: &Message) -> Result<Option<Event>, Error> {
        let command = Command::read(message)?;
        let tid = command.transaction;
        if !matches!(self.phase, Phase::Publishing | Phase::Playing) {
            self.commands += 1;
            if self.commands > CHATTER {
                return Err(Error::Chatter(CHATTER));
            }
        }
        match command.name.as_str() {
            "connect" => self.connect(&command)?,
            "createStream" => {
                self.connected("createStream")?;
                self.link.command(0, &result(tid, [Value::Null, Value::Number(STREAM.into())]));
            }
            // What Flash encoders announce before and after they publish.
            "releaseStream" | "FCSubscribe" => self.link.command(0, &result(tid, [Value::Null, Value::Undefined])),
            "FCPublish" => {
                self.link.command(0, &result(tid, [Value::Null, Value::Undefined]));
                let start = info("status", "NetStream.Publish.Start", command.text(0));
                self.link.command(0, &[Value::text("onFCPublish"), Value::Number(0.0), Value::Null, start]);
            }
            "publish" => return self.ask(Act::Publish, &command).map(Some),
            "play" | "play2" => return self.ask(Act::Play, &command).map(Some),
            "FCUnpublish" if self.phase == Phase::Publishing => {
                let over = info("status", "NetStream.Unpublish.Success", command.text(0));
                self.link.command(0, &[Value::text("onFCUnpublish"), Value::Number(0.0), Value::Null, over]);
                return Ok(Some(self.stop()));
            }
            "deleteStream" | "closeStream" if matches!(self.phase, Phase::Publishing | Phase::Playing) => {
                return Ok(Some(self.stop()));
            }
            "pause" | "pauseRaw" if self.phase == Phase::Playing => {
                let paused = command.argument(0).and_then(Value::as_bool).unwrap_or(false);
                let (code, text) = if paused { ("NetStream.Pause.Notify", "paused") } else { ("NetStream.Unpause.Notify", "unpaused") };
                self.link.command(STREAM, &status("status", code, text));
                return Ok(Some(Event::Pause(paused)));
            }
            "seek" if self.phase == Phase::Playing => {
                self.link.command(STREAM, &status("error", "NetStream.Seek.Failed", "a live stream cannot seek"));
            }
            "getStreamLength" => self.link.command(0, &result(tid, [Value::Null, Value::Number(0.0)])),
            "_checkbw" => self.link.command(0, &result(tid, [Value::Null, Value::Undefined])),
            // The peer's answers to questions that we do not ask; switches of single tracks, which all players share.
            "_result" | "_error" | "onStatus" | "receiveAudio" | "receiveVideo" | "FCUnpublish" | "deleteStream" | "closeStream" => {}
            _ if tid != 0.0 && self.phase != Phase::New => {
                let failed = info("error", "NetConnection.Call.Failed", "no such method");
                self.link.command(0, &[Value::text("_error"), Value::Number(tid), Value::Null, failed]);
            }
            _ => {}
        }
        Ok(None)
    }

    fn connected(&self, what: &'static str) -> Result<(), Error> {
        if self.phase == Phase::New { Err(Error::Order(what)) } else { Ok(()) }
    }

    fn connect(&mut self, command: &Command) -> Result<(), Error> {
        if self.phase != Phase::New {
            return Err(Error::Order("a second connect"));
        }
        let object = command.values.first().cloned().unwrap_or(Value::Null);
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        // Enhanced RTMP: a list, or with v2 also the names of a map.
        let mut fourcc: Vec<String> = match object.get("fourCcList") {
            Some(Value::List(list)) => list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        };
        fourcc.extend(object.get("videoFourCcInfoMap").iter().flat_map(|map| map.members()).map(|(name, _)| name.clone()));
        fourcc.truncate(16);
        let encoding = object.get("objectEncoding").and_then(Value::as_f64).filter(|n| *n == 3.0).unwrap_or(0.0);
        let enhanced = !fourcc.is_empty();
        self.peer = Some(Box::new(Peer { app: text("app"), tc_url: text("tcUrl"), fourcc, client: text("flashVer") }));
        self.phase = Phase::Connected;

        let link = &mut self.link;
        link.control(kind::WINDOW, &WINDOW.to_be_bytes());
        // Type 2, dynamic.
        link.control(kind::BANDWIDTH, &[&WINDOW.to_be_bytes()[..], &[2]].concat());
        link.set_chunk_size(OUT_CHUNK);
        let mut members = vec![
            ("level".to_owned(), "status".into()),
            ("code".to_owned(), "NetConnection.Connect.Success".into()),
            ("description".to_owned(), "connection succeeded".into()),
            ("objectEncoding".to_owned(), Value::Number(encoding)),
        ];
        if enhanced {
            let list = ["hvc1", "avc1", "av01", "vp09", "Opus", "mp4a", ".mp3"].map(Value::from).to_vec();
            members.push(("fourCcList".to_owned(), Value::List(list)));
        }
        let server = Value::object([("fmsVer", "FMS/3,0,1,123".into()), ("capabilities", Value::Number(31.0))]);
        link.command(0, &result(command.transaction, [server, Value::Object(members)]));
        Ok(())
    }

    fn ask(&mut self, act: Act, command: &Command) -> Result<Event, Error> {
        let peer = match self.phase {
            Phase::Connected => self.peer.take().unwrap_or_default(),
            Phase::New => return Err(Error::Order("a stream before connect")),
            Phase::Asked(_) | Phase::Publishing | Phase::Playing => return Err(Error::Order("a second stream")),
        };
        let target = target(*peer, command.text(0));
        self.phase = Phase::Asked(act);
        Ok(match act {
            Act::Publish => Event::Publish(target),
            Act::Play => Event::Play(target),
        })
    }

    fn stop(&mut self) -> Event {
        if self.phase == Phase::Publishing {
            self.link.command(STREAM, &status("status", "NetStream.Unpublish.Success", "unpublished"));
        }
        self.phase = Phase::Connected;
        Event::Stop
    }
}

/// Puts together what is spread over `app`, `tcUrl` and the stream name: each may carry a query, the application an instance.
fn target(peer: Peer, name: &str) -> Target {
    let cut = |text: &str| {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        (path.to_owned(), query.to_owned())
    };
    let ((app, app_query), (name, name_query)) = (cut(&peer.app), cut(name));
    let (_, url_query) = cut(&peer.tc_url);
    let path = format!("{}/{}", app.trim_matches('/'), name.trim_start_matches('/'));
    let (app, name) = path.split_once('/').unwrap_or((&path, ""));
    let mut queries: Vec<&str> = Vec::new();
    for query in [&name_query, &app_query, &url_query] {
        if !query.is_empty() && !queries.contains(&query.as_str()) {
            queries.push(query);
        }
    }
    let Peer { fourcc, client, .. } = peer;
    Target { app: app.to_owned(), name: name.to_owned(), query: queries.join("&"), fourcc, client }
}

/// The wire form of audio, video or data for players, the same for all: absolute time, our chunk size, message stream 1.
/// The payload comes in two parts, which are copied once.
pub fn wire(kind: u8, timestamp: u32, parts: [&[u8]; 2]) -> Bytes {
    let csid = match kind {
        kind::AUDIO => csid::AUDIO,
        kind::VIDEO => csid::VIDEO,
        _ => csid::DATA,
    };
    let mut out = BytesMut::with_capacity(chunk::written(OUT_CHUNK, timestamp, parts[0].len() + parts[1].len()));
    chunk::write(&mut out, OUT_CHUNK, csid, Head { kind, timestamp, stream: STREAM }, parts);
    out.freeze()
}

/// What players get when their stream is over.
pub fn stream_over() -> Bytes {
    let mut link = Link::server(0);
    link.size = OUT_CHUNK;
    link.user(user::EOF, &[STREAM]);
    link.command(STREAM, &status("status", "NetStream.Play.UnpublishNotify", "the stream is over"));
    link.command(STREAM, &status("status", "NetStream.Play.Stop", "stopped"));
    link.output()
}
