//! Behaviour of streams, in manual time: no ports, no sleeps.

use super::*;
use crate::base::error::End;
use crate::base::id::{SessionId, StreamKey};
use crate::base::units::{Size, Span};
use crate::media::frame::Kind;
use crate::media::time::Timestamp;
use crate::media::track::{AudioCodec, AudioTrack, Track, VideoCodec, VideoTrack};
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

fn video(mark: u8) -> Track {
    let set = |b: u8| vec![Bytes::from(vec![b, mark])];
    Track::Video(VideoTrack {
        codec: VideoCodec::H264 { sps: set(0x67), pps: set(0x68) },
        width: 320,
        height: 240,
        fps: None,
        reorder: Some(0),
    })
}

fn audio() -> Track {
    Track::Audio(AudioTrack { codec: AudioCodec::G711A, sample_rate: 8000, channels: 1 })
}

fn raw(kind: Kind, ms: i64, key: bool, size: usize) -> Raw {
    let at = Timestamp::from_millis(ms);
    Raw { kind, dts: Some(at), pts: at, key, data: Bytes::from(vec![0; size]) }
}

fn source() -> Source {
    Source { protocol: "test", peer: "here".to_owned(), session: SessionId(1) }
}

struct Rig {
    clock: Clock,
    registry: Registry,
    key: StreamKey,
    tasks: Tasks,
}

fn rig(settings: Settings) -> Rig {
    let (clock, tasks) = (Clock::manual(Timestamp::from_millis(1_700_000_000_000)), Tasks::new());
    Rig { registry: Registry::new(settings, clock.clone(), &tasks), clock, key: StreamKey::parse("live/a").unwrap(), tasks }
}

impl Rig {
    fn publish(&self) -> Publisher {
        let mut publisher = self.registry.publish(&self.key, source()).unwrap();
        publisher.set_track(video(0));
        publisher
    }

    fn subscribe(&self, start: Start) -> Subscriber {
        self.registry.subscribe(&self.key, Class::Viewer, start).unwrap()
    }

    /// `count` frames of video every 40 ms from `from`, a key frame every `gop`; the clock goes along.
    fn run(&self, publisher: &mut Publisher, from: i64, count: i64, gop: i64) {
        for n in from..from + count {
            self.clock.advance(Duration::from_millis(40));
            publisher.push(raw(Kind::Video, n * 40, n % gop == 0, 100));
        }
    }
}

async fn all(sub: &mut Subscriber) -> Vec<Arc<Unit>> {
    let (mut units, mut batch) = (Vec::new(), Vec::new());
    loop {
        tokio::select! {
            biased;
            got = sub.recv(&mut batch) => match got {
                Recv::Units => units.append(&mut batch),
                Recv::Lagged { .. } => {}
                Recv::Ended(_) => return units,
            },
            () = std::future::ready(()) => return units,
        }
    }
}

#[tokio::test]
async fn a_newcomer_starts_at_the_newest_key_frame_or_at_the_live_edge() {
    let rig = rig(Settings::default());
    let mut publisher = rig.publish();
    rig.run(&mut publisher, 0, 30, 10);
    let mut cached = rig.subscribe(Start::Key);
    let mut live = rig.subscribe(Start::Live);
    assert_eq!(rig.registry.get(&rig.key).unwrap().viewers(), 2);
    let units = all(&mut cached).await;
    assert_eq!(units.first().map(|u| (u.seq, u.frame.key)), Some((20, true)));
    assert_eq!(units.len(), 10);
    rig.run(&mut publisher, 30, 12, 20);
    let units = all(&mut live).await;
    assert_eq!(units.first().map(|u| (u.seq, u.frame.key)), Some((40, true)));
    assert_eq!(units.len(), 2);
}

#[tokio::test]
async fn a_recorder_starts_with_the_sound_that_came_before_the_picture() {
    let rig = rig(Settings::default());
    let mut publisher = rig.publish();
    publisher.set_track(audio());
    let sound = |publisher: &mut Publisher, ms: i64| publisher.push(raw(Kind::Audio, ms, true, 10));
    // before the first key frame: whoever comes now waits with this sound for it
    sound(&mut publisher, 0);
    sound(&mut publisher, 20);
    let mut early = rig.subscribe(Start::Sound);
    publisher.push(raw(Kind::Video, 40, true, 100));
    sound(&mut publisher, 40);
    publisher.push(raw(Kind::Video, 80, false, 100));
    sound(&mut publisher, 70);
    publisher.push(raw(Kind::Video, 120, true, 100));
    let times = |units: Vec<Arc<Unit>>| units.iter().map(|u| (u.frame.kind, u.seq)).collect::<Vec<_>>();
    let (picture, voice) = (Kind::Video, Kind::Audio);
    let expected = [(voice, 0), (voice, 1), (picture, 2), (voice, 3), (picture, 4), (voice, 5), (picture, 6)];
    assert_eq!(times(all(&mut early).await), expected);
    assert_eq!(times(all(&mut rig.subscribe(Start::Sound)).await), expected[5..]);
    assert_eq!(times(all(&mut rig.subscribe(Start::Key)).await), expected[6..]);
}

#[tokio::test]
async fn audio_without_video_is_joined_anywhere_and_late_video_only_at_its_key_frame() {
    let rig = rig(Settings::default());
    let mut publisher = rig.registry.publish(&rig.key, source()).unwrap();
    publisher.set_track(audio());
    for n in 0..10 {
        publisher.push(raw(Kind::Audio, n * 20, false, 50));
    }
    assert_eq!(all(&mut rig.subscribe(Start::Key)).await.first().map(|u| u.seq), Some(9));
    publisher.set_track(video(0));
    publisher.push(raw(Kind::Video, 200, false, 50));
    publisher.push(raw(Kind::Audio, 210, false, 50));
    let mut sub = rig.subscribe(Start::Key);
    assert!(all(&mut sub).await.is_empty());
    publisher.push(raw(Kind::Video, 240, true, 50));
    let units = all(&mut sub).await;
    assert_eq!((units.len(), units[0].announce, units[0].frame.kind), (1, true, Kind::Video));
    assert_eq!(publisher.stream().info().counts.dropped, 1);
}

#[tokio::test]
async fn a_laggard_jumps_to_the_newest_key_frame_and_is_counted() {
    let rig = rig(Settings { ring_frames: 64, ..Settings::default() });
    let mut publisher = rig.publish();
    rig.run(&mut publisher, 0, 1, 10);
    let mut slow = rig.subscribe(Start::Key);
    rig.run(&mut publisher, 1, 200, 10);
    let mut batch = Vec::new();
    assert_eq!(slow.recv(&mut batch).await, Recv::Lagged { missed: 200 });
    let units = all(&mut slow).await;
    assert_eq!((units[0].seq, units[0].frame.key, units.len()), (200, true, 1));
    assert_eq!(publisher.stream().info().counts.lagged, 1);
}

#[tokio::test]
async fn the_ring_is_bounded_in_frames_bytes_and_time() {
    let small = Settings { ring_frames: 64, ..Settings::default() };
    let bytes = Settings { ring_bytes: Size(5_000), ..Settings::default() };
    let time = Settings { ring_time: Span::secs(2), ..Settings::default() };
    for (settings, most) in [(small, 64 * 100), (bytes, 5_000), (time, 51 * 100)] {
        let rig = rig(settings);
        let mut publisher = rig.publish();
        // One key frame only: the whole GOP can never be kept.
        rig.run(&mut publisher, 0, 1, 10_000);
        rig.run(&mut publisher, 1, 500, 10_000);
        let cached = publisher.stream().info().cached_bytes;
        assert!(cached <= most && cached > most / 2, "{cached} of {most}");
        assert!(all(&mut rig.subscribe(Start::Key)).await.is_empty(), "the key frame is gone: wait for the next");
        publisher.push(raw(Kind::Video, 501 * 40, true, 100));
        assert_eq!(all(&mut rig.subscribe(Start::Key)).await.len(), 1);
    }
}

#[tokio::test]
async fn an_unwatched_stream_keeps_little_more_than_its_gop() {
    let rig = rig(Settings::default());
    let mut publisher = rig.publish();
    rig.run(&mut publisher, 0, 1_000, 50);
    let cached = publisher.stream().info().cached_bytes;
    assert!((50 * 100..=100 * 100).contains(&cached), "{cached}");
}

#[tokio::test]
async fn a_second_publisher_is_refused_or_takes_over() {
    let rig = rig(Settings::default());
    let _first = rig.publish();
    assert_eq!(rig.registry.publish(&rig.key, source()).err(), Some(PublishError::Taken(rig.key.clone())));

    let rig = self::rig(Settings { second_publisher: OnTaken::Replace, ..Settings::default() });
    let mut first = rig.publish();
    rig.run(&mut first, 0, 3, 10);
    let mut sub = rig.subscribe(Start::Key);
    let mut second = rig.publish();
    assert!(matches!(first.stopped().await, End::Kicked(_)));
    first.push(raw(Kind::Video, 120, true, 100));
    rig.run(&mut second, 0, 1, 10);
    drop(first);
    let units = all(&mut sub).await;
    assert_eq!(units.iter().map(|u| u.discontinuity).collect::<Vec<_>>(), [false, false, false, true]);
    assert!(rig.registry.get(&rig.key).unwrap().is_live(), "the end of the first does not end the second");
}

#[tokio::test]
async fn viewers_continue_across_a_gap_and_time_never_runs_back() {
    let rig = rig(Settings::default());
    let mut publisher = rig.publish();
    rig.run(&mut publisher, 1_000, 10, 10);
    let mut sub = rig.subscribe(Start::Key);
    let mut units = all(&mut sub).await;
    drop(publisher);
    rig.clock.advance(Duration::from_secs(3));
    let mut again = rig.publish();
    // Not decodable without its key frame: dropped, not shown.
    again.push(raw(Kind::Video, 0, false, 100));
    rig.run(&mut again, 0, 5, 10);
    units.extend(all(&mut sub).await);
    assert_eq!(units.len(), 15);
    assert_eq!(units.iter().map(|u| u.seq).collect::<Vec<_>>(), (0..15).collect::<Vec<_>>());
    assert!(units.is_sorted_by(|a, b| a.frame.dts < b.frame.dts), "{units:?}");
    assert!(units[10].discontinuity && units[10].announce);
    let gap = units[10].frame.dts - units[9].frame.dts;
    assert_eq!(gap.as_millis(), 3_040, "the time that it was away");
}

#[tokio::test]
async fn after_the_grace_time_readers_get_the_rest_and_the_end() {
    let rig = rig(Settings { grace: Span::secs(5), ..Settings::default() });
    let mut publisher = rig.publish();
    let mut events = rig.registry.watch();
    rig.run(&mut publisher, 0, 3, 10);
    let mut sub = rig.subscribe(Start::Key);
    drop(publisher);
    assert_eq!(events.next().await, Some(Event::Gone(rig.key.clone())));
    let mut batch = Vec::new();
    assert_eq!((sub.recv(&mut batch).await, batch.len()), (Recv::Units, 3));
    // The timer's task has to see the clock before and after it moves.
    while rig.registry.get(&rig.key).is_some() {
        rig.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(sub.recv(&mut batch).await, Recv::Ended(End::StreamEnded));
    assert_eq!(events.next().await, Some(Event::Ended(rig.key.clone())));
    drop(sub);
    assert_eq!(events.next().await, Some(Event::Idle(rig.key.clone())));
}

#[tokio::test]
async fn what_is_finished_has_no_grace_time() {
    let rig = rig(Settings::default());
    let mut publisher = rig.publish();
    rig.run(&mut publisher, 0, 3, 10);
    let mut sub = rig.subscribe(Start::Key);
    publisher.finish();
    let mut batch = Vec::new();
    assert_eq!((sub.recv(&mut batch).await, batch.len()), (Recv::Units, 3));
    assert_eq!(sub.recv(&mut batch).await, Recv::Ended(End::StreamEnded));
    assert!(rig.registry.get(&rig.key).is_none());
}

#[tokio::test]
async fn demand_is_told_once_and_answered_to_all() {
    let rig = Arc::new(rig(Settings::default()));
    let mut events = rig.registry.watch();
    let wait = || {
        let rig = rig.clone();
        tokio::spawn(async move { rig.registry.wait_for(&rig.key, Class::Viewer, Start::Key, Duration::from_secs(60)).await.map(|_| ()) })
    };
    let (one, two) = (wait(), wait());
    assert_eq!(events.next().await, Some(Event::Wanted(rig.key.clone())));
    let publisher = rig.publish();
    assert_eq!((one.await.unwrap(), two.await.unwrap()), (Ok(()), Ok(())));
    assert_eq!(events.next().await, Some(Event::Published(rig.key.clone())));
    drop(publisher);

    let other = StreamKey::parse("live/b").unwrap();
    let refused = async {
        let _ = events.next().await;
        while !rig.registry.wanted_now().contains(&other) {
            tokio::task::yield_now().await;
        }
        rig.registry.refuse(&other, "the camera is offline");
    };
    let wait = rig.registry.wait_for(&other, Class::Viewer, Start::Key, Duration::from_secs(60));
    let (found, ()) = tokio::join!(wait, refused);
    assert_eq!(found.err(), Some(NoPublisher::Refused("the camera is offline".to_owned())));
    assert!(rig.registry.wanted_now().is_empty());
}

#[tokio::test]
async fn a_changed_track_is_announced_and_the_old_pictures_are_no_start() {
    let rig = rig(Settings::default());
    let mut publisher = rig.publish();
    rig.run(&mut publisher, 0, 5, 10);
    publisher.set_track(video(0));
    assert_eq!(all(&mut rig.subscribe(Start::Key)).await.len(), 5, "the same track again changes nothing");
    publisher.set_track(video(1));
    assert!(all(&mut rig.subscribe(Start::Key)).await.is_empty());
    publisher.push(raw(Kind::Video, 400, true, 100));
    let units = all(&mut rig.subscribe(Start::Key)).await;
    assert_eq!((units.len(), units[0].announce), (1, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_on_other_threads_see_every_unit_in_order_or_are_told() {
    let rig = rig(Settings { ring_frames: 256, ..Settings::default() });
    let mut publisher = rig.publish();
    rig.run(&mut publisher, 0, 1, 50);
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let mut sub = rig.subscribe(Start::Key);
            tokio::spawn(async move {
                let (mut batch, mut next, mut seen, mut missed) = (Vec::new(), 0, 0, 0);
                loop {
                    match sub.recv(&mut batch).await {
                        Recv::Units => {
                            for unit in &batch {
                                assert_eq!(unit.seq, next);
                                next += 1;
                                seen += 1;
                            }
                        }
                        Recv::Lagged { missed: n } => {
                            missed += n;
                            // A key frame may be overwritten again before it is read: the next read tells where it stands.
                            next = sub.place().next;
                        }
                        Recv::Ended(_) => return (seen, missed),
                    }
                    if let Some(place) = Some(sub.place()).filter(|p| p.seeking) {
                        next = place.next;
                    }
                }
            })
        })
        .collect();
    rig.run(&mut publisher, 1, 20_000, 50);
    drop(publisher);
    rig.tasks.stop();
    for reader in readers {
        let (seen, missed) = reader.await.unwrap();
        assert!(seen > 0 && seen + missed <= 20_001, "{seen} {missed}");
    }
}
