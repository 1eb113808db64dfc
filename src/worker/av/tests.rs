//! The supervisor without the helper, and with it where it was built (`--features av`).

use super::*;
use crate::base::id::{SessionId, StreamKey};
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track};
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::stream::{Class, Derived, NoPublisher, Raw, Registry, Source, Start};
use std::time::Duration;

#[tokio::test]
async fn without_the_executable_the_reason_is_told() {
    let tasks = Tasks::new();
    let helper = Helper::new(Settings { program: "/nowhere/weir-av".into(), ..Settings::default() }, &tasks);
    let told = helper.start(crate::proto::av::Ask::Close).await.err().unwrap();
    assert!(told.contains("/nowhere/weir-av"), "{told}");
}

#[tokio::test]
async fn a_helper_that_dies_ends_its_jobs_and_the_next_job_gets_a_new_one() {
    let tasks = Tasks::new();
    // `true` ends at once; its jobs are told so.
    let helper = Helper::new(Settings { program: "/bin/true".into(), ..Settings::default() }, &tasks);
    for _ in 0..3 {
        if let Ok(mut task) = helper.start(crate::proto::av::Ask::Close).await {
            let told = tokio::time::timeout(Duration::from_secs(10), task.next()).await.expect("told in time");
            assert_eq!(told, None);
        }
    }
    assert!(tasks.finish(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test]
async fn demand_for_sound_of_a_missing_stream_is_refused() {
    let tasks = Tasks::new();
    let registry = Registry::new(Default::default(), Clock::real(), &tasks);
    let helper = Helper::new(Settings::default(), &tasks);
    Sound::start(&Settings::default(), &registry, &helper, &tasks);
    let key = StreamKey::parse("live/none@aac").unwrap();
    let found = registry.wait_for(&key, Class::Worker, Start::Key, Duration::from_millis(200)).await;
    assert_eq!(found.err(), Some(NoPublisher::TimedOut));
}

#[tokio::test]
async fn the_pictures_of_a_stream_with_the_right_sound_pass_untouched() {
    let tasks = Tasks::new();
    let registry = Registry::new(Default::default(), Clock::real(), &tasks);
    let helper = Helper::new(Settings::default(), &tasks);
    Sound::start(&Settings::default(), &registry, &helper, &tasks);
    let key = StreamKey::parse("live/a").unwrap();
    let mut publisher = registry.publish(&key, Source { protocol: "test", peer: String::new(), session: SessionId(1) }).unwrap();
    let config = bytes::Bytes::from_static(&[0x12, 0x10]);
    publisher.set_track(Track::Audio(AudioTrack { codec: AudioCodec::Aac { config }, sample_rate: 44_100, channels: 2 }));
    let aac = Derived::Aac.of(&key).unwrap();
    let wait = registry.wait_for(&aac, Class::Worker, Start::Key, Duration::from_secs(10));
    let mut derived = wait.await.ok().unwrap();
    let mut batch = Vec::new();
    let pushed = async {
        for n in 0.. {
            let at = Timestamp::from_millis(n * 23);
            publisher.push(Raw { kind: Kind::Audio, dts: Some(at), pts: at, key: true, data: vec![n as u8; 10].into() });
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = pushed => unreachable!(),
        got = tokio::time::timeout(Duration::from_secs(10), derived.recv(&mut batch)) => {
            assert_eq!(got.expect("in time"), crate::stream::Recv::Units);
        }
    }
    assert_eq!(batch[0].frame.data.len(), 10);
}
