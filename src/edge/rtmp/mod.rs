//! RTMP and RTMPS: one listener for publishers and players, who tell what they are after the handshake.
//!
//! Start with [`listen`]; a connection's life is in `session.rs`, which ends in `publish.rs` or `play.rs`.

mod listener;
mod play;
mod publish;
mod session;
mod socket;
#[cfg(test)]
mod tests;
mod view;

pub use listener::{Listening, listen};

use crate::base::units::{Size, Span};
use crate::container::flv::Hevc;
use crate::edge::net::pump::Pumps;
use crate::edge::session::Sessions;
use crate::runtime::task::Tasks;
use crate::stream::Registry;
use crate::stream::access::Access;
use std::path::PathBuf;
use std::sync::Arc;

crate::settings! {
    /// RTMP: publishers (OBS, ffmpeg, cameras) and players.
    pub struct Settings {
        /// The address and port of RTMP. Empty: none.
        pub listen: String = "[::]:1935".to_owned(),
        /// The address and port of RTMPS (RTMP in TLS). Empty: none.
        pub tls_listen: String = String::new(),
        /// The certificate chain of RTMPS, a PEM file.
        pub tls_certificate: PathBuf = PathBuf::new(),
        /// The key of RTMPS, a PEM file.
        pub tls_key: PathBuf = PathBuf::new(),
        /// How H.265 is sent to players that do not say what they understand: "enhanced" (Enhanced RTMP, FourCC hvc1)
        /// or "legacy" (codec id 12). A play address may choose with ?hevc=legacy or ?hevc=enhanced.
        pub hevc: Hevc = Hevc::Enhanced,
        /// A peer must say what it wants within this time.
        pub handshake: Span = Span::secs(10),
        /// A publisher that sends no audio and no video for so long is gone.
        pub idle: Span = Span::secs(20),
        /// How long a player waits for a stream that nobody publishes yet.
        pub patience: Span = Span::secs(10),
        /// The largest message that a publisher may send: one frame of video.
        pub max_message: Size = Size(8 << 20),
        /// Most connections. 0: no limit.
        pub max_connections: usize = 20_000,
        /// Most connections from one address. 0: no limit.
        pub max_per_address: usize = 0,
    }
}

/// What the edge stands on.
#[derive(Clone)]
pub struct Parts {
    /// All streams.
    pub registry: Registry,
    /// All sessions.
    pub sessions: Sessions,
    /// Serves players.
    pub pumps: Pumps,
    /// Who may publish and play.
    pub access: Arc<dyn Access>,
    /// Where the tasks run.
    pub tasks: Tasks,
}
