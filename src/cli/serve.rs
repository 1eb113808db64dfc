//! `weir serve`: start, wait for a signal, stop in order.

use crate::config::Config;
use crate::runtime::log;
use crate::server::Server;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

pub(super) fn run(config: Config) -> ExitCode {
    if let Err(e) = log::start(&config.log) {
        eprintln!("{e}");
        return ExitCode::from(2);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            tracing::error!(error = %e, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        // Before anything listens: a signal during the start must not be lost.
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
            tracing::error!("cannot listen for signals");
            return ExitCode::FAILURE;
        };
        let server = tokio::select! {
            started = Server::start(config) => match started {
                Ok(server) => server,
                Err(e) => {
                    tracing::error!("cannot start: {e}");
                    return ExitCode::FAILURE;
                }
            },
            _ = term.recv() => return ExitCode::SUCCESS,
            _ = int.recv() => return ExitCode::SUCCESS,
        };
        let asked = tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "Ctrl-C",
        };
        tracing::info!(by = asked, "stopping");
        tokio::select! {
            () = server.stop() => ExitCode::SUCCESS,
            // A second signal: the operator does not want to wait.
            _ = term.recv() => ExitCode::FAILURE,
            _ = int.recv() => ExitCode::FAILURE,
        }
    })
}
