//! Voice towards a device: Broadcast, upon which the device calls us (section 9.12).

use super::super::Id;
use super::super::manscdp::{self, Body};
use super::super::sdp::{self, Carriage, Description, Direction};
use super::super::ssrc::Ssrc;
use super::call::{Answered, CallEnd, CallId, State};
use super::device::DeviceKey;
use super::event::{Event, Unanswered};
use super::query::QueryId;
use super::{Server, Wake};
use crate::media::time::Timestamp;
use crate::proto::sip::dialog::Dialog;
use crate::proto::sip::message::{Envelope, Request, Response};
use crate::proto::sip::transaction::ServerId;
use crate::proto::sip::{Name, Path};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a device's INVITE waits for us.
const PATIENCE: Duration = Duration::from_secs(20);

impl Server {
    /// Asks a device to fetch our voice for one of its outputs, or for all if the target is the device itself. It answers, then calls:
    /// [`Event::VoiceInvited`].
    pub fn broadcast(&mut self, now: Timestamp, key: &DeviceKey, source: Id, target: Id) -> Result<QueryId, Unanswered> {
        let sn = self.next_sn();
        let body = manscdp::broadcast(self.version_of(key), sn, source.as_str(), target.as_str());
        let id = self.ask_broadcast(now, key, sn, target, body)?;
        self.pump(now);
        Ok(id)
    }

    pub(super) fn broadcast_answered(&mut self, now: Timestamp, key: &DeviceKey, body: &Body) {
        self.on_answer(now, key, body);
    }

    pub(super) fn on_invite(&mut self, now: Timestamp, tx: ServerId, path: Path, request: Request) {
        let Some(key) = self.sender(&request, &path).filter(|key| self.follow(now, key, &path)) else {
            let device = request.from().and_then(|from| Id::new(from.user()));
            return self.refuse(now, tx, &path, &request, device, 403, "it is not registered from this address");
        };
        if self.calls.of_dialog(&request.call_id()).is_some() {
            // a change inside a call is not for this standard
            return self.refuse(now, tx, &path, &request, Some(key.device), 488, "it calls again within a call");
        }
        let Some(offer) = Description::parse(&request.body) else {
            return self.refuse(now, tx, &path, &request, Some(key.device), 488, "its INVITE has no description");
        };
        let trying = self.answer(&request, &path, 100);
        self.layer.respond(now, tx, trying);
        let source = Id::new(request.user());
        let wake = now + PATIENCE.into();
        let call_id = request.call_id().into_owned();
        let id = self.calls.insert(key, key.device, path, call_id, State::Invited { tx, request: Box::new(request) }, wake);
        if let Some(call) = self.calls.get_mut(id) {
            call.offer = Some(Box::new(offer.clone()));
        }
        if let Some(device) = self.devices.get_mut(&key) {
            device.calls.push(id);
        }
        self.timers.set(wake, Wake::Call(id));
        self.event(Event::VoiceInvited { call: id, device: key, source, offer: Box::new(offer) });
    }

    /// Answers a device's call: we send from `media`. Some devices connect the instant the answer is out, so listen first. Gives the
    /// SSRC to send with: the device's, else the `reserved` one ([`Server::reserve_ssrc`]) or one that is taken now; the call is up with
    /// [`Event::CallAnswered`].
    pub fn accept_voice(&mut self, now: Timestamp, id: CallId, media: SocketAddr, reserved: Option<Ssrc>) -> Result<Ssrc, Unanswered> {
        let call = self.calls.get_mut(id).ok_or(Unanswered::Offline)?;
        let State::Invited { tx, request } = std::mem::replace(&mut call.state, State::Abandoned) else { return Err(Unanswered::Offline) };
        let (path, key, offer) = (call.path, call.device, call.offer.clone().unwrap_or_default());
        let told = offer.ssrc.filter(|ssrc| ssrc.0 != 0);
        let taken = match told {
            Some(_) => None,
            None => reserved.or_else(|| self.ssrcs.take(key.platform.as_str(), true)),
        };
        let ssrc = told.or(taken).unwrap_or(Ssrc(1));
        let carriage = offer.carriage.opposite();
        let response = self.voice_answer(&request, &path, &key, media, carriage, &offer, ssrc);
        let dialog = Dialog::of_callee(&request, &response);
        if let Some(call) = self.calls.get_mut(id) {
            call.ssrc = taken;
            call.carriage = carriage;
            if let Some(dialog) = dialog {
                call.state = State::Accepted { tx, dialog };
            }
        }
        self.layer.respond(now, tx, response);
        self.pump(now);
        Ok(ssrc)
    }

    #[allow(clippy::too_many_arguments)]
    fn voice_answer(
        &mut self,
        request: &Request,
        path: &Path,
        key: &DeviceKey,
        media: SocketAddr,
        carriage: Carriage,
        offer: &Description,
        ssrc: Ssrc,
    ) -> Response {
        let mut answer = Description::voice(key.platform.as_str(), media.ip(), media.port(), carriage, Direction::SendOnly);
        // µ-law, or voice in PS, if that is what it asks for and A-law is not
        if !offer.formats.contains(&8)
            && let Some(first) = offer.formats.first()
        {
            answer.formats = vec![*first];
            answer.payloads = offer.payloads.iter().filter(|payload| payload.number == *first).cloned().collect();
        }
        answer.ssrc = Some(ssrc);
        self.answer(request, path, 200).with(Name::Contact, Server::contact(key, path)).with_body(sdp::TYPE, answer.write())
    }

    pub(super) fn on_acked(&mut self, _now: Timestamp, tx: ServerId) {
        let Some(id) = self.accepted(tx) else { return };
        let Some(call) = self.calls.get_mut(id) else { return };
        if let State::Accepted { dialog, .. } = std::mem::replace(&mut call.state, State::Abandoned) {
            call.state = State::Up(dialog);
        }
        let offer = call.offer.clone();
        let path = call.path;
        let host = offer.as_ref().and_then(|offer| offer.host.parse::<IpAddr>().ok()).filter(|host| !host.is_unspecified());
        let remote = SocketAddr::new(host.unwrap_or(path.remote.ip()), offer.as_ref().map_or(0, |offer| offer.port));
        let told = offer.as_ref().and_then(|offer| offer.ssrc);
        let answered = Answered {
            ssrc: told.or(call.ssrc).unwrap_or(Ssrc(1)),
            carriage: call.carriage,
            remote,
            path,
            description: offer.map(|offer| *offer),
        };
        self.event(Event::CallAnswered { call: id, answered: Box::new(answered) });
    }

    pub(super) fn on_unacked(&mut self, now: Timestamp, tx: ServerId) {
        if let Some(id) = self.accepted(tx) {
            self.end(now, id, CallEnd::Unacked);
        }
    }

    pub(super) fn on_cancelled(&mut self, now: Timestamp, tx: ServerId) {
        if let Some(id) = self.calls.find(|state| matches!(state, State::Invited { tx: own, .. } if *own == tx)) {
            self.end(now, id, CallEnd::Cancelled);
        }
    }

    fn accepted(&self, tx: ServerId) -> Option<CallId> {
        self.calls.find(|state| matches!(state, State::Accepted { tx: own, .. } if *own == tx))
    }
}
