//! Names of outputs, and demand without a helper.

use super::*;
use crate::base::id::SessionId;
use crate::model::binding::{How, Instance};
use crate::model::group::{self, InProtocol};
use crate::model::template::{Draft, Storage};
use crate::runtime::clock::Clock;
use crate::stream::{Class, NoPublisher, Source, Start};
use std::time::Duration;

fn key(text: &str) -> StreamKey {
    StreamKey::parse(text).unwrap()
}

#[test]
fn names_go_both_ways() {
    assert_eq!(output(&key("live/7"), "sd"), Some(key("live/7_sd")));
    assert_eq!(parse(&key("live/7_sd")), Some((key("live/7"), "sd")));
    assert_eq!(parse(&key("live/my_cam_h264")), Some((key("live/my_cam"), H264)), "any stream has it");
    for other in ["live/7", "live/7_", "live/_sd", "live/7_sd@aac", "live/7_a_b", "live/_h264", "live/h264"] {
        assert_eq!(parse(&key(other)), None, "{other}");
    }
}

struct Desk {
    rules: Rules,
    registry: Registry,
    store: Store,
    stream: StreamKey,
    tasks: Tasks,
    _dir: tempfile::TempDir,
}

fn config(name: &str) -> TransConfig {
    let (name, video_codec) = (name.to_owned(), VideoCodec::H264);
    TransConfig { id: String::new(), name, video_codec, video_bitrate: 300, fps: 10, gop: 20, height: 120, width: 160 }
}

impl Desk {
    /// A stream whose group is bound to a template of one rule, `sd`.
    async fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&store::Settings::default(), dir.path(), Clock::real()).await.unwrap();
        let draft = group::Draft::new("g", InProtocol::Rtmp, "rtmp".parse().unwrap());
        let group = store.create_group(Scope::Operator, draft).await.unwrap();
        let stream = store.create_streams(Scope::Operator, group.id, vec!["s".into()]).await.unwrap().remove(0);
        let (name, description, callback, storage) = ("t".to_owned(), String::new(), None, Storage::default());
        let draft = Draft { name, description, callback, storage, body: Body::Transcode(vec![config("sd")]) };
        let template = store.create_template(Scope::Operator, draft).await.unwrap();
        store.bind(Scope::Operator, template.id, Instance::Group(group.id), How::default()).await.unwrap();
        let tasks = Tasks::new();
        let registry = Registry::new(Default::default(), Clock::real(), &tasks);
        let av = av::Settings { program: "/nowhere/weir-av".into(), ..Default::default() };
        let rules = Rules::start(Parts { settings: Settings::default(), av, registry: registry.clone(), store: store.clone() }, &tasks);
        Desk { rules, registry, store, stream: stream.key().unwrap(), tasks, _dir: dir }
    }

    async fn ask(&self, rule: &str, patience: Duration) -> Result<(), NoPublisher> {
        let key = output(&self.stream, rule).unwrap();
        self.registry.wait_for(&key, Class::Viewer, Start::Key, patience).await.map(drop)
    }
}

#[tokio::test]
async fn rules_come_from_the_templates_of_the_group() {
    let desk = Desk::new().await;
    let rules = rules_of(&desk.store, &desk.stream).await.unwrap().unwrap();
    assert_eq!(rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["sd"]);
    for other in ["live/none", "other/7"] {
        assert_eq!(rules_of(&desk.store, &key(other)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn every_stream_has_plain_h264_where_the_settings_say_so() {
    let desk = Desk::new().await;
    let with = |h264| Parts { settings: Settings { h264 }, ..desk.rules.0.parts.clone() };
    let names = async |parts: &Parts, source: &StreamKey| -> Vec<String> {
        parts.rules(source).await.unwrap().into_iter().map(|rule| rule.name).collect()
    };
    assert_eq!(names(&with(true), &desk.stream).await, ["sd", "h264"]);
    assert_eq!(names(&with(false), &desk.stream).await, ["sd"]);
    let open = key("live/cam");
    assert!(names(&with(true), &open).await.is_empty(), "nobody sends it: it may be anything");
    let source = Source { protocol: "test", peer: String::new(), session: SessionId(1) };
    let _publisher = desk.registry.publish(&open, source).unwrap();
    assert_eq!(names(&with(true), &open).await, ["h264"]);
}

#[tokio::test]
async fn only_rules_that_exist_are_answered_and_only_of_streams_that_are_there() {
    let desk = Desk::new().await;
    assert_eq!(desk.ask("hd", Duration::from_millis(300)).await, Err(NoPublisher::TimedOut));
    assert!(desk.rules.is_empty(), "no rule: nothing is started");
    // The source is asked for, and does not come.
    let waits = tokio::time::timeout(Duration::from_secs(1), desk.ask("sd", Duration::from_secs(30)));
    assert!(waits.await.is_err());
    assert_eq!(desk.rules.len(), 1);
    let wanted = desk.registry.wanted_now();
    assert!(wanted.contains(&desk.stream), "{wanted:?}");
    desk.registry.refuse(&desk.stream, "the camera is off");
    let why = desk.ask("sd", Duration::from_secs(5)).await;
    assert!(matches!(&why, Err(NoPublisher::Refused(_) | NoPublisher::TimedOut)), "{why:?}");
    assert!(desk.tasks.finish(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test]
async fn without_the_helper_the_source_plays_on_and_the_output_is_there_without_frames() {
    let desk = Desk::new().await;
    let source = Source { protocol: "test", peer: String::new(), session: SessionId(1) };
    let publisher = desk.registry.publish(&desk.stream, source).unwrap();
    desk.ask("sd", Duration::from_secs(10)).await.unwrap();
    assert!(publisher.is_stopped().is_none());
    assert_eq!(desk.rules.len(), 1);
    assert!(desk.tasks.finish(Duration::from_secs(5)).await.is_empty());
}
