//! Reads the counters of all live streams from time to time and adds up what came since the last look: for each stream, for each
//! group and for each tenant.
//!
//! A line holds what a stream used and was not settled yet. It is settled to whoever had the stream at that time: when the stream
//! turns out to be another's, and at the end of the minute. What nobody could be asked about waits in its line.

use super::totals::{Gauge, Totals};
use crate::base::id::StreamKey;
use crate::media::time::Timestamp;
use crate::model::id::{GroupId, StreamId, TenantId};
use crate::model::time::Time;
use crate::model::usage::{Sums, Total, Usage};
use crate::stream::{Counts, Derived, Registry, Stream};
use std::collections::HashMap;
use std::sync::Arc;

/// Who pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) owner: TenantId,
    pub(super) group: GroupId,
}

/// What is known about whose a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Not asked yet.
    Not,
    /// Nobody manages it: it is not counted.
    Nobody,
    /// Whose it is.
    Whose(Whose),
    /// Whose it was; it may have moved.
    Was(Option<Whose>),
}

/// What streams used since it was last closed.
pub(super) struct Meter {
    registry: Registry,
    lines: HashMap<StreamKey, Line>,
    /// The number of this look.
    round: u64,
    /// When it last looked, in whole milliseconds on the monotonic clock.
    looked: i64,
    rows: HashMap<(StreamId, GroupId), (TenantId, Sums)>,
    totals: Totals,
}

/// A stream and what it used that is not settled yet.
struct Line {
    /// As the API knows it; a name that is no number is nobody's.
    id: Option<StreamId>,
    /// As it was at the last look. Kept until the next one, so that its last frames count when it is over meanwhile.
    seen: Option<(Arc<Stream>, Counts)>,
    /// By which protocol it comes.
    protocol: &'static str,
    known: Known,
    /// The look that saw the stream last.
    round: u64,
    live: bool,
    viewers: i64,
    /// The look that saw its viewers last.
    viewed: u64,
    /// The look that saw it recorded last.
    recorded: u64,
    sums: Sums,
    /// Bytes that went out, by protocol; part of the sums too.
    out: Vec<(&'static str, i64)>,
}

impl Line {
    fn new(key: &StreamKey) -> Line {
        Line {
            id: key.name().parse().ok(),
            seen: None,
            protocol: "",
            known: Known::Not,
            round: 0,
            live: false,
            viewers: 0,
            viewed: 0,
            recorded: 0,
            sums: Sums::default(),
            out: Vec::new(),
        }
    }

    fn whose(&self) -> Option<Whose> {
        match self.known {
            Known::Whose(whose) | Known::Was(Some(whose)) => Some(whose),
            Known::Not | Known::Nobody | Known::Was(None) => None,
        }
    }
}

impl Meter {
    pub(super) fn new(registry: Registry) -> Meter {
        let looked = millis(registry.clock().now());
        Meter { registry, lines: HashMap::new(), round: 0, looked, rows: HashMap::new(), totals: Totals::default() }
    }

    /// Adds what came since the last look. A stream is live from when its publisher came until the look after its last frame.
    pub(super) fn look(&mut self) {
        let (now, unix) = (millis(self.registry.clock().now()), self.registry.clock().unix());
        let elapsed = now - std::mem::replace(&mut self.looked, now);
        self.round += 1;
        let round = self.round;
        for stream in self.registry.list() {
            let viewers = i64::from(stream.viewers());
            // Who watches a stream with other sound watches the stream; nothing came in for it.
            if let Some((source, _)) = Derived::parse(stream.key()) {
                if viewers > 0 {
                    line(&mut self.lines, &source).watched(viewers, round);
                }
                continue;
            }
            let line = line(&mut self.lines, stream.key());
            line.watched(viewers, round);
            let known = match line.seen.take() {
                Some((seen, counts)) if Arc::ptr_eq(&seen, &stream) => Some(counts),
                Some((other, before)) => {
                    add(&mut line.sums, other.counts(), before);
                    None
                }
                None => None,
            };
            let counts = stream.counts();
            let more = add(&mut line.sums, counts, known.unwrap_or_default());
            let live = stream.is_live();
            if !live && line.live && more {
                line.sums.live_ms += elapsed;
            }
            if live {
                let new = known.is_none() || !line.live;
                let mut span = elapsed;
                if new {
                    let info = stream.info();
                    span = millis(unix - info.since).clamp(0, elapsed);
                    line.protocol = info.source.map_or(line.protocol, |source| source.protocol);
                }
                line.sums.live_ms += span;
            }
            line.live = live;
            line.round = round;
            line.seen = Some((stream, counts));
        }
        for line in self.lines.values_mut().filter(|line| line.round != round) {
            let was = std::mem::replace(&mut line.live, false);
            if let Some((stream, before)) = line.seen.take()
                && add(&mut line.sums, stream.counts(), before)
                && was
            {
                line.sums.live_ms += elapsed;
            }
        }
    }

    /// A stream is being recorded at this look.
    pub(super) fn recorded(&mut self, key: &StreamKey) {
        let round = self.round;
        line(&mut self.lines, key).recorded = round;
    }

    /// Players took so many bytes.
    pub(super) fn sent(&mut self, key: StreamKey, protocol: &'static str, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let key = Derived::parse(&key).map_or(key, |(source, _)| source);
        let line = line(&mut self.lines, &key);
        line.sums.bytes_out += bytes;
        match line.out.iter_mut().find(|(other, _)| *other == protocol) {
            Some((_, sum)) => *sum += bytes,
            None => line.out.push((protocol, bytes)),
        }
    }

    /// Something was stored of a stream whose owner is known.
    pub(super) fn stored(&mut self, stream: StreamId, whose: Whose, sums: &Sums) {
        let row = self.rows.entry((stream, whose.group)).or_insert((whose.owner, Sums::default()));
        row.1.add(sums);
        self.totals.add(whose, "", sums);
    }

    /// Devices that are online, of all groups; what was said before is forgotten.
    pub(super) fn devices(&mut self, online: &[(TenantId, GroupId, i64)]) {
        self.totals.devices(online);
    }

    /// These streams may have moved; all of them, where it says nothing.
    pub(super) fn moved(&mut self, which: impl Fn(StreamId) -> bool) {
        for line in self.lines.values_mut() {
            if line.id.is_some_and(&which) {
                line.known = match line.known {
                    Known::Not => Known::Not,
                    Known::Nobody => Known::Was(None),
                    Known::Whose(whose) => Known::Was(Some(whose)),
                    was => was,
                };
            }
        }
    }

    /// The streams whose owner is to be asked for.
    pub(super) fn unknown(&mut self) -> Vec<StreamId> {
        let mut ids = Vec::new();
        for line in self.lines.values_mut().filter(|line| matches!(line.known, Known::Not | Known::Was(_))) {
            match line.id {
                Some(id) => ids.push(id),
                None => line.known = Known::Nobody,
            }
        }
        ids
    }

    /// What was found of those that were asked for: application and owner. What an owner has used stays with it; who is deleted
    /// pays for what it used.
    pub(super) fn told(&mut self, found: &HashMap<StreamId, (String, Whose)>) {
        for (key, line) in &mut self.lines {
            if !matches!(line.known, Known::Not | Known::Was(_)) {
                continue;
            }
            let now = line.id.and_then(|id| found.get(&id)).filter(|(app, _)| app == key.app()).map(|(_, whose)| *whose);
            let known = match (line.whose(), now) {
                (_, Some(now)) => Known::Whose(now),
                (Some(was), None) => Known::Whose(was),
                (None, None) => Known::Nobody,
            };
            if line.whose().is_some_and(|was| Known::Whose(was) != known) {
                settle(line, &mut self.rows, &mut self.totals);
            }
            line.known = known;
        }
    }

    /// Notes how many streams, players and recordings there are at once.
    pub(super) fn gauge(&mut self) {
        let round = self.round;
        for line in self.lines.values() {
            if let Some(whose) = line.whose() {
                let gauge = Gauge {
                    streams: i64::from(line.live),
                    viewers: if line.viewed == round { line.viewers } else { 0 },
                    recordings: i64::from(line.recorded == round),
                };
                self.totals.gauge(whose, gauge);
            }
        }
        self.totals.note();
    }

    /// Everything that was used since the last call, and counted in the minute that begins at `at`.
    pub(super) fn close(&mut self, at: Time) -> (Vec<Usage>, Vec<Total>) {
        let round = self.round;
        let (rows, totals) = (&mut self.rows, &mut self.totals);
        self.lines.retain(|_, line| {
            match line.known {
                // It waits until somebody can say whose it is.
                Known::Not | Known::Was(None) => return true,
                Known::Nobody => (line.sums, line.out) = (Sums::default(), Vec::new()),
                Known::Whose(_) | Known::Was(Some(_)) => settle(line, rows, totals),
            }
            [line.round, line.viewed, line.recorded].contains(&round)
        });
        let row = |((stream, group), (owner, sums))| Usage { at, owner, group, stream, sums };
        let mut rows: Vec<Usage> = std::mem::take(&mut self.rows).into_iter().map(row).collect();
        // The order in which all servers lock rows.
        rows.sort_by_key(|row| (row.stream.0, row.group.0));
        (rows, self.totals.close(at))
    }
}

impl Line {
    fn watched(&mut self, viewers: i64, round: u64) {
        if self.viewed != round {
            // The first of the stream and those derived from it.
            self.viewers = 0;
            self.viewed = round;
        }
        self.viewers += viewers;
        self.sums.viewers = self.sums.viewers.max(self.viewers);
    }
}

fn line<'a>(lines: &'a mut HashMap<StreamKey, Line>, key: &StreamKey) -> &'a mut Line {
    lines.entry(key.clone()).or_insert_with(|| Line::new(key))
}

/// Adds what a line holds to the rows and totals of whoever has the stream.
fn settle(line: &mut Line, rows: &mut HashMap<(StreamId, GroupId), (TenantId, Sums)>, totals: &mut Totals) {
    let (Some(whose), Some(id)) = (line.whose(), line.id) else { return };
    let (sums, out) = (std::mem::take(&mut line.sums), std::mem::take(&mut line.out));
    if sums == Sums::default() {
        return;
    }
    rows.entry((id, whose.group)).or_insert((whose.owner, Sums::default())).1.add(&sums);
    totals.add(whose, "", &Sums { viewers: 0, ..sums });
    if sums.bytes_in > 0 && !line.protocol.is_empty() {
        totals.add(whose, line.protocol, &Sums { bytes_in: sums.bytes_in, ..Sums::default() });
    }
    for (protocol, bytes_out) in out {
        totals.add(whose, protocol, &Sums { bytes_out, ..Sums::default() });
    }
}

fn millis(time: Timestamp) -> i64 {
    time.0.div_euclid(1_000_000)
}

/// Whether anything came since.
fn add(sums: &mut Sums, now: Counts, before: Counts) -> bool {
    let more = |now: u64, before: u64| i64::try_from(now.saturating_sub(before)).unwrap_or(i64::MAX);
    sums.bytes_in += more(now.video_bytes + now.audio_bytes, before.video_bytes + before.audio_bytes);
    sums.video_frames += more(now.video_frames, before.video_frames);
    sums.audio_frames += more(now.audio_frames, before.audio_frames);
    now.video_frames > before.video_frames || now.audio_frames > before.audio_frames
}
