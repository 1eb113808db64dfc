//! Calls on the device's side: the platform's INVITEs, and our own towards its voice.

use super::super::sdp::{self, Description};
use super::super::{Id, mansrtsp};
use super::event::Event;
use super::{Client, Purpose, Wake};
use crate::media::time::Timestamp;
use crate::proto::sip::dialog::Dialog;
use crate::proto::sip::message::{Envelope, Request, Response};
use crate::proto::sip::transaction::{ClientId, ServerId};
use crate::proto::sip::{Method, Name, Path};
use std::collections::HashMap;
use std::time::Duration;

/// A call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u64);

/// Why a call is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallEnd {
    /// We hung up, or refused.
    #[error("hung up")]
    HungUp,
    /// The platform hung up.
    #[error("the platform hung up")]
    RemoteBye,
    /// The platform took its INVITE back.
    #[error("cancelled")]
    Cancelled,
    /// Our answer was never acknowledged.
    #[error("not acknowledged")]
    Unacked,
    /// The platform called again for the same stream (annex K).
    #[error("replaced by a newer call")]
    Replaced,
    /// Our own call was refused, or not answered (408).
    #[error("refused with {0}")]
    Refused(u16),
}

/// How long an INVITE waits for whoever answers it.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Calls {
    open: HashMap<CallId, Call>,
    count: u64,
}

struct Call {
    call_id: String,
    /// Sender and receiver of the stream with their sequences.
    subject: String,
    /// Who speaks in it: the channel.
    user: Id,
    state: State,
    wake: Timestamp,
}

enum State {
    Invited { tx: ServerId, request: Box<Request>, path: Path },
    Accepted { tx: ServerId, dialog: Dialog },
    Inviting { tx: ClientId, request: Box<Request>, abandoned: bool },
    Up(Dialog),
    Ending,
}

impl Calls {
    fn insert(&mut self, call: Call) -> CallId {
        self.count += 1;
        let id = CallId(self.count);
        self.open.insert(id, call);
        id
    }

    fn by_call_id(&self, call_id: &str) -> Option<CallId> {
        self.open.iter().find(|(_, call)| call.call_id == call_id).map(|(id, _)| *id)
    }

    fn find(&self, wanted: impl Fn(&State) -> bool) -> Option<CallId> {
        self.open.iter().find(|(_, call)| wanted(&call.state)).map(|(id, _)| *id)
    }
}

impl Client {
    pub(super) fn on_invite(&mut self, now: Timestamp, tx: ServerId, path: Path, request: Request) {
        let channel = Id::new(request.user()).or_else(|| Id::new(request.to()?.user()));
        let offer = Description::parse(&request.body);
        let (Some(channel), Some(offer)) = (channel, offer) else {
            let response = self.answer(&request, &path, 488);
            return self.layer.respond(now, tx, response);
        };
        let subject = request.headers.get(&Name::Subject).map(|text| text.into_owned()).unwrap_or_default();
        // annex K c: the same pair again replaces the older call
        let pair = subject.split(',').next().unwrap_or_default().to_owned();
        let same = |call: &&Call| !pair.is_empty() && call.subject == pair && matches!(call.state, State::Up(_));
        if let Some(old) = self.calls.open.iter().find(|(_, call)| same(call)).map(|(id, _)| *id) {
            self.end(now, old, CallEnd::Replaced);
        }
        let trying = self.answer(&request, &path, 100);
        self.layer.respond(now, tx, trying);
        let wake = now + PATIENCE.into();
        let call_id = request.call_id().into_owned();
        let state = State::Invited { tx, request: Box::new(request), path };
        let id = self.calls.insert(Call { call_id, subject: pair, user: channel, state, wake });
        self.timers.set(wake, Wake::Call(id));
        self.event(Event::Invited { call: id, channel, offer: Box::new(offer) });
    }

    /// Answers the platform's call; `None` answers without a description, as one simulator does.
    pub fn accept(&mut self, now: Timestamp, id: CallId, answer: Option<&Description>) {
        self.accept_with(now, id, answer, &[]);
    }

    /// The same, with further headers (`X-RoutePath` of a cascade, annex H).
    pub fn accept_with(&mut self, now: Timestamp, id: CallId, answer: Option<&Description>, headers: &[(&str, String)]) {
        let Some(call) = self.calls.open.get_mut(&id) else { return };
        let user = call.user;
        let State::Invited { tx, request, path } = std::mem::replace(&mut call.state, State::Ending) else { return };
        let mut response = self.answer(&request, &path, 200).with(Name::Contact, self.contact(user, &path));
        for (name, value) in headers {
            response.headers.push(Name::Other((*name).into()), value.clone());
        }
        if let Some(answer) = answer {
            response = response.with_body(sdp::TYPE, answer.write());
        }
        let dialog = Dialog::of_callee(&request, &response);
        if let (Some(call), Some(dialog)) = (self.calls.open.get_mut(&id), dialog) {
            call.state = State::Accepted { tx, dialog };
        }
        for _ in 1..self.config.answers {
            self.layer.send(path, response.to_bytes());
        }
        self.layer.respond(now, tx, response);
        self.pump(now);
    }

    /// Refuses the platform's call: 404 unknown, 480 offline, 486 no more streams, 488 not like this.
    pub fn refuse(&mut self, now: Timestamp, id: CallId, status: u16) {
        if let Some(Call { state: State::Invited { tx, request, path }, .. }) = self.calls.open.get(&id) {
            let (tx, path, request) = (*tx, *path, request.clone());
            let response = self.answer(&request, &path, status);
            self.layer.respond(now, tx, response);
            self.calls.open.remove(&id);
            self.pump(now);
        }
    }

    /// Ends a call of any state.
    pub fn hang_up(&mut self, now: Timestamp, id: CallId) {
        self.end(now, id, CallEnd::HungUp);
        self.pump(now);
    }

    fn end(&mut self, now: Timestamp, id: CallId, why: CallEnd) {
        let Some(call) = self.calls.open.get_mut(&id) else { return };
        match std::mem::replace(&mut call.state, State::Ending) {
            State::Invited { tx, request, path } => {
                let response = self.answer(&request, &path, if why == CallEnd::Cancelled { 487 } else { 480 });
                self.layer.respond(now, tx, response);
                self.calls.open.remove(&id);
            }
            State::Up(dialog) | State::Accepted { dialog, .. } => match self.path {
                Some(path) => {
                    let tx = self.layer.request(now, path, dialog.bye());
                    self.purposes.insert(tx, Purpose::Bye(id));
                }
                None => self.drop_call(id),
            },
            State::Inviting { tx, request, abandoned: false } => {
                self.layer.cancel(now, tx);
                call.state = State::Inviting { tx, request, abandoned: true };
            }
            old => {
                call.state = old;
                return;
            }
        }
        self.event(Event::Ended { call: id, why });
    }

    pub(super) fn drop_call(&mut self, id: CallId) {
        self.calls.open.remove(&id);
    }

    pub(super) fn on_acked(&mut self, tx: ServerId) {
        let Some(id) = self.accepted(tx) else { return };
        let Some(call) = self.calls.open.get_mut(&id) else { return };
        if let State::Accepted { dialog, .. } = std::mem::replace(&mut call.state, State::Ending) {
            call.state = State::Up(dialog);
        }
        if let Some(path) = self.path {
            self.event(Event::Up { call: id, answer: None, path });
        }
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

    pub(super) fn call_timer(&mut self, now: Timestamp, at: Timestamp, id: CallId) {
        if let Some(Call { state: State::Invited { .. }, wake, .. }) = self.calls.open.get(&id)
            && *wake == at
        {
            self.end(now, id, CallEnd::HungUp);
        }
    }

    pub(super) fn on_bye(&mut self, now: Timestamp, tx: ServerId, path: Path, request: Request) {
        let id = self.calls.by_call_id(&request.call_id());
        let response = self.answer(&request, &path, if id.is_some() { 200 } else { 481 });
        self.layer.respond(now, tx, response);
        if let Some(id) = id {
            let told = self.calls.open.remove(&id).is_some_and(|call| !matches!(call.state, State::Ending));
            if told {
                self.event(Event::Ended { call: id, why: CallEnd::RemoteBye });
            }
        }
    }

    pub(super) fn on_info(&mut self, now: Timestamp, tx: ServerId, path: Path, request: Request) {
        let id = self.calls.by_call_id(&request.call_id());
        let command = mansrtsp::Command::parse(&super::super::charset::decode(&request.body));
        let (status, event) = match (id, command) {
            (None, _) => (481, None),
            (Some(_), None) => (400, None),
            (Some(call), Some((command, _))) => (200, Some(Event::Playback { call, command })),
        };
        let mut response = self.answer(&request, &path, status);
        if let Some((_, number)) = command.filter(|_| status == 200) {
            let reply = mansrtsp::Reply { status: 200, ..mansrtsp::Reply::default() };
            response = response.with_body(mansrtsp::TYPE, reply.write(number));
        }
        self.layer.respond(now, tx, response);
        if let Some(event) = event {
            self.event(event);
        }
    }

    /// The next request inside a call that is up.
    pub(super) fn in_call(&mut self, id: CallId, method: Method) -> Option<Request> {
        match &mut self.calls.open.get_mut(&id)?.state {
            State::Up(dialog) => Some(dialog.request(method)),
            _ => None,
        }
    }

    /// Calls the platform to hear its voice (section 9.12.1): `from` is our output, `source` whom the broadcast named.
    pub fn call_voice(&mut self, now: Timestamp, from: Id, source: Id, offer: &Description) -> Option<CallId> {
        let path = self.path?;
        let mut request = self.fresh(Method::Invite, &path, from);
        request.uri = format!("sip:{source}@{}", path.remote);
        request.headers.set(Name::To, format!("<sip:{source}@{}>", self.config.domain));
        let subject = format!("{source}:0000000001,{from}:1");
        let request =
            request.with(Name::Contact, self.contact(from, &path)).with(Name::Subject, subject.clone()).with_body(sdp::TYPE, offer.write());
        let tx = self.layer.request(now, path, request.clone());
        let call_id = request.call_id().into_owned();
        let state = State::Inviting { tx, request: Box::new(request), abandoned: false };
        let id = self.calls.insert(Call { call_id, subject, user: from, state, wake: now });
        self.purposes.insert(tx, Purpose::Invite(id));
        self.pump(now);
        Some(id)
    }

    pub(super) fn invite_answered(&mut self, now: Timestamp, id: CallId, path: Path, response: Response) {
        let Some(call) = self.calls.open.get_mut(&id) else { return };
        let State::Inviting { request, abandoned, .. } = &call.state else { return };
        let abandoned = *abandoned;
        match response.status {
            ..200 => {}
            200..300 => {
                let Some(dialog) = Dialog::of_caller(request, &response) else { return self.drop_call(id) };
                call.state = State::Up(dialog.clone());
                let via = self.layer.fresh_via(&path);
                self.layer.send(path, dialog.ack(via, dialog.number()).to_bytes());
                if abandoned {
                    let tx = self.layer.request(now, path, dialog.bye());
                    self.purposes.insert(tx, Purpose::Bye(id));
                } else {
                    let answer = Description::parse(&response.body).map(Box::new);
                    self.event(Event::Up { call: id, answer, path });
                }
            }
            status => {
                self.calls.open.remove(&id);
                if !abandoned {
                    self.event(Event::Ended { call: id, why: CallEnd::Refused(status) });
                }
            }
        }
    }

    pub(super) fn invite_failed(&mut self, id: CallId) {
        if let Some(Call { state: State::Inviting { abandoned: false, .. }, .. }) = self.calls.open.remove(&id) {
            self.event(Event::Ended { call: id, why: CallEnd::Refused(408) });
        }
    }

    /// A repeated 200 to a call of ours wants its ACK again.
    pub(super) fn on_stray(&mut self, path: Path, response: Response) {
        let invite = matches!(response.cseq(), Some((_, Method::Invite))) && (200..300).contains(&response.status);
        if invite && let Some(dialog) = Dialog::from_answer(&response, &format!("sip:{}@{}", self.config.server, path.remote)) {
            let via = self.layer.fresh_via(&path);
            self.layer.send(path, dialog.ack(via, dialog.number()).to_bytes());
        }
    }

    /// How many calls are open, those that end included.
    pub fn open_calls(&self) -> usize {
        self.calls.open.len()
    }
}
