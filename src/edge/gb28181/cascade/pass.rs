//! What an upper platform asks or orders: answered from what we know, or passed on to the device below.

use super::super::service::Service;
use super::list::{Entry, List};
use crate::model::upper::Setup;
use crate::proto::gb28181::client::Reply;
use crate::proto::gb28181::manscdp::{Control, DeviceInfo, DeviceStatus, Query, Record};
use crate::proto::gb28181::server::Answer;
use crate::proto::gb28181::{Id, localtime::Zone};
use std::time::Duration;

/// How long a device below may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The answer that needs no device; `None`: [`below`] has it.
pub(super) fn here(service: &Service, list: &List, setup: &Setup, (query, target): (&Query, Id), now_ms: i64, zone: Zone) -> Option<Reply> {
    let entry = list.get(target);
    Some(match query {
        Query::Catalog => Reply::Catalog(list.catalog(service, setup, target)),
        Query::DeviceInfo => Reply::Info(DeviceInfo {
            name: entry.map_or_else(|| setup.name.clone(), |entry| entry.shown.name.clone()),
            manufacturer: entry
                .map(|entry| entry.shown.info.manufacturer.clone())
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| "Weir".to_owned()),
            model: entry.map(|entry| entry.shown.info.model.clone()).filter(|text| !text.is_empty()).unwrap_or_else(|| "Weir".to_owned()),
            firmware: env!("CARGO_PKG_VERSION").to_owned(),
            channels: Some(if entry.is_some() { 1 } else { u32::try_from(list.len()).unwrap_or(u32::MAX) }),
        }),
        Query::DeviceStatus => Reply::Status(DeviceStatus {
            online: entry.is_none_or(|entry| entry.is_on(service)),
            working: true,
            encoding: true,
            recording: false,
            time: zone.format(now_ms),
            alarms: Vec::new(),
        }),
        Query::RecordInfo(_) if entry.is_none_or(|entry| entry.channel.is_none()) => Reply::Records(Vec::new()),
        Query::Presets if entry.is_none_or(|entry| entry.channel.is_none()) => Reply::Presets(Vec::new()),
        Query::RecordInfo(_) | Query::Presets => return None,
        _ => Reply::Result(false),
    })
}

/// The answer of the device below. One that does not answer has nothing: the platform waits for an answer.
pub(super) async fn below(service: &Service, entry: &Entry, query: &Query) -> Reply {
    let nothing = || match query {
        Query::RecordInfo(_) => Reply::Records(Vec::new()),
        Query::Presets => Reply::Presets(Vec::new()),
        _ => Reply::Result(false),
    };
    let Some((device, channel)) = entry.shown.device.and_then(|device| service.roster.by_id(device)).zip(entry.channel) else {
        return nothing();
    };
    match tokio::time::timeout(PATIENCE, service.syncs.ask(&device, channel, query)).await {
        Ok(Ok((Answer::Presets(presets), ..))) => Reply::Presets(presets),
        Ok(Ok((_, _, records))) if matches!(query, Query::RecordInfo(_)) => {
            Reply::Records(records.into_iter().map(|record| Record { channel: Some(entry.code), ..record }).collect())
        }
        Ok(Ok(_)) => Reply::Result(true),
        Ok(Err(why)) => {
            tracing::debug!(channel = %entry.code, %why, "the device has no answer for the upper platform");
            nothing()
        }
        Err(_) => nothing(),
    }
}

/// Passes an order on. Restarting a device is not an upper platform's to order: it shows other streams too.
pub(super) fn order(service: &Service, entry: &Entry, control: &Control) -> Result<(), &'static str> {
    if *control == Control::Reboot {
        return Err("devices are not restarted from above");
    }
    let device = entry.shown.device.and_then(|device| service.roster.by_id(device)).zip(entry.channel);
    let (device, channel) = device.ok_or("the channel has no device")?;
    // Its answer, where it gives one, is not waited for: the order was answered above already.
    let passed = service.signalling.with(|server, now| server.control(now, &device.key, channel, control));
    passed.map(drop).map_err(|_| "the device is not online")
}
