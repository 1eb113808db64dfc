//! Reads a stream and has written what its session says.

use super::disk::Disk;
use super::draft::Note;
use super::op::Op;
use super::room::Full;
use super::session::Session;
use super::{Live, Recorder, draft, repair};
use crate::container::ts;
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::Tracks;
use crate::model::callback::RecordingEvent;
use crate::model::record::Format;
use crate::model::recording::State;
use crate::runtime::task::Stop;
use crate::stream::{Class, Derived, Recv, Start, Subscriber, Unit};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// How long a stream that has only just begun may take to bring its sound.
const SOUND: Duration = Duration::from_secs(1);
/// How long HLS waits for sound that it carries, before it goes without.
const OTHER_SOUND: Duration = Duration::from_secs(5);
/// How often it is looked whether the sound is there.
const GLANCE: Duration = Duration::from_millis(20);

/// Records until it is told to stop, or the stream is over and nobody asked for more.
pub async fn run(recorder: &Recorder, live: &Arc<Live>, stopped: watch::Receiver<bool>, stop: Stop, mut resumed: bool) {
    let over = || {
        let (mut stopped, stop) = (stopped.clone(), stop.clone());
        async move {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => {}
                () = stop.requested() => {}
            }
        }
    };
    let mut refused = false;
    loop {
        let registry = &recorder.0.parts.registry;
        if !refused || registry.get(&live.order.key).is_none() {
            live.set(State::Waiting);
        }
        let subscriber = tokio::select! {
            biased;
            () = over() => return,
            subscriber = registry.meet(&live.order.key, Class::Worker, Start::Sound) => subscriber,
        };
        let tracks = tokio::select! {
            () = over() => return,
            tracks = known(recorder, &subscriber) => tracks,
        };
        // Held while it is recorded.
        let place = match recorder.place(&live.order).await {
            Ok(place) => place,
            Err(exceeded) => {
                drop(subscriber);
                recorder.refuse(live, exceeded).await;
                refused = true;
                tokio::select! {
                    () = over() => return,
                    () = recorder.0.clock.sleep(recorder.0.parts.settings.retry.0) => continue,
                }
            }
        };
        refused = false;
        live.set(State::Recording);
        let files = live.order.formats;
        tracing::info!(stream = %live.order.key, recording = %live.id, formats = %files, "recording: opened");
        recorder.tell(&live.order, if resumed { RecordingEvent::Resumed } else { RecordingEvent::Started }).await;
        resumed = true;
        let ended = both(recorder, live, subscriber, &tracks, &over).await;
        drop(place);
        let (files, bytes) = (live.files.load(Ordering::Relaxed), live.bytes.load(Ordering::Relaxed));
        let why = if ended { "the stream ended" } else { "it was stopped" };
        tracing::info!(stream = %live.order.key, recording = %live.id, files, bytes, why, "recording: closed");
        recorder.tell(&live.order, RecordingEvent::Paused).await;
        if !ended || !live.on_demand {
            return;
        }
    }
}

/// The tracks of the stream, when those are there that are to be expected.
async fn known(recorder: &Recorder, subscriber: &Subscriber) -> Arc<Tracks> {
    let stream = subscriber.stream();
    let young = stream.info().since + Timestamp::from(SOUND);
    while stream.tracks().audio.is_none() && recorder.0.clock.unix() < young {
        recorder.0.clock.sleep(GLANCE).await;
    }
    stream.tracks()
}

/// Records the formats that take the sound as it is, and beside them HLS of the same pictures with other sound where it must be.
/// Returns whether the stream ended.
async fn both<F: Future<Output = ()>>(
    recorder: &Recorder,
    live: &Arc<Live>,
    subscriber: Subscriber,
    tracks: &Arc<Tracks>,
    over: &impl Fn() -> F,
) -> bool {
    let mut formats: Vec<Format> = live.order.formats.iter().collect();
    let deaf = tracks.audio.is_some() && ts::carried(tracks).audio.is_none() && formats.contains(&Format::Hls);
    if deaf {
        formats.retain(|format| *format != Format::Hls);
    }
    let main = async {
        match formats.is_empty() {
            true => None,
            false => Some(Tape::new(recorder, live, subscriber, &formats, tracks).run(over()).await),
        }
    };
    let second = async {
        if !deaf {
            return None;
        }
        let registry = &recorder.0.parts.registry;
        let derived = Derived::Aac.of(&live.order.key)?;
        let heard = match registry.wait_for(&derived, Class::Worker, Start::Sound, OTHER_SOUND).await {
            Ok(heard) => heard,
            Err(_) => registry.subscribe(&live.order.key, Class::Worker, Start::Sound)?,
        };
        let tracks = known(recorder, &heard).await;
        Some(Tape::new(recorder, live, heard, &[Format::Hls], &tracks).run(over()).await)
    };
    let (main, second) = tokio::join!(main, second);
    main.or(second).unwrap_or(true)
}

/// Records one stream to some formats.
struct Tape<'a> {
    recorder: &'a Recorder,
    live: &'a Arc<Live>,
    subscriber: Subscriber,
    session: Session,
    /// What the first units do not know yet: the tracks of a stream that had just begun.
    tracks: Arc<Tracks>,
    formats: &'a [Format],
    disk: Option<Disk>,
    /// Why files may not begin now.
    full: Option<Full>,
    /// That was told.
    told_full: bool,
}

type Wrote = (Disk, (Vec<Op>, io::Result<()>));
type Writing = tokio::task::JoinHandle<Wrote>;

impl<'a> Tape<'a> {
    fn new(recorder: &'a Recorder, live: &'a Arc<Live>, subscriber: Subscriber, formats: &'a [Format], tracks: &Arc<Tracks>) -> Tape<'a> {
        let settings = &recorder.0.parts.settings;
        let sequence = live.sequence.load(Ordering::Relaxed);
        let video = tracks.video.is_some();
        let session = Session::new(live.order.clone(), live.id, sequence, settings.rules(), formats, video);
        let disk = Some(Disk::new(recorder.0.parts.shelf.spool()));
        Tape { recorder, live, subscriber, session, tracks: tracks.clone(), formats, disk, full: None, told_full: false }
    }

    /// Returns whether the stream ended.
    async fn run(mut self, over: impl Future<Output = ()>) -> bool {
        tokio::pin!(over);
        let clock = self.recorder.0.clock.clone();
        let settings = self.recorder.0.parts.settings.clone();
        let most = settings.buffer.bytes();
        // Frames gather for half of what a crash may cost, then all are read and written at once: the other half is for the writing.
        // A recording is in no hurry, and waking for each frame would be most of what it costs.
        let gather = settings.fragment.0 / 2;
        let mut batch = Vec::new();
        let mut writing: Option<Writing> = None;
        let mut asked: Option<Timestamp> = None;
        // after a failure nothing is read before this
        let mut again: Option<Timestamp> = None;
        let mut gathering: Option<Timestamp> = None;
        let ended = loop {
            if writing.is_none() {
                writing = self.write();
            }
            if asked.is_none_or(|asked| clock.now() >= asked + settings.retry.0.into()) {
                asked = Some(clock.now());
                self.ask().await;
            }
            let room = self.session.ops.bytes() <= most && again.is_none();
            tokio::select! {
                biased;
                () = &mut over => break false,
                done = async { Some(writing.as_mut()?.await) }, if writing.is_some() => {
                    writing = None;
                    if let Some(Err(error)) = done.map(|done| self.wrote(done)) {
                        again = Some(clock.now() + settings.retry.0.into());
                        self.failed(&error).await;
                    }
                }
                got = self.subscriber.recv(&mut batch), if room && gathering.is_none() => {
                    match got {
                        Recv::Units => batch.drain(..).for_each(|unit| { let unit = self.whole(unit); self.session.push(unit); }),
                        Recv::Lagged { .. } => self.session.lost(),
                        Recv::Ended(_) => break true,
                    }
                    if self.subscriber.place().next >= self.subscriber.stream().head() {
                        self.session.flush();
                        gathering = Some(clock.now() + gather.into());
                    }
                    self.tell_full().await;
                }
                () = clock.sleep_until(gathering.unwrap_or_default()), if gathering.is_some() => gathering = None,
                () = clock.sleep_until(again.unwrap_or_default()), if again.is_some() => {
                    again = None;
                    self.session.lost();
                    self.live.set(State::Recording);
                }
            }
            self.live.sequence.fetch_max(self.session.sequence(), Ordering::Relaxed);
        };
        if !ended {
            self.read_on(&mut batch).await;
        }
        if let Some(writing) = writing.take()
            && let Err(error) = self.wrote(writing.await)
        {
            self.failed(&error).await;
        }
        self.session.end();
        while let Some(writing) = self.write() {
            if let Err(error) = self.wrote(writing.await) {
                self.failed(&error).await;
            }
        }
        ended
    }

    /// Takes what is there already.
    async fn read_on(&mut self, batch: &mut Vec<Arc<Unit>>) {
        let head = self.subscriber.stream().head();
        while self.subscriber.place().next < head {
            tokio::select! {
                biased;
                Recv::Units = self.subscriber.recv(batch) => {
                    for unit in batch.drain(..) {
                        let unit = self.whole(unit);
                        self.session.push(unit);
                    }
                }
                () = std::future::ready(()) => return,
            }
        }
    }

    /// A unit that came before the sound was known belongs to the same file as those after it.
    fn whole(&self, unit: Arc<Unit>) -> Arc<Unit> {
        let same = match (&unit.tracks.video, &self.tracks.video) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        if !same || unit.tracks.audio.is_some() || self.tracks.audio.is_none() || unit.frame.kind == Kind::Audio {
            return unit;
        }
        let mut whole = Unit::new(unit.seq, unit.frame.clone(), self.tracks.clone(), unit.wall);
        (whole.announce, whole.discontinuity) = (unit.announce, unit.discontinuity);
        Arc::new(whole)
    }

    /// Has what waits written.
    fn write(&mut self) -> Option<Writing> {
        if self.session.ops.is_empty() {
            return None;
        }
        let mut disk = self.disk.take()?;
        let ops = self.session.ops.take();
        let force = self.recorder.0.force.clone();
        for op in &ops {
            match op {
                Op::Write { data, .. } => {
                    self.live.bytes.fetch_add(data.iter().map(|bytes| bytes.len() as u64).sum(), Ordering::Relaxed);
                }
                Op::Note { note } => drop(super::lock(&self.recorder.0.busy).insert(note.stem())),
                _ => {}
            }
        }
        let writers = self.recorder.0.writers.clone();
        Some(tokio::spawn(async move {
            let _turn = writers.acquire_owned().await;
            let work = move || {
                let done = disk.perform(ops);
                force.wrote();
                (disk, done)
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        }))
    }

    /// What was written, and what is to be done behind it.
    fn wrote(&mut self, done: Result<Wrote, tokio::task::JoinError>) -> Result<(), io::Error> {
        let (disk, (rest, done)) = done.map_err(io::Error::other)?;
        self.disk = Some(disk);
        for op in rest {
            match op {
                Op::Finish { note, end } => self.finish(note, end),
                Op::Gap { start, end } => self.gap(start, end),
                _ => {}
            }
        }
        done
    }

    fn finish(&self, note: Box<Note>, end: Timestamp) {
        let (recorder, live) = (self.recorder.clone(), self.live.clone());
        // not one of the tasks: they are told to stop before this is done, and the files shall be finished then as well
        repair::spawn(&recorder.clone(), async move {
            if live.lasting
                && let Err(error) = recorder.0.parts.store.set_recording_sequence(live.id, note.sequence).await
            {
                tracing::warn!(%error, recording = %live.id, "the number of a file was not written down");
            }
            if repair::finish(&recorder, &note, Some(end)).await {
                live.files.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    fn gap(&self, start: Timestamp, end: Timestamp) {
        // one gap, whatever number of formats; HLS beside others is told by those
        if self.formats == [Format::Hls] && self.live.order.formats.iter().count() > 1 {
            return;
        }
        self.recorder.0.counts.gaps.fetch_add(1, Ordering::Relaxed);
        let draft = draft::gap(&self.live.order, self.live.id, start, end);
        let store = self.recorder.0.parts.store.clone();
        let stream = self.live.order.key.clone();
        repair::spawn(self.recorder, async move {
            if let Err(error) = store.add_records(vec![draft]).await {
                tracing::warn!(%error, %stream, "a gap in a recording was not written down");
            }
        });
    }

    /// Asks whether there is room for more.
    async fn ask(&mut self) {
        self.full = self.recorder.full(&self.live.order).await;
        self.session.permit(self.full.is_none());
    }

    /// Says that a file could not begin for want of room, once, and when it could again.
    async fn tell_full(&mut self) {
        let held = self.session.is_held();
        if held == self.told_full {
            return;
        }
        self.told_full = held;
        // HLS beside others fares as those do
        let first = self.formats != [Format::Hls] || self.live.order.formats.iter().count() == 1;
        match (held, self.full.clone().filter(|_| first)) {
            (true, Some(full)) => {
                *super::lock(&self.live.now) = (State::Failing, full.to_string());
                self.recorder.0.counts.refused.fetch_add(1, Ordering::Relaxed);
                tracing::error!(stream = %self.live.order.key, recording = %self.live.id, why = %full, "recording: no file begins; it goes on when there is room");
                self.recorder.tell(&self.live.order, RecordingEvent::Error).await;
            }
            (false, _) if first => {
                self.live.set(State::Recording);
                tracing::info!(stream = %self.live.order.key, recording = %self.live.id, "recording: there is room again");
                self.recorder.tell(&self.live.order, RecordingEvent::Resumed).await;
            }
            _ => {}
        }
    }

    /// Writing failed: the file ends where it is.
    async fn failed(&mut self, error: &io::Error) {
        self.recorder.0.counts.failed.fetch_add(1, Ordering::Relaxed);
        if self.disk.is_none() {
            self.disk = Some(Disk::new(self.recorder.0.parts.shelf.spool()));
        }
        self.session.abandon();
        let first = {
            let mut now = super::lock(&self.live.now);
            let first = now.0 != State::Failing && now.1 != error.to_string();
            *now = (State::Failing, error.to_string());
            first
        };
        if first {
            tracing::error!(stream = %self.live.order.key, recording = %self.live.id, %error, "recording: writing failed; it is tried again");
            self.recorder.tell(&self.live.order, RecordingEvent::Error).await;
        }
    }
}
