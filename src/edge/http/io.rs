//! A connection under HTTP: a plain socket or TLS.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What connections are made of.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The plain socket, which a pump can write to; anything else comes back.
    fn into_socket(self) -> Result<TcpStream, Self>
    where
        Self: Sized;
}

impl Transport for TcpStream {
    fn into_socket(self) -> Result<TcpStream, TcpStream> {
        Ok(self)
    }
}

impl Transport for TlsStream<TcpStream> {
    fn into_socket(self) -> Result<TcpStream, Self> {
        Err(self)
    }
}
