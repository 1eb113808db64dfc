//! `weir api ACTION Key=Value…`: signs a call, sends it, prints the answer.

use crate::api;
use crate::api::auth::v1;
use crate::api::query::{self, Given};
use crate::base::pii::Secret;
use crate::model::tenant::OPERATOR;
use crate::model::time::Time;
use crate::runtime::clock::Clock;
use crate::store::{self, Store};
use bytes::Bytes;
use clap::builder::PossibleValuesParser;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Longest answer that is read.
const ANSWER_MAX: usize = 64 << 20;
/// A call may wait for a device; longer than that it does not.
const PATIENCE: Duration = Duration::from_secs(60);

/// The arguments of `weir api`.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// The action, as in DescribeGroups.
    #[arg(value_parser = PossibleValuesParser::new(actions()), value_name = "ACTION")]
    pub action: String,
    /// Its parameters, as in PageSize=5. A value of @FILE is read from a file.
    #[arg(value_parser = parameter, value_name = "KEY=VALUE")]
    pub parameters: Vec<(String, String)>,
    /// Where the server is; this machine's own by default.
    #[arg(long, env = "WEIR_URL", value_name = "URL")]
    pub url: Option<String>,
    /// The access key to sign with; the local server's root key by default.
    #[arg(long, env = "WEIR_ACCESS_KEY_ID", requires = "secret", value_name = "ID")]
    pub key: Option<String>,
    /// Its secret.
    #[arg(long, env = "WEIR_ACCESS_KEY_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub secret: Option<String>,
}

/// Where to call and with which key.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server, as in `http://127.0.0.1:8080`.
    pub url: String,
    /// The id of the access key.
    pub key: String,
    /// Its secret.
    pub secret: Secret,
}

impl Args {
    /// Where the arguments lead: what they do not say is this machine's own server, with the root key of its store.
    pub async fn target(&self, settings: &store::Settings, data_dir: &Path, own: &str) -> Result<Target, String> {
        let url = self.url.clone().unwrap_or_else(|| own.to_owned());
        if let (Some(key), Some(secret)) = (&self.key, &self.secret) {
            return Ok(Target { url, key: key.clone(), secret: Secret(secret.clone()) });
        }
        let store = Store::attach(settings, data_dir, Clock::real()).await.map_err(|e| e.to_string())?;
        let found = store.access_keys(OPERATOR).await.map_err(|e| e.to_string());
        store.close().await;
        let root = found?.into_iter().find(|key| key.root).ok_or("the store has no root key: start the server once")?;
        Ok(Target { url, key: root.id, secret: root.secret })
    }
}

/// The names of all actions, sorted.
pub fn actions() -> Vec<&'static str> {
    let mut names: Vec<_> = api::NOUNS.iter().flat_map(|noun| noun.actions).map(|entry| entry.name).collect();
    names.sort_unstable();
    names
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    match value.strip_prefix('@') {
        Some(file) => {
            let value = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
            Ok((name.to_owned(), value.trim_end_matches(['\n', '\r']).to_owned()))
        }
        None => Ok((name.to_owned(), value.to_owned())),
    }
}

/// Runs the command against a target: the answer goes to standard output, indented; a failure makes the exit code 1.
pub async fn run(target: &Target, action: &str, parameters: Vec<(String, String)>) -> ExitCode {
    match call(target, action, parameters).await {
        Ok((status, answer)) => {
            let text = serde_json::to_string_pretty(&answer).unwrap_or_default();
            let mut out = std::io::stdout().lock();
            // A reader that went away (`| head`) is no failure of the call.
            let _ = writeln!(out, "{text}");
            if (200..300).contains(&status) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("weir api: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Signs and sends a call; gives the HTTP status and the answer.
pub async fn call(target: &Target, action: &str, parameters: Vec<(String, String)>) -> Result<(u16, serde_json::Value), String> {
    let now = Time::from_nanos(Clock::real().unix().0);
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let mut given = Given::from_pairs(parameters);
    given.push("Action", action);
    v1::sign_call("POST", &mut given, &target.key, &target.secret.0, &now.to_string(), &nonce);
    let request = http::Request::post(format!("{}/", target.url.trim_end_matches('/')))
        .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(http::header::USER_AGENT, concat!("weir/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::from(query::canonical(&given, &[]))))
        .map_err(|e| format!("{}: {e}", target.url))?;
    let connector = hyper_rustls::HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let exchange = async {
        let response = client.request(request).await.map_err(|e| unreachable(&target.url, &e))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await.map_err(|e| format!("the answer broke off: {e}"))?;
        let answer = serde_json::from_slice(&body.to_bytes()).map_err(|_| format!("{}: not an API answer (HTTP {status})", target.url))?;
        Ok((status, answer))
    };
    tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| format!("{}: no answer within {PATIENCE:?}", target.url))?
}

fn unreachable(url: &str, error: &hyper_util::client::legacy::Error) -> String {
    let mut why: &dyn std::error::Error = error;
    while let Some(source) = why.source() {
        why = source;
    }
    format!("{url}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_split_at_the_first_sign() {
        assert_eq!(parameter("Name=a=b").unwrap(), ("Name".to_owned(), "a=b".to_owned()));
        assert_eq!(parameter("Name=").unwrap(), ("Name".to_owned(), String::new()));
        assert!(parameter("Name").is_err());
        assert!(parameter("Name=@/no/such/file").is_err());
    }

    #[test]
    fn every_action_can_be_named() {
        let names = actions();
        assert!(names.len() >= 65 && names.is_sorted());
    }
}
