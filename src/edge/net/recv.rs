//! Many datagrams for one system call, in both directions.

#![allow(unsafe_code, reason = "recvmmsg, sendmmsg and SO_RCVBUFFORCE have no safe interface; each block says why it is sound")]

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Room for one batch of datagrams, filled again and again.
pub struct RecvBatch {
    /// The first [`RecvBatch::NEAR`] bytes of each datagram, side by side.
    near: Box<[u8]>,
    /// What lies beyond. Pages that no datagram ever reached take no memory.
    far: Box<[u8]>,
    /// A datagram that reaches into `far`, joined.
    joined: Vec<u8>,
    filled: Vec<(SocketAddr, usize)>,
}

impl Default for RecvBatch {
    fn default() -> RecvBatch {
        RecvBatch::new()
    }
}

impl RecvBatch {
    /// Datagrams at most.
    pub const MOST: usize = 64;
    const NEAR: usize = 2_048;
    const FAR: usize = 65_536 - Self::NEAR;

    /// Room for datagrams of any size.
    pub fn new() -> RecvBatch {
        let zeros = |n| vec![0u8; n].into_boxed_slice();
        RecvBatch {
            near: zeros(Self::MOST * Self::NEAR),
            far: zeros(Self::MOST * Self::FAR),
            joined: Vec::new(),
            filled: Vec::with_capacity(Self::MOST),
        }
    }

    /// Takes what is there, without waiting; returns how many datagrams came. None is an error of kind `WouldBlock`.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.filled.clear();
        let mut names = [MaybeUninit::<libc::sockaddr_storage>::uninit(); Self::MOST];
        let mut parts = [[libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; 2]; Self::MOST];
        let mut heads = [MaybeUninit::<libc::mmsghdr>::zeroed(); Self::MOST];
        let (nears, fars) = (self.near.chunks_exact_mut(Self::NEAR), self.far.chunks_exact_mut(Self::FAR));
        for ((((near, far), part), name), head) in nears.zip(fars).zip(&mut parts).zip(&mut names).zip(&mut heads) {
            part[0] = libc::iovec { iov_base: near.as_mut_ptr().cast(), iov_len: near.len() };
            part[1] = libc::iovec { iov_base: far.as_mut_ptr().cast(), iov_len: far.len() };
            // SAFETY: zero bytes are a valid header; its pointers are set right here.
            let head = unsafe { head.assume_init_mut() };
            head.msg_hdr.msg_name = name.as_mut_ptr().cast();
            head.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            head.msg_hdr.msg_iov = part.as_mut_ptr();
            head.msg_hdr.msg_iovlen = 2;
        }
        // SAFETY: every header points to buffers and names that outlive the call; the count is their number.
        let count = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), heads.as_mut_ptr().cast(), Self::MOST as u32, libc::MSG_DONTWAIT, std::ptr::null_mut())
        };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        for (head, name) in heads.iter().zip(&names).take(count as usize) {
            // SAFETY: the headers were initialized above, and the kernel filled the first `count` of them and their names.
            let (length, from) = unsafe {
                let head = head.assume_init_ref();
                (head.msg_len as usize, address(name, head.msg_hdr.msg_namelen))
            };
            self.filled.push((from, length));
        }
        Ok(count as usize)
    }

    /// One of the datagrams that came last: its sender and its bytes.
    pub fn get(&mut self, at: usize) -> Option<(SocketAddr, &[u8])> {
        let (from, length) = *self.filled.get(at)?;
        let near = &self.near[at * Self::NEAR..][..length.min(Self::NEAR)];
        if length <= Self::NEAR {
            return Some((from, near));
        }
        self.joined.clear();
        self.joined.extend_from_slice(near);
        self.joined.extend_from_slice(&self.far[at * Self::FAR..][..(length - Self::NEAR).min(Self::FAR)]);
        Some((from, &self.joined))
    }
}

/// An IPv4 address that came through an IPv6 socket is told as IPv4.
///
/// # Safety
/// The first `length` bytes of `name` were written by the kernel as a socket address.
pub(super) unsafe fn address(name: &MaybeUninit<libc::sockaddr_storage>, length: u32) -> SocketAddr {
    let unknown = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    if (length as usize) < size_of::<libc::sa_family_t>() {
        return unknown;
    }
    let name = name.as_ptr();
    // SAFETY: the family was written, and it tells which of the address types was; all of them fit into the storage.
    unsafe {
        match i32::from((*name).ss_family) {
            libc::AF_INET if length as usize >= size_of::<libc::sockaddr_in>() => {
                let name = &*name.cast::<libc::sockaddr_in>();
                SocketAddrV4::new(Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr)), u16::from_be(name.sin_port)).into()
            }
            libc::AF_INET6 if length as usize >= size_of::<libc::sockaddr_in6>() => {
                let name = &*name.cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
                match ip.to_ipv4_mapped() {
                    Some(ip) => SocketAddr::new(ip.into(), u16::from_be(name.sin6_port)),
                    None => SocketAddrV6::new(ip, u16::from_be(name.sin6_port), 0, name.sin6_scope_id).into(),
                }
            }
            _ => unknown,
        }
    }
}

/// Sends datagrams of two parts each, to `to` or where the socket is connected to. Returns how many went out before the
/// socket's buffer was full.
pub fn send_many(socket: BorrowedFd<'_>, to: Option<SocketAddr>, datagrams: &[[IoSlice<'_>; 2]]) -> io::Result<usize> {
    const MOST: usize = 64;
    let name = to.map(SockAddr::from);
    let mut sent = 0;
    while sent < datagrams.len() {
        let batch = &datagrams[sent..datagrams.len().min(sent + MOST)];
        let mut heads = [MaybeUninit::<libc::mmsghdr>::zeroed(); MOST];
        for (head, parts) in heads.iter_mut().zip(batch) {
            // SAFETY: zero bytes are a valid header. `IoSlice` has the layout of `iovec` (its documentation promises it);
            // the kernel does not write through the pointers of a send.
            let head = unsafe { head.assume_init_mut() };
            if let Some(name) = &name {
                head.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
                head.msg_hdr.msg_namelen = name.len();
            }
            head.msg_hdr.msg_iov = parts.as_ptr().cast_mut().cast();
            head.msg_hdr.msg_iovlen = 2;
        }
        // SAFETY: the first `batch.len()` headers point to parts and a name that outlive the call.
        let count = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), heads.as_mut_ptr().cast(), batch.len() as u32, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if sent > 0 || error.kind() == io::ErrorKind::WouldBlock { Ok(sent) } else { Err(error) };
        }
        sent += count as usize;
        if (count as usize) < batch.len() {
            break;
        }
    }
    Ok(sent)
}

/// Opens a UDP socket that does not block. `shared`: several sockets of this process share the port, and the kernel
/// spreads the senders over them. Returns the receive buffer that the kernel really gave, too.
pub fn bind_udp(address: SocketAddr, receive_buffer: usize, shared: bool) -> io::Result<(UdpSocket, usize)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    let given = set_receive_buffer(&socket, receive_buffer)?;
    socket.bind(&address.into())?;
    Ok((socket.into(), given))
}

/// Beyond the machine's limit (`net.core.rmem_max`) if this process may, else as far as the limit goes.
fn set_receive_buffer(socket: &Socket, bytes: usize) -> io::Result<usize> {
    let wanted = i32::try_from(bytes).unwrap_or(i32::MAX);
    // SAFETY: the option is an int, and the pointer leads to one.
    let forced = unsafe {
        let option = std::ptr::from_ref(&wanted).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, option, size_of::<i32>() as u32)
    };
    if forced < 0 {
        socket.set_recv_buffer_size(bytes)?;
    }
    // The kernel doubles the number, for its own bookkeeping, and reports the double.
    Ok(socket.recv_buffer_size()? / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn batches_of_all_sizes() {
        for (host, peer) in [("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0"), ("[::]:0", "127.0.0.1:0")] {
            let (socket, buffer) = bind_udp(host.parse().unwrap(), 1 << 20, false).unwrap();
            assert!(buffer > 0);
            let (peer, _) = bind_udp(peer.parse().unwrap(), 0, false).unwrap();
            let mut to = socket.local_addr().unwrap();
            to.set_ip(peer.local_addr().unwrap().ip());
            let mut batch = RecvBatch::new();
            assert_eq!(batch.receive(socket.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let payloads: Vec<Vec<u8>> = [0usize, 1, 2_036, 2_037, 9_000, 65_000].iter().map(|n| vec![*n as u8; *n]).collect();
            let head = [7u8; 12];
            let parts: Vec<_> = payloads.iter().map(|p| [IoSlice::new(&head), IoSlice::new(p)]).collect();
            assert_eq!(send_many(peer.as_fd(), Some(to), &parts).unwrap(), parts.len());
            assert_eq!(batch.receive(socket.as_fd()).unwrap(), parts.len());
            for (n, payload) in payloads.iter().enumerate() {
                let (from, bytes) = batch.get(n).unwrap();
                assert_eq!(from, peer.local_addr().unwrap());
                assert!(bytes[..12] == head && bytes[12..] == payload[..], "{n}");
            }
            assert!(batch.get(parts.len()).is_none());
        }
    }

    #[test]
    fn more_than_one_batch() {
        let (socket, _) = bind_udp("127.0.0.1:0".parse().unwrap(), 4 << 20, false).unwrap();
        let (peer, _) = bind_udp("127.0.0.1:0".parse().unwrap(), 0, false).unwrap();
        peer.connect(socket.local_addr().unwrap()).unwrap();
        let numbers: Vec<[u8; 2]> = (0..150u16).map(u16::to_be_bytes).collect();
        let parts: Vec<_> = numbers.iter().map(|n| [IoSlice::new(n), IoSlice::new(&[])]).collect();
        assert_eq!(send_many(peer.as_fd(), None, &parts).unwrap(), 150);
        let mut batch = RecvBatch::new();
        let mut got = Vec::new();
        while let Ok(count) = batch.receive(socket.as_fd()) {
            got.extend((0..count).map(|n| batch.get(n).unwrap().1.to_vec()));
        }
        assert_eq!(got, numbers);
    }
}
