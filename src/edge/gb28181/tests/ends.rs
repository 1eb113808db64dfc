//! Ends and new beginnings: signalling that overtakes media, devices that restart, callers who do not wait.

use super::*;
use crate::container::ps;
use crate::media::frame::Kind as Of;
use crate::proto::gb28181::sdp::Purpose;
use crate::proto::rtp::Packet;
use crate::stream::Recv;

/// The frames of the recording, of each kind.
fn sent(kind: Of) -> Vec<bytes::Bytes> {
    let mut demuxer = ps::Demuxer::new(ps::Options::default());
    for packet in captured().take(RECORDED) {
        let packet = Packet::parse(packet).unwrap();
        let timestamp = Some(i64::from(packet.timestamp));
        demuxer.push(ps::Input { payload: packet.payload, timestamp, marker: packet.marker, lost: false });
    }
    demuxer.finish();
    let frames = std::iter::from_fn(|| demuxer.pull());
    frames
        .filter_map(|item| match item {
            ps::Item::Frame(frame) if frame.kind == kind => Some(frame.data),
            _ => None,
        })
        .collect()
}

/// How a device says that everything was sent.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    Notice,
    Bye,
}

/// A device that says that it is done the instant its call is up, and sends its recording only then.
async fn an_end_that_overtakes(carriage: Carriage, says: Says) {
    let w = world(carriage, false).await;
    let mut recording = None;
    let log = camera_that(&w, move |machine, clock, event| match event {
        client::Event::Invited { call, offer, .. } if offer.purpose == Some(Purpose::Playback) => {
            let mut sdp = Description::offer(CHANNEL, Default::default(), "127.0.0.1".parse().unwrap(), 9, offer.carriage.opposite());
            (sdp.direction, sdp.ssrc) = (Some(Direction::SendOnly), offer.ssrc);
            let to: SocketAddr = format!("{}:{}", offer.host, offer.port).parse().unwrap();
            recording = Some((to, offer.carriage, offer.ssrc.unwrap().0));
            machine.accept(clock.now(), *call, Some(&sdp));
            true
        }
        client::Event::Up { call, .. } => {
            if let Some((to, way, ssrc)) = recording.take() {
                tokio::spawn(send(to, way, ssrc, 1));
                match says {
                    Says::Notice => machine.finished(clock.now(), *call, Id::new(CHANNEL).unwrap()),
                    Says::Bye => machine.hang_up(clock.now(), *call),
                }
            }
            true
        }
        _ => false,
    });
    let stream = w.stream().await;
    let target =
        Target { device: w.device, channel: Id::new(CHANNEL).unwrap(), stream: Some(stream.id), key: stream.key().unwrap(), range: None };
    let key = handle::playback_key(&target, 1_700_000_000, 1_700_000_060).unwrap();
    let viewer = async {
        // there before the first picture
        let mut events = w.registry.watch();
        loop {
            if let Some(viewer) = w.registry.subscribe(&key, Class::Viewer, Start::Key) {
                return viewer;
            }
            events.next().await;
        }
    };
    let viewer = async { tokio::time::timeout(LONG, viewer).await.expect("the recording comes") };
    let (started, mut viewer) = tokio::join!(w.handle.playback(target, 1_700_000_000, 1_700_000_060, LONG), viewer);
    started.unwrap();
    let (mut batch, mut got) = (Vec::new(), Vec::new());
    let end = tokio::time::timeout(LONG, async {
        loop {
            match viewer.recv(&mut batch).await {
                Recv::Units => got.extend(batch.iter().map(|unit| unit.frame.clone())),
                other => return other,
            }
        }
    });
    assert_eq!(end.await.unwrap(), Recv::Ended(crate::base::error::End::StreamEnded));
    for kind in [Of::Video, Of::Audio] {
        let (got, sent): (Vec<_>, _) = (got.iter().filter(|f| f.kind == kind).map(|f| f.data.clone()).collect(), sent(kind));
        // the readers may have taken the first picture before the viewer was there
        assert!(!got.is_empty() && sent.ends_with(&got), "{} of {} frames of {kind:?}", got.len(), sent.len());
    }
    until("nothing is left", async || (w.handle.counts().calls == 0 && w.handle.counts().ssrcs == 0).then_some(())).await;
    if says == Says::Notice {
        let hung_up = |event: &client::Event| matches!(event, client::Event::Ended { why: client::CallEnd::RemoteBye, .. });
        until("the device is hung up on", async || log.lock().unwrap().iter().any(hung_up).then_some(())).await;
    }
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_overtakes_datagrams() {
    an_end_that_overtakes(Carriage::Udp, Says::Notice).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_overtakes_a_connection() {
    an_end_that_overtakes(Carriage::Tcp, Says::Notice).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bye_that_overtakes_a_connection() {
    an_end_that_overtakes(Carriage::Tcp, Says::Bye).await;
}

/// Nobody but its viewer wants the stream: it goes on all the same when the device is back, for the same viewer.
async fn a_viewer_stays_through_a_restart(carriage: Carriage) {
    let w = world(carriage, false).await;
    let tasks = Tasks::new();
    let totals = simulated(&w, Transport::Udp, "12345678", &tasks);
    let key = w.stream().await.key().unwrap();
    let mut viewer = w.registry.wait_for(&key, Class::Viewer, Start::Key, LONG).await.unwrap();
    let mut batch = Vec::new();
    assert_eq!(viewer.recv(&mut batch).await, Recv::Units);
    w.handle.control(w.device, Id::new(CHANNEL).unwrap(), Control::Reboot).await.unwrap();
    let after = tokio::time::timeout(LONG, async {
        let mut after = None;
        while after.is_none_or(|count| count < 40) {
            assert_eq!(viewer.recv(&mut batch).await, Recv::Units);
            for unit in &batch {
                after = match after {
                    Some(count) => Some(count + 1),
                    None => unit.discontinuity.then_some(1),
                };
            }
        }
        after
    });
    assert!(after.await.unwrap().is_some());
    assert_eq!((totals.reboots(), totals.served(), w.handle.counts().calls), (1, 2, 1), "called once more, and once only");
    assert_eq!(tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_stays_through_a_restart_over_udp() {
    a_viewer_stays_through_a_restart(Carriage::Udp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_stays_through_a_restart_over_tcp() {
    a_viewer_stays_through_a_restart(Carriage::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_given_up_unanswered_leaves_nothing() {
    let w = world(Carriage::Udp, false).await;
    let log = camera_that(&w, |_, _, event| matches!(event, client::Event::Invited { .. }));
    let stream = w.stream().await;
    let key = stream.key().unwrap();
    let target = Target { device: w.device, channel: Id::new(CHANNEL).unwrap(), stream: Some(stream.id), key: key.clone(), range: None };
    assert_eq!(w.handle.start(target, Duration::from_millis(300)).await, Err(Failure::Timeout));
    until("the device rings", async || {
        log.lock().unwrap().iter().any(|event| matches!(event, client::Event::Invited { .. })).then_some(())
    })
    .await;
    w.handle.stop(&key).await.unwrap();
    let cancelled = |event: &client::Event| matches!(event, client::Event::Ended { why: client::CallEnd::Cancelled, .. });
    until("it is told", async || log.lock().unwrap().iter().any(cancelled).then_some(())).await;
    until("nothing is left", async || (w.handle.counts().calls == 0 && w.handle.counts().ssrcs == 0).then_some(())).await;
    w.finish().await;
}
