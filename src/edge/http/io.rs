//! A connection under HTTP: a plain socket or TLS, with bytes that were read too far given back.

use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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

/// Reads `early` first, then the connection.
pub struct Rewound<S> {
    early: Bytes,
    inner: S,
}

impl<S> Rewound<S> {
    /// Puts `early` back in front.
    pub fn new(early: Bytes, inner: S) -> Rewound<S> {
        Rewound { early, inner }
    }

    /// What was not read of the early bytes, and the connection.
    pub fn into_parts(self) -> (Bytes, S) {
        (self.early, self.inner)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let n = self.early.len().min(buf.remaining());
        buf.put_slice(&self.early[..n]);
        self.early.advance(n);
        if self.early.is_empty() {
            self.early = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
