//! Callbacks: what is posted to an operator's URL, and what became of it.

use crate::model::device;
use crate::model::id::{CallbackId, DeviceId, GbId, GroupId, StreamId, TenantId};
use crate::model::stream;
use crate::model::time::Time;
use serde::Serialize;

/// What happened, in the words that are posted to a group's callback URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "Event", rename_all = "snake_case", rename_all_fields = "PascalCase")]
pub enum Event {
    /// A device came, went or was locked.
    DeviceStatus {
        /// Seconds since 1970.
        time: i64,
        /// Its group.
        group_id: GroupId,
        /// Which.
        device_id: DeviceId,
        /// Its code.
        gb_id: GbId,
        /// Its state from now on.
        device_status: device::Status,
    },
    /// A stream came or went.
    StreamStatus {
        /// Seconds since 1970.
        time: i64,
        /// Its group.
        group_id: GroupId,
        /// Its device; an RTMP stream has none.
        #[serde(skip_serializing_if = "Option::is_none")]
        device_id: Option<DeviceId>,
        /// Which.
        stream_id: StreamId,
        /// Its name.
        stream_name: String,
        /// Its state from now on.
        stream_status: stream::Status,
    },
    /// A device reported an alarm.
    DeviceAlarm {
        /// Seconds since 1970.
        time: i64,
        /// Its group.
        group_id: GroupId,
        /// Which device.
        device_id: DeviceId,
        /// The code that the alarm names.
        gb_id: GbId,
        /// `AlarmMethod`: 5 video, 7 other.
        alarm: String,
        /// `AlarmType`.
        sub_alarm: i64,
        /// `AlarmPriority`.
        priority: String,
        /// Milliseconds since 1970.
        start_time: i64,
    },
}

impl Event {
    /// What it tells about: events of one object are posted one after the other.
    pub fn object(&self) -> String {
        match self {
            Event::DeviceStatus { device_id, .. } | Event::DeviceAlarm { device_id, .. } => format!("device/{device_id}"),
            Event::StreamStatus { stream_id, .. } => format!("stream/{stream_id}"),
        }
    }

    /// The JSON that is posted.
    pub fn body(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A file was stored: posted to a record template's callback URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// The host that the stream is played from.
    pub domain: String,
    /// The application.
    pub app: String,
    /// The stream.
    pub stream: String,
    /// The object.
    pub uri: String,
    /// Seconds.
    pub duration: i64,
    /// Seconds since 1970.
    pub start_time: i64,
    /// Seconds since 1970.
    pub stop_time: i64,
}

/// Recording began, ended or failed: posted to a record template's callback URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recording {
    /// The host that the stream is played from.
    pub domain: String,
    /// The application.
    pub app: String,
    /// The stream.
    pub stream: String,
    /// What happened.
    pub event: RecordingEvent,
}

crate::model::word::words! {
    /// What happened to a recording.
    RecordingEvent {
        /// It began.
        Started = "record_started",
        /// The stream stopped, or it was stopped.
        Paused = "record_paused",
        /// It goes on.
        Resumed = "record_resumed",
        /// It failed.
        Error = "record_error",
    }
}

/// A picture was stored: posted to a snapshot template's callback URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pictured {
    /// The host that the stream is played from.
    pub domain: String,
    /// The application.
    pub app: String,
    /// The stream.
    pub stream: String,
    /// The object.
    pub uri: String,
    /// Seconds since 1970.
    pub time: i64,
}

/// A callback to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Whose key signs it.
    pub owner: TenantId,
    /// What it tells about, as in `device/123`: callbacks of one object are posted one after the other.
    pub object: String,
    /// Where to.
    pub url: String,
    /// The JSON body.
    pub body: String,
}

/// A callback that waits for its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The row.
    pub id: CallbackId,
    /// The callback.
    pub draft: Draft,
    /// Tries so far.
    pub tries: u32,
    /// When it was queued.
    pub created: Time,
}

/// One try, as the delivery log shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The callback; several tries share it.
    pub id: CallbackId,
    /// Whose it is.
    pub owner: TenantId,
    /// What it tells about.
    pub object: String,
    /// Where it was sent.
    pub url: String,
    /// The body.
    pub body: String,
    /// The number of the try, from 1.
    pub tried: u32,
    /// When.
    pub at: Time,
    /// How long it took, milliseconds.
    pub took_ms: i64,
    /// The HTTP status of the answer; 0: there was none.
    pub status: u16,
    /// What went wrong; empty: it was taken.
    pub error: String,
    /// Whether it was the last try.
    pub last: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_spelled_as_documented() {
        let (group_id, device_id, gb_id) = (GroupId(1), DeviceId(2), "34020000001320000006".parse::<GbId>().unwrap());
        let status = Event::DeviceStatus { time: 9, group_id, device_id, gb_id: gb_id.clone(), device_status: device::Status::Failed };
        let text =
            r#"{"Event":"device_status","Time":9,"GroupId":"1","DeviceId":"2","GbId":"34020000001320000006","DeviceStatus":"failed"}"#;
        assert_eq!((status.body().as_str(), status.object().as_str()), (text, "device/2"));
        let (stream_id, stream_name, stream_status) = (StreamId(3), "a".to_owned(), stream::Status::On);
        let stream = Event::StreamStatus { time: 9, group_id, device_id: None, stream_id, stream_name, stream_status };
        let text = r#"{"Event":"stream_status","Time":9,"GroupId":"1","StreamId":"3","StreamName":"a","StreamStatus":"on"}"#;
        assert_eq!((stream.body().as_str(), stream.object().as_str()), (text, "stream/3"));
        let (alarm, sub_alarm, priority, start_time) = ("5".to_owned(), 2, "1".to_owned(), 7);
        let alarm = Event::DeviceAlarm { time: 9, group_id, device_id, gb_id, alarm, sub_alarm, priority, start_time };
        let text = r#"{"Event":"device_alarm","Time":9,"GroupId":"1","DeviceId":"2","GbId":"34020000001320000006","Alarm":"5","SubAlarm":2,"Priority":"1","StartTime":7}"#;
        assert_eq!(alarm.body(), text);
    }
}
