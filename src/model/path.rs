//! Path templates of files: text with variables in braces, checked when they are given, filled in when a file is named.

use crate::model::time::Time;
use crate::model::word::words;
use serde::{Deserialize, Serialize};
use std::fmt;

words! {
    /// A variable of a path template.
    Variable {
        /// The application of the stream.
        AppName = "AppName",
        /// The stream's name.
        StreamName = "StreamName",
        /// Counts the files of a run.
        Sequence = "Sequence",
        /// Seconds since 1970 at the start.
        UnixTimestamp = "UnixTimestamp",
        /// The start, `YYYY-MM-DD-hh-mm-ss` in UTC.
        EscapedStartTime = "EscapedStartTime",
        /// The end, likewise.
        EscapedEndTime = "EscapedEndTime",
    }
}

/// Which parameter a path template is; each has its own variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// `Mp4`.
    Mp4,
    /// `Flv`.
    Flv,
    /// `HlsM3u8`.
    HlsM3u8,
    /// `HlsTs`.
    HlsTs,
    /// `JpgOverwrite`.
    JpgOverwrite,
    /// `JpgSequence`.
    JpgSequence,
}

use Variable::{AppName, EscapedEndTime, EscapedStartTime, Sequence, StreamName, UnixTimestamp};

impl Purpose {
    /// The name of the parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Mp4 => "Mp4",
            Purpose::Flv => "Flv",
            Purpose::HlsM3u8 => "HlsM3u8",
            Purpose::HlsTs => "HlsTs",
            Purpose::JpgOverwrite => "JpgOverwrite",
            Purpose::JpgSequence => "JpgSequence",
        }
    }

    /// The variables that it may use.
    pub fn allowed(self) -> &'static [Variable] {
        match self {
            Purpose::Mp4 | Purpose::Flv | Purpose::HlsM3u8 => &[AppName, StreamName, Sequence, EscapedStartTime, EscapedEndTime],
            Purpose::HlsTs | Purpose::JpgSequence => &[AppName, StreamName, UnixTimestamp, Sequence],
            Purpose::JpgOverwrite => &[AppName, StreamName],
        }
    }

    /// The variables that it must use: of each row at least one.
    pub fn mandatory(self) -> &'static [&'static [Variable]] {
        match self {
            Purpose::Mp4 | Purpose::Flv | Purpose::HlsM3u8 => &[&[EscapedStartTime], &[EscapedEndTime]],
            Purpose::HlsTs => &[&[UnixTimestamp], &[Sequence]],
            Purpose::JpgSequence => &[&[UnixTimestamp, Sequence]],
            // Without it all streams would share one picture.
            Purpose::JpgOverwrite => &[&[StreamName]],
        }
    }

    /// How the files' names end.
    pub fn extension(self) -> &'static str {
        match self {
            Purpose::Mp4 => ".mp4",
            Purpose::Flv => ".flv",
            Purpose::HlsM3u8 => ".m3u8",
            Purpose::HlsTs => ".ts",
            Purpose::JpgOverwrite | Purpose::JpgSequence => ".jpg",
        }
    }

    fn default_text(self) -> &'static str {
        match self {
            Purpose::Mp4 | Purpose::Flv | Purpose::HlsM3u8 => "record/{AppName}/{StreamName}/{EscapedStartTime}_{EscapedEndTime}",
            Purpose::HlsTs => "record/{AppName}/{StreamName}/{UnixTimestamp}_{Sequence}",
            Purpose::JpgOverwrite => "snapshot/{AppName}/{StreamName}",
            Purpose::JpgSequence => "snapshot/{AppName}/{StreamName}/{UnixTimestamp}_{Sequence}",
        }
    }
}

/// Why a text is not a path template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// More than [`PathTemplate::MAX`] bytes.
    #[error("longer than {} bytes", PathTemplate::MAX)]
    TooLong,
    /// It starts with `/`.
    #[error("absolute paths are not allowed")]
    Absolute,
    /// A segment is empty, `.` or `..`.
    #[error("the path segment {0:?} is not allowed")]
    Segment(String),
    /// A character that cannot stand in a file name everywhere.
    #[error("the character {0:?} is not allowed")]
    Character(char),
    /// A brace that is not closed, or not opened.
    #[error("braces do not match")]
    Brace,
    /// A variable that is not known here.
    #[error("the variable {{{0}}} is not known here: {1} are")]
    Unknown(String, String),
    /// A variable that must be there.
    #[error("{0} must be in the path")]
    Missing(String),
}

/// A checked path template. Its text does not tell its [`Purpose`]; whoever keeps it knows.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PathTemplate(String);

/// What the variables stand for.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// `{AppName}`.
    pub app: &'a str,
    /// `{StreamName}`.
    pub stream: &'a str,
    /// `{Sequence}`.
    pub sequence: u64,
    /// `{UnixTimestamp}`, `{EscapedStartTime}`.
    pub start: Time,
    /// `{EscapedEndTime}`.
    pub end: Time,
}

enum Part<'a> {
    Text(&'a str),
    Variable(&'a str),
}

impl PathTemplate {
    /// The longest template, in bytes.
    pub const MAX: usize = 512;

    /// Checks a template.
    pub fn parse(purpose: Purpose, text: &str) -> Result<PathTemplate, BadPath> {
        let used = PathTemplate::check(purpose, text)?;
        match purpose.mandatory().iter().find(|row| !row.iter().any(|v| used.contains(v))) {
            Some(row) => Err(BadPath::Missing(list(row, " or "))),
            None => Ok(PathTemplate(text.to_owned())),
        }
    }

    /// Checks a template that a document prescribes: it may do without variables that must be there elsewhere.
    pub fn named(purpose: Purpose, text: &str) -> Result<PathTemplate, BadPath> {
        PathTemplate::check(purpose, text).map(|_| PathTemplate(text.to_owned()))
    }

    /// The variables that it uses.
    fn check(purpose: Purpose, text: &str) -> Result<Vec<Variable>, BadPath> {
        if text.len() > PathTemplate::MAX {
            return Err(BadPath::TooLong);
        }
        if text.starts_with('/') {
            return Err(BadPath::Absolute);
        }
        let mut used = Vec::new();
        for part in parts(text) {
            match part? {
                Part::Text(text) => check_text(text)?,
                Part::Variable(name) => used.push(check_variable(purpose, name)?),
            }
        }
        if let Some(segment) = text.split('/').find(|s| s.is_empty() || s.trim_matches(['.', ' ']).is_empty()) {
            return Err(BadPath::Segment(segment.to_owned()));
        }
        Ok(used)
    }

    /// What an empty parameter means.
    pub fn default_of(purpose: Purpose) -> PathTemplate {
        PathTemplate(purpose.default_text().to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether files of two streams have two names.
    pub fn names_stream(&self) -> bool {
        self.0.contains("{StreamName}")
    }

    /// Fills in the variables and adds the extension where the template has none. The result is a relative path whose segments
    /// are neither empty nor `.` nor `..`, whatever the names hold.
    pub fn expand(&self, purpose: Purpose, values: &Values<'_>) -> String {
        let mut path = String::with_capacity(self.0.len() + 64);
        for part in parts(&self.0).flatten() {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Variable(name) => match name.parse() {
                    Ok(AppName) => push_name(&mut path, values.app),
                    Ok(StreamName) => push_name(&mut path, values.stream),
                    Ok(Sequence) => path.push_str(&values.sequence.to_string()),
                    Ok(UnixTimestamp) => path.push_str(&values.start.as_secs().to_string()),
                    Ok(EscapedStartTime) => path.push_str(&values.start.escaped()),
                    Ok(EscapedEndTime) => path.push_str(&values.end.escaped()),
                    Err(_) => {}
                },
            }
        }
        let mut path = path.split('/').map(segment).collect::<Vec<_>>().join("/");
        if !path.to_ascii_lowercase().ends_with(purpose.extension()) {
            path.push_str(purpose.extension());
        }
        path
    }
}

/// A filled-in segment; one of dots alone would climb.
fn segment(text: &str) -> &str {
    if text.trim_matches(['.', ' ']).is_empty() { "_" } else { text }
}

/// A name inside a path: it cannot open a directory or hold what a file system refuses.
fn push_name(path: &mut String, name: &str) {
    path.extend(name.chars().map(|c| if c == '/' || check_char(c).is_err() { '_' } else { c }));
}

fn parts(text: &str) -> impl Iterator<Item = Result<Part<'_>, BadPath>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(inside) = rest.strip_prefix('{') {
            let Some((name, after)) = inside.split_once('}') else {
                rest = "";
                return Some(Err(BadPath::Brace));
            };
            rest = after;
            return Some(Ok(Part::Variable(name)));
        }
        let end = rest.find('{').unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(if text.contains('}') { Err(BadPath::Brace) } else { Ok(Part::Text(text)) })
    })
}

fn check_variable(purpose: Purpose, name: &str) -> Result<Variable, BadPath> {
    let known = name.parse().ok().filter(|v| purpose.allowed().contains(v));
    known.ok_or_else(|| BadPath::Unknown(name.chars().take(64).collect(), list(purpose.allowed(), ", ")))
}

fn check_text(text: &str) -> Result<(), BadPath> {
    text.chars().try_for_each(check_char)
}

fn check_char(c: char) -> Result<(), BadPath> {
    let bad = c.is_control() || "\\:*?\"<>|#%{}".contains(c) || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}');
    if bad { Err(BadPath::Character(c)) } else { Ok(()) }
}

fn list(variables: &[Variable], between: &str) -> String {
    variables.iter().map(|v| format!("{{{v}}}")).collect::<Vec<_>>().join(between)
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Purpose; 6] = [Purpose::Mp4, Purpose::Flv, Purpose::HlsM3u8, Purpose::HlsTs, Purpose::JpgOverwrite, Purpose::JpgSequence];

    #[test]
    fn the_documents_examples_are_taken() {
        for (purpose, text) in [
            (Purpose::Mp4, "{EscapedStartTime}_{EscapedEndTime}"),
            (Purpose::HlsTs, "{Sequence}_{UnixTimestamp}"),
            (Purpose::JpgOverwrite, "{AppName}_{StreamName}.jpg"),
            (Purpose::JpgOverwrite, "{StreamName}"),
            (Purpose::JpgSequence, "{StreamName}_{UnixTimestamp}.jpg"),
            (Purpose::JpgSequence, "录像/{StreamName}/{Sequence}"),
        ] {
            assert!(PathTemplate::parse(purpose, text).is_ok(), "{text}");
        }
        for purpose in ALL {
            let text = PathTemplate::default_of(purpose);
            assert_eq!(PathTemplate::parse(purpose, text.as_str()), Ok(text.clone()), "{purpose:?}");
            assert!(text.names_stream());
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let both = "{EscapedStartTime}_{EscapedEndTime}";
        let mp4 = |text: &str| PathTemplate::parse(Purpose::Mp4, text).unwrap_err();
        assert_eq!(mp4("{EscapedStartTime}"), BadPath::Missing("{EscapedEndTime}".to_owned()));
        assert!(matches!(mp4(&format!("{both}{{UnixTimestamp}}")), BadPath::Unknown(name, _) if name == "UnixTimestamp"));
        assert!(matches!(mp4(&format!("{both}{{Nothing}}")), BadPath::Unknown(..)));
        assert_eq!(mp4(&format!("/{both}")), BadPath::Absolute);
        for (text, segment) in [("../", ".."), ("a/../", ".."), ("a/./", "."), ("a//", ""), ("... /", "... ")] {
            assert_eq!(mp4(&format!("{text}{both}")), BadPath::Segment(segment.to_owned()), "{text}");
        }
        for (text, c) in [("a\n", '\n'), ("a\\", '\\'), ("a\0", '\0'), ("c:", ':'), ("%2e%2e/", '%'), ("\u{202e}", '\u{202e}')] {
            assert_eq!(mp4(&format!("{text}{both}")), BadPath::Character(c), "{text:?}");
        }
        for text in ["{EscapedStartTime", "EscapedStartTime}", "{", "}", "{}{", "{{AppName}}"] {
            assert!(matches!(mp4(text), BadPath::Brace | BadPath::Unknown(..)), "{text}");
        }
        assert_eq!(mp4(&"x".repeat(600)), BadPath::TooLong);
        let either = PathTemplate::parse(Purpose::JpgSequence, "{StreamName}").unwrap_err();
        assert_eq!(either.to_string(), "{UnixTimestamp} or {Sequence} must be in the path");
    }

    #[test]
    fn variables_are_filled_in() {
        let values =
            Values {
                app: "live", stream: "门口", sequence: 3, start: Time::from_secs(1_551_373_217), end: Time::from_secs(1_551_376_817)
            };
        let mp4 = PathTemplate::parse(Purpose::Mp4, "{AppName}/{StreamName}/{EscapedStartTime}_{EscapedEndTime}").unwrap();
        assert_eq!(mp4.expand(Purpose::Mp4, &values), "live/门口/2019-02-28-17-00-17_2019-02-28-18-00-17.mp4");
        let jpg = PathTemplate::parse(Purpose::JpgSequence, "{StreamName}_{UnixTimestamp}-{Sequence}.JPG").unwrap();
        assert_eq!(jpg.expand(Purpose::JpgSequence, &values), "门口_1551373217-3.JPG");
    }

    #[test]
    fn names_cannot_climb_out() {
        let jpg = PathTemplate::parse(Purpose::JpgOverwrite, "{AppName}/{StreamName}/x").unwrap();
        for name in ["..", "../..", "/etc", "a/b", ".", "", "\0", "a\\..\\b", ". ."] {
            let values = Values { app: name, stream: name, sequence: 0, start: Time(0), end: Time(0) };
            let path = jpg.expand(Purpose::JpgOverwrite, &values);
            let segments: Vec<_> = path.split('/').collect();
            assert_eq!(segments.len(), 3, "{name:?} → {path:?}");
            assert!(segments.iter().all(|s| !s.trim_matches(['.', ' ']).is_empty()), "{name:?} → {path:?}");
            assert!(!path.contains(['\0', '\\']), "{path:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_refused_or_stays_inside(text in "\\PC{0,40}|[{}./A-Za-z\\\\]{0,60}", name in "\\PC{0,20}") {
            for purpose in ALL {
                if let Ok(template) = PathTemplate::parse(purpose, &text) {
                    let values = Values { app: &name, stream: &name, sequence: 1, start: Time(0), end: Time(0) };
                    let path = template.expand(purpose, &values);
                    assert!(!path.starts_with('/') && path.split('/').all(|s| !s.is_empty() && s != "." && s != ".."), "{path:?}");
                }
            }
        }
    }
}
