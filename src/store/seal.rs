//! Secrets at rest: AES-256-GCM with a key that lives in a file of its own, so that a copy of the database alone opens nothing.

use super::error::{Error, Result};
use crate::base::pii::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The key file's name in `data_dir`.
pub(super) const FILE: &str = "secret.key";
const LEN: usize = 32;
const FORM: &str = "v1:";

/// Seals and opens secrets.
pub(super) struct Sealer {
    key: LessSafeKey,
    /// The bytes again, for the backup.
    bytes: [u8; LEN],
}

impl Sealer {
    /// The key of `dir`; `None` if there is none.
    pub(super) fn load(dir: &Path) -> Result<Option<Sealer>> {
        let file = dir.join(FILE);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::Unusable(format!("{}: {e}", file.display()))),
        };
        let bytes = hex::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        let bytes: [u8; LEN] = bytes.ok_or_else(|| Error::Unusable(format!("{}: not a key of 64 hex digits", file.display())))?;
        Sealer::new(bytes).map(Some)
    }

    /// Makes a new key and its file, readable by its owner alone. Never replaces one.
    pub(super) fn create(dir: &Path) -> Result<Sealer> {
        Sealer::new(random()?)?.save(dir)
    }

    /// From the bytes of a key.
    pub(super) fn new(bytes: [u8; LEN]) -> Result<Sealer> {
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| Error::Unusable("AES-256-GCM is not to be had".to_owned()))?;
        Ok(Sealer { key: LessSafeKey::new(key), bytes })
    }

    /// Writes the key's file. It appears under its name only when it is whole and on disk.
    pub(super) fn save(self, dir: &Path) -> Result<Sealer> {
        let file = dir.join(FILE);
        let fail = |e: std::io::Error| Error::Unusable(format!("{}: {e}", file.display()));
        let part = Part(dir.join(format!("{FILE}.{}", std::process::id())));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut out = options.open(&part.0).map_err(fail)?;
        out.write_all(hex::encode(self.bytes).as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .and_then(|()| out.sync_all())
            .map_err(fail)?;
        // A link fails if another process was quicker; where there are no links, a rename must do.
        match std::fs::hard_link(&part.0, &file) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists && !file.exists() => std::fs::rename(&part.0, &file),
            linked => linked,
        }
        .map_err(fail)?;
        std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(fail)?;
        Ok(self)
    }

    /// The key in hex, for a backup.
    pub(super) fn export(&self) -> String {
        hex::encode(self.bytes)
    }

    /// Seals a text; `place` names the row and column, so that a sealed text cannot be moved to another.
    pub(super) fn seal(&self, place: &str, text: &Secret) -> Result<String> {
        let fail = |_| Error::Damaged("sealing failed".to_owned());
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut sealed = text.0.as_bytes().to_vec();
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut sealed).map_err(fail)?;
        Ok(format!("{FORM}{}", STANDARD_NO_PAD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// Opens a sealed text.
    pub(super) fn open(&self, place: &str, sealed: &str) -> Result<Secret> {
        let fail = || Error::Damaged(format!("the secret of {place} does not open with this {FILE}"));
        let bytes = sealed.strip_prefix(FORM).and_then(|text| STANDARD_NO_PAD.decode(text).ok()).ok_or_else(fail)?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN).ok_or_else(fail)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| fail())?;
        let mut rest = rest.to_vec();
        let text = self.key.open_in_place(nonce, Aad::from(place), &mut rest).map_err(|_| fail())?;
        String::from_utf8(text.to_vec()).map(Secret).map_err(|_| fail())
    }
}

/// A file that is gone when this is.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Unusable("the machine has no randomness".to_owned()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_in_its_place_with_its_key() {
        let sealer = Sealer::new([7; LEN]).unwrap();
        let text = Secret("口令 p@ss".to_owned());
        let sealed = sealer.seal("devices/1/password", &text).unwrap();
        assert!(!sealed.contains("p@ss"));
        assert_ne!(sealed, sealer.seal("devices/1/password", &text).unwrap(), "each has a nonce of its own");
        assert_eq!(sealer.open("devices/1/password", &sealed).unwrap(), text);
        assert!(sealer.open("devices/2/password", &sealed).is_err());
        assert!(Sealer::new([8; LEN]).unwrap().open("devices/1/password", &sealed).is_err());
        for wrong in ["", "v1:", "v1:AAAA", "v2:AAAA", &sealed[..sealed.len() - 2]] {
            assert!(sealer.open("devices/1/password", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_key_file_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Sealer::load(dir.path()).unwrap().is_none());
        let made = Sealer::create(dir.path()).unwrap();
        assert_eq!(Sealer::load(dir.path()).unwrap().unwrap().export(), made.export());
        assert!(Sealer::create(dir.path()).is_err(), "an existing key is never replaced");
        assert_eq!(Sealer::load(dir.path()).unwrap().unwrap().export(), made.export());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(dir.path().join(FILE), "not a key").unwrap();
        assert!(Sealer::load(dir.path()).is_err());
    }
}
