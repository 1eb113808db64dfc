//! The API as one handle: what its actions and its dispatcher share.

use super::action::Entry;
use super::auth::nonce::Nonces;
use super::auth::rate::Rates;
use super::book::Book;
use super::plane::{Devices, Files, Media, Pictures, Recorders};
use super::settings::{Playback, Settings};
use super::url::Places;
use super::{NOUNS, dispatch, openapi, reference};
use crate::model::domain::Keys;
use crate::runtime::clock::Clock;
use crate::store::Store;
use crate::stream::tally::Tally;
use axum::Router;
use axum::http::header;
use axum::routing::{any, get};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// What the API is built from.
pub struct Parts {
    /// Its settings.
    pub settings: Settings,
    /// Settings of signed URLs.
    pub playback: Playback,
    /// The rows.
    pub store: Store,
    /// What decides about streams, in memory: shared with the [`Gate`](super::access::Gate).
    pub book: Book,
    /// The media plane.
    pub media: Arc<dyn Media>,
    /// The signalling.
    pub devices: Arc<dyn Devices>,
    /// The stored files.
    pub files: Arc<dyn Files>,
    /// The recordings.
    pub recorders: Arc<dyn Recorders>,
    /// Who takes pictures.
    pub pictures: Arc<dyn Pictures>,
    /// What tenants have at once: shared with the [`Gate`](super::access::Gate).
    pub tally: Tally,
    /// The keys that sign play URLs.
    pub play_keys: Keys,
    /// The keys that sign push URLs.
    pub push_keys: Keys,
    /// The clock.
    pub clock: Clock,
    /// Where clients reach this server.
    pub places: Places,
    /// What answers a browser at `/`.
    pub front: Option<Router>,
}

/// The API. Cloning shares it.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    parts: Parts,
    table: HashMap<&'static str, &'static Entry>,
    nonces: Nonces,
    rates: Rates,
}

/// The first segments of the paths that [`router`] answers.
pub const SEGMENTS: &[&str] = &["", "reference", "openapi.json"];

/// The routes: `/` for calls, the reference and its machine-readable form.
pub fn router(api: Api) -> Router {
    static PAGE: OnceLock<String> = OnceLock::new();
    static OPENAPI: OnceLock<String> = OnceLock::new();
    let page = || async {
        let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
        let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)];
        (headers, PAGE.get_or_init(reference::page).as_str())
    };
    let openapi =
        || async { ([(header::CONTENT_TYPE, "application/json")], OPENAPI.get_or_init(|| openapi::document("/").to_string()).as_str()) };
    Router::new().route("/", any(dispatch::root)).route("/reference", get(page)).route("/openapi.json", get(openapi)).with_state(api)
}

impl Api {
    /// Puts it together.
    pub fn new(parts: Parts) -> Api {
        let table = NOUNS.iter().flat_map(|noun| noun.actions).map(|entry| (entry.name, entry)).collect();
        let start = parts.clock.unix().0.div_euclid(1_000_000_000);
        let nonces = Nonces::open(parts.settings.nonces, &parts.store.data_dir().join("nonces"), start, parts.store.is_new());
        let rates = Rates::new(parts.settings.rate, parts.settings.burst);
        Api(Arc::new(Inner { parts, table, nonces, rates }))
    }

    /// The action of a name.
    pub fn action(&self, name: &str) -> Option<&'static Entry> {
        self.0.table.get(name).copied()
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.parts.settings
    }

    /// The settings of signed URLs.
    pub fn playback(&self) -> &Playback {
        &self.0.parts.playback
    }

    /// The rows.
    pub fn store(&self) -> &Store {
        &self.0.parts.store
    }

    /// What decides about streams, in memory.
    pub fn book(&self) -> &Book {
        &self.0.parts.book
    }

    /// The stored files.
    pub fn files(&self) -> &dyn Files {
        &*self.0.parts.files
    }

    /// The recordings.
    pub fn recorders(&self) -> &dyn Recorders {
        &*self.0.parts.recorders
    }

    /// Who takes pictures.
    pub fn pictures(&self) -> &dyn Pictures {
        &*self.0.parts.pictures
    }

    /// What tenants have at once.
    pub fn tally(&self) -> &Tally {
        &self.0.parts.tally
    }

    /// The keys that sign play URLs.
    pub fn play_keys(&self) -> &Keys {
        &self.0.parts.play_keys
    }

    /// The keys that sign push URLs.
    pub fn push_keys(&self) -> &Keys {
        &self.0.parts.push_keys
    }

    /// The media plane.
    pub fn media(&self) -> &dyn Media {
        &*self.0.parts.media
    }

    /// The signalling.
    pub fn devices(&self) -> &dyn Devices {
        &*self.0.parts.devices
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.parts.clock
    }

    /// Now, in unix seconds.
    pub fn now(&self) -> i64 {
        self.clock().unix().0.div_euclid(1_000_000_000)
    }

    /// Where clients reach this server.
    pub fn places(&self) -> &Places {
        &self.0.parts.places
    }

    /// What failures name as the site that was called.
    pub fn host_id(&self) -> &str {
        &self.places().host
    }

    /// What answers a browser at `/`.
    pub(super) fn front(&self) -> Option<Router> {
        self.0.parts.front.clone()
    }

    /// The nonces that were used.
    pub(super) fn nonces(&self) -> &Nonces {
        &self.0.nonces
    }

    /// How often keys called.
    pub(super) fn rates(&self) -> &Rates {
        &self.0.rates
    }
}
