//! What an operator can choose about signalling.

use super::super::catalog::Patience;
use super::super::localtime::Zone;
use std::time::Duration;

/// From where an authenticated device may go on talking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Its registered address, any port (NAT changes ports): from another address it must register again.
    Port,
    /// Anywhere: for networks whose NAT changes addresses. Whoever knows a device's id can then speak for it.
    Anywhere,
}

/// The settings of the machine.
#[derive(Debug, Clone)]
pub struct Config {
    /// What local time means.
    pub zone: Zone,
    /// How often a device is expected to tell that it is alive, unless it shows another rhythm (section 9.6: 60 s).
    pub keepalive: Duration,
    /// How many life signs may be missing (section 9.6: 3).
    pub misses: u32,
    /// How long a silent device has to answer a question before it counts as gone.
    pub probe: Duration,
    /// How long a registration lasts whose device names no time.
    pub expires: u32,
    /// The longest registration.
    pub expires_max: u32,
    /// How long a challenge may be answered.
    pub nonce_life: u32,
    /// Whether challenges offer `qop="auth"`.
    pub qop: bool,
    /// Whether SHA-256 is offered before MD5.
    pub sha256: bool,
    /// Wrong passwords until a device is locked; 0 never locks.
    pub wrong_passwords: u32,
    /// Within this time.
    pub wrong_window: Duration,
    /// REGISTER requests of one address a second; more are dropped. 0 is unlimited.
    pub register_rate: u32,
    /// Registrations that may wait for a verdict at once.
    pub asks_max: usize,
    /// How long a device whose TCP connection closed may take to come back before it counts as gone.
    pub reconnect: Duration,
    /// From where a device may talk.
    pub follow: Follow,
    /// How long a final answer to INVITE may take.
    pub invite: Duration,
    /// How long the answer to a question may take.
    pub query: Duration,
    /// How long parts of a catalog may take.
    pub catalog: Patience,
    /// How long parts of a list of recordings may take.
    pub records: Patience,
    /// How long a subscription lasts before it is renewed.
    pub subscription: u32,
    /// Whether an alarm that silences its device until reset is reset at once.
    pub reset_alarms: bool,
    /// Requests of peers that are held at once.
    pub held_max: usize,
    /// How much memory the last messages of all devices may take.
    pub trace_bytes: usize,
    /// What we call ourselves.
    pub user_agent: String,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            zone: Zone::default(),
            keepalive: Duration::from_secs(60),
            misses: 3,
            probe: Duration::from_secs(10),
            expires: 3600,
            expires_max: 7 * 86_400,
            nonce_life: 300,
            qop: false,
            sha256: false,
            wrong_passwords: 5,
            wrong_window: Duration::from_secs(600),
            register_rate: 2000,
            asks_max: 10_000,
            reconnect: Duration::from_secs(10),
            follow: Follow::Port,
            invite: Duration::from_secs(10),
            query: Duration::from_secs(10),
            catalog: Patience::default(),
            records: Patience { first: Duration::from_secs(15), gap: Duration::from_secs(8), ..Patience::default() },
            subscription: 600,
            reset_alarms: true,
            held_max: 200_000,
            trace_bytes: 16 << 20,
            user_agent: concat!("Weir/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
