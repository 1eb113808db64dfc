//! Decoding and encoding, done by the helper executable `weir-av`: here it is started, fed, limited and replaced when it dies.
//!
//! [`helper`] is one process with its jobs; [`picture`] makes a picture of a key frame. What is made of it for whom, workers decide.
//! Without the executable everything else still works; who needs it is told why not.

mod helper;
mod picture;
#[cfg(test)]
mod tests;

pub use helper::{Helper, Task};
pub use picture::{NoPicture, Picture, QUALITY, Stills};

use std::path::PathBuf;

crate::settings! {
    /// The helper executable that decodes and encodes.
    pub struct Settings {
        /// The executable. Empty: `weir-av` beside `weir`, or in the PATH.
        pub program: PathBuf = PathBuf::new(),
        /// Sound of derived streams, in bits a second for each channel; 0 chooses by the sample rate.
        pub audio_bitrate: u32 = 0,
    }
}

impl Settings {
    /// The executable to start.
    pub fn executable(&self) -> PathBuf {
        if !self.program.as_os_str().is_empty() {
            return self.program.clone();
        }
        let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("weir-av")));
        beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("weir-av"))
    }
}
