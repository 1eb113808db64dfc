//! One viewer: its connection, its place in the stream, and the way from sheets to its packets.

use super::answer;
use super::choice::{Choice, Sound};
use super::figures::{Counts, add};
use super::pace::Pace;
use super::peer::{Hear, Origin, Outbox, Peer};
use super::reel::{Found, Reel};
use super::relief::{Relief, Spare};
use super::sheet::Sheet;
use crate::base::error::End;
use crate::edge::session::Session;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::proto::webrtc::Coding;
use crate::stream::Seat;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::bwe::BweKind;
use str0m::media::{MediaKind, Mid, Pt};
use str0m::rtp::RtpWrite;
use str0m::{Event, Rtc};

/// A viewer that lost the thread is started again no more often than this.
const AGAIN: Duration = Duration::from_millis(1_000);
/// What a newcomer catches up with is shown this far apart, whatever its real times are: it runs through, to the present.
const RUSH: i64 = 1_000_000;

/// A viewer.
pub(super) struct Viewer {
    pub peer: Box<Peer>,
    /// Its places among the stream's viewers.
    _seats: Vec<Seat>,
    video: Option<Lane>,
    audio: Option<Lane>,
    at: At,
    /// Where the present was when it began.
    edge: Edge,
    pace: Pace,
    started: Option<Instant>,
    relief: Option<Relief>,
    /// The stream has pictures that no other builds on.
    disposable: bool,
    /// A picture was left out since the last one that a player may start with: what follows makes no sense.
    broken: bool,
    asks: Asks,
    counts: Arc<Counts>,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Not begun.
    Nowhere,
    /// Everything before the next start is left out.
    Seeking(u64),
    /// This sheet, from this part on.
    Sheet(u64, usize),
}

#[derive(Debug, Clone, Copy, Default)]
struct Edge {
    seq: u64,
    pts: Timestamp,
}

/// A track on its way out.
struct Lane {
    mid: Mid,
    types: Vec<(Coding, Pt)>,
    seq: u64,
    /// What is added to the stream's time: RTP times begin anywhere (RFC 3550 section 5.1).
    shift: u32,
    /// The last time, before that.
    last: Option<i64>,
}

/// What the player asked for since it was looked at.
#[derive(Default)]
struct Asks {
    connected: bool,
    key: bool,
    nacks: u64,
    news: u64,
    /// The newest estimate of the way, in bits a second, and the newest share of lost packets.
    estimate: Option<f64>,
    lost: Option<f32>,
}

impl Hear for Asks {
    fn hear(&mut self, _: &mut Rtc, _: &Session, event: Event) -> Result<(), End> {
        match event {
            Event::Connected => self.connected = true,
            Event::KeyframeRequest(_) => self.key = true,
            Event::MediaEgressStats(stats) => {
                // The two tracks' totals come one after the other; sound is hardly ever asked for again.
                self.news += stats.nacks.saturating_sub(self.nacks);
                self.nacks = self.nacks.max(stats.nacks);
                self.lost = stats.loss.map(|loss| loss.max(self.lost.unwrap_or(0.0))).or(self.lost);
            }
            Event::EgressBitrateEstimate(BweKind::Remb { estimate, .. }) => self.estimate = Some(estimate.as_f64()),
            _ => {}
        }
        Ok(())
    }
}

impl Lane {
    fn new(rtc: &Rtc, mid: Mid, codings: &[Coding], profile: Option<u8>) -> Option<Lane> {
        let sends = rtc.media(mid).is_some_and(|media| media.direction().is_sending());
        let first = |coding: &Coding| answer::types(rtc, mid, *coding, profile).first().map(|pt| (*coding, *pt));
        let types: Vec<_> = codings.iter().filter_map(first).collect();
        // A sequence number begins low, so that the first wrap is far (RFC 3711 section 3.3.1).
        (sends && !types.is_empty()).then(|| Lane {
            mid,
            types,
            seq: u64::from(rand::random::<u16>() >> 1),
            shift: rand::random(),
            last: None,
        })
    }

    fn pt(&self, coding: Coding) -> Option<Pt> {
        self.types.iter().find(|(known, _)| *known == coding).map(|(_, pt)| *pt)
    }
}

/// The codings that a viewer may get, in its offer's terms.
pub(super) fn codings(choice: &Choice) -> Vec<Coding> {
    let mut codings: Vec<Coding> = match choice.video {
        Some(coding) => vec![coding],
        // A section that nothing fits yet: what may come.
        None => vec![Coding::H264, Coding::H265],
    };
    codings.extend(match choice.sound {
        Sound::Own(coding) => vec![coding],
        Sound::Made => vec![Coding::Opus],
        Sound::Open | Sound::None => vec![Coding::Opus, Coding::Pcma, Coding::Pcmu],
    });
    codings
}

impl Viewer {
    /// A viewer whose answer is made; `profile` is the pictures' H.264 profile.
    pub fn new(
        peer: Box<Peer>,
        mids: &[(MediaKind, Mid)],
        choice: &Choice,
        profile: Option<u8>,
        seats: Vec<Seat>,
        (counts, relieved): (Arc<Counts>, bool),
        now: Instant,
    ) -> Result<Viewer, Box<Peer>> {
        let codings = codings(choice);
        let lane = |kind| mids.iter().filter(|(k, _)| *k == kind).find_map(|(_, mid)| Lane::new(&peer.rtc, *mid, &codings, profile));
        let (video, audio) = (lane(MediaKind::Video), lane(MediaKind::Audio));
        if (choice.video.is_some() && video.is_none()) || (video.is_none() && audio.is_none()) {
            return Err(peer);
        }
        let (at, edge, pace) = (At::Nowhere, Edge::default(), Pace::new(now));
        let relief = relieved.then(|| Relief::new(counts.clone(), now));
        let (started, disposable, broken, asks) = (None, false, false, Asks::default());
        Ok(Viewer { peer, _seats: seats, video, audio, at, edge, pace, started, relief, disposable, broken, asks, counts })
    }

    /// Takes a datagram.
    pub fn datagram(&mut self, now: Instant, from: Origin, bytes: &[u8], out: &mut Outbox) -> Result<(), End> {
        self.peer.datagram(now, from, bytes, out, &mut self.asks)
    }

    /// Gives it its share of time, and of frames as far as its pace allows. `true`: there is more for it.
    pub fn serve(&mut self, reel: &mut Reel, now: Instant, out: &mut Outbox) -> Result<bool, End> {
        if self.peer.next <= now {
            self.peer.tick(now, out, &mut self.asks)?;
        }
        if !self.peer.connected {
            return Ok(false);
        }
        self.answer(reel, now);
        let rate = reel.stream().counts().video_bps;
        self.pace.advance(now, rate);
        let spare = self.judge(rate, now);
        let (behind, wrote) = self.feed(reel, spare, now)?;
        if wrote {
            self.peer.tick(now, out, &mut self.asks)?;
        }
        Ok(behind)
    }

    /// Begins, or begins again if the player asked for it.
    fn answer(&mut self, reel: &Reel, now: Instant) {
        let asked = std::mem::take(&mut self.asks.key);
        if asked {
            add(&self.counts.key_requests, 1);
        }
        add(&self.counts.nacks, std::mem::take(&mut self.asks.news) as usize);
        let again = asked && self.started.is_none_or(|at| now.duration_since(at) >= AGAIN);
        if again {
            reel.stream().want_key();
        }
        if std::mem::take(&mut self.asks.connected) || again || self.at == At::Nowhere {
            self.begin(reel, now);
        }
    }

    /// What it is spared now.
    fn judge(&mut self, rate: u64, now: Instant) -> Spare {
        let Some(relief) = &mut self.relief else { return Spare::Nothing };
        if let Some(bits) = self.asks.estimate.take() {
            relief.estimate(bits, now);
        }
        if let Some(share) = self.asks.lost.take() {
            relief.lost(share, now);
        }
        relief.judge(rate, self.disposable, now)
    }

    fn begin(&mut self, reel: &Reel, now: Instant) {
        let newest = reel.stream().newest();
        self.started = Some(now);
        self.edge = Edge { seq: reel.head(), pts: reel.newest() };
        self.at = match newest.seeking {
            true => At::Seeking(newest.next),
            false => At::Sheet(newest.next, 0),
        };
    }

    /// Writes sheets. Whether more waits for the pace; whether anything was written.
    fn feed(&mut self, reel: &mut Reel, spare: Spare, now: Instant) -> Result<(bool, bool), End> {
        let mut wrote = false;
        loop {
            let (seq, part) = match self.at {
                At::Nowhere => return Ok((false, wrote)),
                At::Seeking(seq) => (seq, 0),
                At::Sheet(seq, part) => (seq, part),
            };
            let sheet = match reel.get(seq) {
                Found::NotYet => return Ok((false, wrote)),
                Found::Gone => {
                    self.peer.session.skipped();
                    self.begin(reel, now);
                    if self.at == At::Sheet(seq, part) {
                        // Even the newest start is gone: only the next one helps.
                        self.at = At::Seeking(reel.head());
                    }
                    continue;
                }
                Found::Sheet(sheet) => sheet,
            };
            let seeking = matches!(self.at, At::Seeking(_)) && !sheet.starts;
            // Sound of the past is of no use to somebody who wants the present.
            let past = seq < self.edge.seq && sheet.kind == Kind::Audio && self.video.is_some();
            if seeking || past {
                self.at = if seeking { At::Seeking(seq + 1) } else { At::Sheet(seq + 1, 0) };
                continue;
            }
            if part == 0 && sheet.kind == Kind::Video && self.leaves_out(&sheet, spare) {
                add(&self.counts.left_out, 1);
                self.at = At::Sheet(seq + 1, 0);
                continue;
            }
            let written = self.write(&sheet, part, reel, now)?;
            wrote |= written > 0;
            if part + written < sheet.parts.len() {
                self.at = At::Sheet(seq, part + written);
                return Ok((true, wrote));
            }
            if !sheet.parts.is_empty() {
                self.peer.session.frames(1);
            }
            self.at = At::Sheet(seq + 1, 0);
        }
    }

    /// Whether a picture is left out: it is spared, or builds on one that was. What was begun is finished.
    fn leaves_out(&mut self, sheet: &Sheet, spare: Spare) -> bool {
        self.disposable |= sheet.disposable;
        if sheet.starts {
            self.broken = false;
            return false;
        }
        match spare {
            Spare::Deltas => self.broken = true,
            Spare::Disposable if sheet.disposable => return true,
            _ => {}
        }
        self.broken
    }

    /// Writes the parts of a sheet from `from` on, as many as the pace allows; parts that nobody gets count as written.
    fn write(&mut self, sheet: &Sheet, from: usize, reel: &Reel, now: Instant) -> Result<usize, End> {
        let lane = match sheet.kind {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        };
        let (Some(lane), Some(coding)) = (lane, sheet.coding) else { return Ok(sheet.parts.len()) };
        let Some(pt) = lane.pt(coding) else {
            return match sheet.kind {
                Kind::Video => Err(End::Kicked(format!("the stream's pictures are {} now: play it again", coding.name()))),
                Kind::Audio => Ok(sheet.parts.len()),
            };
        };
        let rush = sheet.kind == Kind::Video && sheet.seq < self.edge.seq;
        let pts = match rush {
            true => self.edge.pts - Timestamp((self.edge.seq - sheet.seq) as i64 * RUSH),
            false => sheet.pts,
        };
        let mut direct = self.peer.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(lane.mid, None) else { return Ok(sheet.parts.len()) };
        let mut written = 0;
        for (n, part) in sheet.parts.iter().enumerate().skip(from) {
            if !self.pace.allows() {
                break;
            }
            let ticks = match (sheet.kind, lane.last) {
                (Kind::Audio, _) => part.ticks,
                // All packets of a picture have one time, and no picture an earlier one than the one before.
                (Kind::Video, Some(last)) if n > 0 => last,
                (Kind::Video, last) => pts.to_ticks(coding.clock()).max(last.map_or(i64::MIN, |last| last + 1)),
            };
            lane.last = Some(ticks);
            let wall = reel.instant(Timestamp::from_ticks(ticks, coding.clock()), now);
            let time = (ticks as u32).wrapping_add(lane.shift);
            let packet = RtpWrite::new(pt, lane.seq.into(), time, wall, part.payload.clone())
                .marker(sheet.kind == Kind::Video && n + 1 == sheet.parts.len())
                .nackable(sheet.kind == Kind::Video);
            lane.seq += 1;
            stream.write_rtp(packet);
            self.pace.spend(part.payload.len());
            written += 1;
        }
        Ok(written)
    }

    /// Whether it is still running through the past.
    pub fn rushes(&self) -> bool {
        matches!(self.at, At::Sheet(seq, _) if seq < self.edge.seq)
    }
}
