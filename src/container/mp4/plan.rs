//! From fragments to a file that begins with its whole index, which every player seeks in without reading all of it.

use super::VIDEO;
use super::scan::{Index, Run, Sample};
use crate::media::time::Timestamp;
use bytes::Bytes;
use shiguredo_mp4::boxes::{
    Brand, Co64Box, CttsBox, CttsEntry, EdtsBox, ElstBox, ElstEntry, FtypBox, MoovBox, StblBox, StcoBox, StscBox, StscEntry, StssBox,
    StszBox, SttsBox, SttsEntry, TrakBox,
};
use shiguredo_mp4::{Either, Encode, FixedPointNumber, Mp4FileTime};
use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

/// How the file is made: `head`, then these ranges of the fragmented file one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// `ftyp`, `moov` and the header of `mdat`.
    pub head: Bytes,
    /// What is copied, in order.
    pub copy: Vec<Range<u64>>,
    /// How long it plays: its longer track.
    pub duration: Duration,
}

/// The plan for what a [`Scan`](super::Scan) found; `None` if it found no whole fragment. The new file's time begins with the earlier
/// of its tracks, or with its [`Window`](super::Window). `created` is when the recording began, on the wall clock.
pub fn plan(index: &Index, created: Option<Timestamp>) -> Option<Plan> {
    let payload: u64 = index.payloads.iter().map(|range| range.end - range.start).sum();
    let ftyp = FtypBox { major_brand: Brand::ISOM, minor_version: 0, compatible_brands: vec![Brand::ISOM, Brand::ISO2, Brand::MP41] };
    let ftyp = ftyp.encode_to_vec().ok()?;
    let mdat: Vec<u8> = match u32::try_from(payload + 8) {
        Ok(size) => [&size.to_be_bytes()[..], b"mdat"].concat(),
        Err(_) => [&1u32.to_be_bytes()[..], b"mdat", &(payload + 16).to_be_bytes()].concat(),
    };
    // the size of the index depends on the width of the offsets in it, not on their values
    let mut wide = false;
    let mut base = 0;
    for _ in 0..3 {
        let moov = moov(index, created, base, wide)?;
        let duration =
            Timestamp::from_ticks(i64::try_from(moov.mvhd_box.duration).ok()?, moov.mvhd_box.timescale.get()).since(Timestamp::ZERO);
        let moov = moov.encode_to_vec().ok()?;
        let size = (ftyp.len() + moov.len() + mdat.len()) as u64;
        let must = size + payload > u64::from(u32::MAX);
        if (base, wide) == (size, must) {
            return Some(Plan { head: [ftyp, moov, mdat].concat().into(), copy: index.payloads.clone(), duration });
        }
        // a wider table is measured before its offsets are right
        base = if wide == must { size } else { 0 };
        wide = must;
    }
    None
}

/// The whole index, for a payload that begins at `base`.
fn moov(index: &Index, created: Option<Timestamp>, base: u64, wide: bool) -> Option<MoovBox> {
    let mut moov = index.moov.clone()?;
    moov.mvex_box = None;
    let movie = moov.mvhd_box.timescale.get();
    let mut longest = 0;
    if let Some(created) = created.and_then(|at| u64::try_from(at.0).ok()) {
        let created = Mp4FileTime::from_unix_time(Duration::from_nanos(created));
        (moov.mvhd_box.creation_time, moov.mvhd_box.modification_time) = (created, created);
    }
    moov.trak_boxes.retain(|trak| index.runs.iter().any(|run| run.track == trak.tkhd_box.track_id));
    if moov.trak_boxes.is_empty() {
        return None;
    }
    // where the tracks begin, in ticks of the movie: the file begins with the earliest
    let begin = |trak: &TrakBox| {
        let run = index.runs.iter().find(|run| run.track == trak.tkhd_box.track_id)?;
        Some(scaled(run.start, trak.mdia_box.mdhd_box.timescale.get(), movie))
    };
    let zero = moov.trak_boxes.iter().filter_map(begin).min()?;
    let ticks = |at: Timestamp| u64::try_from(at.to_ticks(movie)).unwrap_or(0);
    let window = index.window.map(|window| (ticks(window.from).max(zero), ticks(window.to)));
    for trak in &mut moov.trak_boxes {
        let id = trak.tkhd_box.track_id;
        let runs: Vec<&Run> = index.runs.iter().filter(|run| run.track == id).collect();
        let hz = trak.mdia_box.mdhd_box.timescale.get();
        let samples = samples(&runs);
        let length: u64 = samples.iter().map(|sample| u64::from(sample.duration)).sum();
        let delay = scaled(runs.first()?.start, hz, movie) - zero;
        let shown = scaled(length, hz, movie);
        trak.mdia_box.mdhd_box.duration = length;
        trak.tkhd_box.duration = delay.saturating_add(shown);
        let edit = |edit_duration, media_time| ElstEntry { edit_duration, media_time, media_rate: FixedPointNumber::new(1, 0) };
        let entries = match window {
            // a track that begins later than the file
            None if delay > 0 => vec![edit(delay, -1), edit(shown, 0)],
            None => Vec::new(),
            Some((from, to)) => {
                let later = samples.iter().map(|sample| sample.later).max().and_then(|later| u64::try_from(later).ok()).unwrap_or(0);
                let (start, end) =
                    (zero + delay, zero.saturating_add(delay).saturating_add(shown).saturating_add(scaled(later, hz, movie)));
                let (start, end, skipped) = (start.max(from), end.min(to), from.saturating_sub(start));
                let media_time = i64::try_from(scaled(skipped, movie, hz)).ok()?;
                let mut entries = vec![edit(end.saturating_sub(start), media_time)];
                if start > from {
                    entries.insert(0, edit(start - from, -1));
                }
                trak.tkhd_box.duration = end.saturating_sub(from);
                entries
            }
        };
        longest = longest.max(trak.tkhd_box.duration);
        if !entries.is_empty() {
            trak.edts_box = Some(EdtsBox { elst_box: Some(ElstBox { entries }), unknown_boxes: Vec::new() });
        }
        let offsets = offsets(index, id, base);
        tables(&mut trak.mdia_box.minf_box.stbl_box, &samples, &runs, offsets, wide)?;
        if id != VIDEO {
            trak.mdia_box.minf_box.stbl_box.stss_box = None;
        }
    }
    moov.mvhd_box.duration = longest;
    Some(moov)
}

/// Ticks of one clock on another.
fn scaled(ticks: u64, from: u32, to: u32) -> u64 {
    u64::try_from(u128::from(ticks) * u128::from(to) / u128::from(from.max(1))).unwrap_or(u64::MAX)
}

/// The samples of a track; the last of each run lasts until the next run begins.
fn samples(runs: &[&Run]) -> Vec<Sample> {
    let mut out: Vec<Sample> = Vec::new();
    let mut time = runs.first().map_or(0, |run| run.start);
    for run in runs {
        if let Some(last) = out.last_mut() {
            // time is where the last sample would end by its own word
            let begin = time.saturating_sub(u64::from(last.duration));
            last.duration = u32::try_from(run.start.saturating_sub(begin)).unwrap_or(u32::MAX);
            time = begin.saturating_add(u64::from(last.duration));
        }
        out.extend(&run.samples);
        time = run.samples.iter().fold(time, |time, sample| time.saturating_add(sample.duration.into()));
    }
    out
}

/// Where each run of a track lies in the new file.
fn offsets(index: &Index, track: u32, base: u64) -> Vec<u64> {
    let mut out = Vec::new();
    let mut before = base;
    let mut runs = index.runs.iter().peekable();
    for payload in &index.payloads {
        while let Some(run) = runs.next_if(|run| run.at < payload.end) {
            if run.track == track {
                out.push(before + (run.at - payload.start));
            }
        }
        before += payload.end - payload.start;
    }
    out
}

fn tables(stbl: &mut StblBox, samples: &[Sample], runs: &[&Run], offsets: Vec<u64>, wide: bool) -> Option<()> {
    let (mut stts, mut ctts, mut stsc) = (Vec::<SttsEntry>::new(), Vec::<CttsEntry>::new(), Vec::<StscEntry>::new());
    for sample in samples {
        match stts.last_mut() {
            Some(last) if last.sample_delta == sample.duration => last.sample_count += 1,
            _ => stts.push(SttsEntry { sample_count: 1, sample_delta: sample.duration }),
        }
        match ctts.last_mut() {
            Some(last) if last.sample_offset == sample.later => last.sample_count += 1,
            _ => ctts.push(CttsEntry { sample_count: 1, sample_offset: sample.later }),
        }
    }
    for (n, run) in (1u32..).zip(runs) {
        let sample_per_chunk = u32::try_from(run.samples.len()).ok()?;
        if stsc.last().is_none_or(|last| last.sample_per_chunk != sample_per_chunk) {
            stsc.push(StscEntry { first_chunk: NonZeroU32::new(n)?, sample_per_chunk, sample_description_index: NonZeroU32::MIN });
        }
    }
    let version = u8::from(samples.iter().any(|sample| sample.later < 0));
    let keys = (1u32..).zip(samples).filter(|(_, sample)| sample.key).filter_map(|(n, _)| NonZeroU32::new(n)).collect();
    stbl.ctts_box = samples.iter().any(|sample| sample.later != 0).then_some(CttsBox { version, entries: ctts });
    stbl.stts_box = SttsBox { entries: stts };
    stbl.stsc_box = StscBox { entries: stsc };
    stbl.stsz_box = StszBox::Variable { entry_sizes: samples.iter().map(|sample| sample.size).collect() };
    stbl.stss_box = Some(StssBox { sample_numbers: keys });
    stbl.stco_or_co64_box = if wide {
        Either::B(Co64Box { chunk_offsets: offsets })
    } else {
        // while sizes are measured an offset may not fit yet; the caller measures again
        Either::A(StcoBox { chunk_offsets: offsets.into_iter().map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect() })
    };
    Some(())
}
