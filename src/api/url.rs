//! The URLs that we hand out, and the `auth_key` that opens them.

use super::query;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

/// Where clients reach this server, as they must write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Host name or address of the media ports.
    pub host: String,
    /// The RTMP port.
    pub rtmp: u16,
    /// The HTTP port of the media.
    pub http: u16,
    /// Whether that port speaks TLS.
    pub tls: bool,
    /// Host name or address that devices register to.
    pub gb_host: String,
    /// Its UDP port.
    pub gb_udp: u16,
    /// Its TCP port.
    pub gb_tcp: u16,
    /// The 8-digit administrative area that platform ids are made in.
    pub gb_area: u64,
}

/// A way to play a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// RTMP.
    Rtmp,
    /// HTTP-FLV.
    Flv,
    /// HLS.
    Hls,
    /// WebRTC, as web players write it.
    Rtc,
}

impl Form {
    /// What stands behind the stream's name in the path.
    pub fn extension(self) -> &'static str {
        match self {
            Form::Rtmp | Form::Rtc => "",
            Form::Flv => ".flv",
            Form::Hls => ".m3u8",
        }
    }
}

impl Places {
    /// `rtmp://host:port/app`, to which publishers append the stream's name.
    pub fn push_base(&self, app: &str) -> String {
        format!("rtmp://{}:{}/{app}", bracketed(&self.host), self.rtmp)
    }

    /// The URL of a stream without its signature; `host` is a play domain of the group's own.
    pub fn play(&self, form: Form, host: Option<&str>, path: &str) -> String {
        let host = bracketed(host.filter(|h| !h.is_empty()).unwrap_or(&self.host));
        let port = |port: u16, usual: u16| if port == usual { String::new() } else { format!(":{port}") };
        match form {
            Form::Rtmp => format!("rtmp://{host}:{}{path}", self.rtmp),
            Form::Rtc => format!("rtc://{host}{}{path}", port(self.http, if self.tls { 443 } else { 80 })),
            Form::Flv | Form::Hls => match self.tls {
                true => format!("https://{host}{}{path}", port(self.http, 443)),
                false => format!("http://{host}{}{path}", port(self.http, 80)),
            },
        }
    }
}

fn bracketed(host: &str) -> String {
    match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

/// The path of a stream in a URL, percent-encoded.
pub fn path(app: &str, name: &str, extension: &str) -> String {
    format!("/{}/{}{extension}", query::encode(app), query::encode(name))
}

/// `{exp}-{rand}-{uid}-{md5}` for a path with its extension.
pub fn auth_key(path: &str, exp: i64, rand: &str, uid: &str, key: &str) -> String {
    format!("{exp}-{rand}-{uid}-{}", digest(path, &exp.to_string(), rand, uid, key))
}

fn digest(path: &str, exp: &str, rand: &str, uid: &str, key: &str) -> String {
    hex::encode(Md5::digest(format!("{path}-{exp}-{rand}-{uid}-{key}")))
}

/// Why an `auth_key` does not open a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shut {
    /// The URL has none.
    #[error("the URL is not signed: auth_key is missing")]
    Absent,
    /// It is not four fields.
    #[error("the URL's auth_key is malformed")]
    Malformed,
    /// Its time is over.
    #[error("the URL has expired")]
    Expired,
    /// It was made with another key or for another path.
    #[error("the URL's auth_key is wrong")]
    Wrong,
}

/// Whether the `auth_key` of a query string opens one of the paths with one of the keys, at a unix time.
pub fn open(query: &str, paths: &[&str], keys: &[&str], now: i64) -> Result<(), Shut> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("auth_key=")).filter(|v| !v.is_empty()).ok_or(Shut::Absent)?;
    let mut fields = value.splitn(4, '-');
    let mut field = || fields.next().filter(|f| f.len() <= 64).ok_or(Shut::Malformed);
    let (exp, rand, uid, md5) = (field()?, field()?, field()?, field()?);
    if md5.len() != 32 || exp.is_empty() || !exp.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Shut::Malformed);
    }
    let until: i64 = exp.parse().map_err(|_| Shut::Malformed)?;
    let md5 = md5.to_ascii_lowercase();
    let mut good = subtle::Choice::from(0);
    for (path, key) in paths.iter().flat_map(|p| keys.iter().map(move |k| (p, k))).filter(|(_, k)| !k.is_empty()) {
        good |= digest(path, exp, rand, uid, key).as_bytes().ct_eq(md5.as_bytes());
    }
    match (bool::from(good), until > now) {
        (false, _) => Err(Shut::Wrong),
        (true, false) => Err(Shut::Expired),
        (true, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_vector() {
        let key = auth_key("/video/standard", 1_622_194_197, "0", "0", "aliyunliveexp1234");
        assert_eq!(key, "1622194197-0-0-5552ff52b5e4e20387c6dc18afce206b");
    }

    #[test]
    fn keys_open_their_path_until_their_time() {
        let signed = format!("a=b&auth_key={}", auth_key("/live/1.flv", 1000, "0", "0", "main"));
        let open = |query: &str, path, keys: &[&str], now| open(query, &[path], keys, now);
        assert_eq!(open(&signed, "/live/1.flv", &["main", ""], 999), Ok(()));
        assert_eq!(open(&signed, "/live/1.flv", &["other", "main"], 999), Ok(()));
        assert_eq!(open(&signed, "/live/1.flv", &["main"], 1000), Err(Shut::Expired));
        assert_eq!(open(&signed, "/live/2.flv", &["main"], 999), Err(Shut::Wrong));
        assert_eq!(open(&signed, "/live/1.flv", &["other", ""], 999), Err(Shut::Wrong));
        assert_eq!(open(&signed.replace("1000-", "1001-"), "/live/1.flv", &["main"], 999), Err(Shut::Wrong));
        assert_eq!(open("a=b", "/live/1.flv", &["main"], 0), Err(Shut::Absent));
        let long = format!("auth_key=1000-{}-0-{}", "9".repeat(65), "0".repeat(32));
        for broken in
            ["auth_key=1-2-3", "auth_key=x-0-0-5552ff52b5e4e20387c6dc18afce206b", "auth_key=1-0-0-5552", "auth_key=-1-0-0-0", &long]
        {
            assert_eq!(open(broken, "/live/1.flv", &["main"], 0), Err(Shut::Malformed), "{broken}");
        }
    }

    #[test]
    fn urls_name_the_ports_that_differ() {
        let mut places = Places {
            host: "vs.example.com".into(),
            rtmp: 1935,
            http: 8080,
            tls: false,
            gb_host: "192.0.2.1".into(),
            gb_udp: 5060,
            gb_tcp: 5060,
            gb_area: 34_020_000,
        };
        assert_eq!(places.push_base("live"), "rtmp://vs.example.com:1935/live");
        assert_eq!(places.play(Form::Flv, None, "/live/1.flv"), "http://vs.example.com:8080/live/1.flv");
        assert_eq!(places.play(Form::Hls, Some("play.example.com"), "/live/1.m3u8"), "http://play.example.com:8080/live/1.m3u8");
        places.http = 443;
        places.tls = true;
        places.host = "2001:db8::1".into();
        assert_eq!(places.play(Form::Flv, None, "/live/1.flv"), "https://[2001:db8::1]/live/1.flv");
        assert_eq!(places.play(Form::Rtc, None, "/live/1"), "rtc://[2001:db8::1]/live/1");
    }
}
