//! Streams of another size, rate and codec, made by the rules of transcode templates while somebody watches.
//!
//! The output of the rule `sd` of the stream `cam` is the stream `cam_sd`. Who waits for it wakes a [`set`]: one reader of the
//! source, one `weir-av` process with one decoder and an encoder for each rule that somebody wants, and a publisher a rule. A rule
//! comes and goes without a word to the others. It
//! ends some seconds after its last reader. What happens to the process never reaches the source: the reader is one of many.

mod output;
mod set;
#[cfg(test)]
mod tests;

use crate::av;
use crate::base::id::StreamKey;
use crate::model::id::StreamId;
use crate::model::template::{Body, TransConfig, VideoCodec};
use crate::model::tenant::Scope;
use crate::runtime::task::Tasks;
use crate::store::{self, Change, Seen, Store};
use crate::stream::{Event, Registry};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use set::{Set, Word};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Words that wait for a set at most.
const WORDS: usize = 64;

crate::settings! {
    /// Streams of another size, rate and codec. Which there are is said by templates.
    pub struct Settings {
        /// Whether every stream has an output `{stream}_h264`: H.264 without B-frames, of the source's size, which every browser shows.
        /// It is made while somebody plays it; WebRTC viewers whose browser cannot show the stream itself get it.
        pub h264: bool = true,
    }
}

/// The rule that every stream has where the settings say so.
pub const H264: &str = "h264";

/// What rules are made with.
#[derive(Clone)]
pub struct Parts {
    /// What there is without a template.
    pub settings: Settings,
    /// The helper executable.
    pub av: av::Settings,
    /// The streams.
    pub registry: Registry,
    /// Templates and bindings.
    pub store: Store,
}

/// Answers demand for the outputs of rules.
#[derive(Clone)]
pub struct Rules(Arc<Inner>);

struct Inner {
    parts: Parts,
    tasks: Tasks,
    /// The sets that run, by their source.
    sets: DashMap<StreamKey, mpsc::Sender<Word>>,
}

/// What a name says: the source and the rule. Whether there is such a rule is another question.
pub fn parse(key: &StreamKey) -> Option<(StreamKey, &str)> {
    let (source, rule) = match key.name().strip_suffix(H264).and_then(|name| name.strip_suffix('_')) {
        // The source is any stream, and may be called what its publisher wants.
        Some(source) => (source, H264),
        None => key.name().split_once('_')?,
    };
    // What was made of an output in turn, as its sound, is no rule's name.
    let plain = !rule.is_empty() && rule.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then(|| Some((StreamKey::new(key.app(), source).ok()?, rule))).flatten()
}

/// The output's name.
pub fn output(source: &StreamKey, rule: &str) -> Option<StreamKey> {
    StreamKey::new(source.app(), &format!("{}_{rule}", source.name())).ok()
}

/// The rules of the templates that act on a stream by its name in URLs; `None` where it is not managed.
pub async fn rules_of(store: &Store, source: &StreamKey) -> Result<Option<Vec<TransConfig>>, store::Error> {
    let Ok(id) = source.name().parse::<StreamId>() else { return Ok(None) };
    match store.stream(Scope::Operator, id).await {
        Ok(stream) if stream.app == source.app() => {}
        Ok(_) | Err(store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    }
    let templates = store.templates_for(id).await?;
    let rules = templates.into_iter().find_map(|template| match template.body {
        Body::Transcode(rules) => Some(rules),
        _ => None,
    });
    Ok(Some(rules.unwrap_or_default()))
}

impl Parts {
    /// All rules of a stream: those of its templates, and the one that every stream has.
    pub async fn rules(&self, source: &StreamKey) -> Result<Vec<TransConfig>, store::Error> {
        let found = rules_of(&self.store, source).await?;
        // A name that nobody manages or sends is no stream yet, and perhaps never one of ours.
        let is_stream = found.is_some() || self.registry.get(source).is_some_and(|stream| stream.is_live());
        let mut rules = found.unwrap_or_default();
        if self.settings.h264 && is_stream && rules.iter().all(|rule| rule.name != H264) {
            rules.push(plain());
        }
        Ok(rules)
    }
}

/// H.264 of the source's size and rate.
fn plain() -> TransConfig {
    let (id, name, video_codec) = (String::new(), H264.to_owned(), VideoCodec::H264);
    TransConfig { id, name, video_codec, video_bitrate: 0, fps: 0, gop: 0, height: 0, width: 0 }
}

impl Rules {
    /// Starts to watch for demand, in `tasks`.
    pub fn start(parts: Parts, tasks: &Tasks) -> Rules {
        let rules = Rules(Arc::new(Inner { parts, tasks: tasks.clone(), sets: DashMap::new() }));
        let (this, stop) = (rules.clone(), tasks.stopping());
        let (mut events, mut changes) = (rules.0.parts.registry.watch(), rules.0.parts.store.watch());
        tasks.spawn("transcode demand", async move {
            loop {
                tokio::select! {
                    () = stop.requested() => return,
                    event = events.next() => match event {
                        Some(Event::Wanted(key)) => this.wanted(key),
                        Some(_) => {}
                        // Some events were lost: what is wanted now is what counts.
                        None => this.0.parts.registry.wanted_now().into_iter().for_each(|key| this.wanted(key)),
                    },
                    seen = changes.next() => match seen {
                        Some(Seen::Change(Change::Template(_) | Change::Bindings(_) | Change::Stream(_)) | Seen::Missed(_)) => this.changed(),
                        Some(_) => {}
                        None => return,
                    },
                }
            }
        });
        rules
    }

    /// How many sources are being transcoded.
    pub fn len(&self) -> usize {
        self.0.sets.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.sets.is_empty()
    }

    /// Templates or bindings changed: whoever runs looks at its rules again.
    fn changed(&self) {
        for set in &self.0.sets {
            // One that is full of words looks soon anyway.
            let _ = set.try_send(Word::Changed);
        }
    }

    fn wanted(&self, key: StreamKey) {
        let Some((source, rule)) = parse(&key) else { return };
        let (this, rule) = (self.clone(), rule.to_owned());
        self.0.tasks.spawn("transcode rule", async move {
            match this.0.parts.rules(&source).await {
                Ok(rules) if rules.iter().any(|r| r.name == rule) => this.begin(source, rules, rule),
                // No rule of ours: somebody else may know the name.
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, stream = %key, "cannot read the rules of a stream");
                    this.0.parts.registry.refuse(&key, "the store does not answer now");
                }
            }
        });
    }

    /// Tells the set of the source, which is started if there is none.
    fn begin(&self, source: StreamKey, rules: Vec<TransConfig>, rule: String) {
        let (words, inbox) = mpsc::channel(WORDS);
        match self.0.sets.entry(source.clone()) {
            Entry::Occupied(mut entry) => match entry.get().try_send(Word::Wanted(rule)) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => return,
                // It is just ending.
                Err(mpsc::error::TrySendError::Closed(word)) => {
                    let _ = words.try_send(word);
                    entry.insert(words.clone());
                }
            },
            Entry::Vacant(entry) => {
                let _ = words.try_send(Word::Wanted(rule));
                entry.insert(words.clone());
            }
        }
        let (this, stop) = (self.clone(), self.0.tasks.stopping());
        self.0.tasks.spawn("transcode set", async move {
            // Its process ends with it.
            let tasks = this.0.tasks.child();
            let set = Set::new(&this.0.parts, source.clone(), rules.clone(), &tasks);
            let late = tokio::select! {
                () = stop.requested() => Vec::new(),
                late = set.run(inbox) => late,
            };
            tasks.stop();
            // A newer set of the source has another channel.
            this.0.sets.remove_if(&source, |_, held| held.same_channel(&words));
            // Who asked in the last moment is answered by the next set.
            for rule in late {
                this.begin(source.clone(), rules.clone(), rule);
            }
        });
    }
}
