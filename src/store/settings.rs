//! The configuration of the store.

use crate::base::pii::Secret;
use crate::base::units::Span;

crate::settings! {
    /// Where groups, devices, streams, templates and records are kept.
    pub struct Settings {
        /// A PostgreSQL URL, as in "postgres://weir:password@db.example.com/weir". Empty: the SQLite file weir.db in `data_dir`.
        pub url: Secret = Secret::default(),
        /// Connections to the database: those that read (SQLite, which has one more that writes), or all (PostgreSQL).
        pub connections: u32 = 8,
        /// How long an operation waits for a connection or a lock.
        pub patience: Span = Span::secs(10),
        /// Tells servers that share a PostgreSQL database apart: 0 to 999, each its own.
        pub node: u16 = 0,
        /// How long alarms and the log of callbacks are kept.
        pub keep_logs: Span = Span::secs(30 * 86_400),
        /// Most alarms, and most entries of the log of callbacks, that are kept: the oldest go first. 0 means without limit.
        pub most_logs: u64 = 1_000_000,
    }
}
