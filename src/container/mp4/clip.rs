//! A stretch of an index, to the frame: what decodes it is kept, what is shown is a window.

use super::fragment::{NOT_SYNC, SYNC};
use super::scan::{Index, Run, Sample, Scan};
use super::splice::{hz, time};
use super::{AUDIO, VIDEO};
use crate::media::time::Timestamp;
use bytes::Bytes;
use shiguredo_mp4::Encode;
use shiguredo_mp4::boxes::{MfhdBox, MoofBox, TfdtBox, TfhdBox, TrafBox, TrunBox, TrunSample};

/// What is shown, on the time line of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From here on.
    pub from: Timestamp,
    /// Up to here.
    pub to: Timestamp,
}

impl Index {
    /// Leaves out what is not needed to show the window: it begins with the newest key frame at or before it, and ends with the last
    /// frame that is shown in it. What comes before it is decoded and not shown: [`plan`](super::plan()) writes that as an edit.
    pub fn clip(&mut self, window: Window) {
        self.keep(Some(window.from), window.to);
        self.window = Some(window);
    }

    /// Keeps what is needed between two moments; `from` none: from the beginning on.
    fn keep(&mut self, from: Option<Timestamp>, to: Timestamp) {
        let Some(moov) = &self.moov else { return };
        let (video_hz, audio_hz) = (hz(moov, VIDEO), hz(moov, AUDIO));
        let ticks_of = |track| if track == VIDEO { video_hz } else { audio_hz };
        // the first and the last picture that are needed, by the time of decoding
        let (mut first, mut last): (Option<Timestamp>, Option<Timestamp>) = (None, None);
        let video = self.runs.iter().any(|run| run.track == VIDEO);
        for run in self.runs.iter().filter(|run| run.track == VIDEO) {
            for (at, sample) in times(run) {
                let shown = time(at.saturating_add_signed(sample.later), video_hz);
                if first.is_none() || sample.key && from.is_some_and(|from| shown <= from) {
                    first = Some(time(at, video_hz));
                }
                if shown < to {
                    last = Some(time(at, video_hz));
                }
            }
        }
        let needed = |run: &Run, at: u64, sample: &Sample| {
            let (begin, end) = (time(at, ticks_of(run.track)), time(at.saturating_add(sample.duration.into()), ticks_of(run.track)));
            match (run.track == VIDEO, from) {
                (true, Some(_)) => first.is_some_and(|first| begin >= first) && last.is_some_and(|last| begin <= last),
                (true, None) => last.is_some_and(|last| begin <= last),
                (false, Some(from)) => end > if video { first.unwrap_or(from) } else { from } && begin < to,
                (false, None) => begin < to,
            }
        };
        let mut runs = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            let (mut kept, mut start, mut place) = (Vec::new(), run.start, run.at);
            let mut at = run.at;
            for (begin, sample) in times(run) {
                if needed(run, begin, sample) {
                    if kept.is_empty() {
                        (start, place) = (begin, at);
                    }
                    kept.push(*sample);
                }
                at = at.saturating_add(sample.size.into());
            }
            if !kept.is_empty() {
                runs.push(Run { track: run.track, start, at: place, samples: kept });
            }
        }
        self.payloads.clear();
        for run in &runs {
            let end = run.at.saturating_add(size(run));
            match self.payloads.last_mut() {
                Some(last) if last.end == run.at => last.end = end,
                _ => self.payloads.push(run.at..end),
            }
        }
        self.runs = runs;
    }
}

/// The samples of a run with their times of decoding.
fn times(run: &Run) -> impl Iterator<Item = (u64, &Sample)> {
    run.samples.iter().scan(run.start, |next, sample| {
        let at = *next;
        *next = at.saturating_add(sample.duration.into());
        Some((at, sample))
    })
}

fn size(run: &Run) -> u64 {
    run.samples.iter().map(|sample| u64::from(sample.size)).sum()
}

/// The beginning of a fragment that [`Muxer`](super::Muxer) made, as a fragment: what is shown in its first `length`. `init` is what
/// stands before the fragments of its file. `None`: it is no such fragment, or nothing is left.
pub fn shorten(init: &[u8], fragment: &[u8], length: Timestamp) -> Option<Bytes> {
    let whole = [init, fragment].concat();
    let mut scan = Scan::new(whole.len() as u64);
    while let Some(range) = scan.wants() {
        scan.push(whole.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)?);
    }
    let mut index = scan.finish();
    let begin = index.lead(0)?;
    index.keep(None, begin + length);
    let sequence_number = u32::from_be_bytes(*fragment.get(20..)?.first_chunk()?);
    let mut moof = MoofBox { mfhd_box: MfhdBox { sequence_number }, traf_boxes: Vec::new(), unknown_boxes: Vec::new() };
    let mut payload = Vec::new();
    let mut offsets = Vec::new();
    for run in &index.runs {
        offsets.push(payload.len());
        let at = usize::try_from(run.at).ok()?;
        payload.extend_from_slice(whole.get(at..at.checked_add(usize::try_from(size(run)).ok()?)?)?);
        moof.traf_boxes.push(traf(run));
    }
    if payload.is_empty() {
        return None;
    }
    // offsets count from the first byte of the moof, whose size does not depend on them
    let base = moof.encode_to_vec().ok()?.len() + 8;
    for (traf, offset) in moof.traf_boxes.iter_mut().zip(offsets) {
        traf.trun_boxes.iter_mut().for_each(|run| run.data_offset = i32::try_from(base + offset).ok());
    }
    let mut out = moof.encode_to_vec().ok()?;
    out.extend(u32::try_from(payload.len() + 8).ok()?.to_be_bytes());
    out.extend(b"mdat");
    out.extend(payload);
    Some(out.into())
}

fn traf(run: &Run) -> TrafBox {
    let video = run.track == VIDEO;
    let sample = |sample: &Sample| TrunSample {
        duration: Some(sample.duration),
        size: Some(sample.size),
        flags: video.then_some(if sample.key { SYNC } else { NOT_SYNC }),
        composition_time_offset: video.then_some(sample.later),
    };
    TrafBox {
        tfhd_box: TfhdBox {
            track_id: run.track,
            base_data_offset: None,
            sample_description_index: None,
            default_sample_duration: None,
            default_sample_size: None,
            default_sample_flags: (!video).then_some(SYNC),
            duration_is_empty: false,
            default_base_is_moof: true,
        },
        tfdt_box: Some(TfdtBox { version: 1, base_media_decode_time: run.start }),
        trun_boxes: vec![TrunBox { data_offset: Some(0), first_sample_flags: None, samples: run.samples.iter().map(sample).collect() }],
        unknown_boxes: Vec::new(),
    }
}
