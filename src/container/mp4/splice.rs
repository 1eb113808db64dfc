//! Fragments of several files as one: the index of a film that is put together without copying.

use super::VIDEO;
use super::scan::{Index, Run};
use crate::media::time::Timestamp;
use shiguredo_mp4::boxes::{MoovBox, SampleEntry};
use std::ops::Range;

impl Index {
    /// Appends fragments (by their numbers) of another file, whose bytes lie `base` further on, and whose times are moved by `shift`.
    /// `false`: it has other tracks, and nothing was appended.
    pub fn splice(&mut self, other: &Index, fragments: Range<usize>, base: u64, shift: Timestamp) -> bool {
        let Some(theirs) = &other.moov else { return false };
        let moov = self.moov.get_or_insert_with(|| theirs.clone());
        if entries(moov).ne(entries(theirs)) {
            return false;
        }
        for payload in other.payloads.get(fragments).unwrap_or_default() {
            for run in other.runs.iter().filter(|run| payload.contains(&run.at)) {
                let ticks = shift.to_ticks(hz(theirs, run.track));
                let start = run.start.saturating_add_signed(ticks);
                self.runs.push(Run { start, at: run.at.saturating_add(base), ..run.clone() });
            }
            self.payloads.push(payload.start.saturating_add(base)..payload.end.saturating_add(base));
        }
        true
    }

    /// When a fragment begins: the earlier of its tracks.
    pub fn begin(&self, fragment: usize) -> Option<Timestamp> {
        let (moov, payload) = (self.moov.as_ref()?, self.payloads.get(fragment)?);
        let runs = self.runs.iter().filter(|run| payload.contains(&run.at));
        runs.map(|run| time(run.start, hz(moov, run.track))).min()
    }

    /// When the track of a fragment begins that leads: the pictures, and sound where there are none.
    pub fn lead(&self, fragment: usize) -> Option<Timestamp> {
        let (moov, payload) = (self.moov.as_ref()?, self.payloads.get(fragment)?);
        let picture = self.runs.iter().find(|run| payload.contains(&run.at) && run.track == VIDEO);
        picture.map(|run| time(run.start, hz(moov, VIDEO))).or_else(|| self.begin(fragment))
    }

    /// When the last frame ends: the later of the tracks.
    pub fn end(&self) -> Option<Timestamp> {
        let moov = self.moov.as_ref()?;
        let end = |run: &Run| {
            let length: u64 = run.samples.iter().map(|sample| u64::from(sample.duration)).sum();
            time(run.start.saturating_add(length), hz(moov, run.track))
        };
        self.runs.iter().rev().take(4).map(end).max()
    }
}

pub(super) fn time(ticks: u64, hz: u32) -> Timestamp {
    Timestamp::from_ticks(i64::try_from(ticks).unwrap_or(i64::MAX), hz)
}

pub(super) fn hz(moov: &MoovBox, track: u32) -> u32 {
    let trak = moov.trak_boxes.iter().find(|trak| trak.tkhd_box.track_id == track);
    trak.map_or(super::HZ, |trak| trak.mdia_box.mdhd_box.timescale.get())
}

/// What a decoder must know.
fn entries(moov: &MoovBox) -> impl Iterator<Item = &Vec<SampleEntry>> {
    moov.trak_boxes.iter().map(|trak| &trak.mdia_box.minf_box.stbl_box.stsd_box.entries)
}
