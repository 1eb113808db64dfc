//! The signed API: one path, a table of actions, everything else made from their declarations.
//!
//! Not here: the rows (`store`), the media (`stream`), the signalling (behind [`plane::Devices`]).
//! To add an action copy one in [`group`]: its declaration is its parser, its reference and its tests. Start with [`action::Action`].

pub mod access;
pub mod action;
pub mod auth;
pub mod binding;
pub mod book;
pub mod bucket;
pub mod channel;
pub mod charging;
pub mod cloud;
pub mod context;
pub mod cut;
pub mod delivery;
pub mod device;
pub mod directory;
pub mod dispatch;
pub mod error;
pub mod files;
pub mod gb_id;
pub mod group;
pub mod license;
pub mod licensing;
pub mod live;
pub mod live_stats;
pub mod media;
pub mod mts;
pub mod openapi;
pub mod order;
pub mod overview;
pub mod param;
pub mod plane;
pub mod play;
pub mod ptz;
pub mod pull;
pub mod push;
pub mod query;
pub mod question;
pub mod quota;
pub mod record;
pub mod recorder;
pub mod reference;
pub mod reply;
pub mod rest;
pub mod rules;
pub mod series;
mod service;
pub mod settings;
mod signalling;
pub mod snapshot;
pub mod start;
pub mod stream;
pub mod template;
pub mod upper;
pub mod url;
pub mod usage;
pub mod value;
pub mod view;
pub mod voice;

#[cfg(test)]
mod tests;

pub use service::{Api, Parts, SEGMENTS, router};
pub use settings::{Playback, Public, Settings};

/// All nouns in the order of the reference.
pub const NOUNS: &[action::Noun] = &[
    group::ACTIONS,
    push::ACTIONS,
    device::ACTIONS,
    channel::ACTIONS,
    pull::ACTIONS,
    stream::ACTIONS,
    template::ACTIONS,
    binding::ACTIONS,
    record::ACTIONS,
    recorder::ACTIONS,
    snapshot::ACTIONS,
    usage::ACTIONS,
    charging::ACTIONS,
    mts::ACTIONS,
    quota::ACTIONS,
    directory::ACTIONS,
    ptz::ACTIONS,
    order::ACTIONS,
    play::ACTIONS,
    overview::ACTIONS,
    question::ACTIONS,
    voice::ACTIONS,
    upper::ACTIONS,
    delivery::ACTIONS,
    licensing::ACTIONS,
];
