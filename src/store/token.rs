//! Tokens: texts that only this store can have made and only this store can read, fit for a path or a header.

use super::Store;
use super::error::Result;
use crate::base::pii::Secret;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What sealed texts begin with; tokens go without.
const FORM: &str = "v1:";

impl Store {
    /// Seals a text; `purpose` keeps a token of one kind from being taken for another.
    pub fn token(&self, purpose: &str, text: &str) -> Result<String> {
        let sealed = self.0.sealer.seal(&format!("token/{purpose}"), &Secret(text.to_owned()))?;
        let bytes = STANDARD_NO_PAD.decode(sealed.trim_start_matches(FORM)).unwrap_or_default();
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The text of a token; `None`: this store did not make it, or for another purpose.
    pub fn open_token(&self, purpose: &str, token: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let sealed = format!("{FORM}{}", STANDARD_NO_PAD.encode(bytes));
        self.0.sealer.open(&format!("token/{purpose}"), &sealed).ok().map(|text| text.0)
    }
}
