//! A device's way to its platform, also ours to an upper one: a datagram socket, or a connection.

use crate::proto::sip::framer::{self, Framer};
use crate::proto::sip::{Message, Transport};
use bytes::Bytes;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const DATAGRAM: usize = 65_536;
const READ: usize = 4096;
const CONNECT: Duration = Duration::from_secs(10);
/// A platform that takes nothing for so long is given up.
const STALL: Duration = Duration::from_secs(10);

pub(super) enum Link {
    Udp(UdpSocket),
    Tcp(TcpStream, Framer),
}

impl Link {
    /// Opens the way. The datagram socket is connected too: it takes nothing from others, and knows its own address.
    pub(super) async fn open(transport: Transport, server: SocketAddr) -> io::Result<Link> {
        if transport == Transport::Udp {
            let any: SocketAddr = if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(server).await?;
            return Ok(Link::Udp(socket));
        }
        let stream = tokio::time::timeout(CONNECT, TcpStream::connect(server)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        stream.set_nodelay(true)?;
        Ok(Link::Tcp(stream, Framer::new(framer::BODY_MAX)))
    }

    /// Its own address, as the platform's host sees it from this network.
    pub(super) fn local(&self) -> io::Result<SocketAddr> {
        match self {
            Link::Udp(socket) => socket.local_addr(),
            Link::Tcp(stream, _) => stream.local_addr(),
        }
    }

    /// Sends a message. A lost datagram is the protocol's to repeat; an error means that the connection is gone.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Link::Udp(socket) => {
                // Refused: the platform is not there now. Too long: nobody could help it.
                if let Err(error) = socket.send(bytes).await {
                    tracing::debug!(%error, "datagram not sent");
                }
                Ok(())
            }
            Link::Tcp(stream, _) => match tokio::time::timeout(STALL, stream.write_all(bytes)).await {
                Ok(sent) => sent,
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
        }
    }

    /// The next message. Nothing is lost when the future is dropped.
    pub(super) async fn receive(&mut self) -> io::Result<Message> {
        match self {
            Link::Udp(socket) => loop {
                socket.readable().await?;
                match datagram(socket) {
                    Ok(Some(message)) => return Ok(message),
                    Ok(None) => {}
                    // An earlier datagram found nobody (ICMP).
                    Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused) => {}
                    Err(error) => return Err(error),
                }
            },
            Link::Tcp(stream, framer) => loop {
                if let Some(message) = framer.pull().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))? {
                    return Ok(message);
                }
                for _ in 0..framer.take_pings() {
                    // RFC 5626 section 3.5.1; one that does not fit now is missed by nobody
                    let _ = stream.try_write(b"\r\n");
                }
                framer.buffer().reserve(READ);
                if stream.read_buf(framer.buffer()).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            },
        }
    }
}

/// One datagram if there is one; `None` if it is no message. The buffer is on the stack: thousands of simulated cameras need no thousands of them.
fn datagram(socket: &UdpSocket) -> io::Result<Option<Message>> {
    let mut buffer = [0; DATAGRAM];
    let len = socket.try_recv(&mut buffer)?;
    let bytes = Bytes::copy_from_slice(buffer.get(..len).unwrap_or_default());
    Ok(framer::datagram(&bytes).unwrap_or_else(|error| {
        tracing::debug!(%error, "a datagram that is no SIP");
        None
    }))
}
