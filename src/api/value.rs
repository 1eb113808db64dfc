//! The types of parameters that many actions share. A value that exists is valid: `run` checks no syntax.

use super::param::{Kind, Shape, Value};
use crate::base::pii;
use crate::model::id::{GbId, UserId};
use crate::model::tenant::BucketKey;
use crate::model::time::Time;
use crate::model::{binding, device, group, record, template, upper};

/// The most items of a batch.
pub const BATCH_MAX: usize = 100;

/// Text of at most `MAX` characters, without control characters, white space around it removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text<const MAX: usize>(pub String);

impl<const MAX: usize> Value for Text<MAX> {
    const SHAPE: Shape = Shape::text(MAX, "sample");
    fn read(text: &str) -> Result<Self, String> {
        plain(text, MAX).map(|t| Text(t.to_owned()))
    }
}

fn plain(text: &str, max: usize) -> Result<&str, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("must not be blank".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("must not hold control characters".to_owned());
    }
    if text.chars().nth(max).is_some() {
        return Err(format!("must be at most {max} characters long"));
    }
    Ok(text)
}

/// A secret: any characters but control characters, nothing trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret<const MAX: usize>(pub pii::Secret);

impl<const MAX: usize> Value for Secret<MAX> {
    const SHAPE: Shape = Shape::text(MAX, "secret").format("password");
    fn read(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("must not hold control characters".to_owned());
        }
        if text.chars().nth(MAX).is_some() {
            return Err(format!("must be at most {MAX} characters long"));
        }
        Ok(Secret(pii::Secret(text.to_owned())))
    }
}

/// The id of an object. Whether it exists is another question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id(pub String);

impl Value for Id {
    const SHAPE: Shape = Shape::text(64, "32388487739092994");
    fn read(text: &str) -> Result<Self, String> {
        // The document's own examples carry a space behind ids.
        plain(text, 64).map(|t| Id(t.to_owned()))
    }
}

/// Ids of a batch, as `1,2,3` or `["1","2","3"]`; each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids(pub Vec<String>);

impl Value for Ids {
    const SHAPE: Shape = Id::SHAPE.list();
    fn read(text: &str) -> Result<Self, String> {
        let mut ids: Vec<String> = Vec::new();
        for id in items(text, BATCH_MAX)? {
            let id = plain(&id, 64)?.to_owned();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(Ids(ids))
    }
}

/// Names of a batch, as `a,b` or `["a","b"]`; the same name may come twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl Value for Names {
    const SHAPE: Shape = Shape::text(128, "camera1").list();
    fn read(text: &str) -> Result<Self, String> {
        items(text, BATCH_MAX)?.iter().map(|n| plain(n, 128).map(str::to_owned)).collect::<Result<_, _>>().map(Names)
    }
}

/// The items of a list parameter: comma-separated, or a JSON array of texts or numbers.
pub fn items(text: &str, most: usize) -> Result<Vec<String>, String> {
    let text = text.trim();
    let items: Vec<String> = if text.starts_with('[') {
        let values: Vec<serde_json::Value> =
            serde_json::from_str(text).map_err(|_| "must be values separated by commas, or a JSON array".to_owned())?;
        let item = |value| match value {
            serde_json::Value::String(text) => Ok(text),
            serde_json::Value::Number(number) => Ok(number.to_string()),
            _ => Err("must hold texts only".to_owned()),
        };
        values.into_iter().map(item).collect::<Result<_, _>>()?
    } else {
        text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
    };
    match items.len() {
        0 => Err("must hold at least one value".to_owned()),
        n if n > most => Err(format!("must hold at most {most} values")),
        _ => Ok(items),
    }
}

/// A boolean: `true`, `false`, `1` or `0` in any letter case.
impl Value for bool {
    const SHAPE: Shape = Shape { kind: Kind::Boolean, max_len: None, ..Shape::text(0, "true") };
    fn read(text: &str) -> Result<Self, String> {
        match text.trim() {
            "1" => Ok(true),
            "0" => Ok(false),
            word if word.eq_ignore_ascii_case("true") => Ok(true),
            word if word.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err("must be true or false".to_owned()),
        }
    }
}

/// A boolean that is false where it is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag(pub bool);

impl Value for Flag {
    const SHAPE: Shape = bool::SHAPE.default("false");
    fn read(text: &str) -> Result<Self, String> {
        bool::read(text).map(Flag)
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Int<const MIN: i64, const MAX: i64>(pub i64);

impl<const MIN: i64, const MAX: i64> Value for Int<MIN, MAX> {
    const SHAPE: Shape = Shape::integer(MIN, MAX, "1");
    fn read(text: &str) -> Result<Self, String> {
        number(text, MIN, MAX).map(Int)
    }
}

fn number(text: &str, min: i64, max: i64) -> Result<i64, String> {
    let number: Option<i64> = text.trim().parse().ok();
    number.filter(|n| (min..=max).contains(n)).ok_or_else(|| format!("must be a whole number from {min} to {max}"))
}

/// How many rows a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(pub u32);

impl Value for PageSize {
    const SHAPE: Shape = Shape::integer(1, 100, "20").default("20");
    fn read(text: &str) -> Result<Self, String> {
        number(text, 1, 100).map(|n| PageSize(n as u32))
    }
}

/// Which page, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageNum(pub u32);

impl Value for PageNum {
    const SHAPE: Shape = Shape::integer(1, 1_000_000_000, "1").default("1");
    fn read(text: &str) -> Result<Self, String> {
        number(text, 1, 1_000_000_000).map(|n| PageNum(n as u32))
    }
}

/// A point in time: `2019-02-28T17:00:17Z`.
impl Value for Time {
    const SHAPE: Shape = Shape::text(20, "2020-09-09T16:00:00Z").format("date-time");
    fn read(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| "must be a time like 2018-12-10T17:00:00Z, in UTC".to_owned())
    }
}

/// A point in time in unix seconds, as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unix(pub i64);

impl Value for Unix {
    const SHAPE: Shape = Shape::integer(0, 253_402_300_799, "1571639499");
    fn read(text: &str) -> Result<Self, String> {
        number(text, 0, 253_402_300_799).map(Unix)
    }
}

/// A GB/T 28181 id: 20 digits.
impl Value for GbId {
    const SHAPE: Shape = Shape::text(20, "34020000001320000001");
    fn read(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| "must be a GB/T 28181 id of 20 digits".to_owned())
    }
}

/// A tenant's name.
impl Value for UserId {
    const SHAPE: Shape = Shape::text(64, "12345678901234567890123456789012");
    fn read(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| "must be 1 to 64 letters, digits, -, _ and .".to_owned())
    }
}

/// An application's name: it stands in URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App(pub String);

impl Value for App {
    const SHAPE: Shape = Shape::text(64, "live");
    fn read(text: &str) -> Result<Self, String> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        match (1..=64).contains(&text.len()) && text.bytes().all(good) {
            true => Ok(App(text.to_owned())),
            false => Err("must be 1 to 64 letters, digits, - and _".to_owned()),
        }
    }
}

/// An IP address or a host name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host(pub String);

impl Value for Host {
    const SHAPE: Shape = Shape::text(253, "192.0.2.7");
    fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let name = |t: &str| (1..=253).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
        match text.parse::<std::net::IpAddr>().is_ok() || name(text) {
            true => Ok(Host(text.to_owned())),
            false => Err("must be an IP address or a host name".to_owned()),
        }
    }
}

/// A coordinate in degrees, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Degrees<const MAX: i64>(pub String);

impl<const MAX: i64> Value for Degrees<MAX> {
    const SHAPE: Shape = Shape { range: Some((-MAX, MAX)), kind: Kind::Number, max_len: None, ..Shape::text(0, "45.00") };
    fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let decimal = text.bytes().all(|b| b.is_ascii_digit() || b"+-.".contains(&b)) && text.len() <= 24;
        match text.parse::<f64>() {
            Ok(degrees) if decimal && degrees.abs() <= MAX as f64 => Ok(Degrees(text.to_owned())),
            _ => Err(format!("must be a number from -{MAX} to {MAX}")),
        }
    }
}

/// A JSON object in a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Json<const MAX: usize>(pub String);

impl<const MAX: usize> Value for Json<MAX> {
    const SHAPE: Shape = Shape::text(MAX, "{}").format("json");
    fn read(text: &str) -> Result<Self, String> {
        let text = plain(text, MAX)?;
        match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
            Ok(_) => Ok(Json(text.to_owned())),
            Err(_) => Err("must be a JSON object".to_owned()),
        }
    }
}

/// The key pair of a bucket, in either of the document's spellings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessInfo {
    /// The key's id.
    pub key_id: String,
    /// Its secret.
    pub secret: pii::Secret,
}

impl From<AccessInfo> for BucketKey {
    fn from(access: AccessInfo) -> BucketKey {
        BucketKey { id: access.key_id, secret: access.secret }
    }
}

impl Value for AccessInfo {
    const SHAPE: Shape = Shape::text(1024, r#"{"AccessKeyId":"demo","AccessKeySecret":"demo"}"#).format("json");
    fn read(text: &str) -> Result<Self, String> {
        let text = plain(text, 1024)?;
        let wrong = || r#"must be a JSON object like {"AccessKeyId":"…","AccessKeySecret":"…"}"#.to_owned();
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(|_| wrong())?;
        let field = |names: [&str; 2]| {
            let value = names.iter().find_map(|n| object.get(*n)).and_then(|v| v.as_str()).unwrap_or_default();
            let good = !value.is_empty() && value.len() <= 256 && !value.chars().any(char::is_control);
            good.then(|| value.to_owned()).ok_or_else(wrong)
        };
        Ok(AccessInfo { key_id: field(["AccessKeyId", "key"])?, secret: pii::Secret(field(["AccessKeySecret", "secret"])?) })
    }
}

/// Where an event is told: an `http` or `https` URL; a bare host is taken as `http`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Callback(pub String);

impl Value for Callback {
    const SHAPE: Shape = Shape::text(512, "http://example.com/callback").format("uri");
    fn read(text: &str) -> Result<Self, String> {
        let text = plain(text, 512)?;
        let wrong = || "must be an http or https URL without user name and fragment".to_owned();
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: http::Uri = url.parse().map_err(|_| wrong())?;
        let scheme = uri.scheme_str().is_some_and(|s| s == "http" || s == "https");
        let host = uri.host().is_some_and(|h| !h.is_empty());
        let bare = uri.authority().is_some_and(|a| !a.as_str().contains('@'));
        match scheme && host && bare && !url.contains(['#', '\\']) && !url.contains(char::is_whitespace) {
            // As it was given: what is described later is what was set.
            true => Ok(Callback(text.to_owned())),
            false => Err(wrong()),
        }
    }
}

/// "must be one of a, b".
pub fn one_of(words: &[&str]) -> String {
    format!("must be one of {}", words.join(", "))
}

macro_rules! words {
    ($($type:ty),*) => {$(
        impl Value for $type {
            const SHAPE: Shape = Shape::word(<$type>::WORDS);
            fn read(text: &str) -> Result<Self, String> {
                text.trim().to_ascii_lowercase().parse().map_err(|_| one_of(<$type>::WORDS))
            }
        }
    )*};
}
words!(
    group::InProtocol,
    group::OutProtocol,
    device::Kind,
    device::Status,
    template::Kind,
    template::Trigger,
    binding::InstanceType,
    upper::Transport,
    upper::Edition
);

macro_rules! sets {
    ($($set:ty, $word:ty);*) => {$(
        impl Value for $set {
            const SHAPE: Shape = Shape::word(<$word>::WORDS).list();
            fn read(text: &str) -> Result<Self, String> {
                let wrong = |_| format!("must be one or more of {}", <$word>::WORDS.join(", "));
                items(text, 16)?.iter().map(|word| word.to_ascii_lowercase().parse::<$word>().map_err(wrong)).collect()
            }
        }
    )*};
}
sets!(group::OutProtocols, group::OutProtocol; template::Formats, record::Format);

macro_rules! small_words {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $word:literal),+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[doc = $vdoc])+ $variant,)+
        }
        impl Value for $name {
            const SHAPE: Shape = Shape::word(&[$($word),+]);
            fn read(text: &str) -> Result<Self, String> {
                match text.trim().to_ascii_lowercase().as_str() {
                    $($word => Ok($name::$variant),)+
                    _ => Err(one_of(&[$($word),+])),
                }
            }
        }
    )+};
}
small_words! {
    /// The direction of a sorting.
    Direction {
        /// Upwards.
        Asc = "asc",
        /// Downwards.
        Desc = "desc"
    }
    /// A state that is one of two.
    OnOff {
        /// On.
        On = "on",
        /// Off.
        Off = "off"
    }
    /// What kind of stored file.
    RecordType {
        /// Recordings.
        Record = "record",
        /// Pictures.
        Snapshot = "snapshot"
    }
    /// What a play URL opens.
    PlayType {
        /// What is sent now.
        Live = "live",
        /// A recording of the device.
        Vod = "vod"
    }
    /// How a voice comes to a device.
    VoiceMode {
        /// The device is told and calls us.
        Broadcast = "broadcast",
        /// We call the device.
        Talk = "talk"
    }
    /// What to do with a playback.
    PlaybackCommand {
        /// Stop sending for a while.
        Pause = "pause",
        /// Go on.
        Resume = "resume",
        /// Go on elsewhere.
        Seek = "seek",
        /// Go on faster or slower.
        Speed = "speed"
    }
    /// Which way traffic goes.
    Way {
        /// To us.
        Up = "up",
        /// From us.
        Down = "down"
    }
    /// Formats of recordings in statistics.
    RecordFormat {
        /// MP4.
        Mp4 = "mp4",
        /// FLV.
        Flv = "flv",
        /// HLS.
        Hls = "hls"
    }
}

/// The kinds of alarm that are subscribed to: 0 (all), 5 (video), 7 (others).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlarmMethods(pub String);

impl Value for AlarmMethods {
    const SHAPE: Shape = Shape::word(&["0", "5", "7"]).list();
    fn read(text: &str) -> Result<Self, String> {
        let items = items(text, 8)?;
        match items.iter().all(|item| ["0", "5", "7"].contains(&item.as_str())) {
            true => Ok(AlarmMethods(items.join(","))),
            false => Err("must be one or more of 0, 5, 7".to_owned()),
        }
    }
}

/// The field that a list is sorted by; each list knows its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortBy(pub String);

impl Value for SortBy {
    const SHAPE: Shape = Shape::text(32, "id");
    fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            true => Ok(SortBy(text.to_owned())),
            false => Err("must be the name of a field".to_owned()),
        }
    }
}

/// The direction of a sorting, upwards where it is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortDirection(pub Direction);

impl Value for SortDirection {
    const SHAPE: Shape = Direction::SHAPE.default("asc");
    fn read(text: &str) -> Result<Self, String> {
        Direction::read(text).map(SortDirection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_both_forms() {
        assert_eq!(Ids::read("1, 2,2,,3 ").unwrap().0, ["1", "2", "3"]);
        assert_eq!(Names::read(r#"["a,b", 7, "a,b"]"#).unwrap().0, ["a,b", "7", "a,b"]);
        for wrong in ["[", "[{}]", "[[1]]", ",", "[]", r#"["a\u0000"]"#] {
            assert!(Names::read(wrong).is_err(), "{wrong}");
        }
        let many = (0..101).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        assert!(Ids::read(&many).unwrap_err().contains("100"));
    }

    #[test]
    fn words_that_are_not_the_type_are_refused() {
        assert!(["TRUE", "1", "True"].iter().all(|t| bool::read(t) == Ok(true)));
        assert!(["false", "0", "FALSE"].iter().all(|t| bool::read(t) == Ok(false)));
        assert!(["yes", "2", "-1", "truee"].iter().all(|t| bool::read(t).is_err()));
        assert!(["0", "101", "-1", "1e1", "", "99999999999999999999", "１"].iter().all(|t| PageSize::read(t).is_err()));
        assert!(["3402000000132000000", "3402000000132000000x", "340200000013200000011"].iter().all(|t| GbId::read(t).is_err()));
        assert!(["181", "nan", "inf", "1e1", "", "--1"].iter().all(|t| Degrees::<180>::read(t).is_err()));
        assert!(["a b", "a/b", "..", "", "视频"].iter().all(|t| App::read(t).is_err()));
        assert!(["a_b", "a b", "1.2.3.4/", "[::1]"].iter().all(|t| Host::read(t).is_err()));
        assert_eq!(Text::<3>::read(" 视频监 ").unwrap().0, "视频监");
        assert!(Text::<3>::read("视频监控").is_err() && Text::<9>::read("a\nb").is_err() && Text::<9>::read("a\u{85}b").is_err());
    }

    #[test]
    fn callbacks_are_urls() {
        for good in ["my.callback.com", "http://a/b?c=d", "https://a.b:8443/", "http://[2001:db8::1]:80/x"] {
            assert_eq!(Callback::read(good).unwrap().0, good);
        }
        for wrong in [
            "ftp://a/",
            "http://",
            "http:///x",
            "http://u:p@a/",
            "http://a/#b",
            "file:///etc/passwd",
            "http://a b/",
            "gopher://x",
            "http://a\\b",
        ] {
            assert!(Callback::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bucket_keys_come_in_both_spellings() {
        let read = |text| AccessInfo::read(text).map(|a| (a.key_id, a.secret.0));
        assert_eq!(read(r#"{"key":"1","secret":"2"}"#), Ok(("1".into(), "2".into())));
        assert_eq!(read(r#"{"AccessKeyId":"1","AccessKeySecret":"2"}"#), Ok(("1".into(), "2".into())));
        for wrong in ["xxxx", "{}", r#"{"key":"1"}"#, r#"{"key":1,"secret":2}"#, "[]"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(!format!("{:?}", AccessInfo::read(r#"{"key":"1","secret":"hidden"}"#).unwrap()).contains("hidden"));
    }
}
