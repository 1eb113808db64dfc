//! One POST: look up, judge, connect, TLS, send, read the status. No redirects, no proxies, no connection that is kept.

use super::Settings;
use super::target::{Network, Target, permitted};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How much of an answer is read: enough that a receiver is not cut off while it writes a short one.
const ANSWER: usize = 64 << 10;
/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

pub(super) struct Poster {
    allow: Vec<Network>,
    tls: TlsConnector,
}

impl Poster {
    pub(super) fn new(settings: &Settings) -> Result<Poster, String> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(file) = &settings.ca_file {
            let fail = |e: &dyn std::fmt::Display| format!("notify.ca_file: {}: {e}", file.display());
            for certificate in CertificateDer::pem_file_iter(file).map_err(|e| fail(&e))? {
                roots.add(certificate.map_err(|e| fail(&e))?).map_err(|e| fail(&e))?;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Poster { allow: settings.allow.clone(), tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Posts; returns the status of the answer. The caller sets the time limit.
    pub(super) async fn post(&self, target: &Target, headers: [(&'static str, String); 4], body: String) -> Result<u16, String> {
        let socket = self.connect(target).await?;
        if !target.tls {
            return send(socket, target, headers, body).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|_| "not a host name".to_owned())?;
        let socket = self.tls.connect(name, socket).await.map_err(|e| format!("TLS: {e}"))?;
        send(socket, target, headers, body).await
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, String> {
        let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await.map_err(|_| "the name is not known".to_owned())?;
        let found: Vec<SocketAddr> = found.collect();
        let good = found.iter().filter(|address| permitted(address.ip(), &self.allow));
        let mut why = match found.is_empty() {
            true => "the name is not known".to_owned(),
            false => "the address is not public: notify.allow would permit it".to_owned(),
        };
        for address in good.take(ADDRESSES) {
            match TcpStream::connect(address).await {
                Ok(socket) => {
                    let _ = socket.set_nodelay(true);
                    return Ok(socket);
                }
                Err(e) => why = e.to_string(),
            }
        }
        Err(why)
    }
}

async fn send<S>(socket: S, target: &Target, headers: [(&'static str, String); 4], body: String) -> Result<u16, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let request = http::Request::post(&target.path)
        .header("host", &target.authority)
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", concat!("weir/", env!("CARGO_PKG_VERSION")))
        .header("connection", "close");
    let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    let request = request.body(Full::new(Bytes::from(body))).map_err(|e| e.to_string())?;
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(ANSWER).handshake(TokioIo::new(socket)).await.map_err(|e| e.to_string())?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let (status, mut body) = (answer.status().as_u16(), answer.into_body());
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > ANSWER {
                break;
            }
        }
        Ok(status)
    };
    tokio::pin!(connection, exchange);
    tokio::select! {
        biased;
        done = &mut exchange => done,
        // When the connection ends first, what it had received is still to be read.
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(e) => Err(e.to_string()),
        },
    }
}
