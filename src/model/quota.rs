//! What a tenant may have at most.

use std::fmt;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// Groups.
    Groups,
    /// Devices of all groups.
    Devices,
    /// Streams that are sent at once, by pushes or by devices.
    Streams,
    /// Players at once.
    Viewers,
    /// Streams that are recorded at once.
    Recordings,
    /// Bits a second that players take.
    Bandwidth,
    /// Bytes of recordings and pictures that are kept.
    Storage,
}

impl What {
    /// All of them, in the order of lists.
    pub const ALL: [What; 7] =
        [What::Groups, What::Devices, What::Streams, What::Viewers, What::Recordings, What::Bandwidth, What::Storage];

    /// The name in lists and parameters.
    pub fn name(self) -> &'static str {
        match self {
            What::Groups => "Groups",
            What::Devices => "Devices",
            What::Streams => "Streams",
            What::Viewers => "Viewers",
            What::Recordings => "Recordings",
            What::Bandwidth => "Bandwidth",
            What::Storage => "Storage",
        }
    }

    /// What error codes end in: `QuotaExceeded.Group`.
    pub fn noun(self) -> &'static str {
        match self {
            What::Groups => "Group",
            What::Devices => "Device",
            What::Streams => "Stream",
            What::Viewers => "Viewer",
            What::Recordings => "Recording",
            What::Bandwidth => "Bandwidth",
            What::Storage => "Storage",
        }
    }

    /// What a limit counts, behind a number.
    fn unit(self) -> &'static str {
        match self {
            What::Groups => "groups",
            What::Devices => "devices",
            What::Streams => "streams at once",
            What::Viewers => "players at once",
            What::Recordings => "recordings at once",
            What::Bandwidth => "bit/s to players",
            What::Storage => "bytes of recordings and pictures",
        }
    }
}

/// A tenant's limits; none at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota([Option<i64>; What::ALL.len()]);

impl Quota {
    /// The limit; `None`: there is none.
    pub fn of(self, what: What) -> Option<i64> {
        let [groups, devices, streams, viewers, recordings, bandwidth, storage] = self.0;
        match what {
            What::Groups => groups,
            What::Devices => devices,
            What::Streams => streams,
            What::Viewers => viewers,
            What::Recordings => recordings,
            What::Bandwidth => bandwidth,
            What::Storage => storage,
        }
    }

    /// The same with another limit.
    #[must_use]
    pub fn with(mut self, what: What, limit: Option<i64>) -> Quota {
        let [groups, devices, streams, viewers, recordings, bandwidth, storage] = &mut self.0;
        *match what {
            What::Groups => groups,
            What::Devices => devices,
            What::Streams => streams,
            What::Viewers => viewers,
            What::Recordings => recordings,
            What::Bandwidth => bandwidth,
            What::Storage => storage,
        } = limit;
        self
    }

    /// Whether `used` of something leaves room for one more of size `more`.
    pub fn room(self, what: What, used: i64, more: i64) -> Result<(), Exceeded> {
        match self.of(what) {
            Some(limit) if used.saturating_add(more) > limit => Err(Exceeded { what, limit }),
            _ => Ok(()),
        }
    }
}

/// A quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Of what.
    pub what: What,
    /// How many there may be.
    pub limit: i64,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the tenant's quota of {} {} is reached (QuotaExceeded.{})", self.limit, self.what.unit(), self.what.noun())
    }
}

impl std::error::Error for Exceeded {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_its_own() {
        for what in What::ALL {
            let quota = Quota::default().with(what, Some(2));
            assert!(What::ALL.iter().all(|other| quota.of(*other) == (*other == what).then_some(2)), "{what:?}");
            assert_eq!(quota.room(what, 1, 1), Ok(()));
            let Exceeded { what: told, limit } = quota.room(what, 2, 1).unwrap_err();
            assert_eq!((told, limit, quota.with(what, None).room(what, i64::MAX, 1)), (what, 2, Ok(())));
        }
        let told = Exceeded { what: What::Viewers, limit: 3 }.to_string();
        assert_eq!(told, "the tenant's quota of 3 players at once is reached (QuotaExceeded.Viewer)");
    }
}
