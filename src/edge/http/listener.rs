//! Accepts connections and reads their first request: media goes to a pump on the raw socket, anything else to hyper.

use super::head::{self, Bad};
use super::io::{Rewound, Transport};
use super::service::Requests;
use super::target::Target;
use super::{Http, play};
use crate::base::error::End;
use crate::edge::net::{self, Place, Refused};
use axum::Router;
use bytes::BytesMut;
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
    /// Serves a listener until the server stops; `router` answers what is not media. With `tls`, every connection begins with it.
    pub fn serve(&self, listener: TcpListener, tls: Option<TlsAcceptor>, router: Router) {
        let http = self.clone();
        self.tasks().spawn("http listener", async move {
            let stop = http.stop();
            loop {
                let accepted = tokio::select! {
                    () = stop.requested() => return,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((socket, peer)) => http.welcome(socket, peer, tls.clone(), router.clone()),
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

    fn welcome(&self, socket: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, router: Router) {
        let place = match self.limits().enter(peer.ip()) {
            Ok(place) => place,
            Err(refused) => return self.turn_away(&socket, peer, refused, tls.is_none()),
        };
        let http = self.clone();
        self.tasks().spawn("http connection", async move {
            if let Err(e) = net::tune(&socket, http.settings().dead_after.0) {
                return http.dropped(peer, End::from_io(&e));
            }
            let Some(tls) = tls else {
                return http.connection(socket, peer, place, router).await;
            };
            match tokio::time::timeout(http.settings().head_time.0, tls.accept(socket)).await {
                Ok(Ok(stream)) => http.connection(stream, peer, place, router).await,
                Ok(Err(e)) => http.dropped(peer, End::PeerBroke(format!("TLS handshake: {e}"))),
                Err(_) => http.dropped(peer, End::Silent),
            }
        });
    }

    /// One `send` that does not wait, then the door.
    fn turn_away(&self, socket: &TcpStream, peer: SocketAddr, refused: Refused, plain: bool) {
        if plain {
            let _ = socket.try_write(
                b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nToo many connections.\n",
            );
        }
        self.dropped(peer, End::Denied(refused.to_string()));
    }

    /// Logs a connection that ended before it said anything sensible.
    fn dropped(&self, peer: SocketAddr, end: End) {
        self.parts().sessions.open("http", peer).close(end);
    }

    async fn connection<S: Transport>(&self, mut io: S, peer: SocketAddr, place: Place, router: Router) {
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
                let response = refusal.response(settings, &Default::default());
                return play::answer_and_close(io, response, false).await;
            }
        };
        if let Target::Live(key, container) = Target::parse(head.request.uri.path()) {
            let early = buffer.split_off(head.size);
            return self.play(io, early, head.request, (key, container), peer, Box::new(place)).await;
        }
        drop(head);
        self.hyper(Rewound::new(buffer.freeze(), io), peer, place, router).await;
    }

    /// Ordinary requests, as many as the peer sends on this connection.
    async fn hyper<S: Transport>(&self, io: Rewound<S>, peer: SocketAddr, place: Place, router: Router) {
        let settings = self.settings();
        let requests = Arc::new(Requests::<S>::new(self.clone(), router, peer, Arc::new(place)));
        let service = hyper::service::service_fn(move |request| {
            let requests = requests.clone();
            async move { requests.answer(request).await }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.head_time.0)
            .max_buf_size(settings.head_max.bytes().max(8192))
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
