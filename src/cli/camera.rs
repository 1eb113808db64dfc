//! `weir camera`: simulated GB28181 cameras, recorders and platforms, one or thousands, for demos and for tests of a platform.

use crate::base::pii::Secret;
use crate::edge::gb28181::camera::{self, Form, Quirk, Quirks, Series, Settings, Totals, Transport};
use crate::edge::gb28181::media::clip::{self, Clip};
use crate::proto::gb28181::{Id, Version};
use crate::runtime::clock::Clock;
use crate::runtime::log;
use crate::runtime::task::Tasks;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// The longest file; it is kept in memory.
const FILE_MAX: u64 = 1 << 30;
/// Between the starts of two cameras: a platform should not meet thousands at once.
const STAGGER: Duration = Duration::from_millis(5);
/// How long all of them may take to hang up and unregister.
const FAREWELL: Duration = Duration::from_secs(4);

/// What `weir camera` takes.
#[derive(clap::Args)]
pub(super) struct Camera {
    /// The platform's SIP address.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5060")]
    server: String,
    /// The platform's id: 20 digits; Weir's `CreateGroup` answers with it (`GbId`).
    #[arg(long, value_name = "ID", value_parser = id, required_unless_present = "list_quirks")]
    domain: Option<Id>,
    /// The camera's id, 20 digits; of several, the first one's.
    #[arg(long, value_name = "ID", value_parser = id, required_unless_present = "list_quirks")]
    id: Option<Id>,
    /// The password.
    #[arg(long, env = "WEIR_CAMERA_PASSWORD", hide_env_values = true, default_value = "")]
    password: String,
    /// How SIP travels; media travels as the platform asks.
    #[arg(long, value_enum, default_value_t = Way::Udp)]
    transport: Way,
    /// What it is: a camera or a recorder with its channels below itself, or a platform with a tree of groups above them.
    #[arg(long = "type", value_enum, default_value_t = Shape::Camera)]
    shape: Shape,
    /// Channels of each camera.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    channels: u32,
    /// Entries of the catalog in one message. Over UDP keep them few: a message has to fit into a datagram.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    items: u32,
    /// Cameras, with ids counted upwards.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// What they show, over and over: FLV, a program stream, or H.264 or H.265 with start codes. Without: a test picture.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Seconds between two signs of life.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    keepalive: u64,
    /// The edition of the standard that it announces; by default it announces none, as most do.
    #[arg(long, value_enum)]
    edition: Option<Edition>,
    /// Seconds between two alarms (motion, of one channel after the other); by default there are none.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    alarm_every: Option<u64>,
    /// Bad habits, by name and separated by commas: see --list-quirks.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    quirk: Vec<Quirk>,
    /// Print the names of all bad habits and what they do.
    #[arg(long, exclusive = true)]
    list_quirks: bool,
}

/// What it is.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    /// A camera.
    Camera,
    /// A recorder: the same with more channels.
    Nvr,
    /// A platform.
    Platform,
}

/// An edition of the standard.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Edition {
    /// 2011.
    #[value(name = "2011")]
    Y2011,
    /// 2016.
    #[value(name = "2016")]
    Y2016,
    /// 2022.
    #[value(name = "2022")]
    Y2022,
}

/// How SIP travels.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Way {
    /// In datagrams.
    Udp,
    /// On a connection.
    Tcp,
}

pub(super) fn run(camera: &Camera) -> ExitCode {
    if camera.list_quirks {
        Quirk::ALL.iter().for_each(|quirk| println!("{:<18} {}", quirk.as_str(), quirk.what()));
        return ExitCode::SUCCESS;
    }
    let runtime = log::start(&log::Settings::default())
        .and_then(|()| tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string()));
    match runtime.and_then(|runtime| runtime.block_on(work(camera))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn work(camera: &Camera) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| error.to_string());
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (Some(domain), Some(id)) = (camera.domain, camera.id) else { return Err("--domain and --id are needed".to_owned()) };
    let series = Series::new(id, camera.count, camera.channels).map_err(|error| format!("--id: {error}"))?;
    let server = resolve(&camera.server).await.map_err(|error| format!("--server {}: {error}", camera.server))?;
    let clip = Arc::new(match &camera.file {
        Some(file) => load(file).map_err(|error| format!("{}: {error}", file.display()))?,
        None => clip::pattern().map_err(|error| error.to_string())?,
    });
    let (clock, tasks, totals) = (Clock::real(), Tasks::new(), Arc::<Totals>::default());
    let all = async {
        for n in 0..camera.count {
            let Some(id) = series.device(n) else { break };
            let settings = Settings {
                transport: match camera.transport {
                    Way::Udp => Transport::Udp,
                    Way::Tcp => Transport::Tcp,
                },
                keepalive: Duration::from_secs(camera.keepalive),
                form: if camera.shape == Shape::Platform { Form::Platform } else { Form::Device },
                channels: series.channels(n),
                items: usize::try_from(camera.items).unwrap_or(1),
                edition: camera.edition.map(|edition| match edition {
                    Edition::Y2011 => Version::V2011,
                    Edition::Y2016 => Version::V2016,
                    Edition::Y2022 => Version::V2022,
                }),
                alarms: camera.alarm_every.map(Duration::from_secs),
                quirks: camera.quirk.iter().copied().collect::<Quirks>(),
                ..Settings::new(server, domain, id, Secret(camera.password.clone()), clip.clone())
            };
            camera::start(settings, totals.clone(), clock.clone(), &tasks);
            tokio::time::sleep(STAGGER).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = all => {}
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!(
        registered = totals.registered(),
        calls = totals.calls(),
        served = totals.served(),
        orders = totals.controls(),
        reboots = totals.reboots(),
        alarms = totals.alarms(),
        positions = totals.positions(),
        "stopping"
    );
    tasks.finish(FAREWELL).await;
    Ok(())
}

async fn resolve(server: &str) -> Result<SocketAddr, String> {
    let mut found = tokio::net::lookup_host(server).await.map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "no address".to_owned())
}

fn load(file: &Path) -> Result<Clip, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > FILE_MAX {
        return Err(format!("longer than {FILE_MAX} bytes"));
    }
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    Clip::read(&bytes).map_err(|error| error.to_string())
}

fn id(text: &str) -> Result<Id, String> {
    let digits = text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    Id::new(text).filter(|_| digits).ok_or_else(|| "expected 20 digits".to_owned())
}
