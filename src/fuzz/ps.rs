//! The program stream, as it comes in RTP payloads: whole, cut anywhere, with losses.

use super::rtmp::canonical;
use crate::container::ps::{Damaged, Demuxer, Input, Item, Options};
use crate::media::frame::{self, Kind};
use crate::media::track::{Track, Tracks};
use std::sync::Arc;

/// The largest frame of a test.
const MAX_FRAME: usize = 1 << 16;

/// The first byte: what becomes of damaged frames, whether packets have timestamps and markers, every how many one is lost;
/// the second how the rest is cut into payloads. Frames are canonical and bounded.
pub(super) fn ps(data: &[u8]) {
    let Some((how, data)) = data.split_first() else { return };
    let damaged = [Damaged::Drop, Damaged::Keep, Damaged::UntilKey, Damaged::Drop][usize::from(how & 3)];
    let (stamped, marked, losses) = (how & 4 != 0, how & 8 != 0, usize::from(how >> 4));
    let mut demuxer = Demuxer::new(Options { damaged, max_frame: MAX_FRAME });
    let mut tracks = Tracks::default();
    let mut lost = false;
    for (n, payload) in super::pieces(data).enumerate() {
        if losses > 0 && n % (losses + 1) == losses {
            lost = true;
            continue;
        }
        let timestamp = stamped.then_some(n as i64 / 4 * 3600);
        demuxer.push(Input { payload, timestamp, marker: marked && n % 4 == 3, lost: std::mem::take(&mut lost) });
        pull(&mut demuxer, &mut tracks);
    }
    demuxer.finish();
    pull(&mut demuxer, &mut tracks);
}

fn pull(demuxer: &mut Demuxer, tracks: &mut Tracks) {
    while let Some(item) = demuxer.pull() {
        match item {
            Item::Track(Track::Video(track)) => tracks.video = Some(Arc::new(track)),
            Item::Track(Track::Audio(track)) => tracks.audio = Some(Arc::new(track)),
            Item::Frame(f) => {
                assert!(!f.data.is_empty() && f.data.len() <= 2 * MAX_FRAME);
                assert!(if f.kind == Kind::Video { tracks.video.is_some() } else { tracks.audio.is_some() });
                let dts = f.dts.unwrap_or(f.pts);
                canonical(&frame::Frame { kind: f.kind, dts, pts: f.pts, key: f.key, data: f.data }, tracks);
            }
            Item::Refused(_) | Item::Damaged => {}
        }
    }
}
