//! URIs, addresses (`"name" <uri>;tag=…`) and Via values, read forgivingly.
//!
//! Only what is routed on is looked at: the user part. The host may be a domain, an address or anything else
//! (GB/T 28181 devices write all of them), so nothing is decided by it.

use super::params::Params;
use bytes::Bytes;
use std::borrow::Cow;
use std::net::SocketAddr;

/// The user part of a URI text: what stands between `sip:` and `@`; without `@`, nothing.
pub fn user(uri: &str) -> &str {
    let rest = after_scheme(uri);
    match rest.split_once('@') {
        // `user:password@host` and `user;param@host`
        Some((user, _)) => user.split([':', ';']).next().unwrap_or_default().trim(),
        None => "",
    }
}

/// The host and port of a URI text, without parameters.
pub fn host_port(uri: &str) -> &str {
    let rest = after_scheme(uri);
    let rest = rest.split_once('@').map_or(rest, |(_, host)| host);
    rest.split([';', '?', '>']).next().unwrap_or_default().trim()
}

fn after_scheme(uri: &str) -> &str {
    let uri = uri.trim();
    match uri.split_once(':') {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips") || scheme.eq_ignore_ascii_case("tel") =>
        {
            rest
        }
        _ => uri,
    }
}

/// Judges a URI that an operator wrote by the grammar of RFC 3261; the error says what is wrong with it.
pub fn strict(text: &str) -> Result<rsip::Uri, String> {
    let uri = rsip::Uri::try_from(text).map_err(|error| format!("{text:?} is not a SIP URI: {error}"))?;
    match (&uri.scheme, &uri.auth) {
        (Some(rsip::Scheme::Sip), Some(_)) => Ok(uri),
        (Some(rsip::Scheme::Sip), None) => Err(format!("{text:?} names no user: write sip:PLATFORM_ID@HOST:PORT")),
        _ => Err(format!("{text:?} does not begin with sip:")),
    }
}

/// A From, To or Contact value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The URI, without the angle brackets.
    pub uri: String,
    /// What follows it.
    params: String,
}

impl Address {
    /// Reads `"name" <uri>;params`, `<uri>;params` and `uri;params`.
    pub fn parse(text: &str) -> Option<Address> {
        let text = text.trim();
        let open = bracket(text);
        let (uri, params) = match open {
            Some(open) => {
                let rest = &text[open + 1..];
                let close = rest.find('>').unwrap_or(rest.len());
                (&rest[..close], rest.get(close + 1..).unwrap_or_default())
            }
            None => text.split_at(text.find(';').unwrap_or(text.len())),
        };
        let uri = uri.trim();
        (!uri.is_empty()).then(|| Address { uri: uri.to_owned(), params: params.trim().to_owned() })
    }

    /// The user part.
    pub fn user(&self) -> &str {
        user(&self.uri)
    }

    /// The `tag` parameter; empty if there is none.
    pub fn tag(&self) -> &str {
        self.param("tag").unwrap_or_default()
    }

    /// A parameter's value.
    pub fn param(&self, name: &str) -> Option<&str> {
        Params::new(&self.params, ';').find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Where the `<` of an address stands, outside of a quoted display name.
fn bracket(text: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => return Some(at),
            _ => {}
        }
    }
    // an opening quote that never closes: take the last bracket there is
    quoted.then(|| text.rfind('<')).flatten()
}

/// Whether an address value carries a tag.
pub fn has_tag(value: &[u8]) -> bool {
    Address::parse(&super::header::text(value)).is_some_and(|address| !address.tag().is_empty())
}

/// One Via value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, as written.
    pub transport: String,
    /// Host and port as written.
    pub sent_by: String,
    /// The branch; empty with senders older than RFC 3261.
    pub branch: String,
}

/// What every branch begins with since RFC 3261.
pub const COOKIE: &str = "z9hG4bK";

impl Via {
    /// Reads `SIP/2.0/UDP host:port;params`, odd white space included.
    pub fn parse(value: &[u8]) -> Option<Via> {
        let text = super::header::text(value);
        let (head, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        let slash = head.rfind('/')?;
        let mut words = head[slash + 1..].split_whitespace();
        let transport = words.next()?.to_owned();
        let sent_by = words.collect::<String>();
        let branch = Params::new(params, ';').find(|(key, _)| key.eq_ignore_ascii_case("branch")).map(|(_, value)| value);
        Some(Via { transport, sent_by, branch: branch.unwrap_or_default().to_owned() })
    }
}

/// The first of several comma-separated values (one stack puts every Via of its past in one header).
pub fn first_value(value: &[u8]) -> &[u8] {
    let mut quoted = false;
    let mut bracket = false;
    for (at, byte) in value.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'<' if !quoted => bracket = true,
            b'>' if !quoted => bracket = false,
            b',' if !quoted && !bracket => return &value[..at],
            _ => {}
        }
    }
    value
}

/// Fills `received` and `rport` of the topmost Via in (RFC 3581 section 4); everything else stays as it came.
pub fn stamp_via(value: &Bytes, source: SocketAddr) -> Bytes {
    let top = first_value(value);
    let text = super::header::text(top);
    let Some((head, params)) = text.split_once(';') else {
        return match via_host_is(&text, source) {
            true => value.clone(),
            false => [top, format!(";received={}", source.ip()).as_bytes(), &value[top.len()..]].concat().into(),
        };
    };
    let mut out = head.to_owned();
    let mut stamped = false;
    for part in params.split(';') {
        let key = part.split('=').next().unwrap_or_default().trim();
        if key.eq_ignore_ascii_case("received") {
            continue;
        }
        if key.eq_ignore_ascii_case("rport") {
            out += &format!(";rport={};received={}", source.port(), source.ip());
            stamped = true;
        } else {
            out.push(';');
            out += part;
        }
    }
    if !stamped && !via_host_is(&text, source) {
        out += &format!(";received={}", source.ip());
    }
    [out.as_bytes(), &value[top.len()..]].concat().into()
}

fn via_host_is(via: &str, source: SocketAddr) -> bool {
    Via::parse(via.as_bytes()).is_some_and(|via| {
        let host = via.sent_by.rsplit_once(':').map_or(via.sent_by.as_str(), |(host, _)| host);
        host.trim_matches(['[', ']']) == source.ip().to_string()
    })
}

/// Text that is safe to put into a header: no line ends.
pub fn one_line(text: &str) -> Cow<'_, str> {
    match text.contains(['\r', '\n', '\0']) {
        true => Cow::Owned(text.replace(['\r', '\n', '\0'], " ")),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_every_dress() {
        for (text, user, tag) in [
            ("<sip:34020000001320000001@3402000000>;tag=d101", "34020000001320000001", "d101"),
            ("\"A <b>\" <sip:1@h:5060;transport=tcp>;x;tag = 7", "1", "7"),
            ("sip:2@h;tag=t", "2", "t"),
            ("<sip:3@h>", "3", ""),
            ("  < sip:4@h > ; TAG=q", "4", "q"),
            ("\"unclosed <sip:5@h>;tag=z", "5", "z"),
            ("<sip:3402000000>;tag=a", "", "a"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.user(), address.tag()), (user, tag), "{text}");
        }
        assert_eq!(Address::parse("  "), None);
        assert_eq!(host_port("sip:1@10.0.0.1:5060;transport=udp"), "10.0.0.1:5060");
    }

    #[test]
    fn via_is_stamped_where_it_asks_for_it() {
        let source: SocketAddr = "198.51.100.7:40000".parse().unwrap();
        for (before, after) in [
            (
                "SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1",
                "SIP/2.0/UDP 10.0.0.1:5060;rport=40000;received=198.51.100.7;branch=z9hG4bK1",
            ),
            ("SIP/2.0/TCP 10.0.0.1:5060;branch=b", "SIP/2.0/TCP 10.0.0.1:5060;branch=b;received=198.51.100.7"),
            ("SIP/2.0/UDP 198.51.100.7:40000;branch=b", "SIP/2.0/UDP 198.51.100.7:40000;branch=b"),
            (
                "SIP/2.0/UDP 10.0.0.1;rport=1;received=1.1.1.1;branch=a, SIP/2.0/UDP b;rport",
                "SIP/2.0/UDP 10.0.0.1;rport=40000;received=198.51.100.7;branch=a, SIP/2.0/UDP b;rport",
            ),
            ("SIP/2.0/UDP 10.0.0.1", "SIP/2.0/UDP 10.0.0.1;received=198.51.100.7"),
        ] {
            assert_eq!(stamp_via(&Bytes::from_static(before.as_bytes()), source), after.as_bytes());
        }
    }

    #[test]
    fn an_operators_uri_is_judged_strictly() {
        assert!(strict("sip:34020000002000000001@192.0.2.10:5060").is_ok());
        for text in ["34020000002000000001@192.0.2.10", "http://a@b", "sip:192.0.2.10:5060", ""] {
            assert!(strict(text).is_err(), "{text}");
        }
    }

    #[test]
    fn branches_are_found_among_odd_white_space() {
        let via = Via::parse(b"SIP / 2.0 / UDP  10.0.0.1:5060 ; rport ; branch = z9hG4bKx").unwrap();
        assert_eq!((via.transport.as_str(), via.sent_by.as_str(), via.branch.as_str()), ("UDP", "10.0.0.1:5060", "z9hG4bKx"));
    }
}
