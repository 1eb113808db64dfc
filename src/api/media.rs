//! The media plane of this process behind [`Media`]: the registry of streams and the list of sessions.

use super::plane::{Live, Media, Player};
use crate::base::error::End;
use crate::base::id::StreamKey;
use crate::edge::session::{Role, Sessions};
use crate::stream::{Info, Registry, Stream};

/// The streams of the registry.
#[derive(Clone)]
pub struct Running {
    registry: Registry,
    sessions: Sessions,
}

impl Running {
    /// Over the registry and the sessions of this process.
    pub fn new(registry: Registry, sessions: Sessions) -> Running {
        Running { registry, sessions }
    }
}

impl Media for Running {
    fn live(&self, key: &StreamKey) -> Option<Live> {
        self.registry.get(key).filter(|s| s.is_live()).and_then(|s| live(&s))
    }

    fn list(&self) -> Vec<Live> {
        self.registry.list().iter().filter_map(|s| live(s)).collect()
    }

    fn cut(&self, key: &StreamKey, why: &str) -> bool {
        self.registry.get(key).is_some_and(|s| s.eject(End::Kicked(why.to_owned())))
    }

    fn kick(&self, why: &str, which: &dyn Fn(&Player<'_>) -> bool) -> usize {
        self.sessions.kick_all(why, |info| match (info.role, &info.key) {
            (Role::Play, Some(key)) => which(&Player { key, protocol: info.protocol }),
            _ => false,
        })
    }
}

fn live(stream: &Stream) -> Option<Live> {
    let Info { key, source, since, tracks, viewers, counts, .. } = stream.info();
    let source = source?;
    let (width, height) = tracks.video.as_ref().map_or((0, 0), |v| (v.width, v.height));
    Some(Live {
        key,
        protocol: source.protocol,
        peer: source.peer,
        since: since.0.div_euclid(1_000_000_000),
        viewers,
        width,
        height,
        video_fps: counts.video_fps,
        audio_fps: counts.audio_fps,
        bit_rate: counts.video_bps.saturating_add(counts.audio_bps),
    })
}
