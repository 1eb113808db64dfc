//! What an operator manages, as plain values: ids, states, templates and their rules. No IO, no clock.
//!
//! The names are the API's. Start with [`group::Group`], [`device::Device`] and [`stream::Stream`]; the rows are kept by the store.

pub mod alarm;
pub mod binding;
pub mod callback;
pub mod channel;
pub mod cloud;
pub mod deposit;
pub mod device;
pub mod directory;
pub mod domain;
pub mod group;
pub mod id;
pub mod license;
pub mod page;
pub mod path;
pub mod position;
pub mod quota;
pub mod record;
pub mod recording;
pub mod stream;
pub mod template;
pub mod tenant;
pub mod time;
pub mod upper;
pub mod usage;
pub mod word;
