//! What the platform asks of the device.

use super::super::manscdp::{self, Body, Cmd, Control, Query, Root};
use super::super::{Id, Version};
use super::event::Event;
use super::{Client, Purpose};
use crate::media::time::Timestamp;
use crate::proto::sip::message::{Request, Response};
use crate::proto::sip::transaction::ServerId;
use crate::proto::sip::{Method, Name, Path};

const ALLOW: &str = "MESSAGE, INVITE, ACK, BYE, CANCEL, INFO, OPTIONS, SUBSCRIBE, NOTIFY";

impl Client {
    pub(super) fn on_request(&mut self, now: Timestamp, id: ServerId, path: Path, request: Request) {
        match request.method {
            Method::Message => self.on_message(now, id, path, request),
            Method::Subscribe => self.on_subscribe(now, id, path, request),
            Method::Invite => self.on_invite(now, id, path, request),
            Method::Bye => self.on_bye(now, id, path, request),
            Method::Info => self.on_info(now, id, path, request),
            Method::Options | Method::Notify => {
                let response = self.answer(&request, &path, 200).with(Name::Allow, ALLOW);
                self.layer.respond(now, id, response);
            }
            _ => {
                let response = self.answer(&request, &path, 405).with(Name::Allow, ALLOW);
                self.layer.respond(now, id, response);
            }
        }
    }

    pub(super) fn answer(&mut self, request: &Request, path: &Path, status: u16) -> Response {
        let tag = self.ids.tag();
        Response::to(request, path.remote, status, &tag)
    }

    fn on_message(&mut self, now: Timestamp, id: ServerId, path: Path, request: Request) {
        let Ok(body) = Body::parse(&request.body) else {
            let response = self.answer(&request, &path, 400);
            return self.layer.respond(now, id, response);
        };
        let response = self.answer(&request, &path, 200);
        self.layer.respond(now, id, response);
        let target = body.device.unwrap_or(self.config.id);
        match (body.root, &body.cmd) {
            (Root::Query, _) => {
                let (query, _) = Query::read(&body, self.config.zone);
                let reply = self.asked(&query, body.sn, target);
                self.event(Event::Query { reply, query, target });
            }
            (Root::Control, Cmd::DeviceControl) => {
                let control = Control::read(&body);
                if control.as_ref().is_some_and(Control::is_answered) {
                    let answer = manscdp::result(self.edition(), &Cmd::DeviceControl, body.sn, target.as_str(), true);
                    self.message(now, answer, Purpose::Told);
                }
                self.event(Event::Control { target, control, body: request.body });
            }
            (Root::Control, cmd) => {
                let answer = manscdp::result(self.edition(), cmd, body.sn, target.as_str(), false);
                self.message(now, answer, Purpose::Told);
            }
            (Root::Notify, Cmd::Broadcast) => {
                let root = body.root_element();
                let ids = root.get("SourceID").and_then(Id::new).zip(root.get("TargetID").and_then(Id::new));
                let target = ids.map_or(self.config.id, |(_, target)| target);
                let answer = manscdp::result(self.edition(), &Cmd::Broadcast, body.sn, target.as_str(), ids.is_some());
                self.message(now, answer, Purpose::Told);
                if let Some((source, target)) = ids {
                    self.event(Event::Broadcast { source, target });
                }
            }
            (Root::Response, Cmd::Alarm) => self.event(Event::AlarmTaken { sn: body.sn }),
            _ => {}
        }
    }

    fn edition(&self) -> Version {
        self.config.edition()
    }
}
