//! The bodies of calls, checked by the rules of the interface. What we cannot do is refused by name instead of being ignored.

use super::bucket::Bucket;
use super::{Code, Wrong};
use crate::model::record::Format;
use crate::model::template::Formats;
use serde_json::Value;

/// The longest channel name, in bytes.
const CNAME_MAX: usize = 128;
/// How long a stream may be silent before its recording ends, in seconds, where the caller does not say.
const IDLE: i64 = 30;

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad(pub(super) i32, pub(super) String);

impl Bad {
    fn new(why: impl Into<String>) -> Bad {
        Bad(Code::Parameter as i32, why.into())
    }

    pub(super) fn wrong(self) -> Wrong {
        let code = if self.0 == Code::Channel as i32 { Code::Channel } else { Code::Parameter };
        Wrong::Code(code, self.1)
    }
}

/// What is acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acquire {
    pub(super) cname: String,
    pub(super) uid: String,
    pub(super) region: Option<String>,
    pub(super) hours: i64,
    pub(super) scene: i64,
}

/// The channel and the user that every body names. The user is a number from 1 to 2³²−1, as text or as it is.
pub(super) fn whom(body: &Value) -> Result<(String, String), Bad> {
    if !body.is_object() {
        return Err(Bad::new("the body must be a JSON object"));
    }
    let cname = body["cname"].as_str().unwrap_or_default();
    if cname.is_empty() || cname.len() > CNAME_MAX {
        return Err(Bad(Code::Channel as i32, format!("cname must be 1 to {CNAME_MAX} bytes long")));
    }
    let uid = match &body["uid"] {
        Value::String(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => text.parse::<u32>().ok(),
        Value::Number(n) => n.as_u64().and_then(|n| u32::try_from(n).ok()),
        _ => None,
    };
    let uid = uid.filter(|uid| *uid > 0).ok_or_else(|| Bad::new("uid must be a number from 1 to 4294967295, as text"))?;
    Ok((cname.to_owned(), uid.to_string()))
}

impl Acquire {
    pub(super) fn read(body: &Value) -> Result<Acquire, Bad> {
        let (cname, uid) = whom(body)?;
        let request = &body["clientRequest"];
        if !request.is_null() && !request.is_object() {
            return Err(Bad::new("clientRequest must be a JSON object"));
        }
        let region = match &request["region"] {
            Value::Null => None,
            Value::String(text) if ["CN", "AP", "EU", "NA"].contains(&text.as_str()) => Some(text.clone()),
            _ => return Err(Bad::new("clientRequest.region must be CN, AP, EU or NA")),
        };
        let hours = number(request, "resourceExpiredHour", 1, 720)?.unwrap_or(72);
        let scene = number(request, "scene", 0, 2)?.unwrap_or(0);
        Ok(Acquire { cname, uid, region, hours, scene })
    }
}

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) cname: String,
    pub(super) uid: String,
    pub(super) formats: Formats,
    pub(super) idle: i64,
    pub(super) bucket: Bucket,
}

impl Start {
    pub(super) fn read(body: &Value, mode: &str) -> Result<Start, Bad> {
        match mode {
            "individual" | "mix" => {}
            "web" => return Err(Bad::new("mode web is not supported: streams are recorded, not pages")),
            _ => return Err(Bad::new("mode must be individual, mix or web")),
        }
        let (cname, uid) = whom(body)?;
        let request = &body["clientRequest"];
        if !request.is_object() {
            return Err(Bad::new("clientRequest must be a JSON object"));
        }
        unsupported(request, &["extensionServiceConfig", "snapshotConfig"])?;
        let config = &request["recordingConfig"];
        if !config.is_null() && !config.is_object() {
            return Err(Bad::new("clientRequest.recordingConfig must be a JSON object"));
        }
        number(config, "channelType", 0, 1)?;
        number(config, "streamTypes", 0, 2)?;
        let idle = number(config, "maxIdleTime", 5, 2_592_000)?.unwrap_or(IDLE);
        subscription(config)?;
        let bucket = Bucket::read(&request["storageConfig"]).map_err(Bad::new)?;
        Ok(Start { cname, uid, formats: formats(&request["recordingFileConfig"])?, idle, bucket })
    }
}

/// `avFileType`: hls where nothing is said.
fn formats(config: &Value) -> Result<Formats, Bad> {
    let types = match &config["avFileType"] {
        Value::Null => return Ok([Format::Hls].into_iter().collect()),
        Value::Array(types) if !types.is_empty() => types,
        _ => return Err(Bad::new("recordingFileConfig.avFileType must be a list of hls and mp4")),
    };
    let format = |value: &Value| match value.as_str() {
        Some("hls") => Ok(Format::Hls),
        Some("mp4") => Ok(Format::Mp4),
        _ => Err(Bad::new("recordingFileConfig.avFileType must be a list of hls and mp4")),
    };
    types.iter().map(format).collect()
}

/// Whom a recording listens to: one publisher, whoever it is. Several cannot be mixed.
pub(super) fn subscription(config: &Value) -> Result<(), Bad> {
    let lists = ["subscribeVideoUids", "subscribeAudioUids"].map(|name| &config[name]);
    let nested = [&config["videoUidList"]["subscribeVideoUids"], &config["audioUidList"]["subscribeAudioUids"]];
    for list in lists.into_iter().chain(nested) {
        let many = match list {
            Value::Null => false,
            Value::Array(uids) => uids.len() > 1,
            _ => return Err(Bad::new("lists of users must be JSON arrays")),
        };
        if many {
            return Err(Bad::new("mixing several publishers is not supported: a channel is one stream"));
        }
    }
    Ok(())
}

/// Refuses what is asked for and cannot be done.
pub(super) fn unsupported(request: &Value, names: &[&str]) -> Result<(), Bad> {
    match names.iter().find(|name| !request[**name].is_null()) {
        Some(name) => Err(Bad::new(format!("{name} is not supported"))),
        None => Ok(()),
    }
}

fn number(object: &Value, name: &str, least: i64, most: i64) -> Result<Option<i64>, Bad> {
    match &object[name] {
        Value::Null => Ok(None),
        value => match value.as_i64().filter(|n| (least..=most).contains(n)) {
            Some(n) => Ok(Some(n)),
            None => Err(Bad::new(format!("{name} must be a number from {least} to {most}"))),
        },
    }
}
