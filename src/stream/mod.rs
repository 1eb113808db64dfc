//! The heart: streams with one publisher and any number of readers. It knows frames, never protocols.
//!
//! [`Registry`] names the five verbs: publish, subscribe, wait for, list, watch. A [`Publisher`] writes into a
//! [`ring`](mod@ring) that is also the GOP cache; [`Subscriber`]s read at their own pace. What is *not* here:
//! sockets, muxers (they plug in through [`Unit::view`]), and any wait of the writer for a reader. [`Merge`] is for those who make
//! streams of streams.

pub mod access;
mod demand;
mod derived;
mod merge;
mod publisher;
mod registry;
mod ring;
mod settings;
#[allow(clippy::module_inception)]
mod stream;
mod subscriber;
pub mod tally;
#[cfg(test)]
mod tests;
mod unit;

pub use derived::Derived;
pub use merge::Merge;
pub use publisher::{Publisher, Raw};
pub use registry::{Event, Events, NoPublisher, PublishError, Registry};
pub use ring::Cursor;
pub use settings::{OnTaken, Settings};
pub use stream::{Counts, Info, Source, Stream};
pub use subscriber::{Class, Read, Recv, Seat, Start, Subscriber};
pub use unit::{Slot, Unit};
