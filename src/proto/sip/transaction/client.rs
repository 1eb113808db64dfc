//! Our requests: RFC 3261 sections 17.1.1 (INVITE) and 17.1.2 (the rest).

use super::{ClientId, Envelope, Failure, Key, Layer, Method, Output, Path, Request, Response, via};
use crate::media::time::Timestamp;
use crate::proto::sip::header::Name;
use crate::proto::sip::uri::COOKIE;
use bytes::Bytes;
use std::time::Duration;

pub(super) struct Transaction {
    path: Path,
    bytes: Bytes,
    /// Kept to make ACK and CANCEL from; only of an INVITE.
    invite: Option<Box<Request>>,
    state: State,
    pause: Duration,
    resend_at: Option<Timestamp>,
    give_up_at: Timestamp,
    /// When the live entry among the timers fires; others are leftovers.
    wake: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Nothing came back yet. An INVITE may not be cancelled before something did (section 9.1).
    Calling { cancel: bool },
    /// A provisional answer came.
    Proceeding,
    /// A non-2xx final answer to our INVITE: its repetitions are acknowledged with these bytes.
    Completed { ack: Bytes },
}

impl Transaction {
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, State::Completed { .. })
    }
}

impl Layer {
    /// Sends a request; its Via is added here. The answers come as [`Output::Response`] or [`Output::Failed`] with this id.
    pub fn request(&mut self, now: Timestamp, path: Path, mut request: Request) -> ClientId {
        let branch = self.ids.number();
        request.headers.push_front(Name::Via, via(&path, branch));
        self.start(now, path, request, ClientId { branch, cancel: false })
    }

    /// Takes an INVITE back. Sent once a provisional answer is there; whatever the peer answers still comes as a response
    /// (487, or a 200 that crossed it).
    pub fn cancel(&mut self, now: Timestamp, id: ClientId) {
        let Some(invite) = self.clients.get_mut(&id) else { return };
        match &mut invite.state {
            State::Calling { cancel } => *cancel = true,
            State::Proceeding => self.send_cancel(now, id),
            State::Completed { .. } => {}
        }
    }

    fn start(&mut self, now: Timestamp, path: Path, request: Request, id: ClientId) -> ClientId {
        let bytes = request.to_bytes();
        let invite = (request.method == Method::Invite).then(|| Box::new(request));
        let give_up_at = now + self.timing.give_up().into();
        let pause = self.timing.t1;
        let resend_at = (!path.is_reliable()).then(|| now + pause.into());
        let wake = resend_at.unwrap_or(give_up_at).min(give_up_at);
        self.out.push_back(Output::Send { path, bytes: bytes.clone() });
        let state = State::Calling { cancel: false };
        self.clients.insert(id, Transaction { path, bytes, invite, state, pause, resend_at, give_up_at, wake });
        self.timers.set(wake, Key::Client(id));
        if path.is_reliable() {
            self.links.entry(path.link).or_default().push(id);
        }
        id
    }

    fn send_cancel(&mut self, now: Timestamp, id: ClientId) {
        let cancel = ClientId { cancel: true, ..id };
        if self.clients.contains_key(&cancel) {
            return;
        }
        let Some(Transaction { path, invite: Some(invite), .. }) = self.clients.get(&id) else { return };
        let path = *path;
        let request = derived(invite, Method::Cancel, None);
        self.start(now, path, request, cancel);
        // RFC 3261 section 9.1: without a final answer after 64*T1 the INVITE is given up
        let give_up_at = now + self.timing.give_up().into();
        if let Some(invite) = self.clients.get_mut(&id) {
            invite.give_up_at = give_up_at;
            invite.wake = invite.give_up_at;
            self.timers.set(invite.wake, Key::Client(id));
        }
    }

    pub(super) fn receive_response(&mut self, now: Timestamp, path: Path, response: Response) {
        let id = client_of(&response);
        let Some((id, transaction)) = id.and_then(|id| Some((id, self.clients.get_mut(&id)?))) else {
            self.out.push_back(Output::Stray { path, response });
            return;
        };
        if let State::Completed { ack } = &transaction.state {
            if response.status >= 300 {
                let (path, bytes) = (transaction.path, ack.clone());
                self.out.push_back(Output::Send { path, bytes });
            }
            return;
        }
        let is_invite = transaction.invite.is_some();
        if response.status < 200 {
            let cancel = transaction.state == State::Calling { cancel: true };
            transaction.state = State::Proceeding;
            if is_invite {
                // an INVITE is not repeated any more and waits as long as the device rings; the user above has its own patience
                transaction.resend_at = None;
                transaction.give_up_at = transaction.give_up_at.max(now + (self.timing.give_up() * 6).into());
                transaction.wake = transaction.give_up_at;
                self.timers.set(transaction.wake, Key::Client(id));
            } else {
                transaction.pause = self.timing.t2;
            }
            if cancel {
                self.send_cancel(now, id);
            }
        } else if is_invite && response.status >= 300 {
            let ack = transaction.invite.as_deref().map(|invite| derived(invite, Method::Ack, response.headers.raw(&Name::To).cloned()));
            let ack = ack.map(|ack| ack.to_bytes()).unwrap_or_default();
            let path = transaction.path;
            self.out.push_back(Output::Send { path, bytes: ack.clone() });
            if path.is_reliable() {
                self.forget(id);
            } else {
                // timer D
                transaction.state = State::Completed { ack };
                transaction.resend_at = None;
                transaction.give_up_at = now + self.timing.give_up().into();
                transaction.wake = transaction.give_up_at;
                self.timers.set(transaction.wake, Key::Client(id));
            }
        } else {
            self.forget(id);
        }
        // the answer to a CANCEL says nothing: the INVITE's own answer does
        if !id.cancel {
            self.out.push_back(Output::Response { id, path, response });
        }
    }

    pub(super) fn client_timer(&mut self, now: Timestamp, at: Timestamp, id: ClientId) {
        let Some(transaction) = self.clients.get_mut(&id) else { return };
        if transaction.wake != at {
            return;
        }
        if now >= transaction.give_up_at {
            let open = transaction.is_open() && !id.cancel;
            self.forget(id);
            if open {
                self.out.push_back(Output::Failed { id, why: Failure::Timeout });
            }
            return;
        }
        if transaction.resend_at.is_some_and(|at| now >= at) {
            let (path, bytes) = (transaction.path, transaction.bytes.clone());
            self.out.push_back(Output::Send { path, bytes });
            // timer A doubles without bound, timer E up to T2
            let doubled = transaction.pause * 2;
            transaction.pause = if transaction.invite.is_some() { doubled } else { doubled.min(self.timing.t2) };
            transaction.resend_at = Some(now + transaction.pause.into());
        }
        transaction.wake = transaction.resend_at.unwrap_or(transaction.give_up_at).min(transaction.give_up_at);
        self.timers.set(transaction.wake, Key::Client(id));
    }

    fn forget(&mut self, id: ClientId) {
        let Some(gone) = self.clients.remove(&id) else { return };
        if gone.path.is_reliable()
            && let Some(open) = self.links.get_mut(&gone.path.link)
        {
            open.retain(|other| *other != id);
            if open.is_empty() {
                self.links.remove(&gone.path.link);
            }
        }
    }
}

/// Our transaction by the answer's branch and method.
fn client_of(response: &Response) -> Option<ClientId> {
    let via = response.via()?;
    let cookie = via.branch.get(..COOKIE.len())?;
    if !cookie.eq_ignore_ascii_case(COOKIE) {
        return None;
    }
    let branch = u64::from_str_radix(via.branch.get(COOKIE.len()..)?, 16).ok()?;
    let cancel = response.cseq().is_some_and(|(_, method)| method == Method::Cancel);
    Some(ClientId { branch, cancel })
}

/// A CANCEL, or the ACK to a non-2xx: same Via, URI, From, Call-ID and number as the INVITE (sections 9.1, 17.1.1.3).
fn derived(invite: &Request, method: Method, to: Option<Bytes>) -> Request {
    let mut request = Request::new(method.clone(), invite.uri.clone());
    for (name, value) in invite.headers.iter() {
        match name {
            Name::Via | Name::From | Name::CallId | Name::MaxForwards | Name::Route => request.headers.push(name.clone(), value.clone()),
            Name::To => request.headers.push(Name::To, to.clone().unwrap_or_else(|| value.clone())),
            Name::CSeq => {
                let number = invite.cseq().map_or(1, |(number, _)| number);
                request.headers.push(Name::CSeq, format!("{number} {method}"));
            }
            _ => {}
        }
    }
    request
}
