//! The one UDP port: a task that reads it and finds the session of each datagram; sending is done by the sessions' tasks.

use super::figures::{Counts, add};
use super::inbox::{Full, Mail};
use super::table::Table;
use crate::edge::net::{Outgoing, RecvBatch, Sender, bind_udp};
use crate::proto::stun;
use crate::runtime::task::{Stop, Tasks};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use str0m::net::Protocol;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What the kernel keeps of unread datagrams: 500 viewers report at once, and a publisher's key frame comes in a burst.
const RECEIVE: usize = 4 << 20;
/// What the kernel keeps of unsent ones.
const SEND: usize = 4 << 20;

/// Sends from the port. Cloning shares it.
#[derive(Clone)]
pub(super) struct Port(Arc<Shared>);

struct Shared {
    socket: UdpSocket,
    bound: SocketAddr,
    sender: Sender,
    counts: Arc<Counts>,
}

impl Port {
    /// Opens the port and reads it in a task.
    pub fn open(listen: SocketAddr, table: &Arc<Table>, counts: &Arc<Counts>, tasks: &Tasks) -> io::Result<Port> {
        let (socket, _) = bind_udp(listen, RECEIVE, false)?;
        socket2::SockRef::from(&socket).set_send_buffer_size(SEND)?;
        let bound = socket.local_addr()?;
        let socket = UdpSocket::from_std(socket)?;
        let port = Port(Arc::new(Shared { socket, bound, sender: Sender::new(bound), counts: counts.clone() }));
        let (reader, table, stop) = (port.clone(), table.clone(), tasks.stopping());
        tasks.spawn("webrtc port", async move { reader.read(&table, stop).await });
        Ok(port)
    }

    /// Where it listens.
    pub fn bound(&self) -> SocketAddr {
        self.0.bound
    }

    /// Sends datagrams without waiting.
    pub fn send(&self, datagrams: &[Outgoing<'_>]) {
        let sent = self.0.sender.send(self.0.socket.as_fd(), datagrams);
        add(&self.0.counts.sent, sent.datagrams);
        if sent.lost > 0 {
            add(&self.0.counts.lost, sent.lost);
        }
    }

    async fn read(&self, table: &Table, stop: Stop) {
        let mut batch = RecvBatch::new();
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => return,
                ready = self.0.socket.readable() => if let Err(error) = ready {
                    tracing::error!(%error, "the WebRTC port cannot be read any more");
                    return;
                },
            }
            match self.0.socket.try_io(Interest::READABLE, || batch.receive(self.0.socket.as_fd())) {
                Ok(count) => {
                    add(&self.0.counts.received, count);
                    for n in 0..count {
                        if let Some((from, bytes)) = batch.get(n) {
                            self.dispatch(table, from, bytes);
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An ICMP error of some datagram that was sent before: nothing of ours.
                Err(error) => tracing::debug!(%error, "reading the WebRTC port"),
            }
        }
    }

    fn dispatch(&self, table: &Table, from: SocketAddr, bytes: &[u8]) {
        let route = match stun::addressee(bytes) {
            Some(name) => table.by_name(name),
            None => table.by_address(&from),
        };
        let Some(route) = route else { return add(&self.0.counts.strangers, 1) };
        let mail = Mail::Datagram { session: route.session, way: Protocol::Udp, from, bytes: bytes.into() };
        if let Err(Full::Overflow) = route.inbox.push(mail) {
            add(&self.0.counts.overflow, 1);
        }
    }
}
