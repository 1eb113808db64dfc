//! The formats of a recording: each makes a file of the frames of a take.

mod flv;
mod hls;
mod mp4;

use super::draft::Note;
use super::op::Ops;
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use crate::model::id::RecordingId;
use crate::model::record::Format;
use crate::model::recording::Order;
use crate::stream::Unit;
use std::time::Duration;

pub use hls::{Line, segment_name};

/// What begins.
pub struct Take<'a> {
    /// What was ordered.
    pub order: &'a Order,
    /// Its recording.
    pub recording: RecordingId,
    /// Counts the files of the recording.
    pub sequence: u64,
    /// The tracks until its end.
    pub tracks: &'a Tracks,
    /// Its first unit, which is added next.
    pub first: &'a Unit,
}

impl Take<'_> {
    fn note(&self, format: Format) -> Note {
        let size = self.tracks.video.as_ref().map_or((0, 0), |video| (video.width, video.height));
        Note::new(self.order, self.recording, self.sequence, format, self.first.wall, size)
    }
}

/// How a take ends.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// When the next frame is decoded, where it follows without a gap.
    pub next: Option<Timestamp>,
    /// When the last frame of pictures ends (of sound where there are none), as far as is known.
    pub end: Timestamp,
    /// The same on the wall clock.
    pub wall: Timestamp,
}

/// Makes the files of one format. Between `begin` and `end` the tracks stay.
pub trait Sink: Send {
    /// A take begins. One whose tracks the format cannot carry is left out.
    fn begin(&mut self, take: &Take<'_>, ops: &mut Ops);
    /// The next unit.
    fn add(&mut self, unit: &Unit, ops: &mut Ops);
    /// Writes what is whole.
    fn flush(&mut self, ops: &mut Ops);
    /// The take is over: the file is finished.
    fn end(&mut self, ending: Ending, ops: &mut Ops);
    /// Writing failed: what is on disk is finished, nothing more is written.
    fn abandon(&mut self, wall: Timestamp, ops: &mut Ops);
}

/// The sink of a format; `segment` is the length of segments in formats that have some.
pub fn of(format: Format, segment: Duration) -> Option<Box<dyn Sink>> {
    match format {
        Format::Mp4 => Some(Box::<mp4::Mp4>::default()),
        Format::Flv => Some(Box::<flv::Flv>::default()),
        Format::Hls => Some(Box::new(hls::Hls::new(segment))),
        Format::Jpg => None,
    }
}
