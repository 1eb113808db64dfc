//! How requests of ours are made and what becomes of their answers.

use super::super::{Id, Version, manscdp};
use super::device::DeviceKey;
use super::event::Unanswered;
use super::{Purpose, Server};
use crate::media::time::Timestamp;
use crate::proto::sip::message::{Request, Response};
use crate::proto::sip::transaction::{ClientId, Failure};
use crate::proto::sip::{Method, Name, Path};
use bytes::Bytes;

impl Server {
    /// A request outside of any dialog, addressed to a device or one of its channels.
    pub(super) fn fresh(&mut self, method: Method, key: &DeviceKey, path: &Path, target: Id) -> Request {
        let domain = key.platform.domain();
        let (tag, call) = (self.ids.tag(), self.ids.tag());
        Request::new(method.clone(), format!("sip:{target}@{}", path.remote))
            .with(Name::From, format!("<sip:{}@{domain}>;tag={tag}", key.platform))
            .with(Name::To, format!("<sip:{target}@{domain}>"))
            .with(Name::CallId, format!("{call}@{}", path.local.ip()))
            .with(Name::CSeq, format!("1 {method}"))
            .with(Name::MaxForwards, "70")
            .with(Name::UserAgent, self.config.user_agent.clone())
    }

    /// Where we want to be answered.
    pub(super) fn contact(key: &DeviceKey, path: &Path) -> String {
        format!("<sip:{}@{}>", key.platform, path.local)
    }

    /// Sends a MANSCDP body by MESSAGE; `None` if the device cannot be reached.
    pub(super) fn message(&mut self, now: Timestamp, key: &DeviceKey, target: Id, body: Bytes, purpose: Purpose) -> Option<ClientId> {
        let path = self.devices.get(key)?.path?;
        let request = self.fresh(Method::Message, key, &path, target).with_body(manscdp::TYPE, body);
        let id = self.layer.request(now, path, request);
        self.purposes.insert(id, purpose);
        Some(id)
    }

    /// Sends a MANSCDP body whose fate does not matter.
    pub(super) fn tell(&mut self, now: Timestamp, key: &DeviceKey, target: Id, body: Bytes) {
        if let Some(path) = self.devices.get(key).and_then(|device| device.path) {
            let request = self.fresh(Method::Message, key, &path, target).with_body(manscdp::TYPE, body);
            self.layer.request(now, path, request);
        }
    }

    pub(super) fn version_of(&self, key: &DeviceKey) -> Version {
        self.devices.get(key).map(|device| device.version).unwrap_or_default()
    }

    pub(super) fn on_response(&mut self, now: Timestamp, purpose: Purpose, path: Path, response: Response) {
        match purpose {
            Purpose::Probe(key) => self.heard(now, &key),
            Purpose::Query(id) if response.status >= 300 => self.fail_query(id, Unanswered::Refused(response.status)),
            Purpose::Query(id) => self.query_taken(now, id),
            Purpose::Control(id) if response.status >= 200 => self.control_answered(id, response.status),
            Purpose::Control(_) => {}
            Purpose::Subscribe(key, kind) if response.status >= 200 => self.subscribe_answered(now, key, kind, response),
            Purpose::Subscribe(..) => {}
            Purpose::Invite(call) => self.invite_answered(now, call, path, response),
            Purpose::Info(call, number) if response.status >= 200 => self.info_answered(call, number, response),
            Purpose::Info(..) => {}
            Purpose::Bye(call) if response.status >= 200 => self.drop_call(call),
            Purpose::Bye(_) => {}
        }
    }

    pub(super) fn on_failed(&mut self, now: Timestamp, purpose: Purpose, why: Failure) {
        match purpose {
            // its own clock decides
            Purpose::Probe(_) => {}
            Purpose::Query(id) => self.fail_query(id, Unanswered::Timeout),
            Purpose::Control(id) => self.fail_query(id, Unanswered::Timeout),
            Purpose::Subscribe(key, kind) => self.subscribe_failed(now, key, kind),
            Purpose::Invite(call) => self.invite_failed(call, why),
            Purpose::Info(call, number) => {
                self.event(super::Event::Controlled { call, number, result: Err(408) });
            }
            Purpose::Bye(call) => self.drop_call(call),
        }
    }
}
