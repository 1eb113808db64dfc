//! Streams that we fetch from elsewhere: RTMP and HTTP-FLV addresses of the configuration, always or when somebody watches.
//!
//! [`fetch`] is one connection to a source; here are the sources, their demand and their return after a failure.

mod fetch;

use crate::base::id::{SessionId, StreamKey};
use crate::base::units::Span;
use crate::runtime::task::{Stop, Tasks};
use crate::stream::{Event, Registry, Source};
use crate::worker::dial::Backoff;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub use fetch::Address;

/// When a source is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// While somebody watches.
    #[default]
    Demand,
    /// From start to stop.
    Always,
}

/// A source, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pulled {
    /// The name that it gets here: `app/name`.
    pub stream: String,
    /// Where it comes from: `rtmp://`, `rtmps://`, or `http://`, `https://` to an FLV.
    pub url: String,
    /// When it is fetched.
    #[serde(default)]
    pub when: When,
}

crate::settings! {
    /// Streams that are fetched from elsewhere.
    pub struct Settings {
        /// The sources: [[pull.sources]] with stream = "live/cam1", url = "rtmp://…" or "http://….flv", and
        /// when = "demand" (while somebody watches, the default) or "always".
        pub sources: Vec<Pulled> = Vec::new(),
        /// How long a source that nobody watches any more is still fetched.
        pub linger: Span = Span::secs(15),
        /// A source that sends nothing for so long is fetched anew.
        pub silence: Span = Span::secs(10),
        /// The longest wait between two attempts.
        pub retry_most: Span = Span::secs(30),
    }
}

/// Starts to serve the sources in `tasks`. An error names the source that cannot be.
pub fn start(settings: &Settings, registry: &Registry, tasks: &Tasks) -> Result<(), String> {
    for pulled in &settings.sources {
        let key = StreamKey::parse(&pulled.stream).map_err(|e| format!("pull.sources: {}: {e}", pulled.stream))?;
        let address = Address::parse(&pulled.url).map_err(|e| format!("pull.sources: {}: {e}", pulled.stream))?;
        let puller = Puller { key, address, when: pulled.when, settings: settings.clone(), registry: registry.clone() };
        tasks.spawn("pull", puller.run(tasks.stopping()));
    }
    Ok(())
}

struct Puller {
    key: StreamKey,
    address: Address,
    when: When,
    settings: Settings,
    registry: Registry,
}

impl Puller {
    async fn run(self, stop: Stop) {
        let wanted = Arc::new(watch::Sender::new(self.when == When::Always));
        tokio::select! {
            () = stop.requested() => {}
            () = self.watch_demand(&wanted), if self.when == When::Demand => {}
            () = self.serve(wanted.subscribe()) => {}
        }
    }

    /// Keeps `wanted` true while somebody watches, and `linger` longer.
    async fn watch_demand(&self, wanted: &watch::Sender<bool>) {
        let mut events = self.registry.watch();
        let mut idle = false;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::Wanted(key)) if key == self.key => {
                        idle = false;
                        wanted.send_replace(true);
                    }
                    Some(Event::Idle(key)) if key == self.key => idle = true,
                    Some(_) => {}
                    None if self.registry.wanted_now().contains(&self.key) => {
                        wanted.send_replace(true);
                    }
                    None => {}
                },
                () = tokio::time::sleep(self.settings.linger.0), if idle => {
                    idle = false;
                    if !self.is_watched() {
                        wanted.send_replace(false);
                    }
                }
            }
        }
    }

    fn is_watched(&self) -> bool {
        let waited = || self.registry.wanted_now().contains(&self.key);
        self.registry.get(&self.key).is_some_and(|s| s.viewers() + s.info().workers > 0) || waited()
    }

    async fn serve(&self, mut wanted: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(self.settings.retry_most.0);
        loop {
            if wanted.wait_for(|wanted| *wanted).await.is_err() {
                return;
            }
            let began = self.registry.clock().now();
            let why = tokio::select! {
                why = self.fetch() => why,
                _ = wanted.wait_for(|wanted| !*wanted) => {
                    tracing::info!(stream = %self.key, "nobody watches: no longer fetched");
                    continue;
                }
            };
            if self.registry.clock().now().since(began) > Duration::from_secs(30) {
                backoff.reset();
            }
            let wait = backoff.wait();
            tracing::warn!(stream = %self.key, source = %self.address, why, again_in = ?wait, "the source failed");
            self.registry.refuse(&self.key, &format!("the source failed: {why}"));
            tokio::time::sleep(wait).await;
        }
    }

    /// One connection; returns why it ended.
    async fn fetch(&self) -> String {
        let source = Source { protocol: self.address.protocol(), peer: self.address.to_string(), session: SessionId(0) };
        let mut link = match fetch::connect(&self.address, self.settings.silence.0).await {
            Ok(link) => link,
            Err(why) => return why,
        };
        let mut publisher = match self.registry.publish(&self.key, source) {
            Ok(publisher) => publisher,
            Err(e) => return e.to_string(),
        };
        tracing::info!(stream = %self.key, source = %self.address, "fetching");
        let stopped = publisher.stopped();
        let mut put = |item| fetch::put(&mut publisher, item);
        tokio::select! {
            why = link.run(&mut put) => why,
            end = stopped => end.to_string(),
        }
    }
}
