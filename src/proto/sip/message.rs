//! Requests and responses: start line, headers, body; and their bytes.

use super::header::{Headers, Name};
use super::uri::{self, Address, Via};
use bytes::{BufMut, Bytes, BytesMut};
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

/// A SIP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Somebody wants something.
    Request(Request),
    /// Somebody answers.
    Response(Response),
}

/// A request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// The Request-URI as it stands.
    pub uri: String,
    /// The headers.
    pub headers: Headers,
    /// The body; its length on the wire is written by [`Request::to_bytes`].
    pub body: Bytes,
}

/// A response.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The headers.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

macro_rules! methods {
    ($($variant:ident = $text:literal),* $(,)?) => {
        /// A method.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
            /// Any other.
            Other(Box<str>),
        }

        impl Method {
            /// As it stands in a start line.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Method::$variant => $text,)*
                    Method::Other(text) => text,
                }
            }

            /// Reads a method; letter case is forgiven.
            pub fn parse(text: &str) -> Method {
                $(if text.eq_ignore_ascii_case($text) {
                    return Method::$variant;
                })*
                Method::Other(text.into())
            }
        }
    };
}

methods! {
    Register = "REGISTER", Message = "MESSAGE", Invite = "INVITE", Ack = "ACK", Bye = "BYE", Cancel = "CANCEL",
    Info = "INFO", Options = "OPTIONS", Subscribe = "SUBSCRIBE", Notify = "NOTIFY", Update = "UPDATE",
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What both kinds of message share.
pub trait Envelope {
    /// The headers.
    fn headers(&self) -> &Headers;

    /// The topmost Via.
    fn via(&self) -> Option<Via> {
        Via::parse(uri::first_value(self.headers().raw(&Name::Via)?))
    }

    /// From.
    fn from(&self) -> Option<Address> {
        Address::parse(&self.headers().get(&Name::From)?)
    }

    /// To.
    fn to(&self) -> Option<Address> {
        Address::parse(&self.headers().get(&Name::To)?)
    }

    /// The first Contact.
    fn contact(&self) -> Option<Address> {
        Address::parse(&super::header::text(uri::first_value(self.headers().raw(&Name::Contact)?)))
    }

    /// The call's identifier.
    fn call_id(&self) -> Cow<'_, str> {
        self.headers().get(&Name::CallId).unwrap_or_default()
    }

    /// Sequence number and method.
    fn cseq(&self) -> Option<(u32, Method)> {
        let text = self.headers().get(&Name::CSeq)?;
        let mut words = text.split_whitespace();
        let number = words.next()?.parse().ok()?;
        Some((number, Method::parse(words.next()?)))
    }

    /// Expires, from its header or else from the first Contact's parameter.
    fn expires(&self) -> Option<u32> {
        let seconds = |text: &str| match text.trim().parse::<u64>() {
            Ok(n) => Some(u32::try_from(n).unwrap_or(u32::MAX)),
            Err(_) => None,
        };
        let header = self.headers().get(&Name::Expires).and_then(|text| seconds(&text));
        header.or_else(|| self.contact().and_then(|contact| contact.param("expires").and_then(seconds)))
    }

    /// Whether the body is said to be of that type, in any letter case and with any parameters.
    fn is_type(&self, wanted: &str) -> bool {
        self.headers().get(&Name::ContentType).is_some_and(|text| {
            let kind = text.split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case(wanted)
        })
    }
}

impl Envelope for Request {
    fn headers(&self) -> &Headers {
        &self.headers
    }
}

impl Envelope for Response {
    fn headers(&self) -> &Headers {
        &self.headers
    }
}

impl Message {
    /// The headers.
    pub fn headers(&self) -> &Headers {
        match self {
            Message::Request(request) => &request.headers,
            Message::Response(response) => &response.headers,
        }
    }

    /// Its bytes on the wire.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Message::Request(request) => request.to_bytes(),
            Message::Response(response) => response.to_bytes(),
        }
    }
}

impl Request {
    /// A request without headers.
    pub fn new(method: Method, uri: impl Into<String>) -> Request {
        Request { method, uri: uri.into(), headers: Headers::new(), body: Bytes::new() }
    }

    /// With one more header.
    pub fn with(mut self, name: Name, value: impl Into<Bytes>) -> Request {
        self.headers.push(name, value);
        self
    }

    /// With a body of that type.
    pub fn with_body(mut self, kind: &'static str, body: impl Into<Bytes>) -> Request {
        self.headers.set(Name::ContentType, kind);
        self.body = body.into();
        self
    }

    /// The user part of the Request-URI.
    pub fn user(&self) -> &str {
        uri::user(&self.uri)
    }

    /// Its bytes on the wire.
    pub fn to_bytes(&self) -> Bytes {
        write(format_args!("{} {} SIP/2.0", self.method, self.uri), &self.headers, &self.body)
    }
}

impl Response {
    /// The answer to `request`, which came from `source`: Via with `received` and `rport` filled in (RFC 3581), From, To with `tag`
    /// if it has none, Call-ID, CSeq.
    pub fn to(request: &Request, source: SocketAddr, status: u16, tag: &str) -> Response {
        let mut headers = Headers::new();
        let mut top = true;
        for (name, value) in request.headers.iter() {
            match name {
                Name::Via if top => {
                    headers.push(Name::Via, uri::stamp_via(value, source));
                    top = false;
                }
                Name::To if status > 100 && !uri::has_tag(value) => {
                    let mut tagged = value.to_vec();
                    tagged.extend_from_slice(b";tag=");
                    tagged.extend_from_slice(tag.as_bytes());
                    headers.push(Name::To, tagged);
                }
                Name::Via | Name::From | Name::To | Name::CallId | Name::CSeq => headers.push(name.clone(), value.clone()),
                _ => {}
            }
        }
        Response { status, reason: reason(status).to_owned(), headers, body: Bytes::new() }
    }

    /// With one more header.
    pub fn with(mut self, name: Name, value: impl Into<Bytes>) -> Response {
        self.headers.push(name, value);
        self
    }

    /// With a body of that type.
    pub fn with_body(mut self, kind: &'static str, body: impl Into<Bytes>) -> Response {
        self.headers.set(Name::ContentType, kind);
        self.body = body.into();
        self
    }

    /// Its bytes on the wire.
    pub fn to_bytes(&self) -> Bytes {
        write(format_args!("SIP/2.0 {} {}", self.status, self.reason), &self.headers, &self.body)
    }
}

fn write(start: fmt::Arguments<'_>, headers: &Headers, body: &Bytes) -> Bytes {
    use std::fmt::Write;
    let mut out = BytesMut::with_capacity(512 + body.len());
    // Writing to a BytesMut cannot fail: it grows.
    let _ = write!(out, "{start}\r\n");
    let mut length_written = false;
    for (name, value) in headers.iter() {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        if *name == Name::ContentLength {
            length_written = true;
            let _ = write!(out, "{}", body.len());
        } else {
            out.put_slice(value);
        }
        out.put_slice(b"\r\n");
    }
    if !length_written {
        let _ = write!(out, "Content-Length: {}\r\n", body.len());
    }
    out.put_slice(b"\r\n");
    out.put_slice(body);
    out.freeze()
}

/// The usual phrase for a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        101 => "Dialog Establishment",
        180 => "Ringing",
        200 => "OK",
        202 => "Accepted",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        603 => "Decline",
        _ if status < 200 => "Progress",
        _ if status < 300 => "OK",
        _ if status < 400 => "Redirect",
        _ if status < 500 => "Request Failure",
        _ if status < 600 => "Server Failure",
        _ => "Global Failure",
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?} + {} bytes", self.method, self.uri, self.headers, self.body.len())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?} + {} bytes", self.status, self.reason, self.headers, self.body.len())
    }
}
