//! GB28181 on sockets: devices register, are asked and called; their media becomes streams.
//!
//! [`start`] opens the ports and gives a [`Handle`] for the API. Inside, `signalling` drives the one server machine of
//! `proto::gb28181`, `wire` holds its sockets, `roster` knows who may register, `sync` stores catalogs, `pull` fetches streams
//! through [`media`], `service` follows events, the store and the viewers' demand. What a message means is not decided here.
//! [`camera`] is the other side: a simulated device; `cascade` makes this server a device of upper platforms; `voice` is
//! heard at devices.

mod address;
pub mod camera;
mod cascade;
mod doctor;
mod failure;
mod handle;
mod link;
pub mod media;
mod past;
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
mod tracks;
mod voice;
mod wire;

pub use cascade::State as UpperState;
pub use doctor::{Call, Findings, Line};
pub use handle::{Counts, Handle, playback_key};
pub use pull::{Failure, Target};
pub use service::{Parts, start};
pub use settings::{Carriage, From, Settings, Sip};
pub use voice::{Voice, VoiceOrder};
