//! What the machine gives: bytes to send and things that happened.

use super::super::manscdp::{Alarm, DeviceInfo, DeviceStatus, Item, Position, Preset, Record};
use super::super::sdp::Description;
use super::super::{Id, Version, catalog};
use super::call::{Answered, CallEnd, CallId};
use super::device::DeviceKey;
use super::query::QueryId;
use super::register::{AskId, Registration};
use super::subscribe::Kind;
use crate::proto::sip::Path;
use bytes::Bytes;
use std::net::SocketAddr;

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
    /// Who is this, and may it register? Answer with [`super::Server::verdict`].
    Ask {
        /// The question.
        ask: AskId,
        /// Who asks.
        registration: Box<Registration>,
    },
    /// A registration or a message was refused; for the log.
    Refused {
        /// Who it said it was.
        device: Option<Id>,
        /// From where.
        source: SocketAddr,
        /// With what status.
        status: u16,
        /// Why.
        why: &'static str,
    },
    /// The password was wrong.
    WrongPassword {
        /// The device.
        device: DeviceKey,
        /// From where.
        source: SocketAddr,
        /// How often within the window.
        times: u32,
    },
    /// Too many wrong passwords: the device is refused until [`super::Server::unlock`].
    Locked {
        /// The device.
        device: DeviceKey,
    },
    /// A device registered or renewed its registration.
    Registered {
        /// The device.
        device: DeviceKey,
        /// Whether anything changed by it.
        fresh: Fresh,
        /// How it is reached.
        path: Path,
        /// What it speaks.
        version: Version,
        /// For how many seconds.
        expires: u32,
        /// What it calls itself.
        agent: String,
    },
    /// A device talks from another port or address now.
    Moved {
        /// The device.
        device: DeviceKey,
        /// How it is reached.
        path: Path,
    },
    /// A device is gone.
    Offline {
        /// The device.
        device: DeviceKey,
        /// Why.
        why: Gone,
    },
    /// Children that a device reports as faulty; told when the set changes.
    Faulty {
        /// The device.
        device: DeviceKey,
        /// The children.
        children: Vec<Id>,
    },
    /// A part of a catalog that was asked for.
    Items {
        /// The question.
        query: QueryId,
        /// The device.
        device: DeviceKey,
        /// Entries that had not come before.
        items: Vec<Item>,
    },
    /// A part of a list of recordings that was asked for.
    Records {
        /// The question.
        query: QueryId,
        /// The stretches that had not come before.
        records: Vec<Record>,
    },
    /// A question is answered, or will not be.
    Answered {
        /// The question.
        query: QueryId,
        /// The device.
        device: DeviceKey,
        /// The answer.
        answer: Result<Answer, Unanswered>,
    },
    /// Catalog entries changed, by subscription, or came late.
    Changes {
        /// The device.
        device: DeviceKey,
        /// The entries; without [`Item::change`] they are simply there.
        items: Vec<Item>,
    },
    /// Something moved.
    Positions {
        /// The device.
        device: DeviceKey,
        /// Where it is.
        positions: Vec<Position>,
    },
    /// An alarm.
    Alarm {
        /// The device.
        device: DeviceKey,
        /// The alarm.
        alarm: Alarm,
    },
    /// A subscription was accepted, or given up.
    Subscribed {
        /// The device.
        device: DeviceKey,
        /// What to.
        kind: Kind,
        /// `Err` with the status: the device will not do it.
        accepted: Result<(), u16>,
    },
    /// A call is answered: media may flow.
    CallAnswered {
        /// The call.
        call: CallId,
        /// What was answered.
        answered: Box<Answered>,
    },
    /// The device says that the recording was sent to its end. The last of it may still be on its way: take it in, then hang up.
    CallFinished {
        /// The call.
        call: CallId,
    },
    /// A call is over; its SSRC is free once the device cannot send with it any more.
    CallEnded {
        /// The call.
        call: CallId,
        /// Why.
        why: CallEnd,
    },
    /// A playback was controlled.
    Controlled {
        /// The call.
        call: CallId,
        /// The number that [`super::Server::playback`] gave.
        number: u32,
        /// The RTP position after it, where told; `Err` with the status if the device will not.
        result: Result<super::super::mansrtsp::Reply, u16>,
    },
    /// A device wants to fetch our voice: answer with [`super::Server::accept_voice`] or hang up.
    VoiceInvited {
        /// The call.
        call: CallId,
        /// The device.
        device: DeviceKey,
        /// Who it wants to hear, as its Request-URI says.
        source: Option<Id>,
        /// Where it wants it.
        offer: Box<Description>,
    },
    /// Something came from a device that we do not know: for the log.
    Unknown {
        /// The device.
        device: DeviceKey,
        /// What.
        what: String,
    },
}

/// Whether a registration is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    /// The device was not there before.
    First,
    /// It was there and registered from the start again: after a restart of its own, usually.
    Again,
    /// It renewed its registration.
    Renewed,
}

/// Why a device is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// It said so.
    #[error("it unregistered")]
    Unregistered,
    /// It did not renew its registration.
    #[error("its registration expired")]
    Expired,
    /// It sends no life signs and does not answer.
    #[error("it fell silent")]
    Silent,
    /// Its connection closed and it did not come back.
    #[error("its connection closed")]
    Disconnected,
    /// We do not want it any more.
    #[error("it was removed")]
    Removed,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// All parts of a catalog came as [`Event::Items`].
    Catalog {
        /// Whether all that was announced came.
        end: catalog::End,
        /// How many.
        items: usize,
    },
    /// All parts of a list of recordings came as [`Event::Records`].
    Records {
        /// Whether all that was announced came.
        end: catalog::End,
        /// How many.
        records: usize,
    },
    /// What the device is.
    Info(DeviceInfo),
    /// How it is doing.
    Status(DeviceStatus),
    /// Its presets.
    Presets(Vec<Preset>),
    /// Its configuration: `BasicParam.HeartBeatInterval` and the value.
    Config(Vec<(String, String)>),
    /// A control was taken.
    Done,
    /// Anything else: the elements and their texts.
    Other(Vec<(String, String)>),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The device is not registered.
    #[error("the device is offline")]
    Offline,
    /// The device did not answer in time.
    #[error("the device did not answer")]
    Timeout,
    /// The device refused with this SIP status.
    #[error("the device refused with SIP status {0}")]
    Refused(u16),
    /// The device answered that it failed.
    #[error("the device answered with an error")]
    Failed,
    /// Too many questions to this device are open.
    #[error("too many questions to the device are open")]
    Busy,
}
