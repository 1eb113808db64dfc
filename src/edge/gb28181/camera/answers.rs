//! What a simulated camera answers: its catalog, information, status, recordings, presets, configuration.

use super::device::Device;
use super::quirk::Quirk;
use super::{Form, tree};
use crate::proto::gb28181::Id;
use crate::proto::gb28181::client::Reply;
use crate::proto::gb28181::manscdp::{DeviceInfo, DeviceStatus, Item, Preset, Query, Record, RecordQuery};
use crate::proto::sip::Path;

/// It has recordings of that much time before now.
const KEPT_MS: i64 = 7 * 86_400_000;
/// One recording is an hour, and begins with it.
const HOUR_MS: i64 = 3_600_000;
/// Every so many hours one was recorded because of an alarm.
const ALARMED: i64 = 6;

impl Device {
    pub(super) fn answer(&self, query: &Query, target: Id, path: &Path) -> Reply {
        let (id, channels) = (self.settings.id, &self.settings.channels);
        match query {
            Query::Catalog => Reply::Catalog(self.catalog(target, path)),
            Query::DeviceInfo => Reply::Info(DeviceInfo {
                name: self.name_of("Camera", id),
                manufacturer: "Weir".to_owned(),
                model: "Simulated".to_owned(),
                firmware: env!("CARGO_PKG_VERSION").to_owned(),
                channels: Some(u32::try_from(channels.len()).unwrap_or(u32::MAX)),
            }),
            Query::DeviceStatus => {
                let time = self.machine.config().zone.format(self.unix_ms());
                let duty = if self.armed { "ONDUTY" } else { "OFFDUTY" };
                let alarms = vec![(id, duty.to_owned())];
                Reply::Status(DeviceStatus { online: true, working: true, encoding: true, recording: self.recording, time, alarms })
            }
            Query::RecordInfo(query) => Reply::Records(self.records(query, target)),
            Query::Presets => {
                let presets = self.presets.get(&target).into_iter().flatten();
                Reply::Presets(presets.map(|n| Preset { id: n.to_string(), name: format!("Preset {n}") }).collect())
            }
            Query::ConfigDownload(parts) => self.config(parts),
            Query::MobilePosition { .. } | Query::Alarm { .. } | Query::Other(_) => Reply::Result(false),
        }
    }

    /// Everything below the device; of one channel, that one.
    fn catalog(&self, target: Id, path: &Path) -> Vec<Item> {
        let (id, channels) = (self.settings.id, &self.settings.channels);
        let mut items = match self.settings.form {
            Form::Platform if target == id => tree::nodes(id, channels.len()),
            _ => Vec::new(),
        };
        let wanted = |channel: Id| target == id || target == channel;
        items.extend(channels.iter().enumerate().filter(|(_, channel)| wanted(**channel)).map(|(n, channel)| self.item(n, *channel, path)));
        items
    }

    fn item(&self, number: usize, channel: Id, path: &Path) -> Item {
        let (parent_id, business_group) = match self.settings.form {
            Form::Device => (self.settings.id.to_string(), String::new()),
            Form::Platform => tree::place(self.settings.id, number),
        };
        Item {
            id: Some(channel),
            name: self.name_of("Channel", channel),
            manufacturer: "Weir".to_owned(),
            model: "Simulated".to_owned(),
            owner: "Owner".to_owned(),
            civil_code: channel.as_str().get(..6).unwrap_or_default().to_owned(),
            address: "Address".to_owned(),
            parental: Some(false),
            parent_id,
            business_group,
            register_way: Some(1),
            secrecy: Some(0),
            ip: path.local.ip().to_string(),
            port: Some(path.local.port()),
            online: true,
            ptz_type: Some(1),
            download_speeds: "1/2/4/8".to_owned(),
            ..Item::default()
        }
    }

    fn name_of(&self, what: &str, id: Id) -> String {
        let quirks = self.settings.quirks;
        let mut name = format!("{what} {id}");
        if quirks.has(Quirk::Gbk) || quirks.has(Quirk::Utf8) {
            // Traditional characters: GBK has them, GB 2312 does not.
            name = format!("東門 {id}");
        }
        if quirks.has(Quirk::BareAmp) {
            name.push_str(" & yard");
        }
        name
    }

    /// The hours that the query touches, the running one up to now.
    fn records(&self, query: &RecordQuery, target: Id) -> Vec<Record> {
        let now = self.unix_ms();
        let from = query.start.max(now - KEPT_MS);
        let kind = |start: i64| if start / HOUR_MS % ALARMED == 0 { "alarm" } else { "time" };
        let wanted = |kind: &str| query.kind.is_empty() || query.kind.eq_ignore_ascii_case("all") || query.kind.eq_ignore_ascii_case(kind);
        let rate = self.settings.clip.bytes() as i64 * 1000 / self.settings.clip.duration().as_millis().max(1);
        let starts = (from.div_euclid(HOUR_MS)..).map(|hour| hour * HOUR_MS).take_while(|start| *start < query.end.min(now));
        starts
            .filter(|start| wanted(kind(*start)))
            .map(|start| {
                let end = (start + HOUR_MS).min(now);
                Record {
                    channel: Some(target),
                    name: self.name_of("Channel", target),
                    path: format!("/record/{target}/{}", start / 1000),
                    start,
                    end,
                    kind: kind(start).to_owned(),
                    size: u64::try_from(rate * (end - start) / 1000).ok(),
                }
            })
            .collect()
    }

    /// Whether there is a recording of that moment, in Unix seconds.
    pub(super) fn recorded(&self, from: u64) -> bool {
        let (from, now) = (i64::try_from(from).unwrap_or(i64::MAX).saturating_mul(1000), self.unix_ms());
        (now - KEPT_MS..now).contains(&from)
    }

    /// The types that are asked for, joined by `/`, as far as it has them.
    fn config(&self, kinds: &str) -> Reply {
        let asked = |name: &str| kinds.split('/').any(|kind| kind.trim().eq_ignore_ascii_case(name));
        let config = self.machine.config();
        let basic = || {
            vec![
                ("Name", self.name_of("Camera", self.settings.id)),
                ("Expiration", config.expires.to_string()),
                ("HeartBeatInterval", config.keepalive.as_secs().to_string()),
                ("HeartBeatCount", config.misses.to_string()),
            ]
        };
        let video = || vec![("DownloadSpeed", "1/2/4/8".to_owned()), ("Resolution", "6/5/4".to_owned())];
        let basic = asked("BasicParam").then(|| ("BasicParam", basic()));
        let video = asked("VideoParamOpt").then(|| ("VideoParamOpt", video()));
        Reply::Config(basic.into_iter().chain(video).collect())
    }
}
