//! A draft: a file that is being recorded, and beside it a note that says what it is, so that a later start of the server can finish it.

use crate::base::id::StreamKey;
use crate::media::time::Timestamp;
use crate::model::id::{GroupId, RecordingId, StreamId, TemplateId, TenantId};
use crate::model::path::{PathTemplate, Purpose, Values};
use crate::model::record::{self, Format, Kind, Place};
use crate::model::recording::Order;
use crate::model::template::Storage;
use crate::model::time::Time;
use serde::{Deserialize, Serialize};

/// The form of the notes; others are left alone.
const VERSION: u32 = 1;
const DAY: i64 = 86_400_000;

/// The note beside a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    version: u32,
    /// The recording that it is of.
    pub recording: RecordingId,
    /// Counts the files of a recording.
    pub sequence: u64,
    /// What the draft becomes.
    pub format: Format,
    /// Whose it is.
    pub owner: TenantId,
    /// The stream's group.
    pub group: GroupId,
    /// The stream.
    pub stream: StreamId,
    /// Its name in URLs.
    pub key: String,
    template: Option<TemplateId>,
    path: PathTemplate,
    storage: Storage,
    expired: u32,
    /// Where it is told that the file is stored.
    pub callback: Option<String>,
    /// When its first frame arrived, on the wall clock, nanoseconds since 1970.
    start: i64,
    width: u32,
    height: u32,
}

impl Note {
    /// Of the file of a format that begins now.
    pub fn new(order: &Order, recording: RecordingId, sequence: u64, format: Format, start: Timestamp, size: (u32, u32)) -> Note {
        Note {
            version: VERSION,
            recording,
            sequence,
            format,
            owner: order.owner,
            group: order.group,
            stream: order.stream,
            key: order.key.as_str().to_owned(),
            template: order.template,
            path: order.paths.of(format).0.clone(),
            storage: order.storage.clone(),
            expired: order.expired,
            callback: order.callback.clone(),
            start: start.0,
            width: size.0,
            height: size.1,
        }
    }

    /// Reads what [`text`](Note::text) wrote.
    pub fn parse(text: &str) -> Option<Note> {
        serde_json::from_str::<Note>(text).ok().filter(|note| note.version == VERSION && StreamKey::parse(&note.key).is_ok())
    }

    /// The note as it is written.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the names of its files begin with.
    pub fn stem(&self) -> String {
        format!("{}-{}-{}", self.recording, self.sequence, self.format)
    }

    /// The name of the note.
    pub fn name(&self) -> String {
        format!("{}.json", self.stem())
    }

    /// The name of the draft; of HLS the journal of its segments.
    pub fn draft(&self) -> String {
        format!("{}.part", self.stem())
    }

    /// The name of what is made of the draft.
    pub fn made(&self) -> String {
        format!("{}.made", self.stem())
    }

    /// The region of its bucket.
    pub fn region(&self) -> &str {
        &self.storage.region
    }

    /// When it begins, on the wall clock.
    pub fn start(&self) -> Timestamp {
        Timestamp(self.start)
    }

    /// The application and the stream's name.
    pub fn names(&self) -> (&str, &str) {
        self.key.split_once('/').unwrap_or(("", &self.key))
    }

    /// The path of the finished file.
    pub fn object(&self, end: Time) -> String {
        let (app, stream) = self.names();
        let purpose = match self.format {
            Format::Flv => Purpose::Flv,
            Format::Hls => Purpose::HlsM3u8,
            Format::Mp4 | Format::Jpg => Purpose::Mp4,
        };
        let values = Values { app, stream, sequence: self.sequence, start: Time::from_nanos(self.start), end };
        self.path.expand(purpose, &values)
    }

    /// Where an object of it goes.
    pub fn place(&self, object: String) -> Place {
        Place { endpoint: self.storage.endpoint.clone(), bucket: self.storage.bucket.clone(), object }
    }

    /// When what ends then is to be deleted.
    pub fn expires(&self, end: Time) -> Option<Time> {
        (self.expired > 0).then(|| Time(end.0.saturating_add(i64::from(self.expired) * DAY)))
    }

    /// The record of the finished file.
    pub fn record(&self, end: Time, duration_ms: i64, size: u64) -> record::Draft {
        record::Draft {
            stream: self.stream,
            group: self.group,
            owner: self.owner,
            template: self.template,
            recording: Some(self.recording),
            kind: Kind::Record,
            format: Some(self.format),
            place: self.place(self.object(end)),
            start: Time::from_nanos(self.start),
            end,
            duration_ms,
            width: self.width,
            height: self.height,
            size,
            expires: self.expires(end),
        }
    }
}

/// The record of a time in which nothing was recorded although it should have been.
pub fn gap(order: &Order, recording: RecordingId, start: Timestamp, end: Timestamp) -> record::Draft {
    let (start, end) = (Time::from_nanos(start.0), Time::from_nanos(end.0));
    record::Draft {
        stream: order.stream,
        group: order.group,
        owner: order.owner,
        template: order.template,
        recording: Some(recording),
        kind: Kind::Gap,
        format: None,
        place: Place { endpoint: String::new(), bucket: String::new(), object: String::new() },
        start,
        end,
        duration_ms: end.0 - start.0,
        width: 0,
        height: 0,
        size: 0,
        expires: (order.expired > 0).then(|| Time(end.0.saturating_add(i64::from(order.expired) * DAY))),
    }
}
