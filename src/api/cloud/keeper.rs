//! Goes on with recordings after a restart, ends those whose stream nobody sends any more, and forgets those that nobody may ask about.

use super::order::Kept;
use super::{Cloud, Wrong};
use crate::model::cloud::CloudRecording;
use crate::model::id::RecordingId;
use crate::model::recording::State;
use crate::model::tenant::Scope;
use crate::runtime::task::Stop;
use std::collections::HashMap;
use std::time::Duration;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(5);
/// How often old recordings are forgotten, in looks.
const SWEEP: u64 = 720;

pub(super) async fn run(cloud: Cloud, stop: Stop) {
    let mut silent: HashMap<RecordingId, i64> = HashMap::new();
    for look in 0u64.. {
        if let Err(Wrong::Code(_, why)) = keep(&cloud, &mut silent).await {
            tracing::warn!(why, "cloud recordings were not looked after");
        }
        if look.is_multiple_of(SWEEP)
            && let Err(error) = cloud.store().sweep_cloud_recordings().await
        {
            tracing::warn!(%error, "old cloud recordings were not forgotten");
        }
        tokio::select! {
            () = cloud.door.api().clock().sleep(LOOK) => {}
            () = stop.requested() => return,
        }
    }
}

/// One look at all recordings that run.
pub(super) async fn keep(cloud: &Cloud, silent: &mut HashMap<RecordingId, i64>) -> Result<(), Wrong> {
    let running: HashMap<RecordingId, State> = cloud.recorders.running().into_iter().map(|one| (one.id, one.state)).collect();
    silent.retain(|id, _| running.contains_key(id));
    let now = cloud.now();
    for recording in cloud.store().running_cloud_recordings().await? {
        let id = super::ids(&recording).pop();
        let Some(kept) = Kept::open(&recording.order) else {
            tracing::warn!(sid = recording.sid, "what was ordered does not read: the recording ends");
            cloud.store().end_cloud_recording(&recording.sid).await?;
            continue;
        };
        match id.and_then(|id| running.get(&id).map(|state| (id, *state))) {
            Some((id, State::Waiting)) => {
                let since = *silent.entry(id).or_insert(now);
                if now - since >= kept.idle {
                    tracing::info!(sid = recording.sid, idle = kept.idle, "nobody sends the stream: the recording ends");
                    cloud.store().end_cloud_recording(&recording.sid).await?;
                    cloud.recorders.stop(id).await.map_err(|error| Wrong::Code(super::Code::Inside, error.message))?;
                    silent.remove(&id);
                }
            }
            Some((id, _)) => drop(silent.remove(&id)),
            // Between its row and its start it has no id for a moment.
            None if id.is_none() && now - recording.started.as_secs() < 60 => {}
            None => go_on(cloud, &recording, &kept).await?,
        }
    }
    Ok(())
}

async fn go_on(cloud: &Cloud, recording: &CloudRecording, kept: &Kept) -> Result<(), Wrong> {
    let CloudRecording { sid, cname, uid, mode, .. } = recording;
    let order = match cloud.store().stream(Scope::Operator, recording.stream).await {
        Ok(stream) => kept.order(sid, &stream, cname, uid, mode, &cloud.settings),
        Err(error) => Err(error.to_string()),
    };
    let started = match order {
        Ok(order) => cloud.recorders.start(order, false).await.map_err(|error| error.message),
        Err(why) => Err(why),
    };
    match started {
        Ok(id) => {
            tracing::info!(sid, recording = %id, "the recording goes on");
            let ids = [recording.recording.clone(), id.to_string()].into_iter().filter(|id| !id.is_empty());
            cloud.store().set_cloud_recording(sid, &ids.collect::<Vec<_>>().join(",")).await?;
        }
        Err(why) => {
            tracing::warn!(sid, why, "the recording cannot go on: it ends");
            cloud.store().end_cloud_recording(sid).await?;
        }
    }
    Ok(())
}
