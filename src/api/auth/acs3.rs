//! ACS3-HMAC-SHA256: the signature of the product's current SDKs, in headers.

use super::super::error::{Error, Kind};
use super::super::query::{self, Given};
use super::{Claim, Parts, Proof, incomplete, time, v1};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const METHOD: &str = "ACS3-HMAC-SHA256";

/// Headers that the signature must cover: without them a request could be turned into another one.
const COVERED: [&str; 5] = ["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce"];

/// Reads the headers of the signature.
pub fn claim(parts: Parts<'_>) -> Result<Claim, Error> {
    let header = |name: &str| -> Result<&str, Error> {
        let mut values = parts.headers.get_all(name).iter();
        let value = values.next().and_then(|v| v.to_str().ok()).map(str::trim).unwrap_or_default();
        match value.is_empty() || values.next().is_some() {
            true => Err(Error::missing(name)),
            false => Ok(value),
        }
    };
    let authorization = header("authorization")?;
    let (method, fields) = authorization.split_once(' ').ok_or_else(|| incomplete("The header Authorization is not complete."))?;
    if method != METHOD {
        return Err(Error::new(
            Kind::Invalid,
            "InvalidSignatureMethod",
            format!("The method of the header Authorization must be {METHOD}."),
        ));
    }
    let field = |name: &str| {
        let found = fields.split(',').filter_map(|f| f.trim().split_once('=')).find(|(n, _)| *n == name);
        found.map(|(_, v)| v.trim()).filter(|v| !v.is_empty()).ok_or_else(|| incomplete(format!("The header Authorization has no {name}.")))
    };
    let (key_id, signed, signature) = (field("Credential")?, field("SignedHeaders")?, field("Signature")?);
    let names: Vec<&str> = signed.split(';').collect();
    if let Some(bare) = COVERED.iter().find(|n| !names.contains(n)) {
        return Err(incomplete(format!("The signature must cover the header {bare}.")));
    }
    let digest = header("x-acs-content-sha256")?;
    if !digest.eq_ignore_ascii_case(&hex::encode(Sha256::digest(parts.body))) {
        return Err(incomplete("The header x-acs-content-sha256 is not the SHA-256 of the body."));
    }
    let nonce = header("x-acs-signature-nonce")?.to_owned();
    if nonce.len() > v1::NONCE_MAX {
        return Err(Error::invalid("x-acs-signature-nonce", format!("must be at most {} bytes long", v1::NONCE_MAX)));
    }
    let text = string_to_sign(&parts, &names, digest);
    let time = time(header("x-acs-date")?, "x-acs-date")?;
    Ok(Claim { key_id: key_id.to_owned(), time, nonce, proof: Proof::Acs3 { text, signature: signature.to_owned() } })
}

fn string_to_sign(parts: &Parts<'_>, names: &[&str], digest: &str) -> String {
    let mut headers = String::new();
    for name in names {
        let values: Vec<&str> = parts.headers.get_all(*name).iter().filter_map(|v| v.to_str().ok()).map(str::trim).collect();
        headers.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    let path = if parts.path.is_empty() { "/" } else { parts.path };
    let request = format!("{}\n{path}\n{}\n{headers}\n{}\n{digest}", parts.method, query::canonical(parts.query, &[]), names.join(";"));
    format!("{METHOD}\n{}", hex::encode(Sha256::digest(request)))
}

fn mac(secret: &str, text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac
}

/// Whether the signature, in hex, is this secret's.
pub fn verify(secret: &str, text: &str, signature: &str) -> bool {
    hex::decode(signature).is_ok_and(|bytes| mac(secret, text).verify_slice(&bytes).is_ok())
}

/// Whether a request is signed this way.
pub fn is(headers: &http::HeaderMap) -> bool {
    headers.get(http::header::AUTHORIZATION).is_some_and(|v| v.as_bytes().starts_with(b"ACS3-"))
}

/// A header of the request that the RPC face needs: the action and the version travel there.
pub fn common(headers: &http::HeaderMap, given: &Given, header: &str, parameter: &str) -> Option<String> {
    let value = headers.get(header).and_then(|v| v.to_str().ok()).filter(|v| !v.is_empty());
    value.or_else(|| given.get(parameter).filter(|v| !v.is_empty())).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Recorded {
        method: String,
        query: Given,
        headers: http::HeaderMap,
        body: String,
    }

    fn recorded(client: &str) -> Recorded {
        let all: serde_json::Value = serde_json::from_str(include_str!("../../../fixtures/api/sdk-requests.json")).unwrap();
        let one = all.as_array().unwrap().iter().find(|r| r["client"].as_str().unwrap().starts_with(client)).unwrap().clone();
        let (_, query) = one["path"].as_str().unwrap().split_once('?').unwrap();
        let mut given = Given::default();
        given.extend(query.as_bytes()).unwrap();
        let mut headers = http::HeaderMap::new();
        for (name, value) in one["headers"].as_object().unwrap() {
            let name: http::HeaderName = name.parse().unwrap();
            headers.insert(name, value.as_str().unwrap().parse().unwrap());
        }
        Recorded { method: one["method"].as_str().unwrap().into(), query: given, headers, body: one["body"].as_str().unwrap().into() }
    }

    impl Recorded {
        fn claim(&self) -> Result<Claim, Error> {
            let (query, headers) = (&self.query, &self.headers);
            super::super::claim(Parts { method: &self.method, path: "/", headers, query, all: query, body: self.body.as_bytes() })
        }
    }

    #[test]
    fn the_recorded_requests_of_real_clients_verify() {
        for client in ["aliyun-python-sdk-core", "aliyun-python-sdk-vs", "alibabacloud_vs20181212"] {
            let claim = recorded(client).claim().unwrap();
            assert_eq!((claim.key_id.as_str(), claim.time), ("testid", 1_795_235_944), "{client}");
            claim.proof.verify("testsecret").unwrap();
            assert_eq!(claim.proof.verify("testsecre").unwrap_err().code, "SignatureDoesNotMatch", "{client}");
        }
    }

    #[test]
    fn what_the_signature_covers_cannot_be_altered() {
        let name = "alibabacloud_vs20181212";
        let mut other = recorded(name);
        other.query.push("Extra", "1");
        assert!(other.claim().unwrap().proof.verify("testsecret").is_err());
        for header in ["host", "x-acs-action", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"] {
            let mut other = recorded(name);
            let value = if header == "x-acs-date" { "2026-11-21T04:39:05Z" } else { "DeleteGroup" };
            other.headers.insert(header.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
            assert!(other.claim().unwrap().proof.verify("testsecret").is_err(), "{header}");
        }
        let mut other = recorded(name);
        other.body = "Id=1".into();
        assert_eq!(other.claim().unwrap_err().code, "IncompleteSignature");
        let mut other = recorded(name);
        other.method = "GET".into();
        assert!(other.claim().unwrap().proof.verify("testsecret").is_err());
    }

    #[test]
    fn a_signature_that_leaves_out_what_matters_is_incomplete() {
        for uncovered in COVERED {
            let mut other = recorded("alibabacloud_vs20181212");
            let value = other.headers["authorization"].to_str().unwrap().replace(&format!("{uncovered};"), "");
            other.headers.insert("authorization", value.parse().unwrap());
            assert_eq!(other.claim().unwrap_err().code, "IncompleteSignature", "{uncovered}");
        }
        for authorization in ["ACS3-HMAC-SHA256", "ACS3-HMAC-SHA256 ", "ACS3-HMAC-SHA256 Credential=a", "ACS3-HMAC-SHA256 =,,=;"] {
            let mut other = recorded("alibabacloud_vs20181212");
            other.headers.insert("authorization", authorization.parse().unwrap());
            assert_eq!(other.claim().unwrap_err().code, "IncompleteSignature", "{authorization}");
        }
        let mut other = recorded("alibabacloud_vs20181212");
        other.headers.insert("authorization", "ACS3-RSA-SHA256 Credential=a".parse().unwrap());
        assert_eq!(other.claim().unwrap_err().code, "InvalidSignatureMethod");
    }
}
