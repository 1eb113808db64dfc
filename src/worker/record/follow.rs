//! Follows templates and streams: what is to be recorded by a template's word runs, what is not any more ends.

use super::{Begin, Live, Recorder, lock};
use crate::base::id::StreamKey;
use crate::model::binding::Instance;
use crate::model::id::{StreamId, TemplateId};
use crate::model::recording::Order;
use crate::model::template::{Body, Trigger};
use crate::model::tenant::Scope;
use crate::runtime::task::Stop;
use crate::store::{self, Change, Seen};
use crate::stream::{Derived, Event};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long changes are gathered before they are looked at together.
const GATHER: Duration = Duration::from_millis(50);
/// How often everything is compared, should something have been missed.
const COMPARE: Duration = Duration::from_secs(30);

/// What is known of a stream that is on.
#[derive(Default)]
struct Known {
    id: Option<StreamId>,
    live: Option<Arc<Live>>,
}

/// Follows until it is told to stop.
struct Follower {
    recorder: Recorder,
    streams: HashMap<StreamKey, Known>,
    /// The templates that recorded these streams before: they go on.
    before: HashMap<StreamId, TemplateId>,
}

/// Runs until it is told to stop.
pub async fn run(recorder: Recorder, stop: Stop) {
    let registry = recorder.0.parts.registry.clone();
    let (mut events, mut changes) = (registry.watch(), recorder.0.parts.store.watch());
    let clock = recorder.0.clock.clone();
    let mut follower = Follower { recorder, streams: HashMap::new(), before: HashMap::new() };
    let mut moved: BTreeSet<StreamKey> = follower.all();
    loop {
        let wait = if moved.is_empty() { COMPARE } else { GATHER };
        tokio::select! {
            () = stop.requested() => return,
            event = events.next() => match event {
                Some(Event::Published(key) | Event::Ended(key)) => drop(moved.insert(key)),
                Some(_) => {}
                None => moved = follower.all(),
            },
            seen = changes.next() => match seen {
                Some(Seen::Change(change @ (Change::Bindings(Instance::Stream(id)) | Change::Stream(id)))) => {
                    moved.extend(follower.named(id));
                    if matches!(change, Change::Stream(_)) {
                        follower.forget(Some(id)).await;
                    }
                }
                Some(Seen::Change(Change::Bindings(Instance::Group(_)) | Change::Template(_))) => moved.extend(follower.all()),
                Some(Seen::Change(Change::Group(_)) | Seen::Missed(_)) => {
                    moved.extend(follower.all());
                    follower.forget(None).await;
                }
                Some(Seen::Change(_)) => {}
                None => return,
            },
            () = clock.sleep(wait) => {
                let keys = if moved.is_empty() { follower.all() } else { std::mem::take(&mut moved) };
                for key in keys {
                    if let Err(error) = follower.look(&key).await {
                        // the next comparison does it
                        tracing::warn!(%error, stream = %key, "recordings: the store cannot be asked");
                    }
                }
            }
        }
    }
}

impl Follower {
    /// All streams that are on, or were when it was last looked.
    fn all(&self) -> BTreeSet<StreamKey> {
        let live = self.recorder.0.parts.registry.list().into_iter().map(|stream| stream.key().clone());
        live.chain(self.streams.keys().cloned()).collect()
    }

    fn named(&self, id: StreamId) -> Vec<StreamKey> {
        self.streams.iter().filter(|(_, known)| known.id == Some(id)).map(|(key, _)| key.clone()).collect()
    }

    /// Ends what was ordered of a stream, or of any, that was deleted: nobody could stop it any more.
    async fn forget(&self, stream: Option<StreamId>) {
        let ordered = |live: &&Arc<Live>| live.on_demand && stream.is_none_or(|stream| live.order.stream == stream);
        let some: Vec<_> = lock(&self.recorder.0.running).values().filter(ordered).map(|live| (live.id, live.order.stream)).collect();
        for (id, stream) in some {
            let found = self.recorder.0.parts.store.stream(Scope::Operator, stream).await;
            if !found.is_err_and(|error| error.is_not_found()) {
                continue;
            }
            if let Err(error) = self.recorder.stop(id).await {
                // the next start finds that there is no such stream
                tracing::warn!(%error, recording = %id, "a recording of a stream that was deleted was not forgotten");
            }
        }
    }

    /// Brings the recording of a stream in step with its templates.
    async fn look(&mut self, key: &StreamKey) -> Result<(), store::Error> {
        let on = self.recorder.0.parts.registry.get(key).is_some() && Derived::parse(key).is_none();
        if !on {
            if let Some(Known { live: Some(live), .. }) = self.streams.remove(key) {
                // it ends with the stream, and does not wait for it
                live.stop.send_replace(true);
            }
            return Ok(());
        }
        let (id, order) = self.order(key).await?;
        let known = self.streams.entry(key.clone()).or_default();
        known.id = id;
        let runs = known.live.as_ref().is_some_and(|live| !live.stop.is_closed());
        if runs && known.live.as_ref().map(|live| &*live.order) == order.as_ref() {
            return Ok(());
        }
        if let Some(old) = known.live.take() {
            // the new one may begin before the old one is closed: no frame is lost between them
            old.stop.send_replace(true);
        }
        let Some(order) = order else {
            if let Some(id) = id {
                self.before.remove(&id);
            }
            return Ok(());
        };
        let resumed = order.template.is_some_and(|template| self.before.insert(order.stream, template) == Some(template));
        let (id, since) = (self.recorder.0.parts.store.new_recording(), self.recorder.now());
        let begin = Begin { id, order, on_demand: false, lasting: false, resumed, since, sequence: 0 };
        known.live = self.recorder.begin(begin).ok();
        Ok(())
    }

    /// What a stream's templates say.
    async fn order(&self, key: &StreamKey) -> Result<(Option<StreamId>, Option<Order>), store::Error> {
        let store = &self.recorder.0.parts.store;
        let Some(door) = store.door(key.app(), key.name()).await? else { return Ok((None, None)) };
        let stream = door.stream;
        let templates = store.templates_for(stream.id).await?;
        let order = templates.iter().find_map(|template| match &template.body {
            Body::Record(record) if record.trigger == Trigger::Auto => Some(Order::of(template, record, &stream, key.clone())),
            _ => None,
        });
        Ok((Some(stream.id), order))
    }
}
