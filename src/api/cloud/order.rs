//! An order for the recorder, and what of it is kept so that a restart can give it again.

use super::Settings;
use super::body::Start;
use crate::base::pii::Secret;
use crate::model::path::{PathTemplate, Purpose};
use crate::model::record::Format;
use crate::model::recording::{Order, Paths};
use crate::model::stream::Stream;
use crate::model::template::{Formats, Storage};
use crate::model::tenant::BucketKey;
use serde::{Deserialize, Serialize};

/// What the store keeps, sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    formats: Vec<String>,
    storage: Storage,
    key: String,
    secret: String,
    prefix: String,
    /// Seconds that the stream may be silent.
    pub(super) idle: i64,
}

impl Kept {
    /// `mp4`: MP4 files are made as well, whatever was asked for.
    pub(super) fn new(asked: &Start, storage: Storage, mp4: bool) -> Kept {
        let mut formats: Vec<String> = asked.formats.iter().map(|format| format.as_str().to_owned()).collect();
        let name = Format::Mp4.as_str();
        if mp4 && !formats.iter().any(|format| format == name) {
            formats.push(name.to_owned());
        }
        let bucket = &asked.bucket;
        let (key, secret, prefix) = (bucket.key.clone(), bucket.secret.0.clone(), bucket.prefix.clone());
        Kept { formats, storage, key, secret, prefix, idle: asked.idle }
    }

    pub(super) fn sealed(&self) -> Secret {
        Secret(serde_json::to_string(self).unwrap_or_default())
    }

    /// How many formats are written.
    pub(super) fn formats(&self) -> usize {
        self.formats.len()
    }

    pub(super) fn open(text: &Secret) -> Option<Kept> {
        serde_json::from_str(&text.0).ok()
    }

    /// The recorder's order. Files are named as the interface documents it, `{prefix}{sid}_{cname}…`; the number at the end tells
    /// files of one recording apart.
    pub(super) fn order(
        &self,
        sid: &str,
        stream: &Stream,
        cname: &str,
        uid: &str,
        mode: &str,
        settings: &Settings,
    ) -> Result<Order, String> {
        let channel: String = cname.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
        let name = match mode {
            "individual" => format!("{}{sid}_{channel}__uid_s_{uid}__uid_e_av", self.prefix),
            _ => format!("{}{sid}_{channel}", self.prefix),
        };
        let path = |purpose: Purpose, rest: &str| PathTemplate::named(purpose, &format!("{name}{rest}")).map_err(|e| e.to_string());
        let formats: Result<Formats, _> = self.formats.iter().map(|format| format.parse::<Format>()).collect();
        Ok(Order {
            owner: stream.owner,
            group: stream.group,
            stream: stream.id,
            key: stream.key().map_err(|e| e.to_string())?,
            template: None,
            formats: formats.map_err(|e| e.to_string())?,
            interval: u32::try_from(settings.interval.0.as_secs()).unwrap_or(u32::MAX).max(60),
            paths: Paths {
                mp4: path(Purpose::Mp4, "_{Sequence}")?,
                flv: path(Purpose::Flv, "_{Sequence}")?,
                hls_m3u8: path(Purpose::HlsM3u8, "_{Sequence}")?,
                hls_ts: path(Purpose::HlsTs, "_{UnixTimestamp}_{Sequence}")?,
            },
            storage: self.storage.clone(),
            bucket_key: Some(BucketKey { id: self.key.clone(), secret: Secret(self.secret.clone()) }),
            expired: 0,
            callback: None,
        })
    }
}
