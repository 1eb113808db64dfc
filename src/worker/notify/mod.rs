//! Posts callbacks: what the store has queued goes to its URL, in order for each object, with a signature.
//!
//! A callback is tried up to `notify.tries` times with waits that grow and vary; 2xx means taken. The queue is in the store: a
//! restart loses nothing, and a callback whose answer was lost comes again with the same `X-Weir-Delivery`. [`sign`] says how
//! a receiver checks what it gets, [`target`] which addresses are never connected to.

mod post;
pub mod sign;
pub mod target;
#[cfg(test)]
mod tests;

use crate::base::units::Span;
use crate::model::callback::{Delivery, Waiting};
use crate::model::tenant::Status;
use crate::model::time::Time;
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use crate::store::{Change, Changes, Outcome, Seen, Store, callback_host as host_of};
use post::Poster;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use target::Target;
use tokio::sync::Semaphore;

crate::settings! {
    /// Posting callbacks to the URLs of groups and templates.
    pub struct Settings {
        /// Networks that callbacks may go to although they are not public, as in ["10.0.0.0/8", "127.0.0.1/32"].
        pub allow: Vec<target::Network> = Vec::new(),
        /// How long one try may take, from the look-up of the name to the answer.
        pub timeout: Span = Span::secs(10),
        /// How often a callback is tried.
        pub tries: u32 = 5,
        /// The wait after the first failure; it grows four times with each.
        pub first_wait: Span = Span::secs(2),
        /// The longest wait.
        pub longest_wait: Span = Span::secs(300),
        /// Posts at the same time.
        pub at_once: u32 = 64,
        /// Posts to one host at the same time.
        pub at_once_per_host: u32 = 8,
        /// A file of certificates (PEM) that https receivers may be signed by, beside the public authorities.
        pub ca_file: Option<PathBuf> = None,
    }
}

/// How long nothing is asked of the store when nothing tells that there is something to do: another server may have queued it.
const LOOK: Duration = Duration::from_secs(5);
/// How long the store is left alone after it failed, or while hosts are busy.
const BREATHE: Duration = Duration::from_millis(500);

/// Starts to post; ends with `tasks`. An error means that the settings cannot be used.
pub fn start(settings: Settings, store: Store, clock: Clock, tasks: &Tasks) -> Result<(), String> {
    let poster = Poster::new(&settings)?;
    let room = Arc::new(Semaphore::new(settings.at_once.max(1) as usize));
    let shared = Shared { settings, store, clock, poster, busy: Mutex::default() };
    let worker = Worker { shared: Arc::new(shared), room, posts: tasks.child() };
    tasks.spawn("callbacks", worker.run(tasks.stopping()));
    Ok(())
}

struct Worker {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    posts: Tasks,
}

struct Shared {
    settings: Settings,
    store: Store,
    clock: Clock,
    poster: Poster,
    /// Posts that are under way, by host.
    busy: Mutex<HashMap<String, u32>>,
}

impl Worker {
    async fn run(self, stop: Stop) {
        let mut changes = self.shared.store.watch();
        loop {
            let wait = match self.round().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "cannot read the queue of callbacks");
                    Some(BREATHE)
                }
            };
            let Some(wait) = wait else { continue };
            tokio::select! {
                () = self.shared.clock.sleep(wait) => {}
                () = queued(&mut changes) => {}
                () = stop.requested() => return,
            }
        }
    }

    /// Takes what is due and starts to post it. Returns how long to wait then; `None`: there is more to do at once.
    async fn round(&self) -> Result<Option<Duration>, crate::store::Error> {
        let free = self.room.available_permits() as u32;
        if free == 0 {
            return Ok(Some(BREATHE));
        }
        let (full, spare) = self.shared.hosts();
        // All that is taken may be for one host.
        let taken = self.shared.store.take_callbacks(free.min(spare), self.shared.lease(), &full).await?;
        let some = !taken.is_empty();
        for waiting in taken {
            // `free` of them at most: there is room for each.
            let Ok(permit) = self.room.clone().try_acquire_owned() else { break };
            let shared = self.shared.clone();
            let host = Host::enter(&shared, host_of(&waiting.draft.url));
            self.posts.spawn("callback", async move {
                shared.deliver(waiting).await;
                drop((host, permit));
            });
        }
        if some {
            return Ok(None);
        }
        if !full.is_empty() {
            return Ok(Some(BREATHE));
        }
        let due = self.shared.store.callbacks_due().await?;
        let left = due.map_or(LOOK, |due| Duration::from_millis((due.0 - self.shared.now().0).max(0) as u64));
        Ok(Some(left.clamp(Duration::from_millis(10), LOOK)))
    }
}

/// Returns when callbacks may have been queued, or the next of an object has come up.
async fn queued(changes: &mut Changes) {
    loop {
        match changes.next().await {
            Some(Seen::Change(Change::Callbacks) | Seen::Missed(_)) => return,
            Some(Seen::Change(_)) => {}
            // The store is gone, and soon this worker is, too.
            None => std::future::pending().await,
        }
    }
}

impl Shared {
    fn now(&self) -> Time {
        Time::from_nanos(self.clock.unix().0)
    }

    /// Longer than any try takes: whoever took a callback has logged the try before it is free again.
    fn lease(&self) -> Duration {
        self.settings.timeout.0 * 2 + Duration::from_secs(30)
    }

    /// The hosts that get no more posts now, and how many any of the others may still get.
    fn hosts(&self) -> (Vec<String>, u32) {
        let most = self.settings.at_once_per_host.max(1);
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let full = busy.iter().filter(|(_, n)| **n >= most).map(|(host, _)| host.clone()).collect();
        let busiest = busy.values().copied().filter(|n| *n < most).max().unwrap_or(0);
        (full, most - busiest)
    }

    /// One try, its log entry, and what follows from it.
    async fn deliver(&self, waiting: Waiting) {
        let (at, start) = (self.now(), self.clock.now());
        let result = self.attempt(&waiting, at).await;
        let took = self.clock.now().since(start);
        let tried = waiting.tries + 1;
        let (status, error, lost) = match result {
            Ok(status) => (status, String::new(), false),
            Err(Failure::Answered(status)) => (status, format!("answered {status}"), false),
            Err(Failure::Failed(why)) => (0, why, false),
            Err(Failure::Never(why)) => (0, why, true),
        };
        let last = error.is_empty() || lost || tried >= self.settings.tries;
        match (error.is_empty(), last) {
            (true, _) => tracing::debug!(object = waiting.draft.object, "callback taken"),
            (false, true) => tracing::warn!(object = waiting.draft.object, host = host_of(&waiting.draft.url), error, "callback given up"),
            (false, false) => tracing::debug!(object = waiting.draft.object, error, tried, "callback failed"),
        }
        let outcome = if last { Outcome::Finished } else { Outcome::Again(Time(self.now().0 + self.wait(tried).as_millis() as i64)) };
        let draft = waiting.draft;
        let took_ms = took.as_millis() as i64;
        let delivery = Delivery {
            id: waiting.id,
            owner: draft.owner,
            object: draft.object,
            url: draft.url,
            body: draft.body,
            tried,
            at,
            took_ms,
            status,
            error,
            last,
        };
        if let Err(error) = self.store.finish_callback(delivery, outcome).await {
            // Its lease ends, and it comes again.
            tracing::warn!(%error, "cannot log a callback");
        }
    }

    async fn attempt(&self, waiting: &Waiting, at: Time) -> Result<u16, Failure> {
        let target = Target::parse(&waiting.draft.url).map_err(|e| Failure::Never(e.to_string()))?;
        let keys = self.store.access_keys(waiting.draft.owner).await.map_err(|e| Failure::Failed(e.to_string()))?;
        let key = keys.into_iter().find(|key| key.status != Status::Deleted);
        let key = key.ok_or_else(|| Failure::Never("the tenant is gone".to_owned()))?;
        let headers = sign::headers(&key.id, &key.secret, waiting.id, at, &waiting.draft.body);
        let posted = self.poster.post(&target, headers, waiting.draft.body.clone());
        match tokio::time::timeout(self.settings.timeout.0, posted).await {
            Ok(Ok(status)) if (200..300).contains(&status) => Ok(status),
            Ok(Ok(status)) => Err(Failure::Answered(status)),
            Ok(Err(why)) => Err(Failure::Failed(why)),
            Err(_) => Err(Failure::Failed("no answer in time".to_owned())),
        }
    }

    /// The wait after so many tries: four times longer each, a quarter more or less, so that receivers are not hit all at once.
    fn wait(&self, tried: u32) -> Duration {
        let grown = self.settings.first_wait.0.saturating_mul(4_u32.saturating_pow(tried.saturating_sub(1)));
        grown.min(self.settings.longest_wait.0).mul_f64(0.75 + 0.5 * rand::random::<f64>())
    }
}

/// Why a try came to nothing.
enum Failure {
    /// An answer other than 2xx.
    Answered(u16),
    /// No answer.
    Failed(String),
    /// No later try will go better.
    Never(String),
}

/// Counts a post among those to its host.
struct Host {
    shared: Arc<Shared>,
    name: String,
}

impl Host {
    fn enter(shared: &Arc<Shared>, name: &str) -> Host {
        *shared.busy.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default() += 1;
        Host { shared: shared.clone(), name: name.to_owned() }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let mut busy = self.shared.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = busy.get_mut(&self.name) {
            *n -= 1;
            if *n == 0 {
                busy.remove(&self.name);
            }
        }
    }
}
