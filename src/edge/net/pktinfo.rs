//! Datagrams with the address of ours that they were sent to, and answers that leave from it. On a host with several addresses the
//! routing table alone would choose one, and a peer that asked another throws the answer away.

#![allow(unsafe_code, reason = "IP_PKTINFO has no safe interface; each block says why it is sound")]

use super::recv::address;
use socket2::SockAddr;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

/// A datagram that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Its bytes in the buffer.
    pub length: usize,
    /// Its sender; IPv4 senders are told as such on IPv6 sockets too.
    pub from: SocketAddr,
    /// The address of ours that it was sent to, where the system tells.
    pub to: Option<IpAddr>,
}

/// Room for control messages, aligned as their headers are.
type Control = [u64; 16];

/// Asks the system to tell each datagram's destination. `v6`: the socket is one of IPv6.
pub fn tell_destinations(socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    let (level, option) = if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    let on: libc::c_int = 1;
    // SAFETY: both options are an int, and the pointer leads to one.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(&on).cast(), size_of::<libc::c_int>() as u32) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes a datagram, without waiting.
pub fn receive_with_destination(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Arrived> {
    let mut control: Control = [0; 16];
    let mut name = MaybeUninit::<libc::sockaddr_storage>::uninit();
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: zero bytes are a valid header; its pointers are set right here.
    let mut head: libc::msghdr = unsafe { zeroed() };
    head.msg_name = name.as_mut_ptr().cast();
    head.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
    head.msg_iov = &mut part;
    head.msg_iovlen = 1;
    head.msg_control = control.as_mut_ptr().cast();
    head.msg_controllen = size_of::<Control>() as _;
    // SAFETY: the header points to a buffer, a name and room for control messages that outlive the call.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut head, libc::MSG_DONTWAIT) };
    if length < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut to = None;
    // SAFETY: the kernel wrote the name and `msg_controllen` bytes of control messages; the macros stay within those, and what they
    // lead to is as long as its type and kind say.
    let from = unsafe {
        let mut message = libc::CMSG_FIRSTHDR(&head);
        while !message.is_null() {
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = libc::CMSG_DATA(message).cast::<libc::in_pktinfo>().read_unaligned();
                    to = Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr))));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>().read_unaligned();
                    to = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical());
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(&head, message);
        }
        address(&name, head.msg_namelen)
    };
    let to = to.filter(|to| !to.is_unspecified() && !to.is_multicast());
    Ok(Arrived { length: length as usize, from, to })
}

/// Sends a datagram, without waiting, from an address of ours if one is named. `v6`: the socket is one of IPv6; IPv4 peers are reached
/// through it as well. An address that we have lost meanwhile is left to the routing table.
pub fn send_from(socket: BorrowedFd<'_>, v6: bool, bytes: &[u8], to: SocketAddr, source: Option<IpAddr>) -> io::Result<()> {
    match send(socket, v6, bytes, to, source) {
        Err(error) if source.is_some() && error.kind() != io::ErrorKind::WouldBlock => send(socket, v6, bytes, to, None),
        sent => sent,
    }
}

fn send(socket: BorrowedFd<'_>, v6: bool, bytes: &[u8], to: SocketAddr, source: Option<IpAddr>) -> io::Result<()> {
    let name: SockAddr = match to {
        SocketAddr::V4(v4) if v6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()).into(),
        SocketAddr::V6(mapped) if !v6 => SocketAddr::new(mapped.ip().to_canonical(), mapped.port()).into(),
        to => to.into(),
    };
    let mut control: Control = [0; 16];
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: zero bytes are a valid header; its pointers are set right here. The kernel does not write through those of a send.
    let mut head: libc::msghdr = unsafe { zeroed() };
    head.msg_name = name.as_ptr().cast_mut().cast();
    head.msg_namelen = name.len();
    head.msg_iov = &mut part;
    head.msg_iovlen = 1;
    let scope = if let SocketAddr::V6(to) = to { to.scope_id() } else { 0 };
    match source.map(|source| source.to_canonical()) {
        Some(IpAddr::V4(v4)) if !v6 => {
            let source = libc::in_addr { s_addr: u32::from(v4).to_be() };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: libc::in_addr { s_addr: 0 } };
            put(&mut head, &mut control, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        Some(source) if v6 => {
            let source = match source {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            let source = libc::in6_addr { s6_addr: source.octets() };
            let info = libc::in6_pktinfo { ipi6_addr: source, ipi6_ifindex: scope };
            put(&mut head, &mut control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
        _ => {}
    }
    // SAFETY: the header points to bytes, a name and perhaps a control message that outlive the call.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &head, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes `info` the header's only control message.
fn put<T: Copy>(head: &mut libc::msghdr, control: &mut Control, level: libc::c_int, kind: libc::c_int, info: T) {
    head.msg_control = control.as_mut_ptr().cast();
    // SAFETY: `control` has room for a header (16 bytes) and either kind of info (12 and 20 bytes), rounded up; the first two calls
    // compute sizes only, and the header's pointer leads into `control`.
    unsafe {
        head.msg_controllen = libc::CMSG_SPACE(size_of::<T>() as u32) as _;
        let message = libc::CMSG_FIRSTHDR(head);
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = libc::CMSG_LEN(size_of::<T>() as u32) as _;
        libc::CMSG_DATA(message).cast::<T>().write_unaligned(info);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    /// A connected socket takes answers from that address only.
    fn ask(at: IpAddr, port: u16) -> UdpSocket {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.connect((at, port)).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        peer.send(b"ask").unwrap();
        peer
    }

    #[test]
    fn answers_leave_from_where_was_asked() {
        for (bound, v6) in [("0.0.0.0:0", false), ("[::]:0", true)] {
            let socket = UdpSocket::bind(bound).unwrap();
            tell_destinations(socket.as_fd(), v6).unwrap();
            let port = socket.local_addr().unwrap().port();
            for asked in ["127.0.0.2", "127.0.0.77"] {
                let asked: IpAddr = asked.parse().unwrap();
                let peer = ask(asked, port);
                let mut buffer = [0; 64];
                let arrived = receive_with_destination(socket.as_fd(), &mut buffer).unwrap();
                let from = peer.local_addr().unwrap();
                assert_eq!(arrived, Arrived { length: 3, from, to: Some(asked) });
                assert_eq!(&buffer[..3], b"ask");
                send_from(socket.as_fd(), v6, b"answer", from, arrived.to).unwrap();
                assert_eq!(peer.recv(&mut buffer).unwrap(), 6);
                // an address that is not ours: the routing table's, which this peer does not take
                send_from(socket.as_fd(), v6, b"lost", from, Some("192.0.2.1".parse().unwrap())).unwrap();
            }
            let nothing = receive_with_destination(socket.as_fd(), &mut [0; 8]).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        }
    }
}
