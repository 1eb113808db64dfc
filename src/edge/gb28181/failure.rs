//! Why a device did not do what it was asked.

use crate::model::quota::Exceeded;
use crate::proto::gb28181::server::{CallEnd, Unanswered};
use crate::stream::access::Denied;

/// Why a device did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is not registered.
    #[error("the device is not online")]
    Offline,
    /// It did not answer in time.
    #[error("the device did not answer in time")]
    Timeout,
    /// It refused.
    #[error("the device refused: {status} {reason}")]
    Refused {
        /// The SIP status.
        status: u16,
        /// Its reason phrase.
        reason: String,
    },
    /// It answered that it failed.
    #[error("the device answered with an error")]
    Failed,
    /// It does this for somebody else.
    #[error("{0}")]
    Busy(String),
    /// Somebody stopped it meanwhile.
    #[error("it was stopped")]
    Stopped,
    /// The device registered anew and has forgotten its calls.
    #[error("the device restarted")]
    Restarted,
    /// The device sent the recording to its end.
    #[error("the recording was sent to its end")]
    Finished,
    /// The quota of the device's owner is used up.
    #[error("{0}")]
    Quota(Exceeded),
    /// We cannot: no ports, no SSRC, too much at once.
    #[error("{0}")]
    Unavailable(String),
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Failure {
        match denied {
            Denied::Quota(_, exceeded) => Failure::Quota(exceeded),
            Denied::Forbidden(why) | Denied::NotFound(why) | Denied::Unavailable(why) => Failure::Unavailable(why),
        }
    }
}

impl From<Unanswered> for Failure {
    fn from(why: Unanswered) -> Failure {
        match why {
            Unanswered::Offline => Failure::Offline,
            Unanswered::Timeout => Failure::Timeout,
            Unanswered::Refused(status) => Failure::Refused { status, reason: crate::proto::sip::message::reason(status).to_owned() },
            Unanswered::Failed => Failure::Failed,
            Unanswered::Busy => Failure::Unavailable("too many requests to the device are open".to_owned()),
        }
    }
}

impl From<CallEnd> for Failure {
    fn from(end: CallEnd) -> Failure {
        match end {
            CallEnd::Refused { status, reason } => Failure::Refused { status, reason },
            CallEnd::Timeout => Failure::Timeout,
            CallEnd::DeviceGone => Failure::Offline,
            CallEnd::Cancelled | CallEnd::HungUp => Failure::Stopped,
            CallEnd::Finished => Failure::Finished,
            CallEnd::RemoteBye | CallEnd::Unacked => Failure::Failed,
        }
    }
}
