//! Recordings: what a stream shall be recorded to, and what runs. The finished files are [records](super::record).

use crate::base::id::StreamKey;
use crate::model::id::{GroupId, RecordingId, StreamId, TemplateId, TenantId};
use crate::model::path::{PathTemplate, Purpose};
use crate::model::record::Format;
use crate::model::template::{self, Formats, Storage};
use crate::model::tenant::BucketKey;
use crate::model::time::Time;
use crate::model::word::words;
use serde::{Deserialize, Serialize};

/// How the files are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paths {
    /// `Mp4`.
    pub mp4: PathTemplate,
    /// `Flv`.
    pub flv: PathTemplate,
    /// `HlsM3u8`.
    pub hls_m3u8: PathTemplate,
    /// `HlsTs`.
    pub hls_ts: PathTemplate,
}

impl Default for Paths {
    fn default() -> Paths {
        let [mp4, flv, hls_m3u8, hls_ts] = [Purpose::Mp4, Purpose::Flv, Purpose::HlsM3u8, Purpose::HlsTs].map(PathTemplate::default_of);
        Paths { mp4, flv, hls_m3u8, hls_ts }
    }
}

impl Paths {
    /// The path of files of a format; those of HLS are its playlists.
    pub fn of(&self, format: Format) -> (&PathTemplate, Purpose) {
        match format {
            Format::Flv => (&self.flv, Purpose::Flv),
            Format::Hls => (&self.hls_m3u8, Purpose::HlsM3u8),
            Format::Mp4 | Format::Jpg => (&self.mp4, Purpose::Mp4),
        }
    }
}

/// What is to be recorded, how, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Whose the files are.
    pub owner: TenantId,
    /// The stream's group.
    pub group: GroupId,
    /// The stream.
    pub stream: StreamId,
    /// Its name in URLs.
    pub key: StreamKey,
    /// The template that says so; none for an order of its own.
    pub template: Option<TemplateId>,
    /// What is written, all in one pass.
    pub formats: Formats,
    /// Seconds of a file.
    pub interval: u32,
    /// How the files are named.
    pub paths: Paths,
    /// Where the files go; an empty bucket is the local directory.
    pub storage: Storage,
    /// The key of the bucket, where the store does not know it yet: it is stored, sealed, before the recording begins.
    pub bucket_key: Option<BucketKey>,
    /// Days that files are kept; 0: for ever.
    pub expired: u32,
    /// Where events and finished files are posted.
    pub callback: Option<String>,
}

impl Order {
    /// What a template says about a stream.
    pub fn of(template: &template::Template, record: &template::Record, stream: &super::stream::Stream, key: StreamKey) -> Order {
        let template::Record { interval, formats, mp4, flv, hls_m3u8, hls_ts, expired, .. } = record.clone();
        Order {
            owner: stream.owner,
            group: stream.group,
            stream: stream.id,
            key,
            template: Some(template.id),
            formats,
            interval,
            paths: Paths { mp4, flv, hls_m3u8, hls_ts },
            storage: template.storage.clone(),
            bucket_key: None,
            expired,
            callback: template.callback.clone(),
        }
    }
}

/// A recording on demand that was ordered and not stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// Its id.
    pub id: RecordingId,
    /// When it was ordered.
    pub since: Time,
    /// The number of its newest file.
    pub sequence: u64,
    /// What was ordered; the key of its bucket is stored elsewhere.
    pub order: Order,
}

words! {
    /// What a recording does now.
    State {
        /// Frames come and are written.
        Recording = "recording",
        /// Nobody sends the stream; it goes on as soon as somebody does.
        Waiting = "waiting",
        /// Writing failed; it is tried again.
        Failing = "failing",
    }
}

/// A recording that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its id; the records of its files carry it.
    pub id: RecordingId,
    /// Whose it is.
    pub owner: TenantId,
    /// The stream's group.
    pub group: GroupId,
    /// The stream.
    pub stream: StreamId,
    /// Its name in URLs.
    pub key: StreamKey,
    /// The template, if one says so.
    pub template: Option<TemplateId>,
    /// What is written.
    pub formats: Formats,
    /// It was asked for, and ends when that is asked for; else it runs while the stream is on and its template is bound.
    pub on_demand: bool,
    /// Since when.
    pub since: Time,
    /// What it does now.
    pub state: State,
    /// Bytes written so far.
    pub bytes: u64,
    /// Files finished so far.
    pub files: u64,
    /// Why writing failed last; empty if it did not.
    pub trouble: String,
}
