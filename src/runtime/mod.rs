//! The only low module that may touch the operating system: the clock and the tree of owned tasks.
//!
//! Protocol cores do not use it: they get the time as an argument.

pub mod clock;
pub mod log;
pub mod rarely;
pub mod task;
