//! Calls: INVITE to BYE in every order of events (sections 9.2, 9.8, 9.9; annexes G, K, L).

use super::super::mansrtsp::{self, Command, Reply};
use super::super::sdp::{self, Carriage, Description, Purpose as For};
use super::super::ssrc::Ssrc;
use super::super::{Id, manscdp};
use super::device::DeviceKey;
use super::event::{Event, Unanswered};
use super::trace::Entry;
use super::{Purpose, Server, Wake};
use crate::media::time::Timestamp;
use crate::proto::sip::dialog::Dialog;
use crate::proto::sip::message::{Envelope, Request, Response};
use crate::proto::sip::transaction::{ClientId, Failure, ServerId};
use crate::proto::sip::{Method, Name, Path};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub(super) u64);

/// What is wanted of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Invite {
    /// The channel.
    pub channel: Id,
    /// Live, a recording, voice.
    pub purpose: For,
    /// The SSRC to tell the device, from [`Server::reserve_ssrc`]; `None` takes one. It is the call's from now on.
    pub ssrc: Option<Ssrc>,
    /// Where we receive: told to the device as it is.
    pub media: SocketAddr,
    /// How: passive is the default of the standard (annex D), the device connects to us.
    pub carriage: Carriage,
    /// Of a recording: from and to, Unix seconds.
    pub range: Option<(u64, u64)>,
    /// 0 main, 1 sub.
    pub stream: Option<u8>,
    /// How fast a download shall go.
    pub speed: Option<u8>,
    /// Whether to offer the longer list of payloads.
    pub senior: bool,
    /// Further `a=` lines, for vendors.
    pub attributes: Vec<String>,
}

impl Invite {
    /// Live pictures of a channel.
    pub fn play(channel: Id, media: SocketAddr, carriage: Carriage) -> Invite {
        Invite {
            channel,
            purpose: For::Play,
            ssrc: None,
            media,
            carriage,
            range: None,
            stream: None,
            speed: None,
            senior: false,
            attributes: Vec::new(),
        }
    }

    /// A recording.
    pub fn playback(channel: Id, media: SocketAddr, carriage: Carriage, range: (u64, u64)) -> Invite {
        Invite { purpose: For::Playback, range: Some(range), ..Invite::play(channel, media, carriage) }
    }
}

/// What a device answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Its description; `None` with devices that answer without.
    pub description: Option<Description>,
    /// The SSRC to expect: the answer's, or else ours. What the media carries may be a third one.
    pub ssrc: Ssrc,
    /// How the media travels, from our side: what we offered, whatever the answer says.
    pub carriage: Carriage,
    /// Where the device says it sends from, or waits for our connection.
    pub remote: SocketAddr,
    /// How it is reached.
    pub path: Path,
}

/// Why a call is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallEnd {
    /// The device refused.
    #[error("refused with {status} {reason}")]
    Refused {
        /// 300 to 699.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// No final answer in time.
    #[error("no answer")]
    Timeout,
    /// We hung up before it was answered.
    #[error("cancelled")]
    Cancelled,
    /// We hung up.
    #[error("hung up")]
    HungUp,
    /// The device hung up.
    #[error("the device hung up")]
    RemoteBye,
    /// The recording was sent to its end.
    #[error("the recording is over")]
    Finished,
    /// The device is gone.
    #[error("the device is gone")]
    DeviceGone,
    /// Our answer was never acknowledged.
    #[error("our answer was not acknowledged")]
    Unacked,
}

pub(super) enum State {
    /// INVITE is out.
    Inviting { tx: ClientId },
    /// Given up; a late 200 is acknowledged and ended.
    Abandoned,
    /// Answered.
    Up(Dialog),
    /// A device's INVITE waits for us.
    Invited { tx: ServerId, request: Box<Request> },
    /// Our 200 waits for its ACK.
    Accepted { tx: ServerId, dialog: Dialog },
    /// BYE is out; late repetitions of the 200 are still acknowledged.
    Ending(Dialog),
}

pub(super) struct Call {
    pub device: DeviceKey,
    pub channel: Id,
    pub purpose: For,
    pub ssrc: Option<Ssrc>,
    pub carriage: Carriage,
    pub path: Path,
    pub call_id: String,
    pub state: State,
    pub invite: Option<Box<Request>>,
    pub offer: Option<Box<Description>>,
    pub wake: Timestamp,
    /// Its device said that everything was sent.
    finished: bool,
    told: bool,
    first: Vec<Entry>,
    last: VecDeque<Entry>,
}

/// How long whoever holds a call has to take in the rest of its media after the device said that everything was sent.
const REST: Duration = Duration::from_secs(4);
/// How many of the first and of the last messages of a call are kept, and of how many calls that are over.
const KEPT: usize = 16;
const OVER: usize = 500;

#[derive(Default)]
pub(super) struct Calls {
    open: HashMap<CallId, Call>,
    by_call_id: HashMap<String, CallId>,
    over: VecDeque<(CallId, Vec<Entry>)>,
    count: u64,
}

impl Calls {
    pub fn of_dialog(&self, call_id: &str) -> Option<CallId> {
        self.by_call_id.get(call_id).copied()
    }

    pub fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.open.get_mut(&id)
    }

    /// The call in that state; only few are called by a device, so few are looked at.
    pub fn find(&self, wanted: impl Fn(&State) -> bool) -> Option<CallId> {
        self.open.iter().find(|(_, call)| wanted(&call.state)).map(|(id, _)| *id)
    }

    /// Keeps a message of a call; false if it is of none.
    pub fn trace(&mut self, call_id: &str, entry: &Entry) -> bool {
        let Some(call) = self.by_call_id.get(call_id).and_then(|id| self.open.get_mut(id)) else { return false };
        if call.first.len() < KEPT {
            call.first.push(entry.clone());
        } else {
            call.last.push_back(entry.clone());
            if call.last.len() > KEPT {
                call.last.pop_front();
            }
        }
        true
    }

    pub fn trace_of(&self, id: CallId) -> Vec<Entry> {
        match self.open.get(&id) {
            Some(call) => call.first.iter().chain(&call.last).cloned().collect(),
            None => self.over.iter().find(|(other, _)| *other == id).map(|(_, entries)| entries.clone()).unwrap_or_default(),
        }
    }

    pub fn insert(&mut self, device: DeviceKey, channel: Id, path: Path, call_id: String, state: State, wake: Timestamp) -> CallId {
        self.count += 1;
        let id = CallId(self.count);
        self.by_call_id.insert(call_id.clone(), id);
        self.open.insert(
            id,
            Call {
                device,
                channel,
                purpose: For::Play,
                ssrc: None,
                carriage: Carriage::Udp,
                path,
                call_id,
                state,
                invite: None,
                offer: None,
                wake,
                finished: false,
                told: false,
                first: Vec::new(),
                last: VecDeque::new(),
            },
        );
        id
    }
}

impl Server {
    /// Calls a channel. Its SSRC comes back when the call is over; media may arrive as soon as this returns.
    pub fn invite(&mut self, now: Timestamp, key: &DeviceKey, invite: Invite) -> Result<(CallId, Ssrc), Unanswered> {
        let Some(path) = self.devices.get(key).and_then(|device| device.path) else {
            invite.ssrc.into_iter().for_each(|ssrc| self.ssrcs.give(ssrc));
            return Err(Unanswered::Offline);
        };
        let taken = invite.ssrc.or_else(|| self.ssrcs.take(key.platform.as_str(), invite.purpose.is_live()));
        let ssrc = taken.ok_or(Unanswered::Busy)?;
        let mut offer = match invite.purpose {
            For::Talk => {
                Description::voice(key.platform.as_str(), invite.media.ip(), invite.media.port(), invite.carriage, sdp::Direction::SendRecv)
            }
            purpose => Description::offer(key.platform.as_str(), purpose, invite.media.ip(), invite.media.port(), invite.carriage),
        };
        if invite.senior && invite.purpose != For::Talk {
            offer = offer.senior();
        }
        offer.purpose = Some(invite.purpose);
        offer.ssrc = Some(ssrc);
        offer.stream = invite.stream;
        offer.speed = invite.speed;
        offer.attributes = invite.attributes;
        if let Some(range) = invite.range {
            offer.uri = Some(format!("{}:0", invite.channel));
            offer.time = range;
        }
        let request = self
            .fresh(Method::Invite, key, &path, invite.channel)
            .with(Name::Contact, Server::contact(key, &path))
            .with(Name::Subject, subject(&invite.channel, &key.platform, ssrc, invite.purpose, invite.stream, self.calls.count))
            .with_body(sdp::TYPE, offer.write());
        let call_id = request.call_id().into_owned();
        let wake = now + self.config.invite.into();
        // known before it is sent, so that the trace begins with it
        let id = self.calls.insert(*key, invite.channel, path, call_id, State::Abandoned, wake);
        let tx = self.layer.request(now, path, request.clone());
        self.purposes.insert(tx, Purpose::Invite(id));
        if let Some(call) = self.calls.get_mut(id) {
            call.state = State::Inviting { tx };
            call.purpose = invite.purpose;
            call.ssrc = Some(ssrc);
            call.carriage = invite.carriage;
            call.invite = Some(Box::new(request));
        }
        if let Some(device) = self.devices.get_mut(key) {
            device.calls.push(id);
        }
        self.timers.set(wake, Wake::Call(id));
        self.pump(now);
        Ok((id, ssrc))
    }

    /// An SSRC for a call that is about to be made, so that its media can be expected before the device hears of it. Goes back by the
    /// call's end, or by [`Server::release_ssrc`] if there is none.
    pub fn reserve_ssrc(&mut self, platform: &Id, live: bool) -> Option<Ssrc> {
        self.ssrcs.take(platform.as_str(), live)
    }

    /// Gives a reserved SSRC back.
    pub fn release_ssrc(&mut self, ssrc: Ssrc) {
        self.ssrcs.give(ssrc);
    }

    pub(super) fn invite_answered(&mut self, now: Timestamp, id: CallId, path: Path, mut response: Response) {
        let Some(call) = self.calls.get_mut(id) else { return };
        match response.status {
            ..200 => {}
            200..300 => {
                let Some(invite) = call.invite.take() else { return };
                complete(&mut response, &invite);
                let Some(dialog) = Dialog::of_caller(&invite, &response) else { return self.drop_call(id) };
                let abandoned = matches!(call.state, State::Abandoned);
                let answered = answered(call, path, &response);
                call.state = State::Up(dialog.clone());
                self.acknowledge(&path, &dialog);
                if abandoned {
                    // it crossed our CANCEL, or came when nobody waited any more
                    self.end(now, id, CallEnd::Cancelled);
                } else {
                    self.event(Event::CallAnswered { call: id, answered: Box::new(answered) });
                }
            }
            status => {
                self.tell_end(id, CallEnd::Refused { status, reason: response.reason });
                self.drop_call(id);
            }
        }
    }

    pub(super) fn invite_failed(&mut self, id: CallId, why: Failure) {
        self.tell_end(id, if why == Failure::Timeout { CallEnd::Timeout } else { CallEnd::DeviceGone });
        self.drop_call(id);
    }

    /// A 200 to an INVITE that is no answer to anything open: a repetition, which wants its ACK again; a second dialog of the same
    /// INVITE, or the answer to a call long forgotten, which are acknowledged and ended.
    pub(super) fn on_stray(&mut self, now: Timestamp, path: Path, response: Response) {
        if !(200..300).contains(&response.status) || !matches!(response.cseq(), Some((_, Method::Invite))) {
            return;
        }
        let Some(caller) = response.from().and_then(|from| Id::new(from.user())).filter(|id| self.platforms.contains(id)) else { return };
        let fallback = format!("sip:{caller}@{}", path.remote);
        let Some(dialog) = Dialog::from_answer(&response, &fallback) else { return };
        self.acknowledge(&path, &dialog);
        let known = self.calls.of_dialog(&response.call_id()).and_then(|id| self.calls.get_mut(id));
        if let Some(Call { state: State::Up(known) | State::Ending(known), .. }) = known
            && known.remote_tag() == dialog.remote_tag()
        {
            return;
        }
        self.layer.request(now, path, dialog.bye());
    }

    fn acknowledge(&mut self, path: &Path, dialog: &Dialog) {
        // a branch of its own each time (RFC 3261 section 13.2.2.4)
        let via = self.layer.fresh_via(path);
        let ack = dialog.ack(via, dialog.number());
        self.layer.send(*path, ack.to_bytes());
    }

    /// Ends a call of any state. One whose recording was sent to its end has [`CallEnd::Finished`].
    pub fn hang_up(&mut self, now: Timestamp, id: CallId) {
        let finished = self.calls.open.get(&id).is_some_and(|call| call.finished);
        self.end(now, id, if finished { CallEnd::Finished } else { CallEnd::HungUp });
        self.pump(now);
    }

    pub(super) fn end(&mut self, now: Timestamp, id: CallId, why: CallEnd) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let device = call.device;
        let path = self.devices.get(&device).and_then(|device| device.path);
        let Some(call) = self.calls.get_mut(id) else { return };
        let path = path.unwrap_or(call.path);
        match std::mem::replace(&mut call.state, State::Abandoned) {
            State::Inviting { tx } => {
                self.layer.cancel(now, tx);
                self.tell_end(id, if why == CallEnd::HungUp { CallEnd::Cancelled } else { why });
            }
            State::Up(dialog) | State::Accepted { dialog, .. } => {
                call.state = State::Ending(dialog.clone());
                let bye = dialog.bye().with(Name::UserAgent, self.config.user_agent.clone());
                let tx = self.layer.request(now, path, bye);
                self.purposes.insert(tx, Purpose::Bye(id));
                self.tell_end(id, why);
            }
            State::Invited { tx, request } => {
                let response = self.answer(&request, &path, if why == CallEnd::Cancelled { 487 } else { 480 });
                self.layer.respond(now, tx, response);
                self.tell_end(id, why);
                self.drop_call(id);
            }
            State::Ending(dialog) => call.state = State::Ending(dialog),
            State::Abandoned => {}
        }
    }

    /// The device is gone: what is up is ended towards where it was last, which costs one datagram and may free its encoder.
    pub(super) fn device_gone(&mut self, now: Timestamp, id: CallId, path: Option<Path>) {
        if let (Some(call), Some(path)) = (self.calls.get_mut(id), path) {
            call.path = path;
        }
        self.end(now, id, CallEnd::DeviceGone);
    }

    /// Everything was sent, but it may not have arrived: signalling overtakes media. Whoever holds the call hangs up when it has the
    /// rest; after a while that is done for him.
    pub(super) fn media_finished(&mut self, now: Timestamp, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        if !matches!(call.state, State::Up(_)) {
            return self.end(now, id, CallEnd::Finished);
        }
        if !std::mem::replace(&mut call.finished, true) {
            call.wake = now + REST.into();
            let wake = call.wake;
            self.timers.set(wake, Wake::Call(id));
            self.event(Event::CallFinished { call: id });
        }
    }

    /// A notice of the end of a file outside of its dialog: the playback of the channel that it names, else the only one.
    pub(super) fn finished_by(&mut self, key: &DeviceKey, channel: Option<Id>) -> Option<CallId> {
        let calls = self.devices.get(key)?.calls.clone();
        let history =
            |id: &CallId| self.calls.open.get(id).is_some_and(|call| !call.purpose.is_live() && matches!(call.state, State::Up(_)));
        let mut of_device: Vec<_> = calls.into_iter().filter(history).collect();
        if of_device.len() > 1 {
            of_device.retain(|id| self.calls.open.get(id).is_some_and(|call| Some(call.channel) == channel));
        }
        match of_device.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    pub(super) fn on_bye(&mut self, now: Timestamp, tx: ServerId, path: Path, request: Request) {
        let found = self.calls.of_dialog(&request.call_id());
        let known = found.and_then(|id| self.calls.get_mut(id)).map(|call| (call.device, call.path));
        let of_device = known.and_then(|(device, _)| self.devices.get(&device)?.path);
        // from the device's address: a Call-ID can be seen on the way by others
        let theirs =
            known.is_some_and(|(_, last)| [Some(last), of_device].iter().flatten().any(|known| known.remote.ip() == path.remote.ip()));
        let Some(id) = found.filter(|_| theirs) else {
            let response = self.answer(&request, &path, 481);
            return self.layer.respond(now, tx, response);
        };
        self.plain_ok(now, tx, &path, &request);
        if let Some((device, _)) = known {
            self.heard(now, &device);
        }
        let Some(call) = self.calls.get_mut(id) else { return };
        match call.state {
            State::Up(_) | State::Accepted { .. } => {
                self.tell_end(id, CallEnd::RemoteBye);
                self.drop_call(id);
            }
            State::Inviting { .. } | State::Invited { .. } => self.end(now, id, CallEnd::RemoteBye),
            // our own BYE crossed it and is answered, or not
            State::Ending(_) | State::Abandoned => {}
        }
    }

    /// INFO inside a call: one simulator tells the end of a file by it.
    pub(super) fn on_info(&mut self, now: Timestamp, tx: ServerId, path: Path, request: Request) {
        let Some(id) = self.calls.of_dialog(&request.call_id()) else {
            let response = self.answer(&request, &path, 481);
            return self.layer.respond(now, tx, response);
        };
        self.plain_ok(now, tx, &path, &request);
        let finished = manscdp::Body::parse(&request.body).is_ok_and(|body| body.cmd == manscdp::Cmd::MediaStatus);
        if finished || memchr::memmem::find(&request.body, b"MediaStatus").is_some() {
            self.media_finished(now, id);
        }
    }

    /// Controls a playback; the result comes as [`Event::Controlled`] with this number.
    pub fn playback(&mut self, now: Timestamp, id: CallId, command: Command) -> Result<u32, Unanswered> {
        let call = self.calls.get_mut(id).ok_or(Unanswered::Offline)?;
        let State::Up(dialog) = &mut call.state else { return Err(Unanswered::Offline) };
        let number = dialog.number() + 1;
        let request = dialog.request(Method::Info).with_body(mansrtsp::TYPE, command.write(number));
        let (device, last) = (call.device, call.path);
        let path = self.devices.get(&device).and_then(|device| device.path).unwrap_or(last);
        let tx = self.layer.request(now, path, request);
        self.purposes.insert(tx, Purpose::Info(id, number));
        self.pump(now);
        Ok(number)
    }

    pub(super) fn info_answered(&mut self, call: CallId, number: u32, response: Response) {
        let reply = Reply::parse(&super::super::charset::decode(&response.body));
        let result = match (response.status, reply.status) {
            (200..300, 200..300) => Ok(reply),
            (200..300, refused) => Err(refused),
            (refused, _) => Err(refused),
        };
        self.event(Event::Controlled { call, number, result });
    }

    pub(super) fn call_timer(&mut self, now: Timestamp, at: Timestamp, id: CallId) {
        let Some(call) = self.calls.get_mut(id).filter(|call| call.wake == at) else { return };
        match call.state {
            State::Inviting { .. } => self.end(now, id, CallEnd::Timeout),
            State::Invited { .. } => self.end(now, id, CallEnd::HungUp),
            State::Up(_) if call.finished => self.end(now, id, CallEnd::Finished),
            _ => {}
        }
    }

    pub(super) fn tell_end(&mut self, id: CallId, why: CallEnd) {
        if let Some(call) = self.calls.get_mut(id)
            && !std::mem::replace(&mut call.told, true)
        {
            self.event(Event::CallEnded { call: id, why });
        }
    }

    /// Forgets a call; its SSRC is free.
    pub(super) fn drop_call(&mut self, id: CallId) {
        let Some(call) = self.calls.open.remove(&id) else { return };
        self.calls.by_call_id.remove(&call.call_id);
        if let Some(ssrc) = call.ssrc {
            self.ssrcs.give(ssrc);
        }
        if let Some(device) = self.devices.get_mut(&call.device) {
            device.calls.retain(|other| *other != id);
        }
        self.calls.over.push_back((id, call.first.into_iter().chain(call.last).collect()));
        if self.calls.over.len() > OVER {
            self.calls.over.pop_front();
        }
    }

    /// How many calls are open, those that end included.
    pub fn open_calls(&self) -> usize {
        self.calls.open.len()
    }
}

/// Annex L. The same live stream always has the same sequence, main and sub another; whoever is sent the same pair twice drops the
/// older call.
fn subject(channel: &Id, platform: &Id, ssrc: Ssrc, purpose: For, stream: Option<u8>, count: u64) -> String {
    let sequence = match purpose.is_live() {
        true => format!("0{:09}", 1 + u32::from(stream.unwrap_or(0))),
        false => ssrc.to_string(),
    };
    format!("{channel}:{sequence},{platform}:{}", count % 1_000_000_000)
}

/// Puts in what an answer left out and a dialog needs.
fn complete(response: &mut Response, invite: &Request) {
    for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
        if response.headers.raw(&name).is_none()
            && let Some(value) = invite.headers.raw(&name)
        {
            response.headers.push(name, value.clone());
        }
    }
}

fn answered(call: &Call, path: Path, response: &Response) -> Answered {
    let description = Description::parse(&response.body);
    let host = description.as_ref().and_then(|description| description.host.parse::<IpAddr>().ok());
    // an unusable address, or none: where the device's messages come from
    let host = host.filter(|host| !host.is_unspecified()).unwrap_or(path.remote.ip());
    let port = description.as_ref().map_or(0, |description| description.port);
    let told = description.as_ref().and_then(|description| description.ssrc);
    let ssrc = told.or(call.ssrc).unwrap_or(Ssrc(0));
    Answered { description, ssrc, carriage: call.carriage, remote: SocketAddr::new(host, port), path }
}
