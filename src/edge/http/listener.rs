//! Accepts connections and reads their first request: media goes to a pump on the raw socket, anything else to hyper.

use super::head::{self, Bad};
use super::heads::{self, Heads};
use super::io::Transport;
use super::reply::{self, Refusal};
use super::service::Requests;
use super::site::Site;
use super::target::Target;
use super::{Http, play};
use crate::base::error::End;
use crate::edge::net::{self, Place, Refused};
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// After an `accept` that failed for want of something: descriptors, memory.
const BREATHE: Duration = Duration::from_millis(50);

impl Http {
    /// Serves a listener until the server stops; `site` answers what is not media. With `tls`, every connection begins with it.
    pub fn serve(&self, listener: TcpListener, tls: Option<TlsAcceptor>, site: impl Into<Site>) {
        let (http, site) = (self.clone(), site.into());
        self.tasks().spawn("http listener", async move {
            let stop = http.stop();
            loop {
                let accepted = tokio::select! {
                    () = stop.requested() => return,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((socket, peer)) => http.welcome(socket, peer, tls.clone(), site.clone()),
                    // The peer's own failure, seen at accept.
                    Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
                    Err(e) => {
                        tracing::warn!(%e, "cannot accept connections");
                        tokio::time::sleep(BREATHE).await;
                    }
                }
            }
        });
    }

    fn welcome(&self, socket: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, site: Site) {
        let place = match self.limits().enter(peer.ip()) {
            Ok(place) => place,
            Err(refused) => return self.turn_away(&socket, peer, refused, tls.is_none().then_some(&site)),
        };
        let http = self.clone();
        self.tasks().spawn("http connection", async move {
            if let Err(e) = net::tune(&socket, http.settings().dead_after.0) {
                return http.dropped(peer, End::from_io(&e));
            }
            let Some(tls) = tls else {
                return http.connection(socket, peer, place, site).await;
            };
            match tokio::time::timeout(http.settings().head_time.0, tls.accept(socket)).await {
                Ok(Ok(stream)) => http.connection(stream, peer, place, site).await,
                Ok(Err(e)) => http.dropped(peer, End::PeerBroke(format!("TLS handshake: {e}"))),
                Err(_) => http.dropped(peer, End::Silent),
            }
        });
    }

    /// One `send` that does not wait, then the door. What the peer wants is not known yet: it is told as clients of the API are.
    fn turn_away(&self, socket: &TcpStream, peer: SocketAddr, refused: Refused, plain: Option<&Site>) {
        if let Some(site) = plain {
            let full = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections");
            let mut response = (site.early)("/", &full).unwrap_or_else(|| Response::new(Bytes::from_static(b"Too many connections.\n")));
            *response.status_mut() = full.status;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
            let head = reply::head(&response, Some(response.body().len()));
            let _ = socket.try_write(&[&head[..], response.body()].concat());
        }
        self.dropped(peer, End::Denied(refused.to_string()));
    }

    /// Logs a connection that ended before it said anything sensible.
    fn dropped(&self, peer: SocketAddr, end: End) {
        self.parts().sessions.open("http", peer).close(end);
    }

    async fn connection<S: Transport>(&self, mut io: S, peer: SocketAddr, place: Place, site: Site) {
        let settings = self.settings();
        let mut buffer = BytesMut::with_capacity(1024);
        let stop = self.stop();
        let head = tokio::select! {
            () = stop.requested() => return,
            head = head::read(&mut io, &mut buffer, settings.head_max.bytes(), settings.head_time.0) => head,
        };
        let head = match head {
            Ok(head) => head,
            Err(Bad::Left) => return,
            Err(Bad::Broken(why)) => return self.dropped(peer, End::PeerBroke(why)),
            Err(Bad::Refused(refusal)) => {
                self.dropped(peer, End::PeerBroke(refusal.why.clone()));
                let response = self.refuse(&site, &refusal, &buffer);
                return play::answer_and_close(io, response, false).await;
            }
        };
        if let Target::Live(key, container) = Target::parse(head.request.uri.path()) {
            let early = buffer.split_off(head.size);
            return self.play(io, early, head.request, (key, container), peer, Box::new(place)).await;
        }
        drop(head);
        self.hyper(Heads::new(buffer, io, settings.head_max.bytes()), peer, place, site).await;
    }

    /// Ordinary requests, as many as the peer sends on this connection.
    async fn hyper<S: Transport>(&self, io: Heads<S>, peer: SocketAddr, place: Place, site: Site) {
        let (settings, back) = (self.settings(), io.returns());
        let requests = Arc::new(Requests::<S>::new(self.clone(), site.clone(), peer, Arc::new(place)));
        let service = hyper::service::service_fn(move |request| {
            let requests = requests.clone();
            async move { requests.answer(request).await }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.head_time.0)
            // No head that is too large comes this far.
            .max_buf_size(settings.head_max.bytes().saturating_add(1).max(8192))
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades();
        tokio::pin!(connection);
        let stop = self.stop();
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = stop.requested() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Some(back) = heads::take(&back) {
            self.dropped(peer, End::PeerBroke(back.refusal.why.clone()));
            let response = self.refuse(&site, &back.refusal, &back.read);
            return play::answer_and_close(back.io, response, false).await;
        }
        if let Err(e) = ended {
            // A peer that left between or within requests is every day's business; one that broke the protocol is told once.
            if e.is_parse() || e.is_parse_too_large() {
                self.dropped(peer, End::PeerBroke(e.to_string()));
            } else {
                tracing::debug!(%peer, %e, "an HTTP connection ended");
            }
        }
    }
}
