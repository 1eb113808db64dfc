//! The real helper executable with real media.

use std::time::Duration;
use weir::av::{Helper, Settings};
use weir::base::id::{SessionId, StreamKey};
use weir::container::flv::{Demuxer, Item, Reader};
use weir::media::frame::Kind;
use weir::media::nal;
use weir::media::track::{AudioCodec, Track, VideoCodec};
use weir::proto::av::{Ask, Codec, Reply, Rule};
use weir::runtime::clock::Clock;
use weir::runtime::task::Tasks;
use weir::stream::{Class, Derived, Raw, Recv, Registry, Source, Start};
use weir::worker::sound::Sound;

fn settings() -> Settings {
    Settings { program: env!("CARGO_BIN_EXE_weir-av").into(), ..Settings::default() }
}

/// Everything in a fixture, demuxed.
fn items(name: &str) -> Vec<Item> {
    let bytes = std::fs::read(format!("{}/fixtures/media/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (mut reader, mut demuxer, mut rest, mut items) = (Reader::new(1 << 24), Demuxer::new(), &bytes[..], Vec::new());
    while let Some(tag) = reader.read(&mut rest).unwrap() {
        demuxer.push(tag.kind, tag.timestamp, &tag.data).unwrap();
        items.extend(std::iter::from_fn(|| demuxer.pull()));
    }
    items
}

/// The first key frame of a fixture as Annex B, with its codec.
fn key_frame(name: &str) -> (Codec, Vec<u8>, (u32, u32)) {
    let (mut codec, mut data, mut size) = (Codec::H264, Vec::new(), (0, 0));
    for item in items(name) {
        match item {
            Item::Track(Track::Video(v)) => {
                size = (v.width, v.height);
                let sets = match v.codec {
                    VideoCodec::H264 { sps, pps } => [sps, pps].concat(),
                    VideoCodec::H265 { vps, sps, pps } => {
                        codec = Codec::H265;
                        [vps, sps, pps].concat()
                    }
                    other => panic!("{other:?}"),
                };
                data = sets.iter().flat_map(|set| [&[0, 0, 0, 1], &set[..]].concat()).collect();
            }
            Item::Frame(f) if f.kind == Kind::Video && f.key => {
                nal::put_annex_b(&f.data, &mut data);
                return (codec, data, size);
            }
            _ => {}
        }
    }
    panic!("{name} has no key frame");
}

#[tokio::test]
async fn pictures_of_both_codecs_have_the_asked_size() {
    let tasks = Tasks::new();
    let helper = Helper::new(settings(), &tasks);
    for name in ["h264_aac.flv", "h265_aac_enhanced.flv"] {
        let (codec, data, (w, h)) = key_frame(name);
        for longest in [0, 160] {
            let ask = Ask::Snapshot { codec, width: longest, height: 0, quality: 80, data: data.clone().into() };
            let Reply::Picture { width, height, jpeg } = helper.ask(ask, Duration::from_secs(20)).await.unwrap() else {
                panic!("no picture")
            };
            let expected = if longest == 0 { (w, h) } else { (160, (160 * h / w) & !1) };
            assert_eq!((u32::from(width), u32::from(height)), expected, "{name}");
            assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]) && jpeg.len() > 1000, "{name}: a JPEG file");
        }
    }
    let broken = Ask::Snapshot { codec: Codec::H264, width: 0, height: 0, quality: 80, data: vec![0, 0, 0, 1, 0x65, 1, 2, 3].into() };
    assert!(helper.ask(broken, Duration::from_secs(20)).await.unwrap_err().contains("does not decode"));
    assert!(tasks.finish(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test]
async fn a_rule_changes_size_and_rate_and_an_overload_never_reaches_the_source() {
    let tasks = Tasks::new();
    let helper = Helper::new(settings(), &tasks);
    let rules =
        vec![Rule { width: 160, height: 90, fps: 5, gop: 10, bitrate: 100_000 }, Rule { width: 0, height: 0, fps: 0, gop: 0, bitrate: 0 }];
    let mut task = helper.start(Ask::OpenVideo { codec: Codec::H264, rules }).await.unwrap();
    let (mut sets, mut sent) = (Vec::new(), 0);
    for item in items("h264_bframes_aac.flv") {
        match item {
            Item::Track(Track::Video(v)) => {
                let VideoCodec::H264 { sps, pps } = v.codec else { panic!("not H.264") };
                sets = [sps, pps].concat().iter().flat_map(|set| [&[0, 0, 0, 1], &set[..]].concat()).collect();
            }
            Item::Frame(f) if f.kind == Kind::Video => {
                let mut data = if f.key { sets.clone() } else { Vec::new() };
                nal::put_annex_b(&f.data, &mut data);
                assert!(task.send(Ask::Frame { pts: f.pts, dts: f.dts, key: f.key, data: data.into() }));
                sent += 1;
            }
            _ => {}
        }
    }
    let mut counts = [0; 2];
    // The decoder keeps some frames for reordering until the job is closed.
    while let Ok(Some(reply)) = tokio::time::timeout(Duration::from_secs(3), task.next()).await {
        match reply {
            Reply::Frame { rule, key, data, .. } => {
                if counts[usize::from(rule)] == 0 {
                    assert!(key && data.starts_with(&[0, 0, 0, 1]));
                }
                counts[usize::from(rule)] += 1;
            }
            Reply::Video { rule, sets } => {
                let access = nal::from_annex_b(nal::Family::H264, &sets);
                let track = weir::media::h264::track_from_sets(access.sets.sps, access.sets.pps).unwrap();
                if rule == 0 {
                    assert_eq!((track.width, track.height), (160, 90));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(counts[1] + 8 >= sent && counts[1] <= sent, "{counts:?} of {sent}");
    assert!(counts[0] < counts[1] / 3, "{counts:?}");
}

#[tokio::test]
async fn g711_becomes_aac_and_aac_becomes_opus_and_g711_beside_the_same_pictures() {
    let all = [
        ("h264_g711a.flv", Derived::Aac),
        ("h264_g711u.flv", Derived::Aac),
        ("h264_aac.flv", Derived::Opus),
        ("h264_aac.flv", Derived::G711a),
        ("h264_mp3.flv", Derived::G711a),
    ];
    for (fixture, derived) in all {
        let tasks = Tasks::new();
        let registry = Registry::new(Default::default(), Clock::real(), &tasks);
        let helper = Helper::new(settings(), &tasks);
        Sound::start(&settings(), &registry, &helper, &tasks);
        let key = StreamKey::parse("live/cam").unwrap();
        let mut publisher = registry.publish(&key, Source { protocol: "test", peer: String::new(), session: SessionId(1) }).unwrap();
        let mut items = items(fixture).into_iter();
        let mut give = |count: usize| {
            for item in items.by_ref().take(count) {
                match item {
                    Item::Track(track) => publisher.set_track(track),
                    Item::Frame(f) => publisher.push(Raw { kind: f.kind, dts: Some(f.dts), pts: f.pts, key: f.key, data: f.data }),
                }
            }
        };
        give(10);
        let name = derived.of(&key).unwrap();
        let mut sub = registry.wait_for(&name, Class::Viewer, Start::Key, Duration::from_secs(10)).await.unwrap();
        let (mut batch, mut pictures, mut sounds, mut loud) = (Vec::new(), 0, 0, false);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while (pictures < 30 || sounds < 10) && tokio::time::Instant::now() < deadline {
            give(5);
            let Ok(Recv::Units) = tokio::time::timeout(Duration::from_millis(100), sub.recv(&mut batch)).await else { continue };
            for unit in &batch {
                match unit.frame.kind {
                    Kind::Video => pictures += 1,
                    Kind::Audio => {
                        sounds += 1;
                        let audio = unit.tracks.audio.as_ref().unwrap();
                        match (&audio.codec, derived) {
                            (AudioCodec::Aac { config }, Derived::Aac) => assert!(!config.is_empty()),
                            (AudioCodec::G711A, Derived::G711a) => {
                                assert_eq!((audio.sample_rate, audio.channels, unit.frame.data.len()), (8_000, 1, 160));
                                // 0xd5 and 0x55 are silence
                                loud |= unit.frame.data.iter().any(|code| !matches!(code | 0x80, 0xd5));
                            }
                            (AudioCodec::Opus { .. }, Derived::Opus) => assert_eq!(audio.sample_rate, 48_000),
                            (other, _) => panic!("{other:?}"),
                        }
                    }
                }
            }
        }
        assert!(pictures >= 30 && sounds >= 10, "{fixture}: {pictures} pictures, {sounds} sounds");
        assert!(loud || derived != Derived::G711a, "{fixture}: only silence");
        drop(publisher);
        tasks.finish(Duration::from_secs(5)).await;
    }
}

/// A managed stream of H.265, whose group is bound to a transcode template of two rules.
#[tokio::test]
async fn rules_make_h264_of_h265_of_one_decode_while_somebody_watches() {
    use weir::model::binding::{How, Instance};
    use weir::model::group::{self, InProtocol};
    use weir::model::template::{Body, Draft, Storage, TransConfig};
    use weir::model::tenant::Scope;
    use weir::worker::transcode::{self, Parts, Rules};
    let (dir, tasks) = (tempfile::tempdir().unwrap(), Tasks::new());
    let store = weir::store::Store::open(&Default::default(), dir.path(), Clock::real()).await.unwrap();
    let draft = group::Draft::new("g", InProtocol::Rtmp, "rtmp".parse().unwrap());
    let group = store.create_group(Scope::Operator, draft).await.unwrap();
    let stream = store.create_streams(Scope::Operator, group.id, vec!["s".into()]).await.unwrap().remove(0);
    let rule = |name: &str, width, height| {
        let json =
            format!(r#"{{"Name":"{name}","VideoCodec":"h264","VideoBitrate":100,"Fps":10,"Gop":10,"Height":{height},"Width":{width}}}"#);
        serde_json::from_str::<TransConfig>(&json).unwrap()
    };
    let body = Body::Transcode(vec![rule("sd", 160, 90), rule("ld", 96, 54)]);
    let draft = Draft { name: "t".into(), description: String::new(), callback: None, storage: Storage::default(), body };
    let template = store.create_template(Scope::Operator, draft).await.unwrap();
    store.bind(Scope::Operator, template.id, Instance::Group(group.id), How::default()).await.unwrap();
    let registry = Registry::new(Default::default(), Clock::real(), &tasks);
    let rules =
        Rules::start(Parts { settings: Default::default(), av: settings(), registry: registry.clone(), store: store.clone() }, &tasks);

    let source = stream.key().unwrap();
    let mut publisher = registry.publish(&source, Source { protocol: "test", peer: String::new(), session: SessionId(1) }).unwrap();
    let fixture = items("h265_aac_enhanced.flv");
    let length = fixture.iter().filter_map(|item| if let Item::Frame(f) = item { Some(f.dts) } else { None }).max().unwrap();
    let (mut at, mut round) = (0, 0);
    // The fixture over and over, its times going on.
    let mut give = |count: usize| {
        for _ in 0..count {
            match &fixture[at] {
                Item::Track(track) => publisher.set_track(track.clone()),
                Item::Frame(f) => {
                    let shift = weir::media::time::Timestamp((length.0 + 40_000_000) * round);
                    publisher.push(Raw { kind: f.kind, dts: Some(f.dts + shift), pts: f.pts + shift, key: f.key, data: f.data.clone() });
                }
            }
            at = (at + 1) % fixture.len();
            round += i64::from(at == 0);
        }
    };
    give(20);
    // Who watches, and of each picture whether it is a key frame.
    let mut watched: Vec<(weir::stream::Subscriber, Vec<bool>)> = Vec::new();
    for (name, size) in [("sd", (160, 90)), ("ld", (96, 54))] {
        let key = transcode::output(&source, name).unwrap();
        let sub = registry.wait_for(&key, Class::Viewer, Start::Key, Duration::from_secs(10)).await.unwrap();
        watched.push((sub, Vec::new()));
        let (mut batch, mut pictures, mut sounds, mut last) = (Vec::new(), 0, 0, None);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while (pictures < 30 || sounds < 10) && tokio::time::Instant::now() < deadline {
            give(4);
            tokio::time::sleep(Duration::from_millis(30)).await;
            let newest = watched.len() - 1;
            for (n, (sub, keys)) in watched.iter_mut().enumerate() {
                let Ok(Recv::Units) = tokio::time::timeout(Duration::from_millis(5), sub.recv(&mut batch)).await else { continue };
                for unit in batch.drain(..) {
                    keys.extend((unit.frame.kind == Kind::Video).then_some(unit.frame.key));
                    if n < newest {
                        continue;
                    }
                    assert!(last.is_none_or(|last| unit.frame.dts >= last), "time runs on, from pictures to sound as well");
                    last = Some(unit.frame.dts);
                    match unit.frame.kind {
                        Kind::Audio => sounds += 1,
                        Kind::Video => {
                            let video = unit.tracks.video.as_ref().unwrap();
                            assert!(matches!(video.codec, VideoCodec::H264 { .. }));
                            assert_eq!((video.width, video.height), size);
                            pictures += 1;
                        }
                    }
                }
            }
        }
        assert!(pictures >= 30 && sounds >= 10, "{name}: {pictures} pictures, {sounds} sounds");
        assert_eq!(rules.len(), 1, "one process for all rules of a source");
    }
    // The second rule came into a decode that ran: the first has a key frame each tenth picture all the same.
    for (_, keys) in watched {
        assert!(keys.iter().enumerate().all(|(n, key)| *key == (n % 10 == 0)), "{keys:?}");
    }
    // A template that is taken off ends its streams; the source goes on.
    store.unbind(Scope::Operator, Some(template.id), None, Instance::Group(group.id)).await.unwrap();
    let gone = async {
        while !rules.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the set ends");
    assert!(registry.get(&source).unwrap().is_live());
    assert!(tasks.finish(Duration::from_secs(5)).await.is_empty());
}
