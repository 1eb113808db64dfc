//! Adaptive HLS: `/{app}/{stream}.m3u8?abr=1` leads to the stream itself and to the outputs of its transcode rules.
//!
//! A variant's address carries a ticket: a session of its own, and a pass that opens this one variant for a day. An output is
//! made when its playlist is asked for first, and ends when its player has changed to another one for a while; the pass lets the
//! player come back. All variants have the same times, so that it may change in the middle.

use super::hls::{TOKEN, codecs, ours};
use super::reply::Refusal;
use super::target::{encode, parameter};
use super::{Http, past};
use crate::base::id::StreamKey;
use crate::container::m3u8::{self, Variant};
use crate::media::h264;
use crate::media::track::{Tracks, VideoCodec};
use crate::stream::Start;
use crate::stream::access::{Act, Ask};
use http::request;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

/// The query parameter: `1` asks for the variants, a ticket for one of them.
const ABR: &str = "abr";
/// What sound is taken to need, bits a second.
const SOUND: u64 = 128_000;
/// The frame rate of pictures that do not tell theirs.
const FPS: u32 = 25;

/// A stream that can be made of another one: smaller, or in another codec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// Its name.
    pub key: StreamKey,
    /// Width and height of its H.264; `None`: as the source.
    pub size: Option<(u32, u32)>,
    /// Frames a second; `None`: as the source.
    pub fps: Option<u32>,
    /// Bits a second of its pictures; `None`: by the size.
    pub bitrate: Option<u64>,
    /// It stands in for a source that not every browser shows, and adds nothing to one in H.264.
    pub stands_in: bool,
}

/// What can be made of a stream, when that is known.
pub type Rungs<'a> = Pin<Box<dyn Future<Output = Result<Vec<Rung>, Refusal>> + Send + 'a>>;

/// Who makes streams of streams. Edges and workers do not know each other.
pub trait Ladder: Send + Sync {
    /// What can be made of a stream, whether it is made now or not.
    fn rungs<'a>(&'a self, key: &'a StreamKey) -> Rungs<'a>;
}

/// What a query asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// The variants.
    All,
    /// One of them: the session and the pass.
    One(String, String),
}

/// What a query asks of adaptive HLS; `None`: nothing.
pub(super) fn wish(query: &str) -> Option<Wish> {
    let value = parameter(query, ABR)?;
    match value.split_once('.') {
        Some((token, pass)) => Some(Wish::One(token.to_owned(), pass.to_owned())),
        None if value == "0" => None,
        None => Some(Wish::All),
    }
}

impl Http {
    /// The variants of a stream that the player may watch.
    pub(super) async fn abr_master(&self, request: &request::Parts, key: &StreamKey, peer: SocketAddr) -> Result<String, Refusal> {
        let (subscriber, _grant) = self.find(request, key, peer, "hls", Start::Live).await.inspect_err(|refusal| {
            self.parts().sessions.open("hls", peer).close(refusal.end(key));
        })?;
        let rungs = self.parts().ladder.rungs(key).await?;
        let window = match self.parts().segments.first(key).await {
            Ok(window) => Some(window),
            // What segments cannot carry may be there in another form.
            Err(refusal) if rungs.is_empty() => return Err(refusal),
            Err(_) => None,
        };
        let tracks = match window.as_ref().and_then(|window| window.newest()) {
            Some(segment) => segment.tracks.clone(),
            None => (*subscriber.stream().tracks()).clone(),
        };
        let mut variants: Vec<Variant> = window.into_iter().map(|window| self.source(key, &tracks, window.bandwidth() * 5 / 4)).collect();
        let plain = matches!(tracks.video.as_deref().map(|video| &video.codec), Some(VideoCodec::H264 { .. }));
        let mut made: Vec<Variant> = rungs.iter().filter(|rung| !(plain && rung.stands_in)).map(|rung| self.rung(rung, &tracks)).collect();
        made.sort_by_key(|variant| std::cmp::Reverse(variant.bandwidth));
        variants.extend(made);
        drop(subscriber);
        m3u8::masters(&variants).map_err(ours)
    }

    /// The playlist of one variant: its stream is made from now on, if it is not yet.
    pub(super) async fn abr_media(&self, key: &StreamKey, (token, pass): (&str, &str), peer: SocketAddr) -> Result<String, Refusal> {
        let opened = token.len() == 32 && token.bytes().all(|b| b.is_ascii_hexdigit());
        if !opened || !self.passes().opens(pass, key, self.seconds()) {
            return Err(past::closed());
        }
        let viewer = match self.viewers().get(token, key) {
            Ok(viewer) => viewer,
            Err(_) => {
                // The pass was given with permission: what is left to ask is whether there is a place.
                let ask = Ask { act: Act::Play, key, protocol: "hls-pass", peer, path: "", query: "" };
                let (subscriber, grant) = self.wait(ask, Start::Live).await?;
                // Two requests of one player may come at once: one of them lets it in.
                if self.viewers().get(token, key).is_err() {
                    self.viewers().admit_as(token, key, peer, (subscriber.into_parts().0, grant))?;
                }
                self.viewers().get(token, key)?
            }
        };
        self.viewers().follow(&viewer);
        let window = self.parts().segments.first(key).await?;
        viewer.served(0, window.target());
        let name = encode(key.name());
        window.playlist(|number| format!("{name}/{number}.ts?{TOKEN}={token}")).map_err(ours)
    }

    fn ticket(&self, key: &StreamKey) -> String {
        let pass = self.passes().make(key, self.seconds());
        format!("{}.m3u8?{ABR}={:032x}.{pass}", encode(key.name()), rand::random::<u128>())
    }

    fn source(&self, key: &StreamKey, tracks: &Tracks, bandwidth: u64) -> Variant {
        let picture = tracks.video.as_deref();
        let resolution = picture.map(|v| (v.width, v.height)).filter(|(w, h)| *w > 0 && *h > 0);
        Variant { uri: self.ticket(key), bandwidth, codecs: codecs(tracks), resolution, fps: picture.and_then(|v| v.fps) }
    }

    fn rung(&self, rung: &Rung, source: &Tracks) -> Variant {
        let picture = source.video.as_deref();
        let running = self.parts().registry.get(&rung.key).map(|stream| stream.tracks()).filter(|tracks| tracks.video.is_some());
        let (width, height) = rung.size.or(picture.map(|v| (v.width, v.height))).unwrap_or_default();
        let rate = rung.fps.map(|fps| (fps, 1)).or(picture.and_then(|v| v.fps));
        let fps = rate.filter(|(_, den)| *den > 0).map_or(FPS, |(num, den)| num.div_ceil(den));
        // As encoders are told to choose where nobody says anything: a tenth of a bit a pixel.
        let chosen = u64::from(width) * u64::from(height) * u64::from(FPS) / 10;
        let bitrate = rung.bitrate.unwrap_or_else(|| chosen.clamp(128_000, 8_000_000));
        let names = match running {
            Some(tracks) => codecs(&tracks),
            None => announced(source, (width, height), fps, bitrate),
        };
        let sound = if source.audio.is_some() { SOUND } else { 0 };
        Variant {
            uri: self.ticket(&rung.key),
            // The peak that the encoder may reach, and what the transport stream adds.
            bandwidth: (bitrate * 3 / 2 + sound) * 11 / 10,
            codecs: names,
            resolution: Some((width, height)).filter(|(w, h)| *w > 0 && *h > 0),
            fps: rate,
        }
    }
}

/// The codecs of an output that is not made yet: H.264 in the Main profile, and the source's sound.
fn announced(source: &Tracks, (width, height): (u32, u32), fps: u32, bitrate: u64) -> Vec<String> {
    let video = format!("avc1.4d40{:02x}", h264::level(width, height, fps, bitrate));
    let sound = codecs(&Tracks { video: None, audio: source.audio.clone() });
    match source.audio.is_some() && sound.is_empty() {
        // Sound that has no name here is left out of all of it: half a list would be wrong.
        true => Vec::new(),
        false => std::iter::once(video).chain(sound).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::track::{AudioCodec, AudioTrack};
    use std::sync::Arc;

    #[test]
    fn queries() {
        assert_eq!(wish("auth_key=a"), None);
        assert_eq!(wish("abr=0"), None);
        assert_eq!(wish("auth_key=a&abr=1"), Some(Wish::All));
        assert_eq!(wish("abr=00ff.99-ab"), Some(Wish::One("00ff".into(), "99-ab".into())));
    }

    #[test]
    fn what_is_not_made_yet_is_announced_with_its_sound() {
        let audio = |codec| Tracks { video: None, audio: Some(Arc::new(AudioTrack { codec, sample_rate: 8_000, channels: 1 })) };
        let of = |tracks: &Tracks| announced(tracks, (640, 360), 15, 500_000);
        assert_eq!(of(&Tracks::default()), ["avc1.4d4016"]);
        assert_eq!(of(&audio(AudioCodec::Aac { config: vec![0x12, 0x10].into() })), ["avc1.4d4016", "mp4a.40.2"]);
        assert!(of(&audio(AudioCodec::G711A)).is_empty());
    }
}
