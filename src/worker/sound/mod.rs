//! Streams with other sound, made while somebody watches: the pictures are shared, the sound goes through the helper.

#[cfg(test)]
mod tests;

use crate::av::{Helper, Settings, Task};
use crate::base::id::{SessionId, StreamKey};
use crate::media::frame::Kind;
use crate::media::track::{AudioCodec, AudioTrack, Track};
use crate::proto::av::{Ask, AudioForm, Codec, Reply};
use crate::runtime::task::Tasks;
use crate::stream::{Class, Derived, Event, Merge, Publisher, Raw, Recv, Registry, Source, Start, Subscriber, Unit};
use bytes::Bytes;
use dashmap::DashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the source may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the stream goes on when nobody reads it.
const LINGER: Duration = Duration::from_secs(10);
/// After the helper has died, the sound is tried again this much later.
const AGAIN: Duration = Duration::from_secs(2);

/// How long the pictures wait for the new sound before they go on without it.
const SILENCE: Duration = Duration::from_secs(1);

/// Answers demand for derived streams.
#[derive(Clone)]
pub struct Sound {
    registry: Registry,
    helper: Helper,
    bitrate: u32,
    tasks: Tasks,
    running: Arc<DashMap<StreamKey, ()>>,
}

impl Sound {
    /// Starts to watch for demand, in `tasks`.
    pub fn start(settings: &Settings, registry: &Registry, helper: &Helper, tasks: &Tasks) {
        let sound = Sound {
            registry: registry.clone(),
            helper: helper.clone(),
            bitrate: settings.audio_bitrate,
            tasks: tasks.clone(),
            running: Arc::default(),
        };
        let stop = tasks.stopping();
        let mut events = registry.watch();
        tasks.spawn("sound demand", async move {
            loop {
                tokio::select! {
                    () = stop.requested() => return,
                    event = events.next() => match event {
                        Some(Event::Wanted(key)) => sound.answer(key),
                        Some(_) => {}
                        // Some events were lost: what is wanted now is what counts.
                        None => sound.registry.wanted_now().into_iter().for_each(|key| sound.answer(key)),
                    },
                }
            }
        });
    }

    fn answer(&self, key: StreamKey) {
        let Some((source, derived)) = Derived::parse(&key) else { return };
        if self.running.insert(key.clone(), ()).is_some() {
            return;
        }
        let (sound, stop) = (self.clone(), self.tasks.stopping());
        self.tasks.spawn("derived stream", async move {
            tokio::select! {
                () = stop.requested() => {}
                done = sound.run(&key, &source, derived) => if let Err(why) = done {
                    tracing::warn!(stream = %key, why, "cannot make the stream");
                    sound.registry.refuse(&key, &why);
                },
            }
            sound.running.remove(&key);
        });
    }

    async fn run(&self, key: &StreamKey, source: &StreamKey, derived: Derived) -> Result<(), String> {
        let subscriber = self.registry.wait_for(source, Class::Worker, Start::Key, PATIENCE).await.map_err(|e| e.to_string())?;
        let peer = Source { protocol: "av", peer: source.to_string(), session: SessionId(0) };
        let mut publisher = self.registry.publish(key, peer).map_err(|e| e.to_string())?;
        publisher.keep_times();
        let to = match derived {
            Derived::Aac => Codec::Aac,
            Derived::Opus => Codec::Opus,
            Derived::G711a => Codec::G711A,
        };
        let mut merge = Merge::default();
        merge.expect(Kind::Audio, subscriber.stream().tracks().audio.is_some());
        let heard = tokio::time::Instant::now();
        Weave { sound: self, subscriber, publisher, to, job: Job::None, merge, heard }.run().await;
        Ok(())
    }
}

/// The pictures of one stream and the new sound, on their way into another.
struct Weave<'a> {
    sound: &'a Sound,
    subscriber: Subscriber,
    publisher: Publisher,
    to: Codec,
    job: Job,
    /// Pictures that wait for the sound of their time, so that the stream begins with both and time never runs back in it.
    merge: Merge,
    /// When the new sound was heard last.
    heard: tokio::time::Instant,
}

enum Job {
    /// No sound yet.
    None,
    /// The sound has the right codec already.
    Pass,
    Running(Task),
    /// The helper died or failed; not again before this time.
    Broken(tokio::time::Instant),
}

impl Weave<'_> {
    async fn run(mut self) {
        let mut batch = Vec::new();
        let mut idle = tokio::time::interval(LINGER / 2);
        let mut idle_since = None;
        loop {
            tokio::select! {
                got = self.subscriber.recv(&mut batch) => match got {
                    Recv::Units => {
                        for unit in batch.drain(..) {
                            self.take(&unit).await;
                        }
                    }
                    Recv::Lagged { .. } => {}
                    Recv::Ended(_) => return self.release_all(),
                },
                reply = answer(&mut self.job) => self.hear(reply),
                _ = self.publisher.stopped() => return,
                () = self.publisher.key_wanted() => self.subscriber.stream().want_key(),
                now = idle.tick() => {
                    let info = self.publisher.stream().info();
                    if info.viewers + info.workers > 0 {
                        idle_since = None;
                    } else if now.duration_since(*idle_since.get_or_insert(now)) >= LINGER {
                        return;
                    }
                }
            }
        }
    }

    async fn take(&mut self, unit: &Unit) {
        let frame = &unit.frame;
        let raw = Raw { kind: frame.kind, dts: Some(frame.dts), pts: frame.pts, key: frame.key, data: frame.data.clone() };
        match frame.kind {
            Kind::Video => {
                if let Some(video) =
                    unit.tracks.video.as_deref().filter(|_| unit.announce || self.publisher.stream().tracks().video.is_none())
                {
                    if self.merge.holds(Kind::Video) {
                        self.release_all();
                    }
                    self.publisher.set_track(Track::Video(video.clone()));
                }
                self.merge.push(raw);
                if self.heard.elapsed() > SILENCE {
                    self.merge.expect(Kind::Audio, false);
                }
                self.release();
            }
            Kind::Audio => {
                let retry = matches!(&self.job, Job::Broken(at) if *at <= tokio::time::Instant::now());
                if (unit.announce || retry || matches!(self.job, Job::None))
                    && let Some(audio) = unit.tracks.audio.as_deref()
                {
                    self.open(audio).await;
                }
                match &self.job {
                    // Its order is the source's.
                    Job::Pass => self.publisher.push(raw),
                    Job::Running(task) => {
                        task.send(Ask::Frame { pts: frame.pts, dts: frame.dts, key: true, data: frame.data.clone() });
                    }
                    Job::None | Job::Broken(_) => {}
                }
            }
        }
    }

    fn release(&mut self) {
        while let Some(raw) = self.merge.pull() {
            self.publisher.push(raw);
        }
    }

    /// The same with what still waits for something.
    fn release_all(&mut self) {
        while let Some(raw) = self.merge.drain() {
            self.publisher.push(raw);
        }
    }

    async fn open(&mut self, audio: &AudioTrack) {
        let from = form(audio);
        if from.codec == self.to {
            self.merge.expect(Kind::Audio, false);
            self.publisher.set_track(Track::Audio(audio.clone()));
            self.release_all();
            self.job = Job::Pass;
            return;
        }
        self.heard = tokio::time::Instant::now();
        self.merge.expect(Kind::Audio, true);
        let bitrate = self.sound.bitrate * u32::from(audio.channels);
        self.job = match self.sound.helper.start(Ask::OpenAudio { from, to: self.to, bitrate }).await {
            Ok(task) => Job::Running(task),
            Err(why) => self.broken(&why),
        };
    }

    fn hear_track(&mut self, track: AudioTrack) {
        if self.merge.holds(Kind::Audio) {
            self.release_all();
        }
        self.publisher.set_track(Track::Audio(track));
    }

    /// Pictures go on without sound.
    fn broken(&mut self, why: &str) -> Job {
        self.merge.expect(Kind::Audio, false);
        self.release_all();
        tracing::warn!(stream = %self.publisher.stream().key(), why, "no sound for now");
        Job::Broken(tokio::time::Instant::now() + AGAIN)
    }

    fn hear(&mut self, reply: Option<Reply>) {
        match reply {
            Some(Reply::Audio(form)) => self.hear_track(track(&form)),
            Some(Reply::Frame { pts, dts, data, .. }) => {
                self.heard = tokio::time::Instant::now();
                self.merge.push(Raw { kind: Kind::Audio, dts: Some(dts), pts, key: true, data });
                self.release();
            }
            Some(Reply::Failed(why)) => self.job = self.broken(&why),
            Some(Reply::Video { .. } | Reply::Picture { .. } | Reply::Refused { .. }) => {}
            None => self.job = self.broken("weir-av ended"),
        }
    }
}

async fn answer(job: &mut Job) -> Option<Reply> {
    match job {
        Job::Running(task) => task.next().await,
        _ => std::future::pending().await,
    }
}

fn form(audio: &AudioTrack) -> AudioForm {
    let (codec, config) = match &audio.codec {
        AudioCodec::Aac { config } => (Codec::Aac, config.clone()),
        AudioCodec::G711A => (Codec::G711A, Bytes::new()),
        AudioCodec::G711U => (Codec::G711U, Bytes::new()),
        AudioCodec::Opus { head } => (Codec::Opus, head.clone().unwrap_or_default()),
        AudioCodec::Mp3 => (Codec::Mp3, Bytes::new()),
    };
    AudioForm { codec, rate: audio.sample_rate, channels: audio.channels, config }
}

fn track(form: &AudioForm) -> AudioTrack {
    let codec = match form.codec {
        Codec::G711A => AudioCodec::G711A,
        Codec::Opus => AudioCodec::Opus { head: Some(form.config.clone()).filter(|head| !head.is_empty()) },
        _ => AudioCodec::Aac { config: form.config.clone() },
    };
    AudioTrack { codec, sample_rate: form.rate, channels: form.channels }
}
