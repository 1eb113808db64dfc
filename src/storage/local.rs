//! Files of the local directory.

use super::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Moves a file to its place, whose directory is made; `durable`: it is there after a power cut as well.
pub async fn put(from: PathBuf, to: PathBuf, durable: bool) -> Result<(), Error> {
    blocking(move || {
        let wrong = |path: &Path| {
            let path = path.to_owned();
            move |e| Error::File(path, e)
        };
        let dir = to.parent().unwrap_or(&to);
        fs::create_dir_all(dir).map_err(wrong(dir))?;
        if durable {
            File::open(&from).and_then(|file| file.sync_all()).map_err(wrong(&from))?;
        }
        if let Err(error) = fs::rename(&from, &to) {
            // The sweep may have taken the directory away again because it was empty.
            match error.kind() == std::io::ErrorKind::NotFound && from.exists() {
                true => fs::create_dir_all(dir).and_then(|()| fs::rename(&from, &to)).map_err(wrong(&to))?,
                false => return Err(Error::File(to, error)),
            }
        }
        if durable {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(wrong(dir))?;
        }
        Ok(())
    })
    .await
}

/// Deletes a file below `root`, and the directories that are empty then. What is gone is gone.
pub async fn remove(root: &Path, file: PathBuf) -> Result<(), Error> {
    let root = root.to_owned();
    blocking(move || {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::File(file, error)),
            _ => {}
        }
        let mut dir = file.parent();
        while let Some(empty) = dir.filter(|dir| *dir != root && dir.starts_with(&root)) {
            if fs::remove_dir(empty).is_err() {
                break;
            }
            dir = empty.parent();
        }
        Ok(())
    })
    .await
}

/// Bytes that are free for us on the disk of a directory.
pub async fn free(dir: &Path) -> Result<u64, Error> {
    let dir = dir.to_owned();
    blocking(move || {
        let found = rustix::fs::statvfs(&dir).map_err(|e| Error::File(dir, e.into()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Error::File(PathBuf::new(), std::io::Error::other(e))))
}
