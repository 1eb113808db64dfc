//! What commands beside the server need of it: its store, its root key, where it is reached.

use super::{api, doctor, url};
use crate::api::start::{self, Ports};
use crate::api::url::Places;
use crate::base::pii::Secret;
use crate::config::Config;
use crate::runtime::clock::Clock;
use crate::store::Store;
use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

/// `weir api`.
pub(super) fn call(config: &Config, args: api::Args) -> ExitCode {
    block_on(async {
        let target = target(config, args.url, args.key.zip(args.secret)).await?;
        Ok(api::run(&target, &args.action, args.parameters).await)
    })
}

/// `weir doctor`.
pub(super) fn diagnose(config: &Config, args: doctor::Args) -> ExitCode {
    block_on(async {
        let target = target(config, args.url.clone(), args.key.clone().zip(args.secret.clone())).await?;
        doctor::run(&target, &args).await
    })
}

/// Where to call: what is not said is this machine's own server, with the key of its configuration or its store.
async fn target(config: &Config, url: Option<String>, key: Option<(String, String)>) -> Result<api::Target, String> {
    let (key, secret) = match key {
        Some((key, secret)) => (key, Secret(secret)),
        None if !config.top.access_key_id.is_empty() => (config.top.access_key_id.clone(), config.top.access_key_secret.clone()),
        None => {
            let (key, _) = attach(config).await?.root_key(None).await.map_err(|e| e.to_string())?;
            (key.id, key.secret)
        }
    };
    let url = url.unwrap_or_else(|| {
        let listen = config.http.listen;
        let host = if listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { listen.ip().to_string() };
        format!("http://{host}:{}", listen.port())
    });
    Ok(api::Target { url, key, secret })
}

/// `weir url`.
pub(super) fn print_url(config: &Config, args: &url::Args) -> ExitCode {
    block_on(async {
        let store = attach(config).await?;
        let keys = start::keys(&store, &config.playback).await.map_err(|e| e.to_string())?;
        let places = places(config, port_of(&config.rtmp.listen), config.http.listen.port());
        let now = Clock::real().unix().0 / 1_000_000_000;
        println!("{}", url::url(&store, &places, &keys, args, config.playback.expire.0, now).await?);
        Ok(ExitCode::SUCCESS)
    })
}

/// `weir backup`.
pub(super) fn backup(config: &Config, file: &Path) -> ExitCode {
    block_on(async {
        attach(config).await?.backup(file, false).await.map_err(|e| e.to_string())?;
        println!("backed up to {}; it holds the key to all secrets: keep it safe", file.display());
        Ok(ExitCode::SUCCESS)
    })
}

/// `weir restore`.
pub(super) fn restore(config: &Config, file: &Path, force: bool) -> ExitCode {
    block_on(async {
        Store::restore(&config.store, &config.top.data_dir, file, force).await.map_err(|e| e.to_string())?;
        println!("restored from {}", file.display());
        Ok(ExitCode::SUCCESS)
    })
}

/// Where clients reach the server: as `server.rs` finds it, with the configured ports.
fn places(config: &Config, rtmp: u16, http: u16) -> Places {
    Places::new(&crate::server::outside(config), Ports { rtmp, http, ..crate::server::ports(config) })
}

fn port_of(listen: &str) -> u16 {
    listen.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(1935)
}

async fn attach(config: &Config) -> Result<Store, String> {
    Store::attach(&config.store, &config.top.data_dir, Clock::real()).await.map_err(|e| e.to_string())
}

fn block_on(work: impl Future<Output = Result<ExitCode, String>>) -> ExitCode {
    let done = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(e) => Err(e.to_string()),
    };
    done.unwrap_or_else(|why| {
        eprintln!("{why}");
        ExitCode::FAILURE
    })
}
