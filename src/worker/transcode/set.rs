//! All rules of one source that somebody wants: one reader, one process, one decoder.

use super::output::{Output, rule};
use super::{Parts, output};
use crate::av::{Helper, Task};
use crate::base::id::StreamKey;
use crate::media::frame::Kind;
use crate::media::nal;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, VideoCodec};
use crate::model::template::TransConfig;
use crate::proto::av::{Ask, Codec, Reply};
use crate::runtime::task::Tasks;
use crate::stream::{Class, Derived, Recv, Registry, Start, Subscriber, Unit};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long the source may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the sound of a source that has only just begun may take to be known, and to be made AAC.
const SOUND: Duration = Duration::from_secs(2);
/// A process that brings nothing for so long while it is fed hangs.
const STALL: Duration = Duration::from_secs(10);
/// How far the encoder may be behind the source.
const BEHIND: Timestamp = Timestamp(3_000_000_000);
/// The first wait after the process died, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A process that worked so long has recovered.
const HEALTHY: Duration = Duration::from_secs(30);
/// How often it is looked who still reads.
const LOOK: Duration = Duration::from_secs(1);

/// What a set is told.
pub enum Word {
    /// Somebody waits for the stream of this rule.
    Wanted(String),
    /// Templates or bindings changed.
    Changed,
}

/// The rules of one source.
pub struct Set {
    parts: Parts,
    source: StreamKey,
    rules: Vec<TransConfig>,
    helper: Helper,
    /// The streams that are made now, by the rule's name.
    outputs: BTreeMap<String, Output>,
    work: Work,
    wait: Duration,
}

/// What the process does.
enum Work {
    /// Nothing: a job begins with the next key frame.
    Idle,
    Running {
        task: Task,
        codec: Codec,
        /// The rules of the job, by their numbers.
        rules: BTreeMap<u8, TransConfig>,
        /// The number that is given out next.
        next: u8,
        since: Instant,
        /// A frame was dropped: nothing decodes before the next key frame.
        seeking: bool,
        /// When the oldest frame was sent that nothing came back after.
        fed: Option<Instant>,
        /// How far what came back is.
        done: Option<Timestamp>,
        /// Its rules may not be those that are wanted.
        stale: bool,
    },
    /// It died; not again before this time.
    Broken(Instant),
}

impl Set {
    /// Of one source; the process's tasks run in `tasks`.
    pub fn new(parts: &Parts, source: StreamKey, rules: Vec<TransConfig>, tasks: &Tasks) -> Set {
        let helper = Helper::new(parts.av.clone(), tasks);
        Set { parts: parts.clone(), source, rules, helper, outputs: BTreeMap::new(), work: Work::Idle, wait: AGAIN.0 }
    }

    /// Runs until the source ends or nobody reads any of its outputs. Returns the rules that were asked for too late.
    pub async fn run(mut self, mut words: mpsc::Receiver<Word>) -> Vec<String> {
        let mut subscriber = match open(&self.parts.registry, &self.source).await {
            Ok(subscriber) => subscriber,
            Err(why) => {
                self.refuse(&mut words, &why);
                return Vec::new();
            }
        };
        tracing::info!(source = %self.source, "transcoding begins");
        let (mut batch, mut look) = (Vec::new(), tokio::time::interval(LOOK));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let why = loop {
            tokio::select! {
                biased;
                word = words.recv() => match word {
                    Some(Word::Wanted(name)) => self.want(name),
                    Some(Word::Changed) => self.review().await,
                    None => break "the server stops",
                },
                reply = answer(&mut self.work) => self.hear(reply),
                got = subscriber.recv(&mut batch) => match got {
                    Recv::Units => {
                        for unit in batch.drain(..) {
                            self.take(&unit).await;
                        }
                    }
                    Recv::Lagged { .. } => self.seek(),
                    Recv::Ended(_) => {
                        self.outputs.values_mut().for_each(Output::release_all);
                        break "the source has ended";
                    }
                },
                _ = look.tick() => {
                    self.look().await;
                    if self.outputs.is_empty() && words.is_empty() {
                        break "nobody watches";
                    }
                }
            }
        };
        tracing::info!(source = %self.source, why, "transcoding ends");
        words.close();
        let mut late = Vec::new();
        while let Ok(word) = words.try_recv() {
            late.extend(match word {
                Word::Wanted(name) => Some(name),
                Word::Changed => None,
            });
        }
        late
    }

    fn refuse(&self, words: &mut mpsc::Receiver<Word>, why: &str) {
        words.close();
        while let Ok(word) = words.try_recv() {
            if let Word::Wanted(name) = word
                && let Some(key) = output(&self.source, &name)
            {
                self.parts.registry.refuse(&key, why);
            }
        }
    }

    /// Begins the stream of a rule. A job that runs gets it with the next frame.
    fn want(&mut self, name: String) {
        let Some(key) = output(&self.source, &name) else { return };
        if self.outputs.contains_key(&name) {
            return;
        }
        if !self.rules.iter().any(|rule| rule.name == name) {
            return self.parts.registry.refuse(&key, "the rule is gone");
        }
        match Output::open(&self.parts.registry, &key, &self.source) {
            Ok(output) => {
                self.outputs.insert(name, output);
                self.changed();
            }
            Err(error) => self.parts.registry.refuse(&key, &error.to_string()),
        }
    }

    /// Looks at the rules again: those that changed begin again, those that are gone end.
    async fn review(&mut self) {
        let rules = match self.parts.rules(&self.source).await {
            Ok(rules) => rules,
            Err(error) => return tracing::warn!(%error, source = %self.source, "cannot read the rules of a stream"),
        };
        if rules == self.rules {
            return;
        }
        self.outputs.retain(|name, _| rules.iter().any(|rule| rule.name == *name));
        self.rules = rules;
        self.changed();
    }

    /// The rules of the job are looked at with the next frame.
    fn changed(&mut self) {
        if let Work::Running { stale, .. } = &mut self.work {
            *stale = true;
        }
    }

    async fn take(&mut self, unit: &Unit) {
        let frame = &unit.frame;
        if frame.kind == Kind::Audio {
            if let Some(track) = &unit.tracks.audio {
                for output in self.outputs.values_mut() {
                    output.sound(track, frame.pts, frame.dts, frame.data.clone());
                }
            }
            return;
        }
        if self.outputs.is_empty() {
            return;
        }
        let Some((codec, data)) = annex_b(unit) else { return };
        if frame.key {
            self.open(codec).await;
        }
        self.agree();
        let Work::Running { task, rules, seeking, fed, done, .. } = &mut self.work else { return };
        // An encoder that cannot keep up leaves pictures out, a group at a time, and stays near the present.
        *seeking |= done.is_some_and(|done| frame.dts - done > BEHIND);
        if *seeking && !frame.key {
            return;
        }
        *seeking = !task.send(Ask::Frame { pts: frame.pts, dts: frame.dts, key: frame.key, data });
        if !rules.is_empty() {
            fed.get_or_insert_with(Instant::now);
        }
    }

    /// Brings the rules of the job in step with those that are wanted. What cannot be said now is said with the next frame; the
    /// encoders of rules that stay are not touched.
    fn agree(&mut self) {
        let Work::Running { task, rules, next, stale, .. } = &mut self.work else { return };
        if !std::mem::take(stale) {
            return;
        }
        let wanted: Vec<&TransConfig> = self.rules.iter().filter(|config| self.outputs.contains_key(&config.name)).collect();
        let gone: Vec<u8> = rules.iter().filter(|(_, config)| !wanted.contains(config)).map(|(number, _)| *number).collect();
        for number in gone {
            if !task.send(Ask::RemoveRule { number }) {
                *stale = true;
                return;
            }
            rules.remove(&number);
        }
        for config in wanted {
            if rules.values().any(|known| known == config) {
                continue;
            }
            // A number is not used again soon: answers under its old meaning may be on their way.
            let Some(number) = (0..=u8::MAX).map(|n| next.wrapping_add(n)).find(|number| !rules.contains_key(number)) else { return };
            if !task.send(Ask::AddRule { number, rule: rule(config) }) {
                *stale = true;
                return;
            }
            *next = number.wrapping_add(1);
            rules.insert(number, config.clone());
        }
    }

    /// At a key frame: begins a job where there is none that fits.
    async fn open(&mut self, now: Codec) {
        match &self.work {
            Work::Running { codec, .. } if *codec == now => return,
            Work::Broken(until) if *until > Instant::now() => return,
            _ => {}
        }
        self.work = match self.helper.start(Ask::OpenVideo { codec: now, rules: Vec::new() }).await {
            Ok(task) => Work::Running {
                task,
                codec: now,
                rules: BTreeMap::new(),
                next: 0,
                since: Instant::now(),
                seeking: false,
                fed: None,
                done: None,
                stale: true,
            },
            Err(why) => self.broken(&why),
        };
    }

    fn broken(&mut self, why: &str) -> Work {
        if let Work::Running { since, .. } = &self.work
            && since.elapsed() >= HEALTHY
        {
            self.wait = AGAIN.0;
        }
        let wait = self.wait;
        tracing::warn!(source = %self.source, why, again = ?wait, "transcoding fails");
        self.wait = (wait * 2).min(AGAIN.1);
        Work::Broken(Instant::now() + wait)
    }

    fn hear(&mut self, reply: Option<Reply>) {
        let Work::Running { rules, fed, done, .. } = &mut self.work else { return };
        match reply {
            Some(Reply::Video { rule, sets }) => {
                if let Some(output) = of_rule(&mut self.outputs, rules, rule) {
                    output.sets(&sets);
                }
            }
            Some(Reply::Frame { rule, pts, dts, key, data }) => {
                (*fed, *done) = (None, Some(dts));
                if let Some(output) = of_rule(&mut self.outputs, rules, rule) {
                    output.picture(pts, dts, key, &data);
                }
            }
            Some(Reply::Refused { rule, why }) => {
                if let Some(config) = rules.remove(&rule) {
                    tracing::warn!(source = %self.source, rule = config.name, why, "a rule of a transcode template cannot be made");
                    // Its players see the end, and who asks for it again tries it again.
                    self.outputs.remove(&config.name);
                }
            }
            Some(Reply::Audio(_) | Reply::Picture { .. }) => {}
            Some(Reply::Failed(why)) => self.work = self.broken(&why),
            None => self.work = self.broken("weir-av ended"),
        }
    }

    /// Units were lost: nothing decodes before the next key frame.
    fn seek(&mut self) {
        if let Work::Running { seeking, .. } = &mut self.work {
            *seeking = true;
        }
    }

    /// Ends the streams that nobody reads, and a process that hangs.
    async fn look(&mut self) {
        let now = Instant::now();
        let before = self.outputs.len();
        self.outputs.retain(|_, output| !output.is_stopped() && !output.is_idle(now));
        if self.outputs.len() < before {
            // What nobody watches is not encoded.
            self.changed();
        }
        if let Work::Running { fed: Some(fed), .. } = &self.work
            && now.duration_since(*fed) >= STALL
        {
            self.helper.replace().await;
            self.work = self.broken("weir-av hangs");
        }
    }
}

/// The stream of the rule of this number.
fn of_rule<'a>(outputs: &'a mut BTreeMap<String, Output>, rules: &BTreeMap<u8, TransConfig>, rule: u8) -> Option<&'a mut Output> {
    rules.get(&rule).and_then(|config| outputs.get_mut(&config.name))
}

async fn answer(work: &mut Work) -> Option<Reply> {
    match work {
        Work::Running { task, .. } => task.next().await,
        _ => std::future::pending().await,
    }
}

/// The source with sound that every player knows: where its own is neither AAC nor MP3, the stream with AAC that is made of it.
async fn open(registry: &Registry, source: &StreamKey) -> Result<Subscriber, String> {
    let wait = registry.wait_for(source, Class::Worker, Start::Key, PATIENCE).await;
    let subscriber = wait.map_err(|error| format!("the source: {error}"))?;
    let (clock, stream) = (registry.clock(), subscriber.stream().clone());
    let young = stream.info().since + Timestamp::from(SOUND);
    while stream.tracks().audio.is_none() && clock.unix() < young {
        clock.sleep(Duration::from_millis(20)).await;
    }
    let fits = stream.tracks().audio.as_ref().is_none_or(|a| matches!(a.codec, AudioCodec::Aac { .. } | AudioCodec::Mp3));
    let Some(derived) = Derived::Aac.of(source).filter(|_| !fits) else { return Ok(subscriber) };
    match registry.wait_for(&derived, Class::Worker, Start::Key, SOUND).await {
        Ok(other) => Ok(other),
        // Nobody makes it: the sound stays what it is.
        Err(_) => Ok(subscriber),
    }
}

/// A picture as the decoder wants it: key frames with their parameter sets.
fn annex_b(unit: &Unit) -> Option<(Codec, Bytes)> {
    let (codec, sets): (_, [&[Bytes]; 3]) = match &unit.tracks.video.as_deref()?.codec {
        VideoCodec::H264 { sps, pps } => (Codec::H264, [&[], sps, pps]),
        VideoCodec::H265 { vps, sps, pps } => (Codec::H265, [vps, sps, pps]),
        _ => return None,
    };
    let mut data = Vec::with_capacity(unit.frame.data.len() + 256);
    if unit.frame.key {
        for set in sets.into_iter().flatten() {
            data.extend_from_slice(&[0, 0, 0, 1]);
            data.extend_from_slice(set);
        }
    }
    nal::put_annex_b(&unit.frame.data, &mut data);
    Some((codec, data.into()))
}
