//! Questions and orders to devices, and the answers, which come as requests of the device (annex A, section 9.3 and following).

use super::super::Id;
use super::super::catalog::{Collector, End};
use super::super::manscdp::{Body, Cmd, Control, DeviceInfo, DeviceStatus, Item, Query, Record, presets};
use super::super::xml::Element;
use super::device::DeviceKey;
use super::event::{Answer, Event, Unanswered};
use super::{Purpose, Server, Wake};
use crate::media::time::Timestamp;
use crate::proto::sip::Path;
use bytes::Bytes;
use std::collections::HashMap;

/// A question or an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(u64);

/// The most that may be open with one device.
const OPEN_MAX: usize = 32;
/// How many elements of an answer that we do not know are handed on.
const ELEMENTS_MAX: usize = 2000;

#[derive(Default)]
pub(super) struct Queries {
    open: HashMap<QueryId, Open>,
    by_sn: HashMap<u32, QueryId>,
    count: u64,
}

struct Open {
    device: DeviceKey,
    cmd: Cmd,
    sn: u32,
    gathering: Gathering,
    deadline: Timestamp,
}

enum Gathering {
    Catalog(Collector<Id>),
    Records(Collector<(Option<Id>, i64, i64)>),
    /// Types of configuration: in an answer each, or several in one.
    Config {
        missing: Vec<String>,
        found: Vec<(String, String)>,
    },
    Single,
    /// An order: its SIP answer is the answer; how many are still expected, and the best so far.
    Control {
        missing: usize,
    },
}

impl Server {
    /// Asks a device about itself or a channel. The answer comes as [`Event::Answered`]; a catalog and a list of recordings come in
    /// parts before it.
    pub fn query(&mut self, now: Timestamp, key: &DeviceKey, target: Id, query: &Query) -> Result<QueryId, Unanswered> {
        let zone = self.config.zone;
        let version = self.version_of(key);
        let sn = self.next_sn();
        let gathering = match query {
            Query::Catalog => Gathering::Catalog(Collector::new(now, self.config.catalog)),
            Query::RecordInfo(_) => Gathering::Records(Collector::new(now, self.config.records)),
            Query::ConfigDownload(kinds) => {
                let missing = kinds.split('/').map(|kind| kind.trim().to_owned()).filter(|kind| !kind.is_empty()).collect();
                Gathering::Config { missing, found: Vec::new() }
            }
            _ => Gathering::Single,
        };
        let deadline = match &gathering {
            Gathering::Catalog(collector) => collector.deadline(),
            Gathering::Records(collector) => collector.deadline(),
            _ => now + self.config.query.into(),
        };
        let id = self.open(now, key, Open { device: *key, cmd: query.cmd(), sn, gathering, deadline })?;
        let body = query.write(version, sn, target.as_str(), zone);
        self.message(now, key, target, body, Purpose::Query(id));
        self.pump(now);
        Ok(id)
    }

    /// Orders a device to do something. Done means that the device took the order; whether it obeyed, the standard does not let it say.
    pub fn control(&mut self, now: Timestamp, key: &DeviceKey, target: Id, control: &Control) -> Result<QueryId, Unanswered> {
        let version = self.version_of(key);
        let mut sn = || self.next_sn();
        let bodies = control.write(version, &mut sn, target.as_str());
        let deadline = now + self.config.query.into();
        let gathering = Gathering::Control { missing: bodies.len() };
        let id = self.open(now, key, Open { device: *key, cmd: Cmd::DeviceControl, sn: 0, gathering, deadline })?;
        for body in bodies {
            self.message(now, key, target, body, Purpose::Control(id));
        }
        self.pump(now);
        Ok(id)
    }

    pub(super) fn ask_broadcast(
        &mut self,
        now: Timestamp,
        key: &DeviceKey,
        sn: u32,
        target: Id,
        body: Bytes,
    ) -> Result<QueryId, Unanswered> {
        let deadline = now + self.config.query.into();
        let id = self.open(now, key, Open { device: *key, cmd: Cmd::Broadcast, sn, gathering: Gathering::Single, deadline })?;
        self.message(now, key, target, body, Purpose::Query(id));
        Ok(id)
    }

    fn open(&mut self, now: Timestamp, key: &DeviceKey, open: Open) -> Result<QueryId, Unanswered> {
        let device = self.devices.get_mut(key).filter(|device| device.path.is_some()).ok_or(Unanswered::Offline)?;
        if device.queries.len() >= OPEN_MAX {
            return Err(Unanswered::Busy);
        }
        self.queries.count += 1;
        let id = QueryId(self.queries.count);
        device.queries.push(id);
        self.timers.set(open.deadline.max(now), Wake::Query(id));
        if open.sn != 0 {
            self.queries.by_sn.insert(open.sn, id);
        }
        self.queries.open.insert(id, open);
        Ok(id)
    }

    fn close(&mut self, id: QueryId, answer: Result<Answer, Unanswered>) {
        let Some(open) = self.queries.open.remove(&id) else { return };
        self.queries.by_sn.remove(&open.sn);
        if let Some(device) = self.devices.get_mut(&open.device) {
            device.queries.retain(|other| *other != id);
        }
        self.event(Event::Answered { query: id, device: open.device, answer });
    }

    pub(super) fn fail_query(&mut self, id: QueryId, why: Unanswered) {
        // one of two spellings of an order may be refused
        if let Some(Open { gathering: Gathering::Control { missing }, .. }) = self.queries.open.get_mut(&id)
            && *missing > 1
        {
            *missing -= 1;
            return;
        }
        self.close(id, Err(why));
    }

    /// The device took the question: from now on its answer has its time.
    pub(super) fn query_taken(&mut self, now: Timestamp, id: QueryId) {
        let patience = self.config.query;
        if let Some(open) = self.queries.open.get_mut(&id)
            && matches!(open.gathering, Gathering::Single | Gathering::Config { .. })
        {
            open.deadline = now + patience.into();
            self.timers.set(open.deadline, Wake::Query(id));
        }
    }

    pub(super) fn control_answered(&mut self, id: QueryId, status: u16) {
        match status {
            200..=299 => self.close(id, Ok(Answer::Done)),
            _ => self.fail_query(id, Unanswered::Refused(status)),
        }
    }

    pub(super) fn query_timer(&mut self, now: Timestamp, id: QueryId) {
        let Some(open) = self.queries.open.get_mut(&id) else { return };
        let (end, next) = match &open.gathering {
            Gathering::Catalog(collector) => (collector.end(now), collector.deadline()),
            Gathering::Records(collector) => (collector.end(now), collector.deadline()),
            _ if now >= open.deadline => (Some(End::Nothing), open.deadline),
            _ => (None, open.deadline),
        };
        match end {
            None => self.timers.set(next.max(Timestamp(now.0 + 1)), Wake::Query(id)),
            Some(end) => self.finish(id, end),
        }
    }

    fn finish(&mut self, id: QueryId, end: End) {
        let Some(open) = self.queries.open.get_mut(&id) else { return };
        let answer = match (&mut open.gathering, end) {
            (Gathering::Config { found, .. }, _) if !found.is_empty() => Ok(Answer::Config(std::mem::take(found))),
            (_, End::Nothing) => Err(Unanswered::Timeout),
            (Gathering::Catalog(collector), end) => Ok(Answer::Catalog { end, items: collector.len() }),
            (Gathering::Records(collector), end) => Ok(Answer::Records { end, records: collector.len() }),
            _ => Err(Unanswered::Timeout),
        };
        self.close(id, answer);
    }

    /// Takes a Response of a device: by number, else by command if only one such question is open.
    pub(super) fn on_answer(&mut self, now: Timestamp, key: &DeviceKey, body: &Body) {
        let Some(id) = self.question(key, body) else {
            return self.unasked(key, body);
        };
        let Some(open) = self.queries.open.get_mut(&id) else { return };
        let device = open.device;
        let zone = self.config.zone;
        match &mut open.gathering {
            Gathering::Catalog(collector) => {
                let (_, items) = body.list("DeviceList");
                let items = items.filter_map(Item::read).filter_map(|item| Some((item.id?, item)));
                let items = collector.add(now, body.sum(), items);
                let due = collector.deadline();
                self.timers.set(due, Wake::Query(id));
                if !items.is_empty() {
                    self.event(Event::Items { query: id, device, items });
                }
                self.query_timer(now, id);
            }
            Gathering::Records(collector) => {
                let (_, items) = body.list("RecordList");
                let records = items.filter_map(|item| Record::read(item, zone));
                let records = collector.add(now, body.sum(), records.map(|record| ((record.channel, record.start, record.end), record)));
                let due = collector.deadline();
                self.timers.set(due, Wake::Query(id));
                if !records.is_empty() {
                    self.event(Event::Records { query: id, records });
                }
                self.query_timer(now, id);
            }
            Gathering::Config { missing, found } => {
                found.extend(flatten(body));
                let before = missing.len();
                let root = body.root_element();
                missing.retain(|kind| !root.children().any(|child| child.name().eq_ignore_ascii_case(kind)));
                if missing.len() == before {
                    // one vendor calls the element otherwise than the type; an answer that says no has none
                    missing.pop();
                }
                if missing.is_empty() {
                    let found = std::mem::take(found);
                    self.close(id, Ok(Answer::Config(found)));
                }
            }
            Gathering::Single => {
                let answer = match open.cmd {
                    // an answer with Result ERROR and nothing else in it
                    _ if !body.is_ok() => Err(Unanswered::Failed),
                    Cmd::DeviceInfo => Ok(Answer::Info(DeviceInfo::read(body))),
                    Cmd::DeviceStatus => Ok(Answer::Status(DeviceStatus::read(body))),
                    Cmd::PresetQuery => Ok(Answer::Presets(presets(body))),
                    _ => Ok(Answer::Other(flatten(body))),
                };
                self.close(id, answer);
            }
            Gathering::Control { .. } => {}
        }
    }

    fn question(&self, key: &DeviceKey, body: &Body) -> Option<QueryId> {
        let matches = |id: &QueryId| self.queries.open.get(id).is_some_and(|open| open.device == *key && open.cmd == body.cmd);
        if let Some(id) = self.queries.by_sn.get(&body.sn).filter(|id| matches(id)) {
            return Some(*id);
        }
        let open = &self.devices.get(key)?.queries;
        let mut same = open.iter().filter(|id| matches(id));
        match (same.next(), same.next()) {
            (Some(only), None) => Some(*only),
            _ => None,
        }
    }

    /// The device that an answer belongs to whose sender is unknown: by number, if it comes from that device's address.
    pub(super) fn owner_of_answer(&self, sn: u32, path: &Path) -> Option<DeviceKey> {
        let open = self.queries.open.get(self.queries.by_sn.get(&sn)?)?;
        let known = self.devices.get(&open.device)?.path?;
        (known.remote.ip() == path.remote.ip()).then_some(open.device)
    }

    /// Parts of a catalog that come after its end are news all the same; the rest is for the log.
    fn unasked(&mut self, key: &DeviceKey, body: &Body) {
        match body.cmd {
            Cmd::Catalog => {
                let items: Vec<_> = body.list("DeviceList").1.filter_map(Item::read).collect();
                if !items.is_empty() {
                    self.event(Event::Changes { device: *key, items });
                }
            }
            Cmd::DeviceControl | Cmd::DeviceStatus | Cmd::Alarm | Cmd::Broadcast => {}
            _ => {
                let what = format!("an answer to no open question: {} number {}", body.cmd.as_str(), body.sn);
                self.event(Event::Unknown { device: *key, what });
            }
        }
    }

    /// How many questions are open.
    pub fn open_queries(&self) -> usize {
        self.queries.open.len()
    }
}

/// The elements below the root as `Parent.Child` and text, envelope left out.
fn flatten(body: &Body) -> Vec<(String, String)> {
    fn walk(element: Element<'_>, prefix: &str, out: &mut Vec<(String, String)>) {
        for child in element.children() {
            if out.len() >= ELEMENTS_MAX {
                return;
            }
            let name = if prefix.is_empty() { child.name().to_owned() } else { format!("{prefix}.{}", child.name()) };
            if !child.text().is_empty() {
                out.push((name.clone(), child.text().chars().take(1024).collect()));
            }
            walk(child, &name, out);
        }
    }
    let mut out = Vec::new();
    walk(body.root_element(), "", &mut out);
    out.retain(|(name, _)| !["CmdType", "SN", "DeviceID", "Result"].contains(&name.as_str()));
    out
}
