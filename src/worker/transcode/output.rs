//! One rule's stream: pictures from its encoder and the sound of the source, in step.

use crate::base::id::{SessionId, StreamKey};
use crate::media::frame::Kind;
use crate::media::h264;
use crate::media::nal::{self, Family};
use crate::media::time::Timestamp;
use crate::media::track::{AudioTrack, Track};
use crate::model::template::TransConfig;
use crate::proto::av::Rule;
use crate::stream::{Merge, PublishError, Publisher, Raw, Registry, Source};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long sound waits for pictures, which the encoder brings later, before it goes on without them.
const DARK: Duration = Duration::from_secs(4);
/// How long pictures wait for sound that the source does not bring any more.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a stream goes on when nobody reads it.
const LINGER: Duration = Duration::from_secs(10);

/// The stream of a rule.
pub struct Output {
    publisher: Publisher,
    merge: Merge,
    /// There was a picture: players begin with one, and before it there is nothing to hear.
    begun: bool,
    /// When pictures and sound came last.
    came: [Instant; 2],
    idle: Option<Instant>,
    audio: Option<Arc<AudioTrack>>,
}

impl Output {
    /// Takes the name of the rule's stream.
    pub fn open(registry: &Registry, key: &StreamKey, source: &StreamKey) -> Result<Output, PublishError> {
        let from = Source { protocol: "av", peer: source.to_string(), session: SessionId(0) };
        let mut publisher = registry.publish(key, from)?;
        // Players change from one size to another in the middle: what belongs together has the same time in all.
        publisher.keep_times();
        let mut merge = Merge::default();
        merge.expect(Kind::Video, true);
        Ok(Output { publisher, merge, begun: false, came: [Instant::now(); 2], idle: None, audio: None })
    }

    /// Whether somebody has taken its name, or an operator cut it.
    pub fn is_stopped(&self) -> bool {
        self.publisher.is_stopped().is_some()
    }

    /// Whether nobody has read it for a while.
    pub fn is_idle(&mut self, now: Instant) -> bool {
        let info = self.publisher.stream().info();
        if info.viewers + info.workers > 0 {
            self.idle = None;
            return false;
        }
        now.duration_since(*self.idle.get_or_insert(now)) >= LINGER
    }

    /// The parameter sets of the pictures that follow, as Annex B.
    pub fn sets(&mut self, sets: &[u8]) {
        let access = nal::from_annex_b(Family::H264, sets);
        match h264::track_from_sets(access.sets.sps, access.sets.pps) {
            Ok(track) => {
                if self.merge.holds(Kind::Video) {
                    self.release_all();
                }
                self.publisher.set_track(Track::Video(track));
            }
            Err(error) => tracing::warn!(stream = %self.publisher.stream().key(), %error, "weir-av makes no good H.264"),
        }
    }

    /// A picture, as Annex B.
    pub fn picture(&mut self, pts: Timestamp, dts: Timestamp, key: bool, data: &[u8]) {
        let access = nal::from_annex_b(Family::H264, data);
        self.push(Raw { kind: Kind::Video, dts: Some(dts), pts, key, data: access.data });
    }

    /// A frame of sound.
    pub fn sound(&mut self, track: &Arc<AudioTrack>, pts: Timestamp, dts: Timestamp, data: Bytes) {
        if self.audio.as_ref().is_none_or(|known| !Arc::ptr_eq(known, track)) {
            if self.merge.holds(Kind::Audio) && self.begun {
                self.release_all();
            }
            self.publisher.set_track(Track::Audio((**track).clone()));
            self.audio = Some(track.clone());
        }
        self.push(Raw { kind: Kind::Audio, dts: Some(dts), pts, key: true, data });
    }

    fn push(&mut self, raw: Raw) {
        let (kind, now) = (raw.kind, Instant::now());
        self.came[kind as usize] = now;
        self.merge.push(raw);
        let (other, patience) = match kind {
            Kind::Video => (Kind::Audio, SILENCE),
            Kind::Audio => (Kind::Video, DARK),
        };
        if now.duration_since(self.came[other as usize]) > patience {
            self.merge.expect(other, false);
        }
        while let Some(raw) = self.merge.pull() {
            self.give(raw);
        }
    }

    /// Gives out what still waits for something: at the end, or before a decoder must know something else.
    pub fn release_all(&mut self) {
        while let Some(raw) = self.merge.drain() {
            self.give(raw);
        }
    }

    fn give(&mut self, raw: Raw) {
        self.begun |= raw.kind == Kind::Video;
        if self.begun {
            self.publisher.push(raw);
        }
    }
}

/// A rule in the helper's words.
pub fn rule(config: &TransConfig) -> Rule {
    let short = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    Rule {
        width: short(config.width),
        height: short(config.height),
        fps: u8::try_from(config.fps).unwrap_or(u8::MAX),
        gop: short(config.gop),
        bitrate: config.video_bitrate.saturating_mul(1000),
    }
}
