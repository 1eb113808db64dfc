//! Low-latency HLS (RFC 8216bis): segments of fragmented MP4 that are listed in parts while they are made.

use super::playlist::target_of;
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// A part of a segment: some fragments.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// `moof` and `mdat`, once or more.
    pub bytes: Bytes,
    /// How long it plays.
    pub duration: Duration,
    /// It begins with a key frame.
    pub independent: bool,
}

/// A segment, finished or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// Its parts so far.
    pub parts: Vec<Arc<Part>>,
    /// When its first frame arrived, on the wall clock.
    pub wall: Timestamp,
    /// It does not continue the one before.
    pub discontinuity: bool,
    /// The number of the header that it needs.
    pub header: u32,
}

impl Cut {
    /// How long it plays so far.
    pub fn duration(&self) -> Duration {
        self.parts.iter().map(|part| part.duration).sum()
    }

    fn size(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }
}

/// What one request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// The header of that number: `ftyp` and `moov`.
    Header(u32),
    /// A whole segment.
    Segment(u64),
    /// A part of a segment.
    Part(u64, usize),
}

impl Piece {
    /// Reads a file name: `init1.m4s`, `17.m4s`, `17.3.m4s`.
    pub fn parse(file: &str) -> Option<Piece> {
        fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
            text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
        }
        let name = file.strip_suffix(".m4s")?;
        if let Some(header) = name.strip_prefix("init") {
            return number(header).map(Piece::Header);
        }
        match name.split_once('.') {
            None => number(name).map(Piece::Segment),
            Some((segment, part)) => Some(Piece::Part(number(segment)?, number(part)?)),
        }
    }
}

impl std::fmt::Display for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Piece::Header(n) => write!(f, "init{n}.m4s"),
            Piece::Segment(n) => write!(f, "{n}.m4s"),
            Piece::Part(n, part) => write!(f, "{n}.{part}.m4s"),
        }
    }
}

/// How much a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The length that segments should have.
    pub segment: Duration,
    /// The length that no part exceeds.
    pub part: Duration,
    /// Finished segments in the playlist.
    pub listed: usize,
    /// Segments that stay available after they left it.
    pub kept: usize,
    /// Bytes of all of them.
    pub bytes: usize,
}

/// A bounded list of segments, the last one growing. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct Parts {
    limits: Limits,
    /// The last one is open unless the list is closed.
    segments: VecDeque<Cut>,
    open: bool,
    first: u64,
    discontinuities: u64,
    headers: VecDeque<(u32, Bytes)>,
    tracks: Tracks,
    target: u64,
    part: Duration,
    bytes: usize,
    ended: bool,
}

/// Segments that stay whatever they weigh.
const AT_LEAST: usize = 3;
/// Segments from the end whose parts are listed.
const IN_PARTS: usize = 3;

impl Parts {
    /// An empty list whose first segment gets the number `first`.
    pub fn new(limits: Limits, first: u64) -> Parts {
        Parts {
            limits: Limits { listed: limits.listed.max(AT_LEAST), ..limits },
            segments: VecDeque::new(),
            open: false,
            first,
            discontinuities: 0,
            headers: VecDeque::new(),
            tracks: Tracks::default(),
            target: target_of(limits.segment).max(1),
            part: limits.part,
            bytes: 0,
            ended: false,
        }
    }

    /// Segments from now on need this header, which describes these tracks.
    pub fn header(&mut self, header: Bytes, tracks: &Tracks) {
        self.tracks = tracks.clone();
        if self.headers.back().is_none_or(|(_, last)| *last != header) {
            let number = self.headers.back().map_or(0, |(number, _)| number + 1);
            self.headers.push_back((number, header));
        }
    }

    /// Begins a segment; the one before is finished.
    pub fn begin(&mut self, wall: Timestamp, discontinuity: bool) {
        self.finish();
        let header = self.headers.back().map_or(0, |(number, _)| *number);
        self.segments.push_back(Cut { parts: Vec::new(), wall, discontinuity, header });
        self.open = true;
    }

    /// Adds a part to the open segment.
    pub fn push(&mut self, part: Part) {
        let Some(segment) = self.segments.back_mut().filter(|_| self.open) else { return };
        self.part = self.part.max(part.duration);
        self.bytes += part.bytes.len();
        segment.parts.push(Arc::new(part));
        self.trim();
    }

    /// The open segment is finished; one without a part was none.
    pub fn finish(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        match self.segments.back() {
            Some(segment) if segment.parts.is_empty() => {
                let lost = self.segments.pop_back().is_some_and(|segment| segment.discontinuity);
                self.discontinuities += u64::from(lost && self.segments.is_empty());
            }
            Some(segment) => self.target = self.target.max(target_of(segment.duration())),
            None => {}
        }
        self.trim();
    }

    /// No segment follows.
    pub fn end(&mut self) {
        self.finish();
        self.ended = true;
    }

    fn trim(&mut self) {
        let most = self.limits.listed + self.limits.kept + usize::from(self.open);
        while self.segments.len() > most || self.bytes > self.limits.bytes && self.segments.len() > AT_LEAST {
            let Some(gone) = self.segments.pop_front() else { break };
            self.bytes -= gone.size();
            self.first += 1;
            self.discontinuities += u64::from(gone.discontinuity);
        }
        let oldest = self.segments.front().map_or(0, |segment| segment.header);
        while self.headers.len() > 1 && self.headers[0].0 < oldest {
            self.headers.pop_front();
        }
    }

    /// What the stream holds.
    pub fn tracks(&self) -> &Tracks {
        &self.tracks
    }

    /// The playlist's target duration.
    pub fn target(&self) -> Duration {
        Duration::from_secs(self.target)
    }

    /// Whether a player finds something to begin with.
    pub fn is_ready(&self) -> bool {
        self.finished() > 0
    }

    /// Whether no segment follows.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// The number that the next segment gets.
    pub fn next(&self) -> u64 {
        self.first + self.segments.len() as u64
    }

    /// Finished segments.
    fn finished(&self) -> usize {
        self.segments.len() - usize::from(self.open)
    }

    /// Bits a second at the peak.
    pub fn bandwidth(&self) -> u64 {
        let rate = |cut: &Cut| cut.size() as f64 * 8.0 / cut.duration().as_secs_f64().max(0.1);
        self.segments.iter().take(self.finished()).map(rate).fold(0.0, f64::max) as u64
    }

    fn cut(&self, number: u64) -> Option<&Cut> {
        self.segments.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Whether the playlist holds at least this much: a segment, or a part of it (§6.2.5.2).
    pub fn holds(&self, segment: u64, part: Option<usize>) -> bool {
        let finished = self.first + self.finished() as u64;
        self.ended
            || match part {
                None => segment < finished,
                Some(part) => segment < finished || self.cut(segment).is_some_and(|cut| cut.parts.len() > part),
            }
    }

    /// Whether a part, or the segment after the last, may still come soon; anything later is nonsense (§6.2.5.2).
    pub fn expects(&self, segment: u64) -> bool {
        segment <= self.next() + 1
    }

    /// The bytes of a piece, if they are there; a segment only as a whole.
    pub fn get(&self, piece: Piece) -> Option<Vec<Bytes>> {
        match piece {
            Piece::Header(number) => self.headers.iter().find(|(known, _)| *known == number).map(|(_, header)| vec![header.clone()]),
            Piece::Segment(number) => {
                let whole = number < self.first + self.finished() as u64;
                let cut = self.cut(number).filter(|_| whole)?;
                Some(cut.parts.iter().map(|part| part.bytes.clone()).collect())
            }
            Piece::Part(number, part) => Some(vec![self.cut(number)?.parts.get(part)?.bytes.clone()]),
        }
    }

    /// The playlist; `uri` names a piece. With `skip`, old segments that the player knows are left out (§6.2.5.1).
    pub fn playlist(&self, skip: bool, uri: impl Fn(Piece) -> String) -> String {
        let finished = self.finished();
        let hidden = finished.saturating_sub(self.limits.listed);
        let until = 6 * self.target;
        let mut out = String::with_capacity(4_096);
        let mut line = |text: std::fmt::Arguments<'_>| {
            // Writing into a string cannot fail.
            let _ = out.write_fmt(text);
            out.push('\n');
        };
        line(format_args!("#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{}", self.target));
        let part = self.part.as_secs_f64();
        line(format_args!("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={:.3},CAN-SKIP-UNTIL={until}.0", part * 3.0));
        line(format_args!("#EXT-X-PART-INF:PART-TARGET={part:.3}"));
        line(format_args!("#EXT-X-MEDIA-SEQUENCE:{}", self.first + hidden as u64));
        let gone = self.segments.iter().take(hidden).filter(|cut| cut.discontinuity).count() as u64;
        line(format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.discontinuities + gone));
        let skipped = if skip { self.skippable(hidden, until) } else { 0 };
        if skipped > 0 {
            line(format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"));
        }
        let mut header = None;
        for (n, cut) in self.segments.iter().enumerate().skip(hidden + skipped) {
            let number = self.first + n as u64;
            if cut.discontinuity {
                line(format_args!("#EXT-X-DISCONTINUITY"));
            }
            // A delta update repeats the header only where it changes behind what is left out.
            let known = skipped > 0 && n == hidden + skipped && self.segments.get(n - 1).is_some_and(|before| before.header == cut.header);
            if header.replace(cut.header) != Some(cut.header) && !known {
                line(format_args!("#EXT-X-MAP:URI=\"{}\"", uri(Piece::Header(cut.header))));
            }
            line(format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", super::playlist::date_time(cut.wall)));
            if n + IN_PARTS >= self.segments.len() {
                for (at, part) in cut.parts.iter().enumerate() {
                    let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
                    let (duration, uri) = (part.duration.as_secs_f64(), uri(Piece::Part(number, at)));
                    line(format_args!("#EXT-X-PART:DURATION={duration:.5},URI=\"{uri}\"{independent}"));
                }
            }
            if n < finished {
                line(format_args!("#EXTINF:{:.5},\n{}", cut.duration().as_secs_f64(), uri(Piece::Segment(number))));
            }
        }
        if self.ended {
            line(format_args!("#EXT-X-ENDLIST"));
        } else {
            let next = match self.segments.back().filter(|_| self.open) {
                Some(cut) => Piece::Part(self.next() - 1, cut.parts.len()),
                None => Piece::Part(self.next(), 0),
            };
            line(format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}\"", uri(next)));
        }
        out
    }

    /// Segments from `hidden` on that lie further back than the skip boundary, in seconds.
    fn skippable(&self, hidden: usize, until: u64) -> usize {
        let mut behind: Duration = self.segments.iter().skip(hidden).map(Cut::duration).sum();
        let far = |cut: &&Cut| {
            behind = behind.saturating_sub(cut.duration());
            behind >= Duration::from_secs(until)
        };
        self.segments.iter().skip(hidden).take(self.finished().saturating_sub(hidden)).take_while(far).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { segment: Duration::from_secs(2), part: Duration::from_millis(500), listed: 12, kept: 2, bytes: 1 << 20 };

    fn part(independent: bool) -> Part {
        Part { bytes: Bytes::from_static(b"part"), duration: Duration::from_millis(500), independent }
    }

    fn filled(segments: u64, parts: usize) -> Parts {
        let mut list = Parts::new(LIMITS, 100);
        list.header(Bytes::from_static(b"header"), &Tracks::default());
        for n in 0..=segments {
            list.begin(Timestamp::ZERO, n == 1);
            for at in 0..if n == segments { parts } else { 4 } {
                list.push(part(at == 0));
            }
        }
        list
    }

    #[test]
    fn the_newest_segments_are_listed_in_parts() {
        let list = filled(2, 1);
        let text = list.playlist(false, |piece| format!("a/{piece}?t"));
        let expected = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.500,CAN-SKIP-UNTIL=12.0\n#EXT-X-PART-INF:PART-TARGET=0.500\n\
            #EXT-X-MEDIA-SEQUENCE:100\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-MAP:URI=\"a/init0.m4s?t\"\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("#EXT-X-PART:DURATION=0.50000,URI=\"a/101.0.m4s?t\",INDEPENDENT=YES\n"), "{text}");
        assert!(text.contains("#EXTINF:2.00000,\na/101.m4s?t\n#EXT-X-PROGRAM-DATE-TIME"), "{text}");
        assert!(text.ends_with("URI=\"a/102.0.m4s?t\",INDEPENDENT=YES\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"a/102.1.m4s?t\"\n"), "{text}");
        assert_eq!((text.matches("#EXTINF").count(), text.matches("#EXT-X-DISCONTINUITY\n").count()), (2, 1));
        assert_eq!(list.get(Piece::Segment(101)).map(|bytes| bytes.len()), Some(4));
        assert_eq!((list.get(Piece::Segment(102)), list.get(Piece::Part(102, 1)), list.get(Piece::Header(1))), (None, None, None));
        assert!(list.get(Piece::Part(102, 0)).is_some() && list.get(Piece::Header(0)).is_some());
    }

    #[test]
    fn what_a_blocked_request_waits_for() {
        let mut list = filled(2, 1);
        assert!(list.holds(101, None) && list.holds(101, Some(9)) && list.holds(102, Some(0)));
        assert!(!list.holds(102, None) && !list.holds(102, Some(1)) && !list.holds(103, Some(0)));
        assert!(list.expects(103) && list.expects(104) && !list.expects(105));
        list.end();
        assert!(list.holds(200, None) && list.playlist(false, |piece| piece.to_string()).ends_with("#EXT-X-ENDLIST\n"));
    }

    #[test]
    fn old_segments_leave_and_can_be_skipped() {
        let list = filled(30, 2);
        let text = list.playlist(true, |piece| piece.to_string());
        // Twelve are listed, and behind the boundary lie those that end 12 s or more before the end.
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:118\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n#EXT-X-SKIP:SKIPPED-SEGMENTS=6\n"), "{text}");
        assert!(!text.contains("#EXT-X-MAP") && text.matches("#EXTINF").count() == 6, "{text}");
        assert!(list.get(Piece::Segment(115)).is_none() && list.get(Piece::Segment(116)).is_some());
        assert!(!filled(3, 0).playlist(true, |piece| piece.to_string()).contains("SKIP:"));
    }

    #[test]
    fn names_of_pieces() {
        for piece in [Piece::Header(3), Piece::Segment(17), Piece::Part(17, 3)] {
            assert_eq!(Piece::parse(&piece.to_string()), Some(piece));
        }
        for name in ["", "1.ts", ".m4s", "init.m4s", "+1.m4s", "1.2.3.m4s", "99999999999999999999.m4s"] {
            assert_eq!(Piece::parse(name), None, "{name}");
        }
    }
}
