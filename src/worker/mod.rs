//! Long-running readers of streams and timers: neither a session nor a request.

pub mod dial;
pub mod ledger;
pub mod notify;
pub mod pull;
pub mod record;
pub mod relay;
pub mod segment;
pub mod snapshot;
pub mod sound;
pub mod transcode;
