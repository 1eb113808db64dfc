//! Whose a datagram is: by the name in a connectivity check, else by the address that a check has proven before.

use super::inbox::{Inbox, Mail, Number};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;
use std::net::SocketAddr;
use std::sync::Arc;

/// Addresses of one session at most: a client may move between networks, but not for ever.
const ADDRESSES: usize = 8;

/// The way to a session.
#[derive(Clone)]
pub(super) struct Route {
    pub session: Number,
    pub inbox: Arc<Inbox>,
}

/// A session as the signalling knows it.
#[derive(Clone)]
struct Resource {
    route: Route,
    tag: String,
    client: String,
}

/// All sessions.
#[derive(Default)]
pub(super) struct Table {
    names: DashMap<String, Route>,
    addresses: DashMap<SocketAddr, Route>,
    resources: DashMap<String, Resource>,
}

/// What the table shall know of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// Our ICE name fragment.
    pub name: String,
    /// The client's.
    pub client: String,
    /// What the client's session is called over HTTP; nobody guesses it.
    pub resource: String,
}

/// Keeps a session in the table while it lives.
pub(super) struct Entry {
    table: Arc<Table>,
    names: Names,
    addresses: Vec<SocketAddr>,
    route: Route,
}

impl Table {
    /// Takes a session in.
    pub fn enter(self: &Arc<Table>, names: Names, session: Number, inbox: Arc<Inbox>) -> Entry {
        let route = Route { session, inbox };
        self.names.insert(names.name.clone(), route.clone());
        let resource = Resource { route: route.clone(), tag: names.name.clone(), client: names.client.clone() };
        self.resources.insert(names.resource.clone(), resource);
        Entry { table: self.clone(), names, addresses: Vec::new(), route }
    }

    pub fn by_name(&self, name: &str) -> Option<Route> {
        self.names.get(name).map(|route| route.clone())
    }

    pub fn by_address(&self, from: &SocketAddr) -> Option<Route> {
        self.addresses.get(from).map(|route| route.clone())
    }

    /// The tag of a session's present state and the client's ICE name fragment.
    pub fn resource(&self, resource: &str) -> Option<(String, String)> {
        self.resources.get(resource).map(|found| (found.tag.clone(), found.client.clone()))
    }

    /// The client ends its session; `false` if there is none.
    pub fn leave(&self, resource: &str) -> bool {
        let Some(route) = self.resources.get(resource).map(|found| found.route.clone()) else { return false };
        route.inbox.push(Mail::Leave(route.session)).is_ok()
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }
}

impl Entry {
    pub fn session(&self) -> Number {
        self.route.session
    }

    /// Another task has it from now on.
    pub fn reroute(&mut self, inbox: Arc<Inbox>) {
        self.route.inbox = inbox;
        self.table.names.insert(self.names.name.clone(), self.route.clone());
        if let Some(mut resource) = self.table.resources.get_mut(&self.names.resource) {
            resource.route = self.route.clone();
        }
    }

    /// A check that proved its right came from there. An address that another session has stays with it.
    pub fn met(&mut self, from: SocketAddr) {
        if self.addresses.contains(&from) {
            return;
        }
        match self.table.addresses.entry(from) {
            Slot::Vacant(slot) => {
                slot.insert(self.route.clone());
            }
            Slot::Occupied(mut slot) if slot.get().inbox.is_closed() => {
                slot.insert(self.route.clone());
            }
            Slot::Occupied(_) => return,
        }
        if self.addresses.len() >= ADDRESSES {
            let oldest = self.addresses.remove(0);
            self.forget(&oldest);
        }
        self.addresses.push(from);
    }

    fn forget(&self, address: &SocketAddr) {
        self.table.addresses.remove_if(address, |_, route| route.session == self.route.session);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table.names.remove(&self.names.name);
        self.table.resources.remove(&self.names.resource);
        for address in &self.addresses {
            self.forget(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: u32) -> Names {
        Names { name: format!("name{n}"), client: format!("client{n}"), resource: format!("resource{n}") }
    }

    #[test]
    fn sessions_are_found_and_forgotten() {
        let table = Arc::new(Table::default());
        let inbox = Arc::new(Inbox::new());
        let (mut a, mut b) = (table.enter(names(1), 1, inbox.clone()), table.enter(names(2), 2, inbox.clone()));
        let from: SocketAddr = "10.0.0.1:5".parse().unwrap();
        a.met(from);
        b.met(from);
        assert_eq!(table.by_address(&from).map(|r| r.session), Some(1), "who came first keeps the address");
        assert_eq!(table.by_name("name2").map(|r| r.session), Some(2));
        assert_eq!(table.resource("resource1"), Some(("name1".to_owned(), "client1".to_owned())));
        assert!(table.leave("resource2") && !table.leave("resource3"));
        drop(a);
        assert!(table.by_address(&from).is_none() && table.by_name("name1").is_none() && !table.leave("resource1"));
        for port in 1..100 {
            b.met(SocketAddr::new(from.ip(), port));
        }
        assert_eq!(table.addresses.len(), ADDRESSES);
        drop(b);
        assert_eq!((table.len(), table.addresses.len()), (0, 0));
    }
}
