//! Structured logs: text for people, JSON for machines.

use serde::{Deserialize, Serialize};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

crate::settings! {
    /// Logs, on standard error.
    pub struct Settings {
        /// Least severe level that is shown: "error", "warn", "info", "debug" or "trace"; or a filter by module, as in
        /// "info,weir::edge::rtmp=debug".
        pub level: String = "info".to_owned(),
        /// "text" or "json".
        pub format: Form = Form::Text,
        /// Blank out peers' addresses.
        pub redact: bool = false,
    }
}

/// Starts logging for the whole process; later calls change nothing.
pub fn start(settings: &Settings) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.level).map_err(|e| format!("log.level: {e}"))?;
    crate::base::pii::show(!settings.redact);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that a subscriber is installed already, as in tests.
    let _ = match settings.format {
        Form::Text => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init(),
        Form::Json => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
    Ok(())
}
