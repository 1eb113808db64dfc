//! One connection to a source: RTMP, or FLV over HTTP.

use crate::container::flv::{self, Demuxer, Item};
use crate::media::frame::Kind;
use crate::proto::rtmp::{self, Client, ClientEvent, Role, chunk};
use crate::stream::{Publisher, Raw};
use crate::worker::dial::{Stream, dial};
use bytes::{Buf, BytesMut};
use std::fmt;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The longest tag or message of a source.
const LONGEST: usize = 16 << 20;
const LIMITS: chunk::Limits = chunk::Limits { message: LONGEST, streams: 64, partial: 2 * LONGEST };
/// The longest head of an HTTP answer.
const HEAD_MAX: usize = 16 << 10;
/// Redirections that are followed.
const HOPS: usize = 4;

/// Where a source is.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// An RTMP server.
    Rtmp(rtmp::Url),
    /// An HTTP server that gives FLV.
    Http {
        /// TLS.
        tls: bool,
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// Path and query.
        path: String,
    },
}

impl Address {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Address, String> {
        if text.starts_with("rtmp") {
            return rtmp::Url::parse(text).map(Address::Rtmp).map_err(|e| e.to_string());
        }
        let uri: http::Uri = text.parse().map_err(|_| format!("{text:?} is not an address"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("the address must begin with rtmp://, rtmps://, http:// or https://".to_owned()),
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(format!("{text:?} names no host"));
        }
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        Ok(Address::Http { tls, host, port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }), path })
    }

    /// The protocol's name, for lists.
    pub fn protocol(&self) -> &'static str {
        match self {
            Address::Rtmp(_) => "rtmp-pull",
            Address::Http { .. } => "flv-pull",
        }
    }
}

impl fmt::Display for Address {
    /// Without the query, which often is a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Rtmp(url) => url.fmt(f),
            Address::Http { tls, host, port, path } => {
                let path = path.split('?').next().unwrap_or_default();
                write!(f, "http{}://{host}:{port}{path}", if *tls { "s" } else { "" })
            }
        }
    }
}

/// An open connection.
pub struct Link {
    stream: Box<dyn Stream>,
    silence: Duration,
    demuxer: Demuxer,
    buffer: BytesMut,
    form: Form,
}

enum Form {
    Rtmp(Box<Client>),
    Flv { reader: flv::Reader, chunks: Option<Chunks> },
}

/// Connects, and returns when the source plays.
pub async fn connect(address: &Address, silence: Duration) -> Result<Link, String> {
    let mut address = address.clone();
    for _ in 0..HOPS {
        match &address {
            Address::Rtmp(url) => return rtmp(url, silence).await,
            Address::Http { .. } => match http(&address, silence).await? {
                Answer::Plays(link) => return Ok(*link),
                Answer::Moved(to) => address = to,
            },
        }
    }
    Err(format!("more than {HOPS} redirections"))
}

async fn rtmp(url: &rtmp::Url, silence: Duration) -> Result<Link, String> {
    let stream = dial(&url.host, url.port, url.tls).await.map_err(|e| e.to_string())?;
    let client = Client::new(url.clone(), Role::Play, LIMITS, rand::random());
    let mut link = Link { stream, silence, demuxer: Demuxer::new(), buffer: BytesMut::new(), form: Form::Rtmp(Box::new(client)) };
    link.start().await?;
    Ok(link)
}

enum Answer {
    Plays(Box<Link>),
    Moved(Address),
}

async fn http(address: &Address, silence: Duration) -> Result<Answer, String> {
    let Address::Http { tls, host, port, path } = address else { return Err("not an HTTP address".to_owned()) };
    let mut stream = dial(host, *port, *tls).await.map_err(|e| e.to_string())?;
    let name = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nUser-Agent: weir\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    stream.flush().await.map_err(|e| e.to_string())?;
    let mut buffer = BytesMut::with_capacity(4096);
    let end = loop {
        if let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
            break end + 4;
        }
        if buffer.len() > HEAD_MAX {
            return Err("the head of the answer is too long".to_owned());
        }
        match read(&mut stream, &mut buffer, silence).await? {
            0 => return Err("the server closed the connection".to_owned()),
            _ => continue,
        }
    };
    let head = buffer.split_to(end);
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut headers);
    answer.parse(&head).map_err(|e| format!("the answer is no HTTP: {e}"))?;
    let header = |name: &str| {
        answer.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| String::from_utf8_lossy(h.value).into_owned())
    };
    match answer.code.unwrap_or_default() {
        200 => {}
        301 | 302 | 303 | 307 | 308 => {
            let to = header("location").ok_or("a redirection to nowhere")?;
            let to = if to.starts_with('/') { format!("http{}://{name}:{port}{to}", if *tls { "s" } else { "" }) } else { to };
            return Address::parse(&to).map(Answer::Moved);
        }
        code => return Err(format!("the server answers {code} {}", answer.reason.unwrap_or_default())),
    }
    let chunked = header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked"));
    let form = Form::Flv { reader: flv::Reader::new(LONGEST), chunks: chunked.then(Chunks::default) };
    Ok(Answer::Plays(Box::new(Link { stream, silence, demuxer: Demuxer::new(), buffer, form })))
}

async fn read(stream: &mut Box<dyn Stream>, buffer: &mut BytesMut, silence: Duration) -> Result<usize, String> {
    match tokio::time::timeout(silence, stream.read_buf(buffer)).await {
        Ok(Ok(n)) => Ok(n),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("the source sent nothing for {silence:?}")),
    }
}

impl Link {
    /// RTMP: speaks until the server plays.
    async fn start(&mut self) -> Result<(), String> {
        loop {
            let Form::Rtmp(client) = &mut self.form else { return Ok(()) };
            let mut input = &self.buffer[..];
            let event = client.next(&mut input).map_err(|e| e.to_string())?;
            let used = self.buffer.len() - input.len();
            self.buffer.advance(used);
            let output = client.output();
            if !output.is_empty() {
                self.stream.write_all(&output).await.map_err(|e| e.to_string())?;
                self.stream.flush().await.map_err(|e| e.to_string())?;
            }
            match event {
                Some(ClientEvent::Started) => return Ok(()),
                Some(ClientEvent::Refused(why)) => return Err(why),
                Some(ClientEvent::Ended) => return Err("the stream is over".to_owned()),
                Some(ClientEvent::Media(_)) => {}
                None => {
                    if read(&mut self.stream, &mut self.buffer, self.silence).await? == 0 {
                        return Err("the server closed the connection".to_owned());
                    }
                }
            }
        }
    }

    /// Hands on what comes until the connection ends; returns why.
    pub async fn run(&mut self, put: &mut (dyn FnMut(Item) + Send)) -> String {
        loop {
            if let Err(why) = self.take(put).await {
                return why;
            }
            self.buffer.reserve(64 << 10);
            match read(&mut self.stream, &mut self.buffer, self.silence).await {
                Ok(0) => return "the server closed the connection".to_owned(),
                Ok(_) => {}
                Err(why) => return why,
            }
        }
    }

    /// Everything that is complete in the buffer.
    async fn take(&mut self, put: &mut (dyn FnMut(Item) + Send)) -> Result<(), String> {
        let Link { demuxer, buffer, form, stream, .. } = self;
        let mut data = buffer.split();
        let mut input = &data[..];
        match form {
            Form::Rtmp(client) => {
                while let Some(event) = client.next(&mut input).map_err(|e| e.to_string())? {
                    match event {
                        ClientEvent::Media(m) => push(demuxer, m.kind, m.timestamp, &m.data, put)?,
                        ClientEvent::Ended => return Err("the stream is over".to_owned()),
                        ClientEvent::Refused(why) => return Err(why),
                        ClientEvent::Started => {}
                    }
                }
                let output = client.output();
                if !output.is_empty() {
                    stream.write_all(&output).await.map_err(|e| e.to_string())?;
                    stream.flush().await.map_err(|e| e.to_string())?;
                }
            }
            Form::Flv { reader, chunks } => {
                let plain;
                if let Some(chunks) = chunks {
                    let (bytes, rest) = chunks.take(data)?;
                    (plain, *buffer) = (bytes, rest);
                    data = BytesMut::new();
                    input = &plain[..];
                }
                while let Some(tag) = reader.read(&mut input).map_err(|e| e.to_string())? {
                    push(demuxer, tag.kind, tag.timestamp, &tag.data, put)?;
                }
            }
        }
        drop(data);
        Ok(())
    }
}

fn push(demuxer: &mut Demuxer, kind: u8, time: u32, body: &bytes::Bytes, put: &mut (dyn FnMut(Item) + Send)) -> Result<(), String> {
    match demuxer.push(kind, time, body) {
        Err(e) if e.is_final() => return Err(e.to_string()),
        Err(e) => tracing::debug!(error = %e, "a tag is lost"),
        Ok(()) => {}
    }
    while let Some(item) = demuxer.pull() {
        put(item);
    }
    Ok(())
}

/// Gives a demuxed item to the stream.
pub fn put(publisher: &mut Publisher, item: Item) {
    match item {
        Item::Track(track) => publisher.set_track(track),
        Item::Frame(f) => {
            let dts = Some(f.dts);
            publisher.push(Raw { kind: f.kind, dts, pts: f.pts, key: f.key || f.kind == Kind::Audio, data: f.data });
        }
    }
}

/// HTTP's chunked transfer coding (RFC 9112 section 7.1).
#[derive(Default)]
struct Chunks {
    left: usize,
    /// The line end behind a chunk's data is still to come.
    tail: bool,
}

impl Chunks {
    /// The data of what is complete, and the rest.
    fn take(&mut self, mut input: BytesMut) -> Result<(BytesMut, BytesMut), String> {
        let mut out = BytesMut::with_capacity(input.len());
        loop {
            if self.left > 0 {
                let n = self.left.min(input.len());
                out.extend_from_slice(&input.split_to(n));
                self.left -= n;
                if self.left > 0 {
                    return Ok((out, input));
                }
                self.tail = true;
            }
            let Some(end) = memchr::memchr(b'\n', &input) else {
                return if input.len() > 1024 { Err("a chunk's size is malformed".to_owned()) } else { Ok((out, input)) };
            };
            let line = input.split_to(end + 1);
            if std::mem::take(&mut self.tail) {
                continue;
            }
            let digits = line[..].split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
            let size = std::str::from_utf8(digits).ok().and_then(|d| usize::from_str_radix(d, 16).ok());
            match size {
                None => return Err("a chunk's size is malformed".to_owned()),
                Some(0) => return Err("the stream is over".to_owned()),
                Some(size) => self.left = size,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, shown) in [
            ("rtmp://host/live/a?key=1", "rtmp://host:1935/live/a"),
            ("http://host/live/a.flv?key=1", "http://host:80/live/a.flv"),
            ("https://host:8443/a.flv", "https://host:8443/a.flv"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown);
        }
        for text in ["ftp://host/a", "http:///a", "rtmp://host/a", "nonsense"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn chunks_in_any_pieces() {
        let wire = b"4\r\nabcd\r\n6;x=y\r\nefghij\r\n";
        for piece in 1..wire.len() {
            let (mut chunks, mut rest, mut got) = (Chunks::default(), BytesMut::new(), Vec::new());
            for bytes in wire.chunks(piece) {
                rest.extend_from_slice(bytes);
                let (out, left) = chunks.take(rest).unwrap();
                got.extend_from_slice(&out);
                rest = left;
            }
            assert_eq!(got, b"abcdefghij");
        }
        assert!(Chunks::default().take(BytesMut::from(&b"zz\r\n"[..])).is_err());
        assert!(Chunks::default().take(BytesMut::from(&b"0\r\n\r\n"[..])).is_err());
    }
}
