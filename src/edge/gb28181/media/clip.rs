//! A recording in memory that plays like a camera, or like a recorder: endless or from one moment to another, with pause, seek and speed.

use crate::container::{flv, ps};
use crate::media::frame::{Frame, Kind};
use crate::media::nal::{self, Family, Role};
use crate::media::sets::Follow;
use crate::media::time::Timestamp;
use crate::media::track::{Track, Tracks};
use std::sync::Arc;

/// Frames in their order of decoding, the first at time zero, with their tracks.
#[derive(Debug)]
pub struct Clip {
    tracks: Arc<Tracks>,
    frames: Vec<Frame>,
    /// The length of one round.
    duration: Timestamp,
}

/// Why a file is no clip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoClip {
    /// None of the formats.
    #[error("the file is no FLV, no program stream and no H.264 or H.265 byte stream")]
    Format,
    /// It ends without a picture that a decoder can start at, and without sound.
    #[error("the file holds no frames")]
    Empty,
    /// It is FLV and broken.
    #[error("{0}")]
    Flv(String),
}

impl Clip {
    /// Of a byte stream without times.
    const FPS: u32 = 25;
    const LONGEST_TAG: usize = 16 << 20;

    /// Reads a file: FLV, program stream, H.264 or H.265 with start codes.
    pub fn read(bytes: &[u8]) -> Result<Clip, NoClip> {
        let (tracks, frames) = match bytes {
            [b'F', b'L', b'V', ..] => from_flv(bytes)?,
            [0, 0, 1, 0xba, ..] => from_ps(bytes),
            _ if nal::looks_like_annex_b(bytes) => from_annex_b(bytes).ok_or(NoClip::Format)?,
            _ => return Err(NoClip::Format),
        };
        Clip::new(tracks, frames)
    }

    /// Frames of any time line; those before the first key frame are left out.
    pub fn new(tracks: Tracks, mut frames: Vec<Frame>) -> Result<Clip, NoClip> {
        let has_video = frames.iter().any(|f| f.kind == Kind::Video);
        frames.sort_by_key(|f| (f.dts, f.kind as u8));
        let start = frames.iter().position(|f| !has_video || f.kind == Kind::Video && f.key).ok_or(NoClip::Empty)?;
        frames.drain(..start);
        let first = frames.first().ok_or(NoClip::Empty)?.dts;
        for frame in &mut frames {
            frame.dts = frame.dts - first;
            frame.pts = frame.pts - first;
        }
        // Each round is one frame longer than its last frame's time, so that rounds join without a jump.
        let leading = if has_video { Kind::Video } else { Kind::Audio };
        let times: Vec<Timestamp> = frames.iter().filter(|f| f.kind == leading).map(|f| f.dts).collect();
        let last = times.last().copied().unwrap_or_default();
        let step = if times.len() > 1 { Timestamp(last.0 / (times.len() as i64 - 1)) } else { Timestamp::from_millis(40) };
        Ok(Clip { tracks: Arc::new(tracks), frames, duration: last + step })
    }

    /// What it holds.
    pub fn tracks(&self) -> &Arc<Tracks> {
        &self.tracks
    }

    /// The length of one round.
    pub fn duration(&self) -> Timestamp {
        self.duration
    }

    /// The bytes of one round's frames.
    pub fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.data.len()).sum()
    }

    /// The frame number `at` of the endless recording that the clip's rounds make up.
    fn frame(&self, at: u64) -> Frame {
        let count = self.frames.len() as u64;
        let round = Timestamp(self.duration.0 * (at / count) as i64);
        let frame = &self.frames[(at % count) as usize];
        Frame { dts: frame.dts + round, pts: frame.pts + round, ..frame.clone() }
    }

    /// The number of the last frame at or before `time` that a decoder can start at.
    fn start_at(&self, time: Timestamp) -> u64 {
        let round = time.0.max(0) / self.duration.0.max(1);
        let rest = Timestamp(time.0.max(0) - round * self.duration.0);
        let has_video = self.tracks.video.is_some();
        let starts = |f: &Frame| if has_video { f.kind == Kind::Video && f.key } else { true };
        let at = self.frames.iter().rposition(|f| f.dts <= rest && starts(f)).unwrap_or(0);
        round as u64 * self.frames.len() as u64 + at as u64
    }
}

fn from_flv(bytes: &[u8]) -> Result<(Tracks, Vec<Frame>), NoClip> {
    let (mut reader, mut demuxer) = (flv::Reader::new(Clip::LONGEST_TAG), flv::Demuxer::new());
    let (mut tracks, mut frames, mut input) = (Tracks::default(), Vec::new(), bytes);
    while let Some(tag) = reader.read(&mut input).map_err(|e| NoClip::Flv(e.to_string()))? {
        // A tag of a codec that is not supported costs only itself.
        let _ = demuxer.push(tag.kind, tag.timestamp, &tag.data);
        while let Some(item) = demuxer.pull() {
            match item {
                flv::Item::Track(track) => set(&mut tracks, track),
                flv::Item::Frame(frame) => frames.push(frame),
            }
        }
    }
    Ok((tracks, frames))
}

fn from_ps(bytes: &[u8]) -> (Tracks, Vec<Frame>) {
    let mut demuxer = ps::Demuxer::new(ps::Options::default());
    demuxer.push(ps::Input { payload: bytes, timestamp: None, marker: false, lost: false });
    demuxer.finish();
    let (mut tracks, mut frames) = (Tracks::default(), Vec::new());
    while let Some(item) = demuxer.pull() {
        match item {
            ps::Item::Track(track) => set(&mut tracks, track),
            ps::Item::Frame(ps::Frame { kind, dts, pts, key, data }) => {
                frames.push(Frame { kind, dts: dts.unwrap_or(pts), pts, key, data });
            }
            ps::Item::Refused(_) | ps::Item::Damaged => {}
        }
    }
    (tracks, frames)
}

fn from_annex_b(bytes: &[u8]) -> Option<(Tracks, Vec<Frame>)> {
    [Family::H264, Family::H265].into_iter().find_map(|family| {
        let mut follow = Follow::new(family);
        let (mut frames, mut unit, mut pictures) = (Vec::new(), Vec::<&[u8]>::new(), 0);
        let mut close = |unit: &mut Vec<&[u8]>| {
            let access = nal::from_units(family, unit.drain(..));
            follow.take(&access.sets).ok()?;
            let dts = Timestamp::from_ticks(frames.len() as i64, Clip::FPS);
            frames.push(Frame { kind: Kind::Video, dts, pts: dts, key: access.key, data: access.data });
            Some(())
        };
        for nal in nal::annex_b(bytes) {
            let slice = matches!(family.role(nal), Role::Slice | Role::KeySlice);
            if pictures > 0 && (family.begins_picture(nal) || !slice) {
                close(&mut unit)?;
                pictures = 0;
            }
            pictures += usize::from(slice);
            unit.push(nal);
        }
        if pictures > 0 {
            close(&mut unit)?;
        }
        let track = follow.track()?.clone();
        let mut tracks = Tracks::default();
        set(&mut tracks, Track::Video(track));
        Some((tracks, frames))
    })
}

fn set(tracks: &mut Tracks, track: Track) {
    match track {
        Track::Video(video) => tracks.video = Some(Arc::new(video)),
        Track::Audio(audio) => tracks.audio = Some(Arc::new(audio)),
    }
}

/// What a player is told on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Control {
    /// Stand still.
    Pause,
    /// Go on.
    Resume,
    /// Go to this time since the start; times of frames jump with it.
    Seek(Timestamp),
    /// So many times as fast; times of frames stay as they are, as recorders do it.
    Speed(f64),
    /// Start a picture that a decoder can begin with.
    KeyFrame,
}

/// Plays a clip against a clock.
#[derive(Debug)]
pub struct Player {
    clip: Arc<Clip>,
    next: u64,
    end: Option<Timestamp>,
    speed: f64,
    paused: bool,
    /// This moment of the recording is due at this moment of the clock.
    anchor: Option<(Timestamp, Timestamp)>,
}

impl Player {
    /// Plays endlessly, or the first `length` of it.
    pub fn new(clip: Arc<Clip>, length: Option<Timestamp>) -> Player {
        Player { clip, next: 0, end: length, speed: 1.0, paused: false, anchor: None }
    }

    /// Does what it is told.
    pub fn control(&mut self, now: Timestamp, control: Control) {
        let here = self.clip.frame(self.next).dts;
        match control {
            Control::Pause => self.paused = true,
            Control::Resume => {
                self.paused = false;
                self.anchor = Some((here, now));
            }
            Control::Seek(to) => {
                self.next = self.clip.start_at(to);
                self.anchor = None;
            }
            Control::Speed(speed) if speed.is_finite() && speed > 0.0 => {
                self.speed = speed.clamp(1.0 / 16.0, 64.0);
                self.anchor = Some((here, now));
            }
            // backwards playback: no clip can do it
            Control::Speed(_) => {}
            Control::KeyFrame => {
                // The next key frame comes at once, at the time of the frame in whose place it stands.
                let key = (self.next..).take(self.clip.frames.len()).find(|at| {
                    let frame = self.clip.frame(*at);
                    frame.key && (frame.kind == Kind::Video || self.clip.tracks.video.is_none())
                });
                self.next = key.unwrap_or(self.next);
                self.anchor = Some((self.clip.frame(self.next).dts, now));
            }
        }
    }

    /// When the next frame is due; `None`: paused, or over.
    pub fn due(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.paused || self.is_over() {
            return None;
        }
        let dts = self.clip.frame(self.next).dts;
        let (media, clock) = *self.anchor.get_or_insert((dts, now));
        Some(clock + Timestamp(((dts - media).0 as f64 / self.speed) as i64))
    }

    /// The next frame, if it is due.
    pub fn pull(&mut self, now: Timestamp) -> Option<Frame> {
        let due = self.due(now)?;
        (due <= now).then(|| {
            self.next += 1;
            self.clip.frame(self.next - 1)
        })
    }

    /// Whether the end was reached.
    pub fn is_over(&self) -> bool {
        self.end.is_some_and(|end| self.clip.frame(self.next).dts >= end)
    }

    /// What it plays.
    pub fn tracks(&self) -> &Arc<Tracks> {
        self.clip.tracks()
    }
}

/// The clip that simulated cameras send if they are given none: a test picture that counts its frames, and a tone.
pub fn pattern() -> Result<Clip, NoClip> {
    Clip::read(include_bytes!("../../../../fixtures/media/h264_g711a.flv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const H265: &[u8] = include_bytes!("../../../../fixtures/clips/pattern_h265.h265");
    const BFRAMES: &[u8] = include_bytes!("../../../../fixtures/clips/bframes.h264");

    fn ms(n: i64) -> Timestamp {
        Timestamp::from_millis(n)
    }

    #[test]
    fn files_of_all_formats() {
        let clip = pattern().unwrap();
        assert_eq!((clip.tracks.video.as_ref().unwrap().width, clip.tracks.audio.as_ref().unwrap().sample_rate), (320, 8_000));
        assert_eq!(clip.duration, ms(8_000));
        let h265 = Clip::read(H265).unwrap();
        assert_eq!((h265.frames.len(), h265.duration, h265.tracks.video.as_ref().unwrap().codec.name()), (100, ms(4_000), "H265"));
        assert_eq!(Clip::read(BFRAMES).unwrap().frames.len(), 50);
        // as a program stream and back
        let mut bytes = Vec::new();
        let mut muxer = ps::Muxer::default();
        for frame in &clip.frames {
            assert!(muxer.put(frame, &clip.tracks, &mut bytes));
        }
        let again = Clip::read(&bytes).unwrap();
        assert_eq!((again.frames.len(), again.tracks.video.clone()), (clip.frames.len(), clip.tracks.video.clone()));
        assert_eq!(Clip::read(b"RIFF").err(), Some(NoClip::Format));
        assert_eq!(Clip::read(&[0, 0, 1, 0xba]).err(), Some(NoClip::Empty));
    }

    #[test]
    fn rounds_join_without_a_jump() {
        let clip = Clip::read(H265).unwrap();
        let times: Vec<_> = (95..105).map(|n| clip.frame(n).dts.as_millis()).collect();
        assert_eq!(times, (95..105).map(|n| n * 40).collect::<Vec<_>>());
        assert!(clip.frame(100).key);
    }

    #[test]
    fn playing_pausing_seeking_and_speeding() {
        let clip = Arc::new(Clip::read(H265).unwrap());
        let mut player = Player::new(clip, Some(ms(8_000)));
        let pull_all =
            |player: &mut Player, now: i64| std::iter::from_fn(|| player.pull(ms(now))).map(|f| f.dts.as_millis()).collect::<Vec<_>>();
        assert_eq!(pull_all(&mut player, 1_000), [0]);
        assert_eq!(pull_all(&mut player, 1_080), [40, 80]);
        player.control(ms(1_090), Control::Pause);
        assert_eq!(pull_all(&mut player, 9_000), Vec::<i64>::new());
        player.control(ms(9_000), Control::Resume);
        assert_eq!(pull_all(&mut player, 9_040), [120, 160]);
        player.control(ms(9_040), Control::Speed(4.0));
        assert_eq!(pull_all(&mut player, 9_060), [200, 240, 280]);
        player.control(ms(9_060), Control::Speed(1.0));
        player.control(ms(9_060), Control::Seek(ms(5_000)));
        let frame = player.pull(ms(9_060)).unwrap();
        assert!(frame.key && frame.dts == ms(4_000), "the key frame at or before: {frame:?}");
        player.control(ms(9_070), Control::KeyFrame);
        let frame = player.pull(ms(9_070)).unwrap();
        assert!(frame.key && frame.dts > ms(4_000));
        assert!(!player.is_over());
        while player.pull(ms(100_000)).is_some() {}
        assert!(player.is_over() && player.due(ms(100_000)).is_none());
    }
}
