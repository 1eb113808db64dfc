//! Brings pictures and sound that come by different ways into one order in time: those of a stream that is made of another one.
//!
//! A frame waits until the other kind has come as far, unless that one is not expected: whoever has a clock says when one kind has
//! fallen silent. What comes too late for its place stands at the end instead; sound that is much too late is left out.

use super::Raw;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use std::collections::VecDeque;

/// Frames of a kind that wait at most: twenty seconds of sound.
const HELD: usize = 1024;
/// Two frames of a kind are at least so far apart.
const STEP: Timestamp = Timestamp::from_millis(1);
/// Sound that is later than this is left out: many frames at one moment are a noise.
const LATE: Timestamp = Timestamp::from_millis(100);

/// Two kinds of frames on their way into one stream.
#[derive(Debug, Default)]
pub struct Merge {
    lanes: [Lane; 2],
    /// The time of the last frame that was given out.
    last: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Lane {
    held: VecDeque<Raw>,
    /// Whether frames of this kind are to come.
    expected: bool,
    newest: Option<Timestamp>,
    given: Option<Timestamp>,
}

impl Merge {
    /// Whether frames of a kind are to come, so that the other kind waits for them.
    pub fn expect(&mut self, kind: Kind, comes: bool) {
        self.lanes[kind as usize].expected = comes;
    }

    /// Takes a frame; its kind is expected from now on. The frames of a kind come in the order of their decoding times.
    pub fn push(&mut self, raw: Raw) {
        let at = raw.dts.unwrap_or(raw.pts);
        let lane = &mut self.lanes[raw.kind as usize];
        lane.newest = lane.newest.max(Some(at));
        lane.expected = true;
        lane.held.push_back(raw);
    }

    /// Whether frames of a kind wait.
    pub fn holds(&self, kind: Kind) -> bool {
        !self.lanes[kind as usize].held.is_empty()
    }

    /// The next frame whose turn it is.
    pub fn pull(&mut self) -> Option<Raw> {
        self.next(false)
    }

    /// The next frame, whoever is still expected: for the end, or before what a decoder must know changes.
    pub fn drain(&mut self) -> Option<Raw> {
        self.next(true)
    }

    fn next(&mut self, all: bool) -> Option<Raw> {
        loop {
            let fronts = [Kind::Video, Kind::Audio].map(|kind| self.front(kind));
            let kind = match fronts {
                [Some(picture), Some(sound)] if sound <= picture => Kind::Audio,
                [Some(_), Some(_)] => Kind::Video,
                [Some(at), None] if all || !self.waits(Kind::Video, at) => Kind::Video,
                [None, Some(at)] if all || !self.waits(Kind::Audio, at) => Kind::Audio,
                _ => return None,
            };
            if let Some(raw) = self.give(kind) {
                return Some(raw);
            }
        }
    }

    fn front(&self, kind: Kind) -> Option<Timestamp> {
        self.lanes[kind as usize].held.front().map(|raw| raw.dts.unwrap_or(raw.pts))
    }

    /// Whether a frame of this kind and time has to wait for the other kind, of which nothing is there.
    fn waits(&self, kind: Kind, at: Timestamp) -> bool {
        let (own, other) = (&self.lanes[kind as usize], &self.lanes[1 - kind as usize]);
        other.expected && other.newest.is_none_or(|newest| newest < at) && own.held.len() <= HELD
    }

    /// Gives out the first frame of a kind; `None` where it is left out.
    fn give(&mut self, kind: Kind) -> Option<Raw> {
        let lane = &mut self.lanes[kind as usize];
        let mut raw = lane.held.pop_front()?;
        let at = raw.dts.unwrap_or(raw.pts);
        let floor = self.last.max(lane.given.map(|given| given + STEP));
        let at = match floor.filter(|floor| at < *floor) {
            Some(floor) if kind == Kind::Audio && floor - at > LATE => return None,
            Some(floor) => floor,
            None => at,
        };
        (raw.dts, raw.pts) = (Some(at), raw.pts.max(at));
        lane.given = Some(at);
        self.last = Some(at);
        Some(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(kind: Kind, ms: i64) -> Raw {
        let at = Timestamp::from_millis(ms);
        Raw { kind, dts: Some(at), pts: at, key: true, data: bytes::Bytes::from(ms.to_string()) }
    }

    fn merge() -> Merge {
        let mut merge = Merge::default();
        merge.expect(Kind::Video, true);
        merge
    }

    /// What comes out when these go in, with the times that they have then.
    fn run(merge: &mut Merge, frames: impl IntoIterator<Item = (Kind, i64)>) -> Vec<(Kind, i64)> {
        let mut out = Vec::new();
        for (kind, ms) in frames {
            merge.push(raw(kind, ms));
            out.extend(std::iter::from_fn(|| merge.pull()).map(|raw| (raw.kind, raw.dts.unwrap().as_millis())));
        }
        out
    }

    use Kind::{Audio, Video};

    #[test]
    fn sound_waits_for_pictures_that_an_encoder_brings_later() {
        let mut merge = merge();
        let out = run(&mut merge, [(Audio, 0), (Audio, 20), (Audio, 40), (Video, 0), (Audio, 60), (Video, 40), (Video, 80)]);
        assert_eq!(out, [(Audio, 0), (Video, 0), (Audio, 20), (Audio, 40), (Video, 40), (Audio, 60)]);
        assert_eq!(run(&mut merge, [(Audio, 80)]), [(Audio, 80), (Video, 80)]);
    }

    #[test]
    fn pictures_wait_for_sound_that_is_encoded_and_not_for_one_that_is_silent() {
        let mut merge = merge();
        merge.expect(Audio, true);
        assert!(run(&mut merge, [(Video, 0), (Video, 40), (Video, 1_000)]).is_empty());
        assert_eq!(run(&mut merge, [(Audio, 30)]), [(Video, 0), (Audio, 30)]);
        // It has fallen silent: they go on without it.
        merge.expect(Audio, false);
        assert_eq!(run(&mut merge, [(Video, 1_040)]), [(Video, 40), (Video, 1_000), (Video, 1_040)]);
        assert_eq!(run(&mut merge, [(Video, 1_080)]), [(Video, 1_080)]);
        // It comes back, a little too late, and then in time.
        assert_eq!(run(&mut merge, [(Audio, 1_060), (Audio, 1_090)]), [(Audio, 1_080)]);
        assert_eq!(run(&mut merge, [(Video, 1_120)]), [(Audio, 1_090)]);
        merge.expect(Audio, false);
        assert_eq!(run(&mut merge, [(Video, 1_160)]), [(Video, 1_120), (Video, 1_160)]);
    }

    #[test]
    fn nobody_waits_for_what_is_not_expected() {
        assert_eq!(run(&mut Merge::default(), [(Audio, 0), (Audio, 20)]), [(Audio, 0), (Audio, 20)]);
    }

    #[test]
    fn what_is_too_late_stands_at_the_end_and_old_sound_is_left_out() {
        let mut merge = merge();
        assert!(run(&mut merge, (0..300).map(|n| (Audio, n * 20))).is_empty());
        merge.expect(Video, false);
        assert_eq!(run(&mut merge, []).len(), 0);
        assert_eq!(std::iter::from_fn(|| merge.pull()).count(), 300, "nobody waits for silent pictures");
        assert_eq!(run(&mut merge, [(Video, 5_000), (Video, 5_040)]), [(Video, 5_980), (Video, 5_981)], "no picture is lost");
        assert_eq!(run(&mut merge, [(Video, 6_500), (Audio, 6_000)]), [(Audio, 6_000)]);
        assert_eq!(run(&mut merge, [(Audio, 6_500)]), [(Audio, 6_500), (Video, 6_500)]);
        assert!(run(&mut merge, [(Audio, 6_300)]).is_empty(), "too late to be heard");
    }

    #[test]
    fn the_end_gives_everything_in_order() {
        let mut merge = merge();
        assert!(run(&mut merge, [(Audio, 0), (Audio, 20), (Audio, 40)]).is_empty());
        assert!(merge.holds(Audio) && !merge.holds(Video));
        let out: Vec<i64> = std::iter::from_fn(|| merge.drain()).map(|raw| raw.pts.as_millis()).collect();
        assert_eq!(out, [0, 20, 40]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever comes in whatever order, time runs on across both kinds, and no picture is lost or out of its order.
        #[test]
        fn time_never_runs_back(frames in prop::collection::vec((any::<bool>(), -200i64..400), 1..300)) {
            let (mut merge, mut at, mut sent) = (merge(), [0i64; 2], Vec::new());
            let mut out = Vec::new();
            for (n, (is_video, step)) in frames.into_iter().enumerate() {
                let kind = if is_video { Video } else { Audio };
                at[kind as usize] += step;
                let mut raw = raw(kind, at[kind as usize]);
                raw.data = bytes::Bytes::from(n.to_string());
                if is_video {
                    sent.push(raw.data.clone());
                }
                merge.push(raw);
                out.extend(std::iter::from_fn(|| merge.pull()));
            }
            out.extend(std::iter::from_fn(|| merge.drain()));
            prop_assert!(out.windows(2).all(|w| w[0].dts <= w[1].dts));
            prop_assert!(out.iter().all(|raw| raw.dts.is_some_and(|dts| dts <= raw.pts)));
            for kind in [Video, Audio] {
                let times: Vec<_> = out.iter().filter(|raw| raw.kind == kind).map(|raw| raw.dts).collect();
                prop_assert!(times.windows(2).all(|w| w[0] < w[1]), "{:?}", times);
            }
            let pictures: Vec<_> = out.iter().filter(|raw| raw.kind == Video).map(|raw| raw.data.clone()).collect();
            prop_assert_eq!(pictures, sent);
        }

        /// A source whose kinds are at most as far apart as the patience comes out complete, with its own times.
        #[test]
        fn what_comes_in_time_keeps_its_times(lag in 0i64..900, step in 10i64..60) {
            let mut merge = merge();
            let frames: Vec<_> = (0..200i64)
                .flat_map(|n| {
                    let sounds = (n * 40..(n + 1) * 40).filter(move |t| t % step == 0).map(|t| (Audio, t));
                    sounds.chain((n * 40 >= lag).then(|| (Video, (n * 40 - lag) / 40 * 40)))
                })
                .collect();
            let mut out = run(&mut merge, frames.clone());
            out.extend(std::iter::from_fn(|| merge.drain()).map(|raw| (raw.kind, raw.dts.unwrap().as_millis())));
            let order = |frames: &[(Kind, i64)], kind| frames.iter().filter(|f| f.0 == kind).map(|f| f.1).collect::<Vec<_>>();
            for kind in [Video, Audio] {
                prop_assert_eq!(order(&out, kind), order(&frames, kind));
            }
        }
    }
}
