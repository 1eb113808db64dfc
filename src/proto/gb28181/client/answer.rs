//! Answers to questions; long ones go out part by part, each after the 200 of the one before (annex M).

use super::super::Id;
use super::super::manscdp::{self, Cmd, DeviceInfo, DeviceStatus, Item, Preset, Query, Record, Root};
use super::super::xml::Writer;
use super::{Client, Purpose};
use crate::media::time::Timestamp;
use bytes::Bytes;
use std::collections::HashMap;

/// A question that waits for an answer, or an answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyId(u64);

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// All entries.
    Catalog(Vec<Item>),
    /// All stretches.
    Records(Vec<Record>),
    /// What it is.
    Info(DeviceInfo),
    /// How it is doing.
    Status(DeviceStatus),
    /// Its presets.
    Presets(Vec<Preset>),
    /// Each type asked for that it has, in an answer each: `BasicParam` and its children. None: it has nothing of it.
    Config(Vec<(&'static str, Vec<(&'static str, String)>)>),
    /// Yes or no.
    Result(bool),
    /// A finished body, for what is passed on from below.
    Body(Bytes),
}

/// Questions that wait at once at most; the oldest are forgotten.
const OPEN_MAX: usize = 1000;

#[derive(Default)]
pub(super) struct Answers {
    open: HashMap<ReplyId, Open>,
    count: u64,
}

struct Open {
    cmd: Cmd,
    sn: u32,
    target: Id,
    list: List,
    sent: usize,
}

enum List {
    None,
    Items(Vec<Item>),
    Records(Vec<Record>),
}

impl Client {
    pub(super) fn asked(&mut self, query: &Query, sn: u32, target: Id) -> ReplyId {
        if self.answers.open.len() >= OPEN_MAX
            && let Some(oldest) = self.answers.open.keys().min().copied()
        {
            self.answers.open.remove(&oldest);
        }
        self.answers.count += 1;
        let id = ReplyId(self.answers.count);
        let sn = if self.config.forgets_sn { 0 } else { sn };
        self.answers.open.insert(id, Open { cmd: query.cmd(), sn, target, list: List::None, sent: 0 });
        id
    }

    /// Answers a question.
    pub fn reply(&mut self, now: Timestamp, id: ReplyId, reply: Reply) {
        let version = self.config.edition();
        let Some(open) = self.answers.open.get_mut(&id) else { return };
        let (sn, target) = (open.sn, open.target.to_string());
        let body = match reply {
            Reply::Catalog(items) => {
                open.list = List::Items(items);
                return self.send_part(now, id);
            }
            Reply::Records(records) => {
                open.list = List::Records(records);
                return self.send_part(now, id);
            }
            Reply::Info(info) => info.write(version, sn, &target),
            Reply::Status(status) => status.write(version, sn, &target),
            Reply::Presets(presets) => Preset::write_all(&presets, version, sn, &target),
            Reply::Config(kinds) if !kinds.is_empty() => {
                self.answers.open.remove(&id);
                for (kind, values) in kinds {
                    let mut w = manscdp::document(version, Root::Response, &Cmd::ConfigDownload, sn, &target);
                    w.field("Result", "OK").open(kind);
                    for (name, value) in values {
                        w.field(name, value);
                    }
                    self.message(now, manscdp::bytes(w), Purpose::Told);
                }
                return self.pump(now);
            }
            Reply::Config(_) => manscdp::result(version, &open.cmd, sn, &target, false),
            Reply::Result(ok) => manscdp::result(version, &open.cmd, sn, &target, ok),
            Reply::Body(body) => body,
        };
        self.answers.open.remove(&id);
        self.message(now, body, Purpose::Told);
        self.pump(now);
    }

    fn send_part(&mut self, now: Timestamp, id: ReplyId) {
        let (version, zone, at_once, skew) = (self.config.edition(), self.config.zone, self.config.items.max(1), self.config.sum_skew);
        let Some(open) = self.answers.open.get_mut(&id) else { return };
        let from = open.sent;
        let (len, name) = match &open.list {
            List::Items(items) => (items.len(), "DeviceList"),
            List::Records(records) => (records.len(), "RecordList"),
            List::None => return,
        };
        let to = (from + at_once).min(len);
        let sum = (len as i64).saturating_add(skew).max(0);
        let mut w: Writer = manscdp::document(version, Root::Response, &open.cmd, open.sn, open.target.as_str());
        if matches!(open.list, List::Records(_)) {
            w.field("Name", open.target);
        }
        w.field("SumNum", sum);
        if to > from {
            w.list(name, to - from);
        }
        match &open.list {
            List::Items(items) => items[from..to].iter().for_each(|item| item.write(version, &mut w)),
            List::Records(records) => records[from..to].iter().for_each(|record| record.write(zone, &mut w)),
            List::None => {}
        }
        open.sent = to;
        self.message(now, manscdp::bytes(w), Purpose::Part(id));
        self.pump(now);
    }

    pub(super) fn part_taken(&mut self, now: Timestamp, id: ReplyId, taken: bool) {
        let Some(open) = self.answers.open.get(&id) else { return };
        let len = match &open.list {
            List::Items(items) => items.len(),
            List::Records(records) => records.len(),
            List::None => 0,
        };
        // who refuses a part, or does not answer, gets no more of them
        if taken && open.sent < len {
            self.send_part(now, id);
        } else {
            self.answers.open.remove(&id);
        }
    }
}
