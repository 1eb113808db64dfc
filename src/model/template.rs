//! Templates: what is done with streams - recording, snapshots, transcoding, time shift.

use crate::model::id::{TemplateId, TenantId};
use crate::model::path::{BadPath, PathTemplate, Purpose};
use crate::model::record::Format;
use crate::model::time::Time;
use crate::model::word::{word_set, words};
use serde::{Deserialize, Serialize};

words! {
    /// `Type`.
    Kind {
        /// Recording.
        Record = "record",
        /// Snapshots.
        Snapshot = "snapshot",
        /// Transcoding.
        Transcode = "transcode",
        /// Time shift.
        Timeshift = "timeshift",
    }
}

words! {
    /// `Trigger` of a record template.
    Trigger {
        /// While the stream is on.
        Auto = "auto",
        /// When asked.
        Ondemand = "ondemand",
    }
}

words! {
    /// `VideoCodec` of a transcode rule.
    VideoCodec {
        /// H.264.
        H264 = "h264",
    }
}

word_set! {
    /// `FileFormat`, as in `mp4,hls`.
    Formats of Format
}

/// `Region`, `oNestBucket`, `oNestEndpoint`: where a template's files go. Empty bucket: the local directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// `Region`.
    pub region: String,
    /// `oNestBucket`.
    pub bucket: String,
    /// `oNestEndpoint`.
    pub endpoint: String,
}

/// What a record template says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// `Interval`: seconds of a file.
    pub interval: u32,
    /// `FileFormat`.
    pub formats: Formats,
    /// `Mp4`.
    pub mp4: PathTemplate,
    /// `Flv`.
    pub flv: PathTemplate,
    /// `HlsM3u8`.
    pub hls_m3u8: PathTemplate,
    /// `HlsTs`.
    pub hls_ts: PathTemplate,
    /// `Trigger`.
    pub trigger: Trigger,
    /// `Expired`: days that files are kept; 0: for ever.
    pub expired: u32,
}

/// What a snapshot template says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `Interval`: seconds between pictures.
    pub interval: u32,
    /// `FileFormat`.
    pub formats: Formats,
    /// `JpgOverwrite`.
    pub overwrite: Option<PathTemplate>,
    /// `JpgSequence`.
    pub sequence: Option<PathTemplate>,
    /// `Expired`: days that files are kept; 0: for ever.
    pub expired: u32,
}

/// A rule of a transcode template: the stream `{stream}_{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TransConfig {
    /// `Id`; the store gives one to a rule without.
    #[serde(default)]
    pub id: String,
    /// `Name`: letters and digits.
    pub name: String,
    /// `VideoCodec`.
    pub video_codec: VideoCodec,
    /// `VideoBitrate`, kbit/s.
    pub video_bitrate: u32,
    /// `Fps`.
    pub fps: u32,
    /// `Gop`, frames.
    pub gop: u32,
    /// `Height`.
    pub height: u32,
    /// `Width`.
    pub width: u32,
}

impl TransConfig {
    /// The parameter that is out of its range, and what the range is.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let word = !self.name.is_empty() && self.name.len() <= 32 && self.name.bytes().all(|b| b.is_ascii_alphanumeric());
        let rules = [
            ("Name", word, "1 to 32 letters and digits"),
            ("VideoBitrate", (16..=100_000).contains(&self.video_bitrate), "16 to 100000 kbit/s"),
            ("Fps", (1..=120).contains(&self.fps), "1 to 120"),
            ("Gop", (1..=3000).contains(&self.gop), "1 to 3000 frames"),
            ("Height", (16..=4320).contains(&self.height) && self.height.is_multiple_of(2), "an even number, 16 to 4320"),
            ("Width", (16..=7680).contains(&self.width) && self.width.is_multiple_of(2), "an even number, 16 to 7680"),
        ];
        rules.into_iter().find(|(_, holds, _)| !holds).map_or(Ok(()), |(name, _, range)| Err((name, range)))
    }
}

/// What a template does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// Recording.
    Record(Record),
    /// Snapshots.
    Snapshot(Snapshot),
    /// Transcoding: the rules of `TransConfigsJSON`.
    Transcode(Vec<TransConfig>),
    /// Time shift: `Retention`, days.
    Timeshift {
        /// `Retention`.
        retention: u32,
    },
}

impl Body {
    /// `Type`.
    pub fn kind(&self) -> Kind {
        match self {
            Body::Record(_) => Kind::Record,
            Body::Snapshot(_) => Kind::Snapshot,
            Body::Transcode(_) => Kind::Transcode,
            Body::Timeshift { .. } => Kind::Timeshift,
        }
    }
}

/// A template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// `Id`.
    pub id: TemplateId,
    /// Whose it is.
    pub owner: TenantId,
    /// `Name`.
    pub name: String,
    /// `Description`.
    pub description: String,
    /// `Callback`.
    pub callback: Option<String>,
    /// `Region`, `oNestBucket`, `oNestEndpoint`.
    pub storage: Storage,
    /// What it does.
    pub body: Body,
    /// `CreatedTime`.
    pub created: Time,
}

impl Template {
    /// `Type`.
    pub fn kind(&self) -> Kind {
        self.body.kind()
    }
}

/// What a new template is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// `Name`.
    pub name: String,
    /// `Description`.
    pub description: String,
    /// `Callback`.
    pub callback: Option<String>,
    /// `Region`, `oNestBucket`, `oNestEndpoint`.
    pub storage: Storage,
    /// What it does.
    pub body: Body,
}

/// Which templates are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Bound to the group or stream of this id.
    pub instance: Option<i64>,
}

/// Reads one of the path parameters; absent and empty mean the default of its purpose.
pub fn path(purpose: Purpose, text: Option<&str>) -> Result<PathTemplate, BadPath> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => PathTemplate::parse(purpose, text),
        None => Ok(PathTemplate::default_of(purpose)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> TransConfig {
        let (name, video_codec) = ("sd".to_owned(), VideoCodec::H264);
        TransConfig { id: String::new(), name, video_codec, video_bitrate: 800, fps: 25, gop: 50, height: 640, width: 1280 }
    }

    #[test]
    fn a_rule_reads_from_the_documents_json() {
        let json = r#"[{"Name":"sd","VideoCodec":"h264","VideoBitrate":800,"Fps":25,"Gop":50,"Height":640,"Width":1280}]"#;
        assert_eq!(serde_json::from_str::<Vec<TransConfig>>(json).unwrap(), [rule()]);
        assert!(serde_json::from_str::<Vec<TransConfig>>(&json.replace("h264", "av1")).is_err());
    }

    #[test]
    fn a_rule_names_what_is_out_of_range() {
        assert_eq!(rule().check(), Ok(()));
        let wrong = |change: fn(&mut TransConfig)| {
            let mut rule = rule();
            change(&mut rule);
            rule.check().unwrap_err().0
        };
        assert_eq!(wrong(|r| r.name = "s/d".to_owned()), "Name");
        assert_eq!(wrong(|r| r.name.clear()), "Name");
        assert_eq!(wrong(|r| r.video_bitrate = 0), "VideoBitrate");
        assert_eq!(wrong(|r| r.fps = 0), "Fps");
        assert_eq!(wrong(|r| r.gop = 0), "Gop");
        assert_eq!(wrong(|r| r.height = 641), "Height");
        assert_eq!(wrong(|r| r.width = 10_000), "Width");
    }

    #[test]
    fn a_body_survives_its_json() {
        let record = Body::Record(Record {
            interval: 3600,
            formats: "mp4,hls".parse().unwrap(),
            mp4: path(Purpose::Mp4, Some("a/{EscapedStartTime}_{EscapedEndTime}")).unwrap(),
            flv: path(Purpose::Flv, None).unwrap(),
            hls_m3u8: path(Purpose::HlsM3u8, Some(" ")).unwrap(),
            hls_ts: path(Purpose::HlsTs, None).unwrap(),
            trigger: Trigger::Auto,
            expired: 7,
        });
        for body in [record, Body::Transcode(vec![rule()]), Body::Timeshift { retention: 3 }] {
            let text = serde_json::to_string(&body).unwrap();
            assert_eq!(serde_json::from_str::<Body>(&text).unwrap(), body, "{text}");
        }
    }
}
