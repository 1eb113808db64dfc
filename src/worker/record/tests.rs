//! Sessions in media time onto a real disk, and recordings in manual time.

use super::disk::Disk;
use super::draft::Note;
use super::op::Op;
use super::session::{Rules, Session};
use super::*;
use crate::base::id::{SessionId, StreamKey};
use crate::container::flv::tag;
use crate::container::ts::demux;
use crate::media::frame::{Frame, Kind};
use crate::media::nal::{self, Family};
use crate::media::sets::Follow;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track, Tracks, VideoTrack};
use crate::model::binding::{How, Instance};
use crate::model::group::{self, InProtocol};
use crate::model::id::{GroupId, StreamId, TenantId};
use crate::model::page::Page;
use crate::model::path::Purpose;
use crate::model::quota::{Exceeded, What};
use crate::model::record::{Filter, Format, Kind as RecordKind, Record};
use crate::model::recording::Paths;
use crate::model::template::{self, Body, Formats, Storage, Trigger};
use crate::model::tenant::Scope;
use crate::stream::tally::Tally as Places;
use crate::stream::{Publisher, Raw, Source, Unit};
use bytes::Bytes;
use std::io::Cursor;

pub(super) const WALL: i64 = 1_700_000_000_000;
const H264: &[u8] = include_bytes!("../../../fixtures/clips/bframes.h264");
const ALL: [Format; 3] = [Format::Mp4, Format::Flv, Format::Hls];

pub(super) fn ms(n: i64) -> Timestamp {
    Timestamp::from_millis(n)
}

pub(super) fn video() -> VideoTrack {
    let mut follow = Follow::new(Family::H264);
    let access = nal::from_units(Family::H264, nal::annex_b(H264).take(8));
    follow.take(&access.sets).unwrap();
    VideoTrack { reorder: Some(0), ..follow.track().unwrap().clone() }
}

fn aac() -> AudioTrack {
    AudioTrack { codec: AudioCodec::Aac { config: Bytes::from_static(&[0x15, 0x88]) }, sample_rate: 8_000, channels: 1 }
}

pub(super) fn both() -> Arc<Tracks> {
    Arc::new(Tracks { video: Some(Arc::new(video())), audio: Some(Arc::new(aac())) })
}

/// A slice whose last 4 bytes number it.
fn picture(n: u32) -> Bytes {
    let size = 300 + n % 97;
    let mut data = (size + 5).to_be_bytes().to_vec();
    data.push(0x41);
    data.extend(std::iter::repeat_n(0x55, size as usize));
    data.extend(n.to_be_bytes());
    Bytes::from(data)
}

pub(super) fn unit(tracks: &Arc<Tracks>, kind: Kind, at: i64, key: bool) -> Unit {
    let data =
        if kind == Kind::Video { picture(at as u32) } else { Bytes::from([vec![7; 40], (at as u32).to_be_bytes().to_vec()].concat()) };
    Unit::new(0, Frame { kind, dts: ms(at), pts: ms(at), key, data }, tracks.clone(), ms(WALL + at))
}

pub(super) fn order(interval: u32, formats: Formats) -> Order {
    Order {
        owner: TenantId(1),
        group: GroupId(2),
        stream: StreamId(3),
        key: StreamKey::parse("app/3").unwrap(),
        template: None,
        formats,
        interval,
        paths: Paths::default(),
        storage: Storage::default(),
        bucket_key: None,
        expired: 2,
        callback: None,
    }
}

/// A session whose files lie in a folder.
struct Rig {
    dir: tempfile::TempDir,
    disk: Disk,
    session: Session,
    ended: Vec<(Note, Timestamp)>,
    gaps: Vec<(Timestamp, Timestamp)>,
}

impl Rig {
    fn new(interval: u32, align: bool) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let rules = Rules { fragment: Duration::from_secs(2), align, segment: Duration::from_secs(4) };
        let order = Arc::new(order(interval, ALL.into_iter().collect()));
        let session = Session::new(order, RecordingId(9), 0, rules, &ALL, true);
        let disk = Disk::new(dir.path());
        Rig { dir, disk, session, ended: Vec::new(), gaps: Vec::new() }
    }

    fn drain(&mut self) {
        let (rest, done) = self.disk.perform(self.session.ops.take());
        done.unwrap();
        for op in rest {
            match op {
                Op::Finish { note, end } => self.ended.push((*note, end)),
                Op::Gap { start, end } => self.gaps.push((start, end)),
                other => panic!("{other:?}"),
            }
        }
    }

    fn push(&mut self, unit: Unit) {
        self.session.push(Arc::new(unit));
        self.drain();
    }

    /// Pictures at 25 a second with a key frame every `gop` ms; a frame of sound every 64 ms, which comes up to 120 ms late.
    fn run(&mut self, tracks: &Arc<Tracks>, from: i64, to: i64, gop: i64) {
        for at in (from..to).step_by(40) {
            self.push(unit(tracks, Kind::Video, at, at % gop == 0));
            for sound in (at - 120..at - 80).filter(|sound| sound % 64 == 0 && *sound >= from) {
                self.push(unit(tracks, Kind::Audio, sound, true));
            }
        }
    }

    fn end(&mut self) {
        self.session.end();
        self.drain();
    }

    fn of(&self, format: Format) -> Vec<&(Note, Timestamp)> {
        self.ended.iter().filter(|(note, _)| note.format == format).collect()
    }

    /// The numbers of pictures and of frames of sound that a file holds, and its length in milliseconds.
    fn read(&self, note: &Note) -> (Vec<u32>, Vec<u32>, i64) {
        read(self.dir.path(), note)
    }

    /// All that files of a format hold.
    fn all(&self, format: Format) -> (Vec<u32>, Vec<u32>) {
        let (mut pictures, mut sound) = (Vec::new(), Vec::new());
        for (note, _) in self.of(format) {
            let read = self.read(note);
            pictures.extend(read.0);
            sound.extend(read.1);
        }
        (pictures, sound)
    }
}

pub(super) fn number(data: &[u8]) -> u32 {
    u32::from_be_bytes(*data.last_chunk().unwrap())
}

fn read(spool: &std::path::Path, note: &Note) -> (Vec<u32>, Vec<u32>, i64) {
    let (mut pictures, mut sound) = (Vec::new(), Vec::new());
    if note.format == Format::Hls {
        let listed = playlist::segments(spool, note).unwrap();
        for segment in &listed {
            let bytes = std::fs::read(segment.file.as_ref().unwrap()).unwrap();
            let read = demux::read(&bytes).unwrap();
            pictures.extend(read.pes.iter().filter(|pes| pes.pid == 0x100).map(|pes| number(&pes.data)));
            // each frame of sound is its ADTS header and 44 bytes
            sound.extend(read.stream(0x101).chunks(51).map(number));
        }
        let made = playlist::make(spool, note, None, &listed).unwrap();
        return (pictures, sound, made.map_or(0, |made| made.duration_ms));
    }
    let Some(made) = finish::make(spool, note).unwrap() else { return (pictures, sound, 0) };
    let bytes = std::fs::read(&made.file).unwrap();
    assert_eq!(bytes.len() as u64, made.size);
    if note.format == Format::Mp4 {
        let mut reader = ::mp4::Mp4Reader::read_header(Cursor::new(&bytes), made.size).unwrap();
        assert!(!reader.is_fragmented());
        for (id, out) in [(1, &mut pictures), (2, &mut sound)] {
            for n in 1..=reader.sample_count(id).unwrap_or(0) {
                out.push(number(&reader.read_sample(id, n).unwrap().unwrap().bytes));
            }
        }
        return (pictures, sound, made.duration_ms);
    }
    let mut reader = tag::Reader::new(1 << 20);
    let mut input = &bytes[..];
    while let Some(tag) = reader.read(&mut input).unwrap() {
        match (tag.kind, tag.data.get(1)) {
            (tag::kind::VIDEO, Some(1)) => pictures.push(number(&tag.data)),
            (tag::kind::AUDIO, Some(1)) => sound.push(number(&tag.data)),
            _ => {}
        }
    }
    (pictures, sound, made.duration_ms)
}

#[test]
fn consecutive_files_hold_every_frame_once_in_every_format() {
    let tracks = both();
    let mut rig = Rig::new(10, false);
    rig.run(&tracks, 0, 34_000, 2_000);
    rig.end();
    for format in ALL {
        let files = rig.of(format);
        let times: Vec<(i64, i64)> = files.iter().map(|(note, end)| (note.start().as_millis() - WALL, end.as_millis() - WALL)).collect();
        assert_eq!(times, [(0, 10_000), (10_000, 20_000), (20_000, 30_000), (30_000, 34_000)], "{format}");
        let (pictures, mut sound) = rig.all(format);
        assert_eq!(pictures, (0..34_000).step_by(40).collect::<Vec<_>>(), "{format}");
        sound.sort_unstable();
        assert_eq!(sound, (0..33_920).step_by(64).take(sound.len()).collect::<Vec<_>>(), "{format}");
        assert!(sound.len() > 525, "{format}: {}", sound.len());
        let length = rig.read(&files[1].0).2;
        assert!((9_990..10_130).contains(&length), "{format}: {length}");
    }
    assert!(rig.gaps.is_empty());
}

#[test]
fn files_begin_at_the_full_minute_where_that_is_wanted() {
    let tracks = both();
    let mut rig = Rig::new(60, true);
    // the clock shows 20 s past the minute at first
    assert_eq!(WALL / 1_000 % 60, 20);
    rig.run(&tracks, 0, 130_000, 1_000);
    rig.end();
    let starts: Vec<i64> = rig.of(Format::Mp4).iter().map(|(note, _)| note.start().as_millis() - WALL).collect();
    assert_eq!(starts, [0, 40_000, 100_000]);
}

#[test]
fn a_codec_that_changes_each_second_costs_no_frame() {
    let first = both();
    let other = VideoTrack { width: 640, ..video() };
    let second = Arc::new(Tracks { video: Some(Arc::new(other)), audio: first.audio.clone() });
    let mut rig = Rig::new(3600, false);
    for second_of in 0..12 {
        let tracks = if second_of % 2 == 0 { &first } else { &second };
        rig.run(tracks, second_of * 1_000, second_of * 1_000 + 1_000, 1_000);
    }
    rig.end();
    for format in ALL {
        assert_eq!(rig.of(format).len(), 12, "{format}");
        assert_eq!(rig.all(format).0, (0..12_000).step_by(40).collect::<Vec<_>>(), "{format}");
    }
}

#[test]
fn missing_time_is_a_gap_and_a_clock_that_is_set_is_not_believed() {
    let tracks = both();
    let mut rig = Rig::new(3600, false);
    rig.run(&tracks, 0, 5_000, 1_000);
    let mut back = unit(&tracks, Kind::Video, 12_000, true);
    back.discontinuity = true;
    rig.push(back);
    assert_eq!(rig.gaps, [(ms(WALL + 5_000), ms(WALL + 12_000))]);
    for at in (12_040..20_000).step_by(40) {
        let mut unit = unit(&tracks, Kind::Video, at, at % 1_000 == 0);
        // the clock was set forward by an hour in the middle
        if at > 15_000 {
            unit.wall = unit.wall + ms(3_600_000);
        }
        rig.push(unit);
    }
    rig.end();
    let ends: Vec<i64> = rig.of(Format::Flv).iter().map(|(_, end)| end.as_millis() - WALL).collect();
    assert_eq!(ends, [5_000, 20_000]);
}

#[test]
fn a_crash_costs_the_last_fragment_at_most() {
    let tracks = both();
    for crash in [3_000, 7_960, 12_480, 19_000] {
        let mut rig = Rig::new(3600, false);
        rig.run(&tracks, 0, crash, 2_000);
        // what was not written is lost, and what was written last is torn
        let notes: Vec<Note> = std::fs::read_dir(rig.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .map(|path| Note::parse(&std::fs::read_to_string(path).unwrap()).unwrap())
            .collect();
        assert_eq!(notes.len(), 3);
        for note in &notes {
            let draft = rig.dir.path().join(note.draft());
            if note.format != Format::Hls {
                let torn = [std::fs::read(&draft).unwrap(), vec![9, 0, 1, 2, 0, 0, 0]].concat();
                std::fs::write(&draft, torn).unwrap();
            } else {
                let torn = [std::fs::read(&draft).unwrap(), b"{\"mark\":{\"by".to_vec()].concat();
                std::fs::write(&draft, torn).unwrap();
            }
            let (pictures, sound, length) = rig.read(note);
            let format = note.format;
            assert_eq!(pictures, (0..).step_by(40).take(pictures.len()).collect::<Vec<_>>(), "{format}");
            let lost = crash - pictures.len() as i64 * 40;
            assert!(lost <= 2_080, "{format}: {lost} ms of {crash} are lost");
            assert!(!sound.is_empty() && (length - pictures.len() as i64 * 40).abs() < 200, "{format}: {length}");
        }
    }
}

#[test]
fn a_full_disk_ends_the_file_where_it_is_whole() {
    let tracks = both();
    let mut rig = Rig::new(3600, false);
    rig.run(&tracks, 0, 5_000, 1_000);
    // nothing of this reaches the disk
    for at in (5_000..9_000).step_by(40) {
        rig.session.push(Arc::new(unit(&tracks, Kind::Video, at, at % 1_000 == 0)));
    }
    rig.session.abandon();
    rig.drain();
    rig.run(&tracks, 12_000, 15_000, 1_000);
    rig.end();
    let pictures = rig.all(Format::Mp4).0;
    let (old, new): (Vec<u32>, Vec<u32>) = pictures.iter().partition(|n| **n < 12_000);
    assert_eq!(old, (0..).step_by(40).take(old.len()).collect::<Vec<_>>());
    assert!(old.len() >= 75, "{}", old.len());
    assert_eq!(new, (12_000..15_000).step_by(40).collect::<Vec<_>>());
    let (start, end) = rig.gaps[0];
    assert!(start < end && end == ms(WALL + 12_000) && rig.gaps.len() == 1);
}

/// A server's worth of parts.
struct Live {
    dir: tempfile::TempDir,
    clock: Clock,
    store: Store,
    registry: Registry,
    recorder: Recorder,
    room: Arc<Space>,
    tally: Places,
    tasks: Tasks,
}

/// Room as a test says.
#[derive(Default)]
struct Space(std::sync::atomic::AtomicBool);

impl Room for Space {
    fn ask(&self, _: &Order) -> Result<(), Full> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(Full { limit: Limit::Quota, why: "9 of 9 bytes".to_owned() }),
            false => Ok(()),
        }
    }
}

async fn live() -> Live {
    open(tempfile::tempdir().unwrap(), ms(WALL)).await
}

/// A server that starts in a directory, at a time.
async fn open(dir: tempfile::TempDir, now: Timestamp) -> Live {
    let (clock, tasks, room) = (Clock::manual(now), Tasks::new(), Arc::new(Space::default()));
    let store = Store::open(&store::Settings::default(), dir.path(), clock.clone()).await.unwrap();
    let registry = Registry::new(crate::stream::Settings::default(), clock.clone(), &tasks);
    let shelf = Shelf::open(Default::default(), dir.path(), store.clone(), clock.clone(), 1000).await.unwrap();
    let tally = Places::default();
    let parts = Parts {
        settings: Settings { fragment: Span::secs(1), ..Settings::default() },
        registry: registry.clone(),
        store: store.clone(),
        shelf,
        room: room.clone(),
        tally: tally.clone(),
        domain: "vs.example.com".to_owned(),
        callbacks: 1000,
    };
    let recorder = Recorder::start(parts, &tasks).await.unwrap();
    Live { dir, clock, store, registry, recorder, room, tally, tasks }
}

impl Live {
    /// A stream that the API knows.
    async fn stream(&self) -> crate::model::stream::Stream {
        let draft = group::Draft::new("g", InProtocol::Rtmp, "flv".parse().unwrap());
        let group = self.store.create_group(Scope::Operator, draft).await.unwrap();
        self.store.create_streams(Scope::Operator, group.id, vec!["cam".to_owned()]).await.unwrap().remove(0)
    }

    async fn template(&self, interval: u32) -> template::Template {
        let path = crate::model::path::PathTemplate::default_of;
        let record = template::Record {
            interval,
            formats: "mp4,flv".parse().unwrap(),
            mp4: path(Purpose::Mp4),
            flv: path(Purpose::Flv),
            hls_m3u8: path(Purpose::HlsM3u8),
            hls_ts: path(Purpose::HlsTs),
            trigger: Trigger::Auto,
            expired: 1,
        };
        let callback = Some("http://127.0.0.1:9/cb".to_owned());
        let draft = template::Draft {
            name: "t".to_owned(),
            description: String::new(),
            callback,
            storage: Storage::default(),
            body: Body::Record(record),
        };
        self.store.create_template(Scope::Operator, draft).await.unwrap()
    }

    fn publish(&self, key: &StreamKey) -> Publisher {
        let mut publisher = self.registry.publish(key, Source { protocol: "test", peer: String::new(), session: SessionId(1) }).unwrap();
        publisher.set_track(Track::Video(video()));
        publisher.set_track(Track::Audio(aac()));
        publisher
    }

    /// Pictures of 40 ms; the clock and the tasks go along.
    async fn run(&self, publisher: &mut Publisher, from: i64, to: i64) {
        for at in (from..to).step_by(40) {
            publisher.push(Raw { kind: Kind::Video, dts: Some(ms(at)), pts: ms(at), key: at % 1_000 == 0, data: picture(at as u32) });
            self.clock.advance(Duration::from_millis(40));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits, in real time, until something is so.
    async fn until<T>(&self, what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
        for _ in 0..500 {
            if let Some(found) = check().await {
                return found;
            }
            self.clock.advance(Duration::from_millis(20));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}: never");
    }

    async fn records(&self, stream: StreamId, kind: RecordKind) -> Vec<Record> {
        let filter = Filter { stream, kind, from: Time(0), to: Time(i64::MAX / 2) };
        self.store.records(Scope::Operator, filter, Page::default()).await.unwrap().items
    }

    async fn close(self) -> tempfile::TempDir {
        self.tasks.finish(Duration::from_secs(5)).await;
        self.recorder.close(Duration::from_secs(5)).await;
        self.store.close().await;
        self.dir
    }

    /// The events that the callback was told, in order.
    async fn told(&self) -> Vec<String> {
        let mut events = Vec::new();
        loop {
            // one of each object at a time
            let taken = self.store.take_callbacks(100, Duration::from_secs(600), &[]).await.unwrap();
            if taken.is_empty() {
                return events;
            }
            for callback::Waiting { id, draft, .. } in taken {
                let callback::Draft { owner, object, url, body } = draft;
                let said: serde_json::Value = serde_json::from_str(&body).unwrap();
                events.extend(said["event"].as_str().map(str::to_owned));
                let at = Time(0);
                let done = callback::Delivery {
                    id,
                    owner,
                    object,
                    url,
                    body,
                    tried: 1,
                    at,
                    took_ms: 0,
                    status: 200,
                    error: String::new(),
                    last: true,
                };
                self.store.finish_callback(done, store::Outcome::Finished).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_template_that_is_bound_records_at_once_and_one_that_is_unbound_ends() {
    let live = live().await;
    let stream = live.stream().await;
    let (key, instance) = (stream.key().unwrap(), Instance::Stream(stream.id));
    let mut publisher = live.publish(&key);
    live.run(&mut publisher, 0, 1_000).await;
    assert!(live.recorder.running().is_empty());
    let template = live.template(4).await;
    live.store.bind(Scope::Operator, template.id, instance, How::default()).await.unwrap();
    let running = live.until("recording", async || live.recorder.running().pop().filter(|r| r.state == State::Recording)).await;
    assert_eq!((running.stream, running.template, running.on_demand), (stream.id, Some(template.id), false));
    live.run(&mut publisher, 1_000, 11_000).await;
    let records = live.until("two files", async || Some(live.records(stream.id, RecordKind::Record).await).filter(|r| r.len() >= 4)).await;
    for record in &records {
        assert_eq!((record.recording, record.template), (Some(running.id), Some(template.id)));
        assert!(record.duration_ms > 2_900 && record.size > 1_000 && record.width > 0, "{record:?}");
        let file = live.dir.path().join("records").join(&record.place.object);
        assert_eq!(std::fs::metadata(&file).unwrap().len(), record.size, "{}", file.display());
    }
    live.store.unbind(Scope::Operator, Some(template.id), None, instance).await.unwrap();
    live.until("no recording", async || live.recorder.running().is_empty().then_some(())).await;
    let last = live
        .until("the last files", async || Some(live.records(stream.id, RecordKind::Record).await).filter(|r| r.len() > records.len()))
        .await;
    assert!(last.len() >= 6);
    let spool = live.recorder.0.parts.shelf.spool().to_owned();
    live.until("drafts are gone", async || (std::fs::read_dir(&spool).unwrap().count() == 0).then_some(())).await;
    let told = live.store.take_callbacks(100, Duration::from_secs(1), &[]).await.unwrap();
    assert!(told.iter().any(|w| w.draft.body.contains("record_started")), "{told:?}");
    drop(publisher);
    live.close().await;
}

#[tokio::test]
async fn a_recording_on_demand_begins_in_the_past_waits_for_its_stream_and_leaves_nothing_when_stopped() {
    let live = live().await;
    let stream = live.stream().await;
    let key = stream.key().unwrap();
    let asked = Order {
        stream: stream.id,
        group: stream.group,
        owner: stream.owner,
        key: key.clone(),
        ..order(3600, Formats::NONE.with(Format::Mp4))
    };
    assert_eq!(live.recorder.record(Order { formats: Formats::NONE, ..asked.clone() }, true).await, Err(Refused::Nothing));
    let mut publisher = live.publish(&key);
    live.run(&mut publisher, 0, 1_600).await;
    let id = live.recorder.record(asked, true).await.unwrap();
    live.run(&mut publisher, 1_600, 4_000).await;
    assert!(live.recorder.stop(id).await.unwrap() && !live.recorder.stop(id).await.unwrap());
    let records = live
        .until("the file", async || Some(live.store.records_of_recording(Scope::Operator, id, 10).await.unwrap()).filter(|r| !r.is_empty()))
        .await;
    // from the key frame that was there before it was asked for
    assert_eq!((records.len(), records[0].start), (1, Time(WALL + 1_000)), "{records:?}");
    assert!((records[0].duration_ms - 3_000).abs() <= 80, "{records:?}");
    drop(publisher);
    live.close().await;
}

#[tokio::test]
async fn drafts_that_a_crash_left_are_finished_at_the_next_start() {
    let tracks = both();
    let mut rig = Rig::new(3600, false);
    rig.run(&tracks, 0, 7_000, 2_000);
    let live = live().await;
    let stream = live.stream().await;
    let spool = live.recorder.0.parts.shelf.spool().to_owned();
    for entry in std::fs::read_dir(rig.dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mut bytes = std::fs::read(entry.path()).unwrap();
        if entry.path().extension().is_some_and(|end| end == "json") {
            bytes = String::from_utf8(bytes).unwrap().replace("\"stream\":\"3\"", &format!("\"stream\":\"{}\"", stream.id)).into();
        }
        std::fs::write(spool.join(entry.file_name()), bytes).unwrap();
    }
    std::fs::write(spool.join("1-1-mp4.json"), "{\"version\":1").unwrap();
    live.clock.advance(Duration::from_secs(61));
    let records =
        live.until("three files", async || Some(live.records(stream.id, RecordKind::Record).await).filter(|r| r.len() == 3)).await;
    assert!(records.iter().all(|r| r.start == Time(WALL) && r.duration_ms > 4_900), "{records:?}");
    let hls = records.iter().find(|r| r.format == Some(Format::Hls)).unwrap();
    let root = live.dir.path().join("records");
    let text = std::fs::read_to_string(root.join(&hls.place.object)).unwrap();
    let list = hls_m3u8::MediaPlaylist::try_from(text.as_str()).unwrap();
    let folder = root.join(&hls.place.object).parent().unwrap().to_owned();
    assert!(list.segments.values().all(|s| folder.join(s.uri().as_ref()).exists()), "{text}");
    live.close().await;
}

#[tokio::test]
async fn what_was_ordered_goes_on_after_a_restart_until_it_is_stopped() {
    let mut live = live().await;
    let stream = live.stream().await;
    let key = stream.key().unwrap();
    let asked = Order {
        stream: stream.id,
        group: stream.group,
        owner: stream.owner,
        key: key.clone(),
        callback: Some("http://127.0.0.1:9/cb".to_owned()),
        ..order(3600, Formats::NONE.with(Format::Mp4))
    };
    let id = live.recorder.record(asked.clone(), true).await.unwrap();
    let passing = live.recorder.record(asked.clone(), false).await.unwrap();
    let since = live.recorder.running().iter().find(|r| r.id == id).unwrap().since;
    assert_eq!(live.recorder.running().len(), 2);
    let mut names = Vec::new();
    for round in 0..2i64 {
        let mut publisher = live.publish(&key);
        live.run(&mut publisher, 0, 3_000).await;
        // an orderly stop, and a draft that a crash leaves behind beside it
        let spool = live.recorder.0.parts.shelf.spool().to_owned();
        if round == 1 {
            std::fs::write(spool.join(format!("{id}-7-mp4.part")), b"torn").unwrap();
        }
        drop(publisher);
        let now = live.clock.unix() + ms(60_000);
        let dir = live.close().await;
        live = open(dir, now).await;
        let running = live.recorder.running();
        assert_eq!(running.iter().map(|r| (r.id, r.since, r.on_demand, r.formats)).collect::<Vec<_>>(), [(id, since, true, asked.formats)]);
        assert!(running.iter().all(|r| r.id != passing));
        let records = live
            .until("a file", async || {
                Some(live.store.records_of_recording(Scope::Operator, id, 10).await.unwrap()).filter(|r| r.len() as i64 > round)
            })
            .await;
        names = records.into_iter().map(|record| record.place.object).collect();
    }
    assert!(names.len() == 2 && names[0] != names[1], "{names:?}");
    // the next file is numbered behind the one that the crash left
    let kept = live.store.recordings().await.unwrap();
    assert_eq!((kept.len(), kept[0].sequence), (1, 7), "{kept:?}");
    assert!(live.recorder.stop(id).await.unwrap());
    let now = live.clock.unix();
    let live = open(live.close().await, now).await;
    assert!(live.recorder.running().is_empty());
    // a stream that is gone takes its orders along, whether the server runs or not
    let id = live.recorder.record(asked.clone(), true).await.unwrap();
    assert_eq!(live.recorder.running().iter().map(|r| r.id).collect::<Vec<_>>(), [id]);
    live.store.delete_stream(Scope::Operator, stream.id).await.unwrap();
    live.until("forgotten", async || live.recorder.running().is_empty().then_some(())).await;
    assert!(live.store.recordings().await.unwrap().is_empty());
    live.store.put_recording(crate::model::recording::Ordered { id, since, sequence: 0, order: asked }).await.unwrap();
    let live = open(live.close().await, now).await;
    assert!(live.recorder.running().is_empty() && live.store.recordings().await.unwrap().is_empty());
    live.close().await;
}

#[tokio::test]
async fn a_recording_beyond_the_quota_says_so_and_begins_when_there_is_room() {
    let live = live().await;
    let (one, two) = (live.stream().await, live.stream().await);
    let operator = || "operator".parse().unwrap();
    live.store.set_tenant_quota(operator(), vec![(What::Recordings, Some(1))]).await.unwrap();
    let template = live.template(4).await;
    for stream in [&one, &two] {
        live.store.bind(Scope::Operator, template.id, Instance::Stream(stream.id), How::default()).await.unwrap();
    }
    let of = async |id: StreamId, state| live.recorder.running().into_iter().find(|r| r.stream == id && r.state == state);
    let mut first = live.publish(&one.key().unwrap());
    live.until("the first", async || of(one.id, State::Recording).await).await;
    let second = live.publish(&two.key().unwrap());
    let refused = live.until("the second is refused", async || of(two.id, State::Failing).await).await;
    assert!(refused.trouble.contains("quota of 1 recordings at once") && refused.files == 0, "{refused:?}");
    // It stays so, and is told once.
    live.run(&mut first, 0, 12_000).await;
    assert!(of(two.id, State::Failing).await.is_some() && of(one.id, State::Recording).await.is_some());
    let told = live.store.take_callbacks(100, Duration::from_secs(1), &[]).await.unwrap();
    let errors = told.iter().filter(|w| w.draft.object == format!("record/{}", two.id) && w.draft.body.contains("record_error"));
    assert_eq!(errors.count(), 1, "{told:?}");
    // Who asks at the door hears it; a stream that is recorded already takes no second place.
    let asked = |stream: &crate::model::stream::Stream| Order {
        stream: stream.id,
        group: stream.group,
        owner: stream.owner,
        key: stream.key().unwrap(),
        ..order(3600, Formats::NONE.with(Format::Mp4))
    };
    let exceeded = Exceeded { what: What::Recordings, limit: 1 };
    assert_eq!(live.recorder.record(asked(&two), false).await, Err(Refused::Quota(exceeded)));
    let beside = live.recorder.record(asked(&one), false).await.unwrap();
    live.until("beside the template", async || live.recorder.running().into_iter().find(|r| r.id == beside && r.state == State::Recording))
        .await;
    assert_eq!(live.tally.count(one.owner, What::Recordings), 1);
    live.recorder.stop(beside).await.unwrap();
    live.store.unbind(Scope::Operator, Some(template.id), None, Instance::Stream(one.id)).await.unwrap();
    live.until("there is room", async || of(two.id, State::Recording).await).await;
    drop((first, second));
    live.close().await;
}

#[tokio::test]
async fn a_file_that_was_begun_is_finished_and_none_is_begun_when_the_storage_is_full() {
    let live = live().await;
    let stream = live.stream().await;
    let operator = || "operator".parse().unwrap();
    live.store.set_tenant_quota(operator(), vec![(What::Storage, Some(1))]).await.unwrap();
    let template = live.template(4).await;
    live.store.bind(Scope::Operator, template.id, Instance::Stream(stream.id), How::default()).await.unwrap();
    let mut publisher = live.publish(&stream.key().unwrap());
    live.until("recording", async || live.recorder.running().pop().filter(|r| r.state == State::Recording)).await;
    live.run(&mut publisher, 0, 5_000).await;
    // The first files, of both formats; the second ones were begun before anything was stored.
    let stored = async || live.store.possessions(stream.owner).await.unwrap().stored;
    live.until("the first files", async || {
        (live.records(stream.id, RecordKind::Record).await.len() == 2 && stored().await > 0).then_some(())
    })
    .await;
    live.run(&mut publisher, 5_000, 10_000).await;
    let refused = live.until("refused", async || live.recorder.running().pop().filter(|r| r.state == State::Failing)).await;
    assert!(refused.trouble.contains("QuotaExceeded.Storage"), "{refused:?}");
    live.run(&mut publisher, 10_000, 14_000).await;
    let records =
        live.until("whole files", async || Some(live.records(stream.id, RecordKind::Record).await).filter(|r| r.len() == 4)).await;
    assert!(records.iter().all(|record| (record.duration_ms - 4_000).abs() <= 80), "{records:?}");
    assert_eq!(stored().await, records.iter().map(|record| i64::try_from(record.size).unwrap()).sum::<i64>());
    let asked = Order { stream: stream.id, owner: stream.owner, key: stream.key().unwrap(), ..order(60, Formats::NONE.with(Format::Mp4)) };
    let told = live.recorder.record(asked, false).await.unwrap_err().to_string();
    assert!(told.contains("QuotaExceeded.Storage"), "{told}");
    // There is room again: it goes on, and what is missing is written down.
    live.store.set_tenant_quota(operator(), vec![(What::Storage, None)]).await.unwrap();
    live.run(&mut publisher, 14_000, 26_000).await;
    live.until("it goes on", async || (live.records(stream.id, RecordKind::Record).await.len() > 4).then_some(())).await;
    let gaps = live.records(stream.id, RecordKind::Gap).await;
    let after = live.records(stream.id, RecordKind::Record).await.remove(4);
    // One gap, however often it was tried.
    let gaps: Vec<_> = gaps.iter().map(|gap| (gap.start, gap.end)).collect();
    assert_eq!(gaps, [(records[3].end, after.start)], "{records:?}");
    drop(publisher);
    live.close().await;
}

#[tokio::test]
async fn no_room_is_told_is_a_gap_and_is_over_by_itself() {
    let live = live().await;
    let stream = live.stream().await;
    let key = stream.key().unwrap();
    let template = live.template(4).await;
    live.store.bind(Scope::Operator, template.id, Instance::Stream(stream.id), How::default()).await.unwrap();
    live.room.0.store(true, Ordering::Relaxed);
    let mut publisher = live.publish(&key);
    let mut at = 0;
    let mut run = async |publisher: &mut Publisher, until: &str, check: &dyn Fn(&Running) -> bool| {
        for _ in 0..60 {
            live.run(publisher, at, at + 1_000).await;
            at += 1_000;
            if live.recorder.running().first().is_some_and(check) {
                return at;
            }
        }
        panic!("{until}: never: {:?}", live.recorder.running());
    };
    let refused =
        run(&mut publisher, "refused", &|r| r.state == State::Failing && r.trouble.contains("quota") && r.trouble.contains("9 of 9")).await;
    assert!(live.records(stream.id, RecordKind::Record).await.is_empty());
    assert_eq!((live.recorder.counts().refused, live.recorder.counts().failing), (1, 1));
    live.room.0.store(false, Ordering::Relaxed);
    let again = run(&mut publisher, "there is room", &|r| r.state == State::Recording && r.files >= 2).await;
    assert!(again > refused);
    // a file that is open goes on to its end; the next one does not begin
    live.room.0.store(true, Ordering::Relaxed);
    run(&mut publisher, "refused again", &|r| r.state == State::Failing).await;
    let files = live.recorder.running()[0].files;
    run(&mut publisher, "still refused", &|r| r.state == State::Failing).await;
    assert!(live.recorder.running()[0].files <= files + 2, "an open file is finished, no more");
    drop(publisher);
    // Its grace, which begins when the registry notices, not here.
    live.until("no recording", async || {
        live.clock.advance(Duration::from_millis(100));
        live.recorder.running().is_empty().then_some(())
    })
    .await;
    let gaps = live.until("two gaps", async || Some(live.records(stream.id, RecordKind::Gap).await).filter(|g| g.len() == 2)).await;
    assert!(gaps.iter().all(|gap| gap.duration_ms >= 900 && gap.size == 0), "{gaps:?}");
    let records = live.records(stream.id, RecordKind::Record).await;
    for gap in &gaps {
        assert!(records.iter().all(|r| r.end <= gap.start || r.start >= gap.end), "{gap:?} {records:?}");
    }
    assert_eq!((live.recorder.counts().refused, live.recorder.counts().gaps), (2, 2));
    assert_eq!(live.told().await, ["record_started", "record_error", "record_resumed", "record_error", "record_paused"]);
    live.close().await;
}

#[test]
fn sound_that_came_before_the_first_picture_is_recorded() {
    let tracks = both();
    let deaf = Arc::new(Tracks { video: None, audio: tracks.audio.clone() });
    let mut rig = Rig::new(3600, false);
    // the first frames do not know of the picture yet
    for (at, tracks) in [(0, &deaf), (64, &deaf), (128, &tracks), (192, &tracks)] {
        rig.push(unit(tracks, Kind::Audio, at, true));
    }
    rig.push(unit(&tracks, Kind::Video, 120, false));
    for at in (200..4_000).step_by(40) {
        rig.push(unit(&tracks, Kind::Video, at, at == 200));
        for sound in (at..at + 40).filter(|sound| sound % 64 == 0 && *sound > 192) {
            rig.push(unit(&tracks, Kind::Audio, sound, true));
        }
    }
    rig.end();
    for format in ALL {
        let (pictures, sound) = rig.all(format);
        assert_eq!(pictures, (200..4_000).step_by(40).collect::<Vec<_>>(), "{format}");
        assert_eq!(sound, (0..).step_by(64).take(sound.len()).collect::<Vec<_>>(), "{format}");
        assert!(sound.len() >= 61, "{format}: {}", sound.len());
    }
}
