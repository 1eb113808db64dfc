//! Where callbacks may go. A tenant chooses the URL, so it must not lead to what only this machine can reach: the address that a
//! name stands for is looked up once, judged, and that very address is connected to.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A callback URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `https`.
    pub tls: bool,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What the `Host` header says.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// Why a text is no callback URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It does not read as a URL.
    #[error("not a URL")]
    Form,
    /// Neither `http` nor `https`.
    #[error("only http and https URLs are posted to")]
    Scheme,
    /// `user:password@`.
    #[error("a URL with a user name is not posted to")]
    User,
}

impl Target {
    /// Takes a URL apart; without a scheme it is `http`.
    pub fn parse(url: &str) -> Result<Target, BadUrl> {
        let url = url.trim();
        let whole = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: http::Uri = whole.parse().map_err(|_| BadUrl::Form)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(BadUrl::Scheme),
        };
        let authority = uri.authority().ok_or(BadUrl::Form)?;
        if authority.as_str().contains('@') {
            return Err(BadUrl::User);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        // What stands behind the last colon must be a port, or the authority is not what it seems.
        let port = match (authority.port(), authority.as_str().len() > authority.host().len()) {
            (Some(port), _) => port.as_u16(),
            (None, false) => [80, 443][usize::from(tls)],
            (None, true) => return Err(BadUrl::Form),
        };
        if host.is_empty() || port == 0 {
            return Err(BadUrl::Form);
        }
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        Ok(Target { tls, host, port, authority: authority.as_str().to_owned(), path: path.to_owned() })
    }
}

/// A network, as in `10.0.0.0/8`; an address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether an address is in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, plain(address)) {
            (IpAddr::V4(net), IpAddr::V4(a)) => same(u128::from(u32::from(net)) << 96, u128::from(u32::from(a)) << 96, self.prefix),
            (IpAddr::V6(net), IpAddr::V6(a)) => same(u128::from(net), u128::from(a), self.prefix),
            _ => false,
        }
    }
}

fn same(a: u128, b: u128, prefix: u8) -> bool {
    prefix == 0 || (a ^ b) >> (128 - u32::from(prefix)) == 0
}

impl FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Network, String> {
        let wrong = || format!("{text:?} is not a network, as in 10.0.0.0/8 or fd00::/8");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), str::parse::<u8>).map_err(|_| wrong())?;
        if prefix <= most { Ok(Network { address, prefix }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether a callback may go to an address: a public one, or one of `allow`.
pub fn permitted(address: IpAddr, allow: &[Network]) -> bool {
    allow.iter().any(|net| net.holds(address)) || public(address)
}

/// An IPv4 address that is written as IPv6 is that IPv4 address.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(a) => a.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn public(address: IpAddr) -> bool {
    match plain(address) {
        IpAddr::V4(a) => public_v4(a),
        IpAddr::V6(a) => public_v6(a),
    }
}

/// IANA's registry of special-purpose addresses, and multicast. The clouds' metadata services are among them:
/// 169.254.169.254, 100.100.100.200, 192.0.0.192, fd00:ec2::254.
fn public_v4(a: Ipv4Addr) -> bool {
    const NOT: &[([u8; 4], u8)] = &[
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 3),
    ];
    !NOT.iter().any(|(net, prefix)| Network { address: IpAddr::from(*net), prefix: *prefix }.holds(IpAddr::V4(a)))
}

/// Global unicast only (2000::/3), without documentation and benchmarks; what carries an IPv4 address inside is judged by that.
fn public_v6(a: Ipv6Addr) -> bool {
    let s = a.segments();
    let inside = |hi: u16, lo: u16| public_v4(Ipv4Addr::from(u32::from(hi) << 16 | u32::from(lo)));
    match s {
        // NAT64 (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, hi, lo] => inside(hi, lo),
        // 6to4.
        [0x2002, hi, lo, ..] => inside(hi, lo),
        // Teredo hides the address of its client; nobody is reached by it in earnest.
        [0x2001, 0, ..] => false,
        // Other assignments of protocols, 2001::/23, and documentation.
        [0x2001, n, ..] if n < 0x200 => false,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [n, ..] => n & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let target = |url: &str| Target::parse(url).map(|t| (t.tls, t.host, t.port, t.authority, t.path));
        let want =
            |tls, host: &str, port, authority: &str, path: &str| Ok((tls, host.to_owned(), port, authority.to_owned(), path.to_owned()));
        assert_eq!(target("http://a.test/x?y=1#z"), want(false, "a.test", 80, "a.test", "/x?y=1"));
        assert_eq!(target("https://a.test"), want(true, "a.test", 443, "a.test", "/"));
        assert_eq!(target("https://[2001:db8::1]:8443/"), want(true, "2001:db8::1", 8443, "[2001:db8::1]:8443", "/"));
        assert_eq!(target("my.callback.com"), want(false, "my.callback.com", 80, "my.callback.com", "/"));
        assert_eq!(target("a.test:81/x"), want(false, "a.test", 81, "a.test:81", "/x"));
        for (url, why) in [
            ("ftp://a.test", BadUrl::Scheme),
            ("file:///etc/passwd", BadUrl::Form),
            ("http://user@a.test", BadUrl::User),
            ("http://a.test:80@b.test/", BadUrl::User),
            ("http://a.test:0/", BadUrl::Form),
            ("http://a.test:99999/", BadUrl::Form),
            ("http://a.test:/", BadUrl::Form),
            ("http://", BadUrl::Form),
            ("", BadUrl::Form),
            ("http://a b/", BadUrl::Form),
            ("http://a.test/\r\nX: y", BadUrl::Form),
        ] {
            assert_eq!(Target::parse(url), Err(why), "{url}");
        }
    }

    #[test]
    fn only_public_addresses_are_permitted() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2001:10::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
        ] {
            assert!(!permitted(text.parse().unwrap(), &[]), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2400:3200::1",
            "2001:4860::8888",
            "2002:101:101::1",
            "64:ff9b::101:101",
            "::ffff:1.1.1.1",
        ] {
            assert!(permitted(text.parse().unwrap(), &[]), "{text}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_and_nothing_beside() {
        let allow: Vec<Network> = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"].iter().map(|n| n.parse().unwrap()).collect();
        for (text, may) in [
            ("10.255.0.1", true),
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.2", false),
            ("11.0.0.1", true),
            ("192.168.0.1", false),
            ("fd12::1", true),
            ("fc12::1", false),
        ] {
            assert_eq!(permitted(text.parse().unwrap(), &allow), may, "{text}");
        }
        assert!("0.0.0.0/0".parse::<Network>().unwrap().holds("192.168.0.1".parse().unwrap()));
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "a.test", "10.0.0.0/8/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
