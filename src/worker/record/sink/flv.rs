//! FLV: written as it is; it needs no end.

use super::{Ending, Sink, Take};
use crate::container::flv::{self, Hevc};
use crate::media::frame::Frame;
use crate::media::time::Timestamp;
use crate::model::record::Format;
use crate::stream::Unit;
use crate::worker::record::draft::Note;
use crate::worker::record::op::{Op, Ops};
use bytes::BytesMut;

/// The FLV files of a recording.
#[derive(Default)]
pub struct Flv(Option<Open>);

struct Open {
    base: Timestamp,
    buffer: BytesMut,
    file: u32,
    note: Box<Note>,
}

impl Sink for Flv {
    fn begin(&mut self, take: &Take<'_>, ops: &mut Ops) {
        let note = Box::new(take.note(Format::Flv));
        ops.push(Op::Note { note: note.clone() });
        let file = ops.create(note.draft());
        ops.write(file, vec![flv::start(take.tracks, 0, Hevc::Enhanced)]);
        self.0 = Some(Open { base: take.first.frame.dts, buffer: BytesMut::new(), file, note });
    }

    fn add(&mut self, unit: &Unit, _: &mut Ops) {
        let Some(open) = &mut self.0 else { return };
        // Sound that belongs before the key frame of the beginning stands at 0: the file has no time before that.
        let dts = (unit.frame.dts - open.base).max(Timestamp::ZERO);
        let frame = Frame { dts, pts: dts + (unit.frame.pts - unit.frame.dts), ..unit.frame.clone() };
        open.buffer.extend_from_slice(&flv::frame_tag(&frame, &unit.tracks, Hevc::Enhanced));
    }

    fn flush(&mut self, ops: &mut Ops) {
        if let Some(open) = self.0.as_mut().filter(|open| !open.buffer.is_empty()) {
            ops.write(open.file, vec![open.buffer.split().freeze()]);
        }
    }

    fn end(&mut self, ending: Ending, ops: &mut Ops) {
        self.flush(ops);
        self.abandon(ending.wall, ops);
    }

    fn abandon(&mut self, wall: Timestamp, ops: &mut Ops) {
        let Some(Open { file, note, .. }) = self.0.take() else { return };
        ops.push(Op::Close { file });
        ops.push(Op::Finish { note, end: wall });
    }
}
