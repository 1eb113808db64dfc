//! Connects the API with the GB28181 edge: its questions in the edge's words.

use super::plane::{
    Asked, Devices, Diagnosis, Facts, Home, Motion, Order, Preset, PresetAct, Question, Recording, Refusal, Target, Trick, UpperState,
    Voice,
};
use crate::base::id::StreamKey;
use crate::edge::gb28181::{self, Failure, Handle};
use crate::model::id::{DeviceId, GbId, GroupId, UpperId};
use crate::model::time::Time;
use crate::proto::gb28181::Id;
use crate::proto::gb28181::manscdp::{Control, HomePosition, Query};
use crate::proto::gb28181::mansrtsp;
use crate::proto::gb28181::ptz;
use crate::proto::gb28181::server::Answer;
use std::time::Duration;

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        match failure {
            Failure::Offline => Refusal::Offline,
            Failure::Timeout => Refusal::Timeout,
            Failure::Refused { status, reason } => Refusal::Refused { status, reason },
            Failure::Failed => Refusal::Refused { status: 200, reason: "its answer says ERROR".to_owned() },
            Failure::Busy(why) => Refusal::Busy(why),
            Failure::Stopped => Refusal::Unavailable("it was stopped meanwhile".to_owned()),
            Failure::Restarted => Refusal::Unavailable("the device restarted meanwhile".to_owned()),
            Failure::Finished => Refusal::Unavailable("the recording is over".to_owned()),
            Failure::Quota(exceeded) => Refusal::Quota(exceeded),
            Failure::Unavailable(why) => Refusal::Unavailable(why),
        }
    }
}

fn id(code: &GbId) -> Result<Id, Refusal> {
    Id::new(code.as_str()).ok_or_else(|| Refusal::Unavailable(format!("{code} is no id of GB/T 28181")))
}

fn target(target: &Target) -> Result<gb28181::Target, Refusal> {
    let channel = id(&target.channel_gb_id)?;
    Ok(gb28181::Target { device: target.device, channel, stream: Some(target.stream), key: target.key.clone(), range: None })
}

fn control(handle: &Handle, to: Target, control: Control) -> Asked<'_> {
    Box::pin(async move { Ok(handle.control(to.device, id(&to.channel_gb_id)?, control).await?) })
}

fn voice(voice: gb28181::Voice) -> Voice {
    let gb28181::Voice { order, since, up, packets } = voice;
    Voice { device: order.device, to: order.target.to_string(), source: order.source, talk: order.talk, since, up, packets }
}

/// A speed from -1 to 1 as one of `most` steps; the slightest movement is one.
fn steps(speed: f64, most: f64) -> i16 {
    let steps = (speed.clamp(-1.0, 1.0) * most).round();
    if steps == 0.0 && speed != 0.0 { speed.signum() as i16 } else { steps as i16 }
}

impl Devices for Handle {
    fn start(&self, to: Target, patience: Duration) -> Asked<'_> {
        Box::pin(async move { Ok(Handle::start(self, target(&to)?, patience).await?) })
    }

    fn stop(&self, to: Target) -> Asked<'_> {
        Box::pin(async move { Ok(Handle::stop(self, &to.key).await?) })
    }

    fn refresh(&self, device: DeviceId, patience: Duration) -> Asked<'_> {
        Box::pin(async move { Ok(Handle::refresh(self, device, patience).await.map(drop)?) })
    }

    fn unlock(&self, device: DeviceId) -> Asked<'_> {
        Handle::unlock(self, device);
        Box::pin(async { Ok(()) })
    }

    fn changed(&self, device: DeviceId) {
        Handle::changed(self, device);
    }

    fn forgotten(&self, device: DeviceId) {
        // its row is gone, which the edge sees when it looks
        Handle::changed(self, device);
    }

    fn halted(&self, group: GroupId) {
        Handle::halted(self, group);
    }

    fn playback(&self, to: Target, from: i64, until: i64, patience: Duration) -> Asked<'_, StreamKey> {
        Box::pin(async move {
            let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
            Ok(Handle::playback(self, target(&to)?, seconds(from), seconds(until), patience).await?)
        })
    }

    fn steer(&self, to: Target, motion: Motion) -> Asked<'_> {
        let Motion { pan, tilt, zoom, focus, iris } = motion;
        let moves = ptz::Command::Move { pan: steps(pan, 255.0), tilt: steps(tilt, 255.0), zoom: steps(zoom, 15.0) as i8 };
        // the wire says near, the API far
        let lens = ptz::Command::Lens { focus: -steps(focus, 255.0), iris: steps(iris, 255.0) };
        let lens_moves = focus != 0.0 || iris != 0.0;
        let head_moves = pan != 0.0 || tilt != 0.0 || zoom != 0.0;
        Box::pin(async move {
            let channel = id(&to.channel_gb_id)?;
            // a stop stops both, since nobody says which of them moves
            if head_moves || !lens_moves {
                self.control(to.device, channel, Control::Ptz(moves)).await?;
            }
            if lens_moves || !head_moves {
                self.control(to.device, channel, Control::Ptz(lens)).await?;
            }
            Ok(())
        })
    }

    fn preset(&self, to: Target, act: PresetAct, id: u8) -> Asked<'_> {
        let command = match act {
            PresetAct::Set => ptz::Command::SetPreset(id),
            PresetAct::Goto => ptz::Command::CallPreset(id),
            PresetAct::Delete => ptz::Command::DeletePreset(id),
        };
        control(self, to, Control::Ptz(command))
    }

    fn presets(&self, to: Target, patience: Duration) -> Asked<'_, Vec<Preset>> {
        Box::pin(async move {
            let presets = Handle::presets(self, to.device, id(&to.channel_gb_id)?, patience).await?;
            // a number is what GotoPreset takes; a camera that names its presets otherwise cannot be told to go there
            let numbered = presets.into_iter().filter_map(|preset| Some(Preset { id: preset.id.trim().parse().ok()?, name: preset.name }));
            Ok(numbered.collect())
        })
    }

    fn order(&self, device: DeviceId, to: GbId, order: Order) -> Asked<'_> {
        let control = match order {
            Order::Reboot => Control::Reboot,
            Order::ResetAlarm => Control::ResetAlarm { method: None, kind: None },
            Order::KeyFrame => Control::KeyFrame,
            Order::Home(Home { enabled, reset_after, preset }) => Control::HomePosition(HomePosition { enabled, reset_after, preset }),
        };
        Box::pin(async move { Ok(self.control(device, id(&to)?, control).await?) })
    }

    fn recordings(&self, to: Target, from: Time, until: Time, patience: Duration) -> Asked<'_, Vec<Recording>> {
        Box::pin(async move {
            let channel = id(&to.channel_gb_id)?;
            let millis = |time: Time| time.as_secs().saturating_mul(1000);
            let found = self.records(to.device, channel, millis(from), millis(until), patience).await?;
            let time = |millis: i64| Time::from_secs(millis.div_euclid(1000));
            let recording = |r: crate::proto::gb28181::manscdp::Record| Recording {
                from: time(r.start),
                to: time(r.end),
                name: r.name,
                path: r.path,
                kind: r.kind,
                size: r.size,
            };
            Ok(found.into_iter().map(recording).collect())
        })
    }

    fn control_playback(&self, to: Target, from: i64, until: i64, trick: Trick) -> Asked<'_> {
        let command = match trick {
            Trick::Pause => mansrtsp::Command::Pause,
            Trick::Resume => mansrtsp::Command::Resume,
            Trick::Seek(seconds) => mansrtsp::Command::Seek(seconds),
            Trick::Speed(times) => mansrtsp::Command::Scale(times),
        };
        Box::pin(async move {
            let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
            let key = gb28181::playback_key(&target(&to)?, seconds(from), seconds(until))?;
            match Handle::control_playback(self, &key, command).await {
                // nobody opened it, or it is over
                Err(Failure::Stopped) => Err(Refusal::NotOpen),
                done => Ok(done?),
            }
        })
    }

    fn question(&self, device: DeviceId, to: GbId, question: Question, patience: Duration) -> Asked<'_, Facts> {
        let query = match question {
            Question::Info => Query::DeviceInfo,
            Question::Status => Query::DeviceStatus,
            Question::Config(kinds) => Query::ConfigDownload(kinds),
        };
        Box::pin(async move {
            match Handle::question(self, device, id(&to)?, query, patience).await? {
                Answer::Info(info) => Ok(Facts::Info(info)),
                Answer::Status(status) => Ok(Facts::Status(status)),
                Answer::Config(values) | Answer::Other(values) => Ok(Facts::Config(values)),
                _ => Err(Refusal::from(Failure::Failed)),
            }
        })
    }

    fn start_voice(&self, device: DeviceId, to: GbId, source: StreamKey, talk: bool, patience: Duration) -> Asked<'_, Voice> {
        Box::pin(async move {
            let order = gb28181::VoiceOrder { device, target: id(&to)?, source, talk };
            Ok(voice(Handle::start_voice(self, order, patience).await?))
        })
    }

    fn stop_voice(&self, device: DeviceId) -> Asked<'_, bool> {
        Box::pin(async move { Ok(Handle::stop_voice(self, device).await) })
    }

    fn voices(&self) -> Vec<Voice> {
        Handle::voices(self).into_iter().map(voice).collect()
    }

    fn upper(&self, id: UpperId) -> Option<UpperState> {
        let gb28181::UpperState { registered, since, error, calls, channels } = Handle::upper(self, id)?;
        Some(UpperState { registered, since, error, calls, channels })
    }

    fn diagnose(&self, device: DeviceId) -> Asked<'_, Diagnosis> {
        Box::pin(async move {
            let mut findings = self.doctor(device)?;
            let verdict = std::mem::take(&mut findings.verdict);
            let mut findings = serde_json::to_value(findings).map_err(|error| Refusal::Unavailable(error.to_string()))?;
            if let Some(fields) = findings.as_object_mut() {
                // told beside them
                fields.remove("verdict");
            }
            Ok((verdict, findings))
        })
    }
}
