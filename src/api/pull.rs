//! Starting and stopping what devices send: by device, by channel, by stream, one at a time or in batches.

use super::value::{AccessInfo, Id, Ids};
use crate::{action, actions, reply};

actions![
    "Starting and stopping", "启停": StartDevice, StopDevice, BatchStartDevices, BatchStopDevices, StartChannel, StopChannel, StartStream,
    StopStream, BatchStartStreams, BatchStopStreams
];

action! {
    /// Starts all streams of a device and waits for its answer.
    /// zh: 启动设备拉流，启动设备上的所有流。
    pub struct StartDevice {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: Id,
        /// The key pair of the bucket that a bound template stores to, where none is known yet.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

action! {
    /// Stops all streams of a device.
    /// zh: 停止设备拉流，停止设备上的所有流。
    pub struct StopDevice {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: Id,
    }
}

action! {
    /// Starts the streams of several devices.
    /// zh: 批量启动设备拉流。
    pub struct BatchStartDevices {
        /// The devices' ids.
        /// zh: 设备ID，多值用逗号分隔。
        "Id" ids: Ids,
        /// The key pair of the bucket that a bound template stores to, where none is known yet.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

action! {
    /// Stops the streams of several devices.
    /// zh: 批量停止设备拉流。
    pub struct BatchStopDevices {
        /// The devices' ids.
        /// zh: 设备ID，多值用逗号分隔。
        "Id" ids: Ids,
    }
}

reply! {
    /// The outcomes for the devices of a batch.
    pub struct DeviceOutcomes {
        /// One row for each device.
        /// zh: 结果列表。
        "Results" results: Vec<DeviceOutcome>,
    }
}

reply! {
    /// The outcome for one device of a batch.
    pub struct DeviceOutcome {
        /// The device's id.
        /// zh: 设备ID。
        "Id" id: String,
        /// Why nothing could be done; absent where it could.
        /// zh: 设备的错误信息，仅在出错时存在。
        "Error" error: Option<String>,
        /// Its streams.
        /// zh: 设备流列表。
        "Streams" streams: Vec<StreamOutcome>,
    }
}

reply! {
    /// The outcome for one stream.
    pub struct StreamOutcome {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: String,
        /// Its name.
        /// zh: 流名称。
        "Name" name: String,
        /// Why it failed; absent where it did not.
        /// zh: 流的错误信息，仅在出错时存在。
        "Error" error: Option<String>,
    }
}

action! {
    /// Starts a channel's stream and waits for the device's answer.
    /// zh: 启动通道拉流。
    pub struct StartChannel {
        /// The channel's id.
        /// zh: 通道ID。
        "Id" id: Id,
        /// The key pair of the bucket that a bound template stores to, where none is known yet.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

action! {
    /// Stops a channel's stream.
    /// zh: 停止通道拉流。
    pub struct StopChannel {
        /// The channel's id.
        /// zh: 通道ID。
        "Id" id: Id,
    }
}

action! {
    /// Starts a stream and waits for the device's answer.
    /// zh: 启动流。
    pub struct StartStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: Id,
        /// The key pair of the bucket that a bound template stores to, where none is known yet.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

action! {
    /// Stops a stream.
    /// zh: 停止流。
    pub struct StopStream {
        /// The stream's id.
        /// zh: 流ID。
        "Id" id: Id,
    }
}

action! {
    /// Starts several streams.
    /// zh: 批量启动流。
    pub struct BatchStartStreams {
        /// The streams' ids.
        /// zh: 流ID，多值用逗号分隔。
        "Id" ids: Ids,
        /// The key pair of the bucket that a bound template stores to, where none is known yet.
        /// zh: 桶的密钥对信息。
        "AccessInfo" access: Option<AccessInfo>,
    }
}

action! {
    /// Stops several streams.
    /// zh: 批量停止流。
    pub struct BatchStopStreams {
        /// The streams' ids.
        /// zh: 流ID，多值用逗号分隔。
        "Id" ids: Ids,
    }
}
