//! The composition root: builds everything bottom-up, hands out handles, stops top-down.

mod hls;
mod webrtc;

use crate::api::action::Boxed;
use crate::api::cloud::Cloud;
use crate::api::plane::{self, Recorders};
use crate::api::start::{Base, Ports};
use crate::api::url::Places;
use crate::api::{self, Public};
use crate::av::{self, NoPicture};
use crate::base::id::StreamKey;
use crate::config::Config;
use crate::console;
use crate::edge::gb28181;
use crate::edge::gb28181::media::{self, Media};
use crate::edge::http::{self, Http, Refusal};
use crate::edge::net;
use crate::edge::net::pump::Pumps;
use crate::edge::rtmp;
use crate::edge::session::Sessions;
use crate::media::time::Timestamp;
use crate::model::id::RecordingId;
use crate::model::recording::{Order, Running, State};
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::storage::{self, Shelf};
use crate::store::Store;
use crate::stream::access::{Access, Open};
use crate::stream::tally::Tally;
use crate::stream::{Registry, Unit};
use crate::worker::record::shift::{self, Shift};
use crate::worker::record::{self, Recorder};
use crate::worker::snapshot::{self, Snapshots};
use crate::worker::{ledger, notify, pull, relay, sound, transcode};
use axum::http::StatusCode;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long sessions have to end when the server stops.
const PATIENCE: Duration = Duration::from_secs(8);

/// A running server.
pub struct Server {
    /// Everything that serves peers; stops first.
    edges: Tasks,
    /// What edges stand on: grace timers, workers.
    core: Tasks,
    recorder: Recorder,
    store: Store,
    registry: Registry,
    sessions: Sessions,
    http: SocketAddr,
    rtmp: rtmp::Listening,
    taken: BTreeSet<&'static str>,
    ready: Arc<AtomicBool>,
}

impl Server {
    /// Starts everything that the configuration names; returns when every listener is open.
    pub async fn start(config: Config) -> Result<Server, String> {
        let clock = Clock::real();
        let (core, edges) = (Tasks::new(), Tasks::new());
        let registry = Registry::new(config.stream.clone(), clock.clone(), &core);
        let sessions = Sessions::new(clock.clone());
        let pumps = Pumps::new(config.play.clone(), clock.clone(), &edges);
        let store = open_store(&config, &clock).await?;
        let sections = (config.playback.clone(), config.callbacks.clone(), Open::new(&config.access));
        let running = (registry.clone(), sessions.clone());
        let base = Base::open(store.clone(), running, clock.clone(), sections, &core).await.map_err(|e| e.to_string())?;
        let access: Arc<dyn Access> = Arc::new(base.gate());
        let ready = Arc::new(AtomicBool::new(false));

        let shelf = open_shelf(&config, &store, &clock).await?;
        let stills = av::Stills::new(&config.av, &core);
        let snapshots = Snapshots::start(pictures(&config, (&store, &registry, &clock), &shelf, av::Stills::new(&config.av, &core)), &core);
        let recorder = open_recorder(&config, (&registry, &store, base.tally()), shelf.clone(), &core).await?;
        let shift = open_shift(&config, &registry, &store, &core)?;

        let rules = transcoding(&config, &registry, &store, &base);
        let parts = http::Parts {
            registry: registry.clone(),
            sessions: sessions.clone(),
            pumps: pumps.clone(),
            access: access.clone(),
            segments: Arc::new(hls::Hls::new(&config.hls, &registry, &core)),
            ladder: Arc::new(hls::Steps(rules.clone())),
            pictures: Arc::new(Jpeg(stills.clone())),
            past: Arc::new(shift),
            figures: figures(&shelf, &snapshots, &recorder),
            calls: webrtc::open(&config, &registry, &edges)?,
            ready: readiness(&ready),
        };
        let http = Http::new(config.http.clone(), parts, &edges);
        let parts =
            rtmp::Parts { registry: registry.clone(), sessions: sessions.clone(), pumps, access: access.clone(), tasks: edges.clone() };
        let rtmp = rtmp::listen(&config.rtmp, parts).await?;
        if let Some(listen) = rtmp.plain {
            tracing::info!(%listen, "RTMP: publish to and play from rtmp://{listen}/{{app}}/{{stream}}");
        }
        if let Some(listen) = rtmp.tls {
            tracing::info!(%listen, "RTMPS: publish to and play from rtmps://{listen}/{{app}}/{{stream}}");
        }

        let bound = net::bind_tcp(config.http.listen).map_err(|e| format!("http.listen: cannot listen on {}: {e}", config.http.listen))?;
        let listening = bound.local_addr().map_err(|e| e.to_string())?;
        let rtmp_port = rtmp.plain.map_or(0, |listen| listen.port());
        let places = Places::new(&outside(&config), Ports { rtmp: rtmp_port, http: listening.port(), ..ports(&config) });
        let files = base.files(shelf.clone(), &places);
        let routes = http.shared(files.router());
        let devices = open_gb28181(&config, (&registry, &sessions, &access), &store, &clock, &edges).await?;
        let workers: api::start::Workers = (Arc::new(recorder.clone()), Arc::new(Album(snapshots)));
        let parts = (Arc::new(devices) as Arc<dyn plane::Devices>, Arc::new(files) as Arc<dyn plane::Files>, workers);
        let api = base.api(config.api.clone(), places, parts, console::front(&config.console), &core);
        let cloud = Cloud::start(api.clone(), config.cloud.clone(), Arc::new(recorder.clone()), &core);
        let fixed = http::Fixed::new()
            .add(api::SEGMENTS, api::router(api.clone()))
            .add(api::live_stats::SEGMENTS, api::live_stats::router(api.clone()))
            .add(api::license::SEGMENTS, api::license::router(api.clone()))
            .add(api::cloud::SEGMENTS, cloud.router())
            .add(api::files::SEGMENTS, routes)
            .add(console::SEGMENTS, console::assets(&config.console))
            .add(http::PASTS, http.pasts())
            .add(http::CALLS, http.calls());
        let taken = fixed.taken();
        fits(&config.pull, &taken)?;
        api.book().take(taken.clone());
        let suffixes = http::Suffixes::new().add("jpg", http.pictures()).add("mp4", http.films());
        let suffixes = suffixes.add("whep", http.whep()).add("whip", http.whip());
        let early: http::Early = Arc::new(move |path, refusal| api::dispatch::early(&api, path, refusal));
        open_http(&config.http, &http, bound, http::Site { router: suffixes.after(fixed), early })?;

        let helper = av::Helper::new(config.av.clone(), &core);
        sound::Sound::start(&config.av, &registry, &helper, &core);
        notify::start(config.notify.clone(), store.clone(), clock.clone(), &core)?;
        pull::start(&config.pull, &registry, &core)?;
        relay::start(&config.relay, &registry, &core)?;
        shelf.start(&core);
        transcode::Rules::start(rules, &core);
        let counted = Counted { sessions: sessions.clone(), recorder: recorder.clone() };
        ledger::start(config.usage.clone(), store.clone(), registry.clone(), Arc::new(counted), &core);

        ready.store(true, Ordering::Release);
        Ok(Server { edges, core, recorder, store, registry, sessions, http: listening, rtmp, taken, ready })
    }

    /// Where HTTP listens: the port that was found when the configuration says 0.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where RTMP and RTMPS listen.
    pub fn rtmp(&self) -> rtmp::Listening {
        self.rtmp
    }

    /// The first segments of the paths that the server answers itself: no application is called so.
    pub fn taken(&self) -> &BTreeSet<&'static str> {
        &self.taken
    }

    /// All live streams.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Ends all sessions in order, then what they stood on.
    pub async fn stop(self) {
        self.ready.store(false, Ordering::Release);
        for (what, tasks) in [("edges", &self.edges), ("core", &self.core)] {
            let late = tasks.finish(PATIENCE).await;
            if !late.is_empty() {
                tracing::warn!(what, tasks = ?late, "did not end in time");
            }
        }
        self.recorder.close(PATIENCE).await;
        self.store.close().await;
        tracing::info!("stopped");
    }
}

fn readiness(ready: &Arc<AtomicBool>) -> http::Ready {
    let ready = ready.clone();
    Arc::new(move || if ready.load(Ordering::Acquire) { Ok(()) } else { Err("not every listener is open".to_owned()) })
}

/// Opens the store, and prints the operator's key if it was made just now.
async fn open_store(config: &Config, clock: &Clock) -> Result<Store, String> {
    let store = Store::open(&config.store, &config.top.data_dir, clock.clone()).await.map_err(|e| e.to_string())?;
    let (id, secret) = (&config.top.access_key_id, &config.top.access_key_secret);
    let given = match (id.is_empty(), secret.0.is_empty()) {
        (true, true) => None,
        (false, false) => Some((id.clone(), secret.clone())),
        _ => return Err("access_key_id and access_key_secret go together: give both or none".to_owned()),
    };
    let (root, made) = store.root_key(given).await.map_err(|e| e.to_string())?;
    if made {
        // To the operator, once; the log never sees it.
        println!(
            "The operator's access key for the API (shown only this once):\n  AccessKeyId     {}\n  AccessKeySecret {}",
            root.id, root.secret.0
        );
    }
    Ok(store)
}

/// Opens the place of recordings and pictures.
async fn open_shelf(config: &Config, store: &Store, clock: &Clock) -> Result<Shelf, String> {
    let (settings, callbacks) = (config.storage.clone(), config.callbacks.waiting);
    Shelf::open(settings, &config.top.data_dir, store.clone(), clock.clone(), callbacks).await
}

/// What pictures by template are made with. Their helper is not the one of pictures that somebody looks at.
fn pictures(config: &Config, (store, registry, clock): (&Store, &Registry, &Clock), shelf: &Shelf, stills: av::Stills) -> snapshot::Parts {
    snapshot::Parts {
        settings: config.snapshot.clone(),
        store: store.clone(),
        registry: registry.clone(),
        shelf: shelf.clone(),
        stills,
        domain: outside(config).host,
        clock: clock.clone(),
    }
}

/// What streams are made of others with.
fn transcoding(config: &Config, registry: &Registry, store: &Store, base: &Base) -> transcode::Parts {
    if config.transcode.h264 {
        base.every_stream_has(transcode::H264);
    }
    let (settings, av) = (config.transcode.clone(), config.av.clone());
    transcode::Parts { settings, av, registry: registry.clone(), store: store.clone() }
}

/// What the shelf, the snapshots and the recorder have for `/metrics`.
fn figures(shelf: &Shelf, snapshots: &Snapshots, recorder: &Recorder) -> http::Figures {
    let (shelf, snapshots, recorder) = (shelf.clone(), snapshots.clone(), recorder.clone());
    Arc::new(move || {
        let storage::Figures { waiting, waiting_bytes, uploaded, uploaded_bytes, failed, dropped, evicted, free, orphans } =
            shelf.figures();
        let snapshot::Counts { taken, failed: missed } = snapshots.counts();
        let record::Counts { running, failing, refused, failed: unwritten, gaps, forced } = recorder.counts();
        let figure = |name, kind, help, value: u64| http::Figure { name, kind, help, value: value as f64 };
        vec![
            figure("weir_storage_waiting_files", "gauge", "Files that wait for buckets.", waiting),
            figure("weir_storage_waiting_bytes", "gauge", "Bytes that wait for buckets.", waiting_bytes),
            figure("weir_storage_uploaded_files_total", "counter", "Files that reached their bucket.", uploaded),
            figure("weir_storage_uploaded_bytes_total", "counter", "Bytes that reached their bucket.", uploaded_bytes),
            figure("weir_storage_upload_failures_total", "counter", "Tries to reach a bucket that failed.", failed),
            figure("weir_storage_dropped_files_total", "counter", "Files given up because too much waited: an alarm.", dropped),
            figure("weir_storage_evicted_records_total", "counter", "Records that gave way to a full disk: an alarm.", evicted),
            figure("weir_storage_orphan_files", "gauge", "Files for buckets that were found at the start and nobody knows.", orphans),
            figure("weir_storage_free_bytes", "gauge", "Bytes that are free on the disk of records.", free),
            figure("weir_recordings", "gauge", "Recordings that run.", running),
            figure("weir_recordings_failing", "gauge", "Recordings that cannot write now, or have no room: an alarm.", failing),
            figure("weir_recordings_refused_total", "counter", "Times that no file was begun for want of room: an alarm.", refused),
            figure("weir_recording_failures_total", "counter", "Times that writing a recording failed: an alarm.", unwritten),
            figure("weir_recording_gaps_total", "counter", "Gaps in recordings.", gaps),
            figure("weir_recording_syncs_total", "counter", "Times that recordings were forced to the disk, all together.", forced),
            figure("weir_snapshots_total", "counter", "Pictures that were stored.", taken),
            figure("weir_snapshot_failures_total", "counter", "Pictures that could not be made or stored.", missed),
        ]
    })
}

/// Opens the ports for GB28181 devices and their media.
async fn open_gb28181(
    config: &Config,
    (registry, sessions, access): (&Registry, &Sessions, &Arc<dyn Access>),
    store: &Store,
    clock: &Clock,
    tasks: &Tasks,
) -> Result<gb28181::Handle, String> {
    let (registry, sessions) = (registry.clone(), sessions.clone());
    let parts =
        media::Parts { settings: config.rtp.clone(), registry: registry.clone(), sessions, clock: clock.clone(), tasks: tasks.clone() };
    let media = Media::start(parts).map_err(|e| format!("rtp.listen: {}: {e}", config.rtp.listen))?;
    tracing::info!(listen = %config.rtp.listen, "RTP: media of GB28181 devices, UDP and TCP");
    let (sip, settings) = (config.sip.clone(), config.gb28181.clone());
    let access = access.clone();
    let parts = gb28181::Parts { sip, settings, media, store: store.clone(), registry, access, clock: clock.clone(), tasks: tasks.clone() };
    let handle = gb28181::start(parts).await?;
    tracing::info!(listen = ?handle.addresses(), "SIP: GB28181 devices register here, UDP and TCP");
    Ok(handle)
}

/// Starts to record what templates say, and goes on with what was ordered.
async fn open_recorder(
    config: &Config,
    (registry, store, tally): (&Registry, &Store, Tally),
    shelf: Shelf,
    tasks: &Tasks,
) -> Result<Recorder, String> {
    let (settings, callbacks) = (config.record.clone(), config.callbacks.waiting);
    let room = Arc::new(Room(shelf.clone()));
    let (registry, store, domain) = (registry.clone(), store.clone(), outside(config).host);
    let parts = record::Parts { settings, registry, store, shelf, room, tally, domain, callbacks };
    Recorder::start(parts, tasks).await.map_err(|e| format!("recordings: {e}"))
}

/// What the recorder asks before it begins a file.
struct Room(Shelf);

impl record::Room for Room {
    fn ask(&self, _: &Order) -> Result<(), record::Full> {
        self.0.has_room().map_err(|error| {
            let why = if let storage::Error::Full(why) = error { why } else { error.to_string() };
            record::Full { limit: record::Limit::Disk, why }
        })
    }
}

/// Starts to keep the past of streams whose templates say so.
fn open_shift(config: &Config, registry: &Registry, store: &Store, tasks: &Tasks) -> Result<Shift, String> {
    let (settings, data_dir) = (config.timeshift.clone(), config.top.data_dir.clone());
    Shift::start(shift::Parts { settings, registry: registry.clone(), store: store.clone(), data_dir }, tasks)
}

/// The way from outside; who listens on the loopback address only can be reached on it only.
pub fn outside(config: &Config) -> Public {
    let loopback = config.public.host.is_empty() && config.http.listen.ip().is_loopback();
    let host = if loopback { config.http.listen.ip().to_string() } else { config.public.host.clone() };
    Public { host, ..config.public.clone() }
}

/// What URLs say where neither the configuration nor a listener does.
pub fn ports(config: &Config) -> Ports {
    Ports {
        rtmp: 0,
        http: config.http.listen.port(),
        gb_host: config.gb28181.public_ip.clone(),
        gb_udp: config.sip.udp_listen.port(),
        gb_tcp: config.sip.tcp_listen.port(),
        gb_area: 34_020_000,
    }
}

/// Serves HTTP on the listener that is open already and, if there is one, HTTPS.
fn open_http(settings: &http::Settings, http: &Http, listener: tokio::net::TcpListener, site: http::Site) -> Result<(), String> {
    let listening = listener.local_addr().map_err(|e| e.to_string())?;
    http.serve(listener, None, site.clone());
    tracing::info!(listen = %listening, "HTTP: the API at http://{listening}/ (reference: /reference), streams at /{{app}}/{{stream}}.flv and .m3u8");
    if !settings.tls_listen.is_empty() {
        let wrong = |e: &dyn std::fmt::Display| format!("http.tls_listen: {}: {e}", settings.tls_listen);
        let address = settings.tls_listen.parse().map_err(|e| wrong(&e))?;
        let acceptor = net::acceptor(&settings.tls_certificate, &settings.tls_key).map_err(|e| wrong(&e))?;
        http.serve(net::bind_tcp(address).map_err(|e| wrong(&e))?, Some(acceptor), site);
        tracing::info!(listen = %address, "HTTPS");
    }
    Ok(())
}

/// Refuses sources whose application is a path of the server: nobody could play them by HTTP.
fn fits(settings: &pull::Settings, taken: &BTreeSet<&'static str>) -> Result<(), String> {
    let app = |source: &pull::Pulled| source.stream.split('/').next().unwrap_or_default().to_owned();
    match settings.sources.iter().find(|source| taken.contains(app(source).as_str())) {
        Some(source) => Err(format!("pull.sources: {}: the server answers at /{} itself", source.stream, app(source))),
        None => Ok(()),
    }
}

/// Connects the ledger with the sessions of all edges, and with the recorder.
struct Counted {
    sessions: Sessions,
    recorder: Recorder,
}

impl ledger::Sources for Counted {
    fn sent(&self) -> Vec<(StreamKey, &'static str, u64)> {
        self.sessions.take_sent()
    }

    fn recorded(&self, tell: &mut dyn FnMut(&StreamKey)) {
        let running = self.recorder.running().into_iter().filter(|r| r.state == State::Recording);
        running.map(|r| r.key).collect::<std::collections::BTreeSet<_>>().iter().for_each(tell);
    }
}

/// Connects the API with the worker that stores pictures.
struct Album(Snapshots);

impl plane::Pictures for Album {
    fn take(&self, stream: crate::model::id::StreamId) -> Boxed<'_, Result<crate::model::record::Draft, plane::NoPicture>> {
        Box::pin(async move {
            let done = self.0.take(stream).await.map(|taken| taken.draft);
            done.map_err(|failed| match failed {
                snapshot::Failed::Off | snapshot::Failed::NoKeyFrame(_) => plane::NoPicture::Off(format!("{failed}.")),
                snapshot::Failed::Picture(NoPicture::Unfit(_)) => plane::NoPicture::Off(format!("{failed}.")),
                snapshot::Failed::Store(crate::store::Error::Exceeded(exceeded)) => plane::NoPicture::Quota(exceeded),
                failed => {
                    tracing::warn!(error = %failed, %stream, "no picture on demand");
                    plane::NoPicture::Failed("The picture could not be made or stored now.".to_owned())
                }
            })
        })
    }
}

/// Connects the HTTP edge with the worker that makes pictures, likewise.
struct Jpeg(av::Stills);

impl http::Pictures for Jpeg {
    fn take<'a>(&'a self, unit: &'a Unit, width: u16) -> http::Taken<'a> {
        Box::pin(async move {
            self.0.take(unit, width, av::QUALITY).await.map(|picture| picture.jpeg).map_err(|e| {
                let status = match e {
                    NoPicture::Unfit(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    NoPicture::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
                };
                Refusal::new(status, e.to_string())
            })
        })
    }
}

/// Connects the API with the recorder.
impl Recorders for Recorder {
    fn start(&self, order: Order, lasting: bool) -> Boxed<'_, Result<RecordingId, api::error::Error>> {
        Box::pin(async move {
            self.record(order, lasting).await.map_err(|refused| match refused {
                record::Refused::Nothing => api::error::Error::invalid("FileFormat", "must name at least one format"),
                record::Refused::Store(error) => error.into(),
                record::Refused::Quota(exceeded) => exceeded.into(),
                record::Refused::Stopping => api::error::Error::unavailable(refused.to_string()),
            })
        })
    }

    fn stop(&self, id: RecordingId) -> Boxed<'_, Result<bool, api::error::Error>> {
        Box::pin(async move { Ok(Recorder::stop(self, id).await?) })
    }

    fn running(&self) -> Vec<Running> {
        Recorder::running(self)
    }
}

/// Connects the HTTP edge with the worker that keeps the past, likewise.
impl http::Past for Shift {
    fn playlist<'a>(&'a self, key: &'a StreamKey, wanted: http::Wanted, query: &'a str) -> http::Later<'a, http::Listing> {
        let stretch = match wanted {
            http::Wanted::Between(from, to) => shift::Stretch::Between(from, to),
            http::Wanted::From(from) => shift::Stretch::From(from),
            http::Wanted::Behind { since, delay } => shift::Stretch::Behind { since, delay },
        };
        Box::pin(async move { Shift::playlist(self, key, stretch, query).await.map_err(no_past) })
    }

    fn piece<'a>(&'a self, key: &'a StreamKey, chunk: i64, n: Option<usize>, length: Option<u32>) -> http::Later<'a, Bytes> {
        Box::pin(async move { Shift::piece(self, key, chunk, n, length).await.map_err(no_past) })
    }

    fn film<'a>(&'a self, key: &'a StreamKey, from: Timestamp, to: Timestamp) -> http::Later<'a, Arc<dyn http::Reel>> {
        Box::pin(async move {
            let film = Shift::film(self, key, from, to).await.map_err(no_past)?;
            Ok(Arc::new(film) as Arc<dyn http::Reel>)
        })
    }
}

impl http::Reel for shift::Film {
    fn length(&self) -> u64 {
        shift::Film::length(self)
    }

    fn read(&self, at: u64, most: usize) -> std::io::Result<Bytes> {
        shift::Film::read(self, at, most)
    }
}

fn no_past(trouble: shift::Trouble) -> Refusal {
    let status = match trouble {
        shift::Trouble::Nothing(_) => StatusCode::NOT_FOUND,
        shift::Trouble::Disk(_) | shift::Trouble::Busy => StatusCode::SERVICE_UNAVAILABLE,
    };
    if let shift::Trouble::Disk(error) = &trouble {
        tracing::warn!(%error, "time shift: a file cannot be read");
        return Refusal::new(status, "the past cannot be read now");
    }
    Refusal::new(status, trouble.to_string())
}
