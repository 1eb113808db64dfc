//! SDP with the lines of annex G (`y=`, `f=`) and in the order that devices insist on; read whatever the order.

use super::ssrc::Ssrc;
use std::fmt::Write;
use std::net::IpAddr;

/// The content type.
pub const TYPE: &str = "application/sdp";

/// What a call is for: `s=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Purpose {
    /// Live pictures.
    #[default]
    Play,
    /// A recording, at the pace of watching.
    Playback,
    /// A recording, as fast as it goes.
    Download,
    /// Voice towards the device (2016 only).
    Talk,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Purpose::Play => "Play",
            Purpose::Playback => "Playback",
            Purpose::Download => "Download",
            Purpose::Talk => "Talk",
        }
    }

    /// Whether the SSRC begins with 0.
    pub fn is_live(self) -> bool {
        matches!(self, Purpose::Play | Purpose::Talk)
    }
}

/// How media travels, seen from whoever wrote the SDP (`a=setup` describes its writer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Carriage {
    /// RTP in datagrams.
    #[default]
    Udp,
    /// The writer waits for a connection.
    TcpPassive,
    /// The writer connects.
    TcpActive,
}

impl Carriage {
    /// Whether it is a connection.
    pub fn is_tcp(self) -> bool {
        self != Carriage::Udp
    }

    /// What the other side must answer.
    pub fn opposite(self) -> Carriage {
        match self {
            Carriage::Udp => Carriage::Udp,
            Carriage::TcpPassive => Carriage::TcpActive,
            Carriage::TcpActive => Carriage::TcpPassive,
        }
    }
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The writer receives.
    RecvOnly,
    /// The writer sends.
    SendOnly,
    /// Both.
    SendRecv,
}

/// One `a=rtpmap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The payload type.
    pub number: u8,
    /// `PS`, `H264`, `PCMA`, a vendor's own.
    pub encoding: String,
    /// The clock.
    pub rate: u32,
}

/// A session description.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Description {
    /// The user of `o=`: the writer's id.
    pub owner: String,
    /// `s=`; `None` if it is none of ours.
    pub purpose: Option<Purpose>,
    /// `u=`, of recordings: `channel:kind`.
    pub uri: Option<String>,
    /// `c=`: the host of the media; empty with some devices.
    pub host: String,
    /// `t=`: Unix seconds; 0 0 is live.
    pub time: (u64, u64),
    /// Whether `m=` says audio.
    pub audio: bool,
    /// The port of `m=`.
    pub port: u16,
    /// How it travels.
    pub carriage: Carriage,
    /// The numbers of `m=`, in order.
    pub formats: Vec<u8>,
    /// Their meaning, where it is told.
    pub payloads: Vec<Payload>,
    /// Who sends.
    pub direction: Option<Direction>,
    /// 0 main, 1 sub, …
    pub stream: Option<u8>,
    /// How fast a download goes.
    pub speed: Option<u8>,
    /// The bytes of a download; only where it is known.
    pub file_size: Option<u64>,
    /// `y=`.
    pub ssrc: Option<Ssrc>,
    /// `f=`, a hint and often wrong.
    pub format: Option<String>,
    /// Further `a=` lines, as written.
    pub attributes: Vec<String>,
}

/// The payloads that we offer to take, in the standard's order.
pub const OFFERED: [(u8, &str); 4] = [(96, "PS"), (98, "H264"), (97, "MPEG4"), (100, "H265")];

/// The longer list that some NVR channels want before they answer at all.
pub const OFFERED_SENIOR: [(u8, &str); 7] =
    [(96, "PS"), (126, "H264"), (125, "H264S"), (99, "H265"), (34, "H263"), (98, "H264"), (97, "MPEG4")];

impl Description {
    /// The receiver's description of video from anything that we understand.
    pub fn offer(owner: &str, purpose: Purpose, host: IpAddr, port: u16, carriage: Carriage) -> Description {
        let payload = |(number, encoding): &(u8, &str)| Payload { number: *number, encoding: (*encoding).to_owned(), rate: 90_000 };
        Description {
            owner: owner.to_owned(),
            purpose: Some(purpose),
            host: host.to_string(),
            port,
            carriage,
            formats: OFFERED.iter().map(|(number, _)| *number).collect(),
            payloads: OFFERED.iter().map(payload).collect(),
            direction: Some(Direction::RecvOnly),
            ..Description::default()
        }
    }

    /// With the longer payload list.
    pub fn senior(mut self) -> Description {
        self.formats = OFFERED_SENIOR.iter().map(|(number, _)| *number).collect();
        self.payloads = OFFERED_SENIOR
            .iter()
            .map(|(number, encoding)| Payload { number: *number, encoding: (*encoding).to_owned(), rate: 90_000 })
            .collect();
        self
    }

    /// A description of G.711 A-law sound, sent or received.
    pub fn voice(owner: &str, host: IpAddr, port: u16, carriage: Carriage, direction: Direction) -> Description {
        Description {
            owner: owner.to_owned(),
            purpose: Some(Purpose::Play),
            host: host.to_string(),
            audio: true,
            port,
            carriage,
            formats: vec![8],
            payloads: vec![Payload { number: 8, encoding: "PCMA".to_owned(), rate: 8000 }],
            direction: Some(direction),
            format: Some("v/////a/1/8/1".to_owned()),
            ..Description::default()
        }
    }

    /// The text, in the order v o s u c t m a y f: Hikvision and others answer 400 or 415 to another.
    pub fn write(&self) -> String {
        let mut out = String::with_capacity(400);
        let family = if self.host.contains(':') { "IP6" } else { "IP4" };
        let mut line = |text: std::fmt::Arguments<'_>| {
            // writing to a String cannot fail
            let _ = out.write_fmt(text);
            out.push_str("\r\n");
        };
        line(format_args!("v=0"));
        let owner = if self.owner.is_empty() { "-" } else { self.owner.as_str() }; // RFC 4566 section 5.2
        line(format_args!("o={owner} 0 0 IN {family} {}", self.host));
        line(format_args!("s={}", self.purpose.unwrap_or_default().as_str()));
        if let Some(uri) = &self.uri {
            line(format_args!("u={uri}"));
        }
        line(format_args!("c=IN {family} {}", self.host));
        line(format_args!("t={} {}", self.time.0, self.time.1));
        let kind = if self.audio { "audio" } else { "video" };
        let profile = if self.carriage.is_tcp() { "TCP/RTP/AVP" } else { "RTP/AVP" };
        let formats = self.formats.iter().fold(String::new(), |list, number| format!("{list} {number}"));
        line(format_args!("m={kind} {} {profile}{formats}", self.port));
        match self.direction {
            Some(Direction::RecvOnly) => line(format_args!("a=recvonly")),
            Some(Direction::SendOnly) => line(format_args!("a=sendonly")),
            Some(Direction::SendRecv) => line(format_args!("a=sendrecv")),
            None => {}
        }
        for payload in &self.payloads {
            line(format_args!("a=rtpmap:{} {}/{}", payload.number, payload.encoding, payload.rate));
        }
        if self.carriage.is_tcp() {
            let setup = if self.carriage == Carriage::TcpPassive { "passive" } else { "active" };
            line(format_args!("a=setup:{setup}"));
            line(format_args!("a=connection:new"));
        }
        if let Some(speed) = self.speed {
            line(format_args!("a=downloadspeed:{speed}"));
        }
        if let Some(size) = self.file_size {
            line(format_args!("a=filesize:{size}"));
        }
        if let Some(stream) = self.stream {
            line(format_args!("a=streamnumber:{stream}"));
        }
        for attribute in &self.attributes {
            line(format_args!("a={attribute}"));
        }
        if let Some(ssrc) = self.ssrc {
            line(format_args!("y={ssrc}"));
        }
        if let Some(format) = &self.format {
            line(format_args!("f={format}"));
        }
        out
    }

    /// Reads whatever there is; `None` if there is no `m=` line.
    pub fn parse(body: &[u8]) -> Option<Description> {
        let text = super::charset::decode(body);
        let mut found = Description::default();
        let mut media = 0;
        for line in text.lines().take(500) {
            let Some((key, value)) = line.trim().split_once('=') else { continue };
            let value = value.trim();
            match key.trim() {
                "o" => found.owner = value.split_whitespace().next().unwrap_or_default().to_owned(),
                "s" => found.purpose = purpose(value),
                "u" if !value.is_empty() => found.uri = Some(value.to_owned()),
                // `c=IN IP4 ` without an address occurs; so does an address with a port or a TTL
                "c" => {
                    if let Some(host) = value.split_whitespace().nth(2) {
                        found.host = host.split('/').next().unwrap_or_default().to_owned();
                    }
                }
                "t" => found.time = times(value),
                "m" => {
                    media += 1;
                    // a second m= line (audio beside video) is for other standards; a disabled one says port 0
                    if media == 1 || found.port == 0 {
                        found.media(value);
                    }
                }
                "a" => found.attribute(value),
                "y" => found.ssrc = Ssrc::parse(value).or(found.ssrc),
                "f" if !value.is_empty() => found.format = Some(value.to_owned()),
                _ => {}
            }
        }
        (media > 0).then_some(found)
    }

    fn media(&mut self, value: &str) {
        let mut words = value.split_whitespace();
        self.audio = words.next().is_some_and(|kind| kind.eq_ignore_ascii_case("audio"));
        self.port = words.next().and_then(|port| port.split('/').next()?.parse().ok()).unwrap_or(0);
        let profile = words.next().unwrap_or_default().to_ascii_uppercase();
        self.carriage = match (profile.contains("TCP"), self.carriage) {
            (false, _) => Carriage::Udp,
            (true, Carriage::Udp) => Carriage::TcpActive,
            (true, known) => known,
        };
        self.formats = words.filter_map(|number| number.parse().ok()).take(32).collect();
    }

    fn attribute(&mut self, value: &str) {
        let (name, rest) = value.split_once(':').unwrap_or((value, ""));
        let rest = rest.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "recvonly" => self.direction = Some(Direction::RecvOnly),
            "sendonly" => self.direction = Some(Direction::SendOnly),
            "sendrecv" => self.direction = Some(Direction::SendRecv),
            "rtpmap" if self.payloads.len() < 32 => self.payloads.extend(payload(rest)),
            "setup" => match rest.to_ascii_lowercase().as_str() {
                "passive" if self.carriage.is_tcp() => self.carriage = Carriage::TcpPassive,
                "active" | "actpass" if self.carriage.is_tcp() => self.carriage = Carriage::TcpActive,
                _ => {}
            },
            "connection" => {}
            "downloadspeed" => self.speed = rest.parse().ok(),
            // live answers carry 0 or -1 (a vendor's habit): no size is known then
            "filesize" => self.file_size = rest.parse().ok().filter(|size| *size > 0),
            "streamnumber" => self.stream = rest.parse().ok(),
            _ if self.attributes.len() < 64 => self.attributes.push(value.to_owned()),
            _ => {}
        }
    }

    /// What a payload number means: by this description's rtpmap, else by the standard's number.
    pub fn encoding(&self, number: u8) -> Option<&str> {
        let told = self.payloads.iter().find(|payload| payload.number == number).map(|payload| payload.encoding.as_str());
        told.or(match number {
            0 => Some("PCMU"),
            4 => Some("G723"),
            8 => Some("PCMA"),
            9 => Some("G722"),
            18 => Some("G729"),
            20 => Some("SVACA"),
            96 => Some("PS"),
            97 => Some("MPEG4"),
            98 => Some("H264"),
            99 => Some("SVAC"),
            100 => Some("H265"),
            102 => Some("AAC"),
            _ => None,
        })
    }
}

fn purpose(value: &str) -> Option<Purpose> {
    [Purpose::Play, Purpose::Playback, Purpose::Download, Purpose::Talk]
        .into_iter()
        .find(|purpose| value.eq_ignore_ascii_case(purpose.as_str()))
}

fn times(value: &str) -> (u64, u64) {
    let mut numbers = value.split_whitespace().map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn payload(value: &str) -> Option<Payload> {
    let (number, rest) = value.split_once(char::is_whitespace)?;
    let mut parts = rest.trim().split('/');
    let encoding = parts.next()?.trim().to_ascii_uppercase();
    let rate = parts.next().and_then(|rate| rate.trim().parse().ok()).unwrap_or(90_000);
    Some(Payload { number: number.trim().parse().ok()?, encoding, rate })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sip::{Message, fixtures};

    #[test]
    fn the_sheets_descriptions_are_read_and_written_back() {
        for name in fixtures::names() {
            let (headers, body) = match fixtures::message(&name) {
                Message::Request(request) => (request.headers, request.body),
                Message::Response(response) => (response.headers, response.body),
            };
            if headers.get(&crate::proto::sip::Name::ContentType).as_deref() != Some(TYPE) {
                continue;
            }
            let description = Description::parse(&body).unwrap();
            let written = description.write();
            assert_eq!(Description::parse(written.as_bytes()).unwrap(), description, "{name}");
            assert_eq!(sorted(&written), sorted(std::str::from_utf8(&body).unwrap()), "{name}");
        }
    }

    fn sorted(text: &str) -> Vec<&str> {
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort();
        lines
    }

    #[test]
    fn our_offer_is_the_sheets_offer() {
        let mut offer =
            Description::offer("34020000002000000001", Purpose::Playback, "192.0.2.20".parse().unwrap(), 30002, Carriage::TcpPassive);
        offer.uri = Some("34020000001310000001:0".into());
        offer.time = (1_740_758_400, 1_740_762_000);
        offer.ssrc = Some(Ssrc(1_200_000_002));
        assert_eq!(offer.write().as_bytes(), fixtures::request("64_invite_playback_tcp").body);
    }

    #[test]
    fn answers_as_devices_write_them() {
        let read = |text: &str| Description::parse(text.as_bytes()).unwrap();
        let d =
            read("v=0\no=- 0 0 IN IP4 1.1.1.1\ns=PLAY\nc=IN IP4 \nt=0 0\nm=video 15060 TCP/RTP/AVP 96 \na=setup:passive\ny=200000777\n");
        assert_eq!(
            (d.purpose, d.host.as_str(), d.carriage, d.ssrc),
            (Some(Purpose::Play), "", Carriage::TcpPassive, Some(Ssrc(200_000_777)))
        );
        let d = read("m=video 9 RTP/AVP 96\r\na=filesize:-1\r\na=rtpmap:96  DAHUA / 90000\r\ny=\r\nf=\r\n");
        assert_eq!((d.file_size, d.ssrc, d.format.as_deref(), d.encoding(96)), (None, None, None, Some("DAHUA")));
        // y= in front of the attributes, setup in front of m= is the media's all the same
        let d = read("y=0100000001\nm=audio 0 RTP/AVP 0 8\nm=audio 7000/2 RTP/AVP 8\na=recvonly\n");
        assert_eq!((d.audio, d.port, d.formats.as_slice(), d.ssrc), (true, 7000, &[8][..], Some(Ssrc(100_000_001))));
        assert_eq!(read("m=video 5 RTP/AVP 98").encoding(98), Some("H264"));
        assert_eq!(read("m=video 5 RTP/AVP 99\na=rtpmap:99 H265/90000").encoding(99), Some("H265"));
        assert_eq!(read("m=video 99999 TCP/RTP/AVP 300 96").port, 0);
        assert_eq!(Description::parse(b""), None);
        assert_eq!(Description::parse(b"v=0\r\ns=Play\r\n"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = Description::parse(&bytes);
            let _ = Description::parse(&[b"m=video 1 TCP/RTP/AVP 96\r\n", &bytes[..]].concat());
        }
    }
}
