//! Demand for other sound, and streams that have the right one already.

use super::*;
use crate::av::{Helper, Settings};
use crate::base::id::{SessionId, StreamKey};
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track};
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::stream::{Class, Derived, NoPublisher, Raw, Registry, Source, Start};
use std::time::Duration;

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
