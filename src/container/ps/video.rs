//! Makes access units of video PES packets: decides where a frame ends, finds the codec, and brings it into canonical form.

use super::demux::{Damaged, Frame, Item, Options};
use super::findings::Findings;
use super::header::Pes;
use super::kind::VideoKind;
use super::{Kind, demux::Times};
use crate::media::frame;
use crate::media::nal::{self, Access, Family, Role};
use crate::media::sets::Follow;
use crate::media::track::Track;
use std::collections::VecDeque;

/// Collects one frame at a time.
#[derive(Debug, Default)]
pub struct Video {
    bytes: Vec<u8>,
    /// A frame is being collected.
    open: bool,
    pts: Option<u64>,
    dts: Option<u64>,
    rtp: Option<i64>,
    /// Packets are missing behind so many bytes.
    damaged: Option<usize>,
    overflow: bool,
    /// A PES header whose payload has not come yet: the payload's first bytes help to decide where it belongs.
    pending: Option<(Pes, Option<i64>)>,
    /// A pack began since the last video PES.
    pack_since: bool,
    /// Packets were lost and no place was found since where a frame surely begins.
    after_gap: bool,
    trust: Trust,
    follow: Option<Follow>,
    declared: Option<VideoKind>,
    /// After a damaged frame: frames are dropped up to the next key frame.
    until_key: bool,
    refused: bool,
}

/// Whether the RTP marker ends frames: believed after it was right a few times, so that a frame need not wait for the next.
#[derive(Debug, Default)]
struct Trust {
    right: u32,
    needed: Option<u32>,
    /// The last packet of what was collected had the marker.
    marked: bool,
    /// The frame that the marker closed: its PTS and RTP timestamp.
    closed: Option<(Option<u64>, Option<i64>)>,
}

impl Trust {
    const AT_FIRST: u32 = 2;
    const AFTER_A_LIE: u32 = 50;

    fn is_given(&self) -> bool {
        self.right >= self.needed.unwrap_or(Trust::AT_FIRST)
    }

    fn lied(&mut self, findings: &mut Findings) {
        findings.stray_markers += 1;
        *self = Trust { needed: Some(Trust::AFTER_A_LIE), ..Trust::default() };
    }
}

/// Where finished things go.
pub struct Out<'a> {
    /// The settings.
    pub options: &'a Options,
    /// The counters.
    pub findings: &'a mut Findings,
    /// Time stamps of the program.
    pub times: &'a mut Times,
    /// What is ready.
    pub items: &'a mut VecDeque<Item>,
}

impl Video {
    /// A frame of this capacity keeps its memory for the next.
    const KEEP: usize = 64 << 10;

    /// The map says what the pictures are.
    pub fn declare(&mut self, kind: Option<VideoKind>) {
        self.declared = kind.or(self.declared);
    }

    /// A pack begins.
    pub fn pack(&mut self) {
        self.pack_since = true;
        self.after_gap = false;
    }

    /// A transport packet that follows its predecessor begins with a start code and has a new timestamp.
    pub fn fresh_start(&mut self) {
        self.after_gap = false;
    }

    /// Packets are missing here.
    pub fn gap(&mut self, out: &mut Out<'_>) {
        self.resolve(&[], out);
        if self.open && self.trust.marked {
            self.finish(out);
        }
        if self.open {
            self.damaged = self.damaged.or(Some(self.bytes.len()));
        }
        self.pack_since = false;
        self.after_gap = true;
        self.trust.closed = None;
    }

    /// A PES packet begins.
    pub fn begin(&mut self, mut pes: Pes, rtp: Option<i64>, out: &mut Out<'_>) {
        if let Some((empty, _)) = self.pending.take() {
            // an empty packet: its time belongs to what follows
            pes.pts = pes.pts.or(empty.pts);
            pes.dts = pes.dts.or(empty.dts);
        }
        out.findings.lengthless += u64::from(pes.payload.is_none());
        self.pending = Some((pes, rtp));
    }

    /// Payload.
    pub fn data(&mut self, bytes: &[u8], out: &mut Out<'_>) {
        self.resolve(bytes, out);
        if !self.open {
            return;
        }
        if self.bytes.len() + bytes.len() > out.options.max_frame {
            self.overflow = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
        self.trust.marked = false;
    }

    /// The transport packet that ended here had the marker, and no PES packet is cut by its end.
    pub fn marker(&mut self, out: &mut Out<'_>) {
        if !self.open || self.bytes.is_empty() || self.pending.is_some() {
            return;
        }
        if self.trust.is_given() {
            let frame = (self.pts, self.rtp);
            self.finish(out);
            self.trust.closed = Some(frame);
        } else {
            self.trust.marked = true;
        }
    }

    /// The stream is over.
    pub fn end(&mut self, out: &mut Out<'_>) {
        self.finish(out);
    }

    /// Decides whether the pending PES packet begins a frame, now that its first bytes are here.
    fn resolve(&mut self, first: &[u8], out: &mut Out<'_>) {
        let Some((pes, rtp)) = self.pending.take() else { return };
        let begins = self.begins(&pes, rtp, first);
        if std::mem::take(&mut self.trust.marked) && self.open {
            match begins {
                true => self.trust.right += 1,
                false => self.trust.lied(out.findings),
            }
        }
        if let Some((pts, closed_rtp)) = self.trust.closed.take()
            && !self.pack_since
            && (pes.pts.is_none() && rtp == closed_rtp || pes.pts.is_some() && pes.pts == pts)
        {
            self.trust.lied(out.findings);
        }
        if begins {
            self.finish(out);
            self.open = true;
            self.damaged = self.after_gap.then_some(0);
            self.rtp = rtp;
        }
        self.pts = self.pts.or(pes.pts);
        self.dts = self.dts.or(pes.dts);
        self.pack_since = false;
    }

    /// A frame is all PES packets up to one with another time; packets without time continue it, also over pack headers
    /// (ffmpeg cuts packs after 2 KiB), except where a new pack or RTP timestamp comes with a new NAL unit.
    fn begins(&self, pes: &Pes, rtp: Option<i64>, first: &[u8]) -> bool {
        let new_rtp = rtp != self.rtp;
        let new_unit = first.first().is_none_or(|b| *b == 0) && first.get(1).is_none_or(|b| *b == 0);
        match (pes.pts, self.pts) {
            _ if !self.open => true,
            (Some(new), Some(old)) if new != old => true,
            _ if pes.dts.is_some() && self.dts.is_some() && pes.dts != self.dts => true,
            // srs-bench repeats the time on each packet. A device whose times stand still is told by the rest.
            (Some(_), Some(_)) => self.pack_since && new_unit && new_rtp,
            (Some(_), None) => self.pack_since || new_rtp,
            (None, _) if self.pack_since => new_unit && (new_rtp || rtp.is_none()),
            (None, _) => new_rtp && (new_unit || self.after_gap),
        }
    }

    fn finish(&mut self, out: &mut Out<'_>) {
        let open = std::mem::take(&mut self.open);
        let (damage, overflow) = (self.damaged.take(), std::mem::take(&mut self.overflow));
        let damaged = damage.is_some();
        let (pts, dts, rtp) = (self.pts.take(), self.dts.take(), self.rtp.take());
        self.trust.marked = false;
        if open && !self.bytes.is_empty() {
            out.findings.damaged += u64::from(damaged);
            out.findings.too_large += u64::from(overflow);
            out.findings.stampless += u64::from(pts.is_none());
            let times = out.times.video(pts, dts, rtp, out.findings);
            if overflow || damaged && out.options.damaged != Damaged::Keep {
                self.lose(damage.unwrap_or(self.bytes.len()), out);
            } else if let Some(access) = self.canonical(out) {
                self.give(access, times, damaged, out);
            }
        }
        self.bytes.clear();
        self.bytes.shrink_to(Self::KEEP);
    }

    /// Drops the frame, of which the first `whole` bytes have no gap.
    fn lose(&mut self, whole: usize, out: &mut Out<'_>) {
        // Parameter sets in front of the damage are as good as ever; the last unit there may be cut.
        self.bytes.truncate(whole);
        let last = memchr::memmem::rfind(&self.bytes, &[0, 0, 1]).unwrap_or(0);
        self.bytes.truncate(last);
        if sniff(&self.bytes).is_some_and(|(_, evidence)| matches!(evidence, Evidence::Sets)) {
            self.canonical(out);
        }
        out.findings.dropped += 1;
        self.until_key = out.options.damaged == Damaged::UntilKey;
        out.items.push_back(Item::Damaged);
    }

    /// Finds the codec and converts.
    fn canonical(&mut self, out: &mut Out<'_>) -> Option<Access> {
        let known = self.follow.as_ref().map(Follow::family);
        let declared = match self.declared {
            Some(VideoKind::H264) => Some(Family::H264),
            Some(VideoKind::H265) => Some(Family::H265),
            Some(VideoKind::Mpeg4 | VideoKind::Svac) | None => None,
        };
        let family = match sniff(&self.bytes) {
            Some((seen, Evidence::Sets)) => seen,
            // A delimiter or SEI decides where nothing else does, or where it agrees with a new map.
            Some((seen, Evidence::Hint)) if known.is_none() || declared == Some(seen) => seen,
            _ => match known.or(declared) {
                Some(family) => family,
                None => {
                    self.refuse_unknown(out);
                    return None;
                }
            },
        };
        let access = nal::from_annex_b(family, &self.bytes);
        if known != Some(family) {
            self.adopt(family, &access, out)?;
        } else {
            self.follow(&access, out);
        }
        Some(access)
    }

    fn refuse_unknown(&mut self, out: &mut Out<'_>) {
        match self.declared {
            Some(kind @ (VideoKind::Mpeg4 | VideoKind::Svac)) => {
                out.findings.video = Some(kind);
                out.findings.video_refused = true;
                if !std::mem::replace(&mut self.refused, true) {
                    out.items.push_back(Item::Refused(Kind::Video(kind)));
                }
            }
            _ => out.findings.before_sets += 1,
        }
    }

    /// Another codec than so far. A frame without complete sets proves nothing when the map speaks against it.
    fn adopt(&mut self, family: Family, access: &Access, out: &mut Out<'_>) -> Option<()> {
        let mut follow = Follow::new(family);
        let track = follow.take(&access.sets).unwrap_or_else(|_| {
            out.findings.broken_sets += 1;
            None
        });
        let foreign = matches!(self.declared, Some(VideoKind::Mpeg4 | VideoKind::Svac));
        if track.is_none() && (self.follow.is_some() || foreign) {
            self.refuse_unknown(out);
            return None;
        }
        self.follow = Some(follow);
        out.findings.video_refused = false;
        out.findings.video = Some(match family {
            Family::H264 => VideoKind::H264,
            Family::H265 => VideoKind::H265,
        });
        out.items.extend(track.map(|track| Item::Track(Track::Video(track))));
        Some(())
    }

    fn follow(&mut self, access: &Access, out: &mut Out<'_>) {
        let Some(follow) = self.follow.as_mut().filter(|_| !access.sets.is_empty()) else { return };
        match follow.take(&access.sets) {
            Ok(track) => out.items.extend(track.map(|track| Item::Track(Track::Video(track)))),
            Err(_) => out.findings.broken_sets += 1,
        }
    }

    fn give(&mut self, access: Access, times: super::demux::Stamp, damaged: bool, out: &mut Out<'_>) {
        let Some(follow) = &self.follow else { return };
        let family = follow.family();
        // parameter sets, SEI or delimiters alone are no picture
        if !nal::units(&access.data).any(|unit| matches!(family.role(unit), Role::Slice | Role::KeySlice)) {
            return;
        }
        if follow.track().is_none() {
            out.findings.before_sets += 1;
            return;
        }
        self.until_key &= !access.key || damaged;
        if self.until_key {
            out.findings.dropped += 1;
            return;
        }
        if damaged {
            out.items.push_back(Item::Damaged);
        }
        out.findings.video_frames += 1;
        out.findings.key_frames += u64::from(access.key);
        let kind = frame::Kind::Video;
        out.items.push_back(Item::Frame(Frame { kind, dts: times.dts, pts: times.pts, key: access.key, data: access.data }));
    }
}

enum Evidence {
    Sets,
    Hint,
}

/// The codec that the first NAL unit shows, if it does.
fn sniff(bytes: &[u8]) -> Option<(Family, Evidence)> {
    let begin = bytes.iter().take(64).position(|b| *b != 0)?;
    // the 1 of the start code, then the header
    let header = bytes.get(begin..).filter(|b| begin >= 2 && b[0] == 1)?;
    match (header.get(1)?, header.get(2).copied()) {
        // layer 0, temporal id 0: VPS, SPS, PPS
        (0x40 | 0x42 | 0x44, Some(1)) => Some((Family::H265, Evidence::Sets)),
        (0x46 | 0x4e, Some(1)) => Some((Family::H265, Evidence::Hint)),
        // an SPS or PPS is always a reference (clause 7.4.1)
        (first, _) if first & 0x80 == 0 && first & 0x60 != 0 && matches!(first & 0x1f, 7 | 8) => Some((Family::H264, Evidence::Sets)),
        (0x06 | 0x09, _) => Some((Family::H264, Evidence::Hint)),
        _ => None,
    }
}
