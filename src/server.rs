//! The composition root: builds everything bottom-up, hands out handles, stops top-down.

use crate::base::id::StreamKey;
use crate::config::Config;
use crate::container::m3u8::Window;
use crate::edge::http::{self, Http, Refusal};
use crate::edge::net;
use crate::edge::net::pump::Pumps;
use crate::edge::rtmp;
use crate::edge::session::Sessions;
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::stream::Registry;
use crate::stream::access::{Access, Open};
use crate::worker::segment::{Feeds, NoSegments};
use crate::worker::{av, pull, relay};
use axum::http::StatusCode;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    http: SocketAddr,
    rtmp: rtmp::Listening,
    ready: Arc<AtomicBool>,
}

impl Server {
    /// Starts everything that the configuration names; returns when every listener is open.
    pub async fn start(config: Config) -> Result<Server, String> {
        let clock = Clock::real();
        let (core, edges) = (Tasks::new(), Tasks::new());
        let registry = Registry::new(config.stream.clone(), clock.clone(), &core);
        let sessions = Sessions::new(clock.clone());
        let pumps = Pumps::new(config.play.clone(), clock.clone(), &edges);
        let access: Arc<dyn Access> = Arc::new(Open::new(&config.access));
        let ready = Arc::new(AtomicBool::new(false));

        let parts = http::Parts {
            registry: registry.clone(),
            sessions: sessions.clone(),
            pumps: pumps.clone(),
            access: access.clone(),
            segments: Arc::new(Hls(Feeds::new(config.hls.clone(), registry.clone(), &core), config.hls.patience.0)),
            ready: readiness(&ready),
        };
        let http = Http::new(config.http.clone(), parts, &edges);
        let listening = open_http(&config.http, &http)?;

        let parts = rtmp::Parts { registry: registry.clone(), sessions: sessions.clone(), pumps, access, tasks: edges.clone() };
        let rtmp = rtmp::listen(&config.rtmp, parts).await?;
        if let Some(listen) = rtmp.plain {
            tracing::info!(%listen, "RTMP: publish to and play from rtmp://{listen}/{{app}}/{{stream}}");
        }
        if let Some(listen) = rtmp.tls {
            tracing::info!(%listen, "RTMPS: publish to and play from rtmps://{listen}/{{app}}/{{stream}}");
        }

        let helper = av::Helper::new(config.av.clone(), &core);
        av::Sound::start(&config.av, &registry, &helper, &core);
        pull::start(&config.pull, &registry, &core)?;
        relay::start(&config.relay, &registry, &core)?;

        ready.store(true, Ordering::Release);
        Ok(Server { edges, core, registry, sessions, http: listening, rtmp, ready })
    }

    /// Where HTTP listens: the port that was found when the configuration says 0.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where RTMP and RTMPS listen.
    pub fn rtmp(&self) -> rtmp::Listening {
        self.rtmp
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
        self.ready.store(false, Ordering::Release);
        for (what, tasks) in [("edges", &self.edges), ("core", &self.core)] {
            let late = tasks.finish(PATIENCE).await;
            if !late.is_empty() {
                tracing::warn!(what, tasks = ?late, "did not end in time");
            }
        }
        tracing::info!("stopped");
    }
}

fn readiness(ready: &Arc<AtomicBool>) -> http::Ready {
    let ready = ready.clone();
    Arc::new(move || if ready.load(Ordering::Acquire) { Ok(()) } else { Err("not every listener is open".to_owned()) })
}

/// Opens the HTTP listener and, if there is one, that for HTTPS.
fn open_http(settings: &http::Settings, http: &Http) -> Result<SocketAddr, String> {
    let bind = |address| net::bind_tcp(address).map_err(|e| format!("http: cannot listen on {address}: {e}"));
    let listener = bind(settings.listen)?;
    let listening = listener.local_addr().map_err(|e| e.to_string())?;
    let router = axum::Router::new();
    http.serve(listener, None, router.clone());
    tracing::info!(listen = %listening, "HTTP: FLV, WebSocket-FLV and HLS at http://{listening}/{{app}}/{{stream}}.flv and .m3u8");
    if !settings.tls_listen.is_empty() {
        let address = settings.tls_listen.parse().map_err(|e| format!("http.tls_listen: {}: {e}", settings.tls_listen))?;
        let acceptor = net::acceptor(&settings.tls_certificate, &settings.tls_key).map_err(|e| format!("http.tls_listen: {e}"))?;
        http.serve(bind(address)?, Some(acceptor), router);
        tracing::info!(listen = %address, "HTTPS");
    }
    Ok(listening)
}

/// Connects the HTTP edge with the worker that cuts segments, which do not know each other.
struct Hls(Feeds, Duration);

impl http::Segments for Hls {
    fn first<'a>(&'a self, key: &'a StreamKey) -> http::Found<'a> {
        Box::pin(async move {
            let over = || Refusal::new(StatusCode::NOT_FOUND, format!("nobody publishes {key}"));
            let feed = self.0.open(key).ok_or_else(over)?;
            feed.first(self.1).await.map_err(|e| {
                let status = match e {
                    NoSegments::Unfit(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    NoSegments::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
                    NoSegments::Over => StatusCode::NOT_FOUND,
                };
                Refusal::new(status, e.to_string())
            })
        })
    }

    fn now(&self, key: &StreamKey) -> Option<Arc<Window>> {
        self.0.open(key).map(|feed| feed.window())
    }

    fn streams(&self) -> usize {
        self.0.len()
    }
}
