//! Calling a device for a stream: an SSRC and a place for its media first, then the INVITE, and another one over UDP for devices that do
//! not take TCP.

use super::super::failure::Failure;
use super::super::media::{self, Codec, Expect, Receiving};
use super::super::roster::Entry;
use super::super::settings::Carriage;
use super::super::signalling::{CallEvent, HangUp};
use super::{Pulls, Target};
use crate::base::error::End;
use crate::proto::gb28181::sdp;
use crate::proto::gb28181::server::{Answered, CallEnd, CallId, DeviceKey, Invite};
use crate::proto::gb28181::ssrc::Ssrc;
use std::net::SocketAddr;
use std::sync::PoisonError;
use tokio::sync::mpsc;

/// Devices that are remembered for refusing TCP.
const UDP_ONLY_MAX: usize = 100_000;

impl Pulls {
    /// One INVITE, and a second one over UDP if the device does not want TCP.
    pub(super) async fn call(&self, target: &Target) -> Result<Up, Failure> {
        let parts = &self.0.parts;
        let entry = parts.roster.by_id(target.device).ok_or(Failure::Offline)?;
        let _place = self.0.calling.acquire().await.map_err(|_| Failure::Stopped)?;
        for carriage in self.carriages(&entry) {
            let mut up = self.invite(&entry, target, carriage)?;
            let dialing = HangUp::new(&parts.signalling, up.call);
            if let Some(slot) = self.slots().get_mut(&target.key) {
                slot.call = Some(up.call);
            }
            match up.events.recv().await {
                Some(CallEvent::Answered(answered)) => {
                    dialing.keep();
                    up.take_answer(&answered);
                    return Ok(up);
                }
                Some(CallEvent::Ended(CallEnd::Refused { status, reason })) if carriage.is_tcp() && is_about_media(status) => {
                    tracing::info!(device = %entry.key, status, reason, "the device does not take media over TCP, trying UDP");
                    self.remember_udp(entry.key);
                    up.receiving.end(End::Denied(format!("{status} {reason}")));
                }
                Some(CallEvent::Ended(end)) => {
                    let failure = Failure::from(end);
                    self.keep_past(target, &up, &failure);
                    up.receiving.end(End::Denied(failure.to_string()));
                    return Err(failure);
                }
                Some(CallEvent::Controlled(..) | CallEvent::Finished) | None => return Err(Failure::Failed),
            }
        }
        Err(Failure::Failed)
    }

    fn carriages(&self, entry: &Entry) -> Vec<sdp::Carriage> {
        let wanted = entry.media().unwrap_or(self.0.parts.settings.media);
        let udp_only = self.0.udp_only.lock().unwrap_or_else(PoisonError::into_inner).contains(&entry.key);
        match wanted {
            _ if udp_only && entry.media().is_none() => vec![sdp::Carriage::Udp],
            Carriage::Udp => vec![sdp::Carriage::Udp],
            Carriage::Tcp => vec![sdp::Carriage::TcpPassive, sdp::Carriage::Udp],
            Carriage::TcpActive => vec![sdp::Carriage::TcpActive, sdp::Carriage::Udp],
        }
    }

    pub(super) fn remember_udp(&self, key: DeviceKey) {
        let mut known = self.0.udp_only.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < UDP_ONLY_MAX {
            known.insert(key);
        }
    }

    /// Expects the media, then sends the INVITE: a device may send the instant it answers.
    fn invite(&self, entry: &Entry, target: &Target, carriage: sdp::Carriage) -> Result<Up, Failure> {
        let parts = &self.0.parts;
        let path = parts.signalling.with(|server, _| server.device(&entry.key)).and_then(|device| device.path).ok_or(Failure::Offline)?;
        let host = parts.addresses.for_media(&path, parts.media.address().ip());
        let (ssrc, receiving) = self.expect(entry, target, carriage, path.remote)?;
        let purpose = if target.range.is_some() { sdp::Purpose::Playback } else { sdp::Purpose::Play };
        let invite = Invite {
            purpose,
            ssrc: Some(ssrc),
            range: target.range,
            stream: entry.stream_number(),
            senior: entry.flag("senior_sdp"),
            ..Invite::play(target.channel, SocketAddr::new(host, receiving.port()), carriage)
        };
        let (call, events) = parts.signalling.call(|server, now| server.invite(now, &entry.key, invite).map(|(call, _)| call))?;
        Ok(Up { call, events, receiving, device: entry.key, tcp: carriage.is_tcp() })
    }

    /// An SSRC that no other call has, and the media that comes with it.
    fn expect(&self, entry: &Entry, target: &Target, carriage: sdp::Carriage, device: SocketAddr) -> Result<(Ssrc, Receiving), Failure> {
        let parts = &self.0.parts;
        let release = |taken: Vec<Ssrc>| parts.signalling.with(|server, _| taken.into_iter().for_each(|ssrc| server.release_ssrc(ssrc)));
        let mut taken = Vec::new();
        // a device may use an SSRC of its own that happens to be one of ours
        for _ in 0..16 {
            let ssrc = parts.signalling.with(|server, _| server.reserve_ssrc(&entry.key.platform, target.range.is_none()));
            let Some(ssrc) = ssrc else { break };
            let expect = Expect {
                transport: match carriage {
                    sdp::Carriage::Udp => media::Transport::Udp,
                    sdp::Carriage::TcpPassive => media::Transport::TcpPassive,
                    sdp::Carriage::TcpActive => media::Transport::TcpActive,
                },
                device: Some(device.ip().to_canonical()),
                own_port: entry.flag("own_port"),
                ..Expect::new(target.key.clone(), ssrc.0)
            };
            match parts.media.expect(expect) {
                Ok(receiving) => {
                    release(taken);
                    return Ok((ssrc, receiving));
                }
                Err(media::CannotExpect::SsrcTaken(_)) => taken.push(ssrc),
                Err(error) => {
                    taken.push(ssrc);
                    release(taken);
                    return Err(Failure::Unavailable(error.to_string()));
                }
            }
        }
        release(taken);
        Err(Failure::Unavailable("no SSRC is free".to_owned()))
    }
}

/// A call and its media.
pub(super) struct Up {
    pub call: CallId,
    pub events: mpsc::UnboundedReceiver<CallEvent>,
    pub receiving: Receiving,
    pub device: DeviceKey,
    pub tcp: bool,
}

impl Up {
    fn take_answer(&self, answered: &Answered) {
        let description = answered.description.as_ref();
        let payloads = description.map(|description| {
            description
                .formats
                .iter()
                .map(|number| {
                    let named = description.encoding(*number).map(Codec::named);
                    (*number, named.unwrap_or(Codec::usual(*number)))
                })
                .collect()
        });
        self.receiving.answer(media::Answer {
            ssrc: description.and_then(|description| description.ssrc).map(|ssrc| ssrc.0),
            source: Some(answered.remote).filter(|remote| remote.port() != 0),
            payloads: payloads.unwrap_or_default(),
        });
        if answered.carriage == sdp::Carriage::TcpActive {
            self.receiving.connect(answered.remote);
        }
    }
}

/// Statuses that may mean "not over TCP".
fn is_about_media(status: u16) -> bool {
    matches!(status, 400 | 415 | 488 | 500 | 501 | 606)
}
