//! What an upper platform fetches: a stream, or a device's own recording, opened below and sent upward.

use super::super::handle::playback_key;
use super::super::media::{Feed, Send, Sending, Transport};
use super::super::pull::{Failure, Target};
use super::super::service::Service;
use super::list::Entry;
use crate::base::id::StreamKey;
use crate::model::tenant::Status;
use crate::proto::gb28181::sdp::{Carriage, Description, Direction, Payload, Purpose};
use crate::proto::gb28181::ssrc::Ssrc;
use crate::runtime::task::Tasks;
use crate::store::Door;
use crate::stream::{Class, Start};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A call that can be answered.
pub(super) struct Opened {
    pub sending: Sending,
    pub answer: Description,
    /// Of a recording: under which name it is fetched below.
    pub playback: Option<StreamKey>,
}

/// Why a call is refused: the SIP status, and the reason for the log.
pub(super) type Refused = (u16, String);

/// How the upper platform is reached.
#[derive(Clone, Copy)]
pub(super) struct Way {
    /// The address that our socket has.
    pub bound: IpAddr,
    /// The address that the platform is told.
    pub told: IpAddr,
    /// The platform.
    pub remote: IpAddr,
}

/// Most platforms give up after 10 s.
const PATIENCE: Duration = Duration::from_secs(9);
/// The port of `m=` of who connects (RFC 4145 section 4.1).
const NO_PORT: u16 = 9;
/// A description that names no payload for a program stream means this one.
const PS: u8 = 96;

/// Opens what is called for.
pub(super) async fn open(service: &Service, entry: &Entry, offer: &Description, way: Way, tasks: &Tasks) -> Result<Opened, Refused> {
    let purpose = offer.purpose.unwrap_or_default();
    let key = match tokio::time::timeout(PATIENCE, fetch(service, entry, offer, purpose)).await {
        Ok(key) => key?,
        Err(_) => return Err((408, "the device did not answer in time".to_owned())),
    };
    let gone = |error: &dyn std::fmt::Display| (480, error.to_string());
    let subscriber = service.registry.wait_for(&key, Class::Viewer, Start::Key, PATIENCE).await.map_err(|error| gone(&error))?;

    let carriage = offer.carriage.opposite();
    let transport = match carriage {
        Carriage::Udp => Transport::Udp,
        Carriage::TcpPassive => Transport::TcpPassive,
        Carriage::TcpActive => Transport::TcpActive,
    };
    let host = offer.host.parse::<IpAddr>().ok().filter(|host| !host.is_unspecified()).unwrap_or(way.remote);
    let to = match transport {
        Transport::TcpPassive => None,
        _ if offer.port == 0 => return Err((488, "the offer names no port".to_owned())),
        _ => Some(SocketAddr::new(host, offer.port)),
    };
    // The first digit tells live from history; platforms exist that name none.
    let made = || Ssrc(rand::random::<u32>() % 1_000_000_000 + if purpose.is_live() { 0 } else { 1_000_000_000 });
    let ssrc = offer.ssrc.unwrap_or_else(made);
    let named = offer.payloads.iter().find(|payload| payload.encoding.eq_ignore_ascii_case("PS"));
    let number = named.map_or(PS, |payload| payload.number);
    let mut send = Send { payload_type: number, ..Send::program(Feed::Live(subscriber), transport, to, ssrc.0) };
    if to.is_none_or(|to| to.is_ipv4() == way.bound.is_ipv4()) {
        send.local = SocketAddr::new(way.bound, 0);
    }
    let sending = Sending::start(send, service.signalling.clock().clone(), tasks).map_err(|error| (500, error.to_string()))?;
    let port = if transport == Transport::TcpActive { NO_PORT } else { sending.port() };
    let mut answer = Description::offer(entry.code.as_str(), purpose, way.told, port, carriage);
    answer.formats = vec![number];
    answer.payloads = vec![Payload { number, encoding: "PS".to_owned(), rate: 90_000 }];
    (answer.direction, answer.ssrc, answer.time) = (Some(Direction::SendOnly), Some(ssrc), offer.time);
    answer.uri = offer.uri.clone();
    Ok(Opened { sending, answer, playback: (!purpose.is_live()).then_some(key) })
}

/// Has the stream come, if it does not by itself, and gives its name.
async fn fetch(service: &Service, entry: &Entry, offer: &Description, purpose: Purpose) -> Result<StreamKey, Refused> {
    let door = service.store.door(entry.key.app(), entry.key.name()).await.map_err(|error| (500, error.to_string()))?;
    let Some(Door { stream, group, tenant }) = door else { return Err((404, "the stream is gone".to_owned())) };
    if stream.forbidden || !group.enabled || tenant.status != Status::Active {
        return Err((403, "the stream is forbidden, its group is halted or its owner's service is not open".to_owned()));
    }
    if stream.device.is_none() {
        return match purpose.is_live() {
            true => Ok(entry.key.clone()),
            false => Err((488, "a stream that is pushed has no recordings of a device".to_owned())),
        };
    }
    let target = service.target(&stream).await.map_err(refused)?;
    let target = match purpose.is_live() {
        true => target,
        false => {
            let (from, to) = offer.time;
            if from >= to {
                return Err((488, "the offer names no stretch of time".to_owned()));
            }
            let key = playback_key(&target, from, to).map_err(refused)?;
            Target { key, stream: None, range: Some((from, to)), ..target }
        }
    };
    let key = target.key.clone();
    service.pulls.start(target, false, PATIENCE).await.map_err(refused)?;
    Ok(key)
}

/// What a failure below is upward.
fn refused(failure: Failure) -> Refused {
    let why = failure.to_string();
    match failure {
        Failure::Timeout => (408, why),
        Failure::Refused { status: status @ 400..=699, .. } => (status, why),
        Failure::Unavailable(_) | Failure::Quota(_) => (503, why),
        _ => (480, why),
    }
}
