//! Chunks on a real disk, read back as lists, pieces and films.

use super::chunk;
use super::follow::sweep_once;
use super::past::{Stretch, find};
use super::sink::Chunks;
use super::*;
use crate::media::frame::Kind;
use crate::media::track::{Tracks, VideoTrack};
use crate::worker::record::disk::Disk;
use crate::worker::record::session::{Rules, Session};
use crate::worker::record::tests::{WALL, both, ms, number, order, unit, video};
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

struct Rig {
    dir: tempfile::TempDir,
    key: StreamKey,
    session: Session,
    disk: Disk,
}

impl Rig {
    fn new(chunk: u32) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let key = StreamKey::parse("app/cam.1").unwrap();
        let folder = folder(&dir.path().join("timeshift"), &key);
        std::fs::create_dir_all(&folder).unwrap();
        let rules = Rules { fragment: Duration::from_secs(4), align: true, segment: Duration::from_secs(4) };
        let order = Arc::new(order(chunk, Default::default()));
        let sinks: Vec<Box<dyn crate::worker::record::sink::Sink>> = vec![Box::new(Chunks::new(Duration::from_secs(4)))];
        let session = Session::with(order, crate::model::id::RecordingId(0), 0, rules, sinks, true);
        Rig { dir, key, session, disk: Disk::new(&folder) }
    }

    fn folder(&self) -> PathBuf {
        folder(&self.dir.path().join("timeshift"), &self.key)
    }

    fn pictures(&mut self, tracks: &Arc<Tracks>, from: i64, to: i64, wall: i64) {
        for at in (from..to).step_by(40) {
            let mut picture = unit(tracks, Kind::Video, at, at % 2_000 == 0);
            picture.wall = picture.wall + ms(wall);
            self.session.push(Arc::new(picture));
            if at % 320 == 0 {
                let mut sound = unit(tracks, Kind::Audio, at, true);
                sound.wall = sound.wall + ms(wall);
                self.session.push(Arc::new(sound));
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        self.disk.perform(self.session.ops.take()).1.unwrap();
    }

    async fn shift(&self, now: i64) -> (Shift, Tasks) {
        let (clock, tasks) = (Clock::manual(ms(WALL + now)), Tasks::new());
        let store = Store::open(&crate::store::Settings::default(), self.dir.path(), clock.clone()).await.unwrap();
        let registry = Registry::new(crate::stream::Settings::default(), clock, &tasks);
        let parts = Parts { settings: Settings::default(), registry, store, data_dir: self.dir.path().to_owned() };
        (Shift::open(parts, &tasks).unwrap(), tasks)
    }
}

/// The pictures that a film holds, by their numbers, and its length in milliseconds.
fn pictures_of(film: &Film) -> (Vec<u32>, u128) {
    let mut bytes = Vec::new();
    loop {
        let piece = film.read(bytes.len() as u64, 7_001).unwrap();
        if piece.is_empty() {
            break;
        }
        bytes.extend(piece);
    }
    assert_eq!(bytes.len() as u64, film.length());
    let size = bytes.len() as u64;
    let mut reader = ::mp4::Mp4Reader::read_header(Cursor::new(bytes), size).unwrap();
    let count = reader.sample_count(1).unwrap();
    let numbers = (1..=count).map(|n| number(&reader.read_sample(1, n).unwrap().unwrap().bytes)).collect();
    (numbers, reader.duration().as_millis())
}

#[tokio::test]
async fn any_moment_of_the_past_plays() {
    let tracks = both();
    let mut rig = Rig::new(20);
    rig.pictures(&tracks, 0, 50_000, 0);
    // the server was away for ten minutes; its stream begins anew
    rig.session.end();
    rig.drain();
    let mut later = Rig::new(20);
    later.pictures(&tracks, 0, 9_000, 650_000);
    later.session.end();
    later.drain();
    for entry in std::fs::read_dir(later.folder()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), rig.folder().join(entry.file_name())).unwrap();
    }
    let (shift, _tasks) = rig.shift(660_000).await;
    let at = |n: i64| ms(WALL + n);
    let list = async |stretch| shift.playlist(&rig.key, stretch, "?past=x").await.unwrap().0;
    let text = list(Stretch::Between(at(10_000), at(700_000))).await;
    let list_of = |text: &str| {
        let lengths: Vec<f64> = text.lines().filter_map(|l| l.strip_prefix("#EXTINF:")?.strip_suffix(',')?.parse().ok()).collect();
        (lengths.len(), lengths.iter().sum::<f64>())
    };
    // the segment that holds second 10 begins at 8
    let (count, seconds) = list_of(&text);
    assert!((10..=15).contains(&count) && (seconds - 51.0).abs() < 0.1, "{count} {seconds}\n{text}");
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
    assert!(text.ends_with("#EXT-X-ENDLIST\n") && text.contains("#EXT-X-PLAYLIST-TYPE:VOD"), "{text}");
    // each piece is there, and is what the list says
    let mut maps = 0;
    for line in text.lines() {
        let (address, init) = match line.strip_prefix("#EXT-X-MAP:URI=\"") {
            Some(rest) => (rest.trim_end_matches('"'), true),
            None if line.starts_with('/') => (line, false),
            None => continue,
        };
        let parts: Vec<&str> = address.split_once("?past=x").unwrap().0.split('/').collect();
        assert_eq!(parts[1..4], ["past", "app", "cam%2e1"]);
        let n = parts[5].strip_suffix(".m4s").map(|n| n.parse().unwrap());
        let bytes = shift.piece(&rig.key, parts[4].parse().unwrap(), n, None).await.unwrap();
        assert_eq!(&bytes[4..8], if init { b"ftyp" } else { b"moof" });
        maps += usize::from(init);
    }
    assert!(maps >= 4, "a map for each chunk: {text}");
    let film = shift.film(&rig.key, at(10_000), at(700_000)).await.unwrap();
    // from the key frame on, which is at second 10 itself
    let (numbers, length) = pictures_of(&film);
    let expected: Vec<u32> = (10_000..50_000).step_by(40).chain((0..9_000).step_by(40)).collect();
    assert_eq!(numbers, expected);
    assert!((48_900..50_000).contains(&length), "{length}");
    // up to the present, and behind it
    let text = list(Stretch::From(at(651_000))).await;
    assert!(text.contains("PLAYLIST-TYPE:EVENT") && !text.contains("ENDLIST"), "{text}");
    let text = list(Stretch::Behind { since: at(50_000), delay: Duration::from_secs(20) }).await;
    assert!(!text.contains("ENDLIST") && list_of(&text).0 <= 6, "{text}");
    assert!(shift.playlist(&rig.key, Stretch::Between(at(100_000), at(200_000)), "").await.is_err());
    assert!(shift.film(&StreamKey::parse("app/other").unwrap(), at(0), at(1)).await.is_err());
    assert!(shift.piece(&rig.key, 5, None, None).await.is_err());
}

#[tokio::test]
async fn ten_minutes_back_plays_from_the_second_to_the_second() {
    let tracks = both();
    let mut rig = Rig::new(120);
    // key frames ten seconds apart: what begins between them is decoded from the one before
    for at in (0..700_000).step_by(200) {
        rig.session.push(Arc::new(unit(&tracks, Kind::Video, at, at % 10_000 == 0)));
        rig.session.push(Arc::new(unit(&tracks, Kind::Audio, at, true)));
    }
    rig.drain();
    let (shift, _tasks) = rig.shift(690_000).await;
    let at = |n: i64| ms(WALL + n);
    // it is second 690: ten minutes ago it was second 90
    let film = shift.film(&rig.key, at(93_000), at(99_000)).await.unwrap();
    let (numbers, length) = pictures_of(&film);
    assert_eq!(numbers, (90_000..99_000).step_by(200).collect::<Vec<_>>());
    assert_eq!(length, 6_000, "what is decoded before the beginning is not shown");
    let (text, _) = shift.playlist(&rig.key, Stretch::Between(at(93_000), at(105_000)), "?past=x").await.unwrap();
    assert!(text.contains("#EXT-X-START:TIME-OFFSET=3.000,PRECISE=YES\n"), "{text}");
    let lengths: Vec<f64> = text.lines().filter_map(|l| l.strip_prefix("#EXTINF:")?.strip_suffix(',')?.parse().ok()).collect();
    assert_eq!(lengths, [10.0, 5.0], "{text}");
    let last = text.lines().rfind(|line| line.starts_with('/')).unwrap();
    let parts: Vec<&str> = last.split_once("-5000.m4s?past=x").unwrap().0.split('/').collect();
    let (chunk, n) = (parts[4].parse().unwrap(), parts[5].parse().unwrap());
    let whole = shift.piece(&rig.key, chunk, Some(n), None).await.unwrap();
    let part = shift.piece(&rig.key, chunk, Some(n), Some(5_000)).await.unwrap();
    // far from a key frame: the segments before it that it needs come along
    let mut sparse = Rig::new(600);
    for at in (0..40_000).step_by(200) {
        sparse.session.push(Arc::new(unit(&tracks, Kind::Video, at, at % 30_000 == 0)));
    }
    sparse.session.end();
    sparse.drain();
    let found = find(&sparse.folder(), WALL + 25_000, WALL + 26_000).unwrap();
    let begins: Vec<(i64, bool)> = found.iter().map(|f| (f.entry.wall - WALL, f.entry.key)).collect();
    assert_eq!(begins, [(0, true), (12_000, false), (24_000, false)]);
    let film = super::film::make(&sparse.folder(), &found, WALL + 25_000, WALL + 26_000).unwrap().unwrap();
    assert_eq!((pictures_of(&film).0.len(), pictures_of(&film).1), (130, 1_000));
    let key = find(&sparse.folder(), WALL + 31_000, WALL + 32_000).unwrap();
    assert_eq!(key.iter().map(|f| f.entry.wall - WALL).collect::<Vec<_>>(), [30_000]);
    // each picture ends with its number
    let count = |bytes: &[u8]| {
        (100_000..110_000u32).step_by(200).filter(|n| bytes.windows(8).any(|w| w[..4] == [0x55; 4] && w[4..] == n.to_be_bytes())).count()
    };
    assert_eq!((count(&whole), count(&part)), (50, 25));
    // at a distance of ten minutes
    let (text, _) = shift.playlist(&rig.key, Stretch::Behind { since: at(690_000), delay: Duration::from_secs(600) }, "").await.unwrap();
    let dates: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:")).collect();
    let newest = jiff::Timestamp::from_millisecond(WALL + 80_000).unwrap();
    assert_eq!(dates.last().map(|date| date.parse().unwrap()), Some(newest), "{text}");
    assert!(!text.contains("ENDLIST"));
}

#[test]
fn what_a_crash_cut_off_is_not_listed_and_a_new_codec_ends_a_film() {
    let first = both();
    let second = Arc::new(Tracks { video: Some(Arc::new(VideoTrack { width: 640, ..video() })), audio: first.audio.clone() });
    let mut rig = Rig::new(600);
    rig.pictures(&first, 0, 20_000, 0);
    rig.pictures(&second, 20_000, 30_000, 0);
    rig.session.end();
    rig.drain();
    let folder = rig.folder();
    let found = find(&folder, WALL, WALL + 100_000).unwrap();
    assert_eq!(found.iter().filter(|f| f.breaks).map(|f| f.entry.wall - WALL).collect::<Vec<_>>(), [0, 20_000]);
    let film = super::film::make(&folder, &found, WALL, WALL + 100_000).unwrap().unwrap();
    assert_eq!(pictures_of(&film).0, (0..20_000).step_by(40).collect::<Vec<_>>());
    let chunk = found[0].chunk;
    let whole = chunk::read(&folder, chunk).unwrap();
    let path = folder.join(chunk::film(chunk));
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(whole.last().unwrap().offset + 10).unwrap();
    assert_eq!(chunk::read(&folder, chunk).unwrap(), whole[..whole.len() - 1]);
    let index = folder.join(chunk::index(chunk));
    let text = std::fs::read(&index).unwrap();
    std::fs::write(&index, &text[..text.len() / 2]).unwrap();
    assert!(chunk::read(&folder, chunk).unwrap().len() < whole.len());
}

#[test]
fn what_is_too_old_or_too_much_is_deleted() {
    let tracks = both();
    let mut rig = Rig::new(10);
    rig.pictures(&tracks, 0, 60_000, 0);
    rig.session.end();
    rig.drain();
    let (root, folder) = (rig.dir.path().join("timeshift"), rig.folder());
    let chunks = chunk::list(&folder).unwrap();
    assert!(chunks.len() >= 6, "{chunks:?}");
    let days: HashMap<PathBuf, u32> = [(folder.clone(), 1)].into();
    let day = 86_400_000;
    assert_eq!(sweep_once(&root, &days, 0, WALL + day).unwrap(), 0);
    // those that ended more than a day ago
    assert_eq!(sweep_once(&root, &days, 0, chunks[2] + day + 1).unwrap(), 2);
    let size: u64 = chunks[2..].iter().map(|c| std::fs::metadata(folder.join(chunk::film(*c))).unwrap().len()).sum();
    assert_eq!(sweep_once(&root, &days, size - 1, WALL + 60_000).unwrap(), 1);
    assert_eq!(chunk::list(&folder).unwrap(), chunks[3..]);
    assert_eq!(sweep_once(&root, &days, 0, WALL + 3 * day).unwrap(), chunks.len() - 3);
    assert!(chunk::list(&folder).unwrap().is_empty());
}
