//! The command line. Each command is a file; [`run`] reads the arguments and calls one.

pub mod api;
mod camera;
mod check;
mod doctor;
mod license;
mod local;
mod push;
mod serve;
pub mod url;

use crate::config::{self, Config, Sources};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// A video-surveillance media server: GB28181 and RTMP in; RTMP, HTTP-FLV, WS-FLV, HLS and WebRTC out.
#[derive(Parser)]
#[command(name = "weir", version, about, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    layers: Layers,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the configuration comes from; every command takes them.
#[derive(Args, Clone)]
struct Layers {
    /// The configuration file.
    #[arg(long, short, global = true, env = "WEIR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets a key of the configuration, as in --set rtmp.listen=127.0.0.1:1936. May be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (also what a bare `weir` does).
    Serve,
    /// Check a configuration and say what is wrong with it.
    Check {
        /// The file to check, instead of --config.
        file: Option<PathBuf>,
    },
    /// Send an FLV file to an RTMP server in real time, over and over.
    Push(push::Push),
    /// Simulate GB28181 cameras: register, answer, send a clip to whoever calls.
    Camera(camera::Camera),
    /// Call the API: sign, send, print the answer.
    Api(api::Args),
    /// Say what is wrong with a GB28181 device: what it said, what arrived of its streams, and a verdict.
    Doctor(doctor::Args),
    /// Sell licenses, extend them, and show what was sold.
    License(license::Args),
    /// Print a signed URL that plays a stream.
    Url(url::Args),
    /// Write everything that the store holds, and the key that opens its secrets, to one file. The server may run.
    Backup {
        /// The file; it must not be there yet.
        file: PathBuf,
    },
    /// Bring a backup back. The server must not run.
    Restore {
        /// The backup.
        file: PathBuf,
        /// Replace the store that is there.
        #[arg(long)]
        force: bool,
    },
    /// Print the commented reference configuration.
    Config,
    /// Print a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the version.
    Version,
}

/// Runs the command of the process's arguments.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => with_config(&cli.layers, serve::run),
        Command::Check { file } => check::run(&Layers { config: file.or(cli.layers.config), ..cli.layers }),
        Command::Push(push) => push::run(&push),
        Command::Camera(camera) => camera::run(&camera),
        Command::Api(args) => with_config(&cli.layers, |config| local::call(&config, args)),
        Command::Doctor(args) => with_config(&cli.layers, |config| local::diagnose(&config, args)),
        Command::License(args) => with_config(&cli.layers, |config| local::call(&config, args.call())),
        Command::Url(args) => with_config(&cli.layers, |config| local::print_url(&config, &args)),
        Command::Backup { file } => with_config(&cli.layers, |config| local::backup(&config, &file)),
        Command::Restore { file, force } => with_config(&cli.layers, |config| local::restore(&config, &file, force)),
        Command::Config => {
            print!("{}", config::reference());
            ExitCode::SUCCESS
        }
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "weir", &mut std::io::stdout());
            if shell == clap_complete::Shell::Fish {
                // The generator leaves out for fish what stands without an option.
                println!("complete -c weir -n \"__fish_seen_subcommand_from api\" -f -a \"{}\"", api::actions().join(" "));
            }
            ExitCode::SUCCESS
        }
        Command::Version => {
            println!("weir {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}

impl Layers {
    fn load(&self) -> Result<Config, config::Error> {
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        config::load(&Sources { file: self.config.clone(), environment, flags: self.set.clone() })
    }
}

/// Loads the configuration for a command, or says what is wrong and exits with 2.
fn with_config(layers: &Layers, command: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match layers.load() {
        Ok(config) => command(config),
        Err(e) => {
            eprintln!("{e}");
            ExitCode::from(2)
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}
