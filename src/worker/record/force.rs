//! Forces to the disk what recordings wrote, all of them together: hundreds of recordings cost no more forced writes than one.

use crate::runtime::clock::Clock;
use crate::runtime::task::Stop;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The file system of one directory.
#[derive(Debug)]
pub struct Force {
    dir: PathBuf,
    /// Something was written since the last round began.
    written: AtomicBool,
    rounds: AtomicU64,
}

impl Force {
    /// Of what lies below `dir`.
    pub fn new(dir: &Path) -> Arc<Force> {
        Arc::new(Force { dir: dir.to_owned(), written: AtomicBool::new(false), rounds: AtomicU64::new(0) })
    }

    /// Something was written, with its directory entry perhaps: the next round forces it.
    pub fn wrote(&self) {
        self.written.store(true, Ordering::Release);
    }

    /// Rounds so far.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// A round every `every` in which something was written, until it is told to stop; what was written until then is forced as well.
    pub async fn run(self: Arc<Force>, every: Duration, clock: Clock, stop: Stop) {
        let mut complained = false;
        loop {
            let over = tokio::select! {
                () = clock.sleep(every) => false,
                () = stop.requested() => true,
            };
            if self.written.swap(false, Ordering::AcqRel) {
                let dir = self.dir.clone();
                let done = tokio::task::spawn_blocking(move || force(&dir)).await.unwrap_or_else(|e| Err(io::Error::other(e)));
                self.rounds.fetch_add(1, Ordering::Relaxed);
                match done {
                    Ok(()) => complained = false,
                    Err(error) if !std::mem::replace(&mut complained, true) => {
                        tracing::error!(%error, dir = %self.dir.display(), "recordings cannot be forced to the disk: a power failure may cost more than it should");
                    }
                    Err(_) => {}
                }
            }
            if over {
                return;
            }
        }
    }
}

/// Data, sizes and names of all that was written to the file system: one commit of its journal, whatever the number of files.
fn force(dir: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::time::Timestamp;
    use crate::runtime::task::Tasks;

    #[tokio::test]
    async fn a_round_serves_all_and_there_is_none_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (clock, tasks, force) = (Clock::manual(Timestamp::ZERO), Tasks::new(), Force::new(dir.path()));
        tasks.spawn("force", force.clone().run(Duration::from_millis(500), clock.clone(), tasks.stopping()));
        let until = async |rounds| {
            for _ in 0..500 {
                if force.rounds() == rounds {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("{} rounds instead of {rounds}", force.rounds());
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
        (0..200).for_each(|_| force.wrote());
        clock.advance(Duration::from_millis(499));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(force.rounds(), 0);
        clock.advance(Duration::from_millis(1));
        until(1).await;
        for _ in 0..5 {
            clock.advance(Duration::from_millis(500));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(force.rounds(), 1, "nothing was written");
        force.wrote();
        tasks.finish(Duration::from_secs(5)).await;
        assert_eq!(force.rounds(), 2, "what was written last is forced as well");
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        force(dir.path()).unwrap();
        assert!(force(&dir.path().join("gone")).is_err());
    }
}
