//! Peers' requests: RFC 3261 sections 17.2.1 (INVITE) and 17.2.2 (the rest), and the repetition of 2xx (13.3.1.4).

use super::{Envelope, Key, Layer, Method, Output, Path, Request, Response, ServerId};
use crate::media::time::Timestamp;
use bytes::Bytes;
use std::time::Duration;

/// How long a request may stay unanswered by us.
const UNANSWERED: Duration = Duration::from_secs(180);

pub(super) struct Transaction {
    path: Path,
    is_invite: bool,
    /// Kept of an INVITE: what its ACK is known by.
    ack_key: Option<u128>,
    state: State,
    /// The last answer, repeated when the request is.
    answer: Option<Bytes>,
    pause: Duration,
    resend_at: Option<Timestamp>,
    end_at: Timestamp,
    wake: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for us.
    Open,
    /// A final answer is out; it is repeated for whoever repeats the request. Of an INVITE: until the ACK.
    Answered { status: u16 },
    /// The ACK of a non-2xx came; later ones are swallowed.
    Confirmed,
}

impl Layer {
    pub(super) fn receive_request(&mut self, now: Timestamp, path: Path, request: Request) {
        if request.method == Method::Ack {
            return self.receive_ack(now, request);
        }
        let id = ServerId(self.ids.key(&identity(&request, &request.method)));
        if let Some(known) = self.servers.get(&id) {
            if let Some(bytes) = known.answer.clone() {
                let path = known.path;
                self.out.push_back(Output::Send { path, bytes });
            }
            return;
        }
        if self.servers.len() >= self.timing.held_max {
            self.dropped += 1;
            return;
        }
        let is_invite = request.method == Method::Invite;
        let ack_key = is_invite.then(|| self.ids.key(&dialogue(&request)));
        if let Some(key) = ack_key {
            self.acks.insert(key, id);
        }
        let end_at = now + UNANSWERED.into();
        let pause = self.timing.t1;
        let open = Transaction { path, is_invite, ack_key, state: State::Open, answer: None, pause, resend_at: None, end_at, wake: end_at };
        self.servers.insert(id, open);
        self.timers.set(end_at, Key::Server(id));
        if request.method == Method::Cancel {
            self.receive_cancel(now, id, path, &request);
        } else {
            self.out.push_back(Output::Request { id, path, request });
        }
    }

    fn receive_cancel(&mut self, now: Timestamp, id: ServerId, path: Path, cancel: &Request) {
        let invite = ServerId(self.ids.key(&identity(cancel, &Method::Invite)));
        let known = self.servers.get(&invite).is_some_and(|invite| invite.is_invite);
        let tag = self.ids.tag();
        let status = if known { 200 } else { 481 };
        self.respond(now, id, Response::to(cancel, path.remote, status, &tag));
        if known && self.servers.get(&invite).is_some_and(|invite| invite.state == State::Open) {
            self.out.push_back(Output::Cancelled { id: invite });
        }
    }

    fn receive_ack(&mut self, now: Timestamp, ack: Request) {
        let Some(id) = self.acks.get(&self.ids.key(&dialogue(&ack))).copied() else { return };
        let Some(invite) = self.servers.get_mut(&id) else { return };
        match invite.state {
            State::Answered { status } if status < 300 => {
                self.drop_server(id);
                self.out.push_back(Output::Acked { id, request: ack });
            }
            State::Answered { .. } => {
                // timer I: swallow what the network still holds
                invite.state = State::Confirmed;
                invite.resend_at = None;
                invite.end_at = now + (self.timing.t1 * 10).into();
                invite.wake = invite.end_at;
                let wake = invite.wake;
                self.timers.set(wake, Key::Server(id));
                self.out.push_back(Output::Acked { id, request: ack });
            }
            State::Open | State::Confirmed => {}
        }
    }

    /// Answers a request. Provisional answers may be followed by others, a final one ends it.
    pub fn respond(&mut self, now: Timestamp, id: ServerId, response: Response) {
        self.answer(now, id, response, true);
    }

    /// Answers a request that may be worked on again when it is repeated, so nothing is kept: keep-alives and challenges, which
    /// come by the thousand.
    pub fn respond_and_forget(&mut self, now: Timestamp, id: ServerId, response: Response) {
        self.answer(now, id, response, false);
    }

    /// Drops a request without an answer; the peer will repeat it.
    pub fn ignore(&mut self, id: ServerId) {
        self.drop_server(id);
    }

    fn answer(&mut self, now: Timestamp, id: ServerId, response: Response, keep: bool) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        if transaction.state != State::Open {
            return;
        }
        let (path, bytes) = (transaction.path, response.to_bytes());
        self.out.push_back(Output::Send { path, bytes: bytes.clone() });
        if response.status < 200 {
            transaction.answer = Some(bytes);
            return;
        }
        let accepted = transaction.is_invite && response.status < 300;
        // over TCP nothing is repeated, so nothing has to be kept but a call that waits for its ACK
        if !keep || path.is_reliable() && !accepted {
            return self.drop_server(id);
        }
        transaction.answer = Some(bytes);
        transaction.state = State::Answered { status: response.status };
        transaction.end_at = now + if accepted { self.timing.ack } else { self.timing.give_up() }.into();
        if transaction.is_invite && !path.is_reliable() {
            transaction.resend_at = Some(now + transaction.pause.into());
        }
        transaction.wake = transaction.resend_at.unwrap_or(transaction.end_at).min(transaction.end_at);
        let wake = transaction.wake;
        self.timers.set(wake, Key::Server(id));
    }

    pub(super) fn server_timer(&mut self, now: Timestamp, at: Timestamp, id: ServerId) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        if transaction.wake != at {
            return;
        }
        if now >= transaction.end_at {
            let unacked = transaction.is_invite && matches!(transaction.state, State::Answered { status } if status < 300);
            self.drop_server(id);
            if unacked {
                self.out.push_back(Output::Unacked { id });
            }
            return;
        }
        if transaction.resend_at.is_some_and(|at| now >= at) {
            if let Some(bytes) = transaction.answer.clone() {
                self.out.push_back(Output::Send { path: transaction.path, bytes });
            }
            // timer G
            transaction.pause = (transaction.pause * 2).min(self.timing.t2);
            transaction.resend_at = Some(now + transaction.pause.into());
        }
        transaction.wake = transaction.resend_at.unwrap_or(transaction.end_at).min(transaction.end_at);
        self.timers.set(transaction.wake, Key::Server(id));
    }

    fn drop_server(&mut self, id: ServerId) {
        if let Some(gone) = self.servers.remove(&id)
            && let Some(key) = gone.ack_key
        {
            self.acks.remove(&key);
        }
    }
}

/// What makes two requests one: branch and sender (section 17.2.3), and, because one stack uses a branch for ever and senders
/// older than RFC 3261 make none, Call-ID, number, From tag and URI as well. A repetition has them all.
fn identity<'a>(request: &'a Request, method: &'a Method) -> impl std::hash::Hash + 'a {
    let via = request.via().map(|via| (via.branch, via.sent_by));
    (method.as_str(), via, dialogue(request), request.user().to_owned())
}

/// What an ACK shares with its INVITE whatever the answer was.
fn dialogue(request: &Request) -> impl std::hash::Hash + use<> {
    let tag = request.from().map(|from| from.tag().to_owned());
    (request.call_id().into_owned(), request.cseq().map(|(number, _)| number), tag)
}
