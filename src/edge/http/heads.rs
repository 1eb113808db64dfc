//! A connection under hyper whose requests' heads are read here before hyper sees them.
//!
//! Hyper answers a head that it cannot take with a bare status: no type, no body, nothing that a client could show. So a head that
//! we would refuse never reaches it: hyper is told that the peer has left, and the connection comes back to us with our answer.

use super::head::{self, Follows};
use super::io::Transport;
use super::reply::Refusal;
use bytes::BytesMut;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Read at a time while a head is not there yet.
const READ: usize = 4 << 10;

/// Tells how much of what came may go on to hyper: whole heads, and what follows each.
#[derive(Debug)]
pub struct Gate {
    /// The largest head.
    most: usize,
    /// What is left of the request that goes through.
    left: u64,
    /// Whether anything may pass from now on.
    open: bool,
}

/// What is to be done with the bytes that were held back.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// As many as this may pass, of those and of what comes next.
    Pass(u64),
    /// The head is not there yet.
    Wait,
    /// The request is answered so, and the connection closed.
    Over(Refusal),
}

impl Gate {
    /// Before the first request.
    pub fn new(most: usize) -> Gate {
        Gate { most, left: 0, open: false }
    }

    /// Looks at what is held back.
    pub fn step(&mut self, held: &[u8]) -> Step {
        if self.open {
            return Step::Pass(u64::MAX);
        }
        if self.left > 0 {
            return Step::Pass(self.left);
        }
        if held.is_empty() {
            return Step::Wait;
        }
        match head::parse(held) {
            Ok(Some(found)) if found.size <= self.most => match head::follows(&found.request) {
                Ok(Follows::Body(length)) => {
                    self.left = (found.size as u64).saturating_add(length);
                    Step::Pass(self.left)
                }
                Ok(Follows::Anything) => {
                    self.open = true;
                    Step::Pass(u64::MAX)
                }
                Err(refusal) => Step::Over(refusal),
            },
            Ok(None) if held.len() < self.most => Step::Wait,
            Ok(_) => Step::Over(head::too_large()),
            Err(refusal) => Step::Over(refusal),
        }
    }

    /// So many went through.
    pub fn passed(&mut self, n: usize) {
        self.left = self.left.saturating_sub(n as u64);
    }
}

/// A connection that came back from hyper, and why.
pub struct Back<S> {
    /// The connection; everything that hyper had to say was said.
    pub io: S,
    /// How the last request is answered.
    pub refusal: Refusal,
    /// As much of that request as was read.
    pub read: BytesMut,
}

/// Where a connection comes back to.
pub type Return<S> = Arc<Mutex<Option<Back<S>>>>;

/// Takes what came back, if anything did.
pub fn take<S>(back: &Return<S>) -> Option<Back<S>> {
    back.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What hyper reads from and writes to.
pub struct Heads<S> {
    io: Option<S>,
    held: BytesMut,
    gate: Gate,
    refused: Option<Refusal>,
    back: Return<S>,
}

impl<S> Heads<S> {
    /// Over a connection of which `early` was read already; heads may be as large as `most`.
    pub fn new(early: BytesMut, io: S, most: usize) -> Heads<S> {
        Heads { io: Some(io), held: early, gate: Gate::new(most), refused: None, back: Return::default() }
    }

    /// Where the connection will be when hyper is done with it because of a head that is refused.
    pub fn returns(&self) -> Return<S> {
        self.back.clone()
    }

    /// What was read and not passed on, and the connection.
    pub fn into_parts(self) -> (BytesMut, Option<S>) {
        (self.held, self.io)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heads<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            // Nothing more comes once a head was refused.
            let (Some(io), None) = (&mut this.io, &this.refused) else { return Poll::Ready(Ok(())) };
            if out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            match this.gate.step(&this.held) {
                Step::Pass(most) if !this.held.is_empty() => {
                    let n = this.held.len().min(out.remaining()).min(usize::try_from(most).unwrap_or(usize::MAX));
                    out.put_slice(&this.held.split_to(n));
                    this.gate.passed(n);
                    return Poll::Ready(Ok(()));
                }
                // All that fits belongs to the request: it need not be held.
                Step::Pass(most) if most >= out.remaining() as u64 => {
                    let before = out.filled().len();
                    ready!(Pin::new(io).poll_read(cx, out))?;
                    this.gate.passed(out.filled().len() - before);
                    return Poll::Ready(Ok(()));
                }
                Step::Pass(_) | Step::Wait => {
                    this.held.reserve(READ);
                    // A read that is dropped before it is ready has taken nothing.
                    if ready!(pin!(io.read_buf(&mut this.held)).poll(cx))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Step::Over(refusal) => this.refused = Some(refusal),
            }
        }
    }
}

impl<S: Transport> AsyncWrite for Heads<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Some(io) => Pin::new(io).poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Some(io) => Pin::new(io).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(refusal) = this.refused.take() {
            if let Some(io) = this.io.take() {
                let back = Back { io, refusal, read: std::mem::take(&mut this.held) };
                *this.back.lock().unwrap_or_else(PoisonError::into_inner) = Some(back);
            }
            return Poll::Ready(Ok(()));
        }
        match &mut this.io {
            Some(io) => Pin::new(io).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Some(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(S::is_write_vectored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes through when the bytes come in pieces of this size, and what is said at the end.
    fn run(bytes: &[u8], piece: usize, most: usize) -> (Vec<u8>, Option<u16>) {
        let (mut gate, mut held, mut out) = (Gate::new(most), Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            held.extend_from_slice(piece);
            while !held.is_empty() {
                match gate.step(&held) {
                    Step::Pass(n) => {
                        let n = held.len().min(usize::try_from(n).unwrap_or(usize::MAX));
                        out.extend(held.drain(..n));
                        gate.passed(n);
                    }
                    Step::Wait => break,
                    Step::Over(refusal) => return (out, Some(refusal.status.as_u16())),
                }
            }
        }
        (out, None)
    }

    #[test]
    fn whole_requests_pass_and_the_first_bad_head_does_not() {
        let get = b"GET /?Action=A HTTP/1.1\r\nHost: h\r\n\r\n".as_slice();
        let post = b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nNOT HTTP\n".as_slice();
        let long = [b"GET /?".as_slice(), &b"x".repeat(300), b" HTTP/1.1\r\n\r\n"].concat();
        for piece in [1, 7, 4096] {
            let good = [get, post, get].concat();
            assert_eq!(run(&good, piece, 128), (good.clone(), None));
            assert_eq!(run(&[get, post, &long].concat(), piece, 128), ([get, post].concat(), Some(431)), "{piece}");
            assert_eq!(run(&[post, b"NOT HTTP\r\n\r\n"].concat(), piece, 128), (post.to_vec(), Some(400)));
        }
        // A length that is no number would be answered by hyper in its own way.
        for bad in
            ["Content-Length: x", "Content-Length: -1", "Content-Length: 1\r\nContent-Length: 2", "Content-Length: 99999999999999999999"]
        {
            let request = format!("POST / HTTP/1.1\r\n{bad}\r\n\r\n");
            assert_eq!(run(request.as_bytes(), 4096, 1024), (vec![], Some(400)), "{bad}");
        }
        for bad in ["HTTP/1.0\r\nTransfer-Encoding: chunked", "HTTP/1.1\r\nTransfer-Encoding: gzip"] {
            assert_eq!(run(format!("POST / {bad}\r\n\r\n").as_bytes(), 4096, 1024).1, Some(400), "{bad}");
        }
    }

    #[test]
    fn what_has_no_length_passes_to_the_end() {
        for head in [
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET /a HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\n",
        ] {
            let all = [head.as_bytes(), b"\0\x01 whatever \r\n\r\n"].concat();
            assert_eq!(run(&all, 5, 256), (all.clone(), None), "{head}");
        }
    }
}
