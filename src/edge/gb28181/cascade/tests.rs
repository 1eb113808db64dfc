//! Two servers: one below that shows streams, one above that fetches them.

use super::super::media::clip::{self, Player};
use super::super::settings::Carriage;
use super::super::tests::{CHANNEL, LONG, NVR, World, camera, camera_that, until, world};
use super::super::voice::VoiceOrder;
use super::super::voice::tests::{Heard, check, listen, speak};
use crate::base::pii::Secret;
use crate::media::frame::Frame;
use crate::model::device::{self, Kind, Status};
use crate::model::group::{self, InProtocol};
use crate::model::id::{DeviceId, GbId, GroupId};
use crate::model::page::Page;
use crate::model::stream::Stream;
use crate::model::tenant::Scope;
use crate::model::upper::{Setup, Transport, Upper};
use crate::proto::gb28181::manscdp::Control;
use crate::proto::gb28181::sdp::{Carriage as Way, Description, Direction};
use crate::proto::gb28181::{Id, client, ptz};
use crate::runtime::task::Tasks;
use crate::store::AlarmFilter;
use crate::stream::{Class, Raw, Recv, Source, Start};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LOCAL: &str = "34010000002000000001";

/// The server above, with the one below as a platform among its devices, and the row by which that one registers.
struct Pair {
    below: World,
    above: World,
    /// The one below, as the one above knows it.
    platform: DeviceId,
    upper: Upper,
}

async fn pair(carriage: Carriage, transport: Transport, password: &str) -> Pair {
    let (below, above) = (world(Carriage::Udp, false).await, world(carriage, false).await);
    let group = above.store.device(Scope::Operator, above.device).await.unwrap().group;
    let draft = device::Draft::new(group, Kind::Platform, LOCAL.parse().unwrap());
    let platform = above.store.create_device(Scope::Operator, draft).await.unwrap().id;
    let server: GbId = above.platform.as_str().parse().unwrap();
    let setup = Setup {
        transport,
        password: Some(Secret(password.into())),
        keepalive: 1,
        ..Setup::new("下级", "127.0.0.1", above.handle.addresses()[0].port(), server, LOCAL.parse().unwrap())
    };
    let upper = below.store.create_upper(Scope::Operator, setup).await.unwrap();
    Pair { below, above, platform, upper }
}

impl Pair {
    /// A stream that is pushed below and shown above with its group.
    async fn pushed(&self) -> (GroupId, Stream) {
        let store = &self.below.store;
        let draft = group::Draft { app: "push".into(), ..group::Draft::new("pushed", InProtocol::Rtmp, "flv".parse().unwrap()) };
        let group = store.create_group(Scope::Operator, draft).await.unwrap();
        let stream = store.create_streams(Scope::Operator, group.id, vec!["大门".into()]).await.unwrap().remove(0);
        store.show_group(Scope::Operator, self.upper.id, group.id, true).await.unwrap();
        (group.id, stream)
    }

    /// The stream above that a channel with this name became, once it is on, or off.
    async fn seen(&self, name: &str, online: bool) -> (Id, Stream) {
        let store = &self.above.store;
        until(&format!("{name} above"), async || {
            let page = store.channels(Scope::Operator, self.platform, Default::default(), Page::new(1, 100)).await.unwrap();
            let row = page.items.into_iter().find(|row| row.channel.name == name && row.channel.online == online)?;
            let stream = store.stream(Scope::Operator, row.channel.stream).await.unwrap();
            Some((Id::new(row.channel.gb_id.as_str()).unwrap(), stream))
        })
        .await
    }

    async fn finish(self) {
        self.below.finish().await;
        self.above.finish().await;
    }
}

/// Publishes the test pattern below until its tasks stop.
fn publish(w: &World, stream: &Stream, tasks: &Tasks) {
    let clip = Arc::new(clip::pattern().unwrap());
    let source = Source { protocol: "rtmp", peer: "127.0.0.1:1".into(), session: crate::base::id::SessionId(1) };
    let mut publisher = w.registry.publish(&stream.key().unwrap(), source).unwrap();
    let (clock, stop) = (w.clock.clone(), tasks.stopping());
    tasks.spawn("publisher", async move {
        let mut player = Player::new(clip, None);
        let tracks = player.tracks().clone();
        tracks.video.iter().for_each(|track| publisher.set_track(crate::media::track::Track::Video((**track).clone())));
        tracks.audio.iter().for_each(|track| publisher.set_track(crate::media::track::Track::Audio((**track).clone())));
        while !stop.is_requested() {
            while let Some(Frame { kind, dts, pts, key, data, .. }) = player.pull(clock.now()) {
                publisher.push(Raw { kind, dts: Some(dts), pts, key, data });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

/// The data of so many frames as they come, with sound.
async fn frames(w: &World, stream: &Stream, count: usize) -> Vec<Frame> {
    let key = stream.key().unwrap();
    let mut reader = w.registry.wait_for(&key, Class::Viewer, Start::Key, LONG).await.unwrap();
    let (mut batch, mut got) = (Vec::new(), Vec::new());
    let read = async {
        while got.len() < count {
            assert_eq!(reader.recv(&mut batch).await, Recv::Units, "{key} after {} of {count} frames", got.len());
            got.extend(batch.iter().map(|unit| unit.frame.clone()));
        }
    };
    tokio::time::timeout(LONG, read).await.unwrap();
    got
}

/// Whether what came above is what went below, frame by frame: from some frame on, without a gap, for each kind.
fn is_part_of(above: &[Frame], below: &[Frame]) -> bool {
    use crate::media::frame::Kind;
    [Kind::Video, Kind::Audio].into_iter().all(|kind| {
        let data = |frames: &[Frame]| frames.iter().filter(|frame| frame.kind == kind).map(|frame| frame.data.clone()).collect::<Vec<_>>();
        let (above, below) = (data(above), data(below));
        !above.is_empty() && below.windows(above.len()).any(|part| part == above)
    })
}

async fn what_is_pushed_below_plays_above(carriage: Carriage, transport: Transport) {
    let pair = pair(carriage, transport, "12345678").await;
    let (_, stream) = pair.pushed().await;
    let tasks = Tasks::new();
    publish(&pair.below, &stream, &tasks);
    let (code, above) = pair.seen("大门", true).await;
    assert_eq!(code.as_str(), "34010000001317000003", "an id of our area is made for it");
    let state = pair.below.handle.upper(pair.upper.id).unwrap();
    assert!(state.registered && state.error.is_empty() && state.channels == 1, "{state:?}");

    let (got, sent) = tokio::join!(frames(&pair.above, &above, 60), frames(&pair.below, &stream, 400));
    assert!(is_part_of(&got, &sent), "{} frames above, {} below", got.len(), sent.len());
    assert_eq!(pair.below.handle.upper(pair.upper.id).unwrap().calls, 1);

    // hung up above: nothing is sent below any more
    pair.above.handle.stop(&above.key().unwrap()).await.unwrap();
    until("the end of the call", async || (pair.below.handle.upper(pair.upper.id).unwrap().calls == 0).then_some(())).await;
    until("the SSRC to be free", async || (pair.above.handle.counts().ssrcs == 0).then_some(())).await;

    // the publisher goes: above learns that the channel is off
    assert_eq!(tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
    pair.seen("大门", false).await;
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_below_plays_above_over_udp() {
    what_is_pushed_below_plays_above(Carriage::Udp, Transport::Udp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_below_plays_above_over_a_connection_that_we_make() {
    what_is_pushed_below_plays_above(Carriage::Tcp, Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_below_plays_above_over_a_connection_that_it_makes() {
    what_is_pushed_below_plays_above(Carriage::TcpActive, Transport::Udp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_below_is_played_moved_and_asked_from_above() {
    let pair = pair(Carriage::Udp, Transport::Udp, "12345678").await;
    let log = camera(&pair.below);
    let own = pair.below.stream().await;
    let code = pair.below.store.show_stream(Scope::Operator, pair.upper.id, own.id, None).await.unwrap();
    assert_eq!(code.as_str(), CHANNEL, "its own id is free above");
    let other: GbId = "34010000001320000009".parse().unwrap();
    pair.below.store.show_stream(Scope::Operator, pair.upper.id, own.id, Some(other.clone())).await.unwrap();
    let (code, above) = pair.seen("东门", true).await;
    assert_eq!(code.as_str(), other.as_str());

    // nobody watches below: the call from above fetches the stream
    let (got, sent) = tokio::join!(frames(&pair.above, &above, 40), frames(&pair.below, &own, 100));
    assert!(is_part_of(&got, &sent), "{} frames above, {} below", got.len(), sent.len());

    let order = Control::Ptz(ptz::Command::Move { pan: 32, tilt: 0, zoom: 0 });
    pair.above.handle.control(pair.platform, code, order.clone()).await.unwrap();
    let moved = |event: &client::Event| matches!(event, client::Event::Control { control: Some(control), target, .. } if *control == order && target.as_str() == CHANNEL);
    until("the order below", async || log.lock().unwrap().iter().any(moved).then_some(())).await;
    pair.above.handle.control(pair.platform, code, Control::Reboot).await.unwrap();

    let (from, to) = (1_700_000_000_000, 1_700_000_600_000);
    let records = pair.above.handle.records(pair.platform, code, from, to, LONG).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].channel, records[0].name.as_str(), records[0].start, records[0].end), (Some(code), "gate", from, to));

    // armed from above, robbed below, told above
    pair.above.handle.control(pair.platform, code, Control::Guard(true)).await.unwrap();
    let alarm = until("the alarm above", async || {
        let filter = AlarmFilter { device: Some(pair.platform), ..AlarmFilter::default() };
        pair.above.store.alarms(Scope::Operator, filter, Page::default()).await.unwrap().items.pop()
    })
    .await;
    assert_eq!((alarm.gb_id.as_str(), alarm.method, alarm.kind, alarm.description.as_str()), (other.as_str(), 5, Some(2), "robbed"));
    let rebooted = |event: &client::Event| matches!(event, client::Event::Control { control: Some(Control::Reboot), .. });
    assert!(!log.lock().unwrap().iter().any(rebooted), "restarting is not passed on");
    pair.finish().await;
}

/// What is said above is heard below, byte for byte; hung up above, it is over below.
async fn a_voice_from_above_is_heard_below(transport: Transport, talk: bool) {
    let pair = pair(Carriage::Udp, transport, "12345678").await;
    let (source, heard, ssrc) = (speak(&pair.above), Heard::default(), Arc::new(Mutex::new(0)));
    let (ears, told) = (heard.clone(), ssrc.clone());
    let log = camera_that(&pair.below, move |machine, clock, event| {
        match event {
            client::Event::Broadcast { source, target } => {
                let port = listen(&ears);
                let offer = Description::voice(NVR, "127.0.0.1".parse().unwrap(), port, Way::Udp, Direction::RecvOnly);
                machine.call_voice(clock.now(), *target, *source, &offer).unwrap();
            }
            client::Event::Up { answer: Some(answer), .. } if answer.audio => *told.lock().unwrap() = answer.ssrc.unwrap().0,
            client::Event::Invited { call, offer, .. } if offer.audio => {
                *told.lock().unwrap() = offer.ssrc.unwrap().0;
                let port = listen(&ears);
                let answer = Description::voice(NVR, "127.0.0.1".parse().unwrap(), port, Way::Udp, Direction::RecvOnly);
                machine.accept(clock.now(), *call, Some(&answer));
            }
            _ => {}
        }
        false
    });
    let own = pair.below.stream().await;
    pair.below.store.show_stream(Scope::Operator, pair.upper.id, own.id, None).await.unwrap();
    let (target, _) = pair.seen("东门", true).await;
    let order = VoiceOrder { device: pair.platform, target, source, talk };
    let voice = pair.above.handle.start_voice(order, LONG).await.unwrap();
    assert!(voice.up);
    until("it to be heard", async || (!heard.lock().unwrap().is_empty()).then_some(())).await;
    let ssrc = *ssrc.lock().unwrap();
    check(&heard, ssrc).await;
    assert_eq!(pair.below.handle.voices().len(), 1);

    assert!(pair.above.handle.stop_voice(pair.platform).await);
    until("silence below", async || pair.below.handle.voices().is_empty().then_some(())).await;
    let hung_up = |event: &client::Event| matches!(event, client::Event::Ended { why: client::CallEnd::RemoteBye, .. });
    until("the camera to be told", async || log.lock().unwrap().iter().any(hung_up).then_some(())).await;
    for world in [&pair.below, &pair.above] {
        until("nothing to be left", async || (world.handle.counts().ssrcs == 0 && world.handle.counts().calls == 0).then_some(())).await;
    }
    until("its call to be over", async || (pair.below.handle.upper(pair.upper.id).unwrap().calls == 0).then_some(())).await;
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_from_above_is_heard_below() {
    a_voice_from_above_is_heard_below(Transport::Udp, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_from_above_is_heard_below_over_a_connection() {
    a_voice_from_above_is_heard_below(Transport::Tcp, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_talk_from_above_is_heard_below() {
    a_voice_from_above_is_heard_below(Transport::Udp, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_changes_above_while_it_is_registered() {
    let pair = pair(Carriage::Udp, Transport::Tcp, "12345678").await;
    let (group, stream) = pair.pushed().await;
    pair.seen("大门", false).await;
    let more = pair.below.store.create_streams(Scope::Operator, group, vec!["后门".into()]).await.unwrap().remove(0);
    pair.seen("后门", false).await;
    pair.below.store.delete_stream(Scope::Operator, stream.id).await.unwrap();
    let names = async || {
        let page = pair.above.store.channels(Scope::Operator, pair.platform, Default::default(), Page::new(1, 100)).await.unwrap();
        page.items.into_iter().map(|row| row.channel.name).collect::<Vec<_>>()
    };
    until("one channel to go", async || (names().await == ["后门"]).then_some(())).await;

    // disabled: it unregisters; shown no longer: there is nothing to see when it is back
    let off = |setup: &mut Setup| {
        setup.enabled = false;
        Ok::<_, crate::store::Error>(())
    };
    pair.below.store.update_upper(Scope::Operator, pair.upper.id, off).await.unwrap();
    let status = async || pair.above.store.device(Scope::Operator, pair.platform).await.unwrap().status;
    until("it to be off", async || (status().await == Status::Off).then_some(())).await;
    assert_eq!(pair.below.handle.upper(pair.upper.id), None);
    pair.below.store.show_group(Scope::Operator, pair.upper.id, group, false).await.unwrap();
    pair.below.store.show_stream(Scope::Operator, pair.upper.id, more.id, Some("34010000001310000077".parse().unwrap())).await.unwrap();
    let on = |setup: &mut Setup| {
        setup.enabled = true;
        Ok::<_, crate::store::Error>(())
    };
    pair.below.store.update_upper(Scope::Operator, pair.upper.id, on).await.unwrap();
    until("it to be on", async || (status().await == Status::On).then_some(())).await;
    until("the other id", async || {
        let page = pair.above.store.channels(Scope::Operator, pair.platform, Default::default(), Page::new(1, 100)).await.unwrap();
        let codes: Vec<_> = page.items.iter().map(|row| row.channel.gb_id.as_str()).collect();
        (codes == ["34010000001310000077"]).then_some(())
    })
    .await;
    pair.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told() {
    let pair = pair(Carriage::Udp, Transport::Udp, "87654321").await;
    let state = until("the refusal", async || {
        pair.below.handle.upper(pair.upper.id).filter(|state| !state.error.is_empty() && state.since.is_some())
    })
    .await;
    assert!(!state.registered && state.error.contains("password"), "{state:?}");
    assert_eq!(pair.above.store.device(Scope::Operator, pair.platform).await.unwrap().status, Status::New);
    pair.finish().await;
}
