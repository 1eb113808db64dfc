//! The segments of a stream that are there now, and which of them the playlist lists.

use super::playlist::{self, Entry, Error, Head};
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A finished segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The transport stream.
    pub bytes: Bytes,
    /// How long it plays.
    pub duration: Duration,
    /// When its first frame arrived, on the wall clock.
    pub wall: Timestamp,
    /// It does not continue the one before.
    pub discontinuity: bool,
    /// It starts with a key frame.
    pub independent: bool,
    /// What is in it.
    pub tracks: Tracks,
}

/// How much a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The length that segments should have.
    pub segment: Duration,
    /// Segments in the playlist.
    pub listed: usize,
    /// Segments that stay available after they left it.
    pub kept: usize,
    /// Bytes of all of them.
    pub bytes: usize,
}

/// A bounded list of segments. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Window {
    segments: VecDeque<Arc<Segment>>,
    /// The number of the first segment that is there.
    first: u64,
    /// Discontinuities among the segments that are gone.
    discontinuities: u64,
    bounds: Bounds,
    bytes: usize,
    /// The longest segment so far in whole seconds: players take it badly when the target shrinks.
    target: u64,
    ended: bool,
}

/// Segments that stay whatever they weigh.
const AT_LEAST: usize = 2;

impl Window {
    /// An empty list whose first segment gets the number `first`.
    pub fn new(bounds: Bounds, first: u64) -> Window {
        Window {
            segments: VecDeque::new(),
            first,
            discontinuities: 0,
            bounds: Bounds { listed: bounds.listed.max(AT_LEAST), ..bounds },
            bytes: 0,
            target: playlist::target_of(bounds.segment).max(1),
            ended: false,
        }
    }

    /// Appends a segment and drops what is too old or too much.
    pub fn push(&mut self, segment: Segment) {
        self.target = self.target.max(playlist::target_of(segment.duration));
        self.bytes += segment.bytes.len();
        self.segments.push_back(Arc::new(segment));
        while self.segments.len() > self.bounds.listed + self.bounds.kept
            || self.bytes > self.bounds.bytes && self.segments.len() > AT_LEAST
        {
            let Some(gone) = self.segments.pop_front() else { break };
            self.bytes -= gone.bytes.len();
            self.first += 1;
            self.discontinuities += u64::from(gone.discontinuity);
        }
    }

    /// No segment follows.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The segment of that number, listed or still kept.
    pub fn get(&self, number: u64) -> Option<&Arc<Segment>> {
        self.segments.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The newest segment.
    pub fn newest(&self) -> Option<&Arc<Segment>> {
        self.segments.back()
    }

    /// The number that the next segment gets.
    pub fn next(&self) -> u64 {
        self.first + self.segments.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether no segment follows.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// The playlist's target duration.
    pub fn target(&self) -> Duration {
        Duration::from_secs(self.target)
    }

    /// Bits a second at the peak.
    pub fn bandwidth(&self) -> u64 {
        let rate = |s: &Arc<Segment>| s.bytes.len() as f64 * 8.0 / s.duration.as_secs_f64().max(0.1);
        self.segments.iter().map(rate).fold(0.0, f64::max) as u64
    }

    /// The playlist; `uri` names a segment by its number.
    pub fn playlist(&self, uri: impl Fn(u64) -> String) -> Result<String, Error> {
        let hidden = self.segments.len().saturating_sub(self.bounds.listed);
        let listed = self.segments.range(hidden..);
        let head = Head {
            target: self.target,
            sequence: self.first + hidden as u64,
            discontinuities: self.discontinuities + self.segments.range(..hidden).filter(|s| s.discontinuity).count() as u64,
            independent: listed.clone().all(|s| s.independent),
            ended: self.ended,
            vod: false,
        };
        playlist::media(
            head,
            listed.enumerate().map(|(n, s)| Entry {
                uri: uri(head.sequence + n as u64),
                duration: s.duration,
                wall: s.wall,
                discontinuity: s.discontinuity,
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { segment: Duration::from_secs(2), listed: 6, kept: 3, bytes: 1 << 20 };

    fn segment(millis: u64, size: usize, discontinuity: bool) -> Segment {
        let bytes = Bytes::from(vec![0; size]);
        let tracks = Tracks::default();
        Segment { bytes, duration: Duration::from_millis(millis), wall: Timestamp::ZERO, discontinuity, independent: true, tracks }
    }

    #[test]
    fn the_playlist_slides_and_counts_what_left_it() {
        let mut window = Window::new(Bounds { listed: 3, kept: 2, ..BOUNDS }, 100);
        for n in 0..9 {
            window.push(segment(if n == 1 { 3_600 } else { 2_000 }, 1_000, n % 2 == 1));
        }
        let text = window.playlist(|n| format!("{n}.ts")).unwrap();
        let playlist = hls_m3u8::MediaPlaylist::try_from(text.as_str()).unwrap();
        assert_eq!((playlist.media_sequence, playlist.discontinuity_sequence), (106, 3));
        // 1, 3 and 5 left the list, 7 is in it; the long one is gone, but the target does not shrink.
        assert_eq!(playlist.target_duration, Duration::from_secs(4));
        let uris: Vec<_> = playlist.segments.values().map(|s| s.uri().to_string()).collect();
        assert_eq!(uris, ["106.ts", "107.ts", "108.ts"]);
        assert!(text.contains("#EXT-X-INDEPENDENT-SEGMENTS") && !text.contains("ENDLIST"));
        let there: Vec<u64> = (90..120).filter(|n| window.get(*n).is_some()).collect();
        assert_eq!(there, [104, 105, 106, 107, 108]);
        assert_eq!(window.next(), 109);
        assert_eq!(window.bandwidth(), 4_000);
        window.end();
        assert!(window.playlist(|n| format!("{n}.ts")).unwrap().ends_with("#EXT-X-ENDLIST\n"));
    }

    #[test]
    fn the_window_is_bounded_in_bytes() {
        let mut window = Window::new(Bounds { bytes: 10_000, ..BOUNDS }, 0);
        for _ in 0..20 {
            window.push(segment(2_000, 3_000, false));
        }
        assert_eq!((0..30).filter(|n| window.get(*n).is_some()).collect::<Vec<_>>(), [17, 18, 19]);
        // However large, two segments stay: with fewer nothing plays.
        window.push(segment(2_000, 30_000, false));
        window.push(segment(2_000, 30_000, false));
        assert_eq!((0..30).filter(|n| window.get(*n).is_some()).collect::<Vec<_>>(), [20, 21]);
    }
}
