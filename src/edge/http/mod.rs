//! HTTP: FLV and fragmented MP4 over HTTP and WebSocket, HLS, health and metrics, and whatever routers the composition root brings (API, console).
//!
//! We accept connections ourselves ([`listener`]) and read the first request from the raw socket. A request for FLV, MP4 or their
//! WebSockets is answered there and the socket handed to a pump; anything else goes to hyper, rewound. Start with
//! [`Http::serve`]. What is *not* here: cutting segments, making pictures and WebRTC's media
//! ([`Segments`], [`Pictures`] and [`Calls`] are the questions, others answer).

mod abr;
mod fixed;
mod flv;
mod fmp4;
mod head;
mod heads;
mod hls;
mod io;
mod listener;
mod low;
mod metrics;
mod past;
mod picture;
mod play;
mod reply;
mod rtc;
mod service;
mod session_task;
mod site;
mod suffix;
mod target;
#[cfg(test)]
mod tests;
mod viewers;
mod ws;

use crate::base::units::{Size, Span};
use crate::container::flv::Hevc;
use crate::edge::net::Limits;
use crate::edge::net::pump::{Format, Pumps};
use crate::edge::session::Sessions;
use crate::runtime::task::{Stop, Tasks};
use crate::stream::Registry;
use crate::stream::access::Access;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use viewers::Viewers;

pub use abr::{Ladder, Rung, Rungs};
pub use fixed::Fixed;
pub use heads::{Gate, Step};
pub use hls::{Found, Segments};
pub use low::{Listed, Until};
pub use past::{Later, Listing, Past, Reel, SEGMENTS as PASTS, Wanted};
pub use picture::{Pictures, Taken};
pub use reply::Refusal;
pub use rtc::{Answering, Calls, Offer, Opened, SEGMENTS as CALLS};
pub use service::Late;
pub use site::{Early, Site};
pub use suffix::Suffixes;

crate::settings! {
    /// HTTP: players, the API, the console and metrics, all on one listener.
    pub struct Settings {
        /// The address and port.
        pub listen: SocketAddr = SocketAddr::from(([0, 0, 0, 0], 8080)),
        /// A second address and port, for HTTPS. Empty: none.
        pub tls_listen: String = String::new(),
        /// The certificate chain for HTTPS, a PEM file.
        pub tls_certificate: PathBuf = PathBuf::new(),
        /// Its private key, a PEM file.
        pub tls_key: PathBuf = PathBuf::new(),
        /// Connections at most; 0 is no limit.
        pub connections: usize = 20_000,
        /// Connections from one address at most; 0 is no limit. Players behind one router share an address.
        pub connections_per_address: usize = 5_000,
        /// How long a request's head may take to arrive, and a connection may stay idle between two requests.
        pub head_time: Span = Span::secs(15),
        /// The largest head of a request.
        pub head_max: Size = Size(16 << 10),
        /// The largest body of a request.
        pub body_max: Size = Size(4 << 20),
        /// How long a request's body may stand still.
        pub body_time: Span = Span::secs(20),
        /// A peer that vanished, or takes nothing, is noticed after this time.
        pub dead_after: Span = Span::secs(15),
        /// How long a player waits for a stream that nobody publishes yet.
        pub patience: Span = Span::secs(10),
        /// The sites whose pages may play, such as `https://example.org`; "*" is all of them.
        pub cors: Vec<String> = vec!["*".to_owned()],
        /// How H.265 is marked in FLV: "enhanced" (FourCC) or "legacy" (codec id 12). Players choose with `?hevc=`.
        pub hevc: Hevc = Hevc::Enhanced,
        /// HLS players at most.
        pub hls_players: usize = 10_000,
        /// Whether `/metrics` is served, to everybody who can reach this listener.
        pub metrics: bool = true,
        /// Whether metrics name every stream, which makes several lines for each.
        pub metrics_streams: bool = false,
    }
}

/// Whether every listener of the server is open; if not, what is missing.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A figure of another part of the server, for `/metrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The metric's name.
    pub name: &'static str,
    /// `gauge` or `counter`.
    pub kind: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Now.
    pub value: f64,
}

/// Figures of other parts, asked for at each request for `/metrics`.
pub type Figures = Arc<dyn Fn() -> Vec<Figure> + Send + Sync>;

/// What HTTP stands on.
pub struct Parts {
    /// The streams.
    pub registry: Registry,
    /// The sessions.
    pub sessions: Sessions,
    /// The pumps.
    pub pumps: Pumps,
    /// Who may play.
    pub access: Arc<dyn Access>,
    /// Where HLS segments come from.
    pub segments: Arc<dyn Segments>,
    /// Who makes streams of streams, for adaptive HLS.
    pub ladder: Arc<dyn Ladder>,
    /// Who makes pictures.
    pub pictures: Arc<dyn Pictures>,
    /// Who keeps the past.
    pub past: Arc<dyn Past>,
    /// What others have for `/metrics`.
    pub figures: Figures,
    /// Who answers WebRTC offers, if anybody does.
    pub calls: Option<Arc<dyn Calls>>,
    /// For `/readyz`.
    pub ready: Ready,
}

/// The HTTP side of the server. Cloning shares it.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    settings: Settings,
    parts: Parts,
    tasks: Tasks,
    limits: Limits,
    formats: flv::Formats,
    fmp4: [Arc<dyn Format>; 2],
    viewers: Viewers,
    kept: picture::Kept,
    passes: past::Passes,
}

impl Http {
    /// Serves nothing yet: see [`Http::serve`]. Its tasks run in `tasks`.
    pub fn new(settings: Settings, parts: Parts, tasks: &Tasks) -> Http {
        let limits = Limits::new(settings.connections, settings.connections_per_address);
        let viewers = Viewers::new(parts.sessions.clone(), parts.registry.clone(), settings.hls_players);
        let kept = picture::Kept::new(parts.registry.clock().clone());
        let fmp4 = [false, true].map(|websocket| Arc::new(fmp4::Fmp4::new(websocket)) as Arc<dyn Format>);
        let http = Http(Arc::new(Inner {
            settings,
            parts,
            tasks: tasks.clone(),
            limits,
            formats: flv::Formats::new(),
            fmp4,
            viewers,
            kept,
            passes: past::Passes::new(),
        }));
        http.sweep();
        http
    }

    /// Lets pages of other sites read what a router answers, where the settings allow theirs.
    pub fn shared(&self, router: axum::Router) -> axum::Router {
        let http = self.clone();
        router.layer(axum::middleware::from_fn(move |request: axum::extract::Request, next: axum::middleware::Next| {
            let http = http.clone();
            async move {
                let asked = request.headers().clone();
                if request.method() == http::Method::OPTIONS {
                    return reply::options(http.settings(), &asked);
                }
                let mut response = next.run(request).await;
                reply::allow(response.headers_mut(), http.settings(), &asked);
                response
            }
        }))
    }

    /// Notices HLS players that have left, and forgets old pictures.
    fn sweep(&self) {
        let http = self.clone();
        self.tasks().spawn("hls players", async move {
            let stop = http.stop();
            loop {
                tokio::select! {
                    () = stop.requested() => return,
                    () = http.parts().registry.clock().sleep(Duration::from_secs(1)) => {
                        http.viewers().sweep();
                        http.kept().sweep();
                    }
                }
            }
        });
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn passes(&self) -> &past::Passes {
        &self.0.passes
    }

    fn parts(&self) -> &Parts {
        &self.0.parts
    }

    fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    fn stop(&self) -> Stop {
        self.0.tasks.stopping()
    }

    fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn formats(&self) -> &flv::Formats {
        &self.0.formats
    }

    fn fmp4(&self, websocket: bool) -> Arc<dyn Format> {
        self.0.fmp4[usize::from(websocket)].clone()
    }

    fn viewers(&self) -> &Viewers {
        &self.0.viewers
    }

    fn kept(&self) -> &picture::Kept {
        &self.0.kept
    }
}
