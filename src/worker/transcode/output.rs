//! One rule's stream: pictures from its encoder and the sound of the source, in step.

use crate::base::id::{SessionId, StreamKey};
use crate::media::frame::Kind;
use crate::media::h264;
use crate::media::nal::{self, Family};
use crate::media::time::Timestamp;
use crate::media::track::{AudioTrack, Track};
use crate::model::template::TransConfig;
use crate::proto::av::Rule;
use crate::stream::{PublishError, Publisher, Raw, Registry, Source};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long sound waits for the pictures of its time, which the encoder brings later; and how much of it.
const HOLD: Timestamp = Timestamp(2_000_000_000);
const HELD: usize = 512;
/// How long a stream goes on when nobody reads it.
const LINGER: Duration = Duration::from_secs(10);

/// The stream of a rule.
pub struct Output {
    publisher: Publisher,
    /// Sound that is ahead of the pictures.
    held: VecDeque<Raw>,
    /// How far the pictures are.
    shown: Option<Timestamp>,
    idle: Option<Instant>,
    audio: Option<Arc<AudioTrack>>,
}

impl Output {
    /// Takes the name of the rule's stream.
    pub fn open(registry: &Registry, key: &StreamKey, source: &StreamKey) -> Result<Output, PublishError> {
        let from = Source { protocol: "av", peer: source.to_string(), session: SessionId(0) };
        let publisher = registry.publish(key, from)?;
        Ok(Output { publisher, held: VecDeque::new(), shown: None, idle: None, audio: None })
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
            Ok(track) => self.publisher.set_track(Track::Video(track)),
            Err(error) => tracing::warn!(stream = %self.publisher.stream().key(), %error, "weir-av makes no good H.264"),
        }
    }

    /// A picture, as Annex B.
    pub fn picture(&mut self, pts: Timestamp, dts: Timestamp, key: bool, data: &[u8]) {
        let access = nal::from_annex_b(Family::H264, data);
        self.publisher.push(Raw { kind: Kind::Video, dts: Some(dts), pts, key, data: access.data });
        self.shown = Some(dts);
        self.release();
    }

    /// A frame of sound.
    pub fn sound(&mut self, track: &Arc<AudioTrack>, pts: Timestamp, dts: Timestamp, data: Bytes) {
        if self.audio.as_ref().is_none_or(|known| !Arc::ptr_eq(known, track)) {
            self.publisher.set_track(Track::Audio((**track).clone()));
            self.audio = Some(track.clone());
        }
        self.held.push_back(Raw { kind: Kind::Audio, dts: Some(dts), pts, key: true, data });
        self.release();
    }

    /// Gives out the sound whose pictures are there, and what waited too long.
    fn release(&mut self) {
        let newest = self.held.back().and_then(|raw| raw.dts).unwrap_or_default();
        while let Some(dts) = self.held.front().and_then(|raw| raw.dts) {
            let due = self.shown.is_some_and(|shown| dts <= shown) || newest - dts > HOLD || self.held.len() > HELD;
            if !due {
                return;
            }
            if let Some(raw) = self.held.pop_front() {
                // Before the first picture there is nothing to hear: players begin with both.
                if self.shown.is_some() {
                    self.publisher.push(raw);
                }
            }
        }
    }

    /// The encoder begins again: what it brings may be anywhere.
    pub fn restart(&mut self) {
        self.shown = None;
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
