//! `weir url STREAM flv`: prints a signed URL that plays a stream.

use crate::api::url::{Form, Places, auth_key, path};
use crate::base::id::StreamKey;
use crate::model::domain::Keys;
use crate::store::Store;
use std::time::Duration;

/// The arguments of `weir url`.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// The stream: its id, or app/name.
    #[arg(value_name = "STREAM")]
    pub stream: String,
    /// How to play it.
    #[arg(value_enum, default_value = "flv", value_name = "PROTOCOL")]
    pub protocol: Protocol,
    /// How long the URL is good, in seconds; the configuration's playback.expire by default.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=315_360_000))]
    pub expire: Option<u64>,
    /// Print the main key of the play domain instead: the AuthKey of DescribeStreamURL.
    #[arg(long)]
    pub auth_key: bool,
}

/// Ways to play.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RTMP.
    Rtmp,
    /// HTTP-FLV; with ws:// instead of http:// also over WebSocket.
    Flv,
    /// HLS.
    Hls,
    /// WebRTC.
    Rtc,
}

impl Protocol {
    fn form(self) -> Form {
        match self {
            Protocol::Rtmp => Form::Rtmp,
            Protocol::Flv => Form::Flv,
            Protocol::Hls => Form::Hls,
            Protocol::Rtc => Form::Rtc,
        }
    }
}

/// A URL that plays a stream from `now` (unix seconds) for some time. The stream need not be known to the store: one that the
/// configuration opens to everybody has a URL too.
pub async fn url(store: &Store, places: &Places, keys: &Keys, args: &Args, expire: Duration, now: i64) -> Result<String, String> {
    if args.auth_key {
        return Ok(keys.main.0.clone());
    }
    let key = find(store, &args.stream).await?;
    let form = args.protocol.form();
    let span = args.expire.unwrap_or(expire.as_secs().max(1));
    let until = now.saturating_add(i64::try_from(span).unwrap_or(i64::MAX));
    let path = path(key.app(), key.name(), form.extension());
    let signature = auth_key(&path, until, "0", "0", &keys.main.0);
    Ok(format!("{}?auth_key={signature}", places.play(form, None, &path)))
}

async fn find(store: &Store, text: &str) -> Result<StreamKey, String> {
    let bad = |e: crate::base::id::BadName| format!("{text}: {e}");
    if let Some((app, name)) = text.split_once('/') {
        let known = store.door(app, name).await.map_err(|e| e.to_string())?;
        return match known {
            Some(door) => door.stream.key().map_err(bad),
            None => StreamKey::new(app, name).map_err(bad),
        };
    }
    let id = text.parse().map_err(|_| format!("{text}: a stream's id or app/name is needed"))?;
    let stream = store.stream(crate::model::tenant::Scope::Operator, id).await.map_err(|e| e.to_string())?;
    stream.key().map_err(bad)
}
