//! `weir check`: is the configuration right?

use super::Layers;
use std::process::ExitCode;

pub(super) fn run(layers: &Layers) -> ExitCode {
    match layers.load() {
        Ok(_) => {
            println!("the configuration is right");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::from(2)
        }
    }
}
