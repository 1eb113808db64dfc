//! Voice towards devices (语音广播与对讲): the sound of a stream is heard at a camera. Not in the interface document.

use super::action::Action;
use super::context::Context;
use super::error::Error;
use super::plane;
use super::ptz::camera;
use super::reply::Touched;
use super::value::{Id, VoiceMode};
use crate::model::id::{DeviceId, GbId};
use crate::{action, actions, reply};

actions!["Voice towards devices", "语音广播": StartVoiceBroadcast, StopVoiceBroadcast, DescribeVoiceBroadcasts];

action! {
    /// Sends the sound of a stream to a device, as G.711; waits until the device takes it. One voice a device at a time.
    /// zh: 语音广播/对讲：把一路流的声音（转为G.711）发送到设备，等待设备应答；每台设备同时只能有一路。
    pub struct StartVoiceBroadcast {
        /// The id of a device, of one of its channels, or of a channel's stream: where it is to be heard.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
        /// The stream whose sound it is, such as one that is pushed for this by RTMP or WHIP.
        /// zh: 声音来源的流ID，例如通过RTMP推送的语音流。
        "StreamId" stream: Id,
        /// `broadcast`, where it is not given: the device is told, and calls us. `talk`: we call the device, as some of the 2016 edition want it.
        /// zh: broadcast广播（默认，设备主动呼叫平台），talk对讲（平台呼叫设备，部分2016版设备）。
        "Mode" mode: Option<VoiceMode>,
        /// The id of the output, such as a loudspeaker (type 137); what Id names where it is not given.
        /// zh: 语音输出设备的国标ID（类型137），默认为Id对应的设备或通道。
        "TargetGbId" target: Option<GbId>,
    }
}

action! {
    /// Ends the voice to a device.
    /// zh: 停止语音广播/对讲。
    pub struct StopVoiceBroadcast {
        /// The id of the device, of one of its channels, or of a channel's stream.
        /// zh: 设备ID、通道ID或流ID。
        "Id" id: Id,
    }
}

action! {
    /// Lists the voices that go to devices now.
    /// zh: 查询正在进行的语音广播/对讲。
    pub struct DescribeVoiceBroadcasts {
        /// Only to this device.
        /// zh: 按设备、通道或流ID查询。
        "Id" id: Option<Id>,
    }
}

reply! {
    /// Voices that go to devices.
    pub struct Voices {
        /// How many there are.
        /// zh: 总数。
        "TotalCount" total: u64,
        /// The voices.
        /// zh: 语音广播列表。
        "Voices" voices: Vec<Voice>,
    }
}

reply! {
    /// A voice that goes to a device.
    pub struct Voice {
        /// The device.
        /// zh: 设备ID。
        "DeviceId" device: String,
        /// The output.
        /// zh: 语音输出设备的国标ID。
        "TargetGbId" to: String,
        /// The stream whose sound it is.
        /// zh: 声音来源的流ID。
        "StreamId" stream: String,
        /// broadcast or talk.
        /// zh: 方式：broadcast或talk。
        "Mode" mode: &'static str,
        /// `on` while the device takes it, else `calling`.
        /// zh: 状态：on设备已应答，calling等待设备。
        "Status" status: &'static str,
        /// Since when.
        /// zh: 开始时间。
        "StartTime" since: String,
        /// RTP packets that went out.
        /// zh: 已发送的RTP包数。
        "PacketNum" packets: u64,
    }
}

impl Voice {
    fn of(voice: plane::Voice) -> Voice {
        Voice {
            device: voice.device.to_string(),
            to: voice.to,
            stream: voice.source.name().to_owned(),
            mode: if voice.talk { "talk" } else { "broadcast" },
            status: if voice.up { "on" } else { "calling" },
            since: voice.since.to_string(),
            packets: voice.packets,
        }
    }
}

/// The device of an id, whatever it is the id of, and the output that it names.
pub(super) async fn output(cx: &Context, id: &Id) -> Result<(DeviceId, GbId), Error> {
    match cx.device(id).await {
        Ok(device) => Ok((device.id, device.gb_id)),
        Err(error) if error.code == "ResourceNotFound.Device" => {
            let target = camera(cx, id).await?;
            Ok((target.device, target.channel_gb_id))
        }
        Err(error) => Err(error),
    }
}

impl Action for StartVoiceBroadcast {
    type Reply = Voice;

    async fn run(self, cx: &Context) -> Result<Voice, Error> {
        let (device, own) = output(cx, &self.id).await?;
        let stream = cx.stream(&self.stream).await?;
        if stream.forbidden {
            return Err(Error::status("Stream", "The stream is forbidden."));
        }
        let source = stream.key().map_err(Error::internal)?;
        let talk = self.mode == Some(VoiceMode::Talk);
        let target = self.target.unwrap_or(own);
        Ok(Voice::of(cx.devices().start_voice(device, target, source, talk, cx.settings().device_patience.0).await?))
    }
}

impl Action for StopVoiceBroadcast {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let (device, _) = output(cx, &self.id).await?;
        match cx.devices().stop_voice(device).await? {
            true => Ok(Touched::new(self.id.0)),
            false => Err(Error::status("Device", "No voice goes to the device.")),
        }
    }
}

impl Action for DescribeVoiceBroadcasts {
    type Reply = Voices;

    async fn run(self, cx: &Context) -> Result<Voices, Error> {
        let only = match &self.id {
            Some(id) => Some(output(cx, id).await?.0),
            None => None,
        };
        let mut voices = Vec::new();
        for voice in cx.devices().voices().into_iter().filter(|voice| only.is_none_or(|only| voice.device == only)) {
            // another tenant's device is none
            if cx.store().device(cx.scope(), voice.device).await.is_ok() {
                voices.push(Voice::of(voice));
            }
        }
        voices.sort_by(|a, b| (&a.since, &a.device).cmp(&(&b.since, &b.device)));
        Ok(Voices { total: voices.len() as u64, voices })
    }
}
