//! The segments of a stream that are there now, and which of them the playlist lists.

use super::Settings;
use super::segmenter::Segment;
use crate::container::m3u8;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A bounded list of segments. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Window {
    segments: VecDeque<Arc<Segment>>,
    /// The number of the first segment that is there.
    first: u64,
    /// Discontinuities among the segments that are gone.
    discontinuities: u64,
    listed: usize,
    kept: usize,
    most_bytes: usize,
    bytes: usize,
    /// The longest segment so far in whole seconds: players take it badly when the target shrinks.
    target: u64,
    ended: bool,
}

/// Segments that stay whatever they weigh.
const AT_LEAST: usize = 2;

impl Window {
    /// An empty list whose first segment gets the number `first`.
    pub fn new(settings: &Settings, first: u64) -> Window {
        Window {
            segments: VecDeque::new(),
            first,
            discontinuities: 0,
            listed: settings.window.max(AT_LEAST),
            kept: settings.kept,
            most_bytes: settings.bytes.bytes(),
            bytes: 0,
            target: m3u8::target_of(settings.segment.0).max(1),
            ended: false,
        }
    }

    /// Appends a segment and drops what is too old or too much.
    pub fn push(&mut self, segment: Segment) {
        self.target = self.target.max(m3u8::target_of(segment.duration));
        self.bytes += segment.bytes.len();
        self.segments.push_back(Arc::new(segment));
        while self.segments.len() > self.listed + self.kept || self.bytes > self.most_bytes && self.segments.len() > AT_LEAST {
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
    pub fn playlist(&self, uri: impl Fn(u64) -> String) -> Result<String, m3u8::Error> {
        let hidden = self.segments.len().saturating_sub(self.listed);
        let listed = self.segments.range(hidden..);
        let head = m3u8::Head {
            target: self.target,
            sequence: self.first + hidden as u64,
            discontinuities: self.discontinuities + self.segments.range(..hidden).filter(|s| s.discontinuity).count() as u64,
            independent: listed.clone().all(|s| s.independent),
            ended: self.ended,
            vod: false,
        };
        m3u8::media(
            head,
            listed.enumerate().map(|(n, s)| m3u8::Segment {
                uri: uri(head.sequence + n as u64),
                duration: s.duration,
                wall: s.wall,
                discontinuity: s.discontinuity,
            }),
        )
    }
}
