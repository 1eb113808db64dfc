//! Signature 1.0 with HMAC-SHA1: everything received but `Signature` itself is signed, GET and POST alike.

use super::super::error::{Error, Kind};
use super::super::query::{self, Given};
use super::{Claim, Proof, incomplete, time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// The longest nonce.
pub const NONCE_MAX: usize = 128;

/// Reads the common parameters of the signature.
pub fn claim(method: &str, given: &Given) -> Result<Claim, Error> {
    let need = |names: &[&str]| -> Result<String, Error> {
        if let Some(twice) = names.iter().find(|n| given.ambiguous(n)) {
            return Err(Error::invalid(twice, "is given more than once with different values"));
        }
        let value = names.iter().filter_map(|n| given.get(n)).find(|v| !v.is_empty());
        value.map(str::to_owned).ok_or_else(|| Error::missing(names[0]))
    };
    let key_id = need(&["AccessKeyId"])?;
    let signature = need(&["Signature"])?;
    let by = need(&["SignatureMethod"])?;
    let stamp = need(&["Timestamp"])?;
    // The document's table spells it one way, its examples and every client the other.
    let version = need(&["SignatureVersion", "signature_version"])?;
    let nonce = need(&["SignatureNonce"])?;
    if !by.eq_ignore_ascii_case("HMAC-SHA1") {
        return Err(Error::new(Kind::Invalid, "InvalidSignatureMethod", "The parameter SignatureMethod must be HMAC-SHA1."));
    }
    if version != "1.0" {
        return Err(incomplete("The parameter SignatureVersion must be 1.0."));
    }
    if nonce.len() > NONCE_MAX {
        return Err(Error::invalid("SignatureNonce", format!("must be at most {NONCE_MAX} bytes long")));
    }
    let text = string_to_sign(method, given);
    Ok(Claim { key_id, time: time(&stamp, "Timestamp")?, nonce, proof: Proof::V1 { text, signature } })
}

/// `METHOD&%2F&` and the canonical query string, encoded once more.
pub fn string_to_sign(method: &str, given: &Given) -> String {
    let mut text = format!("{method}&%2F&");
    query::encode_into(&mut text, &query::canonical(given, &["Signature"]));
    text
}

fn mac(secret: &str, text: &str) -> Hmac<Sha1> {
    let mut mac = Hmac::<Sha1>::new_from_slice(format!("{secret}&").as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac
}

/// The signature in Base64.
pub fn sign(secret: &str, text: &str) -> String {
    STANDARD.encode(mac(secret, text).finalize().into_bytes())
}

/// Whether the signature is this secret's. A `+` that a client forgot to encode arrives as a space.
pub fn verify(secret: &str, text: &str, signature: &str) -> bool {
    match STANDARD.decode(signature.trim_end().replace(' ', "+")) {
        Ok(bytes) => mac(secret, text).verify_slice(&bytes).is_ok(),
        Err(_) => false,
    }
}

/// Adds the common parameters and the signature to a call: what a client does.
pub fn sign_call(method: &str, given: &mut Given, key_id: &str, secret: &str, stamp: &str, nonce: &str) {
    for (name, value) in [
        ("Version", "2018-12-12"),
        ("Format", "JSON"),
        ("AccessKeyId", key_id),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("Timestamp", stamp),
        ("SignatureNonce", nonce),
    ] {
        given.push(name, value);
    }
    let signature = sign(secret, &string_to_sign(method, given));
    given.push("Signature", signature);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(query: &str) -> Given {
        let mut given = Given::default();
        given.extend(query.as_bytes()).unwrap();
        given
    }

    #[test]
    fn the_documents_worked_example() {
        let given = given(
            "Format=JSON&SignatureMethod=HMAC-SHA1&Action=DescribeGroup&AccessKeyId=testid&SignatureNonce=c2fe8fbb-2977-4414-8d39-348d02419c1c\
             &Version=2018-12-12&SignatureVersion=1.0&Timestamp=2019-02-28T00:00:00Z&Signature=sgILSN6tpSSOFF3I1NKD%2B%2Fz0Nos%3D",
        );
        let text = string_to_sign("GET", &given);
        assert_eq!(
            text,
            "GET&%2F&AccessKeyId%3Dtestid%26Action%3DDescribeGroup%26Format%3DJSON%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D\
             c2fe8fbb-2977-4414-8d39-348d02419c1c%26SignatureVersion%3D1.0%26Timestamp%3D2019-02-28T00%253A00%253A00Z%26Version%3D2018-12-12"
        );
        assert_eq!(sign("testsecret", &text), "sgILSN6tpSSOFF3I1NKD+/z0Nos=");
        let claim = claim("GET", &given).unwrap();
        assert_eq!((claim.key_id.as_str(), claim.time), ("testid", 1_551_312_000));
        claim.proof.verify("testsecret").unwrap();
        let refused = claim.proof.verify("testsecreT").unwrap_err();
        assert_eq!(refused.code, "SignatureDoesNotMatch");
        assert!(refused.message.ends_with(&format!("server string to sign is:{text}")), "{}", refused.message);
    }

    #[test]
    fn the_contracts_second_vector() {
        let given = given(
            "Action=DescribeRegions&AccessKeyId=testid&SignatureNonce=3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf&Timestamp=2016-02-23T12%3A46%3A24Z\
             &Format=XML&Version=2014-05-26&SignatureVersion=1.0&SignatureMethod=HMAC-SHA1",
        );
        assert_eq!(sign("testsecret", &string_to_sign("GET", &given)), "OLeaidS1JvxuMvnyHOwuJ+uX5qY=");
    }

    #[test]
    fn every_alteration_is_refused() {
        let base = || given("Action=CreateGroup&Name=a%20b*~%E8%A7%86&Empty=");
        let mut good = base();
        sign_call("POST", &mut good, "k", "s", "2021-06-23T05:01:18Z", "n");
        claim("POST", &good).unwrap().proof.verify("s").unwrap();
        // The same parameters in another order are the same request.
        let mut turned: Vec<_> = good.pairs().to_vec();
        turned.reverse();
        claim("POST", &Given::from_pairs(turned)).unwrap().proof.verify("s").unwrap();
        // Another method, another value, a parameter more or less are not.
        assert!(claim("GET", &good).unwrap().proof.verify("s").is_err());
        for i in 0..good.pairs().len() {
            let mut pairs = good.pairs().to_vec();
            if pairs[i].0 == "Signature" {
                continue;
            }
            pairs[i].1.push('x');
            let altered = Given::from_pairs(pairs.clone());
            assert!(claim("POST", &altered).and_then(|c| c.proof.verify("s")).is_err(), "{:?}", pairs[i]);
            pairs.remove(i);
            let less = Given::from_pairs(pairs);
            assert!(claim("POST", &less).and_then(|c| c.proof.verify("s")).is_err());
        }
        let mut more = good.clone();
        more.push("Extra", "");
        assert!(claim("POST", &more).unwrap().proof.verify("s").is_err());
    }

    #[test]
    fn a_double_encoded_value_is_another_value() {
        let mut once = given("Name=a%2520b");
        sign_call("GET", &mut once, "k", "s", "2021-06-23T05:01:18Z", "n");
        assert_eq!(once.get("Name"), Some("a%20b"));
        let mut pairs = once.pairs().to_vec();
        pairs[0].1 = "a b".into();
        assert!(claim("GET", &Given::from_pairs(pairs)).unwrap().proof.verify("s").is_err());
    }

    #[test]
    fn signatures_that_are_not_base64_are_refused_like_wrong_ones() {
        for wrong in ["", "x", "====", "sgILSN6tpSSOFF3I1NKD+/z0Nos", "\u{1f600}", &"A".repeat(10_000)] {
            assert!(!verify("testsecret", "text", wrong));
        }
        let plus = "sgILSN6tpSSOFF3I1NKD /z0Nos=";
        let mut given = given("Action=DescribeGroup&AccessKeyId=testid&SignatureNonce=c2fe8fbb-2977-4414-8d39-348d02419c1c&Format=JSON");
        for (n, v) in [
            ("SignatureMethod", "HMAC-SHA1"),
            ("Version", "2018-12-12"),
            ("SignatureVersion", "1.0"),
            ("Timestamp", "2019-02-28T00:00:00Z"),
        ] {
            given.push(n, v);
        }
        assert!(verify("testsecret", &string_to_sign("GET", &given), plus));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let good = || {
            let mut given = given("Action=A");
            sign_call("GET", &mut given, "k", "s", "2021-06-23T05:01:18Z", "n");
            given
        };
        let with = |name: &str, value: Option<&str>| {
            let pairs: Vec<(String, String)> = good()
                .pairs()
                .iter()
                .filter_map(|(n, v)| match (n == name, value) {
                    (true, None) => None,
                    (true, Some(value)) => Some((n.clone(), value.to_owned())),
                    (false, _) => Some((n.clone(), v.clone())),
                })
                .collect();
            claim("GET", &Given::from_pairs(pairs))
        };
        for name in ["AccessKeyId", "Signature", "SignatureMethod", "Timestamp", "SignatureVersion", "SignatureNonce"] {
            for value in [None, Some("")] {
                let error = with(name, value).unwrap_err();
                assert_eq!(error.code, "MissingParameter", "{name}");
                assert!(error.message.contains(name), "{}", error.message);
            }
        }
        assert_eq!(with("SignatureMethod", Some("HMAC-MD5")).unwrap_err().code, "InvalidSignatureMethod");
        assert_eq!(with("SignatureVersion", Some("2.0")).unwrap_err().code, "IncompleteSignature");
        for stamp in ["yesterday", "1624424478", "2021-13-23T05:01:18Z"] {
            assert_eq!(with("Timestamp", Some(stamp)).unwrap_err().code, "InvalidTimeStamp.Format", "{stamp}");
        }
        assert_eq!(with("SignatureNonce", Some(&"n".repeat(129))).unwrap_err().code, "InvalidParameter");
        let mut underscored =
            given("Action=A&AccessKeyId=k&Signature=x&SignatureMethod=HMAC-SHA1&Timestamp=2021-06-23T05:01:18Z&SignatureNonce=n");
        underscored.push("signature_version", "1.0");
        claim("GET", &underscored).unwrap();
    }
}
