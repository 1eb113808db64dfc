//! Accepts connections, within the limits, and starts a session for each.

use super::session::{self, Shared};
use super::socket::Socket;
use super::{Parts, Settings};
use crate::edge::net::{Limits, Place, acceptor, bind_tcp, tune};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Where the edge listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Listening {
    /// RTMP.
    pub plain: Option<SocketAddr>,
    /// RTMPS.
    pub tls: Option<SocketAddr>,
}

/// Opens the listeners; sessions run in the parts' tasks.
pub async fn listen(settings: &Settings, parts: Parts) -> Result<Listening, String> {
    let limits = Limits::new(settings.max_connections, settings.max_per_address);
    let shared = Arc::new(Shared::new(settings.clone(), parts));
    let mut listening = Listening::default();
    if !settings.listen.is_empty() {
        let listener = bind("rtmp.listen", &settings.listen).await?;
        listening.plain = listener.local_addr().ok();
        start(listener, None, shared.clone(), limits.clone());
    }
    if !settings.tls_listen.is_empty() {
        let tls = acceptor(&settings.tls_certificate, &settings.tls_key).map_err(|e| format!("rtmp.tls_certificate: {e}"))?;
        let listener = bind("rtmp.tls_listen", &settings.tls_listen).await?;
        listening.tls = listener.local_addr().ok();
        start(listener, Some(tls), shared, limits);
    }
    Ok(listening)
}

async fn bind(key: &str, address: &str) -> Result<TcpListener, String> {
    let wrong = |e: std::io::Error| format!("{key} = {address:?}: {e}");
    let address =
        tokio::net::lookup_host(address).await.map_err(wrong)?.next().ok_or_else(|| format!("{key} = {address:?}: no address"))?;
    bind_tcp(address).map_err(wrong)
}

fn start(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>, limits: Limits) {
    let tasks = shared.parts.tasks.clone();
    tasks.spawn("rtmp listener", async move {
        let stop = shared.parts.tasks.stopping();
        tokio::select! {
            () = stop.requested() => {}
            () = accept(listener, tls, &shared, limits) => {}
        }
    });
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: &Arc<Shared>, limits: Limits) {
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(e) => {
                // Out of file descriptors, or a connection that was gone before we took it: others may fare better.
                tracing::warn!(error = %e, "rtmp accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let place = match limits.enter(peer.ip().to_canonical()) {
            Ok(place) => place,
            Err(refused) => {
                tracing::debug!(peer = %crate::base::pii::Pii(peer), %refused, "rtmp connection refused");
                continue;
            }
        };
        let (shared, tls) = (shared.clone(), tls.clone());
        let tasks = shared.parts.tasks.clone();
        tasks.spawn("rtmp session", begin(shared, socket, tls, peer, place));
    }
}

async fn begin(shared: Arc<Shared>, socket: TcpStream, tls: Option<TlsAcceptor>, peer: SocketAddr, place: Place) {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    if tune(&socket, shared.settings.idle.0).is_err() {
        return;
    }
    let socket = match tls {
        None => Socket::Plain(socket),
        Some(tls) => match tokio::time::timeout(shared.settings.handshake.0, tls.accept(socket)).await {
            Ok(Ok(stream)) => Socket::Tls(Box::new(stream)),
            Ok(Err(e)) => return tracing::info!(peer = %crate::base::pii::Pii(peer), error = %e, "rtmps handshake failed"),
            Err(_) => return tracing::info!(peer = %crate::base::pii::Pii(peer), "rtmps handshake timed out"),
        },
    };
    session::run(shared, socket, peer, place).await;
}
