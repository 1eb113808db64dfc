//! What a device is and how it behaves, good habits and bad.

use super::super::localtime::Zone;
use super::super::{Id, Version};
use std::time::Duration;

/// The settings of one device, or of one connection to an upper platform.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its id.
    pub id: Id,
    /// The platform's id.
    pub server: Id,
    /// The SIP domain that stands in its addresses: ten digits, a name, or `host:port` where an upper platform wants that.
    pub domain: String,
    /// Its user name; its id where empty.
    pub username: String,
    /// Its password.
    pub password: String,
    /// For how many seconds it registers.
    pub expires: u32,
    /// How often it tells that it is alive.
    pub keepalive: Duration,
    /// How many of those may stay unanswered until it registers again.
    pub misses: u32,
    /// How long after a refusal it tries again; a random part comes on top (section 9.1.1: at least 60 s).
    pub retry: Duration,
    /// What it speaks; `None` announces nothing.
    pub version: Option<Version>,
    /// What local time means.
    pub zone: Zone,
    /// What it calls itself.
    pub agent: String,
    /// Entries in one message of a long answer.
    pub items: usize,
    /// Added to every announced total: some devices count wrong.
    pub sum_skew: i64,
    /// Whether it numbers its answers 0 and not as it was asked.
    pub forgets_sn: bool,
    /// How often it sends each 200 to INVITE at once; 1 by the book.
    pub answers: u8,
}

impl Config {
    /// A well-behaved device.
    pub fn new(id: Id, server: Id, password: &str) -> Config {
        Config {
            id,
            server,
            domain: server.domain().to_owned(),
            username: String::new(),
            password: password.to_owned(),
            expires: 3600,
            keepalive: Duration::from_secs(60),
            misses: 3,
            retry: Duration::from_secs(60),
            version: None,
            zone: Zone::default(),
            agent: concat!("Weir/", env!("CARGO_PKG_VERSION")).to_owned(),
            items: 4,
            sum_skew: 0,
            forgets_sn: false,
            answers: 1,
        }
    }

    pub(super) fn user(&self) -> &str {
        if self.username.is_empty() { self.id.as_str() } else { &self.username }
    }

    pub(super) fn edition(&self) -> Version {
        self.version.unwrap_or_default()
    }
}
