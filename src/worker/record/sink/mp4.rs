//! MP4: fragments while it is recorded; [`finish`](super::super::finish) makes a file with its index in front of them.

use super::{Ending, Sink, Take};
use crate::container::mp4::{self, Fragment, Muxer};
use crate::media::time::Timestamp;
use crate::model::record::Format;
use crate::stream::Unit;
use crate::worker::record::draft::Note;
use crate::worker::record::op::{Op, Ops};

/// Sound that comes after the key frame which begins the file, but belongs before it, is kept up to this far.
const MARGIN: Timestamp = Timestamp::from_millis(5_000);

/// The MP4 files of a recording.
#[derive(Default)]
pub struct Mp4(Option<Open>);

struct Open {
    muxer: Muxer,
    file: u32,
    note: Box<Note>,
}

impl Sink for Mp4 {
    fn begin(&mut self, take: &Take<'_>, ops: &mut Ops) {
        let Some(init) = mp4::init(take.tracks) else { return };
        let note = Box::new(take.note(Format::Mp4));
        ops.push(Op::Note { note: note.clone() });
        let file = ops.create(note.draft());
        ops.write(file, vec![init]);
        self.0 = Some(Open { muxer: Muxer::new(take.tracks, take.first.frame.dts - MARGIN), file, note });
    }

    fn add(&mut self, unit: &Unit, ops: &mut Ops) {
        let Some(open) = &mut self.0 else { return };
        if open.muxer.push(&unit.frame).is_err() {
            write(open.muxer.cut(), open.file, ops);
            // what alone is too large for a fragment is not carried
            let _ = open.muxer.push(&unit.frame);
        }
    }

    fn flush(&mut self, ops: &mut Ops) {
        if let Some(open) = &mut self.0 {
            write(open.muxer.cut(), open.file, ops);
        }
    }

    fn end(&mut self, ending: Ending, ops: &mut Ops) {
        let Some(Open { muxer, file, note }) = self.0.take() else { return };
        write(muxer.finish_at(ending.next), file, ops);
        ops.push(Op::Close { file });
        ops.push(Op::Finish { note, end: ending.wall });
    }

    fn abandon(&mut self, wall: Timestamp, ops: &mut Ops) {
        let Some(Open { file, note, .. }) = self.0.take() else { return };
        ops.push(Op::Close { file });
        ops.push(Op::Finish { note, end: wall });
    }
}

fn write(fragment: Option<Fragment>, file: u32, ops: &mut Ops) {
    if let Some(Fragment { head, mut frames, .. }) = fragment {
        frames.insert(0, head);
        ops.write(file, frames);
    }
}
