//! What all edges share of sockets: listening, limits, and the fan-out of shared bytes to many of them.

mod limit;
mod listen;
pub mod pump;

pub use limit::{Limits, Place, Refused};
pub use listen::{bind_tcp, tune};
