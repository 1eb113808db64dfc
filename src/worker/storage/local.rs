//! Files of the local directory.

use super::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Moves a file to its place, whose directory is made; `durable`: it is there after a power cut as well.
pub async fn put(from: PathBuf, to: PathBuf, durable: bool) -> Result<(), Error> {
    let done = tokio::task::spawn_blocking(move || {
        let wrong = |path: &Path| {
            let path = path.to_owned();
            move |e| Error::File(path, e)
        };
        let dir = to.parent().unwrap_or(&to);
        fs::create_dir_all(dir).map_err(wrong(dir))?;
        if durable {
            File::open(&from).and_then(|file| file.sync_all()).map_err(wrong(&from))?;
        }
        fs::rename(&from, &to).map_err(wrong(&to))?;
        if durable {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(wrong(dir))?;
        }
        Ok(())
    });
    done.await.unwrap_or_else(|e| Err(Error::Full(e.to_string())))
}
