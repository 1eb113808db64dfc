//! RTMP addresses: `rtmp://host[:port]/app[/instance]/name[?query]`.

/// An RTMP address.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// RTMPS.
    pub tls: bool,
    /// Host name or address; IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Application, with its instance where there is one.
    pub app: String,
    /// Stream name with its query string.
    pub name: String,
}

/// Why a text is no RTMP address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Neither `rtmp://` nor `rtmps://`.
    #[error("the address must begin with rtmp:// or rtmps://")]
    Scheme,
    /// No host, or a port that is no number.
    #[error("the address names no host and port")]
    Host,
    /// No application or no stream name.
    #[error("the address must name an application and a stream, as in rtmp://host/live/camera1")]
    Path,
}

impl Url {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Url, BadUrl> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(BadUrl::Scheme)?;
        let (tls, port) = match scheme.to_ascii_lowercase().as_str() {
            "rtmp" => (false, 1935),
            "rtmps" => (true, 443),
            _ => return Err(BadUrl::Scheme),
        };
        let (authority, path) = rest.split_once('/').ok_or(BadUrl::Path)?;
        // Users and passwords have no meaning in RTMP.
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, rest) = v6.split_once(']').ok_or(BadUrl::Host)?;
                (host, rest.strip_prefix(':').map_or(Ok(port), str::parse).map_err(|_| BadUrl::Host)?)
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, port.parse().map_err(|_| BadUrl::Host)?),
                None => (authority, port),
            },
        };
        if host.is_empty() || port == 0 {
            return Err(BadUrl::Host);
        }
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        let (app, name) = path.trim_matches('/').rsplit_once('/').ok_or(BadUrl::Path)?;
        if app.is_empty() || name.is_empty() {
            return Err(BadUrl::Path);
        }
        let name = query.map_or_else(|| name.to_owned(), |q| format!("{name}?{q}"));
        Ok(Url { tls, host: host.to_owned(), port, app: app.to_owned(), name })
    }

    /// `host:port`, IPv6 in brackets.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// The address of the application, as `connect` names it.
    pub fn tc_url(&self) -> String {
        format!("rtmp{}://{}/{}", if self.tls { "s" } else { "" }, self.authority(), self.app)
    }
}

impl std::fmt::Display for Url {
    /// Without the query, which often is a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.tc_url(), self.name.split('?').next().unwrap_or_default())
    }
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        let cases = [
            ("rtmp://h/live/a", ("h", 1935, "live", "a", false)),
            ("RTMPS://h/live/a?k=v/w", ("h", 443, "live", "a?k=v/w", true)),
            ("rtmp://user:pw@10.0.0.1:1936/app/inst/a", ("10.0.0.1", 1936, "app/inst", "a", false)),
            ("rtmp://[::1]:1935/live/a", ("::1", 1935, "live", "a", false)),
            ("rtmp://[::1]/live/a", ("::1", 1935, "live", "a", false)),
        ];
        for (text, (host, port, app, name, tls)) in cases {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host.as_str(), url.port, url.app.as_str(), url.name.as_str(), url.tls), (host, port, app, name, tls), "{text}");
        }
        assert_eq!(Url::parse("rtmp://[::1]/live/a?secret=1").unwrap().to_string(), "rtmp://[::1]:1935/live/a");
        for (text, why) in [
            ("http://h/live/a", BadUrl::Scheme),
            ("live/a", BadUrl::Scheme),
            ("rtmp://h", BadUrl::Path),
            ("rtmp://h/live", BadUrl::Path),
            ("rtmp://h/live/", BadUrl::Path),
            ("rtmp://:1935/live/a", BadUrl::Host),
            ("rtmp://h:x/live/a", BadUrl::Host),
            ("rtmp://[::1/live/a", BadUrl::Host),
        ] {
            assert_eq!(Url::parse(text), Err(why), "{text}");
        }
    }
}
