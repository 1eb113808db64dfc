//! Records: finished objects on disk or in a bucket.

use crate::model::id::{GroupId, RecordId, RecordingId, StreamId, TemplateId, TenantId};
use crate::model::time::Time;
use crate::model::word::words;

words! {
    /// `Type`.
    Kind {
        /// A recording.
        Record = "record",
        /// A snapshot.
        Snapshot = "snapshot",
        /// Time in which the stream was recorded and no frames came: an honest hole.
        Gap = "gap",
    }
}

words! {
    /// `FileFormat`.
    Format {
        /// MP4.
        Mp4 = "mp4",
        /// FLV.
        Flv = "flv",
        /// HLS: a playlist and its segments.
        Hls = "hls",
        /// JPEG.
        Jpg = "jpg",
    }
}

/// Where an object is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The bucket's end point; empty: the local directory.
    pub endpoint: String,
    /// `oNestBucket`; empty: the local directory.
    pub bucket: String,
    /// `oNestObject`: the object's name, or the path below the local directory.
    pub object: String,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `Id`.
    pub id: RecordId,
    /// Whose it is.
    pub owner: TenantId,
    /// The stream's group when it was made.
    pub group: GroupId,
    /// The stream.
    pub stream: StreamId,
    /// The template that made it.
    pub template: Option<TemplateId>,
    /// The recording that made it.
    pub recording: Option<RecordingId>,
    /// `Type`.
    pub kind: Kind,
    /// `FileFormat`; none for a gap.
    pub format: Option<Format>,
    /// `oNestBucket`, `oNestObject`.
    pub place: Place,
    /// `StartTime`.
    pub start: Time,
    /// `EndTime`.
    pub end: Time,
    /// `Duration` of the media, milliseconds.
    pub duration_ms: i64,
    /// `Width`.
    pub width: u32,
    /// `Height`.
    pub height: u32,
    /// Bytes.
    pub size: u64,
    /// When it is to be deleted.
    pub expires: Option<Time>,
}

/// What a new record is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The stream.
    pub stream: StreamId,
    /// Its group.
    pub group: GroupId,
    /// Its owner.
    pub owner: TenantId,
    /// The template.
    pub template: Option<TemplateId>,
    /// The recording that made it.
    pub recording: Option<RecordingId>,
    /// `Type`.
    pub kind: Kind,
    /// `FileFormat`.
    pub format: Option<Format>,
    /// Where it is.
    pub place: Place,
    /// `StartTime`.
    pub start: Time,
    /// `EndTime`.
    pub end: Time,
    /// Milliseconds of media.
    pub duration_ms: i64,
    /// `Width`.
    pub width: u32,
    /// `Height`.
    pub height: u32,
    /// Bytes.
    pub size: u64,
    /// When it is to be deleted.
    pub expires: Option<Time>,
}

impl Record {
    /// The record of this id.
    pub fn of(id: RecordId, draft: Draft) -> Record {
        let Draft { stream, group, owner, template, recording, kind, format, place, start, end, duration_ms, width, height, size, expires } =
            draft;
        Record { id, owner, group, stream, template, recording, kind, format, place, start, end, duration_ms, width, height, size, expires }
    }
}

/// Which records of a stream are listed: those of a kind that have a part in `[from, to)`, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// The stream.
    pub stream: StreamId,
    /// The kind.
    pub kind: Kind,
    /// From.
    pub from: Time,
    /// To.
    pub to: Time,
}
