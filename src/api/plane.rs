//! What the API needs of the running media plane: some traits, so that actions know neither sockets nor SIP.

use super::action::Boxed;
use super::error::{Error, Kind};
use crate::base::id::StreamKey;
use crate::model::id::{DeviceId, GbId, GroupId, RecordingId, StreamId, UpperId};
use crate::model::quota::Exceeded;
use crate::model::record::{self, Record};
use crate::model::recording::{self, Running};
use crate::model::time::Time;
use crate::proto::gb28181::manscdp::{DeviceInfo, DeviceStatus};
use std::time::Duration;

/// A stream that is live now.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Its name in URLs.
    pub key: StreamKey,
    /// The protocol that it comes by.
    pub protocol: &'static str,
    /// Who sends it.
    pub peer: String,
    /// Since when, in unix seconds.
    pub since: i64,
    /// Players now.
    pub viewers: u32,
    /// Width of the picture, 0 where it is not known.
    pub width: u32,
    /// Height of the picture, 0 where it is not known.
    pub height: u32,
    /// Frames of video a second.
    pub video_fps: f64,
    /// Frames of audio a second.
    pub audio_fps: f64,
    /// Bits a second.
    pub bit_rate: u64,
}

/// Somebody who plays a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Player<'a> {
    /// The stream.
    pub key: &'a StreamKey,
    /// By which protocol.
    pub protocol: &'static str,
}

/// The streams of this process.
pub trait Media: Send + Sync {
    /// The stream, if somebody sends it now.
    fn live(&self, key: &StreamKey) -> Option<Live>;
    /// All streams that somebody sends now.
    fn list(&self) -> Vec<Live>;
    /// Ends the session of whoever sends the stream; whether there was one.
    fn cut(&self, key: &StreamKey, why: &str) -> bool;
    /// Ends the sessions of the players that `which` picks; how many.
    fn kick(&self, why: &str, which: &dyn Fn(&Player<'_>) -> bool) -> usize;
}

/// A channel of a device, by every name that the signalling may need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The group's id.
    pub group: GroupId,
    /// The platform id under which the group's devices register.
    pub group_gb_id: GbId,
    /// The device's id.
    pub device: DeviceId,
    /// The device's national id.
    pub device_gb_id: GbId,
    /// The channel's national id.
    pub channel_gb_id: GbId,
    /// The stream's id.
    pub stream: StreamId,
    /// The stream's name in URLs.
    pub key: StreamKey,
}

/// Why a device did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not registered, or has not been heard of for too long.
    #[error("the device is not online")]
    Offline,
    /// It did not answer in time.
    #[error("the device did not answer in time")]
    Timeout,
    /// It answered with a failure.
    #[error("the device refused: {status} {reason}")]
    Refused {
        /// The SIP status.
        status: u16,
        /// Its reason phrase, or the failure in its answer.
        reason: String,
    },
    /// It cannot do that at all.
    #[error("the device cannot do this: {0}")]
    Unsupported(String),
    /// It does this for somebody else.
    #[error("{0}")]
    Busy(String),
    /// No such playback is open.
    #[error("no such playback is open: open it with DescribeStreamURL")]
    NotOpen,
    /// The quota of the device's owner is used up.
    #[error("{0}")]
    Quota(Exceeded),
    /// The service that talks to devices is not there or overloaded.
    #[error("{0}")]
    Unavailable(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        let why = refusal.to_string();
        match refusal {
            Refusal::Offline => Error::status("Device", format!("{why}.")),
            Refusal::NotOpen => Error::status("Playback", format!("{why}.")),
            Refusal::Busy(_) => Error::status("Device", format!("{why}.")),
            Refusal::Timeout => Error::new(Kind::Timeout, "DeviceTimeout", why),
            Refusal::Refused { .. } | Refusal::Unsupported(_) => Error::new(Kind::Refused, "DeviceRefused", why),
            Refusal::Quota(exceeded) => exceeded.into(),
            Refusal::Unavailable(_) => Error::unavailable(why),
        }
    }
}

/// A movement of a camera: speeds from -1 to 1, 0 stands still.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Motion {
    /// Right is positive.
    pub pan: f64,
    /// Up is positive.
    pub tilt: f64,
    /// Towards the scene is positive.
    pub zoom: f64,
    /// Far is positive.
    pub focus: f64,
    /// Open is positive.
    pub iris: f64,
}

/// What to do with a preset position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresetAct {
    /// Store the present position.
    Set,
    /// Go there.
    Goto,
    /// Forget it.
    Delete,
}

/// A preset position as the device tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Its number.
    pub id: u8,
    /// Its name.
    pub name: String,
}

/// What a device or a channel may be told beside moving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Restart.
    Reboot,
    /// Be ready for the next alarm.
    ResetAlarm,
    /// Send a key frame now.
    KeyFrame,
    /// Where to return to when left alone.
    Home(Home),
}

/// Where a camera returns to when it is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// Whether it returns at all.
    pub enabled: bool,
    /// After how many seconds.
    pub reset_after: u32,
    /// The preset position.
    pub preset: u8,
}

/// A change of a playback.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trick {
    /// Stop sending for a while.
    Pause,
    /// Go on.
    Resume,
    /// Go on at so many seconds behind the start.
    Seek(f64),
    /// So many times faster; negative runs backwards.
    Speed(f64),
}

/// A recording that a device keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Its name.
    pub name: String,
    /// Where the device keeps it.
    pub path: String,
    /// Why it was made, in the device's words.
    pub kind: String,
    /// When it begins.
    pub from: Time,
    /// When it ends.
    pub to: Time,
    /// Bytes, where told.
    pub size: Option<u64>,
}

/// The sound of a stream on its way to a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    /// The device.
    pub device: DeviceId,
    /// Which of its outputs.
    pub to: String,
    /// The stream.
    pub source: StreamKey,
    /// We called the device; else it was told to call us.
    pub talk: bool,
    /// Since when.
    pub since: Time,
    /// Whether the device takes it.
    pub up: bool,
    /// Packets that went out.
    pub packets: u64,
}

/// How it stands with an upper platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpperState {
    /// Whether we are registered there.
    pub registered: bool,
    /// Since when that is so.
    pub since: Option<Time>,
    /// Why we are not.
    pub error: String,
    /// Streams that it fetches now.
    pub calls: usize,
    /// Channels that it is shown.
    pub channels: usize,
}

/// What a device can be asked about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// What it is.
    Info,
    /// How it is doing.
    Status,
    /// Parts of its configuration, joined by `/`.
    Config(String),
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// What it is.
    Info(DeviceInfo),
    /// How it is doing.
    Status(DeviceStatus),
    /// Names and values.
    Config(Vec<(String, String)>),
}

/// What is wrong with a device, and what that was concluded from.
pub type Diagnosis = (Vec<String>, serde_json::Value);

/// The outcome of asking a device.
pub type Asked<'a, T = ()> = Boxed<'a, Result<T, Refusal>>;

/// The devices that are registered with this process.
///
/// Whoever implements this writes what devices tell to the store: when a call returns, it is there.
pub trait Devices: Send + Sync {
    /// Asks the channel to send its stream and waits for its answer. A stream that runs already is a success.
    fn start(&self, target: Target, patience: Duration) -> Asked<'_>;
    /// Asks the channel to stop sending. A stream that does not run is a success.
    fn stop(&self, target: Target) -> Asked<'_>;
    /// Asks the device for its catalog and waits until its channels are stored.
    fn refresh(&self, device: DeviceId, patience: Duration) -> Asked<'_>;
    /// Forgets the wrong passwords that have locked the device.
    fn unlock(&self, device: DeviceId) -> Asked<'_>;
    /// The device's row was made or changed: password, id, subscriptions, automatic start.
    fn changed(&self, device: DeviceId);
    /// The device was deleted: its dialogs end and it is not known any more.
    fn forgotten(&self, device: DeviceId);
    /// The group was halted or deleted, or its tenant suspended: the dialogs of its devices end and they are refused.
    fn halted(&self, group: GroupId);
    /// Opens a playback of the device's own recording (unix seconds) and gives the name under which it can be played.
    fn playback(&self, target: Target, from: i64, to: i64, patience: Duration) -> Asked<'_, StreamKey>;
    /// Moves the camera until it is told otherwise; all zero stops it.
    fn steer(&self, target: Target, motion: Motion) -> Asked<'_>;
    /// Sets, goes to or forgets a preset position.
    fn preset(&self, target: Target, act: PresetAct, id: u8) -> Asked<'_>;
    /// Asks for the preset positions.
    fn presets(&self, target: Target, patience: Duration) -> Asked<'_, Vec<Preset>>;
    /// Tells a device, or one of its channels (by its national id), to do something; done when the device took the order.
    fn order(&self, device: DeviceId, to: GbId, order: Order) -> Asked<'_>;
    /// Asks what the device itself recorded of the channel between two times.
    fn recordings(&self, target: Target, from: Time, to: Time, patience: Duration) -> Asked<'_, Vec<Recording>>;
    /// Changes a playback that [`Devices::playback`] opened for the same stretch (unix seconds).
    fn control_playback(&self, target: Target, from: i64, to: i64, trick: Trick) -> Asked<'_>;
    /// What is wrong with a device.
    fn diagnose(&self, device: DeviceId) -> Asked<'_, Diagnosis>;
    /// Asks a device, or one of its channels (by its national id), about itself.
    fn question(&self, device: DeviceId, to: GbId, question: Question, patience: Duration) -> Asked<'_, Facts>;
    /// Sends the sound of a stream to an output of the device (a loudspeaker, a channel, or itself) and waits until it takes it.
    fn start_voice(&self, device: DeviceId, to: GbId, source: StreamKey, talk: bool, patience: Duration) -> Asked<'_, Voice>;
    /// Ends the voice to a device; whether there was one.
    fn stop_voice(&self, device: DeviceId) -> Asked<'_, bool>;
    /// All voices.
    fn voices(&self) -> Vec<Voice>;
    /// How it stands with an upper platform; `None`: it is disabled, or nothing registers here.
    fn upper(&self, _: UpperId) -> Option<UpperState> {
        None
    }
}

/// The recordings of this process. The records of their files are in the store, by the recording's id
/// ([`records_of_recording`](crate::store::Store::records_of_recording)).
pub trait Recorders: Send + Sync {
    /// Records on demand, from the newest key frame in memory on, until it is stopped; a stream that nobody sends is waited for.
    /// `lasting`: after a restart of the server it goes on by itself, under the same id; else whoever ordered it orders it again.
    fn start(&self, order: recording::Order, lasting: bool) -> Boxed<'_, Result<RecordingId, Error>>;
    /// Ends a recording for good and waits, some seconds at most, until its files are closed; `false`: there is none of that id.
    fn stop(&self, id: RecordingId) -> Boxed<'_, Result<bool, Error>>;
    /// All that runs, on demand or by templates.
    fn running(&self) -> Vec<Running>;
}

/// Stands for the recorder where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRecorders;

impl Recorders for NoRecorders {
    fn start(&self, _: recording::Order, _: bool) -> Boxed<'_, Result<RecordingId, Error>> {
        Box::pin(async { Err(Error::unavailable("nothing is recorded on this server")) })
    }
    fn stop(&self, _: RecordingId) -> Boxed<'_, Result<bool, Error>> {
        Box::pin(async { Ok(false) })
    }
    fn running(&self) -> Vec<Running> {
        Vec::new()
    }
}

/// Where stored files can be played or fetched.
pub trait Files: Send + Sync {
    /// The URL of a record: served, or signed, by this server, and good for a while; empty where there is nothing to fetch.
    fn url<'a>(&'a self, record: &'a Record) -> Boxed<'a, String>;
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPicture {
    /// Nobody sends the stream, or it has no video.
    Off(String),
    /// The owner's quota is used up.
    Quota(Exceeded),
    /// It could not be made or stored now.
    Failed(String),
}

impl From<NoPicture> for Error {
    fn from(none: NoPicture) -> Error {
        match none {
            NoPicture::Off(why) => Error::status("Stream", why),
            NoPicture::Quota(exceeded) => exceeded.into(),
            NoPicture::Failed(why) => Error::unavailable(why),
        }
    }
}

/// Takes pictures of live streams.
pub trait Pictures: Send + Sync {
    /// Takes a picture now and stores it as the stream's template says; what its record says.
    fn take(&self, stream: StreamId) -> Boxed<'_, Result<record::Draft, NoPicture>>;
}

/// Stands for the signalling where none is configured: every question is answered with the truth.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDevices;

impl NoDevices {
    fn none<T: Send + 'static>(&self) -> Asked<'_, T> {
        Box::pin(async { Err(Refusal::Unavailable("the GB28181 service is not running on this server".to_owned())) })
    }
}

impl Devices for NoDevices {
    fn start(&self, _: Target, _: Duration) -> Asked<'_> {
        self.none()
    }
    fn stop(&self, _: Target) -> Asked<'_> {
        // Without signalling nothing runs, which is what was asked for.
        Box::pin(async { Ok(()) })
    }
    fn refresh(&self, _: DeviceId, _: Duration) -> Asked<'_> {
        self.none()
    }
    fn unlock(&self, _: DeviceId) -> Asked<'_> {
        Box::pin(async { Ok(()) })
    }
    fn changed(&self, _: DeviceId) {}
    fn forgotten(&self, _: DeviceId) {}
    fn halted(&self, _: GroupId) {}
    fn playback(&self, _: Target, _: i64, _: i64, _: Duration) -> Asked<'_, StreamKey> {
        self.none()
    }
    fn steer(&self, _: Target, _: Motion) -> Asked<'_> {
        self.none()
    }
    fn preset(&self, _: Target, _: PresetAct, _: u8) -> Asked<'_> {
        self.none()
    }
    fn presets(&self, _: Target, _: Duration) -> Asked<'_, Vec<Preset>> {
        self.none()
    }
    fn order(&self, _: DeviceId, _: GbId, _: Order) -> Asked<'_> {
        self.none()
    }
    fn recordings(&self, _: Target, _: Time, _: Time, _: Duration) -> Asked<'_, Vec<Recording>> {
        self.none()
    }
    fn control_playback(&self, _: Target, _: i64, _: i64, _: Trick) -> Asked<'_> {
        self.none()
    }
    fn diagnose(&self, _: DeviceId) -> Asked<'_, Diagnosis> {
        self.none()
    }
    fn question(&self, _: DeviceId, _: GbId, _: Question, _: Duration) -> Asked<'_, Facts> {
        self.none()
    }
    fn start_voice(&self, _: DeviceId, _: GbId, _: StreamKey, _: bool, _: Duration) -> Asked<'_, Voice> {
        self.none()
    }
    fn stop_voice(&self, _: DeviceId) -> Asked<'_, bool> {
        Box::pin(async { Ok(false) })
    }
    fn voices(&self) -> Vec<Voice> {
        Vec::new()
    }
}
