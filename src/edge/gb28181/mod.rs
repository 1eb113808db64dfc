//! GB28181 on sockets: devices register, are asked and called; their media becomes streams.
//!
//! [`start`] opens the ports and gives a [`Handle`] for the API. Inside, `signalling` drives the one server machine of
//! `proto::gb28181`, `wire` holds its sockets, `roster` knows who may register, `sync` stores catalogs, `pull` fetches streams
//! through [`media`], `service` follows events, the store and the viewers' demand. What a message means is not decided here.
//! [`camera`] is the other side: a simulated device.

mod address;
pub mod camera;
mod doctor;
mod handle;
pub mod media;
mod pull;
mod roster;
mod running;
mod service;
mod settings;
mod signalling;
mod states;
mod sync;
#[cfg(test)]
mod tests;
mod wire;

pub use doctor::{Call, Findings, Line};
pub use handle::{Counts, Handle, playback_key};
pub use pull::{Failure, Target};
pub use service::{Parts, start};
pub use settings::{Carriage, From, Settings, Sip};
