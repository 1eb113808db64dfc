//! The server's parts together, through their public doors.

#[cfg(feature = "av")]
mod av;
mod crowd;
mod paths;
mod support;
