//! By which address a peer reaches us: what Via, Contact and SDP tell it.

use crate::proto::sip::Path;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};

/// Finds our address as a peer sees it.
pub struct Addresses {
    public: Option<IpAddr>,
    for_all: bool,
    routes: Mutex<HashMap<IpAddr, IpAddr>>,
}

/// Peers whose route is remembered.
const ROUTES_MAX: usize = 65_536;

impl Addresses {
    /// With the public address of the configuration.
    pub fn new(public: Option<IpAddr>, for_all: bool) -> Addresses {
        Addresses { public, for_all, routes: Mutex::default() }
    }

    /// Our address for `peer`; `bound` is what the socket is bound to.
    pub fn seen_by(&self, peer: IpAddr, bound: IpAddr) -> IpAddr {
        let peer = peer.to_canonical();
        if let Some(public) = self.public
            && (self.for_all || !is_private(peer))
        {
            return public;
        }
        let bound = bound.to_canonical();
        if !bound.is_unspecified() {
            return bound;
        }
        self.way_to(peer).unwrap_or(bound)
    }

    /// Our address for the media of a peer that is reached this way; `bound` is what the media port is bound to. Where that is any
    /// address, the peer's media goes where its messages go.
    pub fn for_media(&self, path: &Path, bound: IpAddr) -> IpAddr {
        let told = path.local.ip();
        match bound.is_unspecified() && !told.is_unspecified() {
            true => told,
            false => self.seen_by(path.remote.ip(), bound),
        }
    }

    /// The address of the interface that leads to a peer.
    pub fn way_to(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = routes.get(&peer) {
            return Some(*known);
        }
        if routes.len() >= ROUTES_MAX {
            routes.clear();
        }
        let found = route(peer)?;
        routes.insert(peer, found);
        Some(found)
    }
}

/// The address of the interface that leads to `peer`: connecting a datagram socket sends nothing and asks the routing table.
fn route(peer: IpAddr) -> Option<IpAddr> {
    let any = if peer.is_ipv4() { SocketAddr::from(([0, 0, 0, 0], 0)) } else { SocketAddr::from(([0u16; 8], 0)) };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(SocketAddr::new(peer, 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// Whether an address belongs to this network and not to the Internet.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = u32::from(v4) & 0xFFC0_0000 == u32::from(Ipv4Addr::new(100, 64, 0, 0));
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_public_address_is_for_the_public() {
        let addresses = Addresses::new(Some(ip("203.0.113.9")), false);
        assert_eq!(addresses.seen_by(ip("198.51.100.1"), ip("0.0.0.0")), ip("203.0.113.9"));
        assert_eq!(addresses.seen_by(ip("127.0.0.1"), ip("0.0.0.0")), ip("127.0.0.1"));
        assert_eq!(addresses.seen_by(ip("10.0.0.1"), ip("10.0.0.9")), ip("10.0.0.9"));
        assert_eq!(addresses.seen_by(ip("::ffff:127.0.0.1"), ip("::")), ip("127.0.0.1"));
        assert_eq!(Addresses::new(Some(ip("203.0.113.9")), true).seen_by(ip("10.0.0.1"), ip("10.0.0.9")), ip("203.0.113.9"));
        assert_eq!(Addresses::new(None, false).seen_by(ip("198.51.100.1"), ip("192.0.2.1")), ip("192.0.2.1"));
    }

    #[test]
    fn media_goes_where_messages_go() {
        let path = Path {
            transport: crate::proto::sip::Transport::Udp,
            link: 0,
            remote: "127.0.0.1:5060".parse().unwrap(),
            local: "127.0.0.9:5060".parse().unwrap(),
        };
        let addresses = Addresses::new(None, false);
        assert_eq!(addresses.for_media(&path, ip("0.0.0.0")), ip("127.0.0.9"));
        assert_eq!(addresses.for_media(&path, ip("127.0.0.3")), ip("127.0.0.3"), "a port that is open on one address only");
        let nowhere = Path { local: "0.0.0.0:5060".parse().unwrap(), ..path };
        assert_eq!(addresses.for_media(&nowhere, ip("0.0.0.0")), ip("127.0.0.1"));
    }
}
