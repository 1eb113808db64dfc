//! A publisher: packets in, frames into the stream.

use super::answer;
use super::crowd::Ground;
use super::inbox::{Inbox, Mail};
use super::peer::{Hear, Outbox, Peer};
use crate::base::error::End;
use crate::edge::session::Session;
use crate::media::frame::Kind;
use crate::media::nal::{self, Family};
use crate::media::opus;
use crate::media::sets::Follow;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track};
use crate::proto::webrtc::Coding;
use crate::runtime::task::Stop;
use crate::stream::{Publisher, Raw};
use bytes::Bytes;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use str0m::format::Codec;
use str0m::media::{KeyframeRequestKind, MediaData, MediaKind, Mid};
use str0m::{Event, Rtc};

/// A browser is asked for a key frame no more often than this.
const ASK: Duration = Duration::from_millis(500);
/// Whether it was kicked or is gone is looked at this often.
const LOOK: Duration = Duration::from_millis(200);
/// A difference between picture and sound is mended by this much a frame, so that nobody hears it.
const MEND: i64 = 1_000_000;
/// A greater difference is no delay but nonsense.
const NONSENSE: i64 = 10_000_000_000;

/// Runs a publisher to its end.
pub(super) async fn run(ground: &Ground, inbox: &Inbox, mut peer: Peer, publisher: Publisher, mids: &[(MediaKind, Mid)], stop: Stop) {
    let video = mids.iter().find(|(kind, mid)| *kind == MediaKind::Video && takes(&peer.rtc, *mid)).map(|(_, mid)| *mid);
    let ejected = publisher.stopped();
    tokio::pin!(ejected);
    let mut out = Outbox::default();
    let mut intake = Intake { publisher, video, follow: None, clock: SenderClock::default(), opus: None, broken: false, wants: false };
    let mut asked: Option<Instant> = None;
    let mut looked = Instant::now();
    let end = loop {
        let now = Instant::now();
        if let Err(end) = work(&mut peer, inbox, now, &mut out, &mut intake) {
            break end;
        }
        if now.duration_since(looked) >= LOOK {
            looked = now;
            if let Some(end) = peer.overdue(now, &ground.settings) {
                break end;
            }
        }
        let every = ground.settings.key_interval.0;
        let due = !every.is_zero() && peer.connected && asked.is_none_or(|at| now.duration_since(at) >= every);
        if (due || intake.wants) && asked.is_none_or(|at| now.duration_since(at) >= ASK) {
            intake.wants = false;
            if intake.ask(&mut peer.rtc) {
                asked = Some(now);
                if let Err(end) = peer.tick(now, &mut out, &mut intake) {
                    break end;
                }
            }
        }
        out.flush(ground);
        let wake = peer.next.min(looked + LOOK).max(now + Duration::from_millis(1));
        let wanted = intake.publisher.key_wanted();
        tokio::select! {
            biased;
            () = stop.requested() => break End::Stopped,
            end = &mut ejected => break end,
            () = wanted => intake.wants = true,
            () = inbox.arrived() => {}
            () = tokio::time::sleep_until(tokio::time::Instant::from_std(wake)) => {}
        }
    };
    // The stream is given back before the peer is told anything: it may come again at once.
    drop(intake);
    inbox.close();
    peer.close(end, &mut out);
    out.flush(ground);
}

fn work(peer: &mut Peer, inbox: &Inbox, now: Instant, out: &mut Outbox, intake: &mut Intake) -> Result<(), End> {
    for mail in inbox.take() {
        match mail {
            Mail::Datagram { way, from, bytes, .. } => peer.datagram(now, (way, from), &bytes, out, intake)?,
            Mail::Leave(_) => return Err(End::PeerClosed),
            // Viewers go to crowds only.
            Mail::Viewer(_) => {}
        }
    }
    if peer.next <= now { peer.tick(now, out, intake) } else { Ok(()) }
}

fn takes(rtc: &Rtc, mid: Mid) -> bool {
    let has = |coding| !answer::types(rtc, mid, coding, None).is_empty();
    rtc.media(mid).is_some_and(|media| media.direction().is_receiving()) && (has(Coding::H264) || has(Coding::H265))
}

/// The way from frames to the stream.
struct Intake {
    publisher: Publisher,
    video: Option<Mid>,
    follow: Option<Follow>,
    clock: SenderClock,
    /// The sound's codec, once announced.
    opus: Option<Codec>,
    /// A picture is missing: those that build on it are not shown.
    broken: bool,
    /// A key frame is needed.
    wants: bool,
}

impl Hear for Intake {
    fn hear(&mut self, _: &mut Rtc, session: &Session, event: Event) -> Result<(), End> {
        match event {
            Event::MediaData(data) => self.frame(session, data),
            Event::Connected => self.wants = true,
            _ => {}
        }
        Ok(())
    }
}

impl Intake {
    fn ask(&self, rtc: &mut Rtc) -> bool {
        let Some(mut writer) = self.video.and_then(|mid| rtc.writer(mid)) else { return false };
        let kinds = [KeyframeRequestKind::Pli, KeyframeRequestKind::Fir];
        kinds.into_iter().any(|kind| writer.is_request_keyframe_possible(kind) && writer.request_keyframe(None, kind).is_ok())
    }

    fn frame(&mut self, session: &Session, data: MediaData) {
        let codec = data.params.spec().codec;
        match codec {
            Codec::H264 => self.picture(session, &data, Family::H264),
            Codec::H265 => self.picture(session, &data, Family::H265),
            Codec::Opus | Codec::PCMA | Codec::PCMU => self.sound(session, &data, codec),
            _ => {}
        }
    }

    fn picture(&mut self, session: &Session, data: &MediaData, family: Family) {
        let follow = match &mut self.follow {
            Some(follow) if follow.family() == family => follow,
            other => other.insert(Follow::new(family)),
        };
        let access = nal::from_annex_b(family, &data.data);
        match follow.take(&access.sets) {
            Ok(Some(track)) => self.publisher.set_track(Track::Video(track)),
            Ok(None) => {}
            Err(error) => session.span().in_scope(|| tracing::debug!(%error, "broken parameter set")),
        }
        if access.key {
            self.broken = false;
        } else if !data.contiguous {
            self.broken = true;
        }
        let pts = self.clock.place(Kind::Video, data);
        if self.broken {
            self.wants = true;
            return;
        }
        session.frames(1);
        self.publisher.push(Raw { kind: Kind::Video, dts: None, pts, key: access.key, data: access.data });
    }

    fn sound(&mut self, session: &Session, data: &MediaData, codec: Codec) {
        if data.data.is_empty() {
            return;
        }
        if self.opus != Some(codec) {
            self.opus = Some(codec);
            let (codec, sample_rate, channels) = match codec {
                Codec::Opus => (AudioCodec::Opus { head: Some(opus::build_head(2, 312, 48_000)) }, 48_000, 2),
                Codec::PCMA => (AudioCodec::G711A, 8_000, 1),
                _ => (AudioCodec::G711U, 8_000, 1),
            };
            self.publisher.set_track(Track::Audio(AudioTrack { codec, sample_rate, channels }));
        }
        let pts = self.clock.place(Kind::Audio, data);
        session.frames(1);
        let bytes = Bytes::copy_from_slice(&data.data);
        self.publisher.push(Raw { kind: Kind::Audio, dts: Some(pts), pts, key: true, data: bytes });
    }
}

/// Brings the two tracks' RTP times, which begin anywhere, onto one line: first by arrival, then by what the sender's reports
/// say of its wall clock (RFC 3550 section 6.4.1).
#[derive(Debug, Default)]
struct SenderClock {
    zero: Option<Instant>,
    lanes: [Option<Lane>; 2],
}

#[derive(Debug, Clone, Copy)]
struct Lane {
    /// What is added to RTP times, in nanoseconds.
    offset: i64,
    /// The sender's wall clock less RTP time, in nanoseconds.
    wall: Option<i64>,
}

impl SenderClock {
    fn place(&mut self, kind: Kind, data: &MediaData) -> Timestamp {
        let nanos = |time: str0m::media::MediaTime| Timestamp::from_ticks(i64::try_from(time.numer()).unwrap_or(i64::MAX), time.denom()).0;
        let wall = data.last_sender_info.as_ref().map(|info| unix(info.ntp_time) - nanos(info.rtp_time));
        self.line(kind, nanos(data.time), data.network_time, wall)
    }

    fn line(&mut self, kind: Kind, rtp: i64, arrived: Instant, wall: Option<i64>) -> Timestamp {
        let zero = *self.zero.get_or_insert(arrived);
        let since = Timestamp::from(arrived.saturating_duration_since(zero)).0;
        let lane = self.lanes[kind as usize].get_or_insert(Lane { offset: since - rtp, wall: None });
        lane.wall = wall.or(lane.wall);
        if let (Kind::Audio, [Some(Lane { offset: video, wall: Some(video_wall) }), Some(audio)]) = (kind, &mut self.lanes)
            && let Some(audio_wall) = audio.wall
        {
            let wanted = audio_wall.saturating_add(*video).saturating_sub(*video_wall);
            let wrong = wanted.saturating_sub(audio.offset);
            if wrong.abs() < NONSENSE {
                audio.offset += wrong.clamp(-MEND, MEND);
            }
        }
        let offset = self.lanes[kind as usize].map_or(0, |lane| lane.offset);
        Timestamp(rtp.saturating_add(offset).max(0))
    }
}

fn unix(time: SystemTime) -> i64 {
    Timestamp::from(time.duration_since(UNIX_EPOCH).unwrap_or_default()).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_and_sound_meet_on_the_senders_clock() {
        let start = Instant::now();
        let (ms, mut clock) = (1_000_000, SenderClock::default());
        let at = |n: i64| start + Duration::from_millis(n as u64);
        // The picture of a moment arrives 80 ms after its sound; RTP times begin at 5 s and at 9 s.
        let mut apart = 0;
        for n in 0..100 {
            let wall = (n > 10).then_some(1_000_000 * ms);
            let sound = clock.line(Kind::Audio, (9_000 + n * 20) * ms, at(n * 20), wall.map(|w| w - 9_000 * ms));
            let picture = clock.line(Kind::Video, (5_000 + n * 20) * ms, at(n * 20 + 80), wall.map(|w| w - 5_000 * ms));
            apart = picture.0 - sound.0;
            if n == 5 {
                assert_eq!(apart, 80 * ms, "by arrival");
            }
        }
        assert_eq!(apart, 0, "by the reports");
    }
}
