//! Who may publish and play: the answer to [`stream::access`](crate::stream::access), out of the signed URL, the group and the stream.

use super::book::{Book, Row};
use super::plane::Media;
use super::quota;
use super::settings::Playback;
use super::url;
use crate::base::id::StreamKey;
use crate::model::domain::Keys;
use crate::model::group::{InProtocol, OutProtocol};
use crate::model::quota::What;
use crate::runtime::clock::Clock;
use crate::store;
use crate::stream::access::{Access, Act, Answer, Ask, Denied, Grant, Open};
use crate::stream::tally::Tally;
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
    tally: Tally,
}

/// What a gate decides by, beside what is known of streams.
#[derive(Clone)]
pub struct Rules {
    /// Settings of signed URLs.
    pub playback: Playback,
    /// The keys that open play URLs.
    pub play: Keys,
    /// The keys that open push URLs.
    pub push: Keys,
    /// Streams that anybody may use, where no group of the API has their application.
    pub open: Open,
    /// What tenants have at once, against their quotas.
    pub tally: Tally,
}

impl Gate {
    /// Over what is known of streams.
    pub fn new(book: Book, media: Arc<dyn Media>, clock: Clock, rules: Rules) -> Gate {
        let Rules { playback, play, push, open, tally } = rules;
        Gate { book, media, clock, playback, play, push, open, tally }
    }

    async fn decide(&self, ask: Ask<'_>) -> Result<Grant, Denied> {
        if ask.act == Act::Publish && self.book.is_taken(ask.key.app()) {
            return Err(Denied::Forbidden(format!("{}: the server answers at /{} itself", ask.key, ask.key.app())));
        }
        if self.open.allows(ask.key) && !self.book.uses(ask.key.app()).await.map_err(unavailable)? {
            return Ok(Grant::default());
        }
        match ask.act {
            Act::Publish if ask.protocol == "gb28181" => self.called(ask).await,
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
            _ => return self.place(&row, What::Streams, ask.key),
        };
        Err(Denied::Forbidden(format!("{}: {why}", ask.key)))
    }

    /// A device that is called for a stream of its own, or for a playback of it.
    async fn called(&self, ask: Ask<'_>) -> Result<Grant, Denied> {
        let row = match self.book.row(ask.key).await.map_err(unavailable)? {
            Some(row) => Some(row),
            None => self.behind(ask.key).await?.map(|(row, _)| row),
        };
        match row {
            Some(row) => self.place(&row, What::Streams, ask.key),
            None => Ok(Grant::default()),
        }
    }

    /// A place in the owner's quota.
    fn place(&self, row: &Row, what: What, key: &StreamKey) -> Result<Grant, Denied> {
        let exceeded = |exceeded| Denied::Quota(key.clone(), exceeded);
        let place = self.tally.take(row.owner, what, key, row.quota).map_err(exceeded)?;
        if what == What::Viewers && row.quota.of(What::Bandwidth).is_some() {
            // With the newcomer, whose place is taken: no two pass by not seeing each other.
            let used = quota::bandwidth(&*self.media, &self.tally, row.owner);
            row.quota.room(What::Bandwidth, used, 0).map_err(exceeded)?;
        }
        Ok(Grant::with(place))
    }

    async fn play(&self, ask: Ask<'_>) -> Result<Grant, Denied> {
        // A pass was given out with permission.
        self.signed(&ask, self.playback.auth && ask.protocol != "hls-pass", &self.play)?;
        let row = self.known(ask.key).await?;
        if let Some(why) = row.shut() {
            return Err(Denied::Forbidden(format!("{}: {why}", ask.key)));
        }
        match way_out(ask.protocol) {
            Some(way) if !row.out_protocols.has(way) => {
                Err(Denied::Forbidden(format!("{}: the stream's group does not allow {way}", ask.key)))
            }
            // These come request by request and are no players.
            _ if matches!(ask.protocol, "jpg" | "hls-past") => Ok(Grant::default()),
            _ => self.place(&row, What::Viewers, ask.key),
        }
    }

    /// The stream itself, or the one behind an output that we made of it: `{stream}_{rule}` or a playback.
    async fn known(&self, key: &StreamKey) -> Result<Arc<Row>, Denied> {
        if let Some(row) = self.book.row(key).await.map_err(unavailable)? {
            return Ok(row);
        }
        let (row, rule) = self.behind(key).await?.ok_or_else(|| unknown(key))?;
        // Only we publish under such a name, so what is live there is an output; a rule that is bound is made on demand.
        match self.media.live(key).is_some() || self.book.rule(row.id, rule).await.map_err(unavailable)? {
            true => Ok(row),
            false => Err(unknown(key)),
        }
    }

    /// The stream that an output of ours is made of, by its name, and what the name says of the output.
    async fn behind<'a>(&self, key: &'a StreamKey) -> Result<Option<(Arc<Row>, &'a str)>, Denied> {
        let Some((base, rule)) = key.name().split_once('_') else { return Ok(None) };
        let Ok(base) = StreamKey::new(key.app(), base) else { return Ok(None) };
        Ok(self.book.row(&base).await.map_err(unavailable)?.map(|row| (row, rule)))
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
