//! Datagrams to many peers for few system calls: a message for each run of equal datagrams to one peer, which the kernel
//! cuts again (UDP generic segmentation offload), and one call for many messages.

#![allow(unsafe_code, reason = "sendmmsg has no safe interface; each block says why it is sound")]

use socket2::SockAddr;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// A datagram and where it goes.
pub type Outgoing<'a> = (SocketAddr, &'a [u8]);

/// Sends datagrams from one socket, which is shared by many tasks.
#[derive(Debug)]
pub struct Sender {
    /// An IPv6 socket, which reaches IPv4 peers by mapped addresses.
    mapped: bool,
    /// The kernel cuts messages; false after it refused once.
    segments: AtomicBool,
}

/// What became of datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Handed to the kernel.
    pub datagrams: usize,
    /// Not taken: the socket's buffer was full, or the peer cannot be reached.
    pub lost: usize,
}

/// Messages in one call.
const MOST: usize = 64;
/// Datagrams in one message: what kernels allow (`UDP_MAX_SEGMENTS` is 64), and what fits into an IP packet.
const SEGMENTS: usize = 48;
const BYTES: usize = 60_000;

/// Room for one control message with a `u16`.
#[repr(C, align(8))]
struct Control([u8; 24]);

impl Sender {
    /// For a socket that is bound to this address.
    pub fn new(bound: SocketAddr) -> Sender {
        Sender { mapped: bound.is_ipv6(), segments: AtomicBool::new(true) }
    }

    /// Sends without waiting; what does not fit into the socket's buffer is lost, as it may be on any network.
    pub fn send(&self, socket: BorrowedFd<'_>, datagrams: &[Outgoing<'_>]) -> Sent {
        let mut sent = Sent::default();
        let mut at = 0;
        while at < datagrams.len() {
            let segments = self.segments.load(Ordering::Relaxed);
            let runs = runs(&datagrams[at..], segments);
            let covered = |count: usize| runs[..count].last().map_or(0, |run: &Range<usize>| run.end);
            match self.call(socket, &datagrams[at..], &runs) {
                Ok(count) => {
                    sent.datagrams += covered(count);
                    at += covered(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sent.lost += datagrams.len() - at;
                    return sent;
                }
                // A kernel or an interface that cannot cut messages says so with one of these; the same again, one by one.
                Err(error) if segments && runs[0].len() > 1 && matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) => {
                    self.segments.store(false, Ordering::Relaxed);
                }
                // The first message's peer cannot be reached; the others can.
                Err(_) => {
                    sent.lost += covered(1);
                    at += covered(1);
                }
            }
        }
        sent
    }

    fn call(&self, socket: BorrowedFd<'_>, datagrams: &[Outgoing<'_>], runs: &[Range<usize>]) -> io::Result<usize> {
        let names: Vec<SockAddr> = runs.iter().map(|run| self.name(datagrams[run.start].0)).collect();
        let mut parts: Vec<libc::iovec> = datagrams[..runs.last().map_or(0, |run| run.end)]
            .iter()
            .map(|(_, bytes)| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() })
            .collect();
        let mut controls: Vec<Control> = runs.iter().map(|_| Control([0; 24])).collect();
        let mut heads = [MaybeUninit::<libc::mmsghdr>::zeroed(); MOST];
        for (n, run) in runs.iter().enumerate() {
            // SAFETY: zero bytes are a valid header; its pointers are set right here.
            let head = unsafe { heads[n].assume_init_mut() };
            head.msg_hdr.msg_name = names[n].as_ptr().cast_mut().cast();
            head.msg_hdr.msg_namelen = names[n].len();
            head.msg_hdr.msg_iov = parts[run.clone()].as_mut_ptr();
            head.msg_hdr.msg_iovlen = run.len();
            if run.len() > 1 {
                head.msg_hdr.msg_control = controls[n].0.as_mut_ptr().cast();
                // SAFETY: these compute sizes only; the first header of a buffer of 24 aligned bytes has room for a u16
                // behind it (16 + 2, rounded up to 24).
                unsafe {
                    head.msg_hdr.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as usize;
                    let control = libc::CMSG_FIRSTHDR(&head.msg_hdr);
                    (*control).cmsg_level = libc::SOL_UDP;
                    (*control).cmsg_type = libc::UDP_SEGMENT;
                    (*control).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as usize;
                    libc::CMSG_DATA(control).cast::<u16>().write_unaligned(datagrams[run.start].1.len() as u16);
                }
            }
        }
        // SAFETY: the first `runs.len()` headers point to names, parts and control messages that outlive the call; the kernel
        // does not write through the pointers of a send.
        let count = unsafe {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            libc::sendmmsg(socket.as_raw_fd(), heads.as_mut_ptr().cast(), runs.len() as u32, flags)
        };
        if count < 0 { Err(io::Error::last_os_error()) } else { Ok((count as usize).max(1)) }
    }

    fn name(&self, to: SocketAddr) -> SockAddr {
        match to {
            SocketAddr::V4(v4) if self.mapped => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()).into(),
            to => to.into(),
        }
    }
}

/// The messages of one call: runs of datagrams to one peer, all as long as the first but the last, which may be shorter.
fn runs(datagrams: &[Outgoing<'_>], segments: bool) -> Vec<Range<usize>> {
    let mut runs = Vec::with_capacity(MOST.min(datagrams.len()));
    let mut start = 0;
    while start < datagrams.len() && runs.len() < MOST {
        let (to, first) = datagrams[start];
        let mut end = start + 1;
        let mut bytes = first.len();
        if segments && !first.is_empty() {
            while let Some((_, next)) = datagrams.get(end).filter(|(peer, next)| *peer == to && !next.is_empty()) {
                let before = datagrams[end - 1].1.len();
                if before != first.len() || next.len() > before || end - start >= SEGMENTS || bytes + next.len() > BYTES {
                    break;
                }
                bytes += next.len();
                end += 1;
            }
        }
        runs.push(start..end);
        start = end;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::net::{RecvBatch, bind_udp};
    use std::os::fd::AsFd;

    #[test]
    fn runs_end_where_peer_or_length_change() {
        let (a, b): (SocketAddr, SocketAddr) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
        let bytes = [0u8; 1200];
        let of = |to, n: usize| (to, &bytes[..n]);
        let list = [of(a, 1200), of(a, 1200), of(a, 40), of(a, 40), of(b, 40), of(b, 41), of(a, 1200)];
        assert_eq!(runs(&list, true), [0..3, 3..4, 4..5, 5..6, 6..7]);
        assert_eq!(runs(&list, false).len(), 7);
        let many = vec![of(a, 1200); 200];
        assert_eq!(runs(&many, true), [0..48, 48..96, 96..144, 144..192, 192..200]);
    }

    #[test]
    fn all_datagrams_arrive_whole_and_in_order() {
        for (from, to) in [("127.0.0.1:0", "127.0.0.1:0"), ("[::]:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0")] {
            let (socket, _) = bind_udp(from.parse().unwrap(), 0, false).unwrap();
            let (one, _) = bind_udp(to.parse().unwrap(), 1 << 20, false).unwrap();
            let (two, _) = bind_udp(to.parse().unwrap(), 1 << 20, false).unwrap();
            let payloads: Vec<Vec<u8>> = (0..90u8).map(|n| vec![n; if n % 30 == 29 { 77 } else { 1100 }]).collect();
            let list: Vec<Outgoing<'_>> = [&one, &two]
                .iter()
                .flat_map(|peer| payloads.iter().map(|payload| (peer.local_addr().unwrap(), payload.as_slice())))
                .collect();
            let sender = Sender::new(socket.local_addr().unwrap());
            assert_eq!(sender.send(socket.as_fd(), &list), Sent { datagrams: 180, lost: 0 });
            for peer in [one, two] {
                let mut batch = RecvBatch::new();
                let mut got = Vec::new();
                while let Ok(count) = batch.receive(peer.as_fd()) {
                    got.extend((0..count).map(|n| batch.get(n).unwrap().1.to_vec()));
                }
                assert!(got == payloads, "{} datagrams", got.len());
            }
        }
    }

    #[test]
    fn a_peer_that_cannot_be_reached_costs_its_own_datagrams() {
        let (socket, _) = bind_udp("127.0.0.1:0".parse().unwrap(), 0, false).unwrap();
        let (peer, _) = bind_udp("127.0.0.1:0".parse().unwrap(), 1 << 20, false).unwrap();
        let list = [("[::1]:9".parse().unwrap(), &b"x"[..]), (peer.local_addr().unwrap(), &b"y"[..])];
        let sender = Sender::new(socket.local_addr().unwrap());
        assert_eq!(sender.send(socket.as_fd(), &list), Sent { datagrams: 1, lost: 1 });
    }
}
