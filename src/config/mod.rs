//! The one configuration: defaults, then a file, then the environment, then flags. Unknown keys are refused.
//!
//! A section is declared where it is used; this module puts them together ([`Config`]), reads them ([`load()`]) and writes
//! the commented reference file ([`reference()`]). Nothing reads the configuration after the server was put together.

mod load;
mod reference;
#[cfg(test)]
mod tests;

pub use load::{Error, Sources, load};
pub use reference::reference;

use crate::base::pii::Secret;
use crate::base::settings::{Key, Section};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

crate::settings! {
    /// Keys of no section. They stand at the top of the file.
    pub struct Top {
        /// Where everything is kept: the database, keys, recordings.
        pub data_dir: PathBuf = PathBuf::from("./data"),
        /// The operator's access key for the API. Empty: one is made at the first start and printed once.
        pub access_key_id: String = String::new(),
        /// Its secret.
        pub access_key_secret: Secret = Secret::default(),
    }
}

macro_rules! config {
    ($($name:ident: $section:ty,)*) => {
        /// Everything that can be set.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        #[allow(missing_docs, reason = "the sections document themselves")]
        pub struct Config {
            #[serde(flatten)]
            pub top: Top,
            $(pub $name: $section,)*
        }

        /// Sections in the order of the reference file: name, documentation, keys.
        fn sections() -> Vec<(&'static str, &'static [&'static str], &'static [Key])> {
            vec![$((stringify!($name), <$section>::DOC, <$section>::KEYS)),*]
        }

        fn config_from(mut table: toml::Table) -> Result<Config, (String, toml::de::Error)> {
            let mut config = Config::default();
            $(if let Some(section) = table.remove(stringify!($name)) {
                config.$name = section.try_into().map_err(|e| (stringify!($name).to_owned(), e))?;
            })*
            config.top = toml::Value::Table(table).try_into().map_err(|e| (String::new(), e))?;
            Ok(config)
        }
    };
}

config! {
    log: crate::runtime::log::Settings,
    access: crate::stream::access::Settings,
    stream: crate::stream::Settings,
    play: crate::edge::net::pump::Settings,
    rtmp: crate::edge::rtmp::Settings,
    http: crate::edge::http::Settings,
    webrtc: crate::edge::webrtc::Settings,
    hls: crate::worker::segment::Settings,
    sip: crate::edge::gb28181::Sip,
    gb28181: crate::edge::gb28181::Settings,
    rtp: crate::edge::gb28181::media::Settings,
    store: crate::store::Settings,
    usage: crate::worker::ledger::Settings,
    api: crate::api::Settings,
    cloud: crate::api::cloud::Settings,
    playback: crate::api::Playback,
    console: crate::console::Settings,
    public: crate::api::Public,
    callbacks: crate::api::live::Callbacks,
    notify: crate::worker::notify::Settings,
    record: crate::worker::record::Settings,
    timeshift: crate::worker::record::shift::Settings,
    pull: crate::worker::pull::Settings,
    relay: crate::worker::relay::Settings,
    av: crate::av::Settings,
    storage: crate::storage::Settings,
    transcode: crate::worker::transcode::Settings,
    snapshot: crate::worker::snapshot::Settings,
}

/// All keys as `section.key`, the top ones bare.
fn known_keys() -> Vec<String> {
    let top = Top::KEYS.iter().map(|key| key.name.to_owned());
    let rest = sections().into_iter().flat_map(|(name, _, keys)| keys.iter().map(move |key| format!("{name}.{}", key.name)));
    top.chain(rest).collect()
}
