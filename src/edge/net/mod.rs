//! What all edges share of sockets: listening, limits, TLS, and the fan-out of shared bytes to many of them.

mod limit;
mod listen;
mod pktinfo;
mod poller;
pub mod pump;
mod recv;
mod send;
mod tls;

pub use limit::{Limits, Place, Refused};
pub use listen::{bind_tcp, tune};
pub use pktinfo::{Arrived, receive_with_destination, send_from, tell_destinations};
pub use poller::{Poller, Ready};
pub use recv::{RecvBatch, bind_udp, send_many};
pub use send::{Outgoing, Sender, Sent};
pub use tls::acceptor;
