//! Who may publish and play: the answer to [`stream::access`](crate::stream::access), out of the signed URL, the group and the stream.

use super::book::{Book, Row};
use super::plane::Media;
use super::settings::Playback;
use super::url;
use crate::base::id::StreamKey;
use crate::model::domain::Keys;
use crate::model::group::{InProtocol, OutProtocol};
use crate::runtime::clock::Clock;
use crate::store;
use crate::stream::access::{Access, Act, Answer, Ask, Denied, Grant, Open};
use std::sync::Arc;

/// The gate.
#[derive(Clone)]
pub struct Gate {
    book: Book,
    media: Arc<dyn Media>,
    clock: Clock,
    playback: Playback,
    play: Keys,
    push: Keys,
    open: Open,
}

impl Gate {
    /// The keys open signed URLs; `open` lists streams that anybody may use, where no group of the API has their application.
    pub fn new(book: Book, media: Arc<dyn Media>, clock: Clock, playback: Playback, play: Keys, push: Keys, open: Open) -> Gate {
        Gate { book, media, clock, playback, play, push, open }
    }

    async fn decide(&self, ask: Ask<'_>) -> Result<Grant, Denied> {
        if ask.act == Act::Publish && self.book.is_taken(ask.key.app()) {
            return Err(Denied::Forbidden(format!("{}: the server answers at /{} itself", ask.key, ask.key.app())));
        }
        if self.open.allows(ask.key) && !self.book.uses(ask.key.app()).await.map_err(unavailable)? {
            return Ok(Grant::default());
        }
        match ask.act {
            Act::Publish => self.publish(ask).await,
            Act::Play => self.play(ask).await,
        }
    }

    /// The signature first: without it nobody learns which streams there are.
    fn signed(&self, ask: &Ask<'_>, needed: bool, keys: &Keys) -> Result<(), Denied> {
        if !needed {
            return Ok(());
        }
        let paths = paths(ask);
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let keys: Vec<&str> = keys.iter().collect();
        let now = self.clock.unix().0.div_euclid(1_000_000_000);
        url::open(ask.query, &paths, &keys, now).map_err(|shut| Denied::Forbidden(shut.to_string()))
    }

    async fn publish(&self, ask: Ask<'_>) -> Result<Grant, Denied> {
        self.signed(&ask, self.playback.push_auth, &self.push)?;
        let row = self.book.row(ask.key).await.map_err(unavailable)?.ok_or_else(|| unknown(ask.key))?;
        let why = match &*row {
            row if row.shut().is_some() => row.shut().unwrap_or_default(),
            Row { forbidden: true, .. } => "the stream is forbidden",
            Row { in_protocol: InProtocol::Gb28181, .. } => "the stream comes from a device: it cannot be pushed",
            _ if !ask.protocol.starts_with("rtmp") && ask.protocol != "webrtc" => "the stream is pushed by RTMP or WHIP",
            _ => return Ok(Grant::default()),
        };
        Err(Denied::Forbidden(format!("{}: {why}", ask.key)))
    }

    async fn play(&self, ask: Ask<'_>) -> Result<Grant, Denied> {
        self.signed(&ask, self.playback.auth, &self.play)?;
        let row = self.known(ask.key).await?;
        if let Some(why) = row.shut() {
            return Err(Denied::Forbidden(format!("{}: {why}", ask.key)));
        }
        match way_out(ask.protocol) {
            Some(way) if !row.out_protocols.has(way) => {
                Err(Denied::Forbidden(format!("{}: the stream's group does not allow {way}", ask.key)))
            }
            _ => Ok(Grant::default()),
        }
    }

    /// The stream itself, or the one behind an output that we made of it: `{stream}_{rule}` or a playback.
    async fn known(&self, key: &StreamKey) -> Result<Arc<Row>, Denied> {
        if let Some(row) = self.book.row(key).await.map_err(unavailable)? {
            return Ok(row);
        }
        let (base, rule) = key.name().split_once('_').ok_or_else(|| unknown(key))?;
        let base = StreamKey::new(key.app(), base).map_err(|_| unknown(key))?;
        let row = self.book.row(&base).await.map_err(unavailable)?.ok_or_else(|| unknown(key))?;
        // Only we publish under such a name, so what is live there is an output; a rule that is bound is made on demand.
        match self.media.live(key).is_some() || self.book.rule(row.id, rule).await.map_err(unavailable)? {
            true => Ok(row),
            false => Err(unknown(key)),
        }
    }
}

impl Access for Gate {
    fn check<'a>(&'a self, ask: Ask<'a>) -> Answer<'a> {
        Box::pin(self.decide(ask))
    }
}

fn unknown(key: &StreamKey) -> Denied {
    Denied::NotFound(format!("{key}: there is no such stream"))
}

fn unavailable(error: store::Error) -> Denied {
    tracing::warn!(%error, "the store failed");
    Denied::Unavailable("the store does not answer now".to_owned())
}

/// The way out that a protocol belongs to. WebRTC and pictures are not among a group's protocols: a group that is enabled has them.
pub(super) fn way_out(protocol: &str) -> Option<OutProtocol> {
    match protocol {
        "rtmp" | "rtmps" | "rtmpt" => Some(OutProtocol::Rtmp),
        p if p.contains("hls") => Some(OutProtocol::Hls),
        "webrtc" | "whep" | "rtc" | "jpg" => None,
        _ => Some(OutProtocol::Flv),
    }
}

/// The paths that a signature may be made over: the stream's with the extension of the protocol, whatever part of it is asked
/// for (a segment opens with its playlist's signature).
fn paths(ask: &Ask<'_>) -> Vec<String> {
    let (app, name) = (ask.key.app(), ask.key.name());
    let extensions: &[&str] = match ask.protocol {
        p if p.starts_with("rtmp") => &[""],
        p if p.contains("hls") => &[".m3u8"],
        p if p.contains("flv") => &[".flv"],
        p if p.contains("fmp4") => &[".live.mp4", ".flv"],
        // A URL to push to by RTMP opens WHIP as well: the same key, the same stream.
        "webrtc" if ask.act == Act::Publish => &["", ".whip"],
        "webrtc" | "whep" | "rtc" => &["", ".whep"],
        // Whoever may play may see the picture: any signature that plays the stream opens it.
        "jpg" => &["", ".flv", ".m3u8", ".jpg"],
        _ => return vec![ask.path.to_owned()],
    };
    let plain = extensions.iter().map(|e| format!("/{app}/{name}{e}"));
    let encoded = extensions.iter().map(|e| url::path(app, name, e));
    plain.chain(encoded).collect()
}
