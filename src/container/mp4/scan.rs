//! What a recording holds, found by reading little of it: where its last whole fragment ends, and where every sample lies.

use super::clip::Window;
use shiguredo_mp4::Decode;
use shiguredo_mp4::boxes::{MoofBox, MoovBox, TrafBox};
use std::ops::Range;

/// What `moov` and `moof` may weigh: far more than a fragment of [`MAX_FRAMES`](super::MAX_FRAMES) needs.
const MAX_BOX: u64 = 1 << 20;
/// The header of a box with a size of 64 bits.
const HEADER: u64 = 16;
/// Flags of `trun`: every sample has its duration and its size, as [`Muxer`](super::Muxer) writes them.
const COMPLETE: u32 = 0x300;

/// A sample of a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub duration: u32,
    pub size: u32,
    pub later: i64,
    pub key: bool,
}

/// Samples that lie one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub track: u32,
    /// Decoding time of the first sample, in ticks of the track.
    pub start: u64,
    /// Where it lies in the file.
    pub at: u64,
    pub samples: Vec<Sample>,
}

/// What was found in a file.
#[derive(Debug, Clone, Default)]
pub struct Index {
    pub(super) moov: Option<MoovBox>,
    pub(super) runs: Vec<Run>,
    /// The payload of each fragment, in order.
    pub(super) payloads: Vec<Range<u64>>,
    /// What is shown of it; none: all.
    pub(super) window: Option<Window>,
    whole: u64,
}

impl Index {
    /// Where the last whole fragment ends, bytes: a torn file is mended by cutting it here. 0: not even the beginning is whole.
    pub fn whole(&self) -> u64 {
        if self.moov.is_some() { self.whole } else { 0 }
    }

    /// Whole fragments.
    pub fn fragments(&self) -> usize {
        self.payloads.len()
    }
}

/// Walks over a file that [`Muxer`](super::Muxer) wrote. It tells what to read ([`Scan::wants`]) and is given that ([`Scan::push`]); the
/// payload is never read. It stops at the first thing that is not whole or not ours: the end of a write that a crash cut off, zeros that a
/// file system left. Zeros inside a payload of the right size are not noticed.
#[derive(Debug)]
pub struct Scan {
    size: u64,
    at: u64,
    want: Want,
    runs: Vec<Run>,
    index: Index,
}

#[derive(Debug, Clone, Copy)]
enum Want {
    Header,
    Box(u64),
    Nothing,
}

impl Scan {
    /// Of a file of `size` bytes.
    pub fn new(size: u64) -> Scan {
        Scan { size, at: 0, want: Want::Header, runs: Vec::new(), index: Index::default() }
    }

    /// Which bytes of the file to [`push`](Scan::push) next, at most a mebibyte; `None`: that was all.
    pub fn wants(&self) -> Option<Range<u64>> {
        let length = match self.want {
            Want::Header => HEADER.min(self.size.saturating_sub(self.at)),
            Want::Box(length) => length,
            Want::Nothing => 0,
        };
        (length >= 8).then(|| self.at..self.at + length)
    }

    /// The bytes that [`wants`](Scan::wants) named; fewer end the walk.
    pub fn push(&mut self, bytes: &[u8]) {
        let whole = self.wants().is_some_and(|range| range.end - range.start == bytes.len() as u64);
        let step = match self.want {
            Want::Header if whole => self.header(bytes),
            Want::Box(length) if whole => self.take(bytes).map(|()| {
                self.at += length;
                Want::Header
            }),
            _ => None,
        };
        self.want = step.unwrap_or(Want::Nothing);
    }

    /// What was found.
    pub fn finish(self) -> Index {
        self.index
    }

    fn header(&mut self, bytes: &[u8]) -> Option<Want> {
        let short = u32::from_be_bytes(*bytes.first_chunk()?);
        let (head, size) = match short {
            1 => (16, u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?)),
            size => (8, u64::from(size)),
        };
        let end = self.at.checked_add(size).filter(|end| size >= head && *end <= self.size)?;
        match bytes.get(4..8)? {
            b"moov" | b"moof" => return (size <= MAX_BOX).then_some(Want::Box(size)),
            b"mdat" => {
                let payload = self.at + head..end;
                let runs = std::mem::take(&mut self.runs);
                let inside = |run: &Run| {
                    let length: u64 = run.samples.iter().map(|sample| u64::from(sample.size)).sum();
                    run.at >= payload.start && run.at.saturating_add(length) <= payload.end
                };
                if !runs.iter().all(inside) {
                    return None;
                }
                if !runs.is_empty() {
                    self.index.runs.extend(runs);
                    self.index.payloads.push(payload);
                }
                self.index.whole = end;
            }
            _ if self.runs.is_empty() => self.index.whole = end,
            _ => {}
        }
        self.at = end;
        Some(Want::Header)
    }

    /// Takes `moov` or `moof`.
    fn take(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.get(4..8)? == b"moov" {
            if self.index.moov.is_some() {
                return None;
            }
            self.index.moov = Some(MoovBox::decode(bytes).ok()?.0);
            self.index.whole = self.at + bytes.len() as u64;
            return Some(());
        }
        if self.index.moov.is_none() || !self.runs.is_empty() || !is_complete(bytes) {
            return None;
        }
        let (moof, _) = MoofBox::decode(bytes).ok()?;
        for traf in &moof.traf_boxes {
            self.runs.push(run(traf, self.at)?);
        }
        Some(())
    }
}

/// The one run of a track in the fragment whose `moof` lies at `at`.
fn run(traf: &TrafBox, at: u64) -> Option<Run> {
    let [run] = traf.trun_boxes.as_slice() else { return None };
    let usual = traf.tfhd_box.default_sample_flags;
    let sample = |sample: &shiguredo_mp4::boxes::TrunSample| {
        let flags = sample.flags.or(usual)?;
        let later = sample.composition_time_offset.unwrap_or(0);
        Some(Sample { duration: sample.duration?, size: sample.size?, later, key: !flags.sample_is_non_sync_sample() })
    };
    Some(Run {
        track: traf.tfhd_box.track_id,
        start: traf.tfdt_box.as_ref()?.base_media_decode_time,
        at: at.checked_add_signed(run.data_offset?.into())?,
        samples: run.samples.iter().map(sample).collect::<Option<_>>().filter(|samples: &Vec<_>| !samples.is_empty())?,
    })
}

/// Whether each `trun` spells out its samples: without, a few bytes could claim millions of them.
fn is_complete(moof: &[u8]) -> bool {
    let flags = |run: &[u8]| run.first_chunk().map_or(0, |word| u32::from_be_bytes(*word));
    let trafs = children(moof.get(8..).unwrap_or_default()).filter(|(name, _)| name == b"traf");
    trafs.flat_map(|(_, traf)| children(traf)).filter(|(name, _)| name == b"trun").all(|(_, run)| flags(run) & COMPLETE == COMPLETE)
}

/// The boxes inside of a box, up to the first that is not whole: name and payload.
fn children(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let size = usize::try_from(u32::from_be_bytes(*bytes.first_chunk()?)).ok()?;
        let name = *bytes.get(4..)?.first_chunk()?;
        let payload = bytes.get(8..size)?;
        bytes = bytes.get(size..)?;
        Some((name, payload))
    })
}
