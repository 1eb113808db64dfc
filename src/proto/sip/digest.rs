//! Digest access authentication (RFC 2617, RFC 7616), both sides: MD5 and SHA-256, qop absent or `auth`.
//!
//! What came is checked as it came: `nc` and `cnonce` are literal strings and the `uri` is the one in the Authorization header,
//! since devices count `nc` in their own ways and put another URI there than into the start line.

use super::params::Params;
use sha2::Digest as _;
use std::fmt;
use subtle::ConstantTimeEq;

/// The hash of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// What every device knows.
    #[default]
    Md5,
    /// RFC 7616.
    Sha256,
}

impl Algorithm {
    /// Reads the token, quoted or not; `None` for one that we do not compute.
    pub fn parse(text: &str) -> Option<Algorithm> {
        match text.trim().to_ascii_uppercase().as_str() {
            "MD5" | "" => Some(Algorithm::Md5),
            "SHA-256" | "SHA256" => Some(Algorithm::Sha256),
            _ => None,
        }
    }

    /// The token.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// Lower-case hex of the hash over the parts joined by colons.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Algorithm::Md5 => hex::encode(md5::Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => hex::encode(sha2::Sha256::digest(text.as_bytes())),
        }
    }
}

/// What a server asks for: `WWW-Authenticate`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    /// The realm: the SIP domain.
    pub realm: String,
    /// The nonce.
    pub nonce: String,
    /// The hash.
    pub algorithm: Algorithm,
    /// Whether `qop="auth"` is offered.
    pub qop: bool,
    /// The password was right, only the nonce was too old.
    pub stale: bool,
    /// To be sent back as it is.
    pub opaque: Option<String>,
}

impl Challenge {
    /// Reads a header value; `None` if it is no Digest challenge that we can answer.
    pub fn parse(text: &str) -> Option<Challenge> {
        let mut challenge = Challenge::default();
        for (key, value) in Params::new(scheme(text)?, ',') {
            match key.to_ascii_lowercase().as_str() {
                "realm" => challenge.realm = value.to_owned(),
                "nonce" => challenge.nonce = value.to_owned(),
                "algorithm" => challenge.algorithm = Algorithm::parse(value)?,
                "qop" => challenge.qop = value.split(',').any(|option| option.trim().eq_ignore_ascii_case("auth")),
                "stale" => challenge.stale = value.eq_ignore_ascii_case("true"),
                "opaque" => challenge.opaque = Some(value.to_owned()),
                _ => {}
            }
        }
        (!challenge.nonce.is_empty()).then_some(challenge)
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm=\"{}\", nonce=\"{}\", algorithm={}", quoted(&self.realm), quoted(&self.nonce), self.algorithm.as_str())?;
        if self.qop {
            write!(f, ", qop=\"auth\"")?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque=\"{}\"", quoted(opaque))?;
        }
        if self.stale {
            write!(f, ", stale=true")?;
        }
        Ok(())
    }
}

/// What a client answers: `Authorization`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// Who it says it is.
    pub username: String,
    /// The realm that it answers.
    pub realm: String,
    /// The nonce that it answers.
    pub nonce: String,
    /// The URI that it hashed.
    pub uri: String,
    /// The hash.
    pub response: String,
    /// The algorithm; `None` for one that we do not compute.
    pub algorithm: Option<Algorithm>,
    /// `auth`, or nothing.
    pub qop: Option<String>,
    /// The counter, as written.
    pub nc: String,
    /// The client's nonce, as written.
    pub cnonce: String,
    /// As the challenge had it.
    pub opaque: Option<String>,
}

impl Credentials {
    /// Reads a header value; `None` if it is not Digest.
    pub fn parse(text: &str) -> Option<Credentials> {
        let mut found = Credentials { algorithm: Some(Algorithm::Md5), ..Credentials::default() };
        for (key, value) in Params::new(scheme(text)?, ',') {
            let value = value.to_owned();
            match key.to_ascii_lowercase().as_str() {
                "username" => found.username = value,
                "realm" => found.realm = value,
                "nonce" => found.nonce = value,
                "uri" => found.uri = value,
                "response" => found.response = value,
                "algorithm" => found.algorithm = Algorithm::parse(&value),
                "qop" if !value.is_empty() => found.qop = Some(value),
                "nc" => found.nc = value,
                "cnonce" => found.cnonce = value,
                "opaque" => found.opaque = Some(value),
                _ => {}
            }
        }
        Some(found)
    }

    /// The answer to a challenge.
    pub fn answer(challenge: &Challenge, username: &str, password: &str, method: &str, uri: &str, cnonce: &str) -> Credentials {
        let mut made = Credentials {
            username: username.to_owned(),
            realm: challenge.realm.clone(),
            nonce: challenge.nonce.clone(),
            uri: uri.to_owned(),
            algorithm: Some(challenge.algorithm),
            opaque: challenge.opaque.clone(),
            ..Credentials::default()
        };
        if challenge.qop {
            made.qop = Some("auth".to_owned());
            made.nc = "00000001".to_owned();
            made.cnonce = cnonce.to_owned();
        }
        made.response = made.expected(password, method).unwrap_or_default();
        made
    }

    /// Whether the password made this response, in constant time.
    pub fn verify(&self, password: &str, method: &str) -> bool {
        self.expected(password, method).is_some_and(|expected| {
            let given = self.response.to_ascii_lowercase();
            expected.as_bytes().ct_eq(given.as_bytes()).into()
        })
    }

    fn expected(&self, password: &str, method: &str) -> Option<String> {
        let algorithm = self.algorithm?;
        let ha1 = algorithm.hash(&[&self.username, &self.realm, password]);
        let ha2 = algorithm.hash(&[method, &self.uri]);
        match self.qop.as_deref() {
            None => Some(algorithm.hash(&[&ha1, &self.nonce, &ha2])),
            Some(qop) if qop.eq_ignore_ascii_case("auth") => Some(algorithm.hash(&[&ha1, &self.nonce, &self.nc, &self.cnonce, qop, &ha2])),
            // `auth-int` hashes the body too; nobody offers it to us
            Some(_) => None,
        }
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{}\", algorithm={}",
            quoted(&self.username),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(&self.uri),
            self.response,
            self.algorithm.unwrap_or_default().as_str()
        )?;
        if let Some(qop) = &self.qop {
            write!(f, ", cnonce=\"{}\", qop={qop}, nc={}", quoted(&self.cnonce), self.nc)?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque=\"{}\"", quoted(opaque))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}@{}, {:?}, qop {:?})", self.username, self.realm, self.algorithm, self.qop)
    }
}

fn scheme(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let (name, rest) = text.split_at_checked(6)?;
    name.eq_ignore_ascii_case("Digest").then_some(rest)
}

fn quoted(text: &str) -> String {
    text.replace(['"', '\\', '\r', '\n'], "")
}

/// Makes nonces that need no memory: the time and a keyed hash over it and whom it was given to.
#[derive(Clone)]
pub struct Nonces {
    key: [u8; 32],
}

/// What a nonce that came back is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Ours, for this peer, and young enough.
    Fresh,
    /// Ours, for this peer, too old.
    Stale,
    /// Not ours, or somebody else's.
    Foreign,
}

impl Nonces {
    /// Keyed by a secret of this process.
    pub fn new(key: [u8; 32]) -> Nonces {
        Nonces { key }
    }

    /// A nonce for `whom`, made at `seconds` of any steady clock.
    pub fn make(&self, whom: &str, seconds: u32) -> String {
        format!("{seconds:08x}{}", self.tag(whom, seconds))
    }

    /// Judges a nonce that came back from `whom`.
    pub fn check(&self, nonce: &str, whom: &str, seconds: u32, life: u32) -> Freshness {
        let Some((time, tag)) = nonce.split_at_checked(8) else { return Freshness::Foreign };
        let Ok(made) = u32::from_str_radix(time, 16) else { return Freshness::Foreign };
        if !bool::from(self.tag(whom, made).as_bytes().ct_eq(tag.as_bytes())) {
            return Freshness::Foreign;
        }
        match seconds.wrapping_sub(made) <= life {
            true => Freshness::Fresh,
            false => Freshness::Stale,
        }
    }

    fn tag(&self, whom: &str, seconds: u32) -> String {
        use hmac::{KeyInit, Mac};
        // HMAC pads its key to the block of 64 bytes with zeros
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.key);
        let mut mac = hmac::Hmac::<sha2::Sha256>::new(&block.into());
        mac.update(&seconds.to_be_bytes());
        mac.update(whom.as_bytes());
        let tag: [u8; 32] = mac.finalize().into_bytes().into();
        hex::encode(&tag[..12])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "sip:34020000002000000001@3402000000";

    fn credentials(more: &str, response: &str) -> Credentials {
        Credentials::parse(&format!(
            "Digest username=\"34020000001320000001\", realm=\"3402000000\", nonce=\"f3a1c29be07d4456\", uri=\"{URI}\", response=\"{response}\"{more}"
        ))
        .unwrap()
    }

    #[test]
    fn the_sheets_vectors() {
        let plain = credentials(", algorithm=MD5", "40afbd018daa8ab9b16617afaed4a792");
        assert!(plain.verify("12345678", "REGISTER"));
        assert!(!plain.verify("12345679", "REGISTER") && !plain.verify("12345678", "MESSAGE"));
        for more in [", qop=auth, nc=00000001, cnonce=\"0a4f113b\"", " ,cnonce=0a4f113b,nc=\"00000001\",qop=\"auth\",algorithm=\"MD5\""] {
            assert!(credentials(more, "B809183FA21A8E3FC686CEB892E3BE2E").verify("12345678", "REGISTER"), "{more}");
        }
    }

    #[test]
    fn rfc_7616_section_3_9_1() {
        let text = |algorithm: &str, response: &str| {
            format!(
                "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", \
                 qop=auth, response=\"{response}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        for (algorithm, response) in
            [("MD5", "8ca523f5e9506fed4657c9700eebdbec"), ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")]
        {
            assert!(Credentials::parse(&text(algorithm, response)).unwrap().verify("Circle of Life", "GET"), "{algorithm}");
        }
        // an algorithm that we do not know never verifies
        assert!(!Credentials::parse(&text("SM3", "8ca523f5e9506fed4657c9700eebdbec")).unwrap().verify("Circle of Life", "GET"));
    }

    #[test]
    fn what_a_client_answers_the_server_takes() {
        for (algorithm, qop) in [(Algorithm::Md5, false), (Algorithm::Md5, true), (Algorithm::Sha256, false), (Algorithm::Sha256, true)] {
            let challenge = Challenge { realm: "r".into(), nonce: "n".into(), algorithm, qop, ..Challenge::default() };
            let read = Challenge::parse(&challenge.to_string()).unwrap();
            assert_eq!(read, challenge);
            let made = Credentials::answer(&read, "u", "p", "REGISTER", URI, "c").to_string();
            assert!(Credentials::parse(&made).unwrap().verify("p", "REGISTER"));
            assert!(!Credentials::parse(&made).unwrap().verify("q", "REGISTER"));
        }
    }

    #[test]
    fn nc_is_a_literal_string() {
        let mut made = credentials(", qop=auth, nc=0000010a, cnonce=\"x\"", "");
        made.response = made.expected("p", "REGISTER").unwrap();
        assert!(Credentials::parse(&made.to_string()).unwrap().verify("p", "REGISTER"));
        made.nc = "266".into();
        assert!(!made.verify("p", "REGISTER"));
    }

    #[test]
    fn nonces_are_bound_to_peer_and_time() {
        let nonces = Nonces::new([7; 32]);
        let nonce = nonces.make("34020000001320000001", 1000);
        assert_eq!(nonces.check(&nonce, "34020000001320000001", 1060, 60), Freshness::Fresh);
        assert_eq!(nonces.check(&nonce, "34020000001320000001", 1061, 60), Freshness::Stale);
        assert_eq!(nonces.check(&nonce, "34020000001320000002", 1000, 60), Freshness::Foreign);
        for hostile in ["", "00", "zzzzzzzzz", &nonce[..20], "ééééééééé"] {
            assert_eq!(nonces.check(hostile, "34020000001320000001", 1000, 60), Freshness::Foreign);
        }
        assert_eq!(Nonces::new([8; 32]).check(&nonce, "34020000001320000001", 1000, 60), Freshness::Foreign);
    }

    #[test]
    fn not_digest_is_none() {
        for text in ["", "Basic YTpi", "Dig", "Digest"] {
            assert_eq!(Challenge::parse(text), None, "{text}");
        }
    }
}
