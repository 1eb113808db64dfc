//! The server machine against scripted devices, in simulated time.

mod calls;
mod hostile;
mod queries;
mod registration;
mod subscriptions;

use super::*;
use crate::proto::gb28181::manscdp;
use crate::proto::sip::message::{Envelope, Request, Response};
use crate::proto::sip::{Method, Name, Transport, framer};
use std::net::SocketAddr;
use std::time::Duration;

pub(super) const PLATFORM: &str = "34020000002000000001";
pub(super) const NVR: &str = "34020000001180000001";
pub(super) const CHANNEL: &str = "34020000001310000001";
pub(super) const PASSWORD: &str = "12345678";

pub(super) fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

pub(super) fn key() -> DeviceKey {
    DeviceKey { platform: id(PLATFORM), device: id(NVR) }
}

pub(super) fn udp(remote: &str) -> Path {
    Path { transport: Transport::Udp, link: 0, remote: remote.parse().unwrap(), local: "192.0.2.10:5060".parse().unwrap() }
}

pub(super) fn tcp(link: u64, remote: &str) -> Path {
    Path { transport: Transport::Tcp, link, ..udp(remote) }
}

/// A server, a clock and what came out of it.
pub(super) struct World {
    pub server: Server,
    pub now: Timestamp,
    pub sent: VecDeque<(Path, Message)>,
    pub events: VecDeque<Event>,
    pub password: Option<String>,
    number: u32,
}

impl World {
    pub fn new(config: Config) -> World {
        let mut server = Server::new(config, [9; 32]);
        server.set_platforms(vec![id(PLATFORM)]);
        // 2025-03-01 08:00:00 at UTC+8
        server.set_wall(Timestamp::ZERO, Timestamp::from_millis(1_740_787_200_000));
        let password = Some(PASSWORD.to_owned());
        World { server, now: Timestamp::ZERO, sent: VecDeque::new(), events: VecDeque::new(), password, number: 100 }
    }

    /// Drains the machine; questions about registrations are answered at once.
    pub fn drain(&mut self) {
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send { path, bytes } => {
                    assert!(bytes.len() < 1300, "a request of {} bytes is too long for some devices", bytes.len());
                    self.sent.push_back((path, framer::datagram(&bytes).unwrap().unwrap()));
                }
                Output::Event(Event::Ask { ask, registration }) => {
                    let verdict = Verdict::Admit { platform: registration.platforms[0], password: self.password.clone(), username: None };
                    self.server.verdict(self.now, ask, verdict);
                }
                Output::Event(event) => self.events.push_back(event),
            }
        }
    }

    pub fn take(&mut self, path: Path, message: impl Into<Message>) {
        self.server.receive(self.now, path, message.into());
        self.drain();
    }

    /// Lets time pass, timer by timer.
    pub fn wait(&mut self, span: Duration) {
        let until = self.now + span.into();
        while let Some(at) = self.server.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// Registers if the machine lets it; nothing is asserted.
    pub fn try_register(&mut self, path: Path, device: &str) {
        self.clear();
        let request = self.device_request(Method::Register, device);
        self.take(path, request.clone());
        let challenge = self.sent.iter().find_map(|(_, message)| match message {
            Message::Response(response) if response.status == 401 => Some(response.clone()),
            _ => None,
        });
        if let Some(challenge) = challenge {
            self.take(path, with_password(&request, &challenge, device, PASSWORD));
        }
    }

    pub fn response(&mut self) -> Response {
        match self.sent.pop_front() {
            Some((_, Message::Response(response))) => response,
            other => panic!("no response but {other:?}"),
        }
    }

    pub fn request(&mut self, method: Method) -> Request {
        match self.sent.pop_front() {
            Some((_, Message::Request(request))) if request.method == method => request,
            other => panic!("no {method} but {other:?}"),
        }
    }

    pub fn event(&mut self) -> Event {
        self.events.pop_front().expect("an event")
    }

    pub fn quiet(&self) {
        assert!(self.sent.is_empty() && self.events.is_empty(), "{:?} {:?}", self.sent, self.events);
    }

    pub fn clear(&mut self) {
        self.sent.clear();
        self.events.clear();
    }

    /// A request of a device, with a branch and a Call-ID of its own.
    pub fn device_request(&mut self, method: Method, device: &str) -> Request {
        self.number += 1;
        let n = self.number;
        Request::new(method.clone(), format!("sip:{PLATFORM}@3402000000"))
            .with(Name::Via, format!("SIP/2.0/UDP 10.0.0.8:5060;rport;branch=z9hG4bKd{n}"))
            .with(Name::From, format!("<sip:{device}@3402000000>;tag=d{n}"))
            .with(Name::To, format!("<sip:{PLATFORM}@3402000000>"))
            .with(Name::CallId, format!("dev{n}@10.0.0.8"))
            .with(Name::CSeq, format!("{n} {method}"))
    }

    pub fn body(&mut self, device: &str, body: impl Into<bytes::Bytes>) -> Request {
        self.device_request(Method::Message, device).with_body(manscdp::TYPE, body)
    }

    pub fn keepalive(&mut self, path: Path, device: &str) {
        let request = self.body(device, manscdp::keepalive(Default::default(), 1, device, &[]));
        self.take(path, request);
    }

    /// Registers a device with its password and throws away what that says.
    pub fn register(&mut self, path: Path, device: &str) {
        let request = self.device_request(Method::Register, device).with(Name::Expires, "3600").with(Name::XGbVer, "2.0");
        let request = request.with(Name::Contact, format!("<sip:{device}@10.0.0.8:5060>"));
        self.take(path, request.clone());
        let challenge = self.response();
        if challenge.status == 401 {
            let again = with_password(&request, &challenge, device, PASSWORD);
            self.take(path, again);
            assert_eq!(self.response().status, 200);
        }
        self.clear();
    }
}

pub(super) fn with_password(request: &Request, challenge: &Response, user: &str, password: &str) -> Request {
    use crate::proto::sip::digest::{Challenge, Credentials};
    let challenge = Challenge::parse(&challenge.headers.get(&Name::WwwAuthenticate).unwrap()).unwrap();
    let credentials = Credentials::answer(&challenge, user, password, request.method.as_str(), &request.uri, "0a4f113b");
    let mut again = request.clone();
    let number = request.cseq().unwrap().0 + 1;
    again.headers.set(Name::CSeq, format!("{number} {}", request.method));
    let via = again.headers.get(&Name::Via).unwrap().into_owned() + "x";
    again.headers.set(Name::Via, via);
    again.headers.set(Name::Authorization, credentials.to_string());
    again
}

pub(super) fn ok(request: &Request) -> Response {
    reply(request, 200)
}

pub(super) fn reply(request: &Request, status: u16) -> Response {
    Response::to(request, "192.0.2.10:5060".parse().unwrap(), status, "dev")
}

impl From<Request> for Message {
    fn from(request: Request) -> Message {
        Message::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Message {
        Message::Response(response)
    }
}

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn media() -> SocketAddr {
    "192.0.2.20:30000".parse().unwrap()
}
