//! What groups and tenants used in the running minute, and the most that they had at once.

use super::meter::Whose;
use crate::model::id::{GroupId, TenantId};
use crate::model::time::Time;
use crate::model::usage::{Peak, Peaks, Sums, Total};
use std::collections::{HashMap, HashSet};

/// What there is at once of a stream, a group or a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Gauge {
    pub(super) streams: i64,
    pub(super) viewers: i64,
    pub(super) recordings: i64,
}

/// A group of a tenant; no group: all of them.
type Of = (TenantId, Option<GroupId>);

#[derive(Default)]
pub(super) struct Totals {
    sums: HashMap<Of, HashMap<&'static str, Sums>>,
    /// This look's.
    now: HashMap<Of, Gauge>,
    /// The minute's.
    most: HashMap<Of, (Gauge, i64)>,
    /// Devices that were online when somebody last asked.
    online: HashMap<Of, i64>,
}

impl Totals {
    /// Adds what was used, to the group and to the tenant.
    pub(super) fn add(&mut self, whose: Whose, protocol: &'static str, sums: &Sums) {
        for of in both(whose) {
            self.sums.entry(of).or_default().entry(protocol).or_default().add(sums);
        }
    }

    /// A stream has so much at this look.
    pub(super) fn gauge(&mut self, whose: Whose, gauge: Gauge) {
        if gauge == Gauge::default() {
            return;
        }
        for of in both(whose) {
            let sum = self.now.entry(of).or_default();
            sum.streams += gauge.streams;
            sum.viewers += gauge.viewers;
            sum.recordings += gauge.recordings;
        }
    }

    /// All streams of this look were told.
    pub(super) fn note(&mut self) {
        for (of, now) in self.now.drain() {
            let (most, _) = self.most.entry(of).or_default();
            most.streams = most.streams.max(now.streams);
            most.viewers = most.viewers.max(now.viewers);
            most.recordings = most.recordings.max(now.recordings);
        }
        for (of, online) in &self.online {
            let (_, most) = self.most.entry(*of).or_default();
            *most = (*most).max(*online);
        }
    }

    /// Devices that are online, of all groups.
    pub(super) fn devices(&mut self, online: &[(TenantId, GroupId, i64)]) {
        self.online.clear();
        for (owner, group, n) in online {
            for of in both(Whose { owner: *owner, group: *group }) {
                *self.online.entry(of).or_default() += n;
            }
        }
    }

    /// The minute's totals; it begins again at nothing.
    pub(super) fn close(&mut self, at: Time) -> Vec<Total> {
        let (mut sums, most) = (std::mem::take(&mut self.sums), std::mem::take(&mut self.most));
        let all: HashSet<Of> = sums.keys().chain(most.keys()).copied().collect();
        let mut totals = Vec::with_capacity(all.len());
        for of in all {
            let mut by_protocol = sums.remove(&of).unwrap_or_default();
            let peak = |most| Peak { most, at };
            let (gauge, devices) = most.get(&of).copied().unwrap_or_default();
            let peaks = Peaks {
                streams: peak(gauge.streams),
                viewers: peak(gauge.viewers),
                recordings: peak(gauge.recordings),
                devices: peak(devices),
            };
            // The first row holds all protocols; it is there in any case.
            by_protocol.entry("").or_default();
            for (protocol, sums) in by_protocol {
                let peaks = if protocol.is_empty() {
                    peaks
                } else {
                    Peaks { streams: peak(0), viewers: peak(0), recordings: peak(0), devices: peak(0) }
                };
                totals.push(Total { sums, peaks, ..Total::new(at, of.0, of.1, protocol) });
            }
        }
        totals.sort_by(|a, b| (a.owner, a.group, &a.protocol).cmp(&(b.owner, b.group, &b.protocol)));
        totals
    }
}

fn both(whose: Whose) -> [Of; 2] {
    [(whose.owner, None), (whose.owner, Some(whose.group))]
}
