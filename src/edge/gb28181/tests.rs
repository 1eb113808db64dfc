//! The whole edge on loopback: a store, real ports, and a camera made of the device machine.

use super::media::{self, Media};
use super::*;
use crate::base::pii::Secret;
use crate::edge::session::Sessions;
use crate::model::device::{self, Kind, Status};
use crate::model::group::{self, InProtocol};
use crate::model::id::DeviceId;
use crate::model::page::Page;
use crate::model::tenant::Scope;
use crate::proto::gb28181::client::{self, Client, Reply};
use crate::proto::gb28181::manscdp::{Alarm, AlarmMethod, Control, DeviceInfo, Item, Query, Record};
use crate::proto::gb28181::sdp::{Carriage as Way, Description, Direction};
use crate::proto::gb28181::{Id, mansrtsp, ptz};
use crate::proto::sip::{Path, Transport, framer};
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::store::Store;
use crate::stream::access::{self, Open};
use crate::stream::{Class, Registry, Start};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};

pub(super) const NVR: &str = "34020000001180000001";
pub(super) const CHANNEL: &str = "34020000001310000001";
const MEDIA: &[u8] = include_bytes!("../../../fixtures/rtp/srsbench_ps_h264_aac.rtp4571");
pub(super) const LONG: Duration = Duration::from_secs(60);

mod ends;
mod homes;

pub(super) struct World {
    _dir: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) registry: Registry,
    pub(super) tasks: Tasks,
    pub(super) clock: Clock,
    pub(super) handle: Handle,
    pub(super) device: DeviceId,
    pub(super) platform: Id,
}

pub(super) async fn world(carriage: Carriage, auto_register: bool) -> World {
    world_at("127.0.0.1:0", carriage, auto_register).await
}

/// One whose ports are open there.
pub(super) async fn world_at(listen: &str, carriage: Carriage, auto_register: bool) -> World {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::real();
    let store = Store::open(&Default::default(), dir.path(), clock.clone()).await.unwrap();
    store.root_key(None).await.unwrap();
    let draft = group::Draft {
        lazy_pull: true,
        auto_register,
        gb_password: Some(Secret("12345678".into())),
        ..group::Draft::new("gb", InProtocol::Gb28181, "flv".parse().unwrap())
    };
    let group = store.create_group(Scope::Operator, draft).await.unwrap();
    let device = match auto_register {
        true => DeviceId(0),
        false => store.create_device(Scope::Operator, device::Draft::new(group.id, Kind::Ipc, NVR.parse().unwrap())).await.unwrap().id,
    };
    let tasks = Tasks::new();
    // A reader that a busy machine keeps waiting is not overtaken, and a stream that comes back late has its viewers still: these tests
    // say what arrives, not how fast.
    let kept = crate::base::units::Span(LONG);
    let streams = crate::stream::Settings { grace: kept, slack: kept, ring_time: kept, ring_frames: 8192, ..Default::default() };
    let registry = Registry::new(streams, clock.clone(), &tasks);
    let listen = listen.parse().unwrap();
    let rtp = media::Settings { listen, readers: 1, ..Default::default() };
    let sessions = Sessions::new(clock.clone());
    let parts = media::Parts { settings: rtp, registry: registry.clone(), sessions, clock: clock.clone(), tasks: tasks.clone() };
    let media = Media::start(parts).unwrap();
    let parts = Parts {
        sip: Sip { udp_listen: listen, tcp_listen: listen, ..Sip::default() },
        settings: Settings { media: carriage, ..Settings::default() },
        media,
        store: store.clone(),
        registry: registry.clone(),
        access: Arc::new(Open::new(&access::Settings { open: vec!["*".to_owned()] })),
        clock: clock.clone(),
        tasks: tasks.clone(),
    };
    let handle = start(parts).await.unwrap();
    let platform = Id::new(group.gb_id.unwrap().as_str()).unwrap();
    World { _dir: dir, store, registry, tasks, clock, handle, device, platform }
}

/// A camera with one channel; gives what happened to it.
pub(super) fn camera(w: &World) -> Arc<Mutex<Vec<client::Event>>> {
    camera_that(w, |_, _, _| false)
}

/// The same, and what it does otherwise: true keeps it from what it usually does.
pub(super) fn camera_that(
    w: &World,
    mut more: impl FnMut(&mut Client, &Clock, &client::Event) -> bool + Send + 'static,
) -> Arc<Mutex<Vec<client::Event>>> {
    let server = w.handle.addresses()[0];
    let (clock, tasks, log) = (w.clock.clone(), w.tasks.clone(), Arc::new(Mutex::new(Vec::new())));
    let mut machine = Client::new(client::Config::new(Id::new(NVR).unwrap(), w.platform, "12345678"), [7; 32]);
    let seen = log.clone();
    tasks.clone().spawn("camera", async move {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let path = Path { transport: Transport::Udp, link: 0, remote: server, local: socket.local_addr().unwrap() };
        machine.connect(clock.now(), path);
        let mut buffer = vec![0; 65_536];
        let stop = tasks.stopping();
        loop {
            while let Some(output) = machine.poll() {
                match output {
                    client::Output::Send { bytes, .. } => drop(socket.send_to(&bytes, server).await),
                    client::Output::Event(event) => {
                        if !more(&mut machine, &clock, &event) {
                            answer(&mut machine, &clock, &event, &tasks);
                        }
                        seen.lock().unwrap().push(event);
                    }
                }
            }
            let due = machine.deadline().unwrap_or(clock.now() + LONG.into());
            tokio::select! {
                got = socket.recv_from(&mut buffer) => {
                    let (len, _) = got.unwrap();
                    if let Ok(Some(message)) = framer::datagram(&bytes::Bytes::copy_from_slice(&buffer[..len])) {
                        machine.receive(clock.now(), path, message);
                    }
                }
                () = clock.sleep_until(due) => machine.handle_timeout(clock.now()),
                () = stop.requested() => return,
            }
        }
    });
    log
}

fn answer(machine: &mut Client, clock: &Clock, event: &client::Event, tasks: &Tasks) {
    match event {
        client::Event::Query { reply, query, .. } => {
            let item = Item { id: Id::new(CHANNEL), name: "东门".into(), online: true, ..Item::default() };
            let answer = match query {
                Query::Catalog => Reply::Catalog(vec![item]),
                Query::DeviceInfo => Reply::Info(DeviceInfo { manufacturer: "Demo".into(), ..DeviceInfo::default() }),
                Query::RecordInfo(asked) => {
                    let record =
                        Record { channel: Id::new(CHANNEL), name: "gate".into(), start: asked.start, end: asked.end, ..Record::default() };
                    Reply::Records(vec![record])
                }
                _ => Reply::Result(true),
            };
            machine.reply(clock.now(), *reply, answer);
        }
        // whoever arms it is robbed at once
        client::Event::Control { control: Some(Control::Guard(true)), .. } => {
            let alarm = Alarm {
                source: Id::new(CHANNEL),
                sn: 0,
                priority: 1,
                method: AlarmMethod(5),
                kind: 2,
                event: None,
                time: Some(machine.unix_ms(clock.now())),
                description: "robbed".into(),
                position: None,
            };
            machine.alarm(clock.now(), alarm);
        }
        client::Event::Invited { call, offer, .. } if !offer.audio => {
            let mut sdp = Description::offer(CHANNEL, Default::default(), "127.0.0.1".parse().unwrap(), 9, offer.carriage.opposite());
            (sdp.direction, sdp.ssrc) = (Some(Direction::SendOnly), offer.ssrc);
            machine.accept(clock.now(), *call, Some(&sdp));
            let to: SocketAddr = format!("{}:{}", offer.host, offer.port).parse().unwrap();
            let (way, ssrc) = (offer.carriage, offer.ssrc.unwrap().0);
            let stop = tasks.stopping();
            tasks.spawn("camera media", async move {
                tokio::select! { () = stop.requested() => {}, () = send(to, way, ssrc, u32::MAX) => {} }
            });
        }
        _ => {}
    }
}

/// Packets of the capture that are a short recording.
const RECORDED: usize = 300;

/// The packets of the capture.
fn captured() -> impl Iterator<Item = &'static [u8]> {
    let mut rest = MEDIA;
    std::iter::from_fn(move || {
        let (len, packets) = rest.split_first_chunk::<2>()?;
        // the capture ends within a packet
        let (packet, behind) = packets.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        rest = behind;
        Some(packet)
    })
}

/// The packets of the capture with the SSRC that was asked for, over and over; the numbers and times of the packets go on.
async fn send(to: SocketAddr, way: Way, ssrc: u32, rounds: u32) {
    const ROUND: u32 = 90_000 * 60;
    let mut connection = match way {
        Way::Udp => None,
        _ => Some(TcpStream::connect(to).await.unwrap()),
    };
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut number = 0u16;
    for round in 0..rounds {
        for packet in captured().take(if rounds == 1 { RECORDED } else { usize::MAX }) {
            let mut packet = packet.to_vec();
            let time = u32::from_be_bytes(packet[4..8].try_into().unwrap()).wrapping_add(round.wrapping_mul(ROUND));
            packet[2..4].copy_from_slice(&number.to_be_bytes());
            packet[4..8].copy_from_slice(&time.to_be_bytes());
            packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
            number = number.wrapping_add(1);
            let sent = match &mut connection {
                None => socket.send_to(&packet, to).await.map(drop),
                Some(connection) => connection.write_all(&[&(packet.len() as u16).to_be_bytes()[..], &packet].concat()).await,
            };
            if sent.is_err() {
                return;
            }
            // a recording comes as fast as it can: all of it within the time that is granted after its end is told
            match rounds {
                1 => tokio::task::yield_now().await,
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }
    std::future::pending().await
}

pub(super) async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let look = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, look).await.unwrap_or_else(|_| panic!("not within {LONG:?}: {what}"))
}

impl World {
    pub(super) async fn stream(&self) -> crate::model::stream::Stream {
        until("the channel's stream", async || {
            let all = self.store.streams_of(self.device).await.unwrap();
            all.into_iter().find(|stream| stream.name == CHANNEL)
        })
        .await
    }

    pub(super) async fn finish(self) {
        assert_eq!(self.tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
        self.store.close().await;
    }
}

async fn a_viewer_fetches_the_stream(carriage: Carriage) {
    let w = world(carriage, false).await;
    let log = camera(&w);
    let stream = w.stream().await;
    // A catalog is stored at once: what it names is there, and what it does not is gone.
    let channels = w.store.channels(Scope::Operator, w.device, Default::default(), Page::default()).await.unwrap();
    let names: Vec<_> = channels.items.iter().map(|row| row.channel.name.as_str()).collect();
    assert_eq!(names, ["东门"]);
    until("the state", async || (w.store.device(Scope::Operator, w.device).await.unwrap().status == Status::On).then_some(())).await;

    let key = stream.key().unwrap();
    let mut viewer = w.registry.wait_for(&key, Class::Viewer, Start::Key, LONG).await.unwrap();
    let mut batch = Vec::new();
    viewer.recv(&mut batch).await;
    assert!(!batch.is_empty());
    assert_eq!(w.handle.counts().calls, 1);
    assert!(w.handle.doctor(w.device).unwrap().verdict.iter().all(|line| !line.contains("public_ip")));

    let order = Control::Ptz(ptz::Command::Move { pan: 32, tilt: 0, zoom: 0 });
    w.handle.control(w.device, Id::new(CHANNEL).unwrap(), order.clone()).await.unwrap();
    let moved = |event: &client::Event| matches!(event, client::Event::Control { control: Some(control), .. } if *control == order);
    until("the order", async || log.lock().unwrap().iter().any(moved).then_some(())).await;

    w.handle.stop(&key).await.unwrap();
    until("the end of the call", async || (w.handle.counts().calls == 0 && w.handle.counts().ssrcs == 0).then_some(())).await;
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_fetches_the_stream_over_udp() {
    a_viewer_fetches_the_stream(Carriage::Udp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_fetches_the_stream_over_tcp() {
    a_viewer_fetches_the_stream(Carriage::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_nobody_knows_is_created_where_its_group_allows_it() {
    let w = world(Carriage::Udp, true).await;
    camera(&w);
    let found = until("the device", async || {
        let all = w.store.devices_after(None, 10).await.unwrap();
        all.into_iter().find(|device| device.gb_id.as_str() == NVR && device.status == Status::On)
    })
    .await;
    assert!(found.registration.is_some());
    w.finish().await;
}

/// What `weir camera` runs.
fn simulated(w: &World, transport: Transport, password: &str, tasks: &Tasks) -> Arc<super::camera::Totals> {
    simulated_with(w, tasks, |settings| (settings.transport, settings.password) = (transport, Secret(password.into())))
}

fn simulated_with(w: &World, tasks: &Tasks, change: impl FnOnce(&mut super::camera::Settings)) -> Arc<super::camera::Totals> {
    let id = Id::new(NVR).unwrap();
    let series = super::camera::Series::new(id, 1, 2).unwrap();
    let clip = Arc::new(media::clip::pattern().unwrap());
    let mut settings = super::camera::Settings {
        keepalive: Duration::from_secs(1),
        channels: series.channels(0),
        ..super::camera::Settings::new(w.handle.addresses()[0], w.platform, id, Secret("12345678".into()), clip)
    };
    change(&mut settings);
    let totals = Arc::<super::camera::Totals>::default();
    super::camera::start(settings, totals.clone(), w.clock.clone(), tasks);
    totals
}

async fn the_simulated_camera_plays(transport: Transport, carriage: Carriage) {
    let w = world(carriage, false).await;
    let tasks = Tasks::new();
    let totals = simulated(&w, transport, "12345678", &tasks);
    let stream = w.stream().await;
    until("both channels of the catalog", async || {
        let channels = w.store.channels(Scope::Operator, w.device, Default::default(), Page::default()).await.unwrap();
        let names: Vec<_> = channels.items.iter().map(|row| row.channel.name.clone()).collect();
        (names.len() == 2 && names.iter().all(|name| name.starts_with("Channel 340200000013100000"))).then_some(())
    })
    .await;
    assert_eq!((totals.registered(), totals.calls()), (1, 0));

    let key = stream.key().unwrap();
    let mut viewer = w.registry.wait_for(&key, Class::Viewer, Start::Key, LONG).await.unwrap();
    let (mut batch, mut got) = (Vec::new(), Vec::new());
    tokio::time::timeout(LONG, async {
        while got.len() < 40 {
            assert_eq!(viewer.recv(&mut batch).await, crate::stream::Recv::Units);
            got.append(&mut batch);
        }
    })
    .await
    .unwrap();
    let (tracks, clip) = (&got[39].tracks, media::clip::pattern().unwrap());
    assert!(got[0].frame.key && tracks.video == clip.tracks().video && tracks.audio == clip.tracks().audio);
    assert_eq!((w.handle.counts().calls, totals.calls(), totals.served()), (1, 1, 1));

    let order = Control::Ptz(ptz::Command::Move { pan: 32, tilt: 0, zoom: 0 });
    w.handle.control(w.device, Id::new(CHANNEL).unwrap(), order).await.unwrap();
    until("the order", async || (totals.controls() == 1).then_some(())).await;
    // Viewers that lost the thread: the device is asked for a key frame, in its edition's spellings, and not for each request.
    for _ in 0..50 {
        w.registry.get(&key).unwrap().want_key();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    until("the order for a key frame", async || (totals.controls() >= 2).then_some(())).await;
    assert!(totals.controls() <= 5, "{} orders", totals.controls());

    w.handle.stop(&key).await.unwrap();
    until("the end of the call", async || (w.handle.counts().calls == 0 && totals.calls() == 0).then_some(())).await;
    assert_eq!(tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
    until("it unregistered", async || (w.store.device(Scope::Operator, w.device).await.unwrap().status != Status::On).then_some(())).await;
    assert_eq!(totals.registered(), 0);
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_camera_plays_over_udp() {
    the_simulated_camera_plays(Transport::Udp, Carriage::Udp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_camera_connects() {
    the_simulated_camera_plays(Transport::Tcp, Carriage::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_camera_waits_for_the_connection() {
    the_simulated_camera_plays(Transport::Udp, Carriage::TcpActive).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_camera_needs_its_password() {
    let w = world(Carriage::Udp, false).await;
    let tasks = Tasks::new();
    let totals = simulated(&w, Transport::Udp, "87654321", &tasks);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(totals.registered(), 0);
    assert!(w.store.device(Scope::Operator, w.device).await.unwrap().status != Status::On);
    assert_eq!(tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
    w.finish().await;
}

/// The frames of a stream until there are that many.
async fn frames(w: &World, key: &crate::base::id::StreamKey, count: usize) -> Vec<Arc<crate::stream::Unit>> {
    let mut viewer = w.registry.wait_for(key, Class::Viewer, Start::Key, LONG).await.unwrap();
    let (mut batch, mut got) = (Vec::new(), Vec::new());
    let read = async {
        while got.len() < count {
            assert_eq!(viewer.recv(&mut batch).await, crate::stream::Recv::Units);
            got.append(&mut batch);
        }
    };
    tokio::time::timeout(LONG, read).await.unwrap_or_else(|_| panic!("no frames of {key}"));
    got
}

/// Every bad habit alone: the catalog is stored and the pictures are the clip's. What cannot play fails at once and leaves nothing.
async fn bad_habits(transport: Transport, carriage: Carriage, habits: &[super::camera::Quirk]) {
    use super::camera::Quirk;
    let clip = media::clip::pattern().unwrap();
    for quirk in habits {
        let w = world(carriage, false).await;
        let tasks = Tasks::new();
        let totals = simulated_with(&w, &tasks, |settings| {
            (settings.transport, settings.quirks) = (transport, [*quirk].into_iter().collect());
        });
        let stream = w.stream().await;
        let both = until(&format!("{quirk}: both channels"), async || {
            let channels = w.store.channels(Scope::Operator, w.device, Default::default(), Page::default()).await.unwrap();
            // where the total is wrong the catalog counts as incomplete, and the device's own channel stays
            let told: Vec<_> = channels.items.into_iter().filter(|row| row.channel.gb_id.as_str() != NVR).collect();
            (told.len() == 2).then_some(told)
        })
        .await;
        let expected = match quirk {
            Quirk::Gbk | Quirk::Utf8 => format!("東門 {CHANNEL}"),
            Quirk::BareAmp => format!("Channel {CHANNEL} & yard"),
            _ => format!("Channel {CHANNEL}"),
        };
        assert!(both.iter().any(|row| row.channel.name == expected), "{quirk}: {both:?}");
        let key = stream.key().unwrap();
        match quirk {
            Quirk::Busy => {
                let target =
                    super::Target { device: w.device, channel: Id::new(CHANNEL).unwrap(), stream: Some(stream.id), key, range: None };
                let failure = w.handle.start(target, LONG).await.unwrap_err();
                assert!(matches!(failure, Failure::Refused { status: 486, .. }), "{failure:?}");
            }
            _ => {
                let got = frames(&w, &key, 30).await;
                assert_eq!(got[29].tracks.video, clip.tracks().video, "{quirk}");
                let video = got.iter().filter(|unit| unit.frame.kind == crate::media::frame::Kind::Video).collect::<Vec<_>>();
                let first = video[0].frame.dts;
                let times: Vec<_> = video.iter().map(|unit| (unit.frame.dts - first).as_millis()).collect();
                assert_eq!(times, (0..times.len() as i64).map(|n| n * 40).collect::<Vec<_>>(), "{quirk}");
                w.handle.stop(&key).await.unwrap();
            }
        }
        until(&format!("{quirk}: nothing is left"), async || {
            (w.handle.counts().calls == 0 && w.handle.counts().ssrcs == 0 && totals.calls() == 0).then_some(())
        })
        .await;
        assert_eq!(tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
        w.finish().await;
    }
}

/// Those that change nothing that is looked at here, or end in no picture.
fn habits() -> Vec<super::camera::Quirk> {
    use super::camera::Quirk;
    let left_out = [Quirk::Dollar, Quirk::UdpOnly, Quirk::Silent];
    Quirk::ALL.iter().copied().filter(|quirk| !left_out.contains(quirk)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_habit_is_borne_over_udp() {
    bad_habits(Transport::Udp, Carriage::Udp, &habits()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_habits_of_connections_are_borne() {
    use super::camera::Quirk::{CompactHeaders, Dollar, LfLines, UdpOnly, WrongSsrc, ZeroSsrc};
    bad_habits(Transport::Tcp, Carriage::Tcp, &[Dollar, UdpOnly, WrongSsrc, ZeroSsrc, LfLines, CompactHeaders]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_camera_is_given_up() {
    let w = world(Carriage::Udp, false).await;
    let tasks = Tasks::new();
    let totals = simulated_with(&w, &tasks, |settings| settings.quirks = [super::camera::Quirk::Silent].into_iter().collect());
    let stream = w.stream().await;
    let target = super::Target {
        device: w.device,
        channel: Id::new(CHANNEL).unwrap(),
        stream: Some(stream.id),
        key: stream.key().unwrap(),
        range: None,
    };
    w.handle.start(target, LONG).await.unwrap();
    until("the end of the call", async || (totals.served() == 1 && totals.calls() == 0 && w.handle.counts().ssrcs == 0).then_some(()))
        .await;
    assert_eq!(tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_are_listed_played_moved_and_end() {
    let w = world(Carriage::Udp, false).await;
    let tasks = Tasks::new();
    let totals = simulated_with(&w, &tasks, |_| {});
    let stream = w.stream().await;
    let channel = Id::new(CHANNEL).unwrap();
    let now = w.clock.unix().0 / 1_000_000;
    let records = w.handle.records(w.device, channel, now - 3 * 3_600_000, now, LONG).await.unwrap();
    assert!((3..=4).contains(&records.len()), "{records:?}");
    assert!(records.iter().all(|record| record.start % 3_600_000 == 0 && record.end > record.start && record.size > Some(0)));

    let target = super::Target { device: w.device, channel, stream: Some(stream.id), key: stream.key().unwrap(), range: None };
    let from = (now / 1000 - 600) as u64;
    let key = w.handle.playback(target.clone(), from, from + 60, LONG).await.unwrap();
    assert_eq!(key.name(), format!("{}_{from}_{}", stream.id, from + 60));
    frames(&w, &key, 20).await;
    let command = |command| w.handle.control_playback(&key, command);
    command(mansrtsp::Command::Pause).await.unwrap();
    command(mansrtsp::Command::Resume).await.unwrap();
    // to two seconds before the end, which the device tells
    command(mansrtsp::Command::Seek(58.0)).await.unwrap();
    until("its end", async || (totals.calls() == 0 && w.handle.counts().calls == 0).then_some(())).await;
    let never = w.handle.playback(target, 1000, 2000, LONG).await;
    assert!(matches!(never, Err(Failure::Refused { status: 404, .. })), "{never:?}");
    assert_eq!(tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_positions_presets_and_restarts() {
    let w = world(Carriage::Udp, false).await;
    let follow = |device: &mut device::Device| {
        (device.auto_pos, device.pos_interval, device.alarm_method) = (true, 1, "5".to_owned());
        Ok::<_, crate::store::Error>(())
    };
    w.store.update_device(Scope::Operator, w.device, follow).await.unwrap();
    let tasks = Tasks::new();
    let totals = simulated_with(&w, &tasks, |settings| settings.alarms = Some(Duration::from_secs(1)));
    let alarms = async || w.store.alarms(Scope::Operator, Default::default(), Page::default()).await.unwrap().items;
    let alarm = until("an alarm", async || alarms().await.pop()).await;
    assert_eq!((alarm.device, alarm.method, alarm.kind, alarm.description.as_str()), (w.device, 5, Some(2), "motion"));
    until("a position", async || {
        let device = w.store.device(Scope::Operator, w.device).await.unwrap();
        let near = |text: &str, middle: f64| text.parse::<f64>().is_ok_and(|degrees| (degrees - middle).abs() < 0.011);
        (near(&device.longitude, 118.376) && near(&device.latitude, 31.334)).then_some(())
    })
    .await;
    w.stream().await;
    let channel = Id::new(CHANNEL).unwrap();
    for n in [3, 1] {
        w.handle.control(w.device, channel, Control::Ptz(ptz::Command::SetPreset(n))).await.unwrap();
    }
    let presets = w.handle.presets(w.device, channel, LONG).await.unwrap();
    assert_eq!(presets.iter().map(|preset| preset.id.as_str()).collect::<Vec<_>>(), ["1", "3"]);
    let kinds = Query::ConfigDownload("BasicParam/VideoParamOpt".into());
    let answer = w.handle.question(w.device, Id::new(NVR).unwrap(), kinds, LONG).await.unwrap();
    let crate::proto::gb28181::server::Answer::Config(found) = answer else { panic!("{answer:?}") };
    let value = |name: &str| found.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!((value("BasicParam.HeartBeatInterval"), value("VideoParamOpt.DownloadSpeed")), (Some("1"), Some("1/2/4/8")));
    w.handle.control(w.device, channel, Control::Reboot).await.unwrap();
    until("the restart", async || (totals.reboots() == 1 && totals.registered() == 1).then_some(())).await;
    // subscribed anew: positions come again
    let told = totals.positions();
    until("positions after the restart", async || (totals.positions() > told + 1).then_some(())).await;
    assert_eq!(tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
    w.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platforms_tree_is_stored() {
    let w = world(Carriage::Udp, false).await;
    let to_platform = |device: &mut device::Device| {
        device.kind = Kind::Platform;
        Ok::<_, crate::store::Error>(())
    };
    w.store.update_device(Scope::Operator, w.device, to_platform).await.unwrap();
    let tasks = Tasks::new();
    simulated_with(&w, &tasks, |settings| {
        settings.form = super::camera::Form::Platform;
        settings.channels = super::camera::Series::new(settings.id, 1, 40).unwrap().channels(0);
    });
    let channels = until("its channels", async || {
        let page = Page::new(1, 100);
        let channels = w.store.channels(Scope::Operator, w.device, Default::default(), page).await.unwrap().items;
        (channels.len() == 40).then_some(channels)
    })
    .await;
    assert!(channels.iter().all(|row| row.channel.directory.is_some()), "{channels:?}");
    let places: std::collections::HashSet<_> = channels.iter().filter_map(|row| row.channel.directory).collect();
    assert_eq!(places.len(), 3, "sixteen in each");
    assert_eq!(tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
    w.finish().await;
}
