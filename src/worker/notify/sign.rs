//! The signature of a callback: how it is made, and how a receiver checks it.
//!
//! Each post carries
//! - `X-Weir-AccessKeyId`: the tenant's access key whose secret signs,
//! - `X-Weir-Timestamp`: seconds since 1970 of this try,
//! - `X-Weir-Delivery`: the callback's number, the same in every try of it: a receiver that knows it already may drop it,
//! - `X-Weir-Signature`: `v1=` and the hex HMAC-SHA256, keyed with the secret, over timestamp, delivery and body, joined by `\n`.
//!
//! A receiver computes the same over the body as it came, compares in constant time, and refuses timestamps that are old.

use crate::base::pii::Secret;
use crate::model::id::CallbackId;
use crate::model::time::Time;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The headers of a post.
pub fn headers(key: &str, secret: &Secret, delivery: CallbackId, at: Time, body: &str) -> [(&'static str, String); 4] {
    let (time, delivery) = (at.as_secs().to_string(), delivery.to_string());
    let signature = signature(secret, &time, &delivery, body);
    [
        ("x-weir-accesskeyid", key.to_owned()),
        ("x-weir-timestamp", time),
        ("x-weir-delivery", delivery),
        ("x-weir-signature", format!("v1={signature}")),
    ]
}

fn signature(secret: &Secret, time: &str, delivery: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.0.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{time}\n{delivery}\n{body}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_can_compute_the_signature() {
        let headers = headers("testid", &Secret("testsecret".to_owned()), CallbackId(17), Time::from_secs(1_551_373_217), "{\"a\":1}");
        // printf '1551373217\n17\n{"a":1}' | openssl dgst -sha256 -hmac testsecret
        let want = "v1=1e737033bafaf4892a69a1fa8b9180a7b7c22acab424ee2025264c8b2c9e8e18";
        assert_eq!(headers.map(|(_, value)| value), ["testid", "1551373217", "17", want]);
    }
}
