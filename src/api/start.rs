//! Puts the API together in the order in which a server starts: first who may publish and play, then, when the ports are
//! known, the API itself.

use super::access::{Gate, Rules};
use super::book::Book;
use super::files::{self, Stored};
use super::live::{Callbacks, Follower};
use super::media::Running;
use super::plane::{Devices, Files, Media, Pictures, Recorders};
use super::settings::{Playback, Public, Settings};
use super::url::Places;
use super::{Api, Parts};
use crate::base::pii::Secret;
use crate::edge::session::Sessions;
use crate::model::domain::{Keys, Purpose};
use crate::runtime::clock::Clock;
use crate::runtime::task::{Stop, Tasks};
use crate::storage::Shelf;
use crate::store::{self, Store};
use crate::stream::Registry;
use crate::stream::access::Open;
use crate::stream::tally::Tally;
use axum::Router;
use std::sync::Arc;
use std::time::Duration;

/// How often nonces of keys that are not used any more are forgotten.
const SWEEP: Duration = Duration::from_secs(300);

/// How often old alarms and log entries of callbacks are deleted.
const SWEEP_LOGS: Duration = Duration::from_secs(300);

/// What stands before any port is open.
#[derive(Clone)]
pub struct Base {
    store: Store,
    clock: Clock,
    book: Book,
    media: Arc<dyn Media>,
    playback: Playback,
    play: Keys,
    push: Keys,
    open: Open,
    tally: Tally,
}

/// The ports that are listened on, where a configuration says nothing else about the way from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// RTMP.
    pub rtmp: u16,
    /// HTTP.
    pub http: u16,
    /// Address that devices register to; empty for the public one.
    pub gb_host: String,
    /// SIP over UDP.
    pub gb_udp: u16,
    /// SIP over TCP.
    pub gb_tcp: u16,
    /// The 8-digit administrative area of platform ids.
    pub gb_area: u64,
}

/// What the API asks of workers.
pub type Workers = (Arc<dyn Recorders>, Arc<dyn Pictures>);

impl Base {
    /// Reads or makes the keys of signed URLs and starts to follow the streams of this process.
    pub async fn open(
        store: Store,
        (registry, sessions): (Registry, Sessions),
        clock: Clock,
        (playback, callbacks, open): (Playback, Callbacks, Open),
        tasks: &Tasks,
    ) -> Result<Base, store::Error> {
        let play = keys(&store, &playback).await?;
        let push = store.domain_keys(Purpose::Push).await?;
        let book = Book::new(store.clone(), clock.clone());
        let media: Arc<dyn Media> = Arc::new(Running::new(registry.clone(), sessions));
        let (follow, stop) = (book.clone(), tasks.stopping());
        tasks.spawn("api: follow the store", async move {
            tokio::select! {
                () = follow.follow() => {}
                () = stop.requested() => {}
            }
        });
        let (sweeper, sweeps, stop) = (store.clone(), clock.clone(), tasks.stopping());
        tasks.spawn("api: sweep the logs", async move {
            loop {
                tokio::select! {
                    () = sweeps.sleep(SWEEP_LOGS) => sweep_logs(&sweeper, &stop).await,
                    () = stop.requested() => break,
                }
            }
        });
        let follower = Follower::new(store.clone(), book.clone(), media.clone(), clock.clone(), callbacks);
        tasks.spawn("api: follow the streams", follower.run(registry, tasks.stopping()));
        Ok(Base { store, clock, book, media, playback, play, push, open, tally: Tally::default() })
    }

    /// Every stream has an output of this transcode rule, without a template.
    pub fn every_stream_has(&self, rule: &'static str) {
        self.book.every_stream_has(rule);
    }

    /// Who may publish and play.
    pub fn gate(&self) -> Gate {
        let Base { clock, book, media, playback, play, push, open, tally, .. } = self.clone();
        Gate::new(book, media, clock, Rules { playback, play, push, open, tally })
    }

    /// What tenants have at once, for those who count beside the gate.
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// The stored files, when the ports are known.
    pub fn files(&self, shelf: Shelf, places: &Places) -> Stored {
        Stored::new(files::Parts {
            shelf,
            store: self.store.clone(),
            base: places.http_base(),
            keys: self.play.clone(),
            auth: self.playback.auth,
            expire: self.playback.expire.0,
            clock: self.clock.clone(),
        })
    }

    /// The API, when the ports are known.
    pub fn api(
        self,
        settings: Settings,
        places: Places,
        (devices, files, (recorders, pictures)): (Arc<dyn Devices>, Arc<dyn Files>, Workers),
        front: Option<Router>,
        tasks: &Tasks,
    ) -> Api {
        let Base { store, clock, book, media, playback, play, push, tally, .. } = self;
        let (play_keys, push_keys) = (play, push);
        let api = Api::new(Parts {
            settings,
            playback,
            store,
            book,
            media,
            devices,
            files,
            recorders,
            pictures,
            tally,
            play_keys,
            push_keys,
            clock,
            places,
            front,
        });
        let (sweeper, stop) = (api.clone(), tasks.stopping());
        tasks.spawn("api: forget nonces", async move {
            loop {
                tokio::select! {
                    () = sweeper.clock().sleep(SWEEP) => {
                        sweeper.nonces().sweep(sweeper.now());
                        if sweeper.store().is_shared() && let Err(error) = sweeper.store().sweep_nonces().await {
                            tracing::warn!(%error, "old nonces were not forgotten");
                        }
                    }
                    () = stop.requested() => break sweeper.nonces().close(),
                }
            }
        });
        api
    }
}

/// Deletes what is too old or too much, in portions, so that others write in between.
async fn sweep_logs(store: &Store, stop: &Stop) {
    loop {
        match store.sweep_logs().await {
            Ok(true) if !stop.is_requested() => tokio::task::yield_now().await,
            Ok(_) => return,
            Err(error) => return tracing::warn!(%error, "alarms and the log of callbacks were not swept"),
        }
    }
}

/// The keys of the play domain: the configuration's, else those that the store has or makes now.
pub async fn keys(store: &Store, playback: &Playback) -> Result<Keys, store::Error> {
    if playback.auth_key.0.is_empty() {
        return store.domain_keys(Purpose::Play).await;
    }
    let keys = Keys { main: playback.auth_key.clone(), backup: playback.backup_key.clone() };
    match [&keys.main, &keys.backup].iter().all(|key| fits(key)) {
        true => Ok(keys),
        false => Err(store::Error::Unusable("playback.auth_key and playback.backup_key must be at most 64 letters and digits".to_owned())),
    }
}

fn fits(key: &Secret) -> bool {
    key.0.len() <= 64 && key.0.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl Places {
    /// Where clients reach this server: what the configuration says, else the ports that are listened on.
    pub fn new(public: &Public, ports: Ports) -> Places {
        let or = |said: u16, port: u16| if said == 0 { port } else { said };
        let host = if public.host.is_empty() { own_address() } else { public.host.clone() };
        Places {
            gb_host: if ports.gb_host.is_empty() { host.clone() } else { ports.gb_host },
            rtmp: or(public.rtmp_port, ports.rtmp),
            http: or(public.http_port, ports.http),
            tls: public.https,
            gb_udp: ports.gb_udp,
            gb_tcp: ports.gb_tcp,
            gb_area: ports.gb_area,
            host,
        }
    }

    /// This server's HTTP address, as in `http://vs.example.com:8080`.
    pub fn http_base(&self) -> String {
        self.play(super::url::Form::Flv, None, "")
    }
}

/// The address that this machine uses towards the network. Nothing is sent for that.
fn own_address() -> String {
    let routed = || {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect("192.0.2.1:9").ok()?;
        socket.local_addr().ok().map(|address| address.ip().to_string())
    };
    routed().unwrap_or_else(|| "127.0.0.1".to_owned())
}
