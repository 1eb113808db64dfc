//! Playback control: the RTSP-like body of INFO (annex B).

use std::fmt;

/// The content type.
pub const TYPE: &str = "Application/MANSRTSP";

/// What a player wants of a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Command {
    /// Stop sending for a while.
    Pause,
    /// Go on from where it was paused.
    Resume,
    /// Go on at so many seconds from the start of what was asked for; the speed stays.
    Seek(f64),
    /// Send so many times faster; negative runs backwards (2022).
    Scale(f64),
    /// End.
    Teardown,
}

/// The answer in the body of the INFO's 200, which many devices leave out.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reply {
    /// The RTSP status.
    pub status: u16,
    /// The first RTP sequence number after the change.
    pub seq: Option<u16>,
    /// The first RTP time stamp after the change.
    pub rtptime: Option<u32>,
}

impl Command {
    /// The body, numbered.
    pub fn write(&self, number: u32) -> String {
        match self {
            Command::Pause => format!("PAUSE RTSP/1.0\r\nCSeq: {number}\r\nPauseTime: now\r\n"),
            Command::Resume => format!("PLAY RTSP/1.0\r\nCSeq: {number}\r\nRange: npt=now-\r\n"),
            Command::Seek(seconds) => format!("PLAY RTSP/1.0\r\nCSeq: {number}\r\nRange: npt={}-\r\n", Number(*seconds)),
            Command::Scale(scale) => format!("PLAY RTSP/1.0\r\nCSeq: {number}\r\nScale: {scale:?}\r\n"),
            Command::Teardown => format!("TEARDOWN RTSP/1.0\r\nCSeq: {number}\r\n"),
        }
    }

    /// Reads a body and its number; `RTSP/1.0` and the 2016 edition's `MANSRTSP/1.0` alike. A Scale beside a Range is a change of
    /// speed unless the range seeks.
    pub fn parse(body: &str) -> Option<(Command, u32)> {
        let mut lines = body.lines();
        let method = lines.next()?.split_whitespace().next()?.to_ascii_uppercase();
        let (mut number, mut range, mut scale) = (0, None, None);
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.trim().to_ascii_lowercase().as_str() {
                "cseq" => number = value.trim().parse().unwrap_or(0),
                "scale" => scale = value.trim().parse::<f64>().ok().filter(|scale| scale.is_finite()),
                "range" => range = Some(value.trim().to_ascii_lowercase()),
                _ => {}
            }
        }
        let seek = range.as_deref().and_then(npt);
        let command = match (method.as_str(), seek, scale) {
            ("PAUSE", ..) => Command::Pause,
            ("TEARDOWN", ..) => Command::Teardown,
            ("PLAY", _, Some(scale)) if seek.is_none_or(|at| at == 0.0) => Command::Scale(scale),
            ("PLAY", Some(at), _) => Command::Seek(at),
            ("PLAY", None, _) => Command::Resume,
            _ => return None,
        };
        Some((command, number))
    }
}

/// The start of `npt=100-`; `npt=now-` is none.
fn npt(range: &str) -> Option<f64> {
    let start = range.strip_prefix("npt=")?.split('-').next()?.trim();
    start.parse().ok().filter(|at: &f64| at.is_finite() && *at >= 0.0)
}

impl Reply {
    /// Reads `RTSP/1.0 200 OK` and `RTP-Info`; an empty body is a plain yes.
    pub fn parse(body: &str) -> Reply {
        let mut reply = Reply { status: 200, ..Reply::default() };
        for (at, line) in body.lines().enumerate() {
            if at == 0 {
                reply.status = line.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or(200);
            } else if let Some((name, value)) = line.split_once(':')
                && name.trim().eq_ignore_ascii_case("RTP-Info")
            {
                for (key, value) in crate::proto::sip::params::Params::new(value, ';') {
                    match key.to_ascii_lowercase().as_str() {
                        "seq" => reply.seq = value.parse().ok(),
                        "rtptime" => reply.rtptime = value.parse().ok(),
                        _ => {}
                    }
                }
            }
        }
        reply
    }

    /// The body.
    pub fn write(&self, number: u32) -> String {
        let mut text = format!("RTSP/1.0 {} {}\r\nCSeq: {number}\r\n", self.status, crate::proto::sip::message::reason(self.status));
        if let (Some(seq), Some(rtptime)) = (self.seq, self.rtptime) {
            text += &format!("RTP-Info: seq={seq};rtptime={rtptime}\r\n");
        }
        text
    }
}

/// Whole seconds without a fraction, as devices expect them.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.fract() == 0.0 {
            true => write!(f, "{}", self.0 as i64),
            false => write!(f, "{:.3}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sip::fixtures;

    #[test]
    fn the_sheets_bodies() {
        for (name, command, number) in [
            ("66_info_scale", Command::Scale(2.0), 3),
            ("67_info_seek", Command::Seek(100.0), 4),
            ("68_info_pause", Command::Pause, 5),
            ("69_info_resume", Command::Resume, 6),
            ("70_info_teardown", Command::Teardown, 7),
        ] {
            let body = fixtures::request(name).body;
            assert_eq!(command.write(number).as_bytes(), body, "{name}");
            assert_eq!(Command::parse(std::str::from_utf8(&body).unwrap()), Some((command, number)), "{name}");
        }
        let body = fixtures::response("67_info_seek_200").body;
        let reply = Reply::parse(std::str::from_utf8(&body).unwrap());
        assert_eq!(reply, Reply { status: 200, seq: Some(18139), rtptime: Some(3_119_600_838) });
    }

    #[test]
    fn other_spellings() {
        for (body, command) in [
            ("PLAY MANSRTSP/1.0\nCSeq:2\nScale:0.5\nRange: npt=0-\n", Command::Scale(0.5)),
            ("play RTSP/1.0\r\nrange : NPT=12.5-60\r\nScale: 1\r\n", Command::Seek(12.5)),
            ("PLAY RTSP/1.0\r\nScale: -1.0\r\n", Command::Scale(-1.0)),
            ("PLAY RTSP/1.0\r\n", Command::Resume),
        ] {
            assert_eq!(Command::parse(body).map(|(command, _)| command), Some(command), "{body}");
        }
        for body in ["", "DESCRIBE x", "SETUP"] {
            assert_eq!(Command::parse(body), None, "{body}");
        }
        assert_eq!(Command::parse("PLAY R\r\nScale: inf\r\nRange: npt=-5-").unwrap().0, Command::Resume);
        assert_eq!(Reply::parse("").status, 200);
        assert_eq!(Reply::parse("MANSRTSP/1.0 455 Method Not Valid").status, 455);
    }
}
