//! The calls that a simulated camera takes: live pictures, playback of its recordings, downloads.

use super::super::media::clip::{Control as Play, Player};
use super::super::media::{Feed, Payload, Send, Sending, Transport};
use super::device::{Device, Later};
use super::quirk::Quirk;
use crate::base::error::End;
use crate::media::time::Timestamp;
use crate::proto::gb28181::Id;
use crate::proto::gb28181::client::CallId;
use crate::proto::gb28181::mansrtsp;
use crate::proto::gb28181::sdp::{Carriage, Description, Direction, Purpose};
use crate::proto::gb28181::ssrc::Ssrc;
use crate::proto::sip::Path;
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

/// Calls that a channel takes at once.
const CALLS_PER_CHANNEL: usize = 4;
/// The port of `m=` of who connects (RFC 4145 section 4.1).
const NO_PORT: u16 = 9;
/// An order is no reason to wait longer than this for a sender that is busy.
const BUSY: Duration = Duration::from_millis(50);
/// How long a platform may take to hang up when it was told that a recording is over.
const TO_HANG_UP: Duration = Duration::from_secs(5);
/// SSRCs have nine digits and one that says what they are for (annex G).
const SSRCS: u32 = 1_000_000_000;

pub(super) struct Call {
    channel: Id,
    /// `None`: a silent one.
    sending: Option<Sending>,
    /// A recording, not what happens now.
    recorded: bool,
    /// Everything was sent; the platform hangs up.
    over: bool,
}

impl Device {
    pub(super) fn on_invited(&mut self, call: CallId, channel: Id, offer: &Description, path: &Path) {
        let camera = self.settings.id;
        match self.take(channel, offer, path) {
            Ok((taken, answer)) => {
                let purpose = offer.purpose.unwrap_or_default();
                tracing::info!(%camera, %channel, ?purpose, to = %offer.host, port = offer.port, carriage = ?answer.carriage, ssrc = ?offer.ssrc, "call opened");
                self.calls.insert(call, taken);
                self.totals.calls.fetch_add(1, Ordering::Relaxed);
                self.totals.served.fetch_add(1, Ordering::Relaxed);
                let answer = (!self.settings.quirks.has(Quirk::NoSdp)).then_some(answer);
                self.machine.accept(self.clock.now(), call, answer.as_ref());
            }
            Err((status, why)) => {
                tracing::info!(%camera, %channel, status, why, "call refused");
                self.machine.refuse(self.clock.now(), call, status);
            }
        }
    }

    /// Begins to send, or says why not: the status and the reason.
    fn take(&self, channel: Id, offer: &Description, path: &Path) -> Result<(Call, Description), (u16, String)> {
        let no = |status, why: &str| Err((status, why.to_owned()));
        let (settings, quirks) = (&self.settings, self.settings.quirks);
        if channel != settings.id && !settings.channels.contains(&channel) {
            return no(404, "no such channel");
        }
        let purpose = offer.purpose.unwrap_or_default();
        let recorded = matches!(purpose, Purpose::Playback | Purpose::Download);
        let (from, to) = offer.time;
        if offer.audio || purpose == Purpose::Talk {
            return no(488, "this camera has no loudspeaker");
        }
        if recorded && (to <= from || !self.recorded(from)) {
            return no(404, "nothing was recorded then");
        }
        if quirks.has(Quirk::Busy) || self.calls.values().filter(|call| call.channel == channel).count() >= CALLS_PER_CHANNEL {
            return no(486, "all streams of the channel are taken");
        }
        let carriage = offer.carriage.opposite();
        if carriage.is_tcp() && quirks.has(Quirk::UdpOnly) {
            return no(488, "this camera sends over UDP only");
        }
        let transport = match carriage {
            Carriage::Udp => Transport::Udp,
            Carriage::TcpPassive => Transport::TcpPassive,
            Carriage::TcpActive => Transport::TcpActive,
        };
        let to = match offer.host.parse::<IpAddr>() {
            Ok(host) if offer.port != 0 => Some(SocketAddr::new(host, offer.port)),
            _ if transport == Transport::TcpPassive => None,
            _ => return no(488, "the offer names no address"),
        };
        // One of a live stream begins with 0.
        let own = Ssrc(rand::random::<u32>() % SSRCS + if recorded { SSRCS } else { 0 });
        let told = offer.ssrc.filter(|_| !quirks.has(Quirk::OwnSsrc)).unwrap_or(own);
        let used = match (quirks.has(Quirk::ZeroSsrc), quirks.has(Quirk::WrongSsrc)) {
            (true, _) => 0,
            (false, true) => own.0,
            (false, false) => told.0,
        };
        let player = self.player(offer, recorded);
        let send = Send { payload: Payload::Program(quirks.style()), ..Send::program(Feed::Clip(player), transport, to, used) };
        let mut send = quirks.send(send);
        if to.is_none_or(|to| to.is_ipv4() == path.local.is_ipv4()) {
            send.local = SocketAddr::new(path.local.ip(), 0);
        }
        let (sending, port) = match quirks.has(Quirk::Silent) {
            true => (None, NO_PORT),
            false => {
                let sending = Sending::start(send, self.clock.clone(), &self.tasks).map_err(|error| (500, error.to_string()))?;
                let port = if transport == Transport::TcpActive { NO_PORT } else { sending.port() };
                (Some(sending), port)
            }
        };
        let mut answer = Description::offer(channel.as_str(), purpose, path.local.ip(), port, carriage);
        answer.formats.truncate(1);
        answer.payloads.truncate(1);
        (answer.direction, answer.time) = (Some(Direction::SendOnly), offer.time);
        answer.ssrc = (!quirks.has(Quirk::NoY)).then_some(told);
        if purpose == Purpose::Download {
            (answer.speed, answer.file_size) = (offer.speed, Some(self.size_of(offer.time)));
        }
        Ok((Call { channel, sending, recorded, over: false }, answer))
    }

    /// Live, the clip over and over; a recording begins with the clip's beginning and lasts as long as was asked, until now at most.
    fn player(&self, offer: &Description, recorded: bool) -> Player {
        let clip = self.settings.clip.clone();
        if !recorded {
            return Player::new(clip, None);
        }
        let mut player = Player::new(clip, Some(Timestamp::from_millis(self.length_ms(offer.time))));
        if let Some(speed) = offer.speed.filter(|_| offer.purpose == Some(Purpose::Download)) {
            player.control(self.clock.now(), Play::Speed(f64::from(speed.max(1))));
        }
        player
    }

    fn length_ms(&self, (from, to): (u64, u64)) -> i64 {
        let ms = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        ms(to).min(self.unix_ms()).saturating_sub(ms(from)).max(1)
    }

    /// About as many bytes as a download brings.
    fn size_of(&self, time: (u64, u64)) -> u64 {
        let clip = &self.settings.clip;
        let rounds = self.length_ms(time) as f64 / clip.duration().as_millis().max(1) as f64;
        (clip.bytes() as f64 * rounds) as u64
    }

    /// The platform pauses, moves or speeds up a recording.
    pub(super) async fn on_playback(&self, id: CallId, command: mansrtsp::Command) {
        let Some(call) = self.calls.get(&id) else { return };
        tracing::info!(camera = %self.settings.id, channel = %call.channel, ?command, "playback controlled");
        let orders: &[Play] = match command {
            mansrtsp::Command::Pause => &[Play::Pause],
            mansrtsp::Command::Resume => &[Play::Resume],
            mansrtsp::Command::Seek(seconds) => &[Play::Seek(Timestamp::from_millis((seconds * 1000.0) as i64)), Play::Resume],
            mansrtsp::Command::Scale(speed) => &[Play::Speed(speed)],
            mansrtsp::Command::Teardown => &[],
        };
        for order in orders {
            tell(call, *order).await;
        }
    }

    /// Begins a picture that a decoder can start with, on all calls of a channel or of the device.
    pub(super) async fn refresh(&self, target: Id) {
        for call in self.calls.values().filter(|call| !call.recorded && (call.channel == target || target == self.settings.id)) {
            tell(call, Play::KeyFrame).await;
        }
    }

    /// A call's media is over: its receiver went away, or a recording was sent to its end.
    pub(super) fn on_over(&mut self, id: CallId, end: &End) {
        let now = self.clock.now();
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.recorded && *end == End::StreamEnded {
            call.over = true;
            let channel = call.channel;
            tracing::info!(camera = %self.settings.id, %channel, "recording sent to its end");
            self.machine.finished(now, id, channel);
            return self.later(TO_HANG_UP, Later::HangUp(id));
        }
        self.hang_up(id, &end.to_string());
    }

    pub(super) fn hang_up(&mut self, call: CallId, why: &str) {
        if self.calls.contains_key(&call) {
            self.machine.hang_up(self.clock.now(), call);
            self.closed(call, why);
        }
    }

    pub(super) fn hang_up_all(&mut self, why: &str) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for call in calls {
            self.hang_up(call, why);
        }
    }

    pub(super) fn closed(&mut self, call: CallId, why: &str) {
        let Some(Call { channel, sending, .. }) = self.calls.remove(&call) else { return };
        self.totals.calls.fetch_sub(1, Ordering::Relaxed);
        let sent = sending.map(|sending| sending.sent()).unwrap_or_default();
        tracing::info!(camera = %self.settings.id, %channel, why, packets = sent.packets, bytes = sent.bytes, frames = sent.frames, reports = sent.reports, lost = sent.reported_lost, "call closed");
    }
}

async fn tell(call: &Call, order: Play) {
    if let Some(sending) = &call.sending {
        // A sender that is stuck has no use for it.
        let _ = tokio::time::timeout(BUSY, sending.control(order)).await;
    }
}

/// The first call whose media is over, of those that nobody knows to be.
pub(super) async fn first_over(calls: &HashMap<CallId, Call>) -> (CallId, End) {
    type Over<'a> = Pin<Box<dyn Future<Output = (CallId, End)> + std::marker::Send + 'a>>;
    let mut all: Vec<Over<'_>> = Vec::with_capacity(calls.len());
    for (id, call) in calls.iter().filter(|(_, call)| !call.over) {
        if let Some(sending) = &call.sending {
            all.push(Box::pin(async move { (*id, sending.ended().await) }));
        }
    }
    poll_fn(|context| {
        for one in &mut all {
            if let Poll::Ready(over) = one.as_mut().poll(context) {
                return Poll::Ready(over);
            }
        }
        Poll::Pending
    })
    .await
}
