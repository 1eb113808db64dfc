//! What the device's side gives.

use super::super::Id;
use super::super::manscdp::{Control, Query};
use super::super::mansrtsp;
use super::super::sdp::Description;
use super::answer::ReplyId;
use super::call::{CallEnd, CallId};
use super::notify::Kind;
use crate::proto::sip::Path;
use bytes::Bytes;

/// The next thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Put these bytes on the path.
    Send {
        /// Where.
        path: Path,
        /// What.
        bytes: Bytes,
    },
    /// Something happened.
    Event(Event),
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Registered, or renewed.
    Registered {
        /// Whether it was not before.
        first: bool,
        /// The platform's clock, milliseconds since 1970, where told.
        time: Option<i64>,
    },
    /// Not registered; it tries again by itself.
    Unregistered {
        /// The platform's status; 408 if it does not answer, 0 if the connection is gone.
        status: u16,
    },
    /// The platform sends it to another one (302).
    Redirected {
        /// The other's URI.
        contact: String,
    },
    /// A question; answer it with [`super::Client::reply`].
    Query {
        /// The question.
        reply: ReplyId,
        /// What is asked.
        query: Query,
        /// About whom.
        target: Id,
    },
    /// An order.
    Control {
        /// To whom.
        target: Id,
        /// The order; `None` if it is not understood.
        control: Option<Control>,
        /// The body as it came, to be passed on.
        body: Bytes,
    },
    /// The platform wants to know about changes, or not any more.
    Subscribed {
        /// Of what.
        kind: Kind,
        /// Until told otherwise.
        on: bool,
        /// Of positions: every so many seconds.
        interval: u32,
    },
    /// The platform wants media of a channel: [`super::Client::accept`] or [`super::Client::refuse`].
    Invited {
        /// The call.
        call: CallId,
        /// The channel.
        channel: Id,
        /// What and where to.
        offer: Box<Description>,
    },
    /// The call is up: its ACK, or the platform's answer to our call, came.
    Up {
        /// The call.
        call: CallId,
        /// Of a call of ours: the platform's answer.
        answer: Option<Box<Description>>,
        /// How the platform is reached.
        path: Path,
    },
    /// The call is over.
    Ended {
        /// The call.
        call: CallId,
        /// Why.
        why: CallEnd,
    },
    /// A playback is controlled; it was answered with yes.
    Playback {
        /// The call.
        call: CallId,
        /// How.
        command: mansrtsp::Command,
    },
    /// The platform offers its voice (section 9.12): call it with [`super::Client::call_voice`].
    Broadcast {
        /// Whom to call.
        source: Id,
        /// Which output is meant.
        target: Id,
    },
    /// An alarm of ours was acknowledged.
    AlarmTaken {
        /// Its number.
        sn: u32,
    },
}
