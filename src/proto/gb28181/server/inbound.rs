//! Requests of devices: who is it, may it, what does it want.

use super::super::Id;
use super::super::manscdp::{self, Alarm, AlarmMethod, Body, Cmd, Control, Item, Root, positions};
use super::Server;
use super::device::DeviceKey;
use super::event::Event;
use crate::media::time::Timestamp;
use crate::proto::sip::message::{Envelope, Request};
use crate::proto::sip::transaction::ServerId;
use crate::proto::sip::{Method, Name, Path};

const ALLOW: &str = "REGISTER, MESSAGE, INVITE, ACK, BYE, CANCEL, INFO, OPTIONS, SUBSCRIBE, NOTIFY";

impl Server {
    pub(super) fn on_request(&mut self, now: Timestamp, id: ServerId, path: Path, request: Request) {
        match request.method {
            Method::Register => self.on_register(now, id, path, request),
            Method::Message => self.on_message(now, id, path, request),
            Method::Notify => self.on_notify(now, id, path, request),
            Method::Bye => self.on_bye(now, id, path, request),
            Method::Invite => self.on_invite(now, id, path, request),
            Method::Info => self.on_info(now, id, path, request),
            Method::Options => {
                if let Some(key) = self.sender(&request, &path) {
                    self.follow(now, &key, &path);
                }
                let response = self.answer(&request, &path, 200).with(Name::Allow, ALLOW);
                self.layer.respond_and_forget(now, id, response);
            }
            _ => {
                let response = self.answer(&request, &path, 405).with(Name::Allow, ALLOW);
                self.layer.respond_and_forget(now, id, response);
            }
        }
    }

    /// The registered device that a request comes from: by From, or, if that names a channel, by where it comes from.
    pub(super) fn sender(&self, request: &Request, path: &Path) -> Option<DeviceKey> {
        let id = request.from().and_then(|from| Id::new(from.user()));
        let platform = Id::new(request.user()).or_else(|| Id::new(request.to()?.user()));
        id.and_then(|id| self.devices.find(id, platform, path)).or_else(|| self.devices.on_path(path))
    }

    fn on_message(&mut self, now: Timestamp, id: ServerId, path: Path, request: Request) {
        let body = Body::parse(&request.body);
        // end of file: the only MESSAGE inside a dialog; Hikvision's From is not the device, so the Call-ID decides
        if let Ok(Body { cmd: Cmd::MediaStatus, .. }) = &body
            && let Some(call) = self.calls.of_dialog(&request.call_id())
        {
            self.plain_ok(now, id, &path, &request);
            return self.media_finished(now, call);
        }
        let key = self.sender(&request, &path).or_else(|| self.owner_of_answer(body.as_ref().ok()?.sn, &path));
        let Some(key) = key.filter(|key| self.follow(now, key, &path)) else {
            return self.unregistered(now, id, &path, &request);
        };
        match body {
            // a life sign is the sender's own: one of another device from the same address says nothing about this one
            Ok(body) if body.cmd == Cmd::Keepalive && request.from().is_none_or(|from| from.user() != key.device.as_str()) => {
                self.unregistered(now, id, &path, &request);
            }
            Ok(body) if body.cmd == Cmd::Keepalive => {
                // answered without a body and not kept: these come by the thousand
                let response = self.answer(&request, &path, 200);
                self.layer.respond_and_forget(now, id, response);
                self.on_keepalive(now, &key, &body);
            }
            Ok(body) => {
                self.plain_ok(now, id, &path, &request);
                self.on_body(now, &key, &body, true);
            }
            Err(error) => {
                let response = self.answer(&request, &path, 400);
                self.layer.respond_and_forget(now, id, response);
                self.event(Event::Unknown { device: key, what: format!("a MESSAGE whose body cannot be read: {error}") });
            }
        }
    }

    fn on_notify(&mut self, now: Timestamp, id: ServerId, path: Path, request: Request) {
        // some devices answer a subscription with other tags or another Call-ID: never 481, the sender and the body decide
        let key = self.sender(&request, &path).or_else(|| self.subscriber(&request.call_id(), &path));
        let Some(key) = key.filter(|key| self.follow(now, key, &path)) else {
            return self.unregistered(now, id, &path, &request);
        };
        self.plain_ok(now, id, &path, &request);
        let state = request.headers.get(&Name::SubscriptionState).unwrap_or_default().to_ascii_lowercase();
        if state.trim_start().starts_with("terminated") {
            self.subscription_ended(now, &key, &request.call_id());
        }
        if !request.body.is_empty() {
            match Body::parse(&request.body) {
                Ok(body) => self.on_body(now, &key, &body, false),
                Err(error) => self.event(Event::Unknown { device: key, what: format!("a NOTIFY whose body cannot be read: {error}") }),
            }
        }
    }

    /// Somebody who is not registered, or whose address changed: refused, so that it registers again; a silent drop costs it three
    /// life signs.
    fn unregistered(&mut self, now: Timestamp, id: ServerId, path: &Path, request: &Request) {
        let device = request.from().and_then(|from| Id::new(from.user()));
        self.refuse(now, id, path, request, device, 403, "it is not registered from this address");
    }

    pub(super) fn plain_ok(&mut self, now: Timestamp, id: ServerId, path: &Path, request: &Request) {
        let response = self.answer(request, path, 200);
        self.layer.respond(now, id, response);
    }

    /// `answered`: it came by MESSAGE, so an alarm wants a MANSCDP answer (section 9.4).
    fn on_body(&mut self, now: Timestamp, key: &DeviceKey, body: &Body, answered: bool) {
        let device = *key;
        let zone = self.config.zone;
        match (body.root, &body.cmd) {
            (Root::Response, Cmd::Broadcast) => self.broadcast_answered(now, key, body),
            (Root::Response, _) => self.on_answer(now, key, body),
            (Root::Notify, Cmd::Catalog) => {
                let items: Vec<_> = body.list("DeviceList").1.filter_map(Item::read).collect();
                if !items.is_empty() {
                    self.event(Event::Changes { device, items });
                }
            }
            (Root::Notify, Cmd::MobilePosition) => {
                let positions = positions(body, zone);
                if !positions.is_empty() {
                    self.event(Event::Positions { device, positions });
                }
            }
            (Root::Notify, Cmd::Alarm) => {
                let alarm = Alarm::read(body, zone);
                if answered {
                    let source = body.device.unwrap_or(key.device);
                    let answer = manscdp::result(self.version_of(key), &Cmd::Alarm, body.sn, source.as_str(), true);
                    self.tell(now, key, key.device, answer);
                }
                // the device stays silent until it is reset (note to A.2.5.3)
                if self.config.reset_alarms && alarm.method == AlarmMethod::DEVICE {
                    let reset = Control::ResetAlarm { method: Some(alarm.method.0), kind: Some(alarm.kind).filter(|kind| *kind > 0) };
                    let target = alarm.source.unwrap_or(key.device);
                    let version = self.version_of(key);
                    let mut sn = || self.next_sn();
                    for body in reset.write(version, &mut sn, target.as_str()) {
                        self.tell(now, key, key.device, body);
                    }
                }
                self.event(Event::Alarm { device, alarm });
            }
            (Root::Notify, Cmd::MediaStatus) => {
                // outside of its dialog: by the channel that it names, or the device's only playback
                if let Some(call) = self.finished_by(key, body.device) {
                    self.media_finished(now, call);
                }
            }
            (root, cmd) => {
                let what = format!("{} {}", root.as_str(), cmd.as_str());
                self.event(Event::Unknown { device, what });
            }
        }
    }
}
