//! The composition root: builds everything bottom-up, hands out handles, stops top-down.

use crate::config::Config;
use crate::edge::net::pump::Pumps;
use crate::edge::session::Sessions;
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::stream::Registry;
use crate::stream::access::{Access, Open};
use crate::worker::{av, pull, relay};
use std::sync::Arc;
use std::time::Duration;

/// How long sessions have to end when the server stops.
const PATIENCE: Duration = Duration::from_secs(8);

/// A running server.
pub struct Server {
    /// Everything that serves peers; stops first.
    edges: Tasks,
    /// What edges stand on: grace timers, workers.
    core: Tasks,
    registry: Registry,
    sessions: Sessions,
}

impl Server {
    /// Starts everything that the configuration names; returns when every listener is open.
    pub async fn start(config: Config) -> Result<Server, String> {
        let clock = Clock::real();
        let (core, edges) = (Tasks::new(), Tasks::new());
        let registry = Registry::new(config.stream.clone(), clock.clone(), &core);
        let sessions = Sessions::new(clock.clone());
        let _pumps = Pumps::new(config.play.clone(), clock.clone(), &edges);
        let _access: Arc<dyn Access> = Arc::new(Open::new(&config.access));
        let helper = av::Helper::new(config.av.clone(), &core);
        av::Sound::start(&config.av, &registry, &helper, &core);
        pull::start(&config.pull, &registry, &core)?;
        relay::start(&config.relay, &registry, &core)?;
        Ok(Server { edges, core, registry, sessions })
    }

    /// All live streams.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Ends all sessions in order, then what they stood on.
    pub async fn stop(self) {
        for (what, tasks) in [("edges", &self.edges), ("core", &self.core)] {
            let late = tasks.finish(PATIENCE).await;
            if !late.is_empty() {
                tracing::warn!(what, tasks = ?late, "did not end in time");
            }
        }
        tracing::info!("stopped");
    }
}
