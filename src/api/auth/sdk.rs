//! SDK-HMAC-SHA256: the header signature of the cloud whose recording usage interface we answer (`X-Sdk-Date`, `Authorization`).

use super::super::query::{self, Given};
use crate::model::time::Time;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const METHOD: &str = "SDK-HMAC-SHA256";

/// What a request claims: who made it, when, and the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// `Access`: the id of the key.
    pub key_id: String,
    /// `X-Sdk-Date`, unix seconds.
    pub time: i64,
    text: String,
    signature: String,
}

/// Reads the headers of the signature; `None`: the request is not signed this way, or not completely.
pub fn claim(method: &str, path: &str, given: &Given, headers: &http::HeaderMap, body: &[u8]) -> Option<Claim> {
    let header = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().and_then(|v| v.to_str().ok()).map(str::trim)?;
        (values.next().is_none() && !value.is_empty()).then_some(value)
    };
    let fields = header("authorization")?.strip_prefix(METHOD)?;
    let field = |name: &str| {
        let found = fields.split(',').filter_map(|f| f.trim().split_once('=')).find(|(n, _)| *n == name);
        found.map(|(_, v)| v.trim()).filter(|v| !v.is_empty())
    };
    let (key_id, names, signature) = (field("Access")?, field("SignedHeaders")?, field("Signature")?);
    let names: Vec<&str> = names.split(';').collect();
    let stamp = header("x-sdk-date")?;
    // Without the date a request would be good for ever.
    if !names.contains(&"x-sdk-date") {
        return None;
    }
    let mut canonical = String::new();
    for name in &names {
        let values: Vec<&str> = headers.get_all(*name).iter().filter_map(|v| v.to_str().ok()).map(str::trim).collect();
        canonical.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    // The path ends with a stroke, whether the request's does or not.
    let path = format!("{}/", path.trim_end_matches('/'));
    let query = query::canonical(given, &[]);
    let digest = hex::encode(Sha256::digest(body));
    let request = format!("{method}\n{path}\n{query}\n{canonical}\n{}\n{digest}", names.join(";"));
    let text = format!("{METHOD}\n{stamp}\n{}", hex::encode(Sha256::digest(request)));
    Some(Claim { key_id: key_id.to_owned(), time: time(stamp)?, text, signature: signature.to_owned() })
}

impl Claim {
    /// The signature that the secret's owner would have made.
    #[cfg(test)]
    pub fn sign(&self, secret: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(self.text.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    /// Whether the secret's owner made the request.
    pub fn verify(&self, secret: &str) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
        mac.update(self.text.as_bytes());
        hex::decode(&self.signature).is_ok_and(|bytes| mac.verify_slice(&bytes).is_ok())
    }
}

/// `20261121T043904Z` in unix seconds.
fn time(stamp: &str) -> Option<i64> {
    let part = |from: usize, to: usize| stamp.get(from..to);
    let (day, rest) = (format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?), part(8, 9)?);
    let clock = format!("{}:{}:{}", part(9, 11)?, part(11, 13)?, part(13, 15)?);
    let whole = rest == "T" && stamp.get(15..) == Some("Z");
    whole.then(|| format!("{day}T{clock}Z").parse::<Time>().ok()).flatten().map(Time::as_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Recorded {
        path: String,
        query: Given,
        headers: http::HeaderMap,
    }

    /// The request that the public client made on loopback.
    fn recorded() -> Recorded {
        let all: serde_json::Value = serde_json::from_str(include_str!("../../../fixtures/api/sdk-requests.json")).unwrap();
        let one = all.as_array().unwrap().iter().find(|r| r["client"].as_str().unwrap().starts_with("huaweicloudsdklive")).unwrap().clone();
        let (path, query) = one["path"].as_str().unwrap().split_once('?').unwrap();
        let mut given = Given::default();
        given.extend(query.as_bytes()).unwrap();
        let mut headers = http::HeaderMap::new();
        for (name, value) in one["headers"].as_object().unwrap() {
            headers.insert(name.parse::<http::HeaderName>().unwrap(), value.as_str().unwrap().parse().unwrap());
        }
        Recorded { path: path.to_owned(), query: given, headers }
    }

    impl Recorded {
        fn claim(&self) -> Option<Claim> {
            claim("GET", &self.path, &self.query, &self.headers, b"")
        }
    }

    #[test]
    fn the_recorded_request_of_the_public_client_verifies() {
        let claim = recorded().claim().unwrap();
        assert_eq!((claim.key_id.as_str(), claim.time), ("ak", 1_795_235_944));
        assert!(claim.verify("sk"));
        assert!(!claim.verify("sk2"));
    }

    #[test]
    fn what_is_covered_cannot_be_altered() {
        let wrong = |request: Recorded| !request.claim().is_some_and(|claim| claim.verify("sk"));
        let mut other = recorded();
        other.query.push("domain", "a");
        assert!(wrong(other));
        assert!(wrong(Recorded { path: "/v2/proj2/stats/record".to_owned(), ..recorded() }));
        for name in ["x-sdk-date", "x-project-id", "host"] {
            let mut other = recorded();
            other.headers.insert(name.parse::<http::HeaderName>().unwrap(), "20261121T043905Z".parse().unwrap());
            assert!(wrong(other), "{name}");
        }
        let mut other = recorded();
        let bare = other.headers["authorization"].to_str().unwrap().replace(";x-sdk-date", "");
        other.headers.insert("authorization", bare.parse().unwrap());
        assert_eq!(other.claim(), None);
        for bad in ["SDK-HMAC-SHA256", "SDK-HMAC-SHA256 Access=a", "Basic YTpi", "SDK-HMAC-SHA256 =,=,,"] {
            let mut other = recorded();
            other.headers.insert("authorization", bad.parse().unwrap());
            assert_eq!(other.claim(), None, "{bad}");
        }
        for stamp in ["2026-11-21T04:39:04Z", "20261121", "20261321T043904Z", "20261121T043904", "2026112é"] {
            let mut other = recorded();
            other.headers.insert("x-sdk-date", http::HeaderValue::from_bytes(stamp.as_bytes()).unwrap());
            assert_eq!(other.claim(), None, "{stamp}");
        }
    }
}
