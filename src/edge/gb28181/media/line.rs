//! The way out of packets: datagrams in batches, or frames on a connection.

use super::call::Transport;
use crate::base::error::End;
use crate::edge::net::{bind_tcp, bind_udp, send_many, tune};
use crate::proto::rtp::{Framing, Header};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// An opened way: the port is known, nobody needs to be there yet.
pub enum Line {
    /// In datagrams.
    Udp {
        /// The socket.
        socket: UdpSocket,
        /// The one on the port above, for reports, where that was free.
        above: Option<UdpSocket>,
        /// The receiver.
        to: SocketAddr,
    },
    /// On a connection that is made, or waited for, by [`Line::open`].
    Tcp {
        /// Waits for the receiver.
        listener: Option<TcpListener>,
        /// Where to connect.
        to: Option<SocketAddr>,
        /// The connection.
        stream: Option<TcpStream>,
        /// How packets are framed.
        framing: Framing,
        /// Framed packets on their way out.
        out: Vec<u8>,
    },
}

impl Line {
    /// Packets of a frame that leave at once; larger frames leave in steps, so that no buffer on the way overruns.
    const BURST: usize = 64;
    const STEP: Duration = Duration::from_millis(1);
    /// A receiver that takes nothing for so long is given up.
    const STALL: Duration = Duration::from_secs(10);
    const CONNECT: Duration = Duration::from_secs(10);
    /// Reports that are read at once.
    const REPORTS: usize = 16;

    /// Opens a way from a local address (port 0: any) to a receiver.
    pub fn new(transport: Transport, local: SocketAddr, to: Option<SocketAddr>, framing: Framing) -> io::Result<Line> {
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, "no address to send to");
        let tcp = |listener, to| Line::Tcp { listener, to, stream: None, framing, out: Vec::new() };
        match transport {
            Transport::Udp => {
                let to = to.ok_or_else(missing)?;
                let (socket, above) = pair(local)?;
                Ok(Line::Udp { socket, above, to })
            }
            Transport::TcpPassive => Ok(tcp(Some(bind_tcp(local)?), None)),
            Transport::TcpActive => Ok(tcp(None, Some(to.ok_or_else(missing)?))),
        }
    }

    /// The local port; 0 before an active connection is made.
    pub fn port(&self) -> u16 {
        let address = match self {
            Line::Udp { socket, .. } => socket.local_addr(),
            Line::Tcp { listener: Some(listener), .. } => listener.local_addr(),
            Line::Tcp { stream: Some(stream), .. } => stream.local_addr(),
            Line::Tcp { .. } => return 0,
        };
        address.map_or(0, |address| address.port())
    }

    /// Makes the connection, or waits for it. Datagrams need none.
    pub async fn open(&mut self, patience: Duration) -> Result<(), End> {
        let Line::Tcp { listener, to, stream, .. } = self else { return Ok(()) };
        let made = async {
            match (listener.as_ref(), to.as_ref()) {
                (Some(listener), _) => listener.accept().await.map(|(stream, _)| stream),
                (None, Some(to)) => loop {
                    match TcpStream::connect(to).await {
                        Ok(stream) => break Ok(stream),
                        // The receiver may open its port a moment after its answer.
                        Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                    }
                },
                (None, None) => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        let limit = if listener.is_some() { patience } else { Self::CONNECT };
        let made = match tokio::time::timeout(limit, made).await {
            Ok(made) => made.map_err(|error| End::from_io(&error))?,
            Err(_) => return Err(End::Network("no media connection was made in time".to_owned())),
        };
        tune(&made, Self::STALL).map_err(|error| End::from_io(&error))?;
        *listener = None;
        *stream = Some(made);
        Ok(())
    }

    /// Sends packets; waits while the socket is full.
    pub async fn send(&mut self, packets: &[(Header, &[u8])]) -> Result<(), End> {
        match self {
            Line::Udp { socket, to, .. } => {
                let parts: Vec<_> = packets.iter().map(|(head, payload)| [IoSlice::new(head), IoSlice::new(payload)]).collect();
                for (n, burst) in parts.chunks(Self::BURST).enumerate() {
                    if n > 0 {
                        tokio::time::sleep(Self::STEP).await;
                    }
                    send_all(socket, *to, burst).await?;
                }
                Ok(())
            }
            Line::Tcp { stream: Some(stream), framing, out, .. } => {
                out.clear();
                for (head, payload) in packets {
                    framing.put(head.len() + payload.len(), out);
                    out.extend_from_slice(head);
                    out.extend_from_slice(payload);
                }
                match tokio::time::timeout(Self::STALL, stream.write_all(out)).await {
                    Ok(written) => written.map_err(|error| End::from_io(&error)),
                    Err(_) => Err(End::TooSlow),
                }
            }
            Line::Tcp { .. } => Err(End::Failed("sending before the connection is made".to_owned())),
        }
    }

    /// Sends a report of ours, and gives the receiver's that came meanwhile. On a connection there are none: what stands between the
    /// packets there confuses some receivers.
    pub fn report(&self, ours: Option<&[u8]>, mut theirs: impl FnMut(&[u8])) {
        let Line::Udp { above: Some(above), to, .. } = self else { return };
        if let (Some(bytes), Some(port)) = (ours, to.port().checked_add(1)) {
            // one that does not get through is as good as none
            let _ = above.try_send_to(bytes, SocketAddr::new(to.ip(), port));
        }
        let mut buffer = [0; 1_500];
        for _ in 0..Self::REPORTS {
            match above.try_recv_from(&mut buffer) {
                Ok((length, from)) if from.ip().to_canonical() == to.ip().to_canonical() => {
                    theirs(buffer.get(..length).unwrap_or_default());
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }

    /// Returns when the receiver closes its connection. What it sends until then (reports) is read and dropped.
    pub async fn closed(&mut self) -> End {
        let Line::Tcp { stream: Some(stream), .. } = self else { return std::future::pending().await };
        let mut bytes = [0; 1_024];
        loop {
            match stream.read(&mut bytes).await {
                Ok(0) => return End::PeerClosed,
                Ok(_) => {}
                Err(error) => return End::from_io(&error),
            }
        }
    }
}

/// A socket for media and one for reports on the port above (RFC 3550 section 11); without the latter where no such pair is free.
fn pair(local: SocketAddr) -> io::Result<(UdpSocket, Option<UdpSocket>)> {
    const TRIES: usize = 8;
    const BUFFER: usize = 64 << 10;
    let open = |address| UdpSocket::from_std(bind_udp(address, BUFFER, false)?.0);
    let mut socket = open(local)?;
    for _ in 0..if local.port() == 0 { TRIES } else { 1 } {
        let mut address = socket.local_addr()?;
        if address.port() % 2 == 0 || local.port() != 0 {
            address.set_port(address.port().saturating_add(1));
            if let Ok(above) = open(address) {
                return Ok((socket, Some(above)));
            }
        }
        if local.port() == 0 {
            socket = open(local)?;
        }
    }
    Ok((socket, None))
}

async fn send_all(socket: &UdpSocket, to: SocketAddr, parts: &[[IoSlice<'_>; 2]]) -> Result<(), End> {
    let mut sent = 0;
    while sent < parts.len() {
        let some = socket.async_io(Interest::WRITABLE, || match send_many(socket.as_fd(), Some(to), &parts[sent..])? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        });
        match tokio::time::timeout(Line::STALL, some).await {
            Ok(Ok(n)) => sent += n,
            // Told by an earlier datagram: nobody listens (yet). The receiver's silence is the caller's to notice.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => sent += 1,
            Ok(Err(error)) => return Err(End::Network(error.to_string())),
            Err(_) => return Err(End::TooSlow),
        }
    }
    Ok(())
}
