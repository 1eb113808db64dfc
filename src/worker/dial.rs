//! Connections that we open ourselves: pulls, relays, pushes. Plain or TLS, with a time-out.

use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long connecting may take, TLS included.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection of either sort.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to `host:port`.
pub async fn dial(host: &str, port: u16, tls: bool) -> io::Result<Box<dyn Stream>> {
    let connect = async {
        let socket = TcpStream::connect((host, port)).await?;
        socket.set_nodelay(true)?;
        if !tls {
            return Ok(Box::new(socket) as Box<dyn Stream>);
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a host name"))?;
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Box::new(TlsConnector::from(Arc::new(config)).connect(name, socket).await?) as Box<dyn Stream>)
    };
    match tokio::time::timeout(PATIENCE, connect).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time")),
    }
}

/// Waits that grow from attempt to attempt, with jitter, so that many clients do not come back at the same moment.
pub struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    /// From half a second up to `most`.
    pub fn new(most: Duration) -> Backoff {
        Backoff { next: Duration::from_millis(500), most }
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (self.next * 2).min(self.most);
        wait.mul_f64(0.75 + 0.5 * rand::random::<f64>())
    }

    /// It went well: the next wait is short again.
    pub fn reset(&mut self) {
        *self = Backoff::new(self.most);
    }
}
